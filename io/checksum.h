/* io/checksum.h - MD5 and SHA-256, in which authors say what their files are.
 *
 * For comparing with what others published; our own contents are named by io/digest.h. */
#ifndef IO_CHECKSUM_H
#define IO_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>

enum { CHECKSUM_HEX = 65, CHECKSUM_STATE = 128 };
enum checksum_kind { CHECKSUM_MD5, CHECKSUM_SHA256 };

/* A sum that is being made.  Plain memory: copy it, drop it. */
struct checksum {
    enum checksum_kind kind;
    _Alignas(16) unsigned char state[CHECKSUM_STATE];
};

void checksum_start(struct checksum *s, enum checksum_kind kind);
void checksum_add(struct checksum *s, const void *bytes, size_t n);
void checksum_end(struct checksum *s, char hex[CHECKSUM_HEX]); /* lower-case hexadecimal */

/* At once. */
void checksum_bytes(enum checksum_kind kind, const void *bytes, size_t n, char hex[CHECKSUM_HEX]);
/* MD5 of an open file, whatever its position; false if it cannot be read. */
bool checksum_open_file(int fd, char hex[CHECKSUM_HEX]);

#endif
