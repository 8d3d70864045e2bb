/* worker/math.c - see math.h. */
#include "worker/math.h"

#include <stdio.h>
#include <string.h>

#include "model/blas.h"
#include "model/kernels.h"
#include "model/rate.h"

const char *math_library(void)
{
    static char text[200];

    snprintf(text, sizeof text, "%s, %s kernels", blas_version(), blas_kernels());
    return text;
}

const char *math_kernels(void)
{
    return kernels_best()->name;
}

double math_library_gflops(void)
{
    return rate_measure(NULL);
}

double math_gflops(void)
{
    return rate_measure(kernels_best());
}

bool math_is_slow(void)
{
    return strcmp(blas_kernels(), "Prescott") == 0;
}
