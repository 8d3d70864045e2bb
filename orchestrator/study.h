/* orchestrator/study.h - a sweep, its plan, its output folder, and what has happened there: what every command starts from. */
#ifndef ORCHESTRATOR_STUDY_H
#define ORCHESTRATOR_STUDY_H

#include "orchestrator/folder.h"
#include "orchestrator/history.h"
#include "orchestrator/standing.h"
#include "sweeps/plan.h"

struct study {
    struct sweep sweep;
    struct plan plan;
    struct folder folder;
    struct history history; /* empty if nothing was run yet */
    struct standing standing;
    struct ledger_summary ledger;
};

/* From a sweep file and overrides; out NULL: runs/<name>.  Nothing is written.  study_close() in any case. */
int study_from_sweep(const char *path, const char *const *overrides, int count, const char *out, struct study *s,
                     err *e);
/* From an output folder, by the sweep frozen there. */
int study_from_folder(const char *path, struct study *s, err *e);
/* Read the ledger again. */
int study_refresh(struct study *s, err *e);
void study_close(struct study *s);

/* "trial 7 (gate.activation=tanh seed=1)" */
void study_trial_name(const struct study *s, int trial, char *text, size_t size);
/* A trial by its number or by its key's first digits; ERR_USAGE if there is none, or more than one. */
int study_find_trial(const struct study *s, const char *word, int *trial, err *e);

#endif
