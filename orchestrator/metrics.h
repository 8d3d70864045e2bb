/* orchestrator/metrics.h - a trial's numbers from its accuracy rows.
 *
 * With A[k][t] the accuracy in percent on task k after task t was learned and the head aligned (rows of phase "after"),
 * tasks and times counted from 0, T of them:
 *
 *   FA_t  average accuracy after task t         mean over k <= t of A[k][t]
 *   faa   final average accuracy                FA_{T-1}
 *   caa   cumulative average accuracy           mean over t of FA_t
 *   ffm   final forgetting measure              mean over k < T-1 of max over t of A[k][t], less A[k][T-1]
 *   bwt   backward transfer                     mean over k < T-1 of A[k][T-1] - A[k][k]
 *   tii_accuracy                                mean over k of the task-identity accuracy on task k after the last task
 *
 * faa_before, caa_before, ffm_before and bwt_before are the same of the accuracies before each alignment (phase "before", or
 * "after" where nothing is aligned, as after the first task).  tii_before and tii_sample are like tii_accuracy, from rows of
 * the TII learner itself (phases "tii-before" and "tii-after"), which infers the task of each image by itself even where
 * evaluate.vote makes batches vote.
 *
 * These are the definitions of the HiDe-Prompt and NoRGa code ("evaluate_till_now"); the maximum includes the last
 * column, so ffm is never negative.  What the rows do not determine is NaN: caa, ffm and bwt of a joint training, ffm and bwt
 * of a single task. */
#ifndef ORCHESTRATOR_METRICS_H
#define ORCHESTRATOR_METRICS_H

#include <stdbool.h>

#include "io/tables.h"

struct trial_metrics {
#define F(kind, name, unit, help) double name;
    METRIC_FIELDS(F)
#undef F
};

/* Rows of other phases, and of tasks outside 0..tasks-1, are passed over; of two rows for one cell the last counts. */
struct trial_metrics metrics_of(const struct accuracy_row *rows, int count, int tasks);

/* FA_t; NaN unless all its rows are there. */
double metrics_average(const struct accuracy_row *rows, int count, int after_task);

/* The metric of that name; NaN if there is none. */
double metrics_by_name(const struct trial_metrics *m, const char *name);
/* All numbers the same, NaN being the same as NaN. */
bool metrics_equal(const struct trial_metrics *a, const struct trial_metrics *b);
void metrics_to_row(const struct trial_metrics *m, struct trial_row *row);
struct trial_metrics metrics_of_row(const struct trial_row *row);

#endif
