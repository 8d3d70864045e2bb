/* io/h5_internal.h - what the files h5*.c and store.c share: the open file, types, errors.
 *
 * A file being written lives in memory (HDF5's core driver) until it is committed.  HDF5 1.10 cannot survive a full
 * disk: a file that could not be flushed crashes the process when it exits.  So the disk is written by io/atomic.c,
 * whose errors are ours. */
#ifndef IO_H5_INTERNAL_H
#define IO_H5_INTERNAL_H

#include <hdf5.h>

#include "io/atomic.h"
#include "io/h5.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "digests are of the bytes in memory, little-endian");

enum {
    H5_NAME_LIMIT = 1024,
    H5_CHUNK_BYTES = 1 << 20,  /* what we write: the default chunk cache holds one such chunk */
    H5_CHUNK_LIMIT = 64 << 20, /* what we read */
    H5_INFLATE_RATIO = 1100,   /* deflate cannot compress better than about 1032 to 1 */
    H5_DEFLATE_LEVEL = 4,
    H5_TYPES = H5_F16 + 1
};

/* An array of the file and the digest of its name, type (H5_TYPES for rows of a table), shape and bytes. */
struct h5_entry {
    char *name;
    struct digest digest;
};

struct h5_entries {
    struct h5_entry *entry;
    size_t count, room;
};

/* What h5_around.c keeps in memory of a file whose large arrays are on the disk. */
struct h5_around {
    uint64_t gap_end, end;   /* of the bytes on the disk; of all that is allocated */
    uint64_t claim;          /* where the next array is, if not 0 */
    uint8_t front[H5_FRONT]; /* before the gap ... */
    uint8_t *back;           /* ... and behind it */
    size_t back_size, back_room;
};
/* Make the driver that of files opened with these access properties.  NULL without memory. */
struct h5_around *h5_around_create(uint64_t gap_end, hid_t access);
/* Let the memory behind the gap have that many bytes, zeros where nothing was written; false without memory. */
bool h5_around_reserve(struct h5_around *a, size_t size);
void h5_around_free(struct h5_around *a);

struct h5 {
    hid_t id;
    char *path;
    bool writing, failed; /* failed: a write did, so commit will refuse */
    struct atomic_file disk;
    struct h5_around *around;  /* NULL for files composed in memory alone */
    struct h5_entries entries; /* of every array written */
};

/* Fail with HDF5's innermost message behind our own words. */
int h5_fail(const h5 *file, enum err_code code, const char *name, const char *what, err *e);

/* The type in the file, to be closed by the caller. */
hid_t h5_stored_type(enum h5_type type);
size_t h5_type_size(enum h5_type type);
bool h5_type_valid(int type);

/* One or more non-empty parts joined by '/', none of them "." or "..". */
bool h5_name_valid(const char *name);
/* Bytes of an array; false if that does not fit into size_t. */
bool h5_shape_bytes(int rank, const size_t *shape, size_t element, size_t *bytes);

/* A property list for new objects (H5P_DATASET_CREATE, H5P_GROUP_CREATE, ...) without time stamps. */
hid_t h5_create_list(hid_t kind);

/* NULL, or what is wrong with how an array of that many stored bytes is stored: only what we would write ourselves may
 * be between the file's bytes and ours (deflate, shuffle and checksum, no other files), and the stored bytes must be
 * able to yield the claimed ones. */
const char *h5_storage_wrong(hid_t array, int rank, size_t element, size_t bytes);

/* Whether chunks, laid one after the other, have the elements of an array in their order: h5_write_range(). */
bool h5_chunks_follow(int rank, const hsize_t *shape, const hsize_t *chunk);
/* Where an array begins whose elements follow one another in the file, in one piece or in chunks; HADDR_UNDEF if they do not. */
haddr_t h5_first_byte(hid_t array);

/* Write an attribute of / or of an array (`owner`) that holds one element of a type, which is closed here. */
bool h5_attribute_write(hid_t owner, const char *name, hid_t type, const void *value);
/* A fixed-length UTF-8 type for texts up to size - 1 bytes. */
hid_t h5_text_type(size_t size);

/* Start the digest of an array; its bytes follow. */
void h5_entry_start(struct digester *d, const char *name, int type, int rank, const size_t *shape);
bool h5_entries_add(struct h5_entries *list, const char *name, const struct digest *digest);
void h5_entries_free(struct h5_entries *list);
/* The digest of a file: of its arrays' digests, by name, so the order of writing does not matter. */
struct digest h5_entries_digest(struct h5_entries *list);

#endif
