/* Facts as they are written and as they are read back; nonsense is refused without an effect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/history.h"

static const char rows[] = "{\"accuracy\":[{\"after_task\":0,\"task\":0,\"phase\":\"after\",\"accuracy\":81.5,\"loss\":"
                           "0.5,\"images\":10}],\"training\":[]}";

static struct digest key(int i)
{
    return (struct digest){{(unsigned char)i, 1, 2, 3}};
}

static struct attempt attempt(int stage, int number)
{
    return (struct attempt){.stage = key(stage),
                            .kind = STAGE_WTP,
                            .task = 2,
                            .number = number,
                            .rank = 3,
                            .threads = 2,
                            .host = "node\xff",
                            .started = 1000,
                            .seconds = 4};
}

static int take(struct history *h, enum fact type, char *payload)
{
    err e = {0};

    assert_non_null(payload);
    history_apply(h, type, payload, strlen(payload), &e);
    free(payload);
    return (int)e.code;
}

static void test_the_life_of_a_stage(void **state)
{
    struct history h = {0};
    const struct attempt first = attempt(1, 1), second = attempt(1, 2);
    const struct digest checkpoint = key(9), stage = key(1), trial = key(7);
    const struct history_stage *s;

    (void)state;
    assert_int_equal(take(&h, FACT_BEGUN, fact_begun("here", 12, 2, "1.0", 999, NULL, 0)), 0);
    assert_int_equal(take(&h, FACT_FAILED, fact_failed(&first, CAUSE_hang, "no sign \x80 of life")), 0);
    assert_int_equal(take(&h, FACT_ASIDE, fact_aside(&stage, CAUSE_hang, "no sign")), 0);
    s = history_find(&h, &stage);
    assert_true(s && s->aside && !s->finished && s->attempts == 1 && s->cause == CAUSE_hang);
    assert_int_equal(take(&h, FACT_FORGIVEN, fact_forgiven(&stage)), 0);
    assert_int_equal(take(&h, FACT_DONE, fact_done(&second, &checkpoint, 77, 3.5, rows)), 0);
    s = history_find(&h, &stage);
    assert_true(s->finished && !s->aside && s->attempts == 2 && s->parameters == 77 && s->rank == 3 && s->threads == 2);
    assert_true(s->kind == STAGE_WTP && s->task == 2 && s->order == 1 && s->seconds == 4);
    assert_true(digest_equal(&s->checkpoint, &checkpoint));
    assert_int_equal(s->accuracy_count, 1);
    assert_true(s->accuracy[0].accuracy == 81.5 && isnan(s->accuracy[0].tii_accuracy));
    assert_int_equal(h.doubles, 0);
    assert_int_equal(take(&h, FACT_DONE, fact_done(&second, &checkpoint, 77, 3.5, rows)), 0);
    assert_int_equal(h.doubles, 1); /* seen, and without an effect */
    assert_int_equal(take(&h, FACT_FORGOTTEN, fact_forgotten(&stage, "its file is gone")), 0);
    assert_false(history_find(&h, &stage)->finished);
    assert_int_equal(take(&h, FACT_PRUNED, fact_pruned(&trial, 4, "place 9 of 9")), 0);
    assert_int_equal(history_find_pruned(&h, &trial)->after_task, 4);
    assert_int_equal(take(&h, FACT_ENDED, fact_ended("finished", 2000, &(struct run_figures){.stages = 1, .cpu = 0.5})),
                     0);
    assert_true(h.begun == 999 && h.ended == 2000);
    assert_int_equal(h.attempts_count, 3);
    assert_string_equal(h.attempts[0].outcome, "failed");
    assert_string_equal(h.attempts[0].cause, "hang: no sign ? of life");
    assert_string_equal(h.attempts[1].outcome, "done");
    assert_string_equal(h.hosts, "here,node?");
    history_free(&h);
}

static void test_many_stages_are_found(void **state)
{
    struct history h = {0};

    (void)state;
    for (int i = 0; i < 5000; i++) {
        struct attempt a = attempt(0, 1);

        memcpy(a.stage.bytes, &i, sizeof i);
        assert_int_equal(take(&h, FACT_FAILED, fact_failed(&a, CAUSE_signal, "")), 0);
    }
    for (int i = 0; i < 5001; i++) {
        struct digest d = key(0);

        memcpy(d.bytes, &i, sizeof i);
        assert_int_equal(history_find(&h, &d) != NULL, i < 5000);
    }
    history_free(&h);
}

/* Taken in as rank 0 hears it, or as the ledger tells it: the same state, to the last bit of every time. */
static void test_both_ways_in_are_one(void **state)
{
    const struct digest checkpoint = key(9);
    struct history heard = {0}, read = {0};

    (void)state;
    for (int i = 0; i < 2000; i++) {
        struct attempt a = attempt(i % 250, i / 250);
        err e = {0};

        a.started = 1795333456 + 7.123456789 * i;
        a.seconds = i % 7 == 0 ? NAN : pow(1.02, i - 1000) * (i % 11 ? 1 : -1);
        assert_int_equal(take(&read, FACT_DONE, fact_done(&a, &checkpoint, INT64_MIN + i, INFINITY, rows)), 0);
        assert_int_equal(history_done(&heard, &a, &checkpoint, INT64_MIN + i, rows, &e), 0);
    }
    assert_int_equal(read.stages_count, heard.stages_count);
    assert_int_equal(read.attempts_count, heard.attempts_count);
    assert_int_equal(read.doubles, heard.doubles);
    assert_string_equal(read.hosts, heard.hosts);
    assert_true(read.begun == heard.begun && read.ended == heard.ended);
    assert_memory_equal(read.attempts, heard.attempts, (size_t)read.attempts_count * sizeof *read.attempts);
    for (int i = 0; i < read.stages_count; i++) {
        struct history_stage a = read.stages[i], b = heard.stages[i];

        assert_memory_equal(a.accuracy, b.accuracy, sizeof *a.accuracy);
        a.accuracy = b.accuracy = NULL;
        assert_memory_equal(&a, &b, sizeof a);
    }
    history_free(&heard);
    history_free(&read);
}

/* Each byte of a good record changed in turn: it is taken or refused, and never half taken. */
static void test_nonsense(void **state)
{
    const struct attempt a = attempt(1, 1);
    const struct digest checkpoint = key(9);
    char *good = fact_done(&a, &checkpoint, 77, 3.5, rows);
    size_t n = strlen(good);
    int refused = 0;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        struct history h = {0};
        char *bad = strdup(good);
        err e = {0};

        bad[i] ^= 0x11;
        refused += history_apply(&h, FACT_DONE, bad, n, &e) == ERR_DAMAGED;
        assert_true(e.code == 0 || e.code == ERR_DAMAGED);
        assert_int_equal(h.attempts_count, e.code ? 0 : 1);
        history_free(&h);
        free(bad);
    }
    assert_true(refused > (int)n / 2);
    free(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_life_of_a_stage),
        cmocka_unit_test(test_many_stages_are_found),
        cmocka_unit_test(test_both_ways_in_are_one),
        cmocka_unit_test(test_nonsense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
