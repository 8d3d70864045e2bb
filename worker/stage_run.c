/* worker/stage_run.c - see stage_run.h. */
#include "worker/stage_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/part.h"

/* Is the file what its name says, and is its content what was written? */
static int check_input(h5 *file, const struct stage_input *input, err *e)
{
    char hex[DIGEST_HEX], *kind = NULL, *key = NULL;
    err found = {0};
    double task;

    digest_to_hex(&input->key, hex);
    if (!h5_read_text(file, "kind", &kind, e) && !h5_read_text(file, "key", &key, e) &&
        !h5_read_number(file, "task", &task, e)) {
        if (strcmp(kind, stage_kind_name(input->kind)) || task != input->task || strcmp(key, hex))
            err_set(e, ERR_DAMAGED,
                    "%s.h5 is of another stage: %s of task %g with key %s; remove it, and its stage runs again", hex,
                    kind, task, key);
        else if (h5_verify(file, &found))
            err_set(e, found.code, "%s; remove it, and its stage runs again", found.text);
    }
    free(kind);
    free(key);
    return e->code;
}

static int open_checked(const struct stage_job *job, const struct stage_input *input, h5 **out, err *e)
{
    char *path = stage_checkpoint_path(job, &input->key);

    if (!path)
        return err_set(e, ERR_NOMEM, "no memory for a file name");
    if (!h5_open(path, out, e) && check_input(*out, input, e))
        h5_close(*out);
    free(path);
    if (e->code && input->task < 0)
        err_context(e, "checkpoint of %s", stage_kind_name(input->kind));
    else if (e->code)
        err_context(e, "checkpoint of %s, task %d", stage_kind_name(input->kind), input->task);
    return e->code;
}

int stage_open_input(struct stage_run *run, enum stage_kind kind, int task, h5 **out, err *e)
{
    const struct stage_input *input = stage_job_input(run->job, kind, task);

    if (!input)
        return err_set(e, ERR_BUG, "the job does not list %s(%d) among its inputs", stage_kind_name(kind), task);
    return open_checked(run->job, input, out, e);
}

int stage_open_result(const struct stage_job *job, h5 **out, err *e)
{
    struct stage_input own = {job->kind, job->task, job->key};

    return open_checked(job, &own, out, e);
}

/* "key value" of every option that the kind reads, one a line; malloc'd. */
static char *options_text(const struct stage_job *job)
{
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);

    if (!file)
        return NULL;
    for (int id = 0; id < OPTION_COUNT; id++)
        if (option_in_key(job->kind, (enum option_id)id))
            fprintf(file, "%s %s\n", option_info((enum option_id)id)->key,
                    option_format((enum option_id)id, job->config.value[id]));
    return fclose(file) ? (free(text), NULL) : text;
}

int stage_create_checkpoint(struct stage_run *run, h5 **out, err *e)
{
    const struct stage_job *job = run->job;
    char *path = stage_checkpoint_path(job, &job->key), *options = options_text(job), hex[DIGEST_HEX];

    digest_to_hex(&job->key, hex);
    if (!path || !options)
        err_set(e, ERR_NOMEM, "no memory for a checkpoint's name and options");
    else if (!h5_create(path, out, e) &&
             (h5_write_text(*out, "kind", stage_kind_name(job->kind), e) || h5_write_text(*out, "key", hex, e) ||
              h5_write_text(*out, "options", options, e) || h5_write_number(*out, "task", job->task, e)))
        h5_close(*out);
    free(path);
    free(options);
    return e->code;
}

int stage_commit(struct stage_run *run, h5 *file, err *e)
{
    if (h5_commit(file, &run->out->checkpoint, e))
        return e->code;
    part_remove_all(run->job);
    return 0;
}

int stage_progress(struct stage_run *run, const char *phase, double fraction, err *e)
{
    struct progress p = {.phase = phase, .epochs = 1, .fraction = fraction, .loss = NAN};

    return run->host->go_on(run->host->context, &p) ? 0 : err_set(e, ERR_INTERRUPTED, "stopped during %s", phase);
}

double stage_rate(struct stage_run *run, double rate, int batch)
{
    return option_bool(&run->options, OPTION_TRAIN_LR_SCALING) ? rate * batch / 256 : rate;
}

struct schedule stage_schedule(struct stage_run *run, enum option_id kind, int epochs)
{
    const char *name = option_choice(&run->options, kind);

    return (struct schedule){
        .kind = name && !strcmp(name, "step")     ? SCHEDULE_step
                : name && !strcmp(name, "cosine") ? SCHEDULE_cosine
                                                  : SCHEDULE_constant,
        .epochs = epochs,
        .decay_epochs = (int)option_int(&run->options, OPTION_TRAIN_DECAY_EPOCHS),
        .decay_rate = option_real(&run->options, OPTION_TRAIN_DECAY_RATE),
        .min_rate = option_real(&run->options, OPTION_TRAIN_MIN_LR),
        .lag = option_bool(&run->options, OPTION_TRAIN_SCHEDULE_LAG),
    };
}

int stage_sequence(struct stage_run *run, int classes, struct class_sequence *out, err *e)
{
    const char *text = option_text(&run->options, OPTION_DATASET_SEQUENCE);
    int64_t tasks = option_int(&run->options, OPTION_DATASET_TASKS),
            seed = option_int(&run->options, OPTION_SEEDS_ORDER);

    memset(out, 0, sizeof *out);
    if (e->code)
        return e->code;
    return sequence_resolve(text, classes, (int)tasks, (uint64_t)seed, out, e);
}

