/* tests/worker/fake_trainer.h - a trainer that learns nothing, quickly, and misbehaves on request.
 *
 * It writes a checkpoint whose content is a function of the job's key and of its inputs' digests, so a stage run twice,
 * or on a wrong input, is seen.  tap(t) and sequential(t) answer with accuracy rows of all tasks up to t, joint with
 * all tasks'.
 *
 * `seeds.init` says how a stage of kind wtp, sequential or joint behaves: a number of FAKE_HABITS misbehaves, any other
 * is well.  FAKE_SECONDS in the environment: how long a stage takes (0.01); negative: no checkpoint, no rows, no time.
 * FAKE_BAD_RANK: the MPI rank on which every stage crashes.
 */
#ifndef TESTS_WORKER_FAKE_TRAINER_H
#define TESTS_WORKER_FAKE_TRAINER_H

#include "worker/child.h"

#define FAKE_HABITS(X)                                              \
    X(CRASH, 9001, "raises SIGSEGV")                                \
    X(EXIT, 9002, "leaves with status 3")                           \
    X(HANG, 9003, "sleeps for ever")                                \
    X(EAT, 9004, "takes memory for ever")                           \
    X(NOT_A_NUMBER, 9005, "ERR_DIVERGED")                           \
    X(NONSENSE, 9006, "writes garbage to the supervisor")           \
    X(SLOW, 9007, "works for an hour, and stops when told")         \
    X(DEAF, 9008, "works for an hour, and does not stop when told") \
    X(LIAR, 9009, "says that it is done, without a digest")         \
    X(FLAKY, 9010, "crashes on every first attempt, then is well")

enum fake_habit {
#define X(name, number, meaning) FAKE_##name = number,
    FAKE_HABITS(X)
#undef X
};

int fake_trainer(const struct stage_job *job, const struct host *host, struct stage_outcome *out, err *e);

#endif
