/* Every kernel set of this CPU against kernels_plain: odd sizes, addresses that are not aligned, magnitudes from 1e-3
 * to 1e3, NaN, and no write past the end.  The limits stand beside each comparison. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/kernels.h"
#include "model/rng.h"

enum { ROWS = 3, WIDTH = 280, GUARD = 20, SIZE = ROWS * WIDTH + GUARD + 1 };
static const size_t sizes[] = {1, 3, 17, 65, 130};
static const float magnitudes[] = {1e-3f, 1, 30, 1e3f};

/* One comparison: which set, at which size and magnitude, for the message; and its random inputs. */
struct world {
    const struct kernels *fast;
    size_t R, D, n; /* n = R D */
    float magnitude;
    rng r;
};

typedef void comparison(struct world *w);

#define COUNT(array) (sizeof array / sizeof *array)

static void for_every_set(comparison *compare)
{
    const struct kernels *fast;
    int sets = 0;

    for (; (fast = kernels_nth(sets)); sets++)
        for (size_t s = 0; s < COUNT(sizes); s++)
            for (size_t m = 0; m < COUNT(magnitudes); m++)
                for (size_t R = 1; R <= ROWS; R += ROWS - 1) {
                    struct world w = {
                        .fast = fast, .R = R, .D = sizes[s], .n = R * sizes[s], .magnitude = magnitudes[m]};

                    w.r = rng_stream(1, RNG_TEST, (uint32_t)R, (uint32_t)s, (uint32_t)m);
                    compare(&w);
                }
    assert_in_range(sets, 1, 10);
}

/* n normal numbers, then the guard.  The array starts one float past an allocation: at no vector's alignment. */
static float *filled(struct world *w, float memory[SIZE], size_t n, float deviation, float shift)
{
    float *x = memory + 1;

    assert_in_range(n, 0, SIZE - GUARD - 1);
    rng_fill_normal(&w->r, x, n, deviation);
    for (size_t i = 0; i < n; i++)
        x[i] += shift;
    for (size_t i = n; i < n + GUARD; i++)
        x[i] = 77;
    return x;
}

static float *copied(float memory[SIZE], const float *x)
{
    memcpy(memory + 1, x, (SIZE - 1) * sizeof *x);
    return memory + 1;
}

/* |got - want| <= limit for all n, NaN where NaN is wanted, and the guard untouched. */
static void expect(const struct world *w, const char *what, const float *got, const float *want, size_t n, double limit)
{
    for (size_t i = 0; i < n; i++)
        if (isnan(want[i]) ? !isnan(got[i]) : !(fabs((double)got[i] - (double)want[i]) <= limit))
            fail_msg("%s, R %zu, D %zu, magnitude %g: %s[%zu] is %.9g, expected %.9g within %.3g", w->fast->name, w->R,
                     w->D, (double)w->magnitude, what, i, (double)got[i], (double)want[i], limit);
    for (size_t i = n; i < n + GUARD; i++)
        if (!(got[i] == 77))
            fail_msg("%s, R %zu, D %zu: wrote past the end of %s, at %zu", w->fast->name, w->R, w->D, what, i);
}

/* |got - want| <= limit * want, down to the smallest exponentials that the fast sets form. */
static void expect_relative(const struct world *w, const char *what, const float *got, const float *want, size_t n,
                            double limit)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <= limit * (double)want[i] + 3e-38))
            fail_msg("%s, R %zu, D %zu, magnitude %g: %s[%zu] is %.9g, expected %.9g up to %.3g of it", w->fast->name,
                     w->R, w->D, (double)w->magnitude, what, i, (double)got[i], (double)want[i], limit);
}

static double largest(const float *x, size_t n)
{
    double most = 0;

    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)x[i]));
    return most;
}

