/* io/store.c - see store.h.
 *
 * A table is a list of members: where in memory a field's values lie and where in a row of the file.  Rows are packed
 * and unpacked here, a block at a time, and not by HDF5, whose conversion of compounds is many times slower. */
#include "io/store.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/h5_internal.h"
#include "io/row_blocks.h"

enum {
    BLOCK_BYTES = 8 << 20,   /* packed at a time */
    DEFLATE_FAST = 1,        /* tables are regular: higher levels cost more time than they save bytes */
    WIDTH_STEP = 8,          /* texts are padded to a multiple */
    FIELDS_LIMIT = 1000,     /* of a file's table */
    ROW_LIMIT = 1 << 20,     /* bytes of a file's row */
    ATTRIBUTES_LIMIT = 10000 /* of / */
};

struct member {
    const char *name, *unit, *help, *option; /* option: NULL but for a column */
    enum field_kind kind;
    char *base;    /* of the first row's value in memory */
    size_t stride; /* to the next row's */
    bool borrowed; /* a text: base points to pointers to texts, not to texts */
    size_t width;  /* bytes in the file */
    size_t at;     /* offset in the file's row */
    bool absent;   /* from the file that is read */
};

struct layout {
    const char *table;
    struct member *members;
    int count, room;
    size_t rows, row_bytes; /* of the file */
};

/* ---------------------------------------------------------------- members */

static struct member *layout_add(struct layout *l)
{
    if (l->count == l->room) {
        int room = l->room ? 2 * l->room : 32;
        struct member *grown = realloc(l->members, (size_t)room * sizeof *grown);

        if (!grown)
            return NULL;
        l->members = grown;
        l->room = room;
    }
    l->members[l->count] = (struct member){0};
    return &l->members[l->count++];
}

/* Fields `first` to `last` - 1 of a table whose rows lie `stride` apart in memory. */
static bool layout_fields(struct layout *l, const struct table *t, int first, int last, const void *rows, size_t stride)
{
    for (int i = first; i < last; i++) {
        const struct field *f = &t->fields[i];
        struct member *m = layout_add(l);

        if (!m)
            return false;
        *m = (struct member){.name = f->name,
                             .unit = f->unit,
                             .help = f->help,
                             .kind = f->kind,
                             .base = rows ? (char *)rows + f->offset : NULL,
                             .stride = stride};
    }
    return true;
}

static bool layout_single(struct layout *l, const struct field *f, enum field_kind kind, const void *values,
                          size_t stride, bool borrowed)
{
    struct member *m = layout_add(l);

    if (m)
        *m = (struct member){.name = f->name,
                             .unit = f->unit,
                             .help = f->help,
                             .kind = kind,
                             .base = (char *)values,
                             .stride = stride,
                             .borrowed = borrowed};
    return m != NULL;
}

static const void *column_values(const struct results_column *c)
{
    return c->kind == FIELD_INT ? (const void *)c->integers : c->kind == FIELD_REAL ? (const void *)c->reals : c->texts;
}

static size_t column_stride(enum field_kind kind)
{
    return kind == FIELD_INT ? sizeof(int64_t) : kind == FIELD_REAL ? sizeof(double) : sizeof(char *);
}

/* Number of fields of /trials up to the columns. */
static int fields_before_columns(void)
{
    return (int)(table_field(&table_trials, "seed") - table_trials.fields) + 1;
}

static bool trials_layout(struct layout *l, const struct results *r)
{
    int before = fields_before_columns();
    bool good = layout_fields(l, &table_trials, 0, before, r->trials, sizeof *r->trials);

    for (int i = 0; i < r->columns_count && good; i++) {
        const struct results_column *c = &r->columns[i];
        const struct field f = {.name = c->name, .unit = c->unit, .help = c->help};

        good = layout_single(l, &f, c->kind, column_values(c), column_stride(c->kind), c->kind == FIELD_TEXT);
        if (good)
            l->members[l->count - 1].option = c->option;
    }
    return good && layout_fields(l, &table_trials, before, table_trials.count, r->trials, sizeof *r->trials);
}

