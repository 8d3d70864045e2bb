/* analysis/formats.h - the formats of a report.  One row here and one file report_<name>.c is all that a format is. */
#ifndef ANALYSIS_FORMATS_H
#define ANALYSIS_FORMATS_H

#include <stdio.h>

#include "analysis/document.h"
#include "io/err.h"

/* R(name, extension, each, meaning): with `each`, a file holds one table only, and a report is one file for each table.
 */
#define REPORT_FORMATS(R)                                                     \
    R(text, "txt", false, "for the terminal")                                 \
    R(markdown, "md", false, "GitHub-flavoured tables")                       \
    R(latex, "tex", false, "tables for \\input, in the style of booktabs")    \
    R(csv, "csv", true, "one file for each table, RFC 4180, numbers in full") \
    R(json, "json", false, "all tables with their numbers in full")           \
    R(html, "html", false, "one self-contained page with pictures")

/* Write the document, or only one table of it, to a stream.  Write errors are left to the caller (ferror).  ERR_NOMEM.
 */
typedef int (*report_renderer)(const struct document *d, const struct report_table *only, FILE *out, err *e);

#define R(name, extension, each, meaning) \
    int report_##name(const struct document *d, const struct report_table *only, FILE *out, err *e);
REPORT_FORMATS(R)
#undef R

struct report_format {
    const char *name, *extension;
    bool each;
    const char *meaning;
    report_renderer render;
};
extern const struct report_format report_formats[];
extern const int report_formats_count;

/* --- for the formats --- */

enum { CELL_SIZE = 160 };

/* What people read in a cell: rounded, "–" for what does not exist.  `plus_minus` is the sign between mean and
 * deviation.  Returns the cell's own text, however long, or `out`. */
const char *cell_to_text(const struct report_column *column, const struct report_cell *cell, const char *plus_minus,
                         char out[CELL_SIZE]);

/* The text of a table's heading: "FAA (%)". */
const char *column_title(const struct report_column *column, char out[CELL_SIZE]);

/* The number with all its digits, as short as reads back the same; "" for NaN and infinities.  Returns `out`. */
const char *number_in_full(double value, char out[32]);

/* Write `text` with some characters replaced: pairs of (character, replacement), ended by an empty character. */
struct escape {
    char character;
    const char *replacement;
};
void write_escaped(FILE *out, const char *text, const struct escape *escapes);

/* A field of a CSV file, quoted where RFC 4180 wants it. */
void write_csv_field(FILE *out, const char *text);

/* HTML and XML character data and attribute values. */
void write_xml(FILE *out, const char *text);

/* Characters of a UTF-8 text: its width in a terminal, for scripts without wide characters. */
size_t text_width(const char *text);

/* Does this table get printed: all, or the only one asked for? */
static inline bool is_wanted(const struct report_table *t, const struct report_table *only)
{
    return !only || t == only;
}

#endif
