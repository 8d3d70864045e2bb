/* orchestrator/leader.c - see leader.h. */
#include "orchestrator/leader.h"

#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/h5.h"
#include "orchestrator/early_stop.h"
#include "orchestrator/live.h"
#include "orchestrator/queue.h"
#include "worker/log.h"
#include "worker/mail.h"
#include "worker/messages.h"
#include "worker/rank.h"

enum { MOST_LEASES = 64, LOG_LIMIT = 4 << 20, RATE_SLOTS = 60 };
static const double SYNC_SECONDS = 0.02;    /* facts of so much time go to the disk together */
static const double LOOK_SECONDS = 0.2;   /* between two looks at clocks, files and processes */
static const double LIVE_SECONDS = 0.25;  /* between two writes of live.json */
static const double RESULTS_SECONDS = 4;  /* least time between two makings of results.h5 */
static const double RESULTS_SHARE = 0.05; /* most of rank 0's time that they may take */
static const double STOP_SECONDS = 3.4;   /* from the request to stop to leaving, whatever is still running */
static const double AHEAD_SECONDS = 0.03; /* work that a worker may have waiting */
static const double PATIENT_SECONDS = 0.5;  /* that a lease may wait behind a running one */
static const double MEMORY_SHARE = 0.9;   /* of a host's memory that its trainers may use together */

struct lease {
    uint64_t id;
    int stage;
};

struct worker {
    bool present;
    struct hello_message hello;
    int leases_count;
    struct lease leases[MOST_LEASES]; /* the first one is running */
    struct beat_message beat;
    double heard, began; /* s; began: the running lease */
    double pace;         /* s per stage lately; NaN: unknown */
    int done, failed;
};

struct leader {
    const struct leader_options *o;
    const struct plan *plan;
    mail *mail;
    queue *queue;
    ledger *ledger;
    struct history history;
    rank_log *log;
    int ranks;
    struct worker *workers; /* (ranks), [0] unused */
    uint64_t last_lease;
    early_stop *early;  /* NULL: the sweep has no such rule */
    bool *failed;       /* (trials) that cannot go on; kept for early_stop_judge() */
    int *trial_of_last; /* (stages) the trial whose last stage it is; -1 */
    int trials_done, trials_failed, trials_pruned, blocked, reused;
    bool work_changed; /* someone may be able to take something */
    bool stopping, abrupt, no_workers;
    char stop_reason[128];
    double stop_asked;
    err storage; /* why nothing can be written any more */
    double synced, looked, lived, beaten, resulted, results_took;
    bool unshown; /* facts since results.h5 was made */
    struct live live;
    struct live_view view;
    int finished_in[RATE_SLOTS]; /* stages finished in each of the last seconds */
    long rate_second;
    double started; /* s, monotonic */
};

static volatile sig_atomic_t signal_seen;

static void note_signal(int number)
{
    signal_seen = number;
}

static double wall_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void stop_soon(struct leader *l, const char *reason)
{
    if (l->stopping)
        return;
    l->stopping = true;
    l->stop_asked = rank_clock();
    snprintf(l->stop_reason, sizeof l->stop_reason, "%s", reason);
    rank_log_line(l->log, "", "stopping: %s", reason);
}

/* ------------------------------------------------------------------------------------------------ facts */

/* Take in a fact and put it into the ledger's next group.  Frees the payload.  ERR_DAMAGED: it makes no sense, nothing
 * done. */
static int record(struct leader *l, enum fact type, char *payload, err *e)
{
    if (!payload)
        err_set(e, ERR_NOMEM, "no memory for a %s fact", fact_name(type));
    else if (!history_apply(&l->history, type, payload, strlen(payload), e))
        ledger_append(l->ledger, type, payload, strlen(payload), e);
    free(payload);
    l->unshown = true;
    return e->code;
}

/* A fact that rank 0 makes itself: only memory can fail. */
static void record_own(struct leader *l, enum fact type, char *payload)
{
    err e = {0};

    if (record(l, type, payload, &e) && !l->storage.code)
        l->storage = e;
}

static void sync_facts(struct leader *l)
{
    l->synced = rank_clock();
    if (!l->storage.code && ledger_sync(l->ledger, &l->storage))
        stop_soon(l, "the ledger cannot be written");
}

