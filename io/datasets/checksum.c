/* io/datasets/checksum.c - see checksum.h. */
#include "io/datasets/checksum.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void to_hex(const unsigned char *bytes, unsigned n, char hex[CHECKSUM_HEX])
{
    hex[0] = 0;
    for (unsigned i = 0; i < n && 2 * i + 2 < CHECKSUM_HEX; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
}

void checksum(enum checksum_kind kind, const void *bytes, size_t n, char hex[CHECKSUM_HEX])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    if (!EVP_Digest(bytes, n, sum, &size, kind == CHECKSUM_MD5 ? EVP_md5() : EVP_sha256(), NULL))
        size = 0;
    to_hex(sum, size, hex);
}

void checksum_open_file(int fd, char hex[CHECKSUM_HEX])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char sum[EVP_MAX_MD_SIZE], buffer[1 << 15];
    ssize_t got = -1;
    unsigned size = 0;
    off_t at = 0;

    if (context && EVP_DigestInit_ex(context, EVP_md5(), NULL))
        for (; (got = pread(fd, buffer, sizeof buffer, at)) > 0; at += got)
            EVP_DigestUpdate(context, buffer, (size_t)got);
    if (got == 0)
        EVP_DigestFinal_ex(context, sum, &size);
    EVP_MD_CTX_free(context);
    to_hex(sum, size, hex);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int checksum_files(const struct image_source *s, enum dataset_part part, const char *prefix, char hex[CHECKSUM_HEX],
                   err *e)
{
    const struct source_part *p = &s->part[part];
    const char **names = malloc((p->count + 1) * sizeof *names);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    size_t skip = strlen(prefix);

    hex[0] = 0;
    if (!names || !context || !EVP_DigestInit_ex(context, EVP_sha256(), NULL)) {
        free(names);
        EVP_MD_CTX_free(context);
        return err_set(e, ERR_NOMEM, "%s: out of memory for a checksum", s->root.path);
    }
    for (size_t i = 0; i < p->count; i++)
        names[i] = p->files[i] + (strncmp(p->files[i], prefix, skip) ? 0 : skip);
    qsort(names, p->count, sizeof *names, compare_texts);
    for (size_t i = 0; i < p->count; i++) {
        EVP_DigestUpdate(context, names[i], strlen(names[i]));
        EVP_DigestUpdate(context, "\n", 1);
    }
    EVP_DigestFinal_ex(context, sum, &size);
    EVP_MD_CTX_free(context);
    free(names);
    to_hex(sum, size, hex);
    return 0;
}
