/* tests/sweeps/test_options.c - the table of options, values as text, declared reads, and jobs on the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweeps/nearest.h"
#include "sweeps/stage.h"

/* Every default parses, is canonical, and lies in its own range; keys are unique; letters of "reads" are kinds. */
static void test_table(void **state)
{
    (void)state;
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_info *o = option_info(i);
        union option_value value, again;
        err e = {0};
        assert_int_equal(option_parse(i, o->initial, &value, &e), 0);
        assert_int_equal(option_parse(i, option_format(i, value), &again, &e), 0);
        assert_true(option_equal(i, value, again));
        assert_int_equal(option_by_key(o->key), i);
        assert_true(o->help[0] != 0);
        for (const char *letter = o->reads; *letter; letter++) {
            bool known = !strcmp(o->reads, "*");
            for (int k = 0; k < STAGE_KIND_COUNT; k++)
                known |= stage_kind_letter(k) == *letter;
            assert_true(known);
        }
    }
    assert_int_equal(option_by_key("nonsense"), OPTION_COUNT);
}

static void test_formats(void **state)
{
    static const struct {
        enum option_id id;
        const char *text, *canonical;
    } rows[] = {
        {OPTION_TRAIN_LR, "0.0300", "0.03"},
        {OPTION_TRAIN_LR, "3e-2", "0.03"},
        {OPTION_TRAIN_LR, "1e-3", "0.001"},
        {OPTION_TRAIN_LR, "1E-05", "1e-5"},
        {OPTION_TRAIN_LR, "0.1", "0.1"},
        {OPTION_TRAIN_LR, "0.30000000000000004", "0.30000000000000004"},
        {OPTION_TRAIN_LR, "-0", "0"},
        {OPTION_CHECKPOINT_SECONDS, "1000000000", "1e9"},
        {OPTION_PROMPT_LAYERS, "0,1,2,3,4,6", "0-4,6"},
        {OPTION_PROMPT_LAYERS, "6,0-4", "0-4,6"},
        {OPTION_PROMPT_LAYERS, "63", "63"},
        {OPTION_PROMPT_LAYERS, "0-63", "0-63"},
        {OPTION_DATASET_TRAIN_PER_CLASS, "all", "all"},
        {OPTION_DATASET_TRAIN_PER_CLASS, "0200", "200"},
        {OPTION_SEEDS_ORDER, "seed", "seed"},
        {OPTION_SEEDS_ORDER, "0", "0"},
        {OPTION_GATE_ACTIVATION, "gelu", "gelu"},
        {OPTION_TII_MLP, "4-4", "4-4"},
        {OPTION_DATASET_SEQUENCE, "[[0, 1], [02,3]]", "[[0,1],[2,3]]"},
        {OPTION_DATASET_SEQUENCE, "permutation:007", "permutation:7"},
        {OPTION_DATASET_AUGMENT, "true", "true"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        union option_value value, again;
        err e = {0};
        assert_int_equal(option_parse(rows[i].id, rows[i].text, &value, &e), 0);
        assert_string_equal(option_format(rows[i].id, value), rows[i].canonical);
        assert_int_equal(option_parse(rows[i].id, rows[i].canonical, &again, &e), 0);
        assert_true(option_equal(rows[i].id, value, again));
    }
}

static void test_bad_values(void **state)
{
    static const struct {
        enum option_id id;
        const char *text, *message;
    } rows[] = {
        {OPTION_TRAIN_LR, "fast", "train.lr is 'fast'; it must be a number from 0 to 1000"},
        {OPTION_TRAIN_LR, "nan", "train.lr is 'nan'; it must be a number from 0 to 1000"},
        {OPTION_TRAIN_LR, "1e999", "train.lr is '1e999'; it must be a number from 0 to 1000"},
        {OPTION_TRAIN_LR, "0x1p3", "train.lr is '0x1p3'; it must be a number from 0 to 1000"},
        {OPTION_TRAIN_LR, "", "train.lr is ''; it must be a number from 0 to 1000"},
        {OPTION_TRAIN_LR, "1001", "train.lr is '1001'; it must be a number from 0 to 1000"},
        {OPTION_PROMPT_LENGTH, "0", "prompt.length is '0'; it must be an integer from 1 to 1024"},
        {OPTION_PROMPT_LENGTH, "5.0", "prompt.length is '5.0'; it must be an integer from 1 to 1024"},
        {OPTION_PROMPT_LENGTH, "5 ", "prompt.length is '5 '; it must be an integer from 1 to 1024"},
        {OPTION_PROMPT_LENGTH, "99999999999999999999",
         "prompt.length is '99999999999999999999'; it must be an integer from 1 to 1024"},
        {OPTION_PROMPT_LAYERS, "4-0", "prompt.layers is '4-0'; it must be blocks from 0 to 63, like 0-4 or 0,2,5"},
        {OPTION_PROMPT_LAYERS, "0-64", "prompt.layers is '0-64'; it must be blocks from 0 to 63, like 0-4 or 0,2,5"},
        {OPTION_PROMPT_LAYERS, "1,", "prompt.layers is '1,'; it must be blocks from 0 to 63, like 0-4 or 0,2,5"},
        {OPTION_PROMPT_LAYERS, "", "prompt.layers is ''; it must be blocks from 0 to 63, like 0-4 or 0,2,5"},
        {OPTION_PROMPT_LAYERS, "1;2", "prompt.layers is '1;2'; it must be blocks from 0 to 63, like 0-4 or 0,2,5"},
        {OPTION_DATASET_AUGMENT, "yes", "dataset.augment is 'yes'; it must be true or false (did you mean 'true'?)"},
        {OPTION_DATASET_AUGMENT, "0", "dataset.augment is '0'; it must be true or false (did you mean 'false'?)"},
        {OPTION_GATE_ACTIVATION, "sigmoyd",
         "gate.activation is 'sigmoyd'; it must be one of none|tanh|sigmoid|relu|gelu|softplus|elu (did you mean "
         "'sigmoid'?)"},
        {OPTION_DATASET_TRAIN_PER_CLASS, "0",
         "dataset.train_per_class is '0'; it must be an integer from 1 to 1000000000, or all"},
        {OPTION_SEEDS_DATA, "-1", "seeds.data is '-1'; it must be an integer from 0 to 4294967295, or seed"},
        {OPTION_BACKBONE, "../x",
         "backbone is '../x'; it must be 1 to 63 letters, digits, '.', '_' or '-', the first a letter or digit"},
        {OPTION_BACKBONE, "a b",
         "backbone is 'a b'; it must be 1 to 63 letters, digits, '.', '_' or '-', the first a letter or digit"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        union option_value value;
        err e = {0};
        assert_int_equal(option_parse(rows[i].id, rows[i].text, &value, &e), ERR_CONFIG);
        assert_string_equal(e.text, rows[i].message);
    }
}

static void test_nearest(void **state)
{
    static const struct {
        const char *word, *key;
    } rows[] = {
        {"promt.length", "prompt.length"},
        {"length", "prompt.length"},
        {"gate.activaton", "gate.activation"},
        {"trian.lr", "train.lr"},
        {"sead", "seed"},
        {"method ", "method"},
        {"quite.something.else", NULL},
        {"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *near = option_nearest_key(rows[i].word);
        if (rows[i].key)
            assert_string_equal(near, rows[i].key);
        else
            assert_null(near);
    }
}

/* A stage reads what it declares, and only as what it is. */
static void test_declared_reads(void **state)
{
    struct trial_config config;
    err e = {0};
    struct option_reader tap = {&config, STAGE_TAP, &e}, wtp = {&config, STAGE_WTP, &e};

    (void)state;
    trial_defaults(&config);
    config.value[OPTION_SEED].integer = 7;
    trial_resolve_seeds(&config);
    assert_int_equal(option_int(&wtp, OPTION_SEEDS_INIT), 7);
    assert_int_equal(option_int(&wtp, OPTION_PROMPT_LENGTH), 5);
    assert_true(option_real(&wtp, OPTION_TRAIN_LR) == 0.03);
    assert_string_equal(option_choice(&wtp, OPTION_GATE_ACTIVATION), "tanh");
    assert_true(option_layers(&wtp, OPTION_PROMPT_LAYERS) == 31);
    assert_true(option_bool(&wtp, OPTION_PROMPT_TRANSFER));
    assert_string_equal(option_text(&wtp, OPTION_DATASET_NAME), "fashion-mnist");
    assert_true(option_real(&tap, OPTION_CHECKPOINT_SECONDS) == 60); /* '*': anyone may */
    assert_int_equal(e.code, 0);

    assert_int_equal(option_int(&tap, OPTION_PROMPT_LENGTH), 0);
    assert_int_equal(e.code, ERR_BUG);
    assert_string_equal(e.text,
                        "stage tap reads the option prompt.length, which its row in sweeps/options.h does not declare");
    assert_int_equal(option_int(&wtp, OPTION_PROMPT_LENGTH), 0); /* the first mistake stays */

    e = (err){0};
    option_real(&wtp, OPTION_PROMPT_LENGTH);
    assert_string_equal(e.text, "stage wtp reads the option prompt.length (integer) as another type");
}

static struct stage_job example(struct stage_input *inputs)
{
    struct stage_job job = {.kind = STAGE_WTP, .task = 2, .inputs_count = 2, .inputs = inputs};

    trial_defaults(&job.config);
    trial_resolve_seeds(&job.config);
    job.config.value[OPTION_PROMPT_LENGTH].integer = 10;
    job.config.value[OPTION_DATASET_SEQUENCE].text = intern("[[0,1],[2,3]]");
    job.key = digest_bytes("key", 3);
    job.checkpoint_folder = intern("runs/a b/checkpoints");
    for (int i = 0; i < 2; i++)
        inputs[i] = (struct stage_input){STAGE_WTP, i, digest_bytes(&i, sizeof i)};
    return job;
}

static void test_job_round_trip(void **state)
{
    struct stage_input inputs[2];
    struct stage_job job = example(inputs), back;
    char *text, *again, *path;
    err e = {0};

    (void)state;
    assert_int_equal(stage_job_write(&job, &text, &e), 0);
    assert_int_equal(stage_job_read(text, &back, &e), 0);
    assert_int_equal(stage_job_write(&back, &again, &e), 0);
    assert_string_equal(text, again);
    assert_int_equal(back.config.value[OPTION_PROMPT_LENGTH].integer, 10);
    assert_ptr_equal(back.checkpoint_folder, job.checkpoint_folder);
    assert_int_equal(stage_job_input(&back, STAGE_WTP, 1)->task, 1);
    assert_null(stage_job_input(&back, STAGE_WTP, 2));
    path = stage_checkpoint_path(&back, &inputs[0].key);
    assert_memory_equal(path, "runs/a b/checkpoints/", 21);
    assert_int_equal(strlen(path), 21 + 32 + 3);
    free(path);
    stage_job_free(&back);

    /* cut anywhere, it is refused */
    for (size_t n = 0; n + 1 < strlen(text); n++) {
        char *cut = strndup(text, n);
        e = (err){0};
        assert_int_equal(stage_job_read(cut, &back, &e), ERR_WORKER);
        free(cut);
    }
    free(text);
    free(again);
}

static void test_job_nonsense(void **state)
{
    static const char *const texts[] = {
        "",
        "end\n",
        "kind nothing\n",
        "kind wtp\nkind wtp\n",
        "kind wtp\ntask -2\n",
        "kind wtp\ntask 99999999999999999999\n",
        "kind wtp\nkey xyz\n",
        "kind wtp\noption prompt.length 0\n",
        "kind wtp\noption tap.lr 1\n", /* not declared by wtp */
        "kind wtp\noption prompt.length\n",
        "option prompt.length 5\n", /* before its kind */
        "kind wtp\ninput wtp 0\n",
        "kind wtp\ninput wtp 0 0\n",
        "kind wtp\nfolder \n",
        "kind wtp\nlunch 5\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct stage_job job;
        err e = {0};
        assert_int_equal(stage_job_read(texts[i], &job, &e), ERR_WORKER);
    }
}

static void test_intern(void **state)
{
    const char *first = intern("text 0");
    char text[32];

    (void)state;
    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof text, "text %d", i);
        assert_string_equal(intern(text), text);
    }
    assert_ptr_equal(intern("text 0"), first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),          cmocka_unit_test(test_formats),
        cmocka_unit_test(test_bad_values),     cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_declared_reads), cmocka_unit_test(test_job_round_trip),
        cmocka_unit_test(test_job_nonsense),   cmocka_unit_test(test_intern),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
