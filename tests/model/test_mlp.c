/* The residual MLP: the formula of the header in double, every gradient against finite differences, and its sizes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/mlp.h"
#include "model/rng.h"

enum { B = 3, D = 5, HIDDEN_MAX = 4 * D };

struct world {
    struct mlp_shape shape;
    mlp *m;
    size_t count;
    float *p, z[B * D], weights[B * D];
};

static void world_open(struct world *w, enum mlp_structure structure, bool identity_norm)
{
    rng r = rng_stream(2, RNG_TEST, 0, 0, 0);
    err e = {0};

    w->shape = (struct mlp_shape){.structure = structure, .width = D, .identity_norm = identity_norm};
    w->count = mlp_count(&w->shape);
    w->p = malloc(w->count * sizeof *w->p);
    assert_non_null(w->p);
    assert_int_equal(mlp_create(&w->m, &w->shape, B + 2, &e), 0);
    rng_fill_normal(&r, w->p, w->count, 0.5f);
    rng_fill_normal(&r, w->z, B * D, 1);
    rng_fill_normal(&r, w->weights, B * D, 1);
}

static void world_close(struct world *w)
{
    mlp_free(w->m);
    free(w->p);
}

#define ALL_SHAPES(structure, identity)                            \
    for (int structure = MLP_2; structure <= MLP_4_4; structure++) \
        for (int identity = 0; identity < 2; identity++)

static const float *tensor(const struct world *w, const char *name)
{
    struct mlp_tensor t;

    for (int k = 0; mlp_tensor(&w->shape, k, &t); k++)
        if (!strcmp(t.name, name))
            return w->p + t.offset;
    fail_msg("no tensor %s", name);
    return NULL;
}

/* out (rows) = W x + bias. */
static void linear(const struct world *w, const char *layer, const double *x, int rows, int columns, double *out)
{
    char name[32];
    const float *matrix, *bias;

    snprintf(name, sizeof name, "%s.weight", layer);
    matrix = tensor(w, name);
    snprintf(name, sizeof name, "%s.bias", layer);
    bias = tensor(w, name);
    for (int i = 0; i < rows; i++) {
        out[i] = bias[i];
        for (int j = 0; j < columns; j++)
            out[i] += (double)matrix[i * columns + j] * x[j];
    }
}

static void norm(const struct world *w, const char *layer, double *x, int n)
{
    char name[32];
    const float *gain, *bias;
    double mean = 0, variance = 0;

    snprintf(name, sizeof name, "%s.weight", layer);
    gain = tensor(w, name);
    snprintf(name, sizeof name, "%s.bias", layer);
    bias = tensor(w, name);
    for (int i = 0; i < n; i++)
        mean += x[i] / n;
    for (int i = 0; i < n; i++)
        variance += (x[i] - mean) * (x[i] - mean) / n;
    for (int i = 0; i < n; i++)
        x[i] = (x[i] - mean) / sqrt(variance + 1e-5) * (double)gain[i] + (double)bias[i];
}

/* The formula, one sample, in double. */
static void formula(const struct world *w, const float *z, double *y)
{
    bool large = w->shape.structure == MLP_4_4;
    int hidden = (large ? 4 : 2) * D;
    double x[D], u[HIDDEN_MAX], v[HIDDEN_MAX];

    for (int i = 0; i < D; i++)
        x[i] = z[i];
    linear(w, "net.0.0", x, hidden, D, u);
    for (int i = 0; i < hidden; i++)
        u[i] = u[i] * 0.5 * (1 + erf(u[i] / sqrt(2)));
    if (large) {
        linear(w, "net.1.0", u, hidden, hidden, v);
        norm(w, "net.1.2", v, hidden);
    }
    linear(w, large ? "net.2.0" : "net.1.0", large ? v : u, D, hidden, y);
    for (int i = 0; i < D; i++)
        y[i] += x[i];
    if (!w->shape.identity_norm)
        norm(w, "norm", y, D);
}

static void expect_formula(enum mlp_structure structure, bool identity, float scale)
{
    struct world w;
    float y[B * D], first[D];
    double want[D];

    world_open(&w, structure, identity);
    for (size_t i = 0; i < w.count; i++)
        w.p[i] *= scale;
    for (int i = 0; i < B * D; i++)
        w.z[i] *= scale;
    mlp_forward(w.m, w.p, w.z, B, y);
    for (int b = 0; b < B; b++) {
        formula(&w, w.z + b * D, want);
        for (int i = 0; i < D; i++)
            if (!(fabs((double)y[b * D + i] - want[i]) < 2e-5 * (1 + fabs(want[i]))))
                fail_msg("y[%d][%d] is %g, expected %g", b, i, (double)y[b * D + i], want[i]);
    }
    mlp_forward(w.m, w.p, w.z, 1, first); /* a smaller batch in the same memory */
    for (int i = 0; i < D; i++)
        assert_true(fabsf(first[i] - y[i]) < 1e-5f);
    world_close(&w);
}

static void forward_is_the_formula(void **state)
{
    (void)state;
    ALL_SHAPES(structure, identity)
    {
        expect_formula((enum mlp_structure)structure, identity, 1);
        expect_formula((enum mlp_structure)structure, identity, 0.01f); /* small variances: the norms' epsilon counts */
    }
}

