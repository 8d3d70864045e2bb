/* worker/prompt_trainer.h - one training step of prompt, gate and head on a batch of images  (methods.md 1.4): what wtp and joint
 * share. */
#ifndef WORKER_PROMPT_TRAINER_H
#define WORKER_PROMPT_TRAINER_H

#include "worker/material.h"
#include "worker/part.h"
#include "worker/prompting.h"

struct prompt_trainer {
    /* set by the caller */
    struct stage_run *run;
    struct material material;
    struct class_sequence sequence;
    uint8_t *allowed;  /* (C): the classes that compete */
    size_t *positions; /* the images trained on */
    size_t count;
    bool augment;
    enum rng_purpose augment_purpose;
    uint64_t data_seed;
    /* mixing with earlier prompts, and the contrastive regulariser; 0 for none */
    double momentum;           /* m: the prompt in use is (1 - m) P + m mean */
    const float *earlier_mean; /* (prompt_size) mean of the earlier prompts */
    double contrastive_weight, temperature;
    const float *class_means; /* (class_means_count, D) of the classes of earlier tasks */
    int class_means_count;
    /* made by prompt_trainer_create() */
    struct prompting prompting;
    struct parameters parameters; /* "prompt", "scalars", then the head's groups */
    struct classifier_shape head_shape;
    classifier *head;
    vit_batch *batch;
    float *images, *features, *dfeatures, *logits, *mixed, *scratch;
    int32_t *labels;
    size_t *batch_positions;
    float *memory;
};

/* rates: of prompts and of the head; scalars_rate 0 freezes the gate. */
int prompt_trainer_create(struct prompt_trainer *t, int batch, double prompt_rate, double scalars_rate,
                          double head_rate, err *e);
/* Releases everything, the caller's parts too. */
void prompt_trainer_free(struct prompt_trainer *t);
/* The gradient of the loss over the n images and labels that stand in the trainer's memory, into its parameters. */
void prompt_trainer_gradient(struct prompt_trainer *t, int n, double *loss, int *correct);
/* The same for these images of the set, and what comes next: the step and the announcement of a fit (fit.h). */
void prompt_trainer_soon(void *context, const uint32_t *order, int n, int epoch);
int prompt_trainer_step(void *context, const uint32_t *order, int n, int epoch, double *loss, int *correct, err *e);
/* Features of images under the trained prompt, test-time transform, batch by batch in the given order: those of positions
 * rows->done .. end - 1 become rows.  A batch never spans two calls. */
int prompt_trainer_features(struct prompt_trainer *t, enum dataset_part part, const size_t *positions, size_t end,
                            int batch, struct part_rows *rows, err *e);

#endif
