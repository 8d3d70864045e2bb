/* Position embeddings for other image sizes: cases worked by hand.  tests/io/test_backbone_import.c compares with PyTorch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "model/position.h"

static void assert_near(float got, double want)
{
    if (fabs((double)got - want) > 1e-6)
        fail_msg("%.9g, expected %.9g", (double)got, want);
}

static void the_same_grid_is_a_copy(void **state)
{
    static const float from[5 * 2] = {1e-30f, -0.0f, 1, 2, 3, 4, 5, 6, 7, 8.1f};
    float to[5 * 2];

    (void)state;
    position_resample(from, 2, to, 2, 2);
    assert_memory_equal(from, to, sizeof from);
}

/* The weights of each output sum to 1. */
static void a_constant_stays(void **state)
{
    static const int sizes[][2] = {{1, 5}, {3, 8}, {8, 3}, {14, 24}, {24, 14}};
    static float from[1 + 24 * 24], to[1 + 24 * 24];

    (void)state;
    for (size_t i = 0; i < sizeof from / sizeof *from; i++)
        from[i] = 0.7f;
    from[0] = -3; /* the class token's row is no part of the grid */
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int m = sizes[i][1];

        memset(to, 0, sizeof to);
        position_resample(from, sizes[i][0], to, m, 1);
        assert_true(to[0] == -3);
        for (int k = 1; k <= m * m; k++)
            assert_near(to[k], 0.7f);
    }
}

/* Two rows (0, 0) and (1, 1) to four: centres at -0.25, 0.25, 0.75 and 1.25.  With K(x) = 1.25 x^3 - 2.25 x^2 + 1 up to 1 and
 * -0.75 (x^3 - 5 x^2 + 8 x - 4) up to 2, the second row counts K(1.25) = -0.10546875 in the first output and
 * K(0.75) + K(1.75) = 0.26171875 - 0.03515625 in the second; the others mirror them. */
static void two_rows_become_four(void **state)
{
    static const float from[5] = {9, 0, 0, 1, 1};
    static const double rows[4] = {-0.10546875, 0.2265625, 0.7734375, 1.10546875};
    float to[17];

    (void)state;
    position_resample(from, 2, to, 4, 1);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            assert_near(to[1 + 4 * i + j], rows[i]);
}

/* Without antialias: of four columns to two, only the two beside each centre and their neighbours count. */
static void four_columns_become_two(void **state)
{
    float from[17] = {9}, to[5];

    (void)state;
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            from[1 + 4 * i + j] = (float)(j == 1);
    position_resample(from, 4, to, 2, 1);
    /* Centres 0.5 and 2.5: column 1 counts K(0.5) = 0.59375 in the first; K(1.5) = -0.09375 in the second. */
    for (int i = 0; i < 2; i++) {
        assert_near(to[1 + 2 * i], 0.59375);
        assert_near(to[2 + 2 * i], -0.09375);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_grid_is_a_copy),
        cmocka_unit_test(a_constant_stays),
        cmocka_unit_test(two_rows_become_four),
        cmocka_unit_test(four_columns_become_two),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