uint8_t *stage_allowed(const struct class_sequence *s, int first, int last, err *e)
{
    uint8_t *allowed = calloc((size_t)s->classes, 1);

    if (!allowed) {
        err_set(e, ERR_NOMEM, "no memory for a mask of %d classes", s->classes);
        return NULL;
    }
    for (int c = 0; c < s->classes; c++)
        allowed[c] = s->task_of[c] >= first && s->task_of[c] <= last;
    return allowed;
}

int statistics_write(h5 *file, const struct class_statistics *s, int classes, err *e)
{
    size_t D = (size_t)s->width, rows = 0, numbers = 0, at = 0, mean_at = 0, n = (size_t)classes;
    int32_t *centroids = calloc(n, sizeof *centroids);
    float *mean, *spread;

    for (int c = 0; c < classes; c++) {
        rows += (size_t)s[c].centroids;
        numbers += statistics_spread_size(s[c].kind, s[c].width, s[c].centroids);
    }
    mean = malloc(rows * D * sizeof *mean);
    spread = malloc(numbers * sizeof *spread);
    if (!centroids || !mean || !spread) {
        err_set(e, ERR_NOMEM, "no memory for the statistics of %d classes", classes);
    } else {
        for (int c = 0; c < classes; c++) {
            size_t size = statistics_spread_size(s[c].kind, s[c].width, s[c].centroids);

            centroids[c] = s[c].centroids;
            memcpy(mean + mean_at * D, s[c].mean, (size_t)s[c].centroids * D * sizeof *mean);
            memcpy(spread + at, s[c].spread, size * sizeof *spread);
            mean_at += (size_t)s[c].centroids;
            at += size;
        }
        if (!h5_write_number(file, "statistics_kind", s->kind, e) &&
            !h5_write(file, "statistics/centroids", H5_I32, 1, &n, centroids, false, e) &&
            !h5_write(file, "statistics/mean", H5_F32, 2, (size_t[]){rows, D}, mean, false, e))
            h5_write(file, "statistics/spread", H5_F32, 1, &numbers, spread, false, e);
    }
    free(centroids);
    free(mean);
    free(spread);
    return e->code;
}

/* The class's part of the arrays, into memory of its own. */
static int take_statistics(struct class_statistics *s, const float *mean, const float *spread, err *e)
{
    size_t mean_size = (size_t)s->centroids * (size_t)s->width,
           size = statistics_spread_size(s->kind, s->width, s->centroids);

    s->mean = malloc(mean_size * sizeof *mean);
    s->spread = malloc(size * sizeof *spread);
    if (!s->mean || !s->spread)
        return err_set(e, ERR_NOMEM, "no memory for a class's statistics");
    memcpy(s->mean, mean, mean_size * sizeof *mean);
    memcpy(s->spread, spread, size * sizeof *spread);
    return 0;
}

int statistics_read(h5 *file, struct class_statistics *s, int classes, int width, err *e)
{
    size_t n = (size_t)classes, shape[2], numbers, mean_at = 0, at = 0;
    int32_t *centroids = calloc(n, sizeof *centroids);
    void *mean = NULL, *spread = NULL;
    double kind;

    memset(s, 0, n * sizeof *s);
    if (!centroids)
        return err_set(e, ERR_NOMEM, "no memory for the statistics of %d classes", classes);
    if (!h5_read_number(file, "statistics_kind", &kind, e) &&
        !h5_read(file, "statistics/centroids", H5_I32, 1, &n, centroids, e) &&
        !h5_read_alloc(file, "statistics/mean", H5_F32, 2, shape, (size_t)4 << 30, &mean, e) &&
        !h5_read_alloc(file, "statistics/spread", H5_F32, 1, &numbers, (size_t)16 << 30, &spread, e)) {
        for (int c = 0; c < classes && !e->code; c++) {
            size_t size = 0;

            if (kind >= 0 && kind < STATISTICS_KIND_COUNT && shape[1] == (size_t)width && centroids[c] > 0) {
                s[c] = (struct class_statistics){
                    .kind = (enum statistics_kind)kind, .width = width, .centroids = centroids[c]};
                size = statistics_spread_size(s[c].kind, width, centroids[c]);
            }
            if (!size || (size_t)centroids[c] > shape[0] - mean_at || size > numbers - at)
                err_set(e, ERR_DAMAGED, "the statistics of class %d in the checkpoint do not fit their arrays", c);
            else
                take_statistics(&s[c], (float *)mean + mean_at * shape[1], (float *)spread + at, e);
            mean_at += (size_t)s[c].centroids;
            at += size;
        }
    }
    free(centroids);
    free(mean);
    free(spread);
    return e->code;
}

int head_write(h5 *file, struct parameters *p, const struct classifier_shape *s, err *e)
{
    size_t C = (size_t)s->classes, D = (size_t)s->width;

#define X(name, count)                                                                           \
    if (parameters_value(p, name) &&                                                             \
        h5_write(file, name, H5_F32, 1, (size_t[]){count}, parameters_value(p, name), false, e)) \
        return e->code;
    CLASSIFIER_GROUPS(X)
#undef X
    return 0;
}

int head_read(h5 *file, struct parameters *p, const struct classifier_shape *s, err *e)
{
    size_t C = (size_t)s->classes, D = (size_t)s->width;

#define X(name, count)                                                                                                \
    if (parameters_value(p, name) && h5_read(file, name, H5_F32, 1, (size_t[]){count}, parameters_value(p, name), e)) \
        return e->code;
    CLASSIFIER_GROUPS(X)
#undef X
    return 0;
}
