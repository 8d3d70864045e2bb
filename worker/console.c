/* worker/console.c - see console.h. */
#include "worker/console.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "worker/fit.h"

static volatile sig_atomic_t stop_wanted;
static const int signals[2] = {SIGINT, SIGTERM};

static void want_stop(int signal)
{
    (void)signal;
    stop_wanted = 1;
}

/* One line, rewritten five times a second on a terminal; a new line every ten seconds otherwise. */
static void show(struct console *c, const struct progress *p)
{
    double now = seconds_now(), done = c->from + (c->to - c->from) * p->fraction;
    char loss[32] = "";

    if (c->first < 0)
        c->first = done; /* a continued run begins in the middle */
    if (now - c->shown < (c->terminal ? 0.2 : 10))
        return;
    c->shown = now;
    if (isfinite(p->loss))
        snprintf(loss, sizeof loss, ", loss %.4f", p->loss);
    fprintf(stderr, "%s%s: %5.1f %%  %s%s", c->terminal ? "\r\033[K" : "", c->title, 100 * done, p->phase, loss);
    if (done - c->first > 0.002)
        fprintf(stderr, ", %.0f s left", (now - c->started) * (1 - done) / (done - c->first));
    fputs(c->terminal ? "" : "\n", stderr);
    fflush(stderr);
}

static bool go_on(void *context, const struct progress *p)
{
    show(context, p);
    return !stop_wanted;
}

static void drop_accuracy(void *context, const struct accuracy_row *row)
{
    (void)context;
    (void)row;
}

static void drop_training(void *context, const struct training_row *row)
{
    (void)context;
    (void)row;
}

void console_open(struct console *c, const char *title)
{
    struct sigaction action = {.sa_handler = want_stop};

    memset(c, 0, sizeof *c);
    c->host = (struct host){c, go_on, drop_accuracy, drop_training};
    c->title = title;
    c->started = c->shown = seconds_now();
    c->to = 1;
    c->first = -1;
    c->terminal = isatty(STDERR_FILENO);
    stop_wanted = 0;
    for (int i = 0; i < 2; i++)
        sigaction(signals[i], &action, &c->before[i]);
}

void console_close(struct console *c)
{
    if (c->terminal)
        fputs("\r\033[K", stderr);
    for (int i = 0; i < 2; i++)
        sigaction(signals[i], &c->before[i], NULL);
}
