/* worker/rank.c - see rank.h. */
#include "worker/rank.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/clock.h"
#include "worker/log.h"
#include "worker/mail.h"
#include "worker/messages.h"
#include "worker/supervisor.h"

enum { LOG_LIMIT = 4 << 20 };
static const double GRACE_SECONDS = 2.5;    /* from STOP to the child's end by force; Ctrl-C shall work within 5 s */
static const double START_PATIENCES = 20;   /* rank 0 may plan a large sweep before its first word */
static const double LAST_WORDS_SECONDS = 1; /* for messages still under way when leaving */
static const double HOLD_SECONDS = 0.0005;  /* that an answer may wait for the next one while there is work */

/* A lease waiting or running. */
struct task {
    struct task *next;
    struct lease_message lease;
    size_t n;
    char job[];
};

struct worker {
    const struct rank_options *options;
    mail *mail;
    supervisor *supervisor;
    rank_log *log;
    struct task *running, *waiting, **last_waiting;
    bool revoked; /* nobody wants to hear of the running one any more */
    bool quit, abrupt;
    bool welcomed;
    struct hello_message leader;
    double heard, listened, beaten, looked, flushed; /* s; listened: when all letters that had come were read */
};

double rank_beat_seconds(double patience)
{
    return fmin(1, patience / 8);
}

void rank_introduce(struct hello_message *hello)
{
    *hello = (struct hello_message){
        .pid = (int32_t)getpid(),
        .cores = (int32_t)sysconf(_SC_NPROCESSORS_ONLN),
        .memory = (int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE),
    };
    gethostname(hello->host, sizeof hello->host - 1);
}

static bool of_this_host(const struct hello_message *hello)
{
    char here[sizeof hello->host] = "";

    gethostname(here, sizeof here - 1);
    return !strcmp(here, hello->host);
}

bool rank_is_here(const struct hello_message *hello)
{
    return of_this_host(hello) && !kill(hello->pid, 0);
}

bool rank_is_gone(const struct hello_message *hello)
{
    return of_this_host(hello) && kill(hello->pid, 0) && errno == ESRCH;
}

void rank_doze(int *idle, struct pollfd *fds, int n)
{
    double us = fmin(100 * pow(1.1, *idle), *idle < 2000 ? 4000 : 20000);
    struct timespec t = {0, (long)(1000 * us)};

    ++*idle;
    ppoll(fds, (nfds_t)n, &t, NULL);
}

/* ------------------------------------------------------------------------------------------------ speaking to rank 0
 */

static void say(struct worker *w, int tag, const void *head, const char *text)
{
    err e = {0};

    /* If rank 0 cannot be reached it is found gone soon, and a stage that it does not hear of is run again. */
    if (mail_send(w->mail, 0, tag, head, message_head(tag), text, text ? strlen(text) : 0, &e))
        rank_log_line(w->log, "", "a %s message was not sent: %s", message_name(tag), e.text);
}

static void beat(struct worker *w)
{
    struct beat_message b = {0};
    const struct progress_report *p = supervisor_progress(w->supervisor);

    if (w->running && !w->revoked) {
        b = (struct beat_message){w->running->lease.lease, p->epoch, p->epochs, p->fraction, p->loss, ""};
        snprintf(b.phase, sizeof b.phase, "%s", p->phase);
    }
    say(w, TAG_BEAT, &b, NULL);
}

static void report(struct worker *w, struct attempt_end *end)
{
    const char *label = w->running->lease.label;

    if (end->cause != CAUSE_none)
        rank_log_line(w->log, label, "%s after %.2f s: %s", cause_name(end->cause), end->seconds, end->text);
    if (!w->revoked && end->cause == CAUSE_none) {
        struct done_message done = {
            w->running->lease.lease,           end->started,           end->seconds, end->outcome.seconds,
            end->outcome.trainable_parameters, end->outcome.checkpoint};

        say(w, TAG_DONE, &done, end->rows);
    } else if (!w->revoked) {
        struct failed_message failed = {w->running->lease.lease, end->started, end->seconds, (int32_t)end->cause, 0};

        say(w, TAG_FAILED, &failed, end->text);
    }
    free(end->rows);
    free(w->running);
    w->running = NULL;
}

/* ------------------------------------------------------------------------------------------------ leases */

static void begin_next(struct worker *w)
{
    struct task *t = w->waiting;
    struct stage_limits limits = {t->lease.seconds, t->lease.bytes};

    w->waiting = t->next;
    if (!w->waiting)
        w->last_waiting = &w->waiting;
    w->running = t;
    w->revoked = false;
    supervisor_begin(w->supervisor, t->job, t->n, &limits);
}

static void take_lease(struct worker *w, const struct letter *l)
{
    size_t n = l->n - sizeof(struct lease_message);
    struct task *t = malloc(sizeof *t + n);

    if (!t) { /* rank 0 takes the silence for a lost lease */
        rank_log_line(w->log, "", "no memory for a lease of %zu bytes", n);
        return;
    }
    t->next = NULL;
    t->n = n;
    memcpy(&t->lease, l->bytes, sizeof t->lease);
    t->lease.label[sizeof t->lease.label - 1] = 0;
    memcpy(t->job, l->bytes + sizeof t->lease, n);
    *w->last_waiting = t;
    w->last_waiting = &t->next;
}

