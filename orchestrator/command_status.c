/* orchestrator/command_status.c - `sluice status` and `sluice watch`: how a sweep stands, once and live. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "orchestrator/adopt.h"
#include "orchestrator/arguments.h"
#include "orchestrator/batch.h"
#include "orchestrator/commands.h"
#include "orchestrator/live.h"
#include "orchestrator/lock.h"
#include "orchestrator/study.h"

static const char status_help[] = "usage: sluice status DIR [--json]\n"
                                  "\n"
                                  "How the sweep in this output folder stands: trials, stages, workers, what went "
                                  "wrong, time left; its shards; its jobs of\n"
                                  "SLURM, why they wait and how long they may run.\n"
                                  "\n"
                                  "example: sluice status runs/quickstart\n";

static const char watch_help[] =
    "usage: sluice watch DIR\n"
    "\n"
    "sluice status, kept up to date until nothing runs and no job waits.  Ctrl-C leaves; the run goes on.\n"
    "\n"
    "example: sluice watch runs/quickstart\n";

enum { JOBS_SECONDS = 15 }; /* between two questions to the batch system */

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

/* ------------------------------------------------------------------------------------------------ a folder and what is in it */

static bool has_begun(const struct folder *f)
{
    return !access(f->sweep, F_OK) || !access(f->ledger, F_OK);
}

/* A sweep's folder, a folder with shards of one, or one for which a job was submitted. */
static int find_folder(const char *given, struct folder *f, err *e)
{
    if (folder_name(given, "", f, e) || has_begun(f) || !access(f->jobs, F_OK) || adopt_each_shard(f->root, NULL, NULL))
        return e->code;
    return folder_check(f, e);
}

/* Looking at shards, one after the other. */
struct shards {
    FILE *out;    /* a line for each goes here, */
    json_t *list; /* or an object in here; NULL */
    bool running; /* one of them is */
};

static void look_at_shard(void *context, const char *path, int index, int count)
{
    struct shards *s = context;
    struct live l = {0};
    struct folder f;
    char line[256];
    err e = {0};

    if (folder_name(path, "", &f, &e) || !has_begun(&f))
        snprintf(l.state, sizeof l.state, "waiting");
    else if (look(&f, &l, &e))
        snprintf(l.state, sizeof l.state, "unreadable");
    s->running |= !e.code && has_begun(&f) && is_running(&f);
    live_line(&l, line, sizeof line);
    if (s->list)
        json_array_append_new(s->list, json_pack("{s:i, s:i, s:s, s:i, s:i, s:i}", "shard", index, "of", count, "state",
                                                 l.state, "trials", l.trials, "trials_done", l.trials_done,
                                                 "trials_failed", l.trials_failed));
    else if (s->out && *l.sweep)
        fprintf(s->out, "shard %d of %d is %s: %s\n", index, count, l.state, line);
    else if (s->out)
        fprintf(s->out, "shard %d of %d is %s%s%s\n", index, count, l.state, e.code ? ": " : "", e.text);
    live_free(&l);
}

/* What the batch system knows, as text or as JSON; malloc'd, NULL when memory is out. */
static char *ask_batch(const struct folder *f, bool json)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    if (json)
        batch_print_jobs(f->root, out);
    else
        batch_show_jobs(f->root, out);
    return fclose(out) ? NULL : text;
}

/* To shards->out. */
static int show_text(const struct folder *f, const char *jobs, struct shards *shards, err *e)
{
    struct live l = {0};

    if (has_begun(f) && !look(f, &l, e))
        live_screen(&l, shards->out);
    live_free(&l);
    if (!e->code && !adopt_each_shard(f->root, look_at_shard, shards) && !has_begun(f))
        fputs("it has not begun\n", shards->out);
    if (!e->code && jobs)
        fputs(jobs, shards->out);
    return e->code;
}

