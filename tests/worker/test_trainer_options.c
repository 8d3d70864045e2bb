/* Every option of a trial at work: results are finite and repeatable, and an option changes what it should and nothing else. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/h5.h"
#include "trial.h"

/* `changes` and `keeps`: letters of STAGE_KINDS, whose last checkpoint differs, or not, from that of the base; R: the accuracy
 * rows of the trial. */
struct change {
    const char *base, *options, *changes, *keeps;
};

/* clang-format off */
static const struct change norga[] = {
    {"", "checkpoint.seconds=0", "", "FIWEAR"},
    {"", "seeds.order=5", "IWEAR", "F"},
    {"", "seeds.init=5", "IWEAR", "F"},
    {"", "seeds.data=5", "IWEAR", "F"},
    {"", "dataset.tasks=2", "IWEAR", "F"},
    {"", "dataset.sequence=natural", "IWEAR", "F"},
    {"", "dataset.sequence=[[5,1],[0,2,4],[3]]", "IWEAR", "F"},
    {"", "dataset.train_per_class=5", "FIWEAR", ""},
    {"", "dataset.test_per_class=3", "FIER", "W"},
    {"", "dataset.transform=cifar", "FIWEAR", ""},
    {"", "dataset.transform=default", "FIWEAR", ""},
    {"dataset.transform=default", "dataset.transform=inception", "FIWEAR", ""},
    {"dataset.transform=default", "dataset.transform=imagenet", "FIWEAR", ""},
    {"dataset.transform=default", "dataset.transform=from_cifar", "F", "IWEAR"}, /* no class of a CIFAR data set */
    {"", "dataset.augment=true", "IWEAR", "F"},
    {"", "feature.pool=mean", "FIWEAR", ""},
    {"", "feature.norm=fc_norm", "FIWEAR", ""},
    {"", "prompt.length=3", "WEAR", "FI"},
    {"", "prompt.layers=0,2", "WEAR", "FI"},
    {"", "prompt.layers=2", "WEAR", "FI"},
    {"", "prompt.layout=official", "WEAR", "FI"},
    {"", "prompt.momentum=0", "WEAR", "FI"},
    {"", "prompt.momentum=0.5", "WEAR", "FI"},
    {"", "prompt.transfer=false", "WEAR", "FI"},
    {"", "gate.activation=none", "WEAR", "FI"},
    {"", "gate.activation=sigmoid", "WEAR", "FI"},
    {"", "gate.activation=relu", "WEAR", "FI"},
    {"", "gate.activation=gelu", "WEAR", "FI"},
    {"", "gate.activation=softplus", "WEAR", "FI"},
    {"", "gate.activation=elu", "WEAR", "FI"},
    {"", "method=hide", "WEAR", "FI"},
    {"", "gate.train=every_task", "WEAR", "FI"},
    {"", "gate.train=per_task", "WEAR", "FI"},
    {"", "gate.train=never", "WEAR", "FI"},
    {"", "gate.scope=head", "WEAR", "FI"},
    {"", "gate.a0=0.3", "WEAR", "FI"},
    {"", "gate.a1=-0.5", "WEAR", "FI"},
    {"", "gate.lr_factor=0.1", "WEAR", "FI"},
    {"gate.train=never", "gate.train=never gate.lr_factor=0.1", "", "FIWEAR"},
    {"", "align.steps=seen", "IA", "FW"},
    {"", "tap.lr_scaling=true", "AR", "FIWE"},
    {"", "train.epochs=3", "WEAR", "FI"},
    {"", "train.batch=6", "WEAR", "FI"},
    {"", "train.lr=0.01", "WEAR", "FI"},
    {"", "train.lr_scaling=true", "IWEAR", "F"},
    {"", "train.head_lr_factor=0.1", "WEAR", "FI"},
    {"", "train.clip=0.01", "WEAR", "FI"},
    {"", "train.clip=0", "WEAR", "FI"},
    {"", "train.contrastive=0", "WEAR", "FI"},
    {"", "train.temperature=2", "WEAR", "FI"},
    {"", "tii.mlp=4-4", "I", "FW"},
    {"", "tii.epochs=3", "I", "FW"},
    {"", "tii.batch=8", "I", "FW"},
    {"", "tii.lr=0.002", "I", "FW"},
    {"", "tii.clip=0.01", "I", "FW"},
    {"", "tii.align_epochs=0", "I", "FW"},
    {"", "tii.align_lr=0.05", "I", "FW"},
    {"", "statistics.kind=variance", "IWAR", "F"},
    {"", "statistics.kind=multi_centroid", "IWAR", "F"},
    {"", "tap.epochs=0", "AR", "FIWE"},
    {"", "tap.lr=0.2", "AR", "FIWE"},
    {"", "tap.samples=7", "AR", "FIWE"},
    {"", "evaluate.vote=batch", "E", "FIW"},
    {"", "evaluate.unseen=mask", "R", "FIWEA"},
    {"dataset.transform=cifar", "dataset.transform=cifar dataset.augment=true", "IWEAR", "F"},
    {"dataset.transform=default", "dataset.transform=default dataset.augment=true", "IWEAR", "F"},
    {"prompt.momentum=0.5", "prompt.momentum=1", "WEAR", "FI"},
    {"gate.activation=none", "method=hide", "", "FIWEAR"},
    {"gate.train=every_task", "gate.train=per_task", "WEAR", "FI"},
    {"gate.train=never", "gate.train=never gate.scope=head", "W", "FIR"}, /* equal scalars, more of them */
    {"train.epochs=4", "train.epochs=4 train.schedule=cosine", "WEAR", "FI"},
    {"train.epochs=4", "train.epochs=4 train.schedule=step train.decay_epochs=1", "WEAR", "FI"},
    {"train.epochs=4", "train.epochs=4 train.schedule=step train.decay_epochs=3", "", "FIWEAR"}, /* Q10: a late drop */
    {"train.epochs=4", "train.epochs=4 train.schedule=step train.decay_epochs=3 train.schedule_lag=false", "WEAR", "FI"},
    {"train.schedule=cosine", "train.schedule=cosine train.min_lr=0.01 train.schedule_lag=false", "WEAR", "FI"},
    {"train.schedule=step train.decay_epochs=1 train.schedule_lag=false",
     "train.schedule=step train.decay_epochs=1 train.schedule_lag=false train.decay_rate=0.5", "WEAR", "FI"},
    {"tii.epochs=4", "tii.epochs=4 tii.schedule=cosine", "I", "FW"},
    {"statistics.kind=multi_centroid", "statistics.kind=multi_centroid statistics.centroids=2", "IWAR", "F"},
    {"prompt.layout=official", "prompt.layout=official evaluate.batch=4", "ER", "FIW"},
    {"evaluate.vote=batch", "evaluate.vote=batch evaluate.batch=2", "E", "FIW"},
};

