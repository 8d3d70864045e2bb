/* orchestrator/command_status.c - `sluice status` and `sluice watch`: how a sweep stands, once and live. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "orchestrator/arguments.h"
#include "orchestrator/commands.h"
#include "orchestrator/live.h"
#include "orchestrator/lock.h"
#include "orchestrator/study.h"

static const char status_help[] =
    "usage: sluice status DIR [--json]\n"
    "\n"
    "How the sweep in this output folder stands: trials, stages, workers, what went wrong, time left.\n"
    "\n"
    "example: sluice status runs/quickstart\n";

static const char watch_help[] = "usage: sluice watch DIR\n"
                                 "\n"
                                 "sluice status, kept up to date until the run ends.  Ctrl-C leaves; the run goes on.\n"
                                 "\n"
                                 "example: sluice watch runs/quickstart\n";

/* Somebody holds the folder's lock, here or elsewhere. */
static bool is_running(const struct folder *f)
{
    struct folder_lock lock;
    err e = {0};

    if (access(f->root, W_OK) || access(f->ledger, F_OK))
        return false;
    if (lock_take(f->root, &lock, &e))
        return e.code == ERR_BUSY;
    lock_release(&lock);
    return false;
}

static void add_failures(const struct study *s, struct live *l)
{
    for (int t = 0; t < s->plan.trials_count && l->troubles_count < LIVE_TROUBLES; t++) {
        const struct history_stage *known;
        struct live_trouble *out;

        if (s->standing.trial[t] != TRIAL_FAILED)
            continue;
        known = history_find(&s->history, &s->plan.key[s->standing.culprit[t]]);
        out = &l->trouble[l->troubles_count++];
        snprintf(out->label, sizeof out->label, "trial %d", t);
        snprintf(out->cause, sizeof out->cause, "%s", known ? cause_name(known->cause) : "");
        snprintf(out->text, sizeof out->text, "%s", known && known->text ? known->text : "");
    }
}

/* From the ledger, when nothing runs. */
static int from_ledger(const struct folder *f, struct live *l, err *e)
{
    struct study s;

    *l = (struct live){.eta = NAN};
    if (!study_from_folder(f->root, &s, e)) {
        const struct standing *st = &s.standing;
        err verdict = {0};

        standing_verdict(st, &s.plan, &verdict);
        snprintf(l->sweep, sizeof l->sweep, "%s", s.sweep.setting[SETTING_NAME].text);
        snprintf(l->state, sizeof l->state, "%s",
                 !verdict.code                ? "finished"
                 : verdict.code == ERR_WORKER ? "failed"
                                              : "incomplete");
        if (verdict.code == ERR_INTERRUPTED)
            snprintf(l->message, sizeof l->message, "not running; run it again to continue");
        l->begun = s.history.begun;
        l->now = s.history.ended;
        l->trials = s.plan.trials_count;
        l->trials_done = st->counts[TRIAL_DONE];
        l->trials_failed = st->counts[TRIAL_FAILED];
        l->trials_pruned = st->counts[TRIAL_PRUNED];
        l->stages = s.plan.stages_count;
        l->stages_blocked = st->blocked;
        for (int i = 0; i < s.plan.stages_count; i++) {
            const struct history_stage *known = history_find(&s.history, &s.plan.key[i]);

            l->stages_done += st->finished[i];
            l->stages_aside += known && known->aside;
        }
        l->stages_reused = l->stages_done;
        add_failures(&s, l);
    }
    study_close(&s);
    return e->code;
}

static int look(const struct folder *f, struct live *l, err *e)
{
    err ignored = {0};

    if (is_running(f) && !live_read(f->live, l, &ignored))
        return 0;
    return from_ledger(f, l, e);
}

int command_status(int argc, char **argv)
{
    static const char *const flags[] = {"json", NULL};
    struct arguments a;
    struct folder f;
    struct live l = {0};
    int status;
    err e = {0};

    if (!arguments_read(argc, argv, status_help, flags, &a, &status))
        return status;
    if (folder_name(a.folder, "", &f, &e) || folder_check(&f, &e) || look(&f, &l, &e))
        return arguments_fail(argv, &e);
    if (a.flag[0])
        live_print(&l, stdout);
    else
        live_screen(&l, stdout);
    live_free(&l);
    return 0;
}

int command_watch(int argc, char **argv)
{
    static const char *const flags[] = {NULL};
    struct arguments a;
    struct folder f;
    int status;
    bool over = false;
    err e = {0};

    if (!arguments_read(argc, argv, watch_help, flags, &a, &status))
        return status;
    if (folder_name(a.folder, "", &f, &e) || folder_check(&f, &e))
        return arguments_fail(argv, &e);
    while (!over && !e.code) {
        struct live l = {0};

        over = !is_running(&f);
        if (!look(&f, &l, &e)) {
            if (isatty(STDOUT_FILENO))
                fputs("\033[H\033[J", stdout);
            live_screen(&l, stdout);
            fflush(stdout);
        }
        live_free(&l);
        if (!over)
            nanosleep(&(struct timespec){isatty(STDOUT_FILENO) ? 1 : 10, 0}, NULL);
    }
    return e.code ? arguments_fail(argv, &e) : 0;
}
