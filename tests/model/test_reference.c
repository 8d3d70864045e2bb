/* Features, loss and every gradient of a training step against PyTorch's autograd: every gate, both layouts, prompts of
 * length 1, 5 and 20, odd and even batches (tests/reference/trainer.h5). */
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
#include "model/optimizer.h"
#include "model/vit.h"
#include "reference.h"

enum { B = 5, MEANS = 2 };
static const double TOLERANCE = 1e-4;

static struct reference reference;

/* --- plain features ------------------------------------------------------------------------------------------ */

static void plain_features(void **state)
{
    static const struct {
        const char *name;
        enum vit_pool pool;
        bool raw;
    } cases[] = {{"plain/token", VIT_POOL_TOKEN, false},
                 {"plain/mean", VIT_POOL_MEAN, false},
                 {"plain/token_raw", VIT_POOL_TOKEN, true},
                 {"plain/mean_raw", VIT_POOL_MEAN, true}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vit_weights w = cases[i].raw ? reference.raw_weights : reference.weights;
        float got[IMAGES * D];
        vit_batch *batch;
        err e = {0};

        w.shape.pool = cases[i].pool;
        assert_int_equal(vit_batch_create(&batch, &w.shape, VIT_INFER, IMAGES, 0, 0, 1, &e), 0);
        vit_forward(batch, &w, reference.images[0], IMAGES, NULL, got);
        expect_array(&reference, cases[i].name, got, IMAGES * D, TOLERANCE);
        vit_batch_free(batch);
    }
}

/* --- one training step --------------------------------------------------------------------------------------- */

/* What a step is given, and what comes out of it. */
struct given {
    float head_w[C * D], head_b[C], means[MEANS * D], scalars[LAYERS * 2];
    int32_t batch[B], labels[B];
    uint8_t allowed[C];
    float weight;
};

static struct given read_given(void)
{
    struct given g = {.weight = (float)reference_number(&reference, "gradient.weight")};

    reference_read(&reference, "gradient/head_w", H5_F32, C * D, g.head_w);
    reference_read(&reference, "gradient/head_b", H5_F32, C, g.head_b);
    reference_read(&reference, "gradient/means", H5_F32, MEANS * D, g.means);
    reference_read(&reference, "gradient/scalars", H5_F32, LAYERS * 2, g.scalars);
    reference_read(&reference, "gradient/batch", H5_I32, B, g.batch);
    for (int b = 0; b < B; b++)
        g.labels[b] = reference.labels[g.batch[b]];
    for (int k = 0; k < IN_TASK; k++)
        g.allowed[reference.classes[1][k]] = 1;
    return g;
}

struct result {
    float features[B * D], logits[B * C], dfeatures[B * D], head_w[C * D], head_b[C], norm_w[D], norm_b[D];
    double loss;
};

/* From features to loss and back, by the model's head; norm (2, D: gain, bias) is its fc_norm, NULL for none. */
static void head_step(const struct given *g, int n, const float *norm, struct result *r)
{
    struct classifier_shape shape = {.classes = C, .width = D, .fc_norm = norm != NULL};
    struct parameters p = {0};
    float dlogits[B * C];
    classifier *head;
    err e = {0};

    classifier_add(&p, &shape, 1);
    assert_int_equal(parameters_create(&p, &e), 0);
    assert_int_equal(classifier_create(&head, &shape, B, &e), 0);
    memcpy(parameters_value(&p, "head.weight"), g->head_w, sizeof g->head_w);
    memcpy(parameters_value(&p, "head.bias"), g->head_b, sizeof g->head_b);
    if (norm) {
        memcpy(parameters_value(&p, "fc_norm.weight"), norm, D * sizeof *norm);
        memcpy(parameters_value(&p, "fc_norm.bias"), norm + D, D * sizeof *norm);
    }
    classifier_forward(head, &p, r->features, n, r->logits);
    memcpy(dlogits, r->logits, sizeof dlogits);
    r->loss = cross_entropy(dlogits, g->labels, g->allowed, n, C, false, NULL);
    classifier_backward(head, &p, dlogits, r->dfeatures);
    memcpy(r->head_w, parameters_gradient(&p, "head.weight"), sizeof r->head_w);
    memcpy(r->head_b, parameters_gradient(&p, "head.bias"), sizeof r->head_b);
    if (norm) {
        memcpy(r->norm_w, parameters_gradient(&p, "fc_norm.weight"), sizeof r->norm_w);
        memcpy(r->norm_b, parameters_gradient(&p, "fc_norm.bias"), sizeof r->norm_b);
    }
    classifier_free(head);
    parameters_free(&p);
}

