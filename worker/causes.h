/* worker/causes.h - why an attempt at a stage did not end well, once: the causes that the ledger, the tables and the
 * messages speak of, with what the scheduler makes of each. */
#ifndef WORKER_CAUSES_H
#define WORKER_CAUSES_H

#include <stdbool.h>

#include "io/err.h"

/* X(name, budget, blames, meaning)
 *
 * budget: attempts of one run that may end so before the stage is set aside; RETRY: as many as the sweep's
 * `retry.attempts`, which is also the limit of all such failures together; ALWAYS: it is never held against the stage.
 * blames: RANK if different stages failing so on one rank speak against the rank, ELSE if they do not. */
/* clang-format off */
#define CAUSES(X)                                                                                     \
    X(none, ALWAYS, ELSE, "it ended well")                                                            \
    X(signal, RETRY, RANK, "the trainer crashed or aborted")                                          \
    X(killed, 10, RANK, "the trainer was killed from outside")                                        \
    X(exit, RETRY, RANK, "the trainer left without an answer")                                        \
    X(answer, RETRY, RANK, "the trainer's answer made no sense")                                      \
    X(hang, RETRY, RANK, "the trainer gave no sign of life")                                          \
    X(memory, 2, RANK, "the trainer needed more memory than it may have")                             \
    X(time, 2, RANK, "the stage took longer than its time limit")                                     \
    X(diverged, 1, ELSE, "a loss or a weight was not finite; the same inputs give the same result")   \
    X(input, 1, ELSE, "the data, the options or a file that the stage needs cannot be used")          \
    X(damaged, RETRY, ELSE, "a checkpoint that the stage builds on is missing or damaged")            \
    X(storage, ALWAYS, ELSE, "the output folder cannot be written")                                   \
    X(system, RETRY, RANK, "the operating system refused")                                            \
    X(bug, 1, ELSE, "a programming error in sluice")                                                  \
    X(lost, 5, ELSE, "the worker rank died or stopped answering")                                     \
    X(interrupted, ALWAYS, ELSE, "it was told to stop")
/* clang-format on */

enum cause {
#define X(name, budget, blames, meaning) CAUSE_##name,
    CAUSES(X)
#undef X
        CAUSE_COUNT
};

const char *cause_name(enum cause c);
const char *cause_meaning(enum cause c);
/* How many failures for this cause alone set a stage aside, given retry.attempts; INT_MAX: none do. */
int cause_budget(enum cause c, int attempts);
bool cause_counts(enum cause c); /* among the failures that retry.attempts limits together */
bool cause_blames_rank(enum cause c);
enum cause cause_by_name(const char *name); /* CAUSE_COUNT if there is none */
enum cause cause_of_error(enum err_code code);

#endif
