/* orchestrator/history.h - what has happened to a sweep: the facts of its ledger, and the state that they add up to.
 *
 * Each fact is one ledger record whose payload is a JSON object.  The same function takes in a fact while rank 0 runs
 * and when the ledger is replayed, so both come to the same state.  Facts speak of stages by key, not by number: they
 * stay true when the sweep file is edited. */
#ifndef ORCHESTRATOR_HISTORY_H
#define ORCHESTRATOR_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "io/digest.h"
#include "io/err.h"
#include "io/ledger.h"
#include "io/tables.h"
#include "sweeps/plan.h"
#include "sweeps/stage.h"
#include "worker/causes.h"

/* X(name, record type, meaning) */
#define FACTS(X)                                                                             \
    X(BEGUN, 1, "a run began: host, pid, workers, version, contents of what it stands on")   \
    X(DONE, 2, "a stage was finished: the attempt, the checkpoint's digest, its rows")       \
    X(FAILED, 3, "an attempt ended otherwise: the attempt, cause, text")                     \
    X(ASIDE, 4, "a stage was set aside: it does not run until it is forgiven")               \
    X(FORGOTTEN, 5, "a finished stage must be run again: its checkpoint is gone or damaged") \
    X(FORGIVEN, 6, "a stage set aside may be tried again")                                   \
    X(PRUNED, 7, "a trial was stopped early by the sweep's rule")                            \
    X(ENDED, 8, "a run ended: how")

enum fact {
#define X(name, type, meaning) FACT_##name = type,
    FACTS(X)
#undef X
};

const char *fact_name(uint32_t type);

/* An attempt at a stage, as DONE and FAILED record it. */
struct attempt {
    struct digest stage;
    enum stage_kind kind;
    int task, number; /* number: counted from 1 */
    int rank, threads;
    char host[NAME_SIZE];
    double started, seconds;
};

/* What a run took, for ENDED.  Times in s. */
struct run_figures {
    int64_t stages; /* that it finished */
    double seconds; /* from the first lease on */
    /* processor time of rank 0: all, since the first lease, and for results.h5, which other processes make */
    double cpu, loop_cpu, results_cpu;
};

/* Payloads, malloc'd; NULL when memory is out. */
/* contents: NULL or that many, see sweeps/plan.h. */
char *fact_begun(const char *host, int pid, int workers, const char *version, double when,
                 const struct plan_content *contents, int contents_count);
/* rows: JSON {"accuracy": [...], "training": [...]}, as a worker sent them.  Times are written in whole microseconds. */
char *fact_done(const struct attempt *a, const struct digest *checkpoint, int64_t parameters, double trained,
                const char *rows);
char *fact_failed(const struct attempt *a, enum cause cause, const char *text);
char *fact_aside(const struct digest *stage, enum cause cause, const char *text);
char *fact_forgotten(const struct digest *stage, const char *why);
char *fact_forgiven(const struct digest *stage);
char *fact_pruned(const struct digest *trial, int after_task, const char *why);
char *fact_ended(const char *how, double when, const struct run_figures *f);

/* A stage that something is known of. */
struct history_stage {
    struct digest key;
    enum stage_kind kind;
    int task;
    bool finished, aside;
    int attempts;     /* all that ended, whatever way */
    enum cause cause; /* of the last failure; CAUSE_none if there was none */
    char *text;       /* what it said; may be NULL */
    /* of a finished stage: */
    struct digest checkpoint;
    int64_t parameters;
    double seconds; /* wall time of the attempt that finished it */
    int rank, threads;
    int64_t order; /* among all finished stages: 1 for the first one recorded */
    int accuracy_count, training_count;
    struct accuracy_row *accuracy;
    struct training_row *training;
};

struct history_pruned {
    struct digest trial;
    int after_task;
    char *why;
};

struct history {
    int stages_count, attempts_count, pruned_count;
    struct history_stage *stages; /* in order of first mention */
    struct attempt_row *attempts; /* in order */
    struct history_pruned *pruned;
    int runs;            /* begun */
    double begun, ended; /* s since 1970 of the first beginning and the last thing known; 0: none */
    char hosts[1024];    /* seen, comma-separated */
    int64_t finished;    /* DONE facts so far */
    int contents_count;  /* what the last run stood on that said so; private memory */
    struct history_content {
        char *what, *is;
    } * contents;
    int doubles; /* stages recorded as finished while they were finished: a bug, told by verify */
    /* private */
    int stages_room, attempts_room, pruned_room, index_size;
    int *index;
    char last_host[NAME_SIZE];
};

/* Take in one fact.  ERR_DAMAGED, without an effect, if the payload is not what its type says; a type that this program
 * does not know is passed over. */
int history_apply(struct history *h, uint32_t type, const char *payload, size_t n, err *e);
/* The same, faster, for a fact_done() of these arguments.  ERR_DAMAGED, without an effect, if the rows make no sense. */
int history_done(struct history *h, const struct attempt *a, const struct digest *checkpoint, int64_t parameters,
                 const char *rows, err *e);
/* history_apply() as a ledger_visitor; context is the struct history. */
int history_visit(void *context, const struct ledger_record *record, err *e);
/* NULL if nothing is known of it.  Valid until the next fact. */
const struct history_stage *history_find(const struct history *h, const struct digest *key);
const struct history_pruned *history_find_pruned(const struct history *h, const struct digest *trial);
void history_free(struct history *h);

#endif
