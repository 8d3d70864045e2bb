/* io/idx.c - see idx.h. */
#include "io/idx.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { TYPE_UNSIGNED_BYTE = 8, READ_MOST = 1 << 30, BUFFER = 1 << 17, INFLATE_RATIO = 1100 };

/* Exactly n bytes; fewer are damage. */
static int read_exactly(gzFile f, const char *path, void *to, size_t n, const char *what, err *e)
{
    char *at = to;

    while (n) {
        int status, done = gzread(f, at, (unsigned)(n < READ_MOST ? n : READ_MOST));

        if (done < 0)
            return err_set(e, ERR_DAMAGED, "%s: cannot be read: %s", path, gzerror(f, &status));
        if (done == 0)
            return err_set(e, ERR_DAMAGED, "%s: ends within its %s, %zu bytes too early", path, what, n);
        at += done;
        n -= (size_t)done;
    }
    return 0;
}

/* The header: sizes into out->shape, their product into *bytes. */
static int read_header(gzFile f, const char *path, int rank, struct idx *out, size_t *bytes, err *e)
{
    unsigned char magic[4], sizes[4 * IDX_MAX_RANK];

    if (read_exactly(f, path, magic, sizeof magic, "header", e))
        return e->code;
    if (magic[0] || magic[1])
        return err_set(e, ERR_DAMAGED, "%s: is not an IDX file (it starts with %02x %02x instead of 00 00)", path,
                       magic[0], magic[1]);
    if (magic[2] != TYPE_UNSIGNED_BYTE)
        return err_set(e, ERR_DAMAGED, "%s: holds numbers of type 0x%02x, only unsigned bytes (0x08) are read", path,
                       magic[2]);
    if (magic[3] != rank)
        return err_set(e, ERR_DAMAGED, "%s: has %d dimensions, expected %d", path, magic[3], rank);
    if (read_exactly(f, path, sizes, 4 * (size_t)rank, "header", e))
        return e->code;
    *bytes = 1;
    out->rank = rank;
    for (int i = 0; i < rank; i++) {
        const unsigned char *s = sizes + 4 * i;

        out->shape[i] = (size_t)s[0] << 24 | (size_t)s[1] << 16 | (size_t)s[2] << 8 | s[3];
        if (__builtin_mul_overflow(*bytes, out->shape[i], bytes))
            return err_set(e, ERR_DAMAGED, "%s: claims an impossible shape", path);
    }
    return 0;
}

/* The claimed bytes against the file's own length. */
static int check_size(const char *path, bool zipped, size_t stored, size_t header, size_t bytes, size_t limit, err *e)
{
    if (bytes > limit)
        return err_set(e, ERR_DAMAGED, "%s: claims %zu bytes, above the limit of %zu", path, bytes, limit);
    if (zipped && bytes / INFLATE_RATIO > stored)
        return err_set(e, ERR_DAMAGED, "%s: claims %zu bytes, which %zu compressed ones cannot hold", path, bytes,
                       stored);
    if (!zipped && bytes != stored - header)
        return err_set(e, ERR_DAMAGED, "%s: holds %zu bytes after its header, which says %zu", path, stored - header,
                       bytes);
    return 0;
}

static int read_body(gzFile f, const char *path, size_t bytes, struct idx *out, err *e)
{
    char more;

    if (!(out->bytes = malloc(bytes + 1)))
        return err_set(e, ERR_NOMEM, "%s: out of memory for %zu bytes", path, bytes);
    if (read_exactly(f, path, out->bytes, bytes, "data", e))
        return e->code;
    switch (gzread(f, &more, 1)) { /* reads on to the checksum, so that a wrong one shows */
    case 0:
        return 0;
    case 1:
        return err_set(e, ERR_DAMAGED, "%s: goes on after the data that its header claims", path);
    default:
        return err_set(e, ERR_DAMAGED, "%s: its checksum is wrong or it cannot be read", path);
    }
}

/* Open with zlib, which reads plain files too; the name must keep its promise of which it is. */
static int open_either(const char *path, bool zipped, size_t *stored, gzFile *out, err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;

    if (fd < 0)
        return errno == ENOENT ? err_set(e, ERR_MISSING, "%s: no such file", path)
                               : err_set(e, ERR_DAMAGED, "%s: cannot be read: %s", path, strerror(errno));
    if (fstat(fd, &status) || !S_ISREG(status.st_mode) || !(*out = gzdopen(fd, "rb"))) {
        close(fd);
        return err_set(e, ERR_DAMAGED, "%s: is not a file that can be read", path);
    }
    *stored = (size_t)status.st_size;
    gzbuffer(*out, BUFFER);
    if ((gzdirect(*out) == 0) == zipped)
        return 0;
    gzclose(*out);
    return err_set(e, ERR_DAMAGED, zipped ? "%s: is not a gzip file" : "%s: is a gzip file; its name should end in .gz",
                   path);
}

int idx_read(const char *path, int rank, size_t limit, struct idx *out, err *e)
{
    size_t length = strlen(path), stored = 0, bytes = 0;
    bool zipped = length > 3 && !strcmp(path + length - 3, ".gz");
    int status;
    gzFile f = NULL;

    *out = (struct idx){0};
    if (rank < 1 || rank > IDX_MAX_RANK)
        return err_set(e, ERR_BUG, "%s: no IDX file is read with %d dimensions", path, rank);
    if (open_either(path, zipped, &stored, &f, e))
        return e->code;
    status = read_header(f, path, rank, out, &bytes, e);
    if (!status)
        status = check_size(path, zipped, stored, 4 + 4 * (size_t)rank, bytes, limit, e);
    if (!status)
        status = read_body(f, path, bytes, out, e);
    if (gzclose_r(f) != Z_OK && !status) /* the only sign of some truncated streams */
        status = err_set(e, ERR_DAMAGED, "%s: ends before its gzip stream does", path);
    if (status) {
        free(out->bytes);
        *out = (struct idx){0};
    }
    return status;
}