static void stage_label(const struct leader *l, int stage, char *label, size_t size)
{
    const char *kind = stage_kind_name((enum stage_kind)l->plan->kind[stage]);

    if (l->plan->task[stage] < 0)
        snprintf(label, size, "trial %d %s", l->plan->example[stage], kind);
    else
        snprintf(label, size, "trial %d %s %d", l->plan->example[stage], kind, l->plan->task[stage]);
}

static void tell_trouble(struct leader *l, int stage, enum cause cause, const char *text)
{
    struct live_trouble *t;

    if (l->live.troubles_count == LIVE_TROUBLES)
        memmove(l->live.trouble, l->live.trouble + 1, (size_t)--l->live.troubles_count * sizeof *l->live.trouble);
    t = &l->live.trouble[l->live.troubles_count++];
    *t = (struct live_trouble){.when = wall_clock()};
    stage_label(l, stage, t->label, sizeof t->label);
    snprintf(t->cause, sizeof t->cause, "%s", cause_name(cause));
    snprintf(t->text, sizeof t->text, "%s", text);
    rank_log_line(l->log, t->label, "%s: %s", t->cause, text);
}

/* ------------------------------------------------------------------------------------------------ what is wanted */

/* Failed and pruned trials want nothing any more: stages that only they need are taken out. */
static void drop_unneeded(struct leader *l)
{
    struct standing s;
    err e = {0};

    if (standing_make(l->plan, &l->history, &s, &e))
        return;
    for (int i = 0; i < l->plan->stages_count; i++)
        if (!s.needed[i] && !s.finished[i] && queue_state(l->queue, i) != QUEUE_UNWANTED)
            queue_unwant(l->queue, i);
    for (int t = 0; t < l->plan->trials_count; t++)
        l->failed[t] = s.trial[t] == TRIAL_FAILED;
    l->trials_failed = s.counts[TRIAL_FAILED];
    l->trials_pruned = s.counts[TRIAL_PRUNED];
    l->blocked = s.blocked;
    standing_free(&s);
}

/* Let every undecided trial run as far as it may by the sweep's rule, and prune those that may not go on. */
static void judge_trials(struct leader *l)
{
    bool pruned = false;

    for (int t = 0; t < l->plan->trials_count; t++) {
        int last = l->plan->trials[t].stage;
        struct early_stop_verdict v;

        if (l->failed[t] || queue_state(l->queue, last) == QUEUE_DONE ||
            history_find_pruned(&l->history, &l->plan->key[last]))
            continue;
        v = l->early ? early_stop_judge(l->early, t, &l->history, l->failed)
                     : (struct early_stop_verdict){.goal = last};
        if (v.goal >= 0) {
            queue_want(l->queue, v.goal);
            continue;
        }
        rank_log_line(l->log, "", "trial %d is pruned: %s", t, v.why);
        record_own(l, FACT_PRUNED, fact_pruned(&l->plan->key[last], v.after_task, v.why));
        pruned = true;
    }
    l->work_changed = true;
    if (pruned)
        drop_unneeded(l);
}

/* The stage's checkpoint is there and is the one that the ledger speaks of.  deep: its content is read too. */
static bool checkpoint_good(struct leader *l, int stage, bool deep, char *why, size_t size)
{
    const struct history_stage *known = history_find(&l->history, &l->plan->key[stage]);
    char hex[DIGEST_HEX], path[FOLDER_PATH + 64];
    struct digest found;
    h5 *file = NULL;
    err e = {0};

    digest_to_hex(&l->plan->key[stage], hex);
    snprintf(path, sizeof path, "%s/%s.h5", l->o->folder->checkpoints, hex);
    if (!h5_open(path, &file, &e) && !h5_digest(file, &found, &e)) {
        if (!known || !digest_equal(&found, &known->checkpoint))
            err_set(&e, ERR_DAMAGED, "%s: not the checkpoint that the ledger speaks of", path);
        else if (deep)
            h5_verify(file, &e);
    }
    h5_close(file);
    snprintf(why, size, "%.*s", (int)size - 1, e.text);
    return !e.code;
}

static void forget(struct leader *l, int stage, const char *why)
{
    char label[64];

    stage_label(l, stage, label, sizeof label);
    rank_log_line(l->log, label, "is run again: %s", why);
    record_own(l, FACT_FORGOTTEN, fact_forgotten(&l->plan->key[stage], why));
}

