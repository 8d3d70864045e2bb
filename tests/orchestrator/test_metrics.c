/* The accuracy matrix whose numbers are known by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "orchestrator/metrics.h"

static const double known[3][3] = {{90, 85, 80}, {0, 88, 86}, {0, 0, 70}};

static int fill(struct accuracy_row *rows)
{
    int n = 0;

    for (int t = 0; t < 3; t++)
        for (int k = 0; k <= t; k++) {
            rows[n++] =
                (struct accuracy_row){.after_task = t, .task = k, .phase = "before", .accuracy = 1, .tii_accuracy = 1};
            rows[n++] = (struct accuracy_row){
                .after_task = t, .task = k, .phase = "after", .accuracy = known[k][t], .tii_accuracy = 60 + 10 * k};
        }
    return n;
}

static void test_known_matrix(void **state)
{
    struct accuracy_row rows[12];
    int n = fill(rows);
    struct trial_metrics m = metrics_of(rows, n, 3);

    (void)state;
    assert_float_equal(metrics_average(rows, n, 0), 90, 1e-9);
    assert_float_equal(metrics_average(rows, n, 1), 86.5, 1e-9);
    assert_float_equal(m.faa, 236 / 3.0, 1e-9);
    assert_float_equal(m.caa, (90 + 86.5 + 236 / 3.0) / 3, 1e-9);
    assert_float_equal(m.ffm, 6, 1e-9);
    assert_float_equal(m.tii_accuracy, 70, 1e-9);
    assert_float_equal(metrics_of(rows, n, 2).ffm, 5, 1e-9);
}

static void test_what_is_not_known_is_nan(void **state)
{
    struct accuracy_row rows[12], last[6];
    int n = fill(rows), count = 0;
    struct trial_metrics m;

    (void)state;
    assert_true(isnan(metrics_of(rows, n, 4).faa));
    assert_float_equal(metrics_of(rows, n, 1).faa, 90, 1e-9);
    assert_true(isnan(metrics_of(rows, n, 1).ffm));
    for (int i = 0; i < n; i++)
        if (rows[i].after_task == 2)
            last[count++] = rows[i];
    m = metrics_of(last, count, 3); /* as joint training answers */
    assert_float_equal(m.faa, 236 / 3.0, 1e-9);
    assert_true(isnan(m.caa) && isnan(m.ffm));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_matrix),
        cmocka_unit_test(test_what_is_not_known_is_nan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
