/* model/vit.h - the Vision Transformer, frozen or not, with prefix experts in any set of blocks: forward and backward.
 *
 * Pre-norm blocks, exact GELU, qkv bias, layer-norm epsilon 1e-6 (methods.md 2.2, 2.6, 3.1).  Shape letters, the same in every comment:
 *   B images   T tokens, 1 + (side/patch)^2   D width   H heads   d = D/H   M hidden width of the MLP   L prefix length
 *   P = 3 patch^2, one patch as (channel, y, x)
 * Arrays are dense, row-major float32.
 *
 * Work is cut into chunks of whole images; how many depends on B and T alone.  A thread runs a chunk from the first block to the
 * last, and what is summed over images is summed over chunks in their order: the result does not depend on the number of
 * threads.
 *
 * No arithmetic that the result does not need: with the token as the feature, the last block computes queries, projection and
 * MLP for the class token only; the backward pass stops at the lowest prompted block and forms no gradient of frozen weights;
 * prefix columns are never copied next to the tokens' keys and values. */
#ifndef MODEL_VIT_H
#define MODEL_VIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/err.h"
#include "model/gate.h"

enum { VIT_MAX_DEPTH = 64 };

enum vit_pool { VIT_POOL_TOKEN, VIT_POOL_MEAN, VIT_POOL_NONE };

struct vit_shape {
    int side, patch, width, depth, heads, hidden;
    enum vit_pool pool; /* the feature: the class token, the mean over the patch tokens, or (NONE) all T tokens */
    bool no_final_norm; /* leave the final layer norm out (MoCo-v3, methods.md 3.4) */
};

int vit_tokens(const struct vit_shape *s);              /* T */
int vit_check_shape(const struct vit_shape *s, err *e); /* ERR_SHAPE, saying which numbers disagree */

/* Tensors of a model and of a block, with their canonical names (timm's) and sizes: the one list behind the structures, the
 * allocation, loading and saving, the optimiser's loop and the tests. */
#define VIT_TENSORS(X)                          \
    X(cls_token, "cls_token", 1, D)             \
    X(pos_embed, "pos_embed", T, D)             \
    X(patch_w, "patch_embed.proj.weight", D, P) \
    X(patch_b, "patch_embed.proj.bias", 1, D)   \
    X(norm_w, "norm.weight", 1, D)              \
    X(norm_b, "norm.bias", 1, D)
#define VIT_BLOCK_TENSORS(X)              \
    X(norm1_w, "norm1.weight", 1, D)      \
    X(norm1_b, "norm1.bias", 1, D)        \
    X(qkv_w, "attn.qkv.weight", 3 * D, D) \
    X(qkv_b, "attn.qkv.bias", 1, 3 * D)   \
    X(proj_w, "attn.proj.weight", D, D)   \
    X(proj_b, "attn.proj.bias", 1, D)     \
    X(norm2_w, "norm2.weight", 1, D)      \
    X(norm2_b, "norm2.bias", 1, D)        \
    X(fc1_w, "mlp.fc1.weight", M, D)      \
    X(fc1_b, "mlp.fc1.bias", 1, M)        \
    X(fc2_w, "mlp.fc2.weight", D, M)      \
    X(fc2_b, "mlp.fc2.bias", 1, D)

struct vit_block {
#define X(field, name, rows, columns) float *field;
    VIT_BLOCK_TENSORS(X)
#undef X
};

/* Weights, or their gradients. */
struct vit_weights {
    struct vit_shape shape;
#define X(field, name, rows, columns) float *field;
    VIT_TENSORS(X)
#undef X
    struct vit_block block[VIT_MAX_DEPTH];
    float *memory; /* all tensors, one after the other in the order of vit_tensor() */
    size_t count;  /* numbers in it */
};

struct vit_tensor {
    char name[64];        /* "blocks.3.attn.qkv.weight" */
    size_t rows, columns; /* a vector has one row */
    float *data;
};

