/* worker/rank.h - a worker rank: it takes leases from rank 0, has its supervised child run them, and tells what came of
 * them.
 *
 * It leaves when rank 0 says so, and when rank 0 is gone: nothing that a worker knows is lost with it, since a stage
 * that nobody heard the end of is simply run again. */
#ifndef WORKER_RANK_H
#define WORKER_RANK_H

#include <mpi.h>
#include <stdbool.h>

#include "io/err.h"

struct rank_options {
    const char *const *child; /* the trainer's command, NULL at its end; see worker/supervisor.h */
    int threads;              /* of the trainer, unless rank 0 says otherwise */
    double patience;          /* s without a sign of life after which rank 0, or the trainer, is given up */
    const char *log_folder;
};

/* Serve until told to quit; collective with rank 0's leader_run().  *abrupt: leave without MPI_Finalize().
 * ERR_WORKER if rank 0 is gone. */
int rank_serve(MPI_Comm comm, const struct rank_options *o, bool *abrupt, err *e);

/* This host and process, as a HELLO tells it. */
struct hello_message;
void rank_introduce(struct hello_message *hello);
/* Is it of this host, and alive?  Is it of this host, and gone?  Of other hosts nothing is known. */
bool rank_is_here(const struct hello_message *hello);
bool rank_is_gone(const struct hello_message *hello);

/* How often a sign of life is sent, s. */
double rank_beat_seconds(double patience);

/* Sleep a little, from 0.1 ms to 20 ms, longer the longer nothing has happened; wakes early when one of the descriptors is
 * ready.  *idle counts the calls since something happened: set it to 0 then. */
struct pollfd;
void rank_doze(int *idle, struct pollfd *fds, int n);

#endif
