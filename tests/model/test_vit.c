/* The Vision Transformer: gradients against finite differences, and results that do not depend on threads, mode or batch. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/rng.h"
#include "model/vit.h"

static const struct vit_shape tiny = {.side = 8, .patch = 4, .width = 8, .depth = 3, .heads = 2, .hidden = 12};
enum { B = 5, L = 2, LAYERS = 2, D = 8, T = 5 };
enum { PROMPT = LAYERS * 2 * L * D, SCALARS = LAYERS * 2, IMAGES = B * 3 * 8 * 8 };

struct world {
    struct vit_weights w;
    float images[IMAGES], prompt[PROMPT], scalars[SCALARS], weights[B * T * D];
    struct prefix_source sources[B];
    struct prefix prefix;
    err e;
};

static void world_open(struct world *x, const struct vit_shape *shape, enum gate gate, bool official)
{
    rng r = rng_stream(3, RNG_TEST, 0, 0, 0);

    memset(x, 0, sizeof *x);
    assert_int_equal(vit_weights_create(&x->w, shape, &x->e), 0);
    vit_weights_init(&x->w, 5);
    for (size_t i = 0; i < x->w.count; i++) /* larger weights, non-trivial norms and biases: nothing may hide */
        x->w.memory[i] = x->w.memory[i] * 4 + 0.2f * rng_normal(&r);
    rng_fill_uniform(&r, x->images, IMAGES, 0, 1);
    rng_fill_uniform(&r, x->prompt, PROMPT, -1, 1);
    rng_fill_uniform(&r, x->scalars, SCALARS, 0.5f, 1.5f);
    rng_fill_normal(&r, x->weights, B * T * D, 1);
    x->prefix = (struct prefix){.length = L, .gate = gate, .scopes = 1, .sources = x->sources};
    assert_int_equal(prefix_set_layers(&x->prefix, 0x6, shape->depth, &x->e), 0); /* blocks 1 and 2 */
    for (int b = 0; b < B; b++) {
        int sample;

        x->sources[b] =
            (struct prefix_source){.key_prompt = x->prompt, .value_prompt = x->prompt, .scalars = x->scalars};
        prefix_map(official, B, b, 0, &x->sources[b].key_half, &sample);
        prefix_map(official, B, b, 1, &x->sources[b].value_half, &sample);
    }
}

static void forward(struct world *x, enum vit_mode mode, int threads, int first, int count, bool prompted,
                    float *features, const struct vit_gradients *g)
{
    struct prefix shifted = x->prefix;
    vit_batch *batch;

    shifted.sources += first;
    assert_int_equal(vit_batch_create(&batch, &x->w.shape, mode, B, L, mode == VIT_PROMPT ? 1 : 0, threads, &x->e), 0);
    vit_forward(batch, &x->w, x->images + first * 3 * 64, count, prompted ? &shifted : NULL, features);
    if (g)
        vit_backward(batch, &x->w, x->weights, g);
    vit_batch_free(batch);
}

static double loss_of(struct world *x, bool prompted)
{
    float features[B * T * D];
    size_t numbers = x->w.shape.pool == VIT_POOL_NONE ? B * T * D : B * D;
    double loss = 0;

    forward(x, VIT_INFER, 1, 0, B, prompted, features, NULL);
    for (size_t i = 0; i < numbers; i++)
        loss += (double)features[i] * x->weights[i];
    return loss;
}

static void expect_slope(struct world *x, bool prompted, float *at, float got, const char *what, size_t i)
{
    float kept = *at, step = 2e-3f;
    double up, down, slope;

    *at = kept + step;
    up = loss_of(x, prompted);
    *at = kept - step;
    down = loss_of(x, prompted);
    *at = kept;
    slope = (up - down) / (2.0 * (double)step);
    if (!(fabs(slope - (double)got) < 1e-2 * (1 + fabs(slope))))
        fail_msg("gradient of %s[%zu] is %g, finite difference %g", what, i, (double)got, slope);
}

static void prompt_gradients(void **state)
{
    (void)state;
    for (int pool = 0; pool < 3; pool++)
        for (int official = 0; official < 2; official++) {
            struct vit_shape shape = tiny;
            float prompt[PROMPT], scalars[SCALARS], features[B * T * D];
            struct world x;

            shape.pool = (enum vit_pool)pool;
            world_open(&x, &shape, GATE_tanh, official);
            forward(&x, VIT_PROMPT, 2, 0, B, true, features,
                    &(struct vit_gradients){.prompt = prompt, .scalars = scalars});
            for (size_t i = 0; i < PROMPT; i++)
                expect_slope(&x, true, &x.prompt[i], prompt[i], "prompt", i);
            for (size_t i = 0; i < SCALARS; i++)
                expect_slope(&x, true, &x.scalars[i], scalars[i], "scalars", i);
            vit_weights_free(&x.w);
        }
}

