/* Counts of operations against the matrix products that a pass calls - the linker sends those here first - and against
 * the number that everyone quotes for ViT-B/16. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/blas.h"
#include "model/flops.h"
#include "model/kernels.h"
#include "model/rng.h"

static double counted;

#define COUNTED(gemm)                                                                                                  \
    void __real_##gemm(int, int, int, float, const float *, int, const float *, int, float, float *, int);             \
    void __wrap_##gemm(int, int, int, float, const float *, int, const float *, int, float, float *, int);             \
    void __wrap_##gemm(int m, int n, int k, float alpha, const float *A, int lda, const float *B, int ldb, float beta, \
                       float *C, int ldc)                                                                              \
    {                                                                                                                  \
        counted += 2.0 * m * n * k;                                                                                    \
        __real_##gemm(m, n, k, alpha, A, lda, B, ldb, beta, C, ldc);                                                   \
    }
COUNTED(gemm_nt)
COUNTED(gemm_nn)
COUNTED(gemm_tn)

/* Those of linear layers and of attention, which are no calls that a linker sees: a table of kernels of our own. */
static void counted_product(size_t m, size_t n, size_t k, float alpha, const float *A, size_t row, size_t step,
                            const float *B, size_t ldb, bool add, float *C, size_t ldc, struct ahead *ahead)
{
    counted += 2.0 * (double)(m * n * k);
    kernels_plain.product(m, n, k, alpha, A, row, step, B, ldb, add, C, ldc, ahead);
}

const struct kernels *__wrap_kernels_best(void);
const struct kernels *__wrap_kernels_best(void)
{
    static struct kernels counting;

    counting = kernels_plain;
    counting.product = counted_product;
    return &counting;
}

enum { B = 3, L = 2, DEPTH = 4, D = 12, PIXELS = 3 * 12 * 12 };

static void expect_counts(const struct vit_shape *s, struct prefix *prefix, enum vit_mode mode, int first_block)
{
    float images[B * PIXELS] = {0}, features[B * 10 * D] = {0}, prompt[DEPTH * 2 * L * D], scalars[DEPTH * 2];
    struct vit_weights w, gradient;
    vit_batch *batch;
    err e = {0};

    assert_int_equal(vit_weights_create(&w, s, &e), 0);
    assert_int_equal(vit_weights_create(&gradient, s, &e), 0);
    assert_int_equal(vit_batch_create(&batch, s, mode, B, L, first_block, 1, &e), 0);
    vit_weights_init(&w, 1);
    counted = 0;
    vit_forward(batch, &w, images, B, prefix, features);
    if (!(counted > 0 && vit_forward_flops(s, prefix) * B == counted))
        fail_msg("pool %d: forward needs %.0f operations, called were %.0f", s->pool, vit_forward_flops(s, prefix) * B,
                 counted);
    counted = 0;
    if (mode != VIT_INFER)
        vit_backward(batch, &w, features,
                     &(struct vit_gradients){.prompt = prompt, .scalars = scalars, .weights = &gradient});
    if (!(vit_backward_flops(s, prefix, mode, first_block) * B == counted))
        fail_msg("pool %d, mode %d, first block %d: backward needs %.0f operations, called were %.0f", s->pool, mode,
                 first_block, vit_backward_flops(s, prefix, mode, first_block) * B, counted);
    vit_batch_free(batch);
    vit_weights_free(&gradient);
    vit_weights_free(&w);
}

static void as_called(void **state)
{
    const uint64_t prompted[] = {0x1, 0x3, 0x6, 0xa, 0x8, 0xf};
    const int first[] = {0, 0, 1, 1, 3, 0};

    (void)state;
    for (int pool = VIT_POOL_TOKEN; pool <= VIT_POOL_NONE; pool++) {
        const struct vit_shape s = {
            .side = 12, .patch = 4, .width = D, .depth = DEPTH, .heads = 3, .hidden = 20, .pool = (enum vit_pool)pool};

        expect_counts(&s, NULL, VIT_INFER, 0);
        expect_counts(&s, NULL, VIT_FULL, 0);
        for (int i = 0; i < 6; i++) {
            float prompt[DEPTH * 2 * L * D] = {0}, scalars[DEPTH * 2] = {0};
            struct prefix_source sources[B];
            struct prefix prefix = {.length = L, .gate = GATE_tanh, .scopes = 1, .sources = sources};
            err e = {0};

            for (int b = 0; b < B; b++)
                sources[b] = (struct prefix_source){prompt, prompt, 0, 1, scalars};
            assert_int_equal(prefix_set_layers(&prefix, prompted[i], DEPTH, &e), 0);
            expect_counts(&s, &prefix, VIT_INFER, 0);
            expect_counts(&s, &prefix, VIT_PROMPT, first[i]);
        }
    }
}

/* ViT-B/16 at 224 pixels: 17.58 G multiply-adds with a classifier and all rows of the last block (timm's table). */
static void vit_base(void **state)
{
    const struct vit_shape s = {
        .side = 224, .patch = 16, .width = 768, .depth = 12, .heads = 12, .hidden = 3072, .pool = VIT_POOL_MEAN};

    (void)state;
    assert_true(fabs(vit_forward_flops(&s, NULL) / 2 / 17.58e9 - 1) < 2e-3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_called), cmocka_unit_test(vit_base)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
