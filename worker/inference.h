/* worker/inference.h - which task an image is of, and what it looks like under that task's prompt  (methods.md 7): what infer stages
 * and predictions have in common. */
#ifndef WORKER_INFERENCE_H
#define WORKER_INFERENCE_H

#include "worker/material.h"
#include "worker/prompting.h"
#include "worker/tii.h"

/* A prompt with its gate scalars, as its task left them. */
struct prompt_slot {
    float *prompt, *scalars;
};

struct inference {
    struct stage_run *run; /* borrowed, as are the next two */
    const struct material *material;
    const struct class_sequence *sequence;
    int tasks, batch; /* tasks seen; images of a batch */
    bool vote;        /* every image of a batch gets the batch's most frequent task (methods.md Q6) */
    struct prompting prompting;
    struct prompt_slot *slots; /* (tasks), owned */
    struct tii_model tii;
    vit_batch *network;
    float *images, *logits; /* (batch, 3, side, side), (batch, C) */
    const float **prompts;  /* (2, batch): prompts, then scalars, of a batch */
    int *counts;            /* (tasks): votes */
};

/* What is known after `tasks` tasks: the prompts of all, which the run's job lists among its inputs.  Batches are those of
 * evaluate.batch.  inference_close() in any case. */
int inference_open(struct inference *f, struct stage_run *run, const struct material *m, const struct class_sequence *s,
                   int tasks, err *e);
/* The learner of task inference too, from tii of the last task: for other images than those whose tasks that stage has written
 * down. */
int inference_open_tii(struct inference *f, err *e);
/* The same with one prompt for all images, from the open file, and no tasks to infer: what `joint` learns. */
int inference_open_one(struct inference *f, struct stage_run *run, const struct material *m, int batch, h5 *file,
                       err *e);
void inference_close(struct inference *f);

/* Features without prompts z (n, D) -> the inferred tasks of n <= batch images, one batch.  After inference_open_tii(). */
void inference_tasks(struct inference *f, const float *z, int n, int32_t *inferred);
/* With evaluate.vote batch, every image of a batch gets the batch's most frequent task; ties go to the lowest (methods.md Q6,
 * Q29). */
void inference_vote(struct inference *f, int32_t *inferred, int n);
/* The features (n, D) of n <= batch images at these positions, each under the prompt of its task. */
int inference_features(struct inference *f, enum dataset_part part, const size_t *positions, const int32_t *inferred,
                       int n, float *features, err *e);

#endif
