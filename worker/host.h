/* worker/host.h - what a trainer needs from outside, and nothing more.
 *
 * A stage runs in a process without MPI (the worker's child, or `sluice train`).  It speaks to the world through this
 * interface only, so the same trainer runs under a supervisor, alone, and in a test. */
#ifndef WORKER_HOST_H
#define WORKER_HOST_H

#include <stdbool.h>
#include <stddef.h>

#include "io/err.h"
#include "io/tables.h"

/* How far a stage has come; sent at least once a second while it works. */
struct progress {
    const char *phase; /* "train", "align", "statistics", "evaluate", ... a literal */
    int epoch, epochs;
    double fraction; /* of the whole stage, 0..1 */
    double loss;     /* NaN if there is none yet */
    size_t images;   /* of an import: gone through so far; 0: not counted */
};

struct host {
    void *context;
    /* Tell how far it is; true: go on, false: stop soon (save a part checkpoint, then return ERR_INTERRUPTED).  Called between
     * steps, and from within long ones, seldom more than a few seconds apart.  Once false, it stays false for the stage: what it
     * says within a step counts at the next call after it. */
    bool (*go_on)(void *context, const struct progress *p);
    /* A row of results.  Rows count only if the stage then succeeds. */
    void (*accuracy)(void *context, const struct accuracy_row *row);
    void (*training)(void *context, const struct training_row *row);
};

#endif
