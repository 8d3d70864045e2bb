/* tests/sweeps/test_shipped_sweeps.c - every sweep file of the repository plans, and the presets say what the official scripts
 * say (typed in here a second time). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweeps/plan.h"

/* A published row that speaks of no trial would stand beside nothing. */
static void check_published(const char *path, const struct sweep *sweep, const struct plan *plan)
{
    for (int i = 0; i < sweep->published_count; i++) {
        bool any = false;
        for (int t = 0; t < plan->trials_count && !any; t++) {
            struct trial_config config;
            plan_trial_config(plan, t, &config);
            any = sweep_matches(&sweep->published[i].which, &config);
        }
        if (!any)
            fail_msg("%s: no trial for the published row '%s'", path, sweep->published[i].label);
    }
}

static void plan_all(const char *pattern, size_t at_least)
{
    glob_t found;

    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= at_least);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct sweep sweep;
        struct plan plan;
        err e = {0};
        if (sweep_load(found.gl_pathv[i], NULL, 0, &sweep, &e) || plan_make(&sweep, &sources_none, &plan, &e))
            fail_msg("%s", e.text);
        assert_true(plan.trials_count >= 1);
        if (plan.warnings_count)
            fail_msg("%s: %s", found.gl_pathv[i], plan.warnings[0]);
        assert_int_equal(sweep.published_count > 0, sweep.published_source[0] != 0);
        check_published(found.gl_pathv[i], &sweep, &plan);
        plan_free(&plan);
        sweep_free(&sweep);
    }
    globfree(&found);
}

static void test_all_plan(void **state)
{
    (void)state;
    plan_all(SOURCE_DIR "/sweeps/*.yaml", 20);
    plan_all(SOURCE_DIR "/sweeps/presets/*.yaml", 28);
}

/* The README's sweep: 20 trials, and its data is known. */
static void test_quickstart(void **state)
{
    struct sweep sweep;
    struct plan plan;
    int of_method[4] = {0};
    err e = {0};

    (void)state;
    assert_int_equal(sweep_load(SOURCE_DIR "/sweeps/quickstart.yaml", NULL, 0, &sweep, &e), 0);
    assert_int_equal(plan_make(&sweep, &sources_none, &plan, &e), 0);
    for (int i = 0; i < plan.trials_count; i++) {
        struct trial_config config;
        plan_trial_config(&plan, i, &config);
        of_method[config.value[OPTION_METHOD].integer]++;
    }
    assert_int_equal(plan.trials_count, 20);
    assert_int_equal(of_method[0], 12); /* norga */
    assert_int_equal(of_method[1], 4);  /* hide */
    assert_int_equal(of_method[2], 2);  /* sequential */
    assert_int_equal(of_method[3], 2);  /* joint */
    plan_free(&plan);
    sweep_free(&sweep);
}

/* clang-format off */
static const struct {
    const char *name;
    const char *tii_lr, *tii_schedule, *tii_align_lr[2]; /* norga, hide */
    const char *epochs, *schedule, *length, *momentum, *contrastive, *head_factor, *clip;
    const char *tap_lr, *tap_epochs, *gate;              /* norga; hide has 0.005 and 30 */
} scripts[] = {
    {"cifar100-sup21k",    "0.0005", "constant", {"0.005", "0.005"}, "50",  "step",     "5",  "0.01", "0.1",  "0.1", "1", "0.05",  "80", "sigmoid"},
    {"cifar100-ibot21k",   "0.0005", "step",     {"0.05",  "0.005"}, "20",  "step",     "5",  "0.1",  "0.1",  "0.1", "1", "0.005", "80", "tanh"},
    {"cifar100-ibot1k",    "0.0005", "step",     {"0.05",  "0.005"}, "20",  "step",     "5",  "0.1",  "0.1",  "0.1", "1", "0.005", "80", "tanh"},
    {"cifar100-dino1k",    "0.0005", "step",     {"0.05",  "0.005"}, "20",  "step",     "5",  "0.1",  "0.1",  "0.1", "1", "0.005", "80", "tanh"},
    {"cifar100-moco1k",    "0.0005", "step",     {"0.05",  "0.005"}, "20",  "step",     "5",  "0.1",  "0.1",  "0.1", "1", "0.005", "80", "gelu"},
    {"imagenet-r-sup21k",  "0.0005", "step",     {"0.005", "0.005"}, "150", "cosine",   "20", "0.01", "0.5",  "0.1", "1", "0.005", "30", "sigmoid"},
    {"imagenet-r-ibot21k", "0.0005", "step",     {"0.005", "0.005"}, "50",  "constant", "20", "0.01", "0.5",  "0.1", "1", "0.005", "30", "tanh"},
    {"imagenet-r-ibot1k",  "0.0005", "step",     {"0.005", "0.005"}, "50",  "constant", "20", "0.01", "0.5",  "0.1", "1", "0.005", "80", "sigmoid"},
    {"imagenet-r-dino1k",  "0.0005", "step",     {"0.005", "0.005"}, "50",  "constant", "20", "0.01", "0.5",  "0.1", "1", "0.005", "30", "tanh"},
    {"imagenet-r-moco1k",  "0.0005", "step",     {"0.005", "0.005"}, "50",  "constant", "20", "0.01", "0.5",  "0.1", "1", "0.005", "30", "gelu"},
    {"cub200-sup21k",      "0.01",   NULL,       {"0.05",  "0.005"}, "50",  "step",     "20", "0.01", "0.01", "1",   "1", "0.05",  "80", "sigmoid"},
    {"cub200-ibot21k",     "0.0005", "step",     {"0.05",  "0.005"}, "50",  "step",     "20", "0.01", "0.01", "1",   "1", "0.05",  "80", "tanh"},
    {"5-datasets-sup21k",  "0.001",  "constant", {"0.005", "0.005"}, "20",  "constant", "40", "0.01", "0.1",  "0.1", "2", "0.005", "30", "tanh"},
    {"5-datasets-ibot21k", "0.001",  "constant", {"0.005", "0.005"}, "20",  "constant", "40", "0.01", "0.1",  "0.1", "2", "0.005", "30", "sigmoid"},
};
/* clang-format on */

