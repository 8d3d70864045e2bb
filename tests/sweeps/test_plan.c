/* tests/sweeps/test_plan.c - what a plan shares, what its keys depend on, and what its jobs list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweeps/methods.h"
#include "sweeps/plan.h"
#include "sweeps/sequence.h"

/* A sweep and its plan, on a machine without data. */
struct planned {
    struct sweep sweep;
    struct plan plan;
};

static struct planned *make(const char *yaml)
{
    struct planned *p = calloc(1, sizeof *p);
    err e = {0};

    if (sweep_parse("x.yaml", ".", yaml, strlen(yaml), NULL, 0, &p->sweep, &e) ||
        plan_make(&p->sweep, &sources_none, &p->plan, &e) || plan_keys(&p->plan, &e))
        fail_msg("%s", e.text);
    return p;
}

static void drop(struct planned *p)
{
    plan_free(&p->plan);
    sweep_free(&p->sweep);
    free(p);
}

static int count_kind(const struct plan *plan, enum stage_kind kind)
{
    int n = 0;

    for (int i = 0; i < plan->stages_count; i++)
        n += plan->kind[i] == (int)kind;
    return n;
}

/* A 4-gate x 3-length x 3-seed grid: 36 trials, and 3 chains of task-identity inference. */
static void test_sharing(void **state)
{
    struct planned *p = make("trial: {dataset: {tasks: 5, sequence: shuffled}}\n"
                             "grid:\n"
                             "  gate.activation: [none, tanh, sigmoid, gelu]\n"
                             "  prompt.length: [5, 10, 20]\n"
                             "  seed: 0..2\n");
    const struct plan *plan = &p->plan;

    (void)state;
    assert_int_equal(plan->trials_count, 36);
    assert_int_equal(plan->folded, 0);
    assert_int_equal(count_kind(plan, STAGE_FEATURES), 1);
    assert_int_equal(count_kind(plan, STAGE_TII), 3 * 5);
    assert_int_equal(count_kind(plan, STAGE_WTP), 36 * 5);
    assert_int_equal(count_kind(plan, STAGE_INFER), 36 * 5);
    assert_int_equal(count_kind(plan, STAGE_TAP), 36 * 5);
    assert_int_equal(plan->varied_count, 3);
    assert_true(plan->work < plan->work_alone);
    for (int i = 0; i < plan->stages_count; i++) {
        int sharers = plan->kind[i] == STAGE_FEATURES ? 36 : plan->kind[i] == STAGE_TII ? 12 : 1;
        int needs[PLAN_MAX_NEEDS], n = plan_needs(plan, i, needs);
        assert_int_equal(plan->shared_by[i], sharers);
        for (int k = 0; k < n; k++)
            assert_true(needs[k] < i);
    }
    drop(p);
}

/* Options that a method does not read do not multiply it. */
static void test_folding(void **state)
{
    struct planned *p = make("grid:\n"
                             "  method: [hide, norga, sequential, joint]\n"
                             "  gate.activation: [tanh, sigmoid, gelu]\n"
                             "  prompt.length: [5, 10]\n"
                             "  seed: [0, 1]\n");
    char label[200];

    (void)state;
    /* hide: 2 lengths x 2 seeds; norga: 3 x 2 x 2; sequential: 2 seeds; joint: 3 x 2 x 2 */
    assert_int_equal(p->plan.points, 48);
    assert_int_equal(p->plan.trials_count, 4 + 12 + 2 + 12);
    assert_int_equal(p->plan.folded, 48 - 30);
    plan_trial_label(&p->plan, 0, label, sizeof label);
    assert_string_equal(label, "method=hide prompt.length=5 gate.activation=none seed=0");
    plan_trial_label(&p->plan, 16, label, sizeof label);
    assert_string_equal(label, "method=sequential seed=0");
    drop(p);

    p = make("grid: {method: [hide, norga], gate.activation: [none, tanh], gate.a0: [1, 2], statistics.centroids: [5, "
             "6]}\n");
    assert_int_equal(p->plan.trials_count, 1 + 2); /* hide is norga without a gate */
    drop(p);
    p = make("grid: {statistics.kind: [covariance, multi_centroid], statistics.centroids: [5, 6]}\n");
    assert_int_equal(p->plan.trials_count, 3);
    drop(p);
}

