/* model/statistics.h - what is kept of a class's features, and drawing features from it  (methods.md 1.5, 1.6).
 *
 *   covariance      mean, unbiased covariance + 1e-4 I          draws mean + L z, L the Cholesky factor
 *   variance        mean, its diagonal                          draws mean + sqrt(diagonal) z
 *   multi_centroid  k-means (k-means++ seeding, Lloyd); for each cluster its mean and population variance per dimension; draws
 *                   floor(count / centroids) from each, mean_k + sqrt(var_k + 1e-4) z; clusters whose variance is exactly 0
 *                   are not drawn from, unless all are such  (methods.md Q26, the NoRGa repository's way)
 *
 * Letters: n samples, D width, S drawn samples.  float32 results, sums in double. */
#ifndef MODEL_STATISTICS_H
#define MODEL_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

#include "io/err.h"

#define STATISTICS_KINDS(K) \
    K(covariance)           \
    K(variance)             \
    K(multi_centroid)
enum statistics_kind {
#define K(name) STATISTICS_##name,
    STATISTICS_KINDS(K)
#undef K
        STATISTICS_KIND_COUNT
};
enum statistics_kind statistics_kind_by_name(const char *name);

/* The statistics of one class.  centroids is 1 except for multi_centroid. */
struct class_statistics {
    enum statistics_kind kind;
    int width, centroids;
    float *mean;   /* (centroids, D) */
    float *spread; /* covariance: (D, D); variance: (D); multi_centroid: (centroids, D) variances without the 1e-4 */
    /* covariance: (D, D) lower Cholesky factor, made on first use by statistics_draw(); otherwise NULL */
    float *factor;
};

size_t statistics_spread_size(enum statistics_kind kind, int width, int centroids);

/* features (n, D).  wanted_centroids: of multi_centroid; there are fewer when there are fewer distinct features.  One sample has covariance 1e-4 I.  seed, index: the stream of k-means.
 * ERR_DATA for n = 0, ERR_DIVERGED when a feature is not finite, ERR_NOMEM. */
int statistics_measure(enum statistics_kind kind, const float *features, size_t n, int width, int wanted_centroids,
                       uint64_t seed, uint32_t index, struct class_statistics *out, err *e);
void statistics_free(struct class_statistics *s);

/* Draw at most S features from the stream rng_stream(seed, purpose, task, epoch, index) into out (S, D); *drawn says how many
 * (S, or floor(S / centroids) for each cluster drawn from).  ERR_DIVERGED when the covariance is not positive definite. */
struct rng;
int statistics_draw(struct class_statistics *s, struct rng *stream, int S, float *out, int *drawn, err *e);

#endif
