/* orchestrator/arguments.h - what the small commands of this room have in common: DIR, a few flags, --help. */
#ifndef ORCHESTRATOR_ARGUMENTS_H
#define ORCHESTRATOR_ARGUMENTS_H

#include <stdbool.h>

#include "io/err.h"

enum { FLAGS = 4 };

struct arguments {
    const char *folder;      /* DIR */
    const char *const *rest; /* what follows it */
    int rest_count;
    bool flag[FLAGS]; /* as asked for: the i-th name was given */
};

/* Read "DIR [WORD ...]" and flags without values.  flags: names without "--", NULL at the end.
 * Returns true to go on; false with *status to leave, --help having been printed or the error told. */
bool arguments_read(int argc, char **argv, const char *help, const char *const *flags, struct arguments *out,
                    int *status);

/* Tell an error as "sluice VERB: text" and return its exit status. */
int arguments_fail(char **argv, const err *e);

#endif
