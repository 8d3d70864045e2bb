/* orchestrator/queue.c - see queue.h. */
#include "orchestrator/queue.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SUSPICIOUS = 3, MAX_KINDS = 64 };

/* Failures of one stage; only stages that failed have one. */
struct failures {
    int count, room;
    struct {
        int rank;
        enum cause cause;
    } * list;
};

struct stage {
    enum queue_state state;
    bool blocked;
    bool dropped;    /* leased, and not wanted any more */
    int missing;     /* needs that are not done */
    int heap_at;     /* in the heap of ready stages, -1 */
    double priority; /* expected seconds of the longest path from its start to an end */
    struct failures *failures;
};

struct rank {
    bool present, suspected, benched;
    int streak; /* different stages that failed here in a row */
    int failed[SUSPICIOUS];
};

struct queue {
    struct queue_plan plan;
    struct stage *stages;
    int *after_start, *after; /* who needs a stage: as plan.needs, turned round */
    int *heap, heap_count;    /* ready stages, most urgent first */
    int *stack;               /* scratch for walking the graph */
    int counts[QUEUE_STATES], blocked;
    struct rank *ranks;
    int ranks_count;
    double *measured, *planned; /* (kinds) sums over finished stages */
    double used_factor_sum;     /* when priorities were last computed */
};

/* ------------------------------------------------------------------------------------------------ making one */

static int check_plan(const struct queue_plan *p, err *e)
{
    for (int i = 0; i < p->stages; i++)
        for (int j = p->needs_start[i]; j < p->needs_start[i + 1]; j++)
            if (p->needs[j] < 0 || p->needs[j] >= i)
                return err_set(e, ERR_BUG, "stage %d needs stage %d, which does not come before it", i, p->needs[j]);
    return 0;
}

static void turn_round(queue *q)
{
    const struct queue_plan *p = &q->plan;
    int *at = q->stack;

    for (int j = 0; j < p->needs_start[p->stages]; j++)
        q->after_start[p->needs[j] + 1]++;
    for (int i = 0; i < p->stages; i++) {
        q->after_start[i + 1] += q->after_start[i];
        at[i] = q->after_start[i];
    }
    for (int i = 0; i < p->stages; i++)
        for (int j = p->needs_start[i]; j < p->needs_start[i + 1]; j++)
            q->after[at[p->needs[j]]++] = i;
}

int queue_create(const struct queue_plan *plan, int ranks, queue **out, err *e)
{
    size_t n = (size_t)plan->stages + 1, edges = (size_t)plan->needs_start[plan->stages] + 1;
    queue *q = calloc(1, sizeof *q);

    *out = NULL;
    if (plan->kinds > MAX_KINDS)
        err_set(e, ERR_BUG, "%d kinds of stages; the limit is %d", plan->kinds, MAX_KINDS);
    if (e->code || check_plan(plan, e)) {
        free(q);
        return e->code;
    }
    if (!q || !(q->stages = calloc(n, sizeof *q->stages)) || !(q->after_start = calloc(n + 1, sizeof(int))) ||
        !(q->after = calloc(edges, sizeof(int))) || !(q->heap = calloc(n, sizeof(int))) ||
        !(q->stack = calloc(n, sizeof(int))) || !(q->ranks = calloc((size_t)ranks + 1, sizeof *q->ranks)) ||
        !(q->measured = calloc((size_t)plan->kinds + 1, sizeof(double))) ||
        !(q->planned = calloc((size_t)plan->kinds + 1, sizeof(double)))) {
        queue_free(q);
        return err_set(e, ERR_NOMEM, "no memory for a queue of %d stages", plan->stages);
    }
    q->plan = *plan;
    q->ranks_count = ranks;
    turn_round(q);
    for (int i = 0; i < plan->stages; i++) {
        q->stages[i].missing = plan->needs_start[i + 1] - plan->needs_start[i];
        q->stages[i].heap_at = -1;
    }
    q->counts[QUEUE_UNWANTED] = plan->stages;
    *out = q;
    return 0;
}