static void test_presets(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        for (int hide = 0; hide < 2; hide++) {
            bool five = !strncmp(scripts[i].name, "5-d", 3), moco = strstr(scripts[i].name, "moco") != NULL;
            const struct {
                enum option_id id;
                const char *text;
            } expected[] = {
                {OPTION_METHOD, hide ? "hide" : "norga"},
                {OPTION_TII_LR, scripts[i].tii_lr},
                {OPTION_TII_SCHEDULE, scripts[i].tii_schedule ? scripts[i].tii_schedule
                                      : hide                  ? "step"
                                                              : "constant"},
                {OPTION_TII_ALIGN_LR, scripts[i].tii_align_lr[hide]},
                {OPTION_TII_EPOCHS, "20"},
                {OPTION_TII_BATCH, "128"},
                {OPTION_TII_ALIGN_EPOCHS, "30"},
                {OPTION_TII_MLP, five ? "4-4" : "2"},
                {OPTION_TRAIN_EPOCHS, scripts[i].epochs},
                {OPTION_TRAIN_SCHEDULE, scripts[i].schedule},
                {OPTION_TRAIN_LR, "0.03"},
                {OPTION_TRAIN_BATCH, "128"},
                {OPTION_PROMPT_LENGTH, scripts[i].length},
                {OPTION_PROMPT_LAYERS, "0-4"},
                {OPTION_PROMPT_LAYOUT, "official"},
                {OPTION_PROMPT_MOMENTUM, scripts[i].momentum},
                {OPTION_TRAIN_CONTRASTIVE, scripts[i].contrastive},
                {OPTION_TRAIN_HEAD_LR_FACTOR, scripts[i].head_factor},
                {OPTION_TRAIN_CLIP, scripts[i].clip},
                {OPTION_TAP_LR, hide ? "0.005" : scripts[i].tap_lr},
                {OPTION_TAP_EPOCHS, hide ? "30" : scripts[i].tap_epochs},
                {OPTION_GATE_ACTIVATION, hide ? "none" : scripts[i].gate},
                {OPTION_STATISTICS_KIND, "covariance"},
                {OPTION_DATASET_TASKS, five ? "5" : "10"},
                {OPTION_DATASET_SEQUENCE, five ? "permutation:0" : "shuffled"},
                {OPTION_DATASET_TRANSFORM, five                                   ? "from_cifar"
                                           : strncmp(scripts[i].name, "cifar", 5) ? "default"
                                                                                  : "cifar"},
                {OPTION_DATASET_AUGMENT, "true"},
                {OPTION_EVALUATE_VOTE, five ? "batch" : "sample"},
                {OPTION_EVALUATE_UNSEEN, "keep"},
                {OPTION_FEATURE_NORM, moco ? "fc_norm" : "final"},
                {OPTION_SEED, "42"},
            };
            char path[600];
            struct sweep sweep;
            struct plan plan;
            struct trial_config config;
            err e = {0};
            snprintf(path, sizeof path, "%s/sweeps/presets/%s-%s.yaml", SOURCE_DIR, hide ? "hide" : "norga",
                     scripts[i].name);
            assert_int_equal(sweep_load(path, NULL, 0, &sweep, &e), 0);
            assert_int_equal(plan_make(&sweep, &sources_none, &plan, &e), 0);
            assert_int_equal(plan.trials_count, five ? 1 : 3);
            plan_trial_config(&plan, 0, &config);
            for (size_t k = 0; k < sizeof expected / sizeof *expected; k++) {
                const char *text = option_format(expected[k].id, config.value[expected[k].id]);
                if (strcmp(text, expected[k].text))
                    fail_msg("%s: %s is %s, not %s", path, option_info(expected[k].id)->key, text, expected[k].text);
            }
            plan_free(&plan);
            sweep_free(&sweep);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_plan),
        cmocka_unit_test(test_quickstart),
        cmocka_unit_test(test_presets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
