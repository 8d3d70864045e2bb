/* sweeps/plan_graph.h - how a plan remembers what its stages need: by chains instead of stage by stage.
 *
 * A chain is stages of one kind, one for each task, each of which needs the one before.  The stages that a trial is the first to
 * need are a batch, numbered task by task and, for one task, in the order of the method's kinds.  A chain of the batch begins
 * with its first task, or goes on from an older chain where the trial parts with it: once two chains have parted they never meet
 * again, since the key of a stage hashes the key of the one before.  So a trial of ten tasks that shares nothing is a batch of
 * three chains, not thirty lists of needs, and the number of any stage follows from its chain and its task. */
#ifndef SWEEPS_PLAN_GRAPH_H
#define SWEEPS_PLAN_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "io/digest.h"
#include "sweeps/options.h"

enum { PLAN_MAX_NEEDS = 4 };

/* A class order, task by task. */
struct plan_order {
    int tasks;
    int *classes_until;    /* (tasks): classes of tasks 0..t */
    struct digest *prefix; /* (tasks): of the classes of tasks 0..t, and of the number of tasks */
};

/* Stages of one kind for tasks from .. until-1; a stage of the whole trial counts as one of task 0. */
struct plan_chain {
    struct digest options; /* what the kind declares, contents instead of names */
    int batch;
    int before;  /* the chain that has the stage of task from-1; -1: from is 0 */
    int example; /* a trial that has all of it */
    int16_t from, until;
    uint8_t kind;
    bool fc_norm; /* of its trial: what the kind needs depends on it */
};

struct plan_batch {
    int first;  /* number of its first stage */
    int chains; /* its chains are those from here to the next batch's, in the order of the method's kinds */
    int order;
    int chain_of[STAGE_KIND_COUNT]; /* the trial's chain of each kind, old or new, that has its last task; -1: none */
};

struct plan_graph {
    int orders_count, chains_count, batches_count;
    struct plan_order *orders;
    struct plan_chain *chains;
    struct plan_batch *batches; /* (batches + 1): one more, whose numbers are the ends of the last */
    int *batch_at;              /* the batch of every 64th stage, from the first on */
};

/* The number of a chain's stage of task t (0 for a stage of the whole trial), even where an older chain has it. */
int graph_stage(const struct plan_graph *g, int chain, int t);
/* The chain that has the stage itself. */
int graph_chain(const struct plan_graph *g, int stage, enum stage_kind kind);
/* What the stage of task t of this very chain needs; returns how many. */
int graph_needs(const struct plan_graph *g, const struct plan_chain *chain, int t, int needs[PLAN_MAX_NEEDS]);
/* The classes in the key of such a stage of task t; NULL where it does not depend on them. */
const struct digest *graph_classes(const struct plan_order *order, enum stage_kind kind, int t);

/* How many chains of each kind end, having no stage after their last one; add them to ends. */
int graph_count_ends(const struct plan_graph *g, int ends[STAGE_KIND_COUNT], err *e);

/* When all batches are there. */
int graph_finish(struct plan_graph *g, err *e);
/* Leave only the first kept[chain] stages of each chain, and close the gaps between the numbers of the others. */
int graph_keep(struct plan_graph *g, const int *kept, err *e);
void graph_free(struct plan_graph *g);

#endif
