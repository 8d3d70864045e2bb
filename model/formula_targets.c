/* model/formula_targets.c - the numbers and the targets of formula.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/formula.h"

/* weight[cell][i]: of pixel i's share in a cell along one axis; a triangle as wide as two cells, of sum 1. */
static void cell_weights(int side, float weight[FORMULA_CELLS][FORMULA_SIDE_MAX])
{
    float width = (float)side / FORMULA_CELLS;
    for (int k = 0; k < FORMULA_CELLS; k++) {
        float sum = 0;
        for (int i = 0; i < side; i++) {
            weight[k][i] = fmaxf(0, 1 - fabsf((float)i + 0.5f - ((float)k + 0.5f) * width) / width);
            sum += weight[k][i];
        }
        for (int i = 0; i < side; i++)
            weight[k][i] /= sum;
    }
}

/* Spread the gradient (gx, gy) over the two orientations next to its own. */
static void vote(float gx, float gy, float histogram[FORMULA_ORIENTATIONS])
{
    float size = sqrtf(gx * gx + gy * gy), turn = atan2f(gy, gx) / 3.14159265f; /* of half a turn */
    if (size == 0)
        return;
    float bin = (turn - floorf(turn)) * FORMULA_ORIENTATIONS, low = floorf(bin), share = bin - low;
    int first = (int)low % FORMULA_ORIENTATIONS;
    histogram[first] += size * (1 - share);
    histogram[(first + 1) % FORMULA_ORIENTATIONS] += size * share;
}

/* One row's histograms and brightness, gathered into the row's cells. */
static void gather_row(const float *image, int side, int i, float weight[FORMULA_CELLS][FORMULA_SIDE_MAX],
                       float row[FORMULA_CELLS][FORMULA_ORIENTATIONS])
{
    const float *above = image + (i ? i - 1 : 0) * side, *here = image + i * side;
    const float *below = image + (i + 1 < side ? i + 1 : i) * side;
    memset(row, 0, sizeof(float[FORMULA_CELLS][FORMULA_ORIENTATIONS]));
    for (int j = 0; j < side; j++) {
        float votes[FORMULA_ORIENTATIONS] = {0};
        vote(0.5f * (here[j + 1 < side ? j + 1 : j] - here[j ? j - 1 : 0]), 0.5f * (below[j] - above[j]), votes);
        for (int k = 0; k < FORMULA_CELLS; k++)
            if (weight[k][j] > 0)
                for (int o = 0; o < FORMULA_ORIENTATIONS; o++)
                    row[k][o] += weight[k][j] * votes[o];
    }
}

static void gradient_histograms(const float *image, int side, float *out)
{
    float weight[FORMULA_CELLS][FORMULA_SIDE_MAX], row[FORMULA_CELLS][FORMULA_ORIENTATIONS];
    enum { ROW = FORMULA_CELLS * FORMULA_ORIENTATIONS };
    cell_weights(side, weight);
    memset(out, 0, sizeof *out * FORMULA_CELLS * ROW);
    for (int i = 0; i < side; i++) {
        gather_row(image, side, i, weight, row);
        for (int k = 0; k < FORMULA_CELLS; k++)
            if (weight[k][i] > 0)
                for (int n = 0; n < ROW; n++)
                    out[k * ROW + n] += weight[k][i] * (&row[0][0])[n];
    }
    for (int n = 0; n < FORMULA_CELLS * ROW; n++)
        out[n] = sqrtf(out[n] + 1e-4f);
}

/* Means over cells that share border pixels in proportion where the side is no multiple of FORMULA_CELLS. */
static void small_copy(const float *image, int side, float *out)
{
    float width = (float)side / FORMULA_CELLS, share[FORMULA_CELLS][FORMULA_SIDE_MAX];
    for (int k = 0; k < FORMULA_CELLS; k++)
        for (int i = 0; i < side; i++) {
            float from = fmaxf((float)i, (float)k * width), to = fminf((float)i + 1, (float)(k + 1) * width);
            share[k][i] = fmaxf(0, to - from) / width;
        }
    memset(out, 0, sizeof *out * FORMULA_CELLS * FORMULA_CELLS);
    for (int p = 0; p < FORMULA_CELLS; p++)
        for (int i = 0; i < side; i++)
            for (int q = 0; q < FORMULA_CELLS && share[p][i] > 0; q++)
                for (int j = 0; j < side; j++)
                    out[p * FORMULA_CELLS + q] += share[p][i] * share[q][j] * image[i * side + j];
}

