/* orchestrator/lock.h - one run at a time in an output folder.
 *
 * DIR/lock holds who runs: host, process, since when.  A kernel lock on it tells about processes of this host, and of
 * other hosts where the file system passes locks on; where it does not, the file's time tells: the holder touches it
 * every few seconds, and it is compared with the time of a file made now in the same folder, so clocks need not agree.
 */
#ifndef ORCHESTRATOR_LOCK_H
#define ORCHESTRATOR_LOCK_H

#include "io/err.h"

enum { LOCK_STALE_SECONDS = 45 };

struct folder_lock {
    int fd; /* -1: not held */
    char path[4096];
};

/* ERR_BUSY says who holds it; a holder that is dead does not block. */
int lock_take(const char *folder, struct folder_lock *out, err *e);
/* A sign of life; at least every LOCK_STALE_SECONDS / 4. */
void lock_beat(struct folder_lock *l);
void lock_release(struct folder_lock *l); /* harmless if not held */

/* The process that the lock names, if it runs on this host; 0 otherwise.  Only who is known to be at work there: the file is
 * emptied when it is released. */
int lock_holder_here(const char *folder);

#endif