/* The trial's number in front of a table's own fields. */
static bool numbered_layout(struct layout *l, const struct table *t, const void *rows, size_t stride, size_t trial_at,
                            size_t row_at)
{
    return layout_single(l, &table_trials.fields[0], FIELD_INT, rows ? (const char *)rows + trial_at : NULL, stride,
                         false) &&
           layout_fields(l, t, 0, t->count, rows ? (const char *)rows + row_at : NULL, stride);
}

static bool options_layout(struct layout *l, const struct option_result *rows)
{
    const struct field *f = table_options.fields;
    const size_t stride = sizeof *rows;

    return layout_single(l, &f[0], FIELD_INT, rows ? &rows->trial : NULL, stride, false) &&
           layout_single(l, &f[1], FIELD_TEXT, rows ? &rows->option : NULL, stride, true) &&
           layout_single(l, &f[2], FIELD_TEXT, rows ? &rows->value : NULL, stride, true);
}

enum { TABLES = 6 };

static void layouts_free(struct layout layouts[TABLES])
{
    for (int t = 0; t < TABLES; t++)
        free(layouts[t].members);
}

/* Where everything lies in memory. */
static bool layouts_make(struct layout l[TABLES], const struct results *r)
{
    l[0] = (struct layout){.table = table_trials.name, .rows = r->trials_count};
    l[1] = (struct layout){.table = table_accuracy.name, .rows = r->accuracy_count};
    l[2] = (struct layout){.table = table_training.name, .rows = r->training_count};
    l[3] = (struct layout){.table = table_attempts.name, .rows = r->attempts_count};
    l[4] = (struct layout){.table = table_stages.name, .rows = r->stages_count};
    l[5] = (struct layout){.table = table_options.name, .rows = r->options_count};
    return trials_layout(&l[0], r) &&
           numbered_layout(&l[1], &table_accuracy, r->accuracy, sizeof *r->accuracy,
                           offsetof(struct accuracy_result, trial), offsetof(struct accuracy_result, row)) &&
           numbered_layout(&l[2], &table_training, r->training, sizeof *r->training,
                           offsetof(struct training_result, trial), offsetof(struct training_result, row)) &&
           layout_fields(&l[3], &table_attempts, 0, table_attempts.count, r->attempts, sizeof *r->attempts) &&
           layout_fields(&l[4], &table_stages, 0, table_stages.count, r->stages, sizeof *r->stages) &&
           options_layout(&l[5], r->options);
}

static bool is_text(enum field_kind kind)
{
    return kind != FIELD_INT && kind != FIELD_REAL;
}

/* The text of row i and its length. */
static const char *member_text(const struct member *m, size_t i, size_t *length)
{
    const char *at = m->base + i * m->stride;

    if (m->borrowed) {
        at = *(const char *const *)at;
        *length = at ? strlen(at) : 0;
    } else {
        *length = strnlen(at, field_size(m->kind) - 1);
    }
    return at;
}

/* ---------------------------------------------------------------- writing */

/* Give each member its place in the file's row. */
static void layout_measure(struct layout *l)
{
    l->row_bytes = 0;
    for (int k = 0; k < l->count; k++) {
        struct member *m = &l->members[k];
        size_t longest = 0, length;

        for (size_t i = 0; is_text(m->kind) && i < l->rows; i++) {
            member_text(m, i, &length);
            longest = length > longest ? length : longest;
        }
        m->width = is_text(m->kind) ? (longest + WIDTH_STEP) / WIDTH_STEP * WIDTH_STEP : 8;
        m->at = l->row_bytes;
        l->row_bytes += m->width;
    }
}

static const char *duplicate_name(const struct layout *l)
{
    for (int i = 0; i < l->count; i++)
        for (int j = 0; j < i; j++)
            if (!strcmp(l->members[i].name, l->members[j].name))
                return l->members[i].name;
    return NULL;
}

static hid_t member_type(const struct member *m)
{
    return m->kind == FIELD_INT    ? H5Tcopy(H5T_STD_I64LE)
           : m->kind == FIELD_REAL ? H5Tcopy(H5T_IEEE_F64LE)
                                   : h5_text_type(m->width);
}

