/* `sluice predict` of learners that `sluice train` made: on the test images it says what the trial's accuracy rows say. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <getopt.h>

#include "io/h5.h"
#include "orchestrator/commands.h"
#include "orchestrator/study.h"
#include "sweeps/sequence.h"
#include "trial.h"

/* Run a command given as one text; its exit status.  What it says on stderr goes to the file `said`. */
static int run(int (*command)(int, char **), const char *text)
{
    char words[1000], *argv[40], *rest = words;
    int argc = 0, status, saved = dup(2);

    snprintf(words, sizeof words, "%s", text);
    for (char *word; (word = strsep(&rest, " ")) && argc < 39;)
        if (*word)
            argv[argc++] = word;
    argv[argc] = NULL;
    optind = 0; /* getopt starts anew */
    fflush(stderr);
    assert_non_null(freopen("said", "w", stderr));
    status = command(argc, argv);
    fflush(stderr);
    dup2(saved, 2);
    close(saved);
    return status;
}

static void expect_said(const char *text)
{
    char said[2000];
    FILE *file = fopen("said", "r");
    size_t n;

    assert_non_null(file);
    n = fread(said, 1, sizeof said - 1, file);
    fclose(file);
    said[n] = 0;
    if (!strstr(said, text))
        fail_msg("said '%s', expected '%s'", said, text);
}

static int make_world(void **state)
{
    (void)state;
    world_make();
    world_write_sweep("tiny.yaml");
    return 0;
}

/* A trained trial in the folder `out`. */
static void train(const char *options, struct study *s)
{
    char command[500];
    err e = {0};

    assert_int_equal(system("rm -rf out"), 0);
    snprintf(command, sizeof command, "train tiny.yaml %s --out out --threads 1", options);
    assert_int_equal(run(command_train, command), 0);
    assert_int_equal(study_from_folder("out", s, &e), 0);
}

struct answers {
    float *features, *logits;
    int32_t *predicted, *labels, *inferred;
    size_t n;
};

static void *read_array(h5 *file, const char *name, enum h5_type type, int rank, size_t *shape)
{
    void *data = NULL;
    err e = {0};

    if (h5_read_alloc(file, name, type, rank, shape, 1 << 20, &data, &e))
        fail_msg("%s", e.text);
    return data;
}

static void read_answers(const char *path, struct answers *a)
{
    size_t shape[2], n;
    char *text;
    h5 *file;
    err e = {0};

    assert_int_equal(h5_open(path, &file, &e), 0);
    a->features = read_array(file, "features", H5_F32, 2, shape);
    assert_int_equal(shape[1], WORLD_WIDTH);
    a->n = shape[0];
    a->logits = read_array(file, "logits", H5_F32, 2, shape);
    assert_int_equal(shape[1], WORLD_CLASSES);
    a->predicted = read_array(file, "predicted_class", H5_I32, 1, &n);
    assert_int_equal(n, a->n);
    a->labels = read_array(file, "label", H5_I32, 1, &n);
    a->inferred = h5_has(file, "inferred_task") ? read_array(file, "inferred_task", H5_I32, 1, &n) : NULL;
    assert_int_equal(h5_read_text(file, "options", &text, &e), 0);
    assert_non_null(strstr(text, "train.epochs 2\n"));
    free(text);
    h5_close(file);
}

static void free_answers(struct answers *a)
{
    free(a->features);
    free(a->logits);
    free(a->predicted);
    free(a->labels);
    free(a->inferred);
}

