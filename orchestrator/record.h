/* orchestrator/record.h - facts on their way: into the state that they add up to, and into the ledger's next group.
 *
 * A fact that makes no sense goes into neither.  It is on the disk after the next ledger_sync(). */
#ifndef ORCHESTRATOR_RECORD_H
#define ORCHESTRATOR_RECORD_H

#include "orchestrator/history.h"

/* Frees the payload; NULL stands for memory that ran out.  ERR_NOMEM, ERR_DAMAGED. */
int record_fact(struct history *h, ledger *l, enum fact type, char *payload, err *e);
/* A finished stage, see fact_done(). */
int record_done(struct history *h, ledger *l, const struct attempt *a, const struct digest *checkpoint,
                int64_t parameters, double trained, const char *rows, err *e);

#endif
