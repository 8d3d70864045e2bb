/* orchestrator/batch.h - the batch system, as this room sees it: somebody who may know when the job around this process ends,
 * and which jobs belong to an output folder.  The room that can ask it is not known here: main.c brings the two together.
 * Without batch_use() there is no batch system, and every function says so. */
#ifndef ORCHESTRATOR_BATCH_H
#define ORCHESTRATOR_BATCH_H

#include <stdio.h>

#include "io/err.h"

struct batch_system {
    /* When the job that this process is part of will be ended by force, s since 1970; 0: not known, or there is no job. */
    double (*ends)(void);
    /* The jobs of an output folder that wait or run: lines of text, or one JSON array; no lines, or [], if there are none. */
    void (*show_jobs)(const char *folder, FILE *out);
    void (*print_jobs)(const char *folder, FILE *out);
    /* End them, waiting ones and running ones.  *count: how many there were. */
    int (*cancel_jobs)(const char *folder, int *count, err *e);
};

/* Borrowed for the life of the process. */
void batch_use(const struct batch_system *system);

double batch_ends(void);
void batch_show_jobs(const char *folder, FILE *out);
void batch_print_jobs(const char *folder, FILE *out);
int batch_cancel_jobs(const char *folder, int *count, err *e);

#endif
