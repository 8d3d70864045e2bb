/* model/vit.c - see vit.h for the letters and the plan. */
#include "model/vit.h"

#include <limits.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/attention.h"
#include "model/blas.h"
#include "model/kernels.h"
#include "model/linear.h"
#include "model/memory.h"
#include "model/rng.h"

static const float epsilon = 1e-6f;

/* ---- shapes and weights ------------------------------------------------------------------------------------------- */

static int patches_of(const struct vit_shape *s)
{
    return (s->side / s->patch) * (s->side / s->patch);
}

int vit_tokens(const struct vit_shape *s)
{
    return 1 + patches_of(s);
}

int vit_check_shape(const struct vit_shape *s, err *e)
{
    if (s->side < 1 || s->patch < 1 || s->width < 1 || s->depth < 1 || s->heads < 1 || s->hidden < 1 ||
        s->side > 4096 || s->width > 16384 || s->hidden > 65536)
        return err_set(e, ERR_SHAPE,
                       "a ViT needs side, patch, width, depth, heads and hidden of at least 1 and of sane size; got "
                       "%d, %d, %d, %d, %d, %d",
                       s->side, s->patch, s->width, s->depth, s->heads, s->hidden);
    if (s->depth > VIT_MAX_DEPTH)
        return err_set(e, ERR_SHAPE, "a ViT of %d blocks; at most %d are supported", s->depth, VIT_MAX_DEPTH);
    if (s->side % s->patch)
        return err_set(e, ERR_SHAPE, "patch %d does not divide the image side %d", s->patch, s->side);
    if (s->width % s->heads)
        return err_set(e, ERR_SHAPE, "%d heads do not divide the width %d", s->heads, s->width);
    if ((int64_t)vit_tokens(s) * 4 * (s->width > s->hidden ? s->width : s->hidden) > INT_MAX)
        return err_set(e, ERR_SHAPE, "%d tokens of width %d and hidden width %d are too many; use larger patches",
                       vit_tokens(s), s->width, s->hidden);
    return 0;
}

static size_t block_count(const struct vit_shape *s)
{
    size_t D = (size_t)s->width, M = (size_t)s->hidden, n = 0;

#define X(field, name, rows, columns) n += (size_t)(rows) * (columns);
    VIT_BLOCK_TENSORS(X)
#undef X
    return n;
}

int vit_weights_create(struct vit_weights *w, const struct vit_shape *shape, err *e)
{
    size_t D = (size_t)shape->width, M = (size_t)shape->hidden, P = 3 * (size_t)shape->patch * (size_t)shape->patch;
    size_t T, n = 0;
    float *at;

    memset(w, 0, sizeof *w);
    if (vit_check_shape(shape, e))
        return e->code;
    T = (size_t)vit_tokens(shape);
    w->shape = *shape;
#define X(field, name, rows, columns) n += (size_t)(rows) * (columns);
    VIT_TENSORS(X)
#undef X
    w->count = n + block_count(shape) * (size_t)shape->depth;
    w->memory = at = memory_numbers(w->count);
    if (!at)
        return err_set(e, ERR_NOMEM, "no memory for %zu weights", w->count);
    memset(at, 0, w->count * sizeof *at);
#define X(field, name, rows, columns) w->field = at, at += (size_t)(rows) * (columns);
    VIT_TENSORS(X)
#undef X
    for (int b = 0; b < shape->depth; b++) {
#define X(field, name, rows, columns) w->block[b].field = at, at += (size_t)(rows) * (columns);
        VIT_BLOCK_TENSORS(X)
#undef X
    }
    return 0;
}

void vit_weights_free(struct vit_weights *w)
{
    free(w->memory);
    memset(w, 0, sizeof *w);
}

bool vit_tensor(const struct vit_weights *w, int k, struct vit_tensor *out)
{
    const struct vit_shape *s = &w->shape;
    size_t D = (size_t)s->width, M = (size_t)s->hidden, P = 3 * (size_t)s->patch * (size_t)s->patch;
    size_t T = (size_t)vit_tokens(s);

#define X(field, label, height, breadth)                              \
    if (k-- == 0) {                                                   \
        *out = (struct vit_tensor){label, height, breadth, w->field}; \
        return true;                                                  \
    }
    VIT_TENSORS(X)
#undef X
    for (int b = 0; b < s->depth; b++) {
#define X(field, label, height, breadth)                                    \
    if (k-- == 0) {                                                         \
        *out = (struct vit_tensor){"", height, breadth, w->block[b].field}; \
        snprintf(out->name, sizeof out->name, "blocks.%d.%s", b, label);    \
        return true;                                                        \
    }
        VIT_BLOCK_TENSORS(X)
#undef X
    }
    return false;
}

