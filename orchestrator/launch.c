/* orchestrator/launch.c - see launch.h. */
#include "orchestrator/launch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "io/clock.h"
#include "orchestrator/live.h"
#include "orchestrator/lock.h"

extern char **environ;

enum { MOST_ARGUMENTS = 4096, LOG_LIMIT = 1 << 20 };
static const double STOP_SECONDS = 4.6;  /* from a signal to the end, by force if need be */
static const double LINGER_SECONDS = 4;  /* from rank 0's last word to mpirun's end */
static const double LEAVE_SECONDS = 0.7; /* the same, after Ctrl-C */
static const double START_SECONDS = 60;  /* for mpirun to start all ranks, beside the silence allowed */
static const double UNWELL_SECONDS = 1;  /* from a sign that the job is broken to its end by force */
static const double LOOK_SECONDS = 0.2;  /* between two looks at processes */

static volatile sig_atomic_t last_signal, interrupts; /* interrupts: how often Ctrl-C came */

static void note_signal(int number)
{
    last_signal = number;
    interrupts += number == SIGINT;
}

static int number_in(const char *variable)
{
    const char *text = getenv(variable);

    return text ? atoi(text) : 0;
}

bool launch_is_rank(void)
{
    if (getenv("OMPI_COMM_WORLD_SIZE"))
        return number_in("OMPI_COMM_WORLD_SIZE") > 1;
    if (getenv("PMIX_RANK") || getenv("PMI_RANK"))
        return number_in("SLURM_STEP_NUM_TASKS") > 1 || number_in("PMI_SIZE") > 1;
    return false;
}

int launch_default_workers(void)
{
    int tasks = number_in("SLURM_NTASKS");
    cpu_set_t mine;

    if (tasks > 0)
        return tasks;
    return sched_getaffinity(0, sizeof mine, &mine) ? 1 : CPU_COUNT(&mine);
}

int launch_check(err *e)
{
    const char *path = getenv("PATH");
    char *copy = strdup(path ? path : "/usr/bin:/bin"), *rest = copy, *folder;
    bool found = false;

    while (copy && (folder = strsep(&rest, ":")) && !found) {
        char file[4096];

        snprintf(file, sizeof file, "%s/mpirun", folder);
        found = !access(file, X_OK);
    }
    free(copy);
    return found
               ? 0
               : err_set(
                     e, ERR_MISSING,
                     "there is no mpirun; install Open MPI (as root: apt-get install openmpi-bin), or load its module");
}

/* This program's file. */
static int own_path(char *path, size_t size, err *e)
{
    ssize_t n = readlink("/proc/self/exe", path, size - 1);

    if (n < 0 || (size_t)n >= size - 1)
        return err_errno(e, "/proc/self/exe");
    path[n] = 0;
    return 0;
}

/* mpirun's own words, and those of ranks that died early, go to a log, which begins anew when it has grown long. */
static int open_log(const struct folder *f)
{
    char path[FOLDER_PATH + 32];
    struct stat st;
    int fd;

    snprintf(path, sizeof path, "%s/mpirun.log", f->log);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd >= 0 && !fstat(fd, &st) && st.st_size > LOG_LIMIT && ftruncate(fd, 0))
        errno = 0; /* it stays long */
    return fd;
}

/* What keeps the other ranks alive when one dies; ranks share cores with rank 0, which is idle; no reading from another
 * process's memory, which ends a rank when that process is gone; and no giving up the processor at every look for messages: ranks
 * sleep by themselves. */
static const char *const mpirun_words[] = {
    "mpirun",
    "--mca",
    "orte_enable_recovery",
    "1",
    "--mca",
    "orte_abort_on_non_zero_status",
    "0",
    "--mca",
    "btl_vader_single_copy_mechanism",
    "none",
    "--mca",
    "mpi_yield_when_idle",
    "0",
    "--bind-to",
    "none",
    "--oversubscribe",
    "-n",
};

