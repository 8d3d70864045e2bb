/* slurm/environment.h - what the batch system says about the job that this process runs in. */
#ifndef SLURM_ENVIRONMENT_H
#define SLURM_ENVIRONMENT_H

#include <stdbool.h>
#include <stdint.h>

struct slurm_job {
    bool inside;      /* false: no SLURM job, and nothing below means anything */
    int64_t id;       /* SLURM_JOB_ID */
    int tasks;        /* SLURM_NTASKS: processes that srun would start; 0 if unknown */
    int restarts;     /* SLURM_RESTART_COUNT: times the job was requeued */
    int64_t end_time; /* SLURM_JOB_END_TIME, seconds since 1970; 0 if unknown */
};

struct slurm_job slurm_job(void);

/* Seconds until the job's time limit at `now` (seconds since 1970); infinite when there is no job or no known end. */
double slurm_seconds_left(const struct slurm_job *job, int64_t now);

#endif