void vit_weights_init(struct vit_weights *w, uint64_t seed)
{
    struct vit_tensor t;

    for (int k = 0; vit_tensor(w, k, &t); k++) {
        rng r = rng_stream(seed, RNG_BACKBONE_INIT, 0, 0, (uint32_t)k);
        bool norm = strstr(t.name, "norm") != NULL, bias = strstr(t.name, ".bias") != NULL;

        for (size_t i = 0; i < t.rows * t.columns; i++)
            t.data[i] = norm && !bias ? 1 : 0;
        if (!norm && !bias)
            rng_fill_truncated_normal(&r, t.data, t.rows * t.columns, 0.02f);
    }
}

/* ---- prefixes ----------------------------------------------------------------------------------------------------- */

int prefix_set_layers(struct prefix *p, uint64_t blocks, int depth, err *e)
{
    p->layers = 0;
    for (int b = 0; b < VIT_MAX_DEPTH; b++) {
        bool prompted = blocks >> b & 1;

        if (prompted && b >= depth)
            return err_set(e, ERR_SHAPE, "prompt.layers names block %d, but the backbone's %d blocks are 0-%d", b,
                           depth, depth - 1);
        p->layer_of[b] = prompted ? (int8_t)p->layers++ : -1;
    }
    return 0;
}

size_t prefix_prompt_size(const struct prefix *p, int width)
{
    return (size_t)p->layers * 2 * (size_t)p->length * (size_t)width;
}

size_t prefix_scalars_size(const struct prefix *p)
{
    return (size_t)p->layers * 2 * (size_t)p->scopes;
}

void prefix_map(bool official, int B, int b, int kv, int *half, int *sample)
{
    int flat = 2 * b + kv;

    *half = official ? flat / B : kv;
    *sample = official ? flat % B : b;
}

/* ---- memory of a batch -------------------------------------------------------------------------------------------- */

/* What a block's forward pass leaves for its backward pass, in numbers for each image.  Q: rows that have queries, T, or 1 in a
 * last block of which only the class token matters; A: Q where the gradient of the projection's weights is formed, else 0;
 * K: what attention keeps. */
/* clang-format off */
#define BLOCK_BUFFERS(X)                                                                 \
    X(xhat1, T * D)             /* normalised input of the attention */                  \
    X(rstd1, T)                                                                          \
    X(qkv, 3 * T * D)           /* queries, keys, values side by side */                 \
    X(kept, K)                  /* probabilities, if they are few */                     \
    X(att, A * D)               /* heads' outputs */                                     \
    X(xhat2, Q * D)             /* normalised input of the MLP */                        \
    X(rstd2, Q)                                                                          \
    X(act, Q * M)               /* input of the GELU; its slope, if prompts are trained */
/* clang-format on */

struct block_store {
#define X(field, size) float *field;
    BLOCK_BUFFERS(X)
#undef X
};

/* What a thread needs for one chunk, whatever is kept. */
struct workspace {
    struct block_store store; /* for blocks whose activations are not kept */
    float *x, *y;             /* (R, D) residual stream; layer norm output */
    float *hidden;            /* (R, max(M, P)) */
    float *dx, *dy, *dqkv;    /* (R, D), (R, D), (R, 3D) */
    float *scratch;           /* of attention */
    float *strip;             /* of linear layers */
};

struct vit_batch {
    struct vit_shape shape;
    enum vit_mode mode;
    int max_batch, max_length, first_block, threads;
    int max_chunk; /* images */
    const struct kernels *kernels;
    float *memory;
    size_t bytes;
    struct block_store store[VIT_MAX_DEPTH]; /* fields NULL where not kept */
    float *xhat_final, *rstd_final;          /* (B, Q, D), (B, Q) */
    struct workspace *workspaces;            /* (threads) */
    float *chunk_gradients;                  /* VIT_PROMPT: (chunks, prompt + scalars) */
    struct vit_weights *lanes;               /* VIT_FULL: one gradient for each lane */
    void (*alive)(void *context);            /* NULL: nobody watches */
    void *watcher;
    /* the last forward pass */
    const float *images;
    const struct prefix *prefix;
    int B;
};

/* Up to this many columns attention keeps its probabilities: forming them again was 4 % of a step with 70 columns and nothing with
 * 202, where what is kept comes from main memory. */
enum { KEPT_COLUMNS = 128 };

/* Weight gradients are summed in this many fixed lanes (chunk i in lane i mod LANES), then lane by lane. */
enum { LANES = 4, CHUNK_ROWS = 520 };

/* An even number, and a multiple of four where there are many, so that two or four threads have equal shares. */
static int chunks_of(const struct vit_shape *s, int B)
{
    int images = CHUNK_ROWS / vit_tokens(s) > 1 ? CHUNK_ROWS / vit_tokens(s) : 1;
    int chunks = (B + images - 1) / images, step = chunks > 4 ? 4 : 2;

    if (chunks > 1)
        chunks = (chunks + step - 1) / step * step;
    return chunks > B ? B : chunks;
}

static int chunk_start(int B, int chunks, int chunk)
{
    return (int)((int64_t)B * chunk / chunks);
}

