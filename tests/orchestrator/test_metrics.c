/* The accuracy matrix whose numbers are known by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "orchestrator/metrics.h"

enum { ROWS = 22 };
static const double known[3][3] = {{90, 85, 80}, {0, 88, 86}, {0, 0, 70}};

static int fill(struct accuracy_row *rows)
{
    int n = 0;

    for (int t = 0; t < 3; t++)
        for (int k = 0; k <= t; k++) {
            if (t > 0) /* nothing is aligned after the first task */
                rows[n++] = (struct accuracy_row){
                    .after_task = t, .task = k, .phase = "before", .accuracy = known[k][t] - 10, .tii_accuracy = 1};
            rows[n++] = (struct accuracy_row){
                .after_task = t, .task = k, .phase = "after", .accuracy = known[k][t], .tii_accuracy = 60 + 10 * k};
            if (t > 0)
                rows[n++] = (struct accuracy_row){
                    .after_task = t, .task = k, .phase = "tii-before", .accuracy = 2, .tii_accuracy = 20 + 10 * k};
            rows[n++] = (struct accuracy_row){
                .after_task = t, .task = k, .phase = "tii-after", .accuracy = 3, .tii_accuracy = 40 + 10 * k};
        }
    return n;
}

static void test_known_matrix(void **state)
{
    struct accuracy_row rows[ROWS];
    int n = fill(rows);
    struct trial_metrics m = metrics_of(rows, n, 3);

    (void)state;
    assert_float_equal(metrics_average(rows, n, 0), 90, 1e-9);
    assert_float_equal(metrics_average(rows, n, 1), 86.5, 1e-9);
    assert_float_equal(m.faa, 236 / 3.0, 1e-9);
    assert_float_equal(m.caa, (90 + 86.5 + 236 / 3.0) / 3, 1e-9);
    assert_float_equal(m.ffm, 6, 1e-9);
    assert_float_equal(m.bwt, -6, 1e-9);
    assert_float_equal(m.tii_accuracy, 70, 1e-9);
    assert_float_equal(metrics_of(rows, n, 2).ffm, 5, 1e-9);
    assert_float_equal(metrics_of(rows, n, 2).bwt, -5, 1e-9);
    assert_float_equal(metrics_of(rows, n, 2).caa, 88.25, 1e-9);
    assert_float_equal(metrics_of(rows, n, 3).caa, 85.0556, 1e-4);
}

/* Ten percent less in every aligned column: A = [[90, 75, 70], [0, 78, 76], [0, 0, 60]]. */
static void test_before_the_alignment(void **state)
{
    struct accuracy_row rows[ROWS];
    int n = fill(rows);
    struct trial_metrics m = metrics_of(rows, n, 3);

    (void)state;
    assert_int_equal(n, ROWS);
    assert_float_equal(m.faa_before, 206 / 3.0, 1e-9);
    assert_float_equal(m.caa_before, (90 + 76.5 + 206 / 3.0) / 3, 1e-9);
    assert_float_equal(m.ffm_before, (20 + 2) / 2.0, 1e-9);
    assert_float_equal(m.bwt_before, -(20 + 2) / 2.0, 1e-9);
    assert_float_equal(m.tii_before, 30, 1e-9);
    assert_float_equal(m.tii_sample, 50, 1e-9);
    m = metrics_of(rows, n, 1);
    assert_float_equal(m.faa_before, 90, 1e-9);
    assert_float_equal(m.tii_before, 40, 1e-9);
}

static void test_names_and_rows(void **state)
{
    struct accuracy_row rows[ROWS];
    struct trial_metrics m = metrics_of(rows, fill(rows), 3), other;
    struct trial_row row = {.trial = 7};

    (void)state;
    metrics_to_row(&m, &row);
    assert_float_equal(row.bwt, -6, 1e-9);
    other = metrics_of_row(&row);
    assert_true(metrics_equal(&m, &other));
    other.tii_sample = NAN;
    assert_false(metrics_equal(&m, &other));
    m.tii_sample = NAN;
    assert_true(metrics_equal(&m, &other));
    assert_float_equal(metrics_by_name(&m, "bwt"), -6, 1e-9);
    assert_float_equal(metrics_by_name(&m, "tii_accuracy"), 70, 1e-9);
    assert_true(isnan(metrics_by_name(&m, "loss")));
}

static void test_what_is_not_known_is_nan(void **state)
{
    struct accuracy_row rows[ROWS], last[ROWS];
    int n = fill(rows), count = 0;
    struct trial_metrics m;

    (void)state;
    assert_true(isnan(metrics_of(rows, n, 4).faa));
    assert_float_equal(metrics_of(rows, n, 1).faa, 90, 1e-9);
    assert_true(isnan(metrics_of(rows, n, 1).ffm) && isnan(metrics_of(rows, n, 1).bwt));
    assert_true(isnan(metrics_of(rows, n, 0).faa) && isnan(metrics_of(rows, n, 0).bwt_before));
    for (int i = 0; i < n; i++)
        if (rows[i].after_task == 2)
            last[count++] = rows[i];
    m = metrics_of(last, count, 3); /* as joint training answers */
    assert_float_equal(m.faa, 236 / 3.0, 1e-9);
    assert_true(isnan(m.caa) && isnan(m.ffm) && isnan(m.bwt));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_matrix),
        cmocka_unit_test(test_before_the_alignment),
        cmocka_unit_test(test_names_and_rows),
        cmocka_unit_test(test_what_is_not_known_is_nan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
