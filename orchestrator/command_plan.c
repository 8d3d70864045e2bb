/* orchestrator/command_plan.c - `sluice plan`, with what earlier runs of the sweep have left: finished stages and their
 * times, trials that an edit keeps, adds and orphans, results that other contents or code have made useless. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "orchestrator/changes.h"
#include "orchestrator/commands.h"
#include "orchestrator/folder.h"
#include "orchestrator/history.h"
#include "orchestrator/recall.h"
#include "sweeps/plan_report.h"
#include "worker/math.h"

/* Useful operations of a training step over those of a bare linear layer, in the same time: 0.5 to 0.8
 * (tests/bench/bench_speed.c), and the rest of a stage is not free. */
#define TRAINING_EFFICIENCY 0.5
/* Where it cannot be measured. */
#define NOMINAL_GFLOPS 20

/* Which stages are finished, and how fast each kind was. */
static int recall_stages(const struct plan *plan, const struct history *h, struct plan_known *known, err *e)
{
    double seconds[STAGE_KIND_COUNT] = {0}, flop[STAGE_KIND_COUNT] = {0};

    known->finished = calloc((size_t)plan->stages_count, sizeof *known->finished);
    if (!known->finished)
        return err_errno(e, "plan");
    for (int i = 0; i < plan->stages_count; i++) {
        const struct history_stage *s = history_find(h, &plan->key[i]);
        known->finished[i] = s && s->finished;
        if (known->finished[i]) {
            seconds[plan->kind[i]] += s->seconds;
            flop[plan->kind[i]] += plan->cost[i];
        }
    }
    for (int kind = 0; kind < STAGE_KIND_COUNT; kind++)
        known->seconds_per_flop[kind] = flop[kind] > 0 ? seconds[kind] / flop[kind] : 0;
    return 0;
}

static int compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

/* Finished stages that belong to neither plan. */
static int count_outdated(const struct plan *before, const struct plan *now, const struct history *h,
                          struct plan_known *known, err *e)
{
    size_t n = (size_t)before->stages_count + (size_t)now->stages_count;
    struct digest *keys = malloc(n * sizeof *keys);

    if (!keys)
        return err_errno(e, "plan");
    memcpy(keys, before->key, (size_t)before->stages_count * sizeof *keys);
    memcpy(keys + before->stages_count, now->key, (size_t)now->stages_count * sizeof *keys);
    qsort(keys, n, sizeof *keys, compare_keys);
    for (int i = 0; i < h->stages_count; i++)
        known->outdated += h->stages[i].finished && !bsearch(&h->stages[i].key, keys, n, sizeof *keys, compare_keys);
    free(keys);
    return 0;
}

/* The sweep that ran in the folder, planned anew, beside the one at hand. */
static int recall_edit(const struct plan *now, const struct folder *f, const struct history *h,
                       struct plan_known *known, err *e)
{
    struct changes changes = {0};
    struct sweep sweep;
    struct plan before = {0};

    if (!sweep_load(f->sweep, NULL, 0, &sweep, e) && !plan_make(&sweep, &sources_installed, &before, e) &&
        !plan_keys(&before, e) && !changes_between(&before, now, &changes, e) &&
        !count_outdated(&before, now, h, known, e) &&
        ((known->why = changes_why(&before, now, h)) || err_set(e, ERR_NOMEM, "out of memory"))) {
        known->kept = changes.kept;
        known->added = changes.added;
        known->orphaned = changes.orphaned;
        known->edited = changes.added || changes.orphaned;
    }
    plan_free(&before);
    sweep_free(&sweep);
    return e->code;
}

int recall_plan(struct plan *plan, const char *out, struct plan_known *known, err *e)
{
    struct history history = {0};
    struct ledger_summary summary;
    struct folder folder;

    if (folder_of(out, plan->sweep, &folder, e))
        return e->code;
    if (access(folder.ledger, F_OK))
        return 0;
    snprintf(known->folder, sizeof known->folder, "%s", folder.root);
    if (!plan_keys(plan, e) && !ledger_replay(folder.ledger, history_visit, &history, &summary, e) &&
        !recall_stages(plan, &history, known, e) && !access(folder.sweep, F_OK))
        recall_edit(plan, &folder, &history, known, e);
    history_free(&history);
    return e->code;
}

double recall_gflops(void)
{
    double gflops = TRAINING_EFFICIENCY * math_gflops();

    return gflops > 0 ? gflops : NOMINAL_GFLOPS;
}

int command_plan(int argc, char **argv)
{
    return plan_command(argc, argv, recall_plan, recall_gflops());
}
