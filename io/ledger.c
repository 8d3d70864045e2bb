/* io/ledger.c - see ledger.h. */
#include "io/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/digest.h"

static const char magic[] = "sluice ledger 2\n";
enum { MAGIC = 16, HEAD = 32, GUARD = 8 };
_Static_assert(sizeof magic == MAGIC + 1, "the magic text has 16 characters");

struct ledger {
    char *path;
    int fd;
    uint64_t synced; /* the file ends here */
    char *pending;   /* records appended since */
    size_t used, room;
    err failed; /* the first failure to write; kept */
};

/* ------------------------------------------------------------------------------------------------ one record's head */

static void put_le(unsigned char *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get_le(const unsigned char *from, int bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

static struct digest guard_of(uint64_t offset, const unsigned char *head)
{
    unsigned char bytes[16];

    put_le(bytes, offset, 8);
    memcpy(bytes + 8, head, 8);
    return digest_bytes(bytes, sizeof bytes);
}

static struct digest check_of(uint64_t offset, const unsigned char *head, const void *payload, size_t n)
{
    struct digester d;

    digester_start(&d);
    digester_add_u64(&d, offset);
    digester_add(&d, head, 8);
    digester_add(&d, payload, n);
    return digester_end(&d);
}

static void write_head(unsigned char *head, uint64_t offset, uint32_t type, const void *payload, size_t n)
{
    struct digest d;

    put_le(head, n, 4);
    put_le(head + 4, type, 4);
    d = guard_of(offset, head);
    memcpy(head + 8, d.bytes, GUARD);
    d = check_of(offset, head, payload, n);
    memcpy(head + 16, d.bytes, DIGEST_BYTES);
}

/* ------------------------------------------------------------------------------------------------ reading */

enum verdict { WHOLE, END, TORN, BAD_HEAD, BAD_PAYLOAD };

/* Are the first 8 bytes at `at` what their guard says?  Then *r is the record, as far as the file goes. */
static bool head_at(const char *file, uint64_t size, uint64_t at, struct ledger_record *r)
{
    const unsigned char *head = (const unsigned char *)file + at;
    struct digest d;

    if (size - at < HEAD || get_le(head, 4) > LEDGER_MAX_PAYLOAD)
        return false;
    d = guard_of(at, head);
    *r = (struct ledger_record){at, (uint32_t)get_le(head + 4, 4), (size_t)get_le(head, 4), file + at + HEAD};
    return !memcmp(d.bytes, head + 8, GUARD);
}

static bool payload_agrees(const char *file, uint64_t size, const struct ledger_record *r)
{
    const unsigned char *head = (const unsigned char *)file + r->offset;
    struct digest d;

    if (r->n > size - r->offset - HEAD)
        return false;
    d = check_of(r->offset, head, r->payload, r->n);
    return !memcmp(d.bytes, head + 16, DIGEST_BYTES);
}

static bool all_zero(const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i])
            return false;
    return true;
}

/* Judge the bytes at `at` (of a file of `size` bytes) and, for a whole record or a bad payload, fill *r. */
static enum verdict judge(const char *file, uint64_t size, uint64_t at, struct ledger_record *r)
{
    uint64_t left = size - at;

    if (left == 0)
        return END;
    if (left < HEAD || all_zero(file + at, left))
        return TORN;
    /* A file system that kept the new length and lost the bytes reads zeros up to the end; no JSON text ends in one. */
    if (!head_at(file, size, at, r))
        return left > HEAD && all_zero(file + at + HEAD - 1, left - HEAD + 1) ? TORN : BAD_HEAD;
    if (r->n > left - HEAD)
        return TORN;
    if (payload_agrees(file, size, r))
        return WHOLE;
    return r->n && all_zero(r->payload + r->n - 1, left - HEAD - r->n + 1) ? TORN : BAD_PAYLOAD;
}

static int read_all(int fd, const char *path, char **bytes, uint64_t *size, err *e)
{
    struct stat st;
    size_t used = 0;

    if (fstat(fd, &st))
        return err_errno(e, "%s", path);
    *bytes = malloc((size_t)st.st_size + 1);
    if (!*bytes)
        return err_set(e, ERR_NOMEM, "%s: no memory for its %lld bytes", path, (long long)st.st_size);
    while (used < (size_t)st.st_size) {
        ssize_t n = read(fd, *bytes + used, (size_t)st.st_size - used);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            err_set(e, ERR_DAMAGED, "%s: cannot be read at offset %zu: %s", path, used, strerror(errno));
            free(*bytes);
            return e->code;
        }
        if (n == 0)
            break;
        used += (size_t)n;
    }
    *size = used;
    return 0;
}