static void drop_failures(struct stage *s)
{
    if (s->failures)
        free(s->failures->list);
    free(s->failures);
    s->failures = NULL;
}

void queue_free(queue *q)
{
    if (!q)
        return;
    for (int i = 0; q->stages && i < q->plan.stages; i++)
        drop_failures(&q->stages[i]);
    free(q->stages);
    free(q->after_start);
    free(q->after);
    free(q->heap);
    free(q->stack);
    free(q->ranks);
    free(q->measured);
    free(q->planned);
    free(q);
}

/* ------------------------------------------------------------------------------------------------ the heap of ready
 * stages */

static bool more_urgent(const queue *q, int a, int b)
{
    double pa = q->stages[a].priority, pb = q->stages[b].priority;

    return pa > pb || (pa == pb && a < b);
}

static void heap_place(queue *q, int at, int stage)
{
    q->heap[at] = stage;
    q->stages[stage].heap_at = at;
}

static void heap_up(queue *q, int at)
{
    int stage = q->heap[at];

    while (at && more_urgent(q, stage, q->heap[(at - 1) / 2])) {
        heap_place(q, at, q->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_place(q, at, stage);
}

static void heap_down(queue *q, int at)
{
    int stage = q->heap[at];

    for (int child; (child = 2 * at + 1) < q->heap_count; at = child) {
        if (child + 1 < q->heap_count && more_urgent(q, q->heap[child + 1], q->heap[child]))
            child++;
        if (!more_urgent(q, q->heap[child], stage))
            break;
        heap_place(q, at, q->heap[child]);
    }
    heap_place(q, at, stage);
}

static void heap_add(queue *q, int stage)
{
    heap_place(q, q->heap_count++, stage);
    heap_up(q, q->heap_count - 1);
}

static void heap_remove(queue *q, int stage)
{
    int at = q->stages[stage].heap_at, last = q->heap[--q->heap_count];

    q->stages[stage].heap_at = -1;
    if (last == stage)
        return;
    heap_place(q, at, last);
    heap_up(q, at);
    heap_down(q, q->stages[last].heap_at);
}

/* ------------------------------------------------------------------------------------------------ states */

static void set_state(queue *q, int stage, enum queue_state state)
{
    struct stage *s = &q->stages[stage];

    if (s->state == QUEUE_READY)
        heap_remove(q, stage);
    q->counts[s->state]--;
    s->state = state;
    q->counts[state]++;
    if (state == QUEUE_READY)
        heap_add(q, stage);
}

/* Waiting or ready, as its needs say. */
static void set_runnable(queue *q, int stage)
{
    set_state(q, stage, q->stages[stage].missing ? QUEUE_WAITING : QUEUE_READY);
}

static bool is_open(const queue *q, int stage) /* wanted and not done */
{
    enum queue_state s = q->stages[stage].state;

    return s == QUEUE_WAITING || s == QUEUE_READY || s == QUEUE_LEASED;
}

/* A stage is blocked if it is open and needs something that was set aside or is blocked. */
static void find_blocked(queue *q)
{
    const struct queue_plan *p = &q->plan;

    q->blocked = 0;
    for (int i = 0; i < p->stages; i++) {
        struct stage *s = &q->stages[i];

        s->blocked = false;
        for (int j = p->needs_start[i]; j < p->needs_start[i + 1] && is_open(q, i); j++) {
            const struct stage *need = &q->stages[p->needs[j]];

            s->blocked |= need->state == QUEUE_ASIDE || need->blocked;
        }
        q->blocked += s->blocked;
    }
}

static void count_for_dependents(queue *q, int stage, int change)
{
    for (int j = q->after_start[stage]; j < q->after_start[stage + 1]; j++) {
        struct stage *d = &q->stages[q->after[j]];

        d->missing += change;
        if (d->state == QUEUE_WAITING || d->state == QUEUE_READY)
            set_runnable(q, q->after[j]);
    }
}

void queue_set_done(queue *q, int stage)
{
    if (q->stages[stage].state == QUEUE_DONE)
        return;
    set_state(q, stage, QUEUE_DONE);
    drop_failures(&q->stages[stage]);
    count_for_dependents(q, stage, -1);
}

void queue_set_aside(queue *q, int stage)
{
    set_state(q, stage, QUEUE_ASIDE);
}

void queue_want(queue *q, int stage)
{
    const struct queue_plan *p = &q->plan;
    int depth = 0;

    if (q->stages[stage].state != QUEUE_UNWANTED)
        return;
    q->stack[depth++] = stage;
    set_runnable(q, stage);
    while (depth) {
        int i = q->stack[--depth];

        for (int j = p->needs_start[i]; j < p->needs_start[i + 1]; j++)
            if (q->stages[p->needs[j]].state == QUEUE_UNWANTED) {
                set_runnable(q, p->needs[j]);
                q->stack[depth++] = p->needs[j];
            }
    }
    q->used_factor_sum = -1; /* priorities are stale */
}

enum queue_state queue_state(const queue *q, int stage)
{
    return q->stages[stage].state;
}

int queue_count(const queue *q, enum queue_state state)
{
    return q->counts[state];
}

int queue_blocked(const queue *q)
{
    return q->blocked;
}

void queue_undo(queue *q, int stage)
{
    if (q->stages[stage].state != QUEUE_DONE)
        return;
    set_state(q, stage, QUEUE_UNWANTED);
    count_for_dependents(q, stage, +1);
    queue_want(q, stage);
    find_blocked(q);
}

void queue_unwant(queue *q, int stage)
{
    struct stage *s = &q->stages[stage];

    s->dropped = s->state == QUEUE_LEASED;
    if (s->state != QUEUE_WAITING && s->state != QUEUE_READY)
        return;
    q->blocked -= s->blocked; /* what needs it is not wanted either */
    s->blocked = false;
    set_state(q, stage, QUEUE_UNWANTED);
}

void queue_forgive(queue *q, int stage)
{
    if (q->stages[stage].state != QUEUE_ASIDE)
        return;
    drop_failures(&q->stages[stage]);
    set_runnable(q, stage);
    find_blocked(q);
}

/* ------------------------------------------------------------------------------------------------ costs */

/* Measured over planned seconds of a kind; of all kinds where this one is new; NaN where all are. */
static double factor(const queue *q, int kind)
{
    double measured = 0, planned = 0;

    if (q->planned[kind] > 0)
        return q->measured[kind] / q->planned[kind];
    for (int k = 0; k < q->plan.kinds; k++) {
        measured += q->measured[k];
        planned += q->planned[k];
    }
    return planned > 0 ? measured / planned : NAN;
}

static double factor_sum(const queue *q)
{
    double sum = 0;

    for (int k = 0; k < q->plan.kinds; k++) {
        double f = factor(q, k);

        sum += isnan(f) ? 1 : f;
    }
    return sum;
}

void queue_learn(queue *q, int stage, double seconds)
{
    if (!(seconds >= 0 && q->plan.cost[stage] > 0))
        return;
    q->measured[q->plan.kind[stage]] += seconds;
    q->planned[q->plan.kind[stage]] += q->plan.cost[stage];
}

double queue_expected(const queue *q, int stage)
{
    return q->plan.cost[stage] * factor(q, q->plan.kind[stage]);
}

static void compute_priorities(queue *q)
{
    double learned[MAX_KINDS];

    for (int k = 0; k < q->plan.kinds; k++) {
        learned[k] = factor(q, k);
        if (isnan(learned[k]))
            learned[k] = 1;
    }
    for (int i = q->plan.stages - 1; i >= 0; i--) {
        double longest = 0;

        for (int j = q->after_start[i]; j < q->after_start[i + 1]; j++)
            if (is_open(q, q->after[j]))
                longest = fmax(longest, q->stages[q->after[j]].priority);
        q->stages[i].priority = longest + q->plan.cost[i] * learned[q->plan.kind[i]];
    }
    for (int at = q->heap_count / 2; at >= 0 && q->heap_count; at--)
        heap_down(q, at);
    q->used_factor_sum = factor_sum(q);
}

/* Costs learned since have changed the order enough to matter. */
static bool priorities_stale(const queue *q)
{
    double sum = factor_sum(q);

    return q->used_factor_sum < 0 || fabs(sum - q->used_factor_sum) > 0.2 * q->used_factor_sum;
}

double queue_work_left(const queue *q)
{
    double *by_kind = calloc((size_t)q->plan.kinds + 1, sizeof *by_kind), sum = 0;

    for (int i = 0; by_kind && i < q->plan.stages; i++)
        if (is_open(q, i) && !q->stages[i].blocked)
            by_kind[q->plan.kind[i]] += q->plan.cost[i];
    for (int k = 0; by_kind && k < q->plan.kinds; k++)
        if (by_kind[k] > 0)
            sum += by_kind[k] * factor(q, k);
    free(by_kind);
    return sum;
}

double queue_path_left(const queue *q)
{
    double longest = 0;

    for (int i = 0; i < q->plan.stages; i++)
        if (is_open(q, i) && !q->stages[i].blocked)
            longest = fmax(longest, q->stages[i].priority);
    return isnan(factor(q, 0)) ? NAN : longest;
}

/* ------------------------------------------------------------------------------------------------ ranks and faults */

void queue_rank_joined(queue *q, int rank)
{
    q->ranks[rank] = (struct rank){.present = true};
}

void queue_rank_left(queue *q, int rank)
{
    q->ranks[rank].present = false;
}

bool queue_rank_benched(const queue *q, int rank)
{
    return q->ranks[rank].benched;
}

bool queue_rank_suspected(const queue *q, int rank)
{
    return q->ranks[rank].suspected;
}

static bool failed_on(const struct stage *s, int rank)
{
    for (int i = 0; s->failures && i < s->failures->count; i++)
        if (s->failures->list[i].rank == rank)
            return true;
    return false;
}

static bool trusted(const struct rank *r)
{
    return r->present && !r->benched && !r->suspected;
}

/* Is there a trusted rank, other than this one, on which the stage has not failed?  stage -1: any stage. */
static bool better_rank(const queue *q, int stage, int than)
{
    for (int r = 0; r < q->ranks_count; r++)
        if (r != than && trusted(&q->ranks[r]) && (stage < 0 || !failed_on(&q->stages[stage], r)))
            return true;
    return false;
}

static bool remember(struct stage *s, int rank, enum cause cause)
{
    if (!s->failures && !(s->failures = calloc(1, sizeof *s->failures)))
        return false;
    if (s->failures->count == s->failures->room) {
        int room = 2 * s->failures->room + 4;
        void *more = realloc(s->failures->list, (size_t)room * sizeof *s->failures->list);

        if (!more)
            return false;
        s->failures->list = more;
        s->failures->room = room;
    }
    s->failures->list[s->failures->count].rank = rank;
    s->failures->list[s->failures->count++].cause = cause;
    return true;
}

static bool budget_spent(const queue *q, const struct stage *s, enum cause cause)
{
    int same = 0, together = 0;

    for (int i = 0; i < s->failures->count; i++)
        if (!q->ranks[s->failures->list[i].rank].benched) {
            same += s->failures->list[i].cause == cause;
            together += cause_counts(s->failures->list[i].cause);
        }
    return same >= cause_budget(cause, q->plan.attempts) || together >= q->plan.attempts;
}

static void suspect(struct rank *r, int stage)
{
    for (int i = 0; i < r->streak; i++)
        if (r->failed[i] == stage)
            return;
    if (r->streak < SUSPICIOUS)
        r->failed[r->streak++] = stage;
    r->suspected = r->streak == SUSPICIOUS;
}

static void clear_of(struct rank *r, int stage)
{
    for (int i = 0; i < r->streak; i++)
        if (r->failed[i] == stage) {
            r->failed[i] = r->failed[--r->streak];
            r->suspected = false;
        }
}

/* What a stage's end on `rank` says about the other ranks that it failed on. */
static void judge_others(queue *q, int stage, int rank, bool success)
{
    const struct failures *f = q->stages[stage].failures;

    for (int i = 0; f && i < f->count; i++) {
        struct rank *other = &q->ranks[f->list[i].rank];

        if (f->list[i].rank == rank)
            continue;
        if (success && other->suspected)
            other->benched = true;
        else if (!success)
            clear_of(other, stage);
    }
}

/* ------------------------------------------------------------------------------------------------ leases */

/* Expected seconds to the stage's next checkpoint; 0 if unknown. */
static double time_to_checkpoint(const queue *q, int stage)
{
    double expected = queue_expected(q, stage), saves = INFINITY;

    if (q->plan.saves_after)
        saves = q->plan.saves_after[q->plan.kind[stage]];
    return isnan(expected) ? 0 : fmin(expected, saves);
}

double queue_least(const queue *q)
{
    double least = INFINITY;

    for (int at = 0; at < q->heap_count; at++)
        least = fmin(least, time_to_checkpoint(q, q->heap[at]));
    return least;
}

static bool for_another_rank(const queue *q, int stage, int rank)
{
    return q->stages[stage].failures && failed_on(&q->stages[stage], rank) && better_rank(q, stage, rank);
}

/* The most urgent ready stage that reaches a checkpoint in time; -1.  Looks at them all. */
static int find_short(const queue *q, int rank, double seconds)
{
    int found = -1;

    for (int at = 0; at < q->heap_count; at++)
        if (time_to_checkpoint(q, q->heap[at]) <= seconds && !for_another_rank(q, q->heap[at], rank) &&
            (found < 0 || more_urgent(q, q->heap[at], found)))
            found = q->heap[at];
    return found;
}

int queue_take(queue *q, int rank)
{
    return queue_take_within(q, rank, INFINITY);
}

int queue_take_within(queue *q, int rank, double seconds)
{
    const struct rank *r = &q->ranks[rank];
    int kept = 0, found = -1;

    if (!r->present || r->benched || (r->suspected && better_rank(q, -1, rank)))
        return -1;
    if (priorities_stale(q))
        compute_priorities(q);
    while (q->heap_count && found < 0) { /* stages that some other rank should try are put back below */
        int stage = q->heap[0];

        if (for_another_rank(q, stage, rank)) {
            heap_remove(q, stage);
            q->stack[kept++] = stage;
        } else {
            found = stage;
        }
    }
    while (kept)
        heap_add(q, q->stack[--kept]);
    if (found >= 0 && time_to_checkpoint(q, found) > seconds)
        found = find_short(q, rank, seconds);
    if (found >= 0)
        set_state(q, found, QUEUE_LEASED);
    return found;
}

void queue_finished(queue *q, int stage, int rank, double seconds)
{
    if (q->stages[stage].state == QUEUE_DONE)
        return;
    queue_learn(q, stage, seconds);
    q->ranks[rank].streak = 0;
    q->ranks[rank].suspected = false;
    judge_others(q, stage, rank, true);
    queue_set_done(q, stage);
}

bool queue_failed(queue *q, int stage, int rank, enum cause cause)
{
    struct stage *s = &q->stages[stage];

    if (s->state != QUEUE_LEASED)
        return false;
    if (s->dropped) {
        s->dropped = false;
        set_state(q, stage, QUEUE_UNWANTED);
        return false;
    }
    judge_others(q, stage, rank, false);
    if (cause_blames_rank(cause))
        suspect(&q->ranks[rank], stage);
    if (cause_budget(cause, q->plan.attempts) != cause_budget(CAUSE_none, q->plan.attempts) &&
        (!remember(s, rank, cause) || budget_spent(q, s, cause))) {
        set_state(q, stage, QUEUE_ASIDE);
        find_blocked(q);
        return true;
    }
    set_runnable(q, stage);
    return false;
}
