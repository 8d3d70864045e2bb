/* worker/part.c - see part.h. */
#include "worker/part.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/fit.h"

static const double SHARE = 0.05; /* of the time, at most, that goes into writing part files */

static const char *const names[PART_COUNT] = {
#define P(name) #name,
    PARTS(P)
#undef P
};

static char *part_path(const struct stage_job *job, enum part part)
{
    char *path = stage_checkpoint_path(job, &job->key), *out = NULL;

    if (path && asprintf(&out, "%s.%s.part", path, names[part]) < 0)
        out = NULL;
    free(path);
    return out;
}

bool part_due(const struct stage_run *run)
{
    double passed = seconds_now() - run->saved;

    return passed >= run->checkpoint_seconds && (run->checkpoint_seconds <= 0 || passed * SHARE >= run->save_seconds);
}

static int write_arrays(h5 *file, const struct stage_job *job, const struct part_array *arrays, int count, err *e)
{
    char hex[DIGEST_HEX];

    digest_to_hex(&job->key, hex);
    if (h5_write_text(file, "key", hex, e))
        return e->code;
    for (int i = 0; i < count && !e->code; i++)
        h5_write(file, arrays[i].name, arrays[i].type, arrays[i].rank, arrays[i].shape, arrays[i].data, false, e);
    return e->code;
}

int part_save(struct stage_run *run, enum part part, const struct part_array *arrays, int count, err *e)
{
    double started = seconds_now();
    char *path = part_path(run->job, part);
    h5 *file;

    if (!path)
        return err_set(e, ERR_NOMEM, "no memory for a file name");
    if (!h5_create(path, &file, e)) {
        if (write_arrays(file, run->job, arrays, count, e))
            h5_close(file);
        else
            h5_commit(file, NULL, e);
    }
    free(path);
    run->saved = seconds_now();
    run->save_seconds = run->saved - started;
    return e->code;
}

static size_t array_numbers(const struct part_array *a)
{
    return a->shape[0] * (a->rank > 1 ? a->shape[1] : 1);
}

static size_t array_bytes(const struct part_array *a)
{
    static const size_t sizes[] = {[H5_F32] = 4, [H5_F64] = 8, [H5_I32] = 4, [H5_I64] = 8, [H5_U8] = 1};

    return array_numbers(a) * sizes[a->type];
}

static bool is_of(h5 *file, const struct stage_job *job, err *e)
{
    char hex[DIGEST_HEX], *key = NULL;
    bool same;

    digest_to_hex(&job->key, hex);
    same = !h5_read_text(file, "key", &key, e) && !strcmp(key, hex);
    free(key);
    return same;
}

/* Numbers that say where a loop stands are not believed before they are checked. */
static bool within_limit(const struct part_array *a, const void *data)
{
    const double *numbers = data;

    for (size_t i = 0; a->type == H5_F64 && a->limit > 0 && i < array_numbers(a); i++)
        if (!(numbers[i] >= 0 && numbers[i] <= a->limit))
            return false;
    return true;
}

/* Into copies first: a file that breaks off must not leave half a state. */
static bool read_arrays(h5 *file, const struct stage_job *job, const struct part_array *arrays, int count, err *e)
{
    void *copies[PART_ARRAYS_MAX] = {NULL};
    bool whole = is_of(file, job, e) && !h5_verify(file, e);

    for (int i = 0; i < count && whole; i++) {
        copies[i] = malloc(array_bytes(&arrays[i]) + 1);
        whole = copies[i] &&
                !h5_read(file, arrays[i].name, arrays[i].type, arrays[i].rank, arrays[i].shape, copies[i], e) &&
                within_limit(&arrays[i], copies[i]);
    }
    for (int i = 0; i < count; i++) {
        if (whole)
            memcpy(arrays[i].data, copies[i], array_bytes(&arrays[i]));
        free(copies[i]);
    }
    return whole;
}

bool part_load(struct stage_run *run, enum part part, const struct part_array *arrays, int count)
{
    char *path = part_path(run->job, part);
    bool whole = false;
    err e = {0};
    h5 *file;

    if (path && access(path, F_OK) == 0) {
        if (!h5_open(path, &file, &e)) {
            whole = read_arrays(file, run->job, arrays, count, &e);
            h5_close(file);
        }
        if (!whole)
            unlink(path);
    }
    free(path);
    return whole;
}

void part_remove_all(const struct stage_job *job)
{
    for (int part = 0; part < PART_COUNT; part++) {
        char *path = part_path(job, (enum part)part);

        if (path)
            unlink(path);
        free(path);
    }
}

enum { ROWS_ARRAYS = 2 };

static void list_rows(const struct part_rows *r, double *done, struct part_array arrays[ROWS_ARRAYS])
{
    arrays[0] = (struct part_array){"done", H5_F64, 1, {1}, done, (double)r->n};
    arrays[1] = (struct part_array){"rows", H5_F32, 2, {r->n, r->D}, r->rows, 0};
}

void part_rows_load(struct stage_run *run, struct part_rows *r)
{
    struct part_array arrays[ROWS_ARRAYS];
    double done;

    r->done = 0;
    memset(r->rows, 0, r->n * r->D * sizeof *r->rows); /* what is not there yet is written, too */
    list_rows(r, &done, arrays);
    if (r->part != PART_COUNT && part_load(run, r->part, arrays, ROWS_ARRAYS))
        r->done = (size_t)done;
}

static int save_rows(struct stage_run *run, const struct part_rows *r, err *e)
{
    struct part_array arrays[ROWS_ARRAYS];
    double done = (double)r->done;

    list_rows(r, &done, arrays);
    return r->part == PART_COUNT ? 0 : part_save(run, r->part, arrays, ROWS_ARRAYS, e);
}

int part_rows_go_on(struct stage_run *run, const struct part_rows *r, const char *phase, double from, double to, err *e)
{
    double fraction = from + (to - from) * (double)r->done / (double)(r->n ? r->n : 1);
    err stopped = {0};

    stage_progress(run, phase, fraction, &stopped);
    if ((stopped.code || part_due(run)) && save_rows(run, r, e))
        return e->code;
    if (stopped.code)
        *e = stopped;
    return e->code;
}

int part_rows_finish(struct stage_run *run, const struct part_rows *r, err *e)
{
    return part_due(run) ? save_rows(run, r, e) : 0;
}
