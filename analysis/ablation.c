/* analysis/ablation.c - groups, observations, comparisons.  See ablation.h; factors.c has the linear model. */
#include "analysis/ablation.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int ablation_default_by(const struct measured *m, int by[MAX_BY])
{
    int count = 0;

    for (int f = 0; f < m->factors_count && count < MAX_BY; f++)
        if (m->factors[f].levels_count > 1)
            by[count++] = f;
    return count;
}

static int trial_level(const struct ablation *a, int i, size_t trial)
{
    return a->m->factors[a->by[i]].level[trial];
}

/* Order of trials by level in each factor, then seed, then place. */
static int trials_by_cell(const void *left, const void *right, void *context)
{
    const struct ablation *a = context;
    size_t x = *(const size_t *)left, y = *(const size_t *)right;

    for (int i = 0; i < a->by_count; i++) {
        int d = trial_level(a, i, x) - trial_level(a, i, y);
        if (d)
            return d;
    }
    if (a->m->seed[x] != a->m->seed[y])
        return a->m->seed[x] - a->m->seed[y];
    return (x > y) - (x < y);
}

static bool same_cell(const struct ablation *a, size_t x, size_t y)
{
    for (int i = 0; i < a->by_count; i++)
        if (trial_level(a, i, x) != trial_level(a, i, y))
            return false;
    return true;
}

/* Mean over the trials order[0..n) that are done and have the metric. */
static double mean_metric(const struct measured *m, enum metric metric, const size_t *order, size_t n)
{
    double sum = 0;
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        double x = m->metric[metric][order[i]];
        if (m->status[order[i]] == STATUS_done && isfinite(x)) {
            sum += x;
            count++;
        }
    }
    return count ? sum / (double)count : NAN;
}

/* One group from its trials order[0..n), which are sorted by seed. */
static void fill_group(struct ablation *a, struct group *g, int index, const size_t *order, size_t n)
{
    const struct measured *m = a->m;
    double tries = 0;

    g->first_trial = order[0];
    g->first = a->observations_count;
    for (size_t i = 0; i < n; i++) {
        g->status[m->status[order[i]]]++;
        tries += (double)m->attempts[order[i]];
        if (order[i] < g->first_trial)
            g->first_trial = order[i];
        a->group_of[order[i]] = index;
    }
    g->attempts = tries / (double)n;
    for (size_t i = 0, next; i < n; i = next) {
        int done = 0;
        for (next = i; next < n && m->seed[order[next]] == m->seed[order[i]]; next++)
            done += m->status[order[next]] == STATUS_done;
        if (!done)
            continue;
        struct observation *o = &a->observations[a->observations_count++];
        *o = (struct observation){.group = index, .seed = m->seed[order[i]], .trials = done};
        for (int k = 0; k < METRIC_COUNT; k++)
            o->metric[k] = mean_metric(m, k, order + i, next - i);
    }
    g->count = a->observations_count - g->first;
}

/* Estimates over seeds of every metric of a group; `scratch` has room for its observations. */
static void estimate_group(struct ablation *a, struct group *g, double *scratch)
{
    for (int k = 0; k < METRIC_COUNT; k++) {
        size_t n = 0;
        for (size_t i = 0; i < g->count; i++)
            if (isfinite(a->observations[g->first + i].metric[k]))
                scratch[n++] = a->observations[g->first + i].metric[k];
        g->metric[k] = estimate_of(scratch, n);
    }
}

static int groups_by_first_trial(const void *left, const void *right)
{
    const struct group *x = left, *y = right;

    return (x->first_trial > y->first_trial) - (x->first_trial < y->first_trial);
}

static int compare_levels(const struct ablation *a, const int *x, const int *y)
{
    for (int i = 0; i < a->by_count; i++)
        if (x[i] != y[i])
            return x[i] - y[i];
    return 0;
}

