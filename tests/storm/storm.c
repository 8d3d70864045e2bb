/* tests/storm/storm.c - a sweep run through a storm: processes of the job are killed at random moments, again and again, and
 * the same command is given again whenever it ends early.  In the end its tables and checkpoints must be those of a run in calm
 * weather, with no stage recorded twice.
 *
 *   storm PROGRAM BLOWS SEED [real]
 *
 * PROGRAM is fake_sluice, or with `real` sluice itself, which then trains on Fashion-MNIST.  Victims are trainer children, worker
 * ranks, rank 0 and mpirun; one blow in eight is SIGSTOP, a hang, instead of SIGKILL.  A sweep that gets through while blows are
 * left is compared and begun anew.  Prints what it did, as one line of figures. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runs.h"

/* What is run.  patience: silence allowed, s; pause: most time between two blows, s; calm, storm: FAKE_SECONDS. */
struct weather {
    double patience, pause;
    const char *calm, *storm;
};

static const struct weather fake = {1.5, 1.6, "0.01", "0.05"}, real = {6, 2.5, "", ""};

static const char fake_sweep[] =
    "grid:\n  gate.activation: [tanh, sigmoid, gelu]\n  prompt.length: [5, 10]\n  seed: 0..1\nretry: {attempts: 10}\n";

static const char real_sweep[] = "name: storm\n"
                                 "trial:\n"
                                 "  method: norga\n"
                                 "  backbone: vit-micro\n"
                                 "  dataset: {name: fashion-mnist, tasks: 3, train_per_class: 8, test_per_class: 8}\n"
                                 "  prompt: {length: 4, layers: 0-1}\n"
                                 "  train: {epochs: 1, batch: 8}\n"
                                 "grid:\n"
                                 "  gate.activation: [tanh, sigmoid]\n"
                                 "  seed: 0..1\n"
                                 "retry: {attempts: 10}\n";

static uint64_t state;

static unsigned random_below(unsigned n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)((state >> 20) % n);
}

struct figures {
    int blows[RUNS_ROLES], stops, runs, sweeps, retried;
};

/* Strike one process; false if there was none with that role. */
static bool strike(struct figures *f)
{
    /* Children are there only while stages run: look for them more often, or they are never struck. */
    enum runs_role role = random_below(2) ? RUNS_CHILD : (enum runs_role)random_below(RUNS_ROLES);
    pid_t victim = runs_find("storm", role, random_below(1000));
    int blow = role != RUNS_MPIRUN && random_below(8) == 0 ? SIGSTOP : SIGKILL;

    if (!victim || kill(victim, blow))
        return false;
    f->blows[role]++;
    f->stops += blow == SIGSTOP;
    return true;
}

/* One command, struck until it ends or the storm is over; its exit status. */
static int one_run(const struct weather *w, struct figures *f, int *left)
{
    pid_t run = runs_start("storm.yaml", "storm", 2, w->patience);
    double limit = runs_clock() + 300 * RUNS_SLOWNESS;

    f->runs++;
    while (runs_clock() < limit) {
        int status;

        usleep(20000 + random_below((unsigned)(1e6 * w->pause))); /* often enough while it starts, and while it works */
        if (*left && strike(f))
            --*left;
        status = runs_poll(run);
        if (status >= 0)
            return status;
    }
    printf("a run hung: %s\n", runs_output("storm.txt"));
    return runs_wait(run, 1);
}

/* A stage that was struck too often is set aside, as it should be: make it eligible again. */
static int retry(const char *program, struct figures *f)
{
    char words[4200];

    f->retried++;
    snprintf(words, sizeof words, "%s retry storm", program);
    return runs_wait(runs_start_words(words, "retry.txt"), 30) ? 1 : 75;
}

/* Through the storm, and to the end of the last sweep; the exit status of the last run. */
static int weather(const char *program, const struct weather *w, struct figures *f, int left)
{
    int status = 75;

    while (status == 75 || (status == 0 && left)) {
        if (status == 0) { /* it got through: the storm is not over */
            const char *difference = runs_difference("storm", "calm");

            if (*difference) {
                printf("not the calm run's results: %s\n", difference);
                return 1;
            }
            runs_wait(runs_start_words("/bin/rm -rf storm", "rm.txt"), 10);
            f->sweeps++;
        }
        setenv("FAKE_SECONDS", left ? w->storm : w->calm, 1);
        status = one_run(w, f, &left);
        if (status == 1)
            status = retry(program, f);
    }
    return status;
}

int main(int argc, char **argv)
{
    bool is_real = argc > 4 && !strcmp(argv[4], "real");
    const struct weather *w = is_real ? &real : &fake;
    struct figures f = {.sweeps = 1};
    double start = runs_clock();
    int status, blows = argc > 2 ? atoi(argv[2]) : 0;
    const char *difference;
    FILE *out;

    if (argc < 4)
        return 2;
    setpriority(PRIO_PROCESS, 0, 5); /* others may want to work */
    state = strtoull(argv[3], NULL, 10) * 2654435761u + 1;
    if (is_real) {
        runs_use(argv[1]);
        if (!(out = fopen("storm.yaml", "w")) || fputs(real_sweep, out) < 0 || fclose(out))
            return 1;
    } else {
        runs_prepare(argv[1]);
        runs_write_sweep("storm.yaml", "storm", 3, fake_sweep);
    }
    runs_wait(runs_start_words("/bin/rm -rf calm storm", "rm.txt"), 10);
    setenv("FAKE_SECONDS", w->calm, 1);
    if (runs_wait(runs_start("storm.yaml", "calm", 2, 60), 300)) {
        printf("the calm run failed: %s\n", runs_output("calm.txt"));
        return 1;
    }
    status = weather(argv[1], w, &f, blows);
    difference = runs_difference("storm", "calm");
    printf("%d blows (children %d, workers %d, rank 0 %d, mpirun %d; %d of them SIGSTOP), %d runs of %d sweeps, %d "
           "times retried, "
           "%.0f s: status %d%s%s\n",
           blows, f.blows[RUNS_CHILD], f.blows[RUNS_WORKER], f.blows[RUNS_RANK_0], f.blows[RUNS_MPIRUN], f.stops,
           f.runs, f.sweeps, f.retried, runs_clock() - start, status,
           *difference ? ", not the calm run's results: " : ", the calm run's results", difference);
    if (status)
        printf("%s\n", runs_output("storm.txt"));
    return status || *difference || runs_alive("storm");
}
