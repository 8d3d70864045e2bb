/* io/h5_chunks.h - the chunks of a list of rows, decoded here: HDF5 takes several times as long to put shuffled bytes back into
 * their places and to copy them from buffer to buffer.
 *
 * Only for lists that are stored as store.c stores them, shuffled, deflated and checksummed in this order; all others are HDF5's
 * affair.  h5_storage_wrong() must have been asked about the list before. */
#ifndef IO_H5_CHUNKS_H
#define IO_H5_CHUNKS_H

#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>

struct h5_chunks {
    hid_t list;
    size_t row_bytes, rows; /* rows: of a chunk, the last one included, which may reach beyond the list's end */
    size_t bytes;           /* of a chunk */
    size_t room;            /* of a chunk as it is stored */
    unsigned char *stored, *shuffled;
};

/* Whether a list of rows is stored so; fills `c`, which owns nothing yet. */
bool h5_chunks_fit(hid_t list, size_t row_bytes, struct h5_chunks *c);
bool h5_chunks_open(struct h5_chunks *c); /* false without memory; h5_chunks_close() in any case */
/* The rows of the index-th chunk to `rows`, which has room for a whole chunk.  NULL, or what is wrong. */
const char *h5_chunks_read(struct h5_chunks *c, size_t index, unsigned char *rows);
void h5_chunks_close(struct h5_chunks *c);

#endif
