/* tests/slurm/batch_sluice.c - `sluice submit` as it is; every other command is fake_sluice's, whose trainer learns nothing.
 * The job script that it writes names this program. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "slurm/commands.h"

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "submit"))
        return command_submit(argc - 1, argv + 1);
    execv(FAKE_SLUICE, argv);
    perror(FAKE_SLUICE);
    return 127;
}
