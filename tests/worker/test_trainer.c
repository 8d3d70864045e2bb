/* The trainer as a whole on tiny trials: the same bytes always, what each stage may and may not touch, and an evaluation
 * recomputed elsewhere. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <omp.h>

#include "io/h5.h"
#include "model/classifier.h"
#include "model/rng.h"
#include "sweeps/sequence.h"
#include "trial.h"
#include "worker/part.h"

/* Fewer steps, for what is tried at each of them. */
#define SHORT "tii.epochs=2 tii.align_epochs=2"

static int make_world(void **state)
{
    (void)state;
    setenv("OMP_NUM_THREADS", "1", 1); /* a process that has used threads must not fork */
    world_make();
    return 0;
}

/* ---- the same bytes ---- */

static void same_bytes_on_every_run_and_number_of_threads(void **state)
{
    struct trial one, again;
    struct record *first, *second;
    static const int threads[] = {1, 3};

    (void)state;
    trial_open(&one, "dataset.augment=true", "run-1");
    first = trial_run(&one);
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        setenv("OMP_NUM_THREADS", threads[i] == 1 ? "1" : "3", 1);
        omp_set_num_threads(threads[i]);
        trial_open(&again, "dataset.augment=true", "run-2");
        second = trial_run(&again);
        for (int s = 0; s < one.plan.stages_count; s++)
            if (!record_equal(&first[s], &second[s]))
                fail_msg("%s(%d) differs with %d threads", stage_kind_name(one.plan.kind[s]), one.plan.task[s],
                         threads[i]);
        free(second);
        trial_close(&again);
    }
    setenv("OMP_NUM_THREADS", "1", 1);
    omp_set_num_threads(1);
    free(first);
    trial_close(&one);
}

/* Two trials that share stages give what each gives alone. */
static void same_bytes_shared_and_alone(void **state)
{
    static const char *const lengths[] = {"prompt.length=1", "prompt.length=3"};
    struct trial both;
    struct record *shared;
    int found = 0;

    (void)state;
    trial_open(&both, "prompt.length=1,3", "both");
    assert_int_equal(both.plan.trials_count, 2);
    shared = trial_run(&both);
    for (int i = 0; i < 2; i++) {
        struct trial alone;
        struct record *own;

        trial_open(&alone, lengths[i], "alone");
        assert_int_equal(alone.plan.stages_count, 1 + 4 * WORLD_TASKS);
        own = trial_run(&alone);
        for (int s = 0; s < alone.plan.stages_count; s++) {
            int there = plan_find_stage(&both.plan, &alone.plan.key[s]);

            assert_true(there >= 0);
            found += both.plan.shared_by[there] == 2;
            assert_true(record_equal(&own[s], &shared[there]));
        }
        free(own);
        trial_close(&alone);
    }
    assert_int_equal(found, 2 * (1 + WORLD_TASKS)); /* features and tii */
    free(shared);
    trial_close(&both);
}

/* ---- stopped and continued ---- */

static void forget_stage(const struct trial *t, int stage)
{
    struct stage_job job;
    err e = {0};

    assert_int_equal(plan_job(&t->plan, stage, t->folder, &job, &e), 0);
    part_remove_all(&job);
    stage_job_free(&job);
    unlink(trial_checkpoint(t, stage));
}

static void expect_same(const struct trial *t, int stage, const struct record *expected, const struct record *got,
                        const char *how, int k)
{
    if (!record_equal(expected, got))
        fail_msg("%s(%d), %s at call %d: another result", stage_kind_name(t->plan.kind[stage]), t->plan.task[stage],
                 how, k);
}

/* Stop the stage at its k-th call, and once more soon after it goes on. */
static void stop_twice(const struct trial *t, int stage, const struct record *expected, int k)
{
    static struct record r;
    err e;

    forget_stage(t, stage);
    r = (struct record){.stop_at = k};
    assert_int_equal(trial_run_stage(t, stage, &r, &e), ERR_INTERRUPTED);
    assert_int_not_equal(access(trial_checkpoint(t, stage), F_OK), 0);
    r.stop_at = 2;
    if (trial_run_stage(t, stage, &r, &e) != ERR_INTERRUPTED)
        assert_int_equal(e.code, 0); /* there was less than that left */
    r.stop_at = 0;
    if (trial_run_stage(t, stage, &r, &e))
        fail_msg("%s", e.text);
    expect_same(t, stage, expected, &r, "stopped", k);
}

