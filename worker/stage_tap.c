/* worker/stage_tap.c - task-adaptive prediction after one more task: the head aligned on drawn features of all classes seen, and
 * evaluated on the test images of the tasks seen, before and after (methods.md 1.6, 7). */
#include <stdlib.h>
#include <string.h>

#include "model/losses.h"
#include "worker/align.h"
#include "worker/evaluate.h"
#include "worker/stage_run.h"

struct tap_stage {
    struct stage_run *run;
    struct class_sequence sequence;
    struct test_features test;
    float *features;            /* of test, owned */
    int32_t *labels, *inferred; /* of test, owned */
    struct parameters parameters;
    struct classifier_shape shape;
    classifier *head;
    float *logits; /* (samples, C) */
    uint8_t *seen;
    struct class_statistics *statistics; /* of the classes seen, in the order of the tasks */
};

static int read_test(struct tap_stage *s, int *classes, err *e)
{
    int tasks = s->run->job->task + 1;
    size_t firsts = (size_t)tasks + 1, shape[2] = {0, 0}, n = 0;
    int64_t *first = calloc(firsts, sizeof *first);
    void *data = NULL;
    double number = 0;
    h5 *file;

    s->test.tasks = tasks;
    s->test.first = calloc(firsts, sizeof *s->test.first);
    if (!first || !s->test.first) {
        free(first);
        return err_set(e, ERR_NOMEM, "no memory for the test images");
    }
    if (!stage_open_input(s->run, STAGE_INFER, s->run->job->task, &file, e)) {
        if (!h5_read_number(file, "classes", &number, e) && !h5_read(file, "first", H5_I64, 1, &firsts, first, e) &&
            !h5_read_alloc(file, "features", H5_F32, 2, shape, (size_t)16 << 30, &data, e)) {
            s->features = data;
            n = shape[0];
            s->labels = malloc((n + 1) * sizeof *s->labels);
            s->inferred = malloc((n + 1) * sizeof *s->inferred);
            if (!s->labels || !s->inferred)
                err_set(e, ERR_NOMEM, "no memory for %zu test images", n);
            else if (!h5_read(file, "labels", H5_I32, 1, &n, s->labels, e) &&
                     !h5_read(file, "inferred", H5_I32, 1, &n, s->inferred, e) &&
                     (first[0] != 0 || first[tasks] != (int64_t)n))
                err_set(e, ERR_DAMAGED, "the tasks of the infer checkpoint do not cover its %zu images", n);
        }
        h5_close(file);
    }
    for (size_t t = 0; t < firsts && !e->code; t++) {
        if (t && first[t] < first[t - 1])
            err_set(e, ERR_DAMAGED, "task %zu of the infer checkpoint has a negative number of images", t - 1);
        s->test.first[t] = (size_t)first[t];
    }
    free(first);
    if (e->code)
        return e->code;
    *classes = (int)number;
    for (size_t i = 0; i < n; i++)
        if (s->labels[i] < 0 || s->labels[i] >= *classes)
            return err_set(e, ERR_DAMAGED, "label %d of %d classes in the infer checkpoint", s->labels[i], *classes);
    s->test.width = (int)shape[1];
    s->test.features = s->features;
    s->test.labels = s->labels;
    s->test.inferred = s->inferred;
    return 0;
}

/* What wtp(t) learned about its classes: statistics, and, for the new task, rows of the head. */
static int read_task(struct tap_stage *s, int task, err *e)
{
    int first = s->sequence.first[task], classes = s->sequence.first[task + 1] - first;
    size_t D = (size_t)s->shape.width, n = (size_t)classes;
    float *weight = parameters_value(&s->parameters, "head.weight"),
          *bias = parameters_value(&s->parameters, "head.bias");
    float *rows = malloc(n * (D + 1) * sizeof *rows);
    h5 *file;

    if (!rows)
        return err_set(e, ERR_NOMEM, "no memory for the head's rows");
    if (!stage_open_input(s->run, STAGE_WTP, task, &file, e)) {
        statistics_read(file, s->statistics + first, classes, s->shape.width, e);
        if (!e->code && task == s->run->job->task) {
            if (!h5_read(file, "rows.weight", H5_F32, 2, (size_t[]){n, D}, rows, e) &&
                !h5_read(file, "rows.bias", H5_F32, 1, &n, rows + n * D, e) && s->shape.fc_norm &&
                !h5_read(file, "fc_norm.weight", H5_F32, 1, &D, parameters_value(&s->parameters, "fc_norm.weight"), e))
                h5_read(file, "fc_norm.bias", H5_F32, 1, &D, parameters_value(&s->parameters, "fc_norm.bias"), e);
            for (size_t c = 0; c < n && !e->code; c++) {
                size_t id = (size_t)s->sequence.ids[first + (int)c];

                memcpy(weight + id * D, rows + c * D, D * sizeof *rows);
                bias[id] = rows[n * D + c];
            }
        }
        h5_close(file);
    }
    free(rows);
    return e->code;
}

