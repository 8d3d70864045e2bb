/* tests/analysis/test_ablation.c - groups, pairs, effects and gaps of sweeps small enough to work out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/ablation.h"
#include "io/store.h"
#include "small_sweep.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define DONE(a, b, s, y)                                                                    \
    {                                                                                       \
        .value = {a, b}, .seed = s, .status = STATUS_done, .faa = y, .caa = y + 1, .ffm = 1 \
    }
#define NOT_DONE(a, b, s, how)                                                                               \
    {                                                                                                        \
        .value = {a, b}, .seed = s, .status = STATUS_##how, .faa = NAN, .caa = NAN, .ffm = NAN, .cause = "x" \
    }

static const char *const names[SMALL_FACTORS] = {"gate.activation", "prompt.length"};

/* tanh-5 is measured with seeds 0 1 2, tanh-10 with 0 1, none-5 with 1 2 (and fails with 0), none-10 not at all. */
static const struct small_trial trials[] = {
    DONE("tanh", "5", 0, 70),  DONE("tanh", "5", 1, 72),  DONE("tanh", "5", 2, 74),
    DONE("tanh", "10", 0, 75), DONE("tanh", "10", 1, 76), NOT_DONE("none", "5", 0, failed),
    DONE("none", "5", 1, 71),  DONE("none", "5", 2, 72),  NOT_DONE("tanh", "10", 2, running),
};

struct fixture {
    struct measured m;
    struct ablation a;
    err e;
};

static void start(struct fixture *f, const struct small_trial *list, size_t count, int by_count)
{
    memset(f, 0, sizeof *f);
    small_sweep(&f->m, names, list, count, 3);
    assert_int_equal(ablation_start(&f->a, &f->m, (int[]){0, 1}, by_count, METRIC_FAA, &f->e), 0);
}

static void stop(struct fixture *f)
{
    assert_int_equal(f->e.code, 0);
    ablation_free(&f->a);
    measured_free(&f->m);
}

static void assert_near(double got, double expected)
{
    if (isnan(expected) ? !isnan(got) : !(fabs(got - expected) < 1e-9))
        fail_msg("%.17g, expected %.17g", got, expected);
}

static void groups_follow_the_grid(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, trials, COUNT(trials), 2);
    static const char *const expected[] = {"gate.activation=tanh, prompt.length=5",
                                           "gate.activation=tanh, prompt.length=10",
                                           "gate.activation=none, prompt.length=5"};
    assert_int_equal(f.a.groups_count, 3);
    for (int g = 0; g < 3; g++) {
        char *name = ablation_group_name(&f.a, g);
        assert_string_equal(name, expected[g]);
        free(name);
    }
    const struct estimate *v = &f.a.groups[0].metric[METRIC_FAA];
    assert_int_equal(v->count, 3);
    assert_near(v->mean, 72);
    assert_near(v->sd, 2);
    assert_int_equal(f.a.groups[1].status[STATUS_running], 1);
    assert_int_equal(f.a.groups[2].status[STATUS_failed], 1);
    assert_int_equal(f.a.groups[2].count, 2); /* what failed is counted, but is no observation */
    stop(&f);
}

static void other_options_are_averaged_within_a_seed(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, trials, COUNT(trials), 1); /* by gate.activation only */
    assert_int_equal(f.a.groups_count, 2);
    const struct estimate *v = &f.a.groups[0].metric[METRIC_FAA];
    assert_int_equal(v->count, 3); /* seeds: (70+75)/2, (72+76)/2, 74 */
    assert_near(v->mean, (72.5 + 74 + 74) / 3);
    stop(&f);
}

static void pairs_share_their_seeds(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, trials, COUNT(trials), 2);
    assert_int_equal(ablation_compare(&f.a, f.a.groups[0].level, &f.e), 0);
    assert_int_equal(f.a.comparisons_count, 2); /* the baseline is not compared with itself */
    const struct comparison *longer = &f.a.comparisons[0], *none = &f.a.comparisons[1];
    assert_int_equal(longer->paired.difference.count, 2);
    assert_near(longer->paired.difference.mean, 4.5); /* 75-70, 76-72 */
    assert_int_equal(longer->left_out, 1);            /* seed 2 of the baseline */
    assert_int_equal(none->paired.difference.count, 2);
    assert_near(none->paired.difference.mean, -1.5); /* 71-72, 72-74 */
    assert_near(longer->paired.p_permutation, 0.5);
    assert_near(longer->holm_permutation, 1);
    stop(&f);
}

