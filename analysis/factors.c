/* analysis/factors.c - what each option does: effects of levels in matched settings, and an analysis of variance.
 *
 * Model and sources are named in ablation.h.  The columns of the model are indicators (one for each level of a factor
 * and each pair of levels that occurs); they are linearly dependent, which the SWEEP operator takes in its stride. With
 * X the indicators and y the observations, both with each seed's mean subtracted, the matrix swept is [X y]'[X y];
 * sweeping a subset of columns leaves the residual sum of squares of that sub-model in the corner. */
#include "analysis/ablation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODEL_COLUMNS = 300, COMPARED_LEVELS = 64 };

/* The columns of one term: level (i, j) of factors (a, b) is column first + i * b_levels + j. */
struct span {
    int a, b, b_levels, first, count;
};

struct model {
    const struct ablation *a;
    int terms;
    struct span span[MAX_TERMS];
    int columns;        /* of X */
    double *cross;      /* (columns + 1)^2: [X y]'[X y] within seeds */
    double *work;       /* the same size */
    size_t rows, seeds; /* observations used, and distinct seeds among them */
};

static int levels_of(const struct ablation *a, int i)
{
    return a->m->factors[a->by[i]].levels_count;
}

static bool add_span(struct model *m, int a, int b)
{
    struct span s = {.a = a, .b = b, .b_levels = b < 0 ? 1 : levels_of(m->a, b), .first = m->columns};
    long count = (long)levels_of(m->a, a) * s.b_levels;

    if (count > MODEL_COLUMNS || m->columns + count > MODEL_COLUMNS)
        return false;
    s.count = (int)count;
    m->columns += s.count;
    m->span[m->terms++] = s;
    return true;
}

/* Why there can be no such model, or NULL once its spans are laid out. */
static const char *lay_out(struct model *m)
{
    int n = m->a->by_count;

    for (int i = 0; i < n; i++)
        if (!add_span(m, i, -1))
            return "the options have too many levels";
    for (int i = 0; i < n; i++)
        for (int j = i + 1; j < n; j++)
            if (!add_span(m, i, j))
                return "the options have too many levels";
    return NULL;
}

/* Add one seed's observations: X'X of its rows, less what its mean row explains. */
static void add_seed(struct model *m, const struct observation *const *rows, size_t n, double *mean)
{
    const struct ablation *a = m->a;
    size_t width = (size_t)m->columns + 1;
    size_t at[MAX_TERMS + 1];
    double value[MAX_TERMS + 1];

    memset(mean, 0, width * sizeof *mean);
    for (size_t r = 0; r < n; r++) {
        const int *level = a->groups[rows[r]->group].level;
        for (int t = 0; t < m->terms; t++) {
            const struct span *s = &m->span[t];
            at[t] = (size_t)(s->first + level[s->a] * s->b_levels + (s->b < 0 ? 0 : level[s->b]));
            value[t] = 1;
        }
        at[m->terms] = width - 1;
        value[m->terms] = rows[r]->metric[a->main];
        for (int i = 0; i <= m->terms; i++) {
            mean[at[i]] += value[i];
            for (int j = 0; j <= m->terms; j++)
                m->cross[at[i] * width + at[j]] += value[i] * value[j];
        }
    }
    for (size_t i = 0; i < width; i++)
        for (size_t j = 0; mean[i] != 0 && j < width; j++)
            m->cross[i * width + j] -= mean[i] * mean[j] / (double)n;
}

static int by_seed(const void *left, const void *right)
{
    const struct observation *x = *(const struct observation *const *)left,
                             *y = *(const struct observation *const *)right;

    return x->seed != y->seed ? x->seed - y->seed : (x > y) - (x < y);
}

static bool accumulate(struct model *m)
{
    const struct ablation *a = m->a;
    size_t width = (size_t)m->columns + 1;
    const struct observation **rows = malloc((a->observations_count + 1) * sizeof *rows);
    double *mean = malloc(width * sizeof *mean);

    m->cross = calloc(width * width, sizeof *m->cross);
    m->work = calloc(width * width, sizeof *m->work);
    bool ok = rows && mean && m->cross && m->work;
    for (size_t i = 0; ok && i < a->observations_count; i++)
        if (isfinite(a->observations[i].metric[a->main]))
            rows[m->rows++] = &a->observations[i];
    if (ok)
        qsort(rows, m->rows, sizeof *rows, by_seed);
    for (size_t i = 0, next; ok && i < m->rows; i = next, m->seeds++) {
        for (next = i; next < m->rows && rows[next]->seed == rows[i]->seed; next++)
            ;
        add_seed(m, rows + i, next - i, mean);
    }
    free(rows);
    free(mean);
    return ok;
}

