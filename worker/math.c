/* worker/math.c - see math.h. */
#include "worker/math.h"

#include <stdio.h>

#include "model/blas.h"

const char *math_library(void)
{
    static char text[200];

    snprintf(text, sizeof text, "%s, %s kernels", blas_version(), blas_kernels());
    return text;
}
