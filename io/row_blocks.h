/* io/row_blocks.h - all rows of a list in an HDF5 file, block after block, and their digest, which a thread of its own computes:
 * that takes about as long as all the rest of reading them. */
#ifndef IO_ROW_BLOCKS_H
#define IO_ROW_BLOCKS_H

#include "io/h5_internal.h"

struct row_list {
    h5 *file;
    const char *name;
    hid_t id, type;
    size_t rows, row_bytes; /* as h5_storage_wrong() has found them possible */
};

/* `count` rows from the `first`; returns e->code. */
typedef int row_visitor(void *context, size_t first, size_t count, const char *rows, err *e);

/* Show all rows, in order, until `take` fails, and add them to the digester.  ERR_DAMAGED if they cannot be read, ERR_NOMEM. */
int row_blocks_each(const struct row_list *l, row_visitor *take, void *context, struct digester *d, err *e);

#endif