static hid_t row_type(const struct layout *l)
{
    hid_t row = H5Tcreate(H5T_COMPOUND, l->row_bytes);

    for (int k = 0; k < l->count; k++) {
        hid_t type = member_type(&l->members[k]);

        H5Tinsert(row, l->members[k].name, l->members[k].at, type);
        H5Tclose(type);
    }
    return row;
}

static void pack(const struct layout *l, size_t first, size_t count, char *block)
{
    for (int k = 0; k < l->count; k++) {
        const struct member *m = &l->members[k];
        size_t length;

        for (size_t i = 0; i < count; i++) {
            char *to = block + i * l->row_bytes + m->at;

            if (!is_text(m->kind)) {
                memcpy(to, m->base + (first + i) * m->stride, 8);
            } else {
                const char *text = member_text(m, first + i, &length);

                memcpy(to, length ? text : "", length);
                memset(to + length, 0, m->width - length);
            }
        }
    }
}

static size_t block_rows(size_t row_bytes, size_t bytes)
{
    return row_bytes < bytes ? bytes / row_bytes : 1;
}

static bool write_rows(const struct layout *l, hid_t array, hid_t type, struct digester *d)
{
    size_t step = block_rows(l->row_bytes, BLOCK_BYTES);
    char *block = malloc((step < l->rows ? step : l->rows) * l->row_bytes + 1);
    hid_t space = H5Dget_space(array);
    bool good = block != NULL;

    for (size_t first = 0; first < l->rows && good; first += step) {
        hsize_t start = first, count = l->rows - first < step ? l->rows - first : step;
        hid_t memory = H5Screate_simple(1, &count, NULL);

        pack(l, first, count, block);
        digester_add(d, block, count * l->row_bytes);
        good = H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, NULL, &count, NULL) >= 0 &&
               H5Dwrite(array, type, memory, space, H5P_DEFAULT, block) >= 0;
        H5Sclose(memory);
    }
    H5Sclose(space);
    free(block);
    return good;
}

static bool write_member_attribute(hid_t array, const struct member *m, const char *what, const char *text)
{
    char name[2 * NAME_SIZE];

    if (!text || !*text)
        return true;
    snprintf(name, sizeof name, "%s.%s", m->name, what);
    return h5_attribute_write(array, name, h5_text_type(strlen(text) + 1), text);
}

