/* io/h5_library.c - which HDF5 library is at work; see h5.h. */
#include <hdf5.h>
#include <stdio.h>

#include "io/h5.h"

const char *h5_library(void)
{
    static char text[32];
    unsigned major, minor, release;

    if (H5get_libversion(&major, &minor, &release) < 0)
        return "unknown";
    snprintf(text, sizeof text, "%u.%u.%u", major, minor, release);
    return text;
}