static const struct change bounds[] = {
    {"method=sequential", "method=sequential train.lr=0.01", "SR", "F"},
    {"method=sequential", "method=sequential feature.norm=fc_norm", "FSR", ""},
    {"method=sequential", "method=sequential train.schedule=cosine train.epochs=4", "SR", "F"},
    {"method=sequential", "method=sequential evaluate.unseen=mask", "R", "FS"},
    {"method=sequential", "method=sequential seeds.data=9", "SR", "F"},
    {"method=sequential", "method=sequential gate.activation=gelu prompt.length=7 tii.lr=1", "", "FSR"},
    {"method=joint", "method=joint gate.activation=gelu", "JR", ""},
    {"method=joint", "method=joint gate.train=never", "JR", ""},
    {"method=joint", "method=joint gate.train=per_task", "", "R"}, /* one task: the same as in the first */
    {"method=joint", "method=joint prompt.layout=official", "JR", ""},
    {"method=joint", "method=joint feature.norm=fc_norm feature.pool=mean", "JR", ""},
    {"method=joint", "method=joint dataset.augment=true dataset.transform=cifar", "JR", ""},
    {"method=joint", "method=joint tii.lr=1 prompt.momentum=0.5 train.contrastive=3", "", "JR"},
};
/* clang-format on */

