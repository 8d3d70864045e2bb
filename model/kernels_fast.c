/* model/kernels_fast.c - the kernels of kernels.h, vectorised; compiled once for each instruction set.
 *
 * KERNELS is the name of the table, KERNELS_NAME its text.  Sums are split over vector lanes, so they differ from the plain ones
 * in the last bits, and between instruction sets; for one set they are the same on every run. */
#include "model/kernels.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif
#include <math.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* ---- vectors ---- */

#if defined(__AVX512F__)
enum { VECTOR_BYTES = 64 };
#elif defined(__AVX2__)
enum { VECTOR_BYTES = 32 };
#else
enum { VECTOR_BYTES = 16 };
#endif
enum { LANES = VECTOR_BYTES / sizeof(float) };
typedef float vector __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias)); /* at any address */
typedef int32_t lanes_int __attribute__((vector_size(VECTOR_BYTES)));
typedef uint32_t lanes_bits __attribute__((vector_size(VECTOR_BYTES)));

/* One number in every lane: a subtraction that the compiler knows to be none. */
INLINE vector splat(float x)
{
    return x - (vector){0};
}

/* The larger of each two; y where one is NaN. */
INLINE vector larger(vector x, vector y)
{
#if defined(__AVX512F__)
    return (vector)_mm512_max_ps((__m512)x, (__m512)y);
#elif defined(__AVX2__)
    return (vector)_mm256_max_ps((__m256)x, (__m256)y);
#else
    for (int i = 0; i < LANES; i++)
        y[i] = x[i] > y[i] ? x[i] : y[i];
    return y;
#endif
}

/* Lanes are halved until one is left. */
INLINE float sum_of(vector x)
{
#if defined(__AVX512F__)
    return _mm512_reduce_add_ps((__m512)x);
#else
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            x[i] += x[half + i];
    return x[0];
#endif
}

INLINE float largest_of(vector x)
{
#if defined(__AVX512F__)
    return _mm512_reduce_max_ps((__m512)x);
#else
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            x[i] = x[i] > x[half + i] ? x[i] : x[half + i];
    return x[0];
#endif
}

/* Only the first n of x; the others are y's. */
INLINE vector first_lanes(vector x, size_t n, vector y)
{
    static const union {
        int32_t number[16];
        lanes_int lanes;
    } place = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};
    lanes_int take = place.lanes < (int32_t)n;

    return (vector)((take & (lanes_int)x) | (~take & (lanes_int)y));
}

/* The n numbers at `from`, less than a vector; `fill` in the other lanes. */
INLINE vector load_some(const float *from, size_t n, float fill)
{
    float lane[LANES];

    for (size_t i = 0; i < LANES; i++)
        lane[i] = i < n ? from[i] : fill;
    return *(const vector *)lane;
}

INLINE void store_some(float *to, size_t n, vector x)
{
    memcpy(to, &x, n * sizeof *to);
}

/* ---- functions ---- */

/* exp(x) for x = n ln2 + r, |r| <= ln2/2: a polynomial of r, its error below 4e-9 of it (an iteratively reweighted least-squares fit),
 * summed in a tree, and n among the exponent's bits.  Relative error below 1e-7 + 2e-9 |n|.  Below -87 it gives about 1e-38 instead of
 * denormals; NaN stays NaN.  Adding 1.5 * 2^23 rounds to a whole number and leaves it in the low bits, which unlike a conversion is
 * defined for NaN too.  One text for numbers and for vectors. */
#define EXPONENTIAL(type, bits_type, x, result)                           \
    do {                                                                  \
        type n_ = (x)*1.44269504f + 12582912.0f, r_, square_, p_, scale_; \
        bits_type bits_;                                                  \
        memcpy(&bits_, &n_, sizeof bits_);                                \
        bits_ = (bits_ << 23) + (127u << 23);                             \
        memcpy(&scale_, &bits_, sizeof scale_);                           \
        r_ = (x) - (n_ - 12582912.0f) * 0.693147181f;                     \
        square_ = r_ * r_;                                                \
        p_ = (r_ * 0.008368745f + 0.04166839f) + square_ * 0.0013814539f; \
        p_ = (r_ * 0.16666521f + 0.49999994f) + square_ * p_;             \
        (result) = ((r_ + 1.0f) + square_ * p_) * scale_;                 \
    } while (0)

