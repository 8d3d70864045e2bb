/* sweeps/intern.c - texts that live as long as the process (intern() of stage.h).
 *
 * An open-addressing table of pointers; equal texts give equal pointers.  Threads may call it. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sweeps/stage.h"

static struct {
    pthread_mutex_t lock;
    const char **slots;
    size_t size, used; /* size is a power of two */
} texts = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t hash_text(const char *text)
{
    uint64_t h = 1469598103934665603u; /* FNV-1a */

    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    return h ^ h >> 29;
}

/* The slot of the text: where it is or where it belongs. */
static const char **find(const char **slots, size_t size, const char *text)
{
    size_t i = hash_text(text) & (size - 1);

    while (slots[i] && strcmp(slots[i], text))
        i = (i + 1) & (size - 1);
    return &slots[i];
}

static int grow(void)
{
    size_t size = texts.size ? 2 * texts.size : 1024;
    const char **slots = calloc(size, sizeof *slots);

    if (!slots)
        return -1;
    for (size_t i = 0; i < texts.size; i++)
        if (texts.slots[i])
            *find(slots, size, texts.slots[i]) = texts.slots[i];
    free(texts.slots);
    texts.slots = slots;
    texts.size = size;
    return 0;
}

const char *intern(const char *text)
{
    const char **slot, *kept = NULL;

    pthread_mutex_lock(&texts.lock);
    if (2 * texts.used < texts.size || !grow()) {
        slot = find(texts.slots, texts.size, text);
        if (!*slot && (*slot = strdup(text)))
            texts.used++;
        kept = *slot;
    }
    pthread_mutex_unlock(&texts.lock);
    return kept;
}
