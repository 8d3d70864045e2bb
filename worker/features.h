/* worker/features.h - features of the frozen backbone for every image in use: what a features stage wrote. */
#ifndef WORKER_FEATURES_H
#define WORKER_FEATURES_H

#include "worker/material.h"
#include "worker/part.h"

/* n images of width D. */
struct feature_set {
    size_t count;
    float *features; /* (n, D) */
    int32_t *labels; /* (n) */
};

struct features {
    int classes, width;
    struct feature_set part[DATASET_PARTS];
};

/* Compute features (taken, D) of every image in use of a part, without prompts; progress goes over the share from..to.
 * keep: the part file of the rows that there are, PART_COUNT for none. */
int features_compute(struct stage_run *run, const struct material *m, enum dataset_part part, enum part keep,
                     float *features, double from, double to, err *e);

/* The checkpoint of the job's features stage, kept until another is asked for or features_forget(). */
int features_open(struct stage_run *run, const struct features **out, err *e);
void features_forget(void);

/* Positions of the images of tasks first..last; malloc'd.  ERR_DATA if there are none. */
int features_of_tasks(const struct feature_set *set, const struct class_sequence *s, int first, int last,
                      size_t **positions, size_t *count, err *e);
/* The statistics of every class of tasks 0..last, in the order of the tasks: (classes_seen), malloc'd, to be released one by
 * one, also after a failure.  from: how much of the stage is done. */
int features_statistics(struct stage_run *run, const struct features *f, const struct class_sequence *s, int last,
                        double from, struct class_statistics **out, int *classes_seen, err *e);

#endif
