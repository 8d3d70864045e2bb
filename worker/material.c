/* worker/material.c - see material.h. */
#include "worker/material.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/backbone.h"

/* What is kept from one stage to the next. */
static struct {
    struct dataset data;
    bool data_open;
    char backbone_name[64];
    struct vit_weights backbone;
} kept;

void material_forget(void)
{
    if (kept.data_open)
        dataset_close(&kept.data);
    vit_weights_free(&kept.backbone);
    memset(&kept, 0, sizeof kept);
}

static int open_dataset(const char *name, err *e)
{
    if (kept.data_open && !strcmp(kept.data.name, name))
        return 0;
    if (kept.data_open)
        dataset_close(&kept.data);
    kept.data_open = false;
    if (dataset_open(name, &kept.data, e))
        return e->code;
    kept.data_open = true;
    return 0;
}

static int copy_weights(const struct backbone_weights *from, struct vit_weights *to, err *e)
{
    struct vit_tensor t;

    for (int k = 0; vit_tensor(to, k, &t); k++) {
        const struct backbone_tensor *source = backbone_tensor(from, t.name);

        if (!source || source->count != t.rows * t.columns)
            return err_set(e, ERR_SHAPE, "backbone %s: tensor %s has %zu numbers, expected %zu", from->name, t.name,
                           source ? source->count : 0, t.rows * t.columns);
        memcpy(t.data, source->data, t.rows * t.columns * sizeof *t.data);
    }
    return 0;
}

static int open_backbone(const char *name, err *e)
{
    struct vit_shape shape;
    struct backbone_weights from;

    if (kept.backbone.memory && !strcmp(kept.backbone_name, name))
        return 0;
    vit_weights_free(&kept.backbone);
    if (backbone_open(name, &from, e))
        return e->code;
    shape = (struct vit_shape){.side = from.shape.side,
                               .patch = from.shape.patch,
                               .width = from.shape.width,
                               .depth = from.shape.depth,
                               .heads = from.shape.heads,
                               .hidden = from.shape.hidden};
    if (!vit_weights_create(&kept.backbone, &shape, e) && copy_weights(&from, &kept.backbone, e))
        vit_weights_free(&kept.backbone);
    backbone_close(&from);
    if (!e->code)
        strncpy(kept.backbone_name, name, sizeof kept.backbone_name - 1);
    return e->code;
}

/* What a thread works in. */
struct load_memory {
    struct image_reader reader;
    struct image_scratch scratch;
};

static void load_memory_release(void *memory)
{
    struct load_memory *l = memory;

    image_reader_free(&l->reader);
    image_scratch_free(&l->scratch);
}

/* One image, from the file to the network's input; see ahead.h. */
static int load_image(const void *context, const struct batch_request *r, int i, float *out, void *memory, err *e)
{
    const struct material *m = context;
    struct load_memory *l = memory;
    size_t position = r->positions[i];
    const struct image_pipeline *pipeline =
        m->later && m->is_later[material_label(m, r->part, position)] ? m->later : m->pipeline;
    struct image_draw draw;
    struct image image;

    if (image_set_read(&m->data->part[r->part], m->take[r->part][position], &l->reader, &image, e))
        return e->code;
    if (r->augmented) {
        const struct augment *a = &r->augment;
        rng stream = rng_stream(a->seed, a->purpose, a->task, a->epoch, (uint32_t)position);

        draw = image_draw(pipeline, image.height, image.width, &stream);
    }
    return image_transform(pipeline, m->backbone->shape.side,
                           image_whole(image.pixels, image.height, image.width, image.channels),
                           r->augmented ? &draw : NULL, out, &l->scratch, e);
}

/* As many threads as the rank has, with the one that asks; at least one works ahead. */
static int open_ahead(struct material *m, err *e)
{
    size_t side = (size_t)m->backbone->shape.side;
    struct ahead_source source = {.context = m,
                                  .numbers = 3 * side * side,
                                  .memory_size = sizeof(struct load_memory),
                                  .memory_release = load_memory_release,
                                  .make = load_image};

    return ahead_create(&m->ahead, &source, m->threads > 1 ? m->threads - 1 : 1, e);
}

/* The task of a class, where the stage's kind has tasks; -1 otherwise. */
static int task_of_class(struct option_reader *options, int classes, int c)
{
    struct class_sequence s;
    err e = {0};
    int task = -1;

    if (option_declared(options->stage, OPTION_DATASET_SEQUENCE) &&
        !sequence_resolve(option_text(options, OPTION_DATASET_SEQUENCE), classes,
                          (int)option_int(options, OPTION_DATASET_TASKS),
                          (uint64_t)option_int(options, OPTION_SEEDS_ORDER), &s, &e)) {
        task = s.task_of[c];
        sequence_free(&s);
    }
    return task;
}

/* Every class needs images of both parts: a task would otherwise have nothing to learn it from, or nothing to show. */
static int check_classes(const struct material *m, struct option_reader *options, err *e)
{
    size_t classes = (size_t)m->data->classes, *images = calloc(classes + 1, sizeof *images);

    if (!images)
        return err_set(e, ERR_NOMEM, "no memory for %zu classes", classes);
    for (int part = 0; part < DATASET_PARTS && !e->code; part++) {
        const struct image_set *set = &m->data->part[part];

        memset(images, 0, classes * sizeof *images);
        for (size_t i = 0; i < set->count; i++)
            images[set->labels[i]]++;
        for (int c = 0; c < m->data->classes && !e->code; c++)
            if (!images[c]) {
                int task = task_of_class(options, m->data->classes, c);
                char of_task[40] = "";

                if (task >= 0)
                    snprintf(of_task, sizeof of_task, ", of task %d", task);
                err_set(e, ERR_DATA,
                        "data set %s has no %s image of class %d (%s)%s; import it again with some, or without that "
                        "class",
                        m->data->name, part == DATASET_TRAIN ? "training" : "test", c, m->data->class_names[c],
                        of_task);
            }
    }
    free(images);
    return e->code;
}

