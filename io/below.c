/* io/below.c - see below.h. */
#include "io/below.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/containers/fault.h"

enum { ENTRIES_LIMIT = 1 << 24 };

int below_enter(const char *path, struct below *out, err *e)
{
    *out = (struct below){.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (out->fd < 0)
        return err_set(e, ERR_MISSING, "%s: %s; give the folder that holds the data set's files", path,
                       strerror(errno));
    if (!(out->path = strdup(path))) {
        close(out->fd);
        out->fd = -1;
        return err_set(e, ERR_NOMEM, "%s: out of memory", path);
    }
    return 0;
}

void below_leave(struct below *root)
{
    if (root->path)
        close(root->fd);
    free(root->path);
    *root = (struct below){.fd = -1};
}

int below_name_check(const char *where, const char *name, err *e)
{
    char shown[ESCAPED_SIZE];
    size_t size = strlen(name);
    const char *wrong = !size                     ? "is empty"
                        : size >= BELOW_NAME_SIZE ? "is too long"
                        : name[0] == '/'          ? "is absolute"
                        : strchr(name, '\\')      ? "has a backslash"
                                                  : NULL;

    for (const char *c = name; *c && !wrong; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            wrong = "has a control character";
    for (const char *part = name; !wrong; part++) {
        size_t n = strcspn(part, "/");

        if (n == 0 || (n == 1 && part[0] == '.'))
            wrong = "has an empty component";
        else if (n == 2 && part[0] == '.' && part[1] == '.')
            wrong = "leads out of its folder";
        part += n;
        if (!*part)
            break;
    }
    if (wrong)
        return fault_set(e, FAULT_PATH, "%s: the file name '%s' %s", where, escaped(shown, name, size), wrong);
    return 0;
}

/* Open one component without following it; a link is ELOOP. */
static int open_component(int folder, const char *name, int flags)
{
    struct stat status;

    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW))
        return -1;
    if (S_ISLNK(status.st_mode)) {
        errno = ELOOP;
        return -1;
    }
    return openat(folder, name, flags | O_NOFOLLOW); /* which fails if it has become a link meanwhile */
}

/* Component by component without following any link: what can be done where openat2() is missing. */
static int open_stepwise(int root, const char *name, int flags)
{
    int fd = fcntl(root, F_DUPFD_CLOEXEC, 0);

    while (fd >= 0) {
        size_t n = strcspn(name, "/");
        char *component = strndup(name, n);
        int next = component ? open_component(fd, component, name[n] ? O_PATH | O_DIRECTORY | O_CLOEXEC : flags) : -1;
        int problem = errno;

        free(component);
        close(fd);
        errno = problem;
        fd = next;
        if (!name[n])
            break;
        name += n + 1;
    }
    return fd;
}

/* A descriptor of what lies at a checked name, or -1 with errno: EXDEV if it leads out, ELOOP if in circles. */
static int open_beneath(int root, const char *name, int flags)
{
    struct open_how how = {.flags = (uint64_t)(unsigned)flags, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, root, name, &how, sizeof how);

    if (fd >= 0 || (errno != ENOSYS && errno != EPERM && errno != EINVAL))
        return (int)fd;
    return open_stepwise(root, name, flags);
}

static int fail_open(const struct below *root, const char *name, err *e)
{
    char shown[ESCAPED_SIZE];

    escaped(shown, name, strlen(name));
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
        return err_set(e, ERR_MISSING, "%s/%s: no such file", root->path, shown);
    case EXDEV:
    case ELOOP:
        return fault_set(e, FAULT_PATH, "%s/%s: a symbolic link that leads out of %s, or in circles, is not followed",
                         root->path, shown, root->path);
    default:
        return fault_set(e, FAULT_IO, "%s/%s: cannot be read: %s", root->path, shown, strerror(errno));
    }
}

