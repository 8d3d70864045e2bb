/* model/kernels_fast.c - the kernels of kernels.h, vectorised; compiled once for each instruction set.
 *
 * KERNELS is the name of the table, KERNELS_NAME its text.  Sums are split over vector lanes, so they differ from the plain ones
 * in the last bits, and between instruction sets; for one set they are the same on every run. */
#include "model/kernels.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* exp(x), relative error below 2e-7: x = n ln2 + r, |r| <= ln2/2, Taylor series of r, exponent bits of n.  Below -87 it gives
 * about 1e-38 instead of denormals; NaN stays NaN.  Adding 1.5 * 2^23 rounds to a whole number and leaves it in the low bits,
 * which unlike a conversion is defined for NaN too. */
INLINE float fast_exp(float x)
{
    float n, r, p;
    uint32_t bits;

    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    n = x * 1.44269504f + 12582912.0f;
    memcpy(&bits, &n, sizeof bits);
    n -= 12582912.0f;
    r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    p = 1.0f / 5040;
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    bits = (bits << 23) + (127u << 23);
    memcpy(&n, &bits, sizeof n);
    return p * n;
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

enum { BLOCK = 16 }; /* scores of a prefix are gated so many at once: a loop of known length needs no remainder */

/* The first n of a block of scores: r = s + a1 sigma(a0 s).  One vector loop for each gate. */
INLINE void gate_block(float *s, int n, enum gate gate, float a0, float a1)
{
    switch (gate) {
#define G(name, value, slope)                               \
    case GATE_##name:                                       \
        _Pragma("omp simd") for (int j = 0; j < BLOCK; j++) \
        {                                                   \
            float u = a0 * s[j], r;                         \
            (void)u;                                        \
            r = s[j] + a1 * (value);                        \
            s[j] = j < n ? r : s[j];                        \
        }                                                   \
        break;
        GATES(G)
#undef G
    default:
        break;
    }
}

/* The first n of a row of `room` scores. */
static void apply_gate(float *s, size_t n, size_t room, enum gate gate, float a0, float a1)
{
    float block[BLOCK] = {0};

    for (; n && room >= BLOCK; s += BLOCK, room -= BLOCK, n -= n < BLOCK ? n : BLOCK)
        gate_block(s, n < BLOCK ? (int)n : BLOCK, gate, a0, a1);
    if (!n)
        return;
    for (size_t j = 0; j < n; j++)
        block[j] = s[j];
    gate_block(block, (int)n, gate, a0, a1);
    for (size_t j = 0; j < n; j++)
        s[j] = block[j];
}

/* d of the first n of a block: in, of the gated scores; out, of the bare scores s.  sums += the gradients of (a0, a1). */
INLINE void gate_block_backward(float *d, const float *s, int n, enum gate gate, float a0, float a1, float sums[2])
{
    float inner = 0, outer = 0;

    switch (gate) {
#define G(name, value, slope)                                                           \
    case GATE_##name:                                                                   \
        _Pragma("omp simd reduction(+ : inner, outer)") for (int j = 0; j < BLOCK; j++) \
        {                                                                               \
            float u = a0 * s[j], mine = j < n ? d[j] : 0, sigma, steep;                 \
            (void)u;                                                                    \
            sigma = (value);                                                            \
            steep = (slope);                                                            \
            inner += mine * a1 * steep * s[j];                                          \
            outer += mine * sigma;                                                      \
            d[j] = j < n ? mine * (1 + a1 * a0 * steep) : d[j];                         \
        }                                                                               \
        break;
        GATES(G)
#undef G
    default:
        break;
    }
    sums[0] += inner;
    sums[1] += outer;
}

/* room: numbers from d and from s to the end of their arrays. */
static void gate_backward(float *d, const float *s, size_t n, size_t room, enum gate gate, float a0, float a1,
                          double dscalars[2])
{
    float sums[2] = {0, 0}, dblock[BLOCK] = {0}, block[BLOCK] = {0};

    for (; n && room >= BLOCK; d += BLOCK, s += BLOCK, room -= BLOCK, n -= n < BLOCK ? n : BLOCK)
        gate_block_backward(d, s, n < BLOCK ? (int)n : BLOCK, gate, a0, a1, sums);
    for (size_t j = 0; j < n; j++) {
        dblock[j] = d[j];
        block[j] = s[j];
    }
    if (n)
        gate_block_backward(dblock, block, (int)n, gate, a0, a1, sums);
    for (size_t j = 0; j < n; j++)
        d[j] = dblock[j];
    dscalars[0] += (double)sums[0];
    dscalars[1] += (double)sums[1];
}

static void gated_softmax(float *scores, float *raw, size_t R, size_t L, size_t N, enum gate gate, float a0, float a1)
{
    size_t n = L + N;

    for (size_t r = 0; r < R; r++, scores += n) {
        float largest = -INFINITY, sum = 0;

        if (raw)
            memcpy(raw + r * L, scores, L * sizeof *raw);
        if (gate != GATE_none && L)
            apply_gate(scores, L, n, gate, a0, a1);
#pragma omp simd reduction(max : largest)
        for (size_t j = 0; j < n; j++)
            largest = scores[j] > largest ? scores[j] : largest;
#pragma omp simd reduction(+ : sum)
        for (size_t j = 0; j < n; j++) {
            scores[j] = fast_exp(scores[j] - largest);
            sum += scores[j];
        }
        sum = 1 / sum;
#pragma omp simd
        for (size_t j = 0; j < n; j++)
            scores[j] *= sum;
    }
}

static void gated_softmax_backward(float *d, const float *probabilities, const float *raw, size_t R, size_t L, size_t N,
                                   enum gate gate, float a0, float a1, double dscalars[2])
{
    size_t n = L + N;

    for (size_t r = 0; r < R; r++, d += n, probabilities += n) {
        float mean = 0;

#pragma omp simd reduction(+ : mean)
        for (size_t j = 0; j < n; j++)
            mean += probabilities[j] * d[j];
#pragma omp simd
        for (size_t j = 0; j < n; j++)
            d[j] = probabilities[j] * (d[j] - mean);
        if (gate != GATE_none && L)
            gate_backward(d, raw + r * L, L, n < (R - r) * L ? n : (R - r) * L, gate, a0, a1, dscalars);
    }
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

/* A tile's sums, a row's numbers of B and one of A fill the registers: 32 of AVX-512, 16 elsewhere. */
#if defined(__AVX512F__)
enum { VECTOR_BYTES = 64, TILE_ROWS = 8, TILE_VECTORS = 3 };
#elif defined(__AVX2__)
enum { VECTOR_BYTES = 32, TILE_ROWS = 6, TILE_VECTORS = 2 };
#else
enum { VECTOR_BYTES = 16, TILE_ROWS = 6, TILE_VECTORS = 2 };
#endif
enum { LANES = VECTOR_BYTES / sizeof(float) };
typedef float vector __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias)); /* at any address */

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

