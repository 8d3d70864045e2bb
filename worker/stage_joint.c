/* worker/stage_joint.c - the upper bound: one prompt, gate and head trained on the images of all tasks at once. */
#include <stdlib.h>
#include <string.h>

#include "worker/evaluate.h"
#include "worker/fit.h"
#include "worker/prompt_trainer.h"

/* Evaluate on the test images of every task. */
static int evaluate_all(struct prompt_trainer *t, int batch, err *e)
{
    int tasks = t->sequence.tasks;
    size_t D = (size_t)t->material.width, all = t->material.taken[DATASET_TEST], n = 0;
    size_t *positions = malloc(all * sizeof *positions);
    float *features = malloc(all * D * sizeof *features);
    int32_t *labels = malloc(all * sizeof *labels);
    struct test_features test = {.tasks = tasks,
                                 .width = (int)D,
                                 .first = calloc((size_t)tasks + 1, sizeof *test.first),
                                 .features = features,
                                 .labels = labels};

    if (!positions || !features || !labels || !test.first)
        err_set(e, ERR_NOMEM, "no memory for %zu test features", all);
    for (int k = 0; k < tasks && !e->code; k++) {
        size_t *some, count;

        if (material_of_task(&t->material, DATASET_TEST, &t->sequence, k, &some, &count, e))
            break;
        for (size_t i = 0; i < count; i++, n++) {
            positions[n] = some[i];
            labels[n] = material_label(&t->material, DATASET_TEST, some[i]);
        }
        test.first[k + 1] = n;
        free(some);
    }
    if (!e->code) {
        struct part_rows rows = {PART_test_rows, features, n, D, 0};

        part_rows_load(t->run, &rows);
        prompt_trainer_features(t, DATASET_TEST, positions, n, batch, &rows, e);
    }
    if (!e->code)
        evaluate(t->run, &test, &t->parameters, &t->head_shape, NULL, tasks - 1, "after", e);
    free(positions);
    free(features);
    free(labels);
    free(test.first);
    return e->code;
}

static int write_checkpoint(struct prompt_trainer *t, err *e)
{
    h5 *file;

    if (stage_create_checkpoint(t->run, &file, e))
        return e->code;
    if (h5_write(file, "prompt", H5_F32, 1, &t->prompting.prompt_size, parameters_value(&t->parameters, "prompt"),
                 false, e) ||
        h5_write(file, "scalars", H5_F32, 1, &t->prompting.scalars_size, parameters_value(&t->parameters, "scalars"),
                 false, e) ||
        head_write(file, &t->parameters, &t->head_shape, e)) {
        h5_close(file);
        return e->code;
    }
    return stage_commit(t->run, file, e);
}

static int work(struct stage_run *run, struct prompt_trainer *t, err *e)
{
    struct option_reader *r = &run->options;
    int batch = (int)option_int(r, OPTION_TRAIN_BATCH), epochs = (int)option_int(r, OPTION_TRAIN_EPOCHS);
    double rate = stage_rate(run, option_real(r, OPTION_TRAIN_LR), batch),
           factor = option_real(r, OPTION_TRAIN_HEAD_LR_FACTOR), gate_factor = option_real(r, OPTION_GATE_LR_FACTOR);
    double a0 = option_real(r, OPTION_GATE_A0), a1 = option_real(r, OPTION_GATE_A1);
    uint64_t init_seed = (uint64_t)option_int(r, OPTION_SEEDS_INIT);
    const char *gate_train = option_choice(r, OPTION_GATE_TRAIN);
    struct fit f = {.parameters = &t->parameters,
                    .schedule = stage_schedule(run, OPTION_TRAIN_SCHEDULE, epochs),
                    .clip = option_real(r, OPTION_TRAIN_CLIP),
                    .batch = batch,
                    .purpose = RNG_JOINT_ORDER,
                    .step = prompt_trainer_step,
                    .soon = prompt_trainer_soon,
                    .context = t,
                    .run = run,
                    .from = 0,
                    .to = 0.9};

    t->run = run;
    t->augment = option_bool(r, OPTION_DATASET_AUGMENT);
    t->augment_purpose = RNG_JOINT_AUGMENT;
    t->data_seed = f.order_seed = (uint64_t)option_int(r, OPTION_SEEDS_DATA);
    if (e->code || material_open(r, &t->material, e) || stage_sequence(run, t->material.data->classes, &t->sequence, e))
        return e->code;
    material_order(&t->material, &t->sequence);
    t->count = f.images = t->material.taken[DATASET_TRAIN];
    t->positions = malloc(t->count * sizeof *t->positions);
    if (!t->positions)
        return err_set(e, ERR_NOMEM, "no memory for a list of images");
    for (size_t i = 0; i < t->count; i++)
        t->positions[i] = i;
    if (prompt_trainer_create(t, batch, rate, strcmp(gate_train, "never") ? rate * gate_factor : 0, rate * factor, e))
        return e->code;
    prompting_init_prompt(&t->prompting, init_seed, 0, parameters_value(&t->parameters, "prompt"));
    prompting_init_scalars(&t->prompting, a0, a1, parameters_value(&t->parameters, "scalars"));
    classifier_init(&t->parameters, &t->head_shape, init_seed);
    for (int i = 0; i < t->parameters.groups; i++)
        if (t->parameters.group[i].base_rate > 0)
            run->out->trainable_parameters += (int64_t)t->parameters.group[i].count;
    if (fit_run(&f, e) || evaluate_all(t, batch, e))
        return e->code;
    return write_checkpoint(t, e);
}

int stage_joint(struct stage_run *run, err *e)
{
    struct prompt_trainer t = {0};

    work(run, &t, e);
    prompt_trainer_free(&t);
    return e->code;
}
