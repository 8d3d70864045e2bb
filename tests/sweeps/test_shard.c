/* tests/sweeps/test_shard.c - shards of a sweep: every trial once, sharing kept, work in equal parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweeps/shard.h"

static const char grid[] = "trial: {dataset: {tasks: 5, sequence: shuffled}}\n"
                           "grid:\n"
                           "  method: [norga, sequential, joint]\n"
                           "  gate.activation: [tanh, sigmoid, gelu]\n"
                           "  prompt.length: [5, 10, 20]\n"
                           "  seed: 0..3\n";

struct planned {
    struct sweep sweep;
    struct plan plan;
};

static int try_plan(const char *yaml, int index, int count, struct planned *p, err *e)
{
    char settings[2][40];
    const char *const overrides[] = {settings[0], settings[1]};

    *p = (struct planned){0};
    snprintf(settings[0], sizeof settings[0], "shard.index=%d", index);
    snprintf(settings[1], sizeof settings[1], "shard.count=%d", count);
    if (!sweep_parse("x.yaml", ".", yaml, strlen(yaml), overrides, 2, &p->sweep, e) &&
        !plan_make(&p->sweep, &sources_none, &p->plan, e))
        plan_keys(&p->plan, e);
    return e->code;
}

static struct planned *plan_of(const char *yaml, int index, int count)
{
    struct planned *p = calloc(1, sizeof *p);
    err e = {0};

    if (try_plan(yaml, index, count, p, &e))
        fail_msg("%s", e.text);
    return p;
}

static void drop(struct planned *p)
{
    plan_free(&p->plan);
    sweep_free(&p->sweep);
    free(p);
}

/* The trial of the whole plan with the same result; -1. */
static int find_trial(const struct plan *whole, const struct digest *key)
{
    for (int t = 0; t < whole->trials_count; t++)
        if (digest_equal(&whole->key[whole->trials[t].stage], key))
            return t;
    return -1;
}

/* A shard's plan must be what planning its trials alone would give. */
static void check_part(const struct plan *whole, const struct plan *part)
{
    int *users = calloc((size_t)part->stages_count, sizeof *users);
    double work = 0;
    err e = {0};

    for (int t = 0; t < part->trials_count; t++) {
        int original = find_trial(whole, &part->key[part->trials[t].stage]), *stages, *originals, count, n;
        char label[500], expected[500];

        assert_true(original >= 0);
        assert_int_equal(part->trials[t].point, whole->trials[original].point);
        plan_trial_label(part, t, label, sizeof label);
        plan_trial_label(whole, original, expected, sizeof expected);
        assert_string_equal(label, expected);
        assert_int_equal(plan_trial_stages(part, t, &stages, &count, &e), 0);
        assert_int_equal(plan_trial_stages(whole, original, &originals, &n, &e), 0);
        assert_int_equal(count, n);
        for (int i = 0; i < n; i++) { /* both in ascending order, which a shard does not change */
            assert_true(digest_equal(&part->key[stages[i]], &whole->key[originals[i]]));
            assert_int_equal(part->kind[stages[i]], whole->kind[originals[i]]);
            assert_int_equal(part->task[stages[i]], whole->task[originals[i]]);
            users[stages[i]]++;
        }
        free(stages);
        free(originals);
    }
    for (int i = 0; i < part->stages_count; i++) {
        assert_true(users[i] > 0);
        assert_int_equal(part->shared_by[i], users[i]);
        assert_in_range(plan_example(part, i), 0, part->trials_count - 1);
        work += part->cost[i];
    }
    assert_true(work > 0 && work >= part->work * (1 - 1e-9) && work <= part->work * (1 + 1e-9));
    free(users);
}

/* Any number of shards: all trials, each once; no shard is much larger than it must be. */
static void test_every_trial_once(void **state)
{
    struct planned *whole = plan_of(grid, 1, 1);
    int trials = whole->plan.trials_count;

    (void)state;
    assert_int_equal(trials, 4 * (9 + 1 + 9)); /* sequential has neither gate nor prompt */
    for (int count = 1; count <= trials; count += count < 6 ? 1 : 15) {
        bool *seen = calloc((size_t)trials, sizeof *seen);
        int all = 0;

        for (int index = 1; index <= count; index++) {
            struct planned *part = plan_of(grid, index, count);

            check_part(&whole->plan, &part->plan);
            assert_true(part->plan.trials_count > 0);
            assert_int_equal(part->plan.varied_count, whole->plan.varied_count);
            for (int t = 0; t < part->plan.trials_count; t++) {
                int original = find_trial(&whole->plan, &part->plan.key[part->plan.trials[t].stage]);

                assert_false(seen[original]);
                seen[original] = true;
                all++;
            }
            drop(part);
        }
        assert_int_equal(all, trials);
        free(seen);
    }
    drop(whole);
}

