/* orchestrator/leader_work.c - what rank 0 hands out, and what comes of it; see leader_private.h. */
#include "orchestrator/leader_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/h5.h"
#include "orchestrator/record.h"

static const double AHEAD_SECONDS = 0.03; /* work that a worker may have waiting */
static const double MEMORY_SHARE = 0.9;   /* of a host's memory that its trainers may use together */

double leader_seconds_left(const struct leader *l)
{
    return l->o->ends > 0 ? l->o->ends - l->margin - clock_wall() : INFINITY;
}

void leader_stop_soon(struct leader *l, const char *reason)
{
    if (l->stopping)
        return;
    l->stopping = true;
    l->stop_asked = clock_monotonic();
    snprintf(l->stop_reason, sizeof l->stop_reason, "%s", reason);
    rank_log_line(l->log, "", "stopping: %s", reason);
}
/* ------------------------------------------------------------------------------------------------ facts */

/* A fact that rank 0 makes itself: only memory can fail. */
void leader_record(struct leader *l, enum fact type, char *payload)
{
    err e = {0};

    l->unshown = true;
    if (record_fact(&l->history, l->ledger, type, payload, &e) && !l->storage.code)
        l->storage = e;
}

void leader_sync(struct leader *l)
{
    double start = clock_monotonic();

    if (!l->storage.code && ledger_sync(l->ledger, &l->storage))
        leader_stop_soon(l, "the ledger cannot be written");
    l->synced = clock_monotonic();
    l->sync_took = l->synced - start;
}

void leader_label(const struct leader *l, int stage, char *label, size_t size)
{
    const char *kind = stage_kind_name((enum stage_kind)l->plan->kind[stage]);

    if (l->plan->task[stage] < 0)
        snprintf(label, size, "trial %d %s", plan_example(l->plan, stage), kind);
    else
        snprintf(label, size, "trial %d %s %d", plan_example(l->plan, stage), kind, l->plan->task[stage]);
}

static void tell_trouble(struct leader *l, int stage, enum cause cause, const char *text)
{
    struct live_trouble *t;

    if (l->live.troubles_count == LIVE_TROUBLES)
        memmove(l->live.trouble, l->live.trouble + 1, (size_t)--l->live.troubles_count * sizeof *l->live.trouble);
    t = &l->live.trouble[l->live.troubles_count++];
    *t = (struct live_trouble){.when = clock_wall()};
    leader_label(l, stage, t->label, sizeof t->label);
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
        leader_record(l, FACT_PRUNED, fact_pruned(&l->plan->key[last], v.after_task, v.why));
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

    leader_label(l, stage, label, sizeof label);
    rank_log_line(l->log, label, "is run again: %s", why);
    leader_record(l, FACT_FORGOTTEN, fact_forgotten(&l->plan->key[stage], why));
}

/* A finished stage must be run again if its checkpoint is bad, or if something that it needs is run again itself. */
static bool must_run_again(struct leader *l, int stage, bool deep, char *why, size_t size)
{
    int needs[PLAN_MAX_NEEDS], n = plan_needs(l->plan, stage, needs);

    for (int i = 0; i < n; i++)
        if (queue_state(l->queue, needs[i]) != QUEUE_DONE) {
            snprintf(why, size, "a stage that it builds on is run again");
            return true;
        }
    return !checkpoint_good(l, stage, deep, why, size);
}

