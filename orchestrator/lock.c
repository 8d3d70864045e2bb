/* orchestrator/lock.c - see lock.h. */
#include "orchestrator/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct holder {
    char host[256];
    int pid;
    char since[64];
    double age; /* s since its last sign of life, by the file system's clock */
};

enum { LETTING_GO_TRIES = 15 }; /* a tenth of a second each */

static double seconds_of(struct timespec t)
{
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The time by the clock that stamps files of this folder. */
static double file_system_now(const char *lock_path)
{
    char path[4200];
    struct stat st;
    double now = (double)time(NULL);
    int fd;

    snprintf(path, sizeof path, "%s.%d.tmp", lock_path, (int)getpid());
    fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return now;
    if (!fstat(fd, &st))
        now = seconds_of(st.st_mtim);
    close(fd);
    unlink(path);
    return now;
}

static bool read_holder(const struct folder_lock *l, struct holder *h)
{
    char text[512] = "";
    struct stat st;
    ssize_t n = pread(l->fd, text, sizeof text - 1, 0);

    *h = (struct holder){0};
    if (n <= 0 || fstat(l->fd, &st) || sscanf(text, "host %255s\npid %d\nsince %63s", h->host, &h->pid, h->since) != 3)
        return false;
    h->age = file_system_now(l->path) - seconds_of(st.st_mtim);
    return true;
}

static int busy(const struct folder_lock *l, const struct holder *h, bool known, err *e)
{
    if (!known)
        return err_set(e, ERR_BUSY, "%s: another process is running this sweep", l->path);
    return err_set(
        e, ERR_BUSY,
        "%s: process %d on %s is running this sweep since %s (last sign of life %.0f s ago); wait for it, stop it with "
        "`sluice cancel`, or, if that host is down, try again in %d s",
        l->path, h->pid, h->host, h->since, h->age > 0 ? h->age : 0, LOCK_STALE_SECONDS);
}

/* Does the file speak of a live holder, although the kernel gave us its lock, or has none? */
static bool lives_elsewhere(const struct holder *h, bool kernel_lock)
{
    char here[256] = "";

    gethostname(here, sizeof here - 1);
    if (!strcmp(here, h->host))
        return !kernel_lock && h->pid != getpid() && h->age < LOCK_STALE_SECONDS && /* numbers are used again */
               (!kill(h->pid, 0) || errno == EPERM);
    return h->age < LOCK_STALE_SECONDS;
}

static int write_self(struct folder_lock *l, err *e)
{
    char text[512], host[256] = "localhost", since[64];
    time_t now = time(NULL);
    struct tm day;
    int n;

    gethostname(host, sizeof host - 1);
    strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &day));
    n = snprintf(text, sizeof text, "host %s\npid %d\nsince %s\n", host, (int)getpid(), since);
    if (ftruncate(l->fd, 0) || pwrite(l->fd, text, (size_t)n, 0) != n || fsync(l->fd))
        return err_errno(e, "%s", l->path);
    return 0;
}

/* A holder that has just been killed, or a copy of it, may take a moment to let go. */
static bool take_patiently(int fd, struct flock *whole)
{
    for (int tries = 0;; tries++) {
        if (!fcntl(fd, F_OFD_SETLK, whole))
            return true;
        if ((errno != EAGAIN && errno != EACCES) || tries == LETTING_GO_TRIES)
            return false;
        nanosleep(&(struct timespec){0, 100000000}, NULL);
    }
}

int lock_take(const char *folder, struct folder_lock *out, err *e)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct holder h;
    bool known, kernel_lock, taken;

    out->fd = -1;
    if (snprintf(out->path, sizeof out->path, "%s/lock", folder) >= (int)sizeof out->path)
        return err_set(e, ERR_USAGE, "%s: this path is too long", folder);
    out->fd = open(out->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (out->fd < 0)
        return err_errno(e, "%s", out->path);
    kernel_lock = take_patiently(out->fd, &whole);
    taken = !kernel_lock && (errno == EAGAIN || errno == EACCES); /* else the file system has no locks */
    known = read_holder(out, &h);
    if (taken)
        busy(out, &h, known, e);
    if (!e->code && known && lives_elsewhere(&h, kernel_lock))
        busy(out, &h, known, e);
    if (!e->code)
        write_self(out, e);
    if (e->code) {
        close(out->fd);
        out->fd = -1;
    }
    return e->code;
}

void lock_beat(struct folder_lock *l)
{
    if (l->fd >= 0)
        futimens(l->fd, NULL);
}

void lock_release(struct folder_lock *l)
{
    if (l->fd < 0)
        return;
    if (ftruncate(l->fd, 0)) /* an empty file names no holder; the kernel's lock goes with the descriptor */
        unlink(l->path);
    close(l->fd);
    l->fd = -1;
}

int lock_holder_here(const char *folder)
{
    struct folder_lock l = {.fd = -1};
    char here[256] = "";
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct holder h;
    int pid = 0;

    if (snprintf(l.path, sizeof l.path, "%s/lock", folder) >= (int)sizeof l.path)
        return 0;
    l.fd = open(l.path, O_RDWR | O_CLOEXEC);
    gethostname(here, sizeof here - 1);
    /* The kernel's lock, too, must be held by somebody: process numbers are used again. */
    if (l.fd >= 0 && read_holder(&l, &h) && !strcmp(here, h.host) && !fcntl(l.fd, F_OFD_GETLK, &whole) &&
        whole.l_type != F_UNLCK)
        pid = h.pid;
    if (l.fd >= 0)
        close(l.fd);
    return pid;
}
