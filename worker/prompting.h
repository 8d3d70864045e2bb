/* worker/prompting.h - the prompts of a trial: their shape, and the prefixes of a batch. */
#ifndef WORKER_PROMPTING_H
#define WORKER_PROMPTING_H

#include "model/vit.h"
#include "worker/stage_run.h"

struct prompting {
    struct prefix prefix;          /* its sources are those below */
    bool official;                 /* the layout of methods.md 2.5 */
    const char *gate_train;        /* the option's text */
    size_t prompt_size;            /* numbers in one task's prompt (layers, 2, L, D) */
    size_t scalars_size;           /* numbers in one set of gate scalars (layers, 2, scopes) */
    int first_block;               /* the lowest prompted block */
    struct prefix_source *sources; /* (max_batch), owned */
};

/* From prompt.* and gate.*.  ERR_SHAPE if the backbone lacks a prompted block, ERR_CONFIG if none is named. */
int prompting_open(struct prompting *p, struct stage_run *run, const struct vit_shape *shape, int max_batch, err *e);
void prompting_close(struct prompting *p);

/* Initial gate scalars from gate.a0 and gate.a1. */
void prompting_init_scalars(const struct prompting *p, double a0, double a1, float *scalars);
/* Uniform in [-1, 1), stream (seed, RNG_PROMPT_INIT, task). */
void prompting_init_prompt(const struct prompting *p, uint64_t seed, int task, float *prompt);

/* Let the next batch of n images use these: prompts[i] and scalars[i] are those meant for image i; the layout decides which
 * halves of whose prompt it receives. */
void prompting_set(struct prompting *p, int n, const float *const *prompts, const float *const *scalars);
/* The same prompt for all. */
void prompting_set_one(struct prompting *p, int n, const float *prompt, const float *scalars);

#endif
