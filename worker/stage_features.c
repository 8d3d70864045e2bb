/* worker/stage_features.c - features of the frozen backbone, without prompts, for every image in use; test-time transform. */
#include <stdlib.h>

#include "worker/features.h"

/* An array for each part: with the pipeline of the transform, or with the later one of from_cifar, which pipeline an image goes
 * through being a matter of the class order, that features do not depend on. */
static const struct pass {
    const char *features[DATASET_PARTS];
    enum part part[DATASET_PARTS];
} passes[] = {{{"train/features", "test/features"}, {PART_train_rows, PART_test_rows}},
              {{"train/features_later", "test/features_later"}, {PART_later_train_rows, PART_later_test_rows}}};

static int write_labels(const struct material *m, h5 *file, err *e)
{
    static const char *const names[DATASET_PARTS] = {"train/labels", "test/labels"};

    for (int part = 0; part < DATASET_PARTS && !e->code; part++) {
        size_t n = m->taken[part];
        int32_t *labels = malloc((n + 1) * sizeof *labels);

        if (!labels)
            return err_set(e, ERR_NOMEM, "no memory for %zu labels", n);
        for (size_t i = 0; i < n; i++)
            labels[i] = material_label(m, (enum dataset_part)part, i);
        h5_write(file, names[part], H5_I32, 1, &n, labels, false, e);
        free(labels);
    }
    return e->code;
}

static int write_cifar_classes(const struct material *m, h5 *file, err *e)
{
    size_t n = (size_t)m->data->classes;
    uint8_t *cifar = malloc(n);

    if (!cifar)
        return err_set(e, ERR_NOMEM, "no memory for %zu classes", n);
    material_cifar_classes(m, cifar);
    h5_write(file, "cifar_classes", H5_U8, 1, &n, cifar, false, e);
    free(cifar);
    return e->code;
}

/* from, to: the pass's share of the stage. */
static int compute_pass(struct stage_run *run, const struct material *m, const struct pass *pass, h5 *file, double from,
                        double to, err *e)
{
    size_t D = (size_t)m->width, all = m->taken[0] + m->taken[1], done = 0;

    for (int part = 0; part < DATASET_PARTS && !e->code; part++) {
        size_t n = m->taken[part];
        float *features = malloc(n * D * sizeof *features);
        double start = from + (to - from) * (double)done / (double)all,
               end = from + (to - from) * (double)(done + n) / (double)all;

        if (!features)
            return err_set(e, ERR_NOMEM, "no memory for the features of %zu images", n);
        if (!features_compute(run, m, (enum dataset_part)part, pass->part[part], features, start, end, e))
            h5_write(file, pass->features[part], H5_F32, 2, (size_t[]){n, D}, features, false, e);
        free(features);
        done += n;
    }
    return e->code;
}

static int compute(struct stage_run *run, struct material *m, h5 *file, err *e)
{
    double share = m->later ? 0.5 : 1;

    if (h5_write_number(file, "classes", m->data->classes, e) || write_labels(m, file, e) ||
        compute_pass(run, m, &passes[0], file, 0, share, e) || !m->later)
        return e->code;
    material_use_later(m);
    return write_cifar_classes(m, file, e) ? (int)e->code : compute_pass(run, m, &passes[1], file, share, 1, e);
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
