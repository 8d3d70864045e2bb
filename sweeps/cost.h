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

/* A trial as far as costs need it: made once, asked for each of its stages. */
struct cost_trial {
    const union option_value *value; /* of its options */
    int tasks;
    const int *classes_until; /* (tasks): classes of tasks 0..t */

    double width, tokens, patch_inputs, weights; /* of the backbone */
    int blocks;
    bool token;        /* the class token is the feature */
    uint64_t prompted; /* blocks, of those that there are */
    double prompt_length, prompt_blocks;
    double classes, train, test;     /* all classes; images of each */
    double train_all, test_all;      /* images */
    double plain, prompts, training; /* FLOP of an image: forward, forward with prompts, and back too */
};

/* Everything is borrowed. */
struct cost_trial cost_of_trial(const struct trial_config *config, const struct source_dataset *dataset,
                                const struct source_backbone *backbone, int tasks, const int *classes_until);
/* task: -1 for a stage of the whole trial. */
struct cost stage_cost(const struct cost_trial *c, enum stage_kind kind, int task);

#endif
