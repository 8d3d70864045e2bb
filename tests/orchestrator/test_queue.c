/* The scheduler: order, costs, retries, poison stages, bad ranks, and random weather. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "orchestrator/queue.h"

enum { MOST = 200 };

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static int random_below(int n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (int)((random_state >> 20) % (uint64_t)n);
}

struct graph {
    struct queue_plan plan;
    int start[MOST + 1], needs[MOST * 4];
    uint8_t kind[MOST];
    float cost[MOST];
};

static void graph_begin(struct graph *g)
{
    *g = (struct graph){.plan = {.kinds = 3, .attempts = 3}};
    g->plan.needs_start = g->start;
    g->plan.needs = g->needs;
    g->plan.kind = g->kind;
    g->plan.cost = g->cost;
}

static int add(struct graph *g, int kind, double cost, int need) /* need -1: none */
{
    int i = g->plan.stages++;

    g->kind[i] = (uint8_t)kind;
    g->cost[i] = (float)cost;
    g->start[i + 1] = g->start[i];
    if (need >= 0)
        g->needs[g->start[i + 1]++] = need;
    return i;
}

static queue *make(const struct graph *g, int ranks)
{
    queue *q;
    err e = {0};

    assert_int_equal(queue_create(&g->plan, ranks + 1, &q, &e), 0);
    for (int r = 1; r <= ranks; r++)
        queue_rank_joined(q, r);
    return q;
}

static void want_all(queue *q, const struct graph *g)
{
    for (int i = 0; i < g->plan.stages; i++)
        queue_want(q, i);
}

static void test_longest_path_first(void **state)
{
    struct graph g;
    queue *q;

    (void)state;
    graph_begin(&g);
    int lone = add(&g, 0, 5, -1), a = add(&g, 0, 1, -1), b = add(&g, 0, 3, a), c = add(&g, 0, 3, b);

    q = make(&g, 2);
    queue_want(q, lone);
    queue_want(q, c); /* and with it a and b */
    assert_int_equal(queue_count(q, QUEUE_READY), 2);
    assert_int_equal(queue_take(q, 1), a); /* 1 + 3 + 3 before 5 */
    assert_int_equal(queue_take(q, 2), lone);
    assert_int_equal(queue_take(q, 2), -1);
    assert_true(isnan(queue_work_left(q)));
    queue_finished(q, a, 1, 2);
    assert_float_equal(queue_work_left(q), 2 * (5 + 3 + 3), 1e-9); /* twice as slow as planned */
    assert_int_equal(queue_take(q, 1), b);
    queue_finished(q, b, 1, 6);
    assert_int_equal(queue_take(q, 1), c);
    queue_finished(q, lone, 2, 10);
    queue_finished(q, c, 1, 6);
    assert_int_equal(queue_count(q, QUEUE_DONE), 4);
    assert_float_equal(queue_work_left(q), 0, 1e-9);
    queue_free(q);
}

/* Stages of kind 0 must be finished to be worth anything, those of kind 1 save themselves within 4 s of being stopped. */
static void test_only_what_fits_into_the_time_left(void **state)
{
    static const double saves_after[3] = {INFINITY, 4, INFINITY};
    struct graph g;
    queue *q;

    (void)state;
    graph_begin(&g);
    int big = add(&g, 0, 50, -1), small = add(&g, 0, 10, -1), tiny = add(&g, 0, 5, -1), saving = add(&g, 1, 100, -1),
        past = add(&g, 0, 1, -1);

    g.plan.saves_after = saves_after;
    q = make(&g, 2);
    queue_set_done(q, past);
    assert_true(isinf(queue_least(q))); /* nothing is ready */
    queue_want(q, big);
    queue_want(q, small);
    queue_want(q, tiny);
    assert_float_equal(queue_least(q), 0, 0);          /* nothing is known, so nothing is ruled out: */
    assert_int_equal(queue_take_within(q, 1, 1), big); /* it may be quick */
    assert_false(queue_failed(q, big, 1, CAUSE_interrupted));
    queue_learn(q, past, 2); /* an earlier run: twice as slow as planned */
    assert_float_equal(queue_least(q), 10, 1e-9);
    assert_int_equal(queue_take_within(q, 1, 99), small); /* big would need 100 s */
    assert_int_equal(queue_take_within(q, 2, 9.9), -1);
    assert_int_equal(queue_take_within(q, 2, 10), tiny);
    queue_finished(q, tiny, 2, 10);
    queue_want(q, saving);
    assert_float_equal(queue_least(q), 4, 1e-9);
    assert_int_equal(queue_take_within(q, 2, 3.9), -1);
    assert_int_equal(queue_take_within(q, 2, 4.1), saving); /* 200 s, but what it has come to is kept */
    assert_int_equal(queue_take(q, 1), big);                /* without an end everything fits */
    queue_free(q);
}

