/* orchestrator/run_launch.c - the part of a run outside the MPI job; see run.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "orchestrator/changes.h"
#include "orchestrator/launch.h"
#include "orchestrator/lock.h"
#include "orchestrator/origin.h"
#include "orchestrator/results.h"
#include "orchestrator/run.h"
#include "orchestrator/study.h"
#include "sweeps/plan_report.h"

enum { MOST_ARGUMENTS = 4000, MOST_FRUITLESS = 3 };

/* How rank 0 said that the job ended. */
struct outcome {
    bool told;
    enum err_code code;
    int no_workers;
    char text[1000];
};

static struct outcome read_outcome(const char *path)
{
    struct outcome o = {0};
    char name[32] = "";
    FILE *in = fopen(path, "re");

    if (!in)
        return o;
    if (fscanf(in, "%31s %d\n", name, &o.no_workers) == 2 && fgets(o.text, sizeof o.text, in)) {
        o.code = err_by_name(name);
        o.text[strcspn(o.text, "\n")] = 0;
        o.told = o.code < ERR_COUNT;
    }
    fclose(in);
    unlink(path);
    return o;
}

/* ------------------------------------------------------------------------------------------------ before */

static int check_missing(const struct plan *p, err *e)
{
    char text[sizeof e->text] = "";

    for (int i = 0; i < p->missing_count; i++) {
        size_t used = strlen(text);

        snprintf(text + used, sizeof text - used, "%s%s", used ? "; " : "", p->missing[i]);
    }
    return p->missing_count ? err_set(e, ERR_MISSING, "%s", text) : 0;
}

/* Say what the edit of a sweep means, if another one was run here before. */
static void tell_changes(const struct study *now)
{
    struct study before = {0};
    struct changes c;
    char *why = NULL;
    err e = {0};

    if (!access(now->folder.sweep, F_OK) && !study_from_folder(now->folder.root, &before, &e) &&
        !changes_between(&before.plan, &now->plan, &c, &e) &&
        (why = changes_why(&before.plan, &now->plan, &now->history))) {
        if (c.added || c.orphaned)
            fprintf(stderr,
                    "sluice run: the sweep was edited since it ran here: %d trials kept, %d added, %d orphaned (their "
                    "results stay in the ledger and are not shown)\n",
                    c.kept, c.added, c.orphaned);
        else if (*why)
            fputs("sluice run: results that other data, weights or code made are made again\n", stderr);
        for (char *rest = why, *line; (line = strsep(&rest, "\n")) && *line;)
            fprintf(stderr, "  %s\n", line);
    }
    free(why);
    study_close(&before);
}

static void tell_failures(const struct study *s)
{
    int told = 0;

    for (int t = 0; t < s->plan.trials_count && told < 10; t++) {
        const struct history_stage *known;
        char name[500];

        if (s->standing.trial[t] != TRIAL_FAILED)
            continue;
        known = history_find(&s->history, &s->plan.key[s->standing.culprit[t]]);
        study_trial_name(s, t, name, sizeof name);
        fprintf(stderr, "  %s: %s: %s\n", name, known ? cause_name(known->cause) : "?",
                known && known->text ? known->text : "");
        told++;
    }
    if (s->standing.counts[TRIAL_FAILED] > told)
        fprintf(stderr, "  and %d more\n", s->standing.counts[TRIAL_FAILED] - told);
    fprintf(stderr, "sluice run: `sluice retry %s` makes them eligible again; `sluice why %s TRIAL` says more\n",
            s->folder.root, s->folder.root);
}

/* "all 9 trials are done", "3 of 9 trials are done, 6 were stopped early" */
static void done_text(const struct study *s, char *text, size_t size)
{
    int done = s->standing.counts[TRIAL_DONE], pruned = s->standing.counts[TRIAL_PRUNED];

    if (pruned)
        snprintf(text, size, "%d of %d trials are done, %d were stopped early", done, s->plan.trials_count, pruned);
    else
        snprintf(text, size, "all %d trials are done", done);
}

static bool is_newer(const struct stat *a, const struct stat *b)
{
    return a->st_mtim.tv_sec > b->st_mtim.tv_sec ||
           (a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec >= b->st_mtim.tv_nsec);
}

/* A run that was killed, or met a full disk, at its very end may have left results.h5 behind the ledger. */
static void refresh_results(const struct study *s)
{
    const struct results_origin origin = origin_here();
    struct folder_lock lock;
    struct stat facts, tables;
    err e = {0};

    if (stat(s->folder.ledger, &facts) || (!stat(s->folder.results, &tables) && is_newer(&tables, &facts)) ||
        lock_take(s->folder.root, &lock, &e))
        return;
    if (results_make(&s->plan, &s->folder, &s->history, &s->standing, &origin, &e))
        fprintf(stderr, "sluice run: results.h5 was not made: %s\n", e.text);
    lock_release(&lock);
}

/* Nothing left to do?  Says so, and returns true with the exit status. */
static bool is_settled(const struct study *s, int *status)
{
    char text[100];
    err e = {0};

    switch (standing_verdict(&s->standing, &s->plan, &e)) {
    case ERR_NONE:
        refresh_results(s);
        done_text(s, text, sizeof text);
        printf("%s is finished: %s; results: %s\n", s->sweep.setting[SETTING_NAME].text, text, s->folder.results);
        *status = 0;
        return true;
    case ERR_WORKER:
        fprintf(stderr, "sluice run: nothing is left to run: %s\n", e.text);
        refresh_results(s);
        tell_failures(s);
        *status = err_exit_status(ERR_WORKER);
        return true;
    default:
        return false;
    }
}