static int write_table(h5 *file, struct layout *l, err *e)
{
    hsize_t rows = l->rows, chunk;
    hid_t type, list, space, array;
    const char *twice = duplicate_name(l);
    struct digester d;
    struct digest digest;
    char hex[DIGEST_HEX];
    bool good;

    if (twice)
        return err_set(e, ERR_BUG, "%s: two fields of %s have the name %s", file->path, l->table, twice);
    layout_measure(l);
    type = row_type(l);
    list = h5_create_list(H5P_DATASET_CREATE);
    space = H5Screate_simple(1, &rows, NULL);
    if (rows) { /* a table without rows has no chunks */
        chunk = block_rows(l->row_bytes, H5_CHUNK_BYTES);
        chunk = chunk < rows ? chunk : rows;
        H5Pset_chunk(list, 1, &chunk);
        H5Pset_shuffle(list);
        H5Pset_deflate(list, DEFLATE_FAST);
        H5Pset_fletcher32(list);
    }
    array = H5Dcreate2(file->id, l->table, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    h5_entry_start(&d, l->table, H5_TYPES, 1, &l->rows);
    good = array >= 0 && write_rows(l, array, type, &d);
    digest = digester_end(&d);
    digest_to_hex(&digest, hex);
    good = good && h5_attribute_write(array, "digest", h5_text_type(sizeof hex), hex) &&
           h5_entries_add(&file->entries, l->table, &digest);
    for (int k = 0; k < l->count && good; k++)
        good = write_member_attribute(array, &l->members[k], "unit", l->members[k].unit) &&
               write_member_attribute(array, &l->members[k], "help", l->members[k].help) &&
               write_member_attribute(array, &l->members[k], "option", l->members[k].option);
    if (array >= 0)
        good = H5Dclose(array) >= 0 && good;
    H5Sclose(space);
    H5Pclose(list);
    H5Tclose(type);
    return good ? 0 : h5_fail(file, ERR_NOMEM, l->table, "cannot be written", e);
}

int results_write(const char *path, const struct results *r, err *e)
{
    struct layout layouts[TABLES] = {{0}};
    int status;
    h5 *file;

    if (h5_create(path, &file, e))
        return e->code;
    status = layouts_make(layouts, r) ? 0 : err_set(e, ERR_NOMEM, "%s: out of memory", path);
    if (!status)
        status = h5_write_number(file, "schema_version", RESULTS_SCHEMA, e);
    for (int i = 0; i < r->attributes_count && !status; i++)
        status = h5_write_text(file, r->attributes[i].name, r->attributes[i].text, e);
    for (int t = 0; t < TABLES && !status; t++)
        status = write_table(file, &layouts[t], e);
    layouts_free(layouts);
    if (!status)
        return h5_commit(file, NULL, e);
    h5_close(file);
    return status;
}

/* ---------------------------------------------------------------- memory of what is read */

struct memory {
    void **block;
    size_t count, room;
};

/* Zero-filled memory that lives as long as the results. */
static void *keep(struct results *r, size_t count, size_t size)
{
    struct memory *m = r->memory;
    void *block;

    if (m->count == m->room) {
        size_t room = m->room ? 2 * m->room : 64;
        void **grown = realloc(m->block, room * sizeof *grown);

        if (!grown)
            return NULL;
        m->block = grown;
        m->room = room;
    }
    block = calloc(count + 1, size);
    if (block)
        m->block[m->count++] = block;
    return block;
}

void results_free(struct results *r)
{
    struct memory *m = r->memory;

    for (size_t i = 0; m && i < m->count; i++)
        free(m->block[i]);
    if (m)
        free(m->block);
    free(m);
    *r = (struct results){0};
}

/* ---------------------------------------------------------------- reading */

/* An open table of a file. */
struct stored {
    const char *name;
    hid_t array, type;
    size_t rows, row_bytes;
    int members;
};

static void stored_close(struct stored *s)
{
    if (s->type >= 0)
        H5Tclose(s->type);
    if (s->array >= 0)
        H5Dclose(s->array);
}

static const char *stored_describe(struct stored *s)
{
    hid_t space = H5Dget_space(s->array);
    hsize_t rows = 0;
    bool simple = H5Sget_simple_extent_type(space) == H5S_SIMPLE && H5Sget_simple_extent_ndims(space) == 1 &&
                  H5Sget_simple_extent_dims(space, &rows, NULL) == 1;
    size_t bytes;

    H5Sclose(space);
    if (!simple)
        return "is not a list of rows";
    if (H5Tget_class(s->type) != H5T_COMPOUND)
        return "does not consist of fields";
    s->rows = rows;
    s->row_bytes = H5Tget_size(s->type);
    s->members = H5Tget_nmembers(s->type);
    if (s->row_bytes == 0 || s->row_bytes > ROW_LIMIT || s->members < 1 || s->members > FIELDS_LIMIT)
        return "has too many or too long fields";
    if (__builtin_mul_overflow(s->rows, s->row_bytes, &bytes))
        return "claims an impossible number of rows";
    return h5_storage_wrong(s->array, 1, s->row_bytes, bytes);
}

static int stored_open(h5 *file, const char *name, struct stored *s, err *e)
{
    const char *wrong;

    *s = (struct stored){.name = name, .array = -1, .type = -1};
    if (!h5_has(file, name))
        return err_set(e, ERR_DAMAGED, "%s: is not a results file: there is no table %s", file->path, name);
    s->array = H5Dopen2(file->id, name, H5P_DEFAULT);
    if (s->array >= 0)
        s->type = H5Dget_type(s->array);
    if (s->type < 0) {
        h5_fail(file, ERR_DAMAGED, name, "cannot be opened", e);
    } else if ((wrong = stored_describe(s))) {
        err_set(e, ERR_DAMAGED, "%s: table %s %s", file->path, name, wrong);
        H5Eclear2(H5E_DEFAULT);
    } else {
        return 0;
    }
    stored_close(s);
    return e->code;
}

/* Kind and width of the file's i-th member; false if it is of no kind that we write. */
static bool stored_member(const struct stored *s, unsigned i, enum field_kind *kind, size_t *width, size_t *at)
{
    hid_t type = H5Tget_member_type(s->type, i);
    bool known = true;

    *at = H5Tget_member_offset(s->type, i);
    *width = H5Tget_size(type);
    if (H5Tequal(type, H5T_STD_I64LE) > 0)
        *kind = FIELD_INT;
    else if (H5Tequal(type, H5T_IEEE_F64LE) > 0)
        *kind = FIELD_REAL;
    else if (H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0)
        *kind = FIELD_TEXT;
    else
        known = false;
    H5Tclose(type);
    return known && *width <= s->row_bytes && *at <= s->row_bytes - *width;
}

/* Measurements and remarks that a file from an older program lacks are read as none: NaN, or the empty text. */
static bool may_be_absent(const struct layout *l, const struct member *m)
{
    return m->kind == FIELD_REAL || (m->kind == FIELD_TEXT && !m->borrowed) ||
           (!strcmp(l->table, table_attempts.name) && !strcmp(m->name, "kind"));
}

/* Find each member of the layout in the file. */
static int layout_match(h5 *file, struct layout *l, const struct stored *s, err *e)
{
    for (int k = 0; k < l->count; k++) {
        struct member *m = &l->members[k];
        int i = H5Tget_member_index(s->type, m->name);
        enum field_kind kind;

        H5Eclear2(H5E_DEFAULT);
        m->absent = i < 0 && may_be_absent(l, m);
        if (m->absent)
            continue;
        if (i < 0)
            return err_set(e, ERR_DAMAGED, "%s: table %s has no field %s", file->path, s->name, m->name);
        if (!stored_member(s, (unsigned)i, &kind, &m->width, &m->at) ||
            kind != (is_text(m->kind) ? FIELD_TEXT : m->kind))
            return err_set(e, ERR_DAMAGED, "%s: field %s of table %s has the wrong type", file->path, m->name, s->name);
    }
    return 0;
}

/* Texts that are pointed to get memory of their own, as wide as in the file. */
static bool unpack_text(struct results *r, const struct member *m, size_t count, size_t first, const char *block,
                        size_t row_bytes)
{
    char *own = m->borrowed ? keep(r, count, m->width + 1) : NULL;

    if (m->borrowed && !own)
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *from = block + i * row_bytes + m->at;
        char *to = m->base + (first + i) * m->stride;
        size_t length = strnlen(from, m->width);

        if (m->borrowed) {
            memcpy(own + i * (m->width + 1), from, length);
            *(const char **)to = own + i * (m->width + 1);
        } else if (length < field_size(m->kind)) {
            memcpy(to, from, length);
        } else {
            return false;
        }
    }
    return true;
}

