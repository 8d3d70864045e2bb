/* analysis/report_html.c - a report as one self-contained page: no script, no font, no request, pictures inline.
 *
 * Made for a phone (wide things scroll in their own box), for paper (no box, no shadow, headings stay with their
 * tables), for dark screens (colours follow the system), and for ears (headings in order, a way to skip, table headers
 * with scope, pictures with title and description). */
#include "analysis/canvas.h"
#include "analysis/formats.h"

#include <stdlib.h>
#include <string.h>

static const char style[] =
    ":root{color-scheme:light "
    "dark;--ink:#1c1f23;--soft:#5a6068;--rule:#d5d8dc;--page:#fff;--panel:#f5f6f8;--accent:#005a8c}\n"
    "@media screen and (prefers-color-scheme:dark){:root{--ink:#e8e6e3;--soft:#a9adb3;--rule:#3d4249;--page:#16181b;"
    "--panel:#1f2226;--accent:#7cc4f2}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;padding:1rem;max-width:84rem;background:var(--page);color:var(--ink);"
    "font:1rem/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;overflow-wrap:anywhere}\n"
    "h1{font-size:1.6rem;line-height:1.25;margin:.5rem 0 1rem}\n"
    "h2{font-size:1.25rem;margin:2.5rem 0 .5rem;border-bottom:1px solid var(--rule)}\n"
    "a{color:var(--accent)}\n"
    "nav{background:var(--panel);padding:.6rem 1rem;border-radius:.5rem;font-size:.9rem}\n"
    "nav ul{margin:0;padding:0;list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.2rem}\n"
    "nav a{display:inline-block;padding:.25rem 0}\n"
    "figure{margin:1.5rem 0}\n"
    ".wide{overflow-x:auto;border:1px solid var(--rule);border-radius:.5rem}\n"
    ".wide:focus-visible,a:focus-visible{outline:3px solid var(--accent);outline-offset:2px}\n"
    "figure svg{display:block;max-width:100%;min-width:min(30rem,100vw);height:auto;margin:0 auto}\n"
    "p,figcaption{max-width:68rem}\n"
    "figcaption,.caption,.note{color:var(--soft);font-size:.875rem;margin:.4rem 0}\n"
    ".note{border-left:3px solid var(--accent);padding-left:.7rem;color:var(--ink)}\n"
    "table{border-collapse:collapse;width:100%;font-size:.875rem;font-variant-numeric:tabular-nums}\n"
    "caption{text-align:left;font-weight:600;padding:.6rem .7rem;font-size:.95rem}\n"
    "th,td{padding:.35rem .7rem;border-top:1px solid var(--rule);text-align:right;white-space:nowrap;font-weight:400}\n"
    "th.t,td.t{text-align:left}\n"
    "td.t,tbody th{white-space:normal;overflow-wrap:break-word;max-width:40ch}\n"
    "caption span{position:sticky;left:.7rem;display:inline-block;max-width:min(100vw - 4rem,80rem)}\n"
    "thead th{background:var(--panel);font-weight:600;border-top:0}\n"
    "tbody tr:hover{background:var(--panel)}\n"
    "td b{font-weight:700;text-decoration:underline;text-decoration-thickness:2px;text-underline-offset:3px}\n"
    ".skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:1rem;background:var(--page);padding:.5rem}\n"
    "@media print{body{max-width:none;padding:0;font-size:9pt}nav,.skip{display:none}.wide{overflow:visible;border:0}"
    "table{font-size:7.5pt}th,td{padding:.15rem .35rem}figure,tr{break-inside:avoid}h2,caption{break-after:avoid}"
    "figure svg{min-width:0}p,figcaption{max-width:none}}\n";

static void write_cell(FILE *out, const struct report_column *column, const struct report_cell *cell, bool heads)
{
    char buffer[CELL_SIZE];
    bool text = column->kind == COLUMN_TEXT;
    const char *tag = heads ? "th" : "td";

    fprintf(out, heads ? "<%s scope=\"row\"%s>" : "<%s%s>", tag, text ? " class=\"t\"" : "");
    fputs(cell->best ? "<b>" : "", out);
    write_xml(out, cell_to_text(column, cell, "±", buffer));
    fprintf(out, "%s</%s>", cell->best ? "</b>" : "", tag);
}