/* A finished stage must be run again if its checkpoint is bad, or if something that it needs is run again itself. */
static bool must_run_again(struct leader *l, int stage, bool deep, char *why, size_t size)
{
    const struct plan *p = l->plan;

    for (int j = p->needs_start[stage]; j < p->needs_start[stage + 1]; j++)
        if (queue_state(l->queue, p->needs[j]) != QUEUE_DONE) {
            snprintf(why, size, "a stage that it builds on is run again");
            return true;
        }
    return !checkpoint_good(l, stage, deep, why, size);
}

/* Fill the queue: what is finished with its checkpoint in place, what is set aside, and what the open trials want. */
static void fill_queue(struct leader *l, struct standing *s)
{
    const struct plan *p = l->plan;
    char why[500];

    for (int i = 0; i < p->stages_count; i++) {
        const struct history_stage *known = history_find(&l->history, &p->key[i]);

        if (s->finished[i] && s->needed[i] && must_run_again(l, i, false, why, sizeof why)) {
            forget(l, i, why);
            s->finished[i] = false;
        }
        if (s->finished[i])
            queue_set_done(l->queue, i);
        else if (known && known->aside)
            queue_set_aside(l->queue, i);
    }
    for (int t = 0; t < p->trials_count; t++)
        l->failed[t] = s->trial[t] == TRIAL_FAILED;
    l->trials_done = s->counts[TRIAL_DONE];
    l->trials_failed = s->counts[TRIAL_FAILED];
    l->trials_pruned = s->counts[TRIAL_PRUNED];
    l->blocked = s->blocked;
    l->reused = queue_count(l->queue, QUEUE_DONE);
    judge_trials(l);
}

/* ------------------------------------------------------------------------------------------------ leases */

static void post(struct leader *l, int rank, int tag, const void *head, const char *text, size_t n)
{
    err e = {0};

    if (mail_send(l->mail, rank, tag, head, message_head(tag), text, n, &e))
        rank_log_line(l->log, "", "a %s message to rank %d was not sent: %s", message_name(tag), rank, e.text);
}

/* Bytes that one trainer on this worker's host may use. */
static double memory_limit(const struct leader *l, const struct worker *w)
{
    double asked = l->plan->sweep->setting[SETTING_RESOURCES_MEMORY_GB].number;
    int neighbours = 0;

    for (int r = 1; r < l->ranks; r++)
        neighbours += l->workers[r].present && !strcmp(l->workers[r].hello.host, w->hello.host);
    return asked > 0 ? 1e9 * asked : MEMORY_SHARE * (double)w->hello.memory / (neighbours ? neighbours : 1);
}

static void give_lease(struct leader *l, int rank, int stage)
{
    struct worker *w = &l->workers[rank];
    struct lease_message m = {
        .lease = ++l->last_lease,
        .seconds = l->plan->sweep->setting[SETTING_RESOURCES_TIME_LIMIT].number,
        .bytes = memory_limit(l, w),
    };
    struct stage_job job = {0};
    char *text = NULL;
    err e = {0};

    stage_label(l, stage, m.label, sizeof m.label);
    if (plan_job(l->plan, stage, l->o->folder->checkpoints, &job, &e) || stage_job_write(&job, &text, &e)) {
        tell_trouble(l, stage, CAUSE_bug, e.text);
        queue_failed(l->queue, stage, rank, CAUSE_bug);
        record_own(l, FACT_ASIDE, fact_aside(&l->plan->key[stage], CAUSE_bug, e.text));
        drop_unneeded(l);
    } else {
        if (!w->leases_count)
            w->began = rank_clock();
        w->leases[w->leases_count++] = (struct lease){m.lease, stage};
        post(l, rank, TAG_LEASE, &m, text, strlen(text));
    }
    stage_job_free(&job);
    free(text);
}

/* How many leases a worker may hold: one, and more when its stages are so short that it would wait for messages. */
static int lease_depth(const struct leader *l, const struct worker *w)
{
    double depth = w->pace > 0 ? 1 + AHEAD_SECONDS / w->pace : 1;
    int share = 1 + queue_count(l->queue, QUEUE_READY) / (2 * l->ranks);

    depth = fmin(depth, MOST_LEASES);
    return depth < share ? (int)depth : share;
}

