/* io/mt19937.h - the Mersenne Twister, for the two random objects of the official code that must be reproduced exactly:
 * class orders (CPython's random.shuffle) and the ImageNet-R split (torch.randperm).  Everything else in sluice uses the
 * counter-based streams of model/. */
#ifndef IO_MT19937_H
#define IO_MT19937_H

#include <stddef.h>
#include <stdint.h>

struct mt19937 {
    uint32_t state[624];
    int next;
};

void mt19937_seed(struct mt19937 *m, uint32_t seed);                         /* init_genrand */
void mt19937_seed_words(struct mt19937 *m, const uint32_t *words, size_t n); /* init_by_array */
uint32_t mt19937_next(struct mt19937 *m);

/* Shuffle n items exactly as `random.seed(seed); random.shuffle(items)` of CPython 3 (methods.md 4.1). */
void python_shuffle(int *items, int n, uint64_t seed);

/* out (n): `torch.randperm(n, generator=torch.Generator().manual_seed(seed))` on the CPU, for n below 2^32 (methods.md 4.2). */
void torch_randperm(uint32_t *out, uint32_t n, uint32_t seed);

#endif
