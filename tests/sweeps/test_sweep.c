/* tests/sweeps/test_sweep.c - what a sweep file means: the trials it spells out, and in which order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sweeps/sweep.h"

enum { TEXT = 20000 };

/* Every point as the values of some options: "tanh 5|gelu 10|-": "-" for an excluded one. */
static void spell(const struct sweep *s, const char *keys, char text[TEXT])
{
    size_t used = 0;

    text[0] = 0;
    for (int64_t i = 0; i < sweep_points(s); i++) {
        struct trial_config config;
        char copy[200], *rest = copy, *key;
        bool kept = sweep_point(s, i, &config);
        used += (size_t)snprintf(text + used, TEXT - used, "%s%s", i ? "|" : "", kept ? "" : "-");
        snprintf(copy, sizeof copy, "%s", keys);
        for (bool first = true; kept && (key = strsep(&rest, " ")); first = false) {
            enum option_id id = option_by_key(key);
            used += (size_t)snprintf(text + used, TEXT - used, "%s%s", first ? "" : " ",
                                     option_format(id, config.value[id]));
        }
    }
}

static void test_meaning(void **state)
{
    static const struct {
        const char *yaml, *keys, *arguments[4], *points;
    } rows[] = {
        {"{}", "method seed prompt.length", {0}, "norga 0 5"},
        {"trial: {prompt: {length: 7}, seed: 3}", "prompt.length seed seeds.order", {0}, "7 3 3"},
        {"trial: {seed: 3, seeds.order: 4}", "seeds.order seeds.init", {0}, "4 3"},
        {"grid: {seed: 0..1, prompt.length: [5, 10]}", "seed prompt.length", {0}, "0 5|0 10|1 5|1 10"},
        {"grid: {prompt: {length: [5, 10]}, seed: 4}", "seed prompt.length", {0}, "4 5|4 10"},
        {"grid: {seed: [0, 1], seeds.data: [seed, 7]}", "seeds.data", {0}, "0|7|1|7"},
        {"zip: [{train.lr: [1e-3, 5e-4], train.epochs: [5, 10]}]\ngrid: {seed: [0, 1]}",
         "seed train.lr train.epochs",
         {0},
         "0 0.001 5|0 0.0005 10|1 0.001 5|1 0.0005 10"},
        {"zip: {seed: 0..2, train.epochs: 5..7}", "seed train.epochs", {0}, "0 5|1 6|2 7"},
        {"include: [{seed: 5}, {method: joint}]", "method seed", {0}, "norga 0|norga 5|joint 0"},
        {"grid: {seed: 0..3}\nexclude: [{seed: [1, 2]}]\ninclude: [{seed: 1}]", "seed", {0}, "0|-|-|3|1"},
        {"grid: {seed: 0..1, prompt.length: [5, 6]}\nexclude: [{seed: 1, prompt.length: 6}]",
         "seed prompt.length",
         {0},
         "0 5|0 6|1 5|-"},
        {"grid: {method: [hide, norga]}\nwhen: [{if: {method: hide}, set: {gate.activation: none, seed: 9}}]",
         "method gate.activation seeds.init",
         {0},
         "hide none 9|norga tanh 0"},
        {"grid: {seed: 0..2}\nwhen: [{if: {seed: 0..1}, set: {prompt.length: 8}}, {if: {prompt.length: 8, seed: 1}, "
         "set: {seed: 4}}]\n"
         "exclude: [{seed: 0}]",
         "seed prompt.length",
         {0},
         "-|4 8|2 5"}, /* in order, before exclude */
        {"grid: {prompt.layers: [0-4, [0, 2, 3], \"5,1\"]}", "prompt.layers", {0}, "0-4|0,2-3|1,5"},
        {"trial: {prompt.layers: [1, 2, 3]}", "prompt.layers", {0}, "1-3"},
        {"trial: {dataset: {sequence: [[0, 1], [2, 3]]}}", "dataset.sequence", {0}, "[[0,1],[2,3]]"},
        {"grid: {dataset.sequence: [natural, [[0], [1]], rotation:2]}",
         "dataset.sequence",
         {0},
         "natural|[[0],[1]]|rotation:2"},
        {"trial: &t {seed: 3}\ngrid: {prompt.length: [5]}\ninclude: [{<<: *t, prompt.length: 9}]",
         "seed prompt.length",
         {0},
         "3 5|3 9"},
        {"x-common: &c {seed: 3, prompt: {length: 7}}\ntrial: {<<: *c, seed: 4}", "seed prompt.length", {0}, "4 7"},
        /* the command line */
        {"trial: {seed: 3}", "seed", {"seed=5"}, "5"},
        {"grid: {seed: 0..3, prompt.length: [5, 6]}", "seed prompt.length", {"seed=7"}, "7 5|7 6"},
        {"grid: {seed: 0..3, prompt.length: [5, 6]}", "seed prompt.length", {"prompt.length=7,8", "seed=1"}, "1 7|1 8"},
        {"grid: {seed: 0..3, prompt.length: [5, 6]}", "seed prompt.length", {"seed=8,9", "prompt.length=7"}, "8 7|9 7"},
        {"{}", "seed", {"seed=2..4"}, "2|3|4"},
        {"{}", "train.lr", {"train.lr=1e-3"}, "0.001"},
        {"{}", "prompt.layers", {"prompt.layers=0-2"}, "0-2"},
        {"{}", "prompt.layers", {"prompt.layers=\"0-2,5\""}, "0-2,5"},
        {"{}", "dataset.sequence", {"dataset.sequence=[[0, 1], [2]]"}, "[[0,1],[2]]"},
        {"grid: {seed: 0..3}", "seed", {"seed=1", "seed=2"}, "2"},
    };
    char text[TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sweep s;
        int n = 0;
        err e = {0};
        while (n < 4 && rows[i].arguments[n])
            n++;
        if (sweep_parse("x.yaml", ".", rows[i].yaml, strlen(rows[i].yaml), rows[i].arguments, n, &s, &e))
            fail_msg("%s: %s", rows[i].yaml, e.text);
        spell(&s, rows[i].keys, text);
        if (strcmp(text, rows[i].points))
            fail_msg("%s\ngives: %s\ninstead of: %s", rows[i].yaml, text, rows[i].points);
        sweep_free(&s);
    }
}