static void hand_out(struct leader *l)
{
    if (l->stopping || !l->work_changed)
        return;
    l->work_changed = false;
    for (bool more = true; more;) { /* in rounds, so that no worker takes all while others have none */
        more = false;
        for (int r = 1; r < l->ranks; r++) {
            struct worker *w = &l->workers[r];
            int stage;

            if (!w->present || w->leases_count >= lease_depth(l, w) || (stage = queue_take(l->queue, r)) < 0)
                continue;
            give_lease(l, r, stage);
            more = true;
        }
    }
}

/* The stage of a lease that this worker holds, which is then over; -1: it holds no such lease. */
static int end_lease(struct leader *l, int rank, uint64_t lease)
{
    struct worker *w = &l->workers[rank];

    for (int i = 0; i < w->leases_count; i++)
        if (w->leases[i].id == lease) {
            int stage = w->leases[i].stage;

            memmove(w->leases + i, w->leases + i + 1, (size_t)(--w->leases_count - i) * sizeof *w->leases);
            w->began = rank_clock();
            w->beat = (struct beat_message){.fraction = NAN, .loss = NAN};
            l->work_changed = true;
            return stage;
        }
    return -1;
}

static struct attempt attempt_of(const struct leader *l, int rank, int stage, double started, double seconds)
{
    const struct history_stage *known = history_find(&l->history, &l->plan->key[stage]);
    struct attempt a = {
        .stage = l->plan->key[stage],
        .kind = (enum stage_kind)l->plan->kind[stage],
        .task = l->plan->task[stage],
        .number = known ? known->attempts + 1 : 1,
        .rank = rank,
        .threads = l->o->threads > 0 ? l->o->threads : l->workers[rank].hello.threads,
        .started = isfinite(started) ? started : wall_clock(),
        .seconds = isfinite(seconds) ? seconds : 0,
    };

    snprintf(a.host, sizeof a.host, "%s", l->workers[rank].hello.host);
    return a;
}

/* ------------------------------------------------------------------------------------------------ ends of attempts */

