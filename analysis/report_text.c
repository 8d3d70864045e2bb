/* analysis/report_text.c - a report for the terminal: columns aligned, best values starred, paragraphs wrapped. */
#include "analysis/formats.h"

#include <stdlib.h>
#include <string.h>

enum { LINE = 100 };

static void repeat(FILE *out, const char *text, size_t times)
{
    while (times--)
        fputs(text, out);
}

/* Words of `text`, wrapped; later lines are indented by as many columns as `first` is wide. */
static void wrap(FILE *out, const char *first, const char *text)
{
    size_t at = text_width(first), indent = at;

    fputs(first, out);
    while (*text) {
        size_t n = strcspn(text, " \n");
        char *word = strndup(text, n);
        size_t width = word ? text_width(word) : n;
        if (at > indent && at + 1 + width > LINE) {
            putc('\n', out);
            repeat(out, " ", indent);
            at = indent;
        } else if (at > indent) {
            putc(' ', out);
            at++;
        }
        fwrite(text, 1, n, out);
        at += width;
        text += n;
        text += strspn(text, " \n");
        free(word);
    }
    putc('\n', out);
}

/* `owed` is the number of blanks that stand before the next text of the line; a line does not end with blanks. */
static void write_cell(FILE *out, size_t *owed, bool right, size_t width, const char *text, bool best)
{
    size_t pad = width - text_width(text) - best;

    repeat(out, " ", *owed + (right ? pad : 0));
    fprintf(out, "%s%s", text, best ? "*" : "");
    *owed = 2 + (right ? 0 : pad);
}

static size_t column_width(const struct report_table *t, int c, bool *starred)
{
    char buffer[CELL_SIZE];
    size_t width = text_width(column_title(&t->columns[c], buffer));

    *starred = false;
    for (size_t r = 0; r < table_rows(t); r++)
        *starred |= table_cell(t, r, c)->best;
    for (size_t r = 0; r < table_rows(t); r++) {
        size_t w = text_width(cell_to_text(&t->columns[c], table_cell(t, r, c), "±", buffer)) + *starred;
        if (w > width)
            width = w;
    }
    return width;
}

static int write_table(FILE *out, const struct report_table *t, err *e)
{
    size_t rows = table_rows(t), columns = (size_t)t->columns_count;
    size_t *width = calloc(columns, sizeof *width);
    bool *starred = calloc(columns, sizeof *starred), any = false;
    char buffer[CELL_SIZE];

    if (!width || !starred) {
        free(width);
        free(starred);
        return err_set(e, ERR_NOMEM, "no memory for table %s", t->id);
    }
    fprintf(out, "%s\n\n", t->title);
    for (int c = 0; c < t->columns_count; c++) {
        width[c] = column_width(t, c, &starred[c]);
        any |= starred[c];
    }
    size_t owed = 0;
    for (int c = 0; c < t->columns_count; c++)
        write_cell(out, &owed, t->columns[c].kind != COLUMN_TEXT, width[c], column_title(&t->columns[c], buffer),
                   false);
    putc('\n', out);
    for (int c = 0; c < t->columns_count; c++) {
        fputs(c ? "  " : "", out);
        repeat(out, "─", width[c]);
    }
    putc('\n', out);
    for (size_t r = 0; r < rows; r++) {
        owed = 0;
        for (int c = 0; c < t->columns_count; c++) {
            const struct report_cell *cell = table_cell(t, r, c);
            bool right = t->columns[c].kind != COLUMN_TEXT;
            /* A star's place stays free in the column's other rows, so that digits stand below digits. */
            write_cell(out, &owed, right, width[c] - (right && starred[c] && !cell->best),
                       cell_to_text(&t->columns[c], cell, "±", buffer), cell->best);
            owed += right && starred[c] && !cell->best;
        }
        putc('\n', out);
    }
    if (!rows)
        fputs("(no rows)\n", out);
    putc('\n', out);
    if (*t->caption)
        wrap(out, "  ", t->caption);
    if (any)
        wrap(out, "  ", "* best of its column");
    free(width);
    free(starred);
    return 0;
}

int report_text(const struct document *d, const struct report_table *only, FILE *out, err *e)
{
    if (only)
        return write_table(out, only, e);
    fprintf(out, "%s\n", d->title);
    repeat(out, "═", text_width(d->title));
    putc('\n', out);
    for (size_t i = 0; i < d->blocks_count && !e->code; i++) {
        const struct report_block *b = &d->blocks[i];
        if (b->kind != BLOCK_PICTURE)
            putc('\n', out);
        if (b->kind == BLOCK_HEADING) {
            fprintf(out, "%s\n", b->text);
            repeat(out, "─", text_width(b->text));
            putc('\n', out);
        } else if (b->kind == BLOCK_PARAGRAPH) {
            wrap(out, "", b->text);
        } else if (b->kind == BLOCK_NOTE) {
            wrap(out, "  note: ", b->text);
        } else if (b->kind == BLOCK_TABLE) {
            write_table(out, b->table, e);
        }
    }
    return e->code;
}
