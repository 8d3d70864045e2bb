/* model/attention.h - multi-head attention of one image over its tokens and its prefix experts  (methods.md 2.2, 2.3, 2.6).
 *
 * For query i, prefix expert j, token n, scale c = d^-1/2:
 *   s_ij = c q_i.kp_j      r_ij = s_ij + a1 sigma(a0 s_ij)      t_in = c q_i.k_n
 *   A_i = softmax [ r_i | t_i ]      o_i = sum_j A_ij vp_j + sum_n A_in v_n
 *
 * Letters: T tokens, Q queries (the first Q tokens: all, or the class token alone), D width, H heads, d = D/H, L prefix length,
 * W = L + T.  Everything is head-major within D.
 *
 * A pass forward may keep its probabilities.  If not, the pass back forms them again, head by head, while they fit into the cache:
 * that costs 1/6 more products in attention and saves H Q W numbers for each image and block. */
#ifndef MODEL_ATTENTION_H
#define MODEL_ATTENTION_H

#include "model/kernels.h"

struct attention {
    int Q, T, D, H, L;
    enum gate gate;
    int scopes;                 /* 1: one pair of scalars; H: one for each head */
    const float *keys, *values; /* prefix (L, D); unused when L is 0 */
    const float *a0, *a1;       /* (scopes); unused when the gate is none */
};

/* Numbers of scratch memory that a pass over an attention of these sizes, or smaller ones, needs. */
size_t attention_scratch(int T, int d, int L);

/* Numbers to be kept of an attention of these sizes. */
size_t attention_kept(int Q, int T, int H, int L);

/* qkv (T, 3D): queries, keys, values side by side; kept: NULL, or what attention_backward() will be given.
 * [out] out (Q, D) */
void attention_forward(const struct kernels *k, const struct attention *a, const float *qkv, float *out, float *kept,
                       float *scratch);

/* Where the gradients go.  dkeys, dvalues (L, D), da0, da1 (scopes) are added to, and skipped when dkeys is NULL;
 * dqkv (T, 3D) is written - of its queries only the first Q rows - and skipped when NULL. */
struct attention_gradients {
    float *dkeys, *dvalues, *da0, *da1, *dqkv;
};

/* dout (Q, D); kept as the pass forward had it. */
void attention_backward(const struct kernels *k, const struct attention *a, const float *qkv, const float *dout,
                        float *kept, float *scratch, const struct attention_gradients *g);

#endif