/* One step of task 1 with its prompt for every image. */
struct step {
    const struct vit_weights *w;
    enum gate gate;
    bool official;
    int length, n, scopes;
    const float *prompt, *scalars;
    const float *norm; /* before the head; NULL: none */
};

static void run_step(const struct given *g, const struct step *s, struct result *r, float *dprompt, float *dscalars)
{
    struct prefix_source sources[B];
    struct prefix prefix = {.length = s->length, .gate = s->gate, .scopes = s->scopes, .sources = sources};
    float pixels[B][PIXELS], scratch[(MEANS + B) * (MEANS + B) + (MEANS + B) * D];
    vit_batch *batch;
    err e = {0};

    memset(r, 0, sizeof *r);
    assert_true(contrastive_scratch(MEANS, B, D) <= sizeof scratch / sizeof *scratch);
    assert_int_equal(prefix_set_layers(&prefix, 3, s->w->shape.depth, &e), 0);
    for (int b = 0; b < s->n; b++) {
        int sample;

        sources[b] = (struct prefix_source){.key_prompt = s->prompt, .value_prompt = s->prompt, .scalars = s->scalars};
        prefix_map(s->official, s->n, b, 0, &sources[b].key_half, &sample);
        prefix_map(s->official, s->n, b, 1, &sources[b].value_half, &sample);
        memcpy(pixels[b], reference.images[g->batch[b]], sizeof pixels[b]);
    }
    assert_int_equal(vit_batch_create(&batch, &s->w->shape, VIT_PROMPT, B, s->length, 0, 1, &e), 0);
    vit_forward(batch, s->w, pixels[0], s->n, &prefix, r->features);
    head_step(g, s->n, s->norm, r);
    r->loss +=
        (double)g->weight * contrastive(g->means, MEANS, r->features, s->n, D, 0.8f, g->weight, r->dfeatures, scratch);
    vit_backward(batch, s->w, r->dfeatures, &(struct vit_gradients){.prompt = dprompt, .scalars = dscalars});
    vit_batch_free(batch);
}

/* Every gate, layout and batch parity for one prompt length. */
static void steps_of_length(int length)
{
    enum { GATES = 7, LAYOUTS = 2, BATCHES = 2, CASES = GATES * LAYOUTS * BATCHES, SCALARS = LAYERS * 2 };
    static const char *const gates[GATES] = {"none", "tanh", "sigmoid", "relu", "gelu", "softplus", "elu"};
    static const struct {
        const char *name;
        size_t size;
    } arrays[] = {{"features", B * D},  {"logits", B * C}, {"prompt", 0},
                  {"scalars", SCALARS}, {"head_w", C * D}, {"head_b", C}};
    enum { ARRAYS = sizeof arrays / sizeof *arrays };
    struct given g = read_given();
    size_t prompt_size = (size_t)LAYERS * 2 * (size_t)length * D;
    float *expected[ARRAYS], *prompts, *dprompt = malloc(prompt_size * sizeof *dprompt), dscalars[SCALARS];
    double *losses;
    char name[96];

    snprintf(name, sizeof name, "gradient/prompts_%d", length);
    prompts = reference_floats(&reference, name, T * prompt_size);
    snprintf(name, sizeof name, "gradient/L%d/loss", length);
    losses = reference_doubles(&reference, name, CASES);
    for (int k = 0; k < ARRAYS; k++) {
        snprintf(name, sizeof name, "gradient/L%d/%s", length, arrays[k].name);
        expected[k] = reference_floats(&reference, name, CASES * (arrays[k].size ? arrays[k].size : prompt_size));
    }
    for (int i = 0; i < CASES; i++) {
        struct step s = {.w = &reference.weights,
                         .gate = gate_by_name(gates[i / 4]),
                         .official = i / 2 % 2,
                         .length = length,
                         .n = 4 + i % 2,
                         .scopes = 1,
                         .prompt = prompts + prompt_size,
                         .scalars = g.scalars};
        struct result r;
        const float *got[ARRAYS] = {r.features, r.logits, dprompt, dscalars, r.head_w, r.head_b};

        run_step(&g, &s, &r, dprompt, dscalars);
        snprintf(name, sizeof name, "%s, %s, L %d, B %d: loss", gates[i / 4], s.official ? "official" : "fixed", length,
                 s.n);
        expect_number(name, r.loss, losses[i], TOLERANCE);
        for (int k = 0; k < ARRAYS; k++) {
            size_t size = arrays[k].size ? arrays[k].size : prompt_size;

            snprintf(strrchr(name, ':'), 16, ": %s", arrays[k].name);
            expect_close(name, got[k], expected[k] + (size_t)i * size, size, TOLERANCE);
        }
    }
    for (int k = 0; k < ARRAYS; k++)
        free(expected[k]);
    free(prompts);
    free(losses);
    free(dprompt);
}

