/* slurm/process.c - see process.h. */
#include "slurm/process.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* The output to its end; what does not fit is read and dropped, so that the program can go on. */
static void read_all(int fd, char *output, size_t size)
{
    size_t used = 0;
    char spare[512];

    for (;;) {
        bool full = used == size - 1;
        ssize_t n = full ? read(fd, spare, sizeof spare) : read(fd, output + used, size - 1 - used);
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        if (n > 0 && !full)
            used += (size_t)n;
    }
    output[used] = 0;
}

static int start(const char *const *argv, int out, pid_t *child, err *e)
{
    posix_spawn_file_actions_t actions;
    int status;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_adddup2(&actions, out, 2);
    status = posix_spawnp(child, argv[0], &actions, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (!status)
        return 0;
    errno = status;
    err_errno(e, "%s cannot be started", argv[0]);
    if (status == ENOENT)
        e->code = ERR_MISSING;
    return e->code;
}

int process_run(const char *const *argv, char *output, size_t size, int *status, err *e)
{
    int ends[2], ended;
    pid_t child;

    *output = 0;
    if (pipe2(ends, O_CLOEXEC))
        return err_errno(e, "a pipe to %s", argv[0]);
    start(argv, ends[1], &child, e);
    close(ends[1]);
    if (!e->code) {
        read_all(ends[0], output, size);
        while (waitpid(child, &ended, 0) < 0 && errno == EINTR)
            ;
        *status = WIFEXITED(ended) ? WEXITSTATUS(ended) : 128 + WTERMSIG(ended);
    }
    close(ends[0]);
    return e->code;
}
