/* slurm/process.h - another program, started without a shell, and what it says. */
#ifndef SLURM_PROCESS_H
#define SLURM_PROCESS_H

#include <stddef.h>

#include "io/err.h"

/* Run argv (NULL at the end, the program found in PATH), its input empty, and wait, at most so many seconds.
 * output: what it wrote on stdout and stderr, at most size - 1 bytes of it, with a final 0.  *status: its exit status, 128 + n
 * if signal n ended it.  ERR_MISSING: there is no such program; ERR_SYSTEM: it cannot be started, or took too long and was killed. */
int process_run(const char *const *argv, double seconds, char *output, size_t size, int *status, err *e);

#endif
