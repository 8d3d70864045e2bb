/* slurm/estimate.h - how long a sweep will take on the batch system, before anything of it has been measured. */
#ifndef SLURM_ESTIMATE_H
#define SLURM_ESTIMATE_H

#include "slurm/script.h"
#include "sweeps/plan.h"

struct estimate {
    double ranks;        /* that work at the same time */
    double core_hours;   /* of the whole sweep */
    double wall_seconds; /* of all jobs together, without the time that they wait */
    double jobs;         /* one after the other; 0: no time limit is known */
};

/* gflops: speed of a core in GFLOP/s.  node_cores: of a node, for jobs that take whole nodes. */
struct estimate estimate_make(const struct plan *plan, const struct script_shape *shape, double gflops, int node_cores);

#endif
