/* sweeps/sources.c - see sources.h. */
#include "sweeps/sources.h"

#include <string.h>

#include "io/backbone.h"
#include "io/dataset.h"
#include "sweeps/stage.h"

/* Well-known names, for plans on machines without them. */
static const struct {
    const char *name;
    int classes;
    double train_images, test_images;
} datasets[] = {
    {"fashion-mnist", 10, 60000, 10000},   {"mnist", 10, 60000, 10000}, {"cifar10", 10, 50000, 10000},
    {"cifar100", 100, 50000, 10000},       {"svhn", 10, 73257, 26032},  {"notmnist", 10, 16853, 1873},
    {"imagenet-r", 200, 24000, 6000},      {"cub200", 200, 5994, 5794}, {"5-datasets", 50, 260110, 57905},
    {"tiny-imagenet", 200, 100000, 10000},
};

static const struct {
    const char *prefix; /* of the name */
    int side, patch, width, blocks;
} backbones[] = {
    {"vit-micro", 32, 4, 128, 6},
    {"vit-b16", 224, 16, 768, 12},
};

static const struct benchmark benchmarks[] = {
    {"cifar100", "cifar", "sweeps/presets/norga-cifar100-sup21k.yaml"},
    {"imagenet-r", "default", "sweeps/presets/norga-imagenet-r-sup21k.yaml"},
    {"cub200", "default", "sweeps/presets/norga-cub200-sup21k.yaml"},
    {"5-datasets", "from_cifar", "sweeps/presets/norga-5-datasets-sup21k.yaml"},
};

const struct benchmark *benchmark_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof benchmarks / sizeof *benchmarks; i++)
        if (!strcmp(benchmarks[i].name, name))
            return &benchmarks[i];
    return NULL;
}

/* Different names must not come to equal contents. */
static struct digest stand_in(const char *kind, const char *name)
{
    struct digester d;

    digester_start(&d);
    digester_add_text(&d, "stand-in");
    digester_add_text(&d, kind);
    digester_add_text(&d, name);
    return digester_end(&d);
}

static void known_dataset(const char *name, struct source_dataset *out)
{
    *out = (struct source_dataset){.digest = stand_in("dataset", name)};
    for (size_t i = 0; i < sizeof datasets / sizeof *datasets; i++) {
        if (strcmp(datasets[i].name, name))
            continue;
        out->classes = datasets[i].classes;
        out->train_images = datasets[i].train_images;
        out->test_images = datasets[i].test_images;
    }
}

static void known_backbone(const char *name, struct source_backbone *out)
{
    *out = (struct source_backbone){.digest = stand_in("backbone", name)};
    for (size_t i = 0; i < sizeof backbones / sizeof *backbones; i++) {
        if (strncmp(backbones[i].prefix, name, strlen(backbones[i].prefix)))
            continue;
        out->side = backbones[i].side;
        out->patch = backbones[i].patch;
        out->width = backbones[i].width;
        out->blocks = backbones[i].blocks;
    }
}

static int no_dataset(const char *name, struct source_dataset *out, err *e)
{
    known_dataset(name, out);
    return err_set(e, ERR_MISSING, "data set %s: not looked for", name);
}

static int no_backbone(const char *name, struct source_backbone *out, err *e)
{
    known_backbone(name, out);
    return err_set(e, ERR_MISSING, "backbone %s: not looked for", name);
}

const struct sources sources_none = {no_dataset, no_backbone};

/* Its content is what the digest says: a pack records it, and everything else is read. */
static int installed_dataset(const char *name, struct source_dataset *out, err *e)
{
    struct dataset d;

    known_dataset(name, out);
    if (!dataset_open(name, &d, e))
        *out = (struct source_dataset){.digest = d.digest,
                                       .classes = d.classes,
                                       .train_images = (double)d.part[DATASET_TRAIN].count,
                                       .test_images = (double)d.part[DATASET_TEST].count,
                                       .notes = d.notes ? intern(d.notes) : NULL};
    dataset_close(&d);
    return e->code;
}

static int installed_backbone(const char *name, struct source_backbone *out, err *e)
{
    struct backbone_shape shape;
    struct digest digest;

    known_backbone(name, out);
    if (!backbone_describe(name, &shape, &digest, e))
        *out = (struct source_backbone){digest, shape.side, shape.patch, shape.width, shape.depth};
    return e->code;
}

const struct sources sources_installed = {installed_dataset, installed_backbone};
