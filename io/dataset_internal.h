/* io/dataset_internal.h - what writing a data set (image_pack.c) and reading it (dataset.c) agree on: names of arrays and the
 * digest of the content. */
#ifndef IO_DATASET_INTERNAL_H
#define IO_DATASET_INTERNAL_H

#include <stdbool.h>

#include "io/dataset.h"

enum { DATASET_CLASSES_LIMIT = 1 << 18 }; /* of names of 256 bytes, 64 MiB */
#define DATASET_DIGEST "dataset_digest"   /* an attribute */
/* The attribute that says how a pack's files are decoded where that is not strictly, and what it says then. */
#define DATASET_DECODING "decoding"
#define DATASET_LENIENT  "lenient-jpeg"

/* "train/labels" into name; returns it. */
const char *dataset_array_name(char name[40], enum dataset_part part, const char *array);

/* The digest of a data set: dataset_digest_start(), then for each part dataset_digest_shape() and all pixels, or
 * dataset_digest_files(), then dataset_digest_labels(). */
void dataset_digest_start(struct digester *d, int classes, bool files);
void dataset_digest_shape(struct digester *d, size_t count, int height, int width, int channels);
/* files: has been fed, of each file, its length as a number and its bytes. */
void dataset_digest_files(struct digester *d, size_t count, const struct digester *files);
void dataset_digest_labels(struct digester *d, const int32_t *labels, size_t count);

#endif
