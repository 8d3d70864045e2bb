/* io/datasets/csv.h - rows of a CSV file, by RFC 4180: fields between commas, perhaps in double quotes, "" for a quote
 * in one.
 *
 * The text is UTF-8, with or without its byte order mark; LF or CRLF ends a row.  A row has at most CSV_ROW_LIMIT bytes
 * and as many fields as the first.  Kinds of errors: E_SYNTAX (a quote that is not closed or stands inside a field, a
 * ragged row, a NUL, invalid UTF-8), E_LIMIT. */
#ifndef IO_DATASETS_CSV_H
#define IO_DATASETS_CSV_H

#include <stdbool.h>
#include <stddef.h>

#include "io/err.h"

enum { CSV_ROW_LIMIT = 64 << 10, CSV_FIELDS_LIMIT = 256 };

struct csv {
    const char *name; /* of the file, for messages */
    char *at, *end;
    size_t line; /* in which the row last read begins, from 1 */
    size_t next_line, columns;
    char *fields[CSV_FIELDS_LIMIT]; /* (columns) of the row last read: terminated, inside the text */
};

/* Begin with a text that ends in a zero beyond `size`; it is changed. */
int csv_open(struct csv *c, const char *name, char *text, size_t size, err *e);
/* Read the next row; *more is false at the end.  Empty lines are passed over. */
int csv_next(struct csv *c, bool *more, err *e);

#endif
