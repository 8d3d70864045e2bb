/* io/backbones/sums.h - SHA-256, by which authors publish their files and by which imports are compared with each other. */
#ifndef IO_BACKBONES_SUMS_H
#define IO_BACKBONES_SUMS_H

#include "io/backbone.h"
#include "io/checksum.h"
#include "io/containers/source.h"

/* Of a file's bytes, as sha256sum prints it. */
int sum_of_source(const struct source *s, char hex[CHECKSUM_HEX], err *e);
/* Of the tensors in the order class token, positions, patches, blocks, final norm: each its name, a zero byte, and its
 * numbers as little-endian float32.  Equal for equal weights, whatever container they came in. */
void sum_of_weights(const struct backbone_weights *w, char hex[CHECKSUM_HEX]);

#endif
