/* io/datasets/svhn.h - the files of SVHN, format 2: train_32x32.mat and test_32x32.mat.
 *
 * X is (32, 32, 3, N) of bytes in MATLAB's order, rows fastest, and y (N, 1) holds the labels 1 to 10, where 10 stands
 * for the digit 0.  X must be of class uint8 and stored as bytes; y of class double, uint8, uint16, int32 or uint32, and its
 * whole numbers stored as bytes, u16, i32, u32 or doubles, since MATLAB stores them as narrowly as they allow.
 *
 * The published files have no label 0.  A file that has some and no 10 is of someone who has put 0 in the place of 10: it is
 * taken, with a note.  With both, nobody knows what 0 is, and the file is refused. */
#ifndef IO_DATASETS_SVHN_H
#define IO_DATASETS_SVHN_H

#include "io/datasets/source.h"

/* Size, layout and classes of the images. */
int svhn_start(struct image_source *s, err *e);
/* Add the images of an open file of `size` bytes: as many as were published, or fewer where that is allowed.  The faults of
 * mat5.h; E_MISSING, E_DTYPE, E_SHAPE, E_UNSUPPORTED for variables that are not there or of another form, E_RANGE for
 * numbers of images and labels, E_LIMIT for more images than were published. */
int svhn_add(struct image_source *s, enum dataset_part part, const char *where, int fd, uint64_t size,
             const struct source_options *options, err *e);

#endif