static void write_table(FILE *out, const struct report_table *t)
{
    char buffer[CELL_SIZE];
    bool any = false;

    fprintf(out,
            "<figure id=\"%s\">\n<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-labelledby=\"%s-caption\">\n",
            t->id, t->id);
    fprintf(out, "<table>\n<caption id=\"%s-caption\"><span>", t->id);
    write_xml(out, t->title);
    fputs("</span></caption>\n<thead><tr>", out);
    for (int c = 0; c < t->columns_count; c++) {
        fprintf(out, "<th scope=\"col\"%s>", t->columns[c].kind == COLUMN_TEXT ? " class=\"t\"" : "");
        write_xml(out, column_title(&t->columns[c], buffer));
        fputs("</th>", out);
    }
    fputs("</tr></thead>\n<tbody>\n", out);
    for (size_t r = 0; r < table_rows(t); r++) {
        fputs("<tr>", out);
        for (int c = 0; c < t->columns_count; c++) {
            write_cell(out, &t->columns[c], table_cell(t, r, c), !c && t->columns[c].kind == COLUMN_TEXT);
            any |= table_cell(t, r, c)->best;
        }
        fputs("</tr>\n", out);
    }
    if (!table_rows(t))
        fprintf(out, "<tr><td class=\"t\" colspan=\"%d\">no rows</td></tr>\n", t->columns_count);
    fputs("</tbody>\n</table>\n</div>\n", out);
    if (*t->caption || any) {
        fputs("<figcaption>", out);
        write_xml(out, t->caption);
        fputs(any ? " Underlined: best of its column.</figcaption>\n" : "</figcaption>\n", out);
    }
    fputs("</figure>\n", out);
}

static void write_picture(FILE *out, const struct report_picture *p)
{
    fprintf(out, "<figure id=\"%s\">\n<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"", p->id);
    write_xml(out, p->title);
    fputs("\">\n", out);
    picture_to_svg(p, false, out);
    fputs("</div>\n<figcaption><strong>", out);
    write_xml(out, p->title);
    fputs(".</strong> ", out);
    write_xml(out, p->description);
    fputs("</figcaption>\n</figure>\n", out);
}

static void write_contents(FILE *out, const struct document *d)
{
    fputs("<nav aria-label=\"Contents\"><ul>\n", out);
    for (size_t i = 0; i < d->blocks_count; i++) {
        const struct report_block *b = &d->blocks[i];
        if (b->kind == BLOCK_HEADING) {
            fprintf(out, "<li><a href=\"#section-%zu\">", i);
            write_xml(out, b->text);
            fputs("</a></li>\n", out);
        }
    }
    fputs("</ul></nav>\n", out);
}

static void write_block(FILE *out, const struct report_block *b, size_t i)
{
    switch (b->kind) {
    case BLOCK_TABLE:
        write_table(out, b->table);
        return;
    case BLOCK_PICTURE:
        write_picture(out, &b->picture);
        return;
    case BLOCK_HEADING:
        fprintf(out, "<h2 id=\"section-%zu\">", i);
        break;
    case BLOCK_PARAGRAPH:
        fputs("<p>", out);
        break;
    case BLOCK_NOTE:
        fputs("<p class=\"note\" role=\"note\">", out);
        break;
    }
    write_xml(out, b->text);
    fputs(b->kind == BLOCK_HEADING ? "</h2>\n" : "</p>\n", out);
}

int report_html(const struct document *d, const struct report_table *only, FILE *out, err *e)
{
    fputs("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
          "img-src data:\">\n"
          "<link rel=\"icon\" href=\"data:,\">\n<title>",
          out);
    write_xml(out, d->title);
    fputs("</title>\n<style>\n", out);
    fputs(style, out);
    svg_style(out);
    fputs("</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#report\">Skip to the report</a>\n<header><h1>", out);
    write_xml(out, d->title);
    fputs("</h1></header>\n", out);
    if (!only)
        write_contents(out, d);
    fputs("<main id=\"report\">\n", out);
    for (size_t i = 0; i < d->blocks_count; i++)
        if (!only)
            write_block(out, &d->blocks[i], i);
        else if (d->blocks[i].kind == BLOCK_TABLE && d->blocks[i].table == only)
            write_table(out, only);
    fputs("</main>\n</body>\n</html>\n", out);
    return e->code;
}