/* Numbers that attention keeps of an image with Q queries. */
static size_t kept_size(const vit_batch *batch, size_t Q)
{
    int T = vit_tokens(&batch->shape), L = batch->max_length;

    return T + L <= KEPT_COLUMNS ? attention_kept((int)Q, T, batch->shape.heads, L) : 0;
}

static bool token_only(const vit_batch *batch, int block)
{
    return block == batch->shape.depth - 1 && batch->shape.pool == VIT_POOL_TOKEN;
}

static bool kept(const vit_batch *batch, int block)
{
    return batch->mode == VIT_FULL || (batch->mode == VIT_PROMPT && block >= batch->first_block);
}

/* Hand out pieces of one block of memory; with base NULL only the size is counted. */
struct carver {
    float *base;
    size_t used;
};

static float *carve(struct carver *c, size_t n)
{
    float *piece = c->base ? c->base + c->used : NULL;

    c->used += (n + 15) & ~(size_t)15; /* 64-byte pieces */
    return piece;
}

static void carve_store(struct carver *c, const vit_batch *batch, struct block_store *store, size_t images, bool last,
                        bool att)
{
    const struct vit_shape *s = &batch->shape;
    size_t T = (size_t)vit_tokens(s), D = (size_t)s->width, M = (size_t)s->hidden, Q = last ? 1 : T, A = att ? Q : 0;
    size_t K = kept_size(batch, Q);

#define X(field, size) store->field = carve(c, images * (size));
    BLOCK_BUFFERS(X)
#undef X
}

static void carve_batch(struct carver *c, vit_batch *batch)
{
    const struct vit_shape *s = &batch->shape;
    size_t T = (size_t)vit_tokens(s), D = (size_t)s->width, M = (size_t)s->hidden,
           P = 3 * (size_t)s->patch * (size_t)s->patch;
    size_t R = (size_t)batch->max_chunk * T, images = (size_t)batch->max_batch, Q = s->pool == VIT_POOL_TOKEN ? 1 : T;
    bool backward = batch->mode != VIT_INFER;

    for (int b = 0; b < s->depth; b++)
        if (kept(batch, b))
            carve_store(c, batch, &batch->store[b], images, token_only(batch, b), batch->mode == VIT_FULL);
    batch->xhat_final = carve(c, backward ? images * Q * D : 0);
    batch->rstd_final = carve(c, backward ? images * Q : 0);
    batch->chunk_gradients =
        carve(c, batch->mode == VIT_PROMPT ? (size_t)chunks_of(s, batch->max_batch) * (size_t)s->depth * 2 *
                                                 ((size_t)batch->max_length * D + (size_t)s->heads)
                                           : 0);
    for (int t = 0; t < batch->threads; t++) {
        struct workspace *w = &batch->workspaces[t];

        carve_store(c, batch, &w->store, (size_t)batch->max_chunk, false, true);
        w->x = carve(c, R * D);
        w->y = carve(c, R * D);
        w->hidden = carve(c, R * (M > P ? M : P));
        w->dx = carve(c, backward ? R * D : 0);
        w->dy = carve(c, backward ? R * D : 0);
        w->dqkv = carve(c, backward ? 3 * R * D : 0);
        w->strip = carve(c, LINEAR_STRIP);
        w->scratch = carve(c, attention_scratch(vit_tokens(s), s->width / s->heads, batch->max_length));
    }
}

static int create_lanes(vit_batch *batch, err *e)
{
    batch->lanes = calloc(LANES, sizeof *batch->lanes);
    if (!batch->lanes)
        return err_set(e, ERR_NOMEM, "no memory for gradients");
    for (int i = 0; i < LANES; i++)
        if (vit_weights_create(&batch->lanes[i], &batch->shape, e))
            return e->code;
    return 0;
}

int vit_batch_create(vit_batch **out, const struct vit_shape *shape, enum vit_mode mode, int max_batch, int max_length,
                     int first_block, int threads, err *e)
{
    struct carver c = {NULL, 0};
    vit_batch *batch;

    *out = NULL;
    if (vit_check_shape(shape, e))
        return e->code;
    if (max_batch < 1 || max_length < 0 || threads < 1 || first_block < 0 || first_block >= shape->depth)
        return err_set(e, ERR_SHAPE, "a batch of %d images, prefix %d, first block %d, %d threads cannot be", max_batch,
                       max_length, first_block, threads);
    batch = calloc(1, sizeof *batch);
    if (!batch)
        return err_set(e, ERR_NOMEM, "no memory for a batch");
    batch->shape = *shape;
    batch->mode = mode;
    batch->max_batch = max_batch;
    batch->max_length = max_length;
    batch->first_block = first_block;
    batch->threads = threads;
    batch->kernels = kernels_best();
    for (int B = 1; B <= max_batch; B++) { /* the largest chunk of any batch up to the largest */
        int chunks = chunks_of(shape, B), size = (B + chunks - 1) / chunks;

        batch->max_chunk = size > batch->max_chunk ? size : batch->max_chunk;
    }
    batch->workspaces = calloc((size_t)threads, sizeof *batch->workspaces);
    if (!batch->workspaces)
        goto nomem;
    carve_batch(&c, batch);
    batch->bytes = c.used * sizeof(float);
    batch->memory = memory_numbers(c.used);
    if (!batch->memory)
        goto nomem;
    c = (struct carver){batch->memory, 0};
    carve_batch(&c, batch);
    if (mode == VIT_FULL && create_lanes(batch, e)) {
        vit_batch_free(batch);
        return e->code;
    }
    *out = batch;
    return 0;
nomem:
    err_set(e, ERR_NOMEM, "no memory for the activations of %d images (%.0f MB)", max_batch,
            (double)batch->bytes / 1e6);
    vit_batch_free(batch);
    return e->code;
}

