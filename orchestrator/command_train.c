/* orchestrator/command_train.c - `sluice train`: one trial in this process, without MPI. */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/alone.h"
#include "orchestrator/commands.h"
#include "orchestrator/lock.h"
#include "orchestrator/origin.h"

static const char help[] = "usage: sluice train TRIAL.yaml [KEY=VALUE ...] [--out DIR] [--threads N]\n"
                           "\n"
                           "Trains one trial in this process, without MPI, and evaluates it after each task.  "
                           "TRIAL.yaml is a sweep file that\n"
                           "stands for a single trial; KEY=VALUE sets an option, and can pick one trial of a grid.  "
                           "The output folder (default:\n"
                           "runs/<name>) is that of a sweep: results.h5, checkpoints, ledger.  The same command "
                           "continues an interrupted one.\n"
                           "\n"
                           "  --threads N   threads (default: all cores); the result does not depend on it\n"
                           "\n"
                           "example: sluice train sweeps/quickstart.yaml method=norga gate.activation=tanh "
                           "prompt.length=5 seed=0 --out runs/one\n";

static void print_number(double x)
{
    if (isnan(x))
        printf("       -");
    else
        printf(" %7.2f", x);
}

/* The accuracy matrix and the metrics. */
static int show(const struct study *s, err *e)
{
    struct trial_metrics m = results_metrics(&s->plan, 0, &s->history, e);
    const struct history_stage *stage;

    if (e->code)
        return e->code;
    puts("after task   accuracy on each task (%)");
    for (int i = 0; i < s->plan.stages_count; i++) {
        stage = history_find(&s->history, &s->plan.key[i]);
        for (int r = 0, printed = 0; stage && r < stage->accuracy_count; r++) {
            const struct accuracy_row *row = &stage->accuracy[r];

            if (strcmp(row->phase, "after"))
                continue;
            if (!printed++)
                printf("%10lld  ", (long long)row->after_task);
            print_number(row->accuracy);
            if (r + 1 == stage->accuracy_count)
                putchar('\n');
        }
    }
    printf("FAA %%");
    print_number(m.faa);
    printf("   CAA %%");
    print_number(m.caa);
    printf("   FFM %%");
    print_number(m.ffm);
    printf("   BWT %%");
    print_number(m.bwt);
    printf("   TII accuracy %%");
    print_number(m.tii_accuracy);
    printf("\nresults: %s\n", s->folder.results);
    return 0;
}

static int train(const char *path, const char *const *overrides, int count, const char *out, err *e)
{
    struct results_origin origin = origin_here();
    struct folder_lock lock = {.fd = -1};
    struct console console;
    struct study s;
    bool changed;

    if (!study_from_sweep(path, overrides, count, out, &s, e)) {
        if (s.plan.trials_count != 1)
            err_set(e, ERR_USAGE, "%s stands for %d trials; pick one with KEY=VALUE, or use sluice run", path,
                    s.plan.trials_count);
        else if (s.plan.missing_count)
            err_set(e, ERR_MISSING, "%s", s.plan.missing[0]);
    }
    if (!e->code && !folder_make(&s.folder, e) && !lock_take(s.folder.root, &lock, e) &&
        !folder_freeze(&s.folder, &s.sweep, path, &changed, e)) {
        console_open(&console, "train");
        alone_run(&s, &origin, &console, e);
        console_close(&console);
        if (!e->code)
            show(&s, e);
    }
    lock_release(&lock);
    study_close(&s);
    return e->code;
}

static bool is_count(const char *text)
{
    size_t n = strlen(text);

    return n >= 1 && n <= 3 && strspn(text, "0123456789") == n && *text != '0';
}

int command_train(int argc, char **argv)
{
    static const struct option options[] = {{"out", required_argument, NULL, 'o'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *out = NULL;
    err e = {0};
    int c;

    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1)
        switch (c) {
        case 'o':
            out = optarg;
            break;
        case 't':
            if (!is_count(optarg)) {
                fprintf(stderr, "sluice train: --threads '%s' is not a number from 1 to 999\n", optarg);
                return 2;
            }
            setenv("OMP_NUM_THREADS", optarg, 1);
            break;
        case 'h':
            fputs(help, stdout);
            return 0;
        default:
            return 2;
        }
    if (optind >= argc) {
        fputs("sluice train: give a trial file; see sluice train --help\n", stderr);
        return 2;
    }
    train(argv[optind], (const char *const *)argv + optind + 1, argc - optind - 1, out, &e);
    if (e.code)
        fprintf(stderr, "sluice train: %s%s\n", e.text,
                e.code == ERR_INTERRUPTED ? "; the same command continues" : "");
    return err_exit_status(e.code);
}
