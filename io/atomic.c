/* io/atomic.c - see atomic.h. */
#include "io/atomic.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { WRITE_BACK = 8 << 20 }; /* bytes */

int atomic_open(struct atomic_file *file, const char *path, err *e)
{
    uint64_t salt = 0; /* no two writers, on no two hosts, take the same name */

    *file = (struct atomic_file){.fd = -1, .path = strdup(path)};
    if (getrandom(&salt, sizeof salt, 0) != sizeof salt)
        salt = (uint64_t)getpid();
    if (asprintf(&file->temporary, "%s.%016" PRIx64 ".tmp", path, salt) < 0)
        file->temporary = NULL;
    if (!file->path || !file->temporary)
        err_set(e, ERR_NOMEM, "%s: out of memory", path);
    else if ((file->fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) >= 0)
        return 0;
    else
        err_set(e, ERR_STORAGE, "%s: cannot be created: %s", file->temporary, strerror(errno));
    atomic_abandon(file);
    return e->code;
}

/* At the place, or at the end if it is negative. */
static int write_all(struct atomic_file *file, off_t place, const void *bytes, size_t n, err *e)
{
    const char *at = bytes;

    while (n) {
        ssize_t done = place < 0 ? write(file->fd, at, n) : pwrite(file->fd, at, n, place);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return err_set(e, ERR_STORAGE, "%s: cannot be written: %s", file->temporary, strerror(errno));
        at += done;
        n -= (size_t)done;
        if (place >= 0)
            place += done;
    }
    return 0;
}

/* The disk begins with what there is; nobody waits.  Where that is not possible, committing takes longer. */
static void write_back(struct atomic_file *file, size_t n)
{
    file->pending += n;
    if (file->pending < WRITE_BACK)
        return;
    sync_file_range(file->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    file->pending = 0;
}

int atomic_write(struct atomic_file *file, const void *bytes, size_t n, err *e)
{
    int status = write_all(file, -1, bytes, n, e);

    if (!status)
        write_back(file, n);
    return status;
}

int atomic_write_at(struct atomic_file *file, uint64_t at, const void *bytes, size_t n, err *e)
{
    return write_all(file, (off_t)at, bytes, n, e);
}

/* Some network file systems cannot sync a folder and say EINVAL; the rename is then as durable as it gets. */
static int sync_folder(const char *path, err *e)
{
    char *copy = strdup(path);
    int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int status = 0;

    if (fd < 0 || (fsync(fd) && errno != EINVAL))
        status = err_set(e, ERR_STORAGE, "%s: its folder cannot be synchronised: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    free(copy);
    return status;
}

int atomic_commit(struct atomic_file *file, err *e)
{
    int fd = file->fd, status = 0;

    file->fd = -1;
    if (fsync(fd))
        status = err_set(e, ERR_STORAGE, "%s: cannot be synchronised: %s", file->temporary, strerror(errno));
    if (close(fd) && !status)
        status = err_set(e, ERR_STORAGE, "%s: cannot be closed: %s", file->temporary, strerror(errno));
    if (!status && rename(file->temporary, file->path))
        status =
            err_set(e, ERR_STORAGE, "%s: cannot be renamed to %s: %s", file->temporary, file->path, strerror(errno));
    if (!status) {
        free(file->temporary);
        file->temporary = NULL;
        status = sync_folder(file->path, e);
    }
    atomic_abandon(file);
    return status;
}

void atomic_abandon(struct atomic_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    if (file->temporary)
        unlink(file->temporary);
    free(file->temporary);
    free(file->path);
    *file = (struct atomic_file){.fd = -1};
}
