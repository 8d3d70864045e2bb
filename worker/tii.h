/* worker/tii.h - the model of task-identity inference: feature -> residual MLP -> head over all classes  (methods.md 1.3). */
#ifndef WORKER_TII_H
#define WORKER_TII_H

#include "model/mlp.h"
#include "worker/stage_run.h"

struct tii_model {
    struct parameters parameters; /* "mlp", then the head's groups */
    struct mlp_shape mlp_shape;
    struct classifier_shape head_shape;
    mlp *mlp;
    classifier *head;
    float *hidden, *dhidden; /* (max_batch, D): the MLP's output and its gradient */
};

/* The structure is the option tii.mlp's.  Values are zero. */
int tii_create(struct tii_model *m, struct stage_run *run, int classes, int width, int max_batch, err *e);
void tii_free(struct tii_model *m);
void tii_init(struct tii_model *m, uint64_t seed);
void tii_set_rate(struct tii_model *m, double base_rate);

/* z (n, D), borrowed until tii_backward() -> logits (n, C). */
void tii_forward(struct tii_model *m, const float *z, int n, float *logits);
void tii_backward(struct tii_model *m, const float *dlogits);

/* The task of the largest logit (C) among the classes of the first `tasks` tasks. */
int32_t tii_task(const float *logits, const struct class_sequence *s, int tasks);

int tii_write(struct tii_model *m, h5 *file, err *e);
int tii_read(struct tii_model *m, h5 *file, err *e);

#endif
