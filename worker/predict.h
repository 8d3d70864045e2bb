/* worker/predict.h - what a trained learner says about every image of a data set.
 *
 * A learner is the result of a trial's last stage (or of an earlier task's): tap(t), sequential(t) or joint, together with the
 * checkpoints that it builds on. */
#ifndef WORKER_PREDICT_H
#define WORKER_PREDICT_H

#include "io/dataset.h"
#include "worker/trainer.h"

struct predict_images {
    const char *dataset; /* its name; labels count as the learner's classes if there are equally many */
    enum dataset_part part;
    int64_t per_class; /* the first images of each class, 0: all */
};

/* n images in file order. */
struct prediction {
    size_t n;
    int width, classes;
    float *features;    /* (n, D): under the prompt of the inferred task, before fc_norm and head */
    float *logits;      /* (n, C): of all classes, unseen ones too */
    int32_t *predicted; /* (n): the class of the largest logit, unseen ones masked if evaluate.unseen says so */
    int32_t *inferred;  /* (n): the inferred task; NULL for methods that infer none */
    int32_t *labels;    /* (n): as the data set has them */
};

/* result: a job of tap, sequential or joint that is finished; infer: for tap, the job of infer of the same task, whose inputs are
 * the prompts and the task inference.  As in an evaluation (methods.md 7), images go through task by task, and a batch (of
 * evaluate.batch) has images of one task; a data set with another number of classes goes through in file order.
 * prediction_free() in any case.
 * ERR_MISSING, ERR_DAMAGED, ERR_DATA, ERR_SHAPE, ERR_NOMEM, ERR_INTERRUPTED. */
int predict_run(const struct stage_job *result, const struct stage_job *infer, const struct predict_images *images,
                const struct host *host, struct prediction *out, err *e);
void prediction_free(struct prediction *p);

#endif