static void compare_layer_norm(struct world *w)
{
    const float epsilon = 1e-6f;
    float m[10][SIZE], *x = filled(w, m[0], w->n, w->magnitude, 3 * w->magnitude), *gain = filled(w, m[1], w->D, 1, 1);
    float *bias = filled(w, m[2], w->D, 1, 0), *y = filled(w, m[3], w->n, 0, 0), *xhat = filled(w, m[4], w->n, 0, 0);
    float *rstd = filled(w, m[5], w->R, 0, 0), *want = copied(m[6], y), *want_xhat = copied(m[7], xhat);
    float *want_rstd = copied(m[8], rstd), *place = copied(m[9], x);

    kernels_plain.layer_norm(want, want_xhat, want_rstd, x, gain, bias, w->R, w->D, epsilon);
    w->fast->layer_norm(y, xhat, rstd, x, gain, bias, w->R, w->D, epsilon);
    expect(w, "xhat", xhat, want_xhat, w->n,
           4e-6); /* values reach 5; the mean has a rounding error of 3 units in the last place */
    expect(w, "y", y, want, w->n, 2e-5);
    expect(w, "rstd", rstd, want_rstd, w->R, 2e-6 * largest(want_rstd, w->R));
    w->fast->layer_norm(place, NULL, NULL, place, gain, bias, w->R, w->D, epsilon); /* in place, nothing kept */
    expect(w, "y in place", place, want, w->n, 2e-5);
}

static void compare_layer_norm_backward(struct world *w)
{
    float m[8][SIZE], *x = filled(w, m[0], w->n, w->magnitude, 0), *gain = filled(w, m[1], w->D, 1, 1);
    float *dy = filled(w, m[2], w->n, 1, 0), *xhat = filled(w, m[3], w->n, 0, 0), *rstd = filled(w, m[4], w->R, 0, 0);
    float *scrap = filled(w, m[5], w->n, 0, 0), *dx = filled(w, m[6], w->n, 1, 0), *want = copied(m[7], dx);
    double scale;

    kernels_plain.layer_norm(scrap, xhat, rstd, x, gain, gain, w->R, w->D, 1e-6f);
    kernels_plain.layer_norm_backward(want, dy, gain, xhat, rstd, w->R, w->D);
    w->fast->layer_norm_backward(dx, dy, gain, xhat, rstd, w->R, w->D);
    scale = 1 + largest(dy, w->n) * largest(gain, w->D) * largest(rstd, w->R);
    expect(w, "dx", dx, want, w->n, 2e-6 * scale);
}

static void compare_gelu(struct world *w)
{
    float m[7][SIZE], *a = filled(w, m[0], w->n, w->magnitude, 0), *bias = filled(w, m[1], w->D, w->magnitude, 0);
    float *h = filled(w, m[2], w->n, 0, 0), *want_a = copied(m[3], a), *want = copied(m[4], h),
          *place = copied(m[5], a);
    float *no_bias = copied(m[6], a);

    kernels_plain.gelu(want, want_a, bias, w->R, w->D);
    w->fast->gelu(h, a, bias, w->R, w->D);
    expect(w, "a", a, want_a, w->n, 0);
    expect(w, "h", h, want, w->n, 3e-7 * (1e-3 + largest(want_a, w->n))); /* half of erf's 4e-7, and rounding */
    w->fast->gelu(place, place, bias, w->R, w->D);
    expect(w, "h in place", place, h, w->n, 0);
    a = copied(m[0], no_bias);
    kernels_plain.gelu(want, want_a = copied(m[3], no_bias), NULL, w->R, w->D);
    w->fast->gelu(h, a, NULL, w->R, w->D);
    expect(w, "a without bias", a, no_bias, w->n, 0);
    expect(w, "h without bias", h, want, w->n, 3e-7 * (1e-3 + largest(a, w->n)));
}

static void compare_gelu_backward(struct world *w)
{
    float m[3][SIZE], *a = filled(w, m[0], w->n, w->magnitude, 0), *d = filled(w, m[1], w->n, 1, 0),
                      *want = copied(m[2], d);
    double scale = largest(d, w->n);

    kernels_plain.gelu_backward(want, a, w->n);
    w->fast->gelu_backward(d, a, w->n);
    expect(w, "d", d, want, w->n, 1e-6 * scale);
}

