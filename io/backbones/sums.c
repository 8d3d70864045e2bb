/* io/backbones/sums.c - see sums.h. */
#include "io/backbones/sums.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1 << 20 };

static EVP_MD_CTX *start(err *e)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    if (context && EVP_DigestInit_ex(context, EVP_sha256(), NULL))
        return context;
    EVP_MD_CTX_free(context);
    err_set(e, ERR_NOMEM, "out of memory for a checksum");
    return NULL;
}

static void finish(EVP_MD_CTX *context, char hex[SHA256_HEX])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    EVP_DigestFinal_ex(context, sum, &size);
    EVP_MD_CTX_free(context);
    hex[0] = '\0';
    for (unsigned i = 0; i < size && 2 * i + 2 < SHA256_HEX; i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
}

int sum_of_source(const struct source *s, char hex[SHA256_HEX], err *e)
{
    EVP_MD_CTX *context = start(e);
    unsigned char *block = malloc(BLOCK);

    if (context && !block)
        err_set(e, ERR_NOMEM, "%s: out of memory for a checksum", s->name);
    for (uint64_t at = 0; at < s->size && !e->code; at += BLOCK) {
        size_t n = s->size - at < BLOCK ? (size_t)(s->size - at) : BLOCK;

        if (!source_read(s, at, block, n, e))
            EVP_DigestUpdate(context, block, n);
    }
    free(block);
    if (context)
        finish(context, hex);
    return e->code;
}

/* The final norm stands last, where the network has it. */
int sum_of_weights(const struct backbone_weights *w, char hex[SHA256_HEX], err *e)
{
    EVP_MD_CTX *context = start(e);

    if (!context)
        return e->code;
    for (int norm = 0; norm < 2; norm++)
        for (int k = 0; k < w->count; k++) {
            const struct backbone_tensor *t = &w->tensors[k];

            if ((strncmp(t->name, "norm.", 5) == 0) != (norm == 1))
                continue;
            EVP_DigestUpdate(context, t->name, strlen(t->name) + 1);
            EVP_DigestUpdate(context, t->data, t->count * sizeof *t->data);
        }
    finish(context, hex);
    return 0;
}
