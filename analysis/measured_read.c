/* analysis/measured_read.c - from the tables of results.h5 to what statistics need.
 *
 * A file may be intact and still say what cannot be: a trial twice, an accuracy of a trial that is not there.  Such a file is
 * refused as damaged: a wrong table would be worse than none. */
#include "analysis/measured.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "analysis/formats.h"
#include "io/store.h"

enum { MOST_TASKS = 10000, MOST_CURVE_POINTS = 100000000 };

struct place;

struct reader {
    const char *path;
    const struct results *r;
    struct measured *m;
    err *e;
    struct place *places;     /* (trials) by number */
    const struct place *last; /* of the row before */
    size_t row;               /* of the table at hand */
    size_t evaluations_room, tries_room;
};

static int no_memory(struct reader *k)
{
    return err_set(k->e, ERR_NOMEM, "%s: no memory for its %zu trials", k->path, k->r->trials_count);
}

/* --- factors --- */

/* Stands for the value of an option that nothing in the trial reads; before all other levels. */
static const char unused_level[] = "–";

/* A value of an option: its text, its number if it is one, and the trial it belongs to. */
struct value {
    const char *text;
    double number;
    bool is_number;
    size_t trial;
};

static int by_text(const void *left, const void *right)
{
    const struct value *x = left, *y = right;
    int d = strcmp(x->text, y->text);

    return d ? d : (x->trial > y->trial) - (x->trial < y->trial);
}

static int by_number(const void *left, const void *right)
{
    const struct value *x = left, *y = right;

    return x->number != y->number ? (x->number > y->number) - (x->number < y->number) : by_text(left, right);
}

static int by_appearance(const void *left, const void *right)
{
    const struct value *x = left, *y = right;

    return (x->trial > y->trial) - (x->trial < y->trial);
}

static struct value value_of(const char *text, size_t trial)
{
    char *end;
    struct value v = {.text = text, .number = strtod(text, &end), .trial = trial};

    v.is_number = *text && !*end && isfinite(v.number);
    if (text == unused_level)
        v.number = -INFINITY;
    return v;
}

/* Keep the first of equal values in a row: neighbours in a grid mostly differ in the options that come last.  Returns how many
 * are left. */
static size_t keep_changes(struct value *values, size_t count)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        if (!n || strcmp(values[i].text, values[n - 1].text))
            values[n++] = values[i];
    return n;
}

/* Number the levels of a factor from the values of all trials, in their order.  `values` (trials) is used up. */
static bool number_levels(struct factor *f, struct value *values, size_t trials)
{
    struct value *distinct = malloc((trials + 1) * sizeof *distinct);
    size_t n = 0, count = keep_changes(values, trials);

    f->level = malloc((trials + 1) * sizeof *f->level);
    if (!distinct || !f->level) {
        free(distinct);
        return false;
    }
    f->numbers = count > 0;
    qsort(values, count, sizeof *values, by_text);
    for (size_t i = 0; i < count; i++) {
        f->numbers &= values[i].is_number || values[i].text == unused_level;
        if (!i || strcmp(values[i].text, values[i - 1].text))
            distinct[n++] = values[i];
    }
    qsort(distinct, n, sizeof *distinct, f->numbers ? by_number : by_appearance);
    f->levels = calloc(n + 1, sizeof *f->levels);
    f->unused = -1;
    for (size_t i = 0; i < n; i++)
        if (distinct[i].text == unused_level)
            f->unused = (int)i;
    for (; f->levels && (size_t)f->levels_count < n; f->levels_count++)
        if (!(f->levels[f->levels_count] = strdup(distinct[f->levels_count].text)))
            break;
    bool ok = f->levels && (size_t)f->levels_count == n;
    /* The level of a text is found through the texts in order; what it counts for is its place in `distinct`. */
    for (size_t i = 0; ok && i < n; i++)
        distinct[i].number = (double)i;
    qsort(distinct, n, sizeof *distinct, by_text);
    for (size_t i = 0; i < trials; i++)
        f->level[i] = -1; /* that of the trial before */
    for (size_t i = 0, d = 0; ok && i < count; i++) {
        while (strcmp(distinct[d].text, values[i].text))
            d++;
        f->level[values[i].trial] = (int)distinct[d].number;
    }
    for (size_t i = 1; i < trials; i++)
        if (f->level[i] < 0)
            f->level[i] = f->level[i - 1];
    free(distinct);
    return ok;
}

