/* Random streams: Philox against its published vectors and against a second implementation, distributions, names. */
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

/* Philox4x32-10 as the paper has it. */
static void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t k0 = key[0], k1 = key[1];

    memcpy(out, counter, 4 * sizeof *out);
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        uint64_t a = (uint64_t)0xD2511F53u * out[0], b = (uint64_t)0xCD9E8D57u * out[2];
        uint32_t next[4] = {(uint32_t)(b >> 32) ^ out[1] ^ k0, (uint32_t)b, (uint32_t)(a >> 32) ^ out[3] ^ k1,
                            (uint32_t)a};

        memcpy(out, next, sizeof next);
    }
}

/* Counter, key, output: the known answers that come with the Random123 library. */
static void known_answers(void **state)
{
    static const struct {
        uint32_t counter[4], key[2], want[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };

    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        rng r = {.used = 4};
        uint32_t twin[4];

        memcpy(r.counter, cases[c].counter, sizeof r.counter);
        memcpy(r.key, cases[c].key, sizeof r.key);
        philox(cases[c].counter, cases[c].key, twin);
        assert_memory_equal(twin, cases[c].want, sizeof twin);
        for (int i = 0; i < 4; i++)
            assert_int_equal(rng_u32(&r), cases[c].want[i]);
    }
}

/* The n-th number of a stream is a function of its name and n: results that were written down stay valid. */
static void stream_is_its_name(void **state)
{
    const uint64_t seed = 0x0123456789abcdef;
    rng r = rng_stream(seed, RNG_WTP_ORDER, 5, 7, 9);

    (void)state;
    for (uint32_t n = 0; n < 41; n++) {
        uint32_t counter[4] = {n / 4, 9, 7, (uint32_t)RNG_WTP_ORDER << 20 | 5}, key[2] = {0x89abcdef, 0x01234567},
                 out[4];

        philox(counter, key, out);
        assert_int_equal(rng_u32(&r), out[n % 4]);
    }
}

static void different_names_differ(void **state)
{
    const rng streams[] = {
        rng_stream(1, RNG_TEST, 0, 0, 0),          rng_stream(2, RNG_TEST, 0, 0, 0),
        rng_stream(1ull << 32, RNG_TEST, 0, 0, 0), rng_stream(1, RNG_PROMPT_INIT, 0, 0, 0),
        rng_stream(1, RNG_TEST, 1, 0, 0),          rng_stream(1, RNG_TEST, (1u << 20) - 1, 0, 0),
        rng_stream(1, RNG_TEST, 0, 1, 0),          rng_stream(1, RNG_TEST, (1u << 19) - 1, 0, 0),
        rng_stream(1, RNG_TEST, 0, 0, 1),
    };
    enum { COUNT = sizeof streams / sizeof *streams };

    (void)state;
    for (int a = 0; a < COUNT; a++)
        for (int b = a + 1; b < COUNT; b++) {
            rng x = streams[a], y = streams[b];
            int equal = 0;

            for (int i = 0; i < 32; i++)
                equal += rng_u32(&x) == rng_u32(&y);
            assert_in_range(equal, 0, 1);
        }
}

/* How many bits of which numbers make a fraction. */
static void fractions(void **state)
{
    rng r = rng_stream(1, RNG_TEST, 6, 0, 0), bits = r;

    (void)state;
    for (int i = 0; i < 100; i++) {
        uint64_t first, second;

        assert_true(rng_uniform(&r) == (float)(rng_u32(&bits) / 256) / 16777216);
        first = rng_u32(&bits);
        second = rng_u32(&bits);
        assert_true(rng_uniform_double(&r) == (double)(first * 2097152 + second / 2048) / 9007199254740992);
    }
}

static void a_copy_remembers_the_place(void **state)
{
    rng r = rng_stream(1, RNG_TEST, 0, 0, 0), kept;

    (void)state;
    for (int i = 0; i < 6; i++)
        rng_u32(&r);
    kept = r;
    for (int i = 0; i < 11; i++)
        assert_int_equal(rng_u32(&r), rng_u32(&kept));
}