/* Trials share the tasks in which their class orders agree. */
static void test_prefixes(void **state)
{
    struct planned *p = make("trial: {dataset.tasks: 5}\n"
                             "grid:\n"
                             "  dataset.sequence: [natural, [[0, 1], [2, 3], [4, 5], [8, 9], [6, 7]],\n"
                             "    [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]], rotation:1]\n"
                             "  seeds.order: [0, 1]\n");

    (void)state;
    assert_int_equal(p->plan.trials_count, 3); /* the third is natural in other words; no seed matters */
    assert_int_equal(p->plan.folded, 5);
    assert_int_equal(count_kind(&p->plan, STAGE_FEATURES), 1);
    assert_int_equal(count_kind(&p->plan, STAGE_WTP), 5 + 2 + 5);
    drop(p);
}

static int compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

/* The trial as a sweep of its own. */
static struct planned *make_alone(const struct plan *plan, int trial)
{
    struct trial_config config;
    char yaml[8192] = "trial:\n";

    plan_trial_config(plan, trial, &config);
    for (int id = 0; id < OPTION_COUNT; id++)
        snprintf(yaml + strlen(yaml), sizeof yaml - strlen(yaml), "  %s: %s\n", option_info(id)->key,
                 option_format(id, config.value[id]));
    return make(yaml);
}

/* A trial has the stages that it would have alone, and they need the same. */
static void expect_alone(const struct plan *plan, int trial, int *users)
{
    struct planned *alone = make_alone(plan, trial);
    int *stages, n, needs[PLAN_MAX_NEEDS], alone_needs[PLAN_MAX_NEEDS];
    err e = {0};

    assert_int_equal(plan_trial_stages(plan, trial, &stages, &n, &e), 0);
    assert_int_equal(alone->plan.trials_count, 1);
    assert_int_equal(alone->plan.stages_count, n);
    for (int i = 0; i < n; i++) {
        int there = plan_find_stage(&alone->plan, &plan->key[stages[i]]), count;
        assert_true(there >= 0);
        assert_int_equal(alone->plan.task[there], plan->task[stages[i]]);
        assert_true(alone->plan.cost[there] == plan->cost[stages[i]]);
        count = plan_needs(plan, stages[i], needs);
        assert_int_equal(plan_needs(&alone->plan, there, alone_needs), count);
        for (int k = 0; k < count; k++)
            assert_memory_equal(&plan->key[needs[k]], &alone->plan.key[alone_needs[k]], sizeof(struct digest));
        users[stages[i]]++;
    }
    free(stages);
    drop(alone);
}

/* Sharing changes nothing but the number of stages: every key is there once, for all trials that have it. */
static void expect_shared_once(const char *yaml)
{
    struct planned *p = make(yaml);
    size_t n = (size_t)p->plan.stages_count;
    struct digest *sorted = malloc(n * sizeof *sorted);
    int *users = calloc(n, sizeof *users), *start, *needs, few[PLAN_MAX_NEEDS];
    err e = {0};

    for (int trial = 0; trial < p->plan.trials_count; trial++)
        expect_alone(&p->plan, trial, users);
    assert_memory_equal(users, p->plan.shared_by, n * sizeof *users);
    memcpy(sorted, p->plan.key, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_keys);
    for (size_t i = 1; i < n; i++)
        assert_true(compare_keys(&sorted[i - 1], &sorted[i]) < 0);
    assert_int_equal(plan_all_needs(&p->plan, &start, &needs, &e), 0);
    for (int i = 0; i < p->plan.stages_count; i++) {
        assert_int_equal(plan_needs(&p->plan, i, few), start[i + 1] - start[i]);
        assert_memory_equal(few, needs + start[i], (size_t)(start[i + 1] - start[i]) * sizeof *needs);
    }
    free(start);
    free(needs);
    free(users);
    free(sorted);
    drop(p);
}

static void test_alone(void **state)
{
    (void)state;
    expect_shared_once(
        "trial: {dataset.tasks: 5}\n"
        "grid:\n"
        "  feature.norm: [final, fc_norm]\n"
        "  dataset.sequence: [natural, [[0, 1], [2, 3], [4, 5], [8, 9], [6, 7]],\n"
        "    [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]], [[0, 1], [2, 3], [5, 4], [8, 9], [6, 7]], shuffled]\n"
        "  seeds.order: [0, 1]\n"
        "  method: [norga, hide, sequential, joint]\n"
        "  tap.lr: [0.1, 0.2]\n"
        "  tii.lr: [0.1, 0.2]\n"
        "  train.lr: [0.1, 0.2]\n");
    expect_shared_once("trial: {feature.norm: fc_norm, dataset.sequence: shuffled}\n"
                       "grid: {tap.lr: [0.1, 0.2], dataset.tasks: [1, 2, 5], seed: 0..2,\n"
                       "  dataset.name: [mnist, fashion-mnist, cifar100], backbone: [vit-micro, other]}\n");
}