static void stopped_at_every_step(const char *options)
{
    struct trial t;
    struct record *whole;

    trial_open(&t, options, "stopped");
    whole = trial_run(&t);
    for (int s = 0; s < t.plan.stages_count; s++) {
        for (int k = 1; k <= whole[s].calls; k++)
            stop_twice(&t, s, &whole[s], k);
    }
    free(whole);
    trial_close(&t);
}

static void a_stop_at_every_step_changes_nothing(void **state)
{
    static const char *const trials[] = {
        SHORT, SHORT " dataset.augment=true gate.train=per_task feature.norm=fc_norm train.schedule=cosine",
        "method=sequential", "method=joint"};

    (void)state;
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++)
        stopped_at_every_step(trials[i]);
}

/* The process dies without a word, with part checkpoints after each epoch. */
static void a_crash_at_every_step_changes_nothing(void **state)
{
    struct trial t;
    struct record *whole, *r = calloc(1, sizeof *r);
    err e;

    (void)state;
    trial_open(&t, SHORT " checkpoint.seconds=0", "crashed");
    whole = trial_run(&t);
    for (int s = 0; s < t.plan.stages_count; s++)
        for (int k = 1; k <= whole[s].calls; k++) {
            int status;
            pid_t child;

            forget_stage(&t, s);
            child = fork();
            assert_true(child >= 0);
            *r = (struct record){.stop_at = k, .crash = true};
            if (child == 0) {
                trial_run_stage(&t, s, r, &e);
                _exit(0);
            }
            assert_int_equal(waitpid(child, &status, 0), child);
            assert_int_equal(WEXITSTATUS(status), 99);
            *r = (struct record){0};
            if (trial_run_stage(&t, s, r, &e))
                fail_msg("%s", e.text);
            expect_same(&t, s, &whole[s], r, "crashed", k);
        }
    free(whole);
    free(r);
    trial_close(&t);
}

/* A part checkpoint that is not what was written costs time and nothing else. */
static void a_damaged_part_checkpoint_is_dropped(void **state)
{
    struct trial t;
    struct record *whole, *r = calloc(1, sizeof *r);
    int stage, tried = 0;
    char part[200];
    err e;

    (void)state;
    trial_open(&t, "train.epochs=3", "damaged");
    whole = trial_run(&t);
    stage = trial_stage(&t, STAGE_WTP, 1);
    snprintf(part, sizeof part, "%s.train.part", trial_checkpoint(&t, stage));
    for (long at = -1;; at += 37) { /* every place, in steps: first cut there, then a changed byte */
        for (int cut = 0; cut < 2; cut++) {
            FILE *file;
            long size;
            int byte;

            forget_stage(&t, stage);
            *r = (struct record){.stop_at = 9};
            assert_int_equal(trial_run_stage(&t, stage, r, &e), ERR_INTERRUPTED);
            file = fopen(part, "r+b");
            assert_non_null(file);
            fseek(file, 0, SEEK_END);
            size = ftell(file);
            if (at >= size) {
                fclose(file);
                assert_true(tried > 50);
                free(whole);
                free(r);
                trial_close(&t);
                return;
            }
            if (cut) {
                assert_int_equal(ftruncate(fileno(file), at < 0 ? 0 : at), 0);
            } else if (at >= 0) {
                fseek(file, at, SEEK_SET);
                byte = fgetc(file);
                fseek(file, at, SEEK_SET);
                fputc(byte ^ 0x41, file);
            }
            fclose(file);
            *r = (struct record){0};
            if (trial_run_stage(&t, stage, r, &e))
                fail_msg("byte %ld %s: %s", at, cut ? "cut" : "changed", e.text);
            if (!record_equal(&whole[stage], r))
                fail_msg("byte %ld %s: another result", at, cut ? "cut" : "changed");
            tried++;
        }
    }
}

/* The part files that stages leave when they are stopped in these phases. */
static const struct {
    enum stage_kind kind;
    int task;
    const char *phase, *name;
} loops[] = {{STAGE_FEATURES, -1, "features", "train_rows"},
             {STAGE_TII, 2, "train", "train"},
             {STAGE_TII, 2, "align", "align"},
             {STAGE_WTP, 2, "train", "train"},
             {STAGE_WTP, 2, "statistics", "train_rows"},
             {STAGE_INFER, 2, "infer", "test_rows"},
             {STAGE_TAP, 2, "align", "align"}};