static void test_bad_arguments(void **state)
{
    static const char yaml[] = "zip: [{train.lr: [1, 2], train.epochs: [3, 4]}]\n";
    static const struct {
        const char *argument, *problem;
    } rows[] = {
        {"seed", "argument 'seed': must be KEY=VALUE"},
        {"=5", "argument '=5': must be KEY=VALUE"},
        {"sed=5", "argument 'sed=5': there is no option 'sed'; did you mean 'seed'?"},
        {"seed=x", "argument 'seed=x': seed is 'x'; it must be an integer from 0 to 4294967295"},
        {"seed=1,x", "argument 'seed=1,x': seed is 'x'; it must be an integer from 0 to 4294967295"},
        {"seed=", "argument 'seed=': has no value"},
        {"seed=[1", "argument 'seed=[1': cannot be read: did not find expected ',' or ']' while parsing a flow "
                    "sequence (from line 1)"},
        {"train.lr=5", "argument 'train.lr=5': train.lr is walked by a zip (x.yaml:1); change it there"},
        {"retry.attempts=0", "argument 'retry.attempts=0': retry.attempts is '0'; it must be an integer from 1 to 100"},
        {"retry.attempt=1",
         "argument 'retry.attempt=1': there is no key 'retry.attempt'; did you mean 'retry.attempts'?"},
        {"gate.activation=tan,gelu", "argument 'gate.activation=tan,gelu': gate.activation is 'tan'; it must be one of "
                                     "none|tanh|sigmoid|relu|gelu|softplus|elu (did you mean 'tanh'?)"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sweep s;
        err e = {0};
        assert_int_equal(sweep_parse("x.yaml", ".", yaml, strlen(yaml), &rows[i].argument, 1, &s, &e), ERR_CONFIG);
        assert_string_equal(e.text, rows[i].problem);
        sweep_free(&s);
    }
}

static void test_settings(void **state)
{
    static const char yaml[] =
        "name: n-1\nmetric: {name: ffm, goal: minimize}\nresources: {time_limit: 1-12:30:05, memory_gb: 2.5}\n"
        "slurm: {time: 90m, partition: cpu, setup: [module load x]}\nretry: {attempts: 5}\n";
    static const char *const arguments[] = {"slurm.account=my, lab", "retry.attempts=7"};
    struct sweep s;
    err e = {0};

    (void)state;
    assert_int_equal(sweep_parse("folder/x.yaml", ".", yaml, strlen(yaml), arguments, 2, &s, &e), 0);
    assert_string_equal(s.setting[SETTING_NAME].text, "n-1");
    assert_string_equal(s.setting[SETTING_METRIC_NAME].text, "ffm");
    assert_true(s.setting[SETTING_METRIC_GOAL].number == 1);
    assert_true(s.setting[SETTING_RESOURCES_TIME_LIMIT].number == 36 * 3600 + 30 * 60 + 5);
    assert_true(s.setting[SETTING_RESOURCES_MEMORY_GB].number == 2.5);
    assert_true(s.setting[SETTING_RESOURCES_THREADS_PER_RANK].number == 0);
    assert_true(s.setting[SETTING_SLURM_TIME].number == 5400);
    assert_true(s.setting[SETTING_RETRY_ATTEMPTS].number == 7);
    assert_string_equal(s.setting[SETTING_SLURM_ACCOUNT].text, "my, lab");
    assert_string_equal(s.setup[0], "module load x");
    sweep_free(&s);

    assert_int_equal(sweep_parse("folder/my sweep.yaml", ".", "{}", 2, NULL, 0, &s, &e), 0);
    assert_string_equal(s.setting[SETTING_NAME].text, "sweep"); /* the file's name is none */
    sweep_free(&s);
    assert_int_equal(sweep_parse("folder/gates.yaml", ".", "{}", 2, NULL, 0, &s, &e), 0);
    assert_string_equal(s.setting[SETTING_NAME].text, "gates");
    sweep_free(&s);
}

static void write_file(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");

    fputs(text, out);
    fclose(out);
}

/* Files read first, relative to the one that names them; what comes later replaces, piece by piece. */
static void test_defaults(void **state)
{
    struct sweep s;
    char text[TEXT];
    err e = {0};

    (void)state;
    mkdir("presets", 0777);
    write_file("presets/base.yaml", "trial: {prompt.length: 7, seed: 3}\nretry: {attempts: 4}\n");
    write_file("presets/gates.yaml", "defaults: base.yaml\ngrid: {gate.activation: [tanh, gelu], seed: [1, 2]}\n"
                                     "exclude: [{seed: 2}]\n");
    write_file("main.yaml", "trial: {train.lr: 0.5}\ngrid: {seed: [8, 9]}\nexclude: [{gate.activation: gelu}]\n"
                            "defaults: [presets/gates.yaml]\n");
    assert_int_equal(sweep_load("main.yaml", NULL, 0, &s, &e), 0);
    spell(&s, "gate.activation seed prompt.length train.lr", text);
    assert_string_equal(text, "tanh 8 7 0.5|tanh 9 7 0.5|-|-");
    assert_true(s.setting[SETTING_RETRY_ATTEMPTS].number == 4);
    assert_string_equal(s.setting[SETTING_NAME].text, "main");
    sweep_free(&s);

    write_file("loop.yaml", "defaults: [loop.yaml]\n");
    assert_int_equal(sweep_load("loop.yaml", NULL, 0, &s, &e), ERR_CONFIG);
    assert_string_equal(e.text,
                        "./loop.yaml:1:12: defaults: nested more than 8 deep; does 'loop.yaml' include itself?");
    sweep_free(&s);

    e = (err){0};
    write_file("presets/bad.yaml", "trial: {sed: 1}\n");
    write_file("outer.yaml", "defaults: [presets/bad.yaml]\ntrial: {seed: x}\n");
    assert_int_equal(sweep_load("outer.yaml", NULL, 0, &s, &e), ERR_CONFIG);
    assert_string_equal(e.text, "./presets/bad.yaml:1:9: trial: there is no option 'sed'; did you mean 'seed'?\n"
                                "outer.yaml:2:15: seed is 'x'; it must be an integer from 0 to 4294967295");
    sweep_free(&s);

    e = (err){0};
    assert_int_equal(sweep_load("nowhere.yaml", NULL, 0, &s, &e), ERR_MISSING);
    sweep_free(&s);
}

/* Draws stay in their ranges, depend on seed, option and number only, and differ from each other. */
static void test_random(void **state)
{
    static const char small[] = "random: {samples: 40, seed: 5, space: {train.lr: {log_uniform: [1e-4, 1e-2]}}}";
    static const char large[] =
        "random: {samples: 50, seed: 5, space: {train.epochs: {int: [3, 5]}, train.lr: {log_uniform: "
        "[1e-4, 1e-2]}, train.clip: {uniform: [1, 2]}, gate.activation: {choice: [relu, elu]}}}";
    struct sweep a, b;
    int epochs[6] = {0}, relu = 0, below = 0;
    err e = {0};

    (void)state;
    assert_int_equal(sweep_parse("x", ".", small, strlen(small), NULL, 0, &a, &e), 0);
    assert_int_equal(sweep_parse("x", ".", large, strlen(large), NULL, 0, &b, &e), 0);
    assert_int_equal(sweep_points(&b), 50);
    for (int i = 0; i < 50; i++) {
        struct trial_config x, y;
        sweep_point(&b, i, &y);
        if (i < 40) {
            sweep_point(&a, i, &x);
            assert_true(x.value[OPTION_TRAIN_LR].real == y.value[OPTION_TRAIN_LR].real);
        }
        assert_in_range(y.value[OPTION_TRAIN_EPOCHS].integer, 3, 5);
        epochs[y.value[OPTION_TRAIN_EPOCHS].integer]++;
        assert_true(y.value[OPTION_TRAIN_LR].real >= 1e-4 && y.value[OPTION_TRAIN_LR].real <= 1e-2);
        below += y.value[OPTION_TRAIN_LR].real < 1e-3;
        assert_true(y.value[OPTION_TRAIN_CLIP].real >= 1 && y.value[OPTION_TRAIN_CLIP].real <= 2);
        relu += !strcmp(option_format(OPTION_GATE_ACTIVATION, y.value[OPTION_GATE_ACTIVATION]), "relu");
    }
    assert_true(epochs[3] && epochs[4] && epochs[5]);
    assert_in_range(relu, 10, 40);
    assert_in_range(below, 10, 40); /* half of a log-uniform range lies below its geometric middle */
    sweep_free(&a);
    sweep_free(&b);
}

/* A pinned option leaves the drawn lines, the others keep their draws. */
static void test_pinned_draw(void **state)
{
    static const char yaml[] =
        "random: {samples: 9, space: {train.epochs: {int: [3, 5]}, train.clip: {uniform: [1, 2]}}}";
    static const char *const pin = "train.epochs=4";
    struct sweep a, b;
    err e = {0};

    (void)state;
    assert_int_equal(sweep_parse("x", ".", yaml, strlen(yaml), NULL, 0, &a, &e), 0);
    assert_int_equal(sweep_parse("x", ".", yaml, strlen(yaml), &pin, 1, &b, &e), 0);
    for (int i = 0; i < 9; i++) {
        struct trial_config x, y;
        sweep_point(&a, i, &x);
        sweep_point(&b, i, &y);
        assert_int_equal(y.value[OPTION_TRAIN_EPOCHS].integer, 4);
        assert_true(x.value[OPTION_TRAIN_CLIP].real == y.value[OPTION_TRAIN_CLIP].real);
    }
    sweep_free(&a);
    sweep_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meaning),  cmocka_unit_test(test_bad_arguments), cmocka_unit_test(test_settings),
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_random),        cmocka_unit_test(test_pinned_draw),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
