/* slurm/script.h - the job script of a sweep.
 *
 * One job runs `sluice run SWEEP --out DIR` on the resources that the sweep's `slurm:` section asks for; or, as an array, each
 * element runs some of its shards.  What the script does beside that:
 *
 *   time limit   sluice knows when the job ends (slurm/remaining.h) and stops in good time, with status 75; should it not, SLURM
 *                sends SIGUSR1 shortly before the end, which the script passes on.  While work is left the script then has the
 *                job run again: it requeues it (`scontrol requeue`) or submits its successor, as slurm.continue says, but gives
 *                up when SCRIPT_FRUITLESS jobs in a row have left no checkpoint, nor a part of one
 *   SIGUSR2      the same as SIGUSR1, sent by anybody
 *   SIGTERM      sluice stops cleanly and nothing is requeued: it comes from scancel, or from SLURM, which requeues a
 *                preempted job itself
 *   a crash      (a status above 128) counts as incomplete, like 75
 *
 * No value of the sweep, no path and no argument is ever read by a shell as anything but one word: in the script's body
 * they stand in single quotes.  The lines of slurm.setup alone are shell, as they are meant to be.  On #SBATCH lines, which
 * are comments for the shell and which sbatch splits into words itself, values stand in double quotes with '"' and '\'
 * escaped. */
#ifndef SLURM_SCRIPT_H
#define SLURM_SCRIPT_H

#include "io/err.h"
#include "sweeps/sweep.h"

enum { SCRIPT_FRUITLESS = 3 };

/* All paths absolute. */
struct script_paths {
    const char *program; /* this sluice */
    const char *sweep;
    const char *out; /* the output folder, in which shards have theirs; the job's own log goes to log/ in it, and it is
                        DIR/job.sh there that a job submits as its successor */
    const char *const *overrides; /* KEY=VALUE, as they were given */
    int overrides_count;
    struct script_array {
        int shards;   /* 0: the sweep is whole */
        int elements; /* of the array; element k runs the shards k, k + elements, k + 2 elements, ... */
    } array;
};

/* What a job asks for. */
struct script_shape {
    int nodes;
    int ranks_per_node; /* 0: whole nodes, as many ranks as their cores allow */
    int cpus_per_rank;
    double seconds; /* time limit; 0: the partition's */
};

/* ERR_CONFIG: a count is no whole number. */
int script_shape(const struct sweep *sweep, struct script_shape *out, err *e);

/* *text: the script, malloc'd; NULL on failure.  ERR_CONFIG: a value that sbatch could not take, with its key;
 * ERR_USAGE: an output folder whose name SLURM could not use for a log file. */
int script_render(const struct sweep *sweep, const struct script_paths *paths, char **text, err *e);

#endif
