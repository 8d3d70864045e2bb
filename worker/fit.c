/* worker/fit.c - see fit.h. */
#include "worker/fit.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/h5.h"

/* What an epoch leaves: the fields of a training row that are measured. */
struct epoch_record {
    double loss, correct, rate, seconds, images;
};
enum { RECORD_NUMBERS = sizeof(struct epoch_record) / sizeof(double), PLACE_NUMBERS = 3 };
static const size_t place_numbers =
    PLACE_NUMBERS; /* epoch, position, steps: an array, so that the digest covers them */

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

static char *part_path(const struct stage_job *job)
{
    char *path = stage_checkpoint_path(job, &job->key), *part;
    size_t n;

    if (!path)
        return NULL;
    n = strlen(path);
    part = malloc(n + 6);
    if (part) {
        memcpy(part, path, n);
        memcpy(part + n, ".part", 6);
    }
    free(path);
    return part;
}

void fit_done(const struct stage_job *job)
{
    char *part = part_path(job);

    if (part)
        unlink(part);
    free(part);
}

static int save(const struct fit *f, const struct state *s, err *e)
{
    const struct parameters *p = f->parameters;
    const double place[PLACE_NUMBERS] = {s->epoch, (double)s->position, p->steps};
    size_t records[2] = {(size_t)f->schedule.epochs, RECORD_NUMBERS};
    char *path = part_path(f->job);
    h5 *file;

    if (!path)
        return err_set(e, ERR_NOMEM, "no memory for a file name");
    if (h5_create(path, &file, e)) {
        free(path);
        return e->code;
    }
    free(path);
    if (h5_write(file, "value", H5_F32, 1, &p->count, p->value, false, e) ||
        h5_write(file, "m", H5_F32, 1, &p->count, p->m, false, e) ||
        h5_write(file, "v", H5_F32, 1, &p->count, p->v, false, e) ||
        h5_write(file, "records", H5_F64, 2, records, s->records, false, e) ||
        h5_write(file, "place", H5_F64, 1, &place_numbers, place, false, e)) {
        h5_close(file);
        return e->code;
    }
    return h5_commit(file, NULL, e);
}

static int load_from(h5 *file, struct fit *f, struct state *s, err *e)
{
    struct parameters *p = f->parameters;
    size_t records[2] = {(size_t)f->schedule.epochs, RECORD_NUMBERS};
    double place[PLACE_NUMBERS], epoch, position, steps;

    if (h5_verify(file, e) || h5_read(file, "value", H5_F32, 1, &p->count, p->value, e) ||
        h5_read(file, "m", H5_F32, 1, &p->count, p->m, e) || h5_read(file, "v", H5_F32, 1, &p->count, p->v, e) ||
        h5_read(file, "records", H5_F64, 2, records, s->records, e) ||
        h5_read(file, "place", H5_F64, 1, &place_numbers, place, e))
        return e->code;
    epoch = place[0];
    position = place[1];
    steps = place[2];
    if (!(epoch >= 0 && epoch <= f->schedule.epochs && position >= 0 && position < (double)f->images && steps >= 0 &&
          steps < INT_MAX))
        return err_set(e, ERR_DAMAGED, "epoch %g, position %g, step %g cannot be", epoch, position, steps);
    p->steps = (int)steps;
    s->epoch = (int)epoch;
    s->position = (size_t)position;
    return 0;
}

/* Continue from the part file if there is one.  A damaged one is dropped: the stage then starts anew, which costs time only. */
static int load(struct fit *f, struct state *s, const float *initial, err *e)
{
    char *path = part_path(f->job);
    h5 *file;

    if (!path)
        return err_set(e, ERR_NOMEM, "no memory for a file name");
    if (access(path, F_OK) == 0) {
        int failed = h5_open(path, &file, e);

        if (!failed) {
            failed = load_from(file, f, s, e);
            h5_close(file);
        }
        if (failed) {
            unlink(path);
            *e = (err){0};
            memcpy(f->parameters->value, initial, f->parameters->count * sizeof(float));
            parameters_reset(f->parameters);
            memset(s->records, 0, (size_t)f->schedule.epochs * sizeof *s->records);
            s->epoch = 0;
            s->position = 0;
        }
    }
    free(path);
    return 0;
}

static void emit_rows(const struct fit *f, const struct state *s)
{
    for (int epoch = 0; epoch < f->schedule.epochs; epoch++) {
        const struct epoch_record *r = &s->records[epoch];
        struct training_row row = {.task = f->job->task,
                                   .epoch = epoch,
                                   .loss = r->loss / r->images,
                                   .accuracy = 100 * r->correct / r->images,
                                   .lr = r->rate,
                                   .seconds = r->seconds,
                                   .images_per_second = r->seconds > 0 ? r->images / r->seconds : NAN};

        strcpy(row.stage, stage_kind_name(f->job->kind));
        strcpy(row.phase, "train");
        f->host->training(f->host->context, &row);
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

    return f->host->go_on(f->host->context, &p);
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
static void announce(struct fit *f, const struct state *s, struct orders *o)
{
    size_t after = s->position + (size_t)batch_at(f, s->position);

    if (f->soon && after < f->images)
        f->soon(f->context, o->now + after, batch_at(f, after), s->epoch);
    else if (f->soon && s->epoch + 1 < f->schedule.epochs) {
        permute(f, s->epoch + 1, o->next);
        f->soon(f->context, o->next, batch_at(f, 0), s->epoch + 1);
    }
}

static int one_step(struct fit *f, struct state *s, const uint32_t *order, err *e)
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

static int run_epochs(struct fit *f, struct state *s, struct orders *o, err *e)
{
    double saved = seconds_now();

    for (; s->epoch < f->schedule.epochs; s->epoch++, s->position = 0) {
        permute(f, s->epoch, o->now);
        s->records[s->epoch].rate = schedule_rate(&f->schedule, f->parameters->group[0].base_rate, s->epoch);
        while (s->position < f->images) {
            if (!may_go_on(f, s)) {
                if (!save(f, s, e))
                    err_set(e, ERR_INTERRUPTED, "stopped in epoch %d", s->epoch);
                return e->code;
            }
            announce(f, s, o);
            if (one_step(f, s, o->now, e))
                return e->code;
        }
        if (seconds_now() - saved > f->checkpoint_seconds) { /* after the last epoch too: more work may follow */
            struct state next = {s->epoch + 1, 0, s->records};

            if (save(f, &next, e))
                return e->code;
            saved = seconds_now();
        }
    }
    return 0;
}

int fit_run(struct fit *f, err *e)
{
    struct state s = {0};
    uint32_t *orders = malloc(2 * f->images * sizeof *orders);
    float *initial = malloc(f->parameters->count * sizeof *initial);

    s.records = calloc((size_t)f->schedule.epochs, sizeof *s.records);
    if (!stage_kind_saves(f->job->kind)) {
        err_set(e, ERR_BUG, "stages of kind %s save themselves when stopped, and stage_kind_saves() does not say so",
                stage_kind_name(f->job->kind));
    } else if (!orders || !initial || !s.records) {
        err_set(e, ERR_NOMEM, "no memory for an order of %zu images", f->images);
    } else {
        memcpy(initial, f->parameters->value, f->parameters->count * sizeof *initial);
        if (!load(f, &s, initial, e) && !run_epochs(f, &s, &(struct orders){orders, orders + f->images}, e))
            emit_rows(f, &s);
    }
    free(orders);
    free(initial);
    free(s.records);
    return e->code;
}