static void a_baseline_can_be_one_option(void **state)
{
    struct fixture f;
    int wanted[] = {1, -1}; /* gate.activation=none, the same prompt.length */

    (void)state;
    start(&f, trials, COUNT(trials), 2);
    assert_string_equal(f.m.factors[0].levels[1], "none");
    assert_int_equal(ablation_compare(&f.a, wanted, &f.e), 0);
    assert_int_equal(f.a.comparisons_count, 1); /* none-10 does not exist, so tanh-10 has nothing to be compared with */
    assert_int_equal(f.a.comparisons[0].group, 0);
    assert_int_equal(f.a.comparisons[0].baseline, 2);
    stop(&f);
}

static void gaps_of_the_grid_are_found(void **state)
{
    struct fixture f;
    int level[MAX_BY];
    size_t at = 0;

    (void)state;
    start(&f, trials, COUNT(trials), 2);
    assert_int_equal(f.a.cells, 4);
    assert_true(ablation_missing(&f.a, &at, level));
    assert_string_equal(f.m.factors[0].levels[level[0]], "none");
    assert_string_equal(f.m.factors[1].levels[level[1]], "10");
    assert_false(ablation_missing(&f.a, &at, level));
    stop(&f);
}

static void an_option_that_a_trial_does_not_read_leaves_no_gap(void **state)
{
    static const struct small_trial some[] = {DONE("sequential", "–", 0, 20), DONE("hide", "5", 0, 80),
                                              DONE("hide", "10", 0, 81), DONE("norga", "10", 0, 82)};
    struct fixture f;
    int level[MAX_BY];
    size_t at = 0;

    (void)state;
    start(&f, some, COUNT(some), 2);
    assert_true(ablation_missing(&f.a, &at, level)); /* norga-5, and neither sequential-5 nor norga without a length */
    assert_string_equal(f.m.factors[0].levels[level[0]], "norga");
    assert_string_equal(f.m.factors[1].levels[level[1]], "5");
    assert_false(ablation_missing(&f.a, &at, level));
    stop(&f);
}

static void values_that_a_trial_does_not_read_are_no_levels(void **state)
{
    struct trial_row rows[] = {{.trial = 0, .unused = "gate.scale,prompt.length"},
                               {.trial = 1},
                               {.trial = 2, .unused = "x.prompt.length,gate"}};
    const int64_t lengths[] = {5, 10, 5};
    const struct results_column column = {
        .name = "prompt_length", .option = "prompt.length", .kind = FIELD_INT, .integers = lengths};
    const struct results r = {.trials_count = COUNT(rows), .trials = rows, .columns_count = 1, .columns = &column};
    struct measured m = {.trials = 0};
    err e = {.code = 0};

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        strcpy(rows[i].status, "done");
    assert_int_equal(measured_from(&r, "here", &m, &e), 0);
    const struct factor *f = &m.factors[measured_factor(&m, "prompt.length")];
    assert_int_equal(f->levels_count, 3);
    assert_true(f->numbers);
    assert_string_equal(f->levels[f->level[0]], "–");
    assert_int_equal(f->level[0], f->unused);
    assert_string_equal(f->levels[1], "5");
    assert_string_equal(f->levels[2], "10");
    assert_int_equal(f->level[1], 2);
    assert_int_equal(f->level[2], 1);
    measured_free(&m);
}

static void effects_compare_like_with_like(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, trials, COUNT(trials), 2);
    assert_int_equal(ablation_factors(&f.a, &f.e), 0);
    assert_int_equal(f.a.effects_count, 4);
    /* tanh and none share the settings (5, seed 1) and (5, seed 2): 72 against 71, 74 against 72. */
    assert_int_equal(f.a.effects[0].effect.count, 2);
    assert_near(f.a.effects[0].effect.mean, 0.75);
    assert_near(f.a.effects[1].effect.mean, -0.75);
    assert_near(f.a.effects[0].mean.mean, 73);
    /* 5 and 10 share (tanh, seed 0) and (tanh, seed 1): 70 against 75, 72 against 76. */
    assert_int_equal(f.a.effects[2].effect.count, 2);
    assert_near(f.a.effects[2].effect.mean, -2.25);
    assert_near(f.a.effects[3].effect.mean, 2.25);
    stop(&f);
}

