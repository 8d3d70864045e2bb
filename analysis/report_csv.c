/* analysis/report_csv.c - one table of a report as CSV (RFC 4180, with bare line feeds): numbers in full, a column for
 * each part of an estimate, empty fields for what does not exist. */
#include "analysis/formats.h"

static void write_heading(FILE *out, const struct report_column *column)
{
    if (column->kind == COLUMN_SPREAD)
        fprintf(out, "%s_mean,%s_sd,%s_count", column->key, column->key, column->key);
    else if (column->kind == COLUMN_INTERVAL)
        fprintf(out, "%s_low,%s_high", column->key, column->key);
    else
        write_csv_field(out, column->key);
}

static void write_cell(FILE *out, const struct report_column *column, const struct report_cell *cell)
{
    char a[32], b[32];
    const struct estimate *v = &cell->estimate;

    if (column->kind == COLUMN_TEXT)
        write_csv_field(out, cell->text ? cell->text : "");
    else if (column->kind == COLUMN_SPREAD)
        fprintf(out, "%s,%s,%zu", number_in_full(v->mean, a), number_in_full(v->sd, b), v->count);
    else if (column->kind == COLUMN_INTERVAL)
        fprintf(out, "%s,%s", number_in_full(v->low, a), number_in_full(v->high, b));
    else
        fputs(number_in_full(cell->number, a), out);
}

static void write_table(FILE *out, const struct report_table *t)
{
    for (int c = 0; c < t->columns_count; c++) {
        fputs(c ? "," : "", out);
        write_heading(out, &t->columns[c]);
    }
    putc('\n', out);
    for (size_t r = 0; r < table_rows(t); r++) {
        for (int c = 0; c < t->columns_count; c++) {
            fputs(c ? "," : "", out);
            write_cell(out, &t->columns[c], table_cell(t, r, c));
        }
        putc('\n', out);
    }
}

int report_csv(const struct document *d, const struct report_table *only, FILE *out, err *e)
{
    for (size_t i = 0; i < d->blocks_count; i++)
        if (d->blocks[i].kind == BLOCK_TABLE && is_wanted(d->blocks[i].table, only))
            write_table(out, d->blocks[i].table);
    return e->code;
}
