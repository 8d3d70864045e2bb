/* io/picture_jpeg.c - JPEG through libjpeg-turbo, with the settings and the leniency of Pillow's reader.
 *
 * The library reports errors by longjmp().  What it must release lives in its own object, which is destroyed at the one
 * landing place, and nothing that changes after setjmp() is read there. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "io/containers/fault.h"
#include "io/picture_formats.h"

enum { MEMORY_EXTRA = 64 << 20, CMYK = 4 };

struct reading {
    struct jpeg_decompress_struct cinfo; /* first, so that callbacks find the rest */
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf landing;
    bool ended; /* the library wanted more bytes than there are */
    bool lenient, check;
    char why[JMSG_LENGTH_MAX]; /* empty unless the library gave up */
    enum fault kind;
    uint8_t *row; /* (width, 4) of a CMYK picture */
};

static struct reading *reading_of(j_common_ptr cinfo)
{
    return (struct reading *)cinfo;
}

static void give_up_because(struct reading *r, enum fault kind, const char *why)
{
    r->kind = kind;
    strcpy(r->why, why);
    longjmp(r->landing, 1);
}

/* The library's own reason. */
static void give_up(j_common_ptr cinfo)
{
    char why[JMSG_LENGTH_MAX];
    int code = cinfo->err->msg_code;

    cinfo->err->format_message(cinfo, why);
    give_up_because(reading_of(cinfo),
                    code == JERR_OUT_OF_MEMORY || code == JERR_NO_BACKING_STORE ? FAULT_LIMIT : FAULT_SYNTAX, why);
}

/* Corrupt-data warnings are counted by the library itself, in num_warnings. */
static void say_nothing(j_common_ptr cinfo)
{
    (void)cinfo;
}

static void source_nothing(j_decompress_ptr cinfo)
{
    (void)cinfo;
}

/* All bytes were there from the start.  Like Pillow, which asks its caller for more and gets none, stop; or go on with an end
 * marker, and the library fills the rest with grey. */
static boolean source_fill(j_decompress_ptr cinfo)
{
    static const JOCTET end[2] = {0xff, JPEG_EOI};
    struct reading *r = reading_of((j_common_ptr)cinfo);

    if (!r->lenient)
        give_up_because(r, FAULT_TRUNC, "it is cut short");
    r->ended = true;
    r->source.next_input_byte = end;
    r->source.bytes_in_buffer = 2;
    return TRUE;
}

static void source_skip(j_decompress_ptr cinfo, long count)
{
    struct reading *r = reading_of((j_common_ptr)cinfo);

    if (count <= 0)
        return;
    if ((size_t)count > r->source.bytes_in_buffer) {
        source_fill(cinfo);
        return;
    }
    r->source.next_input_byte += count;
    r->source.bytes_in_buffer -= (size_t)count;
}

/* A scan costs a pass over the whole picture, however few bytes it has: a nanosecond for each pixel.  Programs write up to 18
 * (libjpeg for CMYK). */
static void watch_scans(j_common_ptr cinfo)
{
    enum { SCANS_ANYWAY = 20, WORK_LIMIT = 1 << 29 /* pixels of all scans */ };
    struct reading *r = reading_of(cinfo);
    uint64_t scans = (uint64_t)r->cinfo.input_scan_number,
             pixels = (uint64_t)r->cinfo.image_width * r->cinfo.image_height;

    if (scans <= SCANS_ANYWAY || (scans <= PICTURE_SCANS_MAX && scans * pixels <= WORK_LIMIT))
        return;
    give_up_because(r, FAULT_LIMIT, "it has too many scans");
}

static void set_up(struct reading *r, const uint8_t *bytes, size_t n)
{
    r->cinfo.err = jpeg_std_error(&r->errors);
    r->errors.error_exit = give_up;
    r->errors.output_message = say_nothing;
    if (setjmp(r->landing)) /* of the next call alone: the caller sets its own */
        return;
    jpeg_create_decompress(&r->cinfo);
    r->source = (struct jpeg_source_mgr){.next_input_byte = bytes,
                                         .bytes_in_buffer = n,
                                         .init_source = source_nothing,
                                         .fill_input_buffer = source_fill,
                                         .skip_input_data = source_skip,
                                         .resync_to_restart = jpeg_resync_to_restart,
                                         .term_source = source_nothing};
    r->cinfo.src = &r->source;
    r->progress.progress_monitor = watch_scans;
    r->cinfo.progress = &r->progress;
}

