/* orchestrator/launch.h - starting the MPI job of a run on this machine, or in the allocation that we are in, and watching it. */
#ifndef ORCHESTRATOR_LAUNCH_H
#define ORCHESTRATOR_LAUNCH_H

#include <stdbool.h>

#include "io/err.h"
#include "orchestrator/folder.h"

struct launch_options {
    const struct folder *folder; /* made */
    int workers;
    double silence; /* s without a sign of life from rank 0 after which the job is ended by force */
    const char
        *outcome; /* the file in which rank 0 says "BEGUN host pid" once MPI works, and how it ended in the end */
    const char *const *arguments; /* of this program for the ranks, NULL at the end: "run", ... */
};

/* Is this process a rank of an MPI job of several ranks already? */
bool launch_is_rank(void);
/* Ranks that fit: the allocation's tasks, or the processors that this process may use. */
int launch_default_workers(void);
/* ERR_MISSING, with what to install, if there is no mpirun. */
int launch_check(err *e);

/* Run the job to its end, with progress on stderr.  SIGINT, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 ask it to stop through the
 * folder's stop file; it is killed if that takes longer than it may, or at a second SIGINT.
 * *stopped: a signal came.  ERR_SYSTEM if it cannot be started.  How the job ended is in the ledger. */
int launch_run(const struct launch_options *o, bool *stopped, err *e);

/* Run this program with other arguments (argv[0] is the command) and wait; its exit status, -1 if it did not start. */
int launch_command(const char *const *arguments);

#endif
