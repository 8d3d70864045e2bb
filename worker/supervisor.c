/* worker/supervisor.c - see supervisor.h. */
#include "worker/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/rows.h"
#include "worker/wire.h"

extern char **environ;

enum { TAIL_LINES = 6, LINE_SIZE = 512, MAX_ARGUMENTS = 16, CHILD_FD = 3, MAX_ROWS = 48 << 20 };
static const double WATCH_SECONDS = 0.1; /* between two looks at memory and clocks */

/* Rows of one table as the inside of a JSON array. */
struct row_text {
    char *bytes;
    size_t used, room;
};

struct supervisor {
    struct supervisor_options options;
    char **environment; /* the child's; owned array, borrowed texts but the first */
    pid_t child;        /* 0: none */
    struct wire wire;
    int log; /* the child's output, -1: none */
    char line[LINE_SIZE];
    size_t line_used;
    char tail[TAIL_LINES][LINE_SIZE];
    int tail_next;

    bool busy, stopping;
    struct stage_limits limits;
    struct progress_report progress;
    struct row_text accuracy, training;
    struct attempt_end end; /* filled when the attempt has ended */
    bool ended;
    double began, heard, asked, watched; /* monotonic s */
    long long oom_kills;                 /* of the whole system, when the child started */
};

/* ------------------------------------------------------------------------------------------------ the child's life */

int supervisor_create(const struct supervisor_options *o, supervisor **out, err *e)
{
    supervisor *s = calloc(1, sizeof *s);
    int n = 0, used = 0;

    *out = NULL;
    while (environ[n])
        n++;
    if (!s || !(s->environment = calloc((size_t)n + 2, sizeof *s->environment)) ||
        asprintf(&s->environment[used++], "OMP_NUM_THREADS=%d", o->threads > 0 ? o->threads : 1) < 0) {
        supervisor_free(s);
        return err_set(e, ERR_NOMEM, "no memory for a supervisor");
    }
    for (int i = 0; i < n; i++)
        if (strncmp(environ[i], "OMP_NUM_THREADS=", 16))
            s->environment[used++] = environ[i];
    s->options = *o;
    s->wire = (struct wire){.fd = -1};
    s->log = -1;
    *out = s;
    return 0;
}

void supervisor_set_threads(supervisor *s, int threads)
{
    char *text;

    if (asprintf(&text, "OMP_NUM_THREADS=%d", threads) < 0)
        return;
    free(s->environment[0]);
    s->environment[0] = text;
}

static int spawn(supervisor *s, int socket_end, int log_end, err *e)
{
    char *argv[MAX_ARGUMENTS + 2], number[] = "3";
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    int n = 0, status;

    _Static_assert(CHILD_FD == 3, "the number above");
    while (n < MAX_ARGUMENTS && s->options.argv[n]) {
        argv[n] = (char *)s->options.argv[n];
        n++;
    }
    argv[n++] = number;
    argv[n] = NULL;
    argv[0] = (char *)"sluice"; /* what ps shows: the program itself may go by the name /proc/self/exe */
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, log_end, 1);
    posix_spawn_file_actions_adddup2(&actions, log_end, 2);
    posix_spawn_file_actions_adddup2(&actions, socket_end, CHILD_FD);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, CHILD_FD + 1);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    status = posix_spawn(&s->child, s->options.argv[0], &actions, &attributes, argv, s->environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (status) {
        s->child = 0;
        errno = status;
        err_errno(e, "the trainer %s cannot be started", s->options.argv[0]);
    }
    return e->code;
}

/* If memory runs out, the kernel should end a trainer before anything else. */
static void prefer_for_oom(pid_t child)
{
    char path[64];
    int fd;

    snprintf(path, sizeof path, "/proc/%d/oom_score_adj", (int)child);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (write(fd, "900", 3) != 3)
            errno = 0; /* a wish, not a need */
        close(fd);
    }
}

/* How many processes the kernel ended so far because memory ran out; -1 if it does not say. */
static long long system_oom_kills(void)
{
    FILE *f = fopen("/proc/vmstat", "re");
    char line[128];
    long long n = -1;

    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "oom_kill %lld", &n) == 1)
            break;
    if (f)
        fclose(f);
    return n;
}

