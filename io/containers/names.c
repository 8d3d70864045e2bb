/* io/containers/names.c - see names.h. */
#include "io/containers/names.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a, started from an address and mixed: a file cannot know which of its names collide. */
static uint32_t hash(uint64_t seed, const void *bytes, size_t size)
{
    const unsigned char *b = bytes;
    uint64_t h = 0xcbf29ce484222325u ^ seed;

    for (size_t i = 0; i < size; i++)
        h = (h ^ b[i]) * 0x100000001b3u;
    h = (h ^ h >> 32) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 32);
}

/* The slot of a name, or the free one where it belongs. */
static struct name_slot *probe(const struct names *n, const void *bytes, size_t size)
{
    size_t at = (size_t)((uint64_t)hash(n->seed, bytes, size) * n->capacity >> 32);

    while (n->slots[at].number && (n->slots[at].size != size || memcmp(n->slots[at].bytes, bytes, size) != 0))
        at = at + 1 < n->capacity ? at + 1 : 0;
    return &n->slots[at];
}

static bool grow(struct names *n)
{
    struct names bigger = {.capacity = n->capacity ? n->capacity + n->capacity / 2 : 64, .count = n->count};

    if (!(bigger.slots = calloc(bigger.capacity, sizeof *bigger.slots)))
        return false;
    bigger.seed = (uint64_t)(uintptr_t)bigger.slots * 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < n->capacity; i++)
        if (n->slots[i].number)
            *probe(&bigger, n->slots[i].bytes, n->slots[i].size) = n->slots[i];
    free(n->slots);
    *n = bigger;
    return true;
}

enum names_added names_add(struct names *n, const void *bytes, size_t size, uint32_t *number)
{
    struct name_slot *slot;

    if (4 * n->count >= 3 * n->capacity && !grow(n))
        return NAMES_NOMEM;
    slot = probe(n, bytes, size);
    if (slot->number) {
        *number = slot->number - 1;
        return NAMES_TAKEN;
    }
    *slot = (struct name_slot){bytes, size, *number + 1};
    n->count++;
    return NAMES_ADDED;
}

bool names_find(const struct names *n, const void *bytes, size_t size, uint32_t *number)
{
    const struct name_slot *slot = n->capacity ? probe(n, bytes, size) : NULL;

    if (!slot || !slot->number)
        return false;
    *number = slot->number - 1;
    return true;
}

void names_free(struct names *n)
{
    free(n->slots);
    *n = (struct names){0};
}
