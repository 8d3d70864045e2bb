/* worker/child.h - the trainer's process: it reads stage jobs from a socket, runs them, and sends back what comes of
 * them.
 *
 * It is started once by a supervisor and kept.  It owns no MPI, so whatever happens to it costs one attempt.  When the
 * supervisor dies, the kernel ends the child. */
#ifndef WORKER_CHILD_H
#define WORKER_CHILD_H

#include "io/err.h"
#include "sweeps/stage.h"
#include "worker/host.h"
#include "worker/trainer.h"

/* trainer_run() of trainer.h, or what a test puts in its place. */
typedef int (*trainer_function)(const struct stage_job *job, const struct host *host, struct stage_outcome *out,
                                err *e);

/* Serve jobs from the socket until its other end closes (returns 0) or breaks (ERR_WORKER).  Takes over fd. */
int child_serve(int fd, trainer_function run, err *e);

/* The command behind a child: `sluice trainer FD`, with the trainer to use.  Returns the exit status. */
int child_main(int argc, char **argv, trainer_function run);

#endif