/* Fit the sub-model of the terms for which use[t]; returns its rank and residual sum of squares. */
static int fit(struct model *m, const bool *use, double *residual)
{
    size_t width = (size_t)m->columns + 1;
    double *w = m->work;
    int rank = 0;

    memcpy(w, m->cross, width * width * sizeof *w);
    for (int t = 0; t < m->terms; t++)
        for (int c = m->span[t].first; use[t] && c < m->span[t].first + m->span[t].count; c++) {
            size_t k = (size_t)c;
            double pivot = w[k * width + k];
            /* A column that seeds and the columns before it explain has nothing but rounding left. */
            if (pivot <= 1e-9 * (double)m->rows)
                continue;
            rank++;
            for (size_t i = 0; i < width; i++) {
                double factor = w[i * width + k] / pivot;
                if (i == k || factor == 0)
                    continue;
                for (size_t j = 0; j < width; j++)
                    w[i * width + j] -= factor * w[k * width + j];
            }
        }
    *residual = fmax(0, w[width * width - 1]);
    return rank;
}

/* Does term t contain term s: is every factor of s one of t's? */
static bool contains(const struct span *t, const struct span *s)
{
    bool has_a = s->a == t->a || s->a == t->b;
    bool has_b = s->b < 0 || s->b == t->a || s->b == t->b;

    return has_a && has_b;
}

/* Sum of squares of term t: what it explains beyond all terms that do not contain it. */
static void test_term(struct model *m, int t, struct term *out)
{
    bool without[MAX_TERMS], with[MAX_TERMS];
    double before, after;

    for (int s = 0; s < m->terms; s++) {
        without[s] = !contains(&m->span[s], &m->span[t]);
        with[s] = without[s] || s == t;
    }
    int rank_before = fit(m, without, &before), rank_after = fit(m, with, &after);
    *out = (struct term){.a = m->span[t].a,
                         .b = m->span[t].b,
                         .df = rank_after - rank_before,
                         .squares = fmax(0, before - after),
                         .f = NAN,
                         .p = NAN,
                         .holm = NAN};
}

static int test_terms(struct ablation *a, struct model *m, err *e)
{
    size_t width = (size_t)m->columns + 1;
    double total = m->cross[width * width - 1], p[MAX_TERMS];
    bool all[MAX_TERMS] = {false};

    for (int t = 0; t < m->terms; t++)
        all[t] = true;
    int rank = fit(m, all, &a->residual_squares);
    a->residual_df = (double)m->rows - (double)m->seeds - rank;
    if (a->residual_df < 1) {
        a->no_terms = "nothing is left to estimate the noise from; more seeds are needed";
        return 0;
    }
    bool exact = a->residual_squares <= 1e-12 * total; /* no noise at all: an F would be made of rounding errors */
    for (int t = 0; t < m->terms; t++) {
        struct term *out = &a->terms[t];
        test_term(m, t, out);
        out->share = total > 0 ? out->squares / total : NAN;
        if (out->df >= 1 && !exact) {
            out->f = out->squares / out->df / (a->residual_squares / a->residual_df);
            out->p = f_test(out->f, out->df, a->residual_df);
        }
        p[t] = out->p;
    }
    if (holm_adjust(p, (size_t)m->terms, p))
        return err_set(e, ERR_NOMEM, "no memory for an analysis of variance");
    for (int t = 0; t < m->terms; t++)
        a->terms[t].holm = p[t];
    a->terms_count = (size_t)m->terms;
    return 0;
}

static int analyse_variance(struct ablation *a, err *e)
{
    struct model m = {.a = a};

    a->terms_count = 0;
    a->no_terms = a->by_count ? lay_out(&m) : "the sweep varies nothing but seeds";
    if (a->no_terms)
        return 0;
    if (!accumulate(&m))
        err_set(e, ERR_NOMEM, "no memory for an analysis of variance");
    else
        test_terms(a, &m, e);
    free(m.cross);
    free(m.work);
    return e->code;
}

/* --- effects of levels in matched settings --- */

/* An observation as (setting, level of the factor), where the setting is everything else. */
struct placed {
    const struct observation *o;
    const int *level; /* of its group */
};

struct settings_order {
    int factor, by_count;
};

/* Order by setting, then by level of the factor. */
static int by_setting(const void *left, const void *right, void *context)
{
    const struct settings_order *order = context;
    const struct placed *x = left, *y = right;

    for (int i = 0; i < order->by_count; i++)
        if (i != order->factor && x->level[i] != y->level[i])
            return x->level[i] - y->level[i];
    if (x->o->seed != y->o->seed)
        return x->o->seed - y->o->seed;
    return x->level[order->factor] - y->level[order->factor];
}

