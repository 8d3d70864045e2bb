/* worker/align.h - alignment on features drawn from class statistics: of the head (TAP) or of MLP and head (TII)  (methods.md 1.6).
 *
 * For each epoch, `samples` features are drawn for every class seen, classes in the order of the tasks, shuffled together, and
 * used in `minibatches` steps of `samples` rows (the official code takes as many steps as there are earlier classes, methods.md Q4, align.steps),
 * each a cross-entropy over the classes seen, SGD with momentum 0.9, its rate a cosine over the epochs.  The state between epochs
 * goes into the part file `align` (part.h). */
#ifndef WORKER_ALIGN_H
#define WORKER_ALIGN_H

#include "model/optimizer.h"
#include "model/rng.h"
#include "model/statistics.h"
#include "worker/stage_run.h"

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
    struct stage_run *run;
    double from, to; /* share of the stage's progress */
};

/* ERR_DIVERGED names the epoch; ERR_INTERRUPTED; ERR_CONFIG with fewer samples than centroids, ERR_NOMEM. */
int align_run(const struct align *a, err *e);

#endif
