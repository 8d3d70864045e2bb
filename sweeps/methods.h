/* sweeps/methods.h - what each method is made of: its stages, and the options that it fixes.
 *
 * Two trials are the same when they come to the same stages.  So options that cannot matter are first brought to one
 * value: what the method fixes (hide is norga without a gate), and what another option makes meaningless (a gate's
 * scalars without a gate).  Options that none of a method's stages read fall away by themselves. */
#ifndef SWEEPS_METHODS_H
#define SWEEPS_METHODS_H

#include <stdbool.h>

#include "sweeps/stage.h"

enum { METHOD_MAX_KINDS = 6 };

struct method {
    const char *name; /* a choice of `method` */
    int kinds_count;
    enum stage_kind
        kinds[METHOD_MAX_KINDS]; /* in an order in which they can be made for one task; the last is the result */
};

/* The method of a trial; NULL for a choice without a row, which the test of the table excludes. */
const struct method *method_of(const struct trial_config *config);
/* May the option change a result of this method?  False for method and seed themselves. */
bool method_reads(const struct method *method, enum option_id id);
/* Bring options that cannot matter to one value.  Seeds must be resolved. */
void method_normalise(struct trial_config *config);
/* May it change this option? */
bool method_fixes(enum option_id id);

/* What a stage opens: `of` kind, for which tasks. */
enum need_tasks {
    NEED_WHOLE,    /* the stage of the whole trial */
    NEED_SAME,     /* of task t */
    NEED_PREVIOUS, /* of task t-1, if there is one */
    NEED_BEFORE,   /* of tasks 0..t-1; t-1 stands for all, which it needs itself */
    NEED_UP_TO     /* of tasks 0..t; t stands for all */
};

struct need {
    enum stage_kind kind, of;
    enum need_tasks tasks;
    bool fc_norm_only; /* only with feature.norm fc_norm */
};

extern const struct need stage_needs[]; /* those of a kind stand together */
extern const int stage_needs_count;
/* The last task of `of` that the need means for a stage of this kind and task t, 0 for a stage of the whole trial; -1: it means
 * none, or speaks of another kind. */
static inline int need_task(const struct need *need, enum stage_kind kind, int t, bool fc_norm)
{
    if (need->kind != kind || (need->fc_norm_only && !fc_norm))
        return -1;
    if (need->tasks == NEED_WHOLE)
        return 0;
    return need->tasks == NEED_SAME || need->tasks == NEED_UP_TO ? t : t - 1;
}

/* Does the kind have one stage for each task, or one for the whole trial (task -1)? */
bool stage_kind_has_tasks(enum stage_kind kind);

#endif
