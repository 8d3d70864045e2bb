/* worker/command_data_sheet.c - sluice data sheet: contact sheets of a data set's tasks. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweeps/sequence.h"
#include "worker/command_data.h"
#include "worker/sheet.h"

static const char help[] =
    "usage: sluice data sheet NAME --to FILE.png [OPTION ...]\n"
    "\n"
    "Draws the first images of each class with the classes' names, one row a class: one sheet, or with --tasks one of "
    "each task,\n"
    "FILE-1.png, FILE-2.png, ...\n"
    "\n"
    "  --to FILE.png      where to\n"
    "  --tasks N          split the classes into tasks, as dataset.tasks does\n"
    "  --sequence TEXT    which classes come in which task, as dataset.sequence (default: natural)\n"
    "  --seed N           of the class order (default: 0)\n"
    "  --part train|test  which images (default: train)\n"
    "  --columns N        images of a class (default: 10)\n"
    "\n"
    "Example: sluice data sheet fashion-mnist --tasks 5 --sequence shuffled --seed 42 --to sheet.png\n";

struct arguments {
    const char *name, *to, *sequence;
    int tasks, columns;
    uint64_t seed;
    enum dataset_part part;
};

/* A whole decimal number. */
static bool number(const char *text, uint64_t low, uint64_t high, uint64_t *out)
{
    char *end;

    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && *out >= low && *out <= high;
}

/* 0: go on; otherwise the command ends with that status less one. */
static int parse(int argc, char **argv, struct arguments *out)
{
    static const struct option options[] = {
        {"to", required_argument, NULL, 'o'},       {"tasks", required_argument, NULL, 't'},
        {"sequence", required_argument, NULL, 'q'}, {"seed", required_argument, NULL, 's'},
        {"part", required_argument, NULL, 'p'},     {"columns", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};
    uint64_t tasks = 1, columns = 10;
    bool good = true;
    int c;

    *out = (struct arguments){.sequence = "natural"};
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1)
        switch (c) {
        case 'o':
            out->to = optarg;
            break;
        case 't':
            good = number(optarg, 1, SEQUENCE_MAX_TASKS, &tasks) && good;
            break;
        case 'q':
            out->sequence = optarg;
            break;
        case 's':
            good = number(optarg, 0, UINT32_MAX, &out->seed) && good;
            break;
        case 'p':
            out->part = strcmp(optarg, "test") ? DATASET_TRAIN : DATASET_TEST;
            good = good && (out->part == DATASET_TEST || !strcmp(optarg, "train"));
            break;
        case 'c':
            good = number(optarg, 1, SHEET_COLUMNS_MOST, &columns) && good;
            break;
        case 'h':
            fputs(help, stdout);
            return 1;
        default:
            return 3;
        }
    out->tasks = (int)tasks;
    out->columns = (int)columns;
    if (good && optind + 1 == argc && out->to) {
        out->name = argv[optind];
        return 0;
    }
    fputs("sluice data sheet: give the name of a data set, --to FILE.png and numbers that can be; see sluice data "
          "sheet --help\n",
          stderr);
    return 3;
}

/* FILE.png, or FILE-<task + 1>.png where there are several; malloc'd. */
static char *sheet_path(const struct arguments *a, int task)
{
    size_t n = strlen(a->to);
    bool suffix = n > 4 && !strcmp(a->to + n - 4, ".png");
    char *path = NULL;

    if (a->tasks == 1)
        return strdup(a->to);
    return asprintf(&path, "%.*s-%d%s", (int)(suffix ? n - 4 : n), a->to, task + 1, suffix ? ".png" : "") < 0 ? NULL
                                                                                                              : path;
}

static int draw_task(const struct arguments *a, const struct dataset *d, const struct class_sequence *s, int task,
                     err *e)
{
    int count = s->first[task + 1] - s->first[task];
    char title[200], *path = sheet_path(a, task);
    const struct sheet sheet = {.data = d,
                                .part = a->part,
                                .title = title,
                                .classes = s->ids + s->first[task],
                                .count = count,
                                .columns = a->columns};

    snprintf(title, sizeof title, "%s, task %d of %d, %s images", d->name, task + 1, a->tasks,
             a->part == DATASET_TEST ? "test" : "training");
    if (!path)
        err_set(e, ERR_NOMEM, "out of memory");
    else if (count > SHEET_CLASSES_MOST)
        err_set(e, ERR_USAGE, "task %d has %d classes, a sheet at most %d; give more --tasks", task + 1, count,
                SHEET_CLASSES_MOST);
    else if (!sheet_write(&sheet, path, e))
        puts(path);
    free(path);
    return e->code;
}

static int run(const struct arguments *a, err *e)
{
    struct class_sequence sequence;
    struct dataset d;

    if (dataset_open(a->name, &d, e))
        return e->code;
    if (!sequence_resolve(a->sequence, d.classes, a->tasks, a->seed, &sequence, e)) {
        for (int task = 0; task < a->tasks && !e->code; task++)
            draw_task(a, &d, &sequence, task, e);
        sequence_free(&sequence);
    }
    dataset_close(&d);
    return e->code;
}

int data_sheet(int argc, char **argv)
{
    struct arguments a;
    int status = parse(argc, argv, &a);
    err e = {0};

    if (status)
        return status - 1;
    if (run(&a, &e))
        fprintf(stderr, "sluice data sheet: %s\n", e.text);
    return err_exit_status(e.code);
}
