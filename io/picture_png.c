/* io/picture_png.c - PNG through libpng, with the transforms that give Pillow's convert("RGB").
 *
 * The library reports errors by longjmp().  What must be released is reached through struct reading, whose members are set
 * before setjmp() or by libpng itself. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "io/containers/fault.h"
#include "io/picture_formats.h"

enum {
    CHUNK_LIMIT = 8 << 20,
    INFLATE_RATIO = 1100, /* deflate packs at most about 1032 to 1 */
    BEHIND_LIMIT =
        1 << 14 /* bytes that may follow the last row: the end of the stream, and what libpng reads at a time */
};

struct reading {
    png_structp png;
    png_infop info;
    const uint8_t *at, *end;
    const uint8_t *last; /* the last row's data end before it; `end` until that row is read */
    char why[200];       /* empty unless the library gave up */
    enum fault kind;
    uint8_t *rows; /* values that libpng does not turn into ours: 16 bits of grey, indices of colours */
};

static void give_up(png_structp png, png_const_charp message)
{
    struct reading *r = png_get_error_ptr(png);

    if (!*r->why) {
        snprintf(r->why, sizeof r->why, "%s", message);
        r->kind = strstr(message, "CRC") ? FAULT_CRC : FAULT_SYNTAX;
    }
    png_longjmp(png, 1);
}

static void say_nothing(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void give_up_because(png_structp png, enum fault kind, const char *why)
{
    struct reading *r = png_get_error_ptr(png);

    strcpy(r->why, why);
    r->kind = kind;
    png_longjmp(png, 1);
}

static void read_bytes(png_structp png, png_bytep to, png_size_t n)
{
    struct reading *r = png_get_io_ptr(png);

    if (n > (size_t)(r->end - r->at))
        give_up_because(png, FAULT_TRUNC, "it is cut short");
    if (r->at > r->last)
        give_up_because(png, FAULT_LIMIT, "its data go on behind the last row");
    memcpy(to, r->at, n);
    r->at += n;
}

/* What says nothing about the values of pixels is not even parsed.  tRNS is among it: alpha is dropped. */
static void pass_over_chunks(png_structp png)
{
    static const png_byte names[] = "bKGD\0cHRM\0eXIf\0gAMA\0hIST\0iCCP\0iTXt\0oFFs\0pCAL\0pHYs\0"
                                    "sBIT\0sCAL\0sPLT\0sRGB\0sTER\0tEXt\0tIME\0tRNS\0zTXt";

    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, 0);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, names, (int)(sizeof names / 5));
}

/* How stored values become ours: by libpng alone, or by what it cannot do as Pillow does. */
enum path { AS_THEY_ARE, WIDE_GREY, INDICES };

/* Choose libpng's transforms.  Indices come as one byte each, 16-bit grey as two. */
static enum path choose_transforms(struct reading *r)
{
    int type = png_get_color_type(r->png, r->info), depth = png_get_bit_depth(r->png, r->info);

    if (type == PNG_COLOR_TYPE_PALETTE) {
        png_set_packing(r->png);
        return INDICES;
    }
    if (type == PNG_COLOR_TYPE_GRAY && depth == 16)
        return WIDE_GREY;
    if (type == PNG_COLOR_TYPE_GRAY && depth < 8)
        png_set_expand_gray_1_2_4_to_8(r->png);
    if (type & PNG_COLOR_MASK_ALPHA)
        png_set_strip_alpha(r->png);
    if (depth == 16)
        png_set_strip_16(r->png);
    return AS_THEY_ARE;
}

/* Interlaced pictures come in passes, each of which fills in some pixels of the rows; so all rows are kept.  With the last row
 * libpng inflates all that is left, however much that is. */
static void read_rows(struct reading *r, uint8_t *to, size_t height, size_t stride, int passes)
{
    for (int pass = 0; pass < passes; pass++)
        for (size_t y = 0; y < height; y++) {
            size_t most = 2 * stride + BEHIND_LIMIT;

            if (pass == passes - 1 && y == height - 1 && (size_t)(r->end - r->at) > most)
                r->last = r->at + most;
            png_read_row(r->png, to + y * stride, NULL);
        }
    r->last = r->end;
    png_read_end(r->png, NULL);
}

