/* analysis/report_json.c - a report as JSON, for programs.
 *
 *   {"format": "sluice report", "version": 1, "title": "...", "text": ["...", ...],
 *    "tables": {"ablation": {"title": "...", "caption": "...",
 *                            "columns": [{"key": "faa", "name": "FAA", "unit": "%", "kind": "spread"}, ...],
 *                            "rows": [{"faa": {"mean": 71.2, "sd": 0.4, "count": 5}, "faa_ci95": [70.1, 72.3], ...},
 * ...]}}}
 *
 * What does not exist is null. */
#include "analysis/formats.h"

#include <math.h>

#include <jansson.h>

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *cell_to_json(const struct report_column *column, const struct report_cell *cell)
{
    const struct estimate *v = &cell->estimate;

    switch (column->kind) {
    case COLUMN_TEXT:
        return cell->text ? json_string(cell->text) : json_null();
    case COLUMN_COUNT:
        return isfinite(cell->number) ? json_integer((json_int_t)cell->number) : json_null();
    case COLUMN_NUMBER:
    case COLUMN_P:
        return number(cell->number);
    case COLUMN_SPREAD:
        return json_pack("{s:o, s:o, s:I}", "mean", number(v->mean), "sd", number(v->sd), "count",
                         (json_int_t)v->count);
    case COLUMN_INTERVAL:
        return isfinite(v->low) ? json_pack("[o, o]", number(v->low), number(v->high)) : json_null();
    }
    return NULL;
}

static json_t *columns_to_json(const struct report_table *t)
{
    static const char *const kinds[] = {
        [COLUMN_TEXT] = "text",     [COLUMN_COUNT] = "count",       [COLUMN_NUMBER] = "number",
        [COLUMN_SPREAD] = "spread", [COLUMN_INTERVAL] = "interval", [COLUMN_P] = "probability"};
    json_t *columns = json_array();

    for (int c = 0; c < t->columns_count; c++) {
        const struct report_column *k = &t->columns[c];
        json_t *column =
            json_pack("{s:s, s:s, s:s, s:s}", "key", k->key, "name", k->name, "unit", k->unit, "kind", kinds[k->kind]);
        if (json_array_append_new(columns, column)) {
            json_decref(columns);
            return NULL;
        }
    }
    return columns;
}

static json_t *rows_to_json(const struct report_table *t)
{
    json_t *rows = json_array();

    for (size_t r = 0; rows && r < table_rows(t); r++) {
        json_t *row = json_object();
        bool failed = json_array_append_new(rows, row) != 0;
        for (int c = 0; !failed && c < t->columns_count; c++)
            failed =
                json_object_set_new(row, t->columns[c].key, cell_to_json(&t->columns[c], table_cell(t, r, c))) != 0;
        if (failed) {
            json_decref(rows);
            return NULL;
        }
    }
    return rows;
}

static json_t *table_to_json(const struct report_table *t)
{
    return json_pack("{s:s, s:s, s:o, s:o}", "title", t->title, "caption", t->caption, "columns", columns_to_json(t),
                     "rows", rows_to_json(t));
}

int report_json(const struct document *d, const struct report_table *only, FILE *out, err *e)
{
    json_t *tables = json_object(), *text = json_array();
    bool failed = !tables || !text;

    for (size_t i = 0; !failed && i < d->blocks_count; i++) {
        const struct report_block *b = &d->blocks[i];
        if (b->kind == BLOCK_TABLE && is_wanted(b->table, only))
            failed = json_object_set_new(tables, b->table->id, table_to_json(b->table)) != 0;
        else if (!only && (b->kind == BLOCK_PARAGRAPH || b->kind == BLOCK_NOTE))
            failed = json_array_append_new(text, json_string(b->text)) != 0;
    }
    json_t *root = json_pack("{s:s, s:i, s:s, s:o, s:o}", "format", "sluice report", "version", 1, "title", d->title,
                             "text", text, "tables", tables);
    failed |= !root || json_dumpf(root, out, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) < 0;
    json_decref(root);
    putc('\n', out);
    return failed && !ferror(out) ? err_set(e, ERR_NOMEM, "no memory for the report as JSON") : 0;
}