static double loss_of(struct world *w)
{
    double y[D], loss = 0;

    for (int b = 0; b < B; b++) {
        formula(w, w->z + b * D, y);
        for (int i = 0; i < D; i++)
            loss += y[i] * (double)w->weights[b * D + i];
    }
    return loss;
}

static void expect_slope(struct world *w, size_t i, float got, const char *name)
{
    float kept = w->p[i], high = kept + 1e-3f, low = kept - 1e-3f;
    double up, down, slope;

    w->p[i] = high;
    up = loss_of(w);
    w->p[i] = low;
    down = loss_of(w);
    w->p[i] = kept;
    slope = (up - down) / ((double)high - (double)low);
    if (!(fabs(slope - (double)got) < 1e-4 * (1 + fabs(slope))))
        fail_msg("gradient of parameter %zu (%s) is %g, finite difference %g", i, name, (double)got, slope);
}

static void gradients(void **state)
{
    (void)state;
    ALL_SHAPES(structure, identity)
    {
        struct world w;
        struct mlp_tensor t;
        float y[B * D], *gradient;

        world_open(&w, (enum mlp_structure)structure, identity);
        gradient = malloc(w.count * sizeof *gradient);
        assert_non_null(gradient);
        for (int pass = 0; pass < 2; pass++) { /* overwritten: what was there before does not matter */
            for (size_t i = 0; i < w.count; i++)
                gradient[i] = pass ? 5 : NAN;
            mlp_forward(w.m, w.p, w.z, B, y);
            mlp_backward(w.m, w.p, w.weights, gradient);
        }
        for (int k = 0; mlp_tensor(&w.shape, k, &t); k++)
            for (size_t i = t.offset; i < t.offset + t.rows * t.columns; i++)
                expect_slope(&w, i, gradient[i], t.name);
        free(gradient);
        world_close(&w);
    }
}

static void tensors(void **state)
{
    const char *two[] = {"net.0.0.weight", "net.0.0.bias", "net.1.0.weight",
                         "net.1.0.bias",   "norm.weight",  "norm.bias"};
    const char *four[] = {"net.0.0.weight", "net.0.0.bias",   "net.1.0.weight", "net.1.0.bias", "net.1.2.weight",
                          "net.1.2.bias",   "net.2.0.weight", "net.2.0.bias",   "norm.weight",  "norm.bias"};

    (void)state;
    ALL_SHAPES(structure, identity)
    {
        struct mlp_shape s = {.structure = (enum mlp_structure)structure, .width = 7, .identity_norm = identity};
        int expected = (structure == MLP_2 ? 6 : 10) - (identity ? 2 : 0), k = 0;
        size_t next = 0;

        for (struct mlp_tensor t; mlp_tensor(&s, k, &t); k++) {
            assert_in_range(k, 0, expected - 1);
            assert_string_equal(t.name, structure == MLP_2 ? two[k] : four[k]);
            assert_int_equal(t.offset, next);
            next += t.rows * t.columns;
        }
        assert_int_equal(k, expected);
        assert_int_equal(mlp_count(&s), next);
    }
    assert_int_equal(mlp_count(&(struct mlp_shape){.structure = MLP_2, .width = 768}), 2363136);
    assert_int_equal(mlp_count(&(struct mlp_shape){.structure = MLP_4_4, .width = 768}), 14170368);
}

static void initial_values(void **state)
{
    const struct mlp_shape s = {.structure = MLP_4_4, .width = 32};
    float *a = malloc(mlp_count(&s) * sizeof *a), *b = malloc(mlp_count(&s) * sizeof *b);
    struct mlp_tensor t;

    (void)state;
    assert_true(a && b);
    mlp_init(&s, 1, a);
    mlp_init(&s, 1, b);
    assert_memory_equal(a, b, mlp_count(&s) * sizeof *a);
    mlp_init(&s, 2, b);
    for (int k = 0; mlp_tensor(&s, k, &t); k++) {
        size_t n = t.rows * t.columns;
        bool gain = !strcmp(t.name, "net.1.2.weight") || !strcmp(t.name, "norm.weight");
        double sum = 0, squares = 0;

        if (t.rows == 1) {
            for (size_t i = 0; i < n; i++)
                assert_true(a[t.offset + i] == (gain ? 1.0f : 0.0f));
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            sum += a[t.offset + i];
            squares += (double)a[t.offset + i] * (double)a[t.offset + i];
        }
        assert_true(fabs(sum / (double)n) < 5 * 0.02 / sqrt((double)n));
        assert_true(fabs(sqrt(squares / (double)n) - 0.02) < 5 * 0.02 / sqrt(2 * (double)n));
        assert_memory_not_equal(a + t.offset, b + t.offset, n * sizeof *a); /* another seed */
        if (t.offset)
            assert_memory_not_equal(a + t.offset, a, 32 * sizeof *a); /* another layer */
    }
    free(a);
    free(b);
}

static void refused(void **state)
{
    const struct mlp_shape none = {.structure = MLP_2, .width = 0}, one = {.structure = MLP_2, .width = 1};
    err e = {0};
    mlp *m;

    (void)state;
    assert_int_equal(mlp_create(&m, &none, 1, &e), ERR_SHAPE);
    assert_null(m);
    assert_int_equal(mlp_create(&m, &one, 0, &e), ERR_SHAPE);
    mlp_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_is_the_formula), cmocka_unit_test(gradients), cmocka_unit_test(tensors),
        cmocka_unit_test(initial_values),         cmocka_unit_test(refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
