/* io/datasets/svhn.h - the files of SVHN, format 2: train_32x32.mat and test_32x32.mat.
 *
 * X is (32, 32, 3, N) of bytes in MATLAB's order, rows fastest, and y (N, 1) holds the labels 1 to 10, where 10 stands
 * for the digit 0. */
#ifndef IO_DATASETS_SVHN_H
#define IO_DATASETS_SVHN_H

#include "io/datasets/source.h"

/* Size, layout and classes of the images. */
int svhn_start(struct image_source *s, err *e);
/* Add the images of an open file of `size` bytes; expected: how many they must be, 0 for any number.  The faults of
 * mat5.h; E_MISSING, E_DTYPE, E_SHAPE, E_UNSUPPORTED for variables that are not there or of another form, E_RANGE for
 * numbers of images and labels. */
int svhn_add(struct image_source *s, enum dataset_part part, const char *where, int fd, uint64_t size, size_t expected,
             err *e);

#endif
