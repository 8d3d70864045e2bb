/* worker/child.c - see child.h. */
#include "worker/child.h"

#include <jansson.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/rows.h"
#include "worker/wire.h"

static const double PROGRESS_SECONDS = 0.2; /* least time between two progress frames */

struct child {
    struct wire wire;
    trainer_function run;
    bool stop;        /* the supervisor wants the stage to end */
    double last_sent; /* progress */
    err broken;       /* the first failure to speak or to understand */
};

/* Send a JSON value as a frame; takes the reference. */
static void send_json(struct child *c, enum frame_type type, json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;

    if (!text)
        err_set(&c->broken, ERR_BUG, "a %s frame cannot be written as JSON", frame_name(type));
    else if (!c->broken.code && !wire_send(&c->wire, type, text, strlen(text), &c->broken))
        wire_flush(&c->wire, true, &c->broken);
    free(text);
    json_decref(value);
}

/* Look for a request to stop.  A job that comes while another runs is nonsense. */
static void listen(struct child *c)
{
    struct frame f;
    bool got;

    if (wire_fill(&c->wire, &c->broken))
        return;
    while (!wire_next(&c->wire, &f, &got, &c->broken) && got) {
        if (f.type != FRAME_STOP)
            err_set(&c->broken, ERR_WORKER, "a %s frame while a stage is running", frame_name(f.type));
        c->stop = true;
    }
}

static json_t *number_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static bool child_go_on(void *context, const struct progress *p)
{
    struct child *c = context;
    double t = clock_monotonic();

    listen(c);
    if (t - c->last_sent >= PROGRESS_SECONDS && !c->broken.code) {
        c->last_sent = t;
        send_json(c, FRAME_PROGRESS,
                  json_pack("{s:s, s:i, s:i, s:o, s:o}", "phase", p->phase, "epoch", p->epoch, "epochs", p->epochs,
                            "fraction", number_or_null(p->fraction), "loss", number_or_null(p->loss)));
    }
    return !c->stop && !c->broken.code && !c->wire.ended;
}

static void child_accuracy(void *context, const struct accuracy_row *row)
{
    send_json(context, FRAME_ACCURACY, row_to_json(&table_accuracy, row));
}

static void child_training(void *context, const struct training_row *row)
{
    send_json(context, FRAME_TRAINING, row_to_json(&table_training, row));
}

static void send_outcome(struct child *c, const struct stage_outcome *out, const err *e)
{
    char hex[DIGEST_HEX];

    if (e->code) {
        json_t *text = json_string(e->text);

        send_json(c, FRAME_FAILED,
                  json_pack("{s:s, s:o}", "code", err_name(e->code), "text",
                            text ? text : json_string("(no readable text)")));
        return;
    }
    digest_to_hex(&out->checkpoint, hex);
    send_json(c, FRAME_DONE,
              json_pack("{s:s, s:I, s:f}", "digest", hex, "parameters", (json_int_t)out->trainable_parameters,
                        "seconds", out->seconds));
}

static void run_job(struct child *c, const struct frame *f)
{
    const struct host host = {c, child_go_on, child_accuracy, child_training};
    char *text = strndup(f->payload, f->n);
    struct stage_outcome out = {0};
    struct stage_job job = {0};
    err e = {0};

    c->stop = false;
    c->last_sent = 0;
    if (!text)
        err_set(&e, ERR_NOMEM, "no memory for a job of %zu bytes", f->n);
    else if (!stage_job_read(text, &job, &e)) {
        c->run(&job, &host, &out, &e);
        stage_job_free(&job);
    }
    free(text);
    send_outcome(c, &out, &e);
}

int child_serve(int fd, trainer_function run, err *e)
{
    struct child c = {.run = run};

    if (wire_open(&c.wire, fd, e))
        return e->code;
    while (!c.broken.code && !c.wire.ended) {
        struct frame f;
        bool got;

        poll(&(struct pollfd){c.wire.fd, POLLIN, 0}, 1, -1);
        if (wire_fill(&c.wire, &c.broken))
            break;
        while (!wire_next(&c.wire, &f, &got, &c.broken) && got) /* a STOP here came too late for its stage */
            if (f.type == FRAME_JOB)
                run_job(&c, &f);
            else if (f.type != FRAME_STOP)
                err_set(&c.broken, ERR_WORKER, "a %s frame sent to a trainer", frame_name(f.type));
    }
    if (c.broken.code && !c.wire.ended)
        *e = c.broken;
    wire_close(&c.wire);
    return e->code;
}

int child_main(int argc, char **argv, trainer_function run)
{
    char *end = NULL;
    long fd = argc == 2 ? strtol(argv[1], &end, 10) : -1;
    err e = {0};

    if (fd < 0 || fd > 1 << 20 || *end) {
        fputs("sluice trainer: this command is started by sluice itself, with a socket\n", stderr);
        return 2;
    }
    /* Whether to stop is the supervisor's decision, and its death is ours. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "sluice trainer");
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stderr, NULL, _IOLBF, 0);
    if (child_serve((int)fd, run, &e))
        fprintf(stderr, "sluice trainer: %s\n", e.text);
    return err_exit_status(e.code);
}
