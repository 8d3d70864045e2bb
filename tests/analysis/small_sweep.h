/* tests/analysis/small_sweep.h - sweeps of a few trials, written down in the test. */
#ifndef TESTS_ANALYSIS_SMALL_SWEEP_H
#define TESTS_ANALYSIS_SMALL_SWEEP_H

#include "analysis/measured.h"

enum { SMALL_FACTORS = 3 };

struct small_trial {
    const char *value[SMALL_FACTORS]; /* of each factor */
    int seed;
    enum trial_status status;
    double faa, caa, ffm; /* NAN: none */
    const char *cause;    /* NULL: none */
};

/* A sweep of these trials.  names: of the factors, NULL after the last.  tasks > 0 also makes accuracies: a[t][k] falls
 * by one point with every task learned after k, from faa at t = k. */
void small_sweep(struct measured *m, const char *const names[SMALL_FACTORS], const struct small_trial *trials,
                 size_t count, int tasks);

#endif
