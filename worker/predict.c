/* worker/predict.c - see predict.h. */
#include "worker/predict.h"

#include <stdlib.h>
#include <string.h>

#include "worker/evaluate.h"
#include "worker/features.h"
#include "worker/inference.h"

enum { BATCH = 256 }; /* of the head */

struct predict {
    struct stage_run run;
    struct stage_job job; /* of the run: the learner's, with the data set asked for */
    const struct stage_job *result;
    enum dataset_part part;
    struct material material;
    struct class_sequence sequence;
    struct parameters parameters; /* the head */
    struct classifier_shape shape;
    int tasks;     /* learned */
    size_t *order; /* (n): positions, task by task */
    size_t *first; /* (groups + 1): images of a group share batches */
    int groups;
    struct prediction *out;
};

/* Which kind's declared options say how a learner looks at images. */
static enum stage_kind looks_as(enum stage_kind result)
{
    return result == STAGE_TAP ? STAGE_INFER : result == STAGE_SEQUENTIAL ? STAGE_FEATURES : STAGE_JOINT;
}

static int open_head(struct predict *p, h5 *file, err *e)
{
    size_t shape[H5_MAX_RANK];
    int rank;

    if (h5_shape(file, "head.bias", &rank, shape, e))
        return e->code;
    if (rank != 1 || shape[0] < 1 || shape[0] > SEQUENCE_MAX_CLASSES)
        return err_set(e, ERR_DAMAGED, "a head of %zu classes", shape[0]);
    p->shape = (struct classifier_shape){(int)shape[0], p->material.width, p->material.backbone->shape.no_final_norm};
    classifier_add(&p->parameters, &p->shape, 0);
    return parameters_create(&p->parameters, e) ? (int)e->code : head_read(file, &p->parameters, &p->shape, e);
}

/* Task by task, each in file order; one group for data whose labels are not the learner's. */
static int list_images(struct predict *p, err *e)
{
    size_t n = p->material.taken[p->part], at = 0;
    bool known = p->material.data->classes == p->shape.classes;
    int tasks = known ? p->sequence.tasks : 1;

    p->out->n = n;
    p->order = malloc((n + 1) * sizeof *p->order);
    p->first = calloc((size_t)tasks + 1, sizeof *p->first);
    if (!p->order || !p->first)
        return err_set(e, ERR_NOMEM, "no memory for a list of %zu images", n);
    for (int t = 0; t < tasks; t++) {
        for (size_t i = 0; i < n; i++)
            if (!known || p->sequence.task_of[material_label(&p->material, p->part, i)] == t)
                p->order[at++] = i;
        p->first[t + 1] = at;
    }
    p->groups = tasks;
    if (p->result->kind == STAGE_JOINT) { /* evaluated as one: its batches span tasks */
        p->groups = 1;
        p->first[1] = n;
    }
    return 0;
}

static int allocate(struct predict *p, err *e)
{
    struct prediction *o = p->out;
    size_t D = (size_t)p->material.width, C = (size_t)p->shape.classes;

    o->width = p->material.width;
    o->classes = p->shape.classes;
    o->features = malloc(o->n * D * sizeof *o->features);
    o->logits = malloc(o->n * C * sizeof *o->logits);
    o->predicted = malloc(o->n * sizeof *o->predicted);
    o->labels = malloc(o->n * sizeof *o->labels);
    o->inferred = p->result->kind == STAGE_TAP ? malloc(o->n * sizeof *o->inferred) : NULL;
    if (!o->features || !o->logits || !o->predicted || !o->labels || (p->result->kind == STAGE_TAP && !o->inferred))
        return err_set(e, ERR_NOMEM, "no memory for predictions of %zu images", o->n);
    for (size_t i = 0; i < o->n; i++)
        o->labels[i] = material_label(&p->material, p->part, i);
    return 0;
}

/* Buffers of one batch, gathered from and scattered to places in file order. */
struct gather {
    float *from, *to; /* (batch, D) */
    int32_t *tasks;   /* (batch) */
};

/* One batch: infer the tasks from the features without prompts that stand in out->features, then put those under the tasks'
 * prompts in their place. */
static int prompt_batch(struct predict *p, struct inference *f, struct gather *g, const size_t *places, int n, err *e)
{
    struct prediction *o = p->out;
    size_t D = (size_t)o->width;

    memset(g->tasks, 0, (size_t)n * sizeof *g->tasks);
    if (o->inferred) {
        for (int i = 0; i < n; i++)
            memcpy(g->from + (size_t)i * D, o->features + places[i] * D, D * sizeof *g->from);
        inference_tasks(f, g->from, n, g->tasks);
    }
    if (inference_features(f, p->part, places, g->tasks, n, g->to, e))
        return e->code;
    for (int i = 0; i < n; i++) {
        memcpy(o->features + places[i] * D, g->to + (size_t)i * D, D * sizeof *g->to);
        if (o->inferred)
            o->inferred[places[i]] = g->tasks[i];
    }
    return 0;
}

