/* io/image_pack_contents.h - what a pack of images (image_pack.h) holds beside its images, and where those are.
 *
 * Whoever writes a pack with h5py gets metadata without checksums, and where such metadata is wrong libhdf5 1.10 reads beyond its
 * buffers.  So the library works in a child process (containers/quarantine.h), which hands over arrays and texts; images that lie
 * in the file as they are stay there. */
#ifndef IO_IMAGE_PACK_CONTENTS_H
#define IO_IMAGE_PACK_CONTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/dataset.h"
#include "io/err.h"

/* Sizes fit the arrays and the file; nothing else is promised: numbers of images may differ, ends may fall, labels may be
 * anything. */
struct image_pack_part {
    bool files;      /* there are `files` and `ends`, not `images` */
    size_t shape[4]; /* of images: (count, height, width, channels) */
    size_t bytes;    /* of all images or files */
    uint64_t at;     /* where the images or files begin in the file, one after the other; 0: images are in `pixels` */
    const uint8_t *pixels; /* (shape), or NULL */
    size_t ends_count, labels_count;
    const int64_t *ends;   /* (ends_count), of files */
    const int32_t *labels; /* (labels_count) */
};

struct image_pack_contents {
    /* Attributes; only class_names cannot be NULL. */
    const char *class_names, *digest, *decoding, *provenance, *sequence;
    struct image_pack_part part[DATASET_PARTS];
    void *memory; /* of all of these */
    size_t memory_bytes;
};

/* Read the pack at `path`, which is open as fd and stays so.  ERR_DAMAGED with file and reason; ERR_NOMEM, ERR_SYSTEM,
 * ERR_INTERRUPTED.  The caller releases the contents, whatever is returned. */
int image_pack_contents_read(const char *path, int fd, struct image_pack_contents *out, err *e);
void image_pack_contents_free(struct image_pack_contents *c);

#endif
