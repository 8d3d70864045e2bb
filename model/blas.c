/* model/blas.c - see blas.h. */
#include "model/blas.h"

#include <cblas.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/* The best set of OpenBLAS 0.3.21 for this CPU, NULL to leave the choice to it.  On AMD the AVX2 kernels measured faster than the
 * AVX-512 ones (Zen 4: 108 against 103 GFLOP/s for 1040x384x128). */
static const char *best_core_type(void)
{
#if defined(__x86_64__)
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");

    if (avx512 && __builtin_cpu_is("intel"))
        return "SkylakeX";
    if (avx2)
        return "Haswell";
#endif
    return NULL;
}

void blas_choose_kernels(char **argv)
{
    const char *core = best_core_type();
    char path[4096]; /* the real one, so that the process keeps its name */
    ssize_t n = core && !getenv("OPENBLAS_CORETYPE") ? readlink("/proc/self/exe", path, sizeof path - 1) : -1;

    if (n < 0)
        return;
    path[n] = 0;
    setenv("OPENBLAS_CORETYPE", core, 1);
    execv(path, argv); /* on failure: go on with OpenBLAS's own choice */
}

const char *blas_kernels(void)
{
    return openblas_get_corename();
}

const char *blas_version(void)
{
    return openblas_get_config();
}

__attribute__((constructor)) static void one_thread_a_call(void)
{
    openblas_set_num_threads(1);
}

void gemm_nt(int m, int n, int k, float alpha, const float *A, int lda, const float *B, int ldb, float beta, float *C,
             int ldc)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc);
}

void gemm_nn(int m, int n, int k, float alpha, const float *A, int lda, const float *B, int ldb, float beta, float *C,
             int ldc)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc);
}

void gemm_tn(int m, int n, int k, float alpha, const float *A, int lda, const float *B, int ldb, float beta, float *C,
             int ldc)
{
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc);
}
