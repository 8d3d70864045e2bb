/* worker/stage_infer.c - after one more task: the task inferred for every test image of the tasks seen, and the image's feature
 * under that task's prompt (methods.md 7).
 *
 * A prompt never changes after its task, so the feature of an image under a prompt is computed once over the whole trial: a
 * checkpoint hands on what is in use and, should an image's inferred task come back, what was.  Not so where a sample's result
 * depends on its batch (layout official, batch-wise vote) or where the gate goes on learning. */
#include <stdlib.h>
#include <string.h>

#include "worker/inference.h"
#include "worker/part.h"

/* Features under prompts that their images no longer use. */
struct former {
    size_t n;
    int32_t *image, *task; /* (n): an index of `positions`; whose prompt */
    float *features;       /* (n, D) */
};

struct infer_stage {
    struct stage_run *run;
    struct material material;
    struct class_sequence sequence;
    struct inference inference;
    size_t n, *positions; /* test images of tasks 0..task, task by task */
    size_t *first;        /* (task + 2) */
    int32_t *inferred;    /* (n) */
    float *prompted;      /* (n, D) */
    uint8_t *known;       /* (n): prompted is there already */
    struct former former;
};

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
    s->prompted = calloc(s->n * (size_t)s->material.width, sizeof *s->prompted);
    s->known = calloc(s->n, sizeof *s->known);
    return s->inferred && s->prompted && s->known ? 0 : err_set(e, ERR_NOMEM, "no memory for %zu features", s->n);
}

/* As tii of this task has found, by vote if asked for. */
static int infer_tasks(struct infer_stage *s, err *e)
{
    int task = s->run->job->task;
    size_t batch = (size_t)s->inference.batch, all = s->material.taken[DATASET_TEST];
    int32_t *of_all = malloc((all + 1) * sizeof *of_all);
    h5 *file;

    if (!of_all)
        return err_set(e, ERR_NOMEM, "no memory for %zu inferred tasks", all);
    if (!stage_open_input(s->run, STAGE_TII, task, &file, e)) {
        h5_read(file, "test/inferred", H5_I32, 1, &all, of_all, e);
        h5_close(file);
    }
    for (size_t i = 0; i < s->n && !e->code; i++) {
        s->inferred[i] = of_all[s->positions[i]];
        if (s->inferred[i] < 0 || s->inferred[i] > task)
            err_set(e, ERR_DAMAGED, "task %d inferred after %d tasks", s->inferred[i], task + 1);
    }
    free(of_all);
    for (int t = 0; t <= task && !e->code; t++) /* a batch never spans two tasks: their test sets are separate */
        for (size_t i = s->first[t]; i < s->first[t + 1]; i += batch)
            inference_vote(&s->inference, s->inferred + i,
                           (int)(s->first[t + 1] - i < batch ? s->first[t + 1] - i : batch));
    return e->code;
}

static void former_free(struct former *f)
{
    free(f->image);
    free(f->features);
    *f = (struct former){0};
}

static int former_create(struct former *f, size_t room, size_t D, err *e)
{
    f->image = malloc(2 * (room + 1) * sizeof *f->image);
    f->features = malloc((room + 1) * D * sizeof *f->features);
    if (!f->image || !f->features)
        return err_set(e, ERR_NOMEM, "no memory for %zu features", room);
    f->task = f->image + room + 1;
    return 0;
}

static void former_add(struct former *f, int32_t image, int32_t task, const float *features, size_t D)
{
    f->image[f->n] = image;
    f->task[f->n] = task;
    memcpy(f->features + f->n++ * D, features, D * sizeof *features);
}

/* Those of the task before; images: their number then. */
static int former_read(struct former *f, h5 *file, size_t images, size_t D, err *e)
{
    size_t shape[H5_MAX_RANK] = {0};
    int rank;

    if (h5_has(file, "former/image") && h5_shape(file, "former/image", &rank, shape, e))
        return e->code;
    if (former_create(f, shape[0], D, e) || !shape[0])
        return e->code;
    f->n = shape[0];
    if (h5_read(file, "former/image", H5_I32, 1, &f->n, f->image, e) ||
        h5_read(file, "former/task", H5_I32, 1, &f->n, f->task, e) ||
        h5_read(file, "former/features", H5_F32, 2, (size_t[]){f->n, D}, f->features, e))
        return e->code;
    for (size_t i = 0; i < f->n; i++)
        if (f->image[i] < 0 || (size_t)f->image[i] >= images)
            return err_set(e, ERR_DAMAGED, "image %d of %zu in the infer checkpoint", f->image[i], images);
    return 0;
}

