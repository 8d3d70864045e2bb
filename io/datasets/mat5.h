/* io/datasets/mat5.h - the variables of a MATLAB v5 file: what there is, checked before libmatio reads any of it.
 *
 * Little-endian files of the version 0x0100.  A file is elements, each a tag (type, bytes) and its data; a variable is
 * an element of type miMATRIX, or one such inside a zlib stream (miCOMPRESSED): array flags, dimensions, name, numbers.
 * Here every tag must lie inside what holds it, every stream must inflate to exactly the element that it begins with,
 * and the numbers must be as many as the dimensions say.  libmatio has a long history of trusting such things.
 *
 * Kinds of errors: E_MAGIC (no such file), E_UNSUPPORTED (big-endian), E_VERSION (v7.3, which is HDF5), E_TRUNC, E_RANGE,
 * E_SYNTAX, E_DTYPE (numbers stored as a type that holds none), E_OVERFLOW, E_LIMIT, E_CRC. */
#ifndef IO_DATASETS_MAT5_H
#define IO_DATASETS_MAT5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/err.h"

enum { MAT5_VARIABLES = 64, MAT5_RANK = 8, MAT5_NAME = 64, MAT5_HEADER = 128 };

/* MATLAB's numbers for the classes that matter here. */
enum mat5_class { MAT5_DOUBLE = 6, MAT5_SINGLE = 7, MAT5_INT8 = 8, MAT5_UINT8 = 9, MAT5_UINT64 = 15 };

/* MATLAB's numbers for the types in which numbers are stored; a variable's may be narrower than its class. */
enum mat5_type { MAT5_U8 = 2, MAT5_U16 = 4, MAT5_I32 = 5, MAT5_U32 = 6, MAT5_F64 = 9 };

struct mat5_variable {
    char name[MAT5_NAME];
    int class;  /* MATLAB's array class; only numbers (MAT5_DOUBLE to MAT5_UINT64) are looked into further */
    bool plain; /* real numbers: neither complex nor logical */
    int stored; /* the type of its numbers in the file; 0 where they were not looked into */
    int rank;
    uint64_t shape[MAT5_RANK]; /* column-major: the first index runs fastest */
    uint64_t count;            /* numbers */
    uint64_t offset, size;     /* of the whole element in the file, tag included */
};

struct mat5_index {
    struct mat5_variable variables[MAT5_VARIABLES];
    size_t count;
};

/* List the variables of an open file of `size` bytes; of each, what stands before its numbers is read. */
int mat5_list(int fd, uint64_t size, const char *where, struct mat5_index *out, err *e);
/* Read a listed variable to its end: whether its zlib stream is whole and inflates to what it says. */
int mat5_verify(int fd, uint64_t size, const char *where, const struct mat5_variable *v, err *e);
const struct mat5_variable *mat5_find(const struct mat5_index *index, const char *name); /* NULL if there is none */

#endif
