/* io/dataset.h - a labelled image data set in memory: 8-bit pixels as the files hold them.
 *
 * A data set is found by name, in this order in each of the folders of SLUICE_DATA (separated by colons), /usr/share/datasets
 * and ~/.local/share/sluice/data:
 *   fashion-mnist, mnist   four IDX files, plain or gzipped, in NAME/, NAME/raw/ or torchvision's folder (one row of the table
 *                          in dataset.c each)
 *   any name               NAME.h5, an HDF5 pack: arrays train/images (count, height, width, channels) of bytes and
 *                          train/labels (count) of integers, test/images, test/labels, and the attribute class_names, one a line
 * Readers keep file order.  Both parts have images of one size; labels are classes. */
#ifndef IO_DATASET_H
#define IO_DATASET_H

#include <stddef.h>
#include <stdint.h>

#include "io/digest.h"
#include "io/err.h"

enum dataset_part { DATASET_TRAIN, DATASET_TEST, DATASET_PARTS };

struct image_set {
    size_t count;
    int height, width, channels; /* channels 1 or 3 */
    const uint8_t *pixels;       /* (count, height, width, channels), owned by the data set */
    const int32_t *labels;       /* (count) in [0, classes) */
};

struct dataset {
    char name[64];
    int classes;
    char (*class_names)[64]; /* (classes) */
    struct image_set part[DATASET_PARTS];
    struct digest digest; /* of pixels, labels and shapes of both parts: the same for any container */
    void *memory;         /* private */
};

/* The folder or file that the named data set would be read from.  ERR_MISSING with the places searched and what to do if it is
 * nowhere; ERR_CONFIG if that is no name. */
int dataset_locate(const char *name, char path[1024], err *e);
/* The digest alone, without keeping pixels (cached beside nothing: it reads the files). */
int dataset_digest(const char *name, struct digest *out, err *e);
/* ERR_MISSING, ERR_CONFIG as above; ERR_DAMAGED with file and reason; ERR_NOMEM. */
int dataset_open(const char *name, struct dataset *out, err *e);
void dataset_close(struct dataset *d); /* harmless twice, and after a failed dataset_open() */
/* Write a pack that reads back with the same digest. */
int dataset_write_pack(const struct dataset *d, const char *path, err *e);

/* Indices of the first `per_class` images (0: all) of each class, in file order; malloc'd.
 * ERR_DATA if a class has no image. */
int image_set_take(const struct image_set *set, int classes, int64_t per_class, size_t **indices, size_t *count,
                   err *e);

#endif
