/* io/datasets/lists.h - small text files beside a data set: lines, and fields in them.
 *
 * LF or CRLF ends a line; the last may lack its end.  A NUL anywhere is E_SYNTAX. */
#ifndef IO_DATASETS_LISTS_H
#define IO_DATASETS_LISTS_H

#include <stddef.h>
#include <stdint.h>

#include "io/below.h"
#include "io/err.h"

enum { LIST_LINES_LIMIT = 1 << 24, LIST_BYTES_LIMIT = 64 << 20 };

struct text_lines {
    struct bytes bytes; /* the text, cut into terminated lines */
    char **lines;
    size_t count;
    char *name; /* of the file, for messages */
};

/* Read a list below the folder.  ERR_MISSING and the faults of below_read(). */
int text_lines_read(const struct below *root, const char *name, struct text_lines *out, err *e);
/* Read a list that the user named by a path of their own. */
int text_lines_read_path(const char *path, struct text_lines *out, err *e);
/* The same of text in memory, which is copied. */
int text_lines_split(const char *name, const void *text, size_t size, struct text_lines *out, err *e);
void text_lines_free(struct text_lines *l);
/* Drop empty lines at the end. */
void text_lines_trim(struct text_lines *l);

/* A line cut at each separator into exactly `count` terminated fields, none of which is empty; the line is changed.
 * E_SYNTAX. */
int text_fields(const struct text_lines *l, size_t line, char separator, size_t count, char **fields, err *e);
/* An unsigned decimal number of at most `high`, without sign.  E_SYNTAX, E_RANGE. */
int text_number(const struct text_lines *l, size_t line, const char *field, uint32_t low, uint32_t high, uint32_t *out,
                err *e);

#endif
