/* orchestrator/alone.h - a sweep without MPI: its stages one after the other in this process, with the same ledger, checkpoints
 * and results as a run has.  What `sluice train` does for one trial. */
#ifndef ORCHESTRATOR_ALONE_H
#define ORCHESTRATOR_ALONE_H

#include "orchestrator/results.h"
#include "worker/console.h"

/* Run every stage that is not finished.  The folder exists and is locked by the caller.  A stage that fails ends it.
 * ERR_INTERRUPTED when the console was told to stop; the same call continues. */
int alone_run(struct study *s, const struct results_origin *origin, struct console *console, err *e);

#endif