enum { LOOPS = sizeof loops / sizeof *loops };

static const char *part_file(const struct trial *t, int stage, const char *name)
{
    static char path[200];

    snprintf(path, sizeof path, "%s.%s.part", trial_checkpoint(t, stage), name);
    return path;
}

/* Stop a stage somewhere inside the phase, not at its first call. */
static void stop_inside(const struct trial *t, int stage, const char *phase, struct record *r)
{
    err e;

    *r = (struct record){.stop_in = phase};
    assert_int_equal(trial_run_stage(t, stage, r, &e), ERR_INTERRUPTED);
    *r = (struct record){.stop_at = r->calls + 1};
    forget_stage(t, stage);
    assert_int_equal(trial_run_stage(t, stage, r, &e), ERR_INTERRUPTED);
}

/* Each loop leaves its own part file, a finished stage leaves none, and one that is damaged, or of a stage with other options,
 * costs time and nothing else. */
static void part_files_that_are_not_the_stage_s_own_are_dropped(void **state)
{
    struct trial t, other;
    struct record *whole, *r = calloc(1, sizeof *r);
    err e;

    (void)state;
    trial_open(&t, SHORT, "parts");
    trial_open(&other, SHORT " train.lr=0.03 tii.lr=0.02 tap.lr=0.1 dataset.train_per_class=12", "other-parts");
    whole = trial_run(&t);
    free(trial_run(&other));
    for (int i = 0; i < LOOPS; i++) {
        int stage = trial_stage(&t, loops[i].kind, loops[i].task),
            there = trial_stage(&other, loops[i].kind, loops[i].task);
        char own[200];

        for (int how = 0; how < 3; how++) { /* another's, cut, as it is */
            forget_stage(&t, stage);
            stop_inside(&t, stage, loops[i].phase, r);
            snprintf(own, sizeof own, "%s", part_file(&t, stage, loops[i].name));
            if (access(own, F_OK))
                fail_msg("%s(%d) stopped in %s leaves no %s", stage_kind_name(loops[i].kind), loops[i].task,
                         loops[i].phase, own);
            if (how == 0) {
                forget_stage(&other, there);
                stop_inside(&other, there, loops[i].phase, r);
                assert_int_equal(rename(part_file(&other, there, loops[i].name), own), 0);
            } else if (how == 1) {
                assert_int_equal(truncate(own, 1000), 0);
            }
            *r = (struct record){0};
            if (trial_run_stage(&t, stage, r, &e))
                fail_msg("%s", e.text);
            expect_same(&t, stage, &whole[stage], r, loops[i].phase, how);
            assert_int_not_equal(access(own, F_OK), 0);
        }
        if (trial_run_stage(&other, there, r, &e))
            fail_msg("%s", e.text);
    }
    free(whole);
    free(r);
    trial_close(&t);
    trial_close(&other);
}

/* ---- a gate that adds nothing is no gate ---- */

static void expect_same_arrays(const struct trial *a, int stage_a, const struct trial *b, int stage_b,
                               const char *except)
{
    char **names;
    size_t count;
    h5 *file;
    err e = {0};

    assert_int_equal(h5_open(trial_checkpoint(a, stage_a), &file, &e), 0);
    assert_int_equal(h5_names(file, &names, &count, &e), 0);
    h5_close(file);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        size_t n, m;
        float *x, *y;

        if (!strcmp(names[i], except))
            continue;
        x = trial_array(a, stage_a, names[i], &n);
        y = trial_array(b, stage_b, names[i], &m);
        assert_int_equal(n, m);
        if (memcmp(x, y, n * sizeof *x))
            fail_msg("%s(%d): %s differs", stage_kind_name(a->plan.kind[stage_a]), a->plan.task[stage_a], names[i]);
        free(x);
        free(y);
    }
    h5_names_free(names, count);
}

