/* io/datasets/manifest.c - see manifest.h. */
#include "io/datasets/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/containers/fault.h"
#include "io/datasets/csv.h"
#include "io/datasets/kinds.h"

enum { MANIFEST_LIMIT = 512 << 20, ID_LIMIT = 65536, TASKS_LIMIT = 1000, ABSENT = -1 };

enum column { COLUMN_PATH, COLUMN_LABEL, COLUMN_SPLIT, COLUMN_TASK, COLUMNS };
static const char *const column_names[COLUMNS] = {"path", "label", "split", "task"};

enum split { SPLIT_TRAIN, SPLIT_VAL, SPLIT_TEST, SPLITS };
static const char *const split_names[SPLITS] = {"train", "val", "test"};

struct row {
    const char *path, *label, *task; /* task: NULL if the manifest has none */
    enum split split;
    int32_t class;
};

struct manifest {
    struct csv csv;
    int column[COLUMNS]; /* where each is; ABSENT */
    struct row *rows;
    size_t count, room;
};

/* ---------------------------------------------------------------- rows */

static int read_header(struct manifest *m, struct image_source *s, err *e)
{
    bool more;

    if (csv_next(&m->csv, &more, e))
        return e->code;
    if (!more)
        return fault_set(e, FAULT_MISSING, "%s: is empty; the first row names the columns", m->csv.name);
    for (int k = 0; k < COLUMNS; k++)
        m->column[k] = ABSENT;
    for (size_t i = 0; i < m->csv.columns; i++) {
        int k = 0;
        char shown[ESCAPED_SIZE];

        while (k < COLUMNS && strcmp(m->csv.fields[i], column_names[k]))
            k++;
        if (k == COLUMNS)
            source_note(s, "%s: the column '%s' was passed over", m->csv.name,
                        escaped(shown, m->csv.fields[i], strlen(m->csv.fields[i])));
        else if (m->column[k] != ABSENT)
            return fault_set(e, FAULT_DUP, "%s: the column %s is there twice", m->csv.name, column_names[k]);
        else
            m->column[k] = (int)i;
    }
    for (int k = COLUMN_PATH; k <= COLUMN_LABEL; k++)
        if (m->column[k] == ABSENT)
            return fault_set(e, FAULT_MISSING, "%s: there is no column '%s'", m->csv.name, column_names[k]);
    return 0;
}

static const char *field(const struct manifest *m, enum column k)
{
    return m->column[k] == ABSENT ? NULL : m->csv.fields[m->column[k]];
}

static int read_split(const struct manifest *m, enum split *out, err *e)
{
    const char *text = field(m, COLUMN_SPLIT);
    char shown[ESCAPED_SIZE];

    *out = SPLIT_TRAIN;
    if (!text || !*text)
        return 0;
    while (*out < SPLITS && strcmp(text, split_names[*out]))
        ++*out;
    if (*out == SPLITS)
        return fault_set(e, FAULT_SYNTAX, "%s:%zu: the split '%s' is none of train, val and test", m->csv.name,
                         m->csv.line, escaped(shown, text, strlen(text)));
    return 0;
}

static int read_row(struct manifest *m, err *e)
{
    struct row *row;

    if (m->count == m->room) {
        size_t room = m->room ? 2 * m->room : 256;

        if (!(row = realloc(m->rows, room * sizeof *row)))
            return err_set(e, ERR_NOMEM, "%s: out of memory", m->csv.name);
        m->rows = row;
        m->room = room;
    }
    row = &m->rows[m->count];
    *row = (struct row){.path = field(m, COLUMN_PATH), .label = field(m, COLUMN_LABEL), .task = field(m, COLUMN_TASK)};
    if (below_name_check(m->csv.name, row->path, e))
        return err_context(e, "line %zu", m->csv.line);
    if (!*row->label)
        return fault_set(e, FAULT_SYNTAX, "%s:%zu: the label is empty", m->csv.name, m->csv.line);
    if (read_split(m, &row->split, e))
        return e->code;
    m->count++;
    return 0;
}

static int by_path(const void *a, const void *b)
{
    const struct row *x = *(const struct row *const *)a, *y = *(const struct row *const *)b;

    return x->split != y->split ? (int)x->split - (int)y->split : strcmp(x->path, y->path);
}

static int check_distinct(const struct manifest *m, err *e)
{
    const struct row **sorted = malloc((m->count + 1) * sizeof *sorted);

    if (!sorted)
        return err_set(e, ERR_NOMEM, "%s: out of memory", m->csv.name);
    for (size_t i = 0; i < m->count; i++)
        sorted[i] = &m->rows[i];
    qsort(sorted, m->count, sizeof *sorted, by_path);
    for (size_t i = 1; i < m->count && !e->code; i++)
        if (!by_path(&sorted[i - 1], &sorted[i]))
            fault_set(e, FAULT_DUP, "%s: %.200s is there twice as %s", m->csv.name, sorted[i]->path,
                      split_names[sorted[i]->split]);
    free(sorted);
    return e->code;
}

