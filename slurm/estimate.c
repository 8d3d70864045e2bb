/* slurm/estimate.c - see estimate.h. */
#include "slurm/estimate.h"

#include <math.h>

struct job_estimate job_estimate_make(const struct estimate *sweep, const struct script_shape *shape, int node_cores,
                                      const struct script_array *array, const double *share)
{
    double per_node = shape->ranks_per_node, sum = 0;
    struct job_estimate out = {0};

    if (shape->ranks_per_node == 0)
        per_node = fmax(1, floor((double)node_cores / shape->cpus_per_rank));
    out.ranks = per_node * shape->nodes;
    for (int element = 0; element < array->elements || element == 0; element++) {
        double wall = 0;

        for (int k = element; k < array->shards || k == 0; k += array->elements ? array->elements : 1) {
            double part = share ? share[k] : 1;

            /* Ranks cannot be busier than the work allows, nor faster than the longest chain. */
            wall += fmax(part * sweep->left / out.ranks, fmin(part * sweep->left, sweep->critical));
            sum += part;
        }
        out.wall_seconds = fmax(out.wall_seconds, wall / shape->cpus_per_rank);
    }
    out.core_hours = sum * sweep->left / 3600;
    out.jobs = shape->seconds > 0 ? fmax(1, ceil(out.wall_seconds / shape->seconds)) : 0;
    return out;
}
