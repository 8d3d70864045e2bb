/* tests/bench/bench_plan.c - a million trials through the planner: seconds of CPU and peak memory.
 *
 * Two sweeps: one whose trials share most of their work, and one in which no two trials share a prompt, the worst case. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "sweeps/plan.h"

static const struct {
    const char *name, *yaml;
} sweeps[] = {
    {"shared", "trial: {dataset.sequence: shuffled}\n"
               "grid: {gate.activation: [none, relu, tanh, sigmoid, gelu], prompt.length: [5, 10, 20, 30, 40],\n"
               "  tap.lr: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], tap.epochs: 1..10, train.clip: [1, 2],\n"
               "  prompt.momentum: [0, 0.1], seed: 0..99}\n"},
    {"distinct", "trial: {dataset.sequence: shuffled}\n"
                 "grid: {prompt.length: 1..100, train.epochs: 1..100, seed: 0..99}\n"},
};

int main(void)
{
    for (size_t i = 0; i < sizeof sweeps / sizeof *sweeps; i++) {
        struct sweep sweep;
        struct plan plan;
        struct rusage usage;
        err e = {0};
        clock_t start = clock();
        if (sweep_parse("bench", ".", sweeps[i].yaml, strlen(sweeps[i].yaml), NULL, 0, &sweep, &e) ||
            plan_make(&sweep, &sources_none, &plan, &e)) {
            fprintf(stderr, "%s\n", e.text);
            return 1;
        }
        getrusage(RUSAGE_SELF, &usage);
        printf("%-9s %8d trials %9d stages  %5.1f s  %5.0f MB\n", sweeps[i].name, plan.trials_count, plan.stages_count,
               (double)(clock() - start) / CLOCKS_PER_SEC, (double)usage.ru_maxrss / 1024);
        plan_free(&plan);
        sweep_free(&sweep);
    }
    return 0;
}
