/* tests/bench/bench_dispatch.c - how many stages rank 0 hands out and writes down in a second: a sweep of empty stages, through
 * mpirun, the real protocol and the real ledger.
 *
 *   bench_dispatch FAKE_SLUICE [TRIALS [WORKERS]]      10000 trials, 4 stages each; 2 workers
 *
 * Prints stages per second from the first lease to the last fact on the disk, the processor time of rank 0 for each stage, that
 * of all processes, and the share of a processor that results.h5 took while the sweep ran. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "io/ledger.h"
#include "orchestrator/history.h"
#include "runs.h"

enum { FIRST_SEED = 10000 }; /* the fake trainer's habits are below */

static int keep_end(void *context, const struct ledger_record *record, err *e)
{
    json_t **end = context;

    if (record->type == FACT_ENDED) {
        json_decref(*end);
        *end = json_loadb(record->payload, record->n, 0, NULL);
    }
    return e->code;
}

static double processor_seconds(void)
{
    struct rusage u;

    getrusage(RUSAGE_CHILDREN, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static double figure(const json_t *end, const char *name)
{
    return json_number_value(json_object_get(end, name));
}

int main(int argc, char **argv)
{
    int trials = argc > 2 ? atoi(argv[2]) : 10000, workers = argc > 3 ? atoi(argv[3]) : 2;
    struct ledger_summary summary;
    json_t *end = NULL;
    char lines[100];
    double before;
    err e = {0};

    if (argc < 2 || trials < 1 || workers < 1)
        return 2;
    setenv("FAKE_SECONDS", "-1", 1);
    runs_prepare(argv[1]);
    snprintf(lines, sizeof lines, "grid:\n  seed: %d..%d\n", FIRST_SEED, FIRST_SEED + trials - 1);
    runs_write_sweep("dispatch.yaml", "dispatch", 1, lines);
    runs_wait(runs_start_words("/bin/rm -rf dispatch", "rm.txt"), 60);
    before = processor_seconds();
    if (runs_wait(runs_start("dispatch.yaml", "dispatch", workers, 60), 3600) ||
        ledger_replay("dispatch/ledger", keep_end, &end, &summary, &e) || !end) {
        printf("the run failed: %s%s\n", e.text, runs_output("dispatch.txt"));
        return 1;
    }
    printf("%.0f stages in %.2f s: %.0f stages/s; rank 0: %.1f us of processor time for a stage; all processes with "
           "start, "
           "plan and report: %.1f us; results.h5 meanwhile: %.2f %% of a processor\n",
           figure(end, "stages"), figure(end, "seconds"), figure(end, "stages") / figure(end, "seconds"),
           1e6 * figure(end, "loop_cpu") / figure(end, "stages"),
           1e6 * (processor_seconds() - before) / figure(end, "stages"),
           100 * figure(end, "results_cpu") / figure(end, "seconds"));
    json_decref(end);
    return 0;
}