static int compare_numbers(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* The stages whose checkpoints this one opens: whatever is found bad is run again.  True if something was. */
static bool check_inputs(struct leader *l, int stage)
{
    struct stage_job job = {0};
    int *inputs = NULL, count = 0;
    bool bad = false;
    char why[500];
    err e = {0};

    if (!plan_job(l->plan, stage, l->o->folder->checkpoints, &job, &e) &&
        (inputs = malloc(((size_t)job.inputs_count + 1) * sizeof *inputs)))
        for (int i = 0; i < job.inputs_count; i++)
            inputs[count++] = plan_find_stage(l->plan, &job.inputs[i].key);
    if (count)
        qsort(inputs, (size_t)count, sizeof *inputs, compare_numbers);
    for (int i = 0; i < count; i++) {
        if (inputs[i] < 0 || queue_state(l->queue, inputs[i]) != QUEUE_DONE)
            bad |= inputs[i] >= 0; /* it is to be run again already */
        else if (must_run_again(l, inputs[i], true, why, sizeof why)) {
            forget(l, inputs[i], why);
            queue_undo(l->queue, inputs[i]);
            bad = true;
        }
    }
    free(inputs);
    stage_job_free(&job);
    return bad;
}

static void attempt_failed(struct leader *l, int rank, int stage, enum cause cause, double started, double seconds,
                           const char *text)
{
    struct attempt a = attempt_of(l, rank, stage, started, seconds);

    record_own(l, FACT_FAILED, fact_failed(&a, cause, text));
    if (cause != CAUSE_interrupted) {
        l->workers[rank].failed++;
        tell_trouble(l, stage, cause, text);
    }
    if (cause == CAUSE_storage) {
        snprintf(l->live.message, sizeof l->live.message, "%s", text);
        err_set(&l->storage, ERR_STORAGE, "%s", text);
        stop_soon(l, "a worker cannot write its checkpoint");
    }
    if (cause == CAUSE_damaged && check_inputs(l, stage))
        cause = CAUSE_interrupted; /* it was its input's fault */
    if (queue_failed(l->queue, stage, rank, cause)) {
        record_own(l, FACT_ASIDE, fact_aside(&l->plan->key[stage], cause, text));
        drop_unneeded(l);
        if (l->early)
            judge_trials(l); /* others may have waited for a trial that has failed now */
    }
}

static void count_finished(struct leader *l)
{
    long second = (long)rank_clock();

    for (; l->rate_second < second; l->rate_second++)
        l->finished_in[(l->rate_second + 1) % RATE_SLOTS] = 0;
    l->finished_in[second % RATE_SLOTS]++;
}

static void take_done(struct leader *l, int rank, const struct letter *letter)
{
    struct worker *w = &l->workers[rank];
    struct done_message m;
    struct attempt a;
    int stage;
    err e = {0};

    memcpy(&m, letter->bytes, sizeof m);
    stage = end_lease(l, rank, m.lease);
    if (stage < 0)
        return; /* late: somebody else has it, or had */
    a = attempt_of(l, rank, stage, m.started, m.seconds);
    if (record(l, FACT_DONE, fact_done(&a, &m.digest, m.parameters, m.trained_seconds, letter->bytes + sizeof m), &e)) {
        attempt_failed(l, rank, stage, CAUSE_answer, m.started, m.seconds, e.text);
        return;
    }
    w->done++;
    w->pace = isnan(w->pace) ? a.seconds : 0.8 * w->pace + 0.2 * a.seconds;
    queue_finished(l->queue, stage, rank, a.seconds);
    l->trials_done += l->trial_of_last[stage] >= 0;
    count_finished(l);
    if (l->early && early_stop_watches(l->early, stage))
        judge_trials(l);
}

static void take_failed(struct leader *l, int rank, const struct letter *letter)
{
    struct failed_message m;
    enum cause cause;
    int stage;

    memcpy(&m, letter->bytes, sizeof m);
    stage = end_lease(l, rank, m.lease);
    cause = m.cause > CAUSE_none && m.cause < CAUSE_COUNT ? (enum cause)m.cause : CAUSE_answer;
    if (stage >= 0)
        attempt_failed(l, rank, stage, cause, m.started, m.seconds, letter->bytes + sizeof m);
}

/* ------------------------------------------------------------------------------------------------ workers */

static void join(struct leader *l, int rank, const struct letter *letter)
{
    struct worker *w = &l->workers[rank];
    struct hello_message self;

    memcpy(&w->hello, letter->bytes, sizeof w->hello);
    w->hello.host[sizeof w->hello.host - 1] = 0;
    w->present = true;
    w->pace = NAN;
    w->beat = (struct beat_message){.fraction = NAN, .loss = NAN};
    queue_rank_joined(l->queue, rank);
    rank_introduce(&self);
    self.threads = l->o->threads;
    post(l, rank, TAG_WELCOME, &self, NULL, 0);
    rank_log_line(l->log, "", "rank %d joined: process %d on %s", rank, (int)w->hello.pid, w->hello.host);
}

/* A rank that was given up speaks again, having slept or been cut off: whatever it holds is void. */
static void rejoin(struct leader *l, int rank)
{
    struct plain_message none = {0};

    rank_log_line(l->log, "", "rank %d is back", rank);
    post(l, rank, TAG_STOP, &none, NULL, 0);
    l->workers[rank].present = true;
    queue_rank_joined(l->queue, rank);
}

static void give_up(struct leader *l, int rank, const char *why)
{
    struct worker *w = &l->workers[rank];
    double began = w->began;
    bool running = true;

    rank_log_line(l->log, "", "rank %d on %s: %s; %d leases are free again", rank, w->hello.host, why, w->leases_count);
    while (w->leases_count) { /* those behind the first had not begun */
        int stage = end_lease(l, rank, w->leases[0].id);
        double seconds = rank_clock() - began;

        if (running)
            attempt_failed(l, rank, stage, l->stopping ? CAUSE_interrupted : CAUSE_lost, wall_clock() - seconds,
                           seconds, why);
        else
            queue_failed(l->queue, stage, rank, CAUSE_interrupted);
        running = false;
    }
    w->present = false;
    l->abrupt = true;
    l->work_changed = true;
    queue_rank_left(l->queue, rank);
    mail_forget(l->mail, rank);
}

/* What waits behind a stage that turned out long goes back to the queue, for others. */
static void take_back_waiting(struct leader *l, int rank)
{
    struct worker *w = &l->workers[rank];

    while (w->leases_count > 1) {
        struct lease back = w->leases[--w->leases_count];

        post(l, rank, TAG_REVOKE, &(struct revoke_message){back.id}, NULL, 0);
        queue_failed(l->queue, back.stage, rank, CAUSE_interrupted);
        l->work_changed = true;
    }
    w->pace = fmax(w->pace, rank_clock() - w->began);
}

static void look_after_workers(struct leader *l)
{
    double t = rank_clock();

    for (int r = 1; r < l->ranks; r++) {
        struct worker *w = &l->workers[r];
        char why[100];

        if (!w->present)
            continue;
        if (rank_is_gone(&w->hello)) {
            snprintf(why, sizeof why, "the worker's process %d has died", (int)w->hello.pid);
            give_up(l, r, why);
        } else if (t - w->heard > l->o->patience) {
            snprintf(why, sizeof why, "nothing was heard from the worker for %.0f s", t - w->heard);
            give_up(l, r, why);
        } else if (w->leases_count > 1 && t - w->began > PATIENT_SECONDS) {
            take_back_waiting(l, r);
        }
    }
}

static void take_letter(struct leader *l, const struct letter *letter)
{
    struct worker *w;

    if (letter->from < 1 || letter->from >= l->ranks || !message_fits(letter->tag, letter->n)) {
        rank_log_line(l->log, "", "a %s message of %zu bytes from rank %d makes no sense", message_name(letter->tag),
                      letter->n, letter->from);
        return;
    }
    w = &l->workers[letter->from];
    w->heard = rank_clock();
    if (letter->tag == TAG_HELLO) {
        join(l, letter->from, letter);
        l->work_changed = true;
        return;
    }
    if (!w->present)
        rejoin(l, letter->from);
    if (letter->tag == TAG_DONE)
        take_done(l, letter->from, letter);
    else if (letter->tag == TAG_FAILED)
        take_failed(l, letter->from, letter);
    else if (letter->tag == TAG_BEAT)
        memcpy(&w->beat, letter->bytes, sizeof w->beat);
}

static void tell_all(struct leader *l, int tag, const void *head)
{
    for (int r = 1; r < l->ranks; r++)
        if (l->workers[r].present)
            post(l, r, tag, head, NULL, 0);
}

/* ------------------------------------------------------------------------------------------------ being seen */

static double progress_rate(const struct leader *l)
{
    double span = fmin(RATE_SLOTS - 1, rank_clock() - l->started), sum = 0;

    for (int i = 0; i < RATE_SLOTS; i++)
        if (l->rate_second - i > (long)l->started - 1)
            sum += l->finished_in[(l->rate_second - i + RATE_SLOTS) % RATE_SLOTS];
    return span > 0 ? sum / fmax(span, 1) : 0;
}

/* Remaining work over the workers, but never less than the longest path; what is running counts by what is left of it.
 */
static double time_left(const struct leader *l)
{
    double work = queue_work_left(l->queue);
    int workers = 0;

    for (int r = 1; r < l->ranks; r++) {
        const struct worker *w = &l->workers[r];
        double expected = w->present && w->leases_count ? queue_expected(l->queue, w->leases[0].stage) : 0;

        workers += w->present && !queue_rank_benched(l->queue, r);
        if (expected > 0)
            work -=
                expected * (w->beat.fraction >= 0 ? w->beat.fraction : fmin(0.9, (rank_clock() - w->began) / expected));
    }
    work = isnan(work) ? work : fmax(work, 0);
    return workers ? fmax(work / workers, fmin(work, queue_path_left(l->queue))) : NAN;
}

static void describe_worker(const struct leader *l, int rank, struct live_worker *out)
{
    const struct worker *w = &l->workers[rank];
    const char *state = !w->present                            ? "lost"
                        : queue_rank_benched(l->queue, rank)   ? "benched"
                        : queue_rank_suspected(l->queue, rank) ? "suspected"
                        : w->leases_count                      ? "busy"
                                                               : "idle";

    *out = (struct live_worker){.rank = rank,
                                .pid = w->hello.pid,
                                .epoch = w->beat.epoch,
                                .epochs = w->beat.epochs,
                                .fraction = w->beat.fraction,
                                .loss = w->beat.loss,
                                .since = w->leases_count ? rank_clock() - w->began : NAN,
                                .done = w->done,
                                .failed = w->failed};
    snprintf(out->host, sizeof out->host, "%s", w->hello.host);
    snprintf(out->state, sizeof out->state, "%s", state);
    snprintf(out->phase, sizeof out->phase, "%.31s", w->beat.phase);
    if (w->leases_count)
        stage_label(l, w->leases[0].stage, out->label, sizeof out->label);
}

static void fill_live(struct leader *l, const char *state)
{
    struct live *v = &l->live;
    int leased = 0;

    v->workers_count = v->workers = 0;
    for (int r = 1; r < l->ranks; r++) {
        if (l->workers[r].hello.pid && v->workers_count < LIVE_WORKERS)
            describe_worker(l, r, &v->worker[v->workers_count++]);
        v->workers += l->workers[r].present;
        leased += l->workers[r].leases_count > 0;
    }
    snprintf(v->state, sizeof v->state, "%s", state);
    v->now = wall_clock();
    v->rate = progress_rate(l);
    v->eta = time_left(l);
    v->trials = l->plan->trials_count;
    v->trials_done = l->trials_done;
    v->trials_failed = l->trials_failed;
    v->trials_pruned = l->trials_pruned;
    v->trials_running = leased;
    v->stages_done = queue_count(l->queue, QUEUE_DONE);
    v->stages_reused = l->reused;
    v->stages_aside = queue_count(l->queue, QUEUE_ASIDE);
    v->stages_blocked = l->blocked;
    v->stages = l->plan->stages_count - queue_count(l->queue, QUEUE_UNWANTED);
}

static void show(struct leader *l, const char *state)
{
    err e = {0};

    sync_facts(l); /* nothing is shown that is not on the disk */
    fill_live(l, state);
    live_write(&l->live, l->o->folder->live, &e); /* a convenience: its failure is no reason to stop */
    if (l->o->show)
        live_show(&l->view, &l->live);
}

static void mark_running(const struct leader *l, struct standing *s)
{
    for (int r = 1; r < l->ranks; r++)
        for (int i = 0; i < l->workers[r].leases_count; i++) {
            int t = l->plan->example[l->workers[r].leases[i].stage];

            if (s->trial[t] == TRIAL_WAITING) {
                s->counts[TRIAL_WAITING]--;
                s->counts[TRIAL_RUNNING]++;
                s->trial[t] = TRIAL_RUNNING;
            }
        }
}

static int make_results(struct leader *l, err *e)
{
    double start = rank_clock();
    struct standing s;

    sync_facts(l);
    if (!l->o->results || standing_make(l->plan, &l->history, &s, e))
        return e->code;
    mark_running(l, &s);
    l->o->results(l->o->context, &l->history, &s, e);
    standing_free(&s);
    l->resulted = rank_clock();
    l->results_took = l->resulted - start;
    l->unshown = false;
    return e->code;
}

/* ------------------------------------------------------------------------------------------------ the loop */

static void look_around(struct leader *l)
{
    double t = rank_clock();
    char who[100];

    if (signal_seen && !l->stopping)
        stop_soon(l, strsignal(signal_seen));
    if (t - l->looked < LOOK_SECONDS)
        return;
    l->looked = t;
    look_after_workers(l);
    if (!l->stopping && folder_stop_asked(l->o->folder, who, sizeof who))
        stop_soon(l, *who ? who : "asked to");
    if (!l->stopping && access(l->o->folder->ledger, F_OK)) {
        err_set(&l->storage, ERR_STORAGE, "%s has vanished", l->o->folder->ledger);
        stop_soon(l, "the output folder has vanished");
    }
    if (t - l->beaten > rank_beat_seconds(l->o->patience)) {
        l->beaten = t;
        tell_all(l, TAG_BEAT, &(struct beat_message){0});
        if (l->o->beat)
            l->o->beat(l->o->context);
    }
    if (t - l->lived > LIVE_SECONDS) {
        l->lived = t;
        show(l, l->stopping ? "stopping" : "running");
    }
    if (l->unshown && !l->stopping && t - l->resulted > fmax(RESULTS_SECONDS, l->results_took / RESULTS_SHARE)) {
        err e = {0};

        if (make_results(l, &e))
            rank_log_line(l->log, "", "results.h5 was not made: %s", e.text);
    }
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
    return rank_clock() - l->started < l->o->patience && !l->abrupt;
}

/* Nothing is running, and nothing will. */
static bool is_over(struct leader *l)
{
    if (leases_out(l))
        return l->stopping && rank_clock() - l->stop_asked > STOP_SECONDS;
    if (l->stopping || !queue_count(l->queue, QUEUE_READY))
        return true;
    if (!anyone_left(l)) {
        l->no_workers = true;
        stop_soon(l, "no worker is left");
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
            take_letter(l, &letter);
            active = true;
        }
        hand_out(l);
        if (rank_clock() - l->synced > SYNC_SECONDS)
            sync_facts(l);
        look_around(l);
        if (l->stopping && !told) {
            tell_all(l, TAG_STOP, &none);
            told = true;
        }
        if (active)
            idle = 0;
        else
            rank_doze(&idle, NULL, 0);
    }
}

