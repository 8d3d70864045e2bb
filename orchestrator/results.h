/* orchestrator/results.h - results.h5 from the plan and the ledger: the only place that knows how facts become tables.
 *
 * Rows come in the plan's order (trials, then tasks, then kinds of stages), so the tables do not depend on who finished what
 * when, nor a trial's rows on the other trials; what is measured in seconds, and /attempts, of course do.  A stage that several trials share gives its rows to each of them.
 *
 *   seconds                wall time of the trial's stages, each in full
 *   core_seconds           the same times the trainers' threads, a shared stage's divided among its trials
 *   trainable_parameters   prompts and gate of all tasks, the largest task-identity stage, the head of the lower or upper bound */
#ifndef ORCHESTRATOR_RESULTS_H
#define ORCHESTRATOR_RESULTS_H

#include "orchestrator/metrics.h"
#include "orchestrator/study.h"

/* The program, for the attributes of the file.  Texts are borrowed. */
struct results_origin {
    const char *version, *commit, *compiler, *blas, *kernels, *mpi;
};

int results_make(const struct plan *plan, const struct folder *folder, const struct history *h,
                 const struct standing *s, const struct results_origin *origin, err *e);

/* The numbers of one trial; NaN where its rows do not tell. */
struct trial_metrics results_metrics(const struct plan *plan, int trial, const struct history *h, err *e);

#endif
