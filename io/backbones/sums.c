/* io/backbones/sums.c - see sums.h. */
#include "io/backbones/sums.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1 << 20 };

int sum_of_source(const struct source *s, char hex[CHECKSUM_HEX], err *e)
{
    unsigned char *block = malloc(BLOCK);
    struct checksum sum;

    if (!block)
        return err_set(e, ERR_NOMEM, "%s: out of memory for a checksum", s->name);
    checksum_start(&sum, CHECKSUM_SHA256);
    for (uint64_t at = 0; at < s->size && !e->code; at += BLOCK) {
        size_t n = s->size - at < BLOCK ? (size_t)(s->size - at) : BLOCK;

        if (!source_read(s, at, block, n, e))
            checksum_add(&sum, block, n);
    }
    free(block);
    checksum_end(&sum, hex);
    return e->code;
}

/* The final norm stands last, where the network has it. */
void sum_of_weights(const struct backbone_weights *w, char hex[CHECKSUM_HEX])
{
    struct checksum sum;

    checksum_start(&sum, CHECKSUM_SHA256);
    for (int norm = 0; norm < 2; norm++)
        for (int k = 0; k < w->count; k++) {
            const struct backbone_tensor *t = &w->tensors[k];

            if ((strncmp(t->name, "norm.", 5) == 0) != (norm == 1))
                continue;
            checksum_add(&sum, t->name, strlen(t->name) + 1);
            checksum_add(&sum, t->data, t->count * sizeof *t->data);
        }
    checksum_end(&sum, hex);
}
