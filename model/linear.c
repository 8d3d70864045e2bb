/* model/linear.c - see linear.h. */
#include "model/linear.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A strip of the weight, (depth, STRIP_COLUMNS): the width of a tile of the widest set, and deep enough that the results of a ViT's
 * width pass only once.  147 KB: it is read in its order and stays in the second cache. */
enum { STRIP_COLUMNS = 48, STRIP_DEPTH = 768 };

static size_t at_most(size_t n, size_t limit)
{
    return n < limit ? n : limit;
}

/* Ask for `rows` rows of `columns` numbers, `stride` apart, before they are needed: the weight comes from far away. */
static void fetch(const float *from, size_t rows, size_t columns, size_t stride)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c += 16)
            __builtin_prefetch(from + r * stride + c, 0, 2);
}

void linear_forward(const struct kernels *k, size_t R, size_t out, size_t in, const float *x, size_t ldx,
                    const float *W, bool add, float *y, size_t ldy)
{
    float strip[STRIP_DEPTH * STRIP_COLUMNS];

    for (size_t p = 0; p < in; p += STRIP_DEPTH) {
        size_t depth = at_most(in - p, STRIP_DEPTH);

        for (size_t j = 0; j < out; j += STRIP_COLUMNS) {
            size_t columns = at_most(out - j, STRIP_COLUMNS), next = j + STRIP_COLUMNS;

            if (columns < STRIP_COLUMNS) /* the padding is read */
                memset(strip, 0, sizeof strip);
            k->transpose(strip, STRIP_COLUMNS, W + j * in + p, in, columns, depth);
            if (next < out)
                fetch(W + next * in + p, at_most(out - next, STRIP_COLUMNS), depth, in);
            k->product(R, columns, depth, 1, x + p, ldx, 1, strip, STRIP_COLUMNS, add || p, y + j, ldy);
        }
    }
}

void linear_backward(const struct kernels *k, size_t R, size_t out, size_t in, const float *dy, size_t ldy,
                     const float *W, bool add, float *dx, size_t ldx)
{
    float strip[STRIP_DEPTH * STRIP_COLUMNS];

    for (size_t p = 0; p < out; p += STRIP_DEPTH) {
        size_t depth = at_most(out - p, STRIP_DEPTH);

        for (size_t j = 0; j < in; j += STRIP_COLUMNS) {
            size_t columns = at_most(in - j, STRIP_COLUMNS), next = j + STRIP_COLUMNS;

            if (columns < STRIP_COLUMNS)
                memset(strip, 0, sizeof strip);
            for (size_t i = 0; i < depth; i++)
                memcpy(strip + i * STRIP_COLUMNS, W + (p + i) * in + j, columns * sizeof *strip);
            if (next < in)
                fetch(W + p * in + next, depth, at_most(in - next, STRIP_COLUMNS), in);
            k->product(R, columns, depth, 1, dy + p, ldy, 1, strip, STRIP_COLUMNS, add || p, dx + j, ldx);
        }
    }
}

double linear_measure(const struct kernels *k)
{
    enum { R = 512, OUT = 512, IN = 160, ROUNDS = 6, CALLS = 6 };
    float *memory = calloc(R * IN + OUT * IN + R * OUT, sizeof *memory), *W = memory + R * IN, *y = W + OUT * IN;
    double best = 0;

    if (!memory)
        return 0;
    for (int round = 0; round < ROUNDS; round++) { /* the best round is the one that nobody disturbed */
        struct timespec from, to;
        double seconds;

        clock_gettime(CLOCK_MONOTONIC, &from);
        for (int i = 0; i < CALLS; i++)
            linear_forward(k, R, OUT, IN, memory, IN, W, false, y, OUT);
        clock_gettime(CLOCK_MONOTONIC, &to);
        seconds = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
        if (seconds > 0 && CALLS * 2e-9 * R * OUT * IN / seconds > best)
            best = CALLS * 2e-9 * R * OUT * IN / seconds;
    }
    free(memory);
    return best;
}
