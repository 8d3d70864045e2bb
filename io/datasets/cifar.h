/* io/datasets/cifar.h - the files of CIFAR-10 and CIFAR-100, in their binary and their Python version.
 *
 * Images are 32 by 32 in three planes (red, green, blue).  A record of the binary version is one label (CIFAR-10), or
 * the coarse and then the fine label (CIFAR-100), and 3072 pixels.  A file of the Python version is one pickle of
 * Python 2: a dict with `data`, a NumPy array (N, 3072) of bytes, and `labels`, or `fine_labels` and `coarse_labels`,
 * lists of N integers; re-saved by Python 3 it is read too. */
#ifndef IO_DATASETS_CIFAR_H
#define IO_DATASETS_CIFAR_H

#include "io/datasets/source.h"

enum { CIFAR_PIXELS = 3072, CIFAR10_CLASSES = 10, CIFAR100_CLASSES = 100, CIFAR100_COARSE = 20 };

/* Add the images of a file of the binary version; classes says which data set it is of.  E_TRUNC if the size is no
 * number of records, E_RANGE for a label. */
int cifar_binary_add(struct image_source *s, enum dataset_part part, const char *where, const uint8_t *bytes, size_t n,
                     err *e);
/* Add the images of a file of the Python version.  The faults of pickle_read(); E_MISSING, E_DTYPE, E_SHAPE for what
 * the dict lacks or holds in another form. */
int cifar_python_add(struct image_source *s, enum dataset_part part, const char *where, const void *bytes, size_t n,
                     err *e);
/* The names of the classes, from `meta` or `batches.meta` of the Python version. */
int cifar_python_classes(struct image_source *s, const char *where, const void *bytes, size_t n, err *e);

#endif
