/* slurm/submit.h - what `sluice submit` may know beyond its own room. */
#ifndef SLURM_SUBMIT_H
#define SLURM_SUBMIT_H

#include "sweeps/estimate.h"

/* Where the estimate learns from: what earlier runs have left, and how fast a core of this machine is, in GFLOP/s.  Without it,
 * every estimate is at a nominal speed. */
void submit_learn_from(plan_recall *recall, double (*gflops)(void));

#endif