static bool unpack(struct results *r, const struct layout *l, size_t first, size_t count, const char *block,
                   size_t row_bytes)
{
    bool good = true;

    for (int k = 0; k < l->count && good; k++) {
        const struct member *m = &l->members[k];

        if (m->absent && is_text(m->kind))
            continue; /* the places are zero-filled */
        if (m->absent)
            for (size_t i = 0; i < count; i++)
                *(double *)(m->base + (first + i) * m->stride) = NAN;
        else if (is_text(m->kind))
            good = unpack_text(r, m, count, first, block, row_bytes);
        else
            for (size_t i = 0; i < count; i++)
                memcpy(m->base + (first + i) * m->stride, block + i * row_bytes + m->at, 8);
    }
    return good;
}

/* An attribute of a table, where there is one and it is a text that fits; "" otherwise.  False if it cannot be read. */
static bool table_attribute(const struct stored *s, const char *name, char *to, size_t size)
{
    htri_t exists = H5Aexists(s->array, name);
    hid_t attribute, type;
    bool good;

    *to = '\0';
    if (exists <= 0)
        return exists == 0;
    if ((attribute = H5Aopen(s->array, name, H5P_DEFAULT)) < 0)
        return false;
    type = H5Aget_type(attribute);
    good = type >= 0;
    if (good && H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 && H5Tget_size(type) <= size &&
        H5Aget_storage_size(attribute) == H5Tget_size(type)) {
        memset(to, 0, size);
        good = H5Aread(attribute, type, to) >= 0;
        to[size - 1] = '\0';
    }
    H5Tclose(type);
    H5Aclose(attribute);
    return good;
}

