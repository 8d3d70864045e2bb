/* sweeps/sweep.h - a sweep file, read, checked and ready to be walked trial by trial.
 *
 * The language is that of docs/interface.md section 2.  What each section means:
 *
 *   trial      the options of one trial, nested (prompt: {length: 5}) or dotted (prompt.length: 5)
 *   grid       option: [values]; every combination.  `0..4` is the range 0, 1, 2, 3, 4
 *   zip        maps of lists of equal length, each walked together, then multiplied with the grid
 *   random     `samples` lines of drawn values, multiplied with the rest.  A draw depends on the seed, the option and the
 *              sample's number only, so a space that grows keeps what it had.
 *              uniform, log_uniform: [low, high]; int: [low, high], inclusive; choice: [values]
 *   include    extra trials: their options over those of `trial`
 *   when       {if: {option: value or [values]}, set: {option: value}}, in order, for every trial
 *   exclude    trials of the product, after `when`, for which all options match, are left out
 *   published  {source, rows: [{option: value, ..., faa, faa_sd, caa, caa_sd, ffm, ffm_sd, bwt, bwt_sd, label}]}
 *   x-...      whatever the user likes, such as maps with anchors; not read
 *   defaults   other files, relative to this one, read first.  What this file says replaces what they say: options, axes
 *              and settings one by one, zip, random, include, exclude, when and published as a whole
 *
 * On the command line KEY=VALUE pins an option (an axis of that option goes away), KEY=A,B,C or KEY=0..4 makes or
 * replaces an axis, and settings are set by their key.
 *
 * Order of trials: nested loops over the axes in the order in which they were first named, the last one fastest; zips
 * after the grid, drawn lines last; then the included ones. */
#ifndef SWEEPS_SWEEP_H
#define SWEEPS_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "io/err.h"
#include "sweeps/options.h"
#include "sweeps/settings.h"

enum { SWEEP_MAX_AXIS = 1000000, SWEEP_MAX_TRIALS = 10000000, SWEEP_MAX_PROBLEMS = 500 };

/* One loop: a line sets some options together. */
struct sweep_axis {
    const char *origin; /* "grid", "zip" or "random" */
    int options_count;
    enum option_id *options;    /* (options_count) */
    int64_t length;             /* lines, at least 1 */
    union option_value *values; /* (length, options_count) */
};

struct sweep_assignment {
    enum option_id option;
    union option_value value;
};

/* The option has one of the values. */
struct sweep_condition {
    enum option_id option;
    int count;
    union option_value *values;
};

/* `if` all conditions hold, `set` all assignments. */
struct sweep_rule {
    int conditions_count, assignments_count;
    struct sweep_condition *conditions;
    struct sweep_assignment *assignments;
};

#define PUBLISHED_NUMBERS(N) N(faa) N(faa_sd) N(caa) N(caa_sd) N(ffm) N(ffm_sd) N(bwt) N(bwt_sd) N(seeds)

/* A published result: which trials it speaks of, its numbers in percent and how many seeds they are of; NaN where there is
 * none. */
struct sweep_published {
    struct sweep_rule which; /* conditions only */
    const char *label;
#define N(name) double name;
    PUBLISHED_NUMBERS(N)
#undef N
};

struct sweep {
    struct setting_value setting[SETTING_COUNT];
    int setup_count, additional_count;
    const char **setup;      /* slurm.setup: lines of shell that the user wants before the program */
    const char **additional; /* slurm.additional: more options of sbatch, "--nice=100" */
    struct trial_config base;
    int axes_count, includes_count, excludes_count, whens_count, published_count;
    struct sweep_axis *axes;
    struct sweep_rule *includes; /* assignments only */
    struct sweep_rule *excludes; /* conditions only */
    struct sweep_rule *whens;
    struct sweep_published *published;
    const char *published_source;
    int64_t product; /* trials of the axes together, excluded ones counted */
    int problems_count;
    const char **problems; /* everything wrong with the file: "file:line:column: ..." */
    void *memory;          /* private: owns all of the above */
};

/* Read a sweep file and the arguments "key=value" of the command line.  ERR_CONFIG (ERR_MISSING for a file that is not
 * there) when anything is wrong: the text of the error holds the first problems, out->problems all of them.
 * sweep_free() in any case. */
int sweep_load(const char *path, const char *const *overrides, int overrides_count, struct sweep *out, err *e);
/* The same from memory; `name` stands for the file, and defaults are looked for in `folder`. */
int sweep_parse(const char *name, const char *folder, const char *bytes, size_t n, const char *const *overrides,
                int overrides_count, struct sweep *out, err *e);
void sweep_free(struct sweep *s);

/* Trials before exclusion and folding: the product and the included ones. */
int64_t sweep_points(const struct sweep *s);
/* The i-th of them, seeds resolved; false if it is excluded. */
bool sweep_point(const struct sweep *s, int64_t i, struct trial_config *out);
bool sweep_matches(const struct sweep_rule *rule, const struct trial_config *config);

/* The sweep as resolved, as a sweep file that reads back to the same trials: every option written out, defaults and
 * overrides folded in, drawn values as a zip.  malloc'd. */
int sweep_write(const struct sweep *s, char **yaml, err *e);

#endif
