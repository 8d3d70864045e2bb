/* sweeps/estimate.h - how long a plan will take: by what earlier runs have measured, and by a core's speed where they have not. */
#ifndef SWEEPS_ESTIMATE_H
#define SWEEPS_ESTIMATE_H

#include <stdbool.h>

#include "sweeps/plan.h"

/* What is known from earlier runs of the sweep.  All zero: nothing. */
struct plan_known {
    char folder[1024];                         /* where they ran; "" if they did not */
    bool *finished;                            /* (stages) malloc'd; NULL: none */
    double seconds_per_flop[STAGE_KIND_COUNT]; /* measured; 0: not yet */
    bool edited;                               /* the folder holds another sweep than this */
    int kept, added, orphaned;                 /* trials in both, only in this sweep, only in the other */
    int outdated;                              /* finished stages of neither: other data, weights or code made them */
    char *why; /* malloc'd: what differs from what ran there, a line each; NULL: nothing */
};
void plan_known_free(struct plan_known *known); /* what it owns */

/* What is known is the business of a higher room, which hands it in.  out: the output folder, NULL for the usual one.  A folder
 * without results is no error.  Where there are results the plan has its keys afterwards. */
typedef int plan_recall(struct plan *plan, const char *out, struct plan_known *known, err *e);

/* In seconds of one core. */
struct estimate {
    double all, alone;     /* with sharing; without */
    double left, critical; /* what is not finished; the longest chain of it */
    int finished;          /* stages */
    bool measured;         /* some kind of stage has been timed */
};

/* gflops: the speed of a core where no stage has been timed, in GFLOP/s. */
int estimate_make(const struct plan *plan, const struct plan_known *known, double gflops, struct estimate *out, err *e);
double estimate_stage(const struct plan *plan, const struct plan_known *known, double gflops, int stage);

#endif