/* Text of a value of a column; numbers are written into `buffer`. */
static const char *column_text(const struct results_column *c, size_t trial, char buffer[32])
{
    if (c->kind == FIELD_INT)
        snprintf(buffer, 32, "%" PRId64, c->integers[trial]);
    else if (c->kind == FIELD_REAL && isfinite(c->reals[trial]))
        number_in_full(c->reals[trial], buffer);
    else if (c->kind == FIELD_REAL)
        strcpy(buffer, "none");
    else
        return c->texts[trial];
    return buffer;
}

/* Is this option in a list of keys separated by commas? */
static bool is_listed(const char *list, const char *key)
{
    size_t length = strlen(key);

    for (const char *at = list; *key && (at = strstr(at, key)); at += length)
        if ((at == list || at[-1] == ',') && (at[length] == ',' || !at[length]))
            return true;
    return false;
}

static bool add_column(struct reader *k, const struct results_column *c)
{
    struct factor *f = &k->m->factors[k->m->factors_count++];
    size_t n = k->r->trials_count;
    struct value *values = malloc((n + 1) * sizeof *values);
    char(*buffers)[32] = malloc((n + 1) * sizeof *buffers);
    bool ok = values && buffers;

    snprintf(f->name, sizeof f->name, "%s", *c->option ? c->option : c->name);
    for (size_t i = 0; ok && i < n; i++)
        values[i] =
            value_of(is_listed(k->r->trials[i].unused, c->option) ? unused_level : column_text(c, i, buffers[i]), i);
    ok = ok && number_levels(f, values, n);
    free(values);
    free(buffers);
    return ok;
}

/* A text field that every trial has: method, data set, backbone. */
static bool add_field(struct reader *k, const char *name, size_t offset)
{
    struct factor *f = &k->m->factors[k->m->factors_count++];
    size_t n = k->r->trials_count;
    struct value *values = malloc((n + 1) * sizeof *values);

    snprintf(f->name, sizeof f->name, "%s", name);
    for (size_t i = 0; values && i < n; i++)
        values[i] = value_of((const char *)&k->r->trials[i] + offset, i);
    bool ok = values && number_levels(f, values, n);
    free(values);
    return ok;
}

static bool is_seed(const struct results_column *c)
{
    return !strncmp(c->option, "seeds.", 6) || !strncmp(c->name, "seeds_", 6);
}

static int read_factors(struct reader *k)
{
    const struct results *r = k->r;

    k->m->factors = calloc((size_t)r->columns_count + 3, sizeof *k->m->factors);
    if (!k->m->factors || !add_field(k, "method", offsetof(struct trial_row, method)) ||
        !add_field(k, "dataset.name", offsetof(struct trial_row, dataset)) ||
        !add_field(k, "backbone", offsetof(struct trial_row, backbone)))
        return no_memory(k);
    for (int c = 0; c < r->columns_count; c++)
        if (!is_seed(&r->columns[c]) && !add_column(k, &r->columns[c]))
            return no_memory(k);
    return 0;
}

/* Everything that differs only in random numbers: `seed` and any seed with a column of its own, as one text. */
static int read_seeds(struct reader *k)
{
    const struct results *r = k->r;
    size_t n = r->trials_count;
    struct value *values = calloc(n + 1, sizeof *values);
    char **texts = calloc(n + 1, sizeof *texts);
    struct factor seeds = {.levels = NULL};
    bool ok = values && texts;

    for (size_t i = 0; ok && i < n; i++) {
        size_t size;
        FILE *out = open_memstream(&texts[i], &size);
        if (!out) {
            ok = false;
            break;
        }
        fprintf(out, "%" PRId64, r->trials[i].seed);
        for (int c = 0; c < r->columns_count; c++) {
            char buffer[32];
            if (is_seed(&r->columns[c]))
                fprintf(out, ", %s %s", r->columns[c].name + 6, column_text(&r->columns[c], i, buffer));
        }
        ok = !fclose(out) && texts[i];
        if (ok)
            values[i] = value_of(texts[i], i);
    }
    ok = ok && number_levels(&seeds, values, n);
    k->m->seed = seeds.level;
    k->m->seeds = seeds.levels;
    k->m->seeds_count = seeds.levels_count;
    for (size_t i = 0; texts && i < n; i++)
        free(texts[i]);
    free(texts);
    free(values);
    return ok ? 0 : no_memory(k);
}

