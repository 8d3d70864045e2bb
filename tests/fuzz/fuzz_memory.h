/* tests/fuzz/fuzz_memory.h - no allocation of more than so many bytes: what a reader may take for an input of some size.
 *
 * A sanitizer calls back for each allocation; builds without one do not check. */
#ifndef FUZZ_MEMORY_H
#define FUZZ_MEMORY_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static size_t fuzz_most; /* 0: anything */

int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void *, size_t), void (*)(const volatile void *))
    __attribute__((weak));

static void fuzz_allocated(const volatile void *at, size_t size)
{
    (void)at;
    if (fuzz_most && size > fuzz_most) {
        size_t most = fuzz_most;

        fuzz_most = 0;
        fprintf(stderr, "%zu bytes at once; at most %zu are allowed\n", size, most);
        abort();
    }
}

static void fuzz_freed(const volatile void *at)
{
    (void)at;
}

/* Until fuzz_memory_free(). */
static inline void fuzz_memory_limit(uint64_t most)
{
    static int installed;

    if (!installed && __sanitizer_install_malloc_and_free_hooks)
        __sanitizer_install_malloc_and_free_hooks(fuzz_allocated, fuzz_freed);
    installed = 1;
    fuzz_most = (size_t)most;
}

static inline void fuzz_memory_free(void)
{
    fuzz_most = 0;
}

#endif