static void compare_gelu_and_slope(struct world *w)
{
    float m[6][SIZE], *a = filled(w, m[0], w->n, w->magnitude, 0), *bias = filled(w, m[1], w->D, w->magnitude, 0);
    float *h = filled(w, m[2], w->n, 0, 0), *want_slope = copied(m[3], a), *want = copied(m[4], h), *slope;
    double limit = 3e-7 * (1e-3 + largest(a, w->n) + largest(bias, w->D)); /* as above */

    kernels_plain.gelu_and_slope(want, want_slope, bias, w->R, w->D);
    slope = copied(m[5], want_slope);
    w->fast->gelu_and_slope(h, a, bias, w->R, w->D);
    expect(w, "h", h, want, w->n, limit);
    expect(w, "slope", a, want_slope, w->n, 1e-6);
    kernels_plain.scale(want, want_slope, w->n);
    w->fast->scale(h, slope, w->n);
    expect(w, "scaled", h, want, w->n, 2 * limit);
}

static void compare_add_bias(struct world *w)
{
    float m[5][SIZE], *x = filled(w, m[0], w->n, w->magnitude, 0), *bias = filled(w, m[1], w->D, 1, 0);
    float *y = filled(w, m[2], w->n, 0, 0), *want = copied(m[3], y), *place = copied(m[4], x);

    for (int with = 0; with < 2; with++) {
        kernels_plain.add_bias(want, with ? x : NULL, bias, w->R, w->D);
        w->fast->add_bias(y, with ? x : NULL, bias, w->R, w->D);
        expect(w, with ? "x + bias" : "bias", y, want, w->n, 0);
    }
    w->fast->add_bias(place, place, bias, w->R, w->D);
    expect(w, "x + bias in place", place, want, w->n, 0);
}

static const size_t lengths[] = {0, 1, 5, 20, 150};

/* Gated scores reach 10 magnitudes, where half a unit in the last place is 6e-7 magnitudes; the exponential of the
 * difference of two of them is off by as much, relatively, and by the polynomial's 2e-7. */
static void compare_gated_softmax(struct world *w)
{
    const float a0 = 0.7f, a1 = 1.3f;

    for (size_t l = 0; l < COUNT(lengths); l++)
        for (enum gate gate = 0; gate < GATE_COUNT; gate++) {
            size_t L = lengths[l], n = w->R * (L + w->D);
            float m[5][SIZE], *s = filled(w, m[0], n, w->magnitude, 0), *want = copied(m[1], s),
                              *bare = copied(m[2], s);
            float *raw = filled(w, m[3], w->R * L, 0, 0), *want_raw = copied(m[4], raw);

            kernels_plain.gated_softmax(want, want_raw, w->R, L, w->D, gate, a0, a1);
            w->fast->gated_softmax(s, raw, w->R, L, w->D, gate, a0, a1);
            expect(w, gate_name(gate), s, want, n, 1); /* the guard; the values: */
            expect_relative(w, gate_name(gate), s, want, n, 1e-6 * (1 + 2 * (double)w->magnitude));
            expect(w, "raw", raw, want_raw, w->R * L, 0);
            w->fast->gated_softmax(bare, NULL, w->R, L, w->D, gate, a0, a1);
            expect(w, "without raw", bare, s, n, 0);
        }
}

static void compare_gated_softmax_backward(struct world *w)
{
    const float a0 = 0.7f, a1 = 1.3f;

    for (size_t l = 0; l < COUNT(lengths); l++)
        for (enum gate gate = 0; gate < GATE_COUNT; gate++) {
            size_t L = lengths[l], n = w->R * (L + w->D);
            float m[4][SIZE], *p = filled(w, m[0], n, w->magnitude, 0), *raw = filled(w, m[1], w->R * L, 0, 0);
            float *d = filled(w, m[2], n, 1, 0), *want = copied(m[3], d);
            double got[2] = {0.5, -0.25}, wanted[2] = {0.5, -0.25}, scale = 1 + largest(d, n), steep;

            kernels_plain.gated_softmax(p, raw, w->R, L, w->D, gate, a0, a1);
            kernels_plain.gated_softmax_backward(want, p, raw, w->R, L, w->D, gate, a0, a1, wanted);
            w->fast->gated_softmax_backward(d, p, raw, w->R, L, w->D, gate, a0, a1, got);
            expect(w, gate_name(gate), d, want, n, 2e-6 * scale);
            steep = scale * (double)(w->R * L) * (1 + largest(raw, w->R * L));
            for (int i = 0; i < 2; i++)
                if (!(fabs(got[i] - wanted[i]) <= 1e-6 * steep))
                    fail_msg("%s, D %zu, magnitude %g, %s: a%d's gradient is %.9g, expected %.9g", w->fast->name, w->D,
                             (double)w->magnitude, gate_name(gate), i, got[i], wanted[i]);
        }
}

