/* sweeps/estimate.c - see estimate.h. */
#include "sweeps/estimate.h"

#include <stdlib.h>

void plan_known_free(struct plan_known *known)
{
    free(known->finished);
    free(known->why);
    known->finished = NULL;
    known->why = NULL;
}

double estimate_stage(const struct plan *plan, const struct plan_known *known, double gflops, int stage)
{
    double measured = known->seconds_per_flop[plan->kind[stage]];

    return plan->cost[stage] * (measured > 0 ? measured : 1e-9 / gflops);
}

int estimate_make(const struct plan *p, const struct plan_known *known, double gflops, struct estimate *out, err *e)
{
    double *path = calloc((size_t)p->stages_count, sizeof *path);

    *out = (struct estimate){0};
    if (!path)
        return err_errno(e, "plan");
    for (int kind = 0; kind < STAGE_KIND_COUNT; kind++)
        out->measured |= known->seconds_per_flop[kind] > 0;
    for (int i = 0; i < p->stages_count; i++) {
        double seconds = estimate_stage(p, known, gflops, i), before = 0;
        int needs[PLAN_MAX_NEEDS], n;

        out->all += seconds;
        out->alone += seconds * p->shared_by[i];
        if (known->finished && known->finished[i]) {
            out->finished++;
            continue;
        }
        out->left += seconds;
        n = plan_needs(p, i, needs);
        for (int k = 0; k < n; k++)
            before = path[needs[k]] > before ? path[needs[k]] : before;
        path[i] = before + seconds;
        out->critical = path[i] > out->critical ? path[i] : out->critical;
    }
    free(path);
    return 0;
}
