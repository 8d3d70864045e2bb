/* The attention fixture of methods.md 2.6, and every gate's gradients against finite differences, for each kernel set. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/attention.h"
#include "model/rng.h"

static void close_to(const char *what, const float *got, const double *want, size_t n, double limit)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs(got[i] - want[i]) <= limit))
            fail_msg("%s[%zu] is %.7g, expected %.7g", what, i, got[i], want[i]);
}

enum { SCRATCH = 1000 }; /* enough for the sizes here: the first test says so */

static const struct fixture {
    enum gate gate;
    double out[4], dkeys[2], dvalues[2], dq[4], da0, da1;
} fixtures[] = {
    {GATE_tanh,
     {.152394, -.694349, -.511736, .592484},
     {.829032, -.206235},
     {.702561, -.483590},
     {.683602, -.345797, -.660549, -.368295},
     .365343,
     .928037},
    {GATE_sigmoid,
     {.136284, -.657010, -.363733, .286382},
     {.928344, -.814296},
     {.753482, -.200827},
     {.574524, -.323071, -.842591, -.146438},
     .321831,
     .465587},
    {GATE_gelu,
     {.209081, -.825733, -.417308, .397186},
     {1.211925, -.192643},
     {.800787, -.368921},
     {1.436434, -.515510, -.546477, -.280410},
     .851988,
     .825238},
};

static void spec_fixture(void **state)
{
    /* queries, keys, values of two tokens, D = 2 */
    const float qkv[] = {1, .5f, .5f, -1, 1, 2, -.5f, 2, 1.5f, .25f, -1, .5f};
    const float keys[] = {2, -.5f}, values[] = {.5f, -1.5f}, one[] = {1}, dout[] = {1, -1, .5f, 2};

    (void)state;
    assert_in_range(attention_scratch(2, 2, 1), 1, SCRATCH);
    for (int set = 0; kernels_nth(set); set++)
        for (size_t f = 0; f < sizeof fixtures / sizeof *fixtures; f++) {
            const struct fixture *x = &fixtures[f];
            struct attention a = {.Q = 2,
                                  .T = 2,
                                  .D = 2,
                                  .H = 1,
                                  .L = 1,
                                  .gate = x->gate,
                                  .scopes = 1,
                                  .keys = keys,
                                  .values = values,
                                  .a0 = one,
                                  .a1 = one};
            float out[4], scratch[SCRATCH], dkeys[2] = {0}, dvalues[2] = {0}, da0 = 0, da1 = 0, dqkv[12];
            struct attention_gradients g = {dkeys, dvalues, &da0, &da1, dqkv};

            attention_forward(kernels_nth(set), &a, qkv, out, NULL, scratch);
            close_to("out", out, x->out, 4, 2e-6);
            attention_backward(kernels_nth(set), &a, qkv, dout, NULL, scratch, &g);
            close_to("dkeys", dkeys, x->dkeys, 2, 2e-6);
            close_to("dvalues", dvalues, x->dvalues, 2, 2e-6);
            close_to("dq", (float[]){dqkv[0], dqkv[1], dqkv[6], dqkv[7]}, x->dq, 4, 2e-6);
            close_to("da0", &da0, &x->da0, 1, 2e-6);
            close_to("da1", &da1, &x->da1, 1, 2e-6);
        }
}

enum { T = 5, D = 6, H = 2, L = 3 };

/* Everything the loss depends on, in one array: qkv, prefix keys, prefix values, a0 and a1 of each head. */
enum {
    AT_KEYS = 3 * T * D,
    AT_VALUES = AT_KEYS + L * D,
    AT_A0 = AT_VALUES + L * D,
    AT_A1 = AT_A0 + H,
    INPUTS = AT_A1 + H
};

static struct attention attention_at(const float *x, enum gate gate, int Q)
{
    return (struct attention){.Q = Q,
                              .T = T,
                              .D = D,
                              .H = H,
                              .L = L,
                              .gate = gate,
                              .scopes = H,
                              .keys = x + AT_KEYS,
                              .values = x + AT_VALUES,
                              .a0 = x + AT_A0,
                              .a1 = x + AT_A1};
}

static double loss_at(const float *x, enum gate gate, int Q, const float *weights)
{
    struct attention a = attention_at(x, gate, Q);
    float out[T * D], scratch[SCRATCH];
    double loss = 0;

    attention_forward(&kernels_plain, &a, x, out, NULL, scratch);
    for (int i = 0; i < Q * D; i++)
        loss += (double)out[i] * weights[i];
    return loss;
}

