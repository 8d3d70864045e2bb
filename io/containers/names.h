/* io/containers/names.h - a set of names with a number each, for finding duplicates and looking things up in files whose
 * entries may be many and hostile.  Names are views: the caller keeps their bytes.  Memory: twice a slot for each at most. */
#ifndef IO_CONTAINERS_NAMES_H
#define IO_CONTAINERS_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct names {
    struct name_slot {
        const void *bytes;
        size_t size;
        uint32_t number; /* plus 1; 0: free */
    } * slots;
    size_t count, capacity;
    uint64_t seed;
};

enum names_added { NAMES_ADDED, NAMES_TAKEN, NAMES_NOMEM };

/* A zeroed struct is an empty set.  *number is set to the earlier one if the name is taken. */
enum names_added names_add(struct names *n, const void *bytes, size_t size, uint32_t *number);
bool names_find(const struct names *n, const void *bytes, size_t size, uint32_t *number);
void names_free(struct names *n);

#endif
