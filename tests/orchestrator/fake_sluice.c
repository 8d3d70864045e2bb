/* tests/orchestrator/fake_sluice.c - the program with the fake trainer in place of the real one: the commands of the
 * orchestrator, the MPI job and the protocol are the real ones.
 *
 * Built with WITH_SLURM it has `submit` too, and knows what SLURM knows.
 *
 * `fake_sluice props FOLDER` writes what a sweep must find: a tiny backbone vit-tiny.h5 and a tiny data set tiny.h5. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_trainer.h"
#include "io/backbone.h"
#include "io/dataset.h"
#include "orchestrator/commands.h"
#ifdef WITH_SLURM
#include "orchestrator/batch.h"
#include "orchestrator/recall.h"
#include "slurm/commands.h"
#include "slurm/jobs.h"
#include "slurm/remaining.h"
#include "slurm/submit.h"
#endif

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
#define C(name, function, summary) {name, function},
    ORCHESTRATOR_COMMANDS(C)
#ifdef WITH_SLURM
        SLURM_COMMANDS(C)
#endif
#undef C
};

#ifdef WITH_SLURM /* the doors of main.c */
static void open_doors(void)
{
    static const struct batch_system slurm = {remaining_end, jobs_show, jobs_print, jobs_cancel};

    batch_use(&slurm);
    submit_learn_from(recall_plan, recall_gflops);
}
#else
static void open_doors(void)
{
}
#endif

static int write_backbone(const char *folder, err *e)
{
    const struct backbone_shape shape = {
        .side = 8, .patch = 4, .channels = 3, .width = 8, .depth = 6, .heads = 2, .hidden = 16};
    struct backbone_weights w;
    char path[4096];

    snprintf(path, sizeof path, "%s/vit-tiny.h5", folder);
    if (backbone_create(&w, &shape, e))
        return e->code;
    snprintf(w.name, sizeof w.name, "vit-tiny");
    backbone_write(path, &w, false, e);
    backbone_close(&w);
    return e->code;
}

static int write_dataset(const char *folder, err *e)
{
    enum { CLASSES = 6, SIDE = 8, COUNT = 5 * CLASSES };
    static uint8_t pixels[COUNT * SIDE * SIDE];
    static int32_t labels[COUNT];
    static char names[CLASSES][CLASS_NAME_SIZE];
    const struct image_set set = {
        .count = COUNT, .height = SIDE, .width = SIDE, .channels = 1, .pixels = pixels, .labels = labels};
    struct dataset d = {.name = "tiny", .classes = CLASSES, .class_names = names, .part = {set, set}};
    char path[4096];

    for (int i = 0; i < COUNT; i++) {
        labels[i] = i % CLASSES;
        pixels[i * SIDE * SIDE] = (uint8_t)i;
    }
    for (int i = 0; i < CLASSES; i++)
        snprintf(names[i], sizeof names[i], "class %d", i);
    snprintf(path, sizeof path, "%s/tiny.h5", folder);
    return dataset_write_pack(&d, path, e);
}

static int write_props(const char *folder)
{
    err e = {0};

    if (write_backbone(folder, &e) || write_dataset(folder, &e))
        fprintf(stderr, "props: %s\n", e.text);
    return e.code != 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "trainer"))
        return child_main(argc - 1, argv + 1, fake_trainer);
    if (argc > 2 && !strcmp(argv[1], "props"))
        return write_props(argv[2]);
    if (argc > 1 && !strcmp(argv[1], "report")) {
        puts("(the table would be here)");
        return 0;
    }
    open_doors();
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(argv[1], commands[i].name))
            return commands[i].run(argc - 1, argv + 1);
    return 2;
}
