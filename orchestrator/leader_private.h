/* orchestrator/leader_private.h - rank 0's state, and what its files ask of each other.
 *
 *   leader.c           the loop, its beginning and its end
 *   leader_work.c      facts, what is wanted, leases, and what comes of them
 *   leader_workers.c   the workers: messages, life and death
 *   leader_show.c      live.json, the progress line
 *   leader_results.c   results.h5 */
#ifndef ORCHESTRATOR_LEADER_PRIVATE_H
#define ORCHESTRATOR_LEADER_PRIVATE_H

#include "io/clock.h"
#include "orchestrator/early_stop.h"
#include "orchestrator/leader.h"
#include "orchestrator/live.h"
#include "orchestrator/queue.h"
#include "worker/log.h"
#include "worker/mail.h"
#include "worker/messages.h"
#include "worker/rank.h"

enum { MOST_LEASES = 256, RATE_SLOTS = 60 };

/* What the process that makes results.h5 tells rank 0, in memory that they share. */
struct results_copy {
    bool whole; /* it came to its end */
    err error;
};

struct lease {
    uint64_t id;
    int stage;
};

struct worker {
    bool present;
    struct hello_message hello;
    int leases_count;
    struct lease leases[MOST_LEASES]; /* the first one is running */
    struct beat_message beat;
    double heard, began; /* s; began: the running lease */
    double pace;         /* s per stage lately; NaN: unknown */
    int done, failed;
};

struct leader {
    const struct leader_options *o;
    const struct plan *plan;
    mail *mail;
    queue *queue;
    int *needs_start, *needs; /* which the queue borrows */
    ledger *ledger;
    struct history history;
    rank_log *log;
    int ranks;
    struct worker *workers; /* (ranks), [0] unused */
    uint64_t last_lease;
    early_stop *early;  /* NULL: the sweep has no such rule */
    bool *failed;       /* (trials) that cannot go on; kept for early_stop_judge() */
    int *trial_of_last; /* (stages) the trial whose last stage it is; -1 */
    int trials_done, trials_failed, trials_pruned, blocked, reused;
    bool work_changed; /* someone may be able to take something */
    bool stopping, abrupt, no_workers;
    char stop_reason[128];
    double stop_asked, stop_seconds;      /* when, and how long what is running may take to stop */
    double saves_after[STAGE_KIND_COUNT]; /* see struct queue_plan */
    double margin;                        /* s between the last work and the end of everything */
    err storage;                          /* why nothing can be written any more */
    double listened; /* monotonic s when all letters that had come were read: silence is counted up to then */
    double synced, looked, lived, beaten, resulted; /* monotonic s */
    double sync_took, live_took;                    /* the last time, s */
    bool unshown;                                   /* facts since results.h5 was made */
    int copying; /* the process that makes results.h5; 0: none, -1: it could not be started */
    struct results_copy *copy;
    double results_last, results_cpu; /* s of processor time, of the last one and of all */
    int results_count;
    err results_error; /* of the last one */
    struct live live;
    struct live_view view;
    int finished_in[RATE_SLOTS]; /* stages finished in each of the last seconds */
    long rate_second;
    double started, started_cpu; /* s, monotonic, and of processor time */
    int64_t finished;            /* stages, by this run */
};

/* Hand out nothing more, and end when nothing runs; the first reason counts. */
void leader_stop_soon(struct leader *l, const char *reason);

/* Seconds that work may still take; INFINITY where no end is known. */
double leader_seconds_left(const struct leader *l);

/* Take in a fact that rank 0 makes itself and put it into the ledger's next group.  Frees the payload. */
void leader_record(struct leader *l, enum fact type, char *payload);
/* Write the group to the disk; a failure stops the run. */
void leader_sync(struct leader *l);
void leader_label(const struct leader *l, int stage, char *label, size_t size); /* "trial 7 wtp 2" */

/* Fill the queue: what is finished with its checkpoint in place, what is set aside, and what the open trials want. */
void leader_fill_queue(struct leader *l, struct standing *s);
/* Give leases to all workers that can take some. */
void leader_hand_out(struct leader *l);
/* The stage of a lease that this worker holds, which is then over; -1: it holds no such lease. */
int leader_end_lease(struct leader *l, int rank, uint64_t lease);
void leader_attempt_failed(struct leader *l, int rank, int stage, enum cause cause, double started, double seconds,
                           const char *text);
void leader_take_done(struct leader *l, int rank, const struct letter *letter);
void leader_take_failed(struct leader *l, int rank, const struct letter *letter);

void leader_post(struct leader *l, int rank, int tag, const void *head, const char *text, size_t n);
void leader_tell_all(struct leader *l, int tag, const void *head);
void leader_take_letter(struct leader *l, const struct letter *letter);
/* Give up those that are dead or silent, and take back what waits too long. */
void leader_look_after_workers(struct leader *l);

void leader_count_finished(struct leader *l, int n);
void leader_show(struct leader *l, const char *state);

int leader_results_open(struct leader *l, err *e);
void leader_results_close(struct leader *l);
bool leader_results_due(const struct leader *l);
/* Begin to make results.h5.  last: somebody waits for it. */
void leader_results_begin(struct leader *l, bool last);
/* Is it still being made?  Must be asked now and then. */
bool leader_results_busy(struct leader *l);

#endif
