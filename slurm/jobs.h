/* slurm/jobs.h - the jobs that belong to an output folder: DIR/jobs has their numbers, one a line, and squeue knows how they
 * stand.  Where there is no SLURM, or no such file, there are no jobs. */
#ifndef SLURM_JOBS_H
#define SLURM_JOBS_H

#include <stdio.h>

#include "io/err.h"

enum { JOB_ID = 48 };

struct job {
    char id[JOB_ID];  /* 4711; of an array 4711_3, or 4711_[3-7] for elements that wait */
    char state[24];   /* as SLURM says it: PENDING, RUNNING, COMPLETING, ... */
    char reason[120]; /* why it waits */
    char start[32];   /* when it is expected to start: 2026-11-22T05:10:03; "" if that is not known */
    double left;      /* s that it may still run; -1: no limit, or not known */
};

struct jobs {
    int count;
    struct job *list;  /* (count), owned */
    char trouble[300]; /* what squeue said when it did not answer; "" */
};

/* Write down that a job belongs to the folder, which exists. */
int jobs_record(const char *folder, const char *id, err *e);
/* Those that wait or run; asks for at most ten seconds.  ERR_NOMEM only.  jobs_free() in any case. */
int jobs_read(const char *folder, struct jobs *out, err *e);
void jobs_free(struct jobs *jobs);

/* A line for each: "job 4711 is pending (Priority), expected to start 2026-11-22T05:10:03". */
void jobs_show(const char *folder, FILE *out);
/* A JSON array of {"id", "state", "reason", "start", "seconds_left"}. */
void jobs_print(const char *folder, FILE *out);
/* End them with scancel.  *count: how many, an array for one.  ERR_MISSING: they are there, scancel is not; ERR_SYSTEM: scancel's
 * or squeue's complaint. */
int jobs_cancel(const char *folder, int *count, err *e);

#endif