int below_open(const struct below *root, const char *name, int *fd, uint64_t *size, err *e)
{
    struct stat status;

    if (below_name_check(root->path, name, e))
        return e->code;
    *fd = open_beneath(root->fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a pipe must not hold us up */
    if (*fd < 0)
        return fail_open(root, name, e);
    if (fstat(*fd, &status) || !S_ISREG(status.st_mode)) {
        close(*fd);
        *fd = -1;
        return fault_set(e, FAULT_IO, "%s/%s: is not a file", root->path, name);
    }
    *size = (uint64_t)status.st_size;
    return 0;
}

/* The type of what lies at a name, 0 if nothing can be opened there; errno tells why. */
static mode_t type_of(int root, const char *name)
{
    struct stat status;
    int fd = open_beneath(root, name, O_PATH | O_CLOEXEC), problem;
    mode_t type;

    if (fd < 0)
        return 0;
    type = fstat(fd, &status) ? 0 : status.st_mode & S_IFMT;
    problem = errno;
    close(fd);
    errno = problem;
    return type;
}

bool below_has(const struct below *root, const char *name)
{
    return type_of(root->fd, name) == S_IFREG;
}

bool below_has_folder(const struct below *root, const char *name)
{
    return type_of(root->fd, name) == S_IFDIR;
}

/* ---------------------------------------------------------------- whole files */

int bytes_reserve(struct bytes *b, size_t room, err *e)
{
    uint8_t *more;

    if (room <= b->room)
        return 0;
    if (!(more = realloc(b->data, room)))
        return err_set(e, ERR_NOMEM, "out of memory for %zu bytes", room);
    b->data = more;
    b->room = room;
    return 0;
}

void bytes_free(struct bytes *b)
{
    free(b->data);
    *b = (struct bytes){0};
}

static int read_all(int fd, uint8_t *to, size_t n)
{
    size_t done = 0;

    while (done < n) {
        ssize_t got = pread(fd, to + done, n - done, (off_t)done);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -1 : 1;
        done += (size_t)got;
    }
    return 0;
}

int below_read(const struct below *root, const char *name, uint64_t limit, struct bytes *out, err *e)
{
    uint64_t size;
    int fd, status;

    out->size = 0;
    if (below_open(root, name, &fd, &size, e))
        return e->code;
    if (size > limit) {
        close(fd);
        return fault_set(e, FAULT_LIMIT, "%s/%s: has %llu bytes, at most %llu are read", root->path, name,
                         (unsigned long long)size, (unsigned long long)limit);
    }
    status = bytes_reserve(out, (size_t)size + 1, e) ? 2 : read_all(fd, out->data, (size_t)size);
    close(fd);
    if (status == 2)
        return err_context(e, "%s/%s", root->path, name);
    if (status)
        return fault_set(e, status < 0 ? FAULT_IO : FAULT_TRUNC, "%s/%s: %s", root->path, name,
                         status < 0 ? strerror(errno) : "became shorter while it was read");
    out->size = (size_t)size;
    out->data[size] = 0;
    return 0;
}

/* ---------------------------------------------------------------- folders */

void below_list_free(struct below_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->entries[i].name);
    free(list->entries);
    *list = (struct below_list){0};
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct below_entry *)a)->name, ((const struct below_entry *)b)->name);
}

/* Whether an entry is a folder (1), a file (0) or of no interest (-1); -2 with an error. */
static int entry_type(const struct below *root, const char *folder, const struct dirent *entry, err *e)
{
    char *name;
    mode_t type;

    if (entry->d_type == DT_DIR || entry->d_type == DT_REG)
        return entry->d_type == DT_DIR;
    if (asprintf(&name, "%s%s%s", folder, *folder ? "/" : "", entry->d_name) < 0) {
        err_set(e, ERR_NOMEM, "%s: out of memory", root->path);
        return -2;
    }
    type = type_of(root->fd, name);
    if (!type)
        fail_open(root, name, e);
    free(name);
    return !type ? -2 : type == S_IFDIR ? 1 : type == S_IFREG ? 0 : -1;
}

static int list_add(struct below_list *list, size_t *room, const char *name, bool folder)
{
    if (list->count == *room) {
        size_t more = *room ? 2 * *room : 64;
        struct below_entry *entries = realloc(list->entries, more * sizeof *entries);

        if (!entries)
            return -1;
        list->entries = entries;
        *room = more;
    }
    list->entries[list->count] = (struct below_entry){strdup(name), folder};
    return list->entries[list->count].name ? (list->count++, 0) : -1;
}

static int list_fill(const struct below *root, const char *folder, DIR *stream, struct below_list *list, err *e)
{
    struct dirent *entry;
    size_t room = 0;

    while ((errno = 0, entry = readdir(stream))) {
        int type;

        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        type = entry_type(root, folder, entry, e);
        if (type == -2)
            return e->code;
        if (list->count == ENTRIES_LIMIT)
            return fault_set(e, FAULT_LIMIT, "%s/%s: has more than %d entries", root->path, folder, ENTRIES_LIMIT);
        if (type >= 0 && list_add(list, &room, entry->d_name, type == 1))
            return err_set(e, ERR_NOMEM, "%s/%s: out of memory", root->path, folder);
    }
    if (errno)
        return fault_set(e, FAULT_IO, "%s/%s: cannot be listed: %s", root->path, folder, strerror(errno));
    return 0;
}

int below_list(const struct below *root, const char *name, struct below_list *out, err *e)
{
    DIR *stream;
    int fd;

    *out = (struct below_list){0};
    if (*name && below_name_check(root->path, name, e))
        return e->code;
    fd = *name ? open_beneath(root->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
               : openat(root->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail_open(root, *name ? name : ".", e);
    if (!(stream = fdopendir(fd))) {
        close(fd);
        return err_errno(e, "%s/%s", root->path, name);
    }
    if (list_fill(root, name, stream, out, e))
        below_list_free(out);
    closedir(stream);
    if (out->count)
        qsort(out->entries, out->count, sizeof *out->entries, by_name);
    return e->code;
}
