/* io/digest.h - content digests: the first 128 bits of SHA-256, written as 32 hexadecimal digits.
 *
 * A digest names a content: a data set, a backbone, a checkpoint, the inputs of a stage.  Equal digests are taken for
 * equal contents. */
#ifndef IO_DIGEST_H
#define IO_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/err.h"

enum { DIGEST_BYTES = 16, DIGEST_HEX = 2 * DIGEST_BYTES + 1 };

struct digest {
    unsigned char bytes[DIGEST_BYTES];
};

/* Bytes in, digest out.  The state is plain memory: copy it, drop it. */
struct digester {
    _Alignas(16) unsigned char state[128];
};

void digester_start(struct digester *d);
void digester_add(struct digester *d, const void *bytes, size_t n);
/* A text with its length, so that ("ab","c") and ("a","bc") differ. */
void digester_add_text(struct digester *d, const char *text);
void digester_add_u64(struct digester *d, uint64_t value); /* little-endian */
struct digest digester_end(struct digester *d);

struct digest digest_bytes(const void *bytes, size_t n);
/* The digest of a whole file; ERR_MISSING if there is none, ERR_DAMAGED if it cannot be read. */
int digest_file(const char *path, struct digest *out, err *e);

bool digest_equal(const struct digest *a, const struct digest *b);
bool digest_is_zero(const struct digest *d); /* zero stands for "none" */
void digest_to_hex(const struct digest *d, char hex[DIGEST_HEX]);
bool digest_from_hex(const char *hex, struct digest *out); /* false unless 32 hexadecimal digits */

#endif
