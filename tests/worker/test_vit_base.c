/* A ViT-B/16 at 224 pixels: one epoch of prompts on 24 images in one batch fits into 2 GiB. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/blas.h"
#include "trial.h"

static void one_epoch_fits_into_2_gib(void **state)
{
    static const struct backbone_shape base = {
        .side = 224, .patch = 16, .channels = 3, .width = 768, .depth = 12, .heads = 12, .hidden = 3072};
    const int per_class[DATASET_PARTS][WORLD_CLASSES] = {{4, 4, 4, 4, 4, 4}, {1, 1, 1, 1, 1, 1}};
    struct record *r = calloc(1, sizeof *r);
    struct rusage usage;
    struct trial t;
    err e;

    (void)state;
    world_make();
    world_write_dataset("few", per_class);
    world_write_backbone("base", &base, true);
    trial_open(
        &t,
        "backbone=base dataset.name=few dataset.tasks=1 dataset.sequence=natural prompt.length=5 prompt.layers=0-4 "
        "train.epochs=1 train.batch=24",
        "vit-base");
    r->stop_in = "features"; /* of the class statistics: the epoch is over */
    if (trial_run_stage(&t, trial_stage(&t, STAGE_WTP, 0), r, &e) != ERR_INTERRUPTED)
        fail_msg("%s", e.text);
    unlink("base.h5");
    getrusage(RUSAGE_SELF, &usage);
    printf("%.2f GiB at most, %.1f s for the epoch; the plan said %.2f GiB\n", (double)usage.ru_maxrss / (1 << 20),
           r->training[0].seconds, t.plan.memory / (1 << 30));
    assert_true(usage.ru_maxrss < 2 << 20); /* KiB */
    assert_int_equal(r->training_count, 1);
    assert_true(r->calls > 3); /* one before the step, one after it; the others are signs of life from within */
    assert_true(isfinite(r->training[0].loss));
    assert_int_equal(r->outcome.trainable_parameters, 5 * 2 * 5 * 768 + 6 * 769 + 10);
    free(r);
    trial_close(&t);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_epoch_fits_into_2_gib)};

    (void)argc;
    blas_choose_kernels(argv); /* as the program does: the test is short with the right ones only */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
