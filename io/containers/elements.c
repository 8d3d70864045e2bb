/* io/containers/elements.c - see elements.h. */
#include "io/containers/elements.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    size_t bytes;
} elements[ELEMENT_COUNT] = {
#define X(symbol, name, bytes) {name, bytes},
    ELEMENTS(X)
#undef X
};

size_t element_size(enum element element)
{
    return elements[element].bytes;
}

const char *element_name(enum element element)
{
    return elements[element].name;
}

bool element_is_real(enum element element)
{
    return element >= ELEMENT_F32 && element <= ELEMENT_BF16;
}

static uint64_t load(const unsigned char *at, size_t n, bool big)
{
    uint64_t bits = 0;

    for (size_t i = 0; i < n; i++)
        bits |= (uint64_t)at[i] << 8 * (big ? n - 1 - i : i);
    return bits;
}

static float from_bits(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Every half is a float. */
static float half(uint32_t bits)
{
    uint32_t sign = (bits & 0x8000) << 16, exponent = bits >> 10 & 31, fraction = bits & 1023;

    if (exponent == 31) /* infinite, or not a number with the same fraction */
        return from_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent)
        return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
    return sign ? -ldexpf((float)fraction, -24) : ldexpf((float)fraction, -24);
}

static float convert(enum element element, uint64_t bits)
{
    double wide;

    switch (element) {
    case ELEMENT_F32:
        return from_bits((uint32_t)bits);
    case ELEMENT_F16:
        return half((uint32_t)bits);
    case ELEMENT_BF16:
        return from_bits((uint32_t)bits << 16);
    default:
        memcpy(&wide, &bits, sizeof wide);
        return (float)wide;
    }
}

static bool native(enum element element, bool big)
{
    return element == ELEMENT_F32 && big == (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
}

void elements_to_f32(enum element element, bool big, const void *from, float *to, size_t n)
{
    const unsigned char *at = from;
    size_t each = element_size(element);

    if (native(element, big)) {
        memmove(to, from, n * sizeof *to);
        return;
    }
    for (size_t i = 0; i < n; i++)
        to[i] = convert(element, load(at + i * each, each, big));
}

/* Whether the elements of a tensor lie one after the other in the order of its indices. */
static bool contiguous(int rank, const uint64_t *shape, const uint64_t *stride)
{
    uint64_t expected = 1;

    for (int i = rank - 1; i >= 0; i--) {
        if (shape[i] != 1 && stride[i] != expected)
            return false;
        expected *= shape[i];
    }
    return true;
}

void elements_gather(enum element element, bool big, const void *from, uint64_t offset, int rank, const uint64_t *shape,
                     const uint64_t *stride, float *to)
{
    const unsigned char *base = from;
    size_t each = element_size(element);
    uint64_t index[8] = {0}, total = 1, at = offset;

    for (int i = 0; i < rank; i++)
        total *= shape[i];
    if (!total)
        return;
    if (contiguous(rank, shape, stride)) {
        elements_to_f32(element, big, base + offset * each, to, total);
        return;
    }
    for (uint64_t n = 0; n < total; n++) {
        int axis = rank - 1;

        to[n] = convert(element, load(base + at * each, each, big));
        for (; axis >= 0 && ++index[axis] == shape[axis]; axis--) { /* an odometer */
            at -= (shape[axis] - 1) * stride[axis];
            index[axis] = 0;
        }
        if (axis >= 0)
            at += stride[axis];
    }
}

bool sizes_product(int rank, const uint64_t *shape, uint64_t *out)
{
    *out = 1;
    for (int i = 0; i < rank; i++)
        if (shape[i] == 0) {
            *out = 0;
            return true;
        }
    for (int i = 0; i < rank; i++)
        if (__builtin_mul_overflow(*out, shape[i], out))
            return false;
    return true;
}