static void a_gate_that_adds_nothing_is_no_gate(void **state)
{
    static const char *const methods[] = {"method=norga", "method=norga prompt.layout=official", "method=joint"};

    (void)state;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        struct trial none, zero;
        char options[200];

        snprintf(options, sizeof options, "%s gate.activation=none", methods[i]);
        trial_open(&none, options, "gate-none");
        snprintf(options, sizeof options, "%s gate.activation=tanh gate.a1=0 gate.train=never", methods[i]);
        trial_open(&zero, options, "gate-zero");
        free(trial_run(&none));
        free(trial_run(&zero));
        assert_int_equal(none.plan.stages_count, zero.plan.stages_count);
        for (int s = 0; s < none.plan.stages_count; s++) {
            int other = trial_stage(&zero, (enum stage_kind)none.plan.kind[s], none.plan.task[s]);

            expect_same_arrays(&none, s, &zero, other, "scalars");
        }
        trial_close(&none);
        trial_close(&zero);
    }
}

/* ---- what a stage may touch ---- */

static struct class_sequence order_of(const struct trial *t)
{
    struct class_sequence s;
    err e = {0};

    assert_int_equal(sequence_resolve("shuffled", WORLD_CLASSES, WORLD_TASKS, 3, &s, &e), 0);
    (void)t;
    return s;
}

static void expect_row(const float *row, const float *expected, bool same, const char *what, int c)
{
    if (!memcmp(row, expected, WORLD_WIDTH * sizeof *row) != same)
        fail_msg("the row of class %d %s", c, what);
}

/* Rows of unseen classes are the initial ones, rows of old classes are those of the last alignment unless this one moves them,
 * rows of new classes come from wtp. */
static void check_head(const struct trial *t, int task, bool aligned)
{
    struct class_sequence s = order_of(t);
    struct classifier_shape shape = {WORLD_CLASSES, WORLD_WIDTH, false};
    struct parameters initial = {0};
    size_t n, m;
    float *head = trial_array(t, trial_stage(t, STAGE_TAP, task), "head.weight", &n);
    float *rows = trial_array(t, trial_stage(t, STAGE_WTP, task), "rows.weight", &m);
    float *before = task ? trial_array(t, trial_stage(t, STAGE_TAP, task - 1), "head.weight", &m) : NULL;
    err e = {0};

    classifier_add(&initial, &shape, 0);
    assert_int_equal(parameters_create(&initial, &e), 0);
    classifier_init(&initial, &shape, 3);
    for (int c = 0; c < WORLD_CLASSES; c++) {
        const float *row = head + c * WORLD_WIDTH;
        int place = 0;

        while (s.ids[place] != c)
            place++;
        if (s.task_of[c] > task)
            expect_row(row, initial.value + c * WORLD_WIDTH, true, "is not seen yet but changed", c);
        else if (s.task_of[c] == task)
            expect_row(row, rows + (place - s.first[task]) * WORLD_WIDTH, !aligned,
                       aligned ? "is not aligned" : "is not wtp's", c);
        else
            expect_row(row, before + c * WORLD_WIDTH, !aligned,
                       aligned ? "is not aligned" : "changed without alignment", c);
        if (s.task_of[c] == task)
            expect_row(rows + (place - s.first[task]) * WORLD_WIDTH, initial.value + c * WORLD_WIDTH, false,
                       "is not trained", c);
    }
    free(head);
    free(rows);
    free(before);
    parameters_free(&initial);
    sequence_free(&s);
}

static void head_rows_change_only_where_they_may(void **state)
{
    struct trial t;

    (void)state;
    trial_open(&t, "", "head");
    free(trial_run(&t));
    for (int task = 0; task < WORLD_TASKS; task++)
        check_head(&t, task, task > 0);
    trial_close(&t);
    trial_open(&t, "tap.epochs=0", "head");
    free(trial_run(&t));
    for (int task = 0; task < WORLD_TASKS; task++)
        check_head(&t, task, false);
    trial_close(&t);
}

static void finished_checkpoints_are_never_written_again(void **state)
{
    struct trial t;
    struct digest files[40];
    struct record *r = calloc(1, sizeof *r);
    err e;

    (void)state;
    trial_open(&t, "feature.norm=fc_norm gate.train=every_task", "untouched");
    for (int s = 0; s < t.plan.stages_count; s++) {
        assert_int_equal(trial_run_stage(&t, s, r, &e), 0);
        for (int before = 0; before <= s; before++) {
            struct digest now;

            assert_int_equal(digest_file(trial_checkpoint(&t, before), &now, &e), 0);
            if (before < s)
                assert_true(digest_equal(&now, &files[before]));
            files[before] = now;
        }
    }
    free(r);
    trial_close(&t);
}

