/* orchestrator/command_run.c - `sluice run`: see run.h. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/commands.h"
#include "orchestrator/launch.h"
#include "orchestrator/run.h"
#include "sweeps/shard.h"

static const char help[] =
    "usage: sluice run SWEEP.yaml [KEY=VALUE ...] [--ranks N] [--threads N] [--out DIR] [--shard K/N] [--patience "
    "SECONDS]\n"
    "\n"
    "Runs the sweep: starts an MPI job on this machine, or in the SLURM allocation that it is in; started by mpirun "
    "or\n"
    "srun with several ranks, it joins that job.  The same command again continues where it stopped.\n"
    "\n"
    "  KEY=VALUE           set an option for every trial; KEY=A,B,C replaces an axis of the grid\n"
    "  --ranks N           worker ranks, beside rank 0 (default: the allocation's tasks, or this machine's cores)\n"
    "  --threads N         threads of each worker (default: resources.threads_per_rank, else cores / workers)\n"
    "  --out DIR           output folder (default: runs/<sweep name>)\n"
    "  --shard K/N         the K-th of N parts of the sweep, in the folder shard-K-of-N of the output folder; stages "
    "that "
    "other\n"
    "                      parts have finished are taken over; sluice merge brings the parts together\n"
    "  --patience SECONDS  silence after which a worker or a trainer is given up (default: 60)\n"
    "\n"
    "Ctrl-C stops within five seconds and keeps what is finished.  Exit status: 0 all done, 1 some trials failed,\n"
    "2 nothing was started, 3 a file is damaged, 75 incomplete: run it again.\n"
    "\n"
    "example: sluice run sweeps/quickstart.yaml seed=0,1,2 --ranks 4\n";

enum { RANKS = 256, THREADS, OUT, SHARD, PATIENCE, IN_JOB };

static const struct option options[] = {
    {"help", no_argument, NULL, 'h'},
    {"ranks", required_argument, NULL, RANKS},
    {"threads", required_argument, NULL, THREADS},
    {"out", required_argument, NULL, OUT},
    {"shard", required_argument, NULL, SHARD},
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

/* What --shard says, as overrides of the sweep. */
struct shard_overrides {
    bool given;
    char text[2][32];
};

static int take_shard(struct shard_overrides *s, err *e)
{
    int index, count;

    if (shard_parse(optarg, &index, &count, e))
        return err_context(e, "--shard");
    s->given = true;
    snprintf(s->text[0], sizeof s->text[0], "shard.index=%d", index);
    snprintf(s->text[1], sizeof s->text[1], "shard.count=%d", count);
    return 0;
}

/* One option; ERR_USAGE when it is wrong. */
static int take(struct run_options *o, struct shard_overrides *shard, int letter, err *e)
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
    case SHARD:
        take_shard(shard, e);
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

/* The sweep, its overrides and the shard's.  *overrides: the list, malloc'd. */
static int take_words(struct run_options *o, int argc, char **argv, const struct shard_overrides *shard,
                      const char ***overrides, err *e)
{
    int n = 0;

    if (optind == argc)
        return err_set(e, ERR_USAGE, "which sweep?  See sluice run --help");
    o->sweep = argv[optind];
    if (!(*overrides = malloc((size_t)(argc + 2) * sizeof **overrides)))
        return err_set(e, ERR_NOMEM, "out of memory");
    for (int i = optind + 1; i < argc; i++)
        (*overrides)[n++] = argv[i];
    for (int i = 0; i < 2 && shard->given; i++)
        (*overrides)[n++] = shard->text[i];
    o->overrides = *overrides;
    o->overrides_count = n;
    return 0;
}

int command_run(int argc, char **argv)
{
    struct run_options o = {.patience = 60};
    struct shard_overrides shard = {0};
    const char **overrides = NULL;
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
        take(&o, &shard, letter, &e);
    }
    if (e.code || take_words(&o, argc, argv, &shard, &overrides, &e)) {
        fprintf(stderr, "sluice run: %s\n", e.text);
        free(typed);
        return err_exit_status(e.code);
    }
    o.command = typed ? typed : "the same command";
    status = launch_is_rank() ? run_rank(&o) : run_launch(&o);
    free(overrides);
    free(typed);
    return status;
}
