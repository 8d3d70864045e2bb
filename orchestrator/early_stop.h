/* orchestrator/early_stop.h - which trials are stopped before their last task.
 *
 * A trial is looked at on rungs: after some of its tasks, when the stage that evaluates it after that task is finished.  Its
 * value there is the sweep's metric over the tasks so far.  It runs up to its next rung, waits there for the verdict, and goes on
 * or is pruned, so no work beyond a rung is ever done in vain.  Rules (early_stop.rule):
 *
 *   asha      rungs after min_tasks, min_tasks * reduction, ...: a trial goes on if it is among the best 1/reduction of those that
 *             have reached the rung up to now (asynchronous successive halving; Li et al., MLSys 2020)
 *   halving   the same rungs, but the verdict falls when all trials have reached the rung or failed: it depends neither on the
 *             number of workers nor on their speed (Jamieson and Talwalkar, AISTATS 2016)
 *   median    a rung after every task from min_tasks on: a trial goes on unless its value is worse than the median of at least
 *             three others that were there before it (Golovin et al., KDD 2017)
 *   floor     the same rungs: a trial goes on if its value is not worse than early_stop.floor
 *
 * Trials are compared with those of the same data set and number of tasks.  A verdict is a function of the facts in the ledger and
 * their order: continuing a run, or replaying it, prunes the same trials. */
#ifndef ORCHESTRATOR_EARLY_STOP_H
#define ORCHESTRATOR_EARLY_STOP_H

#include "orchestrator/history.h"
#include "sweeps/plan.h"

typedef struct early_stop early_stop;

/* *out is NULL, without an error, if the sweep has no rule.  plan is borrowed. */
int early_stop_create(const struct plan *plan, early_stop **out, err *e);
void early_stop_free(early_stop *s); /* NULL is fine */

/* Is a verdict possible when this stage is finished? */
bool early_stop_watches(const early_stop *s, int stage);

struct early_stop_verdict {
    int goal;       /* the stage up to which the trial may run; of a pruned trial -1 */
    int after_task; /* of a pruned trial */
    char why[200];
};

/* The verdict on a trial, by what the ledger says at this moment.  failed: (trials) those that cannot go on. */
struct early_stop_verdict early_stop_judge(early_stop *s, int trial, const struct history *h, const bool *failed);

#endif