static void finite_differences(void **state)
{
    float x[INPUTS], weights[T * D];
    rng r = rng_stream(7, RNG_TEST, 0, 0, 0);

    (void)state;
    assert_in_range(attention_scratch(T, D / H, L), 1, SCRATCH);
    rng_fill_normal(&r, x, INPUTS, 1);
    rng_fill_normal(&r, weights, T * D, 1);
    for (int set = 0; kernels_nth(set); set++)
        for (enum gate gate = 0; gate < GATE_COUNT; gate++)
            for (int Q = 1; Q <= T; Q += T - 1) {
                struct attention a = attention_at(x, gate, Q);
                float scratch[SCRATCH], grad[INPUTS] = {0};
                struct attention_gradients g = {grad + AT_KEYS, grad + AT_VALUES, grad + AT_A0, grad + AT_A1, grad};

                attention_backward(kernels_nth(set), &a, x, weights, NULL, scratch, &g);
                for (int i = 0; i < INPUTS; i++) {
                    float kept = x[i], step = 4e-3f;
                    double up, down, slope;

                    if (i < AT_KEYS && i % (3 * D) < D && i / (3 * D) >= Q)
                        continue; /* queries beyond Q have no gradient and are not written */
                    x[i] = kept + step;
                    up = loss_at(x, gate, Q, weights);
                    x[i] = kept - step;
                    down = loss_at(x, gate, Q, weights);
                    x[i] = kept;
                    slope = (up - down) / (2.0 * (double)step);
                    if (!(fabs(slope - grad[i]) < 2e-3 * (1 + fabs(slope))))
                        fail_msg("%s, gate %s, Q %d: gradient %d is %g, finite difference %g", kernels_nth(set)->name,
                                 gate_name(gate), Q, i, grad[i], slope);
                }
            }
}

/* Probabilities kept or formed again: the same bits. */
static void kept_or_formed_again(void **state)
{
    float x[INPUTS], weights[T * D];
    rng r = rng_stream(9, RNG_TEST, 0, 0, 0);

    (void)state;
    assert_in_range(attention_kept(T, T, H, L), 1, SCRATCH);
    rng_fill_normal(&r, x, INPUTS, 1);
    rng_fill_normal(&r, weights, T * D, 1);
    for (int set = 0; kernels_nth(set); set++)
        for (int Q = 1; Q <= T; Q += T - 1) {
            struct attention a = attention_at(x, GATE_tanh, Q);
            float kept[SCRATCH], scratch[SCRATCH], out[2][T * D] = {{0}}, grad[2][INPUTS] = {{0}};

            for (int i = 0; i < 2; i++) {
                float *g = grad[i];

                attention_forward(kernels_nth(set), &a, x, out[i], i ? kept : NULL, scratch);
                memset(scratch, 0, sizeof scratch);
                attention_backward(kernels_nth(set), &a, x, weights, i ? kept : NULL, scratch,
                                   &(struct attention_gradients){g + AT_KEYS, g + AT_VALUES, g + AT_A0, g + AT_A1, g});
            }
            assert_memory_equal(out[0], out[1], sizeof out[0]);
            assert_memory_equal(grad[0], grad[1], sizeof grad[0]);
        }
}

/* With a1 = 0 the gate is no gate, bit for bit (methods.md 10.1 item 3). */
static void a1_zero_is_no_gate(void **state)
{
    float x[INPUTS];
    rng r = rng_stream(8, RNG_TEST, 0, 0, 0);

    (void)state;
    rng_fill_normal(&r, x, INPUTS, 1);
    x[AT_A1] = x[AT_A1 + 1] = 0;
    for (int set = 0; kernels_nth(set); set++)
        for (enum gate gate = 0; gate < GATE_COUNT; gate++) {
            float out[2][T * D], scratch[SCRATCH];
            struct attention gated = attention_at(x, gate, T), plain = attention_at(x, GATE_none, T);

            attention_forward(kernels_nth(set), &gated, x, out[0], NULL, scratch);
            attention_forward(kernels_nth(set), &plain, x, out[1], NULL, scratch);
            assert_memory_equal(out[0], out[1], sizeof out[0]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spec_fixture),
        cmocka_unit_test(finite_differences),
        cmocka_unit_test(kept_or_formed_again),
        cmocka_unit_test(a1_zero_is_no_gate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