/* A record with a zero behind its payload, as visitors are promised. */
static int show(ledger_visitor visit, void *context, struct ledger_record *r, char **scratch, size_t *room, err *e)
{
    if (r->n >= *room) {
        char *more = realloc(*scratch, 2 * r->n + 256);

        if (!more)
            return err_set(e, ERR_NOMEM, "no memory for a ledger record of %zu bytes", r->n);
        *scratch = more;
        *room = 2 * r->n + 256;
    }
    memcpy(*scratch, r->payload, r->n);
    (*scratch)[r->n] = 0;
    r->payload = *scratch;
    return visit(context, r, e);
}

static int damaged(const char *path, uint64_t at, const char *what, err *e)
{
    return err_set(e, ERR_DAMAGED,
                   "%s: offset %llu: %s does not agree with its checksum; `sluice verify DIR` lists the damage and "
                   "`sluice verify DIR --salvage` keeps every record that is whole",
                   path, (unsigned long long)at, what);
}

static int replay_bytes(const char *path, const char *file, uint64_t size, ledger_visitor visit, void *context,
                        struct ledger_summary *out, err *e)
{
    char *scratch = NULL;
    size_t room = 0;
    uint64_t at = MAGIC;

    *out = (struct ledger_summary){0};
    if (size < MAGIC) { /* the crash came before the first fsync */
        out->torn = size;
        if (memcmp(file, magic, size) && !all_zero(file, size))
            return err_set(e, ERR_DAMAGED, "%s: offset 0: this is not a ledger", path);
        return 0;
    }
    if (memcmp(file, magic, MAGIC)) {
        bool other = !memcmp(file, magic, 14) && file[15] == '\n';

        return err_set(e, ERR_DAMAGED,
                       other ? "%s: offset 14: a ledger of version '%c', this sluice reads version '1'"
                             : "%s: offset 0: this is not a ledger (it begins with '%c')",
                       path, other ? file[14] : file[0]);
    }
    while (!e->code) {
        struct ledger_record r = {0};
        enum verdict v = judge(file, size, at, &r);
        size_t n = r.n;

        if (v == BAD_HEAD || v == BAD_PAYLOAD)
            damaged(path, at, v == BAD_HEAD ? "the head of a record" : "a record", e);
        if (v != WHOLE)
            break;
        if (visit && show(visit, context, &r, &scratch, &room, e))
            err_context(e, "%s: record at offset %llu", path, (unsigned long long)at);
        out->records++;
        at += HEAD + n;
    }
    free(scratch);
    out->bytes = at;
    out->torn = size - at;
    return e->code;
}

static int open_file(const char *path, int flags, int *fd, err *e)
{
    *fd = open(path, flags | O_CLOEXEC, 0666);
    if (*fd >= 0)
        return 0;
    return errno == ENOENT ? err_set(e, ERR_MISSING, "%s: there is no ledger; nothing was run here yet", path)
                           : err_errno(e, "%s", path);
}

int ledger_replay(const char *path, ledger_visitor visit, void *context, struct ledger_summary *out, err *e)
{
    char *file;
    uint64_t size;
    int fd;

    if (open_file(path, O_RDONLY, &fd, e))
        return e->code;
    if (!read_all(fd, path, &file, &size, e)) {
        replay_bytes(path, file, size, visit, context, out, e);
        free(file);
    }
    close(fd);
    return e->code;
}

/* ------------------------------------------------------------------------------------------------ writing */

static int sync_folder_of(const char *path, err *e)
{
    char *copy = strdup(path);
    int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int bad = fd < 0 || fsync(fd);

    if (bad && errno != EINVAL) /* some file systems do not sync folders */
        err_errno(e, "%s: syncing its folder", path);
    if (fd >= 0)
        close(fd);
    free(copy);
    return e->code;
}

static int write_at(int fd, const char *path, const char *bytes, size_t n, uint64_t at, err *e)
{
    while (n) {
        ssize_t w = pwrite(fd, bytes, n, (off_t)at);

        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return err_errno(e, "%s: writing at offset %llu", path, (unsigned long long)at);
        bytes += w;
        n -= (size_t)w;
        at += (uint64_t)w;
    }
    return 0;
}

static int prepare(ledger *l, const struct ledger_summary *s, err *e)
{
    bool fresh = s->bytes < MAGIC;

    l->synced = fresh ? MAGIC : s->bytes;
    if ((fresh || s->torn) && ftruncate(l->fd, (off_t)s->bytes))
        return err_errno(e, "%s: cutting off its torn tail", l->path);
    if (fresh && (write_at(l->fd, l->path, magic, MAGIC, 0, e) || sync_folder_of(l->path, e)))
        return e->code;
    if ((fresh || s->torn) && fsync(l->fd))
        return err_errno(e, "%s", l->path);
    return 0;
}