static int groups_by_level(const void *left, const void *right, void *context)
{
    const struct ablation *a = context;

    return compare_levels(a, a->groups[*(const int *)left].level, a->groups[*(const int *)right].level);
}

/* Put the groups, made in the order of their levels, into the order of the grid. */
static int order_groups(struct ablation *a)
{
    int *moved = malloc((a->groups_count + 1) * sizeof *moved);
    if (!moved)
        return -1;
    /* A group's index so far is that of its observations and trials; its levels lie at that place, too. */
    for (size_t g = 0; g < a->groups_count; g++)
        a->groups[g].level = a->levels + g * (size_t)(a->by_count ? a->by_count : 1);
    qsort(a->groups, a->groups_count, sizeof *a->groups, groups_by_first_trial);
    for (size_t g = 0; g < a->groups_count; g++) {
        size_t before = (size_t)(a->groups[g].level - a->levels) / (size_t)(a->by_count ? a->by_count : 1);
        moved[before] = (int)g;
        a->sorted[g] = (int)g;
    }
    for (size_t i = 0; i < a->m->trials; i++)
        a->group_of[i] = moved[a->group_of[i]];
    for (size_t i = 0; i < a->observations_count; i++)
        a->observations[i].group = moved[a->observations[i].group];
    free(moved);
    qsort_r(a->sorted, a->groups_count, sizeof *a->sorted, groups_by_level, a);
    return 0;
}

static size_t full_grid(const struct ablation *a)
{
    size_t cells = 1;

    for (int i = 0; i < a->by_count; i++) {
        size_t levels = (size_t)a->m->factors[a->by[i]].levels_count;
        if (levels && cells > SIZE_MAX / levels)
            return SIZE_MAX;
        cells *= levels;
    }
    return a->m->trials ? cells : 0;
}

int ablation_start(struct ablation *a, const struct measured *m, const int *by, int by_count, enum metric main, err *e)
{
    size_t n = m->trials, width = (size_t)(by_count ? by_count : 1);

    memset(a, 0, sizeof *a);
    a->m = m;
    a->main = main;
    a->by_count = by_count;
    memcpy(a->by, by, (size_t)by_count * sizeof *by);
    a->order = malloc((n + 1) * sizeof *a->order);
    double *scratch = malloc((n + 1) * sizeof *scratch);
    a->group_of = calloc(n + 1, sizeof *a->group_of);
    a->groups = calloc(n + 1, sizeof *a->groups);
    a->observations = calloc(n + 1, sizeof *a->observations);
    a->levels = calloc((n + 1) * width, sizeof *a->levels);
    a->sorted = calloc(n + 1, sizeof *a->sorted);
    if (!a->order || !scratch || !a->group_of || !a->groups || !a->observations || !a->levels || !a->sorted)
        goto memory;
    for (size_t i = 0; i < n; i++)
        a->order[i] = i;
    const size_t *order = a->order;
    qsort_r(a->order, n, sizeof *a->order, trials_by_cell, a);
    for (size_t i = 0, next; i < n; i = next) {
        for (next = i; next < n && same_cell(a, order[i], order[next]); next++)
            ;
        for (int k = 0; k < by_count; k++)
            a->levels[a->groups_count * width + (size_t)k] = trial_level(a, k, order[i]);
        struct group *g = &a->groups[a->groups_count];
        g->begin = i;
        g->trials = next - i;
        fill_group(a, g, (int)a->groups_count++, order + i, next - i);
        estimate_group(a, g, scratch);
    }
    a->cells = full_grid(a);
    if (order_groups(a))
        goto memory;
    free(scratch);
    return 0;
memory:
    free(scratch);
    ablation_free(a);
    return err_set(e, ERR_NOMEM, "no memory to group %zu trials", n);
}

void ablation_free(struct ablation *a)
{
    free(a->group_of);
    free(a->order);
    free(a->groups);
    free(a->observations);
    free(a->levels);
    free(a->sorted);
    free(a->comparisons);
    free(a->effects);
    memset(a, 0, sizeof *a);
}