static int open_pipelines(struct material *m, const char *transform, err *e)
{
    bool changes = !strcmp(transform, "from_cifar");

    m->pipeline = image_pipeline_by_name(changes ? "default" : transform);
    m->later = changes ? image_pipeline_by_name("cifar") : NULL;
    m->is_later = calloc((size_t)m->data->classes + 1, sizeof *m->is_later);
    return m->is_later ? 0 : err_set(e, ERR_NOMEM, "no memory for %d classes", m->data->classes);
}

int material_open(struct option_reader *options, struct material *out, err *e)
{
    const char *data = option_text(options, OPTION_DATASET_NAME), *backbone = option_text(options, OPTION_BACKBONE);
    const char *transform = option_choice(options, OPTION_DATASET_TRANSFORM),
               *pool = option_choice(options, OPTION_FEATURE_POOL);
    const char *norm = option_choice(options, OPTION_FEATURE_NORM), *threads = getenv("OMP_NUM_THREADS");
    int64_t per_class[DATASET_PARTS] = {option_int(options, OPTION_DATASET_TRAIN_PER_CLASS),
                                        option_int(options, OPTION_DATASET_TEST_PER_CLASS)};

    memset(out, 0, sizeof *out);
    if (e->code || open_dataset(data, e) || open_backbone(backbone, e))
        return e->code;
    out->data = &kept.data;
    kept.backbone.shape.pool = strcmp(pool, "mean") ? VIT_POOL_TOKEN : VIT_POOL_MEAN;
    kept.backbone.shape.no_final_norm = !strcmp(norm, "fc_norm");
    out->backbone = &kept.backbone;
    out->width = kept.backbone.shape.width;
    if (check_classes(out, options, e))
        return e->code;
    out->threads = threads && atoi(threads) > 0 ? atoi(threads) : omp_get_num_procs();
    for (int part = 0; part < DATASET_PARTS; part++)
        if (image_set_take(&out->data->part[part], out->data->classes, per_class[part], &out->take[part],
                           &out->taken[part], e)) {
            material_close(out);
            return err_context(e, "data set %s, %s images", data, part == DATASET_TRAIN ? "training" : "test");
        }
    if (open_pipelines(out, transform, e) || open_ahead(out, e))
        material_close(out);
    return e->code;
}

void material_close(struct material *m)
{
    ahead_free(m->ahead);
    for (int part = 0; part < DATASET_PARTS; part++)
        free(m->take[part]);
    free(m->is_later);
    memset(m, 0, sizeof *m);
}

void material_cifar_classes(const struct material *m, uint8_t *cifar)
{
    for (int c = 0; c < m->data->classes; c++)
        cifar[c] = strcasestr(m->data->class_names[c], "cifar") != NULL;
}

void material_later_classes(const uint8_t *cifar, const struct class_sequence *s, uint8_t *later)
{
    int first = s->tasks;

    for (int c = 0; c < s->classes; c++)
        if (cifar[c] && s->task_of[c] < first)
            first = s->task_of[c];
    for (int c = 0; c < s->classes; c++)
        later[c] = s->task_of[c] >= first;
}

void material_order(struct material *m, const struct class_sequence *s)
{
    if (!m->later || s->classes != m->data->classes)
        return;
    material_cifar_classes(m, m->is_later);
    material_later_classes(m->is_later, s, m->is_later);
}

void material_use_later(struct material *m)
{
    memset(m->is_later, 1, (size_t)m->data->classes);
}

int32_t material_label(const struct material *m, enum dataset_part part, size_t position)
{
    return m->data->part[part].labels[m->take[part][position]];
}

int material_of_task(const struct material *m, enum dataset_part part, const struct class_sequence *s, int task,
                     size_t **positions, size_t *count, err *e)
{
    size_t n = 0;

    *positions = malloc((m->taken[part] + 1) * sizeof **positions);
    *count = 0;
    if (!*positions)
        return err_set(e, ERR_NOMEM, "no memory for a list of images");
    for (size_t i = 0; i < m->taken[part]; i++)
        if (s->task_of[material_label(m, part, i)] == task)
            (*positions)[n++] = i;
    if (!n) {
        free(*positions);
        *positions = NULL;
        return err_set(e, ERR_DATA, "data set %s has no %s image of a class of task %d; see dataset.sequence",
                       m->data->name, part == DATASET_TRAIN ? "training" : "test", task);
    }
    *count = n;
    return 0;
}

static struct batch_request request_of(enum dataset_part part, const size_t *positions, int n,
                                       const struct augment *augment)
{
    return (struct batch_request){.part = part,
                                  .n = n,
                                  .positions = positions,
                                  .augmented = augment != NULL,
                                  .augment = augment ? *augment : (struct augment){0}};
}

int material_images(const struct material *m, enum dataset_part part, const size_t *positions, int n,
                    const struct augment *augment, float *out, err *e)
{
    struct batch_request request = request_of(part, positions, n, augment);

    return ahead_take(m->ahead, &request, out, e);
}

void material_soon(const struct material *m, enum dataset_part part, const size_t *positions, int n,
                   const struct augment *augment)
{
    struct batch_request request = request_of(part, positions, n, augment);

    ahead_soon(m->ahead, &request);
}
