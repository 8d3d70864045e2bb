/* io/containers/reader.h - what a reader of one container is made of.  For io/containers/ only; see tensors.h.
 *
 * A reader lists the tensors with tensors_add() and reads one on request.  Their places are their numbers unless it says
 * otherwise. */
#ifndef IO_CONTAINERS_READER_H
#define IO_CONTAINERS_READER_H

#include "io/containers/pickle.h"
#include "io/containers/tensors.h"

enum { HEADS_MOST = 1024 }; /* that a file is believed */

struct tensor_reader {
    const char *container;
    /* The file's source is open; on failure close() is called. */
    int (*open)(struct tensor_file *f, err *e);
    /* info[i].element is a real type. */
    int (*read)(struct tensor_file *f, size_t i, float *to, err *e);
    void (*close)(struct tensor_file *f);
    int (*finish)(struct tensor_file *f, err *e); /* NULL: nothing is left to check */
};

extern const struct tensor_reader zip_reader, legacy_reader, safetensors_reader, hdf5_reader;
extern const struct tensor_reader hdf5_inside_reader;     /* for a child process; see hdf5_reader.c */
extern const struct tensor_reader npz_reader, pth_reader; /* zip_reader hands over to one of them */

/* A tensor more; names are copied and need not be terminated.  E_LIMIT, E_PATH for a name with '\0'. */
int tensors_add(struct tensor_file *f, const char *root, size_t root_size, const char *name, size_t name_size,
                enum element element, int rank, const uint64_t *shape, err *e);
/* A line for the user. */
void tensors_note(struct tensor_file *f, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The tensors of a pickled state dict: those of the root dict and those of the dicts in it.  [out] the number of each in
 * the pickle, malloc'd. */
int pickled_tensors(struct tensor_file *f, const pickle *p, uint32_t **numbers, err *e);
/* The elements of its storage that a tensor with numbers reaches: as many from its offset on. */
uint64_t pickled_span(const struct pickle_tensor *t);
/* E_LIMIT if it lies scattered over far more than it has. */
int pickled_scattered(const struct tensor_file *f, const struct pickle_tensor *t, uint64_t count, err *e);

/* Write an open file from fd's position on as .safetensors.  Tensors of types that nobody reads keep their shapes alone, as U8.
 * E_SYNTAX or E_DUP for names that the format has not, what reading says, ERR_NOMEM, ERR_SYSTEM, ERR_STORAGE. */
int safetensors_write(struct tensor_file *f, int fd, err *e);

#endif
