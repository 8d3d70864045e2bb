/* orchestrator/changes.h - what an edit of a sweep means for the results that are there. */
#ifndef ORCHESTRATOR_CHANGES_H
#define ORCHESTRATOR_CHANGES_H

#include "orchestrator/history.h"
#include "sweeps/plan.h"

struct changes {
    int kept, added, orphaned; /* trials in both, only in the new plan, only in the old one */
};

/* Trials are the same when their keys are, which both plans have. */
int changes_between(const struct plan *before, const struct plan *now, struct changes *out, err *e);

/* Why: a line for each option whose values differ ("seed was 0, 1; it is 0, 1, 2"), and for each data set, backbone and kind of
 * stage that is not what the last run stood on.  malloc'd, lines end with a line break; NULL when memory is out. */
char *changes_why(const struct plan *before, const struct plan *now, const struct history *h);

#endif