static void weight_gradients(void **state)
{
    (void)state;
    for (int pool = 0; pool < 3; pool++)
        for (int no_norm = 0; no_norm < 2; no_norm++) {
            struct vit_shape shape = tiny;
            struct vit_weights g;
            float features[B * T * D];
            struct world x;

            shape.pool = (enum vit_pool)pool;
            shape.no_final_norm = no_norm;
            world_open(&x, &shape, GATE_none, false);
            assert_int_equal(vit_weights_create(&g, &shape, &x.e), 0);
            forward(&x, VIT_FULL, 2, 0, B, false, features, &(struct vit_gradients){.weights = &g});
            for (size_t i = 0; i < g.count; i += 3)
                expect_slope(&x, false, &x.w.memory[i], g.memory[i], "weights", i);
            vit_weights_free(&g);
            vit_weights_free(&x.w);
        }
}

/* 200 images of 17 tokens make eight chunks: bits do not depend on threads or on what is kept. */
static void same_bits_everywhere(void **state)
{
    const struct vit_shape shape = {.side = 16, .patch = 4, .width = 16, .depth = 3, .heads = 2, .hidden = 32};
    enum { MANY = 200, WIDTH = 16, SIZE = 2 * 2 * 3 * WIDTH };
    float *images = malloc(MANY * 3 * 256 * sizeof *images), *features[4], prompt[SIZE], gradient[4][SIZE], scalars[4],
          ds[4][4];
    struct prefix_source *sources = calloc(MANY, sizeof *sources);
    struct prefix prefix = {.length = 3, .gate = GATE_sigmoid, .scopes = 1, .sources = sources};
    rng r = rng_stream(4, RNG_TEST, 0, 0, 0);
    struct vit_weights w;
    err e = {0};

    (void)state;
    assert_int_equal(vit_weights_create(&w, &shape, &e), 0);
    vit_weights_init(&w, 1);
    assert_int_equal(prefix_set_layers(&prefix, 3, shape.depth, &e), 0);
    rng_fill_uniform(&r, images, MANY * 3 * 256, 0, 1);
    rng_fill_uniform(&r, prompt, SIZE, -1, 1);
    rng_fill_uniform(&r, scalars, 4, 0, 1);
    for (int b = 0; b < MANY; b++)
        sources[b] = (struct prefix_source){prompt, prompt, 0, 1, scalars};
    for (int run = 0; run < 4; run++) { /* 1, 2, 3 threads with backward; then inference */
        vit_batch *batch;

        features[run] = malloc(MANY * WIDTH * sizeof(float));
        assert_int_equal(
            vit_batch_create(&batch, &shape, run < 3 ? VIT_PROMPT : VIT_INFER, MANY, 3, 0, run % 3 + 1, &e), 0);
        vit_forward(batch, &w, images, MANY, &prefix, features[run]);
        if (run < 3)
            vit_backward(batch, &w, features[run],
                         &(struct vit_gradients){.prompt = gradient[run], .scalars = ds[run]});
        vit_batch_free(batch);
        assert_memory_equal(features[run], features[0], MANY * WIDTH * sizeof(float));
        if (run < 3) {
            assert_memory_equal(gradient[run], gradient[0], sizeof gradient[0]);
            assert_memory_equal(ds[run], ds[0], sizeof ds[0]);
        }
    }
    for (int run = 0; run < 4; run++)
        free(features[run]);
    vit_weights_free(&w);
    free(sources);
    free(images);
}

/* Features and gradients of a pass in VIT_PROMPT mode, prompts in blocks 1 and 2. */
struct passed {
    float features[B * T * D], prompt[PROMPT], scalars[SCALARS];
};

static void pass(struct world *x, int first_block, const float *dfeatures, struct passed *out)
{
    vit_batch *batch;

    assert_int_equal(vit_batch_create(&batch, &x->w.shape, VIT_PROMPT, B, L, first_block, 1, &x->e), 0);
    vit_forward(batch, &x->w, x->images, B, &x->prefix, out->features);
    vit_backward(batch, &x->w, dfeatures, &(struct vit_gradients){.prompt = out->prompt, .scalars = out->scalars});
    vit_batch_free(batch);
}

/* Ending the backward pass at the lowest prompted block changes no bit. */
static void the_blocks_below_the_prompts_are_left_out(void **state)
{
    struct passed all, some;
    struct world x;

    (void)state;
    world_open(&x, &tiny, GATE_tanh, false);
    pass(&x, 0, x.weights, &all);
    pass(&x, 1, x.weights, &some);
    assert_memory_equal(all.features, some.features, B * D * sizeof(float));
    assert_memory_equal(all.prompt, some.prompt, sizeof some.prompt);
    assert_memory_equal(all.scalars, some.scalars, sizeof some.scalars);
    vit_weights_free(&x.w);
}

