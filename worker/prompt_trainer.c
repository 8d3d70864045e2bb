/* worker/prompt_trainer.c - see prompt_trainer.h. */
#include "worker/prompt_trainer.h"

#include <stdlib.h>
#include <string.h>

#include "model/losses.h"

static int allocate(struct prompt_trainer *t, size_t batch, err *e)
{
    size_t D = (size_t)t->material.width, C = (size_t)t->material.data->classes,
           side = (size_t)t->material.backbone->shape.side;
    size_t image = 3 * side * side;
    size_t scratch = t->contrastive_weight > 0 ? contrastive_scratch(t->class_means_count, (int)batch, (int)D) : 0;

    t->memory = malloc((batch * (image + 2 * D + C) + t->prompting.prompt_size + scratch) * sizeof(float));
    t->labels = malloc(batch * sizeof *t->labels);
    t->batch_positions = malloc(batch * sizeof *t->batch_positions);
    if (!t->memory || !t->labels || !t->batch_positions)
        return err_set(e, ERR_NOMEM, "no memory for a batch of %zu images", batch);
    t->images = t->memory;
    t->features = t->images + batch * image;
    t->dfeatures = t->features + batch * D;
    t->logits = t->dfeatures + batch * D;
    t->mixed = t->logits + batch * C;
    t->scratch = t->mixed + t->prompting.prompt_size;
    return 0;
}

int prompt_trainer_create(struct prompt_trainer *t, int batch, double prompt_rate, double scalars_rate,
                          double head_rate, err *e)
{
    const struct vit_shape *shape = &t->material.backbone->shape;

    if (prompting_open(&t->prompting, t->run, shape, batch, e))
        return e->code;
    t->head_shape = (struct classifier_shape){t->material.data->classes, t->material.width, shape->no_final_norm};
    parameters_add(&t->parameters, "prompt", t->prompting.prompt_size, prompt_rate);
    parameters_add(&t->parameters, "scalars", t->prompting.scalars_size,
                   t->prompting.prefix.gate == GATE_none ? 0 : scalars_rate);
    classifier_add(&t->parameters, &t->head_shape, head_rate);
    if (parameters_create(&t->parameters, e) || classifier_create(&t->head, &t->head_shape, batch, e) ||
        vit_batch_create(&t->batch, shape, VIT_PROMPT, batch, t->prompting.prefix.length, t->prompting.first_block,
                         t->material.threads, e))
        return e->code;
    vit_batch_watch(t->batch, stage_alive, t->run);
    return allocate(t, (size_t)batch, e);
}

void prompt_trainer_free(struct prompt_trainer *t)
{
    prompting_close(&t->prompting);
    parameters_free(&t->parameters);
    classifier_free(t->head);
    vit_batch_free(t->batch);
    free(t->memory);
    free(t->labels);
    free(t->batch_positions);
    free(t->allowed);
    free(t->positions);
    sequence_free(&t->sequence);
    material_close(&t->material);
}

/* The prompt that the network sees. */
static const float *prompt_in_use(struct prompt_trainer *t)
{
    const float *own = parameters_value(&t->parameters, "prompt");
    float m = (float)t->momentum;

    if (!(t->momentum > 0) || !t->earlier_mean)
        return own;
    for (size_t i = 0; i < t->prompting.prompt_size; i++)
        t->mixed[i] = (1 - m) * own[i] + m * t->earlier_mean[i];
    return t->mixed;
}

/* Back from the mixture to the trained prompt: the factor 1 - m of methods.md 2.6. */
static void unmix_gradient(struct prompt_trainer *t)
{
    float *gradient = parameters_gradient(&t->parameters, "prompt"), keep = 1 - (float)t->momentum;

    if (t->momentum > 0 && t->earlier_mean)
        for (size_t i = 0; i < t->prompting.prompt_size; i++)
            gradient[i] *= keep;
}

static struct augment augment_of(const struct prompt_trainer *t, int epoch)
{
    return (struct augment){t->data_seed, t->augment_purpose, (uint32_t)(t->run->job->task < 0 ? 0 : t->run->job->task),
                            (uint32_t)epoch};
}

static int load_batch(struct prompt_trainer *t, const uint32_t *order, int n, int epoch, err *e)
{
    struct augment augment = augment_of(t, epoch);

    for (int i = 0; i < n; i++) {
        t->batch_positions[i] = t->positions[order[i]];
        t->labels[i] = material_label(&t->material, DATASET_TRAIN, t->batch_positions[i]);
    }
    return material_images(&t->material, DATASET_TRAIN, t->batch_positions, n, t->augment ? &augment : NULL, t->images,
                           e);
}

void prompt_trainer_soon(void *context, const uint32_t *order, int n, int epoch)
{
    struct prompt_trainer *t = context;
    struct augment augment = augment_of(t, epoch);

    for (int i = 0; i < n; i++)
        t->batch_positions[i] = t->positions[order[i]];
    material_soon(&t->material, DATASET_TRAIN, t->batch_positions, n, t->augment ? &augment : NULL);
}

void prompt_trainer_gradient(struct prompt_trainer *t, int n, double *loss, int *correct)
{
    struct parameters *p = &t->parameters;

    prompting_set_one(&t->prompting, n, prompt_in_use(t), parameters_value(p, "scalars"));
    vit_forward(t->batch, t->material.backbone, t->images, n, &t->prompting.prefix, t->features);
    classifier_forward(t->head, p, t->features, n, t->logits);
    *loss = cross_entropy(t->logits, t->labels, t->allowed, n, t->head_shape.classes, false, correct);
    classifier_backward(t->head, p, t->logits, t->dfeatures);
    if (t->contrastive_weight > 0)
        *loss += t->contrastive_weight * contrastive(t->class_means, t->class_means_count, t->features, n,
                                                     t->material.width, (float)t->temperature,
                                                     (float)t->contrastive_weight, t->dfeatures, t->scratch);
    vit_backward(t->batch, t->material.backbone, t->dfeatures,
                 &(struct vit_gradients){.prompt = parameters_gradient(p, "prompt"),
                                         .scalars = parameters_gradient(p, "scalars")});
    unmix_gradient(t);
}

int prompt_trainer_step(void *context, const uint32_t *order, int n, int epoch, double *loss, int *correct, err *e)
{
    if (!load_batch(context, order, n, epoch, e))
        prompt_trainer_gradient(context, n, loss, correct);
    return e->code;
}

int prompt_trainer_features(struct prompt_trainer *t, enum dataset_part part, const size_t *positions, size_t end,
                            int batch, struct part_rows *rows, err *e)
{
    const float *prompt = parameters_value(&t->parameters, "prompt"),
                *scalars = parameters_value(&t->parameters, "scalars");

    while (rows->done < end) {
        size_t now = rows->done, left = end - now, after;
        int n = left < (size_t)batch ? (int)left : batch;

        after = now + (size_t)n;
        material_soon(&t->material, part, positions + after, end - after < (size_t)batch ? (int)(end - after) : batch,
                      NULL);
        if (part_rows_go_on(t->run, rows, "features", 0.9, 1, e) ||
            material_images(&t->material, part, positions + now, n, NULL, t->images, e))
            return e->code;
        prompting_set_one(&t->prompting, n, prompt, scalars);
        vit_forward(t->batch, t->material.backbone, t->images, n, &t->prompting.prefix, rows->rows + now * rows->D);
        rows->done += (size_t)n;
    }
    return 0;
}