void vit_batch_free(vit_batch *batch)
{
    if (!batch)
        return;
    for (int i = 0; batch->lanes && i < LANES; i++)
        vit_weights_free(&batch->lanes[i]);
    free(batch->lanes);
    free(batch->workspaces);
    free(batch->memory);
    free(batch);
}

size_t vit_batch_bytes(const vit_batch *batch)
{
    return batch->bytes;
}

/* ---- one chunk ---------------------------------------------------------------------------------------------------- */

/* A chunk on its way through the network. */
struct chunk {
    vit_batch *batch;
    const struct vit_weights *w;
    struct workspace *work;
    int first, images; /* of the batch */
    /* backward only */
    float *dprompt, *dscalars;    /* this chunk's part */
    struct vit_weights *dweights; /* this lane's part */
};

/* The i-th of `chunks` chunks, for the calling thread. */
static struct chunk chunk_of(vit_batch *batch, const struct vit_weights *w, int i, int chunks)
{
    int first = chunk_start(batch->B, chunks, i);

    return (struct chunk){.batch = batch,
                          .w = w,
                          .work = &batch->workspaces[omp_get_thread_num()],
                          .first = first,
                          .images = chunk_start(batch->B, chunks, i + 1) - first};
}

/* The place of this chunk's activations of a block: in the batch, or in the workspace if they are not kept. */
static struct block_store store_of(const struct chunk *c, int block)
{
    const vit_batch *batch = c->batch;
    const struct vit_shape *s = &batch->shape;
    size_t T = (size_t)vit_tokens(s), D = (size_t)s->width, M = (size_t)s->hidden, first = (size_t)c->first;
    size_t Q = token_only(batch, block) ? 1 : T, A = batch->mode == VIT_FULL ? Q : 0, K = kept_size(batch, Q);
    struct block_store store = c->work->store;

    if (kept(batch, block)) {
#define X(field, size) store.field = batch->store[block].field + first * (size);
        BLOCK_BUFFERS(X)
#undef X
    }
    if (batch->mode != VIT_FULL)
        store.att = c->work->store.att;
    return store;
}

/* The attention of one image of the chunk in one block, and where its prefix's gradients go. */
static struct attention attention_of(const struct chunk *c, int image, int block, struct attention_gradients *g)
{
    const struct vit_shape *s = &c->batch->shape;
    const struct prefix *p = c->batch->prefix;
    struct attention a = {
        .Q = token_only(c->batch, block) ? 1 : vit_tokens(s), .T = vit_tokens(s), .D = s->width, .H = s->heads};
    const struct prefix_source *source;
    size_t half, layer, scopes;

    *g = (struct attention_gradients){0};
    if (!p || !p->length || p->layer_of[block] < 0)
        return a;
    source = &p->sources[c->first + image];
    half = (size_t)p->length * (size_t)s->width;
    layer = (size_t)p->layer_of[block];
    scopes = (size_t)p->scopes;
    a.L = p->length;
    a.keys = source->key_prompt + (2 * layer + (size_t)source->key_half) * half;
    a.values = source->value_prompt + (2 * layer + (size_t)source->value_half) * half;
    a.gate = p->gate;
    a.scopes = p->scopes;
    if (p->gate != GATE_none) {
        a.a0 = source->scalars + 2 * layer * scopes;
        a.a1 = a.a0 + scopes;
    }
    if (c->dprompt) {
        g->dkeys = c->dprompt + (2 * layer + (size_t)source->key_half) * half;
        g->dvalues = c->dprompt + (2 * layer + (size_t)source->value_half) * half;
        g->da0 = c->dscalars + 2 * layer * scopes;
        g->da1 = g->da0 + scopes;
    }
    return a;
}

/* What attention keeps of the chunk's image; NULL: nothing. */
static float *kept_at(const struct chunk *c, const struct block_store *at, int image, size_t Q)
{
    size_t size = kept_size(c->batch, Q);

    return size ? at->kept + (size_t)image * size : NULL;
}