INLINE float fast_exp(float x)
{
    float result;

    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    EXPONENTIAL(float, uint32_t, x, result);
    return result;
}

/* exp(x) of numbers that are not positive. */
INLINE vector vector_exp(vector x)
{
    vector result;

    x = larger(splat(-87), x);
    EXPONENTIAL(vector, lanes_bits, x, result);
    return result;
}

/* erf(x), absolute error below 4e-7: x P(x^2) / Q(x^2) on [0, 3.95], beyond which erf is 1 in float.  Coefficients: an
 * iteratively reweighted least-squares fit with relative error 2.1e-8. */
INLINE float fast_erf(float x)
{
    float z, p, q;

    x = x < -3.95f ? -3.95f : x;
    x = x > 3.95f ? 3.95f : x;
    z = x * x;
    p = 2.02609523e-06f;
    p = p * z + 0.000284671206f;
    p = p * z + 0.00380729338f;
    p = p * z + 0.0528727328f;
    p = p * z + 0.191529624f;
    p = p * z + 1.12837914f;
    q = 3.7832905e-05f;
    q = q * z + 0.00117052197f;
    q = q * z + 0.0150533323f;
    q = q * z + 0.114551096f;
    q = q * z + 0.503071388f;
    q = q * z + 1.0f;
    return x * p / q;
}

INLINE float fast_phi(float u)
{
    return 0.5f + 0.5f * fast_erf(u * 0.707106781f);
}

INLINE float fast_density(float u)
{
    return 0.39894228f * fast_exp(-0.5f * u * u);
}

/* log(1 + x) for 0 <= x <= 1, relative error below 2e-7: 2 artanh(z), z = x / (2 + x) <= 1/3, Taylor series. */
INLINE float fast_log1p(float x)
{
    float z = x / (2 + x), s = z * z, p;

    p = 1.0f / 15;
    p = p * s + 1.0f / 13;
    p = p * s + 1.0f / 11;
    p = p * s + 1.0f / 9;
    p = p * s + 1.0f / 7;
    p = p * s + 1.0f / 5;
    p = p * s + 1.0f / 3;
    p = p * s + 1.0f;
    return 2 * z * p;
}

/* log(1 + exp(u)) without overflow. */
INLINE float fast_softplus(float u)
{
    return (u > 0 ? u : 0) + fast_log1p(fast_exp(u > 0 ? -u : u));
}

#define GATE_TANH(u)      (1 - 2 / (fast_exp(2 * (u)) + 1))
#define GATE_SIGMOID(u)   (1 / (1 + fast_exp(-(u))))
#define GATE_EXP(u)       fast_exp(u)
#define GATE_LOG1P_EXP(u) fast_softplus(u)
#define GATE_PHI(u)       fast_phi(u)
#define GATE_DENSITY(u)   fast_density(u)

static void layer_norm(float *y, float *xhat, float *rstd, const float *x, const float *gain, const float *bias,
                       size_t R, size_t D, float epsilon)
{
    for (size_t r = 0; r < R; r++, x += D, y += D) {
        float sum = 0, squares = 0, mean, scale;

#pragma omp simd reduction(+ : sum)
        for (size_t i = 0; i < D; i++)
            sum += x[i];
        mean = sum / (float)D;
#pragma omp simd reduction(+ : squares)
        for (size_t i = 0; i < D; i++)
            squares += (x[i] - mean) * (x[i] - mean);
        scale = 1 / sqrtf(squares / (float)D + epsilon);
        if (xhat) {
            float *keep = xhat + r * D;

#pragma omp simd
            for (size_t i = 0; i < D; i++) {
                float normal = (x[i] - mean) * scale;

                keep[i] = normal;
                y[i] = gain[i] * normal + bias[i];
            }
        } else {
#pragma omp simd
            for (size_t i = 0; i < D; i++)
                y[i] = gain[i] * ((x[i] - mean) * scale) + bias[i];
        }
        if (rstd)
            rstd[r] = scale;
    }
}

