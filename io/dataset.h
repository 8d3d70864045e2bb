/* io/dataset.h - a labelled image data set in memory: 8-bit pixels as the files hold them.
 *
 * A kind of data set is one row of the table in dataset.c and one reader.  Readers keep file order. */
#ifndef IO_DATASET_H
#define IO_DATASET_H

#include <stddef.h>
#include <stdint.h>

#include "io/digest.h"
#include "io/err.h"

enum dataset_part { DATASET_TRAIN, DATASET_TEST, DATASET_PARTS };

struct image_set {
    size_t count;
    int height, width, channels;  /* channels 1 or 3 */
    const uint8_t *pixels;        /* (count, height, width, channels), owned by the data set */
    const int32_t *labels;        /* (count) in [0, classes) */
};

struct dataset {
    char name[64];
    int classes;
    char (*class_names)[64];      /* (classes) */
    struct image_set part[DATASET_PARTS];
    struct digest digest;         /* of pixels, labels and shapes of both parts: the same for any container */
    void *memory;                 /* private */
};

/* Where the named data set would be read from, and ERR_MISSING with what to do if it is not there. */
int dataset_locate(const char *name, char path[1024], err *e);
/* The digest alone, without keeping pixels (cached beside nothing: it reads the files). */
int dataset_digest(const char *name, struct digest *out, err *e);
int dataset_open(const char *name, struct dataset *out, err *e);
void dataset_close(struct dataset *d);

/* Indices of the first `per_class` images (0: all) of each class, in file order; malloc'd.
 * ERR_DATA if a class has no image. */
int image_set_take(const struct image_set *set, int classes, int64_t per_class, size_t **indices, size_t *count, err *e);

#endif
