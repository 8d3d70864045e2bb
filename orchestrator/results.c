/* orchestrator/results.c - see results.h. */
#include "orchestrator/results.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io/h5.h"
#include "io/store.h"

/* An array that grows. */
struct list {
    char *rows;
    size_t count, room, size;
};

static void *list_add(struct list *l, err *e)
{
    if (l->count == l->room) {
        size_t room = 2 * l->room + 64;
        void *more = realloc(l->rows, room * l->size);

        if (!more) {
            err_set(e, ERR_NOMEM, "no memory for a table of %zu rows", room);
            return NULL;
        }
        l->rows = more;
        l->room = room;
    }
    memset(l->rows + l->count * l->size, 0, l->size);
    return l->rows + l->count++ * l->size;
}

struct tables {
    const struct plan *plan;
    const struct history *history;
    const struct standing *standing;
    struct list trials, accuracy, training, stages, options, columns;
    struct list own; /* accuracy rows of the trial at hand */
};

/* ------------------------------------------------------------------------------------------------ trials */

static void add_rows(struct tables *t, int trial, const struct history_stage *known, err *e)
{
    for (int i = 0; i < known->accuracy_count && !e->code; i++) {
        struct accuracy_result *r = list_add(&t->accuracy, e);
        struct accuracy_row *own = list_add(&t->own, e);

        if (r && own) {
            *r = (struct accuracy_result){trial, known->accuracy[i]};
            *own = known->accuracy[i];
        }
    }
    for (int i = 0; i < known->training_count && !e->code; i++) {
        struct training_result *r = list_add(&t->training, e);

        if (r)
            *r = (struct training_result){trial, known->training[i]};
    }
}

static void count_parameters(int64_t *sums, const struct history_stage *known)
{
    if (known->kind == STAGE_WTP)
        sums[known->kind] += known->parameters; /* each task adds its own */
    else if (known->kind < STAGE_KIND_COUNT && known->kind != STAGE_TAP && sums[known->kind] < known->parameters)
        sums[known->kind] = known->parameters;
}

static void describe_trial(const struct tables *t, int trial, struct trial_row *row)
{
    const struct plan *p = t->plan;
    struct trial_config config;

    plan_trial_config(p, trial, &config);
    row->trial = trial;
    digest_to_hex(&p->key[p->trials[trial].stage], row->key);
    snprintf(row->status, NAME_SIZE, "%s", trial_status_word(t->standing->trial[trial]));
    snprintf(row->method, NAME_SIZE, "%s", option_format(OPTION_METHOD, config.value[OPTION_METHOD]));
    snprintf(row->dataset, NAME_SIZE, "%s", option_format(OPTION_DATASET_NAME, config.value[OPTION_DATASET_NAME]));
    snprintf(row->backbone, NAME_SIZE, "%s", option_format(OPTION_BACKBONE, config.value[OPTION_BACKBONE]));
    row->seed = config.value[OPTION_SEED].integer;
}

static void explain_trial(const struct tables *t, int trial, struct trial_row *row)
{
    const struct plan *p = t->plan;
    int culprit = t->standing->culprit[trial];
    const struct history_pruned *pruned = history_find_pruned(t->history, &p->key[p->trials[trial].stage]);
    const struct history_stage *known = culprit >= 0 ? history_find(t->history, &p->key[culprit]) : NULL;

    if (known)
        snprintf(row->cause, TEXT_SIZE, "%s of task %d: %s: %s", stage_kind_name((enum stage_kind)p->kind[culprit]),
                 p->task[culprit], cause_name(known->cause), known->text ? known->text : "");
    else if (pruned && t->standing->trial[trial] == TRIAL_PRUNED)
        snprintf(row->cause, TEXT_SIZE, "%s", pruned->why);
}

static int tasks_of(const struct plan *p, int trial)
{
    struct trial_config config;

    plan_trial_config(p, trial, &config);
    return (int)config.value[OPTION_DATASET_TASKS].integer;
}

/* Options that the sweep varies and none of the trial's stages reads: their values in /trials mean nothing for it. */
static void list_unused(const struct plan *p, const int *stages, int count, char unused[TEXT_SIZE])
{
    size_t length = 0;

    for (int v = 0; v < p->varied_count; v++) {
        const char *key = option_info(p->varied[v])->key;
        bool used = p->varied[v] == OPTION_METHOD || p->varied[v] == OPTION_SEED;

        for (int i = 0; i < count && !used; i++)
            used = option_declared((enum stage_kind)p->kind[stages[i]], p->varied[v]);
        if (!used && length + strlen(key) + 2 < TEXT_SIZE)
            length += (size_t)snprintf(unused + length, TEXT_SIZE - length, "%s%s", length ? "," : "", key);
    }
}

/* By task, then kind: an order that other trials, which may share some of the stages, have no part in. */
static void put_in_order(const struct plan *p, int *stages, int count)
{
    for (int i = 1; i < count; i++) { /* almost in order as they are */
        int stage = stages[i], at = i;

        while (at && (p->task[stages[at - 1]] > p->task[stage] ||
                      (p->task[stages[at - 1]] == p->task[stage] && p->kind[stages[at - 1]] > p->kind[stage]))) {
            stages[at] = stages[at - 1];
            at--;
        }
        stages[at] = stage;
    }
}