/* Every row of the stage, exactly. */
static void expect_rows(const struct study *s, int stage, const struct answers *a)
{
    const struct history_stage *known = history_find(&s->history, &s->plan.key[stage]);
    struct class_sequence order;
    int checked = 0;
    err e = {0};

    assert_int_equal(sequence_resolve("shuffled", WORLD_CLASSES, WORLD_TASKS, 3, &order, &e), 0);
    for (int i = 0; i < known->accuracy_count; i++) {
        const struct accuracy_row *row = &known->accuracy[i];
        double right = 0, right_task = 0, images = 0, loss = 0;

        if (strcmp(row->phase, "after"))
            continue;
        for (size_t k = 0; k < a->n; k++)
            if (order.task_of[a->labels[k]] == row->task) {
                const float *logits = a->logits + k * WORLD_CLASSES;
                double sum = 0;

                images++;
                right += a->predicted[k] == a->labels[k];
                right_task += a->inferred && a->inferred[k] == row->task;
                for (int c = 0; c < WORLD_CLASSES; c++)
                    sum += exp((double)logits[c]);
                loss += log(sum) - logits[a->labels[k]];
            }
        assert_int_equal(images, row->images);
        assert_float_equal(row->accuracy, 100 * right / images, 1e-12);
        if (a->inferred)
            assert_float_equal(row->tii_accuracy, 100 * right_task / images, 1e-12);
        else
            assert_true(isnan(row->tii_accuracy));
        assert_float_equal(row->loss, loss / images, 1e-5);
        checked++;
    }
    assert_int_equal(checked, s->plan.kind[stage] == STAGE_JOINT ? WORLD_TASKS : s->plan.task[stage] + 1);
    sequence_free(&order);
}

static void predictions_are_those_of_the_evaluation(void **state)
{
    static const char *const trials[] = {"",
                                         "method=hide tii.mlp=4-4",
                                         "prompt.layout=official evaluate.vote=batch",
                                         "feature.norm=fc_norm feature.pool=mean gate.train=per_task gate.scope=head",
                                         "method=sequential",
                                         "method=joint",
                                         "method=joint prompt.layout=official"};

    (void)state;
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
        struct study s;
        struct answers a;

        train(trials[i], &s);
        assert_int_equal(run(command_predict, "predict out 0 --data stripes --out answers.h5 --threads 1"), 0);
        read_answers("answers.h5", &a);
        assert_int_equal(a.n, WORLD_TEST * WORLD_CLASSES);
        expect_rows(&s, s.plan.trials[0].stage, &a);
        free_answers(&a);
        study_close(&s);
    }
}

static void a_checkpoint_of_an_earlier_task_is_a_learner_too(void **state)
{
    struct study s;
    struct answers a;
    int seen[WORLD_TASKS] = {0};

    (void)state;
    train("", &s);
    for (int i = 0; i < s.plan.stages_count; i++) {
        char command[200], hex[DIGEST_HEX];

        digest_to_hex(&s.plan.key[i], hex);
        snprintf(command, sizeof command, "predict out/checkpoints/%s.h5 --data stripes:test --out answers.h5", hex);
        if (s.plan.kind[i] != STAGE_TAP) {
            assert_int_equal(run(command_predict, command), 2);
            expect_said("no learner by itself");
            continue;
        }
        assert_int_equal(run(command_predict, command), 0);
        read_answers("answers.h5", &a);
        expect_rows(&s, i, &a);
        for (size_t k = 0; k < a.n; k++)
            assert_in_range(a.inferred[k], 0, s.plan.task[i]);
        free_answers(&a);
        seen[s.plan.task[i]]++;
    }
    for (int t = 0; t < WORLD_TASKS; t++)
        assert_int_equal(seen[t], 1);
    study_close(&s);
}

/* Training images; and how few of each class are wanted. */
static void other_images_may_be_asked_for(void **state)
{
    struct study s;
    struct answers a, few;
    size_t same = 0;

    (void)state;
    train("", &s);
    assert_int_equal(run(command_predict, "predict out 0 --data stripes:train --out answers.h5"), 0);
    assert_int_equal(run(command_predict, "predict out 0 --data stripes:train --per-class 2 --out few.h5"), 0);
    read_answers("answers.h5", &a);
    read_answers("few.h5", &few);
    assert_int_equal(a.n, WORLD_TRAIN * WORLD_CLASSES);
    assert_int_equal(few.n, 2 * WORLD_CLASSES);
    for (size_t k = 0; k < few.n; k++) { /* classes are interleaved in the file: the first two of each come first */
        assert_int_equal(few.labels[k], a.labels[k]);
        same += few.predicted[k] == a.predicted[k];
        for (int d = 0; d < WORLD_WIDTH && few.inferred[k] == a.inferred[k]; d++)
            assert_float_equal(few.features[k * WORLD_WIDTH + (size_t)d], a.features[k * WORLD_WIDTH + (size_t)d],
                               1e-4);
    }
    assert_int_equal(same, few.n);
    free_answers(&a);
    free_answers(&few);
    study_close(&s);
}