static void compare_adam(struct world *w)
{
    const struct adam_step step = {.rate = 0.01f,
                                   .root_correction = 3,
                                   .beta1 = 0.9f,
                                   .beta2 = 0.999f,
                                   .fresh1 = 0.1f,
                                   .fresh2 = 0.001f,
                                   .epsilon = 1e-8f,
                                   .gradient_scale = 0.5f,
                                   .decay = 0.02f};
    float m[8][SIZE], *p = filled(w, m[0], w->n, 1, 0), *first = filled(w, m[1], w->n, w->magnitude, 0);
    float *second = filled(w, m[2], w->n, w->magnitude * w->magnitude, 0), *g = filled(w, m[3], w->n, w->magnitude, 0),
          *want;
    float *want_first, *want_second, *kept = copied(m[7], g);

    for (size_t i = 0; i < w->n; i++)
        second[i] = fabsf(second[i]);
    want = copied(m[4], p);
    want_first = copied(m[5], first);
    want_second = copied(m[6], second);
    kernels_plain.adam(want, want_first, want_second, g, w->n, &step);
    w->fast->adam(p, first, second, g, w->n, &step);
    expect(w, "m", first, want_first, w->n, 1e-6 * (double)w->magnitude);
    expect(w, "v", second, want_second, w->n, 1e-6 * (double)(w->magnitude * w->magnitude));
    expect(w, "p", p, want, w->n, 1e-6);
    expect(w, "g", g, kept, w->n, 0);
}

/* ---- softmax of logits ---- */

/* Masked logits are garbage, which must count for nothing. */
static void expect_exponentials(const struct kernels *k, size_t C, bool masked, bool in_place)
{
    enum { MOST = 70 };
    float logits[MOST], want[MOST], got[MOST], *to = in_place ? logits : got, largest = -INFINITY, sum, alone;
    uint8_t allowed[MOST];
    rng r = rng_stream(3, RNG_TEST, (uint32_t)C, 0, 0);

    rng_fill_normal(&r, logits, C, 9);
    for (size_t c = 0; c < C; c++) {
        allowed[c] = !masked || c % 3 == 1 || c == 0;
        if (allowed[c] && logits[c] > largest)
            largest = logits[c];
        if (!allowed[c])
            logits[c] = c % 2 ? NAN : 1e30f;
    }
    sum = kernels_plain.exponentials(want, logits, masked ? allowed : NULL, C, largest);
    alone = k->exponentials(NULL, logits, masked ? allowed : NULL, C, largest);
    assert_true(fabsf(alone - sum) <= 1e-6f * sum);
    alone = k->exponentials(to, logits, masked ? allowed : NULL, C, largest);
    assert_true(fabsf(alone - sum) <= 1e-6f * sum);
    for (size_t c = 0; c < C; c++)
        if (!(fabsf(to[c] - want[c]) <= 3e-7f * want[c] + 1e-37f))
            fail_msg("%s: %zu classes, %zu: %.9g, expected %.9g", k->name, C, c, (double)to[c], (double)want[c]);
}

static void exponentials(void **state)
{
    const struct kernels *k;

    (void)state;
    for (int set = 0; (k = kernels_nth(set)); set++)
        for (size_t C = 1; C < 70; C++)
            for (int way = 0; way < 4; way++)
                expect_exponentials(k, C, way & 1, way & 2);
}

/* ---- small products ---- */

enum { LARGEST = 70, PADDED = 80, STRIDE = PADDED + 3 };