static void cut_patches(const struct vit_shape *s, const float *image, float *patches)
{
    int grid = s->side / s->patch;

    for (int row = 0; row < grid; row++)
        for (int column = 0; column < grid; column++)
            for (int channel = 0; channel < 3; channel++)
                for (int y = 0; y < s->patch; y++, patches += s->patch)
                    memcpy(patches,
                           image +
                               ((size_t)channel * (size_t)s->side + (size_t)(row * s->patch + y)) * (size_t)s->side +
                               column * s->patch,
                           (size_t)s->patch * sizeof *patches);
}

/* x (images, T, D) = [cls; patches W' + b] + positions; leaves the patches in work->hidden. */
static void embed(const struct chunk *c)
{
    const struct vit_shape *s = &c->batch->shape;
    const struct kernels *k = c->batch->kernels;
    size_t T = (size_t)vit_tokens(s), D = (size_t)s->width, P = 3 * (size_t)s->patch * (size_t)s->patch;
    size_t image_size = 3 * (size_t)s->side * (size_t)s->side;

    for (size_t i = 0; i < (size_t)c->images; i++) {
        float *x = c->work->x + i * T * D, *patches = c->work->hidden + i * (T - 1) * P;

        cut_patches(s, c->batch->images + ((size_t)c->first + i) * image_size, patches);
        k->add_bias(x, c->w->cls_token, c->w->pos_embed, 1, D);
        k->add_bias(x + D, c->w->pos_embed + D, c->w->patch_b, T - 1, D);
        linear_forward(k, T - 1, D, P, patches, P, c->w->patch_w, true, x + D, D, c->work->strip);
    }
}

/* Keep the class token's rows of x (images, T, D) only: (images, D). */
static void keep_class_rows(float *x, size_t images, size_t T, size_t D)
{
    for (size_t i = 1; i < images; i++)
        memmove(x + i * D, x + i * T * D, D * sizeof *x);
}

static void block_forward(const struct chunk *c, int block)
{
    const struct vit_shape *s = &c->batch->shape;
    const struct vit_block *w = &c->w->block[block];
    const struct kernels *k = c->batch->kernels;
    struct block_store at = store_of(c, block);
    struct workspace *work = c->work;
    size_t images = (size_t)c->images, T = (size_t)vit_tokens(s), D = (size_t)s->width, M = (size_t)s->hidden;
    bool token = token_only(c->batch, block), keep = kept(c->batch, block);
    size_t Q = token ? 1 : T, rows = images * Q;
    float *hidden = keep ? work->hidden : at.act;
    void (*gelu)(float *, float *, const float *, size_t, size_t) =
        keep && c->batch->mode == VIT_PROMPT ? k->gelu_and_slope : k->gelu;

    k->layer_norm(work->y, keep ? at.xhat1 : NULL, keep ? at.rstd1 : NULL, work->x, w->norm1_w, w->norm1_b, images * T,
                  D, epsilon);
    k->add_bias(at.qkv, NULL, w->qkv_b, images * T, 3 * D);
    if (token) { /* keys and values of all tokens, the query of the class token alone */
        linear_forward(k, images * T, 2 * D, D, work->y, D, w->qkv_w + D * D, true, at.qkv + D, 3 * D, work->strip);
        linear_forward(k, images, D, D, work->y, T * D, w->qkv_w, true, at.qkv, T * 3 * D, work->strip);
        keep_class_rows(work->x, images, T, D);
    } else {
        linear_forward(k, images * T, 3 * D, D, work->y, D, w->qkv_w, true, at.qkv, 3 * D, work->strip);
    }
    for (int i = 0; i < c->images; i++) {
        struct attention_gradients none;
        struct attention a = attention_of(c, i, block, &none);

        attention_forward(k, &a, at.qkv + (size_t)i * 3 * T * D, at.att + (size_t)i * Q * D,
                          keep ? kept_at(c, &at, i, Q) : NULL, work->scratch);
    }
    k->add_bias(work->x, work->x, w->proj_b, rows, D);
    linear_forward(k, rows, D, D, at.att, D, w->proj_w, true, work->x, D, work->strip);
    k->layer_norm(work->y, keep ? at.xhat2 : NULL, keep ? at.rstd2 : NULL, work->x, w->norm2_w, w->norm2_b, rows, D,
                  epsilon);
    linear_forward(k, rows, M, D, work->y, D, w->fc1_w, false, at.act, M, work->strip);
    gelu(hidden, at.act, w->fc1_b, rows, M);
    k->add_bias(work->x, work->x, w->fc2_b, rows, D);
    linear_forward(k, rows, D, M, hidden, M, w->fc2_w, true, work->x, D, work->strip);
}