static int former_write(const struct former *f, h5 *file, size_t D, err *e)
{
    if (!f->n || h5_write(file, "former/image", H5_I32, 1, &f->n, f->image, false, e) ||
        h5_write(file, "former/task", H5_I32, 1, &f->n, f->task, false, e))
        return e->code;
    return h5_write(file, "former/features", H5_F32, 2, (size_t[]){f->n, D}, f->features, false, e);
}

/* prompted holds the features under the prompts of `before`, of n images: where the inferred task is another now they move to
 * the former ones, and where it is one of `old`, those come back. */
static int exchange(struct infer_stage *s, const int32_t *before, size_t n, const struct former *old, err *e)
{
    size_t D = (size_t)s->material.width, changed = 0;

    for (size_t i = 0; i < n; i++) {
        s->known[i] = before[i] == s->inferred[i];
        changed += !s->known[i];
    }
    if (former_create(&s->former, old->n + changed, D, e))
        return e->code;
    for (size_t i = 0; i < n; i++)
        if (!s->known[i])
            former_add(&s->former, (int32_t)i, before[i], s->prompted + i * D, D);
    for (size_t j = 0; j < old->n; j++) {
        size_t i = (size_t)old->image[j];

        if (!s->known[i] && old->task[j] == s->inferred[i]) {
            memcpy(s->prompted + i * D, old->features + j * D, D * sizeof *s->prompted);
            s->known[i] = 1;
        } else {
            former_add(&s->former, old->image[j], old->task[j], old->features + j * D, D);
        }
    }
    return 0;
}

/* Take over what infer(t-1) knows. */
static int take_over(struct infer_stage *s, err *e)
{
    int task = s->run->job->task;
    size_t D = (size_t)s->material.width, n = s->first[task];
    int32_t *before = malloc((n + 1) * sizeof *before);
    struct former old = {0};
    h5 *file;

    if (!before)
        return err_set(e, ERR_NOMEM, "no memory for %zu inferred tasks", n);
    if (!stage_open_input(s->run, STAGE_INFER, task - 1, &file, e)) {
        if (!h5_read(file, "inferred", H5_I32, 1, &n, before, e) &&
            !h5_read(file, "features", H5_F32, 2, (size_t[]){n, D}, s->prompted, e))
            former_read(&old, file, n, D, e);
        h5_close(file);
    }
    if (!e->code)
        exchange(s, before, n, &old, e);
    former_free(&old);
    free(before);
    return e->code;
}

/* One batch: the listed rows. */
struct batch {
    size_t *rows, *positions; /* (batch) */
    size_t *next;             /* (batch) positions of the batch after it */
    int32_t *inferred;        /* (batch) */
    float *features;          /* (batch, D) */
    int n;
};

static int compute_batch(struct infer_stage *s, struct batch *b, err *e)
{
    size_t D = (size_t)s->material.width;

    for (int j = 0; j < b->n; j++) {
        b->positions[j] = s->positions[b->rows[j]];
        b->inferred[j] = s->inferred[b->rows[j]];
    }
    if (inference_features(&s->inference, DATASET_TEST, b->positions, b->inferred, b->n, b->features, e))
        return e->code;
    for (int j = 0; j < b->n; j++) {
        memcpy(s->prompted + b->rows[j] * D, b->features + (size_t)j * D, D * sizeof *b->features);
        s->known[b->rows[j]] = 1;
    }
    return 0;
}

enum { STATE_ARRAYS = 2 };

static void list_state(struct infer_stage *s, struct part_array arrays[STATE_ARRAYS])
{
    arrays[0] = (struct part_array){"known", H5_U8, 1, {s->n}, s->known, 0};
    arrays[1] = (struct part_array){"features", H5_F32, 2, {s->n, (size_t)s->material.width}, s->prompted, 0};
}