/* C (m, n) of A in either layout, with garbage in B's padding and around C. */
static void expect_product(const struct kernels *k, size_t m, size_t n, size_t depth, bool by_columns, bool add)
{
    static float A[LARGEST * STRIDE], B[LARGEST * PADDED + 1], C[2][LARGEST * STRIDE];
    rng r = rng_stream(2, RNG_TEST, (uint32_t)m, (uint32_t)n, (uint32_t)depth);
    size_t row = by_columns ? 1 : STRIDE, step = by_columns ? STRIDE : 1;

    rng_fill_normal(&r, A, LARGEST * STRIDE, 1);
    rng_fill_normal(&r, B, LARGEST * PADDED + 1, 1);
    for (size_t i = 0; i < depth; i++)
        for (size_t j = n; j < PADDED; j++)
            B[1 + i * PADDED + j] = NAN;
    for (int i = 0; i < LARGEST * STRIDE; i++)
        C[0][i] = C[1][i] = (float)(i % 11);
    kernels_plain.product(m, n, depth, 0.3f, A, row, step, B + 1, PADDED, add, C[0], STRIDE, NULL);
    k->product(m, n, depth, 0.3f, A, row, step, B + 1, PADDED, add, C[1], STRIDE, NULL);
    for (size_t i = 0; i < LARGEST * STRIDE; i++) {
        bool mine = i / STRIDE < m && i % STRIDE < n;

        if (!(fabs((double)C[1][i] - (double)C[0][i]) <= (mine ? 3e-6 * (double)depth : 0)))
            fail_msg("%s: %zu x %zu x %zu, number %zu is %.9g, expected %.9g", k->name, m, n, depth, i, (double)C[1][i],
                     (double)C[0][i]);
    }
}

static void product(void **state)
{
    static const size_t rows[] = {1, 3, 4, 12, 23, 65}, columns[] = {1, 5, 16, 31, 32, 48, 70}, depths[] = {1, 7, 64};
    const struct kernels *k;

    (void)state;
    for (int set = 0; (k = kernels_nth(set)); set++)
        for (size_t m = 0; m < COUNT(rows); m++)
            for (size_t n = 0; n < COUNT(columns); n++)
                for (int i = 0; i < 12; i++)
                    expect_product(k, rows[m], columns[n], depths[i / 4], i & 1, i & 2);
}

static void transpose(void **state)
{
    const struct kernels *k;

    (void)state;
    for (int set = 0; (k = kernels_nth(set)); set++)
        for (size_t rows = 1; rows < 12; rows++)
            for (size_t columns = 1; columns < 12; columns++) {
                float from[12 * 13], to[12 * 14], want[12 * 14];

                for (int i = 0; i < 12 * 13; i++)
                    from[i] = (float)i;
                for (int i = 0; i < 12 * 14; i++)
                    to[i] = want[i] = -1;
                kernels_plain.transpose(want, 14, from, 13, rows, columns);
                assert_true(want[(columns - 1) * 14 + rows - 1] == from[(rows - 1) * 13 + columns - 1]);
                k->transpose(to, 14, from, 13, rows, columns);
                assert_memory_equal(to, want, sizeof to);
            }
}