static void steps_with_prompts_of_1(void **state)
{
    (void)state;
    steps_of_length(1);
}

static void steps_with_prompts_of_5(void **state)
{
    (void)state;
    steps_of_length(5);
}

static void steps_with_prompts_of_20(void **state)
{
    (void)state;
    steps_of_length(20);
}

enum { L5 = LAYERS * 2 * 5 * D }; /* numbers of a prompt of length 5 */

static void expect_in(const char *folder, const char *name, const float *got, size_t n)
{
    char path[64];

    snprintf(path, sizeof path, "gradient/%s/%s", folder, name);
    expect_array(&reference, path, got, n, TOLERANCE);
}

static void expect_step(const char *folder, const struct result *r, const float *dprompt, const float *dscalars,
                        int scopes)
{
    char path[64];
    double loss;

    snprintf(path, sizeof path, "gradient/%s/loss", folder);
    reference_read(&reference, path, H5_F64, 1, &loss);
    expect_number(path, r->loss, loss, TOLERANCE);
    expect_in(folder, "features", r->features, B * D);
    expect_in(folder, "logits", r->logits, B * C);
    expect_in(folder, "prompt", dprompt, L5);
    expect_in(folder, "scalars", dscalars, (size_t)(LAYERS * 2 * scopes));
    expect_in(folder, "head_w", r->head_w, C * D);
    expect_in(folder, "head_b", r->head_b, C);
}

static void a_gate_for_each_head(void **state)
{
    struct given g = read_given();
    float *prompts = reference_floats(&reference, "gradient/prompts_5", T * L5);
    float scalars[LAYERS * 2 * H], dprompt[L5], dscalars[LAYERS * 2 * H];
    struct step s = {.w = &reference.weights,
                     .gate = GATE_tanh,
                     .length = 5,
                     .n = B,
                     .scopes = H,
                     .prompt = prompts + L5,
                     .scalars = scalars};
    struct result r;

    (void)state;
    reference_read(&reference, "gradient/per_head/given", H5_F32, LAYERS * 2 * H, scalars);
    run_step(&g, &s, &r, dprompt, dscalars);
    expect_step("per_head", &r, dprompt, dscalars, H);
    free(prompts);
}

static void a_trained_norm_before_the_head(void **state)
{
    struct given g = read_given();
    float *prompts = reference_floats(&reference, "gradient/prompts_5", T * L5);
    float dprompt[L5], dscalars[LAYERS * 2], norm[2 * D];
    struct step s = {.w = &reference.raw_weights,
                     .gate = GATE_tanh,
                     .length = 5,
                     .n = B,
                     .scopes = 1,
                     .prompt = prompts + L5,
                     .scalars = g.scalars,
                     .norm = norm};
    struct result r;

    (void)state;
    reference_read(&reference, "gradient/fc_norm/given_w", H5_F32, D, norm);
    reference_read(&reference, "gradient/fc_norm/given_b", H5_F32, D, norm + D);
    run_step(&g, &s, &r, dprompt, dscalars);
    expect_step("fc_norm", &r, dprompt, dscalars, 1);
    expect_in("fc_norm", "norm_w", r.norm_w, D);
    expect_in("fc_norm", "norm_b", r.norm_b, D);
    free(prompts);
}

