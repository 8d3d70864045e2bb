/* worker/stage_tii.c - task-identity inference after one more task: residual MLP and head, trained on the task's images, then
 * aligned on drawn features of all classes seen (methods.md 1.3, 1.6).
 *
 * Without augmentation the features of the frozen backbone never change, so training reads them from the features stage; with
 * augmentation every image passes the backbone anew.
 *
 * The checkpoint also holds the task inferred for every test image of the tasks seen: every trial that builds on this stage needs
 * them, whatever its prompts are. */
#include <stdlib.h>
#include <string.h>

#include "model/losses.h"
#include "model/mlp.h"
#include "worker/align.h"
#include "worker/evaluate.h"
#include "worker/features.h"
#include "worker/fit.h"
#include "worker/material.h"
#include "worker/stage_run.h"
#include "worker/tii.h"

struct tii_options {
    int epochs, batch, align_epochs;
    double rate, align_rate, clip;
    struct schedule schedule;
    uint64_t init_seed, data_seed;
    bool augment, align_all; /* align_all: a step for each class seen, not only for those of earlier tasks */
};

struct tii_stage {
    struct stage_run *run;
    struct tii_options o;
    struct class_sequence sequence;
    const struct features *features;
    struct tii_model model;
    uint8_t *allowed;
    size_t *positions;       /* of the task's training images */
    size_t *batch_positions; /* (batch) */
    size_t count;
    float *z, *logits; /* (batch, D), (batch, C) */
    int32_t *inferred; /* of every test image by its position, -1 if its task is still to come */
    int32_t *labels;   /* (batch) */
    /* with augmentation only */
    struct material material;
    vit_batch *images_batch;
    float *images;
};

static int read_options(struct tii_stage *s, err *e)
{
    struct option_reader *r = &s->run->options;

    s->o.epochs = (int)option_int(r, OPTION_TII_EPOCHS);
    s->o.batch = (int)option_int(r, OPTION_TII_BATCH);
    s->o.align_epochs = (int)option_int(r, OPTION_TII_ALIGN_EPOCHS);
    s->o.rate = stage_rate(s->run, option_real(r, OPTION_TII_LR), s->o.batch);
    s->o.align_rate = stage_rate(s->run, option_real(r, OPTION_TII_ALIGN_LR), s->o.batch);
    s->o.clip = option_real(r, OPTION_TII_CLIP);
    s->o.schedule = stage_schedule(s->run, OPTION_TII_SCHEDULE, s->o.epochs);
    s->o.init_seed = (uint64_t)option_int(r, OPTION_SEEDS_INIT);
    s->o.data_seed = (uint64_t)option_int(r, OPTION_SEEDS_DATA);
    s->o.augment = option_bool(r, OPTION_DATASET_AUGMENT);
    s->o.align_all = !e->code && !strcmp(option_choice(r, OPTION_ALIGN_STEPS), "seen");
    return e->code;
}

/* The gradient of one batch of features; shared by training (classes of the task) and alignment (classes seen). */
static void gradient_of(struct tii_stage *s, const float *z, const int32_t *labels, int n, double *loss, int *correct)
{
    tii_forward(&s->model, z, n, s->logits);
    *loss = cross_entropy(s->logits, labels, s->allowed, n, s->features->classes, false, correct);
    tii_backward(&s->model, s->logits);
}

static struct augment augment_of(const struct tii_stage *s, int epoch)
{
    return (struct augment){s->o.data_seed, RNG_TII_AUGMENT, (uint32_t)s->run->job->task, (uint32_t)epoch};
}

static void train_soon(void *context, const uint32_t *order, int n, int epoch)
{
    struct tii_stage *s = context;
    struct augment augment = augment_of(s, epoch);

    for (int i = 0; i < n; i++)
        s->batch_positions[i] = s->positions[order[i]];
    material_soon(&s->material, DATASET_TRAIN, s->batch_positions, n, &augment);
}

static int train_step(void *context, const uint32_t *order, int n, int epoch, double *loss, int *correct, err *e)
{
    struct tii_stage *s = context;
    const struct feature_set *set = &s->features->part[DATASET_TRAIN];
    size_t D = (size_t)s->features->width, *positions = s->batch_positions;

    for (int i = 0; i < n; i++) {
        positions[i] = s->positions[order[i]];
        s->labels[i] = set->labels[positions[i]];
        memcpy(s->z + (size_t)i * D, set->features + positions[i] * D, D * sizeof *s->z);
    }
    if (s->o.augment) {
        struct augment augment = augment_of(s, epoch);

        if (material_images(&s->material, DATASET_TRAIN, positions, n, &augment, s->images, e))
            return e->code;
        vit_forward(s->images_batch, s->material.backbone, s->images, n, NULL, s->z);
    }
    gradient_of(s, s->z, s->labels, n, loss, correct);
    return 0;
}