/* Which kinds of stage have another key when an option changes. */
static void changed_kinds(const struct plan *a, const struct plan *b, bool changed[STAGE_KIND_COUNT])
{
    assert_int_equal(a->stages_count, b->stages_count);
    for (int i = 0; i < a->stages_count; i++) {
        bool differs = plan_find_stage(b, &a->key[i]) < 0;
        if (a->task[i] <= 0) {
            changed[a->kind[i]] = differs;
        } else {
            assert_true(differs >= changed[a->kind[i]]);
            changed[a->kind[i]] = differs;
        }
    }
}

/* Does a kind read the option itself, or need a kind that does? */
static bool depends(enum stage_kind kind, enum option_id id)
{
    if (option_in_key(kind, id))
        return true;
    for (int i = 0; i < stage_needs_count; i++)
        if (stage_needs[i].kind == kind && stage_needs[i].of != kind && !stage_needs[i].fc_norm_only &&
            depends(stage_needs[i].of, id))
            return true;
    return false;
}

/* Every option and another value of it. */
/* Another value of each option than the one it has. */
static const struct change {
    enum option_id id;
    const char *value;
} changes[] = {
    {OPTION_SEEDS_INIT, "9"},
    {OPTION_SEEDS_DATA, "9"},
    {OPTION_BACKBONE, "other"},
    {OPTION_DATASET_NAME, "mnist"},
    {OPTION_DATASET_TASKS, "4"},
    {OPTION_DATASET_SEQUENCE, "shuffled"},
    {OPTION_DATASET_TRAIN_PER_CLASS, "7"},
    {OPTION_DATASET_TEST_PER_CLASS, "7"},
    {OPTION_DATASET_TRANSFORM, "cifar"},
    {OPTION_DATASET_AUGMENT, "true"},
    {OPTION_FEATURE_POOL, "mean"},
    {OPTION_PROMPT_LENGTH, "6"},
    {OPTION_PROMPT_LAYERS, "0-3"},
    {OPTION_PROMPT_LAYOUT, "official"},
    {OPTION_PROMPT_MOMENTUM, "0.5"},
    {OPTION_PROMPT_TRANSFER, "false"},
    {OPTION_GATE_ACTIVATION, "gelu"},
    {OPTION_GATE_TRAIN, "never"},
    {OPTION_GATE_SCOPE, "head"},
    {OPTION_GATE_A0, "2"},
    {OPTION_GATE_A1, "2"},
    {OPTION_GATE_LR_FACTOR, "7"},
    {OPTION_TRAIN_EPOCHS, "7"},
    {OPTION_TRAIN_BATCH, "7"},
    {OPTION_TRAIN_LR, "7"},
    {OPTION_TRAIN_LR_SCALING, "false"},
    {OPTION_TRAIN_HEAD_LR_FACTOR, "7"},
    {OPTION_TRAIN_SCHEDULE, "cosine"},
    {OPTION_TRAIN_SCHEDULE_LAG, "false"},
    {OPTION_TRAIN_DECAY_EPOCHS, "7"},
    {OPTION_TRAIN_DECAY_RATE, "0.7"},
    {OPTION_TRAIN_MIN_LR, "7"},
    {OPTION_TRAIN_CLIP, "7"},
    {OPTION_TRAIN_CONTRASTIVE, "7"},
    {OPTION_TRAIN_TEMPERATURE, "7"},
    {OPTION_TII_MLP, "4-4"},
    {OPTION_TII_EPOCHS, "7"},
    {OPTION_TII_BATCH, "7"},
    {OPTION_TII_LR, "7"},
    {OPTION_TII_SCHEDULE, "cosine"},
    {OPTION_TII_CLIP, "7"},
    {OPTION_TII_ALIGN_EPOCHS, "7"},
    {OPTION_TII_ALIGN_LR, "7"},
    {OPTION_STATISTICS_KIND, "variance"},
    {OPTION_ALIGN_STEPS, "seen"},
    {OPTION_TAP_EPOCHS, "7"},
    {OPTION_TAP_LR, "7"},
    {OPTION_TAP_LR_SCALING, "true"},
    {OPTION_TAP_SAMPLES, "7"},
    {OPTION_EVALUATE_BATCH, "7"},
    {OPTION_EVALUATE_VOTE, "batch"},
    {OPTION_EVALUATE_UNSEEN, "mask"},
    {OPTION_CHECKPOINT_SECONDS, "7"},
};

