/* io/datasets/source.h - data sets as their makers publish them: files in a folder, enumerated and read image by image.
 *
 * A kind (kinds.h has the table) knows the layout of one data set: it opens a folder and fills a struct image_source
 * with the classes and, for the training and the test part, the labels and where each image is.  Two things an image
 * can be:
 *   a file     JPEG, PNG, ... below the folder: its bytes are handed out as they are
 *   pixels     one of many in an array that the kind has read: handed out as (height, width, channels)
 * Everything that goes through all images (import, counting) uses image_source_read() and knows no kind.
 *
 * Labels are dense, 0 to classes - 1, in the data set's native order.  "Sorted" is always by the bytes of the names.
 * The kinds of errors are io/containers/fault.h's, and ERR_MISSING for files that are not there. */
#ifndef IO_DATASETS_SOURCE_H
#define IO_DATASETS_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/below.h"
#include "io/checksum.h"
#include "io/dataset.h"
#include "io/err.h"

enum { SOURCE_CLASSES_LIMIT = 65536, SOURCE_NOTES = 16, SOURCE_NOTE_SIZE = 400 };

/* What the user may ask for; zeros are the defaults. */
struct source_options {
    bool allow_partial;              /* accept files with another number of images than was published */
    bool skip_digests;               /* do not compare files with their published digests */
    uint32_t seed;                   /* of a split that the files do not make themselves */
    bool seeded;                     /* seed was given; otherwise it is 42, the official code's */
    const char *list[DATASET_PARTS]; /* imagenet-r: files that list the images of a part; NULL: none */
};

/* How the numbers of an array of images lie. */
enum pixel_layout {
    PIXELS_ROWS,   /* (height, width, channels) */
    PIXELS_PLANES, /* (channels, height, width) */
    PIXELS_MATLAB  /* (channels, width, height) */
};

struct source_part {
    size_t count, room;
    int32_t *labels; /* (count) */
    char **files;    /* (count) names below the folder; NULL where the images are pixels */
    uint8_t *pixels; /* (count, image), each image in the source's layout; NULL where they are files */
};

struct image_source {
    const struct data_kind *kind;
    struct below root;
    int classes;
    char (*class_names)[CLASS_NAME_SIZE]; /* (classes) */
    struct source_part part[DATASET_PARTS];
    int height, width, channels; /* of pixels; of files: the size that every image must have, 0 for any */
    enum pixel_layout layout;
    const char *manifest; /* csv: the file below the root */
    bool drawn;           /* the images were divided here, with a seed */
    char *sequence;       /* csv: its tasks, as a text of dataset.sequence; NULL if it names none */
    char notes[SOURCE_NOTES][SOURCE_NOTE_SIZE]; /* what the user should know, though nothing failed */
    int notes_count, notes_dropped;
};

/* One image.  Begin with zeros; the buffer is used again. */
struct source_image {
    struct bytes bytes;          /* an encoded file, or pixels */
    int height, width, channels; /* of pixels (height, width, channels); 0 if encoded */
    int32_t label;
};

/* Open a folder (of the kind csv also the manifest itself) as the kind of that name.  ERR_USAGE with the kinds there
 * are, or those that have a use for the options; release with image_source_close(). */
int image_source_open(const char *kind, const char *path, const struct source_options *options,
                      struct image_source *out, err *e);
void image_source_close(struct image_source *s); /* harmless twice, and after a failed image_source_open() */

/* Image i of a part.  Threads may read at once, each with a buffer of its own. */
int image_source_read(const struct image_source *s, enum dataset_part part, size_t i, struct source_image *out, err *e);
/* Bytes that image_source_read() would hand out; 0 if that cannot be known, in which case reading tells why. */
uint64_t image_source_size(const struct image_source *s, enum dataset_part part, size_t i);
/* What an image is called in messages: its file, or its number. */
enum { SOURCE_IMAGE_NAME = 300 };
const char *image_source_name(const struct image_source *s, enum dataset_part part, size_t i,
                              char text[SOURCE_IMAGE_NAME]);

/* ---------------------------------------------------------------- for the kinds */

/* A line for the user; beyond SOURCE_NOTES they are only counted. */
void source_note(struct image_source *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* E_RANGE unless there are as many images in `where` as were published; where any number is allowed, a note. */
int source_published(struct image_source *s, const struct source_options *options, const char *where, size_t images,
                     size_t published, err *e);
/* Compare the MD5 of an open file, or of its bytes, with the published one (NULL: none was); a difference is a note, since
 * files are compressed and written anew without harm.  Files of which a part is allowed to be missing are not compared. */
void source_compare_file(struct image_source *s, const struct source_options *options, const char *where, int fd,
                         const char *md5);
void source_compare_bytes(struct image_source *s, const struct source_options *options, const char *where,
                          const struct bytes *bytes, const char *md5);
/* The names of all classes.  `where`: what they come from.  E_LIMIT, E_SYNTAX for names that are none
 * (class_name_valid()), E_DUP. */
int source_classes(struct image_source *s, const char *where, const char *const *names, size_t count, err *e);
/* One more image that is a file. */
int source_add_file(struct image_source *s, enum dataset_part part, const char *name, int32_t label, err *e);
/* Room for the pixels of `count` more images, which whoever asks writes before adding them.  ERR_NOMEM. */
int source_reserve(struct image_source *s, enum dataset_part part, size_t count, uint8_t **pixels, err *e);
/* More images that are pixels, in the source's size and layout; bytes (count, image) and labels are copied.  pixels
 * NULL: they are where source_reserve() said.  E_RANGE for a label that is no class, with `where` and the number of the
 * image. */
int source_add_pixels(struct image_source *s, enum dataset_part part, const char *where, const uint8_t *pixels,
                      const uint8_t *labels, size_t count, err *e);

/* SHA-256 of the names of a part's files below `prefix` ("train/"; "": all of the name), sorted, each with a line feed behind
 * it: what published splits are told by.  ERR_NOMEM, ERR_SYSTEM. */
int source_listing_sum(const struct image_source *s, enum dataset_part part, const char *prefix, char hex[CHECKSUM_HEX],
                       err *e);

#endif
