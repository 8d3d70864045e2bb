/* worker/stage_features.c - features of the frozen backbone, without prompts, for every image in use; test-time transform. */
#include <stdlib.h>

#include "worker/material.h"
#include "worker/stage_run.h"

enum { BATCH = 64 };

/* features (taken, D) and labels of a part. */
static int compute_part(struct stage_run *run, const struct material *m, enum dataset_part part, vit_batch *batch, float *images,
                        float *features, int32_t *labels, double done, double of, err *e)
{
    size_t D = (size_t)m->width, positions[BATCH];

    for (size_t i = 0; i < m->taken[part]; i += BATCH) {
        int n = m->taken[part] - i < BATCH ? (int)(m->taken[part] - i) : BATCH;

        for (int j = 0; j < n; j++) {
            positions[j] = i + (size_t)j;
            labels[i + (size_t)j] = material_label(m, part, positions[j]);
        }
        if (stage_progress(run, "features", (done + (double)i) / of, e) || material_images(m, part, positions, n, NULL, images, e))
            return e->code;
        vit_forward(batch, m->backbone, images, n, NULL, features + i * D);
    }
    return 0;
}

static int compute(struct stage_run *run, const struct material *m, h5 *file, err *e)
{
    static const char *const names[DATASET_PARTS][2] = {{"train/features", "train/labels"}, {"test/features", "test/labels"}};
    size_t D = (size_t)m->width, side = (size_t)m->backbone->shape.side, most = m->taken[0] > m->taken[1] ? m->taken[0] : m->taken[1];
    float *images = malloc(BATCH * 3 * side * side * sizeof *images), *features = malloc(most * D * sizeof *features);
    int32_t *labels = malloc(most * sizeof *labels);
    double of = (double)(m->taken[0] + m->taken[1]), done = 0;
    vit_batch *batch = NULL;

    if (!images || !features || !labels)
        err_set(e, ERR_NOMEM, "no memory for the features of %zu images", most);
    else if (!vit_batch_create(&batch, &m->backbone->shape, VIT_INFER, BATCH, 0, 0, m->threads, e))
        h5_write_number(file, "classes", m->data->classes, e);
    for (int part = 0; part < DATASET_PARTS && !e->code; part++) {
        size_t n = m->taken[part];

        if (!compute_part(run, m, (enum dataset_part)part, batch, images, features, labels, done, of, e) &&
            !h5_write(file, names[part][0], H5_F32, 2, (size_t[]){n, D}, features, false, e))
            h5_write(file, names[part][1], H5_I32, 1, &n, labels, false, e);
        done += (double)n;
    }
    vit_batch_free(batch);
    free(images);
    free(features);
    free(labels);
    return e->code;
}

int stage_features(struct stage_run *run, err *e)
{
    struct material m;
    h5 *file;

    if (material_open(&run->options, &m, e))
        return e->code;
    if (!stage_create_checkpoint(run, &file, e)) {
        if (compute(run, &m, file, e))
            h5_close(file);
        else
            stage_commit(run, file, e);
    }
    material_close(&m);
    return e->code;
}
