/* sweeps/shard.c - see shard.h. */
#include "sweeps/shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SHARDS = 100000, HALVINGS = 50 };

/* The stages of all trials, those that most trials share first. */
struct rows {
    const struct plan *plan;
    int **stages; /* (trials) */
    int *count;   /* (trials) */
    int *order;   /* (trials): the trials as they lie in the row */
    int *piece;   /* (stages): the last piece that has it */
};

/* ---- the row ---- */

/* More shared first, then by number: trials that begin alike share what most trials share. */
static int compare_stages(const void *a, const void *b, void *plan)
{
    const int *shared = ((const struct plan *)plan)->shared_by, x = *(const int *)a, y = *(const int *)b;

    return shared[x] != shared[y] ? (shared[x] < shared[y]) - (shared[x] > shared[y]) : (x > y) - (x < y);
}

static int compare_trials(const void *a, const void *b, void *context)
{
    const struct rows *r = context;
    int x = *(const int *)a, y = *(const int *)b, n = r->count[x] < r->count[y] ? r->count[x] : r->count[y];

    for (int i = 0; i < n; i++)
        if (r->stages[x][i] != r->stages[y][i])
            return compare_stages(&r->stages[x][i], &r->stages[y][i], (void *)r->plan);
    return (x > y) - (x < y);
}

static void free_rows(struct rows *r)
{
    for (int t = 0; r->stages && t < r->plan->trials_count; t++)
        free(r->stages[t]);
    free(r->stages);
    free(r->count);
    free(r->order);
    free(r->piece);
}

static int make_rows(struct rows *r, err *e)
{
    const struct plan *p = r->plan;
    size_t n = (size_t)p->trials_count;

    r->stages = calloc(n, sizeof *r->stages);
    r->count = calloc(n, sizeof *r->count);
    r->order = calloc(n, sizeof *r->order);
    r->piece = calloc((size_t)p->stages_count, sizeof *r->piece);
    if (!r->stages || !r->count || !r->order || !r->piece)
        return err_set(e, ERR_NOMEM, "no memory for the shards of %d trials", p->trials_count);
    for (int t = 0; t < p->trials_count; t++) {
        if (plan_trial_stages(p, t, &r->stages[t], &r->count[t], e))
            return e->code;
        qsort_r(r->stages[t], (size_t)r->count[t], sizeof(int), compare_stages, (void *)p);
        r->order[t] = t;
    }
    qsort_r(r->order, n, sizeof(int), compare_trials, r);
    return 0;
}

/* ---- the cuts ---- */

/* What a trial adds to a piece. */
static double added(const struct rows *r, int trial, int piece)
{
    double sum = 0;

    for (int i = 0; i < r->count[trial]; i++)
        if (r->piece[r->stages[trial][i]] != piece)
            sum += r->plan->cost[r->stages[trial][i]];
    return sum;
}

static void take(struct rows *r, int trial, int piece)
{
    for (int i = 0; i < r->count[trial]; i++)
        r->piece[r->stages[trial][i]] = piece;
}

/* Cut before each trial that would make its piece cost more than `most`, and no later than leaves a trial for each of the `count`
 * pieces.  Returns the number of pieces, at most count + 1: then `most` was too little.  shard and cost may be NULL. */
static int cut(struct rows *r, int count, double most, int *shard, double *cost)
{
    int trials = r->plan->trials_count, pieces = 0;
    double sum = 0;

    memset(r->piece, 0, (size_t)r->plan->stages_count * sizeof *r->piece);
    for (int i = 0; i < trials; i++) {
        double more = pieces ? added(r, r->order[i], pieces) : 0;

        if (!pieces || sum + more > most || trials - i <= count - pieces) {
            if (++pieces > count)
                break;
            sum = 0;
            more = added(r, r->order[i], pieces);
        }
        sum += more;
        take(r, r->order[i], pieces);
        if (shard)
            shard[r->order[i]] = pieces;
        if (cost)
            cost[pieces - 1] = sum;
    }
    return pieces;
}

static void find_cuts(struct rows *r, int count, int *shard, double *cost)
{
    double low = 0, high = r->plan->work * (1 + 1e-9);

    for (int i = 0; i < HALVINGS; i++) {
        double middle = low + (high - low) / 2;

        if (cut(r, count, middle, NULL, NULL) > count)
            low = middle;
        else
            high = middle;
    }
    cut(r, count, high, shard, cost);
}

int shard_split(const struct plan *plan, int count, int *shard, double *cost, err *e)
{
    struct rows rows = {.plan = plan};

    if (count > plan->trials_count)
        return err_set(e, ERR_CONFIG, "%d shards of %d trials: there can be at most as many shards as trials", count,
                       plan->trials_count);
    if (plan->sweep->setting[SETTING_EARLY_STOP_RULE].number > 0)
        return err_set(
            e, ERR_CONFIG,
            "early_stop.rule compares trials with each other, and a shard knows only its own: leave the rule "
            "out, or do not split the sweep");
    if (!make_rows(&rows, e))
        find_cuts(&rows, count, shard, cost);
    free_rows(&rows);
    return e->code;
}

/* ---- a part of a plan ---- */

