/* io/picture.h - JPEG, PNG and binary PGM/PPM files in memory to 8-bit pixels, byte for byte as Pillow's convert("RGB").
 *
 * The format is known by the first bytes, never by a file's name.  Grey pictures keep one channel, since three equal ones
 * would say no more; everything else becomes RGB.  EXIF orientation, colour profiles, gamma and transparency are ignored:
 * alpha is dropped, not blended.
 *   JPEG   libjpeg-turbo with its defaults; CMYK and YCCK are taken for Adobe's (inverted), as Pillow does
 *   PNG    every colour type, depth and interlacing; 16 bits lose their low byte, but 16-bit grey is cut off at 255
 *   PNM    P5 and P6; another largest value than 255 is scaled, 16-bit grey is cut off at 255
 *
 * Legal, and refused by name (E_UNSUPPORTED): BMP, GIF, TIFF and WebP.
 *
 * No picture is trusted.  What its header claims is checked against PICTURE_SIDE_MAX and PICTURE_PIXELS_MAX (E_LIMIT), then
 * against what its bytes can hold (E_TRUNC), before memory is taken:
 *   JPEG   a bit for each block of 8 by 8 samples, which is what Huffman's codes need at least for its mean (a solid grey
 *          picture, optimised, needs two, which is 256 pixels in a byte); PICTURE_BLOCKS_FREE blocks need nothing, since
 *          arithmetic coding needs less
 *   PNG    a byte for 1100 of its rows' bytes, which is more than deflate packs; and data that go on behind the last row are refused
 *          (E_LIMIT)
 *   PNM    every byte
 * A progressive JPEG may have PICTURE_SCANS_MAX scans, fewer if it is large.  Nothing here keeps state between calls: threads
 * decode at the same time, each into a struct picture of its own. */
#ifndef IO_PICTURE_H
#define IO_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/err.h"

/* The pixels are those above which Pillow warns. */
enum {
    PICTURE_SIDE_MAX = 20000,
    PICTURE_PIXELS_MAX = 89478485,
    PICTURE_SCANS_MAX = 500,
    PICTURE_BLOCKS_FREE = 1 << 17
};

/* F(ID, name, name of the function that reads it) */
#define PICTURE_FORMATS(F)     \
    F(JPEG, "JPEG", jpeg_read) \
    F(PNG, "PNG", png_read)    \
    F(PNM, "PNM", pnm_read)

enum picture_format {
#define F(id, name, function) PICTURE_##id,
    PICTURE_FORMATS(F)
#undef F
        PICTURE_FORMAT_COUNT /* none of them */
};

/* A decoded picture.  Begin with zeros; the memory is used again by the next picture_decode(). */
struct picture {
    int height, width, channels; /* channels 1 (grey) or 3 (RGB) */
    uint8_t *pixels;             /* (height, width, channels), owned */
    size_t room;                 /* bytes of memory behind `pixels` */
    enum picture_format format;
    int warnings; /* oddities of a JPEG that Pillow reads past in silence: 0 for nearly all */
};

/* A JPEG that ends too early is an error, as in Pillow, or (LENIENT) a picture whose missing part is grey, with a warning.
 * CHECK: only whether the picture is good, and its shape, are wanted: pixels are left undefined.  Then a JPEG's data are all
 * decoded, but turned into pixels at an eighth of the size, where nothing can fail, in less than half of the time. */
enum picture_mode { PICTURE_STRICT = 0, PICTURE_LENIENT = 1, PICTURE_CHECK = 2 };

/* Decode n bytes.  ERR_DAMAGED with what is wrong and its kind (io/containers/fault.h: E_TRUNC, E_MAGIC, E_UNSUPPORTED, E_LIMIT,
 * E_SYNTAX, E_CRC, E_RANGE), to be put behind the file's name; ERR_NOMEM.  mode: of enum picture_mode, joined by |. */
int picture_decode(const void *bytes, size_t n, unsigned mode, struct picture *out, err *e);
void picture_free(struct picture *p);

enum picture_format picture_format_of(const void *bytes, size_t n);
const char *picture_format_name(enum picture_format format);

/* The header of a binary PGM or PPM of that shape: with dense pixels behind it, a file that picture_decode() gives back
 * unchanged.  Returns its length. */
enum { PICTURE_PNM_HEADER = 40 };
size_t picture_pnm_header(char header[PICTURE_PNM_HEADER], int height, int width, int channels);

#endif
