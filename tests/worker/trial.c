/* trial.c - see trial.h. */
#include "trial.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/h5.h"
#include "worker/features.h"
#include "worker/material.h"

/* The tests write thousands of checkpoints, and no power will fail: linked with --wrap=fsync. */
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    (void)fd;
    return 0;
}

/* A number in [0, 1) from a counter: splitmix64. */
static double noise(uint64_t n)
{
    uint64_t z = n * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

/* Stripes whose direction and width are the class's, over quarters whose brightness is. */
static void draw(uint8_t *pixels, int c, uint64_t number)
{
    double angle = 3.14159265 * c / WORLD_CLASSES, step = 0.6 + 0.25 * (c % 3);

    for (int y = 0; y < WORLD_SIDE; y++)
        for (int x = 0; x < WORLD_SIDE; x++) {
            double wave = sin(step * (x * cos(angle) + y * sin(angle)));
            double quarter = (c + 1) >> (2 * y / WORLD_SIDE + (x < WORLD_SIDE / 2 ? 0 : 1)) & 1 ? 60 : -60;
            double grain = noise(number * 1000 + (uint64_t)(y * WORLD_SIDE + x)) - 0.5;

            pixels[y * WORLD_SIDE + x] = (uint8_t)(128 + quarter + 35 * wave + 60 * grain);
        }
}

void world_write_dataset(const char *name, const int per_class[DATASET_PARTS][WORLD_CLASSES])
{
    struct dataset d = {.classes = WORLD_CLASSES};
    char names[WORLD_CLASSES][CLASS_NAME_SIZE], path[96];
    size_t image = WORLD_SIDE * WORLD_SIDE;
    err e = {0};

    snprintf(d.name, sizeof d.name, "%s", name);
    d.class_names = names;
    for (int c = 0; c < WORLD_CLASSES; c++)
        snprintf(names[c], sizeof names[c], "%s %d",
                 !strcmp(name, "mixed") && c / 2 == 1 ? "cifar10/stripes" : "stripes", c);
    for (int part = 0; part < DATASET_PARTS; part++) {
        struct image_set *s = &d.part[part];
        uint8_t *pixels = malloc(1000 * image);
        int32_t *labels = malloc(1000 * sizeof *labels);

        *s = (struct image_set){
            .height = WORLD_SIDE, .width = WORLD_SIDE, .channels = 1, .pixels = pixels, .labels = labels};
        for (int i = 0; i < 100; i++) /* classes interleaved, as in real files */
            for (int c = 0; c < WORLD_CLASSES; c++)
                if (i < per_class[part][c]) {
                    draw(pixels + s->count * image, c, (uint64_t)(part * 1000000 + c * 1000 + i));
                    labels[s->count++] = c;
                }
    }
    snprintf(path, sizeof path, "%s.h5", name);
    if (dataset_write_pack(&d, path, &e))
        fail_msg("%s", e.text);
    for (int part = 0; part < DATASET_PARTS; part++) {
        free((void *)d.part[part].pixels);
        free((void *)d.part[part].labels);
    }
}

void world_write_backbone(const char *name, const struct backbone_shape *shape, bool half)
{
    struct backbone_weights w;
    char path[96];
    err e = {0};

    if (backbone_create(&w, shape, &e))
        fail_msg("%s", e.text);
    for (int i = 0; i < w.count; i++) {
        const struct backbone_tensor *t = &w.tensors[i];
        bool gain = strstr(t->name, "norm") && strstr(t->name, "weight");
        double scale = t->rank > 1 ? (strstr(t->name, "patch") ? 6 : 1.5) / sqrt((double)shape->width) : 0.1;

        for (size_t j = 0; j < t->count; j++)
            t->data[j] = (float)((gain ? 1 : 0) + scale * 2 * (noise(1000003u * (uint64_t)(i + 1) + j) - 0.5));
    }
    snprintf(w.name, sizeof w.name, "%s", name);
    snprintf(path, sizeof path, "%s.h5", name);
    if (backbone_write(path, &w, half, &e))
        fail_msg("%s", e.text);
    backbone_close(&w);
}

void world_write_wild_backbone(const char *name)
{
    struct backbone_weights w;
    char path[96];
    err e = {0};

    assert_int_equal(backbone_read("tiny.h5", &w, &e), 0);
    for (int i = 0; i < WORLD_WIDTH; i++)
        backbone_tensor(&w, "norm.weight")->data[i] = 3e38f;
    snprintf(w.name, sizeof w.name, "%s", name);
    snprintf(path, sizeof path, "%s.h5", name);
    assert_int_equal(backbone_write(path, &w, false, &e), 0);
    backbone_close(&w);
}

void world_make(void)
{
    static const struct backbone_shape shape = {
        .side = 8, .patch = 4, .channels = 3, .width = WORLD_WIDTH, .depth = 3, .heads = 2, .hidden = 32};
    int per_class[DATASET_PARTS][WORLD_CLASSES];

    for (int c = 0; c < WORLD_CLASSES; c++) {
        per_class[DATASET_TRAIN][c] = WORLD_TRAIN;
        per_class[DATASET_TEST][c] = WORLD_TEST;
    }
    setenv("SLUICE_DATA", ".", 1);
    setenv("SLUICE_BACKBONES", ".", 1);
    material_forget();
    features_forget();
    world_write_dataset("stripes", per_class);
    world_write_backbone("tiny", &shape, false);
}

static const char base[] = "name: tiny\n"
                           "trial:\n"
                           "  method: norga\n"
                           "  backbone: tiny\n"
                           "  dataset: {name: stripes, tasks: 3, sequence: shuffled}\n"
                           "  prompt: {length: 2, layers: 0-1}\n"
                           "  train: {epochs: 2, batch: 5, lr_scaling: false, lr: 0.02, head_lr_factor: 1}\n"
                           "  tii: {epochs: 15, batch: 7, lr: 0.01, align_epochs: 10, align_lr: 0.005}\n"
                           "  tap: {epochs: 2, lr: 0.05}\n"
                           "  statistics: {centroids: 3}\n"
                           "  evaluate: {batch: 5}\n"
                           "  seed: 3\n";

void world_write_sweep(const char *path)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(base, file);
    assert_int_equal(fclose(file), 0);
}

