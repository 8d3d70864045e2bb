/* io/containers/source.h - bytes to read from, of a size that is known from the start: a file, or memory.
 *
 * Every read is checked against the size, so a length that a file claims can be at worst an error.  Files are read with
 * pread() and never mapped: a file that shrinks meanwhile is an error and no signal. */
#ifndef IO_CONTAINERS_SOURCE_H
#define IO_CONTAINERS_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "io/err.h"

struct source {
    const char *name; /* for messages; the caller keeps it */
    uint64_t size;
    int fd;                     /* -1: memory */
    const unsigned char *bytes; /* borrowed */
};

/* ERR_MISSING if there is no such file; E_IO if it cannot be read or is no regular file. */
int source_open(const char *path, struct source *out, err *e);
struct source source_memory(const char *name, const void *bytes, size_t size);
void source_close(struct source *s); /* harmless twice */

/* Exactly n bytes from there; E_TRUNC if the source ends before, E_IO. */
int source_read(const struct source *s, uint64_t offset, void *to, size_t n, err *e);

#endif
