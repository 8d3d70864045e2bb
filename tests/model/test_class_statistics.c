/* Class statistics: hand values, long double, the factor, the law of large numbers, k-means on clusters that are known.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/rng.h"
#include "model/statistics.h"

static void near(double got, double want, double limit)
{
    if (!(fabs(got - want) <= limit))
        fail_msg("%.9g, expected %.9g within %.3g", got, want, limit);
}

static void measure(enum statistics_kind kind, const float *x, size_t n, int D, int centroids,
                    struct class_statistics *out)
{
    err e = {0};

    if (statistics_measure(kind, x, n, D, centroids, 11, 3, out, &e))
        fail_msg("%s", e.text);
    assert_int_equal(out->kind, kind);
    assert_int_equal(out->width, D);
    assert_null(out->factor);
}

static int draw(struct class_statistics *s, rng *r, int S, float *out)
{
    err e = {0};
    int drawn = -1;

    if (statistics_draw(s, r, S, out, &drawn, &e))
        fail_msg("%s", e.text);
    return drawn;
}

static float *normals(size_t n, uint32_t index, float deviation, float shift)
{
    float *x = malloc(n * sizeof *x);
    rng r = rng_stream(1, RNG_TEST, 0, 0, index);

    assert_non_null(x);
    rng_fill_normal(&r, x, n, deviation);
    for (size_t i = 0; i < n; i++)
        x[i] += shift;
    return x;
}

static void names(void **state)
{
    (void)state;
    assert_int_equal(statistics_kind_by_name("covariance"), STATISTICS_covariance);
    assert_int_equal(statistics_kind_by_name("variance"), STATISTICS_variance);
    assert_int_equal(statistics_kind_by_name("multi_centroid"), STATISTICS_multi_centroid);
    assert_int_equal(statistics_kind_by_name("median"), STATISTICS_KIND_COUNT);
    assert_int_equal(statistics_spread_size(STATISTICS_covariance, 7, 1), 49);
    assert_int_equal(statistics_spread_size(STATISTICS_variance, 7, 1), 7);
    assert_int_equal(statistics_spread_size(STATISTICS_multi_centroid, 7, 3), 21);
}

/* Deviations from the mean (3, 5): (-2, -3), (0, -1), (2, 4). */
static void hand_values(void **state)
{
    const float x[] = {1, 2, 3, 4, 5, 9};
    struct class_statistics s;

    (void)state;
    measure(STATISTICS_covariance, x, 3, 2, 10, &s);
    assert_int_equal(s.centroids, 1);
    near(s.mean[0], 3, 0);
    near(s.mean[1], 5, 0);
    near(s.spread[0], 4.0001, 1e-6);
    near(s.spread[1], 7, 0);
    near(s.spread[2], 7, 0);
    near(s.spread[3], 13.0001, 1e-6);
    statistics_free(&s);
    measure(STATISTICS_variance, x, 3, 2, 10, &s);
    near(s.mean[1], 5, 0);
    near(s.spread[0], 4.0001, 1e-6);
    near(s.spread[1], 13.0001, 1e-6);
    statistics_free(&s);
}

/* A mean far larger than the deviation, where sums of squares would cancel; widths around the tile of 64. */
static void against_long_double(void **state)
{
    const int widths[] = {1, 63, 64, 65, 130};
    enum { N = 41 };

    (void)state;
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        size_t D = (size_t)widths[w];
        float *x = normals(N * D, (uint32_t)w, 0.1f, 100);
        struct class_statistics s, v;

        measure(STATISTICS_covariance, x, N, (int)D, 1, &s);
        measure(STATISTICS_variance, x, N, (int)D, 1, &v);
        for (size_t i = 0; i < D; i++)
            for (size_t j = 0; j < D; j++) {
                long double mi = 0, mj = 0, sum = 0;

                for (size_t n = 0; n < N; n++) {
                    mi += (long double)x[n * D + i] / N;
                    mj += (long double)x[n * D + j] / N;
                }
                for (size_t n = 0; n < N; n++)
                    sum += ((long double)x[n * D + i] - mi) * ((long double)x[n * D + j] - mj);
                sum = sum / (N - 1) + (i == j ? 1e-4L : 0);
                near(s.spread[i * D + j], (double)sum, 1e-9);
                near(s.mean[i], (double)mi, 4e-6); /* half a unit in the last place at 100 */
                if (i == j)
                    near(v.spread[i], (double)sum, 1e-9);
            }
        statistics_free(&s);
        statistics_free(&v);
        free(x);
    }
}

