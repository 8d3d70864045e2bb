/* analysis/formats.c - see formats.h. */
#include "analysis/formats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct report_format report_formats[] = {
#define R(name, extension, each, meaning) {#name, extension, each, meaning, report_##name},
    REPORT_FORMATS(R)
#undef R
};
const int report_formats_count = sizeof report_formats / sizeof *report_formats;

static const char *rounded(double value, int digits, char out[CELL_SIZE])
{
    if (!isfinite(value))
        return strcpy(out, "–");
    snprintf(out, CELL_SIZE, "%.*f", digits, value);
    if (!strpbrk(out, "123456789") && *out == '-') /* "-0.00" */
        memmove(out, out + 1, strlen(out));
    if (strlen(out) > 20)
        snprintf(out, CELL_SIZE, "%.6g", value);
    return out;
}

const char *cell_to_text(const struct report_column *column, const struct report_cell *cell, const char *plus_minus,
                         char out[CELL_SIZE])
{
    char a[CELL_SIZE], b[CELL_SIZE];
    const struct estimate *v = &cell->estimate;

    switch (column->kind) {
    case COLUMN_TEXT:
        return cell->text && *cell->text ? cell->text : strcpy(out, "–");
    case COLUMN_COUNT:
        return rounded(cell->number, 0, out);
    case COLUMN_NUMBER:
        return rounded(cell->number, column->digits, out);
    case COLUMN_P:
        if (cell->number < 0.001)
            return strcpy(out, "<0.001");
        return rounded(cell->number, 3, out);
    case COLUMN_SPREAD:
        rounded(v->mean, column->digits, a);
        if (isfinite(v->mean))
            snprintf(out, CELL_SIZE, "%.60s %s %.60s", a, plus_minus, rounded(v->sd, column->digits, b));
        else
            strcpy(out, a);
        return out;
    case COLUMN_INTERVAL:
        if (isfinite(v->low))
            snprintf(out, CELL_SIZE, "[%.60s, %.60s]", rounded(v->low, column->digits, a),
                     rounded(v->high, column->digits, b));
        else
            strcpy(out, "–");
        return out;
    }
    return strcpy(out, "–");
}

const char *column_title(const struct report_column *column, char out[CELL_SIZE])
{
    if (*column->unit)
        snprintf(out, CELL_SIZE, "%.120s (%.30s)", column->name, column->unit);
    else
        snprintf(out, CELL_SIZE, "%.150s", column->name);
    return out;
}

const char *number_in_full(double value, char out[32])
{
    if (!isfinite(value))
        return strcpy(out, "");
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, 32, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            break;
    }
    return out;
}

void write_escaped(FILE *out, const char *text, const struct escape *escapes)
{
    for (; *text; text++) {
        const struct escape *x = escapes;
        while (x->character && x->character != *text)
            x++;
        if (x->character)
            fputs(x->replacement, out);
        else
            putc(*text, out);
    }
}

void write_csv_field(FILE *out, const char *text)
{
    static const struct escape escapes[] = {{'"', "\"\""}, {0, NULL}};
    bool quoted = strpbrk(text, ",\"\n\r") != NULL;

    fputs(quoted ? "\"" : "", out);
    write_escaped(out, text, escapes);
    fputs(quoted ? "\"" : "", out);
}

void write_xml(FILE *out, const char *text)
{
    static const struct escape escapes[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {0, NULL}};

    write_escaped(out, text, escapes);
}

size_t text_width(const char *text)
{
    size_t width = 0;

    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}
