/* sweeps/cost.c - see cost.h. */
#include "sweeps/cost.h"

#include <string.h>

/* What depends on the task. */
struct shape {
    double classes_now, classes_old; /* of this task, of the tasks before */
    double train, test, test_old;    /* images: of this task, of this task, of the tasks before */
};

/* Shapes that stand in for a backbone nobody knows: ViT-B/16 at 224. */
static struct source_backbone known_backbone(const struct source_backbone *b)
{
    return b->width ? *b : (struct source_backbone){.side = 224, .patch = 16, .width = 768, .blocks = 12};
}

static double per_class(int64_t limit, double images, double classes)
{
    double all = images > 0 ? images / classes : 500;

    return limit && (double)limit < all ? (double)limit : all;
}

/* Rows of a block that have queries: where the class token is the feature, the last block needs no other. */
static double queries(const struct cost_trial *s, int block)
{
    return block == s->blocks - 1 && s->token ? 1 : s->tokens;
}

static double prefix_length(const struct cost_trial *s, int block)
{
    return s->prompted >> block & 1 ? s->prompt_length : 0;
}

/* Products of a block with weights: queries, keys and values; projection and MLP, whose hidden width is 4 D. */
static double qkv_flop(const struct cost_trial *s, double rows)
{
    return 2 * (rows + 2 * s->tokens) * s->width * s->width;
}

static double rest_flop(const struct cost_trial *s, double rows)
{
    return 18 * rows * s->width * s->width;
}

/* One image through the backbone, with prefixes or without: the count of model/flops.h. */
static double forward(const struct cost_trial *s, bool prompted)
{
    double sum = 2 * (s->tokens - 1) * s->patch_inputs * s->width;

    for (int b = 0; b < s->blocks; b++) {
        double rows = queries(s, b), columns = s->tokens + (prompted ? prefix_length(s, b) : 0);

        sum += qkv_flop(s, rows) + rest_flop(s, rows) + 4 * rows * columns * s->width;
    }
    return sum;
}

/* Back to the lowest prompted block, where only the prefix's gradients are formed. */
static double backward(const struct cost_trial *s)
{
    int last = s->prompted ? __builtin_ctzll(s->prompted) : s->blocks;
    double sum = 0;

    for (int b = last; b < s->blocks; b++) {
        double rows = queries(s, b), length = prefix_length(s, b), columns = s->tokens + length;

        sum += rest_flop(s, rows) + (2 * columns + 4 * length) * rows * s->width;
        if (b > last)
            sum += qkv_flop(s, rows) + (2 * columns + 4 * s->tokens) * rows * s->width;
    }
    return sum;
}

struct cost_trial cost_of_trial(const struct trial_config *config, const struct source_dataset *dataset,
                                const struct source_backbone *backbone, int tasks, const int *classes_until)
{
    const union option_value *v = config->value;
    const struct source_backbone b = known_backbone(backbone);
    double classes = classes_until[tasks - 1], side = (double)b.side / b.patch;
    uint64_t all_blocks = b.blocks < 64 ? ((uint64_t)1 << b.blocks) - 1 : UINT64_MAX;
    uint64_t prompted = v[OPTION_PROMPT_LAYERS].layers & all_blocks;
    struct cost_trial c = {
        .value = v,
        .tasks = tasks,
        .classes_until = classes_until,
        .width = b.width,
        .tokens = side * side + 1,
        .patch_inputs = 3.0 * b.patch * b.patch,
        .blocks = b.blocks,
        .weights = 12.0 * b.blocks * b.width * b.width,
        .prompt_length = (double)v[OPTION_PROMPT_LENGTH].integer,
        .prompted = prompted,
        .prompt_blocks = __builtin_popcountll(prompted),
        .token = !strcmp(option_choice_text(OPTION_FEATURE_POOL, v[OPTION_FEATURE_POOL].integer), "token"),
        .classes = classes,
        .train = per_class(v[OPTION_DATASET_TRAIN_PER_CLASS].integer, dataset->train_images, classes),
        .test = per_class(v[OPTION_DATASET_TEST_PER_CLASS].integer, dataset->test_images, classes),
    };

    c.train_all = c.train * classes;
    c.test_all = c.test * classes;
    c.plain = forward(&c, false);
    c.prompts = forward(&c, true);
    c.training = c.prompts + backward(&c);
    return c;
}

static struct shape shape_of(const struct cost_trial *c, int task)
{
    int last = task < 0 ? c->tasks - 1 : task;
    double until = c->classes_until[last], before = last ? c->classes_until[last - 1] : 0;

    return (struct shape){
        .classes_now = until - before,
        .classes_old = before,
        .train = c->train * (until - before),
        .test = c->test * (until - before),
        .test_old = c->test * before,
    };
}

/* A normally distributed number takes as long as this many operations of a matrix product: some 20 ns. */
#define NORMAL_FLOP 1500

