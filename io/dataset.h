/* io/dataset.h - a labelled image data set: 8-bit pixels as the files hold them.
 *
 * A data set is found by name, in this order in each of the folders of SLUICE_DATA (separated by colons), /usr/share/datasets
 * and ~/.local/share/sluice/data:
 *   any name               NAME.h5, an HDF5 pack (io/image_pack.h).  Arrays train/images (count, height, width, channels) of
 *                          bytes may also be stored in other chunks and compressed, as h5py does when asked to: then they are
 *                          read into memory
 *   fashion-mnist, mnist   four IDX files, plain or gzipped, in NAME/, NAME/raw/ or torchvision's folder (one row of the table
 *                          in dataset.c each), read as an import reads them (datasets/source.h), with its kinds of faults: all
 *                          images must be there, and fewer are for an import to allow
 * Readers keep file order; labels are classes.  The images of a pack of files have sizes of their own; all other images of
 * both parts have one size. */
#ifndef IO_DATASET_H
#define IO_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/digest.h"
#include "io/err.h"
#include "io/picture.h"
#include "io/places.h"

enum dataset_part { DATASET_TRAIN, DATASET_TEST, DATASET_PARTS };

/* Where the bytes of images lie on the disk; private to dataset.c. */
struct image_places;

struct image_set {
    size_t count;
    int height, width, channels; /* of every image, channels 1 or 3; all 0 where images have sizes of their own */
    const uint8_t *pixels; /* (count, height, width, channels), owned by the data set; NULL if they are on the disk */
    const int32_t *labels; /* (count) in [0, classes) */
    const struct image_places *places; /* NULL if they are in memory */
    unsigned mode;                     /* how files are decoded: enum picture_mode, as the pack says */
};

/* Room for the name of a class, which may be as long as the name of a folder. */
enum { CLASS_NAME_SIZE = 256 };
/* Whether n bytes can be the name of a class; and the rule, for messages. */
#define CLASS_NAME_RULE "1 to 255 bytes of UTF-8 without control characters make one"
bool class_name_valid(const char *name, size_t n);

struct dataset {
    char name[64];
    int classes;
    char (*class_names)[CLASS_NAME_SIZE]; /* (classes) */
    struct image_set part[DATASET_PARTS];
    struct digest
        digest; /* of images, labels and shapes of both parts.  Pixels of one size: the same for any container.  A
                             pack of image_pack.h records it, and dataset_verify() compares; otherwise everything is read. */
    const char *provenance,
        *sequence; /* of a pack: where its images come from, dataset.sequence that goes with it; or NULL */
    char *notes;   /* what the user should know of files read without import, one a line; NULL: nothing */
    void *memory;  /* private */
};

/* "train", "test" */
const char *dataset_part_name(enum dataset_part part);

/* The folders in which data sets are looked for, in order. */
void dataset_places(struct places *p);
/* Names that are known without a pack; NULL past the end. */
const char *dataset_known(size_t i);
/* The folder or file that the named data set would be read from.  ERR_MISSING with the places searched and what to do if it is
 * nowhere; ERR_CONFIG if that is no name. */
int dataset_locate(const char *name, char path[1024], err *e);
/* ERR_MISSING, ERR_CONFIG as above; ERR_DAMAGED with file and reason; ERR_NOMEM, ERR_SYSTEM, ERR_INTERRUPTED.  A pack of
 * image_pack.h is opened without reading its images. */
int dataset_open(const char *name, struct dataset *out, err *e);
/* A pack by its path. */
int dataset_open_pack(const char *path, struct dataset *out, err *e);
void dataset_close(struct dataset *d); /* harmless twice, and after a failed dataset_open() */
/* Read every byte and compare with the recorded digest: ERR_DAMAGED when it differs. */
int dataset_verify(const struct dataset *d, err *e);
/* Write a pack that reads back with the same digest. */
int dataset_write_pack(const struct dataset *d, const char *path, err *e);

/* One image: borrowed from the set or from the reader, until its next image_set_read(). */
struct image {
    int height, width, channels;
    const uint8_t *pixels; /* (height, width, channels) */
};

/* Memory to read and decode in.  Begin with zeros; one for each thread. */
struct image_reader {
    uint8_t *bytes; /* of a file, or pixels */
    size_t room;
    struct picture picture;
};

/* Image i < count, decoded if it is a file.  Any number of threads at once, each with a reader of its own.
 * ERR_DAMAGED with data set, part and index when it cannot be read or decoded, ERR_NOMEM. */
int image_set_read(const struct image_set *set, size_t i, struct image_reader *reader, struct image *out, err *e);
void image_reader_free(struct image_reader *reader);

/* The bytes of image i as they are stored: a picture file, or pixels.  Borrowed as above. */
int image_set_bytes(const struct image_set *set, size_t i, struct image_reader *reader, const uint8_t **bytes,
                    size_t *n, err *e);

/* Indices of the first `per_class` images (0: all) of each class, in file order; malloc'd.
 * ERR_DATA if a class has no image. */
int image_set_take(const struct image_set *set, int classes, int64_t per_class, size_t **indices, size_t *count,
                   err *e);

#endif
