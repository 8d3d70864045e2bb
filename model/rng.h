/* model/rng.h - named streams of random numbers.
 *
 * Counter-based (Philox4x32-10; Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011; the Random123
 * library): the n-th number of a stream is a pure function of the stream's name and n.  A name is (seed, purpose, task, epoch,
 * index).  So nothing depends on who draws first, streams need no saving, and a continued run draws what an undisturbed one
 * would have drawn. */
#ifndef MODEL_RNG_H
#define MODEL_RNG_H

#include <stddef.h>
#include <stdint.h>

/* What the numbers are for.  Append only: the position is part of the stream's name. */
#define RNG_PURPOSES(P)                                                                         \
    P(TEST, "tests")                                                                            \
    P(BACKBONE_INIT, "initial weights of a backbone; index: tensor")                            \
    P(HEAD_INIT, "initial weights of a head")                                                   \
    P(MLP_INIT, "initial weights of the residual MLP of task-identity inference; index: layer") \
    P(PROMPT_INIT, "initial prompt; task")                                                      \
    P(TII_ORDER, "order of the training images; task, epoch")                                   \
    P(TII_AUGMENT, "augmentation; task, epoch, index: image")                                   \
    P(TII_ALIGN, "drawn features; task, epoch, index: class")                                   \
    P(TII_ALIGN_ORDER, "order of the drawn features; task, epoch")                              \
    P(WTP_ORDER, "order of the training images; task, epoch")                                   \
    P(WTP_AUGMENT, "augmentation; task, epoch, index: image")                                   \
    P(TAP_ALIGN, "drawn features; task, epoch, index: class")                                   \
    P(TAP_ALIGN_ORDER, "order of the drawn features; task, epoch")                              \
    P(KMEANS, "k-means++ seeding; index: class")                                                \
    P(SEQUENTIAL_ORDER, "order of the training images; task, epoch")                            \
    P(JOINT_ORDER, "order of the training images; epoch")                                       \
    P(JOINT_AUGMENT, "augmentation; epoch, index: image")                                       \
    P(FORMULA, "a drawn image; index: image")                                                   \
    P(PRETRAIN, "pre-training; epoch: step")                                                    \
    P(STATISTICS_ORDER, "order of a class's images for its statistics; task, index: class")

enum rng_purpose {
#define P(name, meaning) RNG_##name,
    RNG_PURPOSES(P)
#undef P
};

/* A position in a stream.  Plain memory: copy it to remember a place. */
typedef struct rng {
    uint32_t key[2], counter[4]; /* counter: block, index, epoch, purpose and task */
    uint32_t block[4];           /* the current block of four numbers */
    unsigned used;               /* numbers of it already given */
} rng;

/* The stream's start.  task < 2^20. */
rng rng_stream(uint64_t seed, enum rng_purpose purpose, uint32_t task, uint32_t epoch, uint32_t index);

uint32_t rng_u32(rng *r);
float rng_uniform(rng *r);                               /* [0, 1), 24 bits */
double rng_uniform_double(rng *r);                       /* [0, 1), 53 bits */
float rng_normal(rng *r);                                /* standard normal; Box-Muller, the cosine branch */
uint32_t rng_below(rng *r, uint32_t n);                  /* [0, n), without bias; n > 0 */
void rng_permutation(rng *r, uint32_t *order, size_t n); /* a uniform permutation of 0..n-1 (Fisher-Yates) */

void rng_fill_uniform(rng *r, float *x, size_t n, float low, float high);
void rng_fill_normal(rng *r, float *x, size_t n, float deviation);
/* Normal numbers beyond two units (absolute, not deviations) are drawn again, as timm's trunc_normal_ cuts at +-2. */
void rng_fill_truncated_normal(rng *r, float *x, size_t n, float deviation);

#endif