/* Tell the host how many of the rows have been looked at; save if it is time or the host says stop. */
static int go_on(struct infer_stage *s, size_t row, err *e)
{
    struct part_array arrays[STATE_ARRAYS];
    err stopped = {0};

    stage_progress(s->run, "infer", (double)row / (double)s->n, &stopped);
    list_state(s, arrays);
    if ((stopped.code || part_due(s->run)) && part_save(s->run, PART_test_rows, arrays, STATE_ARRAYS, e))
        return e->code;
    if (stopped.code)
        *e = stopped;
    return e->code;
}

/* The batch after this one begins at the first row from `row` on that is not known. */
static void announce(struct infer_stage *s, struct batch *b, size_t row, size_t end)
{
    int n = 0;

    for (; row < end && n < s->inference.batch; row++)
        if (!s->known[row])
            b->next[n++] = s->positions[row];
    material_soon(&s->material, DATASET_TEST, b->next, n, NULL);
}

/* The features of rows first..end - 1 that are not known yet.  Rows are taken in their order, so that a stage that goes on makes
 * the batches that it would have made. */
static int compute_task(struct infer_stage *s, size_t first, size_t end, struct batch *b, err *e)
{
    for (size_t i = first; i < end && !e->code;) {
        for (b->n = 0; i < end && b->n < s->inference.batch; i++)
            if (!s->known[i])
                b->rows[b->n++] = i;
        announce(s, b, i, end);
        if (b->n && !go_on(s, b->rows[0], e))
            compute_batch(s, b, e);
    }
    return e->code;
}

static int compute_features(struct infer_stage *s, err *e)
{
    size_t D = (size_t)s->material.width, B = (size_t)s->inference.batch;
    struct batch b = {.rows = malloc(3 * B * sizeof *b.rows),
                      .inferred = malloc(B * sizeof *b.inferred),
                      .features = malloc(B * D * sizeof *b.features)};
    struct part_array arrays[STATE_ARRAYS];

    list_state(s, arrays);
    part_load(s->run, PART_test_rows, arrays, STATE_ARRAYS);
    if (!b.rows || !b.inferred || !b.features)
        err_set(e, ERR_NOMEM, "no memory for a batch of %zu images", B);
    b.positions = b.rows ? b.rows + B : NULL;
    b.next = b.rows ? b.rows + 2 * B : NULL;
    for (int t = 0; t <= s->run->job->task && !e->code; t++) /* the batches of the official layout are pure in task */
        compute_task(s, s->first[t], s->first[t + 1], &b, e);
    free(b.rows);
    free(b.inferred);
    free(b.features);
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
        if (h5_write_number(file, "classes", s->sequence.classes, e) ||
            h5_write(file, "first", H5_I64, 1, &firsts, first, false, e) ||
            h5_write(file, "labels", H5_I32, 1, &s->n, labels, false, e) ||
            h5_write(file, "inferred", H5_I32, 1, &s->n, s->inferred, false, e) ||
            h5_write(file, "features", H5_F32, 2, (size_t[]){s->n, D}, s->prompted, false, e) ||
            former_write(&s->former, file, D, e))
            h5_close(file);
        else
            stage_commit(s->run, file, e);
    }
    free(first);
    free(labels);
    return e->code;
}

/* May features be taken over from the task before? */
static bool may_take_over(const struct infer_stage *s)
{
    const struct inference *f = &s->inference;

    return s->run->job->task > 0 && !f->prompting.official && !f->vote && strcmp(f->prompting.gate_train, "every_task");
}

static int work(struct infer_stage *s, err *e)
{
    struct material *m = &s->material;

    if (material_open(&s->run->options, m, e) || stage_sequence(s->run, m->data->classes, &s->sequence, e))
        return e->code;
    material_order(m, &s->sequence);
    if (inference_open(&s->inference, s->run, m, &s->sequence, s->run->job->task + 1, e) || list_images(s, e))
        return e->code;
    if (infer_tasks(s, e) || (may_take_over(s) && take_over(s, e)))
        return e->code;
    return compute_features(s, e) ? (int)e->code : write_checkpoint(s, e);
}

int stage_infer(struct stage_run *run, err *e)
{
    struct infer_stage s = {.run = run};

    work(&s, e);
    inference_close(&s.inference);
    free(s.positions);
    free(s.first);
    free(s.inferred);
    free(s.prompted);
    free(s.known);
    former_free(&s.former);
    sequence_free(&s.sequence);
    material_close(&s.material);
    return e->code;
}
