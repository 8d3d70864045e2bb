/* analysis/canvas_svg.c - pictures as SVG.  Inks are classes; svg_style() gives them their colours. */
#include "analysis/canvas.h"
#include "analysis/formats.h"

#include <math.h>

struct svg_canvas {
    struct canvas base;
    FILE *out;
    bool hinted; /* inside a group that a hint has opened */
};

static FILE *stream(struct canvas *c)
{
    return ((struct svg_canvas *)c)->out;
}

/* A hundredth of a pixel is enough, and most places need no digit at all. */
static void write_number(FILE *out, double x)
{
    double rounded = round(x * 100) / 100;

    fprintf(out, "%.*f", rounded == round(rounded) ? 0 : 2, rounded == 0 ? 0 : rounded);
}

static void write_attribute(FILE *out, const char *name, double x)
{
    fprintf(out, " %s=\"", name);
    write_number(out, x);
    putc('"', out);
}

static void write_style(FILE *out, const struct style *style)
{
    if (style->ink >= INK_SCALE)
        fprintf(out, " %s=\"#%06x\"", style->width > 0 ? "stroke" : "fill", scale_colour(style->ink));
    else
        fprintf(out, " class=\"%s%s\"", style->width > 0 ? "l " : "f ", inks[style->ink].css);
    if (style->width > 0)
        write_attribute(out, "stroke-width", style->width);
    if (style->opacity > 0 && style->opacity < 1)
        write_attribute(out, "opacity", style->opacity);
    if (style->dash) {
        const double *d = dash_lengths[style->dash];
        fprintf(out, " stroke-dasharray=\"%g %g %g %g\"", d[0], d[1], d[2], d[3]);
    }
}

static void svg_path(struct canvas *c, const double *xy, size_t points, bool closed, const struct style *style)
{
    FILE *out = stream(c);

    fputs("<path d=\"", out);
    for (size_t i = 0; i < points; i++) {
        fputs(i ? "L" : "M", out);
        write_number(out, xy[2 * i]);
        putc(' ', out);
        write_number(out, xy[2 * i + 1]);
    }
    fputs(closed ? "Z\"" : "\"", out);
    write_style(out, style);
    fputs("/>\n", out);
}

static void svg_circle(struct canvas *c, double x, double y, double r, const struct style *style)
{
    FILE *out = stream(c);

    fputs("<circle", out);
    write_attribute(out, "cx", x);
    write_attribute(out, "cy", y);
    write_attribute(out, "r", r);
    write_style(out, style);
    fputs("/>\n", out);
}

static void svg_text(struct canvas *c, double x, double y, const struct text_style *style, const char *text)
{
    static const char *const anchors[] = {"", " text-anchor=\"middle\"", " text-anchor=\"end\""};
    FILE *out = stream(c);

    fputs("<text", out);
    if (style->upright) {
        fputs(" transform=\"translate(", out);
        write_number(out, x);
        putc(' ', out);
        write_number(out, y);
        fputs(") rotate(-90)\"", out);
    } else {
        write_attribute(out, "x", x);
        write_attribute(out, "y", y);
    }
    if (style->ink >= INK_SCALE)
        fprintf(out, " fill=\"%s\"", style->ink == INK_WHITE ? "#fff" : "#111");
    else
        fprintf(out, " class=\"f %s\"", inks[style->ink].css);
    write_attribute(out, "font-size", style->size);
    fprintf(out, "%s%s>", anchors[style->anchor], style->bold ? " font-weight=\"bold\"" : "");
    write_xml(out, text);
    fputs("</text>\n", out);
}

static void svg_hint(struct canvas *c, const char *text)
{
    struct svg_canvas *s = (struct svg_canvas *)c;

    if (s->hinted)
        fputs("</g>\n", s->out);
    s->hinted = text != NULL;
    if (text) {
        fputs("<g><title>", s->out);
        write_xml(s->out, text);
        fputs("</title>\n", s->out);
    }
}

static const struct canvas_surface svg_surface = {svg_path, svg_circle, svg_text, svg_hint};

void svg_style(FILE *out)
{
    fputs("svg.picture{", out);
    for (int i = 0; i < INK_COUNT; i++)
        fprintf(out, "--%s:#%06x;", inks[i].css, inks[i].light);
    fputs("font-family:'DejaVu Sans',Verdana,Helvetica,Arial,sans-serif}\n", out);
    fputs("@media screen and (prefers-color-scheme:dark){svg.picture{", out);
    for (int i = 0; i < INK_COUNT; i++)
        fprintf(out, "--%s:#%06x;", inks[i].css, inks[i].dark);
    fputs("}}\n", out);
    for (int i = 0; i < INK_COUNT; i++)
        fprintf(out, "svg.picture .f.%s{fill:var(--%s)}svg.picture .l.%s{stroke:var(--%s)}\n", inks[i].css, inks[i].css,
                inks[i].css, inks[i].css);
    fputs("svg.picture .l{fill:none;stroke-linejoin:round}\n", out);
}

void picture_to_svg(const struct report_picture *picture, bool alone, FILE *out)
{
    struct svg_canvas s = {.base.surface = &svg_surface, .out = out};

    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"picture\" role=\"img\" aria-labelledby=\"%s-title "
            "%s-desc\" ",
            picture->id, picture->id);
    fprintf(out, "viewBox=\"0 0 %g %g\" width=\"%g\" height=\"%g\">\n<title id=\"%s-title\">", picture->width,
            picture->height, picture->width, picture->height, picture->id);
    write_xml(out, picture->title);
    fprintf(out, "</title>\n<desc id=\"%s-desc\">", picture->id);
    write_xml(out, picture->description);
    fputs("</desc>\n", out);
    if (alone) {
        fputs("<style>\n", out);
        svg_style(out);
        fputs("</style>\n", out);
        draw_box(&s.base, 0, 0, picture->width, picture->height, &(struct style){.ink = INK_PAPER});
    }
    picture->draw(&s.base, picture->data);
    svg_hint(&s.base, NULL);
    fputs("</svg>\n", out);
}
