/* worker/stage_infer.c - after one more task: the task inferred for every test image of the tasks seen, and the image's feature
 * under that task's prompt (methods.md 7).
 *
 * A prompt never changes after its task, so the feature of an image under a prompt is computed once over the whole trial: what
 * infer(t-1) found is taken over where the inferred task is the same.  Not so where a sample's result depends on its batch
 * (layout official, batch-wise vote) or where the gate goes on learning. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "worker/features.h"
#include "worker/material.h"
#include "worker/prompting.h"
#include "worker/stage_run.h"
#include "worker/tii.h"

/* A prompt with its gate scalars, as its task left them. */
struct slot {
    float *prompt, *scalars;
};

struct infer_stage {
    struct stage_run *run;
    struct material material;
    struct class_sequence sequence;
    const struct features *features;
    struct prompting prompting;
    struct slot *slots;    /* (task + 1) */
    int batch;
    bool vote, reuse;
    size_t n, *positions;  /* test images of tasks 0..task, task by task */
    size_t *first;         /* (task + 2) */
    int32_t *inferred;     /* (n) */
    float *prompted;       /* (n, D) */
    bool *known;           /* (n): prompted is there already */
};

static int read_slots(struct infer_stage *s, err *e)
{
    int task = s->run->job->task;
    struct prompting *p = &s->prompting;
    h5 *file;

    s->slots = calloc((size_t)task + 1, sizeof *s->slots);
    if (!s->slots)
        return err_set(e, ERR_NOMEM, "no memory for prompts");
    for (int t = 0; t <= task; t++) {
        struct slot *slot = &s->slots[t];

        slot->prompt = malloc(p->prompt_size * sizeof *slot->prompt);
        slot->scalars = malloc(p->scalars_size * sizeof *slot->scalars);
        if (!slot->prompt || !slot->scalars)
            return err_set(e, ERR_NOMEM, "no memory for prompts");
        if (stage_open_input(s->run, STAGE_WTP, t, &file, e))
            return e->code;
        if (!h5_read(file, "prompt", H5_F32, 1, &p->prompt_size, slot->prompt, e))
            h5_read(file, "scalars", H5_F32, 1, &p->scalars_size, slot->scalars, e);
        h5_close(file);
        if (e->code)
            return e->code;
    }
    if (strcmp(p->gate_train, "per_task")) /* one gate for all: as it is now */
        for (int t = 0; t < task; t++)
            memcpy(s->slots[t].scalars, s->slots[task].scalars, p->scalars_size * sizeof *s->slots[t].scalars);
    return 0;
}

/* The test images of the tasks seen, task by task, each in file order. */
static int list_images(struct infer_stage *s, err *e)
{
    int tasks = s->run->job->task + 1;

    s->positions = malloc(s->material.taken[DATASET_TEST] * sizeof *s->positions);
    s->first = calloc((size_t)tasks + 1, sizeof *s->first);
    if (!s->positions || !s->first)
        return err_set(e, ERR_NOMEM, "no memory for a list of images");
    for (int t = 0; t < tasks; t++) {
        size_t *some, count;

        if (material_of_task(&s->material, DATASET_TEST, &s->sequence, t, &some, &count, e))
            return e->code;
        memcpy(s->positions + s->n, some, count * sizeof *some);
        free(some);
        s->n += count;
        s->first[t + 1] = s->n;
    }
    s->inferred = malloc(s->n * sizeof *s->inferred);
    s->prompted = malloc(s->n * (size_t)s->material.width * sizeof *s->prompted);
    s->known = calloc(s->n, sizeof *s->known);
    return s->inferred && s->prompted && s->known ? 0 : err_set(e, ERR_NOMEM, "no memory for %zu features", s->n);
}

/* p_b = task of the largest logit among the classes seen. */
static int32_t inferred_task(const struct infer_stage *s, const float *logits, const uint8_t *seen)
{
    int best = -1;

    for (int c = 0; c < s->sequence.classes; c++)
        if (seen[c] && (best < 0 || logits[c] > logits[best]))
            best = c;
    return s->sequence.task_of[best];
}