/* The keys of a trial with one option changed: those of the kinds that depend on the option are others, the rest are the same. */
static void expect_keys(const struct planned *before, const char *method, const struct change *change)
{
    bool changed[STAGE_KIND_COUNT] = {false};
    const char *key = option_info(change->id)->key;
    struct planned *after;
    char yaml[300];

    snprintf(yaml, sizeof yaml, "trial: {method: %s, seeds.order: 3, %s: %s}\n", method, key, change->value);
    after = make(yaml);
    if (change->id == OPTION_DATASET_TASKS) { /* another number of stages */
        assert_int_equal(plan_find_stage(&after->plan, &before->plan.key[before->plan.stages_count - 1]), -1);
        drop(after);
        return;
    }
    changed_kinds(&before->plan, &after->plan, changed);
    for (int k = 0; k < before->plan.stages_count; k++)
        if (changed[before->plan.kind[k]] != depends(before->plan.kind[k], change->id))
            fail_msg("%s: %s of %s %s", method, key, stage_kind_name(before->plan.kind[k]),
                     changed[before->plan.kind[k]] ? "changed" : "did not change");
    drop(after);
}

static void test_keys(void **state)
{
    static const char *const methods[] = {"norga", "sequential", "joint"};

    (void)state;
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
        char yaml[300];
        struct planned *before;

        snprintf(yaml, sizeof yaml, "trial: {method: %s, seeds.order: 3}\n", methods[m]);
        before = make(yaml);
        for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
            expect_keys(before, methods[m], &changes[i]);
        drop(before);
    }
}

/* With fc_norm the prompts of a task need the alignment of the task before. */
static void test_fc_norm(void **state)
{
    struct planned *p = make("grid: {feature.norm: [final, fc_norm], tap.lr: [0.1, 0.2]}\n");
    struct planned *alone = make("trial: {feature.norm: fc_norm}\ngrid: {tap.lr: [0.1, 0.2]}\n");

    (void)state;
    assert_int_equal(p->plan.trials_count, 4);
    assert_int_equal(count_kind(&p->plan, STAGE_WTP), 5 + 1 + 2 * 4); /* wtp(0) is still shared */
    assert_int_equal(count_kind(&alone->plan, STAGE_WTP), 1 + 2 * 4);
    drop(p);
    drop(alone);
}

static bool has_input(const struct stage_job *job, enum stage_kind kind, int task)
{
    return stage_job_input(job, kind, task) != NULL;
}

/* Jobs list every ancestor that a trainer may open, and survive the wire. */
static void test_jobs(void **state)
{
    struct planned *p = make("grid: {feature.norm: [final, fc_norm]}\n");
    const struct plan *plan = &p->plan;

    (void)state;
    for (int i = 0; i < plan->stages_count; i++) {
        struct stage_job job, back;
        bool fc_norm;
        char *text;
        int t = plan->task[i], expected;
        err e = {0};
        assert_int_equal(plan_job(plan, i, "runs/x/checkpoints", &job, &e), 0);
        fc_norm = job.config.value[OPTION_FEATURE_NORM].integer == 1;
        switch (job.kind) {
        case STAGE_TII:
            expected = t ? 2 : 1;
            assert_true(has_input(&job, STAGE_FEATURES, -1));
            assert_int_equal(has_input(&job, STAGE_TII, t - 1), t > 0);
            break;
        case STAGE_WTP:
            expected = t + (fc_norm && t);
            for (int k = 0; k < t; k++)
                assert_true(has_input(&job, STAGE_WTP, k));
            assert_int_equal(has_input(&job, STAGE_TAP, t - 1), fc_norm && t);
            break;
        case STAGE_INFER:
            expected = 1 + (t + 1) + (t > 0);
            assert_true(!has_input(&job, STAGE_FEATURES, -1) && has_input(&job, STAGE_TII, t));
            for (int k = 0; k <= t; k++)
                assert_true(has_input(&job, STAGE_WTP, k));
            assert_int_equal(has_input(&job, STAGE_INFER, t - 1), t > 0);
            break;
        case STAGE_TAP:
            expected = 1 + (t + 1) + (t > 0);
            assert_true(has_input(&job, STAGE_INFER, t));
            for (int k = 0; k <= t; k++)
                assert_true(has_input(&job, STAGE_WTP, k));
            assert_int_equal(has_input(&job, STAGE_TAP, t - 1), t > 0);
            break;
        default:
            expected = 0;
        }
        assert_int_equal(job.inputs_count, expected);
        assert_int_equal(stage_job_write(&job, &text, &e), 0);
        assert_int_equal(stage_job_read(text, &back, &e), 0);
        assert_true(digest_equal(&back.key, &plan->key[i]));
        free(text);
        stage_job_free(&back);
        stage_job_free(&job);
    }
    drop(p);
}

