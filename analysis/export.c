/* analysis/export.c - see export.h. */
#include "analysis/export.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analysis/formats.h"
#include "analysis/output.h"
#include "io/atomic.h"
#include "io/digest.h"
#include "io/pack.h"

/* A column of a CSV file: where its values lie. */
struct csv_column {
    const char *name, *unit, *help;
    enum field_kind kind;
    const char *base;
    size_t stride;
    bool borrowed; /* a text is pointed to, not held */
};

enum { MOST_COLUMNS = 1200 };

struct csv_table {
    const char *name;
    size_t rows;
    int count;
    struct csv_column column[MOST_COLUMNS];
};

static void add(struct csv_table *t, const struct field *f, const void *rows, size_t stride, size_t at)
{
    if (t->count < MOST_COLUMNS)
        t->column[t->count++] = (struct csv_column){.name = f->name,
                                                    .unit = f->unit,
                                                    .help = f->help,
                                                    .kind = f->kind,
                                                    .base = rows ? (const char *)rows + at : NULL,
                                                    .stride = stride};
}

static void add_fields(struct csv_table *t, const struct table *fields, int first, int last, const void *rows,
                       size_t stride, size_t at)
{
    for (int i = first; i < last; i++)
        add(t, &fields->fields[i], rows, stride, at + fields->fields[i].offset);
}

static void add_columns(struct csv_table *t, const struct results *r)
{
    for (int i = 0; i < r->columns_count && t->count < MOST_COLUMNS; i++) {
        const struct results_column *c = &r->columns[i];
        struct csv_column *to = &t->column[t->count++];
        *to = (struct csv_column){.name = c->name, .unit = c->unit, .help = c->help, .kind = c->kind};
        to->base = c->kind == FIELD_INT    ? (const char *)c->integers
                   : c->kind == FIELD_REAL ? (const char *)c->reals
                                           : (const char *)c->texts;
        to->stride = c->kind == FIELD_TEXT ? sizeof *c->texts : 8;
        to->borrowed = c->kind == FIELD_TEXT;
    }
}

/* --- the tables: one function says where each one's values lie --- */

static void lay_trials(struct csv_table *t, const struct results *r)
{
    int before = (int)(table_field(&table_trials, "seed") - table_trials.fields) +
                 1; /* as in the file: options after the seed */

    t->rows = r->trials_count;
    add_fields(t, &table_trials, 0, before, r->trials, sizeof *r->trials, 0);
    add_columns(t, r);
    add_fields(t, &table_trials, before, table_trials.count, r->trials, sizeof *r->trials, 0);
}

static void lay_accuracy(struct csv_table *t, const struct results *r)
{
    t->rows = r->accuracy_count;
    add(t, &table_trials.fields[0], r->accuracy, sizeof *r->accuracy, offsetof(struct accuracy_result, trial));
    add_fields(t, &table_accuracy, 0, table_accuracy.count, r->accuracy, sizeof *r->accuracy,
               offsetof(struct accuracy_result, row));
}

static void lay_training(struct csv_table *t, const struct results *r)
{
    t->rows = r->training_count;
    add(t, &table_trials.fields[0], r->training, sizeof *r->training, offsetof(struct training_result, trial));
    add_fields(t, &table_training, 0, table_training.count, r->training, sizeof *r->training,
               offsetof(struct training_result, row));
}

static void lay_attempts(struct csv_table *t, const struct results *r)
{
    t->rows = r->attempts_count;
    add_fields(t, &table_attempts, 0, table_attempts.count, r->attempts, sizeof *r->attempts, 0);
}

static void lay_stages(struct csv_table *t, const struct results *r)
{
    t->rows = r->stages_count;
    add_fields(t, &table_stages, 0, table_stages.count, r->stages, sizeof *r->stages, 0);
}

static void lay_options(struct csv_table *t, const struct results *r)
{
    const struct field *f = table_options.fields;

    t->rows = r->options_count;
    add(t, &f[0], r->options, sizeof *r->options, offsetof(struct option_result, trial));
    add(t, &f[1], r->options, sizeof *r->options, offsetof(struct option_result, option));
    add(t, &f[2], r->options, sizeof *r->options, offsetof(struct option_result, value));
    t->column[1].borrowed = t->column[2].borrowed = true;
}

static const struct {
    const struct table *table;
    void (*lay)(struct csv_table *t, const struct results *r);
} tables[] = {
    {&table_trials, lay_trials},     {&table_accuracy, lay_accuracy}, {&table_training, lay_training},
    {&table_attempts, lay_attempts}, {&table_stages, lay_stages},     {&table_options, lay_options},
};
enum { TABLES = sizeof tables / sizeof *tables };

/* --- writing --- */

static void write_value(FILE *out, const struct csv_column *c, size_t row)
{
    const char *at = c->base + row * c->stride;
    char number[32];
    int64_t integer;
    double real;

    if (c->kind == FIELD_INT) {
        memcpy(&integer, at, sizeof integer);
        fprintf(out, "%" PRId64, integer);
    } else if (c->kind == FIELD_REAL) {
        memcpy(&real, at, sizeof real);
        fputs(number_in_full(real, number), out);
    } else {
        write_csv_field(out, c->borrowed ? *(const char *const *)at : at);
    }
}

static void write_table(FILE *out, const struct csv_table *t)
{
    for (int c = 0; c < t->count; c++)
        fprintf(out, "%s%s", c ? "," : "", t->column[c].name);
    putc('\n', out);
    for (size_t r = 0; r < t->rows; r++) {
        for (int c = 0; c < t->count; c++) {
            fputs(c ? "," : "", out);
            write_value(out, &t->column[c], r);
        }
        putc('\n', out);
    }
}

