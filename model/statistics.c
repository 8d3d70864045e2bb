/* model/statistics.c - see statistics.h. */
#include "model/statistics.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "model/blas.h"
#include "model/rng.h"

static const double REGULAR = 1e-4; /* added to every variance that is drawn from (methods.md 1.5) */
enum { TILE = 64, LLOYD_ROUNDS = 300 };

static const char *const kinds[] = {
#define K(name) #name,
    STATISTICS_KINDS(K)
#undef K
};

enum statistics_kind statistics_kind_by_name(const char *name)
{
    enum statistics_kind kind = 0;

    while (kind < STATISTICS_KIND_COUNT && strcmp(kinds[kind], name))
        kind++;
    return kind;
}

size_t statistics_spread_size(enum statistics_kind kind, int width, int centroids)
{
    return (size_t)width * (size_t)(kind == STATISTICS_covariance ? width : centroids);
}

static int create(struct class_statistics *s, enum statistics_kind kind, int width, int centroids, err *e)
{
    size_t mean = (size_t)centroids * (size_t)width, spread = statistics_spread_size(kind, width, centroids);

    *s = (struct class_statistics){.kind = kind, .width = width, .centroids = centroids};
    s->mean = calloc(mean, sizeof *s->mean);
    s->spread = calloc(spread, sizeof *s->spread);
    if (s->mean && s->spread)
        return 0;
    statistics_free(s);
    return err_set(e, ERR_NOMEM, "no memory for the statistics of a class: %zu numbers", mean + spread);
}

void statistics_free(struct class_statistics *s)
{
    free(s->mean);
    free(s->spread);
    free(s->factor);
    memset(s, 0, sizeof *s);
}

static void mean_of(const float *x, size_t n, size_t D, double *mean)
{
    memset(mean, 0, D * sizeof *mean);
    for (size_t s = 0; s < n; s++)
        for (size_t i = 0; i < D; i++)
            mean[i] += (double)x[s * D + i];
    for (size_t i = 0; i < D; i++)
        mean[i] /= (double)n;
}

/* x - mean, (n, D). */
static void centre(const float *x, const double *mean, size_t n, size_t D, double *out)
{
    for (size_t s = 0; s < n; s++)
        for (size_t i = 0; i < D; i++)
            out[s * D + i] = (double)x[s * D + i] - mean[i];
}

static size_t at_most(size_t limit, size_t n)
{
    return n < limit ? n : limit;
}

/* The sums of products of columns [i0, i0 + height) with [j0, j0 + width) over all samples: a tile stays in the cache.
 */
static void tile_of_products(const double *c, size_t n, size_t D, size_t i0, size_t height, size_t j0, size_t width,
                             double sum[TILE][TILE])
{
    memset(sum, 0, TILE * sizeof *sum);
    for (size_t s = 0; s < n; s++, c += D)
        for (size_t i = 0; i < height; i++) {
            double left = c[i0 + i];

#pragma omp simd
            for (size_t j = 0; j < width; j++)
                sum[i][j] += left * c[j0 + j];
        }
}

static void covariance_of(const double *centred, size_t n, size_t D, float *out)
{
    double sum[TILE][TILE], scale = n > 1 ? 1 / (double)(n - 1) : 0;

    for (size_t i0 = 0; i0 < D; i0 += TILE)
        for (size_t j0 = 0; j0 <= i0; j0 += TILE) {
            size_t height = at_most(TILE, D - i0), width = at_most(TILE, D - j0);

            tile_of_products(centred, n, D, i0, height, j0, width, sum);
            for (size_t i = 0; i < height; i++)
                for (size_t j = 0; j < width; j++) {
                    double value = sum[i][j] * scale + (i0 + i == j0 + j ? REGULAR : 0);

                    out[(i0 + i) * D + j0 + j] = out[(j0 + j) * D + i0 + i] = (float)value;
                }
        }
}

static void variance_of(const double *centred, size_t n, size_t D, float *out)
{
    double scale = n > 1 ? 1 / (double)(n - 1) : 0;

    for (size_t i = 0; i < D; i++) {
        double sum = 0;

        for (size_t s = 0; s < n; s++)
            sum += centred[s * D + i] * centred[s * D + i];
        out[i] = (float)(sum * scale + REGULAR);
    }
}

