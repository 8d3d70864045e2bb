/* worker/align.c - see align.h. */
#include "worker/align.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "worker/fit.h"

/* The drawn features of an epoch, and the order in which they are used. */
struct pool {
    float *drawn, *batch; /* (classes_seen * samples, D); (samples, D) */
    int32_t *labels, *batch_labels;
    uint32_t *order;
    int rows;
};

static int draw_epoch(const struct align *a, int epoch, struct pool *pool, err *e)
{
    rng shuffle = rng_stream(a->seed, a->order, a->task, (uint32_t)epoch, 0);

    pool->rows = 0;
    for (int c = 0; c < a->classes_seen; c++) {
        rng r = rng_stream(a->seed, a->draw, a->task, (uint32_t)epoch, (uint32_t)a->class_ids[c]);
        int drawn;

        if (statistics_draw(&a->statistics[c], &r, a->samples, pool->drawn + (size_t)pool->rows * (size_t)a->width,
                            &drawn, e))
            return err_context(e, "class %d", a->class_ids[c]);
        if (!drawn)
            return err_set(e, ERR_CONFIG, "%d drawn features for each class are too few for its %d centroids",
                           a->samples, a->statistics[c].centroids);
        for (int i = 0; i < drawn; i++)
            pool->labels[pool->rows + i] = a->class_ids[c];
        pool->rows += drawn;
    }
    rng_permutation(&shuffle, pool->order, (size_t)pool->rows);
    return 0;
}

static int run_epoch(const struct align *a, int epoch, struct pool *pool, struct training_row *row, err *e)
{
    double started = seconds_now(), loss_sum = 0, used = 0, correct_sum = 0;

    if (draw_epoch(a, epoch, pool, e))
        return e->code;
    for (int i = 0; i < a->minibatches; i++) {
        int start = i * a->samples, n = pool->rows - start < a->samples ? pool->rows - start : a->samples, correct = 0;
        double loss = 0;

        if (n <= 0)
            break;
        for (int j = 0; j < n; j++) {
            size_t from = pool->order[start + j];

            memcpy(pool->batch + (size_t)j * (size_t)a->width, pool->drawn + from * (size_t)a->width,
                   (size_t)a->width * sizeof(float));
            pool->batch_labels[j] = pool->labels[from];
        }
        if (a->step(a->context, pool->batch, pool->batch_labels, n, &loss, &correct, e))
            return e->code;
        if (!isfinite(loss))
            return err_set(e, ERR_DIVERGED,
                           "alignment epoch %d, step %d: the loss is not finite; try a smaller learning rate", epoch,
                           i);
        parameters_sgd(a->parameters, alignment_factor(epoch, a->epochs));
        loss_sum += loss * n;
        correct_sum += correct;
        used += n;
    }
    row->epoch = epoch;
    row->loss = loss_sum / used;
    row->accuracy = 100 * correct_sum / used;
    row->lr = alignment_factor(epoch, a->epochs) * a->parameters->group[0].base_rate;
    row->seconds = seconds_now() - started;
    row->images_per_second = row->seconds > 0 ? used / row->seconds : NAN;
    return 0;
}

/* The last step may have led anywhere. */
static int check_finite(const struct align *a, err *e)
{
    for (size_t i = 0; i < a->parameters->count; i++)
        if (!isfinite(a->parameters->value[i]))
            return err_set(e, ERR_DIVERGED, "alignment: a weight is not finite; try a smaller learning rate");
    return 0;
}

int align_run(const struct align *a, err *e)
{
    size_t rows = (size_t)a->classes_seen * (size_t)a->samples, D = (size_t)a->width, samples = (size_t)a->samples;
    struct training_row row = {.task = a->job->task};
    struct pool pool = {.drawn = malloc((rows + samples) * D * sizeof(float)),
                        .labels = malloc((rows + samples) * sizeof(int32_t)),
                        .order = malloc(rows * sizeof(uint32_t))};

    if (!pool.drawn || !pool.labels || !pool.order) {
        err_set(e, ERR_NOMEM, "no memory for %zu drawn features", rows);
    } else {
        pool.batch = pool.drawn + rows * D;
        pool.batch_labels = pool.labels + rows;
        parameters_reset(a->parameters);
        strcpy(row.stage, stage_kind_name(a->job->kind));
        strcpy(row.phase, "align");
        for (int epoch = 0; epoch < a->epochs && !e->code; epoch++) {
            struct progress p = {.phase = "align",
                                 .epoch = epoch,
                                 .epochs = a->epochs,
                                 .loss = epoch ? row.loss : NAN,
                                 .fraction = a->from + (a->to - a->from) * epoch / a->epochs};

            if (!a->host->go_on(a->host->context, &p))
                err_set(e, ERR_INTERRUPTED, "stopped in alignment epoch %d", epoch);
            else if (!run_epoch(a, epoch, &pool, &row, e))
                a->host->training(a->host->context, &row);
        }
    }
    if (!e->code)
        check_finite(a, e);
    free(pool.drawn);
    free(pool.labels);
    free(pool.order);
    return e->code;
}
