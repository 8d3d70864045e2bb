/* model/attention.c - see attention.h.
 *
 * One head at a time: its keys and values, the prefix's and the tokens', are copied together into a few kilobytes, so that the
 * products run over all W columns at once and from the nearest cache. */
#include "model/attention.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum { BLOCK_ROWS = 24 }; /* queries whose scores are formed and used together */

/* One head on the way, in scratch memory.  Rows are padded: Wp, dp. */
struct head {
    size_t Q, T, W, Wp, D, d, dp, L;
    float scale;
    const float *q;                   /* (Q, 3D) */
    float *keys_t, *values_t;         /* (d, Wp) */
    float *keys, *values;             /* (W, dp) */
    float *queries, *dout;            /* (Q, dp) */
    float *probabilities, *gradients; /* (Q, Wp): of the scores */
    float *raw;                       /* (Q, L): prefix scores before the gate */
};

static size_t padded(size_t n)
{
    return (n + KERNELS_PAD - 1) / KERNELS_PAD * KERNELS_PAD;
}

size_t attention_scratch(int tokens, int head_width, int length)
{
    size_t T = (size_t)tokens, L = (size_t)length, W = L + T, Wp = padded(W), d = (size_t)head_width, dp = padded(d);

    return 2 * (d * Wp + W * dp + T * dp + T * Wp) + T * L;
}

size_t attention_kept(int Q, int T, int H, int L)
{
    return (size_t)H * (size_t)Q * (padded((size_t)(L + T)) + (size_t)L);
}

static struct head head_of(const struct attention *a, const float *qkv, int h, float *scratch)
{
    struct head x = {.Q = (size_t)a->Q,
                     .T = (size_t)a->T,
                     .W = (size_t)(a->L + a->T),
                     .D = (size_t)a->D,
                     .d = (size_t)(a->D / a->H),
                     .L = (size_t)a->L};

    x.Wp = padded(x.W);
    x.dp = padded(x.d);
    x.scale = 1 / sqrtf((float)x.d);
    x.q = qkv + (size_t)h * x.d;
    x.keys_t = scratch;
    x.values_t = x.keys_t + x.d * x.Wp;
    x.keys = x.values_t + x.d * x.Wp;
    x.values = x.keys + x.W * x.dp;
    x.queries = x.values + x.W * x.dp;
    x.dout = x.queries + x.T * x.dp;
    x.probabilities = x.dout + x.T * x.dp;
    x.gradients = x.probabilities + x.T * x.Wp;
    x.raw = x.gradients + x.T * x.Wp;
    return x;
}

/* to (rows, dp) = from (rows, d), whose rows are `stride` apart; zeros in the padding. */
static void pack(float *to, const struct head *x, const float *from, size_t stride, size_t rows)
{
    for (size_t r = 0; r < rows; r++, to += x->dp, from += stride) {
        memcpy(to, from, x->d * sizeof *to);
        for (size_t i = x->d; i < x->dp; i++)
            to[i] = 0;
    }
}

/* Of the head, prefix (L, D) and tokens (T, 3D) below each other: (W, dp). */
static void pack_both(float *to, const struct head *x, const float *prefix, const float *tokens)
{
    pack(to, x, prefix, x->D, x->L);
    pack(to + x->L * x->dp, x, tokens, 3 * x->D, x->T);
}

/* The same, transposed: (d, Wp). */
static void pack_transposed(const struct kernels *k, float *to, const struct head *x, const float *prefix,
                            const float *tokens)
{
    if (x->L)
        k->transpose(to, x->Wp, prefix, x->D, x->L, x->d);
    k->transpose(to + x->L, x->Wp, tokens, 3 * x->D, x->T, x->d);
    for (size_t p = 0; p < x->d; p++)
        for (size_t j = x->W; j < x->Wp; j++)
            to[p * x->Wp + j] = 0;
}

static const float *prefix_of(const float *prefix, const struct head *x, int h)
{
    return x->L ? prefix + (size_t)h * x->d : NULL;
}

/* Probabilities and raw scores of the head are those in `kept`. */
static void use_kept(struct head *x, int h, float *kept)
{
    x->probabilities = kept + (size_t)h * x->Q * (x->Wp + x->L);
    x->raw = x->probabilities + x->Q * x->Wp;
}

static float scalar_of(const struct attention *a, const float *values, int head)
{
    return a->gate == GATE_none || !a->L ? 0 : values[a->scopes == 1 ? 0 : head];
}

/* Probabilities (rows, Wp) of queries `first` and following; raw (rows, L) may be NULL. */
static void form_probabilities(const struct kernels *k, const struct attention *a, const struct head *x, int h,
                               size_t first, size_t rows, float *probabilities, float *raw)
{
    k->product(rows, x->W, x->d, x->scale, x->q + first * 3 * x->D, 3 * x->D, 1, x->keys_t, x->Wp, false, probabilities,
               x->Wp, NULL);
    for (size_t i = 0; i < rows; i++) /* the padding takes no part */
        for (size_t j = x->W; j < x->Wp; j++)
            probabilities[i * x->Wp + j] = -INFINITY;
    k->gated_softmax(probabilities, raw, rows, x->L, x->Wp - x->L, a->gate, scalar_of(a, a->a0, h),
                     scalar_of(a, a->a1, h));
}

