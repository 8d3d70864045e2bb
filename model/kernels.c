/* model/kernels.c - which kernels this CPU can run. */
#include "model/kernels.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
extern const struct kernels kernels_avx2, kernels_avx512;

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#else
extern const struct kernels kernels_generic;
#endif

static bool always(void)
{
    return true;
}

/* Slowest first. */
static const struct {
    const struct kernels *set;
    bool (*runs)(void);
} sets[] = {
    {&kernels_plain, always},
#if defined(__x86_64__)
    {&kernels_avx2, has_avx2},
    {&kernels_avx512, has_avx512},
#else
    {&kernels_generic, always},
#endif
};

const struct kernels *kernels_nth(int k)
{
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (sets[i].runs() && k-- == 0)
            return sets[i].set;
    return NULL;
}

const struct kernels *kernels_best(void)
{
    const struct kernels *set, *best = &kernels_plain;
    const char *wanted = getenv("SLUICE_KERNELS");

    for (int k = 0; (set = kernels_nth(k)); k++) {
        if (wanted && !strcmp(wanted, set->name))
            return set;
        best = set;
    }
    return best;
}

static const char *const names[] = {
#define G(name, value, slope) #name,
    GATES(G)
#undef G
};

enum gate gate_by_name(const char *name)
{
    enum gate gate = 0;

    while (gate < GATE_COUNT && strcmp(names[gate], name))
        gate++;
    return gate;
}

const char *gate_name(enum gate gate)
{
    return (unsigned)gate < GATE_COUNT ? names[gate] : "unknown";
}
