/* worker/align.c - see align.h. */
#include "worker/align.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "worker/fit.h"
#include "worker/part.h"

/* What an epoch leaves: the fields of a training row that are measured. */
struct epoch_record {
    double loss, correct, used, seconds;
};
enum { RECORD_NUMBERS = sizeof(struct epoch_record) / sizeof(double), STATE_ARRAYS = 5 };

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
        stage_alive(a->run);
    }
    rng_permutation(&shuffle, pool->order, (size_t)pool->rows);
    return 0;
}

/* Row n of the epoch's order into the minibatch. */
static void gather(const struct align *a, struct pool *pool, int start, int n)
{
    size_t D = (size_t)a->width;

    for (int j = 0; j < n; j++) {
        size_t from = pool->order[start + j];

        memcpy(pool->batch + (size_t)j * D, pool->drawn + from * D, D * sizeof *pool->batch);
        pool->batch_labels[j] = pool->labels[from];
    }
}

static int run_epoch(const struct align *a, int epoch, struct pool *pool, struct epoch_record *r, err *e)
{
    double started = seconds_now();

    if (draw_epoch(a, epoch, pool, e))
        return e->code;
    for (int i = 0; i < a->minibatches; i++) {
        int start = i * a->samples, n = pool->rows - start < a->samples ? pool->rows - start : a->samples, correct = 0;
        double loss = 0;

        if (n <= 0)
            break;
        gather(a, pool, start, n);
        if (a->step(a->context, pool->batch, pool->batch_labels, n, &loss, &correct, e))
            return e->code;
        if (!isfinite(loss))
            return err_set(e, ERR_DIVERGED,
                           "alignment epoch %d, step %d: the loss is not finite; try a smaller learning rate", epoch,
                           i);
        parameters_sgd(a->parameters, alignment_factor(epoch, a->epochs));
        stage_alive(a->run);
        r->loss += loss * n;
        r->correct += correct;
        r->used += n;
    }
    r->seconds = seconds_now() - started;
    return 0;
}

static void emit_rows(const struct align *a, const struct epoch_record *records)
{
    const struct stage_run *run = a->run;

    for (int epoch = 0; epoch < a->epochs; epoch++) {
        const struct epoch_record *r = &records[epoch];
        struct training_row row = {.task = run->job->task,
                                   .epoch = epoch,
                                   .loss = r->loss / r->used,
                                   .accuracy = 100 * r->correct / r->used,
                                   .lr = alignment_factor(epoch, a->epochs) * a->parameters->group[0].base_rate,
                                   .seconds = r->seconds,
                                   .images_per_second = r->seconds > 0 ? r->used / r->seconds : NAN};

        strcpy(row.stage, stage_kind_name(run->job->kind));
        strcpy(row.phase, "align");
        run->host->training(run->host->context, &row);
    }
}

/* Where the loop stands, as a part file has it. */
struct place {
    double epoch, steps;
};

static void list_state(const struct align *a, struct epoch_record *records, struct place *place,
                       struct part_array arrays[STATE_ARRAYS])
{
    const struct parameters *p = a->parameters;
    size_t epochs = (size_t)a->epochs;

    arrays[0] = (struct part_array){"value", H5_F32, 1, {p->count}, p->value, 0};
    arrays[1] = (struct part_array){"momentum", H5_F32, 1, {p->count}, p->m, 0};
    arrays[2] = (struct part_array){"records", H5_F64, 2, {epochs, RECORD_NUMBERS}, records, 0};
    arrays[3] = (struct part_array){"epoch", H5_F64, 1, {1}, &place->epoch, (double)epochs};
    arrays[4] = (struct part_array){"steps", H5_F64, 1, {1}, &place->steps, INT_MAX};
}

static int save(const struct align *a, int epoch, struct epoch_record *records, err *e)
{
    struct place place = {epoch, a->parameters->steps};
    struct part_array arrays[STATE_ARRAYS];

    list_state(a, records, &place, arrays);
    return part_save(a->run, PART_align, arrays, STATE_ARRAYS, e);
}

/* The epoch to begin with: that of the part file if there is one. */
static int load(const struct align *a, struct epoch_record *records)
{
    struct part_array arrays[STATE_ARRAYS];
    struct place place;

    list_state(a, records, &place, arrays);
    if (!part_load(a->run, PART_align, arrays, STATE_ARRAYS))
        return 0;
    a->parameters->steps = (int)place.steps;
    return (int)place.epoch;
}

static int run_epochs(const struct align *a, struct pool *pool, struct epoch_record *records, err *e)
{
    for (int epoch = load(a, records); epoch < a->epochs; epoch++) {
        const struct epoch_record *last = epoch ? &records[epoch - 1] : NULL;
        struct progress p = {.phase = "align",
                             .epoch = epoch,
                             .epochs = a->epochs,
                             .loss = last ? last->loss / last->used : NAN,
                             .fraction = a->from + (a->to - a->from) * epoch / a->epochs};
        bool stop = !a->run->host->go_on(a->run->host->context, &p);

        if ((stop || part_due(a->run)) && save(a, epoch, records, e))
            return e->code;
        if (stop)
            return err_set(e, ERR_INTERRUPTED, "stopped in alignment epoch %d", epoch);
        if (run_epoch(a, epoch, pool, &records[epoch], e))
            return e->code;
    }
    return part_due(a->run) ? save(a, a->epochs, records, e) : 0; /* more work may follow */
}

/* The last step may have led anywhere. */
static int check_finite(const struct align *a, err *e)
{
    for (size_t i = 0; i < a->parameters->count; i++)
        if (!isfinite(a->parameters->value[i]))
            return err_set(e, ERR_DIVERGED,
                           "alignment epoch %d, its last step: a weight is not finite; try a smaller learning rate",
                           a->epochs - 1);
    return 0;
}

int align_run(const struct align *a, err *e)
{
    size_t rows = (size_t)a->classes_seen * (size_t)a->samples, D = (size_t)a->width, samples = (size_t)a->samples;
    struct epoch_record *records = calloc((size_t)a->epochs, sizeof *records);
    struct pool pool = {.drawn = malloc((rows + samples) * D * sizeof(float)),
                        .labels = malloc((rows + samples) * sizeof(int32_t)),
                        .order = malloc(rows * sizeof(uint32_t))};

    if (rows > INT_MAX) {
        err_set(e, ERR_CONFIG, "%d drawn features for each of %d classes are too many; ask for fewer", a->samples,
                a->classes_seen);
    } else if (!pool.drawn || !pool.labels || !pool.order || !records) {
        err_set(e, ERR_NOMEM, "no memory for %zu drawn features", rows);
    } else {
        pool.batch = pool.drawn + rows * D;
        pool.batch_labels = pool.labels + rows;
        parameters_reset(a->parameters);
        if (!run_epochs(a, &pool, records, e) && !check_finite(a, e))
            emit_rows(a, records);
    }
    free(pool.drawn);
    free(pool.labels);
    free(pool.order);
    free(records);
    return e->code;
}
