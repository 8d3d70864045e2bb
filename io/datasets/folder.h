/* io/datasets/folder.h - images in folders, one for each class, in the order of torchvision's ImageFolder.
 *
 * Classes are the sub-folders, sorted.  Within a class every folder below counts: folders in the order of their whole
 * names, files sorted in each.  A file is an image if its name ends in .jpg .jpeg .png .ppm .bmp .pgm .tif .tiff .webp
 * in any case; what is inside decides how it is read.  Unlike torchvision, names that start with '.' and __MACOSX are
 * passed over with a note, and no link is followed out of the data set. */
#ifndef IO_DATASETS_FOLDER_H
#define IO_DATASETS_FOLDER_H

#include "io/datasets/source.h"

enum { FOLDER_DEPTH_LIMIT = 16, FOLDER_COUNT_LIMIT = 1 << 20 };

/* Sorted names of the class folders in `folder` ("": the root), without those in `but` (NULL: none).  Release with
 * folder_names_free(). */
struct folder_names {
    char **names;
    size_t count;
};
int folder_classes(struct image_source *s, const char *folder, const char *const *but, struct folder_names *out,
                   err *e);
void folder_names_free(struct folder_names *n);
bool folder_names_equal(const struct folder_names *a, const struct folder_names *b);

/* Add the images of <folder>/<class>; E_MISSING if there are none, E_LIMIT if folders are nested too deep. */
int folder_add_class(struct image_source *s, enum dataset_part part, const char *folder, const char *name,
                     int32_t label, err *e);
/* Add the images of all classes, whose labels are their places in the list. */
int folder_add_classes(struct image_source *s, enum dataset_part part, const char *folder,
                       const struct folder_names *classes, err *e);
/* Take the classes and images of train/ and of `test`, which must have the same classes: the layout that the official
 * code and most published data sets use.  E_MISSING names a class that only one of them has. */
int folder_add_both(struct image_source *s, const char *test, err *e);

/* Where images are divided into folders of the root, all must be: E_UNSUPPORTED names a folder that is none of `parts`, up
 * to NULL. */
int folder_check_divided(struct image_source *s, const char *const *parts, err *e);

/* Divide the images of a source whose training part has them all, as the official code divides ImageNet-R:
 * the first int(0.8 n) of torch.randperm(n) with this seed are for training.  Both parts keep the order of the list. */
int folder_split(struct image_source *s, uint32_t seed, err *e);
/* The same for each class by itself, class c with the seed + c, so that each has images of both parts.  The images are in the
 * order of their classes.  E_MISSING for a class with a single image. */
int folder_split_classes(struct image_source *s, uint32_t seed, err *e);

#endif