static void layer_norm_backward(float *dx, const float *dy, const float *gain, const float *xhat, const float *rstd,
                                size_t R, size_t D)
{
    for (size_t r = 0; r < R; r++, dx += D, dy += D, xhat += D) {
        float sum = 0, dot = 0, scale = rstd[r];

#pragma omp simd reduction(+ : sum, dot)
        for (size_t i = 0; i < D; i++) {
            float g = dy[i] * gain[i];

            sum += g;
            dot += g * xhat[i];
        }
        sum /= (float)D;
        dot /= (float)D;
#pragma omp simd
        for (size_t i = 0; i < D; i++)
            dx[i] += (dy[i] * gain[i] - sum - xhat[i] * dot) * scale;
    }
}

static void gelu(float *h, float *a, const float *bias, size_t R, size_t D)
{
    for (size_t r = 0; r < R; r++, a += D, h += D) {
        if (bias) {
#pragma omp simd
            for (size_t i = 0; i < D; i++)
                a[i] += bias[i];
        }
#pragma omp simd
        for (size_t i = 0; i < D; i++)
            h[i] = a[i] * fast_phi(a[i]);
    }
}

static void gelu_backward(float *d, const float *a, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        float u = a[i];

        d[i] *= fast_phi(u) + u * fast_density(u);
    }
}

static void gelu_and_slope(float *h, float *a, const float *bias, size_t R, size_t D)
{
    for (size_t r = 0; r < R; r++, a += D, h += D) {
        if (bias) {
#pragma omp simd
            for (size_t i = 0; i < D; i++)
                a[i] += bias[i];
        }
#pragma omp simd
        for (size_t i = 0; i < D; i++) {
            float u = a[i], phi = fast_phi(u);

            h[i] = u * phi;
            a[i] = phi + u * fast_density(u);
        }
    }
}

static void scale(float *d, const float *slope, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        d[i] *= slope[i];
}

static void add_bias(float *y, const float *x, const float *bias, size_t R, size_t D)
{
    for (size_t r = 0; r < R; r++, y += D) {
        if (!x) {
            memcpy(y, bias, D * sizeof *y);
            continue;
        }
#pragma omp simd
        for (size_t i = 0; i < D; i++)
            y[i] = x[r * D + i] + bias[i];
    }
}

/* ---- gate and softmax ---- */

/* Prefix scores are few in a row, so those of some rows are gated together, side by side in a block of a few vectors. */
enum { BLOCK = 128, ROWS = 8 };

static size_t whole_vectors(size_t n)
{
    return (n + LANES - 1) / LANES * LANES;
}

/* block: s + a1 sigma(a0 s) of each of its n numbers, a whole number of vectors.  One loop for each gate. */
static void gate_block(float *block, size_t n, enum gate gate, float a0, float a1)
{
    n = n / LANES * LANES; /* which the compiler is told by this: no loop has a remainder */
    switch (gate) {
#define G(name, value, slope)                              \
    case GATE_##name:                                      \
        _Pragma("omp simd") for (size_t j = 0; j < n; j++) \
        {                                                  \
            float s = block[j], u = a0 * s;                \
            (void)u;                                       \
            block[j] = s + a1 * (value);                   \
        }                                                  \
        break;
        GATES(G)
#undef G
    default:
        break;
    }
}

/* d, s: blocks of n numbers.  d: in, gradients of the gated scores, 0 in the padding; out, of the bare scores s.  sums += the gradients
 * of (a0, a1). */
static void gate_block_backward(float *d, const float *s, size_t n, enum gate gate, float a0, float a1, double sums[2])
{
    float inner = 0, outer = 0;

    n = n / LANES * LANES; /* which the compiler is told by this: no loop has a remainder */
    switch (gate) {
#define G(name, value, slope)                                                          \
    case GATE_##name:                                                                  \
        _Pragma("omp simd reduction(+ : inner, outer)") for (size_t j = 0; j < n; j++) \
        {                                                                              \
            float u = a0 * s[j], sigma, steep;                                         \
            (void)u;                                                                   \
            sigma = (value);                                                           \
            steep = (slope);                                                           \
            inner += d[j] * a1 * steep * s[j];                                         \
            outer += d[j] * sigma;                                                     \
            d[j] *= 1 + a1 * a0 * steep;                                               \
        }                                                                              \
        break;
        GATES(G)
#undef G
    default:
        break;
    }
    sums[0] += (double)inner;
    sums[1] += (double)outer;
}

/* to (rows, L) = the first L numbers of rows of `from`, `stride` apart.  A vector at a time where there is room for what it reads and
 * writes too much, which the next row then overwrites: a row of `from` has `reach` numbers, and `room` may be written. */
