/* sweeps/commands.h - the commands of this room: C(name, function, summary).  See main.c. */
#ifndef SWEEPS_COMMANDS_H
#define SWEEPS_COMMANDS_H

#define SWEEPS_COMMANDS(C) \
    C("options", command_options, "explains every option of a trial and every setting of a sweep")

#define C(name, function, summary) int function(int argc, char **argv);
SWEEPS_COMMANDS(C)
#undef C

#endif
