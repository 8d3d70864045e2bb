/* model/flops.c - see flops.h.  Shape letters as in vit.h; Q: rows of a block that have queries. */
#include "model/flops.h"

static double queries(const struct vit_shape *s, int block)
{
    return block == s->depth - 1 && s->pool == VIT_POOL_TOKEN ? 1 : vit_tokens(s);
}

static double prefix_length(const struct prefix *p, int block)
{
    return p && p->layer_of[block] >= 0 ? p->length : 0;
}

/* Queries of Q rows, keys and values of all; the same forward, back to the input, and for the weights' gradient. */
static double qkv_flops(const struct vit_shape *s, double Q)
{
    double D = s->width;

    return 2 * (Q + 2 * vit_tokens(s)) * D * D;
}

static double projection_flops(const struct vit_shape *s, double Q)
{
    return 2 * Q * s->width * (double)s->width;
}

static double mlp_flops(const struct vit_shape *s, double Q)
{
    return 4 * Q * s->width * (double)s->hidden;
}

static double embedding_flops(const struct vit_shape *s)
{
    return 2.0 * (vit_tokens(s) - 1) * s->width * (3.0 * s->patch * s->patch);
}

double vit_forward_flops(const struct vit_shape *s, const struct prefix *prefix)
{
    double sum = embedding_flops(s);

    for (int b = 0; b < s->depth; b++) {
        double Q = queries(s, b), columns = vit_tokens(s) + prefix_length(prefix, b);

        sum += qkv_flops(s, Q) + projection_flops(s, Q) + mlp_flops(s, Q);
        sum += 4 * Q * columns * s->width; /* scores; the sum of the values */
    }
    return sum;
}

/* Gradients of the probabilities, always; of prefix keys and values; of the tokens' queries, keys and values. */
static double attention_backward_flops(const struct vit_shape *s, double Q, double L, bool ends_here)
{
    double T = vit_tokens(s), D = s->width, prefix = 4 * Q * L * D;

    return 2 * Q * (L + T) * D + prefix + (ends_here ? 0 : 2 * Q * (L + T) * D + 4 * Q * T * D);
}

double vit_backward_flops(const struct vit_shape *s, const struct prefix *prefix, enum vit_mode mode, int first_block)
{
    double sum = mode == VIT_FULL ? embedding_flops(s) : 0;
    int last = mode == VIT_FULL ? 0 : first_block;

    if (mode == VIT_INFER)
        return 0;
    for (int b = last; b < s->depth; b++) {
        bool ends_here = mode == VIT_PROMPT && b == last;
        double Q = queries(s, b), linear = projection_flops(s, Q) + mlp_flops(s, Q) + (ends_here ? 0 : qkv_flops(s, Q));

        sum += attention_backward_flops(s, Q, prefix_length(prefix, b), ends_here);
        sum += mode == VIT_FULL ? 2 * linear : linear; /* to the input; to the weights */
    }
    return sum;
}
