/* io/idx.h - arrays of bytes in IDX files, the format of MNIST and Fashion-MNIST, plain or gzipped.
 *
 * Big-endian: 0, 0, type (8: unsigned bytes, the only one read), rank, then `rank` sizes of 32 bits, then the bytes,
 * row-major, and nothing after them.  A gzipped file may be several gzip streams, one after the other; what follows the last is
 * passed over, as gzip does, and counted.
 *
 * Errors are ERR_DAMAGED with one of the kinds of io/containers/fault.h. */
#ifndef IO_IDX_H
#define IO_IDX_H

#include <stddef.h>
#include <stdint.h>

#include "io/err.h"

enum { IDX_MAX_RANK = 4 };

struct idx {
    int rank;
    size_t shape[IDX_MAX_RANK];
    uint8_t *bytes;  /* malloc'd */
    size_t trailing; /* bytes after the last gzip stream */
};

/* Read a file that is open at its beginning and stays open, and whose rank must be the given one; a path that ends in ".gz"
 * must be a gzip stream, any other must not.
 * Sizes are believed only if the file is long enough for them (deflate packs at most 1032 to 1) and their product is
 * within `limit` bytes. ERR_DAMAGED with the reason, ERR_NOMEM. */
int idx_read_open(int fd, const char *path, int rank, size_t limit, struct idx *out, err *e);

#endif