void trial_open(struct trial *t, const char *options, const char *folder)
{
    char text[1000], *words[40], *rest = text;
    int count = 0;
    err e = {0};

    snprintf(t->folder, sizeof t->folder, "%s", folder);
    if (mkdir(folder, 0777)) { /* left by an earlier run */
        char command[200];

        snprintf(command, sizeof command, "rm -rf '%s' && mkdir '%s'", folder, folder);
        assert_int_equal(system(command), 0);
    }
    snprintf(text, sizeof text, "%s", options);
    for (char *word; (word = strsep(&rest, " ")) && count < 40;)
        if (*word)
            words[count++] = word;
    if (sweep_parse("tiny.yaml", ".", base, sizeof base - 1, (const char *const *)words, count, &t->sweep, &e) ||
        plan_make(&t->sweep, &sources_installed, &t->plan, &e) || plan_keys(&t->plan, &e))
        fail_msg("%s: %s", options, e.text);
}

void trial_close(struct trial *t)
{
    plan_free(&t->plan);
    sweep_free(&t->sweep);
}

int trial_stage(const struct trial *t, enum stage_kind kind, int task)
{
    for (int i = 0; i < t->plan.stages_count; i++)
        if (t->plan.kind[i] == (int)kind && t->plan.task[i] == task)
            return i;
    fail_msg("no stage %s(%d)", stage_kind_name(kind), task);
    return -1;
}

const char *trial_checkpoint(const struct trial *t, int stage)
{
    static char paths[4][160];
    static int turn;
    char hex[DIGEST_HEX], *path = paths[turn++ % 4];

    digest_to_hex(&t->plan.key[stage], hex);
    snprintf(path, sizeof paths[0], "%s/%s.h5", t->folder, hex);
    return path;
}

static bool go_on(void *context, const struct progress *p)
{
    struct record *r = context;

    assert_true(p->fraction >= 0 && p->fraction <= 1);
    assert_non_null(p->phase);
    r->last_fraction = p->fraction;
    r->calls++;
    if (r->crash && r->calls == r->stop_at)
        _exit(99);
    return (!r->stop_at || r->calls < r->stop_at) && (!r->stop_in || strcmp(p->phase, r->stop_in));
}

static void take_accuracy(void *context, const struct accuracy_row *row)
{
    struct record *r = context;

    assert_in_range(r->accuracy_count, 0, RECORD_ROWS - 1);
    r->accuracy[r->accuracy_count++] = *row;
}

static void take_training(void *context, const struct training_row *row)
{
    struct record *r = context;

    assert_in_range(r->training_count, 0, RECORD_ROWS - 1);
    r->training[r->training_count++] = *row;
}

int trial_run_stage(const struct trial *t, int stage, struct record *record, err *e)
{
    struct host host = {record, go_on, take_accuracy, take_training};
    struct stage_job job;

    *e = (err){0};
    record->accuracy_count = record->training_count = record->calls = 0;
    if (plan_job(&t->plan, stage, t->folder, &job, e))
        fail_msg("%s", e->text);
    trainer_run(&job, &host, &record->outcome, e);
    stage_job_free(&job);
    return e->code;
}

struct record *trial_run(const struct trial *t)
{
    struct record *records = calloc((size_t)t->plan.stages_count, sizeof *records);
    err e;

    for (int i = 0; i < t->plan.stages_count; i++)
        if (trial_run_stage(t, i, &records[i], &e))
            fail_msg("%s", e.text);
    return records;
}

bool record_equal(const struct record *a, const struct record *b)
{
    if (!digest_equal(&a->outcome.checkpoint, &b->outcome.checkpoint) ||
        a->outcome.trainable_parameters != b->outcome.trainable_parameters || a->accuracy_count != b->accuracy_count ||
        a->training_count != b->training_count ||
        memcmp(a->accuracy, b->accuracy, (size_t)a->accuracy_count * sizeof *a->accuracy))
        return false;
    for (int i = 0; i < a->training_count; i++) {
        struct training_row x = a->training[i], y = b->training[i];

        x.seconds = y.seconds = x.images_per_second = y.images_per_second = 0;
        if (memcmp(&x, &y, sizeof x))
            return false;
    }
    return true;
}

float *trial_array(const struct trial *t, int stage, const char *name, size_t *count)
{
    size_t shape[H5_MAX_RANK];
    int rank = 0;
    float *data;
    h5 *file;
    err e = {0};

    if (h5_open(trial_checkpoint(t, stage), &file, &e) || h5_shape(file, name, &rank, shape, &e))
        fail_msg("%s", e.text);
    *count = 1;
    for (int i = 0; i < rank; i++)
        *count *= shape[i];
    data = malloc((*count + 1) * sizeof *data);
    if (h5_read(file, name, H5_F32, rank, shape, data, &e))
        fail_msg("%s", e.text);
    h5_close(file);
    return data;
}
