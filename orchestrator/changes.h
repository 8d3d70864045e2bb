/* orchestrator/changes.h - what an edit of a sweep means for the results that are there. */
#ifndef ORCHESTRATOR_CHANGES_H
#define ORCHESTRATOR_CHANGES_H

#include "sweeps/plan.h"

struct changes {
    int kept, added, orphaned; /* trials in both, only in the new plan, only in the old one */
};

/* Trials are the same when their keys are. */
int changes_between(const struct plan *before, const struct plan *now, struct changes *out, err *e);

#endif
