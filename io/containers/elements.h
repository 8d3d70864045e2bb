/* io/containers/elements.h - the numbers that tensors in files are made of, and how they become float32. */
#ifndef IO_CONTAINERS_ELEMENTS_H
#define IO_CONTAINERS_ELEMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* symbol, name, bytes.  Only the real ones are read; tensors of the others are listed, and refused when asked for.  OTHER: one
 * of which not even the size is known. */
#define ELEMENTS(X)                    \
    X(OTHER, "an unsupported type", 0) \
    X(F32, "float32", 4)               \
    X(F64, "float64", 8)               \
    X(F16, "float16", 2)               \
    X(BF16, "bfloat16", 2)             \
    X(I64, "int64", 8)                 \
    X(I32, "int32", 4)                 \
    X(I16, "int16", 2)                 \
    X(I8, "int8", 1)                   \
    X(U64, "uint64", 8)                \
    X(U32, "uint32", 4)                \
    X(U16, "uint16", 2)                \
    X(U8, "uint8", 1)                  \
    X(BOOL, "bool", 1)                 \
    X(C64, "complex64", 8)             \
    X(C128, "complex128", 16)          \
    X(QI8, "qint8", 1)                 \
    X(QU8, "quint8", 1)                \
    X(QI32, "qint32", 4)

enum element {
#define X(symbol, name, bytes) ELEMENT_##symbol,
    ELEMENTS(X)
#undef X
        ELEMENT_COUNT
};

size_t element_size(enum element element); /* bytes; 0 for ELEMENT_OTHER */
const char *element_name(enum element element);
/* F32, F64, F16 and BF16: what weights may be. */
bool element_is_real(enum element element);

/* n numbers of a real type, anywhere in memory, little-endian unless `big`, as float32: exactly, except F64, which is
 * rounded to the nearest.  A float32 array may be converted in place if it is not big-endian. */
void elements_to_f32(enum element element, bool big, const void *from, float *to, size_t n);

/* Elements of an array in the order of its indices, last fastest: element (i0, i1, ...) lies at offset + sum of
 * i_k stride_k.  The caller has checked that all lie inside `from`; `to` takes the product of the sizes. */
void elements_gather(enum element element, bool big, const void *from, uint64_t offset, int rank, const uint64_t *shape,
                     const uint64_t *stride, float *to);

/* The product of sizes; false if it does not fit. */
bool sizes_product(int rank, const uint64_t *shape, uint64_t *out);

#endif
