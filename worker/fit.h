/* worker/fit.h - the training loop that all stages share: epochs over a shuffled set, Adam, and a place to stop and go on from.
 *
 * A stage says what a step is; the loop says when.  Its state goes into the part file `train` (part.h). */
#ifndef WORKER_FIT_H
#define WORKER_FIT_H

#include "model/optimizer.h"
#include "model/rng.h"
#include "worker/stage_run.h"

struct fit {
    /* what is trained, and how */
    struct parameters *parameters;
    struct schedule schedule;
    double clip;
    int batch;
    size_t images;       /* in the set: positions 0..images-1 */
    uint64_t order_seed; /* the order of epoch e is the permutation of stream (order_seed, purpose, task, e, 0) */
    enum rng_purpose purpose;
    uint32_t task;
    /* One step: put the gradient of the mean loss over the batch into parameters->gradient. */
    int (*step)(void *context, const uint32_t *positions, int n, int epoch, double *loss, int *correct, err *e);
    /* What the step after the next one will be about, so that its images can be made ready; NULL: the stage has no use for it. */
    void (*soon)(void *context, const uint32_t *positions, int n, int epoch);
    void *context;
    struct stage_run *run;
    double from, to; /* the loop's share of the stage's progress */
};

/* ERR_DIVERGED names epoch and step; ERR_INTERRUPTED; what a step fails with. */
int fit_run(const struct fit *f, err *e);

/* Seconds on a clock that only goes forward. */
double seconds_now(void);

#endif
