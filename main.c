/* main.c - the front door: a table of commands, and the two doors between rooms that do not know each other.
 *
 * A command is a function of the room that can do it.  It parses its own arguments, prints its own results, and returns the
 * exit status of docs/interface.md. */
#include <stdio.h>
#include <string.h>

#include "analysis/commands.h"
#include "model/blas.h"
#include "orchestrator/batch.h"
#include "orchestrator/commands.h"
#include "orchestrator/recall.h"
#include "slurm/commands.h"
#include "slurm/jobs.h"
#include "slurm/remaining.h"
#include "slurm/submit.h"
#include "sweeps/commands.h"
#include "sweeps/nearest.h"
#include "worker/commands.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
    const char *summary;               /* NULL: not for users */
} commands[] = {
#define C(name, function, summary) {name, function, summary},
    ORCHESTRATOR_COMMANDS(C) SWEEPS_COMMANDS(C) SLURM_COMMANDS(C) ANALYSIS_COMMANDS(C) WORKER_COMMANDS(C)
#undef C
};

/* A run asks SLURM when its job ends, and status, watch and cancel which jobs there are; submit asks what earlier runs cost. */
static void open_doors(void)
{
    static const struct batch_system slurm = {remaining_end, jobs_show, jobs_print, jobs_cancel};

    batch_use(&slurm);
    submit_learn_from(recall_plan, recall_gflops);
}

static void usage(FILE *to)
{
    fputs("usage: sluice COMMAND [ARGUMENT ...]\n\n", to);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (commands[i].summary)
            fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\nEach command explains itself: sluice COMMAND --help\n", to);
}

static int unknown(const char *word)
{
    const char *names[sizeof commands / sizeof *commands], *near;
    size_t n = 0;

    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (commands[i].summary)
            names[n++] = commands[i].name;
    near = nearest_word(word, names, n);
    fprintf(stderr, "sluice: there is no command '%s'%s%s%s; see sluice --help\n", word, near ? "; did you mean '" : "",
            near ? near : "", near ? "'?" : "");
    return 2;
}

int main(int argc, char **argv)
{
    blas_choose_kernels(argv); /* may start this program anew, with the right kernels for this CPU */
    if (argc < 2) {
        usage(stderr);
        return 2;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        usage(stdout);
        return 0;
    }
    if (!strcmp(argv[1], "--version")) {
        puts("sluice " SLUICE_VERSION);
        return 0;
    }
    open_doors();
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(argv[1], commands[i].name))
            return commands[i].run(argc - 1, argv + 1);
    return unknown(argv[1]);
}