/* Every sample of a batch gets the batch's most frequent inferred task; ties go to the lowest (methods.md Q6, Q29). */
static void vote(int32_t *inferred, int n, int tasks, int *counts)
{
    int best = 0;

    memset(counts, 0, (size_t)tasks * sizeof *counts);
    for (int i = 0; i < n; i++)
        counts[inferred[i]]++;
    for (int t = 1; t < tasks; t++)
        if (counts[t] > counts[best])
            best = t;
    for (int i = 0; i < n; i++)
        inferred[i] = best;
}

static int infer_tasks(struct infer_stage *s, err *e)
{
    int task = s->run->job->task, batch = s->batch, *counts = calloc((size_t)task + 1, sizeof *counts);
    size_t D = (size_t)s->material.width, C = (size_t)s->sequence.classes;
    float *z = malloc((size_t)batch * (D + C) * sizeof *z), *logits = z ? z + (size_t)batch * D : NULL;
    uint8_t *seen = stage_allowed(&s->sequence, 0, task, e);
    struct tii_model model = {0};
    h5 *file;

    if (!counts || !z || !seen)
        err_set(e, ERR_NOMEM, "no memory for a batch of %d", batch);
    else if (!tii_create(&model, s->run, (int)C, (int)D, batch, e) && !stage_open_input(s->run, STAGE_TII, task, &file, e)) {
        tii_read(&model, file, e);
        h5_close(file);
    }
    for (int t = 0; t <= task && !e->code; t++) /* a batch never spans two tasks: their test sets are separate */
        for (size_t i = s->first[t]; i < s->first[t + 1]; i += (size_t)batch) {
            int n = s->first[t + 1] - i < (size_t)batch ? (int)(s->first[t + 1] - i) : batch;

            for (int j = 0; j < n; j++)
                memcpy(z + (size_t)j * D, s->features->part[DATASET_TEST].features + s->positions[i + (size_t)j] * D, D * sizeof *z);
            tii_forward(&model, z, n, logits);
            for (int j = 0; j < n; j++)
                s->inferred[i + (size_t)j] = inferred_task(s, logits + (size_t)j * C, seen);
            if (s->vote)
                vote(s->inferred + i, n, task + 1, counts);
        }
    tii_free(&model);
    free(counts);
    free(z);
    free(seen);
    return e->code;
}

/* Take over what infer(t-1) computed under the prompt that is inferred again. */
static int take_over(struct infer_stage *s, err *e)
{
    int task = s->run->job->task;
    size_t D = (size_t)s->material.width, n = s->first[task];
    int32_t *before = malloc((n + 1) * sizeof *before);
    h5 *file;

    if (!before)
        return err_set(e, ERR_NOMEM, "no memory for %zu inferred tasks", n);
    if (!stage_open_input(s->run, STAGE_INFER, task - 1, &file, e)) {
        if (!h5_read(file, "inferred", H5_I32, 1, &n, before, e))
            h5_read(file, "features", H5_F32, 2, (size_t[]){n, D}, s->prompted, e);
        h5_close(file);
    }
    for (size_t i = 0; i < n && !e->code; i++)
        s->known[i] = before[i] == s->inferred[i];
    free(before);
    return e->code;
}

/* Features of the listed rows, one batch. */
static int compute_batch(struct infer_stage *s, vit_batch *batch, const size_t *rows, int n, float *images, float *out, err *e)
{
    const float **prompts = malloc(2 * (size_t)n * sizeof *prompts);
    size_t D = (size_t)s->material.width, *positions = malloc((size_t)n * sizeof *positions);

    if (!prompts || !positions)
        err_set(e, ERR_NOMEM, "no memory for a batch of %d", n);
    for (int j = 0; j < n && !e->code; j++) {
        const struct slot *slot = &s->slots[s->inferred[rows[j]]];

        positions[j] = s->positions[rows[j]];
        prompts[j] = slot->prompt;
        prompts[n + j] = slot->scalars;
    }
    if (!e->code && !material_images(&s->material, DATASET_TEST, positions, n, NULL, images, e)) {
        prompting_set(&s->prompting, n, prompts, prompts + n);
        vit_forward(batch, s->material.backbone, images, n, &s->prompting.prefix, out);
        for (int j = 0; j < n; j++)
            memcpy(s->prompted + rows[j] * D, out + (size_t)j * D, D * sizeof *out);
    }
    free(prompts);
    free(positions);
    return e->code;
}