/* ------------------------------------------------------------------------------------------------ beginning and end */

static int begin(struct leader *l, err *e)
{
    const struct plan *p = l->plan;
    const struct queue_plan q = {.stages = p->stages_count,
                                 .kinds = STAGE_KIND_COUNT,
                                 .needs_start = p->needs_start,
                                 .needs = p->needs,
                                 .kind = p->kind,
                                 .cost = p->cost,
                                 .attempts = (int)p->sweep->setting[SETTING_RETRY_ATTEMPTS].number};
    struct ledger_summary summary;
    struct hello_message self;
    struct standing s;

    l->workers = calloc((size_t)l->ranks + 1, sizeof *l->workers);
    l->live.worker = calloc((size_t)l->ranks + 1, sizeof *l->live.worker);
    l->trial_of_last = malloc(((size_t)p->stages_count + 1) * sizeof *l->trial_of_last);
    l->failed = calloc((size_t)p->trials_count + 1, sizeof *l->failed);
    if (!l->workers || !l->live.worker || !l->trial_of_last || !l->failed)
        return err_set(e, ERR_NOMEM, "no memory for %d workers and %d stages", l->ranks, p->stages_count);
    for (int i = 0; i < p->stages_count; i++)
        l->trial_of_last[i] = -1;
    for (int t = 0; t < p->trials_count; t++)
        l->trial_of_last[p->trials[t].stage] = t;
    if (rank_log_open(l->o->folder->log, 0, LOG_LIMIT, &l->log, e) ||
        ledger_open(l->o->folder->ledger, history_visit, &l->history, &summary, &l->ledger, e) ||
        early_stop_create(p, &l->early, e) || queue_create(&q, l->ranks, &l->queue, e) ||
        standing_make(p, &l->history, &s, e))
        return e->code;
    if (summary.torn)
        rank_log_line(l->log, "", "the last %llu bytes of the ledger were torn by a crash and are dropped",
                      (unsigned long long)summary.torn);
    rank_introduce(&self);
    record_own(l, FACT_BEGUN, fact_begun(self.host, self.pid, l->ranks - 1, l->o->version, wall_clock()));
    fill_queue(l, &s);
    standing_free(&s);
    snprintf(l->live.sweep, sizeof l->live.sweep, "%s", p->sweep->setting[SETTING_NAME].text);
    l->live.begun = wall_clock();
    l->started = rank_clock();
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

static void finish(struct leader *l, err *e)
{
    const char *word;
    err not_shown = {0};

    sync_facts(l);
    verdict(l, e);
    word = !e->code ? "finished" : e->code == ERR_WORKER ? "failed" : "incomplete";
    snprintf(l->live.message, sizeof l->live.message, "%.500s", e->text);
    if (!l->storage.code) {
        record_own(l, FACT_ENDED, fact_ended(word, wall_clock(), cpu_seconds()));
        sync_facts(l);
        if (make_results(l, &not_shown)) {
            rank_log_line(l->log, "", "results.h5 was not made: %s", not_shown.text);
            if (!e->code || e->code == ERR_WORKER)
                *e = not_shown;
        }
    }
    show(l, word);
    live_view_end(&l->view);
    rank_log_line(l->log, "", "%s%s%s", word, e->code ? ": " : "", e->text);
}

static void quit_workers(struct leader *l)
{
    double start = rank_clock();

    l->abrupt |= leases_out(l) > 0; /* a worker that did not stop will not come to MPI_Finalize() either */
    tell_all(l, TAG_QUIT, &(struct quit_message){l->abrupt});
    while (mail_pending(l->mail) && rank_clock() - start < (l->abrupt ? 0.2 : 1))
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
    struct leader l = {.o = o, .plan = o->plan, .work_changed = true};

    *end = (struct leader_end){0};
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
    queue_free(l.queue);
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
    struct quit_message quit = {0};
    int ranks;

    MPI_Comm_size(comm, &ranks);
    for (int r = 1; r < ranks; r++)
        MPI_Send(&quit, sizeof quit, MPI_BYTE, r, TAG_QUIT, comm);
}
