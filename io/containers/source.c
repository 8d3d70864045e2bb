/* io/containers/source.c - see source.h. */
#include "io/containers/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/containers/fault.h"

int source_open(const char *path, struct source *out, err *e)
{
    struct stat status;

    *out = (struct source){.name = path, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (out->fd < 0)
        return errno == ENOENT ? err_set(e, ERR_MISSING, "%s: no such file", path)
                               : fault_set(e, FAULT_IO, "%s: cannot be opened: %s", path, strerror(errno));
    if (fstat(out->fd, &status) || !S_ISREG(status.st_mode)) {
        source_close(out);
        return fault_set(e, FAULT_IO, "%s: is no regular file", path);
    }
    out->size = (uint64_t)status.st_size;
    return 0;
}

struct source source_memory(const char *name, const void *bytes, size_t size)
{
    return (struct source){.name = name, .size = size, .fd = -1, .bytes = bytes};
}

void source_close(struct source *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    s->size = 0;
}

int source_read(const struct source *s, uint64_t offset, void *to, size_t n, err *e)
{
    char *at = to;

    if (offset > s->size || n > s->size - offset)
        return fault_set(e, FAULT_TRUNC, "%s: ends after %llu bytes; %zu are needed from byte %llu", s->name,
                         (unsigned long long)s->size, n, (unsigned long long)offset);
    if (s->fd < 0 && n)
        memcpy(to, s->bytes + offset, n);
    while (s->fd >= 0 && n) {
        ssize_t done = pread(s->fd, at, n, (off_t)offset);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return fault_set(e, FAULT_IO, "%s: cannot be read: %s", s->name, strerror(errno));
        if (done == 0)
            return fault_set(e, FAULT_TRUNC, "%s: became shorter while it was read", s->name);
        at += done;
        offset += (uint64_t)done;
        n -= (size_t)done;
    }
    return 0;
}
