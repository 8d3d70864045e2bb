/* slurm/estimate.c - see estimate.h. */
#include "slurm/estimate.h"

#include <math.h>

struct estimate estimate_make(const struct plan *plan, const struct script_shape *shape, double gflops, int node_cores)
{
    double speed = gflops * 1e9, per_node = shape->ranks_per_node;
    struct estimate out;

    if (shape->ranks_per_node == 0)
        per_node = fmax(1, floor((double)node_cores / shape->cpus_per_rank));
    out.ranks = per_node * shape->nodes;
    out.core_hours = plan->work / speed / 3600;
    /* Ranks cannot be busier than the work allows, nor faster than the longest chain. */
    out.wall_seconds = fmax(plan->work / out.ranks, plan->critical) / speed / shape->cpus_per_rank;
    out.jobs = shape->seconds > 0 ? fmax(1, ceil(out.wall_seconds / shape->seconds)) : 0;
    return out;
}