static void gate_scalars_learn_when_they_should(void **state)
{
    static const struct {
        const char *train;
        bool moves[WORLD_TASKS]; /* against its start */
        bool fresh[WORLD_TASKS]; /* starts at a0, a1 again */
    } rows[] = {
        {"first_task", {true, false, false}, {true, false, false}},
        {"every_task", {true, true, true}, {true, false, false}},
        {"per_task", {true, true, true}, {true, true, true}},
        {"never", {false, false, false}, {true, false, false}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct trial t;
        char options[200];
        float initial[4] = {0.5f, -0.75f, 0.5f, -0.75f}, last[4];

        snprintf(options, sizeof options, "gate.a0=0.5 gate.a1=-0.75 gate.train=%s", rows[i].train);
        trial_open(&t, options, "scalars");
        free(trial_run(&t));
        memcpy(last, initial, sizeof last);
        for (int task = 0; task < WORLD_TASKS; task++) {
            size_t n;
            float *now = trial_array(&t, trial_stage(&t, STAGE_WTP, task), "scalars", &n);
            const float *start = rows[i].fresh[task] ? initial : last;

            assert_int_equal(n, 4);
            for (size_t k = 0; k < n; k++) {
                if ((now[k] != start[k]) != rows[i].moves[task])
                    fail_msg("gate.train %s, task %d: scalar %zu is %g, from %g", rows[i].train, task, k,
                             (double)now[k], (double)start[k]);
                assert_true(fabsf(now[k] - start[k]) < 0.25f); /* 10 steps of Adam at 0.02 */
            }
            memcpy(last, now, sizeof last);
            free(now);
        }
        trial_close(&t);
    }
}

/* P <- (1 - m) P + m mean of the earlier ones, with P frozen at its initial value by a rate of 0. */
static void the_fold_mixes_in_the_earlier_prompts(void **state)
{
    const float m = 0.25f;
    struct trial t;
    float *prompt[WORLD_TASKS], fresh[200];
    size_t n = 0;

    (void)state;
    trial_open(&t, "train.lr=0 prompt.momentum=0.25 prompt.transfer=false", "fold");
    free(trial_run(&t));
    for (int task = 0; task < WORLD_TASKS; task++)
        prompt[task] = trial_array(&t, trial_stage(&t, STAGE_WTP, task), "prompt", &n);
    assert_in_range(n, 1, 200);
    for (int task = 0; task < WORLD_TASKS; task++) {
        rng r = rng_stream(3, RNG_PROMPT_INIT, (uint32_t)task, 0, 0);

        rng_fill_uniform(&r, fresh, n, -1, 1);
        for (size_t i = 0; i < n; i++) {
            float mean = task == 1 ? prompt[0][i] : task == 2 ? (prompt[0][i] + prompt[1][i]) / 2 : fresh[i];

            assert_float_equal(prompt[task][i], (1 - m) * fresh[i] + m * mean, 1e-6);
        }
    }
    for (int task = 0; task < WORLD_TASKS; task++)
        free(prompt[task]);
    trial_close(&t);
}

/* The loss under the mixed prompt before the fold is the loss under the folded prompt after it.  With one image a class the
 * class means in the checkpoint are the features under the folded prompt; a rate of 0 keeps everything else. */
static void the_fold_keeps_the_features(void **state)
{
    struct trial t;
    struct record *records;
    struct class_sequence s;
    struct classifier_shape shape = {WORLD_CLASSES, WORLD_WIDTH, false};
    struct parameters head = {0};
    err e = {0};

    (void)state;
    trial_open(&t, "train.lr=0 prompt.momentum=0.4 prompt.transfer=false dataset.train_per_class=1 train.contrastive=0",
               "fold");
    records = trial_run(&t);
    s = order_of(&t);
    classifier_add(&head, &shape, 0);
    assert_int_equal(parameters_create(&head, &e), 0);
    classifier_init(&head, &shape, 3);
    for (int task = 0; task < WORLD_TASKS; task++) {
        int stage = trial_stage(&t, STAGE_WTP, task), classes = s.first[task + 1] - s.first[task];
        size_t n;
        float *features = trial_array(&t, stage, "statistics/mean", &n);
        double loss = 0;

        assert_int_equal(n, classes * WORLD_WIDTH);
        for (int i = 0; i < classes; i++) {
            double logit[WORLD_CLASSES] = {0}, sum = 0;

            for (int c = 0; c < classes; c++) {
                const float *row = head.value + s.ids[s.first[task] + c] * WORLD_WIDTH;

                for (int d = 0; d < WORLD_WIDTH; d++)
                    logit[c] += (double)row[d] * (double)features[i * WORLD_WIDTH + d];
                sum += exp(logit[c]);
            }
            loss += log(sum) - logit[i];
        }
        assert_float_equal(records[stage].training[0].loss, loss / classes, 1e-6);
        assert_float_equal(records[stage].training[1].loss, loss / classes, 1e-6);
        free(features);
    }
    parameters_free(&head);
    sequence_free(&s);
    free(records);
    trial_close(&t);
}

/* A checkpoint names the options that made it, and only those. */
static void checkpoints_name_their_options(void **state)
{
    struct trial t;
    char *text;
    h5 *file;
    err e = {0};

    (void)state;
    trial_open(&t, SHORT, "options");
    free(trial_run(&t));
    assert_int_equal(h5_open(trial_checkpoint(&t, trial_stage(&t, STAGE_TAP, 1)), &file, &e), 0);
    assert_int_equal(h5_read_text(file, "options", &text, &e), 0);
    assert_non_null(strstr(text, "tap.lr 0.05\n"));
    assert_null(strstr(text, "prompt.length"));
    free(text);
    h5_close(file);
    trial_close(&t);
}

/* ---- the transform that stays on ---- */

/* In this class order, from_cifar is `default` up to stages of this task, and another transform afterwards. */
static void compare_with(const char *sequence, const char *transform, int tasks_alike)
{
    struct trial one, other;
    char options[200];

    snprintf(options, sizeof options, SHORT " dataset.name=mixed dataset.augment=true dataset.sequence=%s", sequence);
    trial_open(&one, strcat(options, " dataset.transform=from_cifar"), "from-cifar");
    *strrchr(options, '=') = 0;
    trial_open(&other, strcat(strcat(options, "="), transform), "all-alike");
    free(trial_run(&one));
    free(trial_run(&other));
    for (int task = 0; task < WORLD_TASKS; task++) {
        static const enum stage_kind kinds[] = {STAGE_TII, STAGE_WTP, STAGE_TAP};

        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            const char *name = kinds[k] == STAGE_WTP ? "prompt" : "head.weight";
            size_t n;
            float *a = trial_array(&one, trial_stage(&one, kinds[k], task), name, &n);
            float *b = trial_array(&other, trial_stage(&other, kinds[k], task), name, &n);

            if (!memcmp(a, b, n * sizeof *a) != (task < tasks_alike))
                fail_msg("%s, %s: %s(%d) %s", sequence, transform, stage_kind_name(kinds[k]), task,
                         task < tasks_alike ? "differs" : "is the same");
            free(a);
            free(b);
        }
    }
    trial_close(&one);
    trial_close(&other);
}

