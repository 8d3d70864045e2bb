/* orchestrator/run.h - a run of a sweep, as launcher or as a rank of the MPI job.  The command `sluice run` is this with
 * arguments read. */
#ifndef ORCHESTRATOR_RUN_H
#define ORCHESTRATOR_RUN_H

#include "io/err.h"

struct run_options {
    const char *sweep;            /* its file */
    const char *const *overrides; /* KEY=VALUE */
    int overrides_count;
    const char *out;     /* output folder, NULL: runs/<sweep name> */
    int workers;         /* 0: as many as there are cores */
    int threads;         /* of each trainer, 0: by the sweep, else as many as there are cores for it */
    double patience;     /* s of silence after which a process is given up */
    const char *outcome; /* a rank started by a launcher: the file for how it ended; NULL: nobody watches */
    const char *command; /* the command line as typed, to continue with */
};

/* Start the job, watch it, start it again when it died without being asked to, report.  Prints.  Returns the exit status. */
int run_launch(const struct run_options *o);
/* Be a rank of the job that this process is part of.  Returns the exit status. */
int run_rank(const struct run_options *o);

#endif