static void drop_waiting(struct worker *w, uint64_t lease) /* 0: all */
{
    struct task **at = &w->waiting;

    while (*at) {
        struct task *t = *at;

        if (lease && t->lease.lease != lease) {
            at = &t->next;
            continue;
        }
        *at = t->next;
        free(t);
    }
    w->last_waiting = at;
}

static void void_lease(struct worker *w, uint64_t lease)
{
    if (w->running && w->running->lease.lease == lease) {
        w->revoked = true;
        supervisor_stop(w->supervisor);
    } else {
        drop_waiting(w, lease);
    }
}

static void obey(struct worker *w, const struct letter *l)
{
    struct revoke_message r;
    struct quit_message q;

    w->heard = clock_monotonic();
    if (l->from || !message_fits(l->tag, l->n)) {
        rank_log_line(w->log, "", "a %s message of %zu bytes from rank %d makes no sense", message_name(l->tag), l->n,
                      l->from);
        return;
    }
    switch (l->tag) {
    case TAG_WELCOME:
        memcpy(&w->leader, l->bytes, sizeof w->leader);
        w->leader.host[sizeof w->leader.host - 1] = 0;
        w->welcomed = true;
        if (w->leader.threads > 0)
            supervisor_set_threads(w->supervisor, w->leader.threads);
        break;
    case TAG_LEASE:
        take_lease(w, l);
        break;
    case TAG_REVOKE:
        memcpy(&r, l->bytes, sizeof r);
        void_lease(w, r.lease);
        break;
    case TAG_STOP:
        drop_waiting(w, 0);
        supervisor_stop(w->supervisor);
        break;
    case TAG_QUIT:
        memcpy(&q, l->bytes, sizeof q);
        w->quit = true;
        w->abrupt = q.abrupt;
        break;
    default: /* a BEAT: it was heard */
        break;
    }
}

/* ------------------------------------------------------------------------------------------------ the loop */

static void log_line(void *context, const char *line)
{
    struct worker *w = context;

    rank_log_line(w->log, w->running ? w->running->lease.label : "", "| %s", line);
}

static void leave_if_alone(struct worker *w, err *e)
{
    double t = clock_monotonic();

    if (t - w->looked < 0.2)
        return;
    w->looked = t;
    if (w->welcomed && rank_is_gone(&w->leader))
        err_set(e, ERR_WORKER, "rank 0 has died");
    else if (w->listened - w->heard > (w->welcomed ? 1 : START_PATIENCES) * w->options->patience)
        err_set(e, ERR_WORKER, "nothing was heard from rank 0 for %.0f s", w->listened - w->heard);
}

/* One round; true if something happened. */
static bool turn(struct worker *w)
{
    struct attempt_end end;
    struct letter l;
    bool active = false;

    while (!w->quit && mail_next(w->mail, &l)) {
        obey(w, &l);
        active = true;
    }
    w->listened = clock_monotonic();
    if (supervisor_poll(w->supervisor, &end)) {
        report(w, &end);
        active = true;
    }
    if (!supervisor_busy(w->supervisor) && w->waiting) {
        begin_next(w);
        active = true;
    }
    if (clock_monotonic() - w->beaten > rank_beat_seconds(w->options->patience)) {
        w->beaten = clock_monotonic();
        beat(w);
    }
    if (!w->waiting || clock_monotonic() - w->flushed > HOLD_SECONDS) {
        w->flushed = clock_monotonic();
        mail_flush(w->mail);
    }
    return active;
}

static void serve(struct worker *w, err *e)
{
    struct hello_message hello;
    int idle = 0;

    rank_introduce(&hello);
    hello.threads = w->options->threads;
    say(w, TAG_HELLO, &hello, NULL);
    w->heard = w->beaten = clock_monotonic();
    while (!w->quit && !e->code) {
        struct pollfd fds[2];
        bool active = turn(w);

        if (active)
            idle = 0;
        if (!active || supervisor_busy(w->supervisor)) /* the trainer's answer wakes us */
            rank_doze(&idle, fds, supervisor_fds(w->supervisor, fds));
        leave_if_alone(w, e);
    }
    if (e->code)
        rank_log_line(w->log, "", "%s: this worker leaves", e->text);
    w->abrupt |= e->code != 0;
}

static void send_last_words(struct worker *w)
{
    double start = clock_monotonic();

    mail_flush(w->mail);
    while (!w->abrupt && mail_pending(w->mail) && clock_monotonic() - start < LAST_WORDS_SECONDS)
        sched_yield();
}

int rank_serve(MPI_Comm comm, const struct rank_options *o, bool *abrupt, err *e)
{
    struct worker w = {.options = o};
    struct supervisor_options child = {o->child, o->threads, o->patience, GRACE_SECONDS, log_line, &w};
    int rank;

    w.last_waiting = &w.waiting;
    MPI_Comm_rank(comm, &rank);
    if (!mail_open(comm, &w.mail, e) && !rank_log_open(o->log_folder, rank, LOG_LIMIT, &w.log, e) &&
        !supervisor_create(&child, &w.supervisor, e))
        serve(&w, e);
    supervisor_free(w.supervisor);
    drop_waiting(&w, 0);
    free(w.running);
    if (w.mail)
        send_last_words(&w);
    *abrupt = w.abrupt || e->code;
    mail_close(w.mail);
    rank_log_close(w.log);
    return e->code;
}
