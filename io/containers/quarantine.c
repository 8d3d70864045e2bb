/* io/containers/quarantine.c - see quarantine.h. */
#include "io/containers/quarantine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/containers/fault.h"

/* The child's last words are an error, or ERR_NONE: so short that a pipe passes them on whole. */
_Static_assert(sizeof(err) <= PIPE_BUF, "one write, one read");

static _Noreturn void in_child(quarantined work, void *context, unsigned seconds, int fd, int answer)
{
    err e = {0};
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    setrlimit(RLIMIT_CPU, &(struct rlimit){seconds, seconds + 1});
    for (int signal_number = 1; signal_number < NSIG; signal_number++) {
        struct sigaction action; /* the program's handlers are not for a child; what it ignores, the child does too */

        if (!sigaction(signal_number, NULL, &action) && action.sa_handler != SIG_IGN)
            signal(signal_number, SIG_DFL);
    }
    signal(SIGXFSZ, SIG_IGN); /* an errno, to be told of */
    if (nowhere >= 0)
        dup2(nowhere, STDERR_FILENO); /* whoever dies here is spoken for by the parent */
    work(context, fd, &e);
    while (write(answer, &e, sizeof e) < 0 && errno == EINTR)
        ;
    _exit(0);
}

static bool hear(int answer, err *said)
{
    ssize_t done;

    while ((done = read(answer, said, sizeof *said)) < 0 && errno == EINTR)
        ;
    said->text[sizeof said->text - 1] = '\0';
    return done == sizeof *said && said->code >= ERR_NONE && said->code < ERR_COUNT;
}

static int wait_for(pid_t child)
{
    int status = 0;

    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

/* What is sent to all processes of a job, and says nothing of the file. */
static bool is_request(int signal_number)
{
    return signal_number == SIGINT || signal_number == SIGTERM || signal_number == SIGHUP || signal_number == SIGQUIT ||
           signal_number == SIGUSR1 || signal_number == SIGUSR2;
}

static int judge(const char *name, bool heard, const err *said, int status, err *e)
{
    if (heard) {
        *e = *said;
        return e->code;
    }
    if (WIFSIGNALED(status) && is_request(WTERMSIG(status)))
        return err_set(e, ERR_INTERRUPTED, "%s: reading it was stopped (%s)", name, strsignal(WTERMSIG(status)));
    if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL))
        return fault_set(e, FAULT_LIMIT, "%s: takes more time or memory to read than a file of its size may", name);
    if (WIFSIGNALED(status))
        return fault_set(e, FAULT_SYNTAX, "%s: is so malformed that the library that reads it dies (%s)", name,
                         strsignal(WTERMSIG(status)));
    return fault_set(e, FAULT_SYNTAX, "%s: is so malformed that the library that reads it gives up", name);
}

int quarantine(const char *name, quarantined work, void *context, unsigned seconds, int *fd, err *e)
{
    int answer[2];
    pid_t child;
    err said = {0};
    bool heard;

    e->code = ERR_NONE;
    if ((*fd = memfd_create("sluice", MFD_CLOEXEC)) < 0)
        return err_errno(e, "%s: a file in memory", name);
    if (pipe2(answer, O_CLOEXEC)) {
        err_errno(e, "%s: a pipe", name);
    } else if ((child = fork()) < 0) {
        err_errno(e, "%s: a process to read it in", name);
        close(answer[0]);
        close(answer[1]);
    } else {
        if (child == 0)
            in_child(work, context, seconds, *fd, answer[1]);
        close(answer[1]);
        heard = hear(answer[0], &said);
        close(answer[0]);
        judge(name, heard, &said, wait_for(child), e);
    }
    if (e->code) {
        close(*fd);
        *fd = -1;
    }
    return e->code;
}
