/* model/classifier.h - the head: logits = W f + b, where f is the feature, or fc_norm of it (methods.md 2.6, 3.4).
 *
 * Its parameters are groups of a struct parameters, under the names of the list below.  Letters: B batch, C classes, D width. */
#ifndef MODEL_CLASSIFIER_H
#define MODEL_CLASSIFIER_H

#include <stdbool.h>
#include <stdint.h>

#include "io/err.h"
#include "model/optimizer.h"

struct classifier_shape {
    int classes, width;
    bool fc_norm; /* a trained layer norm, epsilon 1e-6, before the linear layer */
};

/* X(group's name, numbers): the last two only with fc_norm. */
/* clang-format off */
#define CLASSIFIER_GROUPS(X)  \
    X("head.weight", C * D)   \
    X("head.bias", C)         \
    X("fc_norm.weight", D)    \
    X("fc_norm.bias", D)
/* clang-format on */

/* Add the groups, all with one base rate. */
void classifier_add(struct parameters *p, const struct classifier_shape *s, double base_rate);
/* Weight truncated normal 0.02 (stream (seed, RNG_HEAD_INIT)), bias 0, fc_norm (1, 0). */
void classifier_init(struct parameters *p, const struct classifier_shape *s, uint64_t seed);

/* Buffers for batches of at most max_batch. */
typedef struct classifier classifier;
int classifier_create(classifier **out, const struct classifier_shape *s, int max_batch, err *e);
void classifier_free(classifier *c); /* NULL is fine */

/* features (B, D), borrowed until classifier_backward() -> logits (B, C). */
void classifier_forward(classifier *c, struct parameters *p, const float *features, int B, float *logits);
/* dlogits (B, C) -> the groups' gradients, overwritten; dfeatures (B, D), overwritten, NULL if not wanted. */
void classifier_backward(classifier *c, struct parameters *p, const float *dlogits, float *dfeatures);

#endif