static int compute_features(struct infer_stage *s, err *e)
{
    int task = s->run->job->task;
    size_t D = (size_t)s->material.width, side = (size_t)s->material.backbone->shape.side, B = (size_t)s->batch;
    float *images = malloc(B * (3 * side * side + D) * sizeof *images);
    size_t *rows = malloc(B * sizeof *rows);
    vit_batch *batch = NULL;

    if (!images || !rows)
        err_set(e, ERR_NOMEM, "no memory for a batch of %zu images", B);
    else
        vit_batch_create(&batch, &s->material.backbone->shape, VIT_INFER, s->batch, s->prompting.prefix.length, 0,
                         s->material.threads, e);
    for (int t = 0; t <= task && !e->code; t++) /* as above: the batches of the official layout are pure in task */
        for (size_t i = s->first[t]; i < s->first[t + 1] && !e->code;) {
            int n = 0;

            for (; i < s->first[t + 1] && n < s->batch; i++)
                if (!s->known[i])
                    rows[n++] = i;
            if (!stage_progress(s->run, "infer", (double)i / (double)s->n, e) && n)
                compute_batch(s, batch, rows, n, images, images + B * 3 * side * side, e);
        }
    vit_batch_free(batch);
    free(images);
    free(rows);
    return e->code;
}

static int write_checkpoint(struct infer_stage *s, err *e)
{
    int tasks = s->run->job->task + 1;
    size_t D = (size_t)s->material.width, firsts = (size_t)tasks + 1;
    int64_t *first = malloc(firsts * sizeof *first);
    int32_t *labels = malloc(s->n * sizeof *labels);
    h5 *file;

    if (!first || !labels)
        err_set(e, ERR_NOMEM, "no memory for %zu labels", s->n);
    else if (!stage_create_checkpoint(s->run, &file, e)) {
        for (size_t i = 0; i < firsts; i++)
            first[i] = (int64_t)s->first[i];
        for (size_t i = 0; i < s->n; i++)
            labels[i] = material_label(&s->material, DATASET_TEST, s->positions[i]);
        if (h5_write_number(file, "classes", s->sequence.classes, e) || h5_write(file, "first", H5_I64, 1, &firsts, first, false, e) ||
            h5_write(file, "labels", H5_I32, 1, &s->n, labels, false, e) ||
            h5_write(file, "inferred", H5_I32, 1, &s->n, s->inferred, false, e) ||
            h5_write(file, "features", H5_F32, 2, (size_t[]){s->n, D}, s->prompted, false, e))
            h5_close(file);
        else
            stage_commit(s->run, file, e);
    }
    free(first);
    free(labels);
    return e->code;
}

static int work(struct infer_stage *s, err *e)
{
    struct option_reader *r = &s->run->options;

    s->batch = (int)option_int(r, OPTION_EVALUATE_BATCH);
    s->vote = !strcmp(option_choice(r, OPTION_EVALUATE_VOTE), "batch");
    if (e->code || material_open(r, &s->material, e) || features_open(s->run, &s->features, e) ||
        stage_sequence(s->run, s->material.data->classes, &s->sequence, e) ||
        prompting_open(&s->prompting, s->run, &s->material.backbone->shape, s->batch, e) || read_slots(s, e) || list_images(s, e) ||
        infer_tasks(s, e))
        return e->code;
    if (s->features->part[DATASET_TEST].count != s->material.taken[DATASET_TEST])
        return err_set(e, ERR_BUG, "%zu test features for %zu test images", s->features->part[DATASET_TEST].count,
                       s->material.taken[DATASET_TEST]);
    s->reuse = !s->prompting.official && !s->vote && strcmp(s->prompting.gate_train, "every_task");
    if (s->reuse && s->run->job->task > 0 && take_over(s, e))
        return e->code;
    return compute_features(s, e) ? (int)e->code : write_checkpoint(s, e);
}

int stage_infer(struct stage_run *run, err *e)
{
    struct infer_stage s = {.run = run};

    work(&s, e);
    for (int t = 0; s.slots && t <= run->job->task; t++) {
        free(s.slots[t].prompt);
        free(s.slots[t].scalars);
    }
    free(s.slots);
    free(s.positions);
    free(s.first);
    free(s.inferred);
    free(s.prompted);
    free(s.known);
    prompting_close(&s.prompting);
    sequence_free(&s.sequence);
    material_close(&s.material);
    return e->code;
}