static void gather(float *to, size_t room, const float *from, size_t reach, size_t rows, size_t L, size_t stride)
{
    bool wide = whole_vectors(L) <= reach;

    for (size_t r = 0; r < rows; r++, from += stride, to += L, room -= L)
        if (wide && whole_vectors(L) <= room)
            for (size_t j = 0; j < L; j += LANES)
                *(vector *)(to + j) = *(const vector *)(from + j);
        else
            memcpy(to, from, L * sizeof *to);
}

/* The way back.  Whole vectors are written, so that who reads them next does not wait for their parts. */
static void scatter(float *to, size_t reach, const float *from, size_t rows, size_t L, size_t stride)
{
    bool wide = whole_vectors(L) <= reach;

    for (size_t r = 0; r < rows; r++, to += stride, from += L)
        if (wide)
            for (size_t j = 0; j < L; j += LANES) {
                vector *at = (vector *)(to + j);

                *at = first_lanes(*(const vector *)(from + j), L - j, *at);
            }
        else
            memcpy(to, from, L * sizeof *to);
}

/* The first L numbers of rows that are `stride` apart: many rows of a short prefix at a time, or a part of a long one. */
static void apply_gate(float *scores, size_t rows, size_t L, size_t stride, enum gate gate, float a0, float a1)
{
    size_t together = L < BLOCK ? BLOCK / L : 1;
    float block[BLOCK + LANES] = {0};

    for (size_t r = 0; r < rows; r += together) {
        size_t height = rows - r < together ? rows - r : together;

        for (size_t p = 0; p < L; p += BLOCK) {
            float *at = scores + r * stride + p;
            size_t width = L - p < BLOCK ? L - p : BLOCK;

            gather(block, BLOCK + LANES, at, stride - p, height, width, stride);
            gate_block(block, whole_vectors(height * width), gate, a0, a1);
            scatter(at, stride - p, block, height, width, stride);
        }
    }
}

/* d: rows `stride` apart; raw (rows, L): the bare scores. */
static void apply_gate_backward(float *d, const float *raw, size_t rows, size_t L, size_t stride, enum gate gate,
                                float a0, float a1, double dscalars[2])
{
    size_t together = L < BLOCK ? BLOCK / L : 1;
    float block[BLOCK + LANES], bare[BLOCK + LANES] = {0};

    for (size_t r = 0; r < rows; r += together) {
        size_t height = rows - r < together ? rows - r : together;

        for (size_t p = 0; p < L; p += BLOCK) {
            float *at = d + r * stride + p;
            size_t width = L - p < BLOCK ? L - p : BLOCK, n = height * width;

            gather(block, BLOCK + LANES, at, stride - p, height, width, stride);
            for (size_t j = n; j < whole_vectors(n); j++)
                block[j] = 0;
            memcpy(bare, raw + r * L + p, n * sizeof *bare); /* several rows only where p is 0 and width L */
            gate_block_backward(block, bare, whole_vectors(n), gate, a0, a1, dscalars);
            scatter(at, stride - p, block, height, width, stride);
        }
    }
}

/* Some rows of n numbers, step by step for all of them, so that the steps of one row, which wait for each other, fill the pauses of
 * another's. */
static void softmax_rows(float *scores, size_t rows, size_t n)
{
    size_t whole = n / LANES * LANES;
    float share[ROWS];

    for (size_t r = 0; r < rows; r++) {
        const float *s = scores + r * n;
        vector most = splat(-INFINITY);

        for (size_t j = 0; j < whole; j += LANES)
            most = larger(*(const vector *)(s + j), most);
        if (whole < n)
            most = larger(load_some(s + whole, n - whole, -INFINITY), most);
        share[r] = largest_of(most);
    }
    for (size_t r = 0; r < rows; r++) {
        float *s = scores + r * n;
        vector sum = {0}, most = splat(share[r]);

        for (size_t j = 0; j < whole; j += LANES) {
            vector e = vector_exp(*(const vector *)(s + j) - most);

            *(vector *)(s + j) = e;
            sum += e;
        }
        if (whole < n) {
            vector e = vector_exp(load_some(s + whole, n - whole, -INFINITY) - most);

            store_some(s + whole, n - whole, e);
            sum += first_lanes(e, n - whole, (vector){0});
        }
        share[r] = 1 / sum_of(sum);
    }
    for (size_t r = 0; r < rows; r++) {
        float *s = scores + r * n, factor = share[r];

#pragma omp simd
        for (size_t j = 0; j < n; j++)
            s[j] *= factor;
    }
}

