/* io/checksum.c - see checksum.h. */
#include "io/checksum.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <unistd.h>

checksum_state *checksum_start(enum checksum_kind kind, err *e)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    if (context && EVP_DigestInit_ex(context, kind == CHECKSUM_MD5 ? EVP_md5() : EVP_sha256(), NULL))
        return context;
    EVP_MD_CTX_free(context);
    err_set(e, ERR_SYSTEM, "libcrypto computes no %s", kind == CHECKSUM_MD5 ? "MD5" : "SHA-256");
    return NULL;
}

void checksum_add(checksum_state *s, const void *bytes, size_t n)
{
    EVP_DigestUpdate(s, bytes, n);
}

void checksum_end(checksum_state *s, char hex[CHECKSUM_HEX])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    hex[0] = '\0';
    if (s)
        EVP_DigestFinal_ex(s, sum, &size);
    EVP_MD_CTX_free(s);
    for (unsigned i = 0; i < size && 2 * i + 2 < CHECKSUM_HEX; i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
}

void checksum(enum checksum_kind kind, const void *bytes, size_t n, char hex[CHECKSUM_HEX])
{
    err e = {.code = 0};
    checksum_state *s = checksum_start(kind, &e);

    if (s)
        checksum_add(s, bytes, n);
    checksum_end(s, hex);
}

void checksum_open_file(int fd, char hex[CHECKSUM_HEX])
{
    unsigned char buffer[1 << 15];
    err e = {.code = 0};
    checksum_state *s = checksum_start(CHECKSUM_MD5, &e);
    ssize_t got = -1;

    for (off_t at = 0; s && (got = pread(fd, buffer, sizeof buffer, at)) > 0; at += got)
        checksum_add(s, buffer, (size_t)got);
    checksum_end(s, hex);
    if (got)
        hex[0] = '\0';
}
