/* io/containers/pickle.h - reading Python pickles as data, without Python.
 *
 * A pickle is a program for a small stack machine.  This machine runs that program and nothing else: a name such as
 * `os.system` is pushed as two texts and calling it makes a value of kind OPAQUE.  No name is ever looked up, nothing is
 * imported or executed.  Protocols 2 to 4 are read, in the opcodes that writers of checkpoints and data sets use; the
 * rest is refused by name (E_UNSUPPORTED).
 *
 * Values live in one arena and are named by handles, 16 bytes each; None, True and False are one value each.  A file of real
 * weights, which is full of numbers, has less than a thousandth of the values that its memory has room for.  Containers hold
 * handles, so a value may stand in many places, and lists and dicts may contain themselves: never walk them recursively, nor
 * each time one is met.  Texts and bytes are views into the pickle's own bytes, which the caller keeps until pickle_free();
 * they are not terminated.
 *
 * What is recognised: collections.OrderedDict (a dict), torch's storages, tensors and sizes, _codecs.encode to latin1
 * (bytes) and, if asked for, NumPy's arrays. */
#ifndef IO_CONTAINERS_PICKLE_H
#define IO_CONTAINERS_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/containers/elements.h"
#include "io/containers/limits.h"
#include "io/err.h"

typedef struct pickle pickle;
typedef uint32_t pickle_value; /* a handle, valid until pickle_free() */

enum { PICKLE_MAX_RANK = 8 };
#define PICKLE_ABSENT UINT32_MAX

enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,   /* pickle_int(): 0 or 1 */
    PICKLE_INT,    /* fits 64 bits */
    PICKLE_BIGINT, /* does not; its value is lost */
    PICKLE_FLOAT,
    PICKLE_STR,   /* UTF-8, possibly with lone surrogates as three bytes */
    PICKLE_BYTES, /* bytes, and the str of Python 2 */
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_SET,
    PICKLE_DICT,
    PICKLE_GLOBAL,  /* a name; pickle_global() */
    PICKLE_STORAGE, /* pickle_storage_of() */
    PICKLE_TENSOR,  /* pickle_tensor_of() */
    PICKLE_ARRAY,   /* pickle_array_of(); only with `numpy` */
    PICKLE_DTYPE,   /* of an array; only with `numpy` */
    PICKLE_OPAQUE   /* what some call would have made */
};

/* How persistent ids (storages of tensors) are written; NO_STORAGES refuses all. */
enum pickle_storages { PICKLE_NO_STORAGES, PICKLE_ZIP_STORAGES, PICKLE_LEGACY_STORAGES };

struct pickle_options {
    enum pickle_storages storages;
    bool numpy;  /* arrays and dtypes as values instead of OPAQUE */
    bool strict; /* refuse names outside a short list instead of making OPAQUE values of them */
    /* Of the file that the pickle is a part of, for limit_memory(), so that a small file cannot fill the memory, whatever its
     * pickle inflates to.  0: the pickle is the file. */
    uint64_t file_size;
    const struct container_limits *limits; /* NULL: the defaults */
};

struct pickle_text { /* a view */
    const char *bytes;
    size_t size;
};

struct pickle_global {
    struct pickle_text module, name;
    bool known;     /* in the list that `strict` allows */
    bool dangerous; /* a name that an attack would use; as inert as any other */
};

struct pickle_storage {
    struct pickle_text key;
    enum element element;
    uint64_t count; /* elements */
    uint32_t root;  /* of a legacy view: the storage it lies in, otherwise its own number */
    uint64_t view;  /* of a legacy view: its first element within the root */
};

struct pickle_tensor {
    uint32_t storage; /* number of a pickle_storage */
    enum element element;
    int rank;
    uint64_t shape[PICKLE_MAX_RANK], stride[PICKLE_MAX_RANK]; /* in elements */
    uint64_t offset; /* in elements, within the storage; every element is known to lie inside it */
};

struct pickle_array { /* numpy.ndarray */
    int rank;
    uint64_t shape[PICKLE_MAX_RANK];
    struct pickle_text dtype; /* "u1", "f4" */
    char order;               /* '<', '>', '|' or '=' */
    bool fortran;             /* column-major */
    struct pickle_text bytes; /* as many as the file has: compare with shape and dtype */
};

/* Run one pickle that starts at bytes[0]; `where` is the file's name for messages.  used (may be NULL): how many bytes it
 * took; bytes behind it are none of its business.  The kinds of errors are io/containers/fault.h's; ERR_NOMEM. */
int pickle_read(const char *where, const void *bytes, size_t size, const struct pickle_options *options, size_t *used,
                pickle **out, err *e);
void pickle_free(pickle *p); /* NULL is fine */

pickle_value pickle_root(const pickle *p);
size_t pickle_values(const pickle *p); /* handles are below that */
enum pickle_kind pickle_kind_of(const pickle *p, pickle_value v);
const char *pickle_kind_name(enum pickle_kind kind);  /* "a dict" */
int64_t pickle_int(const pickle *p, pickle_value v);  /* INT and BOOL; 0 for others */
double pickle_float(const pickle *p, pickle_value v); /* FLOAT; INT converted; 0 for others */
/* STR and BYTES; an empty view for others. */
struct pickle_text pickle_text_of(const pickle *p, pickle_value v);
/* Whether a STR or BYTES has exactly this (terminated) text. */
bool pickle_is_text(const pickle *p, pickle_value v, const char *text);

/* Items of TUPLE, LIST and SET; pairs of DICT.  0 for others. */
size_t pickle_count(const pickle *p, pickle_value v);
pickle_value pickle_item(const pickle *p, pickle_value v,
                         size_t i); /* of a DICT: the i-th value, in the order written */
pickle_value pickle_key(const pickle *p, pickle_value dict, size_t i);
/* The value under a text key of a DICT, STR or BYTES alike; of several the last, as in Python.  PICKLE_ABSENT if there is
 * none or this is no dict. */
pickle_value pickle_get(const pickle *p, pickle_value dict, const char *key);

/* NULL if the value is of another kind. */
const struct pickle_global *pickle_global_of(const pickle *p, pickle_value v);
const struct pickle_storage *pickle_storage_of(const pickle *p, pickle_value v);
const struct pickle_tensor *pickle_tensor_of(const pickle *p, pickle_value v);
/* NULL too if the array has not been filled. */
const struct pickle_array *pickle_array_of(const pickle *p, pickle_value v);

/* Every name, storage and tensor of the pickle, by number; NULL past the end. */
const struct pickle_global *pickle_global(const pickle *p, size_t i);
const struct pickle_storage *pickle_storage(const pickle *p, size_t i);
const struct pickle_tensor *pickle_tensor(const pickle *p, size_t i);

#endif
