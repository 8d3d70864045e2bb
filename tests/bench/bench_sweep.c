/* bench_sweep.c - what trials share: work of the quickstart that is done once, in numbers of stages; processor time of a small part of
 * it with sharing and without; and how many pairs of image and prompt an evaluation after each task needs. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <jansson.h>

#include "bench.h"
#include "io/h5.h"

enum { COMMAND = 5000 };
static const char small[] = "train.epochs=1 dataset.train_per_class=32 dataset.test_per_class=50 seed=0";

static json_t *plan_of(const struct bench_options *o, const char *overrides)
{
    char command[COMMAND];
    json_t *plan;
    FILE *f;

    snprintf(command, sizeof command, "'%s' plan '%s/sweeps/quickstart.yaml' %s --json", o->sluice, o->source,
             overrides);
    f = popen(command, "r");
    plan = f ? json_loadf(f, 0, NULL) : NULL;
    if (f)
        pclose(f);
    if (!plan) {
        fprintf(stderr,
                "bench_speed: no plan from '%s'; give the program with --sluice and its sources with --source\n",
                command);
        exit(1);
    }
    return plan;
}

static void print_shared(const struct bench_options *o)
{
    static const struct {
        const char *kind, *what;
    } kinds[] = {{"features", "features of the frozen backbone, once for all trials"},
                 {"tii", "task inference, its test images included, once for all trials of a seed"}};
    json_t *plan = plan_of(o, ""), *augmented = plan_of(o, "dataset.augment=true");

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const json_t *kind = json_object_get(json_object_get(plan, "stages"), kinds[i].kind);

        printf("| %s | %lld stages, not %lld | %.2f |\n", kinds[i].what,
               (long long)json_integer_value(json_object_get(kind, "distinct")),
               (long long)json_integer_value(json_object_get(kind, "if_unshared")),
               json_number_value(json_object_get(kind, "if_unshared")) /
                   json_number_value(json_object_get(kind, "distinct")));
    }
    printf("| task inference trained on kept features, where nothing is augmented | operations, planned | %.2f |\n",
           json_number_value(json_object_get(augmented, "flop")) / json_number_value(json_object_get(plan, "flop")));
    json_decref(plan);
    json_decref(augmented);
}

/* Seconds of all processes that have been waited for. */
static double children_seconds(void)
{
    struct rusage u;

    getrusage(RUSAGE_CHILDREN, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* Processor time of the quickstart with these options; the output folder is left there. */
static double run_sweep(const struct bench_options *o, const char *folder, const char *options)
{
    double before = children_seconds();
    char command[COMMAND];

    snprintf(command, sizeof command,
             "'%s' run '%s/sweeps/quickstart.yaml' %s %s --ranks 1 --threads 1 --out '%s' > '%s.log' 2>&1", o->sluice,
             o->source, small, options, folder, folder);
    if (system(command)) {
        fprintf(stderr, "bench_speed: this failed, see %s.log:\n%s\n", folder, command);
        exit(1);
    }
    return children_seconds() - before;
}

static void remove_folder(const char *folder)
{
    char command[COMMAND];

    snprintf(command, sizeof command, "rm -rf '%s' '%s.log'", folder, folder);
    if (system(command))
        fprintf(stderr, "bench_speed: %s is left over\n", folder);
}

static void print_sharing(const struct bench_options *o, const char *place)
{
    static const char *const alone[] = {
        "method=sequential", "method=hide prompt.length=5", "method=norga gate.activation=tanh prompt.length=5",
        "method=norga gate.activation=sigmoid prompt.length=5", "method=norga gate.activation=gelu prompt.length=5"};
    double shared, sum = 0;

    shared = run_sweep(o, place, "method=sequential,hide,norga prompt.length=5");
    remove_folder(place);
    for (size_t i = 0; i < sizeof alone / sizeof *alone; i++) {
        sum += run_sweep(o, place, alone[i]);
        remove_folder(place);
    }
    printf("| the whole, 5 trials of the quickstart made small | processor time, measured | %.2f |\n", sum / shared);
}

/* Images of an infer checkpoint, and its features under prompts that are no longer used; zeros for other files. */
static void count_images(const char *path, size_t *images, size_t *former)
{
    size_t shape[H5_MAX_RANK];
    int rank;
    err e = {0};
    h5 *file;

    *images = *former = 0;
    if (h5_open(path, &file, &e))
        return;
    if (h5_has(file, "inferred") && !h5_shape(file, "inferred", &rank, shape, &e))
        *images = shape[0];
    if (h5_has(file, "former/image") && !h5_shape(file, "former/image", &rank, shape, &e))
        *former = shape[0];
    h5_close(file);
}

/* One trial's infer stages: each evaluates all test images so far; the last one has every pair that was ever computed. */
static void print_pairs(const struct bench_options *o, const char *place)
{
    char path[COMMAND];
    size_t asked = 0, last = 0, pairs = 0;
    struct dirent *entry;
    DIR *folder;

    run_sweep(o, place, "method=norga gate.activation=tanh prompt.length=5");
    snprintf(path, sizeof path, "%s/checkpoints", place);
    folder = opendir(path);
    while (folder && (entry = readdir(folder))) {
        size_t images, former;

        snprintf(path, sizeof path, "%s/checkpoints/%s", place, entry->d_name);
        count_images(path, &images, &former);
        asked += images;
        if (images > last) {
            last = images;
            pairs = images + former;
        }
    }
    if (folder)
        closedir(folder);
    remove_folder(place);
    printf("| each test image under each prompt once, 5 tasks | %zu passes, not %zu | %.2f |\n", pairs, asked,
           (double)asked / (double)pairs);
}

void bench_sweep(const struct bench_options *o)
{
    char place[] = "/tmp/bench-sweep-XXXXXX";

    if (!mkdtemp(place)) {
        perror("bench_speed: /tmp");
        exit(1);
    }
    rmdir(place); /* a run makes its folder */
    printf("\n### What trials share\n\n| | of the quickstart | without over with |\n| --- | --- | ---: |\n");
    print_shared(o);
    print_pairs(o, place);
    if (!o->quick)
        print_sharing(o, place);
}