static int align_step(void *context, const float *z, const int32_t *labels, int n, double *loss, int *correct, err *e)
{
    (void)e;
    gradient_of(context, z, labels, n, loss, correct);
    return 0;
}

static int open_images(struct tii_stage *s, err *e)
{
    size_t side;

    if (!s->o.augment)
        return 0;
    if (material_open(&s->run->options, &s->material, e))
        return e->code;
    material_order(&s->material, &s->sequence);
    side = (size_t)s->material.backbone->shape.side;
    s->images = malloc((size_t)s->o.batch * 3 * side * side * sizeof *s->images);
    if (!s->images)
        return err_set(e, ERR_NOMEM, "no memory for %d images", s->o.batch);
    if (!vit_batch_create(&s->images_batch, &s->material.backbone->shape, VIT_INFER, s->o.batch, 0, 0,
                          s->material.threads, e))
        vit_batch_watch(s->images_batch, stage_alive, s->run);
    return e->code;
}

static int train(struct tii_stage *s, err *e)
{
    int task = s->run->job->task;
    struct fit f = {.parameters = &s->model.parameters,
                    .schedule = s->o.schedule,
                    .clip = s->o.clip,
                    .batch = s->o.batch,
                    .images = s->count,
                    .order_seed = s->o.data_seed,
                    .purpose = RNG_TII_ORDER,
                    .task = (uint32_t)task,
                    .step = train_step,
                    .soon = s->o.augment ? train_soon : NULL,
                    .context = s,
                    .run = s->run,
                    .from = 0,
                    .to = 0.8};

    tii_set_rate(&s->model, s->o.rate);
    return fit_run(&f, e);
}

/* The MLP's output y (n, D) for every row of t, and the task that each image seems to be of. */
static void infer_rows(struct tii_stage *s, const size_t *positions, size_t n, float *y, int32_t *inferred)
{
    const struct feature_set *set = &s->features->part[DATASET_TEST];
    size_t D = (size_t)s->features->width, C = (size_t)s->features->classes, batch = (size_t)s->o.batch;

    for (size_t i = 0; i < n; i += batch) {
        size_t count = n - i < batch ? n - i : batch;

        for (size_t j = 0; j < count; j++)
            memcpy(s->z + j * D, set->features + positions[i + j] * D, D * sizeof *s->z);
        tii_forward(&s->model, s->z, (int)count, s->logits);
        memcpy(y + i * D, s->model.hidden, count * D * sizeof *y);
        for (size_t j = 0; j < count; j++)
            inferred[i + j] = tii_task(s->logits + j * C, &s->sequence, s->run->job->task + 1);
    }
}

/* How this learner does by itself on the test images of the tasks seen, all classes competing (methods.md 8). */
static int evaluate_now(struct tii_stage *s, const char *phase, err *e)
{
    const struct feature_set *set = &s->features->part[DATASET_TEST];
    int task = s->run->job->task;
    size_t D = (size_t)s->features->width, *first = calloc((size_t)task + 2, sizeof *first), n = 0;
    float *y = malloc(set->count * D * sizeof *y);
    int32_t *inferred = malloc(set->count * sizeof *inferred), *labels = malloc(set->count * sizeof *labels);
    struct test_features test = {task + 1, (int)D, first, y, labels, inferred};

    if (!first || !y || !inferred || !labels)
        err_set(e, ERR_NOMEM, "no memory for %zu test features", set->count);
    for (int t = 0; t <= task && !e->code; t++) {
        size_t *positions, count;

        if (stage_progress(s->run, "evaluate", 0.8, e) ||
            features_of_tasks(set, &s->sequence, t, t, &positions, &count, e))
            break;
        infer_rows(s, positions, count, y + n * D, inferred + n);
        for (size_t i = 0; i < count; i++) {
            labels[n + i] = set->labels[positions[i]];
            s->inferred[positions[i]] = inferred[n + i];
        }
        first[t + 1] = n += count;
        free(positions);
    }
    if (!e->code)
        evaluate(s->run, &test, &s->model.parameters, &s->model.head_shape, NULL, task, phase, e);
    free(first);
    free(y);
    free(inferred);
    free(labels);
    return e->code;
}

