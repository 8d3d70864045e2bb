/* io/mt19937.c - see mt19937.h.  M. Matsumoto and T. Nishimura, "Mersenne Twister", ACM TOMACS 8 (1998). */
#include "io/mt19937.h"

enum { N = 624, M = 397 };

void mt19937_seed(struct mt19937 *m, uint32_t seed)
{
    m->state[0] = seed;
    for (uint32_t i = 1; i < N; i++)
        m->state[i] = 1812433253u * (m->state[i - 1] ^ m->state[i - 1] >> 30) + i;
    m->next = N;
}

void mt19937_seed_words(struct mt19937 *m, const uint32_t *words, size_t n)
{
    uint32_t *s = m->state;
    size_t i = 1, j = 0;

    mt19937_seed(m, 19650218u);
    for (size_t k = n > N ? n : N; k; k--) {
        s[i] = (s[i] ^ (s[i - 1] ^ s[i - 1] >> 30) * 1664525u) + words[j] + (uint32_t)j;
        j = (j + 1) % n;
        if (++i == N) {
            s[0] = s[N - 1];
            i = 1;
        }
    }
    for (size_t k = N - 1; k; k--) {
        s[i] = (s[i] ^ (s[i - 1] ^ s[i - 1] >> 30) * 1566083941u) - (uint32_t)i;
        if (++i == N) {
            s[0] = s[N - 1];
            i = 1;
        }
    }
    s[0] = 0x80000000u;
    m->next = N;
}

static void refill(struct mt19937 *m)
{
    for (int i = 0; i < N; i++) {
        uint32_t y = (m->state[i] & 0x80000000u) | (m->state[(i + 1) % N] & 0x7fffffffu);
        m->state[i] = m->state[(i + M) % N] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    m->next = 0;
}

uint32_t mt19937_next(struct mt19937 *m)
{
    uint32_t y;

    if (m->next == N)
        refill(m);
    y = m->state[m->next++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

/* Uniform in 0..n-1 by rejection on the top bits, as Random._randbelow does. */
static uint32_t below(struct mt19937 *m, uint32_t n)
{
    int bits = 32 - __builtin_clz(n);
    uint32_t r;

    do
        r = mt19937_next(m) >> (32 - bits);
    while (r >= n);
    return r;
}

void python_shuffle(int *items, int n, uint64_t seed)
{
    uint32_t words[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    struct mt19937 m;

    mt19937_seed_words(&m, words, words[1] ? 2 : 1);
    for (int i = n - 1; i > 0; i--) {
        uint32_t j = below(&m, (uint32_t)i + 1);
        int swap = items[i];
        items[i] = items[j];
        items[j] = swap;
    }
}

void torch_randperm(uint32_t *out, uint32_t n, uint32_t seed)
{
    struct mt19937 m;

    mt19937_seed(&m, seed);
    for (uint32_t i = 0; i < n; i++)
        out[i] = i;
    for (uint32_t i = 0; i + 1 < n; i++) {
        uint32_t j = i + mt19937_next(&m) % (n - i), swap = out[i];
        out[i] = out[j];
        out[j] = swap;
    }
}