static void a_level_without_company_has_no_effect(void **state)
{
    static const struct small_trial list[] = {
        DONE("tanh", "5", 0, 70),  DONE("gelu", "5", 0, 72),  DONE("tanh", "10", 0, 71),
        DONE("gelu", "10", 0, 75), DONE("none", "20", 0, 60), /* the only one at its length */
    };
    struct fixture f;

    (void)state;
    start(&f, list, COUNT(list), 2);
    assert_int_equal(ablation_factors(&f.a, &f.e), 0);
    assert_near(f.a.effects[0].effect.mean, -1.5);
    assert_near(f.a.effects[1].effect.mean, 1.5);
    assert_int_equal(f.a.effects[2].effect.count, 0);
    assert_non_null(f.a.no_terms); /* one seed leaves no noise to test against */
    stop(&f);
}

static void means_leave_out_lone_settings(void **state)
{
    static const char *const three[SMALL_FACTORS] = {"gate.activation", "prompt.length", "method"};
    static const struct small_trial list[] = {
        {.value = {"tanh", "5", "norga"}, .seed = 0, .status = STATUS_done, .faa = 70, .caa = NAN, .ffm = NAN},
        {.value = {"tanh", "10", "norga"}, .seed = 0, .status = STATUS_done, .faa = 72, .caa = NAN, .ffm = NAN},
        {.value = {"gelu", "5", "norga"}, .seed = 0, .status = STATUS_done, .faa = 71, .caa = NAN, .ffm = NAN},
        {.value = {"gelu", "10", "norga"}, .seed = 0, .status = STATUS_done, .faa = 75, .caa = NAN, .ffm = NAN},
        {.value = {"tanh", "5", "joint"}, .seed = 0, .status = STATUS_done, .faa = 90, .caa = NAN, .ffm = NAN},
    };
    struct measured m;
    struct ablation a;
    struct estimate means[4];
    err e = {0};

    (void)state;
    small_sweep(&m, three, list, COUNT(list), 0);
    assert_int_equal(ablation_start(&a, &m, (int[]){0, 1, 2}, 3, METRIC_FAA, &e), 0);
    assert_int_equal(ablation_means(&a, 0, 1, means, &e), 0);
    assert_near(means[0].mean, 70); /* not 80: joint was not run with length 10 */
    assert_near(means[1].mean, 72);
    assert_near(means[3].mean, 75);
    ablation_free(&a);
    measured_free(&m);
}

static void curves_and_matrices_average_over_seeds(void **state)
{
    struct fixture f;
    struct estimate curve[3];
    double matrix[9];

    (void)state;
    start(&f, trials, COUNT(trials), 2);
    assert_int_equal(ablation_curve(&f.a, 0, f.m.after, curve, &f.e), 0);
    assert_near(curve[0].mean, 72);
    assert_near(curve[2].mean, 71); /* 72, 71, 70 after the last task */
    assert_near(curve[2].sd, 2);
    assert_int_equal(ablation_curve(&f.a, 0, f.m.forgetting, curve, &f.e), 0);
    assert_near(curve[0].mean, 2);
    assert_int_equal(curve[2].count, 0);
    ablation_matrices(&f.a, (int[]){0}, 1, matrix);
    assert_near(matrix[0], 72);
    assert_near(matrix[1], NAN);
    assert_near(matrix[6], 70);
    stop(&f);
}

static void nothing_is_a_sweep_too(void **state)
{
    struct fixture f;
    int level[MAX_BY];
    size_t at = 0;

    (void)state;
    start(&f, trials, 0, 2);
    assert_int_equal(f.a.groups_count, 0);
    assert_int_equal(f.a.cells, 0);
    assert_false(ablation_missing(&f.a, &at, level));
    assert_int_equal(ablation_compare(&f.a, (int[]){0, 0}, &f.e), 0);
    assert_int_equal(ablation_factors(&f.a, &f.e), 0);
    stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_follow_the_grid),
        cmocka_unit_test(other_options_are_averaged_within_a_seed),
        cmocka_unit_test(pairs_share_their_seeds),
        cmocka_unit_test(a_baseline_can_be_one_option),
        cmocka_unit_test(gaps_of_the_grid_are_found),
        cmocka_unit_test(an_option_that_a_trial_does_not_read_leaves_no_gap),
        cmocka_unit_test(values_that_a_trial_does_not_read_are_no_levels),
        cmocka_unit_test(effects_compare_like_with_like),
        cmocka_unit_test(a_level_without_company_has_no_effect),
        cmocka_unit_test(means_leave_out_lone_settings),
        cmocka_unit_test(curves_and_matrices_average_over_seeds),
        cmocka_unit_test(nothing_is_a_sweep_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