static void gated_softmax(float *scores, float *raw, size_t R, size_t L, size_t N, enum gate gate, float a0, float a1)
{
    size_t n = L + N;

    if (raw && L)
        gather(raw, R * L, scores, n, R, L, n);
    if (gate != GATE_none && L)
        apply_gate(scores, R, L, n, gate, a0, a1);
    for (size_t r = 0; r < R; r += ROWS)
        softmax_rows(scores + r * n, R - r < ROWS ? R - r : ROWS, n);
}

static void gated_softmax_backward(float *d, const float *probabilities, const float *raw, size_t R, size_t L, size_t N,
                                   enum gate gate, float a0, float a1, double dscalars[2])
{
    size_t n = L + N, whole = n / LANES * LANES;

    for (size_t r = 0; r < R; r++) {
        const float *p = probabilities + r * n, *p_rest = p + whole;
        float *g = d + r * n, *g_rest = g + whole;
        vector sum = {0}, mean;

        for (size_t j = 0; j < whole; j += LANES)
            sum += *(const vector *)(p + j) * *(const vector *)(g + j);
        if (whole < n)
            sum += load_some(p_rest, n - whole, 0) * load_some(g_rest, n - whole, 0);
        mean = splat(sum_of(sum));
        for (size_t j = 0; j < whole; j += LANES)
            *(vector *)(g + j) = *(const vector *)(p + j) * (*(const vector *)(g + j) - mean);
        if (whole < n)
            store_some(g_rest, n - whole, load_some(p_rest, n - whole, 0) * (load_some(g_rest, n - whole, 0) - mean));
    }
    if (gate != GATE_none && L)
        apply_gate_backward(d, raw, R, L, n, gate, a0, a1, dscalars);
}

/* One loop for each pair of constants, without a question in it. */
INLINE float exponentials_where(float *e, const float *logits, const uint8_t *allowed, size_t C, float largest,
                                const bool masked, const bool keep)
{
    float sum = 0;

#pragma omp simd reduction(+ : sum)
    for (size_t c = 0; c < C; c++) {
        float value = fast_exp(logits[c] - largest);

        if (masked)
            value = allowed[c] ? value : 0;
        if (keep)
            e[c] = value;
        sum += value;
    }
    return sum;
}

static float exponentials(float *e, const float *logits, const uint8_t *allowed, size_t C, float largest)
{
    if (allowed)
        return e ? exponentials_where(e, logits, allowed, C, largest, true, true)
                 : exponentials_where(e, logits, allowed, C, largest, true, false);
    return e ? exponentials_where(e, logits, allowed, C, largest, false, true)
             : exponentials_where(e, logits, allowed, C, largest, false, false);
}

/* ---- products ---- */

/* A tile's sums, a row's numbers of B and one of A fill the registers, 32 of AVX-512, 16 elsewhere: TILE_ROWS rows of TILE_VECTORS
 * vectors, or more of fewer. */
#if defined(__AVX512F__)
enum { TILE_VECTORS = 3, TILE_ROWS = 8, ROWS_OF_TWO = 12, ROWS_OF_ONE = 16 };
#else
enum { TILE_VECTORS = 2, TILE_ROWS = 6, ROWS_OF_TWO = 6, ROWS_OF_ONE = 8 };
#endif
enum { MOST_ROWS = 16 };

/* The operands of `product`, at one tile. */
struct operands {
    size_t k, row, step, ldb, ldc;
    float alpha;
    bool add;
    const float *A, *B;
    float *C;
    struct ahead *ahead;
};

enum { LINE = 16, FETCH_EVERY = 16 }; /* numbers of a line of the cache; rows of B between two that are asked for */

INLINE void fetch_line(struct ahead *a)
{
    if (!a || !a->rows)
        return;
    __builtin_prefetch(a->at + a->column, 0, 2);
    a->column += LINE;
    if (a->column >= a->columns) {
        a->column = 0;
        a->at += a->stride;
        a->rows--;
    }
}

