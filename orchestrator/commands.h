/* orchestrator/commands.h - the commands of this room: C(name, function, summary).  See main.c. */
#ifndef ORCHESTRATOR_COMMANDS_H
#define ORCHESTRATOR_COMMANDS_H

#define ORCHESTRATOR_COMMANDS(C) C("run", command_run, "run a sweep, or continue it")

#define C(name, function, summary) int function(int argc, char **argv);
ORCHESTRATOR_COMMANDS(C)
#undef C

#endif
