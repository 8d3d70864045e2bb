/* Linear layers against sums in double precision, and the promise of linear.h: a row's bits depend on that row alone. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/linear.h"
#include "model/rng.h"

enum { ROWS = 37, APART = 5 }; /* rows lie a few numbers more apart than they are long */

static const struct {
    size_t out, in;
} layers[] = {{1, 1}, {10, 33}, {48, 16}, {50, 7}, {97, 768}, {160, 770}, {3, 1600}};
enum { LAYERS = sizeof layers / sizeof *layers };

struct layer {
    size_t out, in, ldx, ldy;
    float *W, *x, *y;
};

static float *numbers(uint32_t which, size_t n)
{
    rng r = rng_stream(1, RNG_TEST, which, 0, 0);
    float *x = malloc(n * sizeof *x);

    assert_non_null(x);
    rng_fill_normal(&r, x, n, 1);
    return x;
}

static struct layer open_layer(int i)
{
    struct layer l = {.out = layers[i].out, .in = layers[i].in};

    l.ldx = l.in + APART;
    l.ldy = l.out + APART;
    l.W = numbers(0, l.out * l.in);
    l.x = numbers(1, ROWS * l.ldx);
    l.y = numbers(2, ROWS * l.ldy);
    return l;
}

static void close_layer(struct layer *l)
{
    free(l->W);
    free(l->x);
    free(l->y);
}

static void pass(const struct kernels *k, const struct layer *l, bool back, size_t first, size_t rows, bool add)
{
    static float strip[LINEAR_STRIP];
    float *x = l->x + first * l->ldx, *y = l->y + first * l->ldy, *place = add ? strip : NULL;

    if (back)
        linear_backward(k, rows, l->out, l->in, y, l->ldy, l->W, add, x, l->ldx, place);
    else
        linear_forward(k, rows, l->out, l->in, x, l->ldx, l->W, add, y, l->ldy, place);
}

/* The exact element of the result, given what was there. */
static double expected(const struct layer *l, bool back, size_t row, size_t column, double before)
{
    double sum = before;

    for (size_t p = 0; p < (back ? l->out : l->in); p++)
        sum += back ? (double)l->y[row * l->ldy + p] * l->W[p * l->in + column]
                    : (double)l->x[row * l->ldx + p] * l->W[column * l->in + p];
    return sum;
}

static void expect_values(const struct kernels *k, int which, bool back, bool add)
{
    struct layer l = open_layer(which);
    float *to = back ? l.x : l.y;
    size_t stride = back ? l.ldx : l.ldy, columns = back ? l.in : l.out, terms = back ? l.out : l.in;
    float *before = malloc(ROWS * stride * sizeof *before);

    assert_non_null(before);
    memcpy(before, to, ROWS * stride * sizeof *before);
    pass(k, &l, back, 0, ROWS, add);
    for (size_t i = 0; i < ROWS * stride; i++) {
        size_t row = i / stride, column = i % stride;
        double want =
            column < columns ? expected(&l, back, row, column, add ? (double)before[i] : 0) : (double)before[i];

        if (!(fabs((double)to[i] - want) <= (column < columns ? 3e-6 * sqrt((double)terms) * 4 : 0)))
            fail_msg("%s: %zu x %zu%s, row %zu, number %zu is %.9g, expected %.9g", k->name, l.out, l.in,
                     back ? ", backward" : "", row, column, (double)to[i], want);
    }
    free(before);
    close_layer(&l);
}

static void values(void **state)
{
    const struct kernels *k;

    (void)state;
    for (int set = 0; (k = kernels_nth(set)); set++)
        for (int i = 0; i < LAYERS; i++)
            for (int way = 0; way < 4; way++)
                expect_values(k, i, way & 1, way & 2);
}

/* All rows at once, and the same in pieces of every size: the same bits. */
static void a_row_depends_on_itself_alone(void **state)
{
    const struct kernels *k;

    (void)state;
    for (int set = 1; (k = kernels_nth(set)); set++)
        for (int i = 0; i < LAYERS; i++)
            for (int back = 0; back < 2; back++) {
                struct layer whole = open_layer(i);

                pass(k, &whole, back, 0, ROWS, false);
                for (size_t size = 1; size < ROWS; size += 1 + size / 3) {
                    struct layer pieces = open_layer(i);

                    for (size_t at = 0; at < ROWS; at += size)
                        pass(k, &pieces, back, at, ROWS - at < size ? ROWS - at : size, false);
                    assert_memory_equal(back ? pieces.x : pieces.y, back ? whole.x : whole.y,
                                        ROWS * (back ? whole.ldx : whole.ldy) * sizeof(float));
                    close_layer(&pieces);
                }
                close_layer(&whole);
            }
}

/* The vectorised sets sum in one order: which of them a machine has changes no bit of a linear layer. */
static void all_fast_sets_agree(void **state)
{
    (void)state;
    for (int set = 2; kernels_nth(set); set++)
        for (int i = 0; i < LAYERS; i++)
            for (int back = 0; back < 2; back++) {
                struct layer a = open_layer(i), b = open_layer(i);

                pass(kernels_nth(1), &a, back, 0, ROWS, true);
                pass(kernels_nth(set), &b, back, 0, ROWS, true);
                assert_memory_equal(back ? a.x : a.y, back ? b.x : b.y, ROWS * (back ? a.ldx : a.ldy) * sizeof(float));
                close_layer(&a);
                close_layer(&b);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(a_row_depends_on_itself_alone),
        cmocka_unit_test(all_fast_sets_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
