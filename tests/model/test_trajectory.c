/* Fifty optimiser steps of each stage against PyTorch's (tests/reference/trainer.h5): task-identity inference and its
 * alignment, prompts of three tasks with transfer, momentum and contrastive term, alignment of the head; and class
 * statistics. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/classifier.h"
#include "model/losses.h"
#include "model/mlp.h"
#include "model/optimizer.h"
#include "model/rng.h"
#include "model/statistics.h"
#include "model/vit.h"
#include "reference.h"

enum { STEPS = 50, BATCH_MAX = 8, SAMPLES = 8, L = 5, PROMPT = LAYERS * 2 * L * D, SCALARS = LAYERS * 2 };
static const double LOSS_TOLERANCE = 1e-4, PARAMETER_TOLERANCE = 1e-3;

static struct reference reference;

/* "<folder>/<name>", until the next call. */
static const char *in(const char *folder, const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void allow(uint8_t allowed[C], int first_task, int last_task)
{
    memset(allowed, 0, C);
    for (int t = first_task; t <= last_task; t++)
        for (int k = 0; k < IN_TASK; k++)
            allowed[reference.classes[t][k]] = 1;
}

/* --- parameters and their names in the file --------------------------------------------------------------------------
 */

/* A run of numbers of a struct parameters, and its name in the file. */
struct named {
    const char *name;
    size_t offset, count;
};
enum { NAMED_MAX = 16 };

struct names {
    int count;
    struct named row[NAMED_MAX];
};

static void name_add(struct names *n, const char *name, size_t offset, size_t count)
{
    assert_true(n->count < NAMED_MAX);
    n->row[n->count++] = (struct named){name, offset, count};
}

static void name_group(struct names *n, struct parameters *p, const char *group, const char *name)
{
    const struct parameter_group *g = parameters_group(p, group);

    if (g)
        name_add(n, name, g->offset, g->count);
}

static void name_head(struct names *n, struct parameters *p)
{
    name_group(n, p, "head.weight", "head_w");
    name_group(n, p, "head.bias", "head_b");
    name_group(n, p, "fc_norm.weight", "fc_norm_w");
    name_group(n, p, "fc_norm.bias", "fc_norm_b");
}

/* Values of the arrays <folder>/<moment>/<name>. */
static void load(const struct names *n, struct parameters *p, const char *folder, const char *moment)
{
    char path[128];

    for (int i = 0; i < n->count; i++) {
        snprintf(path, sizeof path, "%s/%s/%s", folder, moment, n->row[i].name);
        reference_read(&reference, path, H5_F32, n->row[i].count, p->value + n->row[i].offset);
    }
}

static void expect_parameters(const struct names *n, const struct parameters *p, const char *folder, const char *moment)
{
    char path[128];

    for (int i = 0; i < n->count; i++) {
        snprintf(path, sizeof path, "%s/%s/%s", folder, moment, n->row[i].name);
        expect_array(&reference, path, p->value + n->row[i].offset, n->row[i].count, PARAMETER_TOLERANCE);
    }
}

/* --- given batches ---------------------------------------------------------------------------------------------------
 */

struct batches {
    int32_t *rows;
    int width;
    double *loss, *norm;
};

static struct batches batches_open(const char *folder, int width)
{
    return (struct batches){.rows = reference_integers(&reference, in(folder, "batches"), (size_t)(STEPS * width)),
                            .width = width,
                            .loss = reference_doubles(&reference, in(folder, "loss"), STEPS),
                            .norm = reference_doubles(&reference, in(folder, "norm"), STEPS)};
}

static void batches_close(struct batches *b)
{
    free(b->rows);
    free(b->loss);
    free(b->norm);
}

/* The images of a step and their labels; returns how many. */
static int batch_at(const struct batches *b, int step, const int32_t **rows, int32_t labels[BATCH_MAX])
{
    int n = 0;

    *rows = b->rows + step * b->width;
    for (; n < b->width && (*rows)[n] >= 0; n++)
        labels[n] = reference.labels[(*rows)[n]];
    return n;
}

static void expect_step(const char *folder, const struct batches *b, int step, double loss, double norm)
{
    char what[128];

    snprintf(what, sizeof what, "%s: step %d: loss", folder, step);
    expect_number(what, loss, b->loss[step], LOSS_TOLERANCE);
    snprintf(what, sizeof what, "%s: step %d: gradient norm", folder, step);
    expect_number(what, norm, b->norm[step], PARAMETER_TOLERANCE);
}

/* --- alignment, of whatever computes a loss and gradients from features ----------------------------------------------
 */

typedef double align_step(void *context, const float *features, const int32_t *labels, const uint8_t *allowed, int n);

static void run_alignment(const char *folder, const char *loss_name, int task, int epochs, int per_epoch,
                          struct parameters *p, align_step *step, void *context)
{
    int rows = IN_TASK * (task + 1) * SAMPLES; /* drawn each epoch, of which per_epoch * SAMPLES are used */
    float *draws = reference_floats(&reference, in(folder, "draws"), (size_t)(epochs * rows * D));
    int32_t *labels = reference_integers(&reference, in(folder, "draw_labels"), (size_t)(epochs * rows));
    double *losses = reference_doubles(&reference, in(folder, loss_name), (size_t)(epochs * per_epoch));
    uint8_t allowed[C];

    allow(allowed, 0, task);
    parameters_reset(p);
    for (int i = 0; i < epochs * per_epoch; i++) {
        int epoch = i / per_epoch, row = epoch * rows + i % per_epoch * SAMPLES;
        double loss = step(context, draws + row * D, labels + row, allowed, SAMPLES);

        expect_number(in(folder, loss_name), loss, losses[i], LOSS_TOLERANCE);
        parameters_sgd(p, alignment_factor(epoch, epochs));
    }
    free(draws);
    free(labels);
    free(losses);
}

static void set_rates(struct parameters *p, double rate)
{
    for (int i = 0; i < p->groups; i++)
        p->group[i].base_rate = rate;
}

/* --- task-identity inference -----------------------------------------------------------------------------------------
 */

struct tii {
    struct parameters p;
    mlp *mlp;
    classifier *head;
};

static double tii_step(void *context, const float *features, const int32_t *labels, const uint8_t *allowed, int n)
{
    struct tii *t = context;
    float y[BATCH_MAX * D], dy[BATCH_MAX * D], logits[BATCH_MAX * C];
    double loss;

    mlp_forward(t->mlp, parameters_value(&t->p, "mlp"), features, n, y);
    classifier_forward(t->head, &t->p, y, n, logits);
    loss = cross_entropy(logits, labels, allowed, n, C, false, NULL);
    classifier_backward(t->head, &t->p, logits, dy);
    mlp_backward(t->mlp, parameters_value(&t->p, "mlp"), dy, parameters_gradient(&t->p, "mlp"));
    return loss;
}

/* Names of the MLP's tensors in the file, in the order of mlp_tensor(). */
static const char *const names_2[] = {"w1", "b1", "w2", "b2", "norm_w", "norm_b"};
static const char *const names_4_4[] = {"w1", "b1", "w2", "b2", "inner_w", "inner_b", "w3", "b3", "norm_w", "norm_b"};

static void tii_trajectory(const char *folder, enum mlp_structure structure, bool fc_norm)
{
    struct mlp_shape shape = {.structure = structure, .width = D, .identity_norm = fc_norm};
    struct classifier_shape head = {.classes = C, .width = D, .fc_norm = fc_norm};
    const struct schedule schedule = {.kind = SCHEDULE_constant, .epochs = STEPS / 2};
    const char *plain = fc_norm ? "plain/token_raw" : "plain/token";
    float *z = reference_floats(&reference, plain, IMAGES * D), features[BATCH_MAX * D];
    double *lr = reference_doubles(&reference, in(folder, "lr"), STEPS);
    double *align_lr = reference_doubles(&reference, in(folder, "align_lr"), 25);
    struct batches batches = batches_open(folder, 7);
    struct names names = {0};
    struct mlp_tensor tensor;
    struct tii t = {0};
    uint8_t allowed[C];
    err e = {0};

    parameters_add(&t.p, "mlp", mlp_count(&shape), lr[0]);
    classifier_add(&t.p, &head, lr[0]);
    assert_int_equal(parameters_create(&t.p, &e), 0);
    assert_int_equal(mlp_create(&t.mlp, &shape, BATCH_MAX, &e), 0);
    assert_int_equal(classifier_create(&t.head, &head, BATCH_MAX, &e), 0);
    for (int k = 0; mlp_tensor(&shape, k, &tensor); k++)
        name_add(&names, (structure == MLP_2 ? names_2 : names_4_4)[k], tensor.offset, tensor.rows * tensor.columns);
    name_head(&names, &t.p);
    load(&names, &t.p, folder, "initial");

    allow(allowed, 1, 1);
    for (int step = 0; step < STEPS; step++) {
        const int32_t *rows;
        int32_t labels[BATCH_MAX];
        int n = batch_at(&batches, step, &rows, labels);
        double loss;

        for (int b = 0; b < n; b++)
            memcpy(features + b * D, z + rows[b] * D, D * sizeof *z);
        loss = tii_step(&t, features, labels, allowed, n);
        expect_step(folder, &batches, step, loss, parameters_adam(&t.p, &schedule, step / 2, 1));
    }
    expect_parameters(&names, &t.p, folder, "trained");

    load(&names, &t.p, folder, "trained");
    set_rates(&t.p, align_lr[0]);
    run_alignment(folder, "align_loss", 1, 25, 2, &t.p, tii_step, &t);
    expect_parameters(&names, &t.p, folder, "aligned");

    batches_close(&batches);
    free(z);
    free(lr);
    free(align_lr);
    mlp_free(t.mlp);
    classifier_free(t.head);
    parameters_free(&t.p);
}

static void tii_of_two_layers(void **state)
{
    (void)state;
    tii_trajectory("tii/2", MLP_2, false);
}

static void tii_of_three_layers(void **state)
{
    (void)state;
    tii_trajectory("tii/4-4", MLP_4_4, false);
}

static void tii_with_fc_norm(void **state)
{
    (void)state;
    tii_trajectory("tii/2-fc_norm", MLP_2, true);
}

/* --- prompts ---------------------------------------------------------------------------------------------------------
 */

struct scenario {
    const char *name;
    enum gate gate;
    bool official;
    int batch;
    struct schedule schedule;
};

static const struct scenario norga = {
    "norga",
    GATE_tanh,
    false,
    7,
    {.kind = SCHEDULE_step, .epochs = 25, .decay_epochs = 10, .decay_rate = 0.1, .lag = true}};
static const struct scenario official = {
    "official", GATE_sigmoid, true, 8, {.kind = SCHEDULE_cosine, .epochs = 25, .min_rate = 1e-5, .lag = true}};

/* Features of given images, all with this prompt. */
static void prompted(const struct scenario *s, vit_batch *batch, const float *prompt, const float *scalars,
                     const int32_t *rows, int n, float *features)
{
    static float pixels[BATCH_MAX][PIXELS]; /* borrowed by the batch until vit_backward() */
    static struct prefix_source sources[BATCH_MAX];
    static struct prefix prefix;
    err e = {0};

    prefix = (struct prefix){.length = L, .gate = s->gate, .scopes = 1, .sources = sources};
    assert_int_equal(prefix_set_layers(&prefix, 3, reference.weights.shape.depth, &e), 0);
    for (int b = 0; b < n; b++) {
        int sample;

        memcpy(pixels[b], reference.images[rows[b]], sizeof pixels[b]);
        sources[b] = (struct prefix_source){.key_prompt = prompt, .value_prompt = prompt, .scalars = scalars};
        prefix_map(s->official, n, b, 0, &sources[b].key_half, &sample);
        prefix_map(s->official, n, b, 1, &sources[b].value_half, &sample);
    }
    vit_forward(batch, &reference.weights, pixels[0], n, &prefix, features);
}

/* The learner of one task. */
struct wtp {
    const struct scenario *s;
    struct parameters p;
    classifier *head;
    vit_batch *batch;
    int task;
    double momentum;
    float weight, mean[PROMPT]; /* of the earlier prompts */
    float *class_means;         /* (2 task, D); NULL in task 0 */
    float *scratch;
};

/* (1 - m) prompt + m mean of the earlier ones, or the prompt itself in task 0. */
static void mix(const struct wtp *w, const float *prompt, float *out)
{
    double m = w->task > 0 ? w->momentum : 0;

    for (int i = 0; i < PROMPT; i++)
        out[i] = (float)((1 - m) * (double)prompt[i] + m * (double)w->mean[i]);
}

static double wtp_step(struct wtp *w, const int32_t *rows, const int32_t *labels, const uint8_t *allowed, int n)
{
    const float *scalars = parameters_value(&w->p, "scalars");
    float mixed[PROMPT], features[BATCH_MAX * D], dfeatures[BATCH_MAX * D], logits[BATCH_MAX * C];
    float *dprompt = parameters_gradient(&w->p, "prompt");
    double loss;

    mix(w, parameters_value(&w->p, "prompt"), mixed);
    prompted(w->s, w->batch, mixed, scalars, rows, n, features);
    classifier_forward(w->head, &w->p, features, n, logits);
    loss = cross_entropy(logits, labels, allowed, n, C, false, NULL);
    classifier_backward(w->head, &w->p, logits, dfeatures);
    loss += (double)w->weight *
            contrastive(w->class_means, IN_TASK * w->task, features, n, D, 0.8f, w->weight, dfeatures, w->scratch);
    vit_backward(w->batch, &reference.weights, dfeatures,
                 &(struct vit_gradients){.prompt = dprompt, .scalars = parameters_gradient(&w->p, "scalars")});
    for (int i = 0; w->task > 0 && i < PROMPT; i++)
        dprompt[i] *= (float)(1 - w->momentum);
    return loss;
}

static void open_task(struct wtp *w, const struct scenario *s, int task, const char *folder, const double *rates)
{
    struct classifier_shape head = {.classes = C, .width = D};
    float *prompts = reference_floats(&reference, in(folder, "initial/prompts"), T * PROMPT);
    char name[64];
    err e = {0};

    *w = (struct wtp){.s = s, .task = task};
    snprintf(name, sizeof name, "wtp/%s.momentum", s->name);
    w->momentum = reference_number(&reference, name);
    snprintf(name, sizeof name, "wtp/%s.weight", s->name);
    w->weight = (float)reference_number(&reference, name);
    for (int t = 0; t < task; t++)
        for (int i = 0; i < PROMPT; i++)
            w->mean[i] += prompts[t * PROMPT + i] / (float)task;
    if (task > 0) {
        assert_memory_equal(prompts + task * PROMPT, prompts + (task - 1) * PROMPT, PROMPT * sizeof *prompts);
        w->class_means = reference_floats(&reference, in(folder, "means"), (size_t)(IN_TASK * task * D));
    }
    parameters_add(&w->p, "prompt", PROMPT, rates[0]);
    parameters_add(&w->p, "scalars", SCALARS, task == 0 ? rates[0] : 0);
    classifier_add(&w->p, &head, rates[1]);
    assert_int_equal(parameters_create(&w->p, &e), 0);
    assert_int_equal(classifier_create(&w->head, &head, BATCH_MAX, &e), 0);
    assert_int_equal(vit_batch_create(&w->batch, &reference.weights.shape, VIT_PROMPT, BATCH_MAX, L, 0, 1, &e), 0);
    memcpy(parameters_value(&w->p, "prompt"), prompts + task * PROMPT, PROMPT * sizeof *prompts);
    w->scratch = malloc(contrastive_scratch(IN_TASK * task, BATCH_MAX, D) * sizeof *w->scratch);
    free(prompts);
}

static void close_task(struct wtp *w)
{
    free(w->class_means);
    free(w->scratch);
    vit_batch_free(w->batch);
    classifier_free(w->head);
    parameters_free(&w->p);
}

/* Features of the task's images with its folded prompt, class by class, and their statistics. */
static void task_statistics(struct wtp *w, const char *folder)
{
    enum { PER_CLASS = 6 };
    float *folded = reference_floats(&reference, in(folder, "folded"), PROMPT), scalars[SCALARS],
          features[IN_TASK * PER_CLASS * D];
    float *mean = reference_floats(&reference, in(folder, "statistics_mean"), IN_TASK * D);
    float *covariance = reference_floats(&reference, in(folder, "statistics_covariance"), IN_TASK * D * D);

    reference_read(&reference, in(folder, "final/scalars"), H5_F32, SCALARS, scalars);
    for (int k = 0; k < IN_TASK; k++) {
        float *own = features + k * PER_CLASS * D;
        struct class_statistics statistics;
        int32_t rows[PER_CLASS];
        int n = 0;
        err e = {0};

        for (int i = 0; i < IMAGES; i++)
            if (reference.labels[i] == reference.classes[w->task][k])
                rows[n++] = i;
        assert_int_equal(n, PER_CLASS);
        prompted(w->s, w->batch, folded, scalars, rows, n, own);
        assert_int_equal(statistics_measure(STATISTICS_covariance, own, PER_CLASS, D, 1, 0, 0, &statistics, &e), 0);
        expect_close(in(folder, "statistics_mean"), statistics.mean, mean + k * D, D, LOSS_TOLERANCE);
        expect_close(in(folder, "statistics_covariance"), statistics.spread, covariance + k * D * D, D * D,
                     LOSS_TOLERANCE);
        statistics_free(&statistics);
    }
    expect_array(&reference, in(folder, "features"), features, IN_TASK * PER_CLASS * D, LOSS_TOLERANCE);
    free(folded);
    free(mean);
    free(covariance);
}

static void learn_task(const struct scenario *s, int task)
{
    char folder[64];
    double *lr;
    float before[C * D], folded[PROMPT], *prompts, *weight;
    struct names names = {0};
    struct batches batches;
    uint8_t allowed[C];
    struct wtp w;

    snprintf(folder, sizeof folder, "wtp/%s/task%d", s->name, task);
    lr = reference_doubles(&reference, in(folder, "lr"), 2 * STEPS);
    batches = batches_open(folder, s->batch);
    open_task(&w, s, task, folder, lr);
    name_group(&names, &w.p, "scalars", "scalars");
    name_head(&names, &w.p);
    load(&names, &w.p, folder, "initial");
    weight = parameters_value(&w.p, "head.weight");
    memcpy(before, weight, sizeof before);
    allow(allowed, task, task);
    for (int step = 0; step < STEPS; step++) {
        const int32_t *rows;
        int32_t labels[BATCH_MAX];
        int n = batch_at(&batches, step, &rows, labels), epoch = step / 2;
        double loss = wtp_step(&w, rows, labels, allowed, n);

        expect_number(in(folder, "lr"), schedule_rate(&s->schedule, lr[0], epoch), lr[2 * step], 1e-9);
        expect_number(in(folder, "lr"), schedule_rate(&s->schedule, lr[1], epoch), lr[2 * step + 1], 1e-9);
        expect_step(folder, &batches, step, loss, parameters_adam(&w.p, &s->schedule, epoch, 1));
    }
    expect_parameters(&names, &w.p, folder, "final");
    prompts = reference_floats(&reference, in(folder, "final/prompts"), T * PROMPT);
    expect_close(in(folder, "final/prompts"), parameters_value(&w.p, "prompt"), prompts + task * PROMPT, PROMPT,
                 PARAMETER_TOLERANCE);
    for (int c = 0; c < C; c++)
        if (!allowed[c])
            assert_memory_equal(weight + c * D, before + c * D,
                                D * sizeof *weight); /* other classes' rows: the same bits */
    mix(&w, parameters_value(&w.p, "prompt"), folded);
    expect_array(&reference, in(folder, "folded"), folded, PROMPT, PARAMETER_TOLERANCE);
    task_statistics(&w, folder);
    close_task(&w);
    batches_close(&batches);
    free(prompts);
    free(lr);
}

static void prompts_in_the_fixed_layout(void **state)
{
    (void)state;
    for (int task = 0; task < T; task++)
        learn_task(&norga, task);
}

static void prompts_in_the_official_layout(void **state)
{
    (void)state;
    for (int task = 0; task < T; task++)
        learn_task(&official, task);
}

/* --- alignment of the head -------------------------------------------------------------------------------------------
 */

struct tap {
    struct parameters p;
    classifier *head;
};

static double tap_step(void *context, const float *features, const int32_t *labels, const uint8_t *allowed, int n)
{
    struct tap *t = context;
    float logits[SAMPLES * C];
    double loss;

    classifier_forward(t->head, &t->p, features, n, logits);
    loss = cross_entropy(logits, labels, allowed, n, C, false, NULL);
    classifier_backward(t->head, &t->p, logits, NULL);
    return loss;
}

static void align_head(const char *scenario, int task, int epochs)
{
    struct classifier_shape shape = {.classes = C, .width = D};
    struct names names = {0};
    struct tap t = {0};
    char folder[64], from[64];
    double *lr;
    err e = {0};

    snprintf(folder, sizeof folder, "wtp/%s/tap%d", scenario, task);
    snprintf(from, sizeof from, "wtp/%s/task%d", scenario, task);
    lr = reference_doubles(&reference, in(folder, "lr"), (size_t)epochs);
    classifier_add(&t.p, &shape, lr[0]);
    assert_int_equal(parameters_create(&t.p, &e), 0);
    assert_int_equal(classifier_create(&t.head, &shape, SAMPLES, &e), 0);
    name_head(&names, &t.p);
    load(&names, &t.p, from, "final");
    run_alignment(folder, "loss", task, epochs, IN_TASK * task, &t.p, tap_step, &t);
    expect_array(&reference, in(folder, "final_w"), parameters_value(&t.p, "head.weight"), C * D, PARAMETER_TOLERANCE);
    expect_array(&reference, in(folder, "final_b"), parameters_value(&t.p, "head.bias"), C, PARAMETER_TOLERANCE);
    classifier_free(t.head);
    parameters_free(&t.p);
    free(lr);
}

static void alignment_of_the_head(void **state)
{
    static const char *const scenarios[] = {"norga", "official"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        align_head(scenarios[i], 1, 25);
        align_head(scenarios[i], 2, 13);
    }
}

/* --- class statistics ------------------------------------------------------------------------------------------------
 */

static void statistics_and_draws(void **state)
{
    enum { N = 40 };
    float *features = reference_floats(&reference, "statistics/features", N * D), drawn[SAMPLES * D],
          expected[SAMPLES * D];
    float *covariance = reference_floats(&reference, "statistics/covariance", D * D);
    rng stream = rng_stream(3, RNG_TEST, 1, 2, 3), same = stream;
    struct class_statistics s;
    int n;
    err e = {0};

    (void)state;
    assert_int_equal(statistics_measure(STATISTICS_covariance, features, N, D, 1, 0, 0, &s, &e), 0);
    expect_array(&reference, "statistics/mean", s.mean, D, LOSS_TOLERANCE);
    expect_close("covariance", s.spread, covariance, D * D, LOSS_TOLERANCE);
    assert_int_equal(statistics_draw(&s, &stream, SAMPLES, drawn, &n, &e), 0);
    assert_int_equal(n, SAMPLES);
    expect_array(&reference, "statistics/cholesky", s.factor, D * D, LOSS_TOLERANCE);
    for (int b = 0; b < SAMPLES; b++) { /* mean + L z, z being the stream's numbers */
        float z[D];

        for (int i = 0; i < D; i++)
            z[i] = rng_normal(&same);
        for (int i = 0; i < D; i++) {
            double sum = (double)s.mean[i];

            for (int j = 0; j <= i; j++)
                sum += (double)s.factor[i * D + j] * (double)z[j];
            expected[b * D + i] = (float)sum;
        }
    }
    expect_close("draws", drawn, expected, SAMPLES * D, 1e-6);
    statistics_free(&s);
    assert_int_equal(statistics_measure(STATISTICS_variance, features, N, D, 1, 0, 0, &s, &e), 0);
    for (int i = 0; i < D; i++)
        expect_number("variance", (double)s.spread[i], (double)covariance[i * D + i], LOSS_TOLERANCE);
    free(covariance);
    statistics_free(&s);
    free(features);
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
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tii_of_two_layers),
        cmocka_unit_test(tii_of_three_layers),
        cmocka_unit_test(tii_with_fc_norm),
        cmocka_unit_test(prompts_in_the_fixed_layout),
        cmocka_unit_test(prompts_in_the_official_layout),
        cmocka_unit_test(alignment_of_the_head),
        cmocka_unit_test(statistics_and_draws),
    };

    return cmocka_run_group_tests(tests, open_reference, close_reference);
}