static bool same_setting(const struct settings_order *order, const struct placed *x, const struct placed *y)
{
    for (int i = 0; i < order->by_count; i++)
        if (i != order->factor && x->level[i] != y->level[i])
            return false;
    return x->o->seed == y->o->seed;
}

/* The levels present in rows[0..n), as a set. */
static uint64_t level_set(const struct placed *rows, size_t n, int factor)
{
    uint64_t set = 0;

    for (size_t i = 0; i < n; i++)
        set |= UINT64_C(1) << rows[i].level[factor];
    return set;
}

/* The set of levels on which most can be compared: the one with the most (settings x levels) among those that occur. */
static uint64_t compared_levels(const struct placed *rows, size_t n, const struct settings_order *order)
{
    struct {
        uint64_t set;
        size_t settings;
    } seen[256];
    size_t sets = 0, most = 0;
    uint64_t best = 0;

    for (size_t i = 0, next; i < n; i = next) {
        for (next = i; next < n && same_setting(order, &rows[i], &rows[next]); next++)
            ;
        uint64_t set = level_set(rows + i, next - i, order->factor);
        size_t k = 0;
        while (k < sets && seen[k].set != set)
            k++;
        if (k == sizeof seen / sizeof *seen)
            continue;
        if (k == sets) {
            seen[sets].set = set;
            seen[sets++].settings = 0;
        }
        seen[k].settings++;
    }
    for (size_t k = 0; k < sets; k++) {
        size_t weight = 0;
        for (size_t j = 0; j < sets; j++)
            if ((seen[j].set & seen[k].set) == seen[k].set)
                weight += seen[j].settings;
        weight *= (size_t)__builtin_popcountll(seen[k].set);
        if (__builtin_popcountll(seen[k].set) > 1 && weight > most) {
            most = weight;
            best = seen[k].set;
        }
    }
    return best;
}

/* Effects of every level in `set`, from the settings that have all of them.  scratch: (2, n). */
static void measure_levels(struct ablation *a, const struct placed *rows, size_t n, const struct settings_order *order,
                           uint64_t set, double *scratch)
{
    int factor = order->factor, compared = __builtin_popcountll(set);

    for (int level = 0; level < levels_of(a, factor); level++) {
        double *values = scratch, *deviations = scratch + n;
        size_t count = 0;
        for (size_t i = 0, next; i < n; i = next) {
            double mean = 0, own = NAN;
            for (next = i; next < n && same_setting(order, &rows[i], &rows[next]); next++)
                if (set >> rows[next].level[factor] & 1) {
                    double y = rows[next].o->metric[a->main];
                    mean += y / compared;
                    if (rows[next].level[factor] == level)
                        own = y;
                }
            if ((level_set(rows + i, next - i, factor) & set) != set || !(set >> level & 1))
                continue;
            values[count] = own;
            deviations[count++] = own - mean;
        }
        a->effects[a->effects_count++] = (struct level_effect){.factor = factor,
                                                               .level = level,
                                                               .mean = estimate_of(values, count),
                                                               .effect = estimate_of(deviations, count)};
    }
}

static int measure_effects(struct ablation *a, err *e)
{
    size_t n = 0, levels = 0;
    struct placed *rows = malloc((a->observations_count + 1) * sizeof *rows);
    double *scratch = malloc((2 * a->observations_count + 1) * sizeof *scratch);

    for (int i = 0; i < a->by_count; i++)
        levels += (size_t)levels_of(a, i);
    free(a->effects);
    a->effects_count = 0;
    a->effects = calloc(levels + 1, sizeof *a->effects);
    if (rows && scratch && a->effects) {
        for (size_t i = 0; i < a->observations_count; i++)
            if (isfinite(a->observations[i].metric[a->main]))
                rows[n++] = (struct placed){&a->observations[i], a->groups[a->observations[i].group].level};
        for (int i = 0; i < a->by_count; i++) {
            struct settings_order order = {i, a->by_count};
            if (levels_of(a, i) < 2 || levels_of(a, i) > COMPARED_LEVELS)
                continue;
            qsort_r(rows, n, sizeof *rows, by_setting, &order);
            measure_levels(a, rows, n, &order, compared_levels(rows, n, &order), scratch);
        }
    } else {
        err_set(e, ERR_NOMEM, "no memory for the effects of %d options", a->by_count);
    }
    free(rows);
    free(scratch);
    return e->code;
}

/* --- means of two options --- */

