/* io/containers/limits.h - the most that is taken from a file that came from elsewhere, so that a forged one cannot take all
 * memory or time.  No published file comes near; what a larger one needs can be asked for by name, `--limit NAME=N`.
 *
 * Fixed, since structures are made for them: 8 dimensions, names of 1024 bytes, entries of 4 GiB in a zip archive.
 *
 * Bounds that go with the size of the file stand beside these; nothing changes them.  The first is on memory: until its numbers
 * are read, no list or table takes more than limit_memory(), whatever a file says.  tensors.h has the others. */
#ifndef IO_CONTAINERS_LIMITS_H
#define IO_CONTAINERS_LIMITS_H

#include <stdint.h>

#include "io/err.h"

/* symbol, name, default, the most that can be asked for, what it counts */
#define CONTAINER_LIMITS(X)                                                                                       \
    X(TENSORS, "tensors", 65536, 1 << 24, "tensors of a file")                                                    \
    X(ZIP_ENTRIES, "zip-entries", 65536, 1 << 24, "entries of a zip archive")                                     \
    X(ZIP_DIRECTORY, "zip-directory", 64 << 20, 1 << 30, "bytes of a zip archive's directory")                    \
    X(PICKLE, "pickle", 64 << 20, INT32_MAX, "bytes of a pickle")                                                 \
    X(PICKLE_VALUES, "pickle-values", 8 << 20, 1 << 29, "values of a pickle; containers hold four times as many") \
    X(PICKLE_MEMO, "pickle-memo", 4 << 20, 1 << 29, "the highest memo entry of a pickle, and one")                \
    X(PICKLE_STACK, "pickle-stack", 1000000, 1 << 29, "values and marks on the stack of a pickle")                \
    X(PICKLE_TEXT, "pickle-text", 16 << 20, INT32_MAX, "bytes of one text in a pickle")                           \
    X(SAFETENSORS_HEADER, "safetensors-header", 16 << 20, 100000000, "bytes of the header of a safetensors file") \
    X(NPY_HEADER, "npy-header", 64 << 10, 1 << 30, "bytes of the header of a NumPy array")

enum container_limit {
#define X(symbol, name, usual, highest, counts) LIMIT_##symbol,
    CONTAINER_LIMITS(X)
#undef X
        LIMIT_COUNT
};

struct container_limits {
    uint64_t most[LIMIT_COUNT]; /* 0: the default */
    const char *option;         /* by which a user changes them, for messages: "--limit"; NULL: none */
};

/* limits may be NULL: the defaults. */
uint64_t limit_of(const struct container_limits *limits, enum container_limit which);
/* "NAME=N"; ERR_USAGE for another name, or a number that is none or out of range. */
int limit_set(struct container_limits *limits, const char *text, err *e);
/* E_LIMIT: the text, how many are read at most, and how to change that. */
int limit_fault(const struct container_limits *limits, enum container_limit which, err *e, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Bytes for a file of that size: twice as many and 1 MiB. */
uint64_t limit_memory(uint64_t file_size);

const char *limit_name(enum container_limit which);
const char *limit_counts(enum container_limit which);
uint64_t limit_highest(enum container_limit which);

#endif
