/* orchestrator/command_retry.c - `sluice retry`: stages that were set aside get a new budget. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/arguments.h"
#include "orchestrator/commands.h"
#include "orchestrator/lock.h"
#include "orchestrator/study.h"

static const char help[] =
    "usage: sluice retry DIR [TRIAL ...]\n"
    "\n"
    "Makes failed trials (all, or those named by number or key) eligible again.  They run with the next\n"
    "`sluice run`.\n"
    "\n"
    "example: sluice retry runs/quickstart 7 12\n";

/* Mark the stages of a trial. */
static int mark_trial(const struct study *s, int trial, bool *marked, err *e)
{
    int *stages = NULL, count = 0;

    if (!plan_trial_stages(&s->plan, trial, &stages, &count, e))
        for (int i = 0; i < count; i++)
            marked[stages[i]] = true;
    free(stages);
    return e->code;
}

/* Forgive the marked stages; returns how many there were. */
static int forgive(const struct study *s, const bool *marked, err *e)
{
    struct ledger_summary summary;
    ledger *l = NULL;
    int count = 0;

    if (ledger_open(s->folder.ledger, NULL, NULL, &summary, &l, e))
        return 0;
    for (int i = 0; i < s->plan.stages_count && !e->code; i++) {
        const struct history_stage *known = history_find(&s->history, &s->plan.key[i]);
        char *payload;

        if (!marked[i] || !known || !known->aside)
            continue;
        payload = fact_forgiven(&s->plan.key[i]);
        if (!payload)
            err_set(e, ERR_NOMEM, "no memory for a fact");
        else
            ledger_append(l, FACT_FORGIVEN, payload, strlen(payload), e);
        free(payload);
        count++;
    }
    if (!e->code)
        ledger_sync(l, e);
    ledger_close(l);
    return count;
}

static int retry(struct study *s, const struct arguments *a, int *count, err *e)
{
    bool *marked = calloc((size_t)s->plan.stages_count + 1, sizeof *marked);
    int trial;

    if (!marked)
        return err_set(e, ERR_NOMEM, "no memory for %d stages", s->plan.stages_count);
    for (int i = 0; i < a->rest_count && !e->code; i++)
        if (!study_find_trial(s, a->rest[i], &trial, e))
            mark_trial(s, trial, marked, e);
    for (int t = 0; t < s->plan.trials_count && !a->rest_count && !e->code; t++)
        if (s->standing.trial[t] == TRIAL_FAILED)
            mark_trial(s, t, marked, e);
    if (!e->code)
        *count = forgive(s, marked, e);
    free(marked);
    return e->code;
}

int command_retry(int argc, char **argv)
{
    static const char *const flags[] = {NULL};
    struct folder_lock lock = {.fd = -1};
    struct arguments a;
    struct folder f;
    struct study s = {0};
    int status, count = 0;
    err e = {0};

    if (!arguments_read(argc, argv, help, flags, &a, &status))
        return status;
    if (!folder_name(a.folder, "", &f, &e) && !folder_check(&f, &e) && !lock_take(f.root, &lock, &e) &&
        !study_from_folder(a.folder, &s, &e))
        retry(&s, &a, &count, &e);
    study_close(&s);
    lock_release(&lock);
    if (e.code)
        return arguments_fail(argv, &e);
    printf("%d stages are eligible again%s\n", count, count ? "; `sluice run` runs them" : "");
    return 0;
}
