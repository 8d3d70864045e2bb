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

/* The host, and what it was told last. */
struct watch {
    const struct host *host;
    struct progress last;
    double told; /* seconds_now() */
};

static bool watched_go_on(void *context, const struct progress *p)
{
    struct watch *w = context;

    w->last = *p;
    w->told = seconds_now();
    return w->host->go_on(w->host->context, p);
}

static void watched_accuracy(void *context, const struct accuracy_row *row)
{
    struct watch *w = context;

    w->host->accuracy(w->host->context, row);
}

static void watched_training(void *context, const struct training_row *row)
{
    struct watch *w = context;

    w->host->training(w->host->context, row);
}

void stage_alive(void *context)
{
    struct watch *w = ((struct stage_run *)context)->watch;

    if (w && w->last.phase && seconds_now() - w->told >= 1) {
        w->told = seconds_now();
        w->host->go_on(w->host->context, &w->last);
    }
}

int trainer_run(const struct stage_job *job, const struct host *host, struct stage_outcome *out, err *e)
{
    double started = seconds_now();
    struct watch watch = {.host = host, .told = started};
    struct host watched = {&watch, watched_go_on, watched_accuracy, watched_training};
    struct stage_run run = {.job = job,
                            .host = &watched,
                            .options = {&job->config, job->kind, e},
                            .out = out,
                            .watch = &watch,
                            .saved = started};

    memset(out, 0, sizeof *out);
    e->code = ERR_NONE;
    if ((unsigned)job->kind >= STAGE_KIND_COUNT)
        return err_set(e, ERR_BUG, "there is no kind of stage number %d", (int)job->kind);
    run.checkpoint_seconds = option_real(&run.options, OPTION_CHECKPOINT_SECONDS);
    if (functions[job->kind](&run, e)) {
        if (job->task >= 0)
            err_context(e, "%s, task %d", stage_kind_name(job->kind), job->task);
        else
            err_context(e, "%s", stage_kind_name(job->kind));
    }
    out->seconds = seconds_now() - started;
    return e->code;
}
