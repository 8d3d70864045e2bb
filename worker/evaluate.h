/* worker/evaluate.h - accuracy of a head on features, task by task. */
#ifndef WORKER_EVALUATE_H
#define WORKER_EVALUATE_H

#include "worker/stage_run.h"

/* Test features grouped by task: rows first[k] .. first[k + 1] - 1 belong to task k. */
struct test_features {
    int tasks, width;
    size_t *first;           /* (tasks + 1) */
    const float *features;   /* (n, D) */
    const int32_t *labels;   /* (n) */
    const int32_t *inferred; /* (n) task inferred for each image; NULL where none is */
};

/* One accuracy row for each task, to the host.  allowed (C): classes that compete (methods.md Q5; NULL: all). */
int evaluate(struct stage_run *run, const struct test_features *t, struct parameters *p,
             const struct classifier_shape *shape, const uint8_t *allowed, int after_task, const char *phase, err *e);

/* The mask of the option evaluate.unseen after a task: NULL for keep.  Malloc'd; check e. */
uint8_t *evaluate_allowed(struct stage_run *run, const struct class_sequence *s, int after_task, err *e);

#endif
