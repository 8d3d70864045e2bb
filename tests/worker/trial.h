/* trial.h - a tiny world to train in, and a trial of it run stage by stage with everything it says written down.
 *
 * The world lies in the current folder: data set `stripes` (6 classes, 12 x 12 grey, class-dependent stripes under noise, 12
 * training and 6 test images a class) and backbone `tiny` (random weights; side 8, patch 4, width 16, depth 3, heads 2). */
#ifndef TESTS_WORKER_TRIAL_H
#define TESTS_WORKER_TRIAL_H

#include "io/backbone.h"
#include "io/dataset.h"
#include "sweeps/plan.h"
#include "worker/trainer.h"

enum { WORLD_CLASSES = 6, WORLD_TRAIN = 12, WORLD_TEST = 6, WORLD_SIDE = 12, WORLD_TASKS = 3, WORLD_WIDTH = 16 };

/* Write data set and backbone, and point SLUICE_DATA and SLUICE_BACKBONES here. */
void world_make(void);
/* Write <name>.h5 with class c having per_class[part][c] images.  In a data set "mixed", classes 2 and 3 are of cifar10. */
void world_write_dataset(const char *name, const int per_class[DATASET_PARTS][WORLD_CLASSES]);
void world_write_backbone(const char *name, const struct backbone_shape *shape, bool half);
/* `tiny` with a last norm so strong that features are beyond all floats. */
void world_write_wild_backbone(const char *name);

/* The world's trial as a sweep file. */
void world_write_sweep(const char *path);

/* A sweep of the tiny world, planned. */
struct trial {
    struct sweep sweep;
    struct plan plan;
    char folder[64]; /* of the checkpoints */
};

/* The world's trial with options "key=value ...", separated by blanks; checkpoints in a new folder of that name. */
void trial_open(struct trial *t, const char *options, const char *folder);
void trial_close(struct trial *t);
/* The plan's stage; fails the test if there is none. */
int trial_stage(const struct trial *t, enum stage_kind kind, int task);
/* "<folder>/<key>.h5", until the fourth next call. */
const char *trial_checkpoint(const struct trial *t, int stage);

/* What a stage said. */
enum { RECORD_ROWS = 400 };
struct record {
    int accuracy_count, training_count, calls;
    struct accuracy_row accuracy[RECORD_ROWS];
    struct training_row training[RECORD_ROWS];
    struct stage_outcome outcome;
    double last_fraction;
    int stop_at;         /* the number of the go_on call, from 1, that says stop; 0: none */
    const char *stop_in; /* say stop in this phase; NULL: none */
    bool crash;          /* at stop_at the process ends at once, instead */
};

/* Run one stage; `record` is cleared but for stop_at, stop_in and crash.  Returns e->code. */
int trial_run_stage(const struct trial *t, int stage, struct record *record, err *e);
/* Run every stage in order, each into records[stage] (malloc'd, released by the caller); fails the test if one fails. */
struct record *trial_run(const struct trial *t);
/* The same checkpoint and the same rows, apart from times. */
bool record_equal(const struct record *a, const struct record *b);

/* An array of a checkpoint as floats; malloc'd; *count numbers. */
float *trial_array(const struct trial *t, int stage, const char *name, size_t *count);

#endif
