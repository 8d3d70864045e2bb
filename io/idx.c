/* io/idx.c - see idx.h.
 *
 * gzip streams are inflated here rather than by zlib's gzread(), which reads plain files too, keeps silent about what follows
 * a stream, and tells of a stream that is cut short only when the file is closed. */
#include "io/idx.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "io/containers/fault.h"

enum { TYPE_UNSIGNED_BYTE = 8, READ_MOST = 1 << 30, INFLATE_RATIO = 1100, GZIP = 31 };

/* A file, plain or inflated on the way. */
struct input {
    int fd;
    const char *path;
    bool zipped, ended; /* ended: no more bytes will come */
    size_t stored, trailing;
    z_stream z;
    unsigned char buffer[1 << 16];
};

/* More bytes of the file; 0 at its end, -1 on failure. */
static ssize_t refill(struct input *in, void *to, size_t n)
{
    ssize_t got;

    do
        got = read(in->fd, to, n < READ_MOST ? n : READ_MOST);
    while (got < 0 && errno == EINTR);
    return got;
}

static int fail_io(struct input *in, err *e)
{
    return fault_set(e, FAULT_IO, "%s: cannot be read: %s", in->path, strerror(errno));
}

/* Have at least `want` compressed bytes at hand; fewer only at the end of the file. */
static int have(struct input *in, unsigned want, err *e)
{
    while (in->z.avail_in < want) {
        ssize_t got;

        memmove(in->buffer, in->z.next_in, in->z.avail_in);
        in->z.next_in = in->buffer;
        got = refill(in, in->buffer + in->z.avail_in, sizeof in->buffer - in->z.avail_in);
        if (got < 0)
            return fail_io(in, e);
        if (got == 0)
            return 0;
        in->z.avail_in += (unsigned)got;
    }
    return 0;
}

/* After the end of a gzip stream: another one, or the end of what counts. */
static int next_stream(struct input *in, err *e)
{
    ssize_t got;

    if (have(in, 2, e))
        return e->code;
    if (in->z.avail_in >= 2 && in->z.next_in[0] == 0x1f && in->z.next_in[1] == 0x8b) {
        inflateReset(&in->z);
        return 0;
    }
    in->ended = true;
    in->trailing = in->z.avail_in;
    while ((got = refill(in, in->buffer, sizeof in->buffer)) > 0)
        in->trailing += (size_t)got;
    return got < 0 ? fail_io(in, e) : 0;
}

/* Up to n inflated bytes, at least one unless the data end. */
static int inflate_some(struct input *in, void *to, size_t n, size_t *got, err *e)
{
    in->z.next_out = to;
    in->z.avail_out = (unsigned)(n < READ_MOST ? n : READ_MOST);
    while (!in->ended && in->z.next_out == to) {
        int status;

        if (have(in, 1, e))
            return e->code;
        status = inflate(&in->z, Z_NO_FLUSH);
        if (status == Z_STREAM_END ? next_stream(in, e) : 0)
            return e->code;
        if (status == Z_BUF_ERROR)
            return fault_set(e, FAULT_TRUNC, "%s: ends before its gzip stream does", in->path);
        if (status == Z_MEM_ERROR)
            return err_set(e, ERR_NOMEM, "%s: out of memory", in->path);
        if (status != Z_OK && status != Z_STREAM_END)
            return fault_set(e, FAULT_CRC, "%s: its checksum is wrong or its gzip stream is damaged (%s)", in->path,
                             in->z.msg ? in->z.msg : "no reason given");
    }
    *got = (size_t)(in->z.next_out - (unsigned char *)to);
    return 0;
}

static int read_some(struct input *in, void *to, size_t n, size_t *got, err *e)
{
    ssize_t plain;

    if (in->zipped)
        return inflate_some(in, to, n, got, e);
    plain = refill(in, to, n);
    if (plain < 0)
        return fail_io(in, e);
    *got = (size_t)plain;
    return 0;
}

/* Exactly n bytes; fewer are damage. */
static int read_exactly(struct input *in, void *to, size_t n, const char *what, err *e)
{
    char *at = to;

    while (n) {
        size_t got = 0;

        if (read_some(in, at, n, &got, e))
            return e->code;
        if (got == 0)
            return fault_set(e, FAULT_TRUNC, "%s: ends within its %s, %zu bytes too early", in->path, what, n);
        at += got;
        n -= got;
    }
    return 0;
}