/* The group with exactly these levels; -1 if there is none. */
static int find_levels(const struct ablation *a, const int *level)
{
    size_t low = 0, high = a->groups_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int d = compare_levels(a, a->groups[a->sorted[middle]].level, level);
        if (!d)
            return a->sorted[middle];
        if (d < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

int ablation_find(const struct ablation *a, const int *like, const int *wanted)
{
    int level[MAX_BY];

    for (int i = 0; i < a->by_count; i++)
        level[i] = wanted[i] >= 0 ? wanted[i] : like[i];
    return find_levels(a, level);
}

/* Values of the main metric for the seeds that both groups have; returns their number. */
static size_t pair_seeds(const struct ablation *a, const struct group *x, const struct group *y, double *u, double *v,
                         size_t *left_out)
{
    const struct observation *p = a->observations + x->first, *p_end = p + x->count;
    const struct observation *q = a->observations + y->first, *q_end = q + y->count;
    size_t n = 0, measured = 0;

    for (const struct observation *o = p; o < p_end; o++)
        measured += isfinite(o->metric[a->main]);
    for (const struct observation *o = q; o < q_end; o++)
        measured += isfinite(o->metric[a->main]);
    while (p < p_end && q < q_end) {
        if (p->seed == q->seed && isfinite(p->metric[a->main]) && isfinite(q->metric[a->main])) {
            u[n] = p->metric[a->main];
            v[n++] = q->metric[a->main];
        }
        int d = p->seed - q->seed;
        p += d <= 0;
        q += d >= 0;
    }
    *left_out = measured - 2 * n;
    return n;
}

/* Holm's adjustment of both p values over all comparisons. */
static int adjust_comparisons(struct ablation *a)
{
    size_t n = a->comparisons_count;
    double *p = malloc((2 * n + 1) * sizeof *p);

    if (!p)
        return -1;
    for (size_t i = 0; i < n; i++) {
        p[i] = a->comparisons[i].paired.p_t;
        p[n + i] = a->comparisons[i].paired.p_permutation;
    }
    int failed = holm_adjust(p, n, p) || holm_adjust(p + n, n, p + n);
    for (size_t i = 0; i < n && !failed; i++) {
        a->comparisons[i].holm_t = p[i];
        a->comparisons[i].holm_permutation = p[n + i];
    }
    free(p);
    return failed ? -1 : 0;
}

int ablation_compare(struct ablation *a, const int *wanted, err *e)
{
    double *values = malloc((2 * (size_t)a->m->seeds_count + 2) * sizeof *values);
    struct comparison *made = calloc(a->groups_count + 1, sizeof *made);

    free(a->comparisons);
    a->comparisons = made;
    a->comparisons_count = 0;
    if (!values || !made)
        goto memory;
    for (size_t g = 0; g < a->groups_count; g++) {
        int baseline = ablation_find(a, a->groups[g].level, wanted);
        if (baseline < 0 || baseline == (int)g)
            continue;
        struct comparison *c = &made[a->comparisons_count++];
        c->group = (int)g;
        c->baseline = baseline;
        double *u = values, *v = values + a->m->seeds_count;
        size_t n = pair_seeds(a, &a->groups[g], &a->groups[baseline], u, v, &c->left_out);
        c->paired = paired_compare(u, v, n);
    }
    if (adjust_comparisons(a))
        goto memory;
    free(values);
    return 0;
memory:
    free(values);
    return err_set(e, ERR_NOMEM, "no memory to compare %zu groups", a->groups_count);
}

/* Mean of values[trial][task] over the finished trials among order[0..n). */
static double mean_value(const struct ablation *a, const size_t *order, size_t n, const double *values, size_t task)
{
    double sum = 0;
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        double x = values[order[i] * (size_t)a->m->tasks + task];
        if (a->m->status[order[i]] == STATUS_done && isfinite(x)) {
            sum += x;
            count++;
        }
    }
    return count ? sum / (double)count : NAN;
}

int ablation_curve(const struct ablation *a, int group, const double *values, struct estimate *out, err *e)
{
    const struct group *g = &a->groups[group];
    const size_t *order = a->order + g->begin;
    double *column = malloc((g->count + 1) * sizeof *column);

    if (!column)
        return err_set(e, ERR_NOMEM, "no memory for the curve of a group");
    for (size_t t = 0; t < (size_t)a->m->tasks; t++) {
        size_t count = 0;
        for (size_t i = 0, next; i < g->trials; i = next) {
            for (next = i; next < g->trials && a->m->seed[order[next]] == a->m->seed[order[i]]; next++)
                ;
            double mean = mean_value(a, order + i, next - i, values, t);
            if (isfinite(mean))
                column[count++] = mean;
        }
        out[t] = estimate_of(column, count);
    }
    free(column);
    return 0;
}

void ablation_matrices(const struct ablation *a, const int *groups, int count, double *out)
{
    const struct measured *m = a->m;
    size_t tasks = (size_t)m->tasks, cells = tasks * tasks;
    int *place = malloc((a->groups_count + 1) * sizeof *place);
    double *seen = calloc((size_t)count * cells + 1, sizeof *seen);

    for (size_t i = 0; i < (size_t)count * cells; i++)
        out[i] = place && seen ? 0 : NAN;
    if (place && seen) {
        for (size_t g = 0; g < a->groups_count; g++)
            place[g] = -1;
        for (int i = 0; i < count; i++)
            place[groups[i]] = i;
        for (size_t i = 0; i < m->evaluations_count; i++) {
            const struct evaluation *v = &m->evaluations[i];
            int p = place[a->group_of[v->trial]];
            if (p < 0 || m->status[v->trial] != STATUS_done)
                continue;
            size_t at = (size_t)p * cells + (size_t)v->after * tasks + v->task;
            out[at] += v->accuracy;
            seen[at]++;
        }
        for (size_t i = 0; i < (size_t)count * cells; i++)
            out[i] = seen[i] > 0 ? out[i] / seen[i] : NAN;
    }
    free(place);
    free(seen);
}

char *ablation_group_name(const struct ablation *a, int group)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    for (int i = 0; i < a->by_count; i++) {
        const struct factor *f = &a->m->factors[a->by[i]];
        fprintf(out, "%s%s=%s", i ? ", " : "", f->name, f->levels[a->groups[group].level[i]]);
    }
    if (!a->by_count)
        fputs("all trials", out);
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}

