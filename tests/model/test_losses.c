/* Losses and the optimiser: the fixture of methods.md 1.4.1, finite differences, torch's update rules by hand, the rates of 1.2. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/losses.h"
#include "model/optimizer.h"
#include "model/rng.h"

static void near(double got, double want, double limit)
{
    if (!(fabs(got - want) <= limit))
        fail_msg("%.9g, expected %.9g", got, want);
}

static void contrastive_fixture(void **state)
{
    const float M[] = {1, 0, .6f, .8f, -.5f, .5f};
    const double want[] = {-.244824, .269256, -.068400, -.219682, .418059, -.033724};

    (void)state;
    for (int K = 0; K <= 2; K++) { /* the first K rows as stored means: only the others have a gradient */
        float d[6] = {0}, scratch[9 + 6];

        near(contrastive(M, K, M + 2 * K, 3 - K, 2, 0.8f, 1, d, scratch), 0.620521, 2e-6);
        for (int i = 0; i < 2 * (3 - K); i++)
            near(d[i], want[2 * K + i], 2e-6);
    }
}

static void cross_entropy_gradient(void **state)
{
    enum { B = 4, C = 5 };
    const int32_t labels[B] = {1, 3, 4, 1};
    const uint8_t allowed[C] = {0, 1, 0, 1, 1};
    float logits[B * C], gradient[B * C];
    rng r = rng_stream(1, RNG_TEST, 0, 0, 0);
    int correct;

    (void)state;
    rng_fill_normal(&r, logits, B * C, 2);
    memcpy(gradient, logits, sizeof logits);
    cross_entropy(gradient, labels, allowed, B, C, false, &correct);
    for (int i = 0; i < B * C; i++) {
        float kept = logits[i], step = 1e-2f;
        double up, down;

        logits[i] = kept + step;
        up = cross_entropy(logits, labels, allowed, B, C, true, NULL);
        logits[i] = kept - step;
        down = cross_entropy(logits, labels, allowed, B, C, true, NULL);
        logits[i] = kept;
        near(gradient[i], (up - down) / (2 * (double)step), 1e-4);
        if (!allowed[i % C])
            assert_true(gradient[i] == 0);
    }
}

static void cross_entropy_counts(void **state)
{
    float logits[] = {5, 1, 2, 5, 2, 2};
    int correct;

    (void)state;
    /* the largest logit is masked; in the second row two allowed ones tie and the lower class wins */
    cross_entropy(logits, (int32_t[]){2, 1}, (uint8_t[]){0, 1, 1}, 2, 3, true, &correct);
    assert_int_equal(correct, 2);
    cross_entropy(logits, (int32_t[]){1, 2}, (uint8_t[]){0, 1, 1}, 2, 3, true, &correct);
    assert_int_equal(correct, 0);
    assert_true(isinf(cross_entropy(logits, (int32_t[]){0, 1}, (uint8_t[]){0, 1, 1}, 2, 3, true, NULL)));
}

/* Spec 1.2. */
static void rates(void **state)
{
    const struct schedule step = {SCHEDULE_step, 50, 30, 0.1, 1e-5, true},
                          cosine = {SCHEDULE_cosine, 150, 30, 0.1, 1e-5, true};
    const struct schedule prompt = {SCHEDULE_step, 50, 30, 0.1, 1e-5, false};

    (void)state;
    for (int e = 0; e < 50; e++)
        near(schedule_rate(&step, 0.015, e), e <= 30 ? 0.015 : 0.0015, 1e-12);
    near(schedule_rate(&prompt, 0.015, 29), 0.015, 1e-12);
    near(schedule_rate(&prompt, 0.015, 30), 0.0015, 1e-12);
    near(schedule_rate(&cosine, 0.015, 0), 0.015, 1e-12);
    near(schedule_rate(&cosine, 0.015, 1), 0.015, 1e-12);
    near(schedule_rate(&cosine, 0.015, 2), 0.01499836, 1e-8);
    near(schedule_rate(&cosine, 0.015, 75), 0.00766196, 1e-8);
    near(schedule_rate(&cosine, 0.015, 149), 1.657e-5, 1e-8);
    near(alignment_factor(0, 30), 1, 1e-12);
    near(alignment_factor(15, 30), 0.5, 1e-12);
}

/* Two Adam steps and two SGD steps of one number, by the formulas of methods.md 1.1 and 1.6 in double. */
static void updates(void **state)
{
    const struct schedule constant = {.kind = SCHEDULE_constant};
    struct parameters p = {0};
    err e = {0};

    (void)state;
    parameters_add(&p, "prompt", 1, 0.1);
    parameters_add(&p, "frozen", 1, 0);
    parameters_add(&p, "head", 1, 0.01);
    assert_int_equal(parameters_create(&p, &e), 0);
    assert_ptr_equal(parameters_value(&p, "head"), p.value + 2);
    assert_null(parameters_value(&p, "nothing"));
    for (int i = 0; i < 3; i++)
        p.value[i] = 1;
    memcpy(p.gradient, (float[]){3, 100, 4}, 3 * sizeof(float));
    near(parameters_adam(&p, &constant, 0, 1), 5, 1e-6); /* the frozen group does not count */
    near(p.value[0], 1 - 0.1, 1e-5);                     /* the first Adam step is lr * sign(g) */
    near(p.value[2], 1 - 0.01, 1e-6);
    memcpy(p.gradient, (float[]){0.3f, 100, 0}, 3 * sizeof(float));
    near(parameters_adam(&p, &constant, 0, 1), 0.3, 1e-6); /* below the limit: not scaled */
    {
        double g1 = 3.0 / 5.000001, m = 0.9 * 0.1 * g1 + 0.1 * 0.3, v = 0.999 * 0.001 * g1 * g1 + 0.001 * 0.09;
        double step = 0.1 / (1 - 0.81) * m / (sqrt(v) / sqrt(1 - 0.998001) + 1e-8);

        near(p.value[0], 0.9 - step, 1e-5);
    }
    assert_true(p.value[1] == 1);

    parameters_reset(&p);
    p.value[0] = 1;
    p.gradient[0] = 2;
    parameters_sgd(&p, 0.5);
    near(p.value[0], 1 - 0.05 * 2, 1e-6);
    p.gradient[0] = 1;
    parameters_sgd(&p, 0.5);
    near(p.value[0], 0.9 - 0.05 * (0.9 * 2 + 1), 1e-6);
    assert_true(p.value[1] == 1);
    parameters_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contrastive_fixture),
        cmocka_unit_test(cross_entropy_gradient),
        cmocka_unit_test(cross_entropy_counts),
        cmocka_unit_test(rates),
        cmocka_unit_test(updates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
