/* tests/model/test_formula.c - drawn images and their numbers: repeatable, in range, various; the descriptor on
 * pictures whose answer is known by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "model/formula.h"

enum { SIDE = 32, CELLS = FORMULA_CELLS, BINS = FORMULA_ORIENTATIONS, PIXELS = FORMULA_SIDE_MAX * FORMULA_SIDE_MAX };

static void test_repeatable(void **state)
{
    (void)state;
    for (uint64_t index = 0; index < 300; index++) {
        float once[SIDE * SIDE], again[SIDE * SIDE], between[SIDE * SIDE];

        formula_draw(7, index, SIDE, once);
        formula_draw(7, index + 1, SIDE, between); /* nothing is remembered */
        formula_draw(7, index, SIDE, again);
        assert_memory_equal(once, again, sizeof once);
        assert_memory_not_equal(once, between, sizeof once);
    }
}

static void test_seed_and_high_index_matter(void **state)
{
    float one[SIDE * SIDE], two[SIDE * SIDE], far[SIDE * SIDE];

    (void)state;
    formula_draw(1, 5, SIDE, one);
    formula_draw(2, 5, SIDE, two);
    formula_draw(1, 5 + ((uint64_t)1 << 32), SIDE, far);
    assert_memory_not_equal(one, two, sizeof one);
    assert_memory_not_equal(one, far, sizeof one);
}

/* Every side, many images: values in [0, 1], and nothing is written beyond the image. */
static void test_range(void **state)
{
    (void)state;
    for (int side = FORMULA_SIDE_MIN; side <= FORMULA_SIDE_MAX; side += 7)
        for (uint64_t index = 0; index < 400; index++) {
            float image[PIXELS + 1], numbers[FORMULA_NUMBERS + 1];

            image[side * side] = numbers[FORMULA_NUMBERS] = -5;
            formula_draw(3, index, side, image);
            formula_describe(image, side, numbers);
            for (int n = 0; n < side * side; n++)
                assert_true(image[n] >= 0 && image[n] <= 1); /* false for NaN, too */
            for (int n = 0; n < FORMULA_NUMBERS; n++)
                assert_true(numbers[n] >= 0 && numbers[n] <= 1 + 1e-5f);
            assert_true(image[side * side] == -5 && numbers[FORMULA_NUMBERS] == -5);
        }
}

/* The stream is worth learning from: few blank pictures, every number varies, and the families' share of black grounds.
 */
static void test_variety(void **state)
{
    enum { IMAGES = 2000 };
    static double sum[FORMULA_NUMBERS], squares[FORMULA_NUMBERS];
    int blank = 0, black = 0;

    (void)state;
    for (uint64_t index = 0; index < IMAGES; index++) {
        float image[SIDE * SIDE], numbers[FORMULA_NUMBERS], low = 1, high = 0;

        formula_draw(11, index, SIDE, image);
        formula_describe(image, SIDE, numbers);
        for (int n = 0; n < SIDE * SIDE; n++) {
            low = fminf(low, image[n]);
            high = fmaxf(high, image[n]);
        }
        blank += high - low < 0.02f;
        black += image[0] == 0;
        for (int n = 0; n < FORMULA_NUMBERS; n++) {
            sum[n] += numbers[n];
            squares[n] += (double)numbers[n] * numbers[n];
        }
    }
    assert_true(blank < IMAGES / 50);
    assert_in_range(black, IMAGES / 2, IMAGES * 8 / 10);
    for (int n = 0; n < FORMULA_NUMBERS; n++)
        assert_true(squares[n] / IMAGES - sum[n] / IMAGES * sum[n] / IMAGES > 5e-4);
}

/* A plane wave's gradient has one orientation everywhere: its bin (or two, where it lies between) holds all the energy.
 */
static void test_orientation(void **state)
{
    (void)state;
    for (int half_bins = 0; half_bins < 2 * BINS; half_bins++) {
        double angle = 3.14159265358979 * half_bins / (2 * BINS), share[BINS] = {0}, all = 0;
        float image[SIDE * SIDE], numbers[FORMULA_NUMBERS];

        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++)
                image[y * SIDE + x] = (float)(0.5 + 0.01 * (cos(angle) * (x - 16) + sin(angle) * (y - 16)));
        formula_describe(image, SIDE, numbers);
        for (int y = 1; y < CELLS - 1; y++) /* away from the border, whose gradients are halved across it */
            for (int x = 1; x < CELLS - 1; x++)
                for (int o = 0; o < BINS; o++) {
                    double value = numbers[(y * CELLS + x) * BINS + o];

                    share[o] += value * value - 1e-4;
                    all += value * value - 1e-4;
                }
        assert_true(fabs(all - 0.01 * (CELLS - 2) * (CELLS - 2)) < 1e-4); /* the slope, wherever it points */
        for (int o = 0; o < BINS; o++) {
            int apart = abs(half_bins - 2 * o), away = apart < BINS ? apart : 2 * BINS - apart; /* on the circle */
            double expected = away == 0 ? 1 : away == 1 ? 0.5 : 0;

            assert_true(fabs(share[o] / all - expected) < 1e-3);
        }
    }
}

