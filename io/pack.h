/* io/pack.h - several HDF5 files in one: to archive a sweep, or to hand it on.
 *
 *   /trials /accuracy ...    everything of the main file, its attributes too, so that readers of it read the pack
 *   /checkpoints/<key>/...   everything of each further file, below a group of its own
 *
 * Arrays are copied as they are stored, without being inflated and deflated again. */
#ifndef IO_PACK_H
#define IO_PACK_H

#include <stddef.h>
#include <stdint.h>

#include "io/err.h"

struct pack_part {
    const char *path;
    const char *group; /* "checkpoints/0123...": names as in io/h5.h */
};

/* Write `to` from the main file and the parts (files written by h5_commit(), whose digests are checked); it appears complete or
 * not at all.  bytes, if not NULL: its size.  ERR_MISSING or ERR_DAMAGED with the file at fault, ERR_STORAGE when `to` cannot
 * be written or its disk has not enough room. */
int pack_write(const char *main, const struct pack_part *parts, size_t count, const char *to, uint64_t *bytes, err *e);

#endif
