/* io/containers/archive.h - zip archives, as PyTorch and NumPy write them, read from untrusted bytes.
 *
 * The directory is checked whole before anything is read: one end record that ends exactly where the file does, with
 * zip64 or without; entries that lie between the start and the directory and do not overlap; local headers that say the
 * same name; no name twice, none that leads out of a folder; stored or deflated, not encrypted.  Sizes and checksums are
 * the directory's: PyTorch leaves them out of its local headers.  libzip, which must find the same entries, then reads their
 * bytes; what is deflated must end where its entry does, inflated and not. */
#ifndef IO_CONTAINERS_ARCHIVE_H
#define IO_CONTAINERS_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/containers/limits.h"
#include "io/containers/source.h"

enum { ARCHIVE_NAME_LIMIT = 1024 };
#define ARCHIVE_ENTRY_LIMIT ((uint64_t)4 << 30) /* bytes of one entry, inflated */

struct archive_entry {
    const char *name; /* terminated; bytes other than '\0' may be anything */
    uint64_t size;    /* inflated */
    uint64_t stored;  /* in the file */
    uint64_t at;      /* of its local header */
    uint32_t crc;     /* of its bytes, inflated */
    uint16_t method;  /* 0 stored, 8 deflated */
};

typedef struct archive archive;

/* The source is kept and must outlive the archive; limits may be NULL.  Kinds of faults: io/containers/fault.h. */
int archive_open(const struct source *source, const struct container_limits *limits, archive **out, err *e);
void archive_close(archive *a); /* NULL is fine */
size_t archive_count(const archive *a);
const struct archive_entry *archive_entry(const archive *a, size_t i);
bool archive_find(const archive *a, const char *name, size_t *i);

/* Reading one entry from its start, one at a time. */
int archive_begin(archive *a, size_t i, err *e);
/* Exactly n bytes more.  E_TRUNC if the entry does not have them, E_CRC if it does not inflate. */
int archive_next(archive *a, void *to, size_t n, err *e);
/* After the last byte: E_CRC if the checksum differs, unless told not to care; E_RANGE if there is more, E_TRUNC if what is
 * deflated has no end. */
int archive_end(archive *a, bool ignore_checksum, err *e);

/* The whole entry, into a buffer of exactly its size. */
int archive_read(archive *a, size_t i, void *to, bool ignore_checksum, err *e);

#endif
