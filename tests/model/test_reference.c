/* The Vision Transformer with gated prefix experts against PyTorch's autograd: tests/reference/trainer.h5, whose arrays
 * are described at the top of trainer.py beside it.  The loss and its gradient up to the features are computed here,
 * plainly and in double; everything below the features is the model's. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/h5.h"
#include "model/vit.h"

/* Sizes of the reference; open_reference() checks that the file has them. */
enum { D = 24, H = 2, C = 6, T = 3, LAYERS = 2, IMAGES = 36, PIXELS = 3 * 12 * 12, B = 5, MEANS = 2, IN_TASK = 2 };
static const double TOLERANCE = 1e-4; /* of the largest number of an array */

static h5 *file;
static struct vit_weights weights, raw_weights; /* raw: without the final norm */
static float images[IMAGES][PIXELS];
static int32_t labels[IMAGES], classes[T][IN_TASK];

/* --- reading and comparing
 * ------------------------------------------------------------------------------------------------ */

/* An array that must have `count` numbers, whatever its shape; malloc'd. */
static void *array(const char *name, enum h5_type type, size_t count)
{
    size_t shape[H5_MAX_RANK], total = 1, size = type == H5_F64 ? sizeof(double) : sizeof(float);
    void *data = malloc(count * size);
    int rank;
    err e = {0};

    if (h5_shape(file, name, &rank, shape, &e))
        fail_msg("%s", e.text);
    for (int i = 0; i < rank; i++)
        total *= shape[i];
    if (total != count)
        fail_msg("%s has %zu numbers, expected %zu", name, total, count);
    if (h5_read(file, name, type, rank, shape, data, &e))
        fail_msg("%s", e.text);
    return data;
}

static float *floats(const char *name, size_t count)
{
    return array(name, H5_F32, count);
}

static void read_into(const char *name, enum h5_type type, size_t count, void *to)
{
    void *data = array(name, type, count);

    memcpy(to, data, count * (type == H5_F64 ? sizeof(double) : sizeof(float)));
    free(data);
}

static void expect_close(const char *what, const float *got, const float *expected, size_t n)
{
    double largest = 0, worst = 0;
    size_t at = 0;

    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)expected[i]));
    for (size_t i = 0; i < n; i++) {
        double distance = fabs((double)got[i] - (double)expected[i]);

        if (!(distance <= worst)) { /* NaN counts as worst */
            worst = distance;
            at = i;
        }
    }
    if (!(worst <= TOLERANCE * largest))
        fail_msg("%s[%zu] is %.9g, expected %.9g (largest number %g)", what, at, (double)got[at], (double)expected[at],
                 largest);
}

static void expect_number(const char *what, double got, double expected)
{
    if (!(fabs(got - expected) <= TOLERANCE * fabs(expected)))
        fail_msg("%s is %.9g, expected %.9g", what, got, expected);
}

static int number(const char *name)
{
    double value;
    err e = {0};

    if (h5_read_number(file, name, &value, &e))
        fail_msg("%s", e.text);
    return (int)value;
}

static void load_weights(struct vit_weights *w, bool no_final_norm)
{
    struct vit_shape shape = {.side = number("side"),
                              .patch = number("patch"),
                              .width = number("width"),
                              .depth = number("depth"),
                              .heads = number("heads"),
                              .hidden = number("hidden"),
                              .no_final_norm = no_final_norm};
    struct vit_tensor t;
    char name[96];
    err e = {0};

    assert_int_equal(vit_weights_create(w, &shape, &e), 0);
    for (int k = 0; vit_tensor(w, k, &t); k++) {
        snprintf(name, sizeof name, "backbone/%s", t.name);
        read_into(name, H5_F32, t.rows * t.columns, t.data);
    }
}