/* ---------------------------------------------------------------- classes */

static bool is_number(const char *text)
{
    size_t n = strspn(text, "0123456789");

    return n && !text[n];
}

/* A decimal number below the limit, or the limit. */
static int32_t number(const char *text, int32_t limit)
{
    unsigned long value = strlen(text) > 9 ? (unsigned long)limit : strtoul(text, NULL, 10);

    return value < (unsigned long)limit ? (int32_t)value : limit;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Labels that are numbers: each is an id, and no id below the largest is missing. */
static int classes_by_id(struct image_source *s, struct manifest *m, const struct text_lines *given, err *e)
{
    bool *there = calloc(ID_LIMIT, sizeof *there);
    char(*text)[CLASS_NAME_SIZE] = NULL;
    const char **names = NULL;
    int32_t classes = 0;

    if (!there)
        return err_set(e, ERR_NOMEM, "%s: out of memory", m->csv.name);
    for (size_t i = 0; i < m->count && !e->code; i++) {
        struct row *row = &m->rows[i];

        row->class = number(row->label, ID_LIMIT);
        if (row->class == ID_LIMIT)
            fault_set(e, FAULT_RANGE, "%s: the class id %.20s is above %d", m->csv.name, row->label, ID_LIMIT - 1);
        else
            there[row->class] = true;
        classes = row->class >= classes ? row->class + 1 : classes;
    }
    for (int32_t c = 0; c < classes && !e->code; c++)
        if (!there[c])
            fault_set(e, FAULT_MISSING, "%s: there are class ids up to %d, but none is %d", m->csv.name, classes - 1,
                      c);
    if (!e->code && given && given->count != (size_t)classes)
        fault_set(e, FAULT_RANGE, "%s names %zu classes, %s has %d", given->name, given->count, m->csv.name, classes);
    if (!e->code &&
        (!(text = calloc((size_t)classes + 1, sizeof *text)) || !(names = calloc((size_t)classes + 1, sizeof *names))))
        err_set(e, ERR_NOMEM, "%s: out of memory", m->csv.name);
    for (int32_t c = 0; c < classes && !e->code; c++) {
        snprintf(text[c], sizeof *text, "%d", c);
        names[c] = given ? given->lines[c] : text[c];
    }
    if (!e->code)
        source_classes(s, m->csv.name, names, (size_t)classes, e);
    free(there);
    free(text);
    free(names);
    return e->code;
}

/* Find each label among the classes' names; sorted says where each name of the sorted list stands. */
struct name_place {
    const char *name;
    int32_t place;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct name_place *)a)->name, ((const struct name_place *)b)->name);
}

static int find_labels(struct image_source *s, struct manifest *m, err *e)
{
    struct name_place *sorted = malloc(((size_t)s->classes + 1) * sizeof *sorted);
    char shown[ESCAPED_SIZE];

    if (!sorted)
        return err_set(e, ERR_NOMEM, "%s: out of memory", m->csv.name);
    for (int32_t c = 0; c < s->classes; c++)
        sorted[c] = (struct name_place){s->class_names[c], c};
    qsort(sorted, (size_t)s->classes, sizeof *sorted, by_name);
    for (size_t i = 0; i < m->count && !e->code; i++) {
        const struct name_place key = {m->rows[i].label, 0},
                                *found = bsearch(&key, sorted, (size_t)s->classes, sizeof *sorted, by_name);

        if (found)
            m->rows[i].class = found->place;
        else
            fault_set(e, FAULT_RANGE, "%s: the label '%s' is not in classes.txt", m->csv.name,
                      escaped(shown, m->rows[i].label, strlen(m->rows[i].label)));
    }
    free(sorted);
    return e->code;
}

/* Labels that are names: sorted, unless they are given. */
static int classes_by_name(struct image_source *s, struct manifest *m, const struct text_lines *given, err *e)
{
    const char **names;
    size_t distinct = 0;

    if (given) {
        if (source_classes(s, given->name, (const char *const *)given->lines, given->count, e))
            return e->code;
        return find_labels(s, m, e);
    }
    if (!(names = malloc((m->count + 1) * sizeof *names)))
        return err_set(e, ERR_NOMEM, "%s: out of memory", m->csv.name);
    for (size_t i = 0; i < m->count; i++)
        names[i] = m->rows[i].label;
    qsort(names, m->count, sizeof *names, compare_texts);
    for (size_t i = 0; i < m->count; i++)
        if (!i || strcmp(names[i], names[distinct - 1]))
            names[distinct++] = names[i];
    if (!source_classes(s, m->csv.name, names, distinct, e))
        find_labels(s, m, e);
    free(names);
    return e->code;
}