static int check_lock(const struct folder *f, err *e)
{
    struct folder_lock lock;

    if (!lock_take(f->root, &lock, e))
        lock_release(&lock);
    return e->code;
}

/* ------------------------------------------------------------------------------------------------ the job */

/* The arguments of the ranks: our own, with where to tell the outcome. */
static void rank_arguments(const struct run_options *o, const char *outcome, const char **to, char numbers[2][32])
{
    int n = 0;

    snprintf(numbers[0], 32, "%d", o->threads);
    snprintf(numbers[1], 32, "%g", o->patience);
    to[n++] = "run";
    to[n++] = o->sweep;
    for (int i = 0; i < o->overrides_count; i++)
        to[n++] = o->overrides[i];
    if (o->out) {
        to[n++] = "--out";
        to[n++] = o->out;
    }
    to[n++] = "--threads";
    to[n++] = numbers[0];
    to[n++] = "--patience";
    to[n++] = numbers[1];
    to[n++] = "--in-job";
    to[n++] = outcome;
    to[n] = NULL;
}

static int count_finished(const struct study *s)
{
    int n = 0;

    for (int i = 0; i < s->plan.stages_count; i++)
        n += s->standing.finished[i];
    return n;
}

/* One MPI job, and what it came to.  e: it could not be started, or the ledger cannot be read. */
static int one_job(const struct run_options *o, struct study *s, bool *stopped, struct outcome *end, err *e)
{
    const char *arguments[MOST_ARGUMENTS];
    char numbers[2][32], path[FOLDER_PATH + 64];
    struct launch_options launch = {.folder = &s->folder,
                                    .workers = o->workers,
                                    .silence = 2 * o->patience + 10,
                                    .outcome = path,
                                    .arguments = arguments};

    if (o->overrides_count > MOST_ARGUMENTS - 20)
        return err_set(e, ERR_USAGE, "more than %d overrides", MOST_ARGUMENTS - 20);
    snprintf(path, sizeof path, "%s/outcome.%d.tmp", s->folder.log, (int)getpid());
    rank_arguments(o, path, arguments, numbers);
    if (launch_run(&launch, stopped, e))
        return e->code;
    *end = read_outcome(path);
    return study_refresh(s, e);
}

/* Jobs, one after the other, until the sweep is done, or stopped, or there is no use in going on. */
static int run_jobs(const struct run_options *o, struct study *s, err *e)
{
    bool stopped = false;
    int fruitless = 0, status;

    for (;;) {
        int before = count_finished(s);
        struct outcome end = {0};

        if (one_job(o, s, &stopped, &end, e))
            return e->code;
        if (access(s->folder.log, F_OK)) /* nor is it made again: it may only be away for a while */
            return err_set(e, ERR_STORAGE, "%s: the output folder has vanished; what was finished is in it",
                           s->folder.root);
        if (end.told && end.code && end.code != ERR_WORKER && end.code != ERR_INTERRUPTED)
            return err_set(e, end.code, "%s", end.text);
        status = standing_verdict(&s->standing, &s->plan, e);
        if (status != ERR_INTERRUPTED)
            return status;
        if (stopped || (end.told && !end.no_workers))
            return *end.text ? err_set(e, ERR_INTERRUPTED, "%s", end.text) : err_context(e, "stopped");
        fruitless = count_finished(s) > before ? 0 : fruitless + 1;
        if (fruitless == MOST_FRUITLESS)
            return err_context(e, "the MPI job died %d times without finishing a stage (see %s); stopped", fruitless,
                               s->folder.log);
        fprintf(stderr, "sluice run: %s; starting the MPI job again\n", end.told ? end.text : "the MPI job died");
        *e = (err){0};
    }
}

/* ------------------------------------------------------------------------------------------------ after */

static void report(const struct study *s)
{
    const char *const arguments[] = {"sluice", "report", s->folder.root, "--table", "ablation", NULL};

    if (s->standing.counts[TRIAL_DONE])
        launch_command(arguments);
}

static int tell_end(const struct run_options *o, const struct study *s, const err *e)
{
    char text[100];

    done_text(s, text, sizeof text);
    fprintf(stderr, "sluice run: %s\n", e->code ? e->text : text);
    if (!e->code || e->code == ERR_WORKER) {
        refresh_results(s); /* rank 0 may have died just before it */
        report(s);
        printf("results: %s\n", s->folder.results);
    }
    if (e->code == ERR_WORKER)
        tell_failures(s);
    if (err_exit_status(e->code) == 75)
        fprintf(stderr, "sluice run: to continue: %s\n", o->command);
    return err_exit_status(e->code);
}

int run_launch(const struct run_options *options)
{
    struct run_options o = *options;
    struct study s;
    int status = 0;
    bool settled = false;
    err e = {0};

    if (!study_from_sweep(o.sweep, o.overrides, o.overrides_count, o.out, &s, &e) && !check_missing(&s.plan, &e)) {
        plan_tell_warnings(&s.plan, "run");
        tell_changes(&s);
        settled = is_settled(&s, &status);
    }
    if (!e.code && !settled) {
        if (!o.workers)
            o.workers = launch_default_workers();
        if (!launch_check(&e) && !folder_make(&s.folder, &e) && !check_lock(&s.folder, &e)) {
            fprintf(stderr, "sluice run: %s: %d trials, %d stages, %d workers; output in %s\n",
                    s.sweep.setting[SETTING_NAME].text, s.plan.trials_count, s.plan.stages_count, o.workers,
                    s.folder.root);
            run_jobs(&o, &s, &e);
            status = tell_end(&o, &s, &e);
            settled = true;
        }
    }
    if (!settled) {
        fprintf(stderr, "sluice run: %s\n", e.text);
        status = err_exit_status(e.code);
    }
    study_close(&s);
    return status;
}