static void test_trial_stages(void **state)
{
    struct planned *p = make("grid: {method: [norga, sequential, joint]}\n");
    static const int expected[] = {1 + 4 * 5, 1 + 5, 1};

    (void)state;
    for (int trial = 0; trial < 3; trial++) {
        int *stages, n;
        err e = {0};
        assert_int_equal(plan_trial_stages(&p->plan, trial, &stages, &n, &e), 0);
        assert_int_equal(n, expected[trial]);
        assert_int_equal(stages[n - 1], p->plan.trials[trial].stage);
        for (int i = 1; i < n; i++)
            assert_true(stages[i] > stages[i - 1]);
        free(stages);
    }
    drop(p);
}

/* The order of trials, of a frozen sweep too, and its keys. */
static void test_frozen(void **state)
{
    static const char yaml[] =
        "name: frozen\n"
        "trial: {dataset: {sequence: shuffled}, train.lr: 0.1}\n"
        "grid: {prompt.layers: [0-4, [0, 2]], seed: 3..5, train.epochs: [2, 3]}\n"
        "zip: [{train.batch: [8, 16], tap.samples: [10, 20]}]\n"
        "random: {samples: 3, seed: 5, space: {tap.lr: {log_uniform: [1e-4, 1e-1]}, gate.activation: {choice: [tanh, "
        "gelu]},\n"
        "  tii.epochs: {int: [1, 9]}, train.clip: {uniform: [0, 1]}}}\n"
        "include: [{method: joint}, {dataset.sequence: [[0, 1, 2, 3], [4, 5], [6], [7], [8, 9]]}]\n"
        "exclude: [{seed: [4], train.epochs: 3}]\n"
        "when: [{if: {train.batch: 16, seed: 5}, set: {gate.train: every_task}}]\n"
        "published: {source: 'a \"book\"', rows: [{method: norga, faa: 94.48, faa_sd: 0.13, label: NoRGa}]}\n"
        "slurm: {setup: [module load x, \"echo 'hi'\"], additional: [--nice=100]}\n";
    struct planned *p = make(yaml), *again;
    char *text, *text2;
    err e = {0};

    (void)state;
    assert_int_equal(sweep_write(&p->sweep, &text, &e), 0);
    again = make(text);
    assert_int_equal(again->plan.trials_count, p->plan.trials_count);
    assert_int_equal(again->plan.stages_count, p->plan.stages_count);
    for (int i = 0; i < p->plan.stages_count; i++)
        assert_true(digest_equal(&p->plan.key[i], &again->plan.key[i]));
    for (int i = 0; i < p->plan.trials_count; i++)
        assert_int_equal(p->plan.trials[i].stage, again->plan.trials[i].stage);
    assert_string_equal(again->sweep.published_source, "a \"book\"");
    assert_int_equal(again->sweep.setup_count, 2);
    assert_string_equal(again->sweep.setup[1], "echo 'hi'");
    assert_int_equal(again->sweep.additional_count, 1);
    assert_string_equal(again->sweep.additional[0], "--nice=100");
    assert_true(again->sweep.published[0].faa == 94.48);
    assert_int_equal(sweep_write(&again->sweep, &text2, &e), 0);
    assert_int_equal(strlen(text2), strlen(text) - strlen("random") + strlen("zip"));
    free(text);
    free(text2);
    drop(p);
    drop(again);
}

