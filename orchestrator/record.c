/* orchestrator/record.c - see record.h. */
#include "orchestrator/record.h"

#include <stdlib.h>
#include <string.h>

static int no_memory(enum fact type, err *e)
{
    return err_set(e, ERR_NOMEM, "no memory for a %s fact", fact_name(type));
}

int record_fact(struct history *h, ledger *l, enum fact type, char *payload, err *e)
{
    size_t n = payload ? strlen(payload) : 0;

    if (!payload)
        no_memory(type, e);
    else if (!history_apply(h, type, payload, n, e))
        ledger_append(l, type, payload, n, e);
    free(payload);
    return e->code;
}

int record_done(struct history *h, ledger *l, const struct attempt *a, const struct digest *checkpoint,
                int64_t parameters, double trained, const char *rows, err *e)
{
    char *payload = fact_done(a, checkpoint, parameters, trained, rows);

    if (!payload)
        no_memory(FACT_DONE, e);
    else if (!history_done(h, a, checkpoint, parameters, rows, e))
        ledger_append(l, FACT_DONE, payload, strlen(payload), e);
    free(payload);
    return e->code;
}
