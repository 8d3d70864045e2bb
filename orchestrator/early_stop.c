/* orchestrator/early_stop.c - see early_stop.h. */
#include "orchestrator/early_stop.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/metrics.h"

enum rule { RULE_NONE, RULE_ASHA, RULE_HALVING, RULE_MEDIAN, RULE_FLOOR, RULES };
static const char *const rule_names[RULES] = {"none", "asha", "halving", "median", "floor"};
enum { MEDIAN_OTHERS = 3 };

struct ladder {
    int tasks;  /* of the trial; 0: it has no rungs */
    int *stage; /* (tasks) the stage that evaluates the trial after a task */
    const char *dataset;
};

struct early_stop {
    const struct plan *plan;
    enum rule rule;
    int reduction, min_tasks, sign; /* sign: 1 if more is better, else -1 */
    double floor;
    const char *metric;
    struct ladder *ladders; /* (trials) */
    bool *watched;          /* (stages) */
};

/* ------------------------------------------------------------------------------------------------ ladders */

/* The evaluating stages are those of the kind of the last one: tap(t), sequential(t). */
static int climb(early_stop *s, int trial, err *e)
{
    const struct plan *p = s->plan;
    struct ladder *l = &s->ladders[trial];
    int last = p->trials[trial].stage, *stages = NULL, count = 0;
    struct trial_config config;

    plan_trial_config(p, trial, &config);
    l->dataset = option_format(OPTION_DATASET_NAME, config.value[OPTION_DATASET_NAME]);
    if (p->task[last] < 0)
        return 0;
    l->tasks = p->task[last] + 1;
    l->stage = malloc((size_t)l->tasks * sizeof *l->stage);
    if (!l->stage)
        return err_set(e, ERR_NOMEM, "no memory for %d tasks", l->tasks);
    for (int t = 0; t < l->tasks; t++)
        l->stage[t] = last;
    if (!plan_trial_stages(p, trial, &stages, &count, e))
        for (int i = 0; i < count; i++)
            if (p->kind[stages[i]] == p->kind[last] && p->task[stages[i]] >= 0 && p->task[stages[i]] < l->tasks) {
                l->stage[p->task[stages[i]]] = stages[i];
                s->watched[stages[i]] = true;
            }
    free(stages);
    return e->code;
}

static enum rule rule_of(const struct sweep *sweep)
{
    for (enum rule r = 0; r < RULES; r++)
        if (!strcmp(sweep->setting[SETTING_EARLY_STOP_RULE].text, rule_names[r]))
            return r;
    return RULE_NONE;
}

int early_stop_create(const struct plan *plan, early_stop **out, err *e)
{
    const struct setting_value *set = plan->sweep->setting;
    early_stop *s;

    *out = NULL;
    if (rule_of(plan->sweep) == RULE_NONE)
        return 0;
    s = calloc(1, sizeof *s);
    if (!s || !(s->ladders = calloc((size_t)plan->trials_count + 1, sizeof *s->ladders)) ||
        !(s->watched = calloc((size_t)plan->stages_count + 1, sizeof *s->watched))) {
        free(s ? s->ladders : NULL);
        free(s);
        return err_set(e, ERR_NOMEM, "no memory for the rungs of %d trials", plan->trials_count);
    }
    s->plan = plan;
    s->rule = rule_of(plan->sweep);
    s->reduction = (int)set[SETTING_EARLY_STOP_REDUCTION].number;
    s->min_tasks = (int)set[SETTING_EARLY_STOP_MIN_TASKS].number;
    s->floor = set[SETTING_EARLY_STOP_FLOOR].number;
    s->metric = set[SETTING_METRIC_NAME].text;
    s->sign = strcmp(set[SETTING_METRIC_GOAL].text, "minimize") ? 1 : -1;
    for (int t = 0; t < plan->trials_count && !e->code; t++)
        climb(s, t, e);
    if (e->code)
        early_stop_free(s);
    else
        *out = s;
    return e->code;
}

void early_stop_free(early_stop *s)
{
    if (!s)
        return;
    for (int t = 0; t < s->plan->trials_count; t++)
        free(s->ladders[t].stage);
    free(s->ladders);
    free(s->watched);
    free(s);
}

bool early_stop_watches(const early_stop *s, int stage)
{
    return s->watched[stage];
}

/* ------------------------------------------------------------------------------------------------ rungs */

/* The task after which the rung-th look at a trial takes place; the trial's last task and beyond: there is no such rung. */
static int64_t rung_task(const early_stop *s, int rung)
{
    int64_t after = s->min_tasks;

    if (s->rule == RULE_MEDIAN || s->rule == RULE_FLOOR)
        return after + rung - 1;
    for (int i = 0; i < rung && after < 1000000; i++)
        after *= s->reduction;
    return after - 1;
}

