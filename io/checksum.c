/* io/checksum.c - see checksum.h. */
#include "io/checksum.h"

#include <nettle/nettle-meta.h>
#include <nettle/md5.h>
#include <nettle/sha2.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

_Static_assert(sizeof(struct md5_ctx) <= CHECKSUM_STATE, "the opaque state must hold Nettle's");
_Static_assert(sizeof(struct sha256_ctx) <= CHECKSUM_STATE, "the opaque state must hold Nettle's");

static const struct nettle_hash *const hashes[] = {[CHECKSUM_MD5] = &nettle_md5, [CHECKSUM_SHA256] = &nettle_sha256};

void checksum_start(struct checksum *s, enum checksum_kind kind)
{
    s->kind = kind;
    hashes[kind]->init(s->state);
}

void checksum_add(struct checksum *s, const void *bytes, size_t n)
{
    hashes[s->kind]->update(s->state, n, bytes);
}

void checksum_end(struct checksum *s, char hex[CHECKSUM_HEX])
{
    const struct nettle_hash *hash = hashes[s->kind];
    uint8_t sum[CHECKSUM_HEX / 2];

    hash->digest(s->state, hash->digest_size, sum);
    for (unsigned i = 0; i < hash->digest_size; i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
}

void checksum_bytes(enum checksum_kind kind, const void *bytes, size_t n, char hex[CHECKSUM_HEX])
{
    struct checksum s;

    checksum_start(&s, kind);
    checksum_add(&s, bytes, n);
    checksum_end(&s, hex);
}

bool checksum_open_file(int fd, char hex[CHECKSUM_HEX])
{
    unsigned char buffer[1 << 15];
    struct checksum s;
    ssize_t got;

    checksum_start(&s, CHECKSUM_MD5);
    for (off_t at = 0; (got = pread(fd, buffer, sizeof buffer, at)) > 0; at += got)
        checksum_add(&s, buffer, (size_t)got);
    checksum_end(&s, hex);
    return got == 0;
}
