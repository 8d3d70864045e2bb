/* slurm/commands.h - the commands of this room: C(name, function, summary).  See main.c. */
#ifndef SLURM_COMMANDS_H
#define SLURM_COMMANDS_H

#define SLURM_COMMANDS(C) C("submit", command_submit, "run a sweep as a job of SLURM")

#define C(name, function, summary) int function(int argc, char **argv);
SLURM_COMMANDS(C)
#undef C

#endif
