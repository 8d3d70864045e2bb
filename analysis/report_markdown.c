/* analysis/report_markdown.c - a report as GitHub-flavoured Markdown. */
#include "analysis/formats.h"

/* Characters that would begin markup or end a table cell. */
static const struct escape escapes[] = {{'|', "\\|"},  {'*', "\\*"}, {'_', "\\_"}, {'`', "\\`"},   {'<', "&lt;"},
                                        {'>', "&gt;"}, {'[', "\\["}, {']', "\\]"}, {'\\', "\\\\"}, {'&', "&amp;"},
                                        {'~', "\\~"},  {'#', "\\#"}, {'\n', " "},  {0, NULL}};

static void write_row(FILE *out, const struct report_table *t, size_t row)
{
    char buffer[CELL_SIZE];

    putc('|', out);
    for (int c = 0; c < t->columns_count; c++) {
        const struct report_cell *cell = table_cell(t, row, c);
        fputs(cell->best ? " **" : " ", out);
        write_escaped(out, cell_to_text(&t->columns[c], cell, "±", buffer), escapes);
        fputs(cell->best ? "** |" : " |", out);
    }
    putc('\n', out);
}

static void write_table(FILE *out, const struct report_table *t)
{
    char buffer[CELL_SIZE];

    fputs("**", out);
    write_escaped(out, t->title, escapes);
    fputs("**\n\n|", out);
    for (int c = 0; c < t->columns_count; c++) {
        putc(' ', out);
        write_escaped(out, column_title(&t->columns[c], buffer), escapes);
        fputs(" |", out);
    }
    fputs("\n|", out);
    for (int c = 0; c < t->columns_count; c++)
        fputs(t->columns[c].kind == COLUMN_TEXT ? " :--- |" : " ---: |", out);
    putc('\n', out);
    for (size_t r = 0; r < table_rows(t); r++)
        write_row(out, t, r);
    if (*t->caption) {
        putc('\n', out);
        write_escaped(out, t->caption, escapes);
        putc('\n', out);
    }
}

int report_markdown(const struct document *d, const struct report_table *only, FILE *out, err *e)
{
    if (only) {
        write_table(out, only);
        return e->code;
    }
    fputs("# ", out);
    write_escaped(out, d->title, escapes);
    putc('\n', out);
    for (size_t i = 0; i < d->blocks_count; i++) {
        const struct report_block *b = &d->blocks[i];
        static const char *const marks[] = {[BLOCK_HEADING] = "## ", [BLOCK_PARAGRAPH] = "", [BLOCK_NOTE] = "> "};
        if (b->kind == BLOCK_TABLE) {
            putc('\n', out);
            write_table(out, b->table);
        } else if (b->kind != BLOCK_PICTURE) {
            fprintf(out, "\n%s", marks[b->kind]);
            write_escaped(out, b->text, escapes);
            putc('\n', out);
        } else if (d->pictures_beside) {
            fputs("\n![", out);
            write_escaped(out, b->picture.description, escapes);
            fprintf(out, "](%s.svg)\n", b->picture.id);
        }
    }
    return e->code;
}