static int chains(const struct plan *plan, enum stage_kind kind)
{
    int n = 0;

    for (int i = 0; i < plan->stages_count; i++)
        n += plan->kind[i] == (int)kind && plan->task[i] <= 0;
    return n;
}

/* Four seeds in four shards: nothing but the features is computed twice, and all have the same work. */
static void test_sharing_is_kept(void **state)
{
    static const char by_seed[] = "trial: {dataset: {tasks: 5, sequence: shuffled}}\n"
                                  "grid:\n"
                                  "  seed: 0..3\n"
                                  "  gate.activation: [tanh, sigmoid, gelu]\n"
                                  "  tap.lr: [0.005, 0.01]\n";
    struct planned *whole = plan_of(by_seed, 1, 1);
    int *shard = calloc((size_t)whole->plan.trials_count, sizeof *shard), tii = 0, wtp = 0;
    double cost[4];
    err e = {0};

    (void)state;
    assert_int_equal(shard_split(&whole->plan, 4, shard, cost, &e), 0);
    for (int index = 1; index <= 4; index++) {
        struct planned *part = plan_of(by_seed, index, 4);

        assert_int_equal(part->plan.trials_count, 6);
        assert_true(cost[index - 1] > part->plan.work * (1 - 1e-9) && cost[index - 1] < part->plan.work * (1 + 1e-9));
        tii += chains(&part->plan, STAGE_TII);
        wtp += chains(&part->plan, STAGE_WTP);
        drop(part);
    }
    assert_int_equal(tii, chains(&whole->plan, STAGE_TII));
    assert_int_equal(wtp, chains(&whole->plan, STAGE_WTP));
    for (int k = 1; k < 4; k++)
        assert_true(cost[k] > cost[0] * (1 - 1e-9) && cost[k] < cost[0] * (1 + 1e-9));
    free(shard);
    drop(whole);
}

static void test_refused(void **state)
{
    static const struct {
        const char *yaml;
        int index, count;
        const char *says;
    } cases[] = {
        {"grid: {seed: 0..3}\n", 1, 5, "5 shards of 4 trials"},
        {"grid: {seed: 0..3}\n", 3, 2, "shard.index is 3; it must be at most shard.count, which is 2"},
        {"grid: {seed: 0..3}\n", 0, 2, "shard.index is '0'"},
        {"grid: {seed: 0..3}\nearly_stop: {rule: asha}\n", 1, 2, "early_stop.rule compares trials"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct planned *p = calloc(1, sizeof *p);
        err e = {0};

        assert_int_equal(try_plan(cases[i].yaml, cases[i].index, cases[i].count, p, &e), ERR_CONFIG);
        if (!strstr(e.text, cases[i].says))
            fail_msg("'%s' is not in: %s", cases[i].says, e.text);
        drop(p);
    }
}

static void test_names(void **state)
{
    static const char *const bad[] = {"",
                                      "2",
                                      "0/3",
                                      "4/3",
                                      "2/3/4",
                                      "2/",
                                      "/3",
                                      "-1/3",
                                      "+1/3",
                                      " 1/3",
                                      "1/ 3",
                                      "2/3x",
                                      "2/1000000000000",
                                      "a/b",
                                      "99999999/99999999"};
    struct planned *p = plan_of(grid, 2, 3);
    char name[SHARD_NAME];
    int index, count;
    err e = {0};

    (void)state;
    shard_folder(&p->sweep, name);
    assert_string_equal(name, "shard-2-of-3");
    assert_true(shard_folder_read(name, &index, &count));
    assert_true(index == 2 && count == 3);
    assert_false(shard_folder_read("shard-2-of-3.old", &index, &count));
    assert_false(shard_folder_read("shard-4-of-3", &index, &count));
    assert_false(shard_folder_read("log", &index, &count));
    assert_int_equal(shard_parse("12/34", &index, &count, &e), 0);
    assert_true(index == 12 && count == 34);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        e = (err){0};
        if (shard_parse(bad[i], &index, &count, &e) != ERR_USAGE)
            fail_msg("'%s' is taken for a shard", bad[i]);
    }
    drop(p);
    p = plan_of(grid, 1, 1);
    shard_folder(&p->sweep, name);
    assert_string_equal(name, "");
    drop(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_trial_once),
        cmocka_unit_test(test_sharing_is_kept),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
