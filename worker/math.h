/* worker/math.h - which numerical library is at work, and how fast: for provenance, estimates and `sluice doctor`. */
#ifndef WORKER_MATH_H
#define WORKER_MATH_H

#include <stdbool.h>

/* "OpenBLAS 0.3.21, SkylakeX kernels" */
const char *math_library(void);
/* GFLOP/s of one core for a matrix product in that library, of a training step's shape, measured now (some 30 ms). */
double math_library_gflops(void);
/* The set of sluice's own kernels in use, which do all that is done for each image: "avx2", ... */
const char *math_kernels(void);
/* GFLOP/s of one core for a linear layer in these kernels, of a training step's shape, measured now (some 30 ms). */
double math_gflops(void);
/* OpenBLAS runs its slowest kernels, because it does not know the CPU or was told to. */
bool math_is_slow(void);

#endif