static void cifar_transforms_stay_on(void **state)
{
    int per_class[DATASET_PARTS][WORLD_CLASSES];

    (void)state;
    for (int c = 0; c < WORLD_CLASSES; c++)
        per_class[DATASET_TRAIN][c] = per_class[DATASET_TEST][c] = 6;
    world_write_dataset("mixed", per_class);
    compare_with("[[2,3],[0,1],[4,5]]", "cifar", 3);
    compare_with("[[0,1],[2,3],[4,5]]", "default", 1);
    compare_with("[[0,1],[5,4],[3,2]]", "default", 2);
    compare_with("[[0,1],[2,3],[4,5]]", "cifar", 0);
}

/* ---- how much an epoch uses ---- */

/* Rows of a training row: their rate times their time. */
static double images_of(const struct training_row *row)
{
    return row->images_per_second * row->seconds;
}

static void check_epochs(const struct record *r, const char *kind, int task, const char *phase, int epochs,
                         double images)
{
    int found = 0;

    for (int i = 0; i < r->training_count; i++) {
        const struct training_row *row = &r->training[i];

        assert_string_equal(row->stage, kind);
        assert_int_equal(row->task, task);
        assert_true(isfinite(row->loss) && row->accuracy >= 0 && row->accuracy <= 100);
        if (strcmp(row->phase, phase))
            continue;
        assert_int_equal(row->epoch, found++);
        assert_float_equal(images_of(row), images, 1e-6 * images);
    }
    assert_int_equal(found, epochs);
}

