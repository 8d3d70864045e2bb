/* orchestrator/leader.c - see leader.h. */
#include "orchestrator/leader.h"

#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "orchestrator/leader_private.h"

enum { LOG_LIMIT = 4 << 20 };
static const double SYNC_SECONDS = 0.02; /* facts of so much time, */
static const double SYNC_TIMES = 5;      /* or of so many times what the last group took, go to the disk together */
static const double LOOK_SECONDS = 0.2;  /* between two looks at clocks, files and processes */
static const double LIVE_SECONDS = 0.25; /* between two writes of live.json, */
static const double LIVE_TIMES = 50;     /* or so many times what the last one took */
static const double STOP_SECONDS = 3.4;  /* from the request to stop to leaving, whatever is still running */

static const double DISMISS_SECONDS = 30; /* for workers to hear that a run could not begin */

static const double MARGIN_SHARE =
    1. / 6; /* of the time that a run has: what it keeps between its last work and the end, */
static const double LEAST_MARGIN = 10, MOST_MARGIN = 90; /* within these bounds, s */
static const double SAVE_SECONDS = 5; /* after which a stage that is then stopped is worth having begun */

static volatile sig_atomic_t signal_seen;

static void note_signal(int number)
{
    signal_seen = number;
}

/* ------------------------------------------------------------------------------------------------ the loop */

static void look_around(struct leader *l)
{
    double t = clock_monotonic();
    char who[100];

    if (signal_seen && !l->stopping)
        leader_stop_soon(l, strsignal(signal_seen));
    if (t - l->looked < LOOK_SECONDS)
        return;
    l->looked = t;
    leader_look_after_workers(l);
    if (!l->stopping && leader_seconds_left(l) <= 0) {
        l->stop_seconds = fmax(STOP_SECONDS, l->margin / 2);
        leader_stop_soon(l, "out of time");
    }
    if (!l->stopping && folder_stop_asked(l->o->folder, who, sizeof who))
        leader_stop_soon(l, *who ? who : "asked to");
    if (!l->stopping && access(l->o->folder->ledger, F_OK)) {
        err_set(&l->storage, ERR_STORAGE, "%s has vanished", l->o->folder->ledger);
        leader_stop_soon(l, "the output folder has vanished");
    }
    if (t - l->beaten > rank_beat_seconds(l->o->patience)) {
        l->beaten = t;
        leader_tell_all(l, TAG_BEAT, &(struct beat_message){0});
        if (l->o->beat)
            l->o->beat(l->o->context);
    }
    if (t - l->lived > fmax(LIVE_SECONDS, LIVE_TIMES * l->live_took))
        leader_show(l, l->stopping ? "stopping" : "running");
    if (!leader_results_busy(l) && !l->stopping && leader_results_due(l))
        leader_results_begin(l, false);
}

static int leases_out(const struct leader *l)
{
    int n = 0;

    for (int r = 1; r < l->ranks; r++)
        n += l->workers[r].leases_count;
    return n;
}

static bool anyone_left(const struct leader *l)
{
    for (int r = 1; r < l->ranks; r++)
        if (l->workers[r].present && !queue_rank_benched(l->queue, r))
            return true;
    /* or still to say hello */
    return clock_monotonic() - l->started < l->o->patience && !l->abrupt;
}

/* No ready stage reaches a checkpoint in the time left. */
static void stop_if_nothing_fits(struct leader *l)
{
    double left = leader_seconds_left(l), least = isfinite(left) ? queue_least(l->queue) : 0;
    char reason[sizeof l->stop_reason], needs[32], has[32];

    if (least <= left)
        return;
    if (left <= 0) {
        leader_stop_soon(l, "out of time");
        return;
    }
    live_span(least, needs, sizeof needs);
    live_span(left, has, sizeof has);
    snprintf(reason, sizeof reason, "out of time: what comes next needs %s, and %s are left", needs, has);
    leader_stop_soon(l, reason);
}

/* Nothing is running, and nothing will. */
static bool is_over(struct leader *l)
{
    if (leases_out(l))
        return l->stopping && clock_monotonic() - l->stop_asked > l->stop_seconds;
    if (!l->stopping && queue_count(l->queue, QUEUE_READY))
        stop_if_nothing_fits(l);
    if (l->stopping || !queue_count(l->queue, QUEUE_READY))
        return true;
    if (!anyone_left(l)) {
        l->no_workers = true;
        leader_stop_soon(l, "no worker is left");
        return true;
    }
    return false;
}