static int open_reference(void **state)
{
    err e = {0};

    (void)state;
    if (h5_open(SOURCE_DIR "/tests/reference/trainer.h5", &file, &e))
        fail_msg("%s", e.text);
    assert_int_equal(number("width"), D);
    assert_int_equal(number("heads"), H);
    assert_int_equal(number("classes"), C);
    assert_int_equal(number("tasks"), T);
    assert_int_equal(number("layers"), LAYERS);
    load_weights(&weights, false);
    load_weights(&raw_weights, true);
    read_into("images", H5_F32, IMAGES * PIXELS, images);
    read_into("labels", H5_I32, IMAGES, labels);
    read_into("classes", H5_I32, T * IN_TASK, classes);
    return 0;
}

static int close_reference(void **state)
{
    (void)state;
    vit_weights_free(&weights);
    vit_weights_free(&raw_weights);
    h5_close(file);
    return 0;
}

/* --- plain features
 * ------------------------------------------------------------------------------------------------------- */

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
        struct vit_weights w = cases[i].raw ? raw_weights : weights;
        float got[IMAGES * D], *expected = floats(cases[i].name, IMAGES * D);
        vit_batch *batch;
        err e = {0};

        w.shape.pool = cases[i].pool;
        assert_int_equal(vit_batch_create(&batch, &w.shape, VIT_INFER, IMAGES, 0, 0, 1, &e), 0);
        vit_forward(batch, &w, images[0], IMAGES, NULL, got);
        expect_close(cases[i].name, got, expected, IMAGES * D);
        vit_batch_free(batch);
        free(expected);
    }
}

/* --- one training step
 * ---------------------------------------------------------------------------------------------------- */

/* What a step is given, and what comes out of it. */
struct given {
    float head_w[C][D], head_b[C], means[MEANS][D], scalars[LAYERS * 2];
    int32_t batch[B];
    double weight;
};

static struct given read_given(void)
{
    struct given g;
    err e = {0};

    read_into("gradient/head_w", H5_F32, C * D, g.head_w);
    read_into("gradient/head_b", H5_F32, C, g.head_b);
    read_into("gradient/means", H5_F32, MEANS * D, g.means);
    read_into("gradient/scalars", H5_F32, LAYERS * 2, g.scalars);
    read_into("gradient/batch", H5_I32, B, g.batch);
    assert_int_equal(h5_read_number(file, "gradient.weight", &g.weight, &e), 0);
    return g;
}

struct result {
    float features[B][D], logits[B][C], head_w[C][D], head_b[C], norm_w[D], norm_b[D];
    double loss;
    float dfeatures[B][D];
};

/* Cross-entropy over the classes of task 1 of logits = head of `inputs`, averaged: adds to loss, sets the head's
 * gradients and dinputs. */
static void cross_entropy(const struct given *g, int n, float (*inputs)[D], float (*dinputs)[D], struct result *r)
{
    memset(r->head_w, 0, sizeof r->head_w);
    memset(r->head_b, 0, sizeof r->head_b);
    memset(dinputs, 0, B * sizeof *dinputs);
    for (int b = 0; b < n; b++) {
        double sum = 0;

        for (int c = 0; c < C; c++) {
            double logit = (double)g->head_b[c];

            for (int i = 0; i < D; i++)
                logit += (double)g->head_w[c][i] * (double)inputs[b][i];
            r->logits[b][c] = (float)logit;
        }
        for (int k = 0; k < IN_TASK; k++)
            sum += exp((double)r->logits[b][classes[1][k]]);
        for (int k = 0; k < IN_TASK; k++) {
            int c = classes[1][k];
            double p = exp((double)r->logits[b][c]) / sum, d = (p - (c == labels[g->batch[b]])) / n;

            if (c == labels[g->batch[b]])
                r->loss -= log(p) / n;
            r->head_b[c] += (float)d;
            for (int i = 0; i < D; i++) {
                r->head_w[c][i] += (float)(d * (double)inputs[b][i]);
                dinputs[b][i] += (float)(d * (double)g->head_w[c][i]);
            }
        }
    }
}

