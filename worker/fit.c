/* worker/fit.c - see fit.h. */
#include "worker/fit.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "worker/part.h"

/* What an epoch leaves: the fields of a training row that are measured. */
struct epoch_record {
    double loss, correct, rate, seconds, images;
};
enum { RECORD_NUMBERS = sizeof(struct epoch_record) / sizeof(double), STATE_ARRAYS = 7 };

/* The state between steps. */
struct state {
    int epoch;                    /* being trained */
    size_t position;              /* images of it done */
    struct epoch_record *records; /* (epochs), finished ones and the current one */
};

double seconds_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Where the loop stands, as a part file has it. */
struct place {
    double epoch, position, steps;
};

static void list_state(const struct fit *f, const struct state *s, struct place *place,
                       struct part_array arrays[STATE_ARRAYS])
{
    const struct parameters *p = f->parameters;
    size_t epochs = (size_t)f->schedule.epochs;

    arrays[0] = (struct part_array){"value", H5_F32, 1, {p->count}, p->value, 0};
    arrays[1] = (struct part_array){"m", H5_F32, 1, {p->count}, p->m, 0};
    arrays[2] = (struct part_array){"v", H5_F32, 1, {p->count}, p->v, 0};
    arrays[3] = (struct part_array){"records", H5_F64, 2, {epochs, RECORD_NUMBERS}, s->records, 0};
    arrays[4] = (struct part_array){"epoch", H5_F64, 1, {1}, &place->epoch, (double)epochs};
    arrays[5] = (struct part_array){"position", H5_F64, 1, {1}, &place->position, (double)f->images};
    arrays[6] = (struct part_array){"steps", H5_F64, 1, {1}, &place->steps, INT_MAX};
}

static int save(const struct fit *f, const struct state *s, err *e)
{
    struct place place = {s->epoch, (double)s->position, f->parameters->steps};
    struct part_array arrays[STATE_ARRAYS];

    list_state(f, s, &place, arrays);
    return part_save(f->run, PART_train, arrays, STATE_ARRAYS, e);
}

/* Continue from the part file if there is one. */
static void load(const struct fit *f, struct state *s)
{
    struct part_array arrays[STATE_ARRAYS];
    struct place place;

    list_state(f, s, &place, arrays);
    if (!part_load(f->run, PART_train, arrays, STATE_ARRAYS))
        return;
    s->epoch = (int)place.epoch;
    s->position = (size_t)place.position;
    f->parameters->steps = (int)place.steps;
}

static void emit_rows(const struct fit *f, const struct state *s)
{
    const struct stage_run *run = f->run;

    for (int epoch = 0; epoch < f->schedule.epochs; epoch++) {
        const struct epoch_record *r = &s->records[epoch];
        struct training_row row = {.task = run->job->task,
                                   .epoch = epoch,
                                   .loss = r->loss / r->images,
                                   .accuracy = 100 * r->correct / r->images,
                                   .lr = r->rate,
                                   .seconds = r->seconds,
                                   .images_per_second = r->seconds > 0 ? r->images / r->seconds : NAN};

        strcpy(row.stage, stage_kind_name(run->job->kind));
        strcpy(row.phase, "train");
        run->host->training(run->host->context, &row);
    }
}

static bool may_go_on(const struct fit *f, const struct state *s)
{
    const struct epoch_record *r = &s->records[s->epoch];
    double done = (s->epoch + (double)s->position / (double)f->images) / f->schedule.epochs;
    struct progress p = {.phase = "train",
                         .epoch = s->epoch,
                         .epochs = f->schedule.epochs,
                         .fraction = f->from + (f->to - f->from) * done,
                         .loss = r->images > 0 ? r->loss / r->images : NAN};

    return f->run->host->go_on(f->run->host->context, &p);
}

static int batch_at(const struct fit *f, size_t position)
{
    size_t left = f->images - position;

    return left < (size_t)f->batch ? (int)left : f->batch;
}

static void permute(const struct fit *f, int epoch, uint32_t *order)
{
    rng r = rng_stream(f->order_seed, f->purpose, f->task, (uint32_t)epoch, 0);

    rng_permutation(&r, order, f->images);
}

/* The orders of this epoch and of the next. */
struct orders {
    uint32_t *now, *next;
};

/* Say which batch comes after the one at s. */
static void announce(const struct fit *f, const struct state *s, const struct orders *o)
{
    size_t after = s->position + (size_t)batch_at(f, s->position);

    if (f->soon && after < f->images)
        f->soon(f->context, o->now + after, batch_at(f, after), s->epoch);
    else if (f->soon && s->epoch + 1 < f->schedule.epochs) {
        permute(f, s->epoch + 1, o->next);
        f->soon(f->context, o->next, batch_at(f, 0), s->epoch + 1);
    }
}

static int one_step(const struct fit *f, struct state *s, const uint32_t *order, err *e)
{
    struct epoch_record *r = &s->records[s->epoch];
    int n = batch_at(f, s->position), correct = 0;
    double loss = 0, norm, started = seconds_now();

    if (f->step(f->context, order + s->position, n, s->epoch, &loss, &correct, e))
        return e->code;
    norm = isfinite(loss) ? parameters_adam(f->parameters, &f->schedule, s->epoch, f->clip) : NAN;
    if (!isfinite(norm))
        return err_set(e, ERR_DIVERGED,
                       "epoch %d, image %zu: the %s is not finite; try a smaller learning rate or gradient clipping",
                       s->epoch, s->position, isfinite(loss) ? "gradient" : "loss");
    r->loss += loss * n;
    r->correct += correct;
    r->images += n;
    r->seconds += seconds_now() - started;
    s->position += (size_t)n;
    return 0;
}

/* The rest of the epoch. */
static int run_epoch(const struct fit *f, struct state *s, const struct orders *o, err *e)
{
    while (s->position < f->images) {
        if (!may_go_on(f, s))
            return save(f, s, e) ? (int)e->code : err_set(e, ERR_INTERRUPTED, "stopped in epoch %d", s->epoch);
        if (part_due(f->run) && save(f, s, e))
            return e->code;
        announce(f, s, o);
        if (one_step(f, s, o->now, e))
            return e->code;
    }
    return 0;
}

static int run_epochs(const struct fit *f, struct state *s, const struct orders *o, err *e)
{
    while (s->epoch < f->schedule.epochs) {
        permute(f, s->epoch, o->now);
        s->records[s->epoch].rate = schedule_rate(&f->schedule, f->parameters->group[0].base_rate, s->epoch);
        if (run_epoch(f, s, o, e))
            return e->code;
        s->epoch++;
        s->position = 0;
    }
    return part_due(f->run) ? save(f, s, e) : 0; /* more work may follow */
}

int fit_run(const struct fit *f, err *e)
{
    uint32_t *orders = malloc(2 * f->images * sizeof *orders);
    struct state s = {.records = calloc((size_t)f->schedule.epochs, sizeof *s.records)};

    if (!orders || !s.records) {
        err_set(e, ERR_NOMEM, "no memory for an order of %zu images", f->images);
    } else {
        load(f, &s);
        if (!run_epochs(f, &s, &(struct orders){orders, orders + f->images}, e))
            emit_rows(f, &s);
    }
    free(orders);
    free(s.records);
    return e->code;
}