/* Pearson's statistic of counts that should be equal lies within five deviations of its mean. */
static void expect_equal_counts(const uint32_t *counts, size_t bins)
{
    double total = 0, statistic = 0, freedom = (double)bins - 1;

    for (size_t i = 0; i < bins; i++)
        total += counts[i];
    for (size_t i = 0; i < bins; i++) {
        double expected = total / (double)bins;

        statistic += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    if (!(fabs(statistic - freedom) < 5 * sqrt(2 * freedom)))
        fail_msg("chi-square %g with %g degrees of freedom", statistic, freedom);
}

static void uniform(void **state)
{
    enum { BINS = 64, N = 100000 };
    uint32_t single[BINS] = {0}, precise[BINS] = {0}, last_bits[BINS] = {0}, filled[BINS] = {0};
    rng r = rng_stream(1, RNG_TEST, 1, 0, 0);
    float x[1000];

    (void)state;
    for (int i = 0; i < N; i++) {
        float f = rng_uniform(&r);
        double d = rng_uniform_double(&r);

        assert_true(f >= 0 && f < 1 && d >= 0 && d < 1);
        single[(int)(f * BINS)]++;
        precise[(int)(d * BINS)]++;
        last_bits[(uint64_t)(d * 0x1p53) % BINS]++;
    }
    expect_equal_counts(single, BINS);
    expect_equal_counts(precise, BINS);
    expect_equal_counts(last_bits, BINS);
    for (int round = 0; round < 100; round++) {
        rng_fill_uniform(&r, x, 1000, -1, 3);
        for (int i = 0; i < 1000; i++) {
            assert_true(x[i] >= -1 && x[i] < 3);
            filled[(int)((x[i] + 1) / 4 * BINS)]++;
        }
    }
    expect_equal_counts(filled, BINS);
}

/* Moments of order 1 to 4 within five standard errors, and the share in equally likely bins. */
static void normal(void **state)
{
    enum { BINS = 32, N = 200000 };
    const double want[] = {0, 1, 0, 3}, variance[] = {1, 2, 15, 96}; /* of x^k: E x^2k - (E x^k)^2 */
    double moment[4] = {0};
    uint32_t bins[BINS] = {0};
    rng r = rng_stream(1, RNG_TEST, 2, 0, 0);

    (void)state;
    for (int i = 0; i < N; i++) {
        double x = rng_normal(&r), power = 1;
        int bin = (int)(0.5 * erfc(-x / sqrt(2)) * BINS);

        for (int k = 0; k < 4; k++)
            moment[k] += (power *= x) / N;
        bins[bin < BINS ? bin : BINS - 1]++;
    }
    for (int k = 0; k < 4; k++)
        if (!(fabs(moment[k] - want[k]) < 5 * sqrt(variance[k] / N)))
            fail_msg("moment %d is %g, expected %g", k + 1, moment[k], want[k]);
    expect_equal_counts(bins, BINS);
}

static void filled_normals(void **state)
{
    enum { N = 50000 };
    rng a = rng_stream(1, RNG_TEST, 3, 0, 0), b = a;
    float *x = malloc(N * sizeof *x), *y = malloc(N * sizeof *y);
    double sum = 0, squares = 0;

    (void)state;
    assert_true(x && y);
    rng_fill_normal(&a, x, N, 0.02f);
    for (int i = 0; i < 100; i++)
        assert_true(x[i] == 0.02f * rng_normal(&b));
    b = rng_stream(1, RNG_TEST, 3, 0, 0);
    rng_fill_truncated_normal(&b, y, N, 0.02f); /* nothing reaches 2 = 100 deviations */
    assert_memory_equal(x, y, N * sizeof *x);
    rng_fill_truncated_normal(&b, y, N, 2); /* cut at one deviation: variance 4 (1 - 2 phi(1) / (2 Phi(1) - 1)) */
    for (int i = 0; i < N; i++) {
        assert_true(fabsf(y[i]) <= 2);
        sum += y[i];
        squares += (double)y[i] * (double)y[i];
    }
    assert_true(fabs(sum / N) < 5 * sqrt(1.1645 / N));
    assert_true(fabs(squares / N - 1.1645) < 0.025);
    free(x);
    free(y);
}

static void below(void **state)
{
    const uint32_t limits[] = {1, 2, 3, 7, 64, 1000};
    uint32_t thirds[3] = {0}, halves[2] = {0};
    rng r = rng_stream(1, RNG_TEST, 4, 0, 0);

    (void)state;
    for (size_t l = 0; l < sizeof limits / sizeof *limits; l++) {
        uint32_t counts[1000] = {0};

        for (int i = 0; i < 60000; i++) {
            uint32_t x = rng_below(&r, limits[l]);

            assert_true(x < limits[l]);
            counts[x]++;
        }
        if (limits[l] > 1)
            expect_equal_counts(counts, limits[l]);
    }
    for (int i = 0; i < 60000; i++) { /* without rejection, multiples of three would come twice as often */
        uint32_t x = rng_below(&r, 3u << 30);

        assert_true(x < 3u << 30);
        thirds[x % 3]++;
        halves[x / (3u << 29)]++;
    }
    expect_equal_counts(thirds, 3);
    expect_equal_counts(halves, 2);
    assert_true(rng_below(&r, UINT32_MAX) < UINT32_MAX);
}

static void permutations(void **state)
{
    const size_t sizes[] = {0, 1, 2, 3, 100, 1000};
    rng r = rng_stream(1, RNG_TEST, 5, 0, 0);
    uint32_t order[1001], seen[24] = {0};

    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        bool found[1000] = {false};

        order[sizes[s]] = 4711;
        rng_permutation(&r, order, sizes[s]);
        for (size_t i = 0; i < sizes[s]; i++) {
            assert_true(order[i] < sizes[s] && !found[order[i]]);
            found[order[i]] = true;
        }
        assert_int_equal(order[sizes[s]], 4711);
    }
    for (int i = 0; i < 48000; i++) { /* the rank of a permutation of four, in the factorial number system */
        uint32_t rank = 0, factor[] = {6, 2, 1, 1};

        rng_permutation(&r, order, 4);
        for (int a = 0; a < 4; a++)
            for (int b = a + 1; b < 4; b++)
                rank += order[b] < order[a] ? factor[a] : 0;
        seen[rank]++;
    }
    expect_equal_counts(seen, 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(stream_is_its_name),
        cmocka_unit_test(different_names_differ),
        cmocka_unit_test(fractions),
        cmocka_unit_test(a_copy_remembers_the_place),
        cmocka_unit_test(uniform),
        cmocka_unit_test(normal),
        cmocka_unit_test(filled_normals),
        cmocka_unit_test(below),
        cmocka_unit_test(permutations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