static int align(struct tii_stage *s, err *e)
{
    int task = s->run->job->task, seen;
    struct class_statistics *statistics = NULL;

    if (task == 0 || s->o.align_epochs == 0)
        return 0;
    free(s->allowed);
    s->allowed = stage_allowed(&s->sequence, 0, task, e);
    if (s->allowed && !evaluate_now(s, "tii-before", e) &&
        !features_statistics(s->run, s->features, &s->sequence, task, 0.8, &statistics, &seen, e)) {
        struct align a = {.parameters = &s->model.parameters,
                          .epochs = s->o.align_epochs,
                          .samples = s->o.batch,
                          .minibatches = s->sequence.first[task + s->o.align_all],
                          .classes_seen = seen,
                          .class_ids = s->sequence.ids,
                          .statistics = statistics,
                          .width = s->features->width,
                          .seed = s->o.data_seed,
                          .draw = RNG_TII_ALIGN,
                          .order = RNG_TII_ALIGN_ORDER,
                          .task = (uint32_t)task,
                          .step = align_step,
                          .context = s,
                          .run = s->run,
                          .from = 0.8,
                          .to = 1};

        tii_set_rate(&s->model, s->o.align_rate);
        align_run(&a, e);
    }
    for (int c = 0; statistics && c < s->sequence.first[task + 1]; c++)
        statistics_free(&statistics[c]);
    free(statistics);
    return e->code;
}

static int start_from(struct tii_stage *s, err *e)
{
    int task = s->run->job->task;
    h5 *file;

    if (task == 0) {
        tii_init(&s->model, s->o.init_seed);
        return 0;
    }
    if (stage_open_input(s->run, STAGE_TII, task - 1, &file, e))
        return e->code;
    tii_read(&s->model, file, e);
    h5_close(file);
    return e->code;
}

static int work(struct tii_stage *s, err *e)
{
    int task = s->run->job->task;
    size_t batch = (size_t)s->o.batch, tests;
    h5 *file;

    if (features_open(s->run, &s->features, e) || stage_sequence(s->run, s->features->classes, &s->sequence, e) ||
        features_of_tasks(&s->features->part[DATASET_TRAIN], &s->sequence, task, task, &s->positions, &s->count, e) ||
        tii_create(&s->model, s->run, s->features->classes, s->features->width, s->o.batch, e) || open_images(s, e))
        return e->code;
    tests = s->features->part[DATASET_TEST].count;
    s->inferred = malloc((tests + 1) * sizeof *s->inferred);
    s->allowed = stage_allowed(&s->sequence, task, task, e);
    s->z = malloc(batch * (size_t)(s->features->width + s->features->classes) * sizeof *s->z);
    s->labels = malloc(batch * sizeof *s->labels);
    s->batch_positions = malloc(batch * sizeof *s->batch_positions);
    if (!s->inferred || !s->allowed || !s->z || !s->labels || !s->batch_positions)
        return err_set(e, ERR_NOMEM, "no memory for a batch of %zu", batch);
    for (size_t i = 0; i < tests; i++)
        s->inferred[i] = -1;
    s->logits = s->z + batch * (size_t)s->features->width;
    if (start_from(s, e) || train(s, e) || align(s, e) || evaluate_now(s, "tii-after", e) ||
        stage_create_checkpoint(s->run, &file, e))
        return e->code;
    if (tii_write(&s->model, file, e) || h5_write(file, "test/inferred", H5_I32, 1, &tests, s->inferred, false, e)) {
        h5_close(file);
        return e->code;
    }
    s->run->out->trainable_parameters = task == 0 ? (int64_t)s->model.parameters.count : 0;
    return stage_commit(s->run, file, e);
}

int stage_tii(struct stage_run *run, err *e)
{
    struct tii_stage s = {.run = run};

    if (!read_options(&s, e))
        work(&s, e);
    tii_free(&s.model);
    sequence_free(&s.sequence);
    vit_batch_free(s.images_batch);
    material_close(&s.material);
    free(s.images);
    free(s.allowed);
    free(s.positions);
    free(s.batch_positions);
    free(s.z);
    free(s.labels);
    free(s.inferred);
    return e->code;
}
