/* worker/pretrain.h - a backbone without any downloaded data: a small ViT trained on images drawn by model/formula.h.
 *
 * From the final class token a linear layer predicts what can be computed from each drawn image: principal components of its
 * histogram of oriented gradients and a coarse copy (formula_targets()).  From each patch token another linear layer predicts
 * the numbers of the patch's own cell, standardised, which teaches the lower blocks much sooner (the patch grid must be that of
 * the cells).  The idea of regressing such features is that of MaskFeat (Wei et al., "Masked Feature Prediction
 * for Self-Supervised Visual Pre-Training", CVPR 2022), here from the whole picture.
 *
 * Mean squared errors, added; Glorot-uniform matrices, mimetic attention and sine-cosine positions to start
 * from; AdamW with decay on matrices; linear
 * warm-up, then a cosine to zero. */
#ifndef WORKER_PRETRAIN_H
#define WORKER_PRETRAIN_H

#include <stdint.h>

#include "io/err.h"
#include "model/vit.h"
#include "worker/host.h"

/* A recipe's keys: R(type, field, key, default, low, high, help) */
#define PRETRAIN_FIELDS(R)                                                                          \
    R(int, side, "side", 32, 8, 64, "input side in pixels")                                         \
    R(int, patch, "patch", 4, 1, 64, "patch side in pixels")                                        \
    R(int, width, "width", 128, 8, 1024, "width of a token")                                        \
    R(int, depth, "depth", 6, 1, 64, "blocks")                                                      \
    R(int, heads, "heads", 4, 1, 64, "attention heads")                                             \
    R(int, hidden, "hidden", 512, 8, 4096, "hidden width of a block's MLP")                         \
    R(int, seed, "seed", 0, 0, 2147483647, "seed of weights and images")                            \
    R(int, steps, "steps", 10000, 1, 100000000, "training steps")                                   \
    R(int, batch, "batch", 64, 1, 4096, "images of a step, each drawn once and never again")        \
    R(int, warmup, "warmup", 500, 0, 100000000, "steps of linear warm-up")                          \
    R(double, lr, "lr", 1e-3, 0, 1, "peak learning rate")                                           \
    R(double, dense, "dense", 1, 0, 1000, "weight of the patch tokens' error; 0: class token only") \
    R(double, decay, "decay", 0.05, 0, 1, "weight decay of matrices, decoupled")                    \
    R(double, clip, "clip", 1, 0, 1e9, "largest norm of all gradients together; 0: no limit")

struct pretrain_recipe {
#define R(type, field, key, def, low, high, help) type field;
    PRETRAIN_FIELDS(R)
#undef R
};

/* Read a recipe (YAML: the keys above, all optional).  ERR_CONFIG with file:line:column. */
int pretrain_read(const char *path, struct pretrain_recipe *out, err *e);

/* What a backbone says of its origin: program, method and every key of the recipe; malloc'd, NULL without memory. */
char *pretrain_provenance(const struct pretrain_recipe *r, const char *recipe_path);

struct vit_shape pretrain_shape(const struct pretrain_recipe *r);

/* Train, from the start or from `part` if that file holds an unfinished run of the same recipe; `part` is rewritten every
 * `seconds` and when the host says stop (ERR_INTERRUPTED), and removed at the end.
 * [out] weights  created here, owned by the caller; loss: of the class
 * token at the last step.  ERR_DIVERGED, ERR_NOMEM, ... */
int pretrain_run(const struct pretrain_recipe *r, int threads, const char *part, double seconds,
                 const struct host *host, struct vit_weights *weights, double *loss, err *e);

#endif