static int fill_arguments(const struct launch_options *o, char *program, char *count, const char **argv, err *e)
{
    const int words = sizeof mpirun_words / sizeof *mpirun_words;
    int n = 0;

    for (int i = 0; i < words - 1; i++)
        argv[n++] = mpirun_words[i];
    if (geteuid() == 0)
        argv[n++] = "--allow-run-as-root";
    argv[n++] = mpirun_words[words - 1];
    argv[n++] = count;
    argv[n++] = program;
    for (int i = 0; o->arguments[i]; i++) {
        if (n >= MOST_ARGUMENTS - 1)
            return err_set(e, ERR_USAGE, "more than %d arguments", MOST_ARGUMENTS);
        argv[n++] = o->arguments[i];
    }
    argv[n] = NULL;
    return 0;
}

static int start_job(const struct launch_options *o, pid_t *job, err *e)
{
    const char *argv[MOST_ARGUMENTS];
    char program[4096], count[16];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    int log, status;

    snprintf(count, sizeof count, "%d", 1 + o->workers);
    if (own_path(program, sizeof program, e) || fill_arguments(o, program, count, argv, e))
        return e->code;
    log = open_log(o->folder);
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (log >= 0) {
        posix_spawn_file_actions_adddup2(&actions, log, 1);
        posix_spawn_file_actions_adddup2(&actions, log, 2);
    }
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setpgroup(&attributes, 0); /* the terminal's Ctrl-C is for us alone */
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    status = posix_spawnp(job, argv[0], &actions, &attributes, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (log >= 0)
        close(log);
    if (status) {
        errno = status;
        err_errno(e, "mpirun cannot be started");
    }
    return e->code;
}

static void listen_to_signals(void)
{
    const int signals[] = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGHUP};
    struct sigaction act = {.sa_handler = note_signal};

    last_signal = interrupts = 0;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &act, NULL);
}

static void nap(void)
{
    nanosleep(&(struct timespec){0, 40000000}, NULL);
}

/* Show what rank 0 wrote last, if it wrote something since this job began.  False: its last word is so old that it hangs, or so
 * final that mpirun should have ended too. */
static bool show_live(const struct launch_options *o, double since, struct live_view *view)
{
    bool fine = true;
    struct live l;
    err e = {0};

    if (!live_read(o->folder->live, &l, &e) && l.now > since) {
        live_show(view, &l);
        fine = clock_wall() - l.now < (live_is_final(&l) ? LINGER_SECONDS : o->silence);
    }
    live_free(&l);
    return fine;
}

/* mpirun, and rank 0, which may not notice that mpirun is gone; the workers see that rank 0 is gone. */
static void end_by_force(const struct folder *f, pid_t job)
{
    int rank_0 = lock_holder_here(f->root);

    kill(-job, SIGKILL);
    if (rank_0 > 1)
        kill(rank_0, SIGKILL);
}

/* Has rank 0 said how the job ended?  Then all is on the disk, and nothing is lost by ending the rest. */
static bool outcome_told(const char *path)
{
    char word[32] = "";
    FILE *in = fopen(path, "re");
    bool told = in && fscanf(in, "%31s", word) == 1 && strcmp(word, "BEGUN");

    if (in)
        fclose(in);
    return told;
}

/* A signal came: ask the job to stop, again and again in case it was just starting, then by force. */
static void press(const struct launch_options *o, pid_t job, double asked, double *pressed, double *told)
{
    const struct folder *f = o->folder;
    double t = clock_monotonic();
    err e = {0};

    if (t - *pressed > 0.5) {
        *pressed = t;
        folder_ask_stop(f, strsignal((int)last_signal), &e);
    }
    if (t - asked > STOP_SECONDS || e.code || interrupts > 1)
        end_by_force(f, job);
    if (!*told && outcome_told(o->outcome))
        *told = t;
    if (*told > 0 && t - *told > LEAVE_SECONDS)
        end_by_force(f, job);
}

