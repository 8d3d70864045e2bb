/* worker/stage_wtp.c - within-task prediction: the prompt, gate and head rows of one more task, and the statistics of its
 * classes under that prompt (methods.md 1.4, 1.5).
 *
 * The checkpoint holds what is new: prompt (layers, 2, L, D) after the fold, scalars, the head's rows of the task's classes, and
 * their statistics.  Earlier prompts stay in their own checkpoints and are never written again. */
#include <stdlib.h>
#include <string.h>

#include "worker/fit.h"
#include "worker/prompt_trainer.h"

struct wtp_stage {
    struct stage_run *run;
    struct prompt_trainer trainer;
    int epochs, batch;
    double clip;
    struct schedule schedule;
    bool transfer;
    double a0, a1, rate, gate_rate, head_rate;
    uint64_t init_seed;
    float *last_prompt, *earlier_mean, *class_means; /* of the earlier tasks */
    float *scalars;                                  /* of the task before */
    struct class_statistics *statistics;             /* of the task's classes */
    int classes;                                     /* of the task */
};

static int read_options(struct wtp_stage *s, err *e)
{
    struct option_reader *r = &s->run->options;
    struct prompt_trainer *t = &s->trainer;

    s->epochs = (int)option_int(r, OPTION_TRAIN_EPOCHS);
    s->batch = (int)option_int(r, OPTION_TRAIN_BATCH);
    s->rate = stage_rate(s->run, option_real(r, OPTION_TRAIN_LR), s->batch);
    s->gate_rate = s->rate * option_real(r, OPTION_GATE_LR_FACTOR);
    s->head_rate = s->rate * option_real(r, OPTION_TRAIN_HEAD_LR_FACTOR);
    s->clip = option_real(r, OPTION_TRAIN_CLIP);
    s->schedule = stage_schedule(s->run, OPTION_TRAIN_SCHEDULE, s->epochs);
    s->transfer = option_bool(r, OPTION_PROMPT_TRANSFER);
    s->a0 = option_real(r, OPTION_GATE_A0);
    s->a1 = option_real(r, OPTION_GATE_A1);
    s->init_seed = (uint64_t)option_int(r, OPTION_SEEDS_INIT);
    t->run = s->run;
    t->data_seed = (uint64_t)option_int(r, OPTION_SEEDS_DATA);
    t->augment = option_bool(r, OPTION_DATASET_AUGMENT);
    t->augment_purpose = RNG_WTP_AUGMENT;
    t->momentum = option_real(r, OPTION_PROMPT_MOMENTUM);
    t->contrastive_weight = option_real(r, OPTION_TRAIN_CONTRASTIVE);
    t->temperature = option_real(r, OPTION_TRAIN_TEMPERATURE);
    return e->code;
}

/* What is needed of one earlier task: its prompt into the mean, its class means behind those already there. */
static int read_earlier(struct wtp_stage *s, int task, int *means, size_t prompt_size, size_t scalars_size, err *e)
{
    size_t D = (size_t)s->trainer.material.width, shape[2];
    float *more;
    void *mean = NULL;
    h5 *file;

    if (stage_open_input(s->run, STAGE_WTP, task, &file, e))
        return e->code;
    if (!h5_read(file, "prompt", H5_F32, 1, &prompt_size, s->last_prompt, e) &&
        !h5_read(file, "scalars", H5_F32, 1, &scalars_size, s->scalars, e) &&
        !h5_read_alloc(file, "statistics/mean", H5_F32, 2, shape, (size_t)4 << 30, &mean, e)) {
        more = shape[1] == D ? realloc(s->class_means, ((size_t)*means + shape[0]) * D * sizeof *more) : NULL;
        if (!more) {
            err_set(e, shape[1] == D ? ERR_NOMEM : ERR_DAMAGED, "class means of task %d, width %zu", task, shape[1]);
        } else {
            s->class_means = more;
            memcpy(more + (size_t)*means * D, mean, shape[0] * D * sizeof *more);
            *means += (int)shape[0];
        }
    }
    free(mean);
    h5_close(file);
    for (size_t i = 0; !e->code && i < prompt_size; i++)
        s->earlier_mean[i] += s->last_prompt[i];
    return e->code;
}

/* Read all earlier tasks.  The prefix's shape is needed before the trainer exists: it comes from a prompting of its own. */
static int read_history(struct wtp_stage *s, err *e)
{
    int task = s->run->job->task, means = 0;
    struct prompting shape;

    if (prompting_open(&shape, s->run, &s->trainer.material.backbone->shape, 1, e))
        return e->code;
    s->last_prompt = calloc(2 * shape.prompt_size + shape.scalars_size, sizeof *s->last_prompt);
    if (!s->last_prompt)
        err_set(e, ERR_NOMEM, "no memory for prompts");
    s->earlier_mean = s->last_prompt + shape.prompt_size;
    s->scalars = s->earlier_mean + shape.prompt_size;
    for (int before = 0; before < task && !e->code; before++)
        read_earlier(s, before, &means, shape.prompt_size, shape.scalars_size, e);
    for (size_t i = 0; task > 0 && !e->code && i < shape.prompt_size; i++)
        s->earlier_mean[i] /= (float)task;
    s->trainer.earlier_mean = task > 0 ? s->earlier_mean : NULL;
    s->trainer.class_means = s->class_means;
    s->trainer.class_means_count = means;
    prompting_close(&shape);
    return e->code;
}

