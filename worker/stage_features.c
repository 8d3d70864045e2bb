/* worker/stage_features.c - features of the frozen backbone, without prompts, for every image in use; test-time transform. */
#include <stdlib.h>

#include "worker/features.h"

static int compute(struct stage_run *run, const struct material *m, h5 *file, err *e)
{
    static const char *const names[DATASET_PARTS][2] = {{"train/features", "train/labels"},
                                                        {"test/features", "test/labels"}};
    size_t most = m->taken[0] > m->taken[1] ? m->taken[0] : m->taken[1];
    size_t D = (size_t)m->width, all = m->taken[0] + m->taken[1], done = 0;
    float *features = malloc(most * D * sizeof *features);
    int32_t *labels = malloc(most * sizeof *labels);

    if (!features || !labels)
        err_set(e, ERR_NOMEM, "no memory for the features of %zu images", most);
    else
        h5_write_number(file, "classes", m->data->classes, e);
    for (int part = 0; part < DATASET_PARTS && !e->code; part++) {
        size_t n = m->taken[part];

        for (size_t i = 0; i < n; i++)
            labels[i] = material_label(m, (enum dataset_part)part, i);
        if (!features_compute(run, m, (enum dataset_part)part, part == DATASET_TRAIN ? PART_train_rows : PART_test_rows,
                              features, (double)done / (double)all, (double)(done + n) / (double)all, e) &&
            !h5_write(file, names[part][0], H5_F32, 2, (size_t[]){n, D}, features, false, e))
            h5_write(file, names[part][1], H5_I32, 1, &n, labels, false, e);
        done += n;
    }
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
