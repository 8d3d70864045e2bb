/* sweeps/plan.c - see plan.h. */
#include "sweeps/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweeps/methods.h"

void plan_free(struct plan *plan)
{
    free(plan->trials);
    free(plan->kind);
    free(plan->task);
    free(plan->cost);
    free(plan->shared_by);
    free(plan->key);
    free(plan->missing);
    free(plan->warnings);
    free(plan->contents);
    graph_free(&plan->graph);
    *plan = (struct plan){0};
}

/* ---- trials ---- */

void plan_trial_config(const struct plan *plan, int trial, struct trial_config *out)
{
    sweep_point(plan->sweep, plan->trials[trial].point, out);
    method_normalise(out);
}

void plan_trial_label(const struct plan *plan, int trial, char *text, size_t size)
{
    struct trial_config config;
    const struct method *method;
    size_t used = 0;

    plan_trial_config(plan, trial, &config);
    method = method_of(&config);
    text[0] = 0;
    for (int i = 0; i < plan->varied_count && used < size; i++) {
        enum option_id id = plan->varied[i];
        if (id == OPTION_METHOD || id == OPTION_SEED || method_reads(method, id))
            used += (size_t)snprintf(text + used, size - used, "%s%s=%s", used ? " " : "", option_info(id)->key,
                                     option_format(id, config.value[id]));
    }
}

/* ---- needs ---- */

/* A stage's place in the graph. */
struct place {
    const struct plan_chain *chain;
    int t; /* 0 for a stage of the whole trial */
};

static struct place place_of(const struct plan *plan, int stage)
{
    return (struct place){&plan->graph.chains[graph_chain(&plan->graph, stage, plan->kind[stage])],
                          plan->task[stage] < 0 ? 0 : plan->task[stage]};
}

int plan_needs(const struct plan *plan, int stage, int needs[PLAN_MAX_NEEDS])
{
    struct place at = place_of(plan, stage);

    return graph_needs(&plan->graph, at.chain, at.t, needs);
}

int plan_all_needs(const struct plan *plan, int **start, int **needs, err *e)
{
    int n = 0;

    *start = malloc(((size_t)plan->stages_count + 1) * sizeof **start);
    *needs = malloc(((size_t)plan->stages_count + 1) * PLAN_MAX_NEEDS * sizeof **needs);
    if (!*start || !*needs) {
        free(*start);
        free(*needs);
        *start = *needs = NULL;
        return err_set(e, ERR_NOMEM, "no memory for the needs of %d stages", plan->stages_count);
    }
    for (int i = 0; i < plan->stages_count; i++) {
        (*start)[i] = n;
        n += plan_needs(plan, i, *needs + n);
    }
    (*start)[plan->stages_count] = n;
    return 0;
}

int plan_example(const struct plan *plan, int stage)
{
    return place_of(plan, stage).chain->example;
}

static int compare_ints(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;

    return (x > y) - (x < y);
}

/* A list of stages that grows. */
struct stage_list {
    int *stages, count, room;
};

static int add_once(struct stage_list *l, int stage, err *e)
{
    for (int i = l->count - 1; i >= 0; i--) /* what is needed twice was needed a moment ago */
        if (l->stages[i] == stage)
            return 0;
    if (l->count == l->room) {
        int room = 2 * l->room + 64, *more = realloc(l->stages, (size_t)room * sizeof *more);
        if (!more)
            return err_errno(e, "plan");
        l->stages = more;
        l->room = room;
    }
    l->stages[l->count++] = stage;
    return 0;
}

int plan_trial_stages(const struct plan *plan, int trial, int **stages, int *count, err *e)
{
    struct stage_list list = {0};

    add_once(&list, plan->trials[trial].stage, e);
    for (int i = 0; i < list.count && !e->code; i++) {
        int needs[PLAN_MAX_NEEDS], n = plan_needs(plan, list.stages[i], needs);
        for (int k = 0; k < n && !e->code; k++)
            add_once(&list, needs[k], e);
    }
    if (e->code) {
        free(list.stages);
        list = (struct stage_list){0};
    } else {
        qsort(list.stages, (size_t)list.count, sizeof *list.stages, compare_ints);
    }
    *stages = list.stages;
    *count = list.count;
    return e->code;
}

