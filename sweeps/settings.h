/* sweeps/settings.h - what a sweep says about itself beside its trials: name, metric, retries, resources, shard, batch system.
 *
 * One row is the whole story of a setting, as in options.h; none of them can change a result, so no key depends on
 * them. */
#ifndef SWEEPS_SETTINGS_H
#define SWEEPS_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "io/err.h"

/* S(id, key, type, default, low, high, choices, help)
 *
 * type: NAME (letters, digits, . _ -), LINE (a text without control characters), INT, CHOICE ("a|b"),
 *       AUTO (a number, or "auto", stored as 0),
 *       DURATION (45s, 90m, 2h, 1d, 12:00:00 or 1-12:00:00 in seconds, or "none", stored as 0).
 * low, high: the range of numbers, the number of characters of texts, the seconds of durations. */
/* clang-format off */
#define SETTINGS(S)                                                                                                     \
    S(NAME, "name", NAME, "", 0, 63, "", "names the sweep and its output folder; the file's name if left out")          \
    S(DESCRIPTION, "description", LINE, "", 0, 1000, "", "what the sweep is for")                                       \
    S(METRIC_NAME, "metric.name", CHOICE, "faa", 0, 0, "faa|caa|ffm|bwt|tii_accuracy", "the result that trials are compared by") \
    S(METRIC_GOAL, "metric.goal", CHOICE, "maximize", 0, 0, "maximize|minimize", "which direction is better")           \
    S(EARLY_STOP_RULE, "early_stop.rule", CHOICE, "none", 0, 0, "none|asha|halving|median|floor", "whether trials that fall behind are stopped before their last task") \
    S(EARLY_STOP_REDUCTION, "early_stop.reduction", INT, "3", 2, 100, "", "asha, halving: one trial in so many goes on at each rung") \
    S(EARLY_STOP_MIN_TASKS, "early_stop.min_tasks", INT, "2", 1, 1000, "", "tasks before a trial is looked at for the first time") \
    S(EARLY_STOP_FLOOR, "early_stop.floor", INT, "0", 0, 100, "", "floor: the value of metric.name that a trial must not be worse than") \
    S(RETRY_ATTEMPTS, "retry.attempts", INT, "3", 1, 100, "", "tries at a stage before its trials fail")                \
    S(RESOURCES_THREADS_PER_RANK, "resources.threads_per_rank", AUTO, "auto", 1, 4096, "", "threads of a rank")         \
    S(RESOURCES_MEMORY_GB, "resources.memory_gb", AUTO, "auto", 0.1, 100000, "", "memory limit of a rank")              \
    S(RESOURCES_BIND, "resources.bind", CHOICE, "none", 0, 0, "none|cores", "cores: each rank keeps to its part of the cores of its host; for hosts that nobody else uses") \
    S(RESOURCES_TIME_LIMIT, "resources.time_limit", DURATION, "none", 1, 31536000, "", "longest wall time of one attempt at a stage") \
    S(SHARD_INDEX, "shard.index", INT, "1", 1, 100000, "", "which shard of the sweep this is: see sluice run --shard")   \
    S(SHARD_COUNT, "shard.count", INT, "1", 1, 100000, "", "in how many shards the sweep is run; 1: it is whole")        \
    S(SLURM_PARTITION, "slurm.partition", LINE, "", 0, 200, "", "sbatch --partition")                                   \
    S(SLURM_ACCOUNT, "slurm.account", LINE, "", 0, 200, "", "sbatch --account")                                         \
    S(SLURM_QOS, "slurm.qos", LINE, "", 0, 200, "", "sbatch --qos")                                                     \
    S(SLURM_CONSTRAINT, "slurm.constraint", LINE, "", 0, 200, "", "sbatch --constraint")                                \
    S(SLURM_EXCLUDE, "slurm.exclude", LINE, "", 0, 1000, "", "sbatch --exclude: nodes to keep away from")               \
    S(SLURM_GRES, "slurm.gres", LINE, "", 0, 200, "", "sbatch --gres")                                                  \
    S(SLURM_NODES, "slurm.nodes", INT, "1", 1, 100000, "", "sbatch --nodes")                                            \
    S(SLURM_RANKS_PER_NODE, "slurm.ranks_per_node", AUTO, "auto", 1, 4096, "", "sbatch --ntasks-per-node; auto: whole nodes, with as many ranks as their cores allow") \
    S(SLURM_CPUS_PER_RANK, "slurm.cpus_per_rank", AUTO, "auto", 1, 4096, "", "sbatch --cpus-per-task; auto: resources.threads_per_rank, or 1") \
    S(SLURM_MEM, "slurm.mem", LINE, "", 0, 20, "", "sbatch --mem, of a node: 64G; left out: by resources.memory_gb")    \
    S(SLURM_TIME, "slurm.time", DURATION, "none", 60, 31536000, "", "sbatch --time; the job requeues itself until the sweep is done") \
    S(SLURM_LAUNCHER, "slurm.launcher", CHOICE, "mpirun", 0, 0, "mpirun|srun", "what starts the ranks in the job")      \
    S(SLURM_CONTINUE, "slurm.continue", CHOICE, "requeue", 0, 0, "requeue|resubmit|no", "how a job that ends with work left goes on: it requeues itself, or submits another one like it where the site forbids that") \
    S(SLURM_MAX_JOBS, "slurm.max_jobs", AUTO, "auto", 1, 100000, "", "most elements of a job array, which may be fewer than shards; auto: as many as SLURM says that one may have") \
    S(SLURM_MAIL, "slurm.mail", LINE, "", 0, 200, "", "an address for sbatch --mail-user: the end, failure and requeueing of the job")
/* clang-format on */

enum setting {
#define S(id, key, type, def, low, high, choices, help) SETTING_##id,
    SETTINGS(S)
#undef S
        SETTING_COUNT
};

enum setting_type {
    SETTING_TYPE_NAME,
    SETTING_TYPE_LINE,
    SETTING_TYPE_INT,
    SETTING_TYPE_CHOICE,
    SETTING_TYPE_AUTO,
    SETTING_TYPE_DURATION
};

struct setting_value {
    const char *text; /* interned: the canonical text, for every type */
    double number;    /* INT, AUTO (0: auto), DURATION in seconds (0: none); index of a CHOICE */
};

struct setting_info {
    const char *key;
    enum setting_type type;
    const char *initial;
    double low, high;
    const char *choices, *help;
};

const struct setting_info *setting_info(enum setting id);
/* What a value must be: "an integer from 1 to 100". */
void setting_rule(enum setting id, char *text, size_t size);
enum setting setting_by_key(const char *key); /* SETTING_COUNT if there is none */

/* Text to value.  ERR_CONFIG says key, offending text, rule and the nearest choice, without a place. */
int setting_parse(enum setting id, const char *text, struct setting_value *out, err *e);

#endif
