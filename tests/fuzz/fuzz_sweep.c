/* tests/fuzz/fuzz_sweep.c - any bytes as a sweep file: read, planned, written back, read again to the same plan. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sweeps/plan.h"

enum { FEW = 40 }; /* larger sweeps are read, but not planned */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold for every sweep that the reader accepts. */
static void plan_twice(const struct sweep *sweep)
{
    struct plan plan, again = {0};
    struct sweep back = {0};
    char *yaml;
    err e = {0};

    if (plan_make(sweep, &sources_none, &plan, &e)) {
        plan_free(&plan);
        return; /* a class order that does not fit, or nothing left to run */
    }
    if (sweep_write(sweep, &yaml, &e) || sweep_parse("again", "/", yaml, strlen(yaml), NULL, 0, &back, &e) ||
        plan_make(&back, &sources_none, &again, &e) || plan_keys(&plan, &e) || plan_keys(&again, &e))
        abort();
    if (plan.trials_count != again.trials_count || plan.stages_count != again.stages_count)
        abort();
    for (int i = 0; i < plan.stages_count; i++)
        if (!digest_equal(&plan.key[i], &again.key[i]))
            abort();
    free(yaml);
    plan_free(&plan);
    plan_free(&again);
    sweep_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sweep sweep;
    err e = {0};

    if (!sweep_parse("fuzz", "/nonexistent", (const char *)data, size, NULL, 0, &sweep, &e) &&
        sweep_points(&sweep) <= FEW)
        plan_twice(&sweep);
    sweep_free(&sweep);
    return 0;
}