void formula_describe(const float *image, int side, float *out)
{
    gradient_histograms(image, side, out);
    small_copy(image, side, out + FORMULA_CELLS * FORMULA_CELLS * FORMULA_ORIENTATIONS);
}

/* ---- targets ---- */

enum { BASIS_IMAGES = 4096, N = FORMULA_NUMBERS };

/* LAPACK's: eigenvalues, ascending, and eigenvectors of a symmetric matrix.  OpenBLAS has it, without a header. */
void dsyevd_(const char *job, const char *triangle, const int *n, double *a, const int *lda, double *values,
             double *work, const int *work_size, int *iwork, const int *iwork_size, int *info);

/* Means of the numbers and of their products over the basis' images: mean (N), product (N, N), the lower triangle. */
static void measure_moments(uint64_t seed, int side, double *mean, double *product)
{
    float image[FORMULA_SIDE_MAX * FORMULA_SIDE_MAX], numbers[N];

    for (uint64_t i = 0; i < BASIS_IMAGES; i++) {
        formula_draw(seed, ((uint64_t)1 << 40) + i, side, image);
        formula_describe(image, side, numbers);
        for (int a = 0; a < N; a++) {
            double value = numbers[a] / (double)BASIS_IMAGES;
            mean[a] += value;
            for (int b = 0; b <= a; b++)
                product[a * N + b] += value * numbers[b];
        }
    }
}

/* From moments to correlations, both triangles; [out] deviation (N). */
static void correlate(const double *mean, double *product, double *deviation)
{
    for (int a = 0; a < N; a++)
        deviation[a] = sqrt(fmax(product[a * N + a] - mean[a] * mean[a], 1e-8));
    for (int a = 0; a < N; a++)
        for (int b = 0; b <= a; b++)
            product[a * N + b] = product[b * N + a] =
                (product[a * N + b] - mean[a] * mean[b]) / (deviation[a] * deviation[b]);
}

/* Row k of mix from eigenvector N - 1 - k, its largest entry made positive. */
static void fill_mix(const double *vectors, const double *values, const double *deviation, struct formula_basis *out)
{
    double energy = 0;

    for (int k = 0; k < FORMULA_TARGETS; k++)
        energy += sqrt(fmax(values[N - 1 - k], 0));
    for (int k = 0; k < FORMULA_TARGETS; k++) {
        const double *vector = vectors + (N - 1 - k) * N;
        double scale = sqrt(FORMULA_TARGETS / energy) / pow(fmax(values[N - 1 - k], 1e-6), 0.25);
        int largest = 0;

        for (int a = 0; a < N; a++)
            if (fabs(vector[a]) > fabs(vector[largest]))
                largest = a;
        if (vector[largest] < 0)
            scale = -scale;
        for (int a = 0; a < N; a++)
            out->mix[k][a] = (float)(scale * vector[a] / deviation[a]);
    }
}

int formula_basis_measure(uint64_t seed, int side, struct formula_basis *out, err *e)
{
    const int n = N, work_size = 1 + 6 * N + 2 * N * N, iwork_size = 3 + 5 * N;
    double *memory = calloc((size_t)(N * N + 3 * N + work_size), sizeof *memory);
    double *product = memory, *mean = memory + N * N, *deviation = mean + N, *values = deviation + N,
           *work = values + N;
    int *iwork = calloc((size_t)iwork_size, sizeof *iwork), info = 0;

    e->code = ERR_NONE;
    if (!memory || !iwork) {
        err_set(e, ERR_NOMEM, "no memory for the targets' basis");
        goto out;
    }
    measure_moments(seed, side, mean, product);
    correlate(mean, product, deviation);
    dsyevd_("V", "L", &n, product, &n, values, work, &work_size, iwork, &iwork_size, &info);
    if (info) {
        err_set(e, ERR_BUG, "LAPACK's dsyevd answered %d", info);
        goto out;
    }
    for (int a = 0; a < N; a++)
        out->mean[a] = (float)mean[a];
    fill_mix(product, values, deviation, out);
out:
    free(memory);
    free(iwork);
    return e->code;
}

void formula_targets(const struct formula_basis *basis, const float *numbers, float *targets)
{
    float centred[N];

    for (int a = 0; a < N; a++)
        centred[a] = numbers[a] - basis->mean[a];
    for (int k = 0; k < FORMULA_TARGETS; k++) {
        float sum = 0;
        for (int a = 0; a < N; a++)
            sum += basis->mix[k][a] * centred[a];
        targets[k] = sum;
    }
}