static void loop(struct leader *l)
{
    struct plain_message none = {0};
    bool told = false;
    int idle = 0;

    while (!is_over(l)) {
        struct letter letter;
        bool active = false;

        while (mail_next(l->mail, &letter)) {
            leader_take_letter(l, &letter);
            active = true;
        }
        l->listened = clock_monotonic();
        leader_hand_out(l);
        if (clock_monotonic() - l->synced > fmax(SYNC_SECONDS, SYNC_TIMES * l->sync_took))
            leader_sync(l);
        look_around(l);
        if (l->stopping && !told) {
            leader_tell_all(l, TAG_STOP, &none);
            told = true;
        }
        mail_flush(l->mail);
        if (active)
            idle = 0;
        else
            rank_doze(&idle, NULL, 0);
    }
}

/* ------------------------------------------------------------------------------------------------ beginning and end */

/* What stopping costs: every kind of stage leaves a part file (worker/part.h). */
static void fill_saves_after(struct leader *l)
{
    for (int kind = 0; kind < STAGE_KIND_COUNT; kind++)
        l->saves_after[kind] = SAVE_SECONDS;
}

static int begin(struct leader *l, err *e)
{
    const struct plan *p = l->plan;
    struct queue_plan q = {.stages = p->stages_count,
                           .kinds = STAGE_KIND_COUNT,
                           .kind = p->kind,
                           .cost = p->cost,
                           .saves_after = l->saves_after,
                           .attempts = (int)p->sweep->setting[SETTING_RETRY_ATTEMPTS].number};
    struct ledger_summary summary;
    struct hello_message self;
    struct standing s;

    fill_saves_after(l);
    l->workers = calloc((size_t)l->ranks + 1, sizeof *l->workers);
    l->live.worker = calloc((size_t)l->ranks + 1, sizeof *l->live.worker);
    l->trial_of_last = malloc(((size_t)p->stages_count + 1) * sizeof *l->trial_of_last);
    l->failed = calloc((size_t)p->trials_count + 1, sizeof *l->failed);
    if (!l->workers || !l->live.worker || !l->trial_of_last || !l->failed)
        return err_set(e, ERR_NOMEM, "no memory for %d workers and %d stages", l->ranks, p->stages_count);
    if (plan_all_needs(p, &l->needs_start, &l->needs, e))
        return e->code;
    q.needs_start = l->needs_start;
    q.needs = l->needs;
    for (int i = 0; i < p->stages_count; i++)
        l->trial_of_last[i] = -1;
    for (int t = 0; t < p->trials_count; t++)
        l->trial_of_last[p->trials[t].stage] = t;
    if (leader_results_open(l, e) || rank_log_open(l->o->folder->log, 0, LOG_LIMIT, &l->log, e) ||
        ledger_open(l->o->folder->ledger, history_visit, &l->history, &summary, &l->ledger, e) ||
        early_stop_create(p, &l->early, e) || queue_create(&q, l->ranks, &l->queue, e) ||
        standing_make(p, &l->history, &s, e))
        return e->code;
    if (summary.torn)
        rank_log_line(l->log, "", "the last %llu bytes of the ledger were torn by a crash and are dropped",
                      (unsigned long long)summary.torn);
    rank_introduce(&self);
    leader_record(
        l, FACT_BEGUN,
        fact_begun(self.host, self.pid, l->ranks - 1, l->o->version, clock_wall(), p->contents, p->contents_count));
    leader_fill_queue(l, &s);
    standing_free(&s);
    snprintf(l->live.sweep, sizeof l->live.sweep, "%s", p->sweep->setting[SETTING_NAME].text);
    l->live.begun = clock_wall();
    l->started = clock_monotonic();
    l->started_cpu = clock_cpu();
    l->rate_second = (long)l->started;
    l->view = live_view_start();
    return 0;
}

/* What the run came to, for the caller, the ledger and those who watch. */
static int verdict(struct leader *l, err *e)
{
    struct standing s;

    if (l->storage.code) {
        *e = l->storage;
        e->code = ERR_STORAGE;
        return err_context(e, "stopped, what was finished is kept");
    }
    if (standing_make(l->plan, &l->history, &s, e))
        return e->code;
    if (standing_verdict(&s, l->plan, e) == ERR_INTERRUPTED && *l->stop_reason)
        err_context(e, "stopped (%s)", l->stop_reason);
    standing_free(&s);
    return e->code;
}

static struct run_figures figures_of(const struct leader *l)
{
    return (struct run_figures){.stages = l->finished,
                                .seconds = clock_monotonic() - l->started,
                                .cpu = clock_cpu(),
                                .loop_cpu = clock_cpu() - l->started_cpu,
                                .results_cpu = l->results_cpu};
}