/* --- trials --- */

static int read_trials(struct reader *k)
{
    const struct results *r = k->r;
    struct measured *m = k->m;
    size_t n = r->trials_count;

    m->trials = n;
    m->number = malloc((n + 1) * sizeof *m->number);
    m->status = malloc((n + 1) * sizeof *m->status);
    m->attempts = malloc((n + 1) * sizeof *m->attempts);
    m->cause = calloc(n + 1, sizeof *m->cause);
    bool ok = m->number && m->status && m->attempts && m->cause;
    for (int j = 0; j < METRIC_COUNT; j++)
        ok &= (m->metric[j] = malloc((n + 1) * sizeof *m->metric[j])) != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        const struct trial_row *row = &r->trials[i];
        m->number[i] = row->trial;
        m->status[i] = trial_status_by_name(row->status);
        m->attempts[i] = row->attempts;
        ok = (m->cause[i] = strdup(row->cause)) != NULL;
#define M(id, field, label, unit, sign, digits, help) m->metric[METRIC_##id][i] = (double)row->field;
        METRICS(M)
#undef M
        if (m->status[i] == STATUS_COUNT)
            return err_set(k->e, ERR_DAMAGED, "%s: trial %" PRId64 " has the status '%s', which does not exist",
                           k->path, row->trial, row->status);
    }
    return ok ? 0 : no_memory(k);
}

/* Trials by number, to find the trial of a row in another table. */
struct place {
    int64_t number;
    size_t index;
};

static int by_place(const void *left, const void *right)
{
    const struct place *x = left, *y = right;

    return (x->number > y->number) - (x->number < y->number);
}

static int sort_places(struct reader *k)
{
    struct place *places = k->places = malloc((k->m->trials + 1) * sizeof *places);

    if (!places)
        return no_memory(k);
    for (size_t i = 0; i < k->m->trials; i++)
        places[i] = (struct place){k->m->number[i], i};
    qsort(places, k->m->trials, sizeof *places, by_place);
    for (size_t i = 1; i < k->m->trials; i++)
        if (places[i].number == places[i - 1].number)
            return err_set(k->e, ERR_DAMAGED, "%s: trial %" PRId64 " is there twice", k->path, places[i].number);
    return 0;
}

/* --- accuracies --- */

/* Room for one more of *items. */
static bool make_room(void *items, size_t count, size_t *room, size_t size)
{
    void **p = items, *more;
    size_t wanted = *room + *room / 2 + 1024;

    if (count < *room)
        return true;
    if (!(more = realloc(*p, wanted * size)))
        return false;
    *p = more;
    *room = wanted;
    return true;
}

/* One row of /accuracy, `after` of it: of those after the alignment of the head. */
static int add_evaluation(struct reader *k, int64_t trial, int64_t after_task, int64_t task, bool after,
                          double accuracy)
{
    struct measured *m = k->m;
    size_t row = k->row++;

    if (!k->last || k->last->number != trial) { /* rows of one trial stand together */
        const struct place like = {.number = trial};
        k->last = bsearch(&like, k->places, m->trials, sizeof *k->places, by_place);
    }
    if (!k->last)
        return err_set(k->e, ERR_DAMAGED, "%s: table accuracy, row %zu: there is no trial %" PRId64, k->path, row,
                       trial);
    if (task < 0 || task > after_task || after_task >= MOST_TASKS)
        return err_set(k->e, ERR_DAMAGED,
                       "%s: table accuracy, row %zu: task %" PRId64 " after task %" PRId64 " cannot be", k->path, row,
                       task, after_task);
    if (!after || !isfinite(accuracy))
        return 0;
    if (!make_room(&m->evaluations, m->evaluations_count, &k->evaluations_room, sizeof *m->evaluations))
        return no_memory(k);
    m->evaluations[m->evaluations_count++] = (struct evaluation){
        .trial = (int32_t)k->last->index, .after = (uint16_t)after_task, .task = (uint16_t)task, .accuracy = accuracy};
    if (after_task >= m->tasks)
        m->tasks = (int)after_task + 1;
    return 0;
}