/* ---- keys ---- */

/* What a stage's key hashes, in one piece. */
struct key_bytes {
    unsigned char bytes[256];
    size_t n;
};

static void put_bytes(struct key_bytes *k, const void *bytes, size_t n)
{
    memcpy(k->bytes + k->n, bytes, n);
    k->n += n;
}

static void put_u64(struct key_bytes *k, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        k->bytes[k->n++] = (unsigned char)(value >> (8 * i));
}

/* The keys of what it needs are there. */
static struct digest stage_key(const struct plan *plan, int stage)
{
    struct place at = place_of(plan, stage);
    enum stage_kind kind = plan->kind[stage];
    const struct plan_order *order = &plan->graph.orders[plan->graph.batches[at.chain->batch].order];
    const struct digest *classes = graph_classes(order, kind, at.t);
    int needs[PLAN_MAX_NEEDS], n = graph_needs(&plan->graph, at.chain, at.t, needs);
    const char *name = stage_kind_name(kind);
    struct key_bytes k;

    k.n = 0;
    put_u64(&k, strlen(name));
    put_bytes(&k, name, strlen(name));
    put_u64(&k, (uint64_t)stage_kind_version(kind));
    put_u64(&k, (uint64_t)(plan->task[stage] + 1));
    put_bytes(&k, &at.chain->options, sizeof(struct digest));
    if (classes)
        put_bytes(&k, classes, sizeof *classes);
    for (int i = 0; i < n; i++)
        put_bytes(&k, &plan->key[needs[i]], sizeof(struct digest));
    return digest_bytes(k.bytes, k.n);
}

int plan_keys(struct plan *plan, err *e)
{
    if (plan->key)
        return 0;
    plan->key = malloc(((size_t)plan->stages_count + 1) * sizeof *plan->key);
    if (!plan->key)
        return err_errno(e, "plan");
    for (int i = 0; i < plan->stages_count; i++)
        plan->key[i] = stage_key(plan, i);
    return 0;
}

int plan_find_stage(const struct plan *plan, const struct digest *key)
{
    for (int i = 0; i < plan->stages_count; i++)
        if (digest_equal(&plan->key[i], key))
            return i;
    return -1;
}

/* ---- jobs ---- */

/* The direct need of that kind; -1 if there is none. */
static int direct_need(const struct plan *plan, int stage, enum stage_kind kind)
{
    int needs[PLAN_MAX_NEEDS], n = plan_needs(plan, stage, needs);

    for (int i = 0; i < n; i++)
        if (plan->kind[needs[i]] == (int)kind)
            return needs[i];
    return -1;
}

int plan_job(const struct plan *plan, int stage, const char *checkpoint_folder, struct stage_job *out, err *e)
{
    int t = plan->task[stage];

    *out = (struct stage_job){.kind = (enum stage_kind)plan->kind[stage],
                              .task = t,
                              .key = plan->key[stage],
                              .checkpoint_folder = intern(checkpoint_folder)};
    plan_trial_config(plan, plan_example(plan, stage), &out->config);
    out->inputs = calloc((size_t)(stage_needs_count * (t + 2)), sizeof *out->inputs);
    if (!out->inputs || !out->checkpoint_folder)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (int i = 0; i < stage_needs_count; i++) {
        const struct need *need = &stage_needs[i];
        bool all = need->tasks == NEED_BEFORE || need->tasks == NEED_UP_TO;
        int from = need->kind == out->kind ? direct_need(plan, stage, need->of) : -1;
        for (; from >= 0; from = all ? direct_need(plan, from, need->of) : -1)
            out->inputs[out->inputs_count++] = (struct stage_input){need->of, plan->task[from], plan->key[from]};
    }
    return 0;
}