/* The contrastive regulariser: adds to loss and to dfeatures. */
static void contrastive(const struct given *g, int n, struct result *r)
{
    enum { ROWS = MEANS + B };
    const float *row[ROWS];
    int rows = MEANS + n;
    double score[ROWS][ROWS], d[ROWS][ROWS];

    for (int i = 0; i < rows; i++)
        row[i] = i < MEANS ? g->means[i] : r->features[i - MEANS];
    for (int i = 0; i < rows; i++) {
        double top = -INFINITY, sum = 0;

        for (int j = 0; j < rows; j++) {
            score[i][j] = 0;
            for (int k = 0; k < D; k++)
                score[i][j] += (double)row[i][k] * (double)row[j][k] / 0.8;
            top = fmax(top, score[i][j]);
        }
        for (int j = 0; j < rows; j++)
            sum += exp(score[i][j] - top);
        for (int j = 0; j < rows; j++)
            d[i][j] = (exp(score[i][j] - top) / sum - (i == j)) / rows;
        r->loss += g->weight * (top + log(sum) - score[i][i]) / rows;
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < rows; j++)
            for (int k = 0; k < D; k++)
                r->dfeatures[i][k] +=
                    (float)(g->weight * (d[MEANS + i][j] + d[j][MEANS + i]) * (double)row[j][k] / 0.8);
}

/* Layer norm of the features and back through it. */
static void norm_forward(int n, float (*features)[D], const float *gain, const float *bias, float (*out)[D],
                         double (*xhat)[D], double *rstd)
{
    for (int b = 0; b < n; b++) {
        double mean = 0, variance = 0;

        for (int i = 0; i < D; i++)
            mean += (double)features[b][i] / D;
        for (int i = 0; i < D; i++)
            variance += ((double)features[b][i] - mean) * ((double)features[b][i] - mean) / D;
        rstd[b] = 1 / sqrt(variance + 1e-6);
        for (int i = 0; i < D; i++) {
            xhat[b][i] = ((double)features[b][i] - mean) * rstd[b];
            out[b][i] = (float)(xhat[b][i] * (double)gain[i] + (double)bias[i]);
        }
    }
}

static void norm_backward(int n, const float *gain, double (*xhat)[D], const double *rstd, float (*dout)[D],
                          struct result *r)
{
    for (int b = 0; b < n; b++) {
        double mean = 0, along = 0;

        for (int i = 0; i < D; i++) {
            mean += (double)dout[b][i] * (double)gain[i] / D;
            along += (double)dout[b][i] * (double)gain[i] * xhat[b][i] / D;
        }
        for (int i = 0; i < D; i++) {
            r->dfeatures[b][i] = (float)(((double)dout[b][i] * (double)gain[i] - mean - xhat[b][i] * along) * rstd[b]);
            r->norm_w[i] += (float)((double)dout[b][i] * xhat[b][i]);
            r->norm_b[i] += dout[b][i];
        }
    }
}

/* From features to loss and back to dfeatures; with a norm (2, D: gain, bias) before the head or without (NULL). */
static void loss_step(const struct given *g, int n, float (*norm)[D], struct result *r)
{
    float normed[B][D], dnormed[B][D];
    double xhat[B][D], rstd[B];

    r->loss = 0;
    if (norm) {
        norm_forward(n, r->features, norm[0], norm[1], normed, xhat, rstd);
        cross_entropy(g, n, normed, dnormed, r);
        norm_backward(n, norm[0], xhat, rstd, dnormed, r);
    } else {
        cross_entropy(g, n, r->features, r->dfeatures, r);
    }
    contrastive(g, n, r);
}

/* Images one after the other, as a batch has them. */
static void gather(const int32_t *batch, int n, float (*out)[PIXELS])
{
    for (int b = 0; b < n; b++)
        memcpy(out[b], images[batch[b]], sizeof *out);
}

/* One step of task 1 with its prompt for every image. */
struct step {
    const struct vit_weights *w;
    enum gate gate;
    bool official;
    int length, n, scopes;
    const float *prompt, *scalars;
    float (*norm)[D];
};

