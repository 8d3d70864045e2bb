/* sweeps/plan_report.h - a plan shown to people: the body of `sluice plan`.
 *
 * What earlier runs have left is the business of a higher room, which hands it in through plan_recall. */
#ifndef SWEEPS_PLAN_REPORT_H
#define SWEEPS_PLAN_REPORT_H

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
};

/* out: the output folder, NULL for the usual one.  A folder without results is no error. */
typedef int plan_recall(const struct plan *plan, const char *out, struct plan_known *known, err *e);

/* `sluice plan` with these arguments; recall may be NULL.  gflops: the speed of a core where no stage has been timed, unless the
 * user names another.  Returns the exit status. */
int plan_command(int argc, char **argv, plan_recall *recall, double gflops);

#endif
