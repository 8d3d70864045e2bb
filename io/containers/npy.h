/* io/containers/npy.h - the header of NumPy's .npy files: what the numbers behind it are. */
#ifndef IO_CONTAINERS_NPY_H
#define IO_CONTAINERS_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/containers/elements.h"
#include "io/containers/limits.h"
#include "io/err.h"

enum {
    NPY_MAX_RANK = 8,
    NPY_PREFIX = 12 /* bytes that tell how long a header is, at most */
};

struct npy {
    enum element element; /* |V2 as ELEMENT_BF16 only if asked for */
    bool big;             /* big-endian */
    bool fortran;         /* column-major: element (i0, i1, ...) at i0 + n0 (i1 + n1 (...)) */
    int rank;
    uint64_t shape[NPY_MAX_RANK];
    uint64_t bytes; /* of the numbers */
};

/* From the first `have` bytes of a file of `size` bytes (have: at least NPY_PREFIX, or all): how long the header is, magic
 * and version included.  E_MAGIC, E_VERSION, E_TRUNC, E_LIMIT. */
int npy_header_size(const char *where, const unsigned char *bytes, size_t have, uint64_t size,
                    const struct container_limits *limits, size_t *header, err *e);
/* The whole header.  The numbers must fill the rest of a file of `size` bytes exactly.  Objects, texts and records are
 * refused; E_SYNTAX, E_DTYPE, E_OVERFLOW, E_TRUNC, E_RANGE. */
int npy_parse(const char *where, const unsigned char *bytes, size_t header, uint64_t size, bool v2_is_bf16,
              struct npy *out, err *e);

/* Numbers of a real type, as they lie in the file, to float32 in row-major order. */
void npy_to_f32(const struct npy *npy, const void *from, float *to);

#endif
