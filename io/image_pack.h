/* io/image_pack.h - writing a data set as one HDF5 file, image by image, in bounded memory.
 *
 * A pack's arrays, for each part (train, test):
 *   <part>/labels (count)                            32-bit integers
 *   <part>/images (count, height, width, channels)   IMAGE_PACK_PIXELS: bytes, all images of one size
 *   <part>/files (bytes), <part>/ends (count)        IMAGE_PACK_FILES: picture files (io/picture.h) one after the other, of any
 *                                                    sizes, and where each ends
 * and the attributes class_names (one a line), dataset_digest, decoding (image_pack_lenient()), and those of image_pack_note().
 *
 * `images` and `files` are stored uncompressed, in chunks that follow one another (h5_write_range()): of 64 KiB; of one image
 * where that is larger, up to 1 MiB; then of a part of it.  HDF5 finds an image's one or few chunks without an index; for us it
 * is a range of bytes of the file, which any number of threads and ranks read at once with pread(), without the HDF5 library (it
 * serves one thread) and without a copy in each rank's memory (the page cache is shared).  JPEG does not deflate further, and
 * deflated photographs keep more than four fifths of their size.
 *
 * The bytes go to a temporary file beside the final name as they come; what HDF5 adds is composed in memory and written at the
 * end, so that a full disk is an error like any other.  Beside one image, memory holds 12 bytes for each. */
#ifndef IO_IMAGE_PACK_H
#define IO_IMAGE_PACK_H

#include "io/dataset.h"
#include "io/digest.h"
#include "io/err.h"

enum image_pack_kind { IMAGE_PACK_PIXELS, IMAGE_PACK_FILES };

typedef struct image_pack image_pack;

/* Begin a pack.  class_names: (classes), each valid.  ERR_STORAGE if the folder is missing or cannot
 * be written, ERR_DATA for names that cannot be stored, ERR_NOMEM. */
int image_pack_create(const char *path, enum image_pack_kind kind, const char (*class_names)[CLASS_NAME_SIZE],
                      int classes, image_pack **out, err *e);

/* Its JPEGs may end too early: whoever reads the pack decodes them with PICTURE_LENIENT, as whoever writes it does. */
int image_pack_lenient(image_pack *p, err *e);
/* A text attribute, such as those that struct dataset has: where the images come from, how they are divided into tasks. */
#define IMAGE_PACK_PROVENANCE "provenance"
#define IMAGE_PACK_SEQUENCE   "sequence"
int image_pack_note(image_pack *p, const char *name, const char *text, err *e);

/* Add the next image.  All of train come before the first of test.  Nothing is decoded here: whoever adds a file has made sure
 * with picture_decode() that it is a picture.  Pixels in a pack of files become a PGM or PPM file.  ERR_DATA if a pack of pixels
 * gets a file, or an image of another size than the first; ERR_BUG for a label outside the classes; ERR_STORAGE. */
int image_pack_add_pixels(image_pack *p, enum dataset_part part, int label, int height, int width, int channels,
                          const uint8_t *pixels, err *e);
int image_pack_add_file(image_pack *p, enum dataset_part part, int label, const void *bytes, size_t n, err *e);

/* Complete the pack, which appears under its name.  Releases p in any case.  digest may be NULL.  ERR_DATA if a part is empty,
 * ERR_STORAGE. */
int image_pack_finish(image_pack *p, struct digest *digest, err *e);
/* Remove what was written; NULL is fine. */
void image_pack_abandon(image_pack *p);

#endif