/* Does the gate learn in this task? */
static bool gate_learns(const char *gate_train, int task)
{
    return !strcmp(gate_train, "every_task") || !strcmp(gate_train, "per_task") ||
           (!strcmp(gate_train, "first_task") && task == 0);
}

static int initial_values(struct wtp_stage *s, err *e)
{
    struct prompt_trainer *t = &s->trainer;
    int task = s->run->job->task;
    float *prompt = parameters_value(&t->parameters, "prompt"), *scalars = parameters_value(&t->parameters, "scalars");
    h5 *file;

    if (task > 0 && s->transfer)
        memcpy(prompt, s->last_prompt, t->prompting.prompt_size * sizeof *prompt);
    else
        prompting_init_prompt(&t->prompting, s->init_seed, task, prompt);
    if (task > 0 && strcmp(t->prompting.gate_train, "per_task"))
        memcpy(scalars, s->scalars, t->prompting.scalars_size * sizeof *scalars);
    else
        prompting_init_scalars(&t->prompting, s->a0, s->a1, scalars);
    classifier_init(&t->parameters, &t->head_shape, s->init_seed);
    if (task == 0 || !t->head_shape.fc_norm)
        return 0;
    if (stage_open_input(s->run, STAGE_TAP, task - 1, &file, e)) /* fc_norm goes on from where alignment left it */
        return e->code;
    head_read(file, &t->parameters, &t->head_shape, e);
    h5_close(file);
    return e->code;
}

/* P <- (1 - m) P + m mean: inference then needs no mixing (methods.md 1.4). */
static void fold(struct prompt_trainer *t)
{
    float *prompt = parameters_value(&t->parameters, "prompt"), m = (float)t->momentum;

    if (t->momentum > 0 && t->earlier_mean)
        for (size_t i = 0; i < t->prompting.prompt_size; i++)
            prompt[i] = (1 - m) * prompt[i] + m * t->earlier_mean[i];
}

/* The task's images class by class, as the official code measures them; those of a class in an order of their own, which matters
 * where a sample's prompt depends on its place in the batch.  first (classes + 1): where each class begins. */
static int list_by_class(const struct wtp_stage *s, size_t *positions, size_t *first, err *e)
{
    const struct prompt_trainer *t = &s->trainer;
    int task = s->run->job->task;
    const int *ids = t->sequence.ids + t->sequence.first[task];
    uint32_t *order = malloc((t->count + 1) * sizeof *order);
    size_t *own = malloc((t->count + 1) * sizeof *own), at = 0;

    if (!order || !own)
        err_set(e, ERR_NOMEM, "no memory for an order of %zu images", t->count);
    for (int c = 0; c < s->classes && !e->code; c++) {
        rng r = rng_stream(t->data_seed, RNG_STATISTICS_ORDER, (uint32_t)task, 0, (uint32_t)ids[c]);
        size_t n = 0;

        for (size_t i = 0; i < t->count; i++)
            if (material_label(&t->material, DATASET_TRAIN, t->positions[i]) == ids[c])
                own[n++] = t->positions[i];
        rng_permutation(&r, order, n);
        first[c] = at;
        for (size_t i = 0; i < n; i++)
            positions[at++] = own[order[i]];
        first[c + 1] = at;
    }
    free(order);
    free(own);
    return e->code;
}

static int measure_classes(struct wtp_stage *s, const size_t *positions, const size_t *first, struct part_rows *rows,
                           err *e)
{
    struct prompt_trainer *t = &s->trainer;
    const int *ids = t->sequence.ids + t->sequence.first[s->run->job->task];
    enum statistics_kind kind = statistics_kind_by_name(option_choice(&s->run->options, OPTION_STATISTICS_KIND));
    int centroids = (int)option_int(&s->run->options, OPTION_STATISTICS_CENTROIDS);

    part_rows_load(s->run, rows);
    for (int c = 0; c < s->classes; c++) {
        const float *own = rows->rows + first[c] * rows->D;
        size_t n = first[c + 1] - first[c];

        if (prompt_trainer_features(t, DATASET_TRAIN, positions, first[c + 1], s->batch, rows, e) ||
            part_rows_go_on(s->run, rows, "statistics", 0.9, 1, e))
            return e->code;
        if (statistics_measure(kind, own, n, (int)rows->D, centroids, t->data_seed, (uint32_t)ids[c], &s->statistics[c],
                               e))
            return err_context(e, "after epoch %d, the features of class %d under the new prompt%s", s->epochs - 1,
                               ids[c],
                               e->code == ERR_DIVERGED ? " (try a smaller learning rate or gradient clipping)" : "");
    }
    return 0;
}

