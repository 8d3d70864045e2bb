/* tests/storm/storm.c - a sweep run through a storm: processes of the job are killed at random moments, again and again, and
 * the same command is given again whenever it ends early.  In the end its tables and checkpoints must be those of a run in calm
 * weather, with no stage recorded twice.
 *
 *   storm FAKE_SLUICE KILLS [SEED]
 *
 * Victims are trainer children, worker ranks, rank 0 and mpirun; one blow in eight is SIGSTOP, a hang, instead of SIGKILL.
 * Prints what it did, as one line of figures. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runs.h"

static const double PATIENCE = 1.5;
static const char sweep[] = "grid:\n  gate.activation: [tanh, sigmoid, gelu]\n  prompt.length: [5, 10]\n  seed: 0..1\n";

static uint64_t state;

static unsigned random_below(unsigned n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)((state >> 20) % n);
}

struct figures {
    int blows[RUNS_ROLES], stops, runs, aside;
    double seconds;
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
static int one_run(struct figures *f, int *left)
{
    pid_t run = runs_start("storm.yaml", "storm", 2, PATIENCE);
    double limit = runs_clock() + 120;

    f->runs++;
    while (runs_clock() < limit) {
        int status;

        usleep(20000 + random_below(1600000)); /* often enough while it starts, and while it works */
        if (*left && strike(f))
            --*left;
        status = runs_poll(run);
        if (status >= 0)
            return status;
    }
    printf("a run hung: %s\n", runs_output("storm.txt"));
    return runs_wait(run, 1);
}

int main(int argc, char **argv)
{
    struct figures f = {0};
    double start = runs_clock();
    int left = argc > 2 ? atoi(argv[2]) : 0, total = left, status = 75;
    const char *difference;

    if (argc < 3)
        return 2;
    state = argc > 3 ? strtoull(argv[3], NULL, 10) * 2654435761u + 1 : (uint64_t)time(NULL) * 2654435761u + 1;
    runs_prepare(argv[1]);
    runs_write_sweep("storm.yaml", "storm", 3, sweep);
    runs_wait(runs_start_words("/bin/rm -rf calm storm", "rm.txt"), 10);
    setenv("FAKE_SECONDS", "0.01", 1);
    if (runs_run("storm.yaml", "calm", 2)) {
        printf("the calm run failed: %s\n", runs_output("calm.txt"));
        return 1;
    }
    for (int round = 0; left && status != 1; round++) {
        /* A sweep that got through is begun anew: the storm is not over. */
        if (status == 0 && *(difference = runs_difference("storm", "calm"))) {
            printf("not the calm run's results: %s\n", difference);
            return 1;
        }
        if (status == 0)
            runs_wait(runs_start_words("/bin/rm -rf storm", "rm.txt"), 10);
        setenv("FAKE_SECONDS", "0.05", 1);
        status = one_run(&f, &left);
    }
    setenv("FAKE_SECONDS", "0.01", 1);
    for (int i = 0; i < 20 && status == 75; i++)
        status = one_run(&f, &left);
    difference = runs_difference("storm", "calm");
    printf("%d blows (children %d, workers %d, rank 0 %d, mpirun %d; %d of them SIGSTOP), %d runs, %.0f s: status "
           "%d%s%s\n",
           total - left, f.blows[RUNS_CHILD], f.blows[RUNS_WORKER], f.blows[RUNS_RANK_0], f.blows[RUNS_MPIRUN], f.stops,
           f.runs, runs_clock() - start, status,
           *difference ? ", not the calm run's results: " : ", the calm run's results", difference);
    if (status)
        printf("%s\n", runs_output("storm.txt"));
    return status || *difference || runs_alive("storm");
}
