/* orchestrator/folder.h - the output folder of a sweep: what lies where (docs/interface.md section 3), and making it.
 */
#ifndef ORCHESTRATOR_FOLDER_H
#define ORCHESTRATOR_FOLDER_H

#include <stdbool.h>

#include "io/err.h"
#include "sweeps/sweep.h"

enum { FOLDER_PATH = 1024 };

/* F(name, file or folder in it, meaning) */
#define FOLDER_ENTRIES(F)                                                      \
    F(sweep, "sweep.yaml", "the sweep as resolved, with its provenance")       \
    F(ledger, "ledger", "the truth")                                           \
    F(results, "results.h5", "the tables, rebuilt from the ledger")            \
    F(checkpoints, "checkpoints", "one file for each stage, named by its key") \
    F(log, "log", "one file for each rank, limited in size")                   \
    F(live, "live.json", "how the run stands, rewritten while it runs")        \
    F(jobs, "jobs", "numbers of the jobs of the batch system, one a line")     \
    F(stop, "stop", "its presence asks the run to end")

struct folder {
    char root[FOLDER_PATH];
#define F(name, entry, meaning) char name[FOLDER_PATH + 16];
    FOLDER_ENTRIES(F)
#undef F
};

/* Absolute paths below `out`, or below runs/<sweep name> if it is NULL.  Makes nothing. */
int folder_name(const char *out, const char *sweep_name, struct folder *f, err *e);
/* The folder of a sweep: the same, and of a shard the folder shard-K-of-N below it, unless `out` is that already. */
int folder_of(const char *out, const struct sweep *sweep, struct folder *f, err *e);
/* Make what is missing; ERR_STORAGE if the folder cannot be written. */
int folder_make(const struct folder *f, err *e);
/* Is there a folder of a sweep?  ERR_MISSING otherwise. */
int folder_check(const struct folder *f, err *e);

/* Write the resolved sweep, unless the folder has it already.  *changed: another sweep was frozen here before. */
int folder_freeze(const struct folder *f, const struct sweep *sweep, const char *source, bool *changed, err *e);
/* Remove what earlier runs that were killed have left behind. */
void folder_sweep_up(const struct folder *f);

/* Write `stop`, or look for it, or take it away, as a run does when it begins. */
int folder_ask_stop(const struct folder *f, const char *who, err *e);
bool folder_stop_asked(const struct folder *f, char *who, size_t size);
void folder_clear_stop(const struct folder *f);

#endif