/* p / 255 to the nearest, for p = a * b of bytes, as Pillow computes it. */
static int over_255(int a, int b)
{
    int p = a * b + 128;

    return ((p >> 8) + p) >> 8;
}

/* Samples come inverted, as Adobe's programs write them. */
static void rgb_from_cmyk(const uint8_t *in, size_t width, uint8_t *out)
{
    for (size_t x = 0; x < width; x++, in += CMYK, out += 3) {
        int light = in[3]; /* 255 - K, with K = 255 - sample */

        for (int c = 0; c < 3; c++) {
            int v = light - over_255(255 - in[c], light);

            out[c] = (uint8_t)(v < 0 ? 0 : v);
        }
    }
}

static void read_rows(struct reading *r, struct picture *out)
{
    size_t stride = (size_t)r->cinfo.output_width * (size_t)out->channels; /* smaller than the picture's in a check */

    while (r->cinfo.output_scanline < r->cinfo.output_height) {
        uint8_t *to = out->pixels + r->cinfo.output_scanline * stride, *row = r->row ? r->row : to;

        jpeg_read_scanlines(&r->cinfo, &row, 1);
        if (r->row)
            rgb_from_cmyk(r->row, (size_t)r->cinfo.output_width, to);
    }
}

/* Whether the file's bytes can hold what its header claims: picture.h says how much that is.  What comes too short is no
 * error of libjpeg, which fills the rest with grey when an end marker says so. */
static bool size_is_possible(struct reading *r, size_t n)
{
    uint64_t blocks = 0;

    for (int i = 0; i < r->cinfo.num_components; i++)
        blocks += (uint64_t)r->cinfo.comp_info[i].width_in_blocks * r->cinfo.comp_info[i].height_in_blocks;
    return blocks <= PICTURE_BLOCKS_FREE || blocks / 8 <= n;
}

/* Returns after an error, too; then r->why or e says which. */
static void read_all(struct reading *r, size_t n, struct picture *out, err *e)
{
    if (setjmp(r->landing))
        return;
    jpeg_read_header(&r->cinfo, TRUE);
    bool grey = r->cinfo.jpeg_color_space == JCS_GRAYSCALE, cmyk = r->cinfo.num_components == CMYK;
    r->cinfo.out_color_space = cmyk ? JCS_CMYK : grey ? JCS_GRAYSCALE : JCS_RGB;
    if (picture_check_size(PICTURE_JPEG, r->cinfo.image_height, r->cinfo.image_width, e))
        return;
    if (!size_is_possible(r, n)) {
        fault_set(e, FAULT_TRUNC, "JPEG: it claims %u by %u pixels, more than its bytes can hold", r->cinfo.image_width,
                  r->cinfo.image_height);
        return;
    }
    if (picture_reserve(out, r->cinfo.image_height, r->cinfo.image_width, grey ? 1 : 3, e))
        return;
    /* A progressive picture's coefficients: 2 bytes for each sample, in whole blocks. */
    r->cinfo.mem->max_memory_to_use = (long)out->height * out->width * 2 * CMYK + MEMORY_EXTRA;
    if (cmyk && !(r->row = malloc((size_t)out->width * CMYK))) {
        err_set(e, ERR_NOMEM, "no memory for a row of %d pixels", out->width);
        return;
    }
    if (r->check)
        r->cinfo.scale_denom = 8 * r->cinfo.scale_num;
    jpeg_start_decompress(&r->cinfo);
    read_rows(r, out);
    jpeg_finish_decompress(&r->cinfo);
}

int jpeg_read(const uint8_t *bytes, size_t n, unsigned mode, struct picture *out, err *e)
{
    struct reading *r = calloc(1, sizeof *r);

    if (!r)
        return err_set(e, ERR_NOMEM, "no memory to read a JPEG");
    e->code = ERR_NONE;
    r->lenient = mode & PICTURE_LENIENT;
    r->check = mode & PICTURE_CHECK;
    set_up(r, bytes, n);
    if (!*r->why)
        read_all(r, n, out, e);
    if (*r->why)
        fault_set(e, r->kind, "JPEG: %s", r->why);
    out->warnings = (int)r->errors.num_warnings + r->ended;
    jpeg_destroy_decompress(&r->cinfo);
    free(r->row);
    free(r);
    return e->code;
}
