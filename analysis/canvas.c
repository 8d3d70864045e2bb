/* analysis/canvas.c - what all surfaces share.  See canvas.h. */
#include "analysis/canvas.h"

#include <math.h>
#include <string.h>

const struct ink_info inks[INK_COUNT] = {
#define I(id, css, light, dark) {css, light, dark},
    INKS(I)
#undef I
};

const double dash_lengths[DASHES][4] = {{0}, {6, 3, 6, 3}, {2, 2, 2, 2}, {8, 3, 2, 3}};

unsigned scale_colour(int ink)
{
    /* Corners of a pale-to-dark ramp whose lightness falls evenly, so that it also works in grey. */
    static const double corner[][3] = {{247, 251, 240}, {186, 224, 214}, {96, 174, 196}, {38, 108, 166}, {20, 40, 92}};
    enum { LAST = sizeof corner / sizeof *corner - 1 };
    double at = (double)(ink - INK_SCALE) / SCALE_STEPS * LAST;
    int i = at >= LAST ? LAST - 1 : at > 0 ? (int)at : 0;
    unsigned colour = 0;

    at -= i;
    for (int k = 0; k < 3; k++)
        colour = colour << 8 | (unsigned)lround(corner[i][k] + at * (corner[i + 1][k] - corner[i][k]));
    return colour;
}

bool scale_is_dark(int ink)
{
    unsigned colour = scale_colour(ink);

    return 0.299 * (colour >> 16 & 255) + 0.587 * (colour >> 8 & 255) + 0.114 * (colour & 255) < 140;
}

int series_ink(int series)
{
    return INK_SERIES + series % SERIES_COUNT;
}

int series_dash(int series)
{
    return (series + series / SERIES_COUNT) % DASHES; /* the second round of colours is dashed otherwise */
}

void draw_path(struct canvas *c, const double *xy, size_t points, bool closed, const struct style *style)
{
    if (points > 1)
        c->surface->path(c, xy, points, closed, style);
}

void draw_line(struct canvas *c, double x0, double y0, double x1, double y1, const struct style *style)
{
    draw_path(c, (const double[]){x0, y0, x1, y1}, 2, false, style);
}

void draw_box(struct canvas *c, double x, double y, double width, double height, const struct style *style)
{
    draw_path(c, (const double[]){x, y, x + width, y, x + width, y + height, x, y + height}, 4, true, style);
}

void draw_circle(struct canvas *c, double x, double y, double r, const struct style *style)
{
    c->surface->circle(c, x, y, r, style);
}

void draw_text(struct canvas *c, double x, double y, const struct text_style *style, const char *text)
{
    c->surface->text(c, x, y, style, text);
}

void draw_text_in(struct canvas *c, double x, double y, double room, const struct text_style *style, const char *text)
{
    char cut[512];
    size_t n = strlen(text);

    if (text_length(text, style->size, style->bold) <= room) {
        draw_text(c, x, y, style, text);
        return;
    }
    if (n > sizeof cut - 4)
        n = sizeof cut - 4;
    do {
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--; /* to the start of a character */
        memcpy(cut, text, n);
        strcpy(cut + n, "…");
    } while (n-- > 0 && text_length(cut, style->size, style->bold) > room);
    draw_text(c, x, y, style, cut);
}

void draw_hint(struct canvas *c, const char *text)
{
    c->surface->hint(c, text);
}

void draw_marker(struct canvas *c, double x, double y, double s, int series)
{
    const struct style style = {.ink = series_ink(series)};
    static const double shapes[SERIES_COUNT][8] = {
        {0},                                          /* a disc */
        {-1, -1, 1, -1, 1, 1, -1, 1},                 /* a square */
        {0, -1.3, 1.2, 0.9, -1.2, 0.9, 0, -1.3},      /* a triangle */
        {0, -1.4, 1.4, 0, 0, 1.4, -1.4, 0},           /* a diamond */
        {0, 1.3, 1.2, -0.9, -1.2, -0.9, 0, 1.3},      /* upside down */
        {-0.5, -1.4, 0.5, -1.4, 0.5, 1.4, -0.5, 1.4}, /* a post */
        {-1.4, -0.5, 1.4, -0.5, 1.4, 0.5, -1.4, 0.5}, /* a beam */
        {-1.2, -1.2, 1.2, 1.2, 1.2, -1.2, -1.2, 1.2}, /* an hourglass */
    };
    const double *shape = shapes[series % SERIES_COUNT];
    double xy[8];

    if (series % SERIES_COUNT == 0) {
        draw_circle(c, x, y, s, &style);
        return;
    }
    for (int i = 0; i < 8; i += 2) {
        xy[i] = x + s * shape[i];
        xy[i + 1] = y + s * shape[i + 1];
    }
    draw_path(c, xy, 4, true, &style);
}
