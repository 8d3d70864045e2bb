/* worker/features.c - see features.h. */
#include "worker/features.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 64 }; /* of features_compute() */

static struct {
    bool open;
    struct digest key;
    struct features features;
    uint8_t *later; /* (C): whose features are those of the later pipeline; NULL: there is one only */
    uint8_t *cifar; /* (C) */
} kept;

static const char *const part_names[DATASET_PARTS] = {"train", "test"};

static int compute_batch(const struct material *m, enum dataset_part part, vit_batch *batch, size_t first, int n,
                         float *images, float *features, err *e)
{
    size_t positions[2 * BATCH], left = m->taken[part] - first - (size_t)n;

    for (size_t j = 0; j < 2 * BATCH; j++)
        positions[j] = first + j;
    material_soon(m, part, positions + n, left < BATCH ? (int)left : BATCH, NULL);
    if (!material_images(m, part, positions, n, NULL, images, e))
        vit_forward(batch, m->backbone, images, n, NULL, features);
    return e->code;
}

int features_compute(struct stage_run *run, const struct material *m, enum dataset_part part, enum part keep,
                     float *features, double from, double to, err *e)
{
    struct part_rows rows = {.part = keep, .rows = features, .n = m->taken[part], .D = (size_t)m->width};
    size_t side = (size_t)m->backbone->shape.side;
    float *images = malloc(BATCH * 3 * side * side * sizeof *images);
    vit_batch *batch = NULL;

    if (!images)
        err_set(e, ERR_NOMEM, "no memory for %d images", BATCH);
    else if (!vit_batch_create(&batch, &m->backbone->shape, VIT_INFER, BATCH, 0, 0, m->threads, e))
        vit_batch_watch(batch, stage_alive, run);
    if (!e->code)
        part_rows_load(run, &rows);
    while (rows.done < rows.n && !e->code) {
        size_t left = rows.n - rows.done;
        int n = left < BATCH ? (int)left : BATCH;

        if (!part_rows_go_on(run, &rows, "features", from, to, e) &&
            !compute_batch(m, part, batch, rows.done, n, images, features + rows.done * rows.D, e))
            rows.done += (size_t)n;
    }
    if (!e->code)
        part_rows_finish(run, &rows, e);
    vit_batch_free(batch);
    free(images);
    return e->code;
}

void features_forget(void)
{
    for (int part = 0; part < DATASET_PARTS; part++) {
        free(kept.features.part[part].features);
        free(kept.features.part[part].labels);
    }
    free(kept.later);
    free(kept.cifar);
    memset(&kept, 0, sizeof kept);
}

static int read_part(h5 *file, int part, err *e)
{
    struct feature_set *set = &kept.features.part[part];
    size_t shape[2], labels, limit = (size_t)16 << 30;
    char name[32];
    void *data = NULL;

    strcpy(name, part_names[part]);
    strcat(name, "/features");
    if (h5_read_alloc(file, name, H5_F32, 2, shape, limit, &data, e))
        return e->code;
    set->features = data;
    set->count = shape[0];
    kept.features.width = (int)shape[1];
    strcpy(name, part_names[part]);
    strcat(name, "/labels");
    if (h5_read_alloc(file, name, H5_I32, 1, &labels, limit, &data, e))
        return e->code;
    set->labels = data;
    if (labels != set->count)
        return err_set(e, ERR_DAMAGED, "%zu labels for %zu features", labels, set->count);
    for (size_t i = 0; i < labels; i++)
        if (set->labels[i] < 0 || set->labels[i] >= kept.features.classes)
            return err_set(e, ERR_DAMAGED, "label %d of %d classes", set->labels[i], kept.features.classes);
    return 0;
}

/* Which classes' features are those of the later pipeline in this trial's class order. */
static int later_in(struct stage_run *run, uint8_t *later, err *e)
{
    struct class_sequence s;

    if (stage_sequence(run, kept.features.classes, &s, e))
        return e->code;
    material_later_classes(kept.cifar, &s, later);
    sequence_free(&s);
    return 0;
}

/* Are the kept features those of this trial's class order? */
static bool same_order(struct stage_run *run)
{
    uint8_t *later = kept.later ? malloc((size_t)kept.features.classes) : NULL;
    err e = {0};
    bool same = !kept.later ||
                (later && !later_in(run, later, &e) && !memcmp(later, kept.later, (size_t)kept.features.classes));

    free(later);
    return same;
}

