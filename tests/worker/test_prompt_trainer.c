/* The step that wtp and joint train with, mixing, regulariser and layout included, against 50 steps of PyTorch for each of three
 * tasks (tests/reference/trainer.h5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reference.h"
#include "worker/prompt_trainer.h"

enum { STEPS = 50, LENGTH = 5, PROMPT = LAYERS * 2 * LENGTH * D, SCALARS = LAYERS * 2 };
static const double LOSS_TOLERANCE = 1e-4, PARAMETER_TOLERANCE = 1e-3;

static struct reference reference;

struct scenario {
    const char *name, *gate, *layout;
    int batch;
    struct schedule schedule;
};
static const struct scenario scenarios[] = {
    {"norga", "tanh", "fixed", 7, {SCHEDULE_step, 25, 10, 0.1, 0, true}},
    {"official", "sigmoid", "official", 8, {SCHEDULE_cosine, 25, 0, 0, 1e-5, true}},
};

/* A task of a scenario, and the trainer that learns it. */
struct learning {
    const struct scenario *s;
    int task;
    char folder[64];
    struct trial_config config;
    struct stage_job job;
    struct stage_run run;
    struct dataset data;
    struct prompt_trainer trainer;
    float mean[PROMPT], *class_means;
    err e;
};

static const char *in(const struct learning *l, const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", l->folder, name);
    return path;
}

static void set(struct learning *l, enum option_id id, const char *text)
{
    assert_int_equal(option_parse(id, text, &l->config.value[id], &l->e), 0);
}

static void describe(struct learning *l)
{
    trial_defaults(&l->config);
    trial_resolve_seeds(&l->config);
    set(l, OPTION_PROMPT_LENGTH, "5");
    set(l, OPTION_PROMPT_LAYERS, "0-1");
    set(l, OPTION_PROMPT_LAYOUT, l->s->layout);
    set(l, OPTION_GATE_ACTIVATION, l->s->gate);
    l->job = (struct stage_job){.kind = STAGE_WTP, .task = l->task, .config = l->config};
    l->run = (struct stage_run){.job = &l->job, .options = {&l->config, STAGE_WTP, &l->e}};
    l->data = (struct dataset){.classes = C};
}

static double attribute(const struct learning *l, const char *name)
{
    char path[64];

    snprintf(path, sizeof path, "wtp/%s.%s", l->s->name, name);
    return reference_number(&reference, path);
}

static void start(struct learning *l, const double *rates)
{
    struct prompt_trainer *t = &l->trainer;
    float *prompts = reference_floats(&reference, in(l, "initial/prompts"), T * PROMPT);
    struct parameters *p = &t->parameters;

    t->run = &l->run;
    t->material = (struct material){.data = &l->data, .backbone = &reference.weights, .width = D, .threads = 1};
    t->momentum = attribute(l, "momentum");
    t->contrastive_weight = attribute(l, "weight");
    t->temperature = 0.8;
    t->allowed = calloc(C, 1);
    for (int k = 0; k < IN_TASK; k++)
        t->allowed[reference.classes[l->task][k]] = 1;
    for (int before = 0; before < l->task; before++)
        for (int i = 0; i < PROMPT; i++)
            l->mean[i] += prompts[before * PROMPT + i] / (float)l->task;
    if (l->task > 0) {
        t->earlier_mean = l->mean;
        t->class_means_count = IN_TASK * l->task;
        t->class_means = l->class_means =
            reference_floats(&reference, in(l, "means"), (size_t)(t->class_means_count * D));
    }
    if (prompt_trainer_create(t, l->s->batch, rates[0], l->task == 0 ? rates[0] : 0, rates[1], &l->e))
        fail_msg("%s", l->e.text);
    memcpy(parameters_value(p, "prompt"), prompts + l->task * PROMPT, PROMPT * sizeof *prompts);
    reference_read(&reference, in(l, "initial/scalars"), H5_F32, SCALARS, parameters_value(p, "scalars"));
    reference_read(&reference, in(l, "initial/head_w"), H5_F32, C * D, parameters_value(p, "head.weight"));
    reference_read(&reference, in(l, "initial/head_b"), H5_F32, C, parameters_value(p, "head.bias"));
    free(prompts);
}

static void run_steps(struct learning *l)
{
    struct prompt_trainer *t = &l->trainer;
    int32_t *batches = reference_integers(&reference, in(l, "batches"), (size_t)(STEPS * l->s->batch));
    double *losses = reference_doubles(&reference, in(l, "loss"), STEPS);
    double *norms = reference_doubles(&reference, in(l, "norm"), STEPS);
    char what[100];

    for (int step = 0; step < STEPS; step++) {
        const int32_t *rows = batches + step * l->s->batch;
        int n = 0, correct;
        double loss;

        for (; n < l->s->batch && rows[n] >= 0; n++) {
            memcpy(t->images + n * PIXELS, reference.images[rows[n]], PIXELS * sizeof *t->images);
            t->labels[n] = reference.labels[rows[n]];
        }
        prompt_trainer_gradient(t, n, &loss, &correct);
        snprintf(what, sizeof what, "%s: step %d: loss", l->folder, step);
        expect_number(what, loss, losses[step], LOSS_TOLERANCE);
        assert_in_range(correct, 0, n);
        snprintf(what, sizeof what, "%s: step %d: norm", l->folder, step);
        expect_number(what, parameters_adam(&t->parameters, &l->s->schedule, step / 2, 1), norms[step],
                      PARAMETER_TOLERANCE);
    }
    free(batches);
    free(losses);
    free(norms);
}

static void compare(struct learning *l)
{
    struct parameters *p = &l->trainer.parameters;
    float *prompts = reference_floats(&reference, in(l, "final/prompts"), T * PROMPT);

    expect_close(l->folder, parameters_value(p, "prompt"), prompts + l->task * PROMPT, PROMPT, PARAMETER_TOLERANCE);
    expect_array(&reference, in(l, "final/scalars"), parameters_value(p, "scalars"), SCALARS, PARAMETER_TOLERANCE);
    expect_array(&reference, in(l, "final/head_w"), parameters_value(p, "head.weight"), C * D, PARAMETER_TOLERANCE);
    expect_array(&reference, in(l, "final/head_b"), parameters_value(p, "head.bias"), C, PARAMETER_TOLERANCE);
    free(prompts);
}

static void fifty_steps_of_each_task(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++)
        for (int task = 0; task < T; task++) {
            struct learning *l = calloc(1, sizeof *l);
            double *rates;

            l->s = &scenarios[i];
            l->task = task;
            snprintf(l->folder, sizeof l->folder, "wtp/%s/task%d", l->s->name, task);
            describe(l);
            rates = reference_doubles(&reference, in(l, "lr"), 2 * STEPS);
            start(l, rates);
            run_steps(l);
            compare(l);
            prompt_trainer_free(&l->trainer);
            free(l->class_means);
            free(rates);
            free(l);
        }
}

static int open_reference(void **state)
{
    (void)state;
    reference_open(&reference);
    return 0;
}

static int close_reference(void **state)
{
    (void)state;
    reference_close(&reference);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(fifty_steps_of_each_task)};

    return cmocka_run_group_tests(tests, open_reference, close_reference);
}
