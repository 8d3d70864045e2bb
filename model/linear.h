/* model/linear.h - linear layers: the product of many rows with a weight matrix, and its way back.
 *
 * A row of the result is a function of its own row of the input and of the weight, bit for bit: of no other row, of how many
 * there are, and of no row's place.  So an image's feature does not depend on the images beside it and may be computed once and
 * kept, and computing the class token's row alone changes nothing.  No BLAS promises that - OpenBLAS takes other kernels, with
 * other sums, for few rows - and it is why these products are our own.  Each number is a sum over the inputs in their order, in
 * fused operations, LINEAR_STRIP_DEPTH at a time; so the sets "avx2" and "avx512" also agree.
 *
 * A weight is read once for all rows: 48 of its outputs at a time are laid side by side in the nearest cache. */
#ifndef MODEL_LINEAR_H
#define MODEL_LINEAR_H

#include <stdbool.h>
#include <stddef.h>

#include "model/kernels.h"

/* Numbers of a strip: a few columns of a weight, deep enough that the results of a ViT's width pass only once.  147 KB: it is read in its
 * order and stays in the second cache. */
enum { LINEAR_STRIP_COLUMNS = 48, LINEAR_STRIP_DEPTH = 768, LINEAR_STRIP = LINEAR_STRIP_COLUMNS * LINEAR_STRIP_DEPTH };

/* y (R, out) = x (R, in) W', or += with `add`.  W (out, in) is dense; rows of x and y are ldx and ldy apart.
 * strip: LINEAR_STRIP numbers of scratch memory; NULL: on the stack, whose pages may get into each other's way in the second cache.  In
 * a huge page inference of ViT-B/16 took 0.90 to 0.93 of the time. */
void linear_forward(const struct kernels *k, size_t R, size_t out, size_t in, const float *x, size_t ldx,
                    const float *W, bool add, float *y, size_t ldy, float *strip);

/* dx (R, in) = dy (R, out) W, or += with `add`. */
void linear_backward(const struct kernels *k, size_t R, size_t out, size_t in, const float *dy, size_t ldy,
                     const float *W, bool add, float *dx, size_t ldx, float *strip);

#endif
