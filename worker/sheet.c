/* worker/sheet.c - see sheet.h. */
#include "worker/sheet.h"

#include <cairo.h>
#include <stdlib.h>
#include <string.h>

#include "io/atomic.h"
#include "model/image.h"

enum { TITLE_HEIGHT = 36, LABEL_MOST = 260, STEP = SHEET_SIDE + SHEET_GAP };
static const double title_size = 16, label_size = 13;

struct drawing {
    const struct sheet *sheet;
    cairo_surface_t *surface;
    cairo_t *cairo;
    int left;       /* where the images begin */
    size_t *chosen; /* (count, columns) images; SIZE_MAX: none */
};

/* The first images of each class. */
static int choose(struct drawing *d, err *e)
{
    const struct sheet *sheet = d->sheet;
    const struct image_set *set = &sheet->data->part[sheet->part];
    size_t cells = (size_t)sheet->count * (size_t)sheet->columns;
    int *row = malloc((size_t)sheet->data->classes * sizeof *row), *taken = calloc((size_t)sheet->count, sizeof *taken);

    d->chosen = malloc(cells * sizeof *d->chosen);
    if (!row || !taken || !d->chosen) {
        err_set(e, ERR_NOMEM, "out of memory for a sheet of %d classes", sheet->count);
    } else {
        for (int c = 0; c < sheet->data->classes; c++)
            row[c] = -1;
        for (int r = 0; r < sheet->count; r++)
            row[sheet->classes[r]] = r;
        for (size_t i = 0; i < cells; i++)
            d->chosen[i] = SIZE_MAX;
        for (size_t i = 0; i < set->count; i++) {
            int r = row[set->labels[i]];

            if (r >= 0 && taken[r] < sheet->columns)
                d->chosen[r * sheet->columns + taken[r]++] = i;
        }
    }
    free(row);
    free(taken);
    return e->code;
}

static void set_text(cairo_t *cairo, double size)
{
    cairo_select_font_face(cairo, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cairo, size);
    cairo_set_source_rgb(cairo, 0.1, 0.1, 0.1);
}

/* The width that the longest name takes. */
static int label_width(const struct sheet *sheet)
{
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, 1, 1);
    cairo_t *cairo = cairo_create(surface);
    double widest = 0;

    set_text(cairo, label_size);
    for (int r = 0; r < sheet->count; r++) {
        cairo_text_extents_t extents;

        cairo_text_extents(cairo, sheet->data->class_names[sheet->classes[r]], &extents);
        widest = extents.x_advance > widest ? extents.x_advance : widest;
    }
    cairo_destroy(cairo);
    cairo_surface_destroy(surface);
    return widest > LABEL_MOST ? LABEL_MOST : (int)widest + 1;
}

/* Put pixels (height, width, channels) at a place of the surface. */
static void blit(struct drawing *d, const uint8_t *pixels, int height, int width, int channels, int top, int left)
{
    unsigned char *data = cairo_image_surface_get_data(d->surface);
    int stride = cairo_image_surface_get_stride(d->surface);

    for (int y = 0; y < height; y++) {
        uint32_t *to = (uint32_t *)(void *)(data + (size_t)(top + y) * (size_t)stride) + left;

        for (int x = 0; x < width; x++, pixels += channels)
            to[x] = (uint32_t)pixels[0] << 16 | (uint32_t)pixels[channels / 2] << 8 | pixels[channels - 1];
    }
}

/* Scale one image into its square. */
static int draw_image(struct drawing *d, size_t i, int top, int left, struct image_reader *reader,
                      struct image_scratch *scratch, err *e)
{
    uint8_t small[SHEET_SIDE * SHEET_SIDE * 3];
    int height = SHEET_SIDE, width = SHEET_SIDE;
    struct image image;