/* Over what the terminal shows, line by line, so that nothing flickers; what would not fit, in height or in width, is left out. */
static void paint(char *text)
{
    struct winsize w = {0};
    int rows = 24, columns = 80;

    if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) && w.ws_row && w.ws_col) {
        rows = w.ws_row;
        columns = w.ws_col;
    }
    fputs("\033[H", stdout);
    for (char *line; rows > 1 && text && *text && (line = strsep(&text, "\n")); rows--)
        printf("%.*s\033[K\n", columns, line);
    fputs("\033[J", stdout);
    if (text && *text)
        fputs("  ...", stdout);
    fflush(stdout);
}

/* The object of live.json, with "jobs" and "shards". */
static int show_json(const struct folder *f, err *e)
{
    char *text = NULL, *jobs = ask_batch(f, true);
    size_t size;
    FILE *out = open_memstream(&text, &size);
    struct shards shards = {.list = json_array()};
    struct live l = {.eta = NAN};
    json_t *whole = NULL;

    if (!out || !jobs)
        err_set(e, ERR_NOMEM, "out of memory");
    else if (!has_begun(f) || !look(f, &l, e)) {
        if (!has_begun(f))
            snprintf(l.state, sizeof l.state, "waiting");
        live_print(&l, out);
        fflush(out);
        adopt_each_shard(f->root, look_at_shard, &shards);
        whole = json_loads(text, 0, NULL);
        json_object_set_new(whole, "jobs", json_loads(jobs, 0, NULL));
        json_object_set(whole, "shards", shards.list);
        json_dumpf(whole, stdout, JSON_INDENT(1));
        putchar('\n');
    }
    if (out)
        fclose(out);
    json_decref(whole);
    json_decref(shards.list);
    live_free(&l);
    free(text);
    free(jobs);
    return e->code;
}

/* ------------------------------------------------------------------------------------------------ the commands */

int command_status(int argc, char **argv)
{
    static const char *const flags[] = {"json", NULL};
    struct shards shards = {.out = stdout};
    struct arguments a;
    struct folder f;
    char *jobs;
    int status;
    err e = {0};

    if (!arguments_read(argc, argv, status_help, flags, &a, &status))
        return status;
    if (find_folder(a.folder, &f, &e))
        return arguments_fail(argv, &e);
    if (a.flag[0]) {
        show_json(&f, &e);
    } else {
        jobs = ask_batch(&f, false);
        show_text(&f, jobs, &shards, &e);
        free(jobs);
    }
    return e.code ? arguments_fail(argv, &e) : 0;
}

/* Show it again and again, until nothing runs and no job is there any more; the batch system is asked more rarely. */
static int watch(const struct folder *f, err *e)
{
    const int pause = isatty(STDOUT_FILENO) ? 1 : 10;
    char *jobs = NULL;
    bool over = false;

    for (int age = JOBS_SECONDS; !over && !e->code; age += pause) {
        char *text = NULL;
        size_t size;
        struct shards shards = {.out = open_memstream(&text, &size)};
        bool running = is_running(f);

        if (!shards.out) {
            err_set(e, ERR_NOMEM, "out of memory");
            break;
        }
        if (age >= JOBS_SECONDS || !running) {
            free(jobs);
            jobs = ask_batch(f, false);
            age = 0;
        }
        show_text(f, jobs, &shards, e);
        fclose(shards.out);
        over = !running && !shards.running && (!jobs || !*jobs);
        if (isatty(STDOUT_FILENO) && !over)
            paint(text);
        else
            printf("%s%s", isatty(STDOUT_FILENO) ? "\033[H\033[J" : "", text);
        fflush(stdout);
        free(text);
        if (!over && !e->code)
            nanosleep(&(struct timespec){running ? pause : JOBS_SECONDS, 0}, NULL);
    }
    free(jobs);
    return e->code;
}

int command_watch(int argc, char **argv)
{
    static const char *const flags[] = {NULL};
    struct arguments a;
    struct folder f;
    int status;
    err e = {0};

    if (!arguments_read(argc, argv, watch_help, flags, &a, &status))
        return status;
    return find_folder(a.folder, &f, &e) || watch(&f, &e) ? arguments_fail(argv, &e) : 0;
}