/* The head before alignment: initial values, the rows aligned after the task before, the new task's rows. */
static int gather_head(struct tap_stage *s, uint64_t seed, err *e)
{
    int task = s->run->job->task;
    h5 *file;

    classifier_init(&s->parameters, &s->shape, seed);
    if (task > 0) {
        if (stage_open_input(s->run, STAGE_TAP, task - 1, &file, e))
            return e->code;
        head_read(file, &s->parameters, &s->shape, e);
        h5_close(file);
    }
    for (int t = 0; t <= task && !e->code; t++)
        read_task(s, t, e);
    return e->code;
}

static int align_step(void *context, const float *features, const int32_t *labels, int n, double *loss, int *correct,
                      err *e)
{
    struct tap_stage *s = context;

    (void)e;
    classifier_forward(s->head, &s->parameters, features, n, s->logits);
    *loss = cross_entropy(s->logits, labels, s->seen, n, s->shape.classes, false, correct);
    classifier_backward(s->head, &s->parameters, s->logits, NULL);
    return 0;
}

static int evaluate_now(struct tap_stage *s, const char *phase, err *e)
{
    int task = s->run->job->task;
    uint8_t *allowed = evaluate_allowed(s->run, &s->sequence, task, e);

    if (!e->code)
        evaluate(s->run, &s->test, &s->parameters, &s->shape, allowed, task, phase, e);
    free(allowed);
    return e->code;
}

static int work(struct tap_stage *s, err *e)
{
    struct option_reader *r = &s->run->options;
    int task = s->run->job->task, classes = 0, epochs = (int)option_int(r, OPTION_TAP_EPOCHS);
    int samples = (int)option_int(r, OPTION_TAP_SAMPLES), batch = (int)option_int(r, OPTION_TRAIN_BATCH);
    double rate = option_real(r, OPTION_TAP_LR);
    uint64_t init_seed = (uint64_t)option_int(r, OPTION_SEEDS_INIT),
             data_seed = (uint64_t)option_int(r, OPTION_SEEDS_DATA);
    bool fc_norm = !strcmp(option_choice(r, OPTION_FEATURE_NORM), "fc_norm");
    bool all = !strcmp(option_choice(r, OPTION_ALIGN_STEPS), "seen"), scaling = option_bool(r, OPTION_TAP_LR_SCALING);
    h5 *file;

    if (e->code || read_test(s, &classes, e) || stage_sequence(s->run, classes, &s->sequence, e))
        return e->code;
    samples = samples ? samples : 5 * batch;
    s->shape = (struct classifier_shape){classes, s->test.width, fc_norm};
    classifier_add(&s->parameters, &s->shape, scaling ? rate * batch / 256 : rate);
    s->seen = stage_allowed(&s->sequence, 0, task, e);
    s->logits = malloc((size_t)samples * (size_t)classes * sizeof *s->logits);
    s->statistics = calloc((size_t)classes, sizeof *s->statistics);
    if (!s->seen || !s->logits || !s->statistics)
        return err_set(e, ERR_NOMEM, "no memory for an alignment with %d samples", samples);
    if (parameters_create(&s->parameters, e) || classifier_create(&s->head, &s->shape, samples, e) ||
        gather_head(s, init_seed, e))
        return e->code;
    if (task > 0 && epochs > 0) {
        struct align a = {.parameters = &s->parameters,
                          .epochs = epochs,
                          .samples = samples,
                          .minibatches = s->sequence.first[task + all],
                          .classes_seen = s->sequence.first[task + 1],
                          .class_ids = s->sequence.ids,
                          .statistics = s->statistics,
                          .width = s->test.width,
                          .seed = data_seed,
                          .draw = RNG_TAP_ALIGN,
                          .order = RNG_TAP_ALIGN_ORDER,
                          .task = (uint32_t)task,
                          .step = align_step,
                          .context = s,
                          .run = s->run,
                          .from = 0,
                          .to = 1};

        if (evaluate_now(s, "before", e) || align_run(&a, e))
            return e->code;
    }
    if (evaluate_now(s, "after", e) || stage_create_checkpoint(s->run, &file, e))
        return e->code;
    if (head_write(file, &s->parameters, &s->shape, e)) {
        h5_close(file);
        return e->code;
    }
    return stage_commit(s->run, file, e);
}

int stage_tap(struct stage_run *run, err *e)
{
    struct tap_stage s = {.run = run};

    work(&s, e);
    for (int c = 0; s.statistics && c < s.shape.classes; c++)
        statistics_free(&s.statistics[c]);
    free(s.statistics);
    parameters_free(&s.parameters);
    classifier_free(s.head);
    sequence_free(&s.sequence);
    free(s.test.first);
    free(s.features);
    free(s.labels);
    free(s.inferred);
    free(s.logits);
    free(s.seen);
    return e->code;
}
