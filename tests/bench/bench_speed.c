/* bench_speed.c - how near sluice comes to what this machine can do, as one Markdown page of ratios: they can be compared between
 * machines and days, which times cannot.  docs/performance.md explains each table.
 *
 *   bench_speed [--quick] [--sluice PROGRAM] [--source FOLDER] [SECTION...]
 *
 * Sections: parts passes savings images sweep; all by default.  --quick leaves out what takes minutes.  For two threads the machine
 * must be idle. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "model/blas.h"
#include "model/kernels.h"
#include "model/rng.h"

const struct bench_model bench_models[3] = {
    {"vit-b", "ViT-B/16", {.side = 224, .patch = 16, .width = 768, .depth = 12, .heads = 12, .hidden = 3072}},
    {"vit-s", "ViT-S/16", {.side = 224, .patch = 16, .width = 384, .depth = 12, .heads = 6, .hidden = 1536}},
    {"vit-micro", "vit-micro", {.side = 32, .patch = 4, .width = 128, .depth = 6, .heads = 4, .hidden = 512}},
};

const struct bench_model *bench_model(const char *name)
{
    for (size_t i = 0; i < sizeof bench_models / sizeof *bench_models; i++)
        if (!strcmp(bench_models[i].name, name))
            return &bench_models[i];
    fprintf(stderr, "bench_speed: there is no model '%s'\n", name);
    exit(2);
}

void *bench_zeros(size_t bytes)
{
    void *p = NULL;

    if (posix_memalign(&p, 64, bytes + 64)) {
        fprintf(stderr, "bench_speed: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    return memset(p, 0, bytes + 64);
}

float *bench_numbers(size_t n)
{
    rng r = rng_stream(1, RNG_TEST, 0, 0, 0);
    float *x = bench_zeros(n * sizeof *x);

    rng_fill_uniform(&r, x, n, -1, 1);
    return x;
}

void bench_check(int code, const err *e)
{
    if (!code)
        return;
    fprintf(stderr, "bench_speed: %s\n", e->text);
    exit(1);
}

double bench_seconds(int threads)
{
    struct timespec t;

    clock_gettime(threads > 1 ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double bench_best(void (*call)(void *), void *what, double budget)
{
    const double shortest = 2e-3; /* of a measurement: the processor's clock is a coarse one */
    double best = 1e30, end = bench_seconds(2) + budget;
    int calls = 1;

    for (int i = 0; i < 2 || bench_seconds(2) < end; i++) {
        double start = bench_seconds(1), took;

        for (int k = 0; k < calls; k++)
            call(what);
        took = bench_seconds(1) - start;
        if (took < shortest) {
            calls *= 2;
            i = 0;
        } else if (took / calls < best) {
            best = took / calls;
        }
    }
    return best;
}

static void print_machine(void)
{
    char line[300], *value;
    FILE *f = fopen("/proc/cpuinfo", "r");
    time_t now = time(NULL);

    strftime(line, sizeof line, "%Y-%m-%d", gmtime(&now));
    printf("%s, %ld processors", line, sysconf(_SC_NPROCESSORS_ONLN));
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "model name", 10) && (value = strchr(line, ':'))) {
            printf(" (%.*s)", (int)strcspn(value + 2, "\n"), value + 2);
            break;
        }
    if (f)
        fclose(f);
    printf("; %s, its %s kernels; the %s set of ours\n", blas_version(), blas_kernels(), kernels_best()->name);
}

static const struct section {
    const char *name;
    void (*run)(const struct bench_options *o);
} sections[] = {
    {"parts", bench_parts},   {"passes", bench_passes}, {"savings", bench_savings},
    {"images", bench_images}, {"sweep", bench_sweep},
};
enum { SECTIONS = sizeof sections / sizeof *sections };

/* Set what the argument asks for; false if it makes no sense. */
static bool take(char ***at, struct bench_options *o, bool wanted[SECTIONS])
{
    char **argv = *at;

    if (!strcmp(argv[0], "--quick")) {
        o->quick = true;
    } else if (!strcmp(argv[0], "--sluice") && argv[1]) {
        o->sluice = *++*at;
    } else if (!strcmp(argv[0], "--source") && argv[1]) {
        o->source = *++*at;
    } else {
        int i = 0;

        while (i < SECTIONS && strcmp(sections[i].name, argv[0]))
            i++;
        if (i == SECTIONS)
            return false;
        wanted[i] = true;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct bench_options o = {.sluice = "./sluice", .source = "."};
    bool wanted[SECTIONS] = {false}, all = true;

    blas_choose_kernels(argv);
    if (argc > 1 && !strcmp(argv[1], "--pass"))
        return bench_pass_here(argv + 2);
    for (char **a = argv + 1; *a; a++)
        if (!take(&a, &o, wanted)) {
            fprintf(stderr,
                    "bench_speed: what is '%s'? [--quick] [--sluice PROGRAM] [--source FOLDER] [parts] [passes] "
                    "[savings] [images] [sweep]\n",
                    *a);
            return 2;
        }
    for (int i = 0; i < SECTIONS; i++)
        all = all && !wanted[i];
    print_machine();
    for (int i = 0; i < SECTIONS; i++)
        if (all || wanted[i]) {
            sections[i].run(&o);
            fflush(stdout);
        }
    return 0;
}
