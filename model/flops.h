/* model/flops.h - the useful floating-point operations of a pass through a Vision Transformer, for one image.
 *
 * Counted are the multiplications and additions of the matrix products that the result needs, two for each pair; layer
 * norms, GELU and softmax, about 1 % of the work, are not.  Useful means with the savings of vit.h: where the class
 * token is the feature, the last block has one query, projection and MLP row; the backward pass stops at first_block,
 * where only the prefix's gradients are formed; frozen weights have none.  tests/model/test_flops.c compares with the
 * products actually called. */
#ifndef MODEL_FLOPS_H
#define MODEL_FLOPS_H

#include "model/vit.h"

/* prefix may be NULL: none. */
double vit_forward_flops(const struct vit_shape *s, const struct prefix *prefix);

/* mode and first_block as for vit_batch_create(); VIT_INFER has no backward pass: 0. */
double vit_backward_flops(const struct vit_shape *s, const struct prefix *prefix, enum vit_mode mode, int first_block);

#endif