static size_t rows_at(const struct head *x, size_t first)
{
    return x->Q - first < BLOCK_ROWS ? x->Q - first : BLOCK_ROWS;
}

void attention_forward(const struct kernels *k, const struct attention *a, const float *qkv, float *out, float *kept,
                       float *scratch)
{
    for (int h = 0; h < a->H; h++) {
        struct head x = head_of(a, qkv, h, scratch);

        if (kept)
            use_kept(&x, h, kept);
        pack_transposed(k, x.keys_t, &x, prefix_of(a->keys, &x, h), x.q + x.D);
        pack_both(x.values, &x, prefix_of(a->values, &x, h), x.q + 2 * x.D);
        for (size_t i = 0; i < x.Q; i += BLOCK_ROWS) {
            size_t rows = rows_at(&x, i);
            float *probabilities = x.probabilities + (kept ? i * x.Wp : 0);

            form_probabilities(k, a, &x, h, i, rows, probabilities, kept ? x.raw + i * x.L : NULL);
            k->product(rows, x.d, x.W, 1, probabilities, x.Wp, 1, x.values, x.dp, false,
                       out + i * x.D + (size_t)h * x.d, x.D, NULL);
        }
    }
}

/* The gradients of all queries' scores; their probabilities too, unless they were kept. */
static void form_gradients(const struct kernels *k, const struct attention *a, const struct head *x, int h, bool kept,
                           double dscalars[2])
{
    for (size_t i = 0; i < x->Q; i += BLOCK_ROWS) {
        size_t rows = rows_at(x, i);
        float *probabilities = x->probabilities + i * x->Wp, *gradients = x->gradients + i * x->Wp;

        if (!kept)
            form_probabilities(k, a, x, h, i, rows, probabilities, x->raw + i * x->L);
        k->product(rows, x->W, x->d, 1, x->dout + i * x->dp, x->dp, 1, x->values_t, x->Wp, false, gradients, x->Wp,
                   NULL);
        for (size_t r = 0; r < rows; r++)
            for (size_t j = x->W; j < x->Wp; j++)
                gradients[r * x->Wp + j] = 0;
        k->gated_softmax_backward(gradients, probabilities, x->raw + i * x->L, rows, x->L, x->Wp - x->L, a->gate,
                                  scalar_of(a, a->a0, h), scalar_of(a, a->a1, h), dscalars);
    }
}

void attention_backward(const struct kernels *k, const struct attention *a, const float *qkv, const float *dout,
                        float *kept, float *scratch, const struct attention_gradients *g)
{
    for (int h = 0; h < a->H; h++) {
        struct head x = head_of(a, qkv, h, scratch);
        double dscalars[2] = {0, 0};
        size_t at = (size_t)h * x.d;

        if (kept)
            use_kept(&x, h, kept);
        else
            pack_transposed(k, x.keys_t, &x, prefix_of(a->keys, &x, h), x.q + x.D);
        pack_transposed(k, x.values_t, &x, prefix_of(a->values, &x, h), x.q + 2 * x.D);
        pack(x.queries, &x, x.q, 3 * x.D, x.Q);
        pack(x.dout, &x, dout + at, x.D, x.Q);
        form_gradients(k, a, &x, h, kept, dscalars);
        if (x.L && g->dkeys) {
            k->product(x.L, x.d, x.Q, x.scale, x.gradients, 1, x.Wp, x.queries, x.dp, true, g->dkeys + at, x.D, NULL);
            k->product(x.L, x.d, x.Q, 1, x.probabilities, 1, x.Wp, x.dout, x.dp, true, g->dvalues + at, x.D, NULL);
            g->da0[a->scopes == 1 ? 0 : h] += (float)dscalars[0];
            g->da1[a->scopes == 1 ? 0 : h] += (float)dscalars[1];
        }
        if (g->dqkv) {
            float *dq = g->dqkv + at;

            pack_both(x.keys, &x, prefix_of(a->keys, &x, h), x.q + x.D);
            k->product(x.Q, x.d, x.W, x.scale, x.gradients, x.Wp, 1, x.keys, x.dp, false, dq, 3 * x.D, NULL);
            k->product(x.T, x.d, x.Q, x.scale, x.gradients + x.L, 1, x.Wp, x.queries, x.dp, false, dq + x.D, 3 * x.D,
                       NULL);
            k->product(x.T, x.d, x.Q, 1, x.probabilities + x.L, 1, x.Wp, x.dout, x.dp, false, dq + 2 * x.D, 3 * x.D,
                       NULL);
        }
    }
}