/* One number in every lane: a subtraction that the compiler knows to be none. */
INLINE vector splat(float x)
{
    return x - (vector){0};
}

/* C's tile of `rows` rows and `vectors` vectors, of which `columns` numbers are C's: all sums stay in registers. */
INLINE void tile(const struct operands *o, const size_t rows, const size_t vectors, size_t columns)
{
    vector sum[TILE_ROWS][TILE_VECTORS] = {0};
    const float *A = o->A, *B = o->B;

    for (size_t p = 0; p < o->k; p++, A += o->step, B += o->ldb) {
        vector b[TILE_VECTORS];

        if (p % FETCH_EVERY == 0)
            fetch_line(o->ahead);

#pragma GCC unroll 3
        for (size_t v = 0; v < vectors; v++)
            b[v] = *(const vector *)(B + v * LANES);
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++) {
            vector a = splat(A[r * o->row]);

#pragma GCC unroll 3
            for (size_t v = 0; v < vectors; v++)
                sum[r][v] += a * b[v];
        }
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 3
        for (size_t v = 0; v < vectors; v++)
            if (columns > v * LANES)
                store(o->C + r * o->ldc + v * LANES, sum[r][v], o, columns - v * LANES);
}

/* A strip of up to TILE_VECTORS vectors, all m rows. */
INLINE void strip(struct operands o, size_t m, const size_t vectors, size_t columns)
{
    for (; m >= TILE_ROWS; m -= TILE_ROWS, o.A += TILE_ROWS * o.row, o.C += TILE_ROWS * o.ldc)
        tile(&o, TILE_ROWS, vectors, columns);
    for (; m >= 4; m -= 4, o.A += 4 * o.row, o.C += 4 * o.ldc)
        tile(&o, 4, vectors, columns);
    for (; m >= 2; m -= 2, o.A += 2 * o.row, o.C += 2 * o.ldc)
        tile(&o, 2, vectors, columns);
    if (m)
        tile(&o, 1, vectors, columns);
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
        if (vectors == TILE_VECTORS)
            strip(o, m, TILE_VECTORS, n - j);
        else if (vectors == 2)
            strip(o, m, 2, n - j);
        else
            strip(o, m, 1, n - j);
    }
}

typedef float four __attribute__((vector_size(16), aligned(4), may_alias));

/* Four rows of four numbers become columns. */
INLINE void transpose_four(float *to, size_t ldt, const float *from, size_t ldf)
{
    four a = *(const four *)from, b = *(const four *)(from + ldf), c = *(const four *)(from + 2 * ldf),
         d = *(const four *)(from + 3 * ldf);
    four ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    four cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);

    *(four *)to = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
    *(four *)(to + ldt) = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
    *(four *)(to + 2 * ldt) = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
    *(four *)(to + 3 * ldt) = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}

static void transpose(float *to, size_t ldt, const float *from, size_t ldf, size_t rows, size_t columns)
{
    size_t r = 0, whole = columns / 4 * 4;

    for (; r + 4 <= rows; r += 4) {
        for (size_t c = 0; c < whole; c += 4)
            transpose_four(to + c * ldt + r, ldt, from + r * ldf + c, ldf);
        for (size_t i = r; i < r + 4; i++)
            for (size_t c = whole; c < columns; c++)
                to[c * ldt + i] = from[i * ldf + c];
    }
    for (; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
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