static int measure(struct wtp_stage *s, err *e)
{
    struct prompt_trainer *t = &s->trainer;
    size_t D = (size_t)t->material.width, *positions = malloc((t->count + 1) * sizeof *positions),
           *first = calloc((size_t)s->classes + 1, sizeof *first);
    struct part_rows rows = {PART_train_rows, malloc(t->count * D * sizeof(float)), t->count, D, 0};

    s->statistics = calloc((size_t)s->classes, sizeof *s->statistics);
    if (!positions || !first || !rows.rows || !s->statistics)
        err_set(e, ERR_NOMEM, "no memory for the features of %zu images", t->count);
    else if (!list_by_class(s, positions, first, e))
        measure_classes(s, positions, first, &rows, e);
    free(positions);
    free(first);
    free(rows.rows);
    return e->code;
}

static int write_checkpoint(struct wtp_stage *s, h5 *file, err *e)
{
    struct prompt_trainer *t = &s->trainer;
    size_t D = (size_t)t->material.width, n = (size_t)s->classes;
    const int *ids = t->sequence.ids + t->sequence.first[s->run->job->task];
    const float *weight = parameters_value(&t->parameters, "head.weight"),
                *bias = parameters_value(&t->parameters, "head.bias");
    float *rows = malloc(n * (D + 1) * sizeof *rows);

    if (!rows)
        return err_set(e, ERR_NOMEM, "no memory for the head's rows");
    for (size_t c = 0; c < n; c++) {
        memcpy(rows + c * D, weight + (size_t)ids[c] * D, D * sizeof *rows);
        rows[n * D + c] = bias[ids[c]];
    }
    if (!h5_write(file, "prompt", H5_F32, 1, &t->prompting.prompt_size, parameters_value(&t->parameters, "prompt"),
                  false, e) &&
        !h5_write(file, "scalars", H5_F32, 1, &t->prompting.scalars_size, parameters_value(&t->parameters, "scalars"),
                  false, e) &&
        !h5_write(file, "rows.weight", H5_F32, 2, (size_t[]){n, D}, rows, false, e) &&
        !h5_write(file, "rows.bias", H5_F32, 1, &n, rows + n * D, false, e) && t->head_shape.fc_norm &&
        !h5_write(file, "fc_norm.weight", H5_F32, 1, &D, parameters_value(&t->parameters, "fc_norm.weight"), false, e))
        h5_write(file, "fc_norm.bias", H5_F32, 1, &D, parameters_value(&t->parameters, "fc_norm.bias"), false, e);
    free(rows);
    return e->code ? (int)e->code : statistics_write(file, s->statistics, s->classes, e);
}

static int work(struct wtp_stage *s, err *e)
{
    struct prompt_trainer *t = &s->trainer;
    int task = s->run->job->task;
    const char *gate_train = option_choice(&s->run->options, OPTION_GATE_TRAIN);
    struct fit f = {.parameters = &t->parameters,
                    .schedule = s->schedule,
                    .clip = s->clip,
                    .batch = s->batch,
                    .order_seed = t->data_seed,
                    .purpose = RNG_WTP_ORDER,
                    .task = (uint32_t)task,
                    .step = prompt_trainer_step,
                    .soon = prompt_trainer_soon,
                    .context = t,
                    .run = s->run,
                    .from = 0,
                    .to = 0.9};
    h5 *file;

    if (material_open(&s->run->options, &t->material, e) ||
        stage_sequence(s->run, t->material.data->classes, &t->sequence, e))
        return e->code;
    material_order(&t->material, &t->sequence);
    if (material_of_task(&t->material, DATASET_TRAIN, &t->sequence, task, &t->positions, &t->count, e) ||
        read_history(s, e) ||
        prompt_trainer_create(t, s->batch, s->rate, gate_learns(gate_train, task) ? s->gate_rate : 0, s->head_rate,
                              e) ||
        initial_values(s, e))
        return e->code;
    t->allowed = stage_allowed(&t->sequence, task, task, e);
    s->classes = t->sequence.first[task + 1] - t->sequence.first[task];
    f.images = t->count;
    if (!t->allowed || fit_run(&f, e))
        return e->code;
    fold(t);
    s->run->out->trainable_parameters =
        (int64_t)t->prompting.prompt_size + (int64_t)s->classes * (t->material.width + 1) +
        (parameters_group(&t->parameters, "scalars")->base_rate > 0 ? (int64_t)t->prompting.scalars_size : 0);
    if (measure(s, e) || stage_create_checkpoint(s->run, &file, e))
        return e->code;
    if (write_checkpoint(s, file, e)) {
        h5_close(file);
        return e->code;
    }
    return stage_commit(s->run, file, e);
}

int stage_wtp(struct stage_run *run, err *e)
{
    struct wtp_stage s = {.run = run};

    if (!read_options(&s, e))
        work(&s, e);
    for (int c = 0; s.statistics && c < s.classes; c++)
        statistics_free(&s.statistics[c]);
    free(s.statistics);
    free(s.last_prompt);
    free(s.class_means);
    prompt_trainer_free(&s.trainer);
    return e->code;
}