static void factor_multiplies_back(void **state)
{
    enum { D = 97, N = 60 }; /* fewer samples than dimensions: only the 1e-4 makes it definite */
    float *x = normals((size_t)N * D, 1, 1, 0), out[D];
    rng r = rng_stream(1, RNG_TEST, 1, 0, 0);
    struct class_statistics s;

    (void)state;
    measure(STATISTICS_covariance, x, N, D, 1, &s);
    assert_int_equal(draw(&s, &r, 1, out), 1);
    assert_non_null(s.factor);
    for (size_t i = 0; i < D; i++)
        for (size_t j = 0; j < D; j++) {
            double sum = 0;

            for (size_t k = 0; k < D; k++)
                sum += (double)s.factor[i * D + k] * (double)s.factor[j * D + k];
            near(sum, s.spread[i * D + j], 2e-6);
            if (j > i)
                assert_true(s.factor[i * D + j] == 0);
        }
    statistics_free(&s);
    free(x);
}

/* One draw is mean + L z, z the next D normals of the stream. */
static void draw_by_hand(void **state)
{
    enum { D = 5, S = 3 };
    float *x = normals(20 * D, 2, 1, 1), out[S * D], z[S * D];
    rng r = rng_stream(1, RNG_TEST, 2, 0, 0), same = r;
    struct class_statistics s;

    (void)state;
    measure(STATISTICS_covariance, x, 20, D, 1, &s);
    assert_int_equal(draw(&s, &r, S, out), S);
    rng_fill_normal(&same, z, S * D, 1);
    for (size_t n = 0; n < S; n++)
        for (size_t i = 0; i < D; i++) {
            double want = s.mean[i];

            for (size_t k = 0; k < D; k++)
                want += (double)s.factor[i * D + k] * (double)z[n * D + k];
            near(out[n * D + i], want, 2e-6);
        }
    assert_int_equal(rng_u32(&r), rng_u32(&same)); /* exactly S D normals were taken */
    statistics_free(&s);
    free(x);
}

/* The measured mean and covariance of many draws; the limits are five standard errors. */
static void many_draws(void **state)
{
    enum { D = 6, S = 60000 };
    const float mix[D * D] = {2, 0, 0, 0, 0, 0, 1, 1,  0, 0, 0,   0, 0, 3, .5f, 0, 0, 0,
                              0, 1, 1, 1, 0, 0, 0, -2, 0, 1, .2f, 0, 1, 1, 1,   1, 1, 1};
    float *z = normals(400 * D, 3, 1, 0), *x = calloc(400 * D, sizeof *x), *drawn = malloc(sizeof(float) * S * D);

    (void)state;
    assert_true(x && drawn);
    for (size_t n = 0; n < 400; n++)
        for (size_t i = 0; i < D; i++)
            for (size_t k = 0; k < D; k++)
                x[n * D + i] += mix[i * D + k] * z[n * D + k] + (float)i / D;
    for (int kind = STATISTICS_covariance; kind <= STATISTICS_variance; kind++) {
        rng r = rng_stream(1, RNG_TEST, 3, 0, 0);
        struct class_statistics s, again;

        measure((enum statistics_kind)kind, x, 400, D, 1, &s);
        assert_int_equal(draw(&s, &r, S, drawn), S);
        measure(STATISTICS_covariance, drawn, S, D, 1, &again);
        for (size_t i = 0; i < D; i++)
            for (size_t j = 0; j < D; j++) {
                bool full = kind == STATISTICS_covariance;
                double vi = s.spread[full ? i * D + i : i], vj = s.spread[full ? j * D + j : j];
                double want = full ? s.spread[i * D + j] : i == j ? vi : 0;

                near(again.spread[i * D + j], want, 5 * sqrt((vi * vj + want * want) / S));
                near(again.mean[i], s.mean[i], 5 * sqrt(vi / S));
            }
        statistics_free(&s);
        statistics_free(&again);
    }
    free(z);
    free(x);
    free(drawn);
}

enum { WIDTH = 5, EACH = 40, CLUSTERS = 4, SAMPLES = EACH * CLUSTERS };

/* Cluster c lies around 10 in dimension c, its samples at every CLUSTERS-th place. */
static float *clusters(void)
{
    float *x = normals((size_t)SAMPLES * WIDTH, 4, 0.3f, 0);

    for (size_t s = 0; s < SAMPLES; s++)
        x[s * WIDTH + s % CLUSTERS] += 10;
    return x;
}