static void an_alignment_takes_as_many_steps_as_there_are_old_classes(void **state)
{
    static const struct {
        const char *options;
        double tii, tap; /* rows of a step */
        bool all;        /* a step for each class seen */
    } rows[] = {
        {SHORT " train.batch=5 tii.batch=7", 7, 25, false}, /* five batches */
        {SHORT " train.batch=9 tii.batch=4", 4, 45, false},
        {SHORT " train.batch=5 tii.batch=7 tap.samples=11", 7, 11, false},
        {SHORT " train.batch=5 tii.batch=7 align.steps=seen", 7, 25, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct trial t;
        struct record *r;

        trial_open(&t, rows[i].options, "steps");
        r = trial_run(&t);
        for (int task = 0; task < WORLD_TASKS; task++) {
            const struct record *tii = &r[trial_stage(&t, STAGE_TII, task)],
                                *tap = &r[trial_stage(&t, STAGE_TAP, task)];
            const struct record *wtp = &r[trial_stage(&t, STAGE_WTP, task)];
            int steps = 2 * task + (rows[i].all ? 2 : 0), epochs = task ? 2 : 0;

            check_epochs(tii, "tii", task, "train", 2, 2 * WORLD_TRAIN);
            check_epochs(wtp, "wtp", task, "train", 2, 2 * WORLD_TRAIN);
            check_epochs(tii, "tii", task, "align", epochs, steps * rows[i].tii);
            check_epochs(tap, "tap", task, "align", epochs, steps * rows[i].tap);
            assert_int_equal(tap->accuracy_count, (task + 1) * (task ? 2 : 1)); /* before and after */
        }
        free(r);
        trial_close(&t);
    }
}

static const struct accuracy_row *find_row(const struct record *r, const char *phase, int task)
{
    for (int i = 0; i < r->accuracy_count; i++)
        if (!strcmp(r->accuracy[i].phase, phase) && r->accuracy[i].task == task)
            return &r->accuracy[i];
    fail_msg("no row of %s for task %d", phase, task);
    return NULL;
}

/* The TII learner is evaluated before and after its alignment.  What it infers of each image by itself is what the final
 * evaluation uses, unless batches vote. */
static void the_tii_learner_is_evaluated_by_itself(void **state)
{
    static const char *const votes[] = {SHORT, SHORT " evaluate.vote=batch"};
    bool differ = false, moved = false;

    (void)state;
    for (int vote = 0; vote < 2; vote++) {
        struct trial t;
        struct record *r;

        trial_open(&t, votes[vote], "tii");
        r = trial_run(&t);
        for (int task = 0; task < WORLD_TASKS; task++) {
            const struct record *tii = &r[trial_stage(&t, STAGE_TII, task)],
                                *tap = &r[trial_stage(&t, STAGE_TAP, task)];

            assert_int_equal(tii->accuracy_count, (task + 1) * (task ? 2 : 1));
            for (int k = 0; k <= task; k++) {
                const struct accuracy_row *own = find_row(tii, "tii-after", k), *last = find_row(tap, "after", k);

                assert_int_equal(own->after_task, task);
                assert_int_equal(own->images, 2 * WORLD_TEST);
                assert_true(own->accuracy >= 0 && own->accuracy <= 100 && isfinite(own->loss));
                if (!vote)
                    assert_float_equal(own->tii_accuracy, last->tii_accuracy, 1e-12);
                differ |= vote && own->tii_accuracy != last->tii_accuracy;
                moved |= task && own->loss != find_row(tii, "tii-before", k)->loss;
            }
        }
        free(r);
        trial_close(&t);
    }
    assert_true(differ && moved);
}

/* The rates that a stage says it used: those of the official schedules, one epoch late. */
static void rates_follow_the_official_schedules(void **state)
{
    static const struct {
        const char *options;
        int epochs;
        struct {
            int epoch;
            double rate, within;
        } at[6];
    } rows[] = {
        {"train.epochs=50 train.schedule=step",
         50,
         {{0, .015, 1e-12}, {30, .015, 1e-12}, {31, .0015, 1e-12}, {49, .0015, 1e-12}}},
        {"train.epochs=150 train.schedule=cosine",
         150,
         {{0, .015, 1e-12}, {1, .015, 1e-12}, {2, .01499836, 5e-9}, {75, .00766196, 5e-9}, {149, 1.657e-5, 5e-9}}},
        {"train.epochs=31 train.schedule=step train.schedule_lag=false", 31, {{29, .015, 1e-12}, {30, .0015, 1e-12}}},
        {"train.epochs=3 train.lr_scaling=true train.batch=128 train.lr=0.03", 3, {{0, .015, 1e-12}, {2, .015, 1e-12}}},
    };
    struct record *r = calloc(1, sizeof *r);
    err e;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct trial t;
        char options[200];

        snprintf(options, sizeof options, "train.lr=0.015 dataset.train_per_class=2 %s", rows[i].options);
        trial_open(&t, options, "rates");
        assert_int_equal(trial_run_stage(&t, trial_stage(&t, STAGE_WTP, 0), r, &e), 0);
        assert_int_equal(r->training_count, rows[i].epochs);
        for (int k = 0; k < 6 && rows[i].at[k].rate > 0; k++)
            assert_float_equal(r->training[rows[i].at[k].epoch].lr, rows[i].at[k].rate, rows[i].at[k].within);
        trial_close(&t);
    }
    free(r);
}