static bool is_word(const char *text, size_t width, const char *word)
{
    size_t n = strlen(word);

    return width >= n && !memcmp(text, word, n) && (width == n || !text[n]);
}

static const char *const evaluation_fields[] = {"trial", "after_task", "task", "phase", "accuracy"};

static int take_evaluations(void *context, const struct results_block *b, err *e)
{
    struct reader *k = context;

    for (size_t i = 0; i < b->count && !e->code; i++) {
        size_t width;
        const char *phase = block_text(b, i, 3, &width);
        add_evaluation(k, block_integer(b, i, 0), block_integer(b, i, 1), block_integer(b, i, 2),
                       is_word(phase, width, "after"), b->place[4].width ? block_real(b, i, 4) : NAN);
    }
    return e->code;
}

/* --- attempts --- */

static int kind_of(struct measured *m, const char *name, size_t width)
{
    size_t n = strnlen(name, width);

    if (!n) { /* of a file from an older program */
        name = "stage";
        n = 5;
    }
    for (int i = 0; i < m->kinds_count; i++)
        if (is_word(name, n, m->kinds[i]))
            return i;
    if (m->kinds_count == MOST_KINDS)
        return MOST_KINDS - 1;
    if (m->kinds_count == MOST_KINDS - 1)
        snprintf(m->kinds[m->kinds_count], NAME_SIZE, "other");
    else
        snprintf(m->kinds[m->kinds_count], NAME_SIZE, "%.*s", (int)(n < NAME_SIZE ? n : NAME_SIZE - 1), name);
    return m->kinds_count++;
}

/* One row of /attempts, if its times make sense. */
static int add_try(struct reader *k, int64_t rank, double started, double seconds, int kind, bool failed)
{
    struct measured *m = k->m;

    if (!isfinite(started) || !isfinite(seconds) || seconds < 0)
        return 0;
    if (!make_room(&m->tries, m->tries_count, &k->tries_room, sizeof *m->tries))
        return no_memory(k);
    m->tries[m->tries_count++] = (struct try){rank, started, seconds, kind, failed};
    return 0;
}

static const char *const try_fields[] = {"rank", "started", "seconds", "kind", "outcome"};

static int take_tries(void *context, const struct results_block *b, err *e)
{
    struct reader *k = context;

    for (size_t i = 0; i < b->count && !e->code; i++) {
        size_t width[2];
        const char *kind = block_text(b, i, 3, &width[0]), *outcome = block_text(b, i, 4, &width[1]);
        add_try(k, block_integer(b, i, 0), b->place[1].width ? block_real(b, i, 1) : NAN,
                b->place[2].width ? block_real(b, i, 2) : NAN, kind_of(k->m, kind, width[0]),
                !is_word(outcome, width[1], "done"));
    }
    return e->code;
}

/* A_t and F_k of every trial, as measured.h defines them. */
static int read_curves(struct reader *k)
{
    struct measured *m = k->m;
    size_t T = (size_t)m->tasks, n = m->trials * T;

    if (n > MOST_CURVE_POINTS)
        return err_set(k->e, ERR_DAMAGED, "%s: %zu trials with %zu tasks are more than can be", k->path, m->trials, T);
    m->after = calloc(n + 1, sizeof *m->after);
    m->forgetting = malloc((n + 1) * sizeof *m->forgetting);
    double *last = malloc((n + 1) * sizeof *last); /* accuracy on task k after the last task of the trial */
    uint16_t *seen = calloc(n + 1, sizeof *seen), *end = calloc(m->trials + 1, sizeof *end);
    bool *own = calloc(n + 1, sizeof *own); /* whether task k was evaluated right after it was learned */
    bool ok = m->after && m->forgetting && last && seen && end && own;

    for (size_t i = 0; ok && i < n; i++)
        m->forgetting[i] = last[i] = NAN;
    for (size_t i = 0; ok && i < m->evaluations_count; i++)
        if (m->evaluations[i].after > end[m->evaluations[i].trial])
            end[m->evaluations[i].trial] = m->evaluations[i].after;
    for (size_t i = 0; ok && i < m->evaluations_count; i++) {
        const struct evaluation *v = &m->evaluations[i];
        size_t row = (size_t)v->trial * T;
        m->after[row + v->after] += v->accuracy;
        seen[row + v->after]++;
        m->forgetting[row + v->task] =
            fmax(m->forgetting[row + v->task], v->accuracy); /* the best so far; fmax skips NaN */
        own[row + v->task] |= v->after == v->task;
        if (v->after == end[v->trial])
            last[row + v->task] = v->accuracy;
    }
    for (size_t i = 0; ok && i < n; i++) {
        size_t t = i % T, trial = i / T;
        m->after[i] = seen[i] == t + 1 ? m->after[i] / (double)(t + 1) : NAN;
        bool counts = t < end[trial] && own[i] && m->status[trial] == STATUS_done;
        m->forgetting[i] = counts ? m->forgetting[i] - last[i] : NAN;
    }
    free(last);
    free(seen);
    free(end);
    free(own);
    return ok ? 0 : no_memory(k);
}