static int start_child(supervisor *s, err *e)
{
    int pair[2], output[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return err_errno(e, "no socket pair for a trainer");
    if (pipe2(output, O_CLOEXEC)) {
        err_errno(e, "no pipe for a trainer");
        close(pair[0]);
        close(pair[1]);
        return e->code;
    }
    spawn(s, pair[1], output[1], e);
    close(pair[1]);
    close(output[1]);
    if (e->code || wire_open(&s->wire, pair[0], e)) {
        close(pair[0]);
        close(output[0]);
        return e->code;
    }
    s->log = output[0];
    fcntl(s->log, F_SETFL, O_NONBLOCK);
    s->line_used = 0;
    memset(s->tail, 0, sizeof s->tail);
    prefer_for_oom(s->child);
    s->oom_kills = system_oom_kills();
    return 0;
}

static void give_line(supervisor *s)
{
    s->line[s->line_used] = 0;
    s->line_used = 0;
    if (s->options.line)
        s->options.line(s->options.context, s->line);
    memcpy(s->tail[s->tail_next], s->line, LINE_SIZE);
    s->tail_next = (s->tail_next + 1) % TAIL_LINES;
}

/* What the child printed, by lines; a longer line is broken. */
static void read_log(supervisor *s)
{
    char chunk[4096];
    ssize_t n;

    while (s->log >= 0 && (n = read(s->log, chunk, sizeof chunk)) > 0)
        for (ssize_t i = 0; i < n; i++) {
            if (chunk[i] != '\n' && chunk[i])
                s->line[s->line_used++] = chunk[i];
            if (chunk[i] == '\n' || s->line_used == LINE_SIZE - 1)
                give_line(s);
        }
}

/* After its death: nothing of it is left.  Returns its wait status. */
static int bury_child(supervisor *s)
{
    int status = 0;

    kill(s->child, SIGKILL);
    while (waitpid(s->child, &status, 0) < 0 && errno == EINTR)
        ;
    read_log(s);
    if (s->line_used)
        give_line(s);
    close(s->log);
    s->log = -1;
    wire_close(&s->wire);
    s->child = 0;
    return status;
}

void supervisor_free(supervisor *s)
{
    if (!s)
        return;
    if (s->child)
        bury_child(s);
    if (s->environment)
        free(s->environment[0]);
    free(s->environment);
    free(s->accuracy.bytes);
    free(s->training.bytes);
    free(s->end.rows);
    free(s);
}

/* ------------------------------------------------------------------------------------------------ how an attempt ends
 */

static void add_tail(supervisor *s)
{
    const char *before = "; it last printed: ";

    for (int i = 0; i < TAIL_LINES; i++) {
        const char *line = s->tail[(s->tail_next + i) % TAIL_LINES];
        size_t used = strlen(s->end.text);

        if (*line) {
            snprintf(s->end.text + used, sizeof s->end.text - used, "%s%s", before, line);
            before = " | ";
        }
    }
}

__attribute__((format(printf, 3, 4))) static void finish(supervisor *s, enum cause cause, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(s->end.text, sizeof s->end.text, format, args);
    va_end(args);
    s->end.cause = cause;
    s->end.seconds = clock_monotonic() - s->began;
    s->ended = true;
}

/* End the attempt and the child with it. */
__attribute__((format(printf, 3, 4))) static void kill_attempt(supervisor *s, enum cause cause, const char *format, ...)
{
    char text[400];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    bury_child(s);
    finish(s, cause, "%s", text);
    add_tail(s);
}

static void explain_death(supervisor *s)
{
    int status = bury_child(s);

    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && system_oom_kills() > s->oom_kills)
        finish(s, CAUSE_memory, "the trainer was killed while the system was out of memory");
    else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        finish(s, CAUSE_killed, "the trainer was killed from outside (signal 9)");
    else if (WIFSIGNALED(status))
        finish(s, CAUSE_signal, "the trainer was ended by signal %d (%s)", WTERMSIG(status),
               strsignal(WTERMSIG(status)));
    else
        finish(s, CAUSE_exit, "the trainer left with status %d and without an answer", WEXITSTATUS(status));
    add_tail(s);
}

