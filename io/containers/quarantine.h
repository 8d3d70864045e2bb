/* io/containers/quarantine.h - reading that may kill its process, done in a child process.
 *
 * For libraries that a file can lead astray: libhdf5 1.10 trusts lengths in files without checksums, as h5py writes them.  The
 * child's death is an error of the file here and nothing else; what the child made is read as carefully as the file would be. */
#ifndef IO_CONTAINERS_QUARANTINE_H
#define IO_CONTAINERS_QUARANTINE_H

#include "io/err.h"

/* Made in the child: what to write goes to fd, from its start; returns e->code.  context is the parent's, as it was. */
typedef int (*quarantined)(void *context, int fd, err *e);

/* Run work(context, fd) in a child with `seconds` of processor time.  *fd is a file in memory with what it wrote, to be closed by
 * the caller; -1 on failure, which is the work's own error, or E_SYNTAX with `name` if the child died, or E_LIMIT if its time
 * was up or the system killed it, as it does when memory runs out; ERR_INTERRUPTED if a signal ended it that is sent to stop a job
 * (those that the process ignores, the child does).  ERR_SYSTEM, ERR_NOMEM.  Descriptors 0 to 2 must be open. */
int quarantine(const char *name, quarantined work, void *context, unsigned seconds, int *fd, err *e);

#endif