/* Compare the digest of a table's rows with the one recorded beside them. */
static int check_digest(h5 *file, const struct stored *s, const struct digest *found, err *e)
{
    struct digest recorded;
    char hex[DIGEST_HEX];

    if (!table_attribute(s, "digest", hex, sizeof hex))
        return h5_fail(file, ERR_DAMAGED, s->name, "its digest cannot be read", e);
    if (!digest_from_hex(hex, &recorded))
        return err_set(e, ERR_DAMAGED, "%s: table %s has no digest", file->path, s->name);
    if (!digest_equal(&recorded, found))
        return err_set(e, ERR_DAMAGED, "%s: table %s is not what was written (the digest differs)", file->path,
                       s->name);
    return 0;
}

/* Who is shown the rows of a table. */
struct scan {
    const struct stored *table;
    const struct results_place *place;
    results_visitor *take;
    void *context;
};

static int take_block(void *context, size_t first, size_t count, const char *rows, err *e)
{
    const struct scan *s = context;
    const struct results_block block = {first, count, rows, s->table->row_bytes, s->place};

    return s->take(s->context, &block, e);
}

/* Show all rows of a table to `take`, and compare their digest. */
static int each_block(h5 *file, const struct stored *s, const struct results_place *place, results_visitor *take,
                      void *context, err *e)
{
    const struct row_list rows = {file, s->name, s->array, s->type, s->rows, s->row_bytes};
    struct scan scan = {s, place, take, context};
    struct digester d;
    struct digest digest;

    h5_entry_start(&d, s->name, H5_TYPES, 1, &s->rows);
    if (row_blocks_each(&rows, take_block, &scan, &d, e))
        return e->code;
    digest = digester_end(&d);
    return check_digest(file, s, &digest, e);
}

struct unpacking {
    const h5 *file;
    struct results *results;
    const struct layout *layout;
};

static int take_rows(void *context, const struct results_block *b, err *e)
{
    const struct unpacking *u = context;

    return unpack(u->results, u->layout, b->first, b->count, b->rows, b->row_bytes)
               ? 0
               : err_set(e, ERR_DAMAGED, "%s: table %s holds a text that is too long", u->file->path, u->layout->table);
}

/* Read all rows of a table into the places of its layout, which are zero-filled. */
static int read_rows(h5 *file, struct results *r, struct layout *l, const struct stored *s, err *e)
{
    struct unpacking u = {file, r, l};

    if (layout_match(file, l, s, e))
        return e->code;
    return each_block(file, s, NULL, take_rows, &u, e);
}

/* "<column>.<what>" of /trials. */
static bool column_attribute(const struct stored *s, const char *column, const char *what, char *to, size_t size)
{
    char name[2 * NAME_SIZE];

    snprintf(name, sizeof name, "%s.%s", column, what);
    return table_attribute(s, name, to, size);
}

/* The values of a column that is about to be read. */
static bool column_room(struct results *r, struct results_column *c)
{
    void *values = keep(r, r->trials_count, column_stride(c->kind));

    if (c->kind == FIELD_INT)
        c->integers = values;
    else if (c->kind == FIELD_REAL)
        c->reals = values;
    else
        c->texts = values;
    return values != NULL;
}

/* The fields of /trials that are not fixed. */
static int find_columns(h5 *file, struct results *r, const struct stored *s, err *e)
{
    struct results_column *columns = keep(r, (size_t)s->members, sizeof *columns);

    r->columns = columns;
    for (int i = 0; columns && i < s->members; i++) {
        struct results_column *c = &columns[r->columns_count];
        char *name = H5Tget_member_name(s->type, (unsigned)i);
        bool fits = name && strlen(name) < NAME_SIZE, fixed = fits && table_field(&table_trials, name);
        size_t width, at;

        if (fits)
            strcpy(c->name, name);
        H5free_memory(name);
        if (fixed)
            continue;
        if (!fits || !stored_member(s, (unsigned)i, &c->kind, &width, &at))
            return err_set(e, ERR_DAMAGED, "%s: field %d of table trials has the wrong type or name", file->path, i);
        if (!column_attribute(s, c->name, "option", c->option, sizeof c->option) ||
            !column_attribute(s, c->name, "unit", c->unit, sizeof c->unit) ||
            !column_attribute(s, c->name, "help", c->help, sizeof c->help))
            return h5_fail(file, ERR_DAMAGED, c->name, "its attributes cannot be read", e);
        if (!column_room(r, c))
            return err_set(e, ERR_NOMEM, "%s: out of memory", file->path);
        r->columns_count++;
    }
    return columns ? 0 : err_set(e, ERR_NOMEM, "%s: out of memory", file->path);
}

