/* What a trial does not compute twice, against the plain way: each feature of a test image under a prompt once, whatever the
 * number of evaluations; the inferred tasks once for all trials that share the learner of task inference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trial.h"
#include "worker/inference.h"
#include "worker/predict.h"

enum { TASKS = WORLD_CLASSES, IMAGES = WORLD_CLASSES * WORLD_TEST };

static int computed[IMAGES][TASKS]; /* how often the image went through the network with the task's prompt */

/* The linker sends the infer stages here. */
int __real_inference_features(struct inference *f, enum dataset_part part, const size_t *positions,
                              const int32_t *inferred, int n, float *features, err *e);
int __wrap_inference_features(struct inference *f, enum dataset_part part, const size_t *positions,
                              const int32_t *inferred, int n, float *features, err *e);
int __wrap_inference_features(struct inference *f, enum dataset_part part, const size_t *positions,
                              const int32_t *inferred, int n, float *features, err *e)
{
    for (int i = 0; i < n; i++)
        computed[positions[i]][inferred[i]]++;
    return __real_inference_features(f, part, positions, inferred, n, features, e);
}

/* infer(task)'s inferred tasks and features equal those of the other trial's, bit for bit. */
static void expect_same(const struct trial *a, const struct trial *b, int task)
{
    static const char *const arrays[] = {"inferred", "features"};

    for (int i = 0; i < 2; i++) {
        size_t m, n;
        float *x = trial_array(a, trial_stage(a, STAGE_INFER, task), arrays[i], &m),
              *y = trial_array(b, trial_stage(b, STAGE_INFER, task), arrays[i], &n);

        assert_int_equal(m, n);
        assert_memory_equal(x, y, n * sizeof *x);
        free(x);
        free(y);
    }
}

/* Of the images of tasks that have been evaluated: those whose inferred task comes back after another. */
static int count_returns(const struct trial *t)
{
    int32_t before[IMAGES][TASKS];
    int returns = 0;

    for (int task = 0; task < TASKS; task++) {
        size_t n;
        float *inferred = trial_array(t, trial_stage(t, STAGE_INFER, task), "inferred", &n);

        assert_int_equal(n, (task + 1) * WORLD_TEST);
        for (size_t i = 0; i < n; i++) {
            int since = (int)i / WORLD_TEST; /* the image's own task */

            before[i][task] = (int32_t)inferred[i];
            for (int u = since; u < task - 1; u++)
                returns += before[i][u] == before[i][task] && before[i][task - 1] != before[i][task];
        }
        free(inferred);
    }
    return returns;
}

/* The plain way: with a vote in batches of one image nothing may be taken over, and everybody votes for himself. */
static void each_pair_once(void **state)
{
    const char *options = "dataset.tasks=6 dataset.sequence=natural tii.epochs=2 tii.align_lr=0.5 train.epochs=1";
    char plain_options[200];
    struct trial t, plain;
    int asked = 0, formed = 0;

    (void)state;
    snprintf(plain_options, sizeof plain_options, "%s evaluate.vote=batch evaluate.batch=1", options);
    trial_open(&t, options, "once");
    free(trial_run(&t));
    for (int i = 0; i < IMAGES; i++)
        for (int task = 0; task < TASKS; task++) {
            formed += computed[i][task];
            if (computed[i][task] > 1)
                fail_msg("image %d under prompt %d: %d times", i, task, computed[i][task]);
        }
    memset(computed, 0, sizeof computed);
    trial_open(&plain, plain_options, "each-time");
    free(trial_run(&plain));
    for (int i = 0; i < IMAGES; i++)
        for (int task = 0; task < TASKS; task++)
            asked += computed[i][task];
    for (int task = 0; task < TASKS; task++)
        expect_same(&t, &plain, task);
    assert_int_equal(asked, WORLD_TEST * TASKS * (TASKS + 1) / 2);
    assert_true(formed < asked);
    assert_true(count_returns(&t) > 0); /* else nothing has been shown about former prompts */
    trial_close(&plain);
    trial_close(&t);
}

static bool go_on(void *context, const struct progress *p)
{
    (void)context;
    (void)p;
    return true;
}

/* What tii stages write down is what their learner says when asked; and so are the features. */
static void as_the_learner_says(void **state)
{
    const int last = WORLD_TASKS - 1;
    struct stage_job result, infer;
    struct prediction p;
    struct trial t;
    float *inferred, *features;
    size_t n, at = 0;
    err e = {0};

    (void)state;
    trial_open(&t, "dataset.sequence=natural", "asked");
    free(trial_run(&t));
    assert_int_equal(plan_job(&t.plan, trial_stage(&t, STAGE_TAP, last), t.folder, &result, &e), 0);
    assert_int_equal(plan_job(&t.plan, trial_stage(&t, STAGE_INFER, last), t.folder, &infer, &e), 0);
    if (predict_run(&result, &infer, &(struct predict_images){.dataset = "stripes", .part = DATASET_TEST},
                    &(struct host){.go_on = go_on}, &p, &e))
        fail_msg("%s", e.text);
    inferred = trial_array(&t, trial_stage(&t, STAGE_INFER, last), "inferred", &n);
    assert_int_equal(n, p.n);
    features = trial_array(&t, trial_stage(&t, STAGE_INFER, last), "features", &n);
    for (int task = 0; task < WORLD_TASKS; task++) /* a natural order: two classes a task, images in file order */
        for (size_t i = 0; i < p.n; i++)
            if (p.labels[i] / 2 == task) {
                assert_int_equal(p.inferred[i], (int32_t)inferred[at]);
                assert_memory_equal(p.features + i * WORLD_WIDTH, features + at * WORLD_WIDTH,
                                    WORLD_WIDTH * sizeof *features);
                at++;
            }
    assert_int_equal(at, p.n);
    free(inferred);
    free(features);
    prediction_free(&p);
    stage_job_free(&infer);
    stage_job_free(&result);
    trial_close(&t);
}

static int make_world(void **state)
{
    (void)state;
    world_make();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_pair_once), cmocka_unit_test(as_the_learner_says)};

    return cmocka_run_group_tests(tests, make_world, NULL);
}
