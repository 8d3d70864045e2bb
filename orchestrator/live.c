/* orchestrator/live.c - see live.h. */
#include "orchestrator/live.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "io/clock.h"

static const double PLAIN_SECONDS = 10, TERMINAL_SECONDS = 0.25;

/* ------------------------------------------------------------------------------------------------ to JSON and back */

static json_t *number_json(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *text_json(const char *text)
{
    json_t *value = json_string(text);

    return value ? value : json_string("(unreadable)");
}

static json_t *worker_json(const struct live_worker *w)
{
    return json_pack("{s:i, s:i, s:o, s:s, s:o, s:o, s:i, s:i, s:o, s:o, s:o, s:i, s:i, s:i, s:i}", "rank", w->rank,
                     "pid", w->pid, "host", text_json(w->host), "state", w->state, "label", text_json(w->label),
                     "phase", text_json(w->phase), "epoch", w->epoch, "epochs", w->epochs, "fraction",
                     number_json(w->fraction), "loss", number_json(w->loss), "since", number_json(w->since), "done",
                     w->done, "failed", w->failed, "trial_done", w->trial_done, "trial_stages", w->trial_stages);
}

static json_t *live_json(const struct live *l)
{
    json_t *o = json_object(), *workers = json_array(), *troubles = json_array();

    json_object_set_new(o, "sweep", text_json(l->sweep));
    json_object_set_new(o, "state", text_json(l->state));
    json_object_set_new(o, "message", text_json(l->message));
    json_object_set_new(o, "begun", number_json(l->begun));
    json_object_set_new(o, "now", number_json(l->now));
    json_object_set_new(o, "rate", number_json(l->rate));
    json_object_set_new(o, "eta", number_json(l->eta));
#define C(name, meaning) json_object_set_new(o, #name, json_integer(l->name));
    LIVE_COUNTS(C)
#undef C
    for (int i = 0; i < l->workers_count; i++)
        json_array_append_new(workers, worker_json(&l->worker[i]));
    for (int i = 0; i < l->troubles_count; i++)
        json_array_append_new(troubles, json_pack("{s:o, s:s, s:o, s:f}", "label", text_json(l->trouble[i].label),
                                                  "cause", l->trouble[i].cause, "text", text_json(l->trouble[i].text),
                                                  "when", l->trouble[i].when));
    json_object_set_new(o, "worker", workers);
    json_object_set_new(o, "trouble", troubles);
    return o;
}

int live_write(const struct live *l, const char *path, err *e)
{
    char aside[4200];
    json_t *o = live_json(l);

    snprintf(aside, sizeof aside, "%s.%d.tmp", path, (int)getpid());
    if (json_dump_file(o, aside, JSON_INDENT(1)) || rename(aside, path)) {
        err_errno(e, "%s", path);
        unlink(aside);
    }
    json_decref(o);
    return e->code;
}

int live_print(const struct live *l, FILE *out)
{
    json_t *o = live_json(l);
    int status = json_dumpf(o, out, JSON_INDENT(1));

    json_decref(o);
    return fputc('\n', out) == EOF ? -1 : status;
}

static void copy_text(char *to, size_t size, const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));

    snprintf(to, size, "%s", text ? text : "");
}

static double number_of(const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);

    return json_is_number(v) ? json_number_value(v) : NAN;
}

static int integer_of(const json_t *o, const char *name)
{
    return (int)json_integer_value(json_object_get(o, name));
}

static void read_worker(const json_t *o, struct live_worker *w)
{
    *w = (struct live_worker){
        .rank = integer_of(o, "rank"),
        .pid = integer_of(o, "pid"),
        .epoch = integer_of(o, "epoch"),
        .epochs = integer_of(o, "epochs"),
        .fraction = number_of(o, "fraction"),
        .loss = number_of(o, "loss"),
        .since = number_of(o, "since"),
        .done = integer_of(o, "done"),
        .failed = integer_of(o, "failed"),
        .trial_done = integer_of(o, "trial_done"),
        .trial_stages = integer_of(o, "trial_stages"),
    };
    copy_text(w->host, sizeof w->host, o, "host");
    copy_text(w->state, sizeof w->state, o, "state");
    copy_text(w->label, sizeof w->label, o, "label");
    copy_text(w->phase, sizeof w->phase, o, "phase");
}

