/* worker/command_trainer.c - `sluice trainer FD`: the child of a worker's supervisor; not for users. */
#include "worker/child.h"
#include "worker/commands.h"

int command_trainer(int argc, char **argv)
{
    return child_main(argc, argv, trainer_run);
}
