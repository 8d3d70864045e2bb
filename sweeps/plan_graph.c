/* sweeps/plan_graph.c - see plan_graph.h. */
#include "sweeps/plan_graph.h"

#include <stdlib.h>

#include "sweeps/methods.h"

enum { STEP = 64 }; /* stages from one entry of batch_at to the next */

int graph_stage(const struct plan_graph *g, int chain, int t)
{
    const struct plan_chain *c = &g->chains[chain], *x, *end;
    const struct plan_batch *batch;
    int n;

    while (t < c->from)
        c = &g->chains[c->before];
    batch = &g->batches[c->batch];
    n = batch->first;
    for (x = g->chains + batch->chains, end = g->chains + batch[1].chains; x < end; x++) {
        int next = t + (x < c); /* the task of its first stage that does not come before */
        next = next < x->until ? next : x->until;
        n += next > x->from ? next - x->from : 0;
    }
    return n;
}

int graph_chain(const struct plan_graph *g, int stage, enum stage_kind kind)
{
    const struct plan_batch *batch = &g->batches[g->batch_at[stage / STEP]];
    int c;

    while (batch[1].first <= stage)
        batch++;
    for (c = batch->chains; g->chains[c].kind != kind; c++)
        ;
    return c;
}

int graph_needs(const struct plan_graph *g, const struct plan_chain *chain, int t, int needs[PLAN_MAX_NEEDS])
{
    const int *chain_of = g->batches[chain->batch].chain_of;
    const struct need *need = stage_needs, *end = stage_needs + stage_needs_count;
    int n = 0;

    while (need < end && need->kind != chain->kind)
        need++;
    for (; need < end && need->kind == chain->kind; need++) {
        int task = need_task(need, chain->kind, t, chain->fc_norm);
        if (task >= 0)
            needs[n++] = graph_stage(g, chain_of[need->of], task);
    }
    return n;
}

const struct digest *graph_classes(const struct plan_order *order, enum stage_kind kind, int t)
{
    if (!option_in_key(kind, OPTION_DATASET_SEQUENCE))
        return NULL;
    return &order->prefix[stage_kind_has_tasks(kind) ? t : order->tasks - 1];
}

int graph_count_ends(const struct plan_graph *g, int ends[STAGE_KIND_COUNT], err *e)
{
    bool *goes_on = calloc((size_t)g->chains_count + 1, sizeof *goes_on);

    if (!goes_on)
        return err_errno(e, "plan");
    for (int c = 0; c < g->chains_count; c++) {
        const struct plan_chain *x = &g->chains[c];
        if (x->before >= 0 && g->chains[x->before].until == x->from)
            goes_on[x->before] = true;
    }
    for (int c = 0; c < g->chains_count; c++)
        ends[g->chains[c].kind] += !goes_on[c];
    free(goes_on);
    return 0;
}

int graph_finish(struct plan_graph *g, err *e)
{
    int stages = g->batches[g->batches_count].first, batch = 0;

    free(g->batch_at);
    g->batch_at = malloc(((size_t)stages / STEP + 1) * sizeof *g->batch_at);
    if (!g->batch_at)
        return err_errno(e, "plan");
    for (int i = 0; i * STEP < stages; i++) {
        while (g->batches[batch + 1].first <= i * STEP)
            batch++;
        g->batch_at[i] = batch;
    }
    return 0;
}

/* The new numbers of chains; one of which nothing is left stands for the one that it went on from. */
static void keep_chains(struct plan_graph *g, const int *kept, int *number)
{
    int n = 0;

    for (int c = 0; c < g->chains_count; c++) {
        struct plan_chain *chain = &g->chains[c];
        int before = chain->before < 0 ? -1 : number[chain->before];

        number[c] = kept[c] ? n : before;
        if (!kept[c])
            continue;
        chain->before = before;
        chain->until = (int16_t)(chain->from + kept[c]);
        g->chains[n++] = *chain;
    }
    g->chains_count = n;
}

/* The batches that still have chains; these lie together as before. */
static void keep_batches(struct plan_graph *g, const int *number)
{
    int n = -1, stages = 0, was = -1;

    for (int c = 0; c < g->chains_count; c++) {
        struct plan_chain *chain = &g->chains[c];
        struct plan_batch *batch;

        if (chain->batch != was) {
            was = chain->batch;
            batch = &g->batches[++n];
            *batch = g->batches[was];
            batch->first = stages;
            batch->chains = c;
            for (int kind = 0; kind < STAGE_KIND_COUNT; kind++)
                if (batch->chain_of[kind] >= 0)
                    batch->chain_of[kind] = number[batch->chain_of[kind]];
        }
        chain->batch = n;
        stages += chain->until - chain->from;
    }
    g->batches_count = n + 1;
    g->batches[n + 1] = (struct plan_batch){.first = stages, .chains = g->chains_count};
}

int graph_keep(struct plan_graph *g, const int *kept, err *e)
{
    int *number = malloc(((size_t)g->chains_count + 1) * sizeof *number);

    if (!number)
        return err_errno(e, "plan");
    keep_chains(g, kept, number);
    keep_batches(g, number);
    free(number);
    return graph_finish(g, e);
}

void graph_free(struct plan_graph *g)
{
    for (int i = 0; i < g->orders_count; i++) {
        free(g->orders[i].classes_until);
        free(g->orders[i].prefix);
    }
    free(g->orders);
    free(g->chains);
    free(g->batches);
    free(g->batch_at);
}
