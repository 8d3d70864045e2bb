/* tests/orchestrator/runs.c - see runs.h. */
#include "runs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "io/h5.h"
#include "io/store.h"
#include "orchestrator/history.h"
#include "orchestrator/metrics.h"

extern char **environ;

static char program[4096], here[2048];

double runs_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void nap(double seconds)
{
    nanosleep(&(struct timespec){(time_t)seconds, (long)(1e9 * (seconds - floor(seconds)))}, NULL);
}

pid_t runs_start_words(const char *words, const char *file)
{
    char copy[8192], *rest = copy, *argv[64];
    posix_spawn_file_actions_t actions;
    int n = 0;
    pid_t pid = 0;

    snprintf(copy, sizeof copy, "%s", words);
    while (n < 63 && (argv[n] = strsep(&rest, " ")))
        n++;
    argv[n] = NULL;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, file, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    if (posix_spawn(&pid, argv[0], &actions, NULL, argv, environ))
        abort(); /* 0 or -1 for a process number would strike us all */
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

void runs_use(const char *path)
{
    if (!realpath(path, program) || !getcwd(here, sizeof here))
        abort();
}

const char *runs_folder(void)
{
    return here;
}

const char *runs_program(void)
{
    return program;
}

void runs_prepare(const char *path)
{
    char words[4200];

    runs_use(path);
    setenv("SLUICE_BACKBONES", here, 1);
    setenv("SLUICE_DATA", here, 1);
    snprintf(words, sizeof words, "%s props .", program);
    if (runs_wait(runs_start_words(words, "props.txt"), 20))
        abort();
}

void runs_write_sweep(const char *path, const char *name, int tasks, const char *lines)
{
    FILE *out = fopen(path, "w");

    if (!out)
        abort();
    fprintf(out, "name: %s\ntrial:\n  method: norga\n  backbone: vit-tiny\n  dataset: {name: tiny, tasks: %d}\n%s\n",
            name, tasks, lines);
    fclose(out);
}

pid_t runs_start(const char *sweep, const char *out, int ranks, double patience)
{
    char words[8000], file[4200];

    snprintf(words, sizeof words, "%s run %s --out %s/%s --ranks %d --patience %g", program, sweep, here, out, ranks,
             patience);
    snprintf(file, sizeof file, "%s.txt", out);
    return runs_start_words(words, file);
}

int runs_poll(pid_t pid)
{
    int status;

    if (waitpid(pid, &status, WNOHANG) != pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int runs_wait(pid_t pid, double seconds)
{
    double end = runs_clock() + seconds * RUNS_SLOWNESS;
    int status;

    while (runs_clock() < end) {
        if ((status = runs_poll(pid)) >= 0)
            return status;
        nap(0.01);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return -1;
}

int runs_run(const char *sweep, const char *out, int ranks)
{
    return runs_wait(runs_start(sweep, out, ranks, 5), 60);
}

const char *runs_output(const char *file)
{
    static char text[65536];
    FILE *in = fopen(file, "r");
    size_t n = in ? fread(text, 1, sizeof text - 1, in) : 0;

    text[n] = 0;
    if (in)
        fclose(in);
    return text;
}

/* ------------------------------------------------------------------------------------------------ the ledger */

static int read_history(const char *out, struct history *h)
{
    struct ledger_summary summary;
    char path[4200];
    err e = {0};

    snprintf(path, sizeof path, "%s/ledger", out);
    *h = (struct history){0};
    return ledger_replay(path, history_visit, h, &summary, &e);
}

int runs_finished(const char *out)
{
    struct history h;
    int n = -1;

    if (!read_history(out, &h)) {
        n = 0;
        for (int i = 0; i < h.stages_count; i++)
            n += h.stages[i].finished;
    }
    history_free(&h);
    return n;
}

bool runs_wait_finished(const char *out, int count)
{
    double end = runs_clock() + 30 * RUNS_SLOWNESS;

    while (runs_finished(out) < count && runs_clock() < end)
        nap(0.02);
    return runs_finished(out) >= count;
}

/* ------------------------------------------------------------------------------------------------ processes */

static int parent_of(int pid)
{
    char path[64], text[512] = "", *end;
    int parent = 0;
    FILE *in;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (!(in = fopen(path, "r")))
        return 0;
    if (fgets(text, sizeof text, in) && (end = strrchr(text, ')')))
        if (sscanf(end + 1, " %*c %d", &parent) != 1)
            parent = 0;
    fclose(in);
    return parent;
}

/* The command line with blanks between words. */
static bool command_of(int pid, char *text, size_t size)
{
    char path[64];
    ssize_t n;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    if ((fd = open(path, O_RDONLY)) < 0)
        return false;
    n = read(fd, text, size - 1);
    close(fd);
    for (ssize_t i = 0; i < n; i++)
        if (!text[i])
            text[i] = ' ';
    text[n > 0 ? n : 0] = 0;
    return n > 0;
}

/* The value of a variable that Open MPI gives its ranks. */
static int rank_of(int pid)
{
    static const char name[] = "OMPI_COMM_WORLD_RANK=";
    char path[64], text[65536];
    ssize_t n;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/environ", pid);
    if ((fd = open(path, O_RDONLY)) < 0)
        return -1;
    n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    for (ssize_t i = 0; i < n; i += (ssize_t)strlen(text + i) + 1)
        if (!strncmp(text + i, name, sizeof name - 1))
            return atoi(text + i + sizeof name - 1);
    return -1;
}

static bool has_role(int pid, const char *command, const char *folder, enum runs_role role)
{
    bool ours = strstr(command, folder) != NULL, in_job = strstr(command, "--in-job") != NULL;
    bool mpirun = !strncmp(command, "mpirun", 6);
    char parent[8192];

    switch (role) {
    case RUNS_MPIRUN:
        return ours && mpirun;
    case RUNS_RANK_0:
    case RUNS_WORKER:
        return ours && in_job && !mpirun && (rank_of(pid) == 0) == (role == RUNS_RANK_0);
    default:
        return strstr(command, " trainer 3") && command_of(parent_of(pid), parent, sizeof parent) &&
               strstr(parent, folder);
    }
}

static int list_role(const char *out, enum runs_role role, pid_t *found, int most)
{
    char folder[4200], command[8192];
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    int n = 0;

    snprintf(folder, sizeof folder, "%s/%s ", here, out);
    while (proc && (entry = readdir(proc)) && n < most) {
        int pid = atoi(entry->d_name);

        if (pid > 0 && command_of(pid, command, sizeof command) && has_role(pid, command, folder, role))
            found[n++] = pid;
    }
    if (proc)
        closedir(proc);
    return n;
}

pid_t runs_find(const char *out, enum runs_role role, unsigned pick)
{
    pid_t found[64];
    int n = list_role(out, role, found, 64);

    return n ? found[pick % (unsigned)n] : 0;
}

int runs_alive(const char *out)
{
    double end = runs_clock() + 5 * RUNS_SLOWNESS;
    pid_t found[64];
    int n = 1;

    while (n && runs_clock() < end) { /* the last ones may be on their way out */
        n = 0;
        for (enum runs_role role = 0; role < RUNS_ROLES; role++)
            n += list_role(out, role, found, 64);
        nap(n ? 0.05 : 0);
    }
    return n;
}

/* ------------------------------------------------------------------------------------------------ comparing */

static bool same(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static bool same_trial(const struct trial_row *a, const struct trial_row *b)
{
    struct trial_metrics x = metrics_of_row(a), y = metrics_of_row(b);

    return a->trial == b->trial && !strcmp(a->key, b->key) && !strcmp(a->status, b->status) && metrics_equal(&x, &y) &&
           a->trainable_parameters == b->trainable_parameters;
}

static bool same_accuracy(const struct accuracy_result *a, const struct accuracy_result *b)
{
    return a->trial == b->trial && a->row.after_task == b->row.after_task && a->row.task == b->row.task &&
           !strcmp(a->row.phase, b->row.phase) && same(a->row.accuracy, b->row.accuracy) &&
           same(a->row.tii_accuracy, b->row.tii_accuracy) && same(a->row.loss, b->row.loss) &&
           a->row.images == b->row.images;
}

static const char *compare_tables(const struct results *a, const struct results *b)
{
    static char text[200];

    if (a->trials_count != b->trials_count || a->accuracy_count != b->accuracy_count ||
        a->stages_count != b->stages_count || a->training_count != b->training_count) {
        snprintf(text, sizeof text,
                 "%zu and %zu trials, %zu and %zu accuracies, %zu and %zu stages, %zu and %zu epochs", a->trials_count,
                 b->trials_count, a->accuracy_count, b->accuracy_count, a->stages_count, b->stages_count,
                 a->training_count, b->training_count);
        return text;
    }
    for (size_t i = 0; i < a->trials_count; i++)
        if (!same_trial(&a->trials[i], &b->trials[i])) {
            snprintf(text, sizeof text, "trial %zu: %s %g and %s %g", i, a->trials[i].status, a->trials[i].faa,
                     b->trials[i].status, b->trials[i].faa);
            return text;
        }
    for (size_t i = 0; i < a->accuracy_count; i++)
        if (!same_accuracy(&a->accuracy[i], &b->accuracy[i])) {
            snprintf(text, sizeof text, "accuracy row %zu", i);
            return text;
        }
    for (size_t i = 0; i < a->stages_count; i++)
        if (strcmp(a->stages[i].stage_key, b->stages[i].stage_key) ||
            strcmp(a->stages[i].digest, b->stages[i].digest)) {
            snprintf(text, sizeof text, "stage %s: digest %s and %s", a->stages[i].stage_key, a->stages[i].digest,
                     b->stages[i].digest);
            return text;
        }
    return "";
}

/* Every finished stage's checkpoint is whole and is the one that the table speaks of. */
static const char *check_checkpoints(const char *out, const struct results *r)
{
    static char text[8000];

    for (size_t i = 0; i < r->stages_count; i++) {
        char path[4600], hex[DIGEST_HEX] = "";
        struct digest d;
        h5 *file = NULL;
        err e = {0};

        snprintf(path, sizeof path, "%s/%s", out, r->stages[i].checkpoint);
        if (!h5_open(path, &file, &e) && !h5_verify(file, &e) && !h5_digest(file, &d, &e))
            digest_to_hex(&d, hex);
        h5_close(file);
        if (e.code || strcmp(hex, r->stages[i].digest)) {
            snprintf(text, sizeof text, "%s: %s", path, e.code ? e.text : "another digest than the table's");
            return text;
        }
    }
    return "";
}

static int doubles(const char *out)
{
    struct history h;
    int n = read_history(out, &h) ? -1 : h.doubles;

    history_free(&h);
    return n;
}

const char *runs_difference(const char *out, const char *other)
{
    static char text[8000];
    char path[2][4200];
    struct results a = {0}, b = {0};
    const char *found = "";
    err e = {0};

    snprintf(path[0], sizeof path[0], "%s/results.h5", out);
    snprintf(path[1], sizeof path[1], "%s/results.h5", other);
    if (results_read(path[0], &a, &e) || results_read(path[1], &b, &e))
        found = e.text;
    else if (doubles(out) || doubles(other))
        found = "a stage is recorded twice";
    if (!*found)
        found = compare_tables(&a, &b);
    if (!*found)
        found = check_checkpoints(out, &a);
    if (!*found)
        found = check_checkpoints(other, &b);
    snprintf(text, sizeof text, "%s", found);
    results_free(&a);
    results_free(&b);
    return text;
}

/* The row of the other run that stands for the same trial; NULL if there is none. */
static const struct trial_row *find_trial(const struct results *r, const char *key)
{
    for (size_t i = 0; i < r->trials_count; i++)
        if (!strcmp(r->trials[i].key, key))
            return &r->trials[i];
    return NULL;
}

static bool has_accuracies(const struct results *a, int64_t trial, const struct results *b, int64_t other)
{
    size_t j = 0;

    for (size_t i = 0; i < a->accuracy_count; i++) { /* both in the order of the trial's stages */
        struct accuracy_result row = a->accuracy[i];

        if (row.trial != trial)
            continue;
        while (j < b->accuracy_count && b->accuracy[j].trial != other)
            j++;
        row.trial = other;
        if (j == b->accuracy_count || !same_accuracy(&row, &b->accuracy[j++]))
            return false;
    }
    return true;
}

static bool has_stage(const struct results *r, const struct stage_row *s)
{
    for (size_t i = 0; i < r->stages_count; i++)
        if (!strcmp(r->stages[i].stage_key, s->stage_key))
            return !strcmp(r->stages[i].digest, s->digest);
    return false;
}

static const char *compare_part(const struct results *part, const struct results *whole)
{
    static char text[200];

    for (size_t i = 0; i < part->trials_count; i++) {
        struct trial_row row = part->trials[i];
        const struct trial_row *other = find_trial(whole, row.key);

        snprintf(text, sizeof text, "trial %zu of %s", i, row.key);
        if (!other)
            return text;
        row.trial = other->trial;
        if (!same_trial(&row, other) || !has_accuracies(part, part->trials[i].trial, whole, other->trial))
            return text;
    }
    for (size_t i = 0; i < part->stages_count; i++)
        if (!has_stage(whole, &part->stages[i])) {
            snprintf(text, sizeof text, "stage %s", part->stages[i].stage_key);
            return text;
        }
    return part->trials_count && part->stages_count ? "" : "there is nothing in the part";
}

const char *runs_missing(const char *part, const char *whole)
{
    static char text[2000];
    char path[2][4200];
    struct results a = {0}, b = {0};
    const char *found;
    err e = {0};

    snprintf(path[0], sizeof path[0], "%s/results.h5", part);
    snprintf(path[1], sizeof path[1], "%s/results.h5", whole);
    found = results_read(path[0], &a, &e) || results_read(path[1], &b, &e) ? e.text : compare_part(&a, &b);
    snprintf(text, sizeof text, "%s", found);
    results_free(&a);
    results_free(&b);
    return text;
}
