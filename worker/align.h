/* worker/align.h - alignment on features drawn from class statistics: of the head (TAP) or of MLP and head (TII)  (methods.md 1.6).
 *
 * For each epoch, `samples` features are drawn for every class seen, classes in the order of the tasks, shuffled together, and
 * used in `minibatches` steps of `samples` rows (the official code takes as many steps as there are earlier classes, methods.md Q4),
 * each a cross-entropy over the classes seen, SGD with momentum 0.9, its rate a cosine over the epochs. */
#ifndef WORKER_ALIGN_H
#define WORKER_ALIGN_H

#include "model/optimizer.h"
#include "model/rng.h"
#include "model/statistics.h"
#include "sweeps/stage.h"
#include "worker/host.h"

struct align {
    struct parameters *parameters; /* base rates are those of the alignment */
    int epochs, samples, minibatches;
    int classes_seen;
    const int *class_ids;                /* (classes_seen) */
    struct class_statistics *statistics; /* (classes_seen), in the same order */
    int width;
    uint64_t seed;
    enum rng_purpose draw, order; /* streams (seed, draw, task, epoch, class id) and (seed, order, task, epoch, 0) */
    uint32_t task;
    /* Put the gradient of the mean loss over n features (n, D) into parameters->gradient. */
    int (*step)(void *context, const float *features, const int32_t *labels, int n, double *loss, int *correct, err *e);
    void *context;
    const struct stage_job *job;
    const struct host *host;
    double from, to; /* share of the stage's progress */
};

/* ERR_DIVERGED, ERR_INTERRUPTED (nothing is kept: alignment is short), ERR_CONFIG with fewer samples than centroids, ERR_NOMEM. */
int align_run(const struct align *a, err *e);

#endif
