/* io/digest.c - see digest.h. */
#include "io/digest.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(struct sha256_ctx) <= sizeof(struct digester), "the opaque state must hold Nettle's");

void digester_start(struct digester *d)
{
    sha256_init((struct sha256_ctx *)d->state);
}

void digester_add(struct digester *d, const void *bytes, size_t n)
{
    sha256_update((struct sha256_ctx *)d->state, n, bytes);
}

void digester_add_u64(struct digester *d, uint64_t value)
{
    unsigned char b[8];

    for (int i = 0; i < 8; i++)
        b[i] = (unsigned char)(value >> (8 * i));
    digester_add(d, b, sizeof b);
}

void digester_add_text(struct digester *d, const char *text)
{
    size_t n = strlen(text);

    digester_add_u64(d, n);
    digester_add(d, text, n);
}

struct digest digester_end(struct digester *d)
{
    struct digest out;

    sha256_digest((struct sha256_ctx *)d->state, DIGEST_BYTES, out.bytes);
    return out;
}

struct digest digest_bytes(const void *bytes, size_t n)
{
    struct digester d;

    digester_start(&d);
    digester_add(&d, bytes, n);
    return digester_end(&d);
}

int digest_file(const char *path, struct digest *out, err *e)
{
    unsigned char buffer[1 << 16];
    struct digester d;
    size_t n;
    FILE *f = fopen(path, "rb");

    if (!f)
        return errno == ENOENT ? err_set(e, ERR_MISSING, "%s: no such file", path) : err_errno(e, "%s", path);
    digester_start(&d);
    while ((n = fread(buffer, 1, sizeof buffer, f)) > 0)
        digester_add(&d, buffer, n);
    if (ferror(f)) {
        err_set(e, ERR_DAMAGED, "%s: cannot be read: %s", path, strerror(errno));
        fclose(f);
        return e->code;
    }
    fclose(f);
    *out = digester_end(&d);
    return 0;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return memcmp(a->bytes, b->bytes, DIGEST_BYTES) == 0;
}

bool digest_is_zero(const struct digest *d)
{
    return digest_equal(d, &(struct digest){{0}});
}

void digest_to_hex(const struct digest *d, char hex[DIGEST_HEX])
{
    static const char digits[] = "0123456789abcdef";

    for (int i = 0; i < DIGEST_BYTES; i++) {
        hex[2 * i] = digits[d->bytes[i] >> 4];
        hex[2 * i + 1] = digits[d->bytes[i] & 15];
    }
    hex[DIGEST_HEX - 1] = 0;
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool digest_from_hex(const char *hex, struct digest *out)
{
    if (strlen(hex) != 2 * DIGEST_BYTES)
        return false;
    for (int i = 0; i < DIGEST_BYTES; i++) {
        int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out->bytes[i] = (unsigned char)(16 * high + low);
    }
    return true;
}