/* The features of the chunk from x: (images, Q, D). */
static void pool_forward(const struct chunk *c, float *features)
{
    const struct vit_shape *s = &c->batch->shape;
    const vit_batch *batch = c->batch;
    int T = vit_tokens(s), D = s->width, Q = s->pool == VIT_POOL_TOKEN ? 1 : T;
    size_t rows = (size_t)c->images * (size_t)Q, first = (size_t)c->first * (size_t)Q;
    bool keep = batch->mode != VIT_INFER;
    float *y = c->work->x;

    if (!s->no_final_norm) {
        y = c->work->y;
        batch->kernels->layer_norm(y, keep ? batch->xhat_final + first * (size_t)D : NULL,
                                   keep ? batch->rstd_final + first : NULL, c->work->x, c->w->norm_w, c->w->norm_b,
                                   rows, (size_t)D, epsilon);
    }
    if (s->pool != VIT_POOL_MEAN) {
        memcpy(features + first * (size_t)D, y, rows * (size_t)D * sizeof *y);
        return;
    }
    features += (size_t)c->first * (size_t)D;
    for (int i = 0; i < c->images; i++, features += D) {
        const float *token = y + (size_t)i * (size_t)(T * D) + D;

        memset(features, 0, (size_t)D * sizeof *features);
        for (int t = 1; t < T; t++, token += D)
            for (int j = 0; j < D; j++)
                features[j] += token[j];
        for (int j = 0; j < D; j++)
            features[j] /= (float)(T - 1);
    }
}

void vit_batch_watch(vit_batch *batch, void (*alive)(void *context), void *context)
{
    batch->alive = alive;
    batch->watcher = context;
}

/* After a chunk, by any thread of a team: the first one, which is the caller's, speaks. */
static void sign_of_life(const vit_batch *batch)
{
    if (batch->alive && omp_get_thread_num() == 0)
        batch->alive(batch->watcher);
}

void vit_forward(vit_batch *batch, const struct vit_weights *w, const float *images, int B, const struct prefix *prefix,
                 float *features)
{
    int chunks = chunks_of(&batch->shape, B);

    batch->images = images;
    batch->prefix = prefix;
    batch->B = B;
#pragma omp parallel for num_threads(batch->threads) schedule(dynamic)
    for (int i = 0; i < chunks; i++) {
        struct chunk c = chunk_of(batch, w, i, chunks);

        embed(&c);
        for (int b = 0; b < batch->shape.depth; b++)
            block_forward(&c, b);
        pool_forward(&c, features);
        sign_of_life(batch);
    }
}

/* ---- backward ----------------------------------------------------------------------------------------------------- */

/* sum (columns) += the rows of x, which lie `stride` apart. */
static void add_columns(float *sum, const float *x, size_t rows, size_t columns, size_t stride)
{
    for (size_t r = 0; r < rows; r++, x += stride)
        for (size_t i = 0; i < columns; i++)
            sum[i] += x[i];
}

/* The gradient of a weight: W (out, in) += dy' x, dy (R, out) and x (R, in), whose rows lie ldy and ldx apart. */
static void add_products(float *W, size_t R, size_t out, const float *dy, size_t ldy, size_t in, const float *x,
                         size_t ldx)
{
    gemm_tn((int)out, (int)in, (int)R, 1, dy, (int)ldy, x, (int)ldx, 1, W, (int)in);
}

/* Gradients of a layer norm's gain and bias. */
static void norm_weight_gradients(float *dgain, float *dbias, const float *dy, const float *xhat, size_t rows, size_t D)
{
    for (size_t r = 0; r < rows; r++, dy += D, xhat += D)
        for (size_t i = 0; i < D; i++) {
            dgain[i] += dy[i] * xhat[i];
            dbias[i] += dy[i];
        }
}

/* What a layer norm gave, again from what is kept: y = gain * xhat + bias. */
static void norm_output(float *y, const float *xhat, const float *gain, const float *bias, size_t rows, size_t D)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < D; i++)
            y[r * D + i] = gain[i] * xhat[r * D + i] + bias[i];
}

/* dx (images, Q, D) from the gradients of the features. */
static void pool_backward(const struct chunk *c, const float *dfeatures)
{
    const struct vit_shape *s = &c->batch->shape;
    const vit_batch *batch = c->batch;
    int T = vit_tokens(s), D = s->width, Q = s->pool == VIT_POOL_TOKEN ? 1 : T;
    size_t rows = (size_t)c->images * (size_t)Q, first = (size_t)c->first * (size_t)Q;
    float *dx = c->work->dx, *dy = s->no_final_norm ? dx : c->work->dy;
    const float *xhat = batch->xhat_final + first * (size_t)D;

    if (s->pool != VIT_POOL_MEAN) {
        memcpy(dy, dfeatures + first * (size_t)D, rows * (size_t)D * sizeof *dy);
    } else {
        dfeatures += (size_t)c->first * (size_t)D;
        for (int i = 0; i < c->images; i++)
            for (int t = 0; t < T; t++)
                for (int j = 0; j < D; j++)
                    dy[((size_t)i * (size_t)T + (size_t)t) * (size_t)D + (size_t)j] =
                        t ? dfeatures[i * D + j] / (float)(T - 1) : 0;
    }
    if (s->no_final_norm)
        return;
    if (c->dweights)
        norm_weight_gradients(c->dweights->norm_w, c->dweights->norm_b, dy, xhat, rows, (size_t)D);
    memset(dx, 0, rows * (size_t)D * sizeof *dx);
    batch->kernels->layer_norm_backward(dx, dy, c->w->norm_w, xhat, batch->rstd_final + first, rows, (size_t)D);
}