static void separated_clusters(void **state)
{
    float *x = clusters();
    struct class_statistics s;
    unsigned seen = 0;

    (void)state;
    measure(STATISTICS_multi_centroid, x, SAMPLES, WIDTH, CLUSTERS, &s);
    assert_int_equal(s.centroids, CLUSTERS);
    for (size_t k = 0; k < CLUSTERS; k++) {
        size_t c = 0;

        while (c < CLUSTERS && s.mean[k * WIDTH + c] < 5)
            c++;
        assert_in_range(c, 0, CLUSTERS - 1);
        seen |= 1u << c;
        for (size_t i = 0; i < WIDTH; i++) {
            double mean = 0, variance = 0;

            for (size_t n = c; n < SAMPLES; n += CLUSTERS)
                mean += (double)x[n * WIDTH + i] / EACH;
            for (size_t n = c; n < SAMPLES; n += CLUSTERS)
                variance += ((double)x[n * WIDTH + i] - mean) * ((double)x[n * WIDTH + i] - mean) / EACH;
            near(s.mean[k * WIDTH + i], mean, 1e-5);
            near(s.spread[k * WIDTH + i], variance, 1e-6);
        }
    }
    assert_int_equal(seen, (1 << CLUSTERS) - 1);
    statistics_free(&s);
    free(x);
}

/* floor(S / centroids) draws from each centroid in turn, with the 1e-4 added to the variances. */
static void draws_of_clusters(void **state)
{
    enum { S = 4 * 5000 + 3 };
    float *x = clusters(), *drawn = malloc(sizeof(float) * S * WIDTH);
    rng r = rng_stream(1, RNG_TEST, 4, 0, 0);
    struct class_statistics s;

    (void)state;
    assert_non_null(drawn);
    measure(STATISTICS_multi_centroid, x, SAMPLES, WIDTH, CLUSTERS, &s);
    s.spread[0] = 0; /* only the 1e-4 is left of the first variance */
    assert_int_equal(draw(&s, &r, S, drawn), S - 3);
    for (size_t k = 0; k < CLUSTERS; k++) {
        struct class_statistics one;

        measure(STATISTICS_variance, drawn + k * 5000 * WIDTH, 5000, WIDTH, 1, &one);
        for (size_t i = 0; i < WIDTH; i++) {
            double variance = (double)s.spread[k * WIDTH + i] + 1e-4;

            near(one.mean[i], s.mean[k * WIDTH + i], 5 * sqrt(variance / 5000));
            near((double)one.spread[i] - 1e-4, variance, 5 * variance * sqrt(2.0 / 5000));
        }
        statistics_free(&one);
    }
    assert_int_equal(draw(&s, &r, CLUSTERS - 1, drawn), 0);
    statistics_free(&s);
    free(drawn);
    free(x);
}

static void singletons(void **state)
{
    const float pair_and_one[] = {0, 0, 0.5f, 0, 100, 0}, apart[] = {0, 3, 10, 30, 200, 300},
                equal[] = {7, 1, 7, 1, 7, 1, 7, 1};
    rng r = rng_stream(1, RNG_TEST, 6, 0, 0);
    struct class_statistics s;
    float out[22];
    int pair;

    (void)state;
    measure(STATISTICS_multi_centroid, pair_and_one, 3, 2, 2, &s); /* the one has no variance and is not drawn from */
    assert_int_equal(s.centroids, 2);
    pair = s.mean[0] < 50 ? 0 : 1;
    near(s.mean[2 * pair], 0.25, 1e-7);
    near(s.spread[2 * pair], 0.0625, 1e-7);
    near(s.spread[2 * pair + 1], 0, 0);
    near(s.mean[2 * !pair], 100, 0);
    near(s.spread[2 * !pair], 0, 0);
    assert_int_equal(draw(&s, &r, 11, out), 5);
    for (int i = 0; i < 5; i++)
        assert_true(out[2 * i] < 50);
    statistics_free(&s);
    measure(STATISTICS_multi_centroid, apart, 3, 2, 10, &s); /* more centroids than samples: all are alone */
    assert_int_equal(s.centroids, 3);
    near(s.mean[0] + s.mean[2] + s.mean[4], 210, 1e-5);
    for (int i = 0; i < 6; i++)
        near(s.spread[i], 0, 0);
    assert_int_equal(draw(&s, &r, 11, out), 9);
    for (int i = 0; i < 9; i++)
        near(out[2 * i], s.mean[i / 3 * 2], 0.05); /* deviation 0.01 */
    statistics_free(&s);
    measure(STATISTICS_multi_centroid, equal, 4, 2, 3, &s); /* fewer distinct samples than centroids */
    assert_int_equal(s.centroids, 1);
    near(s.mean[0], 7, 0);
    near(s.mean[1], 1, 0);
    near(s.spread[0], 0, 0);
    statistics_free(&s);
}

