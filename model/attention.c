/* model/attention.c - see attention.h. */
#include "model/attention.h"

#include <math.h>
#include <stddef.h>

#include "model/blas.h"

static float scalar_of(const struct attention *a, const float *values, int head)
{
    return a->gate == GATE_none || !a->L ? 0 : values[a->scopes == 1 ? 0 : head];
}

void attention_forward(const struct kernels *k, const struct attention *a, const float *qkv, float *out, float *prob,
                       float *raw)
{
    int T = a->T, Q = a->Q, D = a->D, L = a->L, W = L + T, d = D / a->H;
    float scale = 1 / sqrtf((float)d);

    for (int h = 0; h < a->H; h++, prob += Q * W, raw += Q * L) {
        const float *q = qkv + h * d, *key = q + D, *value = key + D;

        if (L)
            gemm_nt(Q, L, d, scale, q, 3 * D, a->keys + h * d, D, 0, prob, W);
        gemm_nt(Q, T, d, scale, q, 3 * D, key, 3 * D, 0, prob + L, W);
        k->gated_softmax(prob, raw, (size_t)Q, (size_t)L, (size_t)T, a->gate, scalar_of(a, a->a0, h),
                         scalar_of(a, a->a1, h));
        gemm_nn(Q, d, T, 1, prob + L, W, value, 3 * D, 0, out + h * d, D);
        if (L)
            gemm_nn(Q, d, L, 1, prob, W, a->values + h * d, D, 1, out + h * d, D);
    }
}

void attention_backward(const struct kernels *k, const struct attention *a, const float *qkv, const float *prob,
                        const float *raw, const float *dout, float *scratch, const struct attention_gradients *g)
{
    int T = a->T, Q = a->Q, D = a->D, L = a->L, W = L + T, d = D / a->H;
    float scale = 1 / sqrtf((float)d);

    for (int h = 0; h < a->H; h++, prob += Q * W, raw += Q * L) {
        const float *q = qkv + h * d, *key = q + D, *value = key + D, *dhead = dout + h * d;
        double dscalars[2] = {0, 0};

        if (L)
            gemm_nt(Q, L, d, 1, dhead, D, a->values + h * d, D, 0, scratch, W);
        gemm_nt(Q, T, d, 1, dhead, D, value, 3 * D, 0, scratch + L, W);
        k->gated_softmax_backward(scratch, prob, raw, (size_t)Q, (size_t)L, (size_t)T, a->gate, scalar_of(a, a->a0, h),
                                  scalar_of(a, a->a1, h), dscalars);
        if (L && g->dkeys) {
            gemm_tn(L, d, Q, scale, scratch, W, q, 3 * D, 1, g->dkeys + h * d, D);
            gemm_tn(L, d, Q, 1, prob, W, dhead, D, 1, g->dvalues + h * d, D);
            g->da0[a->scopes == 1 ? 0 : h] += (float)dscalars[0];
            g->da1[a->scopes == 1 ? 0 : h] += (float)dscalars[1];
        }
        if (g->dqkv) {
            float *dq = g->dqkv + h * d, *dkey = dq + D, *dvalue = dkey + D;

            gemm_nn(Q, d, T, scale, scratch + L, W, key, 3 * D, 0, dq, 3 * D);
            if (L)
                gemm_nn(Q, d, L, scale, scratch, W, a->keys + h * d, D, 1, dq, 3 * D);
            gemm_tn(T, d, Q, scale, scratch + L, W, q, 3 * D, 0, dkey, 3 * D);
            gemm_tn(T, d, Q, 1, prob + L, W, dhead, D, 0, dvalue, 3 * D);
        }
    }
}