static void add_trial(struct tables *t, int trial, err *e)
{
    struct trial_row *row = list_add(&t->trials, e);
    int64_t parameters[STAGE_KIND_COUNT] = {0};
    struct trial_metrics m;
    int *stages = NULL, count = 0;

    if (!row || plan_trial_stages(t->plan, trial, &stages, &count, e))
        return;
    put_in_order(t->plan, stages, count);
    describe_trial(t, trial, row);
    explain_trial(t, trial, row);
    list_unused(t->plan, stages, count, row->unused);
    t->own.count = 0;
    for (int i = 0; i < count && !e->code; i++) {
        const struct history_stage *known = history_find(t->history, &t->plan->key[stages[i]]);

        if (!known)
            continue;
        row->attempts += known->attempts;
        if (!known->finished)
            continue;
        add_rows(t, trial, known, e);
        count_parameters(parameters, known);
        row->seconds += known->seconds;
        row->core_seconds += known->seconds * fmax(1, known->threads) / fmax(1, t->plan->shared_by[stages[i]]);
    }
    for (int k = 0; k < STAGE_KIND_COUNT; k++)
        row->trainable_parameters += parameters[k];
    m = metrics_of((const struct accuracy_row *)t->own.rows, (int)t->own.count, tasks_of(t->plan, trial));
    metrics_to_row(&m, row);
    free(stages);
}

struct trial_metrics results_metrics(const struct plan *plan, int trial, const struct history *h, err *e)
{
    struct list rows = {.size = sizeof(struct accuracy_row)};
    struct trial_metrics m = metrics_of(NULL, 0, 0);
    int *stages = NULL, count = 0;

    if (plan_trial_stages(plan, trial, &stages, &count, e))
        return m;
    for (int i = 0; i < count; i++) {
        const struct history_stage *known = history_find(h, &plan->key[stages[i]]);

        for (int j = 0; known && j < known->accuracy_count && !e->code; j++) {
            struct accuracy_row *row = list_add(&rows, e);

            if (row)
                *row = known->accuracy[j];
        }
    }
    if (!e->code)
        m = metrics_of((const struct accuracy_row *)rows.rows, (int)rows.count, tasks_of(plan, trial));
    free(rows.rows);
    free(stages);
    return m;
}

/* ------------------------------------------------------------------------------------------------ stages, options, columns */

static void add_stage(struct tables *t, int stage, err *e)
{
    const struct plan *p = t->plan;
    const struct history_stage *known = history_find(t->history, &p->key[stage]);
    struct stage_row *row;

    if (!known || !known->finished || !(row = list_add(&t->stages, e)))
        return;
    digest_to_hex(&p->key[stage], row->stage_key);
    digest_to_hex(&known->checkpoint, row->digest);
    snprintf(row->kind, NAME_SIZE, "%s", stage_kind_name((enum stage_kind)p->kind[stage]));
    snprintf(row->checkpoint, TEXT_SIZE, "checkpoints/%s.h5", row->stage_key);
    row->task = p->task[stage];
    row->shared_by = p->shared_by[stage];
    row->seconds = known->seconds;
}

static void add_options(struct tables *t, int trial, err *e)
{
    struct trial_config config;

    plan_trial_config(t->plan, trial, &config);
    for (int o = 0; o < OPTION_COUNT; o++) {
        struct option_result *row = list_add(&t->options, e);

        if (!row)
            return;
        *row = (struct option_result){trial, option_info((enum option_id)o)->key,
                                      option_format((enum option_id)o, config.value[o])};
    }
}

/* Options that /trials has anyway, and seeds that only follow `seed`, get no column of their own. */
static bool has_column(const struct plan *p, enum option_id o)
{
    struct trial_config config;

    if (o == OPTION_METHOD || o == OPTION_BACKBONE || o == OPTION_DATASET_NAME || o == OPTION_SEED)
        return false;
    if (option_info(o)->type != OPTION_TYPE_SEED)
        return true;
    for (int t = 0; t < p->trials_count; t++) {
        plan_trial_config(p, t, &config);
        if (config.value[o].integer != config.value[OPTION_SEED].integer)
            return true;
    }
    return false;
}

static enum field_kind column_kind(enum option_type type)
{
    return type == OPTION_TYPE_INT || type == OPTION_TYPE_SEED ? FIELD_INT
           : type == OPTION_TYPE_REAL                          ? FIELD_REAL
                                                               : FIELD_TEXT;
}