/* Zero-filled.  ERR_SHAPE, ERR_NOMEM. */
int vit_weights_create(struct vit_weights *w, const struct vit_shape *shape, err *e);
void vit_weights_free(struct vit_weights *w);
/* The k-th tensor; false past the end. */
bool vit_tensor(const struct vit_weights *w, int k, struct vit_tensor *out);
/* timm's initial values: linear and position weights truncated normal 0.02, biases 0, norms (1, 0). */
void vit_weights_init(struct vit_weights *w, uint64_t seed);

/* Where an image's prefix comes from.  A prompt is (layers, 2, L, D): for each prompted block a key half and a value half, each
 * expert's D numbers head-major; used directly as keys and values (methods.md 2.1).  The two halves of one image may come from
 * different prompts, and either may be either half: that is what the official code's layout does (methods.md 2.5). */
struct prefix_source {
    const float *key_prompt, *value_prompt;
    int key_half, value_half; /* 0 the key half, 1 the value half */
    const float *scalars;     /* (layers, 2, scopes): a0 and a1 of each prompted block */
};

struct prefix {
    int length;                     /* L; 0: no prefix at all */
    int layers;                     /* prompted blocks */
    int8_t layer_of[VIT_MAX_DEPTH]; /* block -> 0..layers-1, or -1 */
    enum gate gate;
    int scopes;                          /* 1: a pair of gate scalars for each block; H: for each head */
    const struct prefix_source *sources; /* (B) */
};

/* Set layers and layer_of from a set of blocks (bit i: block i).  ERR_SHAPE if it names a block beyond the depth. */
int prefix_set_layers(struct prefix *p, uint64_t blocks, int depth, err *e);
size_t prefix_prompt_size(const struct prefix *p, int width); /* layers * 2 * L * D */
size_t prefix_scalars_size(const struct prefix *p);           /* layers * 2 * scopes */

/* src(b, kv) of methods.md 2.5 for a batch of B: which half of which sample's prompt serves as the keys (kv 0) or values (kv 1) of sample
 * b.  official: the reference's re-viewed memory; otherwise the intended one. */
void prefix_map(bool official, int B, int b, int kv, int *half, int *sample);

enum vit_mode {
    VIT_INFER,  /* forward only: nothing is kept */
    VIT_PROMPT, /* backward to prompts and gate scalars */
    VIT_FULL    /* backward to all weights (pre-training); no prefix */
};

/* Memory for passes over batches of at most max_batch images. */
typedef struct vit_batch vit_batch;

/* first_block: the lowest block whose prompt is trained (VIT_PROMPT); activations below it are not kept.
 * max_length: the longest prefix.  ERR_SHAPE, ERR_NOMEM. */
int vit_batch_create(vit_batch **out, const struct vit_shape *shape, enum vit_mode mode, int max_batch, int max_length,
                     int first_block, int threads, err *e);
void vit_batch_free(vit_batch *batch); /* NULL is fine */
size_t vit_batch_bytes(const vit_batch *batch);
/* Call alive(context), from the calling thread, every few images of each later pass: on a slow machine a pass over a large batch
 * takes longer than whoever watches wants to wait for a sign of life. */
void vit_batch_watch(vit_batch *batch, void (*alive)(void *context), void *context);

/* images (B, 3, side, side) and prefix (NULL: none) are borrowed until vit_backward() has returned.
 * [out] features (B, D), or (B, T, D) with VIT_POOL_NONE */
void vit_forward(vit_batch *batch, const struct vit_weights *w, const float *images, int B, const struct prefix *prefix,
                 float *features);

/* Gradients of the last vit_forward(), given those of the features, in their shape.  Outputs are overwritten, except weights, which are
 * added to.  VIT_PROMPT: prompt (layers, 2, L, D), the sum over all images, whatever prompt each came from, by half; scalars
 * (layers, 2, scopes).  VIT_FULL: weights. */
struct vit_gradients {
    float *prompt, *scalars;
    struct vit_weights *weights;
};
void vit_backward(vit_batch *batch, const struct vit_weights *w, const float *dfeatures,
                  const struct vit_gradients *out);

#endif