static void read_lists(const json_t *o, struct live *l)
{
    const json_t *workers = json_object_get(o, "worker"), *troubles = json_object_get(o, "trouble");
    size_t n = json_array_size(workers), m = json_array_size(troubles);

    n = n < LIVE_WORKERS ? n : LIVE_WORKERS;
    m = m < LIVE_TROUBLES ? m : LIVE_TROUBLES;
    l->worker = calloc(n + 1, sizeof *l->worker);
    l->workers_count = l->worker ? (int)n : 0;
    for (int i = 0; i < l->workers_count; i++)
        read_worker(json_array_get(workers, (size_t)i), &l->worker[i]);
    l->troubles_count = (int)m;
    for (size_t i = 0; i < m; i++) {
        const json_t *t = json_array_get(troubles, i);

        copy_text(l->trouble[i].label, sizeof l->trouble[i].label, t, "label");
        copy_text(l->trouble[i].cause, sizeof l->trouble[i].cause, t, "cause");
        copy_text(l->trouble[i].text, sizeof l->trouble[i].text, t, "text");
        l->trouble[i].when = number_of(t, "when");
    }
}

int live_read(const char *path, struct live *l, err *e)
{
    json_error_t why;
    json_t *o;

    *l = (struct live){0};
    if (access(path, F_OK))
        return err_set(e, ERR_MISSING, "%s: there is no such file", path);
    o = json_load_file(path, 0, &why);
    if (!json_is_object(o)) {
        json_decref(o);
        return err_set(e, ERR_DAMAGED, "%s: %s", path, why.text);
    }
    copy_text(l->sweep, sizeof l->sweep, o, "sweep");
    copy_text(l->state, sizeof l->state, o, "state");
    copy_text(l->message, sizeof l->message, o, "message");
    l->begun = number_of(o, "begun");
    l->now = number_of(o, "now");
    l->rate = number_of(o, "rate");
    l->eta = number_of(o, "eta");
#define C(name, meaning) l->name = integer_of(o, #name);
    LIVE_COUNTS(C)
#undef C
    read_lists(o, l);
    json_decref(o);
    return 0;
}

void live_free(struct live *l)
{
    free(l->worker);
    *l = (struct live){0};
}

bool live_is_final(const struct live *l)
{
    return strcmp(l->state, "running") && strcmp(l->state, "stopping");
}

/* ------------------------------------------------------------------------------------------------ the line */

void live_span(double s, char *to, size_t size)
{
    if (!isfinite(s))
        snprintf(to, size, "?");
    else if (s < 60)
        snprintf(to, size, "%.0f s", ceil(s));
    else if (s < 3600)
        snprintf(to, size, "%d min %02d s", (int)s / 60, (int)s % 60);
    else if (s < 86400)
        snprintf(to, size, "%d h %02d min", (int)s / 3600, (int)s % 3600 / 60);
    else
        snprintf(to, size, "%d d %02d h", (int)(s / 86400), (int)fmod(s, 86400) / 3600);
}

void live_line(const struct live *l, char *line, size_t size)
{
    char eta[32];
    int used;

    live_span(l->eta, eta, sizeof eta);
    used = snprintf(line, size, "%d/%d trials, %d/%d stages, %d running, %.*f stages/s, ETA %s",
                    l->trials_done + l->trials_pruned, l->trials, l->stages_done, l->stages, l->trials_running,
                    l->rate < 10 ? 1 : 0, l->rate, eta);
    if (l->trials_failed && used < (int)size)
        used += snprintf(line + used, size - (size_t)used, ", %d failed", l->trials_failed);
    if (strcmp(l->state, "running") && used < (int)size)
        snprintf(line + used, size - (size_t)used, " (%s)", l->state);
}

/* "[########............]": of `all`, `done` are done. */
static void bar(char *to, int width, int done, int all)
{
    int full = all > 0 ? (int)((double)width * done / all) : 0;

    *to++ = '[';
    for (int i = 0; i < width; i++)
        *to++ = i < full ? '#' : '.';
    strcpy(to, "]");
}

