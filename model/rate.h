/* model/rate.h - how fast a core of this machine multiplies. */
#ifndef MODEL_RATE_H
#define MODEL_RATE_H

#include "model/kernels.h"

/* GFLOP/s of one core for a linear layer of the shape that a ViT trains with, in these kernels or, with NULL, in OpenBLAS; measured
 * here and now (some 30 ms); 0 without memory. */
double rate_measure(const struct kernels *k);

#endif
