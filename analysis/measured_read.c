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

enum { NEEDED = RESULTS_TRIALS | RESULTS_ACCURACY | RESULTS_ATTEMPTS | RESULTS_STAGES };
enum { MOST_TASKS = 10000, MOST_CURVE_POINTS = 100000000 };

struct reader {
    const char *path;
    const struct results *r;
    struct measured *m;
    err *e;
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

/* Number the levels of a factor from the values of all trials.  `values` (count) is used up. */
static bool number_levels(struct factor *f, struct value *values, size_t count)
{
    struct value *distinct = malloc((count + 1) * sizeof *distinct);
    size_t n = 0;

    f->level = malloc((count + 1) * sizeof *f->level);
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
    for (size_t i = 0, d = 0; ok && i < count; i++) {
        while (strcmp(distinct[d].text, values[i].text))
            d++;
        f->level[values[i].trial] = (int)distinct[d].number;
    }
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

static struct place *sort_places(struct reader *k)
{
    struct place *places = malloc((k->m->trials + 1) * sizeof *places);

    if (!places) {
        no_memory(k);
        return NULL;
    }
    for (size_t i = 0; i < k->m->trials; i++)
        places[i] = (struct place){k->m->number[i], i};
    qsort(places, k->m->trials, sizeof *places, by_place);
    for (size_t i = 1; i < k->m->trials; i++)
        if (places[i].number == places[i - 1].number) {
            err_set(k->e, ERR_DAMAGED, "%s: trial %" PRId64 " is there twice", k->path, places[i].number);
            free(places);
            return NULL;
        }
    return places;
}

/* --- accuracies --- */

static int read_evaluations(struct reader *k, const struct place *places)
{
    const struct results *r = k->r;
    struct measured *m = k->m;
    struct place like = {0}, *last = NULL;

    m->evaluations = malloc((r->accuracy_count + 1) * sizeof *m->evaluations);
    if (!m->evaluations)
        return no_memory(k);
    for (size_t i = 0; i < r->accuracy_count; i++) {
        const struct accuracy_result *a = &r->accuracy[i];
        if (!last || last->number != a->trial) { /* rows of one trial stand together */
            like.number = a->trial;
            last = bsearch(&like, places, m->trials, sizeof *places, by_place);
        }
        if (!last)
            return err_set(k->e, ERR_DAMAGED, "%s: table accuracy, row %zu: there is no trial %" PRId64, k->path, i,
                           a->trial);
        if (a->row.task < 0 || a->row.task > a->row.after_task || a->row.after_task >= MOST_TASKS)
            return err_set(k->e, ERR_DAMAGED,
                           "%s: table accuracy, row %zu: task %" PRId64 " after task %" PRId64 " cannot be", k->path, i,
                           a->row.task, a->row.after_task);
        if (strcmp(a->row.phase, "after") || !isfinite(a->row.accuracy))
            continue;
        m->evaluations[m->evaluations_count++] = (struct evaluation){.trial = (int32_t)last->index,
                                                                     .after = (uint16_t)a->row.after_task,
                                                                     .task = (uint16_t)a->row.task,
                                                                     .accuracy = a->row.accuracy};
        if (a->row.after_task >= m->tasks)
            m->tasks = (int)a->row.after_task + 1;
    }
    return 0;
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

int measured_from(const struct results *r, const char *path, struct measured *m, err *e)
{
    struct reader k = {.path = path, .r = r, .m = m, .e = e};
    struct results *store = m->store; /* measured_read() has put it there */
    struct place *places;

    *m = (struct measured){.store = store};
    if (read_facts(&k) || read_trials(&k) || read_factors(&k) || read_seeds(&k))
        return e->code;
    if (!(places = sort_places(&k)))
        return e->code;
    if (!read_evaluations(&k, places))
        read_curves(&k);
    free(places);
    m->tries = r->attempts;
    m->attempts_count = r->attempts_count;
    m->stages = r->stages;
    m->stages_count = r->stages_count;
    return e->code;
}

int measured_read(const char *path, struct measured *m, err *e)
{
    struct stat s;
    char *inside = NULL;

    *m = (struct measured){.store = calloc(1, sizeof *m->store)};
    if (!m->store || asprintf(&inside, "%s/results.h5", path) < 0)
        return err_set(e, ERR_NOMEM, "%s: no memory to read it", path);
    bool folder = stat(path, &s) == 0 && S_ISDIR(s.st_mode);
    const char *file = folder ? inside : path;
    if (folder && stat(inside, &s))
        err_set(e, ERR_MISSING, "%s: there is no results.h5 in it; is it the output folder of a sweep?", path);
    else if (!results_read_tables(file, NEEDED, m->store, e))
        measured_from(m->store, file, m, e);
    free(inside);
    return e->code;
}