static void test_what_is_done_is_not_run_again(void **state)
{
    struct graph g;
    queue *q;

    (void)state;
    graph_begin(&g);
    int a = add(&g, 0, 1, -1), b = add(&g, 0, 1, a), unneeded = add(&g, 0, 1, -1);

    q = make(&g, 1);
    queue_set_done(q, a);
    queue_want(q, b);
    assert_int_equal(queue_take(q, 1), b);
    assert_int_equal(queue_state(q, unneeded), QUEUE_UNWANTED);
    queue_undo(q, a); /* its checkpoint was found damaged */
    assert_false(queue_failed(q, b, 1, CAUSE_damaged));
    assert_int_equal(queue_state(q, b), QUEUE_WAITING);
    assert_int_equal(queue_take(q, 1), a);
    queue_finished(q, a, 1, 1);
    assert_int_equal(queue_take(q, 1), b);
    queue_unwant(q, b);
    assert_false(queue_failed(q, b, 1, CAUSE_interrupted));
    assert_int_equal(queue_state(q, b), QUEUE_UNWANTED);
    queue_free(q);
}

static void test_poison_stage_is_set_aside(void **state)
{
    struct graph g;
    queue *q;
    int done = 0, tries = 0;

    (void)state;
    graph_begin(&g);
    int poison = add(&g, 0, 100, -1), after = add(&g, 0, 1, poison);

    for (int i = 0; i < 20; i++)
        add(&g, 0, 1, -1);
    q = make(&g, 2);
    want_all(q, &g);
    for (int round = 0; round < 100; round++) {
        int rank = 1 + round % 2, stage = queue_take(q, rank);

        if (stage == poison) {
            tries++;
            assert_int_equal(queue_failed(q, stage, rank, CAUSE_signal), tries == 3);
        } else if (stage >= 0) {
            queue_finished(q, stage, rank, 1);
            done++;
        }
    }
    assert_int_equal(done, 20);
    assert_int_equal(tries, 3);
    assert_int_equal(queue_state(q, poison), QUEUE_ASIDE);
    assert_int_equal(queue_blocked(q), 1);
    assert_int_equal(queue_state(q, after), QUEUE_WAITING);
    assert_false(queue_rank_benched(q, 1) || queue_rank_benched(q, 2));
    queue_forgive(q, poison);
    assert_int_equal(queue_blocked(q), 0);
    assert_int_equal(queue_take(q, 2), poison);
    queue_free(q);
}

static void test_no_second_try_where_it_makes_no_sense(void **state)
{
    struct graph g;
    queue *q;

    (void)state;
    graph_begin(&g);
    add(&g, 0, 1, -1);
    q = make(&g, 1);
    want_all(q, &g);
    assert_int_equal(queue_take(q, 1), 0);
    for (int i = 0; i < 50; i++) { /* never held against it */
        assert_false(queue_failed(q, 0, 1, CAUSE_interrupted));
        assert_int_equal(queue_take(q, 1), 0);
    }
    assert_true(queue_failed(q, 0, 1, CAUSE_diverged));
    queue_free(q);
}

