/* tests/analysis/test_statistics.c - estimates, paired tests and Holm's correction against SciPy
 * (statistics_reference.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "analysis/ablation.h"
#include "analysis/statistics.h"
#include "small_sweep.h"
#include "statistics_reference.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void assert_close(double got, double expected, double tolerance, const char *what, size_t at)
{
    bool same = isnan(expected) ? isnan(got) : fabs(got - expected) <= tolerance * fmax(1, fabs(expected));

    if (!same)
        fail_msg("%s of case %zu: %.17g, expected %.17g", what, at, got, expected);
}

static void estimates_are_scipys(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(sample_cases); i++) {
        struct estimate r = estimate_of(sample_cases[i].values, sample_cases[i].count);
        assert_int_equal(r.count, sample_cases[i].count);
        assert_close(r.mean, sample_cases[i].mean, 1e-12, "mean", i);
        assert_close(r.sd, sample_cases[i].sd, 1e-9, "sd", i);
        assert_close(r.low, sample_cases[i].low, 1e-11, "low", i);
        assert_close(r.high, sample_cases[i].high, 1e-11, "high", i);
    }
}

static void few_values_have_no_spread(void **state)
{
    (void)state;
    struct estimate none = estimate_of(NULL, 0), one = estimate_of((double[]){70.5}, 1);
    struct estimate same = estimate_of((double[]){2, 2, 2}, 3);

    assert_true(none.count == 0 && isnan(none.mean) && isnan(none.sd) && isnan(none.low));
    assert_true(one.count == 1 && one.mean == 70.5 && isnan(one.sd) && isnan(one.low) && isnan(one.high));
    assert_true(same.sd == 0 && same.low == 2 && same.high == 2);
}

static void paired_tests_are_scipys(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(pair_cases); i++) {
        struct paired r = paired_compare(pair_cases[i].a, pair_cases[i].b, pair_cases[i].count);
        assert_int_equal(r.difference.count, pair_cases[i].count);
        assert_close(r.t, pair_cases[i].t, 1e-9, "t", i);
        assert_close(r.p_t, pair_cases[i].p_t, 1e-9, "p (t)", i);
        assert_close(r.p_permutation, pair_cases[i].p_permutation, 1e-12, "p (permutation)", i);
    }
}

/* Every one of the 2^n sign patterns, one by one. */
static double permutation_by_enumeration(const double *d, size_t n)
{
    double observed = 0, extreme = 0;

    for (size_t i = 0; i < n; i++)
        observed += d[i];
    for (uint64_t signs = 0; signs < UINT64_C(1) << n; signs++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += signs >> i & 1 ? -d[i] : d[i];
        extreme += fabs(sum) >= fabs(observed) - 1e-9;
    }
    return extreme / (double)(UINT64_C(1) << n);
}

static void permutation_counts_every_pattern(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u; /* xorshift64 */

    for (size_t n = 1; n <= 13; n++)
        for (int repeat = 0; repeat < 20; repeat++) {
            double d[13];
            for (size_t i = 0; i < n; i++) {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                d[i] = (double)(random % 9) / 4 - 0.5; /* coarse: many ties and zeros */
            }
            assert_close(permutation_test(d, n), permutation_by_enumeration(d, n), 1e-12, "p", n);
        }
}

static void permutation_has_limits(void **state)
{
    (void)state;
    double d[PERMUTATION_PAIRS + 1];

    for (size_t i = 0; i < COUNT(d); i++)
        d[i] = 1;
    assert_true(isnan(permutation_test(d, 0)));
    assert_close(permutation_test(d, PERMUTATION_PAIRS), 2 / 4294967296.0, 1e-15, "p", 0);
    assert_true(isnan(permutation_test(d, PERMUTATION_PAIRS + 1)));
}