/* A vertical edge in the middle: energy in bin 0, in the cells beside it, and nowhere else. */
static void test_edge(void **state)
{
    float image[SIDE * SIDE], numbers[FORMULA_NUMBERS];

    (void)state;
    for (int n = 0; n < SIDE * SIDE; n++)
        image[n] = n % SIDE < SIDE / 2 ? 0.25f : 0.75f;
    formula_describe(image, SIDE, numbers);
    for (int y = 0; y < CELLS; y++)
        for (int x = 0; x < CELLS; x++)
            for (int o = 0; o < BINS; o++) {
                float value = numbers[(y * CELLS + x) * BINS + o];

                if (o == 0 && (x == CELLS / 2 - 1 || x == CELLS / 2))
                    assert_true(value > 0.2f);
                else
                    assert_true(fabsf(value - 0.01f) < 1e-6f);
            }
}

/* Turned by a quarter, an image has its cells turned and its orientations moved by half of the bins. */
static void test_quarter_turn(void **state)
{
    (void)state;
    for (uint64_t index = 0; index < 50; index++) {
        float image[SIDE * SIDE], turned[SIDE * SIDE], numbers[FORMULA_NUMBERS], after[FORMULA_NUMBERS];

        formula_draw(5, index, SIDE, image);
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++)
                turned[x * SIDE + SIDE - 1 - y] = image[y * SIDE + x];
        formula_describe(image, SIDE, numbers);
        formula_describe(turned, SIDE, after);
        for (int y = 0; y < CELLS; y++)
            for (int x = 0; x < CELLS; x++) {
                int cell = y * CELLS + x, there = x * CELLS + CELLS - 1 - y;

                for (int o = 0; o < BINS; o++) {
                    float before = numbers[cell * BINS + o], now = after[there * BINS + (o + BINS / 2) % BINS];

                    assert_true(fabsf(before * before - now * now) < 1e-4f);
                }
                assert_true(fabsf(numbers[FORMULA_HISTOGRAMS + cell] - after[FORMULA_HISTOGRAMS + there]) < 1e-5f);
            }
    }
}

/* The coarse copy, also where cells cut through pixels: 12 pixels are 8 cells of 1.5. */
static void test_coarse_copy(void **state)
{
    enum { ODD = 12 };
    float image[ODD * ODD], numbers[FORMULA_NUMBERS];

    (void)state;
    for (int n = 0; n < ODD * ODD; n++)
        image[n] = (float)(n % ODD);
    formula_describe(image, ODD, numbers);
    for (int y = 0; y < CELLS; y++)
        for (int x = 0; x < CELLS; x++) {
            float expected = x % 2 ? 1.5f * (float)(x - 1) + 5.0f / 3 : 1.5f * (float)x + 1.0f / 3;

            assert_true(fabsf(numbers[FORMULA_HISTOGRAMS + y * CELLS + x] - expected) < 1e-5f);
        }
}

/* Targets over images that the basis has not seen: mean 0, mean square 1, uncorrelated, the first ones largest. */
static void test_targets(void **state)
{
    enum { IMAGES = 2000, K = FORMULA_TARGETS };
    static struct formula_basis basis;
    static double sum[K], products[K][K];
    double energy = 0;
    err e = {0};

    (void)state;
    assert_int_equal(formula_basis_measure(4, SIDE, &basis, &e), 0);
    for (uint64_t index = 0; index < IMAGES; index++) {
        float image[SIDE * SIDE], numbers[FORMULA_NUMBERS], targets[K];

        formula_draw(4, index, SIDE, image);
        formula_describe(image, SIDE, numbers);
        formula_targets(&basis, numbers, targets);
        for (int a = 0; a < K; a++) {
            sum[a] += targets[a] / (double)IMAGES;
            for (int b = 0; b <= a; b++)
                products[a][b] += (double)targets[a] * targets[b] / IMAGES;
        }
    }
    for (int a = 0; a < K; a++) {
        energy += products[a][a] / K;
        assert_true(fabs(sum[a]) < 0.1 * sqrt(products[a][a]));
        for (int b = 0; b < a; b++)
            assert_true(fabs(products[a][b]) < 0.25 * sqrt(products[a][a] * products[b][b]));
    }
    assert_true(fabs(energy - 1) < 0.05);
    assert_true(products[0][0] > 4 * products[16][16] && products[16][16] > 2 * products[128][128]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repeatable),   cmocka_unit_test(test_seed_and_high_index_matter),
        cmocka_unit_test(test_range),        cmocka_unit_test(test_variety),
        cmocka_unit_test(test_orientation),  cmocka_unit_test(test_edge),
        cmocka_unit_test(test_quarter_turn), cmocka_unit_test(test_coarse_copy),
        cmocka_unit_test(test_targets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