/* Room for the rows of every table. */
static bool make_room(struct results *r, const struct stored s[TABLES])
{
    r->trials_count = s[0].rows;
    r->accuracy_count = s[1].rows;
    r->training_count = s[2].rows;
    r->attempts_count = s[3].rows;
    r->stages_count = s[4].rows;
    r->options_count = s[5].rows;
    return (r->trials = keep(r, s[0].rows, sizeof *r->trials)) &&
           (r->accuracy = keep(r, s[1].rows, sizeof *r->accuracy)) &&
           (r->training = keep(r, s[2].rows, sizeof *r->training)) &&
           (r->attempts = keep(r, s[3].rows, sizeof *r->attempts)) &&
           (r->stages = keep(r, s[4].rows, sizeof *r->stages)) && (r->options = keep(r, s[5].rows, sizeof *r->options));
}

/* Tables are numbered as in layouts_make() and in enum results_tables. */
static int read_tables(h5 *file, struct results *r, unsigned wanted, err *e)
{
    struct layout layouts[TABLES] = {{0}};
    struct stored stored[TABLES];
    int opened = 0, status = 0;

    if (!layouts_make(layouts, r)) /* for the tables' names */
        status = err_set(e, ERR_NOMEM, "%s: out of memory", file->path);
    for (; opened < TABLES && !status; opened += !status)
        status = stored_open(file, layouts[opened].table, &stored[opened], e);
    layouts_free(layouts);
    memset(layouts, 0, sizeof layouts);
    for (int t = 0; t < opened; t++)
        if (!(wanted >> t & 1))
            stored[t].rows = 0;
    if (!status && !make_room(r, stored))
        status = err_set(e, ERR_NOMEM, "%s: out of memory", file->path);
    if (!status)
        status = find_columns(file, r, &stored[0], e);
    if (!status && !layouts_make(layouts, r))
        status = err_set(e, ERR_NOMEM, "%s: out of memory", file->path);
    for (int t = 0; t < TABLES && !status; t++)
        if (wanted >> t & 1)
            status = read_rows(file, r, &layouts[t], &stored[t], e);
    layouts_free(layouts);
    while (opened > 0)
        stored_close(&stored[--opened]);
    return status;
}

struct attribute_list {
    h5 *file;
    struct results *results;
    struct results_attribute *items;
};

/* Whether an attribute of / is text: 1, 0, or -1 if it cannot be read. */
static int attribute_is_text(const h5 *file, const char *name)
{
    hid_t attribute = H5Aopen(file->id, name, H5P_DEFAULT), type = attribute < 0 ? -1 : H5Aget_type(attribute);
    int is = type < 0 ? -1 : H5Tget_class(type) == H5T_STRING;

    if (type >= 0)
        H5Tclose(type);
    if (attribute >= 0)
        H5Aclose(attribute);
    return is;
}

/* Keep an attribute of / that is text. */
static herr_t keep_attribute(hid_t at, const char *name, const H5A_info_t *info, void *context)
{
    struct attribute_list *list = context;
    struct results *r = list->results;
    char *text, *own_name, *own_text;
    int has_text = attribute_is_text(list->file, name);
    err e = {0};

    (void)at;
    (void)info;
    if (r->attributes_count >= ATTRIBUTES_LIMIT)
        return 1;
    if (has_text <= 0)
        return has_text;
    if (h5_read_text(list->file, name, &text, &e))
        return -1;
    own_name = keep(r, strlen(name) + 1, 1);
    own_text = keep(r, strlen(text) + 1, 1);
    if (own_name && own_text) {
        strcpy(own_name, name);
        strcpy(own_text, text);
        list->items[r->attributes_count++] = (struct results_attribute){own_name, own_text};
    }
    free(text);
    return own_name && own_text ? 0 : -1;
}