static int measure_gaussian(const float *x, size_t n, struct class_statistics *out, err *e)
{
    size_t D = (size_t)out->width;
    double *mean = malloc((n + 1) * D * sizeof *mean), *centred = mean + D;

    if (!mean)
        return err_set(e, ERR_NOMEM, "no memory to centre %zu features of width %zu", n, D);
    mean_of(x, n, D, mean);
    centre(x, mean, n, D, centred);
    for (size_t i = 0; i < D; i++)
        out->mean[i] = (float)mean[i];
    (out->kind == STATISTICS_covariance ? covariance_of : variance_of)(centred, n, D, out->spread);
    free(mean);
    return 0;
}

/* k-means: the working memory of one call. */
struct kmeans {
    const float *x; /* (n, D) */
    size_t n, D, k;
    double *centre;  /* (k, D) */
    double *nearest; /* (n) squared distance to the nearest centre so far */
    double *trial;   /* (2, n) the same with a candidate: this one, and the best one so far */
    size_t *cluster; /* (n) */
    size_t *members; /* (k) */
};

static double distance(const float *x, const double *centre, size_t D)
{
    double sum = 0;

#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < D; i++)
        sum += ((double)x[i] - centre[i]) * ((double)x[i] - centre[i]);
    return sum;
}

static void place_centre(struct kmeans *m, size_t c, size_t sample)
{
    for (size_t i = 0; i < m->D; i++)
        m->centre[c * m->D + i] = (double)m->x[sample * m->D + i];
}

/* A sample with probability proportional to its squared distance from the nearest centre. */
static size_t draw_far_sample(const struct kmeans *m, rng *r, double potential)
{
    double left = rng_uniform_double(r) * potential;
    size_t last = 0;

    for (size_t s = 0; s < m->n; s++)
        if (m->nearest[s] > 0) {
            last = s;
            left -= m->nearest[s];
            if (left < 0)
                break;
        }
    return last;
}

/* nearest[], were centre c there as well; returns its sum. */
static double with_centre(const struct kmeans *m, size_t c, double *out)
{
    double sum = 0;

    for (size_t s = 0; s < m->n; s++)
        sum += out[s] = fmin(m->nearest[s], distance(m->x + s * m->D, m->centre + c * m->D, m->D));
    return sum;
}

/* k-means++ (Arthur and Vassilvitskii, 2007), each centre the best of 2 + ln k candidates, as scikit-learn does.  If
 * there are fewer distinct samples than centres, some centres coincide, and the later ones never get a member. */
static void seed_centres(struct kmeans *m, rng *r)
{
    int candidates = 2 + (int)log((double)m->k);
    double potential;

    for (size_t s = 0; s < m->n; s++)
        m->nearest[s] = INFINITY;
    place_centre(m, 0, rng_below(r, (uint32_t)m->n));
    potential = with_centre(m, 0, m->nearest);
    for (size_t c = 1; c < m->k; c++) {
        double *now = m->trial, *kept = m->trial + m->n, best = INFINITY;
        size_t chosen = 0;

        for (int i = 0; i < candidates; i++) {
            size_t sample = draw_far_sample(m, r, potential);
            double left;

            place_centre(m, c, sample);
            left = with_centre(m, c, now);
            if (left < best) {
                double *other = kept;

                best = left;
                chosen = sample;
                kept = now;
                now = other;
            }
        }
        place_centre(m, c, chosen);
        memcpy(m->nearest, kept, m->n * sizeof *kept);
        potential = best;
    }
}

/* Each sample to the nearest centre, the first of equals.  Returns how many changed. */
static size_t assign(struct kmeans *m)
{
    size_t changed = 0;

    for (size_t s = 0; s < m->n; s++) {
        size_t best = 0;
        double least = INFINITY;

        for (size_t c = 0; c < m->k; c++) {
            double d = distance(m->x + s * m->D, m->centre + c * m->D, m->D);

            if (d < least) {
                least = d;
                best = c;
            }
        }
        changed += m->cluster[s] != best;
        m->cluster[s] = best;
    }
    return changed;
}

