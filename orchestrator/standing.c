/* orchestrator/standing.c - see standing.h. */
#include "orchestrator/standing.h"

#include <stdlib.h>

const char *trial_status_word(enum trial_status s)
{
    static const char *const words[] = {
#define X(id, word, meaning) word,
        TRIAL_STATUSES(X)
#undef X
    };

    return words[s];
}

/* For each stage: is it finished, and all before it too, whose rows and checkpoints belong to the trial as well (a salvaged
 * ledger may have lost one in the middle); and which stage set aside stands in its way (itself, or one that it needs; -1: none). */
static void judge_stages(const struct plan *plan, const struct history *h, struct standing *s, bool *complete,
                         int *obstacle)
{
    for (int i = 0; i < plan->stages_count; i++) {
        const struct history_stage *known = history_find(h, &plan->key[i]);
        int needs[PLAN_MAX_NEEDS], n = plan_needs(plan, i, needs);

        s->finished[i] = known && known->finished;
        complete[i] = s->finished[i];
        for (int j = 0; j < n && complete[i]; j++)
            complete[i] = complete[needs[j]];
        obstacle[i] = known && known->aside && !s->finished[i] ? i : -1;
        for (int j = 0; j < n && obstacle[i] < 0 && !complete[i]; j++)
            obstacle[i] = obstacle[needs[j]];
        s->blocked += obstacle[i] >= 0 && obstacle[i] != i;
    }
}

static void judge_trials(const struct plan *plan, const struct history *h, struct standing *s, const bool *complete,
                         const int *obstacle)
{
    for (int t = 0; t < plan->trials_count; t++) {
        int last = plan->trials[t].stage;

        s->culprit[t] = -1;
        if (complete[last])
            s->trial[t] = TRIAL_DONE;
        else if (history_find_pruned(h, &plan->key[last]))
            s->trial[t] = TRIAL_PRUNED;
        else if (obstacle[last] >= 0) {
            s->trial[t] = TRIAL_FAILED;
            s->culprit[t] = obstacle[last];
        } else {
            s->trial[t] = TRIAL_WAITING;
            s->needed[last] = true;
        }
        s->counts[s->trial[t]]++;
    }
    for (int i = plan->stages_count - 1; i >= 0; i--) {
        int needs[PLAN_MAX_NEEDS], n = s->needed[i] ? plan_needs(plan, i, needs) : 0;

        for (int j = 0; j < n; j++)
            s->needed[needs[j]] = true;
    }
}

int standing_make(const struct plan *plan, const struct history *h, struct standing *out, err *e)
{
    size_t trials = (size_t)plan->trials_count + 1, stages = (size_t)plan->stages_count + 1;
    int *obstacle = malloc(stages * sizeof *obstacle);
    bool *complete = malloc(stages * sizeof *complete);

    *out = (struct standing){0};
    out->trial = calloc(trials, sizeof *out->trial);
    out->culprit = calloc(trials, sizeof *out->culprit);
    out->finished = calloc(stages, sizeof *out->finished);
    out->needed = calloc(stages, sizeof *out->needed);
    if (!obstacle || !complete || !out->trial || !out->culprit || !out->finished || !out->needed) {
        standing_free(out);
        err_set(e, ERR_NOMEM, "no memory for %d trials", plan->trials_count);
    } else {
        judge_stages(plan, h, out, complete, obstacle);
        judge_trials(plan, h, out, complete, obstacle);
    }
    free(complete);
    free(obstacle);
    return e->code;
}

void standing_free(struct standing *s)
{
    free(s->trial);
    free(s->culprit);
    free(s->finished);
    free(s->needed);
    *s = (struct standing){0};
}

int standing_verdict(const struct standing *s, const struct plan *plan, err *e)
{
    int over = s->counts[TRIAL_DONE] + s->counts[TRIAL_PRUNED];

    if (s->counts[TRIAL_WAITING] + s->counts[TRIAL_RUNNING])
        return err_set(e, ERR_INTERRUPTED, "%d of %d trials are done", over, plan->trials_count);
    if (s->counts[TRIAL_FAILED])
        return err_set(e, ERR_WORKER, "%d of %d trials are done, %d failed", over, plan->trials_count,
                       s->counts[TRIAL_FAILED]);
    return 0;
}
