/* io/containers/tensors.h - a file of named tensors, whatever it is: .npz, .pth (zip or legacy), .safetensors, HDF5.
 *
 * The content decides what a file is, not its name.  Opening lists what is there (names, types, shapes) and checks the
 * whole frame of the file; numbers are read one tensor at a time, into memory whose size the caller knows.  Nothing in any
 * file is executed, imported or unpacked.
 *
 * What opening takes is limited: by limits.h, where a user can change numbers, and by the file's size.  No list or table is larger
 * than twice the file and 1 MiB, nor are all names together; only a deflated pickle may have 1 MiB, or a hundred times what it is
 * in the file, and a deflated header of NumPy as much as its limit says. */
#ifndef IO_CONTAINERS_TENSORS_H
#define IO_CONTAINERS_TENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/containers/elements.h"
#include "io/containers/limits.h"
#include "io/containers/source.h"

enum { TENSOR_MAX_RANK = 8, TENSOR_NAME_LIMIT = 1024 };

/* How a note begins that tells of a name that somebody meant ill with.  If such a file is refused, the error begins with it. */
#define TENSORS_DANGER "SECURITY"

struct tensor_info {
    const char *root; /* of a pickled dict of dicts: the outer key; "" at the top level and in other containers */
    const char *name;
    enum element element;
    int rank;
    uint64_t shape[TENSOR_MAX_RANK];
    uint64_t count; /* numbers */
    uint64_t place; /* reading tensors in ascending order of these takes one pass over the file */
};

struct tensor_options {
    bool ignore_crc;     /* of zip entries */
    bool strict_pickle;  /* refuse names that are not on the short list */
    bool npz_v2_is_bf16; /* NumPy type |V2 */
    struct container_limits limits;
};

struct tensor_file {
    const char *container; /* "npz", "pth", "legacy pth", "safetensors", "hdf5" */
    bool jax_names;        /* NumPy's: names and layouts are JAX's */
    size_t count;
    struct tensor_info *info; /* in the order of the file */
    int heads;                /* 0 unless the file says so */
    char profile[16];         /* "" unless the file says so */
    char *notes;              /* lines for the user, each ended by '\n', dangers first; "" if there is nothing to say */

    /* private */
    const struct tensor_reader *reader;
    struct source source;
    struct tensor_options options;
    void *state;
    struct tensor_names *names; /* where all names live */
    size_t info_capacity, names_bytes;
};

/* By path or from memory (which the caller keeps).  Errors carry the container and kinds of io/containers/fault.h. */
int tensors_open(const char *path, const struct tensor_options *options, struct tensor_file *out, err *e);
int tensors_open_memory(const char *name, const void *bytes, size_t size, const struct tensor_options *options,
                        struct tensor_file *out, err *e);
void tensors_close(struct tensor_file *f); /* harmless twice, and after a failure */

/* The numbers of tensor i, row-major, as float32: info[i].count of them.  E_DTYPE unless its type is one of weights.  A
 * deflated storage of a .pth begins anew for a tensor that lies before the last one read; E_LIMIT if that adds up to far more
 * than the file, and if a deflated storage is far larger than the tensors in it. */
int tensors_read(struct tensor_file *f, size_t i, float *to, err *e);
/* After the last tensor: the checksum of a storage that has been read in part.  Until then its numbers may be damaged. */
int tensors_finish(struct tensor_file *f, err *e);

/* E_LIMIT if that is more numbers than a file of its size is believed to hold: it can claim numbers that it does not have through
 * tensors that repeat one, or by deflating zeros, and no backbone does. */
int tensors_believed(const struct tensor_file *f, uint64_t numbers, err *e);

/* "(3, 4)"; returns text. */
enum { SIZES_TEXT = 200 };
const char *sizes_text(char text[SIZES_TEXT], int rank, const uint64_t *shape);

#endif