/* Drawing features of all classes seen and training a head (or the MLP of width d) on them. */
static double align_flop(const struct cost_trial *c, const struct shape *s, double epochs, double drawn,
                         double parameters)
{
    double seen = s->classes_old + s->classes_now;
    double steps = strcmp(option_choice_text(OPTION_ALIGN_STEPS, c->value[OPTION_ALIGN_STEPS].integer), "seen")
                       ? s->classes_old
                       : seen;

    return s->classes_old > 0 ? epochs * drawn * (seen * c->width * (c->width + NORMAL_FLOP) + steps * 6 * parameters)
                              : 0;
}

static double tii_parameters(const struct cost_trial *c)
{
    double d = c->width;
    bool wide = !strcmp(option_choice_text(OPTION_TII_MLP, c->value[OPTION_TII_MLP].integer), "4-4");

    return (wide ? 24 * d * d : 4 * d * d) + d * c->classes;
}

static double statistics_bytes(const struct cost_trial *c, const struct shape *s)
{
    return 4 * s->classes_now * c->width * c->width;
}

static struct cost cost_features(const struct cost_trial *c, const struct shape *s)
{
    double images = c->train_all + c->test_all;

    (void)s;
    return (struct cost){images * c->plain, 4 * images * c->width, 4 * images * c->width};
}

static struct cost cost_tii(const struct cost_trial *c, const struct shape *s)
{
    double parameters = tii_parameters(c), epochs = (double)c->value[OPTION_TII_EPOCHS].integer;
    double images = c->value[OPTION_DATASET_AUGMENT].integer ? epochs * s->train * c->plain : 0;
    double align = align_flop(c, s, (double)c->value[OPTION_TII_ALIGN_EPOCHS].integer,
                              (double)c->value[OPTION_TII_BATCH].integer, parameters);

    return (struct cost){images + epochs * s->train * 6 * parameters + s->train * c->width * c->width + align,
                         4 * parameters + statistics_bytes(c, s), 16 * parameters};
}

/* Bytes kept for the backward pass of a batch: 9 rows of width D for each token and block, and what a chunk needs. */
static double activations(const struct cost_trial *c)
{
    return 4 * (double)c->value[OPTION_TRAIN_BATCH].integer * c->blocks * c->tokens * 10 * c->width;
}

static struct cost cost_wtp(const struct cost_trial *c, const struct shape *s)
{
    double epochs = (double)c->value[OPTION_TRAIN_EPOCHS].integer;
    double prompt = 2 * c->prompt_blocks * c->prompt_length * c->width;

    return (struct cost){epochs * s->train * c->training + s->train * (c->prompts + c->width * c->width),
                         4 * prompt + 4 * c->classes * c->width + statistics_bytes(c, s), activations(c)};
}

/* Images of older tasks are run again only where the inferred task has changed: about one in seven. */
static struct cost cost_infer(const struct cost_trial *c, const struct shape *s)
{
    double images = s->test + s->test_old, fresh = s->test + s->test_old / 7;

    return (struct cost){fresh * c->prompts + images * 2 * tii_parameters(c), 4 * images * c->width,
                         activations(c) / c->blocks};
}

static struct cost cost_tap(const struct cost_trial *c, const struct shape *s)
{
    double drawn = (double)c->value[OPTION_TAP_SAMPLES].integer, head = c->width * c->classes;

    drawn = drawn > 0 ? drawn : 5 * (double)c->value[OPTION_TRAIN_BATCH].integer;
    return (struct cost){align_flop(c, s, (double)c->value[OPTION_TAP_EPOCHS].integer, drawn, head) +
                             (s->test + s->test_old) * 2 * head,
                         4 * head, 4 * drawn * (s->classes_old + s->classes_now) * c->width};
}

static struct cost cost_sequential(const struct cost_trial *c, const struct shape *s)
{
    double head = c->width * c->classes;

    return (struct cost){(double)c->value[OPTION_TRAIN_EPOCHS].integer * s->train * 6 * head +
                             (s->test + s->test_old) * 2 * head,
                         4 * head, 16 * head};
}

static struct cost cost_joint(const struct cost_trial *c, const struct shape *s)
{
    double epochs = (double)c->value[OPTION_TRAIN_EPOCHS].integer;

    (void)s;
    (void)s;
    return (struct cost){epochs * c->train_all * c->training + c->test_all * c->prompts, 4 * c->width * c->classes,
                         activations(c)};
}

struct cost stage_cost(const struct cost_trial *c, enum stage_kind kind, int task)
{
    static struct cost (*const of[STAGE_KIND_COUNT])(const struct cost_trial *c, const struct shape *s) = {
        [STAGE_FEATURES] = cost_features, [STAGE_TII] = cost_tii, [STAGE_WTP] = cost_wtp,
        [STAGE_INFER] = cost_infer,       [STAGE_TAP] = cost_tap, [STAGE_SEQUENTIAL] = cost_sequential,
        [STAGE_JOINT] = cost_joint,
    };
    const struct shape s = shape_of(c, task);
    struct cost cost = of[kind](c, &s);

    cost.memory += 4 * c->weights + 64e6; /* backbone and program */
    return cost;
}