/* A combination is there if a group has it, up to options that the group's trials do not read; one that leaves out an option
 * which its trials would read cannot be wanted. */
static bool is_covered(const struct ablation *a, const int *level)
{
    bool unused = false;

    if (find_levels(a, level) >= 0)
        return true;
    for (int i = 0; i < a->by_count; i++) {
        if (level[i] == a->m->factors[a->by[i]].unused)
            return true;
        unused |= a->m->factors[a->by[i]].unused >= 0;
    }
    for (size_t g = 0; unused && g < a->groups_count; g++) {
        bool same = true;
        for (int i = 0; i < a->by_count && same; i++)
            same = a->groups[g].level[i] == level[i] || a->groups[g].level[i] == a->m->factors[a->by[i]].unused;
        if (same)
            return true;
    }
    return false;
}

bool ablation_missing(const struct ablation *a, size_t *at, int level[MAX_BY])
{
    if (a->cells == SIZE_MAX)
        return false;
    for (; *at < a->cells; ++*at) {
        size_t rest = *at;
        for (int i = a->by_count - 1; i >= 0; i--) {
            size_t levels = (size_t)a->m->factors[a->by[i]].levels_count;
            level[i] = (int)(rest % levels);
            rest /= levels;
        }
        if (!is_covered(a, level)) {
            ++*at;
            return true;
        }
    }
    return false;
}