static int read_attributes(h5 *file, struct results *r, err *e)
{
    struct attribute_list list = {file, r, keep(r, ATTRIBUTES_LIMIT, sizeof *list.items)};

    r->attributes = list.items;
    if (!list.items)
        return err_set(e, ERR_NOMEM, "%s: out of memory", file->path);
    if (H5Aiterate2(file->id, H5_INDEX_NAME, H5_ITER_INC, NULL, keep_attribute, &list) < 0)
        return h5_fail(file, ERR_DAMAGED, "", "its attributes cannot be read", e);
    return 0;
}

int results_read(const char *path, struct results *out, err *e)
{
    return results_read_tables(path, RESULTS_ALL, out, e);
}

int results_open(const char *path, h5 **file, err *e)
{
    double schema;

    if (h5_open(path, file, e))
        return e->code;
    if (h5_read_number(*file, "schema_version", &schema, e))
        err_set(e, ERR_DAMAGED, "%s: is not a results file: there is no attribute schema_version", path);
    else if (schema != RESULTS_SCHEMA)
        err_set(e, ERR_DAMAGED, "%s: has schema version %g, this program reads version %d", path, schema,
                RESULTS_SCHEMA);
    if (e->code)
        h5_close(*file);
    return e->code;
}

int results_take(h5 *file, unsigned tables, struct results *out, err *e)
{
    int status;

    *out = (struct results){.memory = calloc(1, sizeof(struct memory))};
    if (!out->memory)
        status = err_set(e, ERR_NOMEM, "%s: out of memory", file->path);
    else if (!(status = read_attributes(file, out, e)))
        status = read_tables(file, out, tables, e);
    if (status)
        results_free(out);
    return status;
}

int results_read_tables(const char *path, unsigned tables, struct results *out, err *e)
{
    h5 *file;

    *out = (struct results){0};
    if (results_open(path, &file, e))
        return e->code;
    results_take(file, tables, out, e);
    h5_close(file);
    return e->code;
}

/* The places of the fields asked for. */
static int find_places(h5 *file, const struct layout *l, const struct stored *s, const char *const *fields, int count,
                       struct results_place *place, err *e)
{
    for (int i = 0; i < count; i++) {
        int k = 0;
        while (k < l->count && strcmp(l->members[k].name, fields[i]))
            k++;
        if (k == l->count)
            return err_set(e, ERR_BUG, "%s: table %s has no field %s", file->path, s->name, fields[i]);
        place[i] = (struct results_place){l->members[k].at, l->members[k].absent ? 0 : l->members[k].width};
    }
    return 0;
}

int results_scan(h5 *file, enum results_tables table, const char *const *fields, int count, results_visitor *take,
                 void *context, err *e)
{
    struct layout layouts[TABLES] = {{0}};
    const struct results nothing = {0};
    struct results_place *place = calloc((size_t)count + 1, sizeof *place);
    struct stored s;
    int t = 0;

    while (table >> t > 1)
        t++;
    if (!place || !layouts_make(layouts, &nothing)) {
        err_set(e, ERR_NOMEM, "%s: out of memory", file->path);
    } else if (!stored_open(file, layouts[t].table, &s, e)) {
        if (!layout_match(file, &layouts[t], &s, e) && !find_places(file, &layouts[t], &s, fields, count, place, e))
            each_block(file, &s, place, take, context, e);
        stored_close(&s);
    }
    layouts_free(layouts);
    free(place);
    return e->code;
}

/* ---------------------------------------------------------------- looking things up */

const struct results_column *results_column(const struct results *r, const char *name)
{
    for (int i = 0; i < r->columns_count; i++)
        if (!strcmp(r->columns[i].option, name) || !strcmp(r->columns[i].name, name))
            return &r->columns[i];
    return NULL;
}

const char *results_attribute(const struct results *r, const char *name)
{
    for (int i = 0; i < r->attributes_count; i++)
        if (!strcmp(r->attributes[i].name, name))
            return r->attributes[i].text;
    return NULL;
}
