/* sweeps/shard.h - a sweep in parts that share nothing but the sweep: each shard has some of the trials, an output folder of its
 * own, and needs nobody else.
 *
 * The trials are laid in a row so that those that share most stages are neighbours, and the row is cut into pieces of equal
 * work; a stage that trials on both sides of a cut need is work of both.  The cut depends on the plan alone, so everybody who
 * plans the sweep comes to the same shards.  A sweep says which of them it is by its settings shard.index and shard.count. */
#ifndef SWEEPS_SHARD_H
#define SWEEPS_SHARD_H

#include "sweeps/plan.h"

/* The longest part of a folder's name that shard_folder() makes, the final 0 counted. */
enum { SHARD_NAME = 40 };

/* shard[trial]: 1 .. count, each at least once; cost[k - 1]: FLOP of all stages of shard k.  Both are the caller's, (trials) and
 * (count).  ERR_CONFIG: more shards than trials, or a rule of early stopping, which must see all trials. */
int shard_split(const struct plan *plan, int count, int *shard, double *cost, err *e);

/* Leave of a plan of the whole sweep what its sweep's shard is: plan_make() does so. */
int shard_keep(struct plan *plan, err *e);

/* "shard-2-of-3", or "" for a sweep that is whole. */
void shard_folder(const struct sweep *sweep, char name[SHARD_NAME]);
/* Is it such a name?  With the numbers, which may be NULL. */
bool shard_folder_read(const char *name, int *index, int *count);
/* "2/3", as a user writes it.  ERR_USAGE. */
int shard_parse(const char *text, int *index, int *count, err *e);

#endif