/* The parent of a process; 0 if there is no such process. */
static int parent_of(const char *pid)
{
    char path[300], text[512] = "", *end;
    int parent = 0;
    FILE *in;

    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    if (!(in = fopen(path, "re")))
        return 0;
    if (fgets(text, sizeof text, in) && (end = strrchr(text, ')')) && sscanf(end + 1, " %*c %d", &parent) != 1)
        parent = 0;
    fclose(in);
    return parent;
}

static int count_children(pid_t of)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    int n = 0;

    while (proc && (entry = readdir(proc)))
        n += entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && parent_of(entry->d_name) == of;
    if (proc)
        closedir(proc);
    return n;
}

/* The beginning of a job, in which the death of any rank leaves the others waiting in MPI_Init() for ever. */
struct start {
    double since, looked; /* monotonic s */
    int most;             /* of mpirun's children on this host, seen at once */
    bool begun;           /* rank 0 has said that MPI works */
    bool well;            /* at the last look */
    int rank_0;           /* its process, if it is on this host; else 0 */
};

static void hear_begun(const struct launch_options *o, struct start *s)
{
    char host[256] = "", here[256] = "";
    FILE *in = fopen(o->outcome, "re");
    int pid = 0;

    gethostname(here, sizeof here - 1);
    s->begun = in && fscanf(in, "BEGUN %255s %d", host, &pid) == 2;
    s->rank_0 = s->begun && !strcmp(host, here) ? pid : 0;
    if (in)
        fclose(in);
}

/* False: a rank has died before MPI worked, or the start takes too long, or rank 0 is gone and mpirun does not end. */
static bool starts_well(const struct launch_options *o, pid_t job, struct start *s)
{
    double t = clock_monotonic();
    int children;

    if (t - s->looked < LOOK_SECONDS)
        return s->well;
    s->looked = t;
    if (!s->begun)
        hear_begun(o, s);
    if (s->begun)
        return s->well = !s->rank_0 || !kill(s->rank_0, 0) || errno != ESRCH;
    children = count_children(job);
    s->most = children > s->most ? children : s->most;
    return s->well = children == s->most && t - s->since < START_SECONDS + o->silence;
}

int launch_run(const struct launch_options *o, bool *stopped, err *e)
{
    struct live_view view = live_view_start();
    struct start start = {.since = clock_monotonic(), .well = true};
    bool started, alive;
    double since = clock_wall(), asked = 0, pressed = 0, told = 0, unwell = 0;
    pid_t job;

    *stopped = false;
    listen_to_signals();
    if (start_job(o, &job, e))
        return e->code;
    while (waitpid(job, NULL, WNOHANG) == 0) {
        if (last_signal && !asked) {
            asked = clock_monotonic();
            live_view_end(&view);
            fprintf(stderr, "sluice run: %s: saving and stopping ...\n", strsignal((int)last_signal));
        }
        started = asked || starts_well(o, job, &start);
        alive = asked || show_live(o, since, &view); /* whatever the start is like */
        if (asked)
            press(o, job, asked, &pressed, &told);
        else if (started && alive)
            unwell = 0;
        else if (unwell == 0)
            unwell = clock_monotonic();
        if (unwell > 0 && clock_monotonic() - unwell > UNWELL_SECONDS)
            end_by_force(o->folder, job);
        nap();
    }
    if (!asked)
        show_live(o, since, &view);
    live_view_end(&view);
    end_by_force(o->folder, job); /* whatever is left of it */
    if (asked)                    /* what `sluice cancel` asked for stands: the job script reads it */
        folder_clear_stop(o->folder);
    *stopped = last_signal != 0;
    return 0;
}

int launch_command(const char *const *arguments)
{
    char program[4096];
    int status;
    pid_t child;
    err e = {0};

    fflush(stdout);
    if (own_path(program, sizeof program, &e) ||
        posix_spawn(&child, program, NULL, NULL, (char *const *)arguments, environ))
        return -1;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
