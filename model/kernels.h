/* model/kernels.h - everything that must be fast in the network: the seam for another back end.
 *
 * kernels_plain is the definition, written to be read; the fast sets are one source compiled for several instruction sets, and
 * tests/model/test_kernels.c holds each to the plain one.  Arrays are dense and row-major.  No function here allocates.
 * Shape letters: R rows, D width, L prefix length, N tokens.
 *
 * Another back end is another table (kernels.c lists them) and, for sums over a batch, another blas.c. */
#ifndef MODEL_KERNELS_H
#define MODEL_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/gate.h"

/* Rows of what `product` reads as B are padded to a multiple of this many numbers. */
enum { KERNELS_PAD = 16 };

struct adam_step {
    float rate;            /* lr / (1 - beta1^k) */
    float root_correction; /* 1 / sqrt(1 - beta2^k) */
    float beta1, beta2;
    float fresh1, fresh2; /* 1 - beta1, 1 - beta2: rounded from the exact values, not differences of floats */
    float epsilon;
    float gradient_scale; /* gradients are multiplied by this first (clipping) */
    float decay;          /* p is multiplied by 1 - decay first (AdamW); 0 for Adam */
};

/* Memory that will be read soon: `rows` rows of `columns` numbers, `stride` apart.  A product asks for a line of it now and then, so
 * that it comes nearer while there is something to do. */
struct ahead {
    const float *at; /* the row to be asked for next */
    size_t rows, columns, stride;
    size_t column;
};

struct kernels {
    const char *name;

    /* y = gain * xhat + bias, xhat = (x - mean) / sqrt(var + epsilon), biased variance.  xhat (R, D) and rstd (R) = 1/sqrt(..)
     * are written when not NULL.  x, y: (R, D). */
    void (*layer_norm)(float *y, float *xhat, float *rstd, const float *x, const float *gain, const float *bias,
                       size_t R, size_t D, float epsilon);
    /* dx += (g - mean(g) - xhat mean(g xhat)) rstd, g = dy * gain  (methods.md 2.6) */
    void (*layer_norm_backward)(float *dx, const float *dy, const float *gain, const float *xhat, const float *rstd,
                                size_t R, size_t D);
    /* a += bias (D; NULL: nothing); h = a Phi(a).  a, h: (R, D).  h may be a. */
    void (*gelu)(float *h, float *a, const float *bias, size_t R, size_t D);
    /* The same with a replaced by the slope Phi(a) + a phi(a), so that a backward pass is one multiplication. */
    void (*gelu_and_slope)(float *h, float *a, const float *bias, size_t R, size_t D);
    /* d *= Phi(a) + a phi(a), n numbers */
    void (*gelu_backward)(float *d, const float *a, size_t n);
    /* d *= slope, n numbers */
    void (*scale)(float *d, const float *slope, size_t n);
    /* y = x + bias; x NULL: y = bias.  (R, D) */
    void (*add_bias)(float *y, const float *x, const float *bias, size_t R, size_t D);
    /* scores (R, L + N), in place to probabilities: the first L columns are gated, then one softmax over the row.
     * raw (R, L), when not NULL, keeps the ungated prefix scores for the backward pass. */
    void (*gated_softmax)(float *scores, float *raw, size_t R, size_t L, size_t N, enum gate gate, float a0, float a1);
    /* d (R, L + N): in, the gradient of the probabilities; out, of the scores.  dscalars += gradient of (a0, a1). */
    void (*gated_softmax_backward)(float *d, const float *probabilities, const float *raw, size_t R, size_t L, size_t N,
                                   enum gate gate, float a0, float a1, double dscalars[2]);
    /* A softmax before its division: e = exp(logits - largest) of the classes that are allowed (C bytes; NULL: all), 0 of the
     * others; returns their sum.  e may be logits, or NULL for the sum alone. */
    float (*exponentials)(float *e, const float *logits, const uint8_t *allowed, size_t C, float largest);
    /* C (m, n) = alpha A B, or += with `add`: the products of attention and, strip by strip, of linear.h.  An
     * element of C is a function of its row of A and its column of B, bit for bit: not of m, n or its place.  A's element (i, p) is A[i * row + p * step],
     * B (k, n) has rows ldb apart, of which all numbers up to n rounded up to KERNELS_PAD can be read; C's rows are ldc apart.
     * ahead: NULL, or what is used up as far as there is time. */
    void (*product)(size_t m, size_t n, size_t k, float alpha, const float *A, size_t row, size_t step, const float *B,
                    size_t ldb, bool add, float *C, size_t ldc, struct ahead *ahead);
    /* to (columns, ldt) = the transpose of from (rows, columns), whose rows are ldf apart. */
    void (*transpose)(float *to, size_t ldt, const float *from, size_t ldf, size_t rows, size_t columns);
    /* One Adam update of n numbers (methods.md 1.1). */
    void (*adam)(float *p, float *m, float *v, const float *g, size_t n, const struct adam_step *s);
};

extern const struct kernels kernels_plain;

/* The fastest set that this CPU can run; the environment variable SLUICE_KERNELS=plain|avx2|avx512 overrides. */
const struct kernels *kernels_best(void);
/* The k-th set that this CPU can run, plain first; NULL past the end. */
const struct kernels *kernels_nth(int k);

#endif
