/* model/rng.c - see rng.h. */
#include "model/rng.h"

#include <Random123/philox.h>
#include <math.h>

rng rng_stream(uint64_t seed, enum rng_purpose purpose, uint32_t task, uint32_t epoch, uint32_t index)
{
    return (rng){.key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
                 .counter = {0, index, epoch, (uint32_t)purpose << 20 | (task & 0xfffff)},
                 .used = 4};
}

uint32_t rng_u32(rng *r)
{
    if (r->used == 4) {
        philox4x32_ctr_t counter = {{r->counter[0], r->counter[1], r->counter[2], r->counter[3]}};
        philox4x32_key_t key = {{r->key[0], r->key[1]}};
        philox4x32_ctr_t block = philox4x32(counter, key);

        for (int i = 0; i < 4; i++)
            r->block[i] = block.v[i];
        r->counter[0]++;
        r->used = 0;
    }
    return r->block[r->used++];
}

float rng_uniform(rng *r)
{
    return (float)(rng_u32(r) >> 8) * 0x1p-24f;
}

double rng_uniform_double(rng *r)
{
    uint64_t high = rng_u32(r);

    return (double)(high << 21 | rng_u32(r) >> 11) * 0x1p-53;
}

float rng_normal(rng *r)
{
    double u = 1.0 - rng_uniform_double(r); /* (0, 1]: the logarithm is finite */
    double v = rng_uniform_double(r);

    return (float)(sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
}

uint32_t rng_below(rng *r, uint32_t n)
{
    uint32_t reject = -n % n; /* 2^32 mod n: the lowest values that would be favoured */
    uint64_t product;

    do
        product = (uint64_t)rng_u32(r) * n;
    while ((uint32_t)product < reject);
    return (uint32_t)(product >> 32);
}

void rng_permutation(rng *r, uint32_t *order, size_t n)
{
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    for (size_t i = n; i > 1; i--) {
        uint32_t j = rng_below(r, (uint32_t)i), kept = order[i - 1];

        order[i - 1] = order[j];
        order[j] = kept;
    }
}

void rng_fill_uniform(rng *r, float *x, size_t n, float low, float high)
{
    for (size_t i = 0; i < n; i++)
        x[i] = low + (high - low) * rng_uniform(r);
}

void rng_fill_normal(rng *r, float *x, size_t n, float deviation)
{
    for (size_t i = 0; i < n; i++)
        x[i] = deviation * rng_normal(r);
}

void rng_fill_truncated_normal(rng *r, float *x, size_t n, float deviation)
{
    for (size_t i = 0; i < n; i++)
        do
            x[i] = deviation * rng_normal(r);
        while (fabsf(x[i]) > 2);
}