static void mistakes_are_told(void **state)
{
    static const struct {
        const char *command;
        int status;
        const char *said;
    } rows[] = {
        {"predict", 2, "give DIR and TRIAL, or a checkpoint"},
        {"predict out 0 --out a.h5", 2, "--data and --out are needed"},
        {"predict out 0 --data stripes", 2, "--data and --out are needed"},
        {"predict out 0 --data stripes:both --out a.h5", 2,
         "--data 'stripes:both' is not NAME, NAME:train or NAME:test"},
        {"predict out 0 --data stripes --per-class none --out a.h5", 2, "--per-class 'none' is not a number from 1 to"},
        {"predict out 0 --data no-such-data --out a.h5", 2, "no-such-data"},
        {"predict out 7 --data stripes --out a.h5", 2, "there is no trial '7'"},
        {"predict nowhere 0 --data stripes --out a.h5", 2, "nowhere"},
        {"predict stripes.h5 --data stripes --out a.h5", 2, "stripes.h5 is no checkpoint in an output folder"},
        {"predict out 0 --data stripes --out no/such/folder/a.h5", 75, "no/such/folder"},
    };
    struct study s;
    char path[200], hex[DIGEST_HEX];
    int tii;

    (void)state;
    train("", &s);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int status = run(command_predict, rows[i].command);

        if (status != rows[i].status)
            fail_msg("%s: status %d, expected %d", rows[i].command, status, rows[i].status);
        expect_said(rows[i].said);
        assert_int_not_equal(access("a.h5", F_OK), 0);
    }
    for (tii = 0; s.plan.kind[tii] != STAGE_TII || s.plan.task[tii] != WORLD_TASKS - 1; tii++)
        ;
    digest_to_hex(&s.plan.key[tii], hex);
    snprintf(path, sizeof path, "out/checkpoints/%s.h5", hex);
    assert_int_equal(truncate(path, 1000), 0);
    assert_int_equal(run(command_predict, "predict out 0 --data stripes --out a.h5"), 3);
    expect_said("checkpoint of tii, task 2: ");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(run(command_predict, "predict out 0 --data stripes --out a.h5"), 2);
    expect_said("checkpoint of tii, task 2: ");
    study_close(&s);
}

/* Trial, stage, task, epoch, and what to do. */
static void a_failed_training_says_where(void **state)
{
    static const struct {
        const char *options, *said;
    } rows[] = {
        {"backbone=wild", "sluice train: trial 0: tii, task 0: epoch 0, image 0: the loss is not finite; try a smaller "
                          "learning rate or gradient clipping"},
        {"tii.align_lr=1000 tii.align_epochs=300", "sluice train: trial 0: tii, task 1: alignment epoch "},
        {"prompt.layers=0-5", "sluice train: trial 0: wtp, task 0: prompt.layers names block 3, but the backbone's 3 "
                              "blocks are 0-2"},
        {"dataset.sequence=[[0,1],[2,3],[4]]", "class 5 is in no task"},
        {"dataset.sequence=[[0,1],[2,3],[4,5,6]]", "class 6 of task 2: the data set has classes 0 to 5"},
        {"dataset.tasks=7", "task 6 of 7 gets none of the 6 classes"},
    };

    (void)state;
    world_write_wild_backbone("wild");
    assert_int_equal(run(command_train, "train tiny.yaml --out out --threads many"), 2);
    expect_said("--threads 'many' is not a number from 1 to 999");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char command[300];

        assert_int_equal(system("rm -rf out"), 0);
        snprintf(command, sizeof command, "train tiny.yaml %s --out out --threads 1", rows[i].options);
        assert_int_not_equal(run(command_train, command), 0);
        expect_said(rows[i].said);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(predictions_are_those_of_the_evaluation),
        cmocka_unit_test(a_checkpoint_of_an_earlier_task_is_a_learner_too),
        cmocka_unit_test(other_images_may_be_asked_for),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(a_failed_training_says_where),
    };

    return cmocka_run_group_tests(tests, make_world, NULL);
}
