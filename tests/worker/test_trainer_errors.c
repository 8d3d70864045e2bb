/* What a stage says when it cannot be run: which stage, what is wrong, and what to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/h5.h"
#include "trial.h"
#include "worker/features.h"
#include "worker/material.h"

static int make_world(void **state)
{
    (void)state;
    world_make();
    return 0;
}

static struct record *record;

/* A text that ends in "..." stands for all that begin so: io's own texts are proven there. */
static bool matches(const char *text, const char *expected)
{
    size_t n = strlen(expected);

    return n > 3 && !strcmp(expected + n - 3, "...") ? !strncmp(text, expected, n - 3) : !strcmp(text, expected);
}

static void expect(const struct trial *t, enum stage_kind kind, int task, enum err_code code, const char *text)
{
    err e;

    trial_run_stage(t, trial_stage(t, kind, task), record, &e);
    if (e.code != code || !matches(e.text, text))
        fail_msg("%s: '%s'\n     expected %s: '%s'", err_name(e.code), e.text, err_name(code), text);
}

/* Run all stages before this one. */
static void run_until(const struct trial *t, enum stage_kind kind, int task)
{
    err e;

    for (int i = 0; i < t->plan.stages_count; i++) {
        if (t->plan.kind[i] == (int)kind && t->plan.task[i] == task)
            return;
        if (trial_run_stage(t, i, record, &e))
            fail_msg("%s", e.text);
    }
}

