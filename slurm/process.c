/* slurm/process.c - see process.h. */
#include "slurm/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The output to its end; what does not fit is read and dropped, so that the program can go on.  False: it goes on too long. */
static bool read_all(int fd, double until, char *output, size_t size)
{
    size_t used = 0;
    char spare[512];

    for (double left; (left = until - now()) > 0;) {
        bool full = used == size - 1;
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        ssize_t n;

        if (poll(&ready, 1, (int)(1000 * left) + 1) < 1)
            continue;
        n = full ? read(fd, spare, sizeof spare) : read(fd, output + used, size - 1 - used);
        if (n == 0 || (n < 0 && errno != EINTR))
            return true;
        if (n > 0 && !full)
            output[used += (size_t)n] = 0;
    }
    return false;
}

static int start(const char *const *argv, int out, pid_t *child, err *e)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int status;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_adddup2(&actions, out, 2);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setpgroup(&attributes, 0); /* so that it can be ended with whatever it started */
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    status = posix_spawnp(child, argv[0], &actions, &attributes, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (!status)
        return 0;
    errno = status;
    err_errno(e, "%s cannot be started", argv[0]);
    if (status == ENOENT)
        e->code = ERR_MISSING;
    return e->code;
}

int process_run(const char *const *argv, double seconds, char *output, size_t size, int *status, err *e)
{
    double until = now() + seconds;
    int ends[2], ended;
    pid_t child;

    *output = 0;
    if (pipe2(ends, O_CLOEXEC))
        return err_errno(e, "a pipe to %s", argv[0]);
    start(argv, ends[1], &child, e);
    close(ends[1]);
    if (!e->code) {
        if (!read_all(ends[0], until, output, size)) {
            kill(-child, SIGKILL);
            err_set(e, ERR_SYSTEM, "%s did not answer within %g s", argv[0], seconds);
        }
        while (waitpid(child, &ended, 0) < 0 && errno == EINTR)
            ;
        *status = WIFEXITED(ended) ? WEXITSTATUS(ended) : 128 + WTERMSIG(ended);
    }
    close(ends[0]);
    return e->code;
}