static double resident_bytes(pid_t pid)
{
    char path[64], text[128] = "";
    long long pages = 0;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    if (read(fd, text, sizeof text - 1) <= 0 || sscanf(text, "%*d %lld", &pages) != 1)
        pages = 0;
    close(fd);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void watch_limits(supervisor *s)
{
    double t = clock_monotonic(), bytes;

    if (t - s->watched < WATCH_SECONDS)
        return;
    s->watched = t;
    bytes = s->limits.bytes > 0 ? resident_bytes(s->child) : 0;
    if (s->stopping && t - s->asked > s->options.grace)
        kill_attempt(s, CAUSE_interrupted, "told to stop, and ended by force after %g s", s->options.grace);
    else if (bytes > s->limits.bytes)
        kill_attempt(s, CAUSE_memory, "the trainer used %.2f GB of memory, its limit is %.2f GB", bytes / 1e9,
                     s->limits.bytes / 1e9);
    else if (s->limits.seconds > 0 && t - s->began > s->limits.seconds)
        kill_attempt(s, CAUSE_time, "the stage ran for its time limit of %g s", s->limits.seconds);
    else if (t - s->heard > s->options.silence)
        kill_attempt(s, CAUSE_hang, "no sign of life from the trainer for %g s", s->options.silence);
}

/* ------------------------------------------------------------------------------------------------ what the child says
 */

static bool add_row(struct row_text *to, const char *row, size_t n)
{
    if (to->used + n + 2 > to->room) {
        size_t room = 2 * to->room + n + 1024;
        char *more = room < MAX_ROWS ? realloc(to->bytes, room) : NULL;

        if (!more)
            return false;
        to->bytes = more;
        to->room = room;
    }
    if (to->used)
        to->bytes[to->used++] = ',';
    memcpy(to->bytes + to->used, row, n);
    to->used += n;
    return true;
}

static int take_row(const struct table *t, struct row_text *to, const struct frame *f, const json_t *value, err *e)
{
    union {
        struct accuracy_row accuracy;
        struct training_row training;
    } row;

    if (row_from_json(t, value, &row, e))
        return e->code;
    return add_row(to, f->payload, f->n) ? 0 : err_set(e, ERR_WORKER, "more rows than a stage may have");
}

static double number_of(const json_t *object, const char *name)
{
    const json_t *v = json_object_get(object, name);

    return json_is_number(v) ? json_number_value(v) : NAN;
}

static void take_progress(supervisor *s, const json_t *value)
{
    const char *phase = json_string_value(json_object_get(value, "phase"));

    snprintf(s->progress.phase, sizeof s->progress.phase, "%s", phase ? phase : "");
    s->progress.epoch = (int)json_integer_value(json_object_get(value, "epoch"));
    s->progress.epochs = (int)json_integer_value(json_object_get(value, "epochs"));
    s->progress.fraction = number_of(value, "fraction");
    s->progress.loss = number_of(value, "loss");
}

static int take_done(supervisor *s, const json_t *value, err *e)
{
    const char *hex = json_string_value(json_object_get(value, "digest"));
    const json_t *parameters = json_object_get(value, "parameters");

    if (!hex || !digest_from_hex(hex, &s->end.outcome.checkpoint) || !json_is_integer(parameters))
        return err_set(e, ERR_WORKER, "a DONE frame without digest and parameters");
    s->end.outcome.trainable_parameters = json_integer_value(parameters);
    s->end.outcome.seconds = number_of(value, "seconds");
    if (asprintf(&s->end.rows, "{\"accuracy\":[%.*s],\"training\":[%.*s]}", (int)s->accuracy.used,
                 s->accuracy.used ? s->accuracy.bytes : "", (int)s->training.used,
                 s->training.used ? s->training.bytes : "") < 0) {
        s->end.rows = NULL;
        return err_set(e, ERR_WORKER, "no memory for the rows of a stage");
    }
    finish(s, CAUSE_none, "%s", "");
    return 0;
}

static int take_failed(supervisor *s, const json_t *value, err *e)
{
    const char *code = json_string_value(json_object_get(value, "code"));
    const char *text = json_string_value(json_object_get(value, "text"));
    enum cause cause = code ? cause_of_error(err_by_name(code)) : CAUSE_none;

    if (!text || cause == CAUSE_none)
        return err_set(e, ERR_WORKER, "a FAILED frame without code and text");
    finish(s, cause, "%s", text);
    return 0;
}

static int take_frame(supervisor *s, const struct frame *f, err *e)
{
    json_t *value = f->n ? json_loadb(f->payload, f->n, 0, NULL) : NULL;

    if (!json_is_object(value))
        err_set(e, ERR_WORKER, "a %s frame that is not a JSON object", frame_name(f->type));
    else if (!s->busy || s->ended)
        err_set(e, ERR_WORKER, "a %s frame when no stage was running", frame_name(f->type));
    else if (f->type == FRAME_PROGRESS)
        take_progress(s, value);
    else if (f->type == FRAME_ACCURACY)
        take_row(&table_accuracy, &s->accuracy, f, value, e);
    else if (f->type == FRAME_TRAINING)
        take_row(&table_training, &s->training, f, value, e);
    else if (f->type == FRAME_DONE)
        take_done(s, value, e);
    else if (f->type == FRAME_FAILED)
        take_failed(s, value, e);
    else
        err_set(e, ERR_WORKER, "a %s frame from a trainer", frame_name(f->type));
    json_decref(value);
    s->heard = clock_monotonic();
    return e->code;
}

static void hear(supervisor *s)
{
    struct frame f;
    bool got;
    err e = {0};

    wire_fill(&s->wire, &e);
    while (!e.code && !wire_next(&s->wire, &f, &got, &e) && got)
        take_frame(s, &f, &e);
    if (e.code && s->busy && !s->ended)
        kill_attempt(s, CAUSE_answer, "%s", e.text);
    else if (e.code)
        bury_child(s); /* nonsense after an answer: the answer stands, the child goes */
}

/* ------------------------------------------------------------------------------------------------ the owner's calls */

void supervisor_begin(supervisor *s, const char *job, size_t n, const struct stage_limits *limits)
{
    err e = {0};

    if (s->child)
        hear(s);
    if (s->child && s->wire.ended) /* it died between two stages: nobody's fault */
        bury_child(s);
    s->busy = true;
    s->stopping = s->ended = false;
    s->limits = *limits;
    s->progress = (struct progress_report){.fraction = 0, .loss = NAN};
    s->accuracy.used = s->training.used = 0;
    s->end = (struct attempt_end){.started = clock_wall()};
    s->began = s->heard = s->watched = clock_monotonic();
    if (!s->child && start_child(s, &e))
        finish(s, CAUSE_system, "%s", e.text);
    else if (wire_send(&s->wire, FRAME_JOB, job, n, &e) && e.code == ERR_BUG)
        finish(s, CAUSE_bug, "%s", e.text); /* a broken socket is seen by supervisor_poll() */
}

bool supervisor_busy(const supervisor *s)
{
    return s->busy;
}

void supervisor_stop(supervisor *s)
{
    err e = {0};

    if (!s->busy || s->stopping || s->ended)
        return;
    s->stopping = true;
    s->asked = clock_monotonic();
    wire_send(&s->wire, FRAME_STOP, NULL, 0, &e);
}

bool supervisor_poll(supervisor *s, struct attempt_end *out)
{
    err e = {0};

    if (s->child && !s->ended) {
        wire_flush(&s->wire, false, &e); /* its death is seen below */
        hear(s);
    }
    if (s->child)
        read_log(s);
    if (s->child && s->wire.ended && s->busy && !s->ended)
        explain_death(s);
    if (s->child && s->busy && !s->ended)
        watch_limits(s);
    if (!s->busy || !s->ended)
        return false;
    *out = s->end;
    s->end.rows = NULL;
    s->busy = s->ended = false;
    return true;
}

int supervisor_fds(const supervisor *s, struct pollfd fds[2])
{
    int n = 0;

    if (s->child && !s->wire.ended)
        fds[n++] = (struct pollfd){s->wire.fd, (short)(POLLIN | (wire_has_unsent(&s->wire) ? POLLOUT : 0)), 0};
    if (s->log >= 0)
        fds[n++] = (struct pollfd){s->log, POLLIN, 0};
    return n;
}

const struct progress_report *supervisor_progress(const supervisor *s)
{
    return &s->progress;
}

int supervisor_child(const supervisor *s)
{
    return (int)s->child;
}
