/* analysis/measured.h - what a sweep measured, in the form that statistics need: options as numbered levels, metrics as
 * columns of numbers, accuracy matrices as curves.
 *
 * Definitions, with a[t][k] the accuracy (%) on task k after learning task t, 0 <= k <= t < T (HiDe-Prompt, NeurIPS 2023,
 * appendix; NoRGa, NeurIPS 2024, section 6):
 *   average accuracy after task t   A_t = mean over k <= t of a[t][k]
 *                                   FAA = A_(T-1)      CAA = mean over t of A_t
 *   forgetting of task k            F_k = max over t of a[t][k] - a[T-1][k]  (never negative)
 *                                   FFM = mean over k < T-1 of F_k
 *   backward transfer               BWT = mean over k < T-1 of a[T-1][k] - a[k][k]
 * Metrics are taken from the store; A_t and F_k are computed here from its accuracy table. */
#ifndef ANALYSIS_MEASURED_H
#define ANALYSIS_MEASURED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/err.h"
#include "io/store.h"
#include "io/tables.h"

// clang-format off
/* M(id, field, label, unit, sign, digits, help): field is that of /trials, and the metric's key; sign is 1 where more is better,
 * -1 where less is. */
#define METRICS(M)                                                                                                     \
    M(FAA, faa, "FAA", "%", 1, 2, "final average accuracy")                                                            \
    M(CAA, caa, "CAA", "%", 1, 2, "cumulative average accuracy")                                                       \
    M(FFM, ffm, "FFM", "%", -1, 2, "final forgetting measure")                                                         \
    M(BWT, bwt, "BWT", "%", 1, 2, "backward transfer")                                                                 \
    M(TII, tii_accuracy, "TII", "%", 1, 2, "task identity inferred rightly")                                           \
    M(FAA_BEFORE, faa_before, "FAA before", "%", 1, 2, "FAA before the head is aligned")                               \
    M(CAA_BEFORE, caa_before, "CAA before", "%", 1, 2, "CAA before the head is aligned")                               \
    M(FFM_BEFORE, ffm_before, "FFM before", "%", -1, 2, "FFM before the head is aligned")                              \
    M(BWT_BEFORE, bwt_before, "BWT before", "%", 1, 2, "BWT before the head is aligned")                               \
    M(TII_BEFORE, tii_before, "TII before", "%", 1, 2, "task identity inferred rightly before its own alignment")      \
    M(TII_SAMPLE, tii_sample, "TII by sample", "%", 1, 2, "task identity inferred rightly without a vote")             \
    M(SECONDS, seconds, "time", "s", -1, 1, "wall time of the trial's stages, shared ones included")                   \
    M(CORE_SECONDS, core_seconds, "core time", "s", -1, 1, "wall time times cores")                                    \
    M(PARAMETERS, trainable_parameters, "trained", "", -1, 0, "trainable parameters")

enum metric {
#define M(id, field, label, unit, sign, digits, help) METRIC_##id,
    METRICS(M)
#undef M
    METRIC_COUNT
};
// clang-format on

struct metric_info {
    const char *key, *label, *unit;
    int sign, digits;
    const char *help;
};
extern const struct metric_info metric_info[METRIC_COUNT];
enum metric metric_by_key(const char *key); /* METRIC_COUNT if there is none */

// clang-format off
#define TRIAL_STATUSES(S) S(waiting) S(running) S(done) S(failed) S(pruned)
enum trial_status {
#define S(name) STATUS_##name,
    TRIAL_STATUSES(S)
#undef S
    STATUS_COUNT
};
// clang-format on
extern const char *const trial_status_names[STATUS_COUNT];
enum trial_status trial_status_by_name(const char *name); /* STATUS_COUNT if there is none */

/* An option that the sweep varies, or the method, data set or backbone. */
struct factor {
    char name[NAME_SIZE]; /* as in YAML: "gate.activation" */
    int levels_count;
    char **
        levels; /* numbers ascending if all are numbers, otherwise in order of appearance; "–": the trial does not read it */
    int *level;   /* (trials) index into levels */
    int unused;   /* the level "–"; -1 if every trial reads the option */
    bool numbers; /* every level but "–" is a number */
};

struct fact {
    char *name, *text;
};

/* One evaluation of one task, after alignment: a[after][task] of a trial. */
struct evaluation {
    int32_t trial; /* index, not number */
    uint16_t after, task;
    double accuracy;
};

/* An attempt at a stage. */
struct
try {
    int64_t rank;
    double started, seconds;
    int kind; /* index into kinds */
    bool failed;
};

enum { MOST_KINDS = 8 };

struct measured {
    char *name;         /* of the sweep */
    size_t facts_count; /* provenance, as stored: attributes of / */
    struct fact *facts;
    size_t trials;
    int64_t *number; /* (trials) */
    int *seed;       /* (trials) index into seeds: everything that differs only in random numbers */
    int seeds_count;
    char **seeds; /* "0", or "order 0, data 1" when they differ */
    enum trial_status *status;
    double *metric[METRIC_COUNT]; /* (trials), NaN where there is none */
    int64_t *attempts;
    char **cause; /* (trials) why a trial failed, "" otherwise */
    int factors_count;
    struct factor *factors;
    int tasks; /* T, the largest in the sweep; 0 without accuracies */
    size_t evaluations_count;
    struct evaluation *evaluations;
    double *after;      /* (trials, tasks) A_t, NaN where not evaluated */
    double *forgetting; /* (trials, tasks) F_k, NaN for the last task and unfinished trials */
    size_t tries_count;
    struct try *tries; /* attempts whose times make sense, in the order of the store */
    int kinds_count;
    char kinds[MOST_KINDS][NAME_SIZE]; /* of stages; the last takes all that have no place of their own */
};

/* Read the results of a sweep: its output folder, or a results.h5 by itself.  ERR_MISSING if there is none yet,
 * ERR_DAMAGED if it is not a readable result store or contradicts itself, ERR_NOMEM. */
int measured_read(const char *path, struct measured *m, err *e);

/* The same from tables in memory, which are borrowed; `path` names them in errors.  m is zeroed before. */
int measured_from(const struct results *r, const char *path, struct measured *m, err *e);

/* The text of a fact; NULL if there is none of that name. */
const char *measured_fact(const struct measured *m, const char *name);

/* Frees what it owns, not the struct; a zeroed struct is fine. */
void measured_free(struct measured *m);

/* Index of the factor of that name; "gate_activation" finds "gate.activation", "dataset" finds "dataset.name".  -1 if there is
 * none. */
int measured_factor(const struct measured *m, const char *name);

#endif