#define COMPARE(kernel)                  \
    static void kernel(void **state)     \
    {                                    \
        (void)state;                     \
        for_every_set(compare_##kernel); \
    }
COMPARE(layer_norm)
COMPARE(layer_norm_backward)
COMPARE(gelu)
COMPARE(gelu_and_slope)
COMPARE(gelu_backward)
COMPARE(add_bias)
COMPARE(gated_softmax)
COMPARE(gated_softmax_backward)
COMPARE(adam)

/* NaN in row 1 of 3: that row - or where a kernel works number by number, that number - and nothing else. */
static void expect_nan(const struct kernels *k, const char *what, const float *x, size_t n, size_t from, size_t to)
{
    for (size_t i = 0; i < n; i++)
        if (!isnan(x[i]) != !(i >= from && i < to))
            fail_msg("%s: %s[%zu] is %g", k->name, what, i, (double)x[i]);
}

static void nan_spreads(void **state)
{
    enum { R = 3, D = 37, L = 5, N = R * D, AT = D + 20, IN_PREFIX = D + 2 };
    const struct adam_step step = {.rate = 0.01f,
                                   .root_correction = 1,
                                   .beta1 = 0.9f,
                                   .beta2 = 0.999f,
                                   .fresh1 = 0.1f,
                                   .fresh2 = 0.001f,
                                   .epsilon = 1e-8f,
                                   .gradient_scale = 1};
    const struct kernels *k;
    float x[N], one[N], out[N], xhat[N], rstd[R], raw[R * L];

    (void)state;
    for (int i = 0; i < N; i++) {
        one[i] = 1;
        x[i] = i == AT ? NAN : (float)(i % 7) - 2;
    }
    for (int set = 0; (k = kernels_nth(set)); set++) {
        k->layer_norm(out, xhat, rstd, x, one, one, R, D, 1e-6f);
        expect_nan(k, "layer_norm", out, N, D, 2 * D);
        expect_nan(k, "layer_norm xhat", xhat, N, D, 2 * D);
        expect_nan(k, "layer_norm rstd", rstd, R, 1, 2);
        memcpy(out, one, sizeof out);
        k->layer_norm_backward(out, x, one, one, one, R, D);
        expect_nan(k, "layer_norm_backward", out, N, D, 2 * D);
        k->gelu(out, memcpy(xhat, x, sizeof x), NULL, R, D);
        expect_nan(k, "gelu", out, N, AT, AT + 1);
        k->gelu_backward(memcpy(out, one, sizeof out), x, N);
        expect_nan(k, "gelu_backward", out, N, AT, AT + 1);
        k->add_bias(out, x, one, R, D);
        expect_nan(k, "add_bias", out, N, AT, AT + 1);
        for (enum gate gate = 0; gate < GATE_COUNT; gate++)
            for (int prefix = 0; prefix < 2; prefix++) {
                double dscalars[2] = {0};

                memcpy(out, x, sizeof out);
                if (prefix) {
                    out[AT] = 0;
                    out[IN_PREFIX] = NAN;
                }
                k->gated_softmax(out, raw, R, L, D - L, gate, 0.5f, 2);
                expect_nan(k, gate_name(gate), out, N, D, 2 * D);
                k->gated_softmax_backward(out, one, raw, R, L, D - L, gate, 0.5f, 2, dscalars);
                expect_nan(k, gate_name(gate), out, N, D, 2 * D);
                if (gate != GATE_none)
                    assert_true(isnan(dscalars[0]) && isnan(dscalars[1]));
            }
        memcpy(out, one, sizeof out);
        memset(xhat, 0, sizeof xhat);
        {
            float v[N] = {0};

            k->adam(out, xhat, v, x, N, &step);
            expect_nan(k, "adam", out, N, AT, AT + 1);
            expect_nan(k, "adam m", xhat, N, AT, AT + 1);
            expect_nan(k, "adam v", v, N, AT, AT + 1);
        }
    }
}

/* The exponential alone: next to a score of 0, the probability of a score s is exp(s) of that score's. */
static void exponential(void **state)
{
    const struct kernels *k;
    double worst = 0;

    (void)state;
    for (int set = 0; (k = kernels_nth(set)); set++)
        for (int i = 0; i < 8600; i++) {
            float s = -0.01f * (float)i, scores[2] = {0, s};

            k->gated_softmax(scores, NULL, 1, 0, 2, GATE_none, 0, 0);
            worst = fmax(worst, fabs((double)scores[1] / (double)scores[0] / exp((double)s) - 1));
        }
    assert_true(worst < 3.5e-7); /* 2e-7 promised, the rest is the rounding of two products with 1 / sum */
}

static void choice(void **state)
{
    const struct kernels *k;

    (void)state;
    assert_ptr_equal(kernels_nth(0), &kernels_plain);
    for (int set = 0; (k = kernels_nth(set)); set++) {
        setenv("SLUICE_KERNELS", k->name, 1);
        assert_ptr_equal(kernels_best(), k);
        unsetenv("SLUICE_KERNELS");
        if (!kernels_nth(set + 1))
            assert_ptr_equal(kernels_best(), k);
    }
    for (enum gate gate = 0; gate < GATE_COUNT; gate++)
        assert_int_equal(gate_by_name(gate_name(gate)), gate);
    assert_int_equal(gate_by_name("swish"), GATE_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layer_norm),    cmocka_unit_test(layer_norm_backward),
        cmocka_unit_test(gelu),          cmocka_unit_test(gelu_and_slope),
        cmocka_unit_test(gelu_backward), cmocka_unit_test(add_bias),
        cmocka_unit_test(gated_softmax), cmocka_unit_test(gated_softmax_backward),
        cmocka_unit_test(product),       cmocka_unit_test(transpose),
        cmocka_unit_test(exponentials),  cmocka_unit_test(adam),
        cmocka_unit_test(nan_spreads),   cmocka_unit_test(exponential),
        cmocka_unit_test(choice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
