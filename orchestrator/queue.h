/* orchestrator/queue.h - which stage runs next, and where: rank 0's scheduler, without messages, files or clocks.
 *
 * A stage waits until all that it needs is done, is ready, is leased to a rank, and then is done; or it is set aside
 * after too many failures.  Among the ready stages the one with the longest expected path to the end of its trials goes
 * first.  Expected costs are the plan's, corrected for each kind of stage by what has been measured.
 *
 * When the time left is known, only stages are given out that reach their next checkpoint in it, as far as their cost is known:
 * their end, or, for kinds that save what they have come to when they are stopped, a short time.
 *
 * Faults (worker/causes.h has the budgets):
 * - A stage whose budget is spent is set aside; what needs it can then not run.
 * - A stage that failed on a rank goes to another one, while there is another one.
 * - A rank on which three different stages failed in a row gets no work until one of these has been tried elsewhere: if
 * it succeeds there, the rank is benched for good and its failures are not held against the stages; if it fails there
 * too, the rank is innocent of it. */
#ifndef ORCHESTRATOR_QUEUE_H
#define ORCHESTRATOR_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "io/err.h"
#include "worker/causes.h"

/* What is to be done; borrowed for the life of the queue.  A stage needs only stages with smaller numbers. */
struct queue_plan {
    int stages, kinds;
    const int *needs_start; /* (stages + 1): the needs of stage i are needs[needs_start[i] .. needs_start[i+1]-1] */
    const int *needs;
    const uint8_t *kind; /* (stages), below kinds: what costs are learned by */
    const float *cost;   /* (stages) expected seconds, in any unit that is the same for a kind */
    int attempts;        /* retry.attempts */
    /* (kinds) seconds after which a stopped stage of this kind has something to continue from; INFINITY: only when it is
     * finished.  NULL: for all kinds. */
    const double *saves_after;
};

enum queue_state {
    QUEUE_UNWANTED, /* nobody needs its result (any more) */
    QUEUE_WAITING,
    QUEUE_READY,
    QUEUE_LEASED,
    QUEUE_DONE,
    QUEUE_ASIDE,
    QUEUE_STATES
};

typedef struct queue queue;

/* Every stage begins unwanted.  ranks: all ranks have numbers below it. */
int queue_create(const struct queue_plan *plan, int ranks, queue **out, err *e);
void queue_free(queue *q);

/* Before the first queue_take(): what is finished already, and what is wanted.  A wanted stage is made WAITING or READY
 * with all that it needs and that is not done. */
void queue_set_done(queue *q, int stage);
/* What a finished stage took, in an earlier run: for learning costs. */
void queue_learn(queue *q, int stage, double seconds);
void queue_set_aside(queue *q, int stage);
void queue_want(queue *q, int stage);

enum queue_state queue_state(const queue *q, int stage);
int queue_count(const queue *q, enum queue_state state);
/* Wanted stages that can never run because something that they need was set aside. */
int queue_blocked(const queue *q);

void queue_rank_joined(queue *q, int rank);
/* Its leases must have been given back, by queue_failed(..., CAUSE_lost), before. */
void queue_rank_left(queue *q, int rank);
bool queue_rank_benched(const queue *q, int rank);
bool queue_rank_suspected(const queue *q, int rank);

/* The stage that this rank should run next, now leased; -1 if there is none for it at this time. */
int queue_take(queue *q, int rank);
/* The same when everything ends in so many seconds, which may be INFINITY. */
int queue_take_within(queue *q, int rank, double seconds);
/* The least expected time to the next checkpoint of any ready stage; 0 where a cost is unknown, INFINITY if none is ready. */
double queue_least(const queue *q);
/* seconds: what it took, for learning costs; NaN: unknown. */
void queue_finished(queue *q, int stage, int rank, double seconds);
/* True: the stage has been set aside. */
bool queue_failed(queue *q, int stage, int rank, enum cause cause);

/* A finished stage is to be run again, since its checkpoint is gone; leased dependents are left to fail or finish. */
void queue_undo(queue *q, int stage);
/* A stage that is not done is not needed any more.  A leased one stays leased until it ends. */
void queue_unwant(queue *q, int stage);
/* A stage set aside gets a new budget. */
void queue_forgive(queue *q, int stage);

/* Expected seconds of a stage, NaN before anything was measured. */
double queue_expected(const queue *q, int stage);
/* Expected seconds of all that still can and shall run, leased stages counted in full; NaN before anything was
 * measured. */
double queue_work_left(const queue *q);
/* The longest expected path from a stage that is not done to an end; NaN likewise. */
double queue_path_left(const queue *q);

#endif