INLINE void store(float *C, vector sum, const struct operands *o, size_t lanes)
{
    if (lanes >= LANES) {
        vector *at = (vector *)C;

        *at = o->add ? *at + o->alpha * sum : o->alpha * sum;
        return;
    }
    for (size_t j = 0; j < lanes; j++)
        C[j] = (o->add ? C[j] : 0) + o->alpha * sum[j];
}

/* C's tile of `rows` rows and `vectors` vectors, of which `columns` numbers are C's: all sums stay in registers. */
INLINE void tile(const struct operands *o, const size_t rows, const size_t vectors, size_t columns)
{
    vector sum[MOST_ROWS][TILE_VECTORS] = {0};
    const float *A = o->A, *B = o->B;

    for (size_t p = 0; p < o->k; p++, A += o->step, B += o->ldb) {
        vector b[TILE_VECTORS];

        if (p % FETCH_EVERY == 0)
            fetch_line(o->ahead);

#pragma GCC unroll 3
        for (size_t v = 0; v < vectors; v++)
            b[v] = *(const vector *)(B + v * LANES);
#pragma GCC unroll 16
        for (size_t r = 0; r < rows; r++) {
            vector a = splat(A[r * o->row]);

#pragma GCC unroll 3
            for (size_t v = 0; v < vectors; v++)
                sum[r][v] += a * b[v];
        }
    }
#pragma GCC unroll 16
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 3
        for (size_t v = 0; v < vectors; v++)
            if (columns > v * LANES)
                store(o->C + r * o->ldc + v * LANES, sum[r][v], o, columns - v * LANES);
}

/* A strip of so many vectors, all m rows, the most of them in tiles of `rows`. */
INLINE void strip(struct operands o, size_t m, const size_t rows, const size_t vectors, size_t columns)
{
#define TILES(height)                                                                  \
    for (; m >= (height); m -= (height), o.A += (height)*o.row, o.C += (height)*o.ldc) \
    tile(&o, (height), vectors, columns)
    TILES(rows);
    if (rows > 8)
        TILES(8);
    if (rows > 4)
        TILES(4);
    TILES(2);
    TILES(1);
#undef TILES
}

static void product(size_t m, size_t n, size_t k, float alpha, const float *A, size_t row, size_t step, const float *B,
                    size_t ldb, bool add, float *C, size_t ldc, struct ahead *ahead)
{
    struct operands o = {.k = k,
                         .row = row,
                         .step = step,
                         .ldb = ldb,
                         .ldc = ldc,
                         .alpha = alpha,
                         .add = add,
                         .A = A,
                         .B = B,
                         .C = C,
                         .ahead = ahead};

    for (size_t j = 0, vectors; j < n; j += vectors * LANES) {
        size_t left = (n - j + LANES - 1) / LANES;

        vectors = left >= TILE_VECTORS && left != TILE_VECTORS + 1 ? TILE_VECTORS
                  : left > 1                                       ? 2
                                                                   : 1; /* 4 = 2 + 2, not 3 + 1 */
        o.B = B + j;
        o.C = C + j;
        if (vectors > 2)
            strip(o, m, TILE_ROWS, TILE_VECTORS, n - j);
        else if (vectors == 2)
            strip(o, m, ROWS_OF_TWO, 2, n - j);
        else
            strip(o, m, ROWS_OF_ONE, 1, n - j);
    }
}

/* ---- transposes ---- */

typedef float four __attribute__((vector_size(16), aligned(4), may_alias));

