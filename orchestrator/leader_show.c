/* orchestrator/leader_show.c - how a run is seen; see leader_private.h. */
#include "orchestrator/leader_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void leader_count_finished(struct leader *l, int n)
{
    long second = (long)clock_monotonic();

    if (second - l->rate_second > RATE_SLOTS)
        l->rate_second = second - RATE_SLOTS;
    for (; l->rate_second < second; l->rate_second++)
        l->finished_in[(l->rate_second + 1) % RATE_SLOTS] = 0;
    l->finished_in[second % RATE_SLOTS] += n;
    l->finished += n;
}

/* Stages per second over the last minute, or since the beginning. */
static double progress_rate(const struct leader *l)
{
    double span = fmin(RATE_SLOTS, clock_monotonic() - l->started), sum = 0;

    for (int i = 0; i < RATE_SLOTS; i++)
        sum += l->finished_in[i];
    return sum / fmax(span, 1);
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
            work -= expected *
                    (w->beat.fraction >= 0 ? w->beat.fraction : fmin(0.9, (clock_monotonic() - w->began) / expected));
    }
    work = isnan(work) ? work : fmax(work, 0);
    return workers ? fmax(work / workers, fmin(work, queue_path_left(l->queue))) : NAN;
}

/* How far the trial is for which a stage is being run. */
static void count_trial(const struct leader *l, int trial, struct live_worker *out)
{
    int *stages;
    err e = {0};

    if (plan_trial_stages(l->plan, trial, &stages, &out->trial_stages, &e))
        out->trial_stages = 0;
    for (int i = 0; i < out->trial_stages; i++)
        out->trial_done += queue_state(l->queue, stages[i]) == QUEUE_DONE;
    free(stages);
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
                                .since = w->leases_count ? clock_monotonic() - w->began : NAN,
                                .done = w->done,
                                .failed = w->failed};
    snprintf(out->host, sizeof out->host, "%s", w->hello.host);
    snprintf(out->state, sizeof out->state, "%s", state);
    snprintf(out->phase, sizeof out->phase, "%.31s", w->beat.phase);
    if (!w->leases_count)
        return;
    leader_label(l, w->leases[0].stage, out->label, sizeof out->label);
    count_trial(l, plan_example(l->plan, w->leases[0].stage), out);
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
    v->now = clock_wall();
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

void leader_show(struct leader *l, const char *state)
{
    double start = clock_monotonic();
    err e = {0};

    leader_count_finished(l, 0);
    leader_sync(l); /* nothing is shown that is not on the disk */
    fill_live(l, state);
    live_write(&l->live, l->o->folder->live, &e); /* a convenience: its failure is no reason to stop */
    if (l->o->show)
        live_show(&l->view, &l->live);
    l->lived = clock_monotonic();
    l->live_took = l->lived - start;
}
