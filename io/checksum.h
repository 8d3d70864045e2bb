/* io/checksum.h - MD5 and SHA-256, in which authors say what their files are.
 *
 * For comparing with what others published; our own contents are named by io/digest.h. */
#ifndef IO_CHECKSUM_H
#define IO_CHECKSUM_H

#include <stddef.h>

#include "io/err.h"

enum { CHECKSUM_HEX = 65 };
enum checksum_kind { CHECKSUM_MD5, CHECKSUM_SHA256 };

/* A sum that is being made.  Start, add, end: checksum_end() writes lower-case hexadecimal and releases it. */
typedef struct evp_md_ctx_st checksum_state; /* libcrypto's */

/* NULL and ERR_SYSTEM if libcrypto does not compute it (MD5 where it is forbidden) or memory ran out. */
checksum_state *checksum_start(enum checksum_kind kind, err *e);
void checksum_add(checksum_state *s, const void *bytes, size_t n);
void checksum_end(checksum_state *s, char hex[CHECKSUM_HEX]); /* NULL: the empty text */

/* At once; the empty text where checksum_start() fails. */
void checksum(enum checksum_kind kind, const void *bytes, size_t n, char hex[CHECKSUM_HEX]);
/* MD5 of an open file; the empty text as above, or if it cannot be read. */
void checksum_open_file(int fd, char hex[CHECKSUM_HEX]);

#endif
