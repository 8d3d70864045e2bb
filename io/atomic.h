/* io/atomic.h - a file that appears complete or not at all.
 *
 * Bytes go to a temporary file beside the final name; committing syncs it to the disk, renames it over the final name
 * and syncs the folder.  A reader, and a computer that loses power, finds the old file or the new one.  Of a large file the disk
 * gets what was appended as it comes, so that committing waits for the last of it alone. */
#ifndef IO_ATOMIC_H
#define IO_ATOMIC_H

#include <stddef.h>
#include <stdint.h>

#include "io/err.h"

struct atomic_file {
    int fd; /* -1 when nothing is being written */
    char *path, *temporary;
    size_t pending; /* bytes appended since the system was last asked to begin writing them to the disk */
};

/* ERR_STORAGE if the folder is missing or cannot be written. */
int atomic_open(struct atomic_file *file, const char *path, err *e);
/* Append.  ERR_STORAGE. */
int atomic_write(struct atomic_file *file, const void *bytes, size_t n, err *e);
/* Write over bytes from `at` that were appended before.  ERR_STORAGE. */
int atomic_write_at(struct atomic_file *file, uint64_t at, const void *bytes, size_t n, err *e);
/* Closes in any case; on failure the temporary file is removed.  ERR_STORAGE. */
int atomic_commit(struct atomic_file *file, err *e);
/* Close and remove the temporary file; harmless after atomic_commit(). */
void atomic_abandon(struct atomic_file *file);

#endif