/* dx of the block's MLP half: in, of its output; out, of its input, the residual included.  (R, D) */
static void mlp_backward(const struct chunk *c, int block, const struct block_store *at, size_t R)
{
    const struct vit_block *w = &c->w->block[block];
    const struct kernels *k = c->batch->kernels;
    struct workspace *work = c->work;
    size_t D = (size_t)c->batch->shape.width, M = (size_t)c->batch->shape.hidden;
    struct vit_block *g = c->dweights ? &c->dweights->block[block] : NULL;

    if (g) {
        float *h = work->store.act; /* free: with all weights trained, every block keeps its own */

        memcpy(h, at->act, R * M * sizeof *h);
        k->gelu(h, h, NULL, R, M);
        add_products(g->fc2_w, R, D, work->dx, D, M, h, M);
        add_columns(g->fc2_b, work->dx, R, D, D);
    }
    linear_backward(k, R, D, M, work->dx, D, w->fc2_w, false, work->hidden, M, work->strip);
    (g ? k->gelu_backward : k->scale)(work->hidden, at->act, R * M);
    linear_backward(k, R, M, D, work->hidden, M, w->fc1_w, false, work->dy, D, work->strip);
    if (g) {
        norm_output(work->y, at->xhat2, w->norm2_w, w->norm2_b, R, D);
        add_products(g->fc1_w, R, M, work->hidden, M, D, work->y, D);
        add_columns(g->fc1_b, work->hidden, R, M, M);
        norm_weight_gradients(g->norm2_w, g->norm2_b, work->dy, at->xhat2, R, D);
    }
    k->layer_norm_backward(work->dx, work->dy, w->norm2_w, at->xhat2, at->rstd2, R, D);
}

/* The gradients of W_qkv, b_qkv and the first layer norm, from dqkv and, in dy, the gradient of the norm's output. */
static void qkv_weight_gradients(const struct chunk *c, int block, const struct block_store *at, bool token)
{
    const struct vit_block *w = &c->w->block[block];
    struct vit_block *g = &c->dweights->block[block];
    struct workspace *work = c->work;
    size_t images = (size_t)c->images, T = (size_t)vit_tokens(&c->batch->shape), D = (size_t)c->batch->shape.width,
           R = images * T;

    norm_output(work->y, at->xhat1, w->norm1_w, w->norm1_b, R, D);
    add_products(g->qkv_w + D * D, R, 2 * D, work->dqkv + D, 3 * D, D, work->y, D);
    add_columns(g->qkv_b + D, work->dqkv + D, R, 2 * D, 3 * D);
    if (token) {
        add_products(g->qkv_w, images, D, work->dqkv, T * 3 * D, D, work->y, T * D);
        add_columns(g->qkv_b, work->dqkv, images, D, T * 3 * D);
    } else {
        add_products(g->qkv_w, R, D, work->dqkv, 3 * D, D, work->y, D);
        add_columns(g->qkv_b, work->dqkv, R, D, 3 * D);
    }
    norm_weight_gradients(g->norm1_w, g->norm1_b, work->dy, at->xhat1, R, D);
}

/* The opposite of keep_class_rows(): the other rows become zero. */
static void spread_class_rows(float *x, size_t images, size_t T, size_t D)
{
    for (size_t i = images; i-- > 1;)
        memmove(x + i * T * D, x + i * D, D * sizeof *x);
    for (size_t i = 0; i < images; i++)
        memset(x + i * T * D + D, 0, (T - 1) * D * sizeof *x);
}

/* dx: in, of the block's output; out, of its input (unless the pass ends here). */
static void block_backward(const struct chunk *c, int block, bool ends_here)
{
    const struct vit_block *w = &c->w->block[block];
    const struct kernels *k = c->batch->kernels;
    struct block_store at = store_of(c, block);
    struct workspace *work = c->work;
    size_t images = (size_t)c->images, T = (size_t)vit_tokens(&c->batch->shape), D = (size_t)c->batch->shape.width;
    bool token = token_only(c->batch, block);
    size_t Q = token ? 1 : T, rows = images * Q;

    mlp_backward(c, block, &at, rows);
    if (c->dweights) {
        add_products(c->dweights->block[block].proj_w, rows, D, work->dx, D, D, at.att, D);
        add_columns(c->dweights->block[block].proj_b, work->dx, rows, D, D);
    }
    linear_backward(k, rows, D, D, work->dx, D, w->proj_w, false, work->dy, D, work->strip);
    for (int i = 0; i < c->images; i++) {
        size_t qkv = (size_t)i * 3 * T * D;
        struct attention_gradients g;
        struct attention a = attention_of(c, i, block, &g);

        g.dqkv = ends_here ? NULL : work->dqkv + qkv;
        attention_backward(k, &a, at.qkv + qkv, work->dy + (size_t)i * Q * D, kept_at(c, &at, i, Q), work->scratch, &g);
    }
    if (ends_here)
        return;
    if (token) {
        linear_backward(k, images * T, 2 * D, D, work->dqkv + D, 3 * D, w->qkv_w + D * D, false, work->dy, D,
                        work->strip);
        linear_backward(k, images, D, D, work->dqkv, T * 3 * D, w->qkv_w, true, work->dy, T * D, work->strip);
        spread_class_rows(work->dx, images, T, D);
    } else {
        linear_backward(k, images * T, 3 * D, D, work->dqkv, 3 * D, w->qkv_w, false, work->dy, D, work->strip);
    }
    if (c->dweights)
        qkv_weight_gradients(c, block, &at, token);
    k->layer_norm_backward(work->dx, work->dy, w->norm1_w, at.xhat1, at.rstd1, images * T, D);
}