static int take_later(h5 *file, int part, err *e)
{
    struct feature_set *set = &kept.features.part[part];
    size_t D = (size_t)kept.features.width, shape[2];
    void *data = NULL;
    char name[32];

    strcpy(name, part_names[part]);
    strcat(name, "/features_later");
    if (h5_read_alloc(file, name, H5_F32, 2, shape, (size_t)16 << 30, &data, e))
        return e->code;
    if (shape[0] != set->count || shape[1] != D)
        err_set(e, ERR_DAMAGED, "%zu later features of width %zu for %zu images", shape[0], shape[1], set->count);
    for (size_t i = 0; i < set->count && !e->code; i++)
        if (kept.later[set->labels[i]])
            memcpy(set->features + i * D, (float *)data + i * D, D * sizeof(float));
    free(data);
    return e->code;
}

/* With from_cifar: the features of later tasks. */
static int read_later(struct stage_run *run, h5 *file, err *e)
{
    size_t n = (size_t)kept.features.classes;

    if (!h5_has(file, "cifar_classes"))
        return 0;
    kept.cifar = malloc(n);
    kept.later = malloc(n);
    if (!kept.cifar || !kept.later)
        return err_set(e, ERR_NOMEM, "no memory for %zu classes", n);
    if (h5_read(file, "cifar_classes", H5_U8, 1, &n, kept.cifar, e) || later_in(run, kept.later, e))
        return e->code;
    for (int part = 0; part < DATASET_PARTS && !e->code; part++)
        take_later(file, part, e);
    return e->code;
}

int features_open(struct stage_run *run, const struct features **out, err *e)
{
    const struct stage_input *input = stage_job_input(run->job, STAGE_FEATURES, -1);
    double classes;
    h5 *file;

    *out = &kept.features;
    if (input && kept.open && digest_equal(&kept.key, &input->key) && same_order(run))
        return 0;
    features_forget();
    if (stage_open_input(run, STAGE_FEATURES, -1, &file, e))
        return e->code;
    if (!h5_read_number(file, "classes", &classes, e)) {
        kept.features.classes = (int)classes;
        if (!read_part(file, DATASET_TRAIN, e))
            if (!read_part(file, DATASET_TEST, e))
                read_later(run, file, e);
    }
    h5_close(file);
    if (e->code) {
        features_forget();
        return err_context(e, "features");
    }
    kept.open = true;
    kept.key = input->key;
    return 0;
}

int features_of_tasks(const struct feature_set *set, const struct class_sequence *s, int first, int last,
                      size_t **positions, size_t *count, err *e)
{
    size_t n = 0;

    *positions = malloc((set->count + 1) * sizeof **positions);
    if (!*positions)
        return err_set(e, ERR_NOMEM, "no memory for a list of images");
    for (size_t i = 0; i < set->count; i++) {
        int task = s->task_of[set->labels[i]];

        if (task >= first && task <= last)
            (*positions)[n++] = i;
    }
    *count = n;
    if (n)
        return 0;
    free(*positions);
    *positions = NULL;
    return err_set(e, ERR_DATA, "there is no image of a class of task %d; see dataset.sequence", first);
}

/* The features of one class, one after the other. */
static size_t gather_class(const struct features *f, int class_id, float *out)
{
    const struct feature_set *set = &f->part[DATASET_TRAIN];
    size_t n = 0, D = (size_t)f->width;

    for (size_t i = 0; i < set->count; i++)
        if (set->labels[i] == class_id)
            memcpy(out + n++ * D, set->features + i * D, D * sizeof *out);
    return n;
}

int features_statistics(struct stage_run *run, const struct features *f, const struct class_sequence *s, int last,
                        double from, struct class_statistics **out, int *classes_seen, err *e)
{
    int n = s->first[last + 1], centroids = (int)option_int(&run->options, OPTION_STATISTICS_CENTROIDS);
    const char *kind = option_choice(&run->options, OPTION_STATISTICS_KIND);
    uint64_t seed = (uint64_t)option_int(&run->options, OPTION_SEEDS_DATA);
    float *rows = malloc(f->part[DATASET_TRAIN].count * (size_t)f->width * sizeof *rows);

    *out = calloc((size_t)n, sizeof **out);
    *classes_seen = n;
    if (!rows || !*out)
        err_set(e, ERR_NOMEM, "no memory for the statistics of %d classes", n);
    for (int i = 0; i < n && !e->code; i++) {
        size_t count = gather_class(f, s->ids[i], rows);

        if (stage_progress(run, "statistics", from, e))
            break;
        if (statistics_measure(statistics_kind_by_name(kind), rows, count, f->width, centroids, seed,
                               (uint32_t)s->ids[i], &(*out)[i], e))
            err_context(e, "class %d", s->ids[i]);
    }
    free(rows);
    return e->code;
}
