/* model/linear.c - see linear.h. */
#include "model/linear.h"

#include <string.h>

static size_t at_most(size_t n, size_t limit)
{
    return n < limit ? n : limit;
}

/* The strip's rows from a weight's, `stride` apart.  A length that the compiler knows becomes a few moves, not a call or a loop of
 * microcode: packing on the way back took 4.1 % of a step of ViT-B/16 with that, and 2.7 % without. */
static void copy_rows(float *strip, const float *from, size_t stride, size_t rows, size_t columns)
{
    if (columns == LINEAR_STRIP_COLUMNS)
        for (size_t i = 0; i < rows; i++)
            memcpy(strip + i * LINEAR_STRIP_COLUMNS, from + i * stride, LINEAR_STRIP_COLUMNS * sizeof *strip);
    else
        for (size_t i = 0; i < rows; i++)
            memcpy(strip + i * LINEAR_STRIP_COLUMNS, from + i * stride, columns * sizeof *strip);
}

/* c (R, columns) = a (R, depth) B, where B's strips are columns of W' on the way and of W on the way back. */
static inline void by_strips(const struct kernels *k, size_t R, const float *W, size_t in, size_t depth, size_t columns,
                             const float *a, size_t lda, bool back, bool add, float *c, size_t ldc, float *strip)
{
    float own[LINEAR_STRIP];

    strip = strip ? strip : own;
    for (size_t p = 0; p < depth; p += LINEAR_STRIP_DEPTH) {
        size_t deep = at_most(depth - p, LINEAR_STRIP_DEPTH);

        for (size_t j = 0; j < columns; j += LINEAR_STRIP_COLUMNS) {
            size_t wide = at_most(columns - j, LINEAR_STRIP_COLUMNS),
                   then = at_most(columns - j - wide, LINEAR_STRIP_COLUMNS); /* of the next strip */
            const float *from = back ? W + p * in + j : W + j * in + p;
            struct ahead next = back ? (struct ahead){from + wide, then ? deep : 0, then, in, 0}
                                     : (struct ahead){from + wide * in, then, deep, in, 0};

            if (wide < LINEAR_STRIP_COLUMNS) /* the padding is read */
                memset(strip, 0, deep * LINEAR_STRIP_COLUMNS * sizeof *strip);
            if (back)
                copy_rows(strip, from, in, deep, wide);
            else
                k->transpose(strip, LINEAR_STRIP_COLUMNS, from, in, wide, deep);
            k->product(R, wide, deep, 1, a + p, lda, 1, strip, LINEAR_STRIP_COLUMNS, add || p, c + j, ldc, &next);
        }
    }
}

void linear_forward(const struct kernels *k, size_t R, size_t out, size_t in, const float *x, size_t ldx,
                    const float *W, bool add, float *y, size_t ldy, float *strip)
{
    by_strips(k, R, W, in, in, out, x, ldx, false, add, y, ldy, strip);
}

void linear_backward(const struct kernels *k, size_t R, size_t out, size_t in, const float *dy, size_t ldy,
                     const float *W, bool add, float *dx, size_t ldx, float *strip)
{
    by_strips(k, R, W, in, out, in, dy, ldy, true, add, dx, ldx, strip);
}