/* Gradients of patch embedding, class token and positions from dx (images, T, D). */
static void embed_backward(const struct chunk *c)
{
    const struct vit_shape *s = &c->batch->shape;
    struct vit_weights *g = c->dweights;
    size_t image_size = 3 * (size_t)s->side * (size_t)s->side;
    size_t T = (size_t)vit_tokens(s), D = (size_t)s->width, P = 3 * (size_t)s->patch * (size_t)s->patch;

    for (size_t i = 0; i < (size_t)c->images; i++) {
        const float *dx = c->work->dx + i * T * D;

        cut_patches(s, c->batch->images + ((size_t)c->first + i) * image_size, c->work->hidden);
        add_products(g->patch_w, T - 1, D, dx + D, D, P, c->work->hidden, P);
        add_columns(g->patch_b, dx + D, T - 1, D, D);
        add_columns(g->cls_token, dx, 1, D, D);
        add_columns(g->pos_embed, dx, 1, T * D, T * D);
    }
}

static void chunk_backward(const struct chunk *c, const float *dfeatures)
{
    int last = c->batch->mode == VIT_FULL ? 0 : c->batch->first_block;

    pool_backward(c, dfeatures);
    for (int b = c->batch->shape.depth - 1; b >= last; b--)
        block_backward(c, b, c->batch->mode == VIT_PROMPT && b == last);
    if (c->dweights)
        embed_backward(c);
}

/* sum (n) = the chunks' parts (chunks, stride), in their order. */
static void sum_chunks(float *sum, const float *parts, size_t n, int chunks, size_t stride)
{
    if (!sum)
        return;
    memcpy(sum, parts, n * sizeof *sum);
    for (int i = 1; i < chunks; i++)
        for (size_t j = 0; j < n; j++)
            sum[j] += parts[(size_t)i * stride + j];
}

static void backward_to_prompts(vit_batch *batch, const struct vit_weights *w, const float *dfeatures,
                                const struct vit_gradients *out)
{
    int B = batch->B, chunks = chunks_of(&batch->shape, B);
    size_t prompt = prefix_prompt_size(batch->prefix, batch->shape.width), scalars = prefix_scalars_size(batch->prefix);
    size_t stride = prompt + scalars;

    memset(batch->chunk_gradients, 0, (size_t)chunks * stride * sizeof(float));
#pragma omp parallel for num_threads(batch->threads) schedule(dynamic)
    for (int i = 0; i < chunks; i++) {
        float *part = batch->chunk_gradients + (size_t)i * stride;
        struct chunk c = chunk_of(batch, w, i, chunks);

        c.dprompt = part;
        c.dscalars = part + prompt;
        chunk_backward(&c, dfeatures);
        sign_of_life(batch);
    }
    sum_chunks(out->prompt, batch->chunk_gradients, prompt, chunks, stride);
    sum_chunks(out->scalars, batch->chunk_gradients + prompt, scalars, chunks, stride);
}

static void backward_to_weights(vit_batch *batch, const struct vit_weights *w, const float *dfeatures,
                                struct vit_weights *out)
{
    int chunks = chunks_of(&batch->shape, batch->B);

#pragma omp parallel num_threads(batch->threads)
    for (int lane = omp_get_thread_num(); lane < LANES; lane += omp_get_num_threads()) {
        memset(batch->lanes[lane].memory, 0, batch->lanes[lane].count * sizeof(float));
        for (int i = lane; i < chunks; i += LANES) {
            struct chunk c = chunk_of(batch, w, i, chunks);

            c.dweights = &batch->lanes[lane];
            chunk_backward(&c, dfeatures);
        }
    }
    for (int lane = 0; lane < LANES; lane++)
        for (size_t i = 0; i < out->count; i++)
            out->memory[i] += batch->lanes[lane].memory[i];
}

void vit_backward(vit_batch *batch, const struct vit_weights *w, const float *dfeatures,
                  const struct vit_gradients *out)
{
    if (batch->mode == VIT_FULL)
        backward_to_weights(batch, w, dfeatures, out->weights);
    else
        backward_to_prompts(batch, w, dfeatures, out);
}