/* Each centre to the mean of its members; one without members stays where it is. */
static void move_centres(struct kmeans *m)
{
    memset(m->members, 0, m->k * sizeof *m->members);
    for (size_t s = 0; s < m->n; s++)
        if (m->members[m->cluster[s]]++ == 0)
            memset(m->centre + m->cluster[s] * m->D, 0, m->D * sizeof *m->centre);
    for (size_t s = 0; s < m->n; s++)
        for (size_t i = 0; i < m->D; i++)
            m->centre[m->cluster[s] * m->D + i] += (double)m->x[s * m->D + i];
    for (size_t c = 0; c < m->k; c++)
        for (size_t i = 0; m->members[c] && i < m->D; i++)
            m->centre[c * m->D + i] /= (double)m->members[c];
}

static void cluster(struct kmeans *m, rng *r)
{
    seed_centres(m, r);
    for (size_t s = 0; s < m->n; s++)
        m->cluster[s] = m->k; /* nowhere yet */
    for (int round = 0; round < LLOYD_ROUNDS && assign(m); round++)
        move_centres(m);
}

/* Mean and population variance of the clusters that have members. */
static int keep_clusters(const struct kmeans *m, struct class_statistics *out, err *e)
{
    size_t D = m->D;
    double *spread = calloc(m->k * D, sizeof *spread);
    int kept = 0;

    if (!spread)
        return err_set(e, ERR_NOMEM, "no memory for %zu cluster variances of width %zu", m->k, D);
    for (size_t s = 0; s < m->n; s++)
        for (size_t i = 0, at = m->cluster[s] * D; i < D; i++) {
            double d = (double)m->x[s * D + i] - m->centre[at + i];

            spread[at + i] += d * d;
        }
    for (size_t c = 0; c < m->k; c++) {
        if (!m->members[c])
            continue;
        for (size_t i = 0; i < D; i++) {
            out->mean[(size_t)kept * D + i] = (float)m->centre[c * D + i];
            out->spread[(size_t)kept * D + i] = (float)(spread[c * D + i] / (double)m->members[c]);
        }
        kept++;
    }
    out->centroids = kept;
    free(spread);
    return 0;
}

static int measure_clusters(const float *x, size_t n, uint64_t seed, uint32_t index, struct class_statistics *out,
                            err *e)
{
    struct kmeans m = {.x = x, .n = n, .D = (size_t)out->width, .k = (size_t)out->centroids};
    rng r = rng_stream(seed, RNG_KMEANS, 0, 0, index);
    int code;

    m.centre = malloc((m.k * m.D + 3 * n) * sizeof *m.centre);
    m.cluster = malloc((n + m.k) * sizeof *m.cluster);
    if (m.centre && m.cluster) {
        m.nearest = m.centre + m.k * m.D;
        m.trial = m.nearest + n;
        m.members = m.cluster + n;
        cluster(&m, &r);
        code = keep_clusters(&m, out, e);
    } else {
        code = err_set(e, ERR_NOMEM, "no memory for k-means of %zu features", n);
    }
    free(m.centre);
    free(m.cluster);
    return code;
}

/* The first number that is not finite; `count` if all are. */
static size_t first_wild(const float *x, size_t count)
{
    size_t i = 0;

    while (i < count && isfinite(x[i]))
        i++;
    return i;
}

int statistics_measure(enum statistics_kind kind, const float *features, size_t n, int width, int wanted_centroids,
                       uint64_t seed, uint32_t index, struct class_statistics *out, err *e)
{
    size_t D = (size_t)width, wild = first_wild(features, n * D), spread;
    int centroids = kind == STATISTICS_multi_centroid ? wanted_centroids : 1;

    memset(out, 0, sizeof *out);
    if (!n || n > UINT32_MAX || centroids < 1)
        return err_set(e, ERR_DATA,
                       "the statistics of a class need 1 to 2^32 - 1 features (there are %zu) and centroids (%d)", n,
                       centroids);
    if (wild < n * D)
        return err_set(e, ERR_DIVERGED, "feature %zu of sample %zu is %g", wild % D, wild / D, (double)features[wild]);
    centroids = (size_t)centroids < n ? centroids : (int)n;
    if (create(out, kind, width, centroids, e))
        return e->code;
    if (kind == STATISTICS_multi_centroid ? measure_clusters(features, n, seed, index, out, e)
                                          : measure_gaussian(features, n, out, e)) {
        statistics_free(out);
        return e->code;
    }
    spread = statistics_spread_size(kind, width, out->centroids);
    if (first_wild(out->spread, spread) < spread) {
        statistics_free(out);
        return err_set(e, ERR_DIVERGED, "features are so large that their variance is not a float");
    }
    return 0;
}

