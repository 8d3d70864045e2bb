/* sweeps/plan_report.h - a plan shown to people: the body of `sluice plan`. */
#ifndef SWEEPS_PLAN_REPORT_H
#define SWEEPS_PLAN_REPORT_H

#include "sweeps/estimate.h"

/* `sluice plan` with these arguments; recall may be NULL.  gflops: the speed of a core where no stage has been timed, unless the
 * user names another.  Returns the exit status. */
int plan_command(int argc, char **argv, plan_recall *recall, double gflops);

/* The plan's warnings to standard error, each behind "sluice COMMAND: warning: ". */
void plan_tell_warnings(const struct plan *plan, const char *command);

#endif
