/* worker/supervisor.h - a trainer child under guard: one attempt at a stage at a time, with limits, and a cause for
 * every end.
 *
 * The child is started when the first stage begins and kept for the next ones.  A crash, a hang, a limit passed or
 * nonsense for an answer ends the attempt, and the next one gets a new child.  Nothing here knows MPI, and nothing here
 * waits: the owner calls supervisor_poll() again and again, and sleeps in poll() on supervisor_fds() in between. */
#ifndef WORKER_SUPERVISOR_H
#define WORKER_SUPERVISOR_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#include "io/err.h"
#include "worker/causes.h"
#include "worker/host.h"
#include "worker/trainer.h"

typedef struct supervisor supervisor;

struct supervisor_options {
    const char *const *argv; /* the child's command, NULL at its end, without the socket's number, which is added */
    int threads;             /* OMP_NUM_THREADS of the child */
    double silence;          /* s without a frame after which a working child is taken to hang */
    double grace;            /* s between a request to stop and the end by force */
    void (*line)(void *context, const char *line); /* a line of the child's standard output or error; may be NULL */
    void *context;
};

/* 0 is no limit. */
struct stage_limits {
    double seconds; /* wall time */
    double bytes;   /* resident memory */
};

/* The end of an attempt. */
struct attempt_end {
    enum cause cause;             /* CAUSE_none: the stage is finished */
    char text[1000];              /* why not, with the last lines that the child printed; "" otherwise */
    struct stage_outcome outcome; /* of a finished stage */
    char *rows;     /* of a finished stage: JSON {"accuracy": [...], "training": [...]}, malloc'd, for the owner */
    double started; /* s since 1970 */
    double seconds; /* wall time */
};

/* The last progress that a child told. */
struct progress_report {
    char phase[32];
    int epoch, epochs;
    double fraction, loss; /* NaN where there is none */
};

/* Keeps a copy of *o; argv and context are borrowed. */
int supervisor_create(const struct supervisor_options *o, supervisor **out, err *e);
void supervisor_free(supervisor *s); /* kills the child; NULL is fine */

/* From the next child on. */
void supervisor_set_threads(supervisor *s, int threads);

/* Begin an attempt at the stage whose job text this is; the supervisor must be idle.  A child that cannot be started is
 * told by supervisor_poll() like any other end. */
void supervisor_begin(supervisor *s, const char *job, size_t n, const struct stage_limits *limits);
bool supervisor_busy(const supervisor *s);
/* Ask the child to save and end; by force after the grace.  The end comes from supervisor_poll(), cause interrupted
 * unless the stage was finished after all. */
void supervisor_stop(supervisor *s);

/* Do whatever can be done now.  True: the attempt has ended and *out tells how (free(out->rows)). */
bool supervisor_poll(supervisor *s, struct attempt_end *out);

/* What to wait for: at most 2 entries, returns their number. */
int supervisor_fds(const supervisor *s, struct pollfd fds[2]);
const struct progress_report *supervisor_progress(const supervisor *s);
int supervisor_child(const supervisor *s); /* process number; 0 if there is no child */

#endif
