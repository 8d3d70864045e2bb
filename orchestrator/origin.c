/* orchestrator/origin.c - see origin.h. */
#include "orchestrator/origin.h"

#include <mpi.h>
#include <stdio.h>
#include <string.h>

#include "version/version.h"
#include "worker/math.h"

/* The first line of what the MPI library says about itself; it may be asked before MPI_Init(). */
static const char *mpi_library(void)
{
    static char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int n;

    MPI_Get_library_version(text, &n);
    text[strcspn(text, ",\n")] = 0;
    return text;
}

struct results_origin origin_here(void)
{
    return (struct results_origin){SLUICE_VERSION, SLUICE_COMMIT,  SLUICE_COMPILER,
                                   math_library(), math_kernels(), mpi_library()};
}
