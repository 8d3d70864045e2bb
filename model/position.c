/* model/position.c - see position.h. */
#include "model/position.h"

#include <math.h>
#include <string.h>

enum { TAPS = 4 };

/* Where one output lies among the inputs of an axis, and what each of four inputs counts. */
struct taps {
    int at[TAPS];
    double weight[TAPS];
};

static double kernel(double x)
{
    const double a = -0.75;

    x = fabs(x);
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static struct taps taps_of(int i, int n, int m)
{
    double centre = (i + 0.5) * n / m - 0.5, floor_of = floor(centre), t = centre - floor_of;
    struct taps out;

    for (int k = 0; k < TAPS; k++) {
        int at = (int)floor_of + k - 1;

        out.at[k] = at < 0 ? 0 : at >= n ? n - 1 : at;
        out.weight[k] = kernel(k - 1 - t);
    }
    return out;
}

void position_resample(const float *from, int n, float *to, int m, int D)
{
    const float *grid = from + D;

    if (n == m) {
        memcpy(to, from, (1 + (size_t)n * (size_t)n) * (size_t)D * sizeof *to);
        return;
    }
    memcpy(to, from, (size_t)D * sizeof *to);
    for (int i = 0; i < m; i++) {
        const struct taps y = taps_of(i, n, m);

        for (int j = 0; j < m; j++) {
            const struct taps x = taps_of(j, n, m);
            float *out = to + (1 + (size_t)i * (size_t)m + (size_t)j) * (size_t)D;

            for (int d = 0; d < D; d++) {
                double sum = 0;

                for (int r = 0; r < TAPS; r++) {
                    const float *row = grid + (size_t)y.at[r] * (size_t)n * (size_t)D + d;
                    double across = 0;

                    for (int c = 0; c < TAPS; c++)
                        across += x.weight[c] * row[(size_t)x.at[c] * (size_t)D];
                    sum += y.weight[r] * across;
                }
                out[d] = (float)sum;
            }
        }
    }
}