static void expect_finite(const struct trial *t, int stage, const struct record *r)
{
    static const char *const floats[] = {
        "train/features", "mlp",       "head.weight", "head.bias",       "prompt",           "scalars",
        "rows.weight",    "rows.bias", "features",    "statistics/mean", "statistics/spread"};
    h5 *file;
    err e = {0};

    assert_int_equal(h5_open(trial_checkpoint(t, stage), &file, &e), 0);
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
        if (h5_has(file, floats[i])) {
            size_t n;
            float *x = trial_array(t, stage, floats[i], &n);

            for (size_t k = 0; k < n; k++)
                if (!isfinite(x[k]))
                    fail_msg("%s(%d): %s[%zu] is %g", stage_kind_name(t->plan.kind[stage]), t->plan.task[stage],
                             floats[i], k, (double)x[k]);
            free(x);
        }
    h5_close(file);
    for (int i = 0; i < r->training_count; i++)
        assert_true(isfinite(r->training[i].loss) && isfinite(r->training[i].accuracy) && isfinite(r->training[i].lr));
    for (int i = 0; i < r->accuracy_count; i++)
        assert_true(isfinite(r->accuracy[i].loss) && r->accuracy[i].accuracy >= 0 && r->accuracy[i].accuracy <= 100);
}

/* A trial run twice, the same both times. */
static struct record *run_twice(struct trial *t, const char *options, const char *folder)
{
    struct trial again;
    struct record *first, *second;

    trial_open(t, options, folder);
    trial_open(&again, options, "again");
    first = trial_run(t);
    second = trial_run(&again);
    for (int s = 0; s < t->plan.stages_count; s++) {
        expect_finite(t, s, &first[s]);
        if (!record_equal(&first[s], &second[s]))
            fail_msg("'%s': %s(%d) differs from run to run", options, stage_kind_name(t->plan.kind[s]),
                     t->plan.task[s]);
    }
    free(second);
    trial_close(&again);
    return first;
}

/* The kind's stage of the last task. */
static int last_stage(const struct trial *t, char letter)
{
    int found = -1;

    for (int i = 0; i < t->plan.stages_count; i++)
        if (stage_kind_letter((enum stage_kind)t->plan.kind[i]) == letter &&
            (found < 0 || t->plan.task[i] > t->plan.task[found]))
            found = i;
    if (found < 0)
        fail_msg("no stage of kind %c", letter);
    return found;
}

static bool rows_differ(const struct trial *a, const struct record *x, const struct trial *b, const struct record *y)
{
    if (a->plan.stages_count != b->plan.stages_count)
        return true;
    for (int i = 0; i < a->plan.stages_count; i++)
        if (x[i].accuracy_count != y[i].accuracy_count ||
            memcmp(x[i].accuracy, y[i].accuracy, (size_t)x[i].accuracy_count * sizeof *x[i].accuracy))
            return true;
    return false;
}

static bool differs(const struct trial *a, const struct record *x, const struct trial *b, const struct record *y,
                    char letter)
{
    const struct digest *one, *other;

    if (letter == 'R')
        return rows_differ(a, x, b, y);
    one = &x[last_stage(a, letter)].outcome.checkpoint;
    other = &y[last_stage(b, letter)].outcome.checkpoint;
    return !digest_equal(one, other);
}

static void check_one(const struct change *c, const struct trial *base, const struct record *x)
{
    struct trial other;
    struct record *y = run_twice(&other, c->options, "other");

    for (const char *letter = c->changes; *letter; letter++)
        if (!differs(base, x, &other, y, *letter))
            fail_msg("'%s' instead of '%s' does not change %c", c->options, c->base, *letter);
    for (const char *letter = c->keeps; *letter; letter++)
        if (differs(base, x, &other, y, *letter))
            fail_msg("'%s' instead of '%s' changes %c", c->options, c->base, *letter);
    free(y);
    trial_close(&other);
}

/* Rows of the same base follow each other. */
static void check(const struct change *changes, size_t count)
{
    struct record *x = NULL;
    struct trial base;

    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(changes[i].base, changes[i - 1].base)) {
            if (i) {
                free(x);
                trial_close(&base);
            }
            x = run_twice(&base, changes[i].base, "base");
        }
        check_one(&changes[i], &base, x);
    }
    free(x);
    trial_close(&base);
}

static void options_of_norga(void **state)
{
    (void)state;
    check(norga, sizeof norga / sizeof *norga);
}

static void options_of_the_bounds(void **state)
{
    (void)state;
    check(bounds, sizeof bounds / sizeof *bounds);
}

static int make_world(void **state)
{
    (void)state;
    world_make();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_of_norga),
        cmocka_unit_test(options_of_the_bounds),
    };

    return cmocka_run_group_tests(tests, make_world, NULL);
}
