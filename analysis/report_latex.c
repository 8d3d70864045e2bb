/* analysis/report_latex.c - the tables of a report for \input into a paper, in the style of booktabs.
 *
 * Needs \usepackage{booktabs}, and \usepackage{graphicx} when pictures lie beside.  Our own words are plain ASCII;
 * names from the sweep may hold UTF-8, which LaTeX has read since 2018. */
#include "analysis/formats.h"

#include <string.h>

static const struct escape escapes[] = {{'\\', "\\textbackslash{}"},
                                        {'{', "\\{"},
                                        {'}', "\\}"},
                                        {'$', "\\$"},
                                        {'&', "\\&"},
                                        {'#', "\\#"},
                                        {'%', "\\%"},
                                        {'_', "\\_"},
                                        {'^', "\\textasciicircum{}"},
                                        {'~', "\\textasciitilde{}"},
                                        {'<', "\\textless{}"},
                                        {'>', "\\textgreater{}"},
                                        {'|', "\\textbar{}"},
                                        {'[', "{[}"}, /* not the option of a line end */
                                        {0, NULL}};

/* Our own signs, which not every LaTeX knows as characters. */
static const struct {
    const char *sign, *latex;
} signs[] = {{"±", "$\\pm$"}, {"Δ", "$\\Delta$"}, {"×", "$\\times$"}, {"–", "--"},
             {"−", "$-$"},    {"·", "$\\cdot$"},  {"…", "\\ldots{}"}};

static void write_latex(FILE *out, const char *text)
{
    while (*text) {
        size_t i = 0;
        while (i < sizeof signs / sizeof *signs && strncmp(text, signs[i].sign, strlen(signs[i].sign)))
            i++;
        if (i < sizeof signs / sizeof *signs) {
            fputs(signs[i].latex, out);
            text += strlen(signs[i].sign);
        } else {
            write_escaped(out, (const char[]){*text++, 0}, escapes);
        }
    }
}

static void write_cell(FILE *out, const struct report_column *column, const struct report_cell *cell)
{
    char buffer[CELL_SIZE];
    bool text = column->kind == COLUMN_TEXT;
    const char *shown = cell_to_text(column, cell, "\\pm", buffer);

    if (text || !strcmp(shown, "–"))
        write_latex(out, shown);
    else if (strstr(shown, "–")) /* a mean without a deviation */
        fprintf(out, "$%.*s$", (int)strcspn(shown, " "), shown);
    else
        fprintf(out, cell->best ? "$\\mathbf{%s}$" : "$%s$", shown);
}

static void write_table(FILE *out, const struct report_table *t)
{
    char buffer[CELL_SIZE];

    fputs("\\begin{table}\n  \\centering\n  \\caption{", out);
    write_latex(out, t->title);
    fputs(*t->caption ? ". " : "", out);
    write_latex(out, t->caption);
    fprintf(out, "}\n  \\label{tab:%s}\n  \\begin{tabular}{@{}", t->id);
    for (int c = 0; c < t->columns_count; c++)
        putc(t->columns[c].kind == COLUMN_TEXT ? 'l' : 'r', out);
    fputs("@{}}\n    \\toprule\n    ", out);
    for (int c = 0; c < t->columns_count; c++) {
        fputs(c ? " & " : "", out);
        write_latex(out, column_title(&t->columns[c], buffer));
    }
    fputs(" \\\\\n    \\midrule\n", out);
    for (size_t r = 0; r < table_rows(t); r++) {
        fputs("    ", out);
        for (int c = 0; c < t->columns_count; c++) {
            fputs(c ? " & " : "", out);
            write_cell(out, &t->columns[c], table_cell(t, r, c));
        }
        fputs(" \\\\\n", out);
    }
    fputs("    \\bottomrule\n  \\end{tabular}\n\\end{table}\n", out);
}

int report_latex(const struct document *d, const struct report_table *only, FILE *out, err *e)
{
    if (only) {
        write_table(out, only);
        return e->code;
    }
    fputs("% ", out);
    write_latex(out, d->title);
    fputs("\n% \\usepackage{booktabs}\n", out);
    for (size_t i = 0; i < d->blocks_count; i++) {
        const struct report_block *b = &d->blocks[i];
        if (b->kind == BLOCK_TABLE) {
            putc('\n', out);
            write_table(out, b->table);
        } else if (b->kind == BLOCK_PICTURE && d->pictures_beside) {
            fprintf(out,
                    "\n\\begin{figure}\n  \\centering\n  \\includegraphics[width=\\linewidth]{%s.png}\n  \\caption{",
                    b->picture.id);
            write_latex(out, b->picture.title);
            fprintf(out, "}\n  \\label{fig:%s}\n\\end{figure}\n", b->picture.id);
        } else if (b->kind == BLOCK_NOTE) {
            fputs("\n% note: ", out); /* for the author, who decides what the paper says */
            write_escaped(out, b->text, (const struct escape[]){{'\n', " "}, {0, NULL}});
            putc('\n', out);
        }
    }
    return e->code;
}
