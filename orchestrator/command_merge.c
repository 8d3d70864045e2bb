/* orchestrator/command_merge.c - `sluice merge`: see merge.h. */
#include <getopt.h>
#include <stdio.h>

#include "orchestrator/commands.h"
#include "orchestrator/merge.h"

static const char help[] = "usage: sluice merge DIR... [--out DIR]\n"
                           "\n"
                           "Brings the shards of a sweep together: one folder whose ledger, checkpoints and results.h5 "
                           "are those of a run of the\n"
                           "whole sweep.  DIR holds shards (shard-1-of-3, ...), or is one of them.  The shards are "
                           "only read; merging again adds\n"
                           "what they have finished since.\n"
                           "\n"
                           "  --out DIR   where to (default: DIR itself, if it is one folder that holds shards)\n"
                           "\n"
                           "Exit status: 0 all trials are done, 1 some have failed, 75 some are not finished yet.\n"
                           "\n"
                           "example: sluice merge runs/quickstart\n";

static int tell(const struct study *whole, const struct merge_report *r)
{
    const struct standing *s = &whole->standing;
    err e = {0};

    printf("%d of %d shards, %d stages taken over now: %d of %d trials are done; results: %s\n", r->present, r->shards,
           r->stages, s->counts[TRIAL_DONE], whole->plan.trials_count, whole->folder.results);
    if (*r->absent)
        fprintf(stderr, "sluice merge: not there: shard %s of %d\n", r->absent, r->shards);
    if (standing_verdict(s, &whole->plan, &e))
        fprintf(stderr, "sluice merge: %s\n", e.text);
    return err_exit_status(e.code);
}

int command_merge(int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'}, {"out", required_argument, NULL, 'o'}, {NULL, 0, NULL, 0}};
    const char *out = NULL;
    struct merge_report report;
    struct study whole = {0};
    int letter, status;
    err e = {0};

    optind = 1;
    while (!e.code && (letter = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (letter == 'h') {
            fputs(help, stdout);
            return 0;
        }
        if (letter == 'o')
            out = optarg;
        else
            err_set(&e, ERR_USAGE, "see sluice merge --help");
    }
    if (!e.code && optind == argc)
        err_set(&e, ERR_USAGE, "which folder?  See sluice merge --help");
    if (!e.code)
        merge((const char *const *)argv + optind, argc - optind, out, &whole, &report, &e);
    if (e.code) {
        fprintf(stderr, "sluice merge: %s\n", e.text);
        status = err_exit_status(e.code);
    } else {
        status = tell(&whole, &report);
    }
    study_close(&whole);
    return status;
}
