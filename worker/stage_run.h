/* worker/stage_run.h - what every stage's function gets, and what they all do: open the checkpoints they build on, write their
 * own, tell how far they are. */
#ifndef WORKER_STAGE_RUN_H
#define WORKER_STAGE_RUN_H

#include "io/h5.h"
#include "model/classifier.h"
#include "model/statistics.h"
#include "sweeps/sequence.h"
#include "worker/trainer.h"

struct stage_run {
    const struct stage_job *job;
    const struct host *host;
    struct option_reader options; /* of the job, with the stage's own err */
    struct stage_outcome *out;
    struct watch *watch; /* of trainer.c; NULL where nobody waits for signs of life */
    /* when part files are written (part.h) */
    double checkpoint_seconds;  /* the option's */
    double saved, save_seconds; /* when the last one was, or the stage began, by seconds_now(); how long it took */
};

/* A sign of life from within a step, for vit_batch_watch(): tells the host again what it was told last, at most once a second.
 * Its answer counts when the step is done and it is asked again.  context: the struct stage_run. */
void stage_alive(void *context);

/* One function for each kind of stage, in a file of its own: worker/stage_<kind>.c. */
#define K(id, name, letter, version, meaning) int stage_##name(struct stage_run *run, err *e);
STAGE_KINDS(K)
#undef K

/* The checkpoint of an input, its content compared with its digest.  ERR_BUG if the job does not list it, ERR_MISSING, ERR_DAMAGED
 * (of another stage, too). */
int stage_open_input(struct stage_run *run, enum stage_kind kind, int task, h5 **out, err *e);
/* The same of the checkpoint that a finished job left. */
int stage_open_result(const struct stage_job *job, h5 **out, err *e);
/* A checkpoint that says whose it is: attributes kind, task, key, options. */
int stage_create_checkpoint(struct stage_run *run, h5 **out, err *e);
/* Commit the checkpoint, remember its digest in the outcome, remove the part files. */
int stage_commit(struct stage_run *run, h5 *file, err *e);

/* Tell the host; ERR_INTERRUPTED when it says stop. */
int stage_progress(struct stage_run *run, const char *phase, double fraction, err *e);

/* Learning rates are multiplied by batch/256 if train.lr_scaling says so (methods.md 1.1). */
double stage_rate(struct stage_run *run, double rate, int batch);
/* The schedule of this option, with the trial's decay, lag and minimum. */
struct schedule stage_schedule(struct stage_run *run, enum option_id kind, int epochs);

/* The tasks of the trial. */
int stage_sequence(struct stage_run *run, int classes, struct class_sequence *out, err *e);
/* C bytes: 1 for the classes of tasks first..last. */
uint8_t *stage_allowed(const struct class_sequence *s, int first, int last, err *e);

/* Statistics of several classes in a checkpoint, as arrays under `statistics/`. */
int statistics_write(h5 *file, const struct class_statistics *s, int classes, err *e);
/* [out] s: (classes), each to be released with statistics_free().  ERR_DAMAGED unless they are of that width. */
int statistics_read(h5 *file, struct class_statistics *s, int classes, int width, err *e);

/* A head's groups in a checkpoint, under their own names, whole. */
int head_write(h5 *file, struct parameters *p, const struct classifier_shape *s, err *e);
int head_read(h5 *file, struct parameters *p, const struct classifier_shape *s, err *e);

#endif