static void expect_error(const char *yaml, const char *message)
{
    struct sweep sweep;
    struct plan plan = {0};
    err e = {0};

    assert_int_equal(sweep_parse("x.yaml", ".", yaml, strlen(yaml), NULL, 0, &sweep, &e), 0);
    assert_int_equal(plan_make(&sweep, &sources_none, &plan, &e), ERR_CONFIG);
    assert_string_equal(e.text, message);
    plan_free(&plan);
    sweep_free(&sweep);
}

static void test_errors(void **state)
{
    (void)state;
    expect_error("grid: {seed: [0, 1]}\nexclude: [{seed: 0..1}]\n", "nothing to run: all 2 trials are excluded");
    expect_error("trial: {dataset.tasks: 11}\n",
                 "trial 0: dataset.sequence of fashion-mnist: natural: task 10 of 11 gets none of the 10 classes");
    expect_error(
        "grid: {dataset.sequence: [natural, [[0, 1], [2]]]}\n",
        "trial 1: dataset.sequence of fashion-mnist: the list names the classes of 2 tasks, but dataset.tasks is 5");
}

static void test_missing(void **state)
{
    struct planned *p = make("grid: {dataset.name: [cifar100, nobody-knows], backbone: [vit-micro, vit-micro2]}\n");

    (void)state;
    assert_int_equal(p->plan.trials_count, 4);
    assert_int_equal(p->plan.missing_count, 4);
    assert_string_equal(p->plan.missing[0], "data set cifar100: not looked for");
    drop(p);
}

static int noted_dataset(const char *name, struct source_dataset *out, err *e)
{
    sources_none.dataset(name, out, e);
    out->notes = "the first note\nthe second";
    e->code = ERR_NONE;
    return 0;
}

/* A benchmark by its name alone is not what the published numbers were measured on; nobody is kept from it. */
static void test_warnings(void **state)
{
    static const char *const names[] = {"cifar100", "imagenet-r", "cub200", "5-datasets"};
    struct planned *p;
    struct sweep sweep;
    struct plan plan;
    err e = {0};

    (void)state;
    p = make("trial: {dataset.name: cifar100}\ngrid: {dataset.transform: [plain, cifar, default], seed: [0, 1]}\n");
    assert_int_equal(p->plan.trials_count, 6);
    assert_int_equal(p->plan.warnings_count, 2); /* one for each transform, not for each trial */
    assert_string_equal(
        p->plan.warnings[0],
        "data set cifar100 with dataset.transform plain: published numbers are made with cifar; "
        "sweeps/presets/norga-cifar100-sup21k.yaml has it, and their class order, tasks and augmentation");
    drop(p);
    p = make("grid: {dataset.name: [fashion-mnist, mnist, nobody-knows]}\n");
    assert_int_equal(p->plan.warnings_count, 0);
    drop(p);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) { /* the preset is there, and warns of nothing */
        const struct benchmark *b = benchmark_by_name(names[i]);
        char path[600];

        snprintf(path, sizeof path, "%s/%s", SOURCE_DIR, b->preset);
        assert_int_equal(sweep_load(path, NULL, 0, &sweep, &e), 0);
        assert_int_equal(plan_make(&sweep, &sources_none, &plan, &e), 0);
        assert_int_equal(plan.warnings_count, 0);
        plan_free(&plan);
        sweep_free(&sweep);
    }
    assert_int_equal(sweep_parse("x.yaml", ".", "trial: {seed: 1}\n", 17, NULL, 0, &sweep, &e), 0);
    assert_int_equal(plan_make(&sweep, &(struct sources){noted_dataset, sources_none.backbone}, &plan, &e), 0);
    assert_int_equal(plan.warnings_count, 2); /* of its files */
    assert_string_equal(plan.warnings[1], "data set fashion-mnist: the second");
    plan_free(&plan);
    sweep_free(&sweep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sharing),      cmocka_unit_test(test_folding),  cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_keys),         cmocka_unit_test(test_fc_norm),  cmocka_unit_test(test_jobs),
        cmocka_unit_test(test_trial_stages), cmocka_unit_test(test_frozen),   cmocka_unit_test(test_errors),
        cmocka_unit_test(test_missing),      cmocka_unit_test(test_warnings), cmocka_unit_test(test_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