/* Pillow keeps 16-bit grey as integers and cuts them off at 255. */
static void cut_grey(const uint8_t *values, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = values[2 * i] ? 255 : values[2 * i + 1];
}

/* libpng would paint colours that the palette lacks black, and say nothing. */
static int look_up(struct reading *r, const uint8_t *values, size_t n, uint8_t *out, err *e)
{
    png_colorp palette = NULL;
    int colours = 0;

    png_get_PLTE(r->png, r->info, &palette, &colours);
    for (size_t i = 0; i < n; i++, out += 3) {
        if (values[i] >= colours)
            return fault_set(e, FAULT_RANGE, "PNG: it uses colour %d of a palette of %d", values[i], colours);
        out[0] = palette[values[i]].red;
        out[1] = palette[values[i]].green;
        out[2] = palette[values[i]].blue;
    }
    return 0;
}

/* Whether the file's bytes can hold what its header claims. */
static bool size_is_possible(struct reading *r, size_t n)
{
    uint64_t height = png_get_image_height(r->png, r->info), row = png_get_rowbytes(r->png, r->info);

    return height * row / INFLATE_RATIO <= n;
}

/* libpng would name its own limits in an error of syntax.  A header that is no header is left to it. */
static int check_header(const uint8_t *bytes, size_t n, err *e)
{
    enum { NAME = 12, SIZES = 16, END = 24 };
    const uint8_t *w = bytes + SIZES, *h = w + 4;

    if (n < END || memcmp(bytes + NAME, "IHDR", 4))
        return 0;
    return picture_check_size(PICTURE_PNG, png_get_uint_32(h), png_get_uint_32(w), e);
}

/* Returns after an error, too; then r->why or e says which. */
static void read_all(struct reading *r, size_t n, struct picture *out, err *e)
{
    if (setjmp(png_jmpbuf(r->png)))
        return;
    png_set_read_fn(r->png, r, read_bytes);
    png_set_user_limits(r->png, PICTURE_SIDE_MAX, PICTURE_SIDE_MAX);
    png_set_chunk_cache_max(r->png, 100);
    png_set_chunk_malloc_max(r->png, CHUNK_LIMIT);
    png_set_crc_action(r->png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_check_for_invalid_index(r->png, 0);
    pass_over_chunks(r->png);
    png_read_info(r->png, r->info);
    if (!size_is_possible(r, n)) {
        fault_set(e, FAULT_TRUNC, "PNG: it claims %u by %u pixels, more than its bytes can hold",
                  png_get_image_width(r->png, r->info), png_get_image_height(r->png, r->info));
        return;
    }
    bool grey = !(png_get_color_type(r->png, r->info) & PNG_COLOR_MASK_COLOR);
    enum path path = choose_transforms(r);
    int passes = png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    if (picture_reserve(out, png_get_image_height(r->png, r->info), png_get_image_width(r->png, r->info), grey ? 1 : 3,
                        e))
        return;
    size_t height = (size_t)out->height, stride = png_get_rowbytes(r->png, r->info);
    if (path == AS_THEY_ARE) {
        read_rows(r, out->pixels, height, stride, passes);
    } else if (!(r->rows = calloc(height, stride))) {
        err_set(e, ERR_NOMEM, "no memory for a picture of %zu bytes", height * stride);
    } else {
        read_rows(r, r->rows, height, stride, passes);
        if (path == INDICES)
            look_up(r, r->rows, height * (size_t)out->width, out->pixels, e);
        else
            cut_grey(r->rows, height * (size_t)out->width, out->pixels);
    }
}

int png_read(const uint8_t *bytes, size_t n, unsigned mode, struct picture *out, err *e)
{
    struct reading r = {.at = bytes, .end = bytes + n, .last = bytes + n};

    (void)mode;
    e->code = ERR_NONE;
    if (check_header(bytes, n, e))
        return e->code;
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, give_up, say_nothing);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    if (!r.info)
        err_set(e, ERR_NOMEM, "no memory to read a PNG");
    else
        read_all(&r, n, out, e);
    if (*r.why)
        fault_set(e, r.kind, "PNG: %s", r.why);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    free(r.rows);
    return e->code;
}
