/* io/store.h - results.h5: the tidy tables of a sweep, written whole and read whole.
 *
 * /trials /accuracy /training /attempts /stages /options are compound data sets with one row each for a trial, an
 * evaluation, ... (io/tables.h, docs/interface.md section 4), of plain types only: 64-bit integers, doubles and UTF-8
 * texts of a fixed length, which is chosen to fit the longest.  They are chunked, shuffled, deflated and checksummed.
 * A data set's attributes "<field>.unit", "<field>.help" and, for a varied option, "<field>.option" say what its fields
 * are; "digest" is that of its rows and compared when they are read.  The attributes of / are the sweep's provenance as
 * text, and schema_version. */
#ifndef IO_STORE_H
#define IO_STORE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "io/err.h"
#include "io/h5.h"
#include "io/tables.h"

enum { RESULTS_SCHEMA = 1 };

enum results_tables {
    RESULTS_TRIALS = 1,
    RESULTS_ACCURACY = 2,
    RESULTS_TRAINING = 4,
    RESULTS_ATTEMPTS = 8,
    RESULTS_STAGES = 16,
    RESULTS_OPTIONS = 32,
    RESULTS_ALL = 63
};

/* An option that the sweep varies: a field of /trials between seed and faa, with a value for each trial. */
struct results_column {
    char name[NAME_SIZE];   /* the option's key with '_' for '.' */
    char option[NAME_SIZE]; /* the key */
    char unit[NAME_SIZE], help[TEXT_SIZE];
    enum field_kind kind; /* FIELD_INT, FIELD_REAL or FIELD_TEXT; the one of these arrays that holds the values: */
    const int64_t *integers;
    const double *reals;
    const char *const *texts;
};

struct accuracy_result {
    int64_t trial;
    struct accuracy_row row;
};

struct training_result {
    int64_t trial;
    struct training_row row;
};

struct option_result {
    int64_t trial;
    const char *option, *value;
};

struct results_attribute {
    const char *name, *text;
};

/* To write: everything is borrowed.  As read: everything is owned, released by results_free(). */
struct results {
    size_t trials_count, accuracy_count, training_count, attempts_count, stages_count, options_count;
    int columns_count, attributes_count;
    const struct trial_row *trials;
    const struct results_column *columns;
    const struct accuracy_result *accuracy;
    const struct training_result *training;
    const struct attempt_row *attempts;
    const struct stage_row *stages;
    const struct option_result *options;
    const struct results_attribute *attributes;
    void *memory; /* private */
};

/* Write the file anew, complete or not at all.  ERR_STORAGE; ERR_NOMEM; ERR_BUG if two fields or attributes have one
 * name. */
int results_write(const char *path, const struct results *r, err *e);
/* ERR_MISSING if there is no such file; ERR_DAMAGED if it is damaged or no results.h5 (it must have every table with
 * every field in its type, but for measurements and texts, which read as NaN and "" where an older program did not write them;
 * further fields of /trials are columns, further attributes that are text are kept). */
int results_read(const char *path, struct results *out, err *e);
/* The same for some tables only, for readers in a hurry: `tables` is an or of enum results_tables.  The others stay empty; they
 * must be there, but their rows are not looked at. */
int results_read_tables(const char *path, unsigned tables, struct results *out, err *e);
/* The same in steps, all from one moment of a sweep that runs; h5_close() in the end. */
int results_open(const char *path, h5 **out, err *e);
int results_take(h5 *file, unsigned tables, struct results *out, err *e);

/* Some rows of a table as they lie in the file, and where in each of them the fields lie that were asked for. */
struct results_block {
    size_t first, count; /* of the rows */
    const char *rows;
    size_t row_bytes;
    const struct results_place {
        size_t at, width; /* width 0: an older program did not write this field */
    } * place;
};
static inline int64_t block_integer(const struct results_block *b, size_t row, int field)
{
    int64_t value;

    memcpy(&value, b->rows + row * b->row_bytes + b->place[field].at, sizeof value);
    return value;
}
static inline double block_real(const struct results_block *b, size_t row, int field)
{
    double value;

    memcpy(&value, b->rows + row * b->row_bytes + b->place[field].at, sizeof value);
    return value;
}
/* Not terminated where it fills its width. */
static inline const char *block_text(const struct results_block *b, size_t row, int field, size_t *width)
{
    *width = b->place[field].width;
    return b->rows + row * b->row_bytes + b->place[field].at;
}
/* Show a table's rows to `take`, block by block, without keeping them: for tables too long for memory.  `fields` are names; the
 * table's digest is compared after the last block, so what was taken is to be believed only if this returns 0. */
typedef int results_visitor(void *context, const struct results_block *block, err *e);
int results_scan(h5 *file, enum results_tables table, const char *const *fields, int count, results_visitor *take,
                 void *context, err *e);
void results_free(struct results *r); /* harmless twice, and after a failure */

/* The column of an option's key or field name; NULL if it does not vary. */
const struct results_column *results_column(const struct results *r, const char *name);
/* An attribute of /; NULL if there is none.  Among those of a file is "digest", which results_write() adds. */
const char *results_attribute(const struct results *r, const char *name);

#endif
