/* tests/analysis/small_sweep.c - see small_sweep.h. */
#include "small_sweep.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int intern(char ***texts, int *count, const char *text)
{
    for (int i = 0; i < *count; i++)
        if (!strcmp((*texts)[i], text))
            return i;
    *texts = realloc(*texts, (size_t)(*count + 1) * sizeof **texts);
    (*texts)[*count] = strdup(text);
    return (*count)++;
}

static void add_accuracies(struct measured *m, const struct small_trial *trials, int tasks)
{
    size_t n = m->trials, T = (size_t)tasks;

    m->tasks = tasks;
    m->after = malloc(n * T * sizeof *m->after);
    m->forgetting = malloc(n * T * sizeof *m->forgetting);
    m->evaluations = malloc(n * T * T * sizeof *m->evaluations);
    for (size_t i = 0; i < n; i++)
        for (size_t t = 0; t < T; t++) {
            m->after[i * T + t] = trials[i].faa - (double)t / 2; /* mean of faa - (t - k) over k <= t */
            m->forgetting[i * T + t] = t + 1 < T ? (double)(T - 1 - t) : NAN;
            for (size_t k = 0; k <= t && trials[i].status == STATUS_done; k++)
                m->evaluations[m->evaluations_count++] =
                    (struct evaluation){.trial = (int32_t)i,
                                        .after = (uint16_t)t,
                                        .task = (uint16_t)k,
                                        .accuracy = trials[i].faa - (double)(t - k)};
        }
}

void small_sweep(struct measured *m, const char *const names[SMALL_FACTORS], const struct small_trial *trials,
                 size_t count, int tasks)
{
    memset(m, 0, sizeof *m);
    m->name = strdup("small");
    m->trials = count;
    m->number = malloc((count + 1) * sizeof *m->number);
    m->seed = malloc((count + 1) * sizeof *m->seed);
    m->status = malloc((count + 1) * sizeof *m->status);
    m->attempts = malloc((count + 1) * sizeof *m->attempts);
    m->cause = calloc(count + 1, sizeof *m->cause);
    m->factors = calloc(SMALL_FACTORS, sizeof *m->factors);
    for (int k = 0; k < METRIC_COUNT; k++)
        m->metric[k] = malloc((count + 1) * sizeof *m->metric[k]);
    while (m->factors_count < SMALL_FACTORS && names[m->factors_count]) {
        struct factor *f = &m->factors[m->factors_count++];
        snprintf(f->name, sizeof f->name, "%s", names[m->factors_count - 1]);
        f->level = malloc((count + 1) * sizeof *f->level);
    }
    for (size_t i = 0; i < count; i++) {
        char seed[16];
        snprintf(seed, sizeof seed, "%d", trials[i].seed);
        m->number[i] = (int64_t)i;
        m->seed[i] = intern(&m->seeds, &m->seeds_count, seed);
        m->status[i] = trials[i].status;
        m->attempts[i] = 1;
        m->cause[i] = strdup(trials[i].cause ? trials[i].cause : "");
        for (int k = 0; k < METRIC_COUNT; k++)
            m->metric[k][i] = k == METRIC_SECONDS || k == METRIC_CORE_SECONDS ? 10 : NAN;
        m->metric[METRIC_FAA][i] = trials[i].faa;
        m->metric[METRIC_CAA][i] = trials[i].caa;
        m->metric[METRIC_FFM][i] = trials[i].ffm;
        for (int f = 0; f < m->factors_count; f++)
            m->factors[f].level[i] = intern(&m->factors[f].levels, &m->factors[f].levels_count, trials[i].value[f]);
    }
    for (int f = 0; f < m->factors_count; f++) {
        struct factor *factor = &m->factors[f];
        factor->unused = -1;
        for (int l = 0; l < factor->levels_count; l++)
            if (!strcmp(factor->levels[l], "–"))
                factor->unused = l;
    }
    if (tasks)
        add_accuracies(m, trials, tasks);
}
