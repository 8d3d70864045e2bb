/* What a plan says that a pass through the network costs, and what it costs (model/flops.h, which is held to the products that are
 * called). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/flops.h"
#include "sweeps/cost.h"
#include "sweeps/sweep.h"

enum { TRAIN = 30, TEST = 10, CLASSES = 4 };

/* The cost of a stage of a trial of one task, with these options. */
static double flop(const char *options, enum stage_kind kind, const struct source_backbone *backbone)
{
    const struct source_dataset data = {.classes = CLASSES, .train_images = TRAIN, .test_images = TEST};
    const int until[] = {CLASSES};
    struct trial_config config;
    struct cost_trial trial;
    struct sweep sweep;
    char yaml[300];
    err e = {0};

    snprintf(yaml, sizeof yaml, "trial: {dataset.tasks: 1, %s}\n", options);
    if (sweep_parse("costs", ".", yaml, strlen(yaml), NULL, 0, &sweep, &e))
        fail_msg("%s", e.text);
    sweep_point(&sweep, 0, &config);
    sweep_free(&sweep);
    trial = cost_of_trial(&config, &data, backbone, 1, until);
    return stage_cost(&trial, kind, kind == STAGE_FEATURES ? -1 : 0).flop;
}

static void expect_close(const char *what, double got, double want)
{
    if (!(fabs(got / want - 1) < 1e-9))
        fail_msg("%s: the plan says %.0f, the model %.0f", what, got, want);
}

static void of_a_plan_and_of_the_model(void **state)
{
    static const struct {
        const char *text;
        uint64_t prompted;
    } layers[] = {{"0-4", 0x1f}, {"0", 1}, {"2,4", 0x14}, {"5", 0x20}};
    static const struct source_backbone backbones[] = {{.side = 32, .patch = 4, .width = 128, .blocks = 6},
                                                       {.side = 224, .patch = 16, .width = 768, .blocks = 12}};

    (void)state;
    for (size_t b = 0; b < sizeof backbones / sizeof *backbones; b++)
        for (int pool = VIT_POOL_TOKEN; pool <= VIT_POOL_MEAN; pool++)
            for (size_t l = 0; l < sizeof layers / sizeof *layers; l++) {
                const struct vit_shape s = {.side = backbones[b].side,
                                            .patch = backbones[b].patch,
                                            .width = backbones[b].width,
                                            .depth = backbones[b].blocks,
                                            .heads = 4,
                                            .hidden = 4 * backbones[b].width,
                                            .pool = (enum vit_pool)pool};
                struct prefix prefix = {.length = 7};
                char once[200], twice[200];
                double step;
                err e = {0};

                assert_int_equal(prefix_set_layers(&prefix, layers[l].prompted, s.depth, &e), 0);
                snprintf(once, sizeof once,
                         "prompt.length: 7, prompt.layers: \"%s\", feature.pool: %s, train.epochs: 1", layers[l].text,
                         pool == VIT_POOL_TOKEN ? "token" : "mean");
                snprintf(twice, sizeof twice, "%s", once);
                twice[strlen(twice) - 1] = '2';
                step = vit_forward_flops(&s, &prefix) +
                       vit_backward_flops(&s, &prefix, VIT_PROMPT, __builtin_ctzll(layers[l].prompted));
                expect_close("features", flop(once, STAGE_FEATURES, &backbones[b]),
                             (TRAIN + TEST) * vit_forward_flops(&s, NULL));
                expect_close("an epoch", flop(twice, STAGE_WTP, &backbones[b]) - flop(once, STAGE_WTP, &backbones[b]),
                             TRAIN * step);
                expect_close("joint", flop(once, STAGE_JOINT, &backbones[b]),
                             TRAIN * step + TEST * vit_forward_flops(&s, &prefix));
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(of_a_plan_and_of_the_model)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