static void one_sample(void **state)
{
    const float x[] = {1, -2, 3};
    rng r = rng_stream(1, RNG_TEST, 5, 0, 0), same = r;
    struct class_statistics s;
    float out[3];

    (void)state;
    measure(STATISTICS_covariance, x, 1, 3, 1, &s);
    assert_memory_equal(s.mean, x, sizeof x);
    for (int i = 0; i < 9; i++)
        near(s.spread[i], i % 4 ? 0 : 1e-4, 1e-11);
    assert_int_equal(draw(&s, &r, 1, out), 1);
    for (int i = 0; i < 3; i++)
        near(out[i], x[i] + 0.01f * rng_normal(&same), 1e-6);
    statistics_free(&s);
    measure(STATISTICS_variance, x, 1, 3, 1, &s);
    for (int i = 0; i < 3; i++)
        near(s.spread[i], 1e-4, 1e-11);
    statistics_free(&s);
}

static void refused(void **state)
{
    float x[] = {1, 2, 3, NAN, 5, 6}, big[] = {-3e30f, 3e30f};
    struct class_statistics s;
    err e;

    (void)state;
    for (int kind = 0; kind < STATISTICS_KIND_COUNT; kind++) {
        memset(&e, 0, sizeof e);
        assert_int_equal(statistics_measure((enum statistics_kind)kind, x, 0, 2, 2, 1, 1, &s, &e), ERR_DATA);
        assert_null(s.mean);
        x[3] = NAN;
        memset(&e, 0, sizeof e);
        assert_int_equal(statistics_measure((enum statistics_kind)kind, x, 3, 2, 2, 1, 1, &s, &e), ERR_DIVERGED);
        assert_string_equal(e.text, "feature 1 of sample 1 is nan");
        assert_null(s.spread);
        x[3] = INFINITY;
        memset(&e, 0, sizeof e);
        assert_int_equal(statistics_measure((enum statistics_kind)kind, x, 3, 2, 2, 1, 1, &s, &e), ERR_DIVERGED);
        memset(&e, 0, sizeof e);
        assert_int_equal(statistics_measure((enum statistics_kind)kind, big, 2, 1, 1, 1, 1, &s, &e), ERR_DIVERGED);
        assert_null(s.mean);
    }
}

static void not_positive_definite(void **state)
{
    const float x[] = {1, 2, 3, 4, 5, 9}, indefinite[] = {1, 2, 2, 1};
    rng r = rng_stream(1, RNG_TEST, 6, 0, 0);
    struct class_statistics s;
    float out[2];
    err e = {0};
    int drawn;

    (void)state;
    measure(STATISTICS_covariance, x, 3, 2, 1, &s);
    memcpy(s.spread, indefinite, sizeof indefinite);
    assert_int_equal(statistics_draw(&s, &r, 1, out, &drawn, &e), ERR_DIVERGED);
    assert_non_null(strstr(e.text, "not positive definite"));
    assert_null(s.factor);
    statistics_free(&s);
}

static void same_bits(void **state)
{
    enum { S = 10 };
    float *x = clusters();

    (void)state;
    for (int kind = 0; kind < STATISTICS_KIND_COUNT; kind++) {
        struct class_statistics a, b;
        float one[S * WIDTH], two[S * WIDTH], other[S * WIDTH];
        size_t drawn;

        measure((enum statistics_kind)kind, x, SAMPLES, WIDTH, 3, &a);
        measure((enum statistics_kind)kind, x, SAMPLES, WIDTH, 3, &b);
        assert_int_equal(a.centroids, b.centroids);
        assert_memory_equal(a.mean, b.mean, (size_t)(a.centroids * WIDTH) * sizeof *a.mean);
        assert_memory_equal(a.spread, b.spread, statistics_spread_size(a.kind, WIDTH, a.centroids) * sizeof *a.spread);
        for (int pass = 0; pass < 2; pass++) { /* the second time the factor is there already */
            rng r = rng_stream(1, RNG_TEST, 7, 0, 0), same = r, different = rng_stream(1, RNG_TEST, 7, 0, 1);

            drawn = (size_t)draw(&a, &r, S, one);
            assert_int_equal(draw(&b, &same, S, two), drawn);
            assert_memory_equal(one, two, drawn * WIDTH * sizeof *one);
            draw(&a, &different, S, other);
            assert_memory_not_equal(one, other, drawn * WIDTH * sizeof *one);
        }
        statistics_free(&a);
        statistics_free(&b);
    }
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(hand_values),
        cmocka_unit_test(against_long_double),
        cmocka_unit_test(factor_multiplies_back),
        cmocka_unit_test(draw_by_hand),
        cmocka_unit_test(many_draws),
        cmocka_unit_test(separated_clusters),
        cmocka_unit_test(draws_of_clusters),
        cmocka_unit_test(singletons),
        cmocka_unit_test(one_sample),
        cmocka_unit_test(refused),
        cmocka_unit_test(not_positive_definite),
        cmocka_unit_test(same_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
