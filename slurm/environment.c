/* slurm/environment.c - see environment.h. */
#include "slurm/environment.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* A whole number of the environment; `missing` when it is not set or is no number. */
static int64_t number_of(const char *name, int64_t missing)
{
    const char *text = getenv(name);
    char *end;
    long long value;

    if (!text || !*text)
        return missing;
    errno = 0;
    value = strtoll(text, &end, 10);
    return *end || errno || value < 0 ? missing : value;
}

struct slurm_job slurm_job(void)
{
    int64_t id = number_of("SLURM_JOB_ID", -1);

    if (id < 0)
        return (struct slurm_job){0};
    return (struct slurm_job){.inside = true,
                              .id = id,
                              .tasks = (int)number_of("SLURM_NTASKS", 0),
                              .restarts = (int)number_of("SLURM_RESTART_COUNT", 0),
                              .end_time = number_of("SLURM_JOB_END_TIME", 0)};
}

double slurm_seconds_left(const struct slurm_job *job, int64_t now)
{
    return job->inside && job->end_time > 0 ? (double)(job->end_time - now) : INFINITY;
}