/* --- the whole --- */

static int read_facts(struct reader *k)
{
    const struct results *r = k->r;
    const char *name = results_attribute(r, "sweep_name");

    k->m->facts = calloc((size_t)r->attributes_count + 1, sizeof *k->m->facts);
    k->m->name = strdup(name ? name : "without a name");
    if (!k->m->facts || !k->m->name)
        return no_memory(k);
    for (int i = 0; i < r->attributes_count; i++) {
        struct fact *f = &k->m->facts[k->m->facts_count++];
        f->name = strdup(r->attributes[i].name);
        f->text = strdup(r->attributes[i].text);
        if (!f->name || !f->text)
            return no_memory(k);
    }
    return 0;
}

/* All but what comes from the long tables. */
static int begin(struct reader *k)
{
    *k->m = (struct measured){0};
    return read_facts(k) || read_trials(k) || read_factors(k) || read_seeds(k) || sort_places(k);
}

int measured_from(const struct results *r, const char *path, struct measured *m, err *e)
{
    struct reader k = {.path = path, .r = r, .m = m, .e = e};

    if (!begin(&k)) {
        for (size_t i = 0; i < r->accuracy_count && !e->code; i++) {
            const struct accuracy_result *a = &r->accuracy[i];
            add_evaluation(&k, a->trial, a->row.after_task, a->row.task, !strcmp(a->row.phase, "after"),
                           a->row.accuracy);
        }
        for (size_t i = 0; i < r->attempts_count && !e->code; i++) {
            const struct attempt_row *a = &r->attempts[i];
            add_try(&k, a->rank, a->started, a->seconds, kind_of(m, a->kind, sizeof a->kind),
                    strcmp(a->outcome, "done") != 0);
        }
        if (!e->code)
            read_curves(&k);
    }
    free(k.places);
    return e->code;
}

/* The long tables are not kept in memory as they are. */
static int read_file(const char *path, struct measured *m, err *e)
{
    struct results r = {0};
    struct reader k = {.path = path, .r = &r, .m = m, .e = e};
    h5 *file;

    if (results_open(path, &file, e))
        return e->code;
    if (!results_take(file, RESULTS_TRIALS, &r, e) && !begin(&k) &&
        !results_scan(file, RESULTS_ACCURACY, evaluation_fields, 5, take_evaluations, &k, e) &&
        !results_scan(file, RESULTS_ATTEMPTS, try_fields, 5, take_tries, &k, e))
        read_curves(&k);
    h5_close(file);
    results_free(&r);
    free(k.places);
    return e->code;
}

int measured_read(const char *path, struct measured *m, err *e)
{
    struct stat s;
    char *inside = NULL;

    *m = (struct measured){0};
    if (asprintf(&inside, "%s/results.h5", path) < 0)
        return err_set(e, ERR_NOMEM, "%s: no memory to read it", path);
    bool folder = stat(path, &s) == 0 && S_ISDIR(s.st_mode);
    if (folder && stat(inside, &s))
        err_set(e, ERR_MISSING, "%s: there is no results.h5 in it; is it the output folder of a sweep?", path);
    else
        read_file(folder ? inside : path, m, e);
    free(inside);
    return e->code;
}
