/* analysis/canvas.h - a surface to draw a picture on, whatever it becomes.
 *
 * Units are px at 96 px per inch, the origin is the upper left corner.  Colours are named by their use (inks), so that
 * a page can choose them for paper, screen and dark screen, and two series never differ in colour alone: series_dash()
 * and the marker go with the ink.  Text is written in a sans-serif face; text_length() measures it.
 *
 * Two surfaces: SVG, written as text with real characters that can be searched, copied and read aloud, and PNG through
 * cairo. */
#ifndef ANALYSIS_CANVAS_H
#define ANALYSIS_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "analysis/document.h"
#include "io/err.h"

/* I(id, css class, colour on white, colour on a dark screen).  The series are Okabe and Ito's colours, which people of
 * all kinds of colour vision tell apart ("Color Universal Design", 2008), darkened or lightened for contrast. */
// clang-format off
#define INKS(I)                                    \
    I(TEXT, "text", 0x1c1f23, 0xe8e6e3)            \
    I(MUTED, "muted", 0x5a6068, 0xa9adb3)          \
    I(GRID, "grid", 0xd5d8dc, 0x3d4249)            \
    I(PAPER, "paper", 0xffffff, 0x16181b)          \
    I(BAD, "bad", 0xb3261e, 0xff8a80)              \
    I(SERIES, "s0", 0x0072b2, 0x5ab4e8)            \
    I(SERIES1, "s1", 0xc25400, 0xff9d57)           \
    I(SERIES2, "s2", 0x007a5a, 0x3ecfa3)           \
    I(SERIES3, "s3", 0xa8478a, 0xe69ccb)           \
    I(SERIES4, "s4", 0x8a6a00, 0xe6c04a)           \
    I(SERIES5, "s5", 0x5b4bb5, 0xb3a8ff)           \
    I(SERIES6, "s6", 0x4d4d4d, 0xbdbdbd)           \
    I(SERIES7, "s7", 0x8c2d04, 0xd9a48a)

enum ink {
#define I(id, css, light, dark) INK_##id,
    INKS(I)
#undef I
    INK_COUNT,
    SERIES_COUNT = INK_COUNT - INK_SERIES,
    INK_SCALE = 1000, /* INK_SCALE + 0..SCALE_STEPS: from few (pale) to many (dark), the same on every screen */
    SCALE_STEPS = 100
};
// clang-format on

struct ink_info {
    const char *css;
    unsigned light, dark; /* 0xrrggbb */
};
extern const struct ink_info inks[INK_COUNT];

unsigned scale_colour(int ink); /* 0xrrggbb of INK_SCALE + 0..SCALE_STEPS */
bool scale_is_dark(int ink);    /* write on it in white */

struct style {
    int ink;
    double width;   /* of the line; 0: fill the shape */
    double opacity; /* 0 stands for 1 */
    int dash;       /* 0: solid, 1..3: broken in ways that can be told apart */
};
#define DASHES 4
extern const double dash_lengths[DASHES][4]; /* on, off, on, off; zeros for solid */

enum anchor { ANCHOR_START, ANCHOR_MIDDLE, ANCHOR_END };

struct text_style {
    int ink; /* INK_SCALE + SCALE_STEPS + 1: white, on dark cells of a scale */
    double size;
    enum anchor anchor;
    bool bold, upright; /* upright: turned by 90 degrees against the clock */
};
enum { INK_WHITE = INK_SCALE + SCALE_STEPS + 1, INK_BLACK };

struct canvas {
    const struct canvas_surface *surface;
};

struct canvas_surface {
    void (*path)(struct canvas *c, const double *xy, size_t points, bool closed, const struct style *style);
    void (*circle)(struct canvas *c, double x, double y, double r, const struct style *style);
    void (*text)(struct canvas *c, double x, double y, const struct text_style *style, const char *text);
    void (*hint)(struct canvas *c, const char *text); /* what the shapes up to the next hint mean; NULL ends it */
};

/* xy: x0 y0 x1 y1 ... */
void draw_path(struct canvas *c, const double *xy, size_t points, bool closed, const struct style *style);
void draw_line(struct canvas *c, double x0, double y0, double x1, double y1, const struct style *style);
void draw_box(struct canvas *c, double x, double y, double width, double height, const struct style *style);
void draw_circle(struct canvas *c, double x, double y, double r, const struct style *style);
/* y is the base line. */
void draw_text(struct canvas *c, double x, double y, const struct text_style *style, const char *text);
/* The same, cut with an ellipsis to fit into `room`. */
void draw_text_in(struct canvas *c, double x, double y, double room, const struct text_style *style, const char *text);
void draw_hint(struct canvas *c, const char *text);
/* One of SERIES_COUNT shapes around (x, y): goes with series_ink(series). */
void draw_marker(struct canvas *c, double x, double y, double size, int series);

int series_ink(int series);
int series_dash(int series);

double text_length(const char *text, double size, bool bold);

/* Write a picture as an SVG element.  alone: a file of its own, with its colours; otherwise a part of a page that has
 * svg_style() in its head.  Its <title> and <desc> speak for it to screen readers. */
void picture_to_svg(const struct report_picture *picture, bool alone, FILE *out);
/* CSS rules of the inks, for light and dark screens. */
void svg_style(FILE *out);
/* Write a picture as PNG, at two device pixels for each px.  Write errors are left to the caller (ferror).  ERR_NOMEM,
 * ERR_SYSTEM. */
int picture_to_png(const struct report_picture *picture, FILE *out, err *e);

#endif
