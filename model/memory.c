/* model/memory.c - see memory.h. */
#include "model/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

float *memory_numbers(size_t n)
{
    const size_t huge = (size_t)1 << 21;
    size_t bytes = n * sizeof(float);
    void *memory;

    if (n > SIZE_MAX / sizeof(float) || posix_memalign(&memory, bytes < huge ? 64 : huge, bytes ? bytes : 64))
        return NULL;
#ifdef MADV_HUGEPAGE
    if (bytes >= huge)
        madvise(memory, bytes, MADV_HUGEPAGE); /* a hint: refused where there are none */
#endif
    return memory;
}
