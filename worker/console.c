/* worker/console.c - see console.h. */
#include "worker/console.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "worker/fit.h"

#define CLEAR "\r\033[K"
enum { BAR = 20, LINE = 400 };

static volatile sig_atomic_t stop_wanted;
static const int signals[2] = {SIGINT, SIGTERM};

static void want_stop(int signal)
{
    (void)signal;
    stop_wanted = 1;
}

/* "[=====>     ] " */
static void put_bar(double done, char bar[BAR + 4])
{
    size_t full = (size_t)(BAR * done);

    strcpy(bar, "[");
    memset(bar + 1, '=', full);
    memset(bar + 1 + full, ' ', BAR - full);
    strcpy(bar + 1 + BAR, "] ");
    if (full && full < BAR)
        bar[full] = '>';
}

void console_line(struct console *c, const struct progress *p, double now, char *line, size_t size)
{
    double done = fmin(fmax(c->from + (c->to - c->from) * p->fraction, 0), 1);
    char bar[BAR + 4] = "", loss[32] = "", rate[40] = "", left[40] = "";

    if (c->first < 0)
        c->first = done; /* a continued run begins in the middle */
    if (p->images && !c->counted) {
        c->counted = now;
        c->images = p->images;
    }
    if (c->terminal)
        put_bar(done, bar);
    if (isfinite(p->loss))
        snprintf(loss, sizeof loss, ", loss %.4f", p->loss);
    if (p->images > c->images && now > c->counted)
        snprintf(rate, sizeof rate, ", %.0f images/s", (double)(p->images - c->images) / (now - c->counted));
    if (done - c->first > 0.002)
        snprintf(left, sizeof left, ", %.0f s left", (now - c->started) * (1 - done) / (done - c->first));
    snprintf(line, size, "%s: %s%5.1f %%  %s%s%s%s", c->title, bar, 100 * done, p->phase, loss, rate, left);
}

/* As many columns as the terminal has, since a line that wraps cannot be shown anew. */
static size_t columns(void)
{
    struct winsize w;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) || w.ws_col < 2 ? 80 : w.ws_col;
}

static void show(struct console *c, const struct progress *p)
{
    double now = seconds_now();
    bool other = c->terminal && (!c->phase || strcmp(c->phase, p->phase));
    char line[LINE];
    size_t most = c->terminal ? columns() : sizeof line;

    console_line(c, p, now, line, most < sizeof line ? most : sizeof line);
    if (!other && now - c->shown < (c->terminal ? 0.2 : 10))
        return;
    c->shown = now;
    c->phase = p->phase;
    fprintf(stderr, c->terminal ? CLEAR "%s" : "%s\n", line);
    fflush(stderr);
}

static ssize_t write_above(void *context, const char *text, size_t n)
{
    struct console *c = context;

    if (c->terminal && c->phase)
        fputs(CLEAR, stderr);
    c->phase = NULL; /* to be shown again, in a line of its own */
    return (ssize_t)fwrite(text, 1, n, stderr);
}

FILE *console_lines(struct console *c)
{
    FILE *f = fopencookie(c, "w", (cookie_io_functions_t){.write = write_above});

    if (f)
        setvbuf(f, NULL, _IOLBF, LINE);
    return f;
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
        fputs(CLEAR, stderr);
    for (int i = 0; i < 2; i++)
        sigaction(signals[i], &c->before[i], NULL);
}
