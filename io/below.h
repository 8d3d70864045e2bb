/* io/below.h - files below a folder that the user named, and never outside of it.
 *
 * Names that come out of files (lists of images, manifests) and links that lie in downloaded folders could lead
 * anywhere.  Here a name is followed from the folder's own descriptor: a link may point elsewhere inside the folder,
 * never out of it.  Where the kernel cannot promise that (openat2 of Linux 5.6), no link is followed at all.
 *
 * The kinds of errors are io/containers/fault.h's; what is not there is ERR_MISSING. */
#ifndef IO_BELOW_H
#define IO_BELOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/err.h"

enum { BELOW_NAME_SIZE = 4096 };

struct below {
    int fd;     /* of the folder; -1 when closed */
    char *path; /* as the user wrote it, for messages */
};

/* ERR_MISSING if there is no such folder. */
int below_enter(const char *path, struct below *out, err *e);
void below_leave(struct below *root); /* harmless twice */

/* Whether a relative name may be followed: not empty, no control characters, no backslash, not absolute, and no
 * component that is empty, "." or "..".  E_PATH. */
int below_name_check(const char *where, const char *name, err *e);

/* Open the regular file of that name to read; *size is its length.  ERR_MISSING, E_PATH (the name is not allowed, a
 * link leads out or in circles), E_IO (not a regular file, or unreadable). */
int below_open(const struct below *root, const char *name, int *fd, uint64_t *size, err *e);
/* Whether a file or a folder of that name is there and can be opened. */
bool below_has(const struct below *root, const char *name);
bool below_has_folder(const struct below *root, const char *name);

/* Bytes of a whole file, in a buffer that is used again; begin with zeros.  They are followed by a zero that does not
 * count. */
struct bytes {
    uint8_t *data;
    size_t size, room;
};
/* As below_open(); E_LIMIT above `limit` bytes, E_TRUNC if the file becomes shorter meanwhile; ERR_NOMEM. */
int below_read(const struct below *root, const char *name, uint64_t limit, struct bytes *out, err *e);
int bytes_reserve(struct bytes *b, size_t room, err *e); /* ERR_NOMEM */
void bytes_free(struct bytes *b);

/* What a folder contains, sorted by the bytes of the names, without "." and "..". */
struct below_entry {
    char *name;
    bool folder; /* otherwise a regular file */
};
struct below_list {
    struct below_entry *entries;
    size_t count;
};
/* name "": the root itself.  Entries that are neither files nor folders are left out.  As below_open(). */
int below_list(const struct below *root, const char *name, struct below_list *out, err *e);
void below_list_free(struct below_list *list);

#endif