static int take_classes(struct image_source *s, struct manifest *m, const struct text_lines *given, err *e)
{
    size_t numbers = 0;

    for (size_t i = 0; i < m->count; i++)
        numbers += is_number(m->rows[i].label);
    if (numbers == m->count)
        return classes_by_id(s, m, given, e);
    if (numbers && !given)
        return fault_set(
            e, FAULT_SYNTAX,
            "%s: %zu labels are numbers and %zu are names; if they are all names, list them in classes.txt",
            m->csv.name, numbers, m->count - numbers);
    return classes_by_name(s, m, given, e);
}

/* ---------------------------------------------------------------- tasks */

static int read_tasks(const struct manifest *m, int32_t *task_of, int *tasks, err *e)
{
    for (size_t i = 0; i < m->count; i++) {
        const struct row *row = &m->rows[i];
        int32_t task = is_number(row->task) ? number(row->task, TASKS_LIMIT) : TASKS_LIMIT;

        if (task == TASKS_LIMIT)
            return fault_set(e, FAULT_RANGE, "%s: '%.20s' is no task from 0 to %d", m->csv.name, row->task,
                             TASKS_LIMIT - 1);
        if (task_of[row->class] != ABSENT && task_of[row->class] != task)
            return fault_set(e, FAULT_RANGE, "%s: the class '%.60s' is in task %d and in task %d", m->csv.name,
                             row->label, task_of[row->class], task);
        task_of[row->class] = task;
        *tasks = task >= *tasks ? task + 1 : *tasks;
    }
    return 0;
}

/* "[[0,2],[1,3]]", as dataset.sequence takes it. */
static int take_sequence(struct image_source *s, const struct manifest *m, err *e)
{
    int32_t *task_of = malloc(((size_t)s->classes + 1) * sizeof *task_of);
    int tasks = 0;
    size_t size;
    FILE *out = task_of ? open_memstream(&s->sequence, &size) : NULL;

    if (!out) {
        free(task_of);
        return err_set(e, ERR_NOMEM, "%s: out of memory", m->csv.name);
    }
    for (int32_t c = 0; c < s->classes; c++)
        task_of[c] = ABSENT;
    read_tasks(m, task_of, &tasks, e);
    for (int t = 0; t < tasks && !e->code; t++) {
        int members = 0;

        fputs(t ? ",[" : "[[", out);
        for (int32_t c = 0; c < s->classes; c++)
            if (task_of[c] == t)
                fprintf(out, members++ ? ",%d" : "%d", c);
        if (!members)
            fault_set(e, FAULT_MISSING, "%s: there are tasks up to %d, but none is %d", m->csv.name, tasks - 1, t);
        fputs(t == tasks - 1 ? "]]" : "]", out);
    }
    if (fclose(out) && !e->code)
        err_set(e, ERR_NOMEM, "%s: out of memory", m->csv.name);
    free(task_of);
    return e->code;
}

/* ---------------------------------------------------------------- all of it */

static int add_images(struct image_source *s, const struct manifest *m, err *e)
{
    size_t left_out = 0;

    for (size_t i = 0; i < m->count; i++) {
        const struct row *row = &m->rows[i];

        if (row->split == SPLIT_VAL)
            left_out++;
        else if (source_add_file(s, row->split == SPLIT_TEST ? DATASET_TEST : DATASET_TRAIN, row->path, row->class, e))
            return e->code;
    }
    if (left_out)
        source_note(s, "%s: %zu images of the split val were left out", m->csv.name, left_out);
    return 0;
}

int manifest_read(struct image_source *s, const char *name, char *text, size_t size, const struct text_lines *classes,
                  err *e)
{
    struct manifest m = {0};
    bool more = true;

    if (!csv_open(&m.csv, name, text, size, e))
        read_header(&m, s, e);
    while (!e->code && !csv_next(&m.csv, &more, e) && more)
        read_row(&m, e);
    if (!e->code && !m.count)
        fault_set(e, FAULT_MISSING, "%s: lists no images", name);
    if (!e->code && !check_distinct(&m, e) && !take_classes(s, &m, classes, e) && m.column[COLUMN_TASK] != ABSENT)
        take_sequence(s, &m, e);
    if (!e->code)
        add_images(s, &m, e);
    free(m.rows);
    return e->code;
}

int kind_csv_open(struct image_source *s, const struct source_options *options, err *e)
{
    const char *name = s->manifest ? s->manifest : "manifest.csv";
    bool named = below_has(&s->root, "classes.txt");
    struct text_lines classes = {0};
    struct bytes text = {0};

    (void)options;
    if (named && !text_lines_read(&s->root, "classes.txt", &classes, e))
        text_lines_trim(&classes);
    if (!e->code && !below_read(&s->root, name, MANIFEST_LIMIT, &text, e))
        manifest_read(s, name, (char *)text.data, text.size, named ? &classes : NULL, e);
    text_lines_free(&classes);
    bytes_free(&text);
    return e->code;
}
