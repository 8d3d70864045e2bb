/* orchestrator/live.h - how a run stands at this moment: what rank 0 writes into DIR/live.json a few times a second,
 * and what the progress line, `sluice status` and `sluice watch` show.  It is a convenience: the truth is the ledger.
 */
#ifndef ORCHESTRATOR_LIVE_H
#define ORCHESTRATOR_LIVE_H

#include <stdbool.h>
#include <stdio.h>

#include "io/err.h"

enum { LIVE_WORKERS = 4096, LIVE_TROUBLES = 20 };

struct live_worker {
    int rank, pid;
    char host[64];
    char state[16]; /* idle, busy, suspected, benched, lost */
    char label[64]; /* what it runs: "trial 7 wtp 2" */
    char phase[32];
    int epoch, epochs;
    double fraction, loss;        /* NaN if unknown */
    double since;                 /* s that it has been running it */
    int trial_done, trial_stages; /* of that trial: finished stages, and all */
    int done, failed;             /* stages, by this worker */
};

/* Something that went wrong lately. */
struct live_trouble {
    char label[64], cause[16], text[256];
    double when; /* s since 1970 */
};

/* C(name, meaning): counts */
#define LIVE_COUNTS(C)                                         \
    C(trials, "of the sweep")                                  \
    C(trials_done, "finished")                                 \
    C(trials_failed, "that cannot be finished")                \
    C(trials_pruned, "stopped early")                          \
    C(trials_running, "with a stage under way")                \
    C(stages, "distinct stages wanted, finished ones counted") \
    C(stages_done, "finished")                                 \
    C(stages_reused, "finished before this run")               \
    C(stages_aside, "set aside after failures")                \
    C(stages_blocked, "that need one of these")                \
    C(workers, "alive")

struct live {
    char sweep[64];
    char state[16];    /* running, stopping, finished, failed, incomplete */
    char message[512]; /* what the user should know; "" if nothing */
    double begun, now; /* s since 1970 */
    double rate;       /* stages finished per s, over the last minute */
    double eta;        /* s; NaN if unknown */
#define C(name, meaning) int name;
    LIVE_COUNTS(C)
#undef C
    int workers_count, troubles_count;
    struct live_worker *worker;                 /* (workers_count), owned */
    struct live_trouble trouble[LIVE_TROUBLES]; /* newest last */
};

/* Write beside and rename; not synced to the disk, for it is worth nothing after a crash. */
int live_write(const struct live *l, const char *path, err *e);
int live_print(const struct live *l, FILE *out); /* the same JSON; 0 if all was written */
/* ERR_MISSING if there is none, ERR_DAMAGED if it makes no sense.  live_free() afterwards. */
int live_read(const char *path, struct live *l, err *e);
void live_free(struct live *l);
bool live_is_final(const struct live *l); /* rank 0's last word */

/* Several lines: counts, troubles, workers with the trial and stage that each is at. */
void live_screen(const struct live *l, FILE *out);
/* "2 min 03 s"; "?" if it is not finite. */
void live_span(double seconds, char *text, size_t size);

/* "12/40 trials, 85/212 stages, 2 running, 3.1 stages/s, ETA 2 min 10 s, 1 failed" */
void live_line(const struct live *l, char *line, size_t size);

/* A line on stderr that is kept up to date on a terminal, and one line every ten seconds elsewhere. */
struct live_view {
    bool terminal;
    double shown; /* monotonic s of the last line */
    char last[256];
};

struct live_view live_view_start(void);
void live_show(struct live_view *v, const struct live *l);
/* End the updating line, so that other text can follow. */
void live_view_end(struct live_view *v);

#endif
