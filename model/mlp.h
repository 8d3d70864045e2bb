/* model/mlp.h - the residual MLP of task-identity inference  (methods.md 1.3, MlpMapping), forward and backward.
 *
 *   structure 2    y = N( z + W2 gelu(W1 z + b1) + b2 )                     W1 (2D, D), W2 (D, 2D)
 *   structure 4-4  u = gelu(W1 z + b1); w = LN(W2 u + b2); y = N( z + W3 w + b3 )    W1 (4D, D), W2 (4D, 4D), W3 (D, 4D)
 *
 * LN has epsilon 1e-5 and its own gain and bias.  N is such an LN too, or the identity (fc_norm, methods.md 1.3).
 * Letters: B batch, D width.  All parameters lie in one flat array in the order of the list below. */
#ifndef MODEL_MLP_H
#define MODEL_MLP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/err.h"

enum mlp_structure { MLP_2, MLP_4_4 };

struct mlp_shape {
    enum mlp_structure structure;
    int width;          /* D */
    bool identity_norm; /* N is the identity */
};

/* A tensor of the flat array, under the official code's name: "net.0.0.weight", "net.0.0.bias", "net.1.0.weight",
 * "net.1.0.bias", "net.1.2.weight", "net.1.2.bias", "net.2.0.weight", "net.2.0.bias", "norm.weight", "norm.bias" (structure
 * 4-4; structure 2 has net.0.0, net.1.0, norm). */
struct mlp_tensor {
    char name[32];
    size_t offset, rows, columns; /* a vector has one row */
};
bool mlp_tensor(const struct mlp_shape *s, int k, struct mlp_tensor *out); /* false past the end */
size_t mlp_count(const struct mlp_shape *s);

/* Linear weights truncated normal 0.02, biases 0, norms (1, 0); streams (seed, RNG_MLP_INIT, index = tensor). */
void mlp_init(const struct mlp_shape *s, uint64_t seed, float *parameters);

/* Activations for at most max_batch samples. */
typedef struct mlp mlp;
int mlp_create(mlp **out, const struct mlp_shape *s, int max_batch, err *e);
void mlp_free(mlp *m); /* NULL is fine */

/* z (B, D) -> y (B, D); z is borrowed until mlp_backward(). */
void mlp_forward(mlp *m, const float *parameters, const float *z, int B, float *y);
/* dy (B, D) -> gradient of the parameters of the last forward pass, overwritten.  No gradient of z is formed: the backbone is
 * frozen. */
void mlp_backward(mlp *m, const float *parameters, const float *dy, float *gradient);

#endif
