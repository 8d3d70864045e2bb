/* orchestrator/alone.c - see alone.h. */
#include "orchestrator/alone.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/rows.h"
#include "orchestrator/record.h"
#include "worker/trainer.h"

/* Rows of the stage at work, on their way into the ledger. */
struct collector {
    struct console *console;
    json_t *accuracy, *training;
};

static bool go_on(void *context, const struct progress *p)
{
    struct collector *c = context;

    return c->console->host.go_on(c->console->host.context, p);
}

static void take_accuracy(void *context, const struct accuracy_row *row)
{
    struct collector *c = context;

    json_array_append_new(c->accuracy, row_to_json(&table_accuracy, row));
}

static void take_training(void *context, const struct training_row *row)
{
    struct collector *c = context;

    json_array_append_new(c->training, row_to_json(&table_training, row));
}

/* One fact, onto the disk. */
static int record(struct study *s, ledger *l, enum fact type, char *payload, err *e)
{
    if (!record_fact(&s->history, l, type, payload, e))
        ledger_sync(l, e);
    return e->code;
}

static void describe_attempt(const struct study *s, int stage, struct attempt *a)
{
    const struct history_stage *known = history_find(&s->history, &s->plan.key[stage]);

    *a = (struct attempt){.stage = s->plan.key[stage],
                          .kind = (enum stage_kind)s->plan.kind[stage],
                          .task = s->plan.task[stage],
                          .number = known ? known->attempts + 1 : 1,
                          .threads = 1,
                          .started = clock_wall()};
    if (gethostname(a->host, sizeof a->host - 1))
        strcpy(a->host, "unknown");
}

/* A finished stage whose checkpoint is still there. */
static bool is_finished(const struct study *s, const struct stage_job *job)
{
    const struct history_stage *known = history_find(&s->history, &job->key);
    char *path = known && known->finished ? stage_checkpoint_path(job, &job->key) : NULL;
    bool there = path && access(path, R_OK) == 0;

    free(path);
    return there;
}

static int run_stage(struct study *s, ledger *l, int stage, const struct stage_job *job, struct console *console,
                     err *e)
{
    struct collector c = {console, json_array(), json_array()};
    struct host host = {&c, go_on, take_accuracy, take_training};
    struct stage_outcome out;
    struct attempt a;
    char *rows = NULL;
    err failed = {0};

    describe_attempt(s, stage, &a);
    trainer_run(job, &host, &out, &failed);
    a.seconds = clock_wall() - a.started;
    if (failed.code == ERR_INTERRUPTED) {
        *e = failed;
    } else if (failed.code) {
        char trial[500];

        if (record(s, l, FACT_FAILED, fact_failed(&a, cause_of_error(failed.code), failed.text), e) == 0)
            *e = failed;
        study_trial_name(s, plan_example(&s->plan, stage), trial, sizeof trial);
        err_context(e, "%s", trial);
    } else {
        json_t *both = json_pack("{s:O, s:O}", "accuracy", c.accuracy, "training", c.training);

        rows = both ? json_dumps(both, JSON_COMPACT) : NULL;
        json_decref(both);
        if (!rows)
            err_set(e, ERR_NOMEM, "no memory for a stage's rows");
        else
            record_done(&s->history, l, &a, &out.checkpoint, out.trainable_parameters, out.seconds, rows, e);
        if (!e->code)
            ledger_sync(l, e);
    }
    free(rows);
    json_decref(c.accuracy);
    json_decref(c.training);
    return e->code;
}

static int run_stages(struct study *s, ledger *l, struct console *console, err *e)
{
    double done = 0;

    for (int stage = 0; stage < s->plan.stages_count && !e->code; stage++) {
        struct stage_job job;

        if (plan_job(&s->plan, stage, s->folder.checkpoints, &job, e))
            break;
        console->from = done / s->plan.work;
        done += s->plan.cost[stage];
        console->to = done / s->plan.work;
        if (!is_finished(s, &job))
            run_stage(s, l, stage, &job, console, e);
        stage_job_free(&job);
    }
    return e->code;
}

int alone_run(struct study *s, const struct results_origin *origin, struct console *console, err *e)
{
    double start = clock_monotonic(), start_cpu = clock_cpu();
    struct run_figures f = {0};
    char host[NAME_SIZE] = "";
    struct standing standing = {0};
    ledger *l = NULL;
    err later = {0};

    history_free(&s->history);
    gethostname(host, sizeof host - 1);
    if (!ledger_open(s->folder.ledger, history_visit, &s->history, &s->ledger, &l, e) &&
        !record(
            s, l, FACT_BEGUN,
            fact_begun(host, (int)getpid(), 0, origin->version, clock_wall(), s->plan.contents, s->plan.contents_count),
            e)) {
        f.stages = -s->history.finished;
        run_stages(s, l, console, e);
        f.stages += s->history.finished;
    }
    f.seconds = clock_monotonic() - start;
    f.cpu = clock_cpu();
    f.loop_cpu = f.cpu - start_cpu;
    if (l && !record(s, l, FACT_ENDED, fact_ended(e->code ? err_name(e->code) : "done", clock_wall(), &f), &later) &&
        !standing_make(&s->plan, &s->history, &standing, &later))
        results_make(&s->plan, &s->folder, &s->history, &standing, origin, &later);
    standing_free(&standing);
    ledger_close(l);
    if (!e->code && later.code)
        *e = later;
    return e->code;
}
