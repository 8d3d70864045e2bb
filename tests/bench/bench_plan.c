/* tests/bench/bench_plan.c - a million trials through the planner: seconds of CPU and peak memory.
 *
 *   bench_plan [NAME]
 *
 * Three sweeps: one whose trials share most of their work, and two in which no two trials share a prompt, the worst case, with
 * five tasks and with ten.  Each is planned by a process of its own, so that its memory is its own.  A plan that is only shown has no
 * keys; what follows it on the line is the same with them. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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
    {"ten tasks", "trial: {dataset: {name: cifar100, tasks: 10, sequence: shuffled}}\n"
                  "grid: {prompt.length: 1..100, train.epochs: 1..100, seed: 0..99}\n"},
};

/* So far. */
static void print_usage(const char *end)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    printf("  %5.1f s  %5.0f MB%s", (double)clock() / CLOCKS_PER_SEC, (double)usage.ru_maxrss * 1024 / 1e6, end);
}

static int measure(const char *name, const char *yaml)
{
    struct sweep sweep;
    struct plan plan = {0};
    err e = {0};

    if (sweep_parse("bench", ".", yaml, strlen(yaml), NULL, 0, &sweep, &e) ||
        plan_make(&sweep, &sources_none, &plan, &e)) {
        fprintf(stderr, "%s: %s\n", name, e.text);
        return 1;
    }
    printf("%-9s %8d trials %9d stages", name, plan.trials_count, plan.stages_count);
    print_usage("  with keys");
    if (plan_keys(&plan, &e)) {
        fprintf(stderr, "%s: %s\n", name, e.text);
        return 1;
    }
    print_usage("\n");
    plan_free(&plan);
    sweep_free(&sweep);
    return 0;
}

int main(int argc, char **argv)
{
    int failed = 0, status;

    for (size_t i = 0; i < sizeof sweeps / sizeof *sweeps; i++) {
        pid_t child;
        if (argc > 1 && strcmp(argv[1], sweeps[i].name))
            continue;
        fflush(stdout);
        child = fork();
        if (!child)
            return measure(sweeps[i].name, sweeps[i].yaml);
        failed |= child < 0 || waitpid(child, &status, 0) != child || status;
    }
    return failed;
}