/* Four numbers of every fourth row, side by side: as many rows as a vector has room for. */
INLINE vector every_fourth_row(const float *from, size_t ldf)
{
#define FOUR(row) (*(const four *)(from + 4 * (row)*ldf))
#if defined(__AVX512F__)
    return __builtin_shufflevector(__builtin_shufflevector(FOUR(0), FOUR(1), 0, 1, 2, 3, 4, 5, 6, 7),
                                   __builtin_shufflevector(FOUR(2), FOUR(3), 0, 1, 2, 3, 4, 5, 6, 7), 0, 1, 2, 3, 4, 5,
                                   6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#elif defined(__AVX2__)
    return __builtin_shufflevector(FOUR(0), FOUR(1), 0, 1, 2, 3, 4, 5, 6, 7);
#else
    return FOUR(0);
#endif
#undef FOUR
}

/* Of each four numbers of a and each four of b: their first two in turns, their last two in turns, both first halves, both last
 * halves. */
#if defined(__AVX512F__)
#define EACH_FOUR(a, b, i, j, k, l)                                                                                   \
    __builtin_shufflevector(a, b, i, j, k, l, i + 4, j + 4, k + 4, l + 4, i + 8, j + 8, k + 8, l + 8, i + 12, j + 12, \
                            k + 12, l + 12)
#elif defined(__AVX2__)
#define EACH_FOUR(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l, i + 4, j + 4, k + 4, l + 4)
#else
#define EACH_FOUR(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#endif
#define FIRST_IN_TURNS(a, b) EACH_FOUR(a, b, 0, LANES, 1, LANES + 1)
#define LAST_IN_TURNS(a, b)  EACH_FOUR(a, b, 2, LANES + 2, 3, LANES + 3)
#define FIRST_HALVES(a, b)   EACH_FOUR(a, b, 0, 1, LANES, LANES + 1)
#define LAST_HALVES(a, b)    EACH_FOUR(a, b, 2, 3, LANES + 2, LANES + 3)

/* LANES rows of four numbers become four columns: each lane of four transposes its own. */
INLINE void transpose_lanes(float *to, size_t ldt, const float *from, size_t ldf)
{
    vector a = every_fourth_row(from, ldf), b = every_fourth_row(from + ldf, ldf),
           c = every_fourth_row(from + 2 * ldf, ldf), d = every_fourth_row(from + 3 * ldf, ldf);
    vector ab_first = FIRST_IN_TURNS(a, b), ab_last = LAST_IN_TURNS(a, b), cd_first = FIRST_IN_TURNS(c, d),
           cd_last = LAST_IN_TURNS(c, d);

    *(vector *)to = FIRST_HALVES(ab_first, cd_first);
    *(vector *)(to + ldt) = LAST_HALVES(ab_first, cd_first);
    *(vector *)(to + 2 * ldt) = FIRST_HALVES(ab_last, cd_last);
    *(vector *)(to + 3 * ldt) = LAST_HALVES(ab_last, cd_last);
}

/* By sixteen columns, a line of the cache of each row, so that what is written stays near too. */
static void transpose(float *to, size_t ldt, const float *from, size_t ldf, size_t rows, size_t columns)
{
    size_t whole_rows = rows / LANES * LANES, whole = columns / 4 * 4;

    for (size_t first = 0, end; first < whole; first = end) {
        end = first + LINE < whole ? first + LINE : whole;
        for (size_t r = 0; r < whole_rows; r += LANES)
            for (size_t c = first; c < end; c += 4)
                transpose_lanes(to + c * ldt + r, ldt, from + r * ldf + c, ldf);
        for (size_t r = whole_rows; r < rows; r++)
            for (size_t c = first; c < end; c++)
                to[c * ldt + r] = from[r * ldf + c];
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t c = whole; c < columns; c++)
            to[c * ldt + r] = from[r * ldf + c];
}

static void adam(float *p, float *m, float *v, const float *g, size_t n, const struct adam_step *s)
{
    float beta1 = s->beta1, beta2 = s->beta2, rate = s->rate, root = s->root_correction, epsilon = s->epsilon;
    float scale = s->gradient_scale, keep = 1 - s->decay, fresh1 = s->fresh1, fresh2 = s->fresh2;

#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        float gradient = g[i] * scale;

        m[i] = beta1 * m[i] + fresh1 * gradient;
        v[i] = beta2 * v[i] + fresh2 * gradient * gradient;
        p[i] = p[i] * keep - rate * m[i] / (sqrtf(v[i]) * root + epsilon);
    }
}

extern const struct kernels KERNELS;
const struct kernels KERNELS = {
    .name = KERNELS_NAME,
    .layer_norm = layer_norm,
    .layer_norm_backward = layer_norm_backward,
    .gelu = gelu,
    .gelu_and_slope = gelu_and_slope,
    .gelu_backward = gelu_backward,
    .scale = scale,
    .add_bias = add_bias,
    .gated_softmax = gated_softmax,
    .gated_softmax_backward = gated_softmax_backward,
    .exponentials = exponentials,
    .product = product,
    .transpose = transpose,
    .adam = adam,
};
