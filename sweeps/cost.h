/* sweeps/cost.h - what a stage costs: floating-point operations, bytes of its checkpoint, bytes of memory.
 *
 * Counted from shapes, images and epochs, before anything has been measured.  A pass through the network has the operations of
 * model/flops.h, which this room does not see: tests/worker/test_costs.c holds the two together. */
#ifndef SWEEPS_COST_H
#define SWEEPS_COST_H

#include "sweeps/sources.h"
#include "sweeps/stage.h"

struct cost {
    double flop, disk, memory;
};

/* A trial as far as costs need it. */
struct cost_context {
    const struct trial_config *config;
    const struct source_dataset *dataset;
    const struct source_backbone *backbone;
    int tasks;
    const int *classes_until; /* (tasks): classes of tasks 0..t */
};

/* task: -1 for a stage of the whole trial. */
struct cost stage_cost(const struct cost_context *c, enum stage_kind kind, int task);

#endif