/* ---- an evaluation recomputed elsewhere ---- */

static void write_manifest(const struct trial *t, const struct record *records, const char *path)
{
    FILE *file = fopen(path, "w");
    struct class_sequence s = order_of(t);

    assert_non_null(file);
    for (int i = 0; i < t->plan.stages_count; i++)
        fprintf(file, "stage %s %d %s\n", stage_kind_name(t->plan.kind[i]), t->plan.task[i], trial_checkpoint(t, i));
    for (int c = 0; c < WORLD_CLASSES; c++)
        fprintf(file, "class %d %d\n", c, s.task_of[c]);
    for (int i = 0; i < t->plan.stages_count; i++)
        for (int r = 0; r < records[i].accuracy_count; r++) {
            const struct accuracy_row *row = &records[i].accuracy[r];

            if (!strcmp(row->phase, "after"))
                fprintf(file, "accuracy %d %d %.17g %.17g %.17g %d\n", (int)row->after_task, (int)row->task,
                        row->accuracy, row->tii_accuracy, row->loss, (int)row->images);
        }
    fclose(file);
    sequence_free(&s);
}

static void python_finds_the_same_accuracy(void **state)
{
    static const char *const trials[] = {"", "tii.mlp=4-4 prompt.layout=official", "feature.norm=fc_norm",
                                         "evaluate.unseen=mask"};

    (void)state;
    if (system("/usr/bin/python3 -c 'import h5py, numpy, scipy' 2>/dev/null"))
        skip(); /* no Python with h5py */
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
        struct trial t;
        struct record *records;
        char command[500];

        trial_open(&t, trials[i], "python");
        records = trial_run(&t);
        write_manifest(&t, records, "manifest");
        snprintf(command, sizeof command, "/usr/bin/python3 %s/tests/reference/evaluation.py manifest %s", SOURCE_DIR,
                 strstr(trials[i], "mask") ? "mask" : "keep");
        if (system(command))
            fail_msg("'%s': see above", trials[i]);
        free(records);
        trial_close(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bytes_shared_and_alone),
        cmocka_unit_test(a_stop_at_every_step_changes_nothing),
        cmocka_unit_test(a_crash_at_every_step_changes_nothing),
        cmocka_unit_test(a_damaged_part_checkpoint_is_dropped),
        cmocka_unit_test(part_files_that_are_not_the_stage_s_own_are_dropped),
        cmocka_unit_test(a_gate_that_adds_nothing_is_no_gate),
        cmocka_unit_test(head_rows_change_only_where_they_may),
        cmocka_unit_test(finished_checkpoints_are_never_written_again),
        cmocka_unit_test(gate_scalars_learn_when_they_should),
        cmocka_unit_test(the_fold_mixes_in_the_earlier_prompts),
        cmocka_unit_test(the_fold_keeps_the_features),
        cmocka_unit_test(checkpoints_name_their_options),
        cmocka_unit_test(cifar_transforms_stay_on),
        cmocka_unit_test(an_alignment_takes_as_many_steps_as_there_are_old_classes),
        cmocka_unit_test(the_tii_learner_is_evaluated_by_itself),
        cmocka_unit_test(rates_follow_the_official_schedules),
        cmocka_unit_test(python_finds_the_same_accuracy),
        cmocka_unit_test(same_bytes_on_every_run_and_number_of_threads), /* last: no fork after threads */
    };

    return cmocka_run_group_tests(tests, make_world, NULL);
}
