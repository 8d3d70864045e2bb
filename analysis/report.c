/* analysis/report.c - the sections of a report.  Each is one function and one row of the table at the end. */
#include "analysis/report.h"

#include "analysis/plots.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS_OF_MISSING = 30,
    ROWS_OF_FAILURES = 30,
    COLUMNS_OF_TASKS = 20,
    LEVELS_OF_MEANS = 12, /* largest table of means of two options */
    PAIRS_OF_MEANS = 6,
    FACT_LENGTH = 200 /* longer provenance, such as the sweep file, stays in results.h5 */
};

struct report {
    struct document *d;
    const struct measured *m;
    struct ablation *a;
    const struct report_request *request;
    err *e;
};

static const struct factor *by_factor(const struct ablation *a, int i)
{
    return &a->m->factors[a->by[i]];
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

/* Start a table whose first columns are the options of the grouping. */
static struct report_table *group_table(struct report *r, const char *id, const char *title, const char *caption,
                                        const struct report_column *more, int count)
{
    int total = r->a->by_count + count;
    struct report_column *columns = document_alloc(r->d, (size_t)(total + 1) * sizeof *columns);

    if (!columns)
        return NULL;
    for (int i = 0; i < r->a->by_count; i++) {
        const char *name = by_factor(r->a, i)->name;
        columns[i] = (struct report_column){.kind = COLUMN_TEXT, .name = name, .key = name, .unit = ""};
    }
    for (int i = 0; i < count; i++)
        columns[r->a->by_count + i] = more[i];
    return document_table(r->d, id, title, caption, columns, total);
}

static void put_levels(struct report *r, struct report_table *t, const int *level)
{
    for (int i = 0; i < r->a->by_count; i++)
        put_text(r->d, t, "%s", by_factor(r->a, i)->levels[level[i]]);
}

static struct report_column metric_column(enum metric k, enum column_kind kind)
{
    const struct metric_info *info = &metric_info[k];

    return (struct report_column){kind, info->label, info->key, info->unit, info->digits};
}

/* --- overview --- */

static size_t with_status(const struct measured *m, enum trial_status status)
{
    size_t n = 0;

    for (size_t i = 0; i < m->trials; i++)
        n += m->status[i] == status;
    return n;
}

static void compose_overview(struct report *r)
{
    const struct measured *m = r->m;
    const char *counts = "", *fixed = "";
    size_t unfinished = with_status(m, STATUS_waiting) + with_status(m, STATUS_running);

    for (int s = 0; s < STATUS_COUNT; s++) {
        size_t n = with_status(m, (enum trial_status)s);
        if (n)
            counts = document_text(r->d, "%s%s%zu %s", counts, *counts ? ", " : "", n, trial_status_names[s]);
    }
    document_paragraph(r->d, "%zu trial%s%s%s.", m->trials, plural(m->trials), *counts ? ": " : "", counts);
    for (int f = 0; f < m->factors_count; f++)
        if (m->factors[f].levels_count == 1)
            fixed = document_text(r->d, "%s%s%s %s", fixed, *fixed ? ", " : "", m->factors[f].name,
                                  m->factors[f].levels[0]);
    if (*fixed)
        document_paragraph(r->d, "The same in all trials: %s.", fixed);
    if (!with_status(m, STATUS_done))
        document_note(r->d, "No trial has finished%s, so there is nothing to compare.", unfinished ? " yet" : "");
    else if (unfinished)
        document_note(r->d, "The sweep is not finished; what follows is what its finished trials say so far.");
}

/* --- the ablation table --- */

static bool any_measured(const struct ablation *a, enum metric k)
{
    for (size_t g = 0; g < a->groups_count; g++)
        if (a->groups[g].metric[k].count)
            return true;
    return false;
}

static void note_seeds(struct report *r)
{
    const struct ablation *a = r->a;
    size_t single = 0, few = SIZE_MAX, most = 0, averaged = 0;

    for (size_t g = 0; g < a->groups_count; g++) {
        size_t n = a->groups[g].metric[a->main].count;
        single += n == 1;
        if (n && n < few)
            few = n;
        if (n > most)
            most = n;
    }
    for (size_t i = 0; i < a->observations_count; i++)
        averaged += a->observations[i].trials > 1;
    if (single)
        document_note(r->d, "%s one seed only: there is no spread and no interval.",
                      single == a->groups_count
                          ? "Every row has"
                          : document_text(r->d, "%zu row%s", single, single == 1 ? " has" : "s have"));
    if (most && few != most)
        document_note(
            r->d, "Rows have between %zu and %zu seeds; differences below are paired on the seeds that both rows have.",
            few, most);
    if (averaged)
        document_note(r->d,
                      "Trials that differ in other options than those of the rows were averaged within each seed.");
}

static void compose_ablation(struct report *r)
{
    document_heading(r->d, "Results");

    const struct ablation *a = r->a;
    struct report_column columns[16];
    enum metric shown[5] = {METRIC_FAA, METRIC_CAA, METRIC_FFM};
    int count = 0, measures = 3;
    bool unfinished = with_status(r->m, STATUS_done) < r->m->trials;

    columns[count++] = (struct report_column){COLUMN_COUNT, "seeds", "seeds", "", 0};
    if (unfinished)
        columns[count++] = (struct report_column){COLUMN_TEXT, "done", "done", "", 0};
    if (any_measured(a, METRIC_TII))
        shown[measures++] = METRIC_TII;
    if (a->main > METRIC_FFM && a->main != METRIC_TII)
        shown[measures++] = a->main;
    int first = count;
    for (int k = 0; k < measures; k++) {
        columns[count++] = metric_column(shown[k], COLUMN_SPREAD);
        if (shown[k] == METRIC_FAA)
            columns[count++] = (struct report_column){COLUMN_INTERVAL, "95 % CI", "faa_ci95", "", 2};
    }
    struct report_table *t = group_table(
        r, "ablation", "Ablation: mean ± standard deviation over seeds",
        "FAA: final average accuracy. CAA: cumulative average accuracy. FFM: final forgetting measure (less is "
        "better). CI: confidence interval of the mean of FAA, by Student's t. A dash stands for what does not exist.",
        columns, count);
    for (size_t g = 0; g < a->groups_count; g++) {
        const struct group *group = &a->groups[g];
        put_levels(r, t, group->level);
        put_number(r->d, t, (double)group->count);
        if (unfinished)
            put_text(r->d, t, "%zu/%zu", group->status[STATUS_done], group->trials);
        for (int k = 0; k < measures; k++) {
            put_estimate(r->d, t, &group->metric[shown[k]]);
            if (shown[k] == METRIC_FAA)
                put_estimate(r->d, t, &group->metric[METRIC_FAA]);
        }
    }
    for (int c = first; t && c < count; c++)
        if (columns[c].kind == COLUMN_SPREAD)
            table_mark_best(t, a->by_count + c, metric_info[metric_by_key(columns[c].key)].sign);
    note_seeds(r);
    plot_seeds(r->d, a, r->e);
}

/* --- differences to a baseline --- */

/* The levels that every group is compared with: those asked for, or those of the first group that was measured. */
static bool baseline_levels(const struct report *r, int wanted[MAX_BY])
{
    const struct ablation *a = r->a;

    if (r->request->wanted) {
        memcpy(wanted, r->request->wanted, (size_t)a->by_count * sizeof *wanted);
        return true;
    }
    for (size_t g = 0; g < a->groups_count; g++)
        if (a->groups[g].metric[a->main].count) {
            memcpy(wanted, a->groups[g].level, (size_t)a->by_count * sizeof *wanted);
            return true;
        }
    return false;
}

static const char *baseline_name(struct report *r, const int *wanted)
{
    const char *name = "";

    for (int i = 0; i < r->a->by_count; i++)
        if (wanted[i] >= 0 && wanted[i] != by_factor(r->a, i)->unused)
            name = document_text(r->d, "%s%s%s=%s", name, *name ? ", " : "", by_factor(r->a, i)->name,
                                 by_factor(r->a, i)->levels[wanted[i]]);
    return name;
}

static void note_comparisons(struct report *r)
{
    const struct ablation *a = r->a;
    size_t few = SIZE_MAX, left_out = 0, many = 0;

    for (size_t i = 0; i < a->comparisons_count; i++) {
        const struct comparison *c = &a->comparisons[i];
        if (c->paired.difference.count && c->paired.difference.count < few)
            few = c->paired.difference.count;
        left_out += c->left_out > 0;
        many += c->paired.difference.count > PERMUTATION_PAIRS;
    }
    if (few <= 5)
        document_note(r->d, "With %zu pair%s the permutation test cannot give a p below %.3g.", few, plural(few),
                      pow(2, 1 - (double)few));
    if (left_out)
        document_note(r->d, "In %zu comparison%s some seeds were measured on one side only; they are left out.",
                      left_out, plural(left_out));
    if (many)
        document_note(r->d, "The permutation test is exact and done for up to %d pairs.", PERMUTATION_PAIRS);
}

static bool any_pairs(const struct ablation *a)
{
    for (size_t i = 0; i < a->comparisons_count; i++)
        if (a->comparisons[i].paired.difference.count)
            return true;
    return false;
}

static void compose_differences(struct report *r)
{
    struct ablation *a = r->a;
    const struct metric_info *info = &metric_info[a->main];
    int wanted[MAX_BY];

    if (a->groups_count < 2 || !baseline_levels(r, wanted))
        return;
    if (ablation_compare(a, wanted, r->e))
        return;
    if (!a->comparisons_count) {
        document_note(r->d, "No row differs from another only by being the baseline (%s), so nothing is compared.",
                      baseline_name(r, wanted));
        return;
    }
    if (!any_pairs(a)) {
        document_note(r->d, "No row has a seed in common with the baseline (%s) yet, so nothing is compared.",
                      baseline_name(r, wanted));
        return;
    }
    const struct report_column columns[] = {
        {COLUMN_COUNT, "pairs", "pairs", "", 0},
        {COLUMN_SPREAD, document_text(r->d, "Δ %s", info->label), "difference", info->unit, info->digits},
        {COLUMN_INTERVAL, "95 % CI", "difference_ci95", "", info->digits},
        {COLUMN_NUMBER, "t", "t", "", 2},
        {COLUMN_P, "p", "p_t", "", 3},
        {COLUMN_P, "Holm", "p_t_holm", "", 3},
        {COLUMN_P, "p (perm.)", "p_permutation", "", 3},
        {COLUMN_P, "Holm (perm.)", "p_permutation_holm", "", 3},
    };
    struct report_table *t =
        group_table(r, "differences",
                    document_text(r->d, "Difference of %s to the baseline %s, paired by seed", info->label,
                                  baseline_name(r, wanted)),
                    "Mean ± standard deviation of the differences. p: two-sided paired t test. p (perm.): two-sided "
                    "exact sign-flip "
                    "permutation test. Holm: corrected for the number of comparisons in this table.",
                    columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < a->comparisons_count; i++) {
        const struct comparison *c = &a->comparisons[i];
        put_levels(r, t, a->groups[c->group].level);
        put_number(r->d, t, (double)c->paired.difference.count);
        put_estimate(r->d, t, &c->paired.difference);
        put_estimate(r->d, t, &c->paired.difference);
        put_number(r->d, t, c->paired.t);
        put_number(r->d, t, c->paired.p_t);
        put_number(r->d, t, c->holm_t);
        put_number(r->d, t, c->paired.p_permutation);
        put_number(r->d, t, c->holm_permutation);
    }
    note_comparisons(r);
}

/* --- effects of the options --- */

/* Was any level of this option compared with another? */
static bool is_compared(const struct ablation *a, int factor)
{
    for (size_t i = 0; i < a->effects_count; i++)
        if (a->effects[i].factor == factor && a->effects[i].effect.count)
            return true;
    return false;
}

static bool any_compared(const struct ablation *a)
{
    bool any = false;

    for (int i = 0; i < a->by_count; i++)
        any |= is_compared(a, i);
    return any;
}

static void note_not_compared(struct report *r)
{
    const char *names = "";

    for (int i = 0; i < r->a->by_count; i++)
        if (by_factor(r->a, i)->levels_count > 1 && !is_compared(r->a, i))
            names = document_text(r->d, "%s%s%s", names, *names ? ", " : "", by_factor(r->a, i)->name);
    if (*names)
        document_note(r->d, "No effect of %s: no two of its values were tried in settings that are otherwise the same.",
                      names);
}

static void compose_effects(struct report *r)
{
    const struct ablation *a = r->a;
    const struct metric_info *info = &metric_info[a->main];
    const struct report_column columns[] = {
        {COLUMN_TEXT, "option", "option", "", 0},
        {COLUMN_TEXT, "level", "level", "", 0},
        {COLUMN_COUNT, "settings", "settings", "", 0},
        {COLUMN_SPREAD, info->label, info->key, info->unit, info->digits},
        {COLUMN_SPREAD, "effect", "effect", info->unit, info->digits},
        {COLUMN_INTERVAL, "95 % CI of effect", "effect_ci95", "", info->digits},
    };

    struct report_table *t =
        document_table(r->d, "effects", document_text(r->d, "Effect of each option on %s", info->label),
                       "A setting is a seed with the other options held fixed. Levels are compared in the settings "
                       "that have all of them; "
                       "the effect is the deviation from the mean of the compared levels. A dash: no setting to "
                       "compare this level in.",
                       columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < a->effects_count; i++) {
        const struct level_effect *x = &a->effects[i];
        if (!is_compared(a, x->factor) || x->level == by_factor(a, x->factor)->unused)
            continue;
        put_text(r->d, t, "%s", by_factor(a, x->factor)->name);
        put_text(r->d, t, "%s", by_factor(a, x->factor)->levels[x->level]);
        put_number(r->d, t, (double)x->effect.count);
        put_estimate(r->d, t, &x->mean);
        put_estimate(r->d, t, &x->effect);
        put_estimate(r->d, t, &x->effect);
    }
}

static void compose_variance(struct report *r)
{
    const struct ablation *a = r->a;
    static const struct report_column columns[] = {
        {COLUMN_TEXT, "term", "term", "", 0},
        {COLUMN_COUNT, "df", "df", "", 0},
        {COLUMN_NUMBER, "share", "share", "%", 1},
        {COLUMN_NUMBER, "F", "f", "", 2},
        {COLUMN_P, "p", "p", "", 3},
        {COLUMN_P, "Holm", "p_holm", "", 3},
    };

    if (a->no_terms) {
        document_note(r->d, "No analysis of variance: %s.", a->no_terms);
        return;
    }
    struct report_table *t = document_table(
        r->d, "variance", document_text(r->d, "Main effects and two-way interactions (%s)", metric_info[a->main].label),
        document_text(
            r->d,
            "Analysis of variance with seeds as blocks, type II sums of squares, %.0f residual degrees of freedom. "
            "Share: of the variation within seeds. A dash: the trials cannot tell this term from others, or "
            "show no noise to test against.",
            a->residual_df),
        columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < a->terms_count; i++) {
        const struct term *x = &a->terms[i];
        put_text(r->d, t, "%s%s%s", by_factor(a, x->a)->name, x->b < 0 ? "" : " × ",
                 x->b < 0 ? "" : by_factor(a, x->b)->name);
        put_number(r->d, t, x->df);
        put_number(r->d, t, x->df >= 1 ? 100 * x->share : NAN);
        put_number(r->d, t, x->f);
        put_number(r->d, t, x->p);
        put_number(r->d, t, x->holm);
    }
}

static void compose_means(struct report *r, int i, int j)
{
    const struct ablation *a = r->a;
    const struct factor *rows = by_factor(a, i), *across = by_factor(a, j);
    const struct metric_info *info = &metric_info[a->main];
    struct report_column columns[1 + LEVELS_OF_MEANS] = {{COLUMN_TEXT, rows->name, rows->name, "", 0}};
    struct estimate *means = document_alloc(r->d, (size_t)(rows->levels_count * across->levels_count) * sizeof *means);

    if (!means || ablation_means(a, i, j, means, r->e))
        return;
    int in_row[LEVELS_OF_MEANS] = {0}, in_column[LEVELS_OF_MEANS] = {0}, longest = 0, tallest = 0, count = 1;
    for (int x = 0; x < rows->levels_count; x++)
        for (int y = 0; y < across->levels_count; y++)
            if (means[x * across->levels_count + y].count) {
                longest = ++in_row[x] > longest ? in_row[x] : longest;
                tallest = ++in_column[y] > tallest ? in_column[y] : tallest;
            }
    if (longest < 2 || tallest < 2) /* nothing stands beside or below anything */
        return;
    for (int y = 0; y < across->levels_count; y++)
        if (in_column[y])
            columns[count++] =
                (struct report_column){COLUMN_SPREAD, document_text(r->d, "%s=%s", across->name, across->levels[y]),
                                       across->levels[y], info->unit, info->digits};
    struct report_table *t = document_table(
        r->d, document_text(r->d, "means-%d-%d", i + 1, j + 1),
        document_text(r->d, "%s by %s and %s", info->label, rows->name, across->name),
        "Mean ± standard deviation over seeds, in those settings of the other options that have most of these cells.",
        columns, count);
    for (int x = 0; x < rows->levels_count; x++) {
        if (!in_row[x])
            continue;
        put_text(r->d, t, "%s", rows->levels[x]);
        for (int y = 0; y < across->levels_count; y++)
            if (in_column[y])
                put_estimate(r->d, t, &means[x * across->levels_count + y]);
    }
}

static void compose_factors(struct report *r)
{
    struct ablation *a = r->a;
    int pairs = 0;

    if (!a->by_count || !any_measured(a, a->main) || ablation_factors(a, r->e))
        return;
    document_heading(r->d, "What each option does");
    plot_effects(r->d, a, r->e);
    if (any_compared(a))
        compose_effects(r);
    note_not_compared(r);
    compose_variance(r);
    for (int i = 0; i < a->by_count; i++)
        for (int j = i + 1; j < a->by_count; j++)
            if (by_factor(a, i)->levels_count <= LEVELS_OF_MEANS && by_factor(a, j)->levels_count <= LEVELS_OF_MEANS &&
                pairs++ < PAIRS_OF_MEANS)
                compose_means(r, i, j);
}

/* --- over the tasks --- */

static void compose_tasks(struct report *r, const char *id, const char *title, const char *caption,
                          const double *values, int tasks)
{
    const struct ablation *a = r->a;
    int step = (tasks + COLUMNS_OF_TASKS - 1) / COLUMNS_OF_TASKS, count = 0, at[COLUMNS_OF_TASKS + 1];
    struct report_column columns[COLUMNS_OF_TASKS + 1];
    struct estimate *curve = document_alloc(r->d, (size_t)r->m->tasks * sizeof *curve);

    /* Counting back from the last task, so that it is always there. */
    for (int t = tasks - 1; t >= 0; t -= step)
        at[count++] = t;
    for (int c = 0; c < count; c++) {
        int t = at[count - 1 - c];
        columns[c] = (struct report_column){COLUMN_SPREAD, document_text(r->d, "task %d", t),
                                            document_text(r->d, "task_%d", t), "%", 2};
    }
    struct report_table *t = group_table(r, id, title, caption, columns, count);
    for (size_t g = 0; curve && g < a->groups_count; g++) {
        if (!a->groups[g].count || ablation_curve(a, (int)g, values, curve, r->e))
            continue;
        put_levels(r, t, a->groups[g].level);
        for (int c = 0; c < count; c++)
            put_estimate(r->d, t, &curve[at[count - 1 - c]]);
    }
    if (step > 1)
        document_note(r->d, "Every %d-th task is shown; the accuracy table of results.h5 has all %d.", step,
                      r->m->tasks);
}

/* What the first table leaves out. */
static void compose_measures(struct report *r)
{
    static const enum metric measures[] = {METRIC_BWT,        METRIC_FAA_BEFORE, METRIC_CAA_BEFORE, METRIC_FFM_BEFORE,
                                           METRIC_BWT_BEFORE, METRIC_TII_BEFORE, METRIC_TII_SAMPLE};
    enum { MEASURES = sizeof measures / sizeof *measures };
    const struct ablation *a = r->a;
    struct report_column columns[MEASURES];
    enum metric shown[MEASURES];
    int count = 0;

    for (int k = 0; k < MEASURES; k++)
        if (any_measured(a, measures[k])) {
            shown[count] = measures[k];
            columns[count++] = metric_column(measures[k], COLUMN_SPREAD);
        }
    if (!count)
        return;
    struct report_table *t = group_table(
        r, "measures", "Backward transfer, and accuracies before alignment",
        "BWT: mean change of the earlier tasks since each was learned. Before: without the alignment of the head; for "
        "TII, of its own. By sample: without a vote of the batch.",
        columns, count);
    for (size_t g = 0; g < a->groups_count; g++) {
        put_levels(r, t, a->groups[g].level);
        for (int k = 0; k < count; k++)
            put_estimate(r->d, t, &a->groups[g].metric[shown[k]]);
    }
    for (int k = 0; t && k < count; k++)
        table_mark_best(t, a->by_count + k, metric_info[shown[k]].sign);
}

static void compose_curves(struct report *r)
{
    if (r->m->tasks < 1 || !r->a->observations_count)
        return;
    document_heading(r->d, "From task to task");
    plot_curves(r->d, r->a, r->e);
    compose_tasks(
        r, "curves", "Average accuracy after each task",
        "Mean accuracy over the tasks seen so far, after each task was learned. Tasks are counted from 0, as in "
        "results.h5.",
        r->m->after, r->m->tasks);
    if (r->m->tasks > 1)
        compose_tasks(
            r, "forgetting", "Forgetting of each task",
            "Best accuracy that a task ever had, less its accuracy at the end. The last task has nothing to forget.",
            r->m->forgetting, r->m->tasks - 1);
    compose_measures(r);
    plot_matrices(r->d, r->a, r->e);
}

/* --- cost --- */

static void compose_cost(struct report *r)
{
    const struct ablation *a = r->a;
    const struct report_column columns[] = {
        metric_column(METRIC_SECONDS, COLUMN_SPREAD),
        metric_column(METRIC_CORE_SECONDS, COLUMN_SPREAD),
        {COLUMN_NUMBER, "attempts", "attempts", "", 1},
        metric_column(METRIC_PARAMETERS, COLUMN_NUMBER),
    };

    if (!a->observations_count && !r->m->tries_count)
        return;
    document_heading(r->d, "Time and cost");
    plot_timeline(r->d, a, r->e);
    struct report_table *t = group_table(r, "cost", "Time and cost of a trial",
                                         "Time: wall time of the trial's stages, each counted in full. Core time: wall "
                                         "time times cores, shared stages divided "
                                         "among their trials. Trained: numbers that the trial trains.",
                                         columns, sizeof columns / sizeof *columns);
    for (size_t g = 0; g < a->groups_count; g++) {
        put_levels(r, t, a->groups[g].level);
        put_estimate(r->d, t, &a->groups[g].metric[METRIC_SECONDS]);
        put_estimate(r->d, t, &a->groups[g].metric[METRIC_CORE_SECONDS]);
        put_number(r->d, t, a->groups[g].attempts);
        put_number(r->d, t, a->groups[g].metric[METRIC_PARAMETERS].mean);
    }
}

/* --- what is not there --- */

static void compose_missing(struct report *r)
{
    const struct ablation *a = r->a;
    size_t missing = 0, at = 0, rows = 0;
    int level[MAX_BY];

    if (a->cells == a->groups_count && !with_status(r->m, STATUS_failed))
        return;
    document_heading(r->d, "What is not there");
    if (a->cells == a->groups_count)
        return;
    if (a->cells == SIZE_MAX || a->groups_count < a->cells / 2) {
        document_note(r->d, "The sweep is not a full grid: %zu of the combinations of its options' values %s tried.",
                      a->groups_count, a->groups_count == 1 ? "was" : "were");
        return;
    }
    while (ablation_missing(a, &at, level))
        missing++;
    if (!missing)
        return;
    at = 0;
    struct report_table *t = group_table(
        r, "missing", document_text(r->d, "Combinations without a trial: %zu of %zu", missing, a->cells), "", NULL, 0);
    while (rows < ROWS_OF_MISSING && ablation_missing(a, &at, level)) {
        put_levels(r, t, level);
        rows++;
    }
    if (rows < missing)
        document_note(r->d, "%zu more are not listed.", missing - rows);
}

static int by_cause(const void *left, const void *right, void *context)
{
    const struct measured *m = context;
    size_t x = *(const size_t *)left, y = *(const size_t *)right;
    int d = strcmp(m->cause[x], m->cause[y]);

    return d ? d : (x > y) - (x < y);
}

/* Trials failed[0..n) with one cause, most trials first. */
struct failure {
    const size_t *failed;
    size_t n;
};

static int by_size(const void *left, const void *right)
{
    const struct failure *x = left, *y = right;

    return x->n != y->n ? (x->n < y->n ? 1 : -1) : (x->failed > y->failed) - (x->failed < y->failed);
}

static const char *trial_list(struct report *r, const struct failure *f)
{
    const char *list = "";
    size_t shown = f->n <= 6 ? f->n : 5;

    for (size_t i = 0; i < shown; i++)
        list = document_text(r->d, "%s%s%lld", list, i ? ", " : "", (long long)r->m->number[f->failed[i]]);
    return shown < f->n ? document_text(r->d, "%s and %zu more", list, f->n - shown) : list;
}

static void compose_failures(struct report *r)
{
    static const struct report_column columns[] = {{COLUMN_COUNT, "trials", "count", "", 0},
                                                   {COLUMN_TEXT, "cause", "cause", "", 0},
                                                   {COLUMN_TEXT, "which", "trials", "", 0}};
    const struct measured *m = r->m;
    size_t n = 0, causes = 0;
    size_t *failed = document_alloc(r->d, (m->trials + 1) * sizeof *failed);
    struct failure *failures = document_alloc(r->d, (m->trials + 1) * sizeof *failures);

    if (!failed || !failures)
        return;
    for (size_t i = 0; i < m->trials; i++)
        if (m->status[i] == STATUS_failed)
            failed[n++] = i;
    if (!n)
        return;
    qsort_r(failed, n, sizeof *failed, by_cause, (void *)(uintptr_t)m);
    for (size_t i = 0, next; i < n; i = next) {
        for (next = i; next < n && !strcmp(m->cause[failed[i]], m->cause[failed[next]]); next++)
            ;
        failures[causes++] = (struct failure){failed + i, next - i};
    }
    qsort(failures, causes, sizeof *failures, by_size);
    struct report_table *t =
        document_table(r->d, "failures", document_text(r->d, "Failures: %zu trial%s", n, plural(n)), "", columns, 3);
    for (size_t i = 0; i < causes && i < ROWS_OF_FAILURES; i++) {
        const char *cause = m->cause[failures[i].failed[0]];
        put_number(r->d, t, (double)failures[i].n);
        put_text(r->d, t, "%s", *cause ? cause : "unknown");
        put_text(r->d, t, "%s", trial_list(r, &failures[i]));
    }
    if (causes > ROWS_OF_FAILURES)
        document_note(r->d, "%zu more causes are not listed.", causes - ROWS_OF_FAILURES);
}

/* --- published numbers --- */

/* Measured less published, in standard errors: Welch's t.  A published mean without a deviation or a number of seeds
 * counts as exact.  NaN without a measured spread. */
static double in_standard_errors(const struct estimate *measured, const struct estimate *published)
{
    double variance = measured->sd * measured->sd / (double)measured->count;

    if (isfinite(published->sd) && published->count)
        variance += published->sd * published->sd / (double)published->count;
    return variance > 0 ? (measured->mean - published->mean) / sqrt(variance) : NAN;
}

/* Is there a number of ours beside the row's number of metric k? */
static bool is_beside(const struct ablation *a, size_t group, const struct published_row *row, int k)
{
    return isfinite(row->metric[k].mean) && a->groups[group].metric[k].count && published_speaks_of(row, a, (int)group);
}

static bool any_beside(const struct ablation *a, const struct published *p)
{
    for (size_t g = 0; g < a->groups_count; g++)
        for (size_t i = 0; i < p->count; i++)
            for (int k = 0; k < METRIC_COUNT; k++)
                if (is_beside(a, g, &p->rows[i], k))
                    return true;
    return false;
}

static void compose_published(struct report *r)
{
    const struct report_column columns[] = {
        {COLUMN_TEXT, "published as", "label", "", 0},
        {COLUMN_TEXT, "metric", "metric", "", 0},
        {COLUMN_SPREAD, "measured", "measured", "%", 2},
        {COLUMN_SPREAD, "published", "published", "%", 2},
        {COLUMN_NUMBER, "difference", "difference", "%", 2},
        {COLUMN_NUMBER, "in std. errors", "standard_errors", "", 1},
    };
    const struct published *p = r->request->published;

    if (!p || !p->count)
        return;
    if (!any_beside(r->a, p)) {
        document_note(r->d, "The sweep names %zu published row%s, but none is about something measured so far.",
                      p->count, plural(p->count));
        return;
    }
    struct report_table *t = group_table(r, "published",
                                         *p->source ? document_text(r->d, "Beside published numbers (%s)", p->source)
                                                    : "Beside published numbers",
                                         "Difference: measured less published, also in units of its standard error. "
                                         "Published deviations count only where the "
                                         "number of seeds behind them is known.",
                                         columns, sizeof columns / sizeof *columns);
    for (size_t g = 0; g < r->a->groups_count; g++)
        for (size_t i = 0; i < p->count; i++)
            for (int k = 0; k < METRIC_COUNT; k++) {
                const struct estimate *theirs = &p->rows[i].metric[k], *ours = &r->a->groups[g].metric[k];
                if (!is_beside(r->a, g, &p->rows[i], k))
                    continue;
                put_levels(r, t, r->a->groups[g].level);
                put_text(r->d, t, "%s", p->rows[i].label);
                put_text(r->d, t, "%s", metric_info[k].label);
                put_estimate(r->d, t, ours);
                put_estimate(r->d, t, theirs);
                put_number(r->d, t, ours->mean - theirs->mean);
                put_number(r->d, t, in_standard_errors(ours, theirs));
            }
}

/* --- provenance --- */

static void compose_provenance(struct report *r)
{
    static const struct report_column columns[] = {{COLUMN_TEXT, "what", "name", "", 0},
                                                   {COLUMN_TEXT, "value", "value", "", 0}};

    if (!r->m->facts_count)
        return;
    document_heading(r->d, "Where this comes from");
    struct report_table *t = document_table(r->d, "provenance", "Provenance", "", columns, 2);
    for (size_t i = 0; i < r->m->facts_count; i++)
        if (strlen(r->m->facts[i].text) <= FACT_LENGTH && strcmp(r->m->facts[i].name, "sweep_yaml")) {
            put_text(r->d, t, "%s", r->m->facts[i].name);
            put_text(r->d, t, "%s", r->m->facts[i].text);
        }
}

int report_compose(struct document *d, struct ablation *a, const struct report_request *request, err *e)
{
    static void (*const sections[])(struct report *) = {
        compose_overview, compose_ablation, compose_differences, compose_published, compose_factors,
        compose_curves,   compose_cost,     compose_missing,     compose_failures,  compose_provenance,
    };
    struct report r = {.d = d, .m = a->m, .a = a, .request = request, .e = e};

    for (size_t i = 0; i < sizeof sections / sizeof *sections && !e->code; i++)
        sections[i](&r);
    if (!e->code && !document_complete(d))
        err_set(e, ERR_NOMEM, "no memory for the report");
    return e->code;
}
