/* worker/stage_sequential.c - the lower bound: a head on the frozen backbone's features, fine-tuned on one task after the other
 * with the cross-entropy over all classes seen so far, and nothing that protects the earlier ones. */
#include <stdlib.h>
#include <string.h>

#include "model/losses.h"
#include "worker/evaluate.h"
#include "worker/features.h"
#include "worker/fit.h"

struct sequential_stage {
    struct stage_run *run;
    struct class_sequence sequence;
    const struct features *features;
    struct parameters parameters;
    struct classifier_shape shape;
    classifier *head;
    uint8_t *allowed;
    size_t *positions, count;
    float *batch, *logits;
    int32_t *labels;
};

static int step(void *context, const uint32_t *order, int n, int epoch, double *loss, int *correct, err *e)
{
    struct sequential_stage *s = context;
    const struct feature_set *set = &s->features->part[DATASET_TRAIN];
    size_t D = (size_t)s->features->width;

    (void)epoch;
    (void)e;
    for (int i = 0; i < n; i++) {
        size_t at = s->positions[order[i]];

        memcpy(s->batch + (size_t)i * D, set->features + at * D, D * sizeof *s->batch);
        s->labels[i] = set->labels[at];
    }
    classifier_forward(s->head, &s->parameters, s->batch, n, s->logits);
    *loss = cross_entropy(s->logits, s->labels, s->allowed, n, s->shape.classes, false, correct);
    classifier_backward(s->head, &s->parameters, s->logits, NULL);
    return 0;
}

/* The test features of tasks 0..task, task by task. */
static int evaluate_all(struct sequential_stage *s, err *e)
{
    int task = s->run->job->task;
    const struct feature_set *set = &s->features->part[DATASET_TEST];
    size_t D = (size_t)s->features->width, n = 0;
    float *features = malloc(set->count * D * sizeof *features);
    int32_t *labels = malloc(set->count * sizeof *labels);
    struct test_features test = {.tasks = task + 1,
                                 .width = (int)D,
                                 .first = calloc((size_t)task + 2, sizeof *test.first),
                                 .features = features,
                                 .labels = labels};
    uint8_t *allowed = evaluate_allowed(s->run, &s->sequence, task, e);

    if (!features || !labels || !test.first)
        err_set(e, ERR_NOMEM, "no memory for %zu test features", set->count);
    for (int t = 0; t <= task && !e->code; t++) {
        size_t *positions, count;

        if (features_of_tasks(set, &s->sequence, t, t, &positions, &count, e))
            break;
        for (size_t i = 0; i < count; i++, n++) {
            memcpy(features + n * D, set->features + positions[i] * D, D * sizeof *features);
            labels[n] = set->labels[positions[i]];
        }
        test.first[t + 1] = n;
        free(positions);
    }
    if (!e->code)
        evaluate(s->run, &test, &s->parameters, &s->shape, allowed, task, "after", e);
    free(allowed);
    free(features);
    free(labels);
    free(test.first);
    return e->code;
}

static int start_from(struct sequential_stage *s, uint64_t seed, err *e)
{
    h5 *file;

    classifier_init(&s->parameters, &s->shape, seed);
    if (s->run->job->task == 0)
        return 0;
    if (stage_open_input(s->run, STAGE_SEQUENTIAL, s->run->job->task - 1, &file, e))
        return e->code;
    head_read(file, &s->parameters, &s->shape, e);
    h5_close(file);
    return e->code;
}

static int work(struct sequential_stage *s, err *e)
{
    struct option_reader *r = &s->run->options;
    int task = s->run->job->task, batch = (int)option_int(r, OPTION_TRAIN_BATCH),
        epochs = (int)option_int(r, OPTION_TRAIN_EPOCHS);
    double rate =
        stage_rate(s->run, option_real(r, OPTION_TRAIN_LR), batch) * option_real(r, OPTION_TRAIN_HEAD_LR_FACTOR);
    uint64_t init_seed = (uint64_t)option_int(r, OPTION_SEEDS_INIT);
    const char *norm = option_choice(r, OPTION_FEATURE_NORM);
    struct fit f = {.parameters = &s->parameters,
                    .schedule = stage_schedule(s->run, OPTION_TRAIN_SCHEDULE, epochs),
                    .clip = option_real(r, OPTION_TRAIN_CLIP),
                    .batch = batch,
                    .order_seed = (uint64_t)option_int(r, OPTION_SEEDS_DATA),
                    .purpose = RNG_SEQUENTIAL_ORDER,
                    .task = (uint32_t)task,
                    .step = step,
                    .context = s,
                    .run = s->run,
                    .from = 0,
                    .to = 1};
    h5 *file;

    if (e->code || features_open(s->run, &s->features, e) ||
        stage_sequence(s->run, s->features->classes, &s->sequence, e) ||
        features_of_tasks(&s->features->part[DATASET_TRAIN], &s->sequence, task, task, &s->positions, &s->count, e))
        return e->code;
    s->shape = (struct classifier_shape){s->features->classes, s->features->width, !strcmp(norm, "fc_norm")};
    classifier_add(&s->parameters, &s->shape, rate);
    s->allowed = stage_allowed(&s->sequence, 0, task, e);
    s->batch = malloc((size_t)batch * (size_t)(s->features->width + s->features->classes) * sizeof *s->batch);
    s->labels = malloc((size_t)batch * sizeof *s->labels);
    if (!s->allowed || !s->batch || !s->labels)
        return err_set(e, ERR_NOMEM, "no memory for a batch of %d", batch);
    s->logits = s->batch + (size_t)batch * (size_t)s->features->width;
    f.images = s->count;
    if (parameters_create(&s->parameters, e) || classifier_create(&s->head, &s->shape, batch, e) ||
        start_from(s, init_seed, e) || fit_run(&f, e) || evaluate_all(s, e) ||
        stage_create_checkpoint(s->run, &file, e))
        return e->code;
    s->run->out->trainable_parameters = task == 0 ? (int64_t)s->parameters.count : 0;
    if (head_write(file, &s->parameters, &s->shape, e)) {
        h5_close(file);
        return e->code;
    }
    return stage_commit(s->run, file, e);
}

int stage_sequential(struct stage_run *run, err *e)
{
    struct sequential_stage s = {.run = run};

    work(&s, e);
    parameters_free(&s.parameters);
    classifier_free(s.head);
    sequence_free(&s.sequence);
    free(s.allowed);
    free(s.positions);
    free(s.batch);
    free(s.labels);
    return e->code;
}