static int prompt_all(struct predict *p, struct inference *f, err *e)
{
    size_t D = (size_t)p->out->width, B = (size_t)f->batch;
    struct gather g = {.from = malloc(2 * B * D * sizeof *g.from), .tasks = malloc(B * sizeof *g.tasks)};

    if (!g.from || !g.tasks)
        err_set(e, ERR_NOMEM, "no memory for a batch of %zu", B);
    g.to = g.from ? g.from + B * D : NULL;
    for (int t = 0; t < p->groups && !e->code; t++)
        for (size_t i = p->first[t]; i < p->first[t + 1] && !e->code; i += B) {
            size_t n = p->first[t + 1] - i < B ? p->first[t + 1] - i : B;

            if (!stage_progress(&p->run, "predict", 0.3 + 0.7 * (double)i / (double)p->out->n, e))
                prompt_batch(p, f, &g, p->order + i, (int)n, e);
        }
    free(g.from);
    free(g.tasks);
    return e->code;
}

static int compute_features(struct predict *p, h5 *file, err *e)
{
    struct inference f = {0};
    int batch;

    switch (p->result->kind) {
    case STAGE_SEQUENTIAL:
        return features_compute(&p->run, &p->material, p->part, PART_COUNT, p->out->features, 0, 1, e);
    case STAGE_JOINT:
        batch = (int)option_int(&p->run.options, OPTION_TRAIN_BATCH);
        if (!inference_open_one(&f, &p->run, &p->material, batch, file, e))
            prompt_all(p, &f, e);
        break;
    default:
        if (!features_compute(&p->run, &p->material, p->part, PART_COUNT, p->out->features, 0, 0.3, e) &&
            !inference_open(&f, &p->run, &p->material, &p->sequence, p->tasks, e) && !inference_open_tii(&f, e))
            prompt_all(p, &f, e);
    }
    inference_close(&f);
    return e->code;
}

/* Logits, and the class of the largest allowed one. */
static int classify(struct predict *p, err *e)
{
    struct prediction *o = p->out;
    size_t D = (size_t)o->width, C = (size_t)o->classes;
    uint8_t *allowed = evaluate_allowed(&p->run, &p->sequence, p->tasks - 1, e);
    classifier *head = NULL;

    if (!e->code)
        classifier_create(&head, &p->shape, BATCH, e);
    for (size_t i = 0; i < o->n && !e->code; i += BATCH) {
        int n = o->n - i < BATCH ? (int)(o->n - i) : BATCH;

        classifier_forward(head, &p->parameters, o->features + i * D, n, o->logits + i * C);
    }
    for (size_t i = 0; i < o->n && !e->code; i++) {
        const float *logits = o->logits + i * C;
        int best = -1;

        for (int c = 0; c < o->classes; c++)
            if ((!allowed || allowed[c]) && (best < 0 || logits[c] > logits[best]))
                best = c;
        o->predicted[i] = best;
    }
    classifier_free(head);
    free(allowed);
    return e->code;
}

static int predict_all(struct predict *p, err *e)
{
    struct option_reader *r = &p->run.options;
    enum stage_kind kind = p->result->kind;
    h5 *file;

    if (material_open(r, &p->material, e) || stage_open_result(p->result, &file, e))
        return e->code;
    r->stage = kind; /* the class order and the mask are read as the result's stage did */
    if (!open_head(p, file, e) && !stage_sequence(&p->run, p->shape.classes, &p->sequence, e)) {
        material_order(&p->material, &p->sequence);
        p->tasks = kind == STAGE_JOINT ? p->sequence.tasks : p->result->task + 1;
        r->stage = looks_as(kind);
        if (!list_images(p, e) && !allocate(p, e))
            compute_features(p, file, e);
        r->stage = kind;
    }
    h5_close(file);
    return e->code ? (int)e->code : classify(p, e);
}

int predict_run(const struct stage_job *result, const struct stage_job *infer, const struct predict_images *images,
                const struct host *host, struct prediction *out, err *e)
{
    struct stage_outcome unused = {0};
    struct predict p = {.job = infer ? *infer : *result, .result = result, .part = images->part, .out = out};

    *out = (struct prediction){0};
    if (result->kind != STAGE_TAP && result->kind != STAGE_SEQUENTIAL && result->kind != STAGE_JOINT)
        return err_set(e, ERR_BUG, "%s is no learner", stage_kind_name(result->kind));
    if (result->kind == STAGE_TAP && !infer)
        return err_set(e, ERR_BUG, "a learner with prompts and no job that lists them");
    p.job.config.value[OPTION_DATASET_NAME].text = intern(images->dataset);
    p.job.config.value[OPTION_DATASET_TRAIN_PER_CLASS].integer = images->per_class;
    p.job.config.value[OPTION_DATASET_TEST_PER_CLASS].integer = images->per_class;
    p.run = (struct stage_run){
        .job = &p.job, .host = host, .out = &unused, .options = {&p.job.config, looks_as(result->kind), e}};
    predict_all(&p, e);
    free(p.order);
    free(p.first);
    parameters_free(&p.parameters);
    sequence_free(&p.sequence);
    material_close(&p.material);
    return e->code;
}

void prediction_free(struct prediction *p)
{
    free(p->features);
    free(p->logits);
    free(p->predicted);
    free(p->inferred);
    free(p->labels);
    memset(p, 0, sizeof *p);
}
