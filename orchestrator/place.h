/* orchestrator/place.h - where a worker rank is among those of its host, and which cores are its own.
 *
 * Asked of the environment that mpirun and srun give, and not of MPI: a rank that dies in a collective call would leave the
 * others waiting. */
#ifndef ORCHESTRATOR_PLACE_H
#define ORCHESTRATOR_PLACE_H

#include <sched.h>
#include <stdbool.h>

struct place {
    int index, count; /* this worker is the index-th, from 0, of so many on this host; rank 0 is not counted */
};

/* {0, 1} where nothing is known. */
struct place place_here(void);

/* Its part of the allowed cores, in the order of their numbers; false, and all of them, where there are fewer cores than
 * workers. */
bool place_share(const struct place *place, const cpu_set_t *allowed, cpu_set_t *share);
/* How many cores that is at least: 1 or more. */
int place_cores(const struct place *place);
/* Keep this process, and those that it starts, to its part. */
void place_bind(const struct place *place);

#endif
