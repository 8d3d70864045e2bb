/* sweeps/stage.h - a stage: one unit of work, with a key that names its result.
 *
 * A trial is a small graph of stages, one chain for each method.  `a <- b` reads "a needs b":
 *
 *   norga, hide   tii(t)   <- features, tii(t-1)
 *                 wtp(t)   <- wtp(t-1)                 [and tap(t-1) where feature.norm is fc_norm, whose weights both train]
 *                 infer(t) <- tii(t), wtp(t), infer(t-1)
 *                 tap(t)   <- infer(t), wtp(t), tap(t-1)          the last one, tap(T-1), is the trial's result
 *   sequential    sequential(t) <- features, sequential(t-1)
 *   joint         joint
 *
 * wtp(t+1) does not need tap(t): alignment changes only head rows of classes already seen, whose rows the next task masks
 * out (methods.md 1.6, 10.1 item 4).  So a grid over alignment options shares all prompts.
 *
 * key = digest of (kind, code version, task, the options that the kind declares, the content digests of data set and backbone
 * where it declares them, the keys of the stages it needs). */
#ifndef SWEEPS_STAGE_H
#define SWEEPS_STAGE_H

#include <stdbool.h>

#include "io/digest.h"
#include "sweeps/options.h"

/* A finished stage that this one builds on.  A job lists every ancestor whose checkpoint it may open, not only the direct
 * needs: wtp(t) gets wtp(0..t-1), tap(t) gets wtp(0..t), tap(t-1) and infer(t), and so on. */
struct stage_input {
    enum stage_kind kind;
    int task;
    struct digest key;
};

/* Everything a trainer needs to run a stage, on any host that sees the same files. */
struct stage_job {
    enum stage_kind kind;
    int task; /* -1: the stage is of the whole trial */
    struct digest key;
    struct trial_config config; /* only the options that the kind declares mean anything */
    int inputs_count;
    struct stage_input *inputs;    /* owned */
    const char *checkpoint_folder; /* interned; checkpoints are <folder>/<key as hex>.h5 */
};

/* The job as text, one "name value" a line, for the wire; and back.  The text is malloc'd.  ERR_WORKER on nonsense. */
int stage_job_write(const struct stage_job *job, char **text, err *e);
int stage_job_read(const char *text, struct stage_job *job, err *e);
void stage_job_free(struct stage_job *job); /* frees what it owns, not the struct */

const char *stage_kind_name(enum stage_kind kind);
enum stage_kind stage_kind_by_name(const char *name); /* STAGE_KIND_COUNT if there is none */
int stage_kind_version(enum stage_kind kind);
char stage_kind_letter(enum stage_kind kind); /* the one of the "reads" column */
const char *stage_kind_meaning(enum stage_kind kind);

/* The input of this kind and task; NULL if the job does not list it. */
const struct stage_input *stage_job_input(const struct stage_job *job, enum stage_kind kind, int task);

/* <folder>/<key>.h5, malloc'd. */
char *stage_checkpoint_path(const struct stage_job *job, const struct digest *key);

/* A text that lives as long as the process; equal texts give equal pointers.  NULL if memory ran out. */
const char *intern(const char *text);

#endif