static void write_attributes(FILE *out, const struct results *r)
{
    fputs("name,text\n", out);
    for (int i = 0; i < r->attributes_count; i++) {
        write_csv_field(out, r->attributes[i].name);
        putc(',', out);
        write_csv_field(out, r->attributes[i].text);
        putc('\n', out);
    }
}

static void write_fields(FILE *out, const struct csv_table *t)
{
    for (int c = 0; c < t->count; c++) {
        const char *const texts[] = {t->name, t->column[c].name, t->column[c].unit, t->column[c].help};
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            fputs(i ? "," : "", out);
            write_csv_field(out, texts[i]);
        }
        putc('\n', out);
    }
}

/* A file of the folder, through a stream onto its temporary file. */
struct csv_file {
    struct atomic_file disk;
    FILE *out;
};

static FILE *start_file(struct csv_file *f, const char *folder, const char *name, err *e)
{
    char *path;

    f->out = NULL;
    if (asprintf(&path, "%s/%s.csv", folder, name) < 0) {
        err_set(e, ERR_NOMEM, "%s: no memory to write into it", folder);
        return NULL;
    }
    if (!atomic_open(&f->disk, path, e)) {
        int fd = dup(f->disk.fd);
        f->out = fd < 0 ? NULL : fdopen(fd, "w");
        if (!f->out) {
            err_errno(e, "%s: cannot be written", path);
            if (fd >= 0)
                close(fd);
            atomic_abandon(&f->disk);
        }
    }
    free(path);
    return f->out;
}

static int end_file(struct csv_file *f, const char *folder, const char *name, FILE *told, err *e)
{
    bool lost = ferror(f->out) != 0;

    if (fclose(f->out) || lost) {
        err_errno(e, "%s/%s.csv: cannot be written", folder, name);
        atomic_abandon(&f->disk);
    } else if (!atomic_commit(&f->disk, e) && told) {
        fprintf(told, "%s/%s.csv\n", folder, name);
    }
    return e->code;
}

int export_csv(const struct results *r, const char *folder, FILE *told, err *e)
{
    struct csv_table *t = calloc(TABLES, sizeof *t);
    struct csv_file f;

    if (!t)
        return err_set(e, ERR_NOMEM, "%s: no memory to write into it", folder);
    for (int i = 0; i < TABLES; i++) {
        t[i].name = tables[i].table->name;
        tables[i].lay(&t[i], r);
    }
    output_make_folder(folder, e);
    for (int i = 0; i < TABLES && !e->code; i++)
        if (start_file(&f, folder, t[i].name, e)) {
            write_table(f.out, &t[i]);
            end_file(&f, folder, t[i].name, told, e);
        }
    if (!e->code && start_file(&f, folder, "attributes", e)) {
        write_attributes(f.out, r);
        end_file(&f, folder, "attributes", told, e);
    }
    if (!e->code && start_file(&f, folder, "fields", e)) {
        fputs("table,field,unit,help\n", f.out);
        for (int i = 0; i < TABLES; i++)
            write_fields(f.out, &t[i]);
        end_file(&f, folder, "fields", told, e);
    }
    free(t);
    return e->code;
}

/* --- the pack --- */

static int by_key(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* The distinct keys of the stages, sorted; malloc'd, and borrowed from r. */
static const char **stage_keys(const struct results *r, size_t *count, err *e)
{
    const char **keys = malloc((r->stages_count + 1) * sizeof *keys);
    struct digest key;
    size_t n = 0;

    *count = 0;
    if (!keys) {
        err_set(e, ERR_NOMEM, "no memory for %zu stages", r->stages_count);
        return NULL;
    }
    for (size_t i = 0; i < r->stages_count; i++) /* a key becomes a path: it must be one */
        if (digest_from_hex(r->stages[i].stage_key, &key))
            keys[n++] = r->stages[i].stage_key;
    qsort(keys, n, sizeof *keys, by_key);
    for (size_t i = 0; i < n; i++)
        if (!i || strcmp(keys[i], keys[i - 1]))
            keys[(*count)++] = keys[i];
    return keys;
}

int export_pack(const struct results *r, const char *path, const char *folder, const char *to, size_t *packed,
                size_t *gone, uint64_t *bytes, err *e)
{
    size_t count;
    const char **keys = stage_keys(r, &count, e);
    struct pack_part *parts = calloc(count + 1, sizeof *parts);
    char **texts = calloc(2 * count + 1, sizeof *texts);
    bool ok = keys && parts && texts;

    *packed = *gone = 0;
    for (size_t i = 0; ok && i < count; i++) {
        char **file = &texts[2 * i], **group = &texts[2 * i + 1];
        if (asprintf(file, "%s/checkpoints/%s.h5", folder, keys[i]) < 0)
            *file = NULL;
        if (asprintf(group, "checkpoints/%s", keys[i]) < 0)
            *group = NULL;
        ok = *file && *group;
        if (ok && access(*file, F_OK) == 0)
            parts[(*packed)++] = (struct pack_part){*file, *group};
        else
            ++*gone;
    }
    if (ok)
        pack_write(path, parts, *packed, to, bytes, e);
    else if (!e->code)
        err_set(e, ERR_NOMEM, "no memory for %zu checkpoints", count);
    for (size_t i = 0; texts && i < 2 * count; i++)
        free(texts[i]);
    free(texts);
    free(parts);
    free(keys);
    return e->code;
}
