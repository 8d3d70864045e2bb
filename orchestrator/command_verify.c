/* orchestrator/command_verify.c - `sluice verify`: ledger, digests and files against each other. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/h5.h"
#include "io/store.h"
#include "orchestrator/arguments.h"
#include "orchestrator/changes.h"
#include "orchestrator/commands.h"
#include "orchestrator/lock.h"
#include "orchestrator/origin.h"
#include "orchestrator/study.h"

static const char help[] = "usage: sluice verify DIR [--rebuild] [--salvage]\n"
                           "\n"
                           "Checks the ledger's checksums, every checkpoint's content against the digest in the "
                           "ledger, and results.h5 against the\n"
                           "ledger.  Nothing is changed, except with\n"
                           "\n"
                           "  --rebuild   make results.h5 anew from the ledger\n"
                           "  --salvage   of a damaged ledger, keep every record that is whole; the damaged one stays "
                           "beside it.  What was lost\n"
                           "              is run again by the next `sluice run`\n"
                           "\n"
                           "Exit status 0 if all is well, 3 if something is damaged.\n"
                           "\n"
                           "example: sluice verify runs/quickstart --rebuild\n";

enum { REBUILD, SALVAGE };

/* Problems found, told as they are found. */
struct findings {
    int problems;
};

__attribute__((format(printf, 2, 3))) static void found(struct findings *f, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("damaged: ", stdout);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
    f->problems++;
}

static void check_checkpoint(const struct study *s, int stage, struct findings *f)
{
    const struct history_stage *known = history_find(&s->history, &s->plan.key[stage]);
    char hex[DIGEST_HEX], path[FOLDER_PATH + 64];
    struct digest recorded;
    h5 *file = NULL;
    err e = {0};

    digest_to_hex(&s->plan.key[stage], hex);
    snprintf(path, sizeof path, "%s/%s.h5", s->folder.checkpoints, hex);
    if (h5_open(path, &file, &e) || h5_verify(file, &e) || h5_digest(file, &recorded, &e))
        found(f, "%s (the next run makes it again if it is needed)", e.text);
    else if (!digest_equal(&recorded, &known->checkpoint))
        found(f, "%s: its content is whole, but not what the ledger speaks of", path);
    h5_close(file);
}

static void check_results(const struct study *s, struct findings *f)
{
    struct results r = {0};
    err e = {0};

    if (results_read(s->folder.results, &r, &e)) {
        found(f, "%s; `sluice verify --rebuild` makes it anew", e.text);
    } else if (r.trials_count != (size_t)s->plan.trials_count ||
               r.attempts_count != (size_t)s->history.attempts_count) {
        found(f, "%s: %zu trials and %zu attempts, the ledger has %d and %d; `sluice verify --rebuild` makes it anew",
              s->folder.results, r.trials_count, r.attempts_count, s->plan.trials_count, s->history.attempts_count);
    } else {
        for (int t = 0; t < s->plan.trials_count && !e.code; t++) {
            struct trial_metrics m = results_metrics(&s->plan, t, &s->history, &e);
            struct trial_metrics stored = metrics_of_row(&r.trials[t]);

            if (!metrics_equal(&m, &stored))
                found(f, "%s: the numbers of trial %d are not those of the ledger", s->folder.results, t);
        }
    }
    results_free(&r);
}

/* Finished stages that the sweep, as it is planned today, does not have: no damage, but their trials are missed in results.h5. */
static void tell_unused(const struct study *s)
{
    char *why = changes_why(&s->plan, &s->plan, &s->history);
    int finished = 0;

    for (int i = 0; i < s->history.stages_count; i++)
        finished += s->history.stages[i].finished;
    for (int i = 0; i < s->plan.stages_count; i++)
        finished -= s->standing.finished[i];
    if (finished > 0)
        printf("%d finished stages are of no use to the sweep as it is: it was edited, or other data, weights or code "
               "made "
               "them\n",
               finished);
    for (char *rest = why, *line; finished > 0 && (line = strsep(&rest, "\n")) && *line;)
        printf("  %s\n", line);
    free(why);
}

static void check_all(const struct study *s, struct findings *f)
{
    int checkpoints = 0;

    if (s->history.doubles)
        found(f, "%s: %d stages are recorded as finished twice", s->folder.ledger, s->history.doubles);
    for (int i = 0; i < s->plan.stages_count; i++)
        if (s->standing.finished[i]) {
            check_checkpoint(s, i, f);
            checkpoints++;
        }
    check_results(s, f);
    printf("ledger: %llu records%s; %d checkpoints and results.h5 compared with it\n",
           (unsigned long long)s->ledger.records, s->ledger.torn ? ", and a torn tail that the next run drops" : "",
           checkpoints);
    tell_unused(s);
}

static int salvage(const struct folder *f, err *e)
{
    char damaged[FOLDER_PATH + 64], aside[FOLDER_PATH + 64];
    struct ledger_salvage s;

    snprintf(damaged, sizeof damaged, "%s.damaged-%lld", f->ledger, (long long)time(NULL));
    snprintf(aside, sizeof aside, "%s.salvaged", f->ledger);
    if (ledger_salvage(f->ledger, aside, &s, e))
        return e->code;
    if (link(f->ledger, damaged) || rename(aside, f->ledger))
        return err_errno(e, "%s", f->ledger);
    printf("ledger: %llu records kept, %llu bytes lost in %llu places; the damaged one is %s\n",
           (unsigned long long)s.kept, (unsigned long long)s.lost_bytes, (unsigned long long)s.holes, damaged);
    return 0;
}

static int verify(const struct arguments *a, struct findings *f, err *e)
{
    struct folder_lock lock = {.fd = -1};
    struct folder folder;
    struct study s = {0};

    if (folder_name(a->folder, "", &folder, e) || folder_check(&folder, e))
        return e->code;
    if ((a->flag[REBUILD] || a->flag[SALVAGE]) && lock_take(folder.root, &lock, e))
        return e->code;
    if ((!a->flag[SALVAGE] || !salvage(&folder, e)) && !study_from_folder(a->folder, &s, e)) {
        const struct results_origin origin = origin_here();

        if (a->flag[REBUILD] && !results_make(&s.plan, &s.folder, &s.history, &s.standing, &origin, e))
            printf("results.h5 is made anew\n");
        if (!e->code)
            check_all(&s, f);
    }
    study_close(&s);
    lock_release(&lock);
    return e->code;
}

int command_verify(int argc, char **argv)
{
    static const char *const flags[] = {"rebuild", "salvage", NULL};
    struct findings f = {0};
    struct arguments a;
    int status;
    err e = {0};

    if (!arguments_read(argc, argv, help, flags, &a, &status))
        return status;
    if (verify(&a, &f, &e))
        return arguments_fail(argv, &e);
    puts(f.problems ? "not all is well" : "all is well");
    return f.problems ? err_exit_status(ERR_DAMAGED) : 0;
}
