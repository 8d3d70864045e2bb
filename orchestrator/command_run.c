/* orchestrator/command_run.c - `sluice run`: see run.h. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/commands.h"
#include "orchestrator/launch.h"
#include "orchestrator/run.h"

static const char help[] =
    "usage: sluice run SWEEP.yaml [KEY=VALUE ...] [--ranks N] [--threads N] [--out DIR] [--patience SECONDS]\n"
    "\n"
    "Runs the sweep: starts an MPI job on this machine, or in the SLURM allocation that it is in; started by mpirun "
    "or\n"
    "srun with several ranks, it joins that job.  The same command again continues where it stopped.\n"
    "\n"
    "  KEY=VALUE           set an option for every trial; KEY=A,B,C replaces an axis of the grid\n"
    "  --ranks N           worker ranks, beside rank 0 (default: the allocation's tasks, or this machine's cores)\n"
    "  --threads N         threads of each worker (default: resources.threads_per_rank, else cores / workers)\n"
    "  --out DIR           output folder (default: runs/<sweep name>)\n"
    "  --patience SECONDS  silence after which a worker or a trainer is given up (default: 60)\n"
    "\n"
    "Ctrl-C stops within five seconds and keeps what is finished.  Exit status: 0 all done, 1 some trials failed,\n"
    "2 nothing was started, 3 a file is damaged, 75 incomplete: run it again.\n"
    "\n"
    "example: sluice run sweeps/quickstart.yaml seed=0,1,2 --ranks 4\n";

enum { RANKS = 256, THREADS, OUT, PATIENCE, IN_JOB };

static const struct option options[] = {
    {"help", no_argument, NULL, 'h'},
    {"ranks", required_argument, NULL, RANKS},
    {"threads", required_argument, NULL, THREADS},
    {"out", required_argument, NULL, OUT},
    {"patience", required_argument, NULL, PATIENCE},
    {"in-job", required_argument, NULL, IN_JOB},
    {NULL, 0, NULL, 0},
};

static int number(const char *name, const char *text, double low, double high, double *out, err *e)
{
    char *end;

    *out = strtod(text, &end);
    if (end == text || *end || !(*out >= low && *out <= high))
        return err_set(e, ERR_USAGE, "--%s is '%s'; a number from %g to %g is expected", name, text, low, high);
    return 0;
}

/* One option; ERR_USAGE when it is wrong. */
static int take(struct run_options *o, int letter, err *e)
{
    double x = 0;

    switch (letter) {
    case RANKS:
        number("ranks", optarg, 1, 100000, &x, e);
        o->workers = (int)x;
        break;
    case THREADS:
        number("threads", optarg, 0, 4096, &x, e); /* 0: automatic */
        o->threads = (int)x;
        break;
    case PATIENCE:
        number("patience", optarg, 0.5, 86400, &o->patience, e);
        break;
    case OUT:
        o->out = optarg;
        break;
    case IN_JOB:
        o->outcome = optarg;
        break;
    default:
        err_set(e, ERR_USAGE, "see sluice run --help");
    }
    return e->code;
}

/* The command line as a shell would take it; malloc'd. */
static char *as_typed(int argc, char **argv)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=,:+@%";
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    fputs("sluice", out);
    for (int i = 0; i < argc; i++) {
        if (argv[i][0] && strspn(argv[i], plain) == strlen(argv[i])) {
            fprintf(out, " %s", argv[i]);
            continue;
        }
        fputs(" '", out);
        for (const char *c = argv[i]; *c; c++)
            fputs(*c == '\'' ? "'\\''" : (char[]){*c, 0}, out);
        fputc('\'', out);
    }
    fclose(out);
    return text;
}

int command_run(int argc, char **argv)
{
    struct run_options o = {.patience = 60};
    char *typed = as_typed(argc, argv);
    int letter, status;
    err e = {0};

    optind = 1;
    while (!e.code && (letter = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (letter == 'h') {
            fputs(help, stdout);
            free(typed);
            return 0;
        }
        take(&o, letter, &e);
    }
    if (!e.code && optind == argc)
        err_set(&e, ERR_USAGE, "which sweep?  See sluice run --help");
    if (e.code) {
        fprintf(stderr, "sluice run: %s\n", e.text);
        free(typed);
        return err_exit_status(e.code);
    }
    o.sweep = argv[optind];
    o.overrides = (const char *const *)argv + optind + 1;
    o.overrides_count = argc - optind - 1;
    o.command = typed ? typed : "the same command";
    status = launch_is_rank() ? run_rank(&o) : run_launch(&o);
    free(typed);
    return status;
}
