/* orchestrator/metrics.h - a trial's numbers from its accuracy rows.
 *
 * With A[k][t] the accuracy in percent on task k after task t was learned and the head aligned (rows of phase "after"),
 * tasks and times counted from 0, T of them:
 *
 *   FA_t  average accuracy after task t         mean over k <= t of A[k][t]
 *   faa   final average accuracy                FA_{T-1}
 *   caa   cumulative average accuracy           mean over t of FA_t
 *   ffm   final forgetting measure              mean over k < T-1 of max over t of A[k][t], less A[k][T-1]
 *   tii_accuracy                                mean over k of the task-identity accuracy on task k after the last task
 *
 * These are the definitions of the HiDe-Prompt and NoRGa code ("evaluate_till_now"); the maximum includes the last
 * column, so ffm is never negative.  What the rows do not determine is NaN: caa and ffm of a joint training, ffm of a
 * single task. */
#ifndef ORCHESTRATOR_METRICS_H
#define ORCHESTRATOR_METRICS_H

#include "io/tables.h"

struct trial_metrics {
    double faa, caa, ffm, tii_accuracy; /* % */
};

/* Rows of other phases, and of tasks outside 0..tasks-1, are passed over; of two rows for one cell the last counts. */
struct trial_metrics metrics_of(const struct accuracy_row *rows, int count, int tasks);

/* FA_t; NaN unless all its rows are there. */
double metrics_average(const struct accuracy_row *rows, int count, int after_task);

#endif
