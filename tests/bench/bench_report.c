/* tests/bench/bench_report.c - how long a report of 100,000 trials x 10 tasks takes, part by part.  The aim is 5 s in all.
 * Each trial has what a real one has: 31 stages with an attempt each, and 110 accuracies.
 *
 *   bench_report [FILE]     writes and reads FILE, or writes, reads and removes bench-report.h5 in the current folder */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "sample_store.h"
#include "analysis/formats.h"
#include "analysis/report.h"

static double now(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double wall, cpu;

static void lap(const char *what)
{
    double w = now(CLOCK_MONOTONIC), c = now(CLOCK_PROCESS_CPUTIME_ID);

    if (what)
        printf("%-28s %6.2f s wall, %6.2f s CPU\n", what, w - wall, c - cpu);
    wall = w;
    cpu = c;
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "bench-report.h5";
    const struct sample sample = {.gates = 5,
                                  .lengths = 20,
                                  .seeds = 1000,
                                  .tasks = 10,
                                  .finished = 100000,
                                  .ranks = 64,
                                  .stages = 31,
                                  .phases = true};
    struct measured m;
    struct ablation a = {0};
    struct document d = {0};
    int by[MAX_BY];
    err e = {0};

    if (sample_store_write(path, &sample, &e)) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    lap(NULL);
    if (!measured_read(path, &m, &e)) {
        lap("read results.h5");
        document_start(&d, "bench");
        if (!ablation_start(&a, &m, by, ablation_default_by(&m, by), METRIC_FAA, &e))
            report_compose(&d, &a, &(struct report_request){.main = METRIC_FAA}, &e);
        lap("group, compare, compose");
        for (int i = 0; i < report_formats_count && !e.code; i++) {
            FILE *nowhere = fopen("/dev/null", "w");
            if (!nowhere || report_formats[i].render(&d, NULL, nowhere, &e))
                break;
            fclose(nowhere);
            lap(report_formats[i].name);
        }
    }
    if (e.code)
        fprintf(stderr, "%s\n", e.text);
    document_free(&d);
    ablation_free(&a);
    measured_free(&m);
    if (argc < 2)
        unlink(path);
    return e.code != 0;
}
