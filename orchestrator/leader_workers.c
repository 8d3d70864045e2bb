/* orchestrator/leader_workers.c - the life and death of workers; see leader_private.h. */
#include "orchestrator/leader_private.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double PATIENT_SECONDS = 0.5; /* that a lease may wait behind a running one */

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
    leader_post(l, rank, TAG_WELCOME, &self, NULL, 0);
    rank_log_line(l->log, "", "rank %d joined: process %d on %s", rank, (int)w->hello.pid, w->hello.host);
}

/* A rank that was given up speaks again, having slept or been cut off: whatever it holds is void. */
static void rejoin(struct leader *l, int rank)
{
    struct plain_message none = {0};

    rank_log_line(l->log, "", "rank %d is back", rank);
    leader_post(l, rank, TAG_STOP, &none, NULL, 0);
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
        int stage = leader_end_lease(l, rank, w->leases[0].id);
        double seconds = clock_monotonic() - began;

        if (running)
            leader_attempt_failed(l, rank, stage, l->stopping ? CAUSE_interrupted : CAUSE_lost, clock_wall() - seconds,
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

        leader_post(l, rank, TAG_REVOKE, &(struct revoke_message){back.id}, NULL, 0);
        queue_failed(l->queue, back.stage, rank, CAUSE_interrupted);
        l->work_changed = true;
    }
    w->pace = fmax(w->pace, clock_monotonic() - w->began);
}

void leader_look_after_workers(struct leader *l)
{
    double t = clock_monotonic();

    for (int r = 1; r < l->ranks; r++) {
        struct worker *w = &l->workers[r];
        char why[100];

        if (!w->present)
            continue;
        if (rank_is_gone(&w->hello)) {
            snprintf(why, sizeof why, "the worker's process %d has died", (int)w->hello.pid);
            give_up(l, r, why);
        } else if (l->listened - w->heard > l->o->patience) { /* not counting what we ourselves slept */
            snprintf(why, sizeof why, "nothing was heard from the worker for %.0f s", l->listened - w->heard);
            give_up(l, r, why);
        } else if (w->leases_count > 1 && t - w->began > PATIENT_SECONDS) {
            take_back_waiting(l, r);
        }
    }
}

void leader_take_letter(struct leader *l, const struct letter *letter)
{
    struct worker *w;

    if (letter->from < 1 || letter->from >= l->ranks || !message_fits(letter->tag, letter->n)) {
        rank_log_line(l->log, "", "a %s message of %zu bytes from rank %d makes no sense", message_name(letter->tag),
                      letter->n, letter->from);
        return;
    }
    w = &l->workers[letter->from];
    w->heard = clock_monotonic();
    if (letter->tag == TAG_HELLO) {
        join(l, letter->from, letter);
        l->work_changed = true;
        return;
    }
    if (!w->present)
        rejoin(l, letter->from);
    if (letter->tag == TAG_DONE)
        leader_take_done(l, letter->from, letter);
    else if (letter->tag == TAG_FAILED)
        leader_take_failed(l, letter->from, letter);
    else if (letter->tag == TAG_BEAT)
        memcpy(&w->beat, letter->bytes, sizeof w->beat);
}

void leader_tell_all(struct leader *l, int tag, const void *head)
{
    for (int r = 1; r < l->ranks; r++)
        if (l->workers[r].present)
            leader_post(l, r, tag, head, NULL, 0);
}
