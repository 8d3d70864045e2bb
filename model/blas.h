/* model/blas.h - matrix products that sum over a batch: gradients of weights, the contrastive loss, class statistics.  All arrays
 * row-major float32; OpenBLAS underneath, one thread in each call: parallelism is over chunks of images (vit.h), so that a result
 * does not depend on the number of threads.  A row of C may depend on m and n: what must not is in linear.h. */
#ifndef MODEL_BLAS_H
#define MODEL_BLAS_H

/* Debian's OpenBLAS may not know a recent CPU and then silently uses its slowest kernels.  Choose the kernel set from the CPU's
 * own flags: sets OPENBLAS_CORETYPE and starts the program anew, since the library reads it when it is loaded.  Call it first in
 * main(); returns if the variable was set already. */
void blas_choose_kernels(char **argv);
const char *blas_kernels(void); /* the set in use: "Haswell", "SkylakeX", ... */
const char *blas_version(void);

/* C (m, n) = alpha A (m, k) B' + beta C, B (n, k): the product with a weight in (out, in) layout. */
void gemm_nt(int m, int n, int k, float alpha, const float *A, int lda, const float *B, int ldb, float beta, float *C,
             int ldc);
/* C (m, n) = alpha A (m, k) B (k, n) + beta C */
void gemm_nn(int m, int n, int k, float alpha, const float *A, int lda, const float *B, int ldb, float beta, float *C,
             int ldc);
/* C (m, n) = alpha A' B + beta C, A (k, m), B (k, n): the gradient of a weight. */
void gemm_tn(int m, int n, int k, float alpha, const float *A, int lda, const float *B, int ldb, float beta, float *C,
             int ldc);

#endif
