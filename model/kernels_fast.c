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

#define GATE_TANH(u)      (1 - 2 / (fast_exp(2 * (u)) + 1))
#define GATE_SIGMOID(u)   (1 / (1 + fast_exp(-(u))))
#define GATE_EXP(u)       fast_exp(u)
#define GATE_LOG1P_EXP(u) log1pf(expf(u))
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

/* r = s + a1 sigma(a0 s) for n scores: one vector loop for each gate. */
static void apply_gate(float *s, size_t n, enum gate gate, float a0, float a1)
{
    switch (gate) {
#define G(name, value, slope)                              \
    case GATE_##name:                                      \
        _Pragma("omp simd") for (size_t j = 0; j < n; j++) \
        {                                                  \
            float u = a0 * s[j];                           \
            (void)u;                                       \
            s[j] = s[j] + a1 * (value);                    \
        }                                                  \
        break;
        GATES(G)
#undef G
    default:
        break;
    }
}

static void gate_backward(float *d, const float *s, size_t n, enum gate gate, float a0, float a1, double dscalars[2])
{
    float inner = 0, outer = 0;

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
    dscalars[0] += (double)inner;
    dscalars[1] += (double)outer;
}

static void gated_softmax(float *scores, float *raw, size_t R, size_t L, size_t N, enum gate gate, float a0, float a1)
{
    size_t n = L + N;

    for (size_t r = 0; r < R; r++, scores += n) {
        float largest = -INFINITY, sum = 0;

        if (raw)
            memcpy(raw + r * L, scores, L * sizeof *raw);
        if (gate != GATE_none && L)
            apply_gate(scores, L, gate, a0, a1);
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
            gate_backward(d, raw + r * L, L, gate, a0, a1, dscalars);
    }
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
    .gelu_backward = gelu_backward,
    .add_bias = add_bias,
    .gated_softmax = gated_softmax,
    .gated_softmax_backward = gated_softmax_backward,
    .adam = adam,
};
