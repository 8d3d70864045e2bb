/* analysis/document.h - a report before it has a format: headings, paragraphs, tables of typed cells, pictures.
 *
 * report.c writes what there is to say into a document; a format (formats.h) says it in text, LaTeX, HTML, ...  Cells
 * keep their numbers, so a format for machines loses nothing and a format for people rounds.  A number that does not
 * exist is NaN and is shown as a dash, null or an empty field; it is never printed.
 *
 * Texts come from files that nobody vouches for.  On the way in, bytes that are not UTF-8 become '?' and control
 * characters become blanks, so that no format needs to fear a broken XML file or a terminal that obeys.
 *
 * Everything in a document lives in its arena: texts are copied on the way in, and document_free() frees all. */
#ifndef ANALYSIS_DOCUMENT_H
#define ANALYSIS_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "analysis/statistics.h"

struct canvas;

/* How the cells of a column are meant.  The kind decides alignment, rounding, and how many columns a machine gets. */
enum column_kind {
    COLUMN_TEXT,
    COLUMN_COUNT,    /* a whole number */
    COLUMN_NUMBER,   /* a number with `digits` decimals */
    COLUMN_SPREAD,   /* mean ± standard deviation */
    COLUMN_INTERVAL, /* 95 % confidence interval of the mean, [low, high] */
    COLUMN_P,        /* a probability: three decimals, "<0.001" below that */
};

struct report_column {
    enum column_kind kind;
    const char *name; /* for people: "FAA" */
    const char *key;  /* for machines: "faa" */
    const char *unit; /* "" if it has none */
    int digits;
};

struct report_cell {
    const char *text;         /* COLUMN_TEXT; NULL: nothing */
    double number;            /* COLUMN_COUNT, COLUMN_NUMBER, COLUMN_P */
    struct estimate estimate; /* COLUMN_SPREAD, COLUMN_INTERVAL */
    bool best;                /* the best of its column: emphasised */
};

struct report_table {
    const char *id;      /* "ablation": file name, anchor, JSON key; lower-case letters, digits and '-' */
    const char *title;   /* one line */
    const char *caption; /* what the reader must know to read it; "" for nothing */
    int columns_count;
    struct report_column *columns;
    size_t cells_count, cells_room;
    struct report_cell *cells; /* (rows, columns_count) */
};

/* A picture draws itself on any canvas of the size it asks for. */
struct report_picture {
    const char *id, *title;
    const char *description; /* the same in words, for those who cannot see it */
    double width, height;    /* in px at 96 px per inch */
    void (*draw)(struct canvas *c, const void *data);
    const void *data; /* lives at least as long as the document */
};

enum block_kind { BLOCK_HEADING, BLOCK_PARAGRAPH, BLOCK_NOTE, BLOCK_TABLE, BLOCK_PICTURE };

struct report_block {
    enum block_kind kind;
    const char *text;              /* heading, paragraph, note */
    struct report_table *table;    /* BLOCK_TABLE */
    struct report_picture picture; /* BLOCK_PICTURE */
};

struct arena_chunk;

struct document {
    const char *title;
    size_t blocks_count, blocks_room;
    struct report_block *blocks;
    bool pictures_beside; /* pictures lie as <id>.svg and <id>.png beside the file being written */
    bool failed;          /* memory ran out somewhere */
    struct arena_chunk *memory;
};

/* Functions that add to a document do not fail one by one: the first lack of memory is remembered, later calls do
 * nothing, and document_complete() tells. */
void document_start(struct document *d, const char *title);
bool document_complete(const struct document *d); /* false: memory ran out */
void document_free(struct document *d);           /* frees what it owns, not the struct */

void *document_alloc(struct document *d, size_t size); /* zeroed; NULL when memory has run out */
/* A text of the document, "" when memory has run out. */
const char *document_text(struct document *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

void document_heading(struct document *d, const char *text);
void document_paragraph(struct document *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A note qualifies what stands before it: small print that must not be missed. */
void document_note(struct document *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
void document_picture(struct document *d, const struct report_picture *picture);

/* A new table; NULL only when memory has run out, which the functions below accept. */
struct report_table *document_table(struct document *d, const char *id, const char *title, const char *caption,
                                    const struct report_column *columns, int count);
/* Fill the next cell, row by row from the left.  put_nothing() leaves it empty. */
void put_text(struct document *d, struct report_table *t, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void put_number(struct document *d, struct report_table *t, double value);
void put_estimate(struct document *d, struct report_table *t, const struct estimate *value);
void put_nothing(struct document *d, struct report_table *t);

size_t table_rows(const struct report_table *t);
const struct report_cell *table_cell(const struct report_table *t, size_t row, int column);
/* Mark the best row of a column: the largest (sign 1) or smallest (sign -1) mean or number.  Ties are all marked,
 * unless all rows are the same. */
void table_mark_best(struct report_table *t, int column, int sign);
const struct report_table *document_find_table(const struct document *d, const char *id); /* NULL if there is none */

#endif