int ledger_open(const char *path, ledger_visitor visit, void *context, struct ledger_summary *out, ledger **opened,
                err *e)
{
    ledger *l = calloc(1, sizeof *l);
    char *file = NULL;
    uint64_t size;

    *opened = NULL;
    if (!l || !(l->path = strdup(path))) {
        free(l);
        return err_set(e, ERR_NOMEM, "%s: no memory", path);
    }
    if (!open_file(path, O_RDWR | O_CREAT, &l->fd, e) && !read_all(l->fd, path, &file, &size, e) &&
        !replay_bytes(path, file, size, visit, context, out, e) && !prepare(l, out, e))
        *opened = l;
    free(file);
    if (e->code)
        ledger_close(l);
    return e->code;
}

int ledger_append(ledger *l, uint32_t type, const char *payload, size_t n, err *e)
{
    if (n > LEDGER_MAX_PAYLOAD)
        return err_set(e, ERR_BUG, "a ledger record of %zu bytes; the limit is %d", n, LEDGER_MAX_PAYLOAD);
    if (l->used + HEAD + n > l->room) {
        size_t room = 2 * (l->used + HEAD + n);
        char *more = realloc(l->pending, room);

        if (!more)
            return err_set(e, ERR_NOMEM, "no memory for a ledger record of %zu bytes", n);
        l->pending = more;
        l->room = room;
    }
    write_head((unsigned char *)l->pending + l->used, l->synced + l->used, type, payload, n);
    memcpy(l->pending + l->used + HEAD, payload, n);
    l->used += HEAD + n;
    return 0;
}

int ledger_sync(ledger *l, err *e)
{
    if (!l->failed.code && l->used) {
        if (!write_at(l->fd, l->path, l->pending, l->used, l->synced, &l->failed) && fdatasync(l->fd))
            err_errno(&l->failed, "%s: syncing", l->path);
        if (l->failed.code && ftruncate(l->fd, (off_t)l->synced))
            err_context(&l->failed, "and its tail could not be cut off (replay will)");
        l->synced += l->failed.code ? 0 : l->used;
        l->used = 0;
    }
    if (l->failed.code)
        *e = l->failed;
    return l->failed.code;
}

void ledger_close(ledger *l)
{
    if (!l)
        return;
    if (l->fd >= 0)
        close(l->fd);
    free(l->pending);
    free(l->path);
    free(l);
}

/* ------------------------------------------------------------------------------------------------ salvage */

/* The first whole record at or behind `at`; false if there is none. */
static bool next_whole(const char *file, uint64_t size, uint64_t at, struct ledger_record *r)
{
    while (at < size && !(head_at(file, size, at, r) && payload_agrees(file, size, r)))
        at++;
    return at < size;
}

static int salvage_bytes(const char *file, uint64_t size, ledger *to, struct ledger_salvage *out, err *e)
{
    uint64_t expected = size < MAGIC ? size : MAGIC;
    struct ledger_record r = {0};

    while (next_whole(file, size, expected, &r) && !ledger_append(to, r.type, r.payload, r.n, e)) {
        out->holes += r.offset != expected;
        out->lost_bytes += r.offset - expected;
        out->kept++;
        expected = r.offset + HEAD + r.n;
    }
    out->holes += size > expected;
    out->lost_bytes += size - expected;
    return e->code;
}

int ledger_salvage(const char *path, const char *to, struct ledger_salvage *out, err *e)
{
    char *file = NULL, aside[4096];
    struct ledger_summary none;
    ledger *l = NULL;
    uint64_t size;
    int fd;

    *out = (struct ledger_salvage){0};
    if (snprintf(aside, sizeof aside, "%s.tmp", to) >= (int)sizeof aside)
        return err_set(e, ERR_USAGE, "%s: this path is too long", to);
    unlink(aside);
    if (open_file(path, O_RDONLY, &fd, e))
        return e->code;
    if (!read_all(fd, path, &file, &size, e) && !ledger_open(aside, NULL, NULL, &none, &l, e) &&
        !salvage_bytes(file, size, l, out, e) && !ledger_sync(l, e)) {
        if (rename(aside, to))
            err_errno(e, "%s", to);
        else
            sync_folder_of(to, e);
    }
    ledger_close(l);
    free(file);
    close(fd);
    return e->code;
}