/* --- evaluation ---------------------------------------------------------------------------------------------- */

/* Each image asks for the prompt of its own inferred task. */
static void mixed_prompts(void **state)
{
    struct given g = read_given();
    float *prompts = reference_floats(&reference, "gradient/prompts_5", T * L5);
    float *expected = reference_floats(&reference, "gradient/mixed/features", 2 * 2 * B * D), pixels[B][PIXELS];
    int32_t tasks[B];

    (void)state;
    reference_read(&reference, "gradient/mixed/tasks", H5_I32, B, tasks);
    for (int b = 0; b < B; b++)
        memcpy(pixels[b], reference.images[g.batch[b]], sizeof pixels[b]);
    for (int i = 0; i < 4; i++) {
        bool official = i / 2;
        int n = 4 + i % 2;
        struct prefix_source sources[B];
        struct prefix prefix = {.length = 5, .gate = GATE_tanh, .scopes = 1, .sources = sources};
        float features[B * D] = {0};
        vit_batch *batch;
        err e = {0};

        assert_int_equal(prefix_set_layers(&prefix, 3, reference.weights.shape.depth, &e), 0);
        for (int b = 0; b < n; b++) {
            int key_sample, value_sample;

            prefix_map(official, n, b, 0, &sources[b].key_half, &key_sample);
            prefix_map(official, n, b, 1, &sources[b].value_half, &value_sample);
            sources[b].key_prompt = prompts + tasks[key_sample] * L5;
            sources[b].value_prompt = prompts + tasks[value_sample] * L5;
            sources[b].scalars = g.scalars;
        }
        assert_int_equal(vit_batch_create(&batch, &reference.weights.shape, VIT_INFER, B, 5, 0, 1, &e), 0);
        vit_forward(batch, &reference.weights, pixels[0], n, &prefix, features);
        expect_close(official ? "mixed, official" : "mixed, fixed", features, expected + i * B * D, B * D, TOLERANCE);
        vit_batch_free(batch);
    }
    free(prompts);
    free(expected);
}

/* --- schedules ----------------------------------------------------------------------------------------------- */

static void expect_rates(const char *name, const struct schedule *s)
{
    double *expected = reference_doubles(&reference, name, (size_t)s->epochs);

    for (int epoch = 0; epoch < s->epochs; epoch++)
        expect_number(name, schedule_rate(s, 0.015, epoch), expected[epoch], 1e-12);
    free(expected);
}

static void learning_rates(void **state)
{
    enum { ALIGN = 30 };
    static const struct {
        const char *name;
        enum schedule_kind kind;
        int epochs;
        bool lag;
    } cases[] = {{"lr/step", SCHEDULE_step, 50, false},
                 {"lr/step_lag", SCHEDULE_step, 50, true},
                 {"lr/cosine", SCHEDULE_cosine, 150, false},
                 {"lr/cosine_lag", SCHEDULE_cosine, 150, true}};
    double *align = reference_doubles(&reference, "lr/align", ALIGN);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_rates(cases[i].name, &(struct schedule){.kind = cases[i].kind,
                                                       .epochs = cases[i].epochs,
                                                       .decay_epochs = 30,
                                                       .decay_rate = 0.1,
                                                       .min_rate = 1e-5,
                                                       .lag = cases[i].lag});
    for (int epoch = 0; epoch < ALIGN; epoch++)
        expect_number("lr/align", 0.05 * alignment_factor(epoch, ALIGN), align[epoch], 1e-9);
    free(align);
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
        cmocka_unit_test(plain_features),          cmocka_unit_test(steps_with_prompts_of_1),
        cmocka_unit_test(steps_with_prompts_of_5), cmocka_unit_test(steps_with_prompts_of_20),
        cmocka_unit_test(a_gate_for_each_head),    cmocka_unit_test(a_trained_norm_before_the_head),
        cmocka_unit_test(mixed_prompts),           cmocka_unit_test(learning_rates),
    };

    return cmocka_run_group_tests(tests, open_reference, close_reference);
}
