/* model/rate.c - see rate.h. */
#include "model/rate.h"

#include <stdlib.h>
#include <time.h>

#include "model/blas.h"
#include "model/linear.h"

double rate_measure(const struct kernels *k)
{
    enum { R = 512, OUT = 512, IN = 160, ROUNDS = 6, CALLS = 6 };
    float *x = calloc(R * IN + OUT * IN + R * OUT, sizeof *x), *W = x + R * IN, *y = W + OUT * IN;
    double best = 0;

    if (!x)
        return 0;
    for (int round = 0; round < ROUNDS; round++) { /* the best round is the one that nobody disturbed */
        struct timespec from, to;
        double seconds;

        clock_gettime(CLOCK_MONOTONIC, &from);
        for (int i = 0; i < CALLS; i++)
            if (k)
                linear_forward(k, R, OUT, IN, x, IN, W, false, y, OUT, NULL);
            else
                gemm_nt(R, OUT, IN, 1, x, IN, W, IN, 0, y, OUT);
        clock_gettime(CLOCK_MONOTONIC, &to);
        seconds = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
        if (seconds > 0 && CALLS * 2e-9 * R * OUT * IN / seconds > best)
            best = CALLS * 2e-9 * R * OUT * IN / seconds;
    }
    free(x);
    return best;
}