/* The header: sizes into out->shape, their product into *bytes. */
static int read_header(struct input *in, int rank, struct idx *out, size_t *bytes, err *e)
{
    unsigned char magic[4], sizes[4 * IDX_MAX_RANK];
    const char *path = in->path;

    if (read_exactly(in, magic, sizeof magic, "header", e))
        return e->code;
    if (magic[0] || magic[1])
        return fault_set(e, FAULT_MAGIC, "%s: is not an IDX file (it starts with %02x %02x instead of 00 00)", path,
                         magic[0], magic[1]);
    if (magic[2] != TYPE_UNSIGNED_BYTE)
        return fault_set(e, FAULT_DTYPE, "%s: holds numbers of type 0x%02x, only unsigned bytes (0x08) are read", path,
                         magic[2]);
    if (magic[3] != rank)
        return fault_set(e, FAULT_SHAPE, "%s: has %d dimensions, expected %d", path, magic[3], rank);
    if (read_exactly(in, sizes, 4 * (size_t)rank, "header", e))
        return e->code;
    *bytes = 1;
    out->rank = rank;
    for (int i = 0; i < rank; i++) {
        const unsigned char *s = sizes + 4 * i;

        out->shape[i] = (size_t)s[0] << 24 | (size_t)s[1] << 16 | (size_t)s[2] << 8 | s[3];
        if (__builtin_mul_overflow(*bytes, out->shape[i], bytes))
            return fault_set(e, FAULT_OVERFLOW, "%s: claims an impossible shape", path);
    }
    return 0;
}

/* The claimed bytes against the file's own length. */
static int check_size(const struct input *in, size_t header, size_t bytes, size_t limit, err *e)
{
    if (bytes > limit)
        return fault_set(e, FAULT_LIMIT, "%s: claims %zu bytes, above the limit of %zu", in->path, bytes, limit);
    if (in->zipped && bytes / INFLATE_RATIO > in->stored)
        return fault_set(e, FAULT_TRUNC, "%s: claims %zu bytes, which %zu compressed ones cannot hold", in->path, bytes,
                         in->stored);
    if (!in->zipped && bytes != in->stored - header)
        return fault_set(e, bytes > in->stored - header ? FAULT_TRUNC : FAULT_RANGE,
                         "%s: holds %zu bytes after its header, which says %zu", in->path, in->stored - header, bytes);
    return 0;
}

static int read_body(struct input *in, size_t bytes, struct idx *out, err *e)
{
    size_t more = 0;
    char byte;

    if (!(out->bytes = malloc(bytes + 1)))
        return err_set(e, ERR_NOMEM, "%s: out of memory for %zu bytes", in->path, bytes);
    if (read_exactly(in, out->bytes, bytes, "data", e))
        return e->code;
    if (read_some(in, &byte, 1, &more, e)) /* reads on to the checksum, so that a wrong one shows */
        return e->code;
    if (more)
        return fault_set(e, FAULT_RANGE, "%s: goes on after the data that its header claims", in->path);
    out->trailing = in->trailing;
    return 0;
}

/* The name must keep its promise of what the file is. */
static int check_kind(struct input *in, err *e)
{
    unsigned char magic[2] = {0};
    bool is_gzip = pread(in->fd, magic, sizeof magic, 0) == 2 && magic[0] == 0x1f && magic[1] == 0x8b;

    if (is_gzip == in->zipped)
        return 0;
    return fault_set(e, FAULT_MAGIC,
                     in->zipped ? "%s: is not a gzip file" : "%s: is a gzip file; its name should end in .gz",
                     in->path);
}

static int read_open(struct input *in, int rank, size_t limit, struct idx *out, err *e)
{
    size_t bytes = 0;

    if (check_kind(in, e))
        return e->code;
    if (in->zipped && inflateInit2(&in->z, GZIP) != Z_OK)
        return err_set(e, ERR_NOMEM, "%s: out of memory", in->path);
    if (!read_header(in, rank, out, &bytes, e) && !check_size(in, 4 + 4 * (size_t)rank, bytes, limit, e))
        read_body(in, bytes, out, e);
    if (in->zipped)
        inflateEnd(&in->z);
    return e->code;
}

int idx_read_open(int fd, const char *path, int rank, size_t limit, struct idx *out, err *e)
{
    size_t length = strlen(path);
    struct stat status;
    struct input *in;

    *out = (struct idx){0};
    if (rank < 1 || rank > IDX_MAX_RANK)
        return err_set(e, ERR_BUG, "%s: no IDX file is read with %d dimensions", path, rank);
    if (fstat(fd, &status) || !S_ISREG(status.st_mode))
        return fault_set(e, FAULT_IO, "%s: is not a file that can be read", path);
    if (!(in = calloc(1, sizeof *in)))
        return err_set(e, ERR_NOMEM, "%s: out of memory", path);
    in->fd = fd;
    in->path = path;
    in->stored = (size_t)status.st_size;
    in->zipped = length > 3 && !strcmp(path + length - 3, ".gz");
    in->z.next_in = in->buffer;
    if (read_open(in, rank, limit, out, e)) {
        free(out->bytes);
        *out = (struct idx){0};
    }
    free(in);
    return e->code;
}
