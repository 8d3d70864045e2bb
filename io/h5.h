/* io/h5.h - the HDF5 file of named arrays: checkpoints, backbones, packs, reference tensors.
 *
 * Writing goes to a temporary file beside the final name; h5_commit() syncs and renames it, so a reader finds a complete file
 * or none.  Names may contain '/', which makes groups.  Nothing carries a time stamp, so the same calls give the same bytes.
 * HDF5's own error printing is off; its innermost message is in the err.
 *
 * Nothing in a file is believed before it is checked: links out of the file, other filters than deflate, shuffle and
 * fletcher32, chunks above 64 MiB or far larger than their array and shapes that the stored bytes cannot fill are ERR_DAMAGED. */
#ifndef IO_H5_H
#define IO_H5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/digest.h"
#include "io/err.h"

enum h5_type { H5_F32, H5_F64, H5_I32, H5_I64, H5_U8, H5_F16 /* stored as half, read as F32 */ };
enum { H5_MAX_RANK = 8, H5_SIGNATURE_BYTES = 8 };
/* How a file begins, or goes on at 512, 1024, 2048, ... behind a block of its user's. */
#define H5_SIGNATURE "\x89HDF\r\n\x1a\n"

typedef struct h5 h5;

/* ERR_STORAGE if the folder is missing or cannot be written. */
int h5_create(const char *path, h5 **out, err *e);
/* ERR_MISSING if there is no such file, ERR_DAMAGED if it is not a readable HDF5 file. */
int h5_open(const char *path, h5 **out, err *e);
/* Write the attribute "digest" (of the names, types, shapes and bytes of all arrays, in the order of their names; attributes
 * do not count), flush, fsync, rename.  Closes in any case.  digest may be NULL.  ERR_STORAGE if it cannot be written. */
int h5_commit(h5 *file, struct digest *digest, err *e);
/* A file for arrays that are too large for memory: H5_FRONT bytes of anything, then theirs, `size` bytes in all, have been appended
 * to `disk`, which passes to the file, or is abandoned.  h5_write_range() gives the arrays names; the rest is as with h5_create(),
 * but that h5_commit() writes no digest. */
struct atomic_file;
enum { H5_FRONT = 4096 };
int h5_create_around(struct atomic_file *disk, uint64_t size, h5 **out, err *e);
/* Name an array of H5_U8 whose bytes are in the file already, from `at`, chunk by chunk; each (chunk) follows the one before it in
 * the array as well: it has all of the later dimensions, any part of one, which divides it unless it is the first, and one step of
 * those before.  The last chunk is filled up with anything.  ERR_NOMEM, ERR_BUG. */
int h5_write_range(h5 *file, const char *name, int rank, const size_t *shape, const size_t *chunk, uint64_t at, err *e);
/* Close; a file being written is removed.  NULL is fine. */
void h5_close(h5 *file);

/* data: row-major, of the given type (float for H5_F16, rounded to the nearest half).  Arrays above 4 KiB are
 * chunked, shuffled and deflated if `compress`.  The file is composed in memory, so the disk plays no part before h5_commit().
 * ERR_NOMEM, or ERR_BUG if the name is not one or is taken. */
int h5_write(h5 *file, const char *name, enum h5_type type, int rank, const size_t *shape, const void *data,
             bool compress, err *e);
int h5_write_text(h5 *file, const char *name, const char *text, err *e); /* attribute of / */
int h5_write_number(h5 *file, const char *name, double value, err *e);   /* attribute of / */

bool h5_has(h5 *file, const char *name);
/* The names of all arrays, sorted; released with h5_names_free(). */
int h5_names(h5 *file, char ***names, size_t *count, err *e);
void h5_names_free(char **names, size_t count);
/* ERR_DAMAGED if a name is a soft, external or user-defined link.  h5_names() passes over those. */
int h5_links(h5 *file, err *e);
/* Shape of an array; rank may be 0..H5_MAX_RANK.  ERR_DAMAGED with file and name if there is none. */
int h5_shape(h5 *file, const char *name, int *rank, size_t shape[H5_MAX_RANK], err *e);
/* What the numbers of an array are.  BFLOAT16: integers of 16 bits that an attribute "bfloat16" = 1 of the array marks as such. */
enum h5_numbers { H5_WHOLE, H5_REAL, H5_BFLOAT16 };
int h5_numbers(h5 *file, const char *name, enum h5_numbers *out, err *e);
/* Read an array whose shape must be exactly the given one; converted to `type` (H5_F16 is not allowed here).
 * Integers that do not fit, and floating-point numbers asked for as integers, are ERR_DAMAGED. */
int h5_read(h5 *file, const char *name, enum h5_type type, int rank, const size_t *shape, void *data, err *e);
/* Read an array of any shape of that rank; *data is malloc'd.  Refuses above `limit` bytes. */
int h5_read_alloc(h5 *file, const char *name, enum h5_type type, int rank, size_t *shape, size_t limit, void **data,
                  err *e);
/* Where in its file an array of H5_U8 lies whose elements follow one another there, in one piece or in chunks as h5_write_range()
 * has them; [out] at 0 if they do not. */
int h5_range(h5 *file, const char *name, uint64_t *at, err *e);
/* A descriptor of the open file, to be closed by the caller: it outlives the h5.  ERR_SYSTEM. */
int h5_descriptor(h5 *file, int *fd, err *e);
bool h5_has_attribute(h5 *file, const char *name); /* of / */
/* The attributes format and format_version must say this, where they are; ERR_DAMAGED, with E_MAGIC or E_VERSION. */
int h5_check_format(h5 *file, const char *format, int version, err *e);
int h5_read_text(h5 *file, const char *name, char **text, err *e); /* malloc'd */
int h5_read_number(h5 *file, const char *name, double *value, err *e);
/* "(3, 4)"; returns text. */
enum { H5_SHAPE_TEXT = 200 };
const char *h5_shape_text(char text[H5_SHAPE_TEXT], int rank, const size_t *shape);
/* "1.10.8": the HDF5 library at work. */
const char *h5_library(void);
/* The digest recorded by h5_commit(). */
int h5_digest(h5 *file, struct digest *out, err *e);
/* Recompute the digest from the content and compare; ERR_DAMAGED when it differs. */
int h5_verify(h5 *file, err *e);

#endif