/* Rank 1 fails whatever it gets.  The others do the work, no stage is set aside. */
static void test_bad_rank_is_benched(void **state)
{
    struct graph g;
    queue *q;
    int given_to_bad = 0;

    (void)state;
    graph_begin(&g);
    for (int i = 0; i < 50; i++)
        add(&g, 0, 1, -1);
    q = make(&g, 3);
    want_all(q, &g);
    for (int round = 0; round < 300; round++) {
        int rank = 1 + round % 3, stage = queue_take(q, rank);

        if (stage < 0)
            continue;
        given_to_bad += rank == 1;
        if (rank == 1)
            assert_false(queue_failed(q, stage, rank, CAUSE_exit));
        else
            queue_finished(q, stage, rank, 1);
    }
    assert_int_equal(queue_count(q, QUEUE_DONE), 50);
    assert_true(queue_rank_benched(q, 1));
    assert_int_equal(given_to_bad, 3);
    queue_free(q);
}

/* Three poison stages meet on rank 1: they are to blame, and rank 1 comes back. */
static void test_suspected_rank_is_cleared(void **state)
{
    struct graph g;
    queue *q;

    (void)state;
    graph_begin(&g);
    for (int i = 0; i < 10; i++)
        add(&g, 0, i < 3 ? 10 : 1, -1);
    q = make(&g, 2);
    want_all(q, &g);
    for (int i = 0; i < 3; i++)
        assert_false(queue_failed(q, queue_take(q, 1), 1, CAUSE_signal));
    assert_true(queue_rank_suspected(q, 1));
    assert_int_equal(queue_take(q, 1), -1);
    assert_int_equal(queue_take(q, 2), 0); /* fails elsewhere too */
    assert_false(queue_failed(q, 0, 2, CAUSE_signal));
    assert_false(queue_rank_suspected(q, 1));
    assert_true(queue_take(q, 1) >= 0);
    queue_free(q);
}

static void test_random_weather(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        struct graph g;
        queue *q;
        int running[5], steps = 0, stages = 1 + random_below(60);

        graph_begin(&g);
        for (int i = 0; i < stages; i++) {
            int at = add(&g, random_below(3), 1 + random_below(9), i ? random_below(i + 1) - 1 : -1);

            if (i > 2 && random_below(2) && g.needs[g.start[at]] != i - 1)
                g.needs[g.start[at + 1]++] = i - 1;
        }
        q = make(&g, 4);
        want_all(q, &g);
        for (int r = 1; r <= 4; r++)
            running[r] = -1;
        while (queue_count(q, QUEUE_DONE) < stages) {
            int r = 1 + random_below(4);

            assert_true(steps++ < 100000);
            assert_int_equal(queue_blocked(q), 0);
            if (running[r] < 0) {
                running[r] = queue_take(q, r);
                for (int j = 0; running[r] >= 0 && j < g.start[running[r] + 1] - g.start[running[r]]; j++)
                    assert_int_equal(queue_state(q, g.needs[g.start[running[r]] + j]), QUEUE_DONE);
            } else if (random_below(3)) {
                queue_finished(q, running[r], r, random_below(20));
                running[r] = -1;
            } else if (random_below(3) == 0) {
                assert_false(queue_failed(q, running[r], r, CAUSE_interrupted));
                running[r] = -1;
                queue_rank_left(q, r);
                queue_rank_joined(q, r);
            } else if (queue_count(q, QUEUE_DONE)) {
                int stage = random_below(stages);

                if (random_below(20) == 0)
                    queue_undo(q, stage);
            }
        }
        queue_free(q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_longest_path_first),
        cmocka_unit_test(test_only_what_fits_into_the_time_left),
        cmocka_unit_test(test_what_is_done_is_not_run_again),
        cmocka_unit_test(test_poison_stage_is_set_aside),
        cmocka_unit_test(test_no_second_try_where_it_makes_no_sense),
        cmocka_unit_test(test_bad_rank_is_benched),
        cmocka_unit_test(test_suspected_rank_is_cleared),
        cmocka_unit_test(test_random_weather),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
