/* model/losses.c - see losses.h. */
#include "model/losses.h"

#include <math.h>
#include <string.h>

#include "model/blas.h"
#include "model/kernels.h"

static float largest_logit(const float *logits, const uint8_t *allowed, int C)
{
    float largest = -INFINITY;

    for (int c = 0; c < C; c++)
        if ((!allowed || allowed[c]) && logits[c] > largest)
            largest = logits[c];
    return largest;
}

/* The first allowed class with the largest logit; -1 if there is none, as where all are NaN. */
static int best_class(const float *logits, const uint8_t *allowed, int C, float largest)
{
    for (int c = 0; c < C; c++)
        if (logits[c] == largest && (!allowed || allowed[c]))
            return c;
    return -1;
}

/* Exponentials become the gradient of a mean over B rows: (softmax - [the label's class]) / B. */
static void row_gradient(float *e, int C, int label, float sum, int B)
{
    float mine = (e[label] / sum - 1) / (float)B, scale = 1 / (sum * (float)B);

    for (int c = 0; c < C; c++)
        e[c] *= scale;
    e[label] = mine;
}

double cross_entropy(float *logits, const int32_t *labels, const uint8_t *allowed, int B, int C, bool keep,
                     int *correct)
{
    const struct kernels *k = kernels_best();
    double loss = 0;
    int right = 0;

    for (int b = 0; b < B; b++, logits += C) {
        int label = labels[b];
        float mine = logits[label], largest = largest_logit(logits, allowed, C);
        int best = best_class(logits, allowed, C, largest);
        float sum = k->exponentials(keep ? NULL : logits, logits, allowed, (size_t)C, largest);

        loss += allowed && !allowed[label] ? INFINITY : log((double)sum) - ((double)mine - (double)largest);
        right += best == label;
        if (!keep)
            row_gradient(logits, C, label, sum, B);
    }
    if (correct)
        *correct = right;
    return loss / B;
}

size_t contrastive_scratch(int K, int B, int D)
{
    size_t R = (size_t)K + (size_t)B;

    return R * R + R * (size_t)D;
}

double contrastive(const float *means, int K, const float *features, int B, int D, float temperature, float weight,
                   float *dfeatures, float *scratch)
{
    int R = K + B;
    size_t n = (size_t)R, width = (size_t)D;
    float *S = scratch, *M = scratch + n * n;
    double loss = 0;

    if (K)
        memcpy(M, means, (size_t)K * width * sizeof *M);
    memcpy(M + (size_t)K * width, features, (size_t)B * width * sizeof *M);
    gemm_nt(R, R, D, 1 / temperature, M, D, M, D, 0, S, R);
    for (int r = 0; r < R; r++) { /* S becomes G = (softmax of its rows - I) / R */
        float *row = S + (size_t)r * n, largest = row[0], own = row[r];
        double sum = 0;

        for (int x = 1; x < R; x++)
            largest = row[x] > largest ? row[x] : largest;
        for (int x = 0; x < R; x++)
            sum += exp((double)row[x] - largest);
        loss += log(sum) + (double)largest - own;
        for (int x = 0; x < R; x++)
            row[x] = (float)((exp((double)row[x] - largest) / sum - (x == r)) / R);
    }
    /* dCR/dM = (G + G') M / temperature; the rows of the batch */
    gemm_nn(B, D, R, weight / temperature, S + (size_t)K * n, R, M, D, 1, dfeatures, D);
    gemm_tn(B, D, R, weight / temperature, S + K, R, M, D, 1, dfeatures, D);
    return loss / R;
}
