/* orchestrator/place.c - see place.h. */
#include "orchestrator/place.h"

#include <stdlib.h>
#include <string.h>

/* A number of the environment; -1 if there is none. */
static int number_in(const char *variable)
{
    const char *text = getenv(variable);

    return text && *text >= '0' && *text <= '9' ? atoi(text) : -1;
}

/* The node-th number of a list like 7(x2),3; -1 if it is not that long. */
static int nth(const char *list, int node)
{
    while (list && *list >= '0' && *list <= '9') {
        char *end;
        int value = (int)strtol(list, &end, 10), times = 1;

        if (!strncmp(end, "(x", 2)) {
            times = (int)strtol(end + 2, &end, 10);
            end += *end == ')';
        }
        if (node < times)
            return value;
        node -= times;
        list = *end == ',' ? end + 1 : NULL;
    }
    return -1;
}

struct place place_here(void)
{
    int local = number_in("OMPI_COMM_WORLD_LOCAL_RANK"), count = number_in("OMPI_COMM_WORLD_LOCAL_SIZE"), first;

    if (local >= 0 && count > 0) {
        /* Ranks are placed in order, so rank 0 is here if this rank's number is what it is among those of its host. */
        first = local == number_in("OMPI_COMM_WORLD_RANK");
    } else {
        local = number_in("SLURM_LOCALID");
        count = nth(getenv("SLURM_STEP_TASKS_PER_NODE"), number_in("SLURM_NODEID"));
        first = number_in("SLURM_NODEID") == 0;
    }
    if (local < first || local >= count)
        return (struct place){0, count - first > 0 ? count - first : 1};
    return (struct place){local - first, count - first};
}

bool place_share(const struct place *place, const cpu_set_t *allowed, cpu_set_t *share)
{
    int cores = CPU_COUNT(allowed), from = cores * place->index / place->count,
        to = cores * (place->index + 1) / place->count, n = 0;

    *share = *allowed;
    if (cores < place->count)
        return false;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, allowed)) {
            if (n < from || n >= to)
                CPU_CLR(cpu, share);
            n++;
        }
    return true;
}

int place_cores(const struct place *place)
{
    cpu_set_t mine;
    int cores = sched_getaffinity(0, sizeof mine, &mine) ? 1 : CPU_COUNT(&mine);

    return cores > place->count ? cores / place->count : 1;
}

void place_bind(const struct place *place)
{
    cpu_set_t allowed, share;

    if (!sched_getaffinity(0, sizeof allowed, &allowed) && place_share(place, &allowed, &share))
        sched_setaffinity(0, sizeof share, &share);
}