static void add_column(struct tables *t, enum option_id o, err *e)
{
    const struct option_info *info = option_info(o);
    struct results_column *c = list_add(&t->columns, e);
    size_t n = (size_t)t->plan->trials_count;
    union {
        int64_t integer;
        double real;
        const char *text;
    } *values = calloc(n + 1, sizeof *values); /* all three are of one size, so one array serves as any of them */

    _Static_assert(sizeof(int64_t) == sizeof(double) && sizeof(double) == sizeof(const char *), "values of one size");
    if (!c || !values) {
        free(values);
        err_set(e, ERR_NOMEM, "no memory for %zu values of %s", n, info->key);
        return;
    }
    c->kind = column_kind(info->type);
    snprintf(c->option, NAME_SIZE, "%s", info->key);
    snprintf(c->unit, NAME_SIZE, "%s", info->unit);
    snprintf(c->help, TEXT_SIZE, "%s", info->help);
    for (int i = 0; info->key[i] && i < NAME_SIZE - 1; i++)
        c->name[i] = info->key[i] == '.' ? '_' : info->key[i];
    for (int trial = 0; trial < t->plan->trials_count; trial++) {
        struct trial_config config;

        plan_trial_config(t->plan, trial, &config);
        if (c->kind == FIELD_INT)
            values[trial].integer = config.value[o].integer;
        else if (c->kind == FIELD_REAL)
            values[trial].real = config.value[o].real;
        else
            values[trial].text = option_format(o, config.value[o]);
    }
    c->integers = c->kind == FIELD_INT ? &values->integer : NULL;
    c->reals = c->kind == FIELD_REAL ? &values->real : NULL;
    c->texts = c->kind == FIELD_TEXT ? &values->text : NULL;
}

static void free_columns(struct list *columns)
{
    struct results_column *c = (struct results_column *)columns->rows;

    for (size_t i = 0; i < columns->count; i++)
        free(c[i].kind == FIELD_INT    ? (void *)c[i].integers
             : c[i].kind == FIELD_REAL ? (void *)c[i].reals
                                       : (void *)c[i].texts);
    free(columns->rows);
}

/* ------------------------------------------------------------------------------------------------ the file */

static void time_text(double when, char text[32])
{
    time_t t = (time_t)when;
    struct tm day;

    *text = 0;
    if (when > 0)
        strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &day));
}

static int write_file(const struct tables *t, const struct folder *f, const struct results_origin *origin, err *e)
{
    const struct plan *p = t->plan;
    char started[32], ended[32], *yaml = NULL;
    const struct setting_value *set = p->sweep->setting;

    time_text(t->history->begun, started);
    time_text(t->history->ended, ended);
    if (sweep_write(p->sweep, &yaml, e))
        return e->code;
    const struct results_attribute attributes[] = {
        {"sweep_name", set[SETTING_NAME].text},
        {"description", set[SETTING_DESCRIPTION].text},
        {"metric", set[SETTING_METRIC_NAME].text},
        {"goal", set[SETTING_METRIC_GOAL].text},
        {"sweep_yaml", yaml},
        {"program", origin->version},
        {"commit", origin->commit},
        {"compiler", origin->compiler},
        {"blas", origin->blas},
        {"kernels", origin->kernels},
        {"mpi", origin->mpi},
        {"hdf5", h5_library()},
        {"hosts", t->history->hosts},
        {"started", started},
        {"ended", ended},
    };
    const struct results r = {
        .trials_count = t->trials.count,
        .accuracy_count = t->accuracy.count,
        .training_count = t->training.count,
        .attempts_count = (size_t)t->history->attempts_count,
        .stages_count = t->stages.count,
        .options_count = t->options.count,
        .columns_count = (int)t->columns.count,
        .attributes_count = sizeof attributes / sizeof *attributes,
        .trials = (const struct trial_row *)t->trials.rows,
        .columns = (const struct results_column *)t->columns.rows,
        .accuracy = (const struct accuracy_result *)t->accuracy.rows,
        .training = (const struct training_result *)t->training.rows,
        .attempts = t->history->attempts,
        .stages = (const struct stage_row *)t->stages.rows,
        .options = (const struct option_result *)t->options.rows,
        .attributes = attributes,
    };

    results_write(f->results, &r, e);
    free(yaml);
    return e->code;
}

int results_make(const struct plan *plan, const struct folder *folder, const struct history *h,
                 const struct standing *s, const struct results_origin *origin, err *e)
{
    struct tables t = {
        .plan = plan,
        .history = h,
        .standing = s,
        .trials.size = sizeof(struct trial_row),
        .accuracy.size = sizeof(struct accuracy_result),
        .training.size = sizeof(struct training_result),
        .stages.size = sizeof(struct stage_row),
        .options.size = sizeof(struct option_result),
        .columns.size = sizeof(struct results_column),
        .own.size = sizeof(struct accuracy_row),
    };

    for (int i = 0; i < plan->varied_count && !e->code; i++)
        if (has_column(plan, plan->varied[i]))
            add_column(&t, plan->varied[i], e);
    for (int i = 0; i < plan->trials_count && !e->code; i++) {
        add_trial(&t, i, e);
        if (!e->code)
            add_options(&t, i, e);
    }
    for (int i = 0; i < plan->stages_count && !e->code; i++)
        add_stage(&t, i, e);
    if (!e->code)
        write_file(&t, folder, origin, e);
    free(t.trials.rows);
    free(t.accuracy.rows);
    free(t.training.rows);
    free(t.stages.rows);
    free(t.options.rows);
    free(t.own.rows);
    free_columns(&t.columns);
    return e->code;
}
