/* orchestrator/leader.h - rank 0: hands out stages, writes down what comes of them, and survives the workers.
 *
 * The loop takes in messages and hands out what can run; every few hundredths of a second all new facts are written and
 * synced as one group.  Only what is synced is shown to anyone; that what builds on a fact may begin before is no harm,
 * for its own fact comes later in the ledger.  A lease belongs to one worker until its end is told, the worker is given
 * up, or it is revoked; whatever comes of a lease that is not known any more is passed over, so a late answer changes
 * nothing. */
#ifndef ORCHESTRATOR_LEADER_H
#define ORCHESTRATOR_LEADER_H

#include <mpi.h>
#include <stdbool.h>

#include "io/err.h"
#include "orchestrator/folder.h"
#include "orchestrator/history.h"
#include "orchestrator/standing.h"
#include "sweeps/plan.h"

struct leader_options {
    const struct plan *plan;
    const struct folder *folder; /* made, and locked by this process */
    double patience;             /* s of silence after which a worker is given up */
    double ends;                 /* s since 1970 when everything here is ended by force; 0: nobody knows */
    int threads;                 /* of each trainer; 0: the workers decide */
    bool show;                   /* progress on stderr */
    const char *version;         /* of the program, for the records */
    /* Called now and then when something has changed, and at the end, in a copy of this process: makes results.h5.  May be
     * NULL. */
    int (*results)(void *context, const struct history *h, const struct standing *s, err *e);
    void *context;
    void (*beat)(void *context); /* called about once a second, with the same context: a sign of life for the lock */
};

struct leader_end {
    bool abrupt;     /* a rank has died, so leave without MPI_Finalize() */
    bool no_workers; /* work is left, but nobody to do it: a new MPI job could go on */
};

/* Where the end is known, only stages are begun that reach a checkpoint before it, the running ones are stopped, with what they
 * have come to saved, in good time, and the run ends early when nothing fits any more.
 *
 * Run what is left of the plan with the workers of comm, whose rank is 0 here; they are in rank_serve().  Signals INT,
 * TERM, USR1 and USR2 and the folder's stop file end it early.  *abrupt: a rank has died, so leave without
 * MPI_Finalize(). 0: all trials are done.  ERR_WORKER: nothing is left but failures.  ERR_INTERRUPTED: run again to
 * continue.  ERR_STORAGE: the folder cannot be written.  ERR_DAMAGED: the ledger is. */
int leader_run(MPI_Comm comm, const struct leader_options *o, struct leader_end *end, err *e);

/* When rank 0 cannot begin: let the workers go. */
void leader_dismiss(MPI_Comm comm);

#endif
