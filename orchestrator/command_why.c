/* orchestrator/command_why.c - `sluice why`: what happened to a trial, stage by stage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/arguments.h"
#include "orchestrator/commands.h"
#include "orchestrator/study.h"

static const char help[] =
    "usage: sluice why DIR TRIAL\n"
    "\n"
    "Why a trial (its number, or the first digits of its key) was run, reused, skipped, failed or pruned,\n"
    "stage by stage.\n"
    "\n"
    "example: sluice why runs/quickstart 7\n";

/* The first stage that this one needs and that is not finished; -1. */
static int waits_for(const struct study *s, int stage)
{
    int needs[PLAN_MAX_NEEDS], n = plan_needs(&s->plan, stage, needs);

    for (int i = 0; i < n; i++)
        if (!s->standing.finished[needs[i]])
            return needs[i];
    return -1;
}

static void stage_name(const struct study *s, int stage, char *text, size_t size)
{
    const char *kind = stage_kind_name((enum stage_kind)s->plan.kind[stage]);

    if (s->plan.task[stage] < 0)
        snprintf(text, size, "%s", kind);
    else
        snprintf(text, size, "%s %d", kind, s->plan.task[stage]);
}

static void explain_stage(const struct study *s, int stage)
{
    const struct history_stage *known = history_find(&s->history, &s->plan.key[stage]);
    int others = s->plan.shared_by[stage] - 1, waiting = waits_for(s, stage);
    char name[64], need[64] = "";

    stage_name(s, stage, name, sizeof name);
    printf("  %-14s ", name);
    if (known && known->finished)
        printf("done in %.2f s by rank %d", known->seconds, known->rank);
    else if (known && known->aside)
        printf("set aside: %s: %s", cause_name(known->cause), known->text ? known->text : "");
    else if (waiting >= 0) {
        stage_name(s, waiting, need, sizeof need);
        printf("waits for %s", need);
    } else
        printf("not run yet");
    if (known && known->attempts > 1)
        printf(" (%d attempts%s%s)", known->attempts, known->cause == CAUSE_none ? "" : ", the last failure: ",
               known->cause == CAUSE_none ? "" : cause_meaning(known->cause));
    if (others > 0)
        printf("; shared with %d other trial%s", others, others > 1 ? "s" : "");
    putchar('\n');
}

static int explain(const struct study *s, int trial, err *e)
{
    const struct history_pruned *pruned = history_find_pruned(&s->history, &s->plan.key[s->plan.trials[trial].stage]);
    int *stages = NULL, count = 0;
    char name[500], hex[DIGEST_HEX];

    if (plan_trial_stages(&s->plan, trial, &stages, &count, e))
        return e->code;
    study_trial_name(s, trial, name, sizeof name);
    digest_to_hex(&s->plan.key[s->plan.trials[trial].stage], hex);
    printf("%s\nkey %s\n%s", name, hex, trial_status_word(s->standing.trial[trial]));
    if (pruned && s->standing.trial[trial] == TRIAL_PRUNED)
        printf(" after task %d: %s", pruned->after_task, pruned->why);
    putchar('\n');
    for (int i = 0; i < count; i++)
        explain_stage(s, stages[i]);
    free(stages);
    return 0;
}

int command_why(int argc, char **argv)
{
    static const char *const flags[] = {NULL};
    struct arguments a;
    struct study s = {0};
    int status, trial;
    err e = {0};

    if (!arguments_read(argc, argv, help, flags, &a, &status))
        return status;
    if (a.rest_count != 1)
        err_set(&e, ERR_USAGE, "which trial?  See sluice why --help");
    else if (!study_from_folder(a.folder, &s, &e) && !study_find_trial(&s, a.rest[0], &trial, &e))
        explain(&s, trial, &e);
    study_close(&s);
    return e.code ? arguments_fail(argv, &e) : 0;
}
