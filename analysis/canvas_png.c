/* analysis/canvas_png.c - pictures as PNG through cairo, and the lengths of texts. */
#include "analysis/canvas.h"

#include <math.h>

#include <cairo.h>

/* fontconfig keeps some patterns until the process ends, and libhdf5 some state after a file that it could not read.  Builds
 * with the leak sanitizer are told not to report them; a program may have its own list. */
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define WITH_LEAK_SANITIZER
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(WITH_LEAK_SANITIZER)
const char *__lsan_default_suppressions(void) __attribute__((weak));
const char *__lsan_default_suppressions(void)
{
    return "leak:libfontconfig\nleak:libhdf5\n";
}
#endif

enum { PIXELS = 2 }; /* device pixels for each px */

struct png_canvas {
    struct canvas base;
    cairo_t *cairo;
};

static cairo_t *drawing(struct canvas *c)
{
    return ((struct png_canvas *)c)->cairo;
}

static void set_ink(cairo_t *cr, int ink, double opacity)
{
    unsigned colour = ink == INK_WHITE   ? 0xffffff
                      : ink == INK_BLACK ? 0x111111
                      : ink >= INK_SCALE ? scale_colour(ink)
                                         : inks[ink].light;

    cairo_set_source_rgba(cr, (colour >> 16 & 255) / 255.0, (colour >> 8 & 255) / 255.0, (colour & 255) / 255.0,
                          opacity > 0 ? opacity : 1);
}

static void paint(cairo_t *cr, const struct style *style)
{
    set_ink(cr, style->ink, style->opacity);
    if (style->width > 0) {
        cairo_set_line_width(cr, style->width);
        cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
        cairo_set_dash(cr, dash_lengths[style->dash], style->dash ? 4 : 0, 0);
        cairo_stroke(cr);
    } else {
        cairo_fill(cr);
    }
}

static void png_path(struct canvas *c, const double *xy, size_t points, bool closed, const struct style *style)
{
    cairo_t *cr = drawing(c);

    cairo_new_path(cr);
    for (size_t i = 0; i < points; i++)
        cairo_line_to(cr, xy[2 * i], xy[2 * i + 1]);
    if (closed)
        cairo_close_path(cr);
    paint(cr, style);
}

static void png_circle(struct canvas *c, double x, double y, double r, const struct style *style)
{
    cairo_t *cr = drawing(c);

    cairo_new_path(cr);
    cairo_arc(cr, x, y, r, 0, 2 * M_PI);
    paint(cr, style);
}

static void choose_font(cairo_t *cr, double size, bool bold)
{
    cairo_select_font_face(cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, size);
}

static double advance(cairo_t *cr, const char *text)
{
    cairo_text_extents_t extents;

    cairo_text_extents(cr, text, &extents);
    return extents.x_advance;
}

static void png_text(struct canvas *c, double x, double y, const struct text_style *style, const char *text)
{
    static const double shift[] = {[ANCHOR_START] = 0, [ANCHOR_MIDDLE] = 0.5, [ANCHOR_END] = 1};
    cairo_t *cr = drawing(c);

    cairo_save(cr);
    cairo_translate(cr, x, y);
    if (style->upright)
        cairo_rotate(cr, -M_PI / 2);
    choose_font(cr, style->size, style->bold);
    set_ink(cr, style->ink, 1);
    cairo_move_to(cr, -shift[style->anchor] * advance(cr, text), 0);
    cairo_show_text(cr, text);
    cairo_restore(cr);
}

static void png_hint(struct canvas *c, const char *text)
{
    (void)c; /* a pixel has nothing to say */
    (void)text;
}

static const struct canvas_surface png_surface = {png_path, png_circle, png_text, png_hint};

double text_length(const char *text, double size, bool bold)
{
    /* Any surface will do for measuring: an empty one costs nothing to draw on. */
    cairo_surface_t *surface = cairo_recording_surface_create(CAIRO_CONTENT_ALPHA, NULL);
    cairo_t *cr = cairo_create(surface);

    choose_font(cr, size, bold);
    double length = advance(cr, text);
    cairo_destroy(cr);
    cairo_surface_destroy(surface);
    return length;
}

static cairo_status_t to_stream(void *stream, const unsigned char *bytes, unsigned n)
{
    return fwrite(bytes, 1, n, stream) == n ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

int picture_to_png(const struct report_picture *picture, FILE *out, err *e)
{
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)ceil(picture->width * PIXELS),
                                                          (int)ceil(picture->height * PIXELS));
    struct png_canvas p = {.base.surface = &png_surface, .cairo = cairo_create(surface)};

    cairo_scale(p.cairo, PIXELS, PIXELS);
    draw_box(&p.base, 0, 0, picture->width, picture->height, &(struct style){.ink = INK_PAPER});
    picture->draw(&p.base, picture->data);
    cairo_status_t status = cairo_status(p.cairo);
    cairo_destroy(p.cairo);
    if (status == CAIRO_STATUS_SUCCESS)
        status = cairo_surface_write_to_png_stream(surface, to_stream, out);
    if (status != CAIRO_STATUS_SUCCESS && status != CAIRO_STATUS_WRITE_ERROR)
        err_set(e, status == CAIRO_STATUS_NO_MEMORY ? ERR_NOMEM : ERR_SYSTEM, "picture %s: cairo: %s", picture->id,
                cairo_status_to_string(status));
    cairo_surface_destroy(surface);
    return e->code;
}