static void run_step(const struct given *g, const struct step *s, struct result *r, float *dprompt, float *dscalars)
{
    struct prefix_source sources[B];
    struct prefix prefix = {.length = s->length, .gate = s->gate, .scopes = s->scopes, .sources = sources};
    float pixels[B][PIXELS];
    vit_batch *batch;
    err e = {0};

    memset(r, 0, sizeof *r);
    assert_int_equal(prefix_set_layers(&prefix, 3, s->w->shape.depth, &e), 0);
    for (int b = 0; b < s->n; b++) {
        int sample;

        sources[b] = (struct prefix_source){.key_prompt = s->prompt, .value_prompt = s->prompt, .scalars = s->scalars};
        prefix_map(s->official, s->n, b, 0, &sources[b].key_half, &sample);
        prefix_map(s->official, s->n, b, 1, &sources[b].value_half, &sample);
    }
    gather(g->batch, s->n, pixels);
    assert_int_equal(vit_batch_create(&batch, &s->w->shape, VIT_PROMPT, B, s->length, 0, 1, &e), 0);
    vit_forward(batch, s->w, pixels[0], s->n, &prefix, r->features[0]);
    loss_step(g, s->n, s->norm, r);
    vit_backward(batch, s->w, r->dfeatures[0], &(struct vit_gradients){.prompt = dprompt, .scalars = dscalars});
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
    prompts = floats(name, T * prompt_size);
    snprintf(name, sizeof name, "gradient/L%d/loss", length);
    losses = array(name, H5_F64, CASES);
    for (int k = 0; k < ARRAYS; k++) {
        snprintf(name, sizeof name, "gradient/L%d/%s", length, arrays[k].name);
        expected[k] = floats(name, CASES * (arrays[k].size ? arrays[k].size : prompt_size));
    }
    for (int i = 0; i < CASES; i++) {
        struct step s = {.w = &weights,
                         .gate = gate_by_name(gates[i / 4]),
                         .official = i / 2 % 2,
                         .length = length,
                         .n = 4 + i % 2,
                         .scopes = 1,
                         .prompt = prompts + prompt_size,
                         .scalars = g.scalars};
        struct result r;
        const float *got[ARRAYS] = {r.features[0], r.logits[0], dprompt, dscalars, r.head_w[0], r.head_b};

        run_step(&g, &s, &r, dprompt, dscalars);
        snprintf(name, sizeof name, "%s, %s, L %d, B %d: loss", gates[i / 4], s.official ? "official" : "fixed", length,
                 s.n);
        expect_number(name, r.loss, losses[i]);
        for (int k = 0; k < ARRAYS; k++) {
            size_t size = arrays[k].size ? arrays[k].size : prompt_size;

            snprintf(strrchr(name, ':'), 16, ": %s", arrays[k].name);
            expect_close(name, got[k], expected[k] + (size_t)i * size, size);
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

static void expect_array(const char *folder, const char *name, const float *got, size_t n)
{
    char path[64];
    float *expected;

    snprintf(path, sizeof path, "gradient/%s/%s", folder, name);
    expected = floats(path, n);
    expect_close(path, got, expected, n);
    free(expected);
}

static void expect_step(const char *folder, const struct result *r, const float *dprompt, const float *dscalars,
                        int scopes)
{
    char path[64];
    double loss;

    snprintf(path, sizeof path, "gradient/%s/loss", folder);
    read_into(path, H5_F64, 1, &loss);
    expect_number(path, r->loss, loss);
    expect_array(folder, "features", r->features[0], B * D);
    expect_array(folder, "logits", r->logits[0], B * C);
    expect_array(folder, "prompt", dprompt, L5);
    expect_array(folder, "scalars", dscalars, (size_t)(LAYERS * 2 * scopes));
    expect_array(folder, "head_w", r->head_w[0], C * D);
    expect_array(folder, "head_b", r->head_b, C);
}

static void a_gate_for_each_head(void **state)
{
    struct given g = read_given();
    float *prompts = floats("gradient/prompts_5", T * L5), *scalars = floats("gradient/per_head/given", LAYERS * 2 * H);
    float dprompt[L5], dscalars[LAYERS * 2 * H];
    struct step s = {
        .w = &weights, .gate = GATE_tanh, .length = 5, .n = B, .scopes = H, .prompt = prompts + L5, .scalars = scalars};
    struct result r;

    (void)state;
    run_step(&g, &s, &r, dprompt, dscalars);
    expect_step("per_head", &r, dprompt, dscalars, H);
    free(prompts);
    free(scalars);
}

static void a_trained_norm_before_the_head(void **state)
{
    struct given g = read_given();
    float *prompts = floats("gradient/prompts_5", T * L5), dprompt[L5], dscalars[LAYERS * 2], norm[2][D];
    struct step s = {.w = &raw_weights,
                     .gate = GATE_tanh,
                     .length = 5,
                     .n = B,
                     .scopes = 1,
                     .prompt = prompts + L5,
                     .scalars = g.scalars,
                     .norm = norm};
    struct result r;

    (void)state;
    read_into("gradient/fc_norm/given_w", H5_F32, D, norm[0]);
    read_into("gradient/fc_norm/given_b", H5_F32, D, norm[1]);
    run_step(&g, &s, &r, dprompt, dscalars);
    expect_step("fc_norm", &r, dprompt, dscalars, 1);
    expect_array("fc_norm", "norm_w", r.norm_w, D);
    expect_array("fc_norm", "norm_b", r.norm_b, D);
    free(prompts);
}

/* Evaluation: each image asks for the prompt of its own inferred task. */
static void mixed_prompts(void **state)
{
    struct given g = read_given();
    float *prompts = floats("gradient/prompts_5", T * L5), *expected = floats("gradient/mixed/features", 2 * 2 * B * D);
    float pixels[B][PIXELS];
    int32_t tasks[B];

    (void)state;
    read_into("gradient/mixed/tasks", H5_I32, B, tasks);
    gather(g.batch, B, pixels);
    for (int i = 0; i < 4; i++) {
        bool official = i / 2;
        int n = 4 + i % 2;
        struct prefix_source sources[B];
        struct prefix prefix = {.length = 5, .gate = GATE_tanh, .scopes = 1, .sources = sources};
        float features[B * D] = {0};
        vit_batch *batch;
        err e = {0};

        assert_int_equal(prefix_set_layers(&prefix, 3, weights.shape.depth, &e), 0);
        for (int b = 0; b < n; b++) {
            int key_sample, value_sample;

            prefix_map(official, n, b, 0, &sources[b].key_half, &key_sample);
            prefix_map(official, n, b, 1, &sources[b].value_half, &value_sample);
            sources[b].key_prompt = prompts + tasks[key_sample] * L5;
            sources[b].value_prompt = prompts + tasks[value_sample] * L5;
            sources[b].scalars = g.scalars;
        }
        assert_int_equal(vit_batch_create(&batch, &weights.shape, VIT_INFER, B, 5, 0, 1, &e), 0);
        vit_forward(batch, &weights, pixels[0], n, &prefix, features);
        expect_close(official ? "mixed, official" : "mixed, fixed", features, expected + i * B * D, B * D);
        vit_batch_free(batch);
    }
    free(prompts);
    free(expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_features),          cmocka_unit_test(steps_with_prompts_of_1),
        cmocka_unit_test(steps_with_prompts_of_5), cmocka_unit_test(steps_with_prompts_of_20),
        cmocka_unit_test(a_gate_for_each_head),    cmocka_unit_test(a_trained_norm_before_the_head),
        cmocka_unit_test(mixed_prompts),
    };

    return cmocka_run_group_tests(tests, open_reference, close_reference);
}
