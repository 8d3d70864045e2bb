/* worker/commands.h - the commands of this room: C(name, function, summary).  See main.c. */
#ifndef WORKER_COMMANDS_H
#define WORKER_COMMANDS_H

#define WORKER_COMMANDS(C)                                                                           \
    C("data", command_data, "imports data sets, lists and shows them, draws contact sheets")         \
    C("pretrain", command_pretrain, "makes a backbone from images that the program draws itself")    \
    C("backbone", command_backbone, "takes published checkpoints in; what is in the backbone store") \
    C("trainer", command_trainer, NULL)

#define C(name, function, summary) int function(int argc, char **argv);
WORKER_COMMANDS(C)
#undef C

#endif