/* Where the class token is the feature, the last block's other rows change no bit: the plain way has them all. */
static void the_last_block_is_for_the_class_token(void **state)
{
    struct vit_shape every_row = tiny;
    float dfeatures[B * T * D] = {0};
    struct passed all, token;
    struct world x;

    (void)state;
    every_row.pool = VIT_POOL_NONE;
    world_open(&x, &tiny, GATE_tanh, false);
    for (int b = 0; b < B; b++)
        memcpy(dfeatures + b * T * D, x.weights + b * D, D * sizeof *dfeatures);
    pass(&x, 1, x.weights, &token);
    x.w.shape = every_row;
    pass(&x, 1, dfeatures, &all);
    for (int b = 0; b < B; b++)
        assert_memory_equal(token.features + b * D, all.features + b * T * D, D * sizeof(float));
    for (int i = 0; i < PROMPT;
         i++) /* a sum over rows of which all but one are zero: the zeros may be added elsewhere */
        assert_true(fabsf(token.prompt[i] - all.prompt[i]) <= 1e-5f * (1 + fabsf(all.prompt[i])));
    for (int i = 0; i < SCALARS; i++)
        assert_true(fabsf(token.scalars[i] - all.scalars[i]) <= 1e-5f * (1 + fabsf(all.scalars[i])));
    vit_weights_free(&x.w);
}

/* The feature of an image does not depend on the images beside it, so that it can be computed once and kept. */
static void alone_as_in_company(void **state)
{
    float together[B * D], alone[D];
    struct world x;

    (void)state;
    world_open(&x, &tiny, GATE_tanh, false);
    for (int prompted = 0; prompted < 2; prompted++) {
        forward(&x, VIT_INFER, 1, 0, B, prompted, together, NULL);
        for (int b = 0; b < B; b++) {
            forward(&x, VIT_INFER, 1, b, 1, prompted, alone, NULL);
            assert_memory_equal(alone, together + b * D, sizeof alone);
        }
    }
    vit_weights_free(&x.w);
}

/* The map of methods.md 2.5, checked there for B = 4 and 5. */
static void official_prefix_map(void **state)
{
    static const struct {
        int B;
        const char *want; /* for each sample: key, value */
    } cases[] = {
        {1, "K0V0"},
        {4, "K0K1K2K3V0V1V2V3"},
        {5, "K0K1K2K3K4V0V1V2V3V4"},
        {8, "K0K1K2K3K4K5K6K7V0V1V2V3V4V5V6V7"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int b = 0; b < cases[i].B; b++)
            for (int kv = 0; kv < 2; kv++) {
                int half, sample;
                const char *want = cases[i].want + 2 * (2 * b + kv);

                prefix_map(true, cases[i].B, b, kv, &half, &sample);
                assert_int_equal("KV"[half], want[0]);
                assert_int_equal('0' + sample, want[1]);
                prefix_map(false, cases[i].B, b, kv, &half, &sample);
                assert_int_equal(half, kv);
                assert_int_equal(sample, b);
            }
}

static void bad_shapes(void **state)
{
    static const struct vit_shape bad[] = {
        {.side = 9, .patch = 4, .width = 8, .depth = 1, .heads = 2, .hidden = 8},
        {.side = 8, .patch = 4, .width = 9, .depth = 1, .heads = 2, .hidden = 8},
        {.side = 8, .patch = 4, .width = 8, .depth = 65, .heads = 2, .hidden = 8},
        {.side = 8, .patch = 0, .width = 8, .depth = 1, .heads = 2, .hidden = 8},
        {.side = 4096, .patch = 1, .width = 512, .depth = 1, .heads = 2, .hidden = 512},
    };
    static const char *const text[] = {"patch 4 does not divide the image side 9", "2 heads do not divide the width 9",
                                       "a ViT of 65 blocks; at most 64 are supported", "at least 1",
                                       "use larger patches"};
    struct vit_weights w;
    struct prefix p;
    err e;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(vit_weights_create(&w, &bad[i], &e), ERR_SHAPE);
        assert_non_null(strstr(e.text, text[i]));
    }
    assert_int_equal(prefix_set_layers(&p, 1u << 3, 3, &e), ERR_SHAPE);
    assert_string_equal(e.text, "prompt.layers names block 3, but the backbone's 3 blocks are 0-2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompt_gradients),
        cmocka_unit_test(weight_gradients),
        cmocka_unit_test(same_bits_everywhere),
        cmocka_unit_test(official_prefix_map),
        cmocka_unit_test(bad_shapes),
        cmocka_unit_test(the_blocks_below_the_prompts_are_left_out),
        cmocka_unit_test(the_last_block_is_for_the_class_token),
        cmocka_unit_test(alone_as_in_company),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