static void options_that_do_not_fit(void **state)
{
    static const struct {
        const char *options;
        enum stage_kind kind;
        int task;
        enum err_code code;
        const char *text;
    } rows[] = {
        {"prompt.layers=0-5", STAGE_WTP, 0, ERR_SHAPE,
         "wtp, task 0: prompt.layers names block 3, but the backbone's 3 blocks are 0-2"},
        {"method=joint prompt.layers=3", STAGE_JOINT, -1, ERR_SHAPE,
         "joint: prompt.layers names block 3, but the backbone's 3 blocks are 0-2"},
        {"statistics.kind=multi_centroid statistics.centroids=2 tap.samples=1", STAGE_TAP, 1, ERR_CONFIG,
         "tap, task 1: 1 drawn features for each class are too few for its 2 centroids"},
        {"statistics.kind=multi_centroid statistics.centroids=2 tii.batch=1", STAGE_TII, 1, ERR_CONFIG,
         "tii, task 1: 1 drawn features for each class are too few for its 2 centroids"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct trial t;

        trial_open(&t, rows[i].options, "options");
        run_until(&t, rows[i].kind, rows[i].task);
        expect(&t, rows[i].kind, rows[i].task, rows[i].code, rows[i].text);
        trial_close(&t);
    }
}

static void data_that_cannot_be_used(void **state)
{
    static const struct {
        const char *name;
        enum dataset_part part; /* where class 2 has no images */
        const char *features, *joint;
    } rows[] = {
        {"gap-train", DATASET_TRAIN,
         "features: data set gap-train has no training image of class 2 (stripes 2); import it again with some, or "
         "without that class",
         "joint: data set gap-train has no training image of class 2 (stripes 2), of task 0; import it again with "
         "some, or without that class"},
        {"gap-test", DATASET_TEST,
         "features: data set gap-test has no test image of class 2 (stripes 2); import it again with some, or without "
         "that class",
         "joint: data set gap-test has no test image of class 2 (stripes 2), of task 0; import it again with some, or "
         "without that class"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int per_class[DATASET_PARTS][WORLD_CLASSES];
        struct trial t;
        char options[100];

        for (int c = 0; c < WORLD_CLASSES; c++)
            per_class[DATASET_TRAIN][c] = per_class[DATASET_TEST][c] = 4;
        per_class[rows[i].part][2] = 0;
        world_write_dataset(rows[i].name, per_class);
        snprintf(options, sizeof options, "dataset.name=%s", rows[i].name);
        trial_open(&t, options, "data");
        expect(&t, STAGE_FEATURES, -1, ERR_DATA, rows[i].features);
        trial_close(&t);
        snprintf(options, sizeof options, "dataset.name=%s method=joint", rows[i].name);
        trial_open(&t, options, "data");
        expect(&t, STAGE_JOINT, -1, ERR_DATA, rows[i].joint);
        trial_close(&t);
    }
}

/* Planned, then taken away. */
static void what_is_missing(void **state)
{
    struct trial t;

    (void)state;
    trial_open(&t, "", "missing");
    run_until(&t, STAGE_WTP, 0);
    assert_int_equal(rename("stripes.h5", "away.h5"), 0);
    material_forget();
    expect(&t, STAGE_WTP, 0, ERR_MISSING, "wtp, task 0: data set 'stripes' is not here: ...");
    assert_int_equal(rename("away.h5", "stripes.h5"), 0);
    assert_int_equal(rename("tiny.h5", "away.h5"), 0);
    material_forget();
    expect(&t, STAGE_WTP, 0, ERR_MISSING, "wtp, task 0: backbone ...");
    assert_int_equal(rename("away.h5", "tiny.h5"), 0);
    trial_close(&t);
}

static void replace_checkpoint(const struct trial *t, int stage, const char *by)
{
    char command[500];

    unlink(trial_checkpoint(t, stage));
    snprintf(command, sizeof command, "cp '%s' '%s'", by, trial_checkpoint(t, stage));
    assert_int_equal(system(command), 0);
}

static void inputs_that_are_not_what_they_should_be(void **state)
{
    static const struct {
        enum stage_kind kind, of; /* the stage of task 2 that is run, and its input */
        int of_task;
    } rows[] = {{STAGE_TII, STAGE_FEATURES, -1}, {STAGE_TII, STAGE_TII, 1},   {STAGE_WTP, STAGE_WTP, 0},
                {STAGE_INFER, STAGE_TII, 2},     {STAGE_INFER, STAGE_WTP, 1}, {STAGE_INFER, STAGE_INFER, 1},
                {STAGE_TAP, STAGE_INFER, 2},     {STAGE_TAP, STAGE_WTP, 1},   {STAGE_TAP, STAGE_TAP, 1}};
    struct trial t, other;
    char name[100], text[700];

    (void)state;
    trial_open(&t, "", "inputs");
    trial_open(&other, "prompt.length=3 tii.lr=0.002 dataset.test_per_class=4", "others");
    free(trial_run(&t));
    free(trial_run(&other));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int input = trial_stage(&t, rows[i].of, rows[i].of_task),
            there = trial_stage(&other, rows[i].of, rows[i].of_task);
        const char *kind = stage_kind_name(rows[i].kind), *path = trial_checkpoint(&t, input);
        char hex[DIGEST_HEX], there_hex[DIGEST_HEX];

        digest_to_hex(&t.plan.key[input], hex);
        digest_to_hex(&other.plan.key[there], there_hex);
        if (rows[i].of_task < 0)
            snprintf(name, sizeof name, "%s", stage_kind_name(rows[i].of));
        else
            snprintf(name, sizeof name, "%s, task %d", stage_kind_name(rows[i].of), rows[i].of_task);
        assert_int_equal(rename(path, "kept"), 0);
        features_forget();
        snprintf(text, sizeof text, "%s, task 2: checkpoint of %s: %s: No such file or directory", kind, name, path);
        expect(&t, rows[i].kind, 2, ERR_MISSING, text);

        replace_checkpoint(&t, input, trial_checkpoint(&other, there));
        snprintf(
            text, sizeof text,
            "%s, task 2: checkpoint of %s: %s.h5 is of another stage: %s of task %d with key %s; remove it, and its "
            "stage runs again",
            kind, name, hex, stage_kind_name(rows[i].of), rows[i].of_task, there_hex);
        expect(&t, rows[i].kind, 2, ERR_DAMAGED, text);

        features_forget();
        assert_int_equal(truncate(path, 700), 0);
        snprintf(text, sizeof text, "%s, task 2: checkpoint of %s: %s...", kind, name, path);
        expect(&t, rows[i].kind, 2, ERR_DAMAGED, text);
        assert_int_equal(rename("kept", path), 0);
    }
    expect(&t, STAGE_TAP, 2, ERR_NONE, "");
    trial_close(&t);
    trial_close(&other);
}

/* A changed byte of an input is found by its digest, or lies where it says nothing. */
static void a_changed_byte_is_found(void **state)
{
    struct trial t;
    struct record *whole;
    int found = 0, tap;
    FILE *file;
    long size;
    err e;

    (void)state;
    trial_open(&t, "", "changed");
    whole = trial_run(&t);
    tap = trial_stage(&t, STAGE_TAP, 2);
    file = fopen(trial_checkpoint(&t, trial_stage(&t, STAGE_WTP, 1)), "r+b");
    assert_non_null(file);
    setvbuf(file, NULL, _IONBF, 0);
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    for (long at = 0; at < size; at += 61) {
        int byte;

        fseek(file, at, SEEK_SET);
        byte = fgetc(file);
        fseek(file, at, SEEK_SET);
        fputc(byte ^ 1, file);
        if (trial_run_stage(&t, tap, record, &e))
            assert_int_equal(e.code, ERR_DAMAGED);
        else
            assert_true(record_equal(record, &whole[tap]));
        found += e.code == ERR_DAMAGED;
        fseek(file, at, SEEK_SET);
        fputc(byte, file);
    }
    fclose(file);
    assert_true(found > 30);
    free(whole);
    trial_close(&t);
}

/* Features beyond all floats, from a backbone whose last norm is too strong. */
static void a_loss_that_is_not_finite(void **state)
{
    struct trial t;

    (void)state;
    world_write_wild_backbone("wild");
    trial_open(&t, "backbone=wild", "wild");
    run_until(&t, STAGE_TII, 0);
    expect(&t, STAGE_TII, 0, ERR_DIVERGED,
           "tii, task 0: epoch 0, image 0: the loss is not finite; try a smaller learning rate or gradient clipping");
    expect(&t, STAGE_WTP, 0, ERR_DIVERGED,
           "wtp, task 0: epoch 0, image 0: the loss is not finite; try a smaller learning rate or gradient clipping");
    trial_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_that_do_not_fit), cmocka_unit_test(data_that_cannot_be_used),
        cmocka_unit_test(what_is_missing),         cmocka_unit_test(inputs_that_are_not_what_they_should_be),
        cmocka_unit_test(a_changed_byte_is_found), cmocka_unit_test(a_loss_that_is_not_finite),
    };
    int failed;

    record = calloc(1, sizeof *record);
    failed = cmocka_run_group_tests(tests, make_world, NULL);
    free(record);
    return failed;
}
