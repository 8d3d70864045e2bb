/* orchestrator/changes.c - see changes.h. */
#include "orchestrator/changes.h"

#include <stdlib.h>
#include <string.h>

static int compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

/* The trials' keys, sorted; malloc'd, NULL when memory is out. */
static struct digest *sorted_keys(const struct plan *p)
{
    struct digest *keys = malloc(((size_t)p->trials_count + 1) * sizeof *keys);

    for (int t = 0; keys && t < p->trials_count; t++)
        keys[t] = p->key[p->trials[t].stage];
    if (keys)
        qsort(keys, (size_t)p->trials_count, sizeof *keys, compare_keys);
    return keys;
}

int changes_between(const struct plan *before, const struct plan *now, struct changes *out, err *e)
{
    struct digest *old = sorted_keys(before), *new = sorted_keys(now);
    int i = 0, j = 0;

    *out = (struct changes){0};
    if (!old || !new)
        err_set(e, ERR_NOMEM, "no memory for %d trials", before->trials_count + now->trials_count);
    while (!e->code && i < before->trials_count && j < now->trials_count) {
        int order = compare_keys(&old[i], &new[j]);

        out->kept += order == 0;
        i += order <= 0;
        j += order >= 0;
    }
    out->orphaned = before->trials_count - out->kept;
    out->added = now->trials_count - out->kept;
    free(old);
    free(new);
    return e->code;
}
