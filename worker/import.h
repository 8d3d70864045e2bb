/* worker/import.h - from a data set as it was published (io/datasets/source.h) to a pack (io/image_pack.h).
 *
 * Files keep their bytes, but each is decoded once, so that a picture that cannot be decoded is found now and not in
 * the middle of a sweep.  If that is asked for, its pixels are kept in place of its bytes.  Decoding is done by threads, a batch
 * at a time, while the batch before it is written; memory holds two batches, whose files and whose pixels are bounded, and
 * one picture for each thread.  The pack does not depend on the number of threads. */
#ifndef WORKER_IMPORT_H
#define WORKER_IMPORT_H

#include <stdio.h>

#include "io/datasets/kinds.h"
#include "io/digest.h"
#include "worker/host.h"

/* What to do with an image that cannot be decoded.  FEW: skip it, but fail if they are more than IMPORT_FEW_LEAST and
 * more than one in IMPORT_FEW_SHARE of all. */
enum bad_image { BAD_IMAGE_FAIL, BAD_IMAGE_SKIP, BAD_IMAGE_FEW };
enum { IMPORT_FEW_LEAST = 8, IMPORT_FEW_SHARE = 1000 };

/* Bytes of the lines about skipped images in a pack's provenance; what is beyond is only counted. */
enum { IMPORT_SKIPPED_TEXT = 16 << 10 };

struct import_request {
    const char *to;         /* the pack to be written */
    const char *provenance; /* stored in it, and behind it the images that were skipped; NULL: nothing */
    enum bad_image bad;
    bool lenient; /* take JPEGs that end too early; the pack says so */
    bool decoded; /* keep the pixels of files, as PGM and PPM, so that nobody decodes them again: much larger */
    int threads;
    const struct host *host; /* told how far it is; its `false` ends the import */
    FILE *complaints;        /* where skipped images are named, one a line; NULL: nowhere */
};

struct import_report {
    size_t count[DATASET_PARTS], skipped;
    size_t odd; /* JPEGs of these with data that decoders read past, as picture.h says */
    struct digest digest;
};

/* ERR_DAMAGED with the first bad image, or when too many are; ERR_INTERRUPTED; the errors of image_pack.h. */
int import_source(const struct image_source *source, const struct import_request *request, struct import_report *out,
                  err *e);

/* A data set of several others, one after the other: class c of the k-th becomes the class (classes before it) + c,
 * called "name/class".  Images keep their bytes; pixels become PGM or PPM files, so that each keeps its size.  The members
 * are looked for as in dataset_open(); ERR_DATA for one with another number of classes than it must have.  Lenient if one of them
 * is. */
int import_composition(const struct data_composition *what, const struct import_request *request,
                       struct import_report *out, err *e);

#endif
