/* orchestrator/commands.h - the commands of this room: C(name, function, summary).  See main.c. */
#ifndef ORCHESTRATOR_COMMANDS_H
#define ORCHESTRATOR_COMMANDS_H

/* clang-format off */
#define ORCHESTRATOR_COMMANDS(C)                                                        \
    C("run", command_run, "run a sweep, or continue it")                                \
    C("train", command_train, "one trial in this process, without MPI")                 \
    C("predict", command_predict, "logits, inferred tasks and features of every image") \
    C("plan", command_plan, "what a run would do, without doing it")                    \
    C("status", command_status, "how a sweep stands: trials, workers, failures, ETA")   \
    C("watch", command_watch, "status, kept up to date")                                \
    C("cancel", command_cancel, "stop a running sweep cleanly")                         \
    C("merge", command_merge, "bring the shards of a sweep together")                   \
    C("retry", command_retry, "make failed trials eligible again")                      \
    C("why", command_why, "why a trial was run, reused, failed or pruned")              \
    C("verify", command_verify, "check ledger, checkpoints and results; rebuild")       \
    C("doctor", command_doctor, "what this machine has, and what is missing")
/* clang-format on */

#define C(name, function, summary) int function(int argc, char **argv);
ORCHESTRATOR_COMMANDS(C)
#undef C

#endif