/* The finished stage of a trial after a task; NULL if it is not finished. */
static const struct history_stage *reached(const early_stop *s, int trial, int64_t task, const struct history *h)
{
    const struct ladder *l = &s->ladders[trial];
    const struct history_stage *known = task < l->tasks ? history_find(h, &s->plan->key[l->stage[task]]) : NULL;

    return known && known->finished ? known : NULL;
}

/* The metric over tasks 0..task, so that more is better; NaN where it cannot be told. */
static double value_of(const early_stop *s, int trial, int64_t task, const struct history *h)
{
    struct accuracy_row *rows = NULL;
    int count = 0;
    struct trial_metrics m;

    for (int64_t t = 0; t <= task; t++) {
        const struct history_stage *known = reached(s, trial, t, h);
        void *more = known ? realloc(rows, (size_t)(count + known->accuracy_count + 1) * sizeof *rows) : NULL;

        if (!more)
            continue;
        rows = more;
        memcpy(rows + count, known->accuracy, (size_t)known->accuracy_count * sizeof *rows);
        count += known->accuracy_count;
    }
    m = metrics_of(rows, count, (int)task + 1);
    free(rows);
    return s->sign * metrics_by_name(&m, s->metric);
}

static bool comparable(const early_stop *s, int a, int b)
{
    return s->ladders[a].tasks == s->ladders[b].tasks && s->ladders[a].dataset == s->ladders[b].dataset; /* interned */
}

/* How a trial stands among those that it is compared with on a rung. */
struct field_of_trials {
    int there;   /* others that have reached the rung */
    int better;  /* of these, with a better value; of equal ones the one with the smaller number is better */
    int missing; /* others that will come, but have not */
};

static struct field_of_trials compare(const early_stop *s, int trial, int64_t task, const struct history *h,
                                      const bool *failed)
{
    int64_t order = reached(s, trial, task, h)->order;
    double own = value_of(s, trial, task, h);
    struct field_of_trials f = {0};

    for (int t = 0; t < s->plan->trials_count; t++) {
        const struct history_stage *known;
        const struct history_pruned *pruned;
        double value;

        if (t == trial || !comparable(s, t, trial))
            continue;
        known = reached(s, t, task, h);
        if (!known) {
            pruned = history_find_pruned(h, &s->plan->key[s->plan->trials[t].stage]);
            f.missing += !failed[t] && !(pruned && pruned->after_task < task);
            continue;
        }
        if (s->rule != RULE_HALVING && known->order > order)
            continue;
        value = value_of(s, t, task, h);
        f.there++;
        f.better += value > own || isnan(own) || (value == own && t < trial);
    }
    return f;
}

/* Whether a trial that has reached a rung goes on: 1 yes, 0 no, -1 not known yet. */
static int goes_on(const early_stop *s, int trial, int64_t task, const struct history *h, const bool *failed, char *why,
                   size_t size)
{
    struct field_of_trials f;
    int kept;

    if (s->rule == RULE_FLOOR) {
        double value = s->sign * value_of(s, trial, task, h);

        snprintf(why, size, "%s %.2f after task %d, the floor is %g", s->metric, value, (int)task, s->floor);
        return s->sign * value >= s->sign * s->floor;
    }
    f = compare(s, trial, task, h, failed);
    if (s->rule == RULE_HALVING && f.missing)
        return -1;
    if (s->rule == RULE_MEDIAN) {
        snprintf(why, size, "%s worse than the median after task %d: %d of %d earlier trials are better", s->metric,
                 (int)task, f.better, f.there);
        return f.there < MEDIAN_OTHERS || 2 * f.better <= f.there;
    }
    kept = (f.there + 1 + s->reduction - 1) / s->reduction;
    snprintf(why, size, "%s is place %d of %d after task %d, the best %d go on", s->metric, f.better + 1, f.there + 1,
             (int)task, kept);
    return (s->rule == RULE_ASHA && f.there + 1 < s->reduction) || f.better < kept;
}

struct early_stop_verdict early_stop_judge(early_stop *s, int trial, const struct history *h, const bool *failed)
{
    const struct ladder *l = &s->ladders[trial];
    struct early_stop_verdict v = {.goal = s->plan->trials[trial].stage};
    int64_t task;

    for (int rung = 0; (task = rung_task(s, rung)) < l->tasks - 1; rung++) {
        int on;

        if (reached(s, trial, rung_task(s, rung + 1), h))
            continue; /* it was let through */
        v.goal = l->stage[task];
        if (!reached(s, trial, task, h))
            return v;
        on = goes_on(s, trial, task, h, failed, v.why, sizeof v.why);
        if (on == 0)
            return v.goal = -1, v.after_task = (int)task, v;
        if (on < 0)
            return v;
        v.goal = s->plan->trials[trial].stage;
    }
    return v;
}
