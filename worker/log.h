/* worker/log.h - a rank's log file: a line for each event, with the time and the trial, of limited size.
 *
 * log/rank-N.log grows to the limit, then becomes log/rank-N.log.old in place of the one before.  A log that cannot be
 * written is no reason to stop: its errors are dropped. */
#ifndef WORKER_LOG_H
#define WORKER_LOG_H

#include <stddef.h>

#include "io/err.h"

typedef struct rank_log rank_log;

/* Append to <folder>/rank-<rank>.log. */
int rank_log_open(const char *folder, int rank, size_t limit, rank_log **out, err *e);
/* "2026-11-22T05:10:03.120Z LABEL: text"; label may be "". */
void rank_log_line(rank_log *l, const char *label, const char *format, ...) __attribute__((format(printf, 3, 4)));
void rank_log_close(rank_log *l); /* NULL is fine */

#endif
