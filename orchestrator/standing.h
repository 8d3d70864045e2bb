/* orchestrator/standing.h - where every trial of a plan stands, by what the ledger says. */
#ifndef ORCHESTRATOR_STANDING_H
#define ORCHESTRATOR_STANDING_H

#include "io/err.h"
#include "orchestrator/history.h"
#include "sweeps/plan.h"

/* X(id, word in tables, meaning) */
#define TRIAL_STATUSES(X)                                      \
    X(WAITING, "waiting", "its last stage has not run")        \
    X(RUNNING, "running", "a worker is at one of its stages")  \
    X(DONE, "done", "all its stages are finished")             \
    X(FAILED, "failed", "a stage that it needs was set aside") \
    X(PRUNED, "pruned", "stopped early by the sweep's rule")

enum trial_status {
#define X(id, word, meaning) TRIAL_##id,
    TRIAL_STATUSES(X)
#undef X
        TRIAL_STATUS_COUNT
};

const char *trial_status_word(enum trial_status s);

struct standing {
    int counts[TRIAL_STATUS_COUNT];
    enum trial_status *trial; /* (trials); RUNNING is for the caller to add */
    int *culprit;             /* (trials) of a failed trial: the stage set aside that it needs; -1 */
    bool *finished;           /* (stages) */
    bool *needed; /* (stages) unfinished trials that are neither failed nor pruned need it, finished or not */
    int blocked;  /* stages that are not finished and need one that was set aside */
};

int standing_make(const struct plan *plan, const struct history *h, struct standing *out, err *e);
void standing_free(struct standing *s);

/* Everything done: 0.  Nothing left to run, with failures: ERR_WORKER.  Otherwise ERR_INTERRUPTED.  The text says how
 * many. */
int standing_verdict(const struct standing *s, const struct plan *plan, err *e);

#endif
