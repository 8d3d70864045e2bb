/* sweeps/plan.h - a sweep as work: its distinct trials, their distinct stages, and who needs what.
 *
 * A trial is known by the key of its last stage; points of the sweep that come to the same key are folded into one trial.
 * Stages are numbered so that a stage needs only stages with smaller numbers.
 *
 * The key of a stage (sweeps/stage.h) hashes
 *   kind, code version, task,
 *   the options that the kind declares, without the names below,
 *   the contents of data set and backbone instead of their names,
 *   the number of tasks and the classes of tasks 0..t instead of sequence and order seed: trials whose class orders agree
 *     in the first tasks share these tasks,
 *   the keys of the stages it needs.
 *
 * Costs are floating-point operations, counted from the backbone's shape, images and epochs. */
#ifndef SWEEPS_PLAN_H
#define SWEEPS_PLAN_H

#include <stdint.h>

#include "sweeps/plan_graph.h"
#include "sweeps/sources.h"
#include "sweeps/stage.h"
#include "sweeps/sweep.h"

/* Something besides options that keys depend on, as a run leaves it in its ledger: a data set or backbone that is here, with its
 * digest, or the code of a kind of stage, with its version. */
struct plan_content {
    const char *what, *is; /* interned: "data set fashion-mnist" and 32 digits; "code of wtp" and "1" */
};

enum { PLAN_MAX_STAGES = 50000000 };

struct plan_trial {
    int64_t point; /* of sweep_point(): the first of those folded into this trial */
    int stage;     /* its last stage, whose result is the trial's */
};

struct plan {
    const struct sweep *sweep; /* borrowed */
    int64_t points, excluded, folded;

    int trials_count;
    struct plan_trial *trials;

    int stages_count;
    uint8_t *kind;      /* (stages) enum stage_kind */
    int16_t *task;      /* (stages) -1: of the whole trial */
    float *cost;        /* (stages) FLOP */
    int *shared_by;     /* (stages) how many trials have it */
    struct digest *key; /* (stages) NULL before plan_keys() */

    int varied_count; /* options that differ between trials, after normalisation; seed last */
    enum option_id varied[OPTION_COUNT];

    double work;       /* FLOP of all distinct stages */
    double work_alone; /* FLOP if every trial (after folding) did all its stages itself */
    double disk;       /* bytes of all checkpoints, estimated */
    double memory;     /* bytes of the largest stage's rank, estimated */

    int contents_count; /* what the stages stand on */
    struct plan_content *contents;

    int missing_count;    /* what a run would need and this machine lacks, each with how to get it */
    const char **missing; /* the texts are interned */

    int warnings_count;    /* what may be run and may not be meant */
    const char **warnings; /* the texts are interned */

    struct plan_graph graph; /* private to plan*.c: what the stages need, and what their keys hash */
};

/* Everything but the sweep is owned by *out; plan_free() in any case.
 * ERR_CONFIG: a class order that does not fit its data set; nothing left to run; too many stages. */
int plan_make(const struct sweep *sweep, const struct sources *sources, struct plan *out, err *e);
/* The keys of all stages, for those who look for results: a plan that is only shown does without them. */
int plan_keys(struct plan *plan, err *e);
void plan_free(struct plan *plan);

/* The options of a trial, normalised. */
void plan_trial_config(const struct plan *plan, int trial, struct trial_config *out);
/* "gate.activation=tanh prompt.length=5 seed=0": what tells a trial from the others; "" for an only trial. */
void plan_trial_label(const struct plan *plan, int trial, char *text, size_t size);
/* All stages of a trial in ascending order; malloc'd. */
int plan_trial_stages(const struct plan *plan, int trial, int **stages, int *count, err *e);

/* The stages that a stage needs itself; returns how many. */
int plan_needs(const struct plan *plan, int stage, int needs[PLAN_MAX_NEEDS]);
/* The needs of all stages, malloc'd: those of stage i are needs[start[i] .. start[i+1]-1]. */
int plan_all_needs(const struct plan *plan, int **start, int **needs, err *e);
/* A trial that has the stage. */
int plan_example(const struct plan *plan, int stage);
/* The stage with this key; -1 if there is none.  Linear in the number of stages: for a few look-ups.  Needs plan_keys(). */
int plan_find_stage(const struct plan *plan, const struct digest *key);

/* Everything that a trainer needs to run the stage, all its ancestors' keys included.  Needs plan_keys().  stage_job_free()
 * afterwards. */
int plan_job(const struct plan *plan, int stage, const char *checkpoint_folder, struct stage_job *out, err *e);

#endif
