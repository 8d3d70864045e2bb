/* analysis/ablation.h - a sweep as an ablation: trials grouped by options, compared over seeds.
 *
 * A *group* is one combination of levels of the options in `by`.  Within it, trials that share a seed but differ in
 * other options are averaged first, so an *observation* is one (group, seed) and a spread is a spread over seeds.  Only
 * trials that are done contribute numbers; all are counted.
 *
 * Comparisons pair two groups on the seeds that both have.
 *
 * Sources: statistics.h, and
 *   Yates, "The analysis of multiple classifications with unequal numbers in the different classes", JASA 29 (1934): sums
 *     of squares of an unbalanced table by differences between fitted models (called type II since SAS).
 *   Goodnight, "A tutorial on the SWEEP operator", Amer. Statist. 33 (1979): the fits, also where terms are confounded.
 *   Frisch and Waugh, Econometrica 1 (1933): seeds as blocks, removed by subtracting each seed's mean. */
#ifndef ANALYSIS_ABLATION_H
#define ANALYSIS_ABLATION_H

#include "analysis/measured.h"
#include "analysis/statistics.h"

enum { MAX_BY = 16, MAX_TERMS = MAX_BY * (MAX_BY + 1) / 2 };

struct observation {
    int group, seed;
    int trials; /* averaged */
    double metric[METRIC_COUNT];
};

struct group {
    const int *level;   /* (by_count) */
    size_t first_trial; /* index of the first trial of the group, for its order */
    size_t status[STATUS_COUNT];
    size_t first, count;  /* its observations, in the order of seeds */
    size_t begin, trials; /* its trials, in `order`, sorted by seed */
    struct estimate metric[METRIC_COUNT];
    double attempts; /* mean for each trial */
};

struct comparison {
    int group, baseline;
    struct paired paired;            /* group minus baseline, over the seeds of both */
    size_t left_out;                 /* seeds that only one of the two has */
    double holm_t, holm_permutation; /* adjusted over all comparisons of the ablation */
};

/* Two-sided test of a term of the linear model  y = seed + factors + pairs of factors. */
struct term {
    int a, b;                  /* indices into by; b is -1 for a main effect */
    double df, squares, share; /* share of the total sum of squares within seeds */
    double f, p, holm;
};

/* The effect of a factor's level: its mean deviation in the settings (other options and seed) where all compared levels
 * were measured. */
struct level_effect {
    int factor, level;            /* factor: index into by */
    struct estimate mean, effect; /* over settings; count 0: this level is not comparable */
};

struct ablation {
    const struct measured *m;
    enum metric main;         /* the metric of comparisons and effects */
    int by_count, by[MAX_BY]; /* indices of m->factors */
    size_t groups_count;
    struct group *groups; /* in the order of the grid: that of their first trials */
    int *group_of;        /* (trials) */
    size_t *order;        /* (trials) group by group */
    size_t observations_count;
    struct observation *observations;

    size_t cells; /* of the full grid: product of the levels; SIZE_MAX if that overflows */
    size_t comparisons_count;
    struct comparison *comparisons;

    size_t terms_count;
    struct term terms[MAX_TERMS];
    double residual_df, residual_squares;
    const char *no_terms; /* why there is no analysis of variance; NULL if there is */

    size_t effects_count;
    struct level_effect *effects;
    int *levels, *sorted; /* private: the groups' levels; groups in the order of their levels */
};

/* Factors of the default grouping: all with at least two levels, in the order of the store.  Returns their number. */
int ablation_default_by(const struct measured *m, int by[MAX_BY]);

/* ERR_NOMEM. */
int ablation_start(struct ablation *a, const struct measured *m, const int *by, int by_count, enum metric main, err *e);
void ablation_free(struct ablation *a);

/* Group whose levels are those of `like` except that factor by[i] has level wanted[i] where wanted[i] >= 0; -1 if none.
 */
int ablation_find(const struct ablation *a, const int *like, const int *wanted);

/* Compare every group with its baseline: the group that differs from it only in having the wanted levels.  A group
 * without such a partner, or that is its own, gets no comparison. */
int ablation_compare(struct ablation *a, const int *wanted, err *e);

/* Analysis of variance and effects of levels (terms, effects). */
int ablation_factors(struct ablation *a, err *e);

/* Mean and spread over seeds of the main metric for each pair of levels of by[i] and by[j]: out is (levels of i, levels
 * of j). Averaged over those settings of the other options that have every cell of the fullest one, so that two cells
 * differ in nothing else; other settings are left out. */
int ablation_means(const struct ablation *a, int i, int j, struct estimate *out, err *e);

/* Mean and spread over seeds of A_t (values: m->after) or F_k (m->forgetting) of a group's finished trials, task by
 * task. values: (trials, tasks) of m; out: (tasks). */
int ablation_curve(const struct ablation *a, int group, const double *values, struct estimate *out, err *e);

/* Mean accuracy matrix of some groups: out is (count, tasks, tasks), NaN where nothing was evaluated. */
void ablation_matrices(const struct ablation *a, const int *groups, int count, double *out);

/* "gate.activation=tanh, prompt.length=5": malloc'd; NULL when out of memory. */
char *ablation_group_name(const struct ablation *a, int group);

/* The next combination of levels that no trial has, in grid order.  Start with at = 0; false at the end. */
bool ablation_missing(const struct ablation *a, size_t *at, int level[MAX_BY]);

#endif