static void differences_without_variance(void **state)
{
    (void)state;
    const double a[] = {70.1, 71.3, 72.7}, shifted[] = {70.4, 71.6, 73.0};
    struct paired same = paired_compare(a, a, 3), apart = paired_compare(shifted, a, 3),
                  single = paired_compare(a, shifted, 1);

    assert_true(isnan(same.t) && same.p_t == 1 && same.p_permutation == 1);
    assert_true(isnan(apart.t) &&
                isnan(apart.p_t)); /* rounding leaves a spread of 1e-15; it must not become a t of 1e14 */
    assert_close(apart.p_permutation, 0.25, 1e-12, "p", 0);
    assert_true(isnan(single.t) && isnan(single.p_t) && single.p_permutation == 1);
    assert_true(isnan(paired_compare(a, a, 0).p_permutation));
}

static void holm_is_closed_testing(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(holm_cases); i++) {
        double adjusted[8];
        assert_int_equal(holm_adjust(holm_cases[i].p, holm_cases[i].count, adjusted), 0);
        for (size_t k = 0; k < holm_cases[i].count; k++)
            assert_close(adjusted[k], holm_cases[i].adjusted[k], 1e-12, "adjusted p", i);
    }
    double with_gaps[] = {NAN, 0.03, NAN, 0.01};
    assert_int_equal(holm_adjust(with_gaps, 4, with_gaps), 0);
    assert_true(isnan(with_gaps[0]) && isnan(with_gaps[2]));
    assert_close(with_gaps[1], 0.03, 1e-12, "adjusted p", 0);
    assert_close(with_gaps[3], 0.02, 1e-12, "adjusted p", 0);
}

static void variance_is_numpys(void **state)
{
    (void)state;
    static const char *const letters[] = {"none", "tanh", "gelu"}, *const lengths[] = {"5", "10"};
    static const char *const names[SMALL_FACTORS] = {"gate.activation", "prompt.length"};

    for (size_t i = 0; i < COUNT(anova_cases); i++) {
        struct small_trial trials[30];
        struct measured m;
        struct ablation a;
        err e = {0};
        for (size_t r = 0; r < anova_cases[i].count; r++)
            trials[r] =
                (struct small_trial){.value = {letters[anova_cases[i].row[r].a], lengths[anova_cases[i].row[r].b]},
                                     .seed = anova_cases[i].row[r].seed,
                                     .status = STATUS_done,
                                     .faa = anova_cases[i].row[r].y,
                                     .caa = NAN,
                                     .ffm = NAN};
        small_sweep(&m, names, trials, anova_cases[i].count, 0);
        assert_int_equal(ablation_start(&a, &m, (int[]){0, 1}, 2, METRIC_FAA, &e), 0);
        assert_int_equal(ablation_factors(&a, &e), 0);
        assert_null(a.no_terms);
        assert_int_equal(a.terms_count, 3);
        assert_close(a.residual_df, anova_cases[i].residual_df, 0, "residual df", i);
        assert_close(a.residual_squares, anova_cases[i].residual_squares, 1e-9, "residual squares", i);
        for (int t = 0; t < 3; t++) {
            assert_close(a.terms[t].df, anova_cases[i].term[t].df, 0, "df", i);
            assert_close(a.terms[t].squares, anova_cases[i].term[t].squares, 1e-9, "squares", i);
            assert_close(a.terms[t].share, anova_cases[i].term[t].share, 1e-9, "share", i);
            assert_close(a.terms[t].f, anova_cases[i].term[t].f, 1e-9, "F", i);
            assert_close(a.terms[t].p, anova_cases[i].term[t].p, 1e-9, "p", i);
        }
        ablation_free(&a);
        measured_free(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(estimates_are_scipys),    cmocka_unit_test(few_values_have_no_spread),
        cmocka_unit_test(paired_tests_are_scipys), cmocka_unit_test(permutation_counts_every_pattern),
        cmocka_unit_test(permutation_has_limits),  cmocka_unit_test(differences_without_variance),
        cmocka_unit_test(holm_is_closed_testing),  cmocka_unit_test(variance_is_numpys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
