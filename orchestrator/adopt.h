/* orchestrator/adopt.h - finished stages that another output folder has already: a sibling shard's, or, when shards are merged,
 * those of all of them.
 *
 * A stage is known by its key, so what another folder has finished under it is this folder's result too.  Its checkpoint is
 * linked (copied, where the file systems differ), never written to by anybody, and its content is verified against the other
 * ledger's digest before the record of it is copied into this ledger, word for word. */
#ifndef ORCHESTRATOR_ADOPT_H
#define ORCHESTRATOR_ADOPT_H

#include "orchestrator/folder.h"
#include "orchestrator/history.h"
#include "sweeps/plan.h"

struct adopt_record {
    uint32_t type; /* enum fact, or what this program does not know */
    struct digest stage;
    size_t n;
    char *payload; /* (n), and a final 0 */
};

/* Another folder: what its ledger says, and the records themselves. */
struct adopt_source {
    struct folder folder;
    struct history history;
    int records_count, records_room;
    struct adopt_record *records;
    int *done; /* (history.stages_count) the record that finished the stage; -1 */
};

/* Where it goes to.  The caller holds the folder's lock, and syncs the ledger. */
struct adopt_target {
    const struct plan *plan;
    const struct folder *folder;
    struct history *history;
    ledger *ledger;
};

/* ERR_MISSING: there is no ledger.  A run may be at work there.  adopt_close() in any case. */
int adopt_open(const char *folder, struct adopt_source *out, err *e);
void adopt_close(struct adopt_source *source);

/* Take over every stage of the plan that is finished there and not here; one whose checkpoint is not what it should be stays
 * what it is, and so does what builds on it.  Adds to *count how many were taken, and to *left how many were not; another source
 * may have what these need.  ERR_STORAGE if this folder cannot be written. */
int adopt_stages(const struct adopt_source *source, const struct adopt_target *target, int *count, int *left, err *e);

/* Before a run: what sibling shards, and the folder that holds them all, have finished.  Nothing for a sweep that is whole. */
int adopt_from_siblings(const struct plan *plan, const struct folder *folder, int *count, err *e);

/* Visit the shards below a folder, shard-K-of-N, in order; returns how many there are. */
int adopt_each_shard(const char *root, void (*visit)(void *context, const char *path, int index, int count),
                     void *context);

#endif