/* "trial 7 wtp 2, train 3/5, loss 1.92, 40 % after 12 s; 12/29 stages of the trial are done" */
static void task_text(const struct live_worker *w, FILE *out)
{
    char since[32];

    live_span(w->since, since, sizeof since);
    fprintf(out, "  %s", w->label);
    if (w->epochs > 1)
        fprintf(out, ", %s %d/%d", w->phase, w->epoch + 1, w->epochs);
    else if (*w->phase)
        fprintf(out, ", %s", w->phase);
    if (isfinite(w->loss))
        fprintf(out, ", loss %.3g", w->loss);
    if (isfinite(w->fraction))
        fprintf(out, ", %.0f %% after %s", 100 * w->fraction, since);
    else
        fprintf(out, ", for %s", since);
    if (w->trial_stages)
        fprintf(out, "; %d/%d stages of the trial are done", w->trial_done, w->trial_stages);
}

static void worker_line(const struct live_worker *w, FILE *out)
{
    fprintf(out, "  %4d  %-16.16s  %-9s  %5d  %6d", w->rank, w->host, w->state, w->done, w->failed);
    if (*w->label)
        task_text(w, out);
    fputc('\n', out);
}

/* "05:10:03 trial 7 wtp 2: hang: no sign of life ..." */
static void trouble_line(const struct live_trouble *t, FILE *out)
{
    char when[32] = "";
    time_t seconds = (time_t)t->when;
    struct tm local;

    if (t->when > 0)
        strftime(when, sizeof when, "%H:%M:%S ", localtime_r(&seconds, &local));
    fprintf(out, "  %s%s: %s: %s\n", when, t->label, t->cause, t->text);
}

void live_screen(const struct live *l, FILE *out)
{
    enum { BAR = 24 };
    char eta[32], since[32], trials[BAR + 3], stages[BAR + 3];

    live_span(l->eta, eta, sizeof eta);
    live_span(l->now - l->begun, since, sizeof since);
    bar(trials, BAR, l->trials_done + l->trials_failed + l->trials_pruned, l->trials);
    bar(stages, BAR, l->stages_done, l->stages);
    fprintf(out, "sweep %s: %s%s%s\n", l->sweep, l->state, *l->message ? ": " : "", l->message);
    fprintf(out, "trials  %s %d: %d done, %d running, %d failed, %d pruned\n", trials, l->trials, l->trials_done,
            l->trials_running, l->trials_failed, l->trials_pruned);
    fprintf(out, "stages  %s %d: %d done (%d of them before this run), %d set aside, %d blocked by these\n", stages,
            l->stages, l->stages_done, l->stages_reused, l->stages_aside, l->stages_blocked);
    if (!live_is_final(l))
        fprintf(out, "time    %s so far, %.*f stages/s, ETA %s\n", since, l->rate < 10 ? 1 : 0, l->rate, eta);
    if (l->troubles_count)
        fprintf(out, "\nlast troubles\n");
    for (int i = 0; i < l->troubles_count; i++)
        trouble_line(&l->trouble[i], out);
    if (l->workers_count && !live_is_final(l))
        fprintf(out, "\n  rank  host              state       done  failed  now\n");
    for (int i = 0; i < l->workers_count && !live_is_final(l); i++)
        worker_line(&l->worker[i], out);
}

struct live_view live_view_start(void)
{
    return (struct live_view){.terminal = isatty(STDERR_FILENO)};
}

/* [########............] and the line, within the terminal's width. */
static void show_bar(const struct live *l, const char *line)
{
    struct winsize w = {0};
    int width = !ioctl(STDERR_FILENO, TIOCGWINSZ, &w) && w.ws_col ? w.ws_col : 80;
    char text[512];

    bar(text, width > 110 ? 24 : 12, l->stages_done, l->stages);
    strcat(text, " ");
    strncat(text, line, sizeof text - strlen(text) - 1);
    fprintf(stderr, "\r%.*s\033[K", width - 1, text);
    fflush(stderr);
}

void live_show(struct live_view *v, const struct live *l)
{
    double t = clock_monotonic();
    char line[256];

    if (v->shown && t - v->shown < (v->terminal ? TERMINAL_SECONDS : PLAIN_SECONDS))
        return;
    live_line(l, line, sizeof line);
    v->shown = t;
    if (v->terminal)
        show_bar(l, line);
    else if (strcmp(line, v->last))
        fprintf(stderr, "%s\n", line);
    memcpy(v->last, line, sizeof line);
}

void live_view_end(struct live_view *v)
{
    if (v->terminal && v->shown)
        fputs("\n", stderr);
    v->shown = 0;
}
