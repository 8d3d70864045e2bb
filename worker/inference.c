/* worker/inference.c - see inference.h. */
#include "worker/inference.h"

#include <stdlib.h>
#include <string.h>

/* Room for `slots` prompts and a batch; prompting is open. */
static int allocate(struct inference *f, size_t slots, err *e)
{
    const struct vit_shape *shape = &f->material->backbone->shape;
    size_t side = (size_t)shape->side, B = (size_t)f->batch, C = f->sequence ? (size_t)f->sequence->classes : 0;

    f->slots = calloc(slots, sizeof *f->slots);
    f->images = malloc(B * (3 * side * side + C) * sizeof *f->images);
    f->prompts = malloc(2 * B * sizeof *f->prompts);
    f->counts = calloc(slots, sizeof *f->counts);
    if (!f->slots || !f->images || !f->prompts || !f->counts)
        return err_set(e, ERR_NOMEM, "no memory for a batch of %zu images", B);
    f->logits = f->images + B * 3 * side * side;
    if (!vit_batch_create(&f->network, shape, VIT_INFER, f->batch, f->prompting.prefix.length, 0, f->material->threads,
                          e))
        vit_batch_watch(f->network, stage_alive, f->run);
    return e->code;
}

static int read_slot(struct inference *f, struct prompt_slot *slot, h5 *file, err *e)
{
    struct prompting *p = &f->prompting;

    slot->prompt = malloc(p->prompt_size * sizeof *slot->prompt);
    slot->scalars = malloc(p->scalars_size * sizeof *slot->scalars);
    if (!slot->prompt || !slot->scalars)
        return err_set(e, ERR_NOMEM, "no memory for prompts");
    if (!h5_read(file, "prompt", H5_F32, 1, &p->prompt_size, slot->prompt, e))
        h5_read(file, "scalars", H5_F32, 1, &p->scalars_size, slot->scalars, e);
    return e->code;
}

static int read_slots(struct inference *f, err *e)
{
    int last = f->tasks - 1;
    h5 *file;

    for (int t = 0; t <= last; t++) {
        if (stage_open_input(f->run, STAGE_WTP, t, &file, e))
            return e->code;
        read_slot(f, &f->slots[t], file, e);
        h5_close(file);
        if (e->code)
            return e->code;
    }
    if (strcmp(f->prompting.gate_train, "per_task")) /* one gate for all: as it is now */
        for (int t = 0; t < last; t++)
            memcpy(f->slots[t].scalars, f->slots[last].scalars,
                   f->prompting.scalars_size * sizeof *f->slots[t].scalars);
    return 0;
}

int inference_open_tii(struct inference *f, err *e)
{
    h5 *file;

    if (tii_create(&f->tii, f->run, f->sequence->classes, f->material->width, f->batch, e) ||
        stage_open_input(f->run, STAGE_TII, f->tasks - 1, &file, e))
        return e->code;
    tii_read(&f->tii, file, e);
    h5_close(file);
    return e->code;
}

int inference_open(struct inference *f, struct stage_run *run, const struct material *m, const struct class_sequence *s,
                   int tasks, err *e)
{
    struct option_reader *r = &run->options;

    *f = (struct inference){.run = run, .material = m, .sequence = s, .tasks = tasks};
    f->batch = (int)option_int(r, OPTION_EVALUATE_BATCH);
    f->vote = !strcmp(option_choice(r, OPTION_EVALUATE_VOTE), "batch");
    if (e->code || prompting_open(&f->prompting, run, &m->backbone->shape, f->batch, e) ||
        allocate(f, (size_t)tasks, e))
        return e->code;
    return read_slots(f, e);
}

int inference_open_one(struct inference *f, struct stage_run *run, const struct material *m, int batch, h5 *file,
                       err *e)
{
    *f = (struct inference){.run = run, .material = m, .tasks = 1, .batch = batch};
    if (prompting_open(&f->prompting, run, &m->backbone->shape, batch, e) || allocate(f, 1, e))
        return e->code;
    return read_slot(f, &f->slots[0], file, e);
}

void inference_close(struct inference *f)
{
    for (int t = 0; f->slots && t < f->tasks; t++) {
        free(f->slots[t].prompt);
        free(f->slots[t].scalars);
    }
    prompting_close(&f->prompting);
    tii_free(&f->tii);
    vit_batch_free(f->network);
    free(f->slots);
    free(f->images);
    free(f->prompts);
    free(f->counts);
    memset(f, 0, sizeof *f);
}

void inference_vote(struct inference *f, int32_t *inferred, int n)
{
    int best = 0;

    if (!f->vote)
        return;
    memset(f->counts, 0, (size_t)f->tasks * sizeof *f->counts);
    for (int i = 0; i < n; i++)
        f->counts[inferred[i]]++;
    for (int t = 1; t < f->tasks; t++)
        if (f->counts[t] > f->counts[best])
            best = t;
    for (int i = 0; i < n; i++)
        inferred[i] = best;
}

void inference_tasks(struct inference *f, const float *z, int n, int32_t *inferred)
{
    tii_forward(&f->tii, z, n, f->logits);
    for (int i = 0; i < n; i++)
        inferred[i] = tii_task(f->logits + (size_t)i * (size_t)f->sequence->classes, f->sequence, f->tasks);
    inference_vote(f, inferred, n);
}

int inference_features(struct inference *f, enum dataset_part part, const size_t *positions, const int32_t *inferred,
                       int n, float *features, err *e)
{
    for (int i = 0; i < n; i++) {
        const struct prompt_slot *slot = &f->slots[inferred[i]];

        f->prompts[i] = slot->prompt;
        f->prompts[n + i] = slot->scalars;
    }
    if (material_images(f->material, part, positions, n, NULL, f->images, e))
        return e->code;
    prompting_set(&f->prompting, n, f->prompts, f->prompts + n);
    vit_forward(f->network, f->material->backbone, f->images, n, &f->prompting.prefix, features);
    return 0;
}