/* results.h5 as it shall stay.  Rank 0 goes on giving signs of life. */
static void make_last_results(struct leader *l, err *e)
{
    struct letter letter;
    int idle = 0;

    if (l->copying > 0 && l->stopping)
        kill(l->copying, SIGKILL); /* there is no time to make it twice */
    for (bool last = false; leader_results_busy(l) || !last;) {
        while (mail_next(l->mail, &letter)) /* nothing is out: greetings at most */
            leader_take_letter(l, &letter);
        l->listened = clock_monotonic();
        if (!l->copying) {
            last = true;
            leader_results_begin(l, true);
        }
        look_around(l);
        mail_flush(l->mail);
        rank_doze(&idle, NULL, 0);
    }
    if (l->results_error.code && (!e->code || e->code == ERR_WORKER))
        *e = l->results_error;
}

static void finish(struct leader *l, err *e)
{
    struct run_figures f = figures_of(l);
    const char *word;

    leader_sync(l);
    verdict(l, e);
    word = !e->code ? "finished" : e->code == ERR_WORKER ? "failed" : "incomplete";
    snprintf(l->live.message, sizeof l->live.message, "%.500s", e->text);
    if (!l->storage.code) {
        leader_record(l, FACT_ENDED, fact_ended(word, clock_wall(), &f));
        leader_sync(l);
        if (l->o->results)
            make_last_results(l, e);
    }
    leader_show(l, word);
    live_view_end(&l->view);
    rank_log_line(
        l->log, "",
        "%s%s%s (%lld stages in %.1f s; rank 0 used %.2f s of processor time, %.1f us for a stage; results.h5 was "
        "made %d times in %.2f s)",
        word, e->code ? ": " : "", e->text, (long long)f.stages, f.seconds, f.loop_cpu,
        f.stages ? 1e6 * f.loop_cpu / (double)f.stages : 0, l->results_count, l->results_cpu);
}

static void quit_workers(struct leader *l)
{
    double start = clock_monotonic();

    l->abrupt |= leases_out(l) > 0; /* a worker that did not stop will not come to MPI_Finalize() either */
    leader_tell_all(l, TAG_QUIT, &(struct quit_message){l->abrupt});
    mail_flush(l->mail);
    while (mail_pending(l->mail) && clock_monotonic() - start < (l->abrupt ? 0.2 : 1))
        rank_doze(&(int){0}, NULL, 0);
    l->abrupt |= mail_pending(l->mail) > 0;
    for (int r = 1; r < l->ranks; r++) /* what was given up, but is only asleep, would keep mpirun waiting */
        if (!l->workers[r].present && l->workers[r].hello.pid > 1 && rank_is_here(&l->workers[r].hello))
            kill(l->workers[r].hello.pid, SIGKILL);
}

static void listen_to_signals(void)
{
    const int signals[] = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGHUP};
    struct sigaction act = {.sa_handler = note_signal};

    signal_seen = 0;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &act, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int leader_run(MPI_Comm comm, const struct leader_options *o, struct leader_end *end, err *e)
{
    struct leader l = {.o = o, .plan = o->plan, .work_changed = true, .stop_seconds = STOP_SECONDS};

    *end = (struct leader_end){0};
    l.margin = fmin(MOST_MARGIN, fmax(LEAST_MARGIN, MARGIN_SHARE * (o->ends - clock_wall())));
    listen_to_signals();
    MPI_Comm_size(comm, &l.ranks);
    if (mail_open(comm, &l.mail, e))
        return e->code;
    if (!begin(&l, e)) {
        loop(&l);
        finish(&l, e);
        quit_workers(&l);
    } else {
        leader_dismiss(comm);
    }
    *end = (struct leader_end){l.abrupt, l.no_workers};
    ledger_close(l.ledger);
    early_stop_free(l.early);
    leader_results_close(&l);
    queue_free(l.queue);
    free(l.needs_start);
    free(l.needs);
    free(l.failed);
    history_free(&l.history);
    rank_log_close(l.log);
    mail_close(l.mail);
    free(l.workers);
    free(l.live.worker);
    free(l.trial_of_last);
    return e->code;
}

void leader_dismiss(MPI_Comm comm)
{
    const struct quit_message quit = {0};
    double start = clock_monotonic();
    mail *m;
    int ranks;
    err e = {0};

    MPI_Comm_size(comm, &ranks);
    if (mail_open(comm, &m, &e))
        return;
    for (int r = 1; r < ranks; r++)
        mail_send(m, r, TAG_QUIT, &quit, sizeof quit, NULL, 0, &e);
    mail_flush(m);
    while (mail_pending(m) && clock_monotonic() - start < DISMISS_SECONDS)
        rank_doze(&(int){0}, NULL, 0);
    mail_close(m);
}