    if (image_set_read(&d->sheet->data->part[d->sheet->part], i, reader, &image, e))
        return e->code;
    if (image.height > image.width)
        width = (int)((long)SHEET_SIDE * image.width / image.height);
    else
        height = (int)((long)SHEET_SIDE * image.height / image.width);
    width += !width;
    height += !height;
    if (image_resize(image_whole(image.pixels, image.height, image.width, image.channels), IMAGE_BICUBIC, height, width,
                     small, scratch, e))
        return e->code;
    blit(d, small, height, width, image.channels, top + (SHEET_SIDE - height) / 2, left + (SHEET_SIDE - width) / 2);
    return 0;
}

static int draw_images(struct drawing *d, err *e)
{
    const struct sheet *sheet = d->sheet;
    struct image_reader reader = {0};
    struct image_scratch scratch = {0};

    cairo_surface_flush(d->surface);
    for (int r = 0; r < sheet->count && !e->code; r++)
        for (int c = 0; c < sheet->columns && !e->code; c++)
            if (d->chosen[r * sheet->columns + c] != SIZE_MAX)
                draw_image(d, d->chosen[r * sheet->columns + c], TITLE_HEIGHT + r * STEP, d->left + c * STEP, &reader,
                           &scratch, e);
    cairo_surface_mark_dirty(d->surface);
    image_reader_free(&reader);
    image_scratch_free(&scratch);
    return e->code;
}

static void draw_texts(struct drawing *d)
{
    cairo_t *cairo = d->cairo;

    set_text(cairo, title_size);
    cairo_move_to(cairo, 2 * SHEET_GAP, TITLE_HEIGHT - 13);
    cairo_show_text(cairo, d->sheet->title);
    set_text(cairo, label_size);
    for (int r = 0; r < d->sheet->count; r++) {
        cairo_save(cairo);
        cairo_rectangle(cairo, 0, TITLE_HEIGHT + r * STEP, d->left - SHEET_GAP, SHEET_SIDE);
        cairo_clip(cairo);
        cairo_move_to(cairo, 2 * SHEET_GAP, TITLE_HEIGHT + r * STEP + SHEET_SIDE / 2 + 5);
        cairo_show_text(cairo, d->sheet->data->class_names[d->sheet->classes[r]]);
        cairo_restore(cairo);
    }
}

/* What cairo's writer is given. */
struct output {
    struct atomic_file file;
    err *e;
};

static cairo_status_t write_bytes(void *closure, const unsigned char *bytes, unsigned n)
{
    struct output *out = closure;

    return atomic_write(&out->file, bytes, n, out->e) ? CAIRO_STATUS_WRITE_ERROR : CAIRO_STATUS_SUCCESS;
}

static int write_png(struct drawing *d, const char *path, err *e)
{
    struct output out = {.e = e};
    cairo_status_t status;

    if (atomic_open(&out.file, path, e))
        return e->code;
    status = cairo_surface_write_to_png_stream(d->surface, write_bytes, &out);
    if (status && !e->code)
        err_set(e, ERR_SYSTEM, "%s: %s", path, cairo_status_to_string(status));
    if (e->code) {
        atomic_abandon(&out.file);
        return e->code;
    }
    return atomic_commit(&out.file, e);
}

int sheet_write(const struct sheet *sheet, const char *path, err *e)
{
    struct drawing d = {.sheet = sheet, .left = 2 * SHEET_GAP + label_width(sheet) + 2 * SHEET_GAP};

    if (choose(&d, e)) {
        free(d.chosen);
        return e->code;
    }
    d.surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, d.left + sheet->columns * STEP + SHEET_GAP,
                                           TITLE_HEIGHT + sheet->count * STEP + SHEET_GAP);
    d.cairo = cairo_create(d.surface);
    cairo_set_source_rgb(d.cairo, 1, 1, 1);
    cairo_paint(d.cairo);
    draw_texts(&d);
    if (cairo_status(d.cairo))
        err_set(e, ERR_NOMEM, "%s: %s", path, cairo_status_to_string(cairo_status(d.cairo)));
    else if (!draw_images(&d, e))
        write_png(&d, path, e);
    cairo_destroy(d.cairo);
    cairo_surface_destroy(d.surface);
    free(d.chosen);
    return e->code;
}