struct others_order {
    const struct ablation *a;
    int i, j;
};

static int compare_others(const struct others_order *o, int g, int h)
{
    for (int k = 0; k < o->a->by_count; k++)
        if (k != o->i && k != o->j && o->a->groups[g].level[k] != o->a->groups[h].level[k])
            return o->a->groups[g].level[k] - o->a->groups[h].level[k];
    return 0;
}

static int groups_by_others(const void *left, const void *right, void *context)
{
    int g = *(const int *)left, h = *(const int *)right, d = compare_others(context, g, h);

    return d ? d : g - h;
}

static size_t run_of_others(const struct others_order *o, const int *groups, size_t n)
{
    size_t end = 1;

    while (end < n && !compare_others(o, groups[0], groups[end]))
        end++;
    return end;
}

/* Do groups[0..n), which share their other options, differ in both options? */
static bool varies_both(const struct others_order *o, const int *groups, size_t n)
{
    const struct group *g = o->a->groups;
    bool i = false, j = false;

    for (size_t k = 1; k < n; k++) {
        i |= g[groups[k]].level[o->i] != g[groups[0]].level[o->i];
        j |= g[groups[k]].level[o->j] != g[groups[0]].level[o->j];
    }
    return i && j;
}

/* Do groups[0..n) have a group in each of the cells of best[0..size)? */
static bool covers(const struct others_order *o, const int *groups, size_t n, const int *best, size_t size)
{
    const struct group *g = o->a->groups;

    for (size_t b = 0; b < size; b++) {
        size_t k = 0;
        while (k < n && (g[groups[k]].level[o->i] != g[best[b]].level[o->i] ||
                         g[groups[k]].level[o->j] != g[best[b]].level[o->j]))
            k++;
        if (k == n)
            return false;
    }
    return true;
}

/* Sum, over the observations of the chosen groups, into (cell, seed). */
static void sum_cells(const struct ablation *a, int i, int j, const bool *chosen, double *sum, double *count)
{
    size_t across = (size_t)levels_of(a, j), seeds = (size_t)a->m->seeds_count;

    for (size_t k = 0; k < a->observations_count; k++) {
        const struct observation *o = &a->observations[k];
        const int *level = a->groups[o->group].level;
        size_t at = ((size_t)level[i] * across + (size_t)level[j]) * seeds + (size_t)o->seed;
        if (chosen[o->group] && isfinite(o->metric[a->main])) {
            sum[at] += o->metric[a->main];
            count[at]++;
        }
    }
}

int ablation_means(const struct ablation *a, int i, int j, struct estimate *out, err *e)
{
    size_t cells = (size_t)levels_of(a, i) * (size_t)levels_of(a, j), seeds = (size_t)a->m->seeds_count, n = 0,
           size = 0;
    int *groups = malloc((a->groups_count + 1) * sizeof *groups);
    bool *chosen = calloc(a->groups_count + 1, sizeof *chosen);
    double *sum = calloc(cells * seeds + 1, sizeof *sum), *count = calloc(cells * seeds + 1, sizeof *count);
    struct others_order order = {a, i, j};
    const int *best = groups;

    if (groups && chosen && sum && count) {
        for (size_t g = 0; g < a->groups_count; g++)
            if (a->groups[g].metric[a->main].count)
                groups[n++] = (int)g;
        qsort_r(groups, n, sizeof *groups, groups_by_others, &order);
        for (size_t at = 0, run; at < n; at += run) {
            run = run_of_others(&order, groups + at, n - at);
            if (run > size && varies_both(&order, groups + at, run)) {
                size = run;
                best = groups + at;
            }
        }
        for (size_t at = 0, run; at < n; at += run) {
            run = run_of_others(&order, groups + at, n - at);
            bool use = size > 0 && covers(&order, groups + at, run, best, size);
            for (size_t k = 0; k < run; k++)
                chosen[groups[at + k]] = use;
        }
        sum_cells(a, i, j, chosen, sum, count);
        for (size_t c = 0; c < cells; c++) {
            size_t values = 0;
            for (size_t s = 0; s < seeds; s++)
                if (count[c * seeds + s] > 0)
                    sum[c * seeds + values++] = sum[c * seeds + s] / count[c * seeds + s];
            out[c] = estimate_of(sum + c * seeds, values);
        }
    } else {
        err_set(e, ERR_NOMEM, "no memory for the means of two options");
    }
    free(groups);
    free(chosen);
    free(sum);
    free(count);
    return e->code;
}

int ablation_factors(struct ablation *a, err *e)
{
    return analyse_variance(a, e) || measure_effects(a, e) ? e->code : 0;
}