static void keep_trials(struct plan *p, const int *shard, int index)
{
    int n = 0;

    for (int t = 0; t < p->trials_count; t++)
        if (shard[t] == index)
            p->trials[n++] = p->trials[t];
    p->trials_count = n;
}

/* number[i]: how many of the trials need stage i. */
static int count_users(const struct plan *p, int *number, err *e)
{
    for (int t = 0; t < p->trials_count; t++) {
        int *stages, count;

        if (plan_trial_stages(p, t, &stages, &count, e))
            return e->code;
        for (int i = 0; i < count; i++)
            number[stages[i]]++;
        free(stages);
    }
    return 0;
}

/* Close the gaps of stages that nobody needs; users[] becomes the new numbers. */
static int keep_stages(struct plan *p, int *users, err *e)
{
    int n = 0, *kept = calloc((size_t)p->graph.chains_count, sizeof *kept);

    if (!kept)
        return err_errno(e, "plan");
    for (int i = 0; i < p->stages_count; i++) {
        if (!users[i])
            continue;
        kept[graph_chain(&p->graph, i, p->kind[i])]++;
        p->kind[n] = p->kind[i];
        p->task[n] = p->task[i];
        p->cost[n] = p->cost[i];
        p->shared_by[n] = users[i];
        users[i] = n++;
    }
    p->disk *= (double)n / p->stages_count;
    p->stages_count = n;
    graph_keep(&p->graph, kept, e);
    free(kept);
    return e->code;
}

/* A trial that has the last stage of a chain has all of it. */
static int find_examples(struct plan *p, err *e)
{
    for (int t = p->trials_count - 1; t >= 0; t--) {
        int *stages, count;

        if (plan_trial_stages(p, t, &stages, &count, e))
            return e->code;
        for (int i = 0; i < count; i++) {
            struct plan_chain *c = &p->graph.chains[graph_chain(&p->graph, stages[i], p->kind[stages[i]])];
            if (p->task[stages[i]] < 0 || p->task[stages[i]] == c->until - 1)
                c->example = t;
        }
        free(stages);
    }
    return 0;
}

static void count_work(struct plan *p)
{
    p->work = p->work_alone = 0;
    for (int i = 0; i < p->stages_count; i++) {
        p->work += p->cost[i];
        p->work_alone += p->cost[i] * p->shared_by[i];
    }
}

static int keep(struct plan *p, const int *shard, int index, err *e)
{
    int *users = calloc((size_t)p->stages_count, sizeof *users);

    if (!users)
        return err_errno(e, "plan");
    keep_trials(p, shard, index);
    if (!count_users(p, users, e) && !keep_stages(p, users, e)) {
        for (int t = 0; t < p->trials_count; t++)
            p->trials[t].stage = users[p->trials[t].stage];
        if (!find_examples(p, e))
            count_work(p);
    }
    free(users);
    return e->code;
}

int shard_keep(struct plan *p, err *e)
{
    int index = (int)p->sweep->setting[SETTING_SHARD_INDEX].number;
    int count = (int)p->sweep->setting[SETTING_SHARD_COUNT].number;
    double *cost = calloc((size_t)count, sizeof *cost);
    int *shard = calloc((size_t)p->trials_count, sizeof *shard);

    if (!cost || !shard)
        err_errno(e, "plan");
    else if (index > count)
        err_set(e, ERR_CONFIG, "shard.index is %d; it must be at most shard.count, which is %d", index, count);
    else if (count > 1 && !shard_split(p, count, shard, cost, e))
        keep(p, shard, index, e);
    free(cost);
    free(shard);
    return e->code;
}

/* ---- names ---- */

void shard_folder(const struct sweep *sweep, char name[SHARD_NAME])
{
    *name = 0;
    if (sweep->setting[SETTING_SHARD_COUNT].number > 1)
        snprintf(name, SHARD_NAME, "shard-%.0f-of-%.0f", sweep->setting[SETTING_SHARD_INDEX].number,
                 sweep->setting[SETTING_SHARD_COUNT].number);
}

/* `before`, a number, `between`, a number. */
static bool read_pair(const char *text, const char *before, const char *between, int *index, int *count)
{
    const char *const words[2] = {before, between};
    int number[2];

    for (int i = 0; i < 2; i++) {
        size_t n = strlen(words[i]), digits;

        if (strncmp(text, words[i], n))
            return false;
        text += n;
        digits = strspn(text, "0123456789");
        if (!digits || digits > 6)
            return false;
        number[i] = atoi(text);
        text += digits;
    }
    if (*text || number[0] < 1 || number[0] > number[1] || number[1] > MOST_SHARDS)
        return false;
    if (index)
        *index = number[0];
    if (count)
        *count = number[1];
    return true;
}

bool shard_folder_read(const char *name, int *index, int *count)
{
    return read_pair(name, "shard-", "-of-", index, count);
}

int shard_parse(const char *text, int *index, int *count, err *e)
{
    if (!read_pair(text, "", "/", index, count))
        return err_set(e, ERR_USAGE, "'%.40s' is no shard; write K/N, such as 2/3 for the second of three", text);
    return 0;
}
