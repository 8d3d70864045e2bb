/* io/datasets/checksum.h - MD5 and SHA-256, in which publishers of data sets say what their files are.
 *
 * Only for telling whether something is the published file; contents are named by io/digest.h. */
#ifndef IO_DATASETS_CHECKSUM_H
#define IO_DATASETS_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>

#include "io/datasets/source.h"

enum { CHECKSUM_HEX = 65 };
enum checksum_kind { CHECKSUM_MD5, CHECKSUM_SHA256 };

/* Lower-case hexadecimal; the empty text if libcrypto cannot compute it (MD5 where it is forbidden). */
void checksum(enum checksum_kind kind, const void *bytes, size_t n, char hex[CHECKSUM_HEX]);
/* MD5 of an open file; the empty text as above, or if it cannot be read. */
void checksum_open_file(int fd, char hex[CHECKSUM_HEX]);
/* SHA-256 of the names of a part's files below `prefix` ("train/"; "": all of the name), sorted, each with a line feed
 * behind it.  ERR_NOMEM. */
int checksum_files(const struct image_source *s, enum dataset_part part, const char *prefix, char hex[CHECKSUM_HEX],
                   err *e);

#endif