static double dot(const float *a, const float *b, size_t n)
{
    double sum = 0;

#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* L L' = A, row by row (Banachiewicz), zeros above the diagonal.  Both (D, D).  Returns the row where A proves not to
 * be positive definite, D if it is. */
static size_t cholesky(const float *A, size_t D, float *L)
{
    for (size_t i = 0; i < D; i++) {
        float *row = L + i * D;
        double pivot;

        for (size_t j = 0; j < i; j++)
            row[j] = (float)(((double)A[i * D + j] - dot(row, L + j * D, j)) / (double)L[j * D + j]);
        pivot = (double)A[i * D + i] - dot(row, row, i);
        if (!(pivot > 0) || !isfinite(pivot))
            return i;
        row[i] = (float)sqrt(pivot);
        memset(row + i + 1, 0, (D - i - 1) * sizeof *row);
    }
    return D;
}

static int make_factor(struct class_statistics *s, err *e)
{
    size_t D = (size_t)s->width, row;

    if (s->factor)
        return 0;
    s->factor = malloc(D * D * sizeof *s->factor);
    if (!s->factor)
        return err_set(e, ERR_NOMEM, "no memory for a Cholesky factor of width %zu", D);
    row = cholesky(s->spread, D, s->factor);
    if (row == D)
        return 0;
    free(s->factor);
    s->factor = NULL;
    return err_set(e, ERR_DIVERGED,
                   "a covariance of features is not positive definite (row %zu of %zu); variances instead of "
                   "covariances need no factor",
                   row, D);
}

/* mean + L z for every row, in one product. */
static int draw_covariance(struct class_statistics *s, rng *r, size_t S, float *out, err *e)
{
    int D = s->width;
    size_t width = (size_t)D;
    float *z;

    if (make_factor(s, e))
        return e->code;
    z = malloc((S * width + 1) * sizeof *z);
    if (!z)
        return err_set(e, ERR_NOMEM, "no memory to draw %zu features of width %d", S, D);
    rng_fill_normal(r, z, S * width, 1);
    for (size_t i = 0; i < S; i++)
        memcpy(out + i * width, s->mean, width * sizeof *out);
    gemm_nt((int)S, D, D, 1, z, D, s->factor, D, 1, out, D);
    free(z);
    return 0;
}

static void draw_diagonal(const float *mean, const float *variance, double regular, size_t D, rng *r, size_t S,
                          float *out)
{
    for (size_t s = 0; s < S; s++)
        for (size_t i = 0; i < D; i++)
            out[s * D + i] = mean[i] + (float)sqrt((double)variance[i] + regular) * rng_normal(r);
}

/* Are all of a cluster's members the same? */
static bool is_point(const struct class_statistics *s, int centroid)
{
    const float *spread = s->spread + (size_t)centroid * (size_t)s->width;

    for (int i = 0; i < s->width; i++)
        if (spread[i] > 0)
            return false;
    return true;
}

/* The clusters that are drawn from: those of more than a point, or all if every one is a point. */
static void draw_clusters(const struct class_statistics *s, rng *r, int each, float *out, int *drawn)
{
    size_t D = (size_t)s->width;
    bool points = true;

    for (int c = 0; c < s->centroids; c++)
        points &= is_point(s, c);
    *drawn = 0;
    for (int c = 0; c < s->centroids; c++)
        if (points || !is_point(s, c)) {
            draw_diagonal(s->mean + (size_t)c * D, s->spread + (size_t)c * D, REGULAR, D, r, (size_t)each,
                          out + (size_t)*drawn * D);
            *drawn += each;
        }
}

int statistics_draw(struct class_statistics *s, struct rng *stream, int S, float *out, int *drawn, err *e)
{
    *drawn = S;
    if (s->kind == STATISTICS_covariance)
        return draw_covariance(s, stream, (size_t)S, out, e);
    if (s->kind == STATISTICS_variance)
        draw_diagonal(s->mean, s->spread, 0, (size_t)s->width, stream, (size_t)S, out); /* REGULAR is in the spread */
    else
        draw_clusters(s, stream, S / s->centroids, out, drawn);
    return 0;
}
