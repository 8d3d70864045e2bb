/* orchestrator/recall.h - what earlier runs, and this machine, tell about the cost of a plan: see sweeps/estimate.h. */
#ifndef ORCHESTRATOR_RECALL_H
#define ORCHESTRATOR_RECALL_H

#include "sweeps/estimate.h"

/* A plan_recall: finished stages and their times, and what an edit of the sweep keeps, adds and orphans, by the output folder's
 * ledger. */
int recall_plan(struct plan *plan, const char *out, struct plan_known *known, err *e);
/* GFLOP/s of a core of this machine in training; measured now. */
double recall_gflops(void);

#endif
