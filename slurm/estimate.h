/* slurm/estimate.h - how long a sweep will take on the batch system. */
#ifndef SLURM_ESTIMATE_H
#define SLURM_ESTIMATE_H

#include "slurm/script.h"
#include "sweeps/estimate.h"

struct job_estimate {
    double ranks;        /* that work at the same time, in each element of an array */
    double core_hours;   /* of the whole sweep, as far as it is not finished */
    double wall_seconds; /* of the jobs that follow each other together, without the time that they wait */
    double jobs;         /* one after the other; 0: no time limit is known */
};

/* node_cores: of a node, for jobs that take whole nodes.  share: the work of each shard over that of the whole sweep, (array->shards);
 * NULL for a sweep that is whole. */
struct job_estimate job_estimate_make(const struct estimate *sweep, const struct script_shape *shape, int node_cores,
                                      const struct script_array *array, const double *share);

#endif
