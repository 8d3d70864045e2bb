/* orchestrator/merge.h - the shards of a sweep, brought together: one folder whose ledger, checkpoints and results.h5 are what a
 * run of the whole sweep would have left.
 *
 * The shards are only read, and may still be running: what they have finished so far is taken over.  Merging again adds what has
 * come since, and nothing twice. */
#ifndef ORCHESTRATOR_MERGE_H
#define ORCHESTRATOR_MERGE_H

#include "orchestrator/study.h"

struct merge_report {
    int shards, present; /* of the sweep; found */
    int stages;          /* taken over now */
    char absent[200];    /* "2, 5": the shards that were not found; "" if none */
};

/* folders: of shards, or that hold shards.  out: where to merge to; NULL: the only folder that was given.
 * *whole: the study of the merged folder; study_close() in any case.
 * ERR_CONFIG: not shards of one sweep, or `out` holds another sweep; ERR_MISSING: no shards there; ERR_BUSY: somebody is at work
 * in `out`. */
int merge(const char *const *folders, int count, const char *out, struct study *whole, struct merge_report *report,
          err *e);

#endif
