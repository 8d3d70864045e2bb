/* worker/trainer.c - see trainer.h: the table of stages. */
#include "worker/trainer.h"

#include <string.h>

#include "worker/fit.h"
#include "worker/stage_run.h"

static int (*const functions[STAGE_KIND_COUNT])(struct stage_run *, err *) = {
#define K(id, name, letter, version, meaning) [STAGE_##id] = stage_##name,
    STAGE_KINDS(K)
#undef K
};

int trainer_run(const struct stage_job *job, const struct host *host, struct stage_outcome *out, err *e)
{
    double started = seconds_now();
    struct stage_run run = {.job = job, .host = host, .options = {&job->config, job->kind, e}, .out = out};

    memset(out, 0, sizeof *out);
    e->code = ERR_NONE;
    if ((unsigned)job->kind >= STAGE_KIND_COUNT)
        return err_set(e, ERR_BUG, "there is no kind of stage number %d", (int)job->kind);
    if (functions[job->kind](&run, e)) {
        if (job->task >= 0)
            err_context(e, "%s, task %d", stage_kind_name(job->kind), job->task);
        else
            err_context(e, "%s", stage_kind_name(job->kind));
    }
    out->seconds = seconds_now() - started;
    return e->code;
}