/* Fill the queue: what is finished with its checkpoint in place, what is set aside, and what the open trials want. */
void leader_fill_queue(struct leader *l, struct standing *s)
{
    const struct plan *p = l->plan;
    char why[500];

    for (int i = 0; i < p->stages_count; i++) {
        const struct history_stage *known = history_find(&l->history, &p->key[i]);

        if (s->finished[i] && s->needed[i] && must_run_again(l, i, false, why, sizeof why)) {
            forget(l, i, why);
            s->finished[i] = false;
        }
        if (s->finished[i]) {
            queue_set_done(l->queue, i);
            queue_learn(l->queue, i, known->seconds);
        } else if (known && known->aside)
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

void leader_post(struct leader *l, int rank, int tag, const void *head, const char *text, size_t n)
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

    leader_label(l, stage, m.label, sizeof m.label);
    if (plan_job(l->plan, stage, l->o->folder->checkpoints, &job, &e) || stage_job_write(&job, &text, &e)) {
        tell_trouble(l, stage, CAUSE_bug, e.text);
        queue_failed(l->queue, stage, rank, CAUSE_bug);
        leader_record(l, FACT_ASIDE, fact_aside(&l->plan->key[stage], CAUSE_bug, e.text));
        drop_unneeded(l);
    } else {
        if (!w->leases_count)
            w->began = clock_monotonic();
        w->leases[w->leases_count++] = (struct lease){m.lease, stage};
        leader_post(l, rank, TAG_LEASE, &m, text, strlen(text));
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

void leader_hand_out(struct leader *l)
{
    double left;

    if (l->stopping || !l->work_changed)
        return;
    l->work_changed = false;
    left = leader_seconds_left(l);
    for (bool more = true; more;) { /* in rounds, so that no worker takes all while others have none */
        more = false;
        for (int r = 1; r < l->ranks; r++) {
            struct worker *w = &l->workers[r];
            int stage;

            if (!w->present || w->leases_count >= lease_depth(l, w) ||
                (stage = queue_take_within(l->queue, r, left)) < 0)
                continue;
            give_lease(l, r, stage);
            more = true;
        }
    }
}

/* The stage of a lease that this worker holds, which is then over; -1: it holds no such lease. */
int leader_end_lease(struct leader *l, int rank, uint64_t lease)
{
    struct worker *w = &l->workers[rank];

    for (int i = 0; i < w->leases_count; i++)
        if (w->leases[i].id == lease) {
            int stage = w->leases[i].stage;

            memmove(w->leases + i, w->leases + i + 1, (size_t)(--w->leases_count - i) * sizeof *w->leases);
            w->began = clock_monotonic();
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
        .started = isfinite(started) ? started : clock_wall(),
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

void leader_attempt_failed(struct leader *l, int rank, int stage, enum cause cause, double started, double seconds,
                           const char *text)
{
    struct attempt a = attempt_of(l, rank, stage, started, seconds);

    leader_record(l, FACT_FAILED, fact_failed(&a, cause, text));
    if (cause != CAUSE_interrupted) {
        l->workers[rank].failed++;
        tell_trouble(l, stage, cause, text);
    }
    if (cause == CAUSE_storage) {
        snprintf(l->live.message, sizeof l->live.message, "%s", text);
        err_set(&l->storage, ERR_STORAGE, "%s", text);
        leader_stop_soon(l, "a worker cannot write its checkpoint");
    }
    if (cause == CAUSE_damaged && check_inputs(l, stage))
        cause = CAUSE_interrupted; /* it was its input's fault */
    if (queue_failed(l->queue, stage, rank, cause)) {
        leader_record(l, FACT_ASIDE, fact_aside(&l->plan->key[stage], cause, text));
        drop_unneeded(l);
        if (l->early)
            judge_trials(l); /* others may have waited for a trial that has failed now */
    }
}

void leader_take_done(struct leader *l, int rank, const struct letter *letter)
{
    struct worker *w = &l->workers[rank];
    struct done_message m;
    struct attempt a;
    int stage;
    err e = {0};

    memcpy(&m, letter->bytes, sizeof m);
    stage = leader_end_lease(l, rank, m.lease);
    if (stage < 0)
        return; /* late: somebody else has it, or had */
    a = attempt_of(l, rank, stage, m.started, m.seconds);
    l->unshown = true;
    if (record_done(&l->history, l->ledger, &a, &m.digest, m.parameters, m.trained_seconds, letter->bytes + sizeof m,
                    &e)) {
        leader_attempt_failed(l, rank, stage, CAUSE_answer, m.started, m.seconds, e.text);
        return;
    }
    w->done++;
    w->pace = isnan(w->pace) ? a.seconds : 0.8 * w->pace + 0.2 * a.seconds;
    queue_finished(l->queue, stage, rank, a.seconds);
    l->trials_done += l->trial_of_last[stage] >= 0;
    leader_count_finished(l, 1);
    if (l->early && early_stop_watches(l->early, stage))
        judge_trials(l);
}

void leader_take_failed(struct leader *l, int rank, const struct letter *letter)
{
    struct failed_message m;
    enum cause cause;
    int stage;

    memcpy(&m, letter->bytes, sizeof m);
    stage = leader_end_lease(l, rank, m.lease);
    cause = m.cause > CAUSE_none && m.cause < CAUSE_COUNT ? (enum cause)m.cause : CAUSE_answer;
    if (stage >= 0)
        leader_attempt_failed(l, rank, stage, cause, m.started, m.seconds, letter->bytes + sizeof m);
}
