/* model/kernels_plain.c - the definition of every kernel, written to be read. */
#include "model/kernels.h"

#include <math.h>

#define GATE_TANH(u)      tanh(u)
#define GATE_SIGMOID(u)   (1 / (1 + exp(-(u))))
#define GATE_EXP(u)       exp(u)
#define GATE_LOG1P_EXP(u) log1p(exp(u))
#define GATE_PHI(u)       (0.5 * (1 + erf((u)*0.7071067811865476)))
#define GATE_DENSITY(u)   (0.3989422804014327 * exp(-0.5 * (u) * (u)))

static double gate_value(enum gate gate, double u)
{
    switch (gate) {
#define G(name, value, slope) \
    case GATE_##name:         \
        return value;
        GATES(G)
#undef G
    default:
        return 0;
    }
}

static double gate_slope(enum gate gate, double u)
{
    switch (gate) {
#define G(name, value, slope) \
    case GATE_##name:         \
        return slope;
        GATES(G)
#undef G
    default:
        return 0;
    }
}

static void layer_norm(float *y, float *xhat, float *rstd, const float *x, const float *gain, const float *bias,
                       size_t R, size_t D, float epsilon)
{
    for (size_t r = 0; r < R; r++, x += D, y += D) {
        double mean = 0, variance = 0, scale;

        for (size_t i = 0; i < D; i++)
            mean += x[i];
        mean /= (double)D;
        for (size_t i = 0; i < D; i++)
            variance += (x[i] - mean) * (x[i] - mean);
        scale = 1 / sqrt(variance / (double)D + epsilon);
        for (size_t i = 0; i < D; i++) {
            float normal = (float)((x[i] - mean) * scale);

            if (xhat)
                xhat[r * D + i] = normal;
            y[i] = gain[i] * normal + bias[i];
        }
        if (rstd)
            rstd[r] = (float)scale;
    }
}

static void layer_norm_backward(float *dx, const float *dy, const float *gain, const float *xhat, const float *rstd,
                                size_t R, size_t D)
{
    for (size_t r = 0; r < R; r++, dx += D, dy += D, xhat += D) {
        double mean = 0, projection = 0;

        for (size_t i = 0; i < D; i++) {
            mean += dy[i] * gain[i];
            projection += dy[i] * gain[i] * xhat[i];
        }
        mean /= (double)D;
        projection /= (double)D;
        for (size_t i = 0; i < D; i++)
            dx[i] += (float)((dy[i] * gain[i] - mean - xhat[i] * projection) * rstd[r]);
    }
}

static void gelu(float *h, float *a, const float *bias, size_t R, size_t D)
{
    for (size_t r = 0; r < R; r++)
        for (size_t i = 0; i < D; i++) {
            double u = a[r * D + i] += bias ? bias[i] : 0;

            h[r * D + i] = (float)(u * GATE_PHI(u));
        }
}

static void gelu_backward(float *d, const float *a, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double u = a[i];

        d[i] = (float)(d[i] * (GATE_PHI(u) + u * GATE_DENSITY(u)));
    }
}

static void gelu_and_slope(float *h, float *a, const float *bias, size_t R, size_t D)
{
    gelu(h, a, bias, R, D);
    for (size_t i = 0; i < R * D; i++) {
        double u = a[i];

        a[i] = (float)(GATE_PHI(u) + u * GATE_DENSITY(u));
    }
}

static void scale(float *d, const float *slope, size_t n)
{
    for (size_t i = 0; i < n; i++)
        d[i] *= slope[i];
}

static void add_bias(float *y, const float *x, const float *bias, size_t R, size_t D)
{
    for (size_t r = 0; r < R; r++)
        for (size_t i = 0; i < D; i++)
            y[r * D + i] = (x ? x[r * D + i] : 0) + bias[i];
}

static void gated_softmax(float *scores, float *raw, size_t R, size_t L, size_t N, enum gate gate, float a0, float a1)
{
    for (size_t r = 0; r < R; r++, scores += L + N) {
        double largest = -INFINITY, sum = 0;

        for (size_t j = 0; j < L; j++) {
            if (raw)
                raw[r * L + j] = scores[j];
            if (gate != GATE_none)
                scores[j] = scores[j] + a1 * (float)gate_value(gate, a0 * scores[j]);
        }
        for (size_t j = 0; j < L + N; j++)
            largest = scores[j] > largest ? scores[j] : largest;
        for (size_t j = 0; j < L + N; j++)
            sum += exp(scores[j] - largest);
        for (size_t j = 0; j < L + N; j++)
            scores[j] = (float)(exp(scores[j] - largest) / sum);
    }
}

static void gated_softmax_backward(float *d, const float *probabilities, const float *raw, size_t R, size_t L, size_t N,
                                   enum gate gate, float a0, float a1, double dscalars[2])
{
    for (size_t r = 0; r < R; r++, d += L + N, probabilities += L + N, raw += L) {
        double mean = 0;

        for (size_t j = 0; j < L + N; j++)
            mean += probabilities[j] * d[j];
        for (size_t j = 0; j < L + N; j++)
            d[j] = (float)(probabilities[j] * (d[j] - mean));
        if (gate == GATE_none)
            continue;
        for (size_t j = 0; j < L; j++) {
            double u = a0 * raw[j], slope = gate_slope(gate, u);

            dscalars[0] += d[j] * a1 * slope * raw[j];
            dscalars[1] += d[j] * gate_value(gate, u);
            d[j] = (float)(d[j] * (1 + a1 * a0 * slope));
        }
    }
}

static float exponentials(float *e, const float *logits, const uint8_t *allowed, size_t C, float largest)
{
    double sum = 0;

    for (size_t c = 0; c < C; c++) {
        double value = !allowed || allowed[c] ? exp((double)(logits[c] - largest)) : 0;

        sum += value;
        if (e)
            e[c] = (float)value;
    }
    return (float)sum;
}

static void product(size_t m, size_t n, size_t k, float alpha, const float *A, size_t row, size_t step, const float *B,
                    size_t ldb, bool add, float *C, size_t ldc, struct ahead *ahead)
{
    (void)ahead;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = 0;

            for (size_t p = 0; p < k; p++)
                sum += (double)A[i * row + p * step] * B[p * ldb + j];
            C[i * ldc + j] = (float)((add ? C[i * ldc + j] : 0) + alpha * sum);
        }
}

static void transpose(float *to, size_t ldt, const float *from, size_t ldf, size_t rows, size_t columns)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            to[c * ldt + r] = from[r * ldf + c];
}

static void adam(float *p, float *m, float *v, const float *g, size_t n, const struct adam_step *s)
{
    for (size_t i = 0; i < n; i++) {
        float gradient = g[i] * s->gradient_scale;

        m[i] = s->beta1 * m[i] + s->fresh1 * gradient;
        v[i] = s->beta2 * v[i] + s->fresh2 * gradient * gradient;
        p[i] = p[i] * (1 - s->decay) - s->rate * m[i] / (sqrtf(v[i]) * s->root_correction + s->epsilon);
    }
}

const struct kernels kernels_plain = {
    .name = "plain",
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
