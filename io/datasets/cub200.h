/* io/datasets/cub200.h - the text files of CUB-200-2011, joined by the numbers of the images. */
#ifndef IO_DATASETS_CUB200_H
#define IO_DATASETS_CUB200_H

#include "io/datasets/lists.h"
#include "io/datasets/source.h"

enum cub_list { CUB_CLASSES, CUB_IMAGES, CUB_SPLIT, CUB_LABELS, CUB_LISTS };

/* Take classes and images from the four lists, whose lines are changed: "class name", "id class/file", "id 0 or 1" (1:
 * training), "id class".  Numbers count from 1, each occurs once in each list, in any order of lines.  Images are put
 * in the order of an image folder: by class, then by file name.
 * E_SYNTAX (a line of another form), E_DUP, E_MISSING (a number that a list lacks), E_RANGE (a class that is not there,
 * or not the one of the image's folder), E_PATH. */
int cub200_join(struct image_source *s, struct text_lines lists[CUB_LISTS], err *e);

#endif
