/* io/h5_around.c - see h5.h: a file whose large arrays were on the disk before HDF5 began.
 *
 * A driver for HDF5's virtual file layer.  The library's addresses are the file's, but it gets its room around a gap:
 *
 *   0            H5_FRONT                            gap_end
 *   | superblock | the bytes that are on the disk    | everything else ...
 *
 * and both sides live in memory until h5_commit().  So nothing that the library does can fail for want of a disk, which HDF5
 * 1.10 would not survive (h5_internal.h). */
#include <stdlib.h>
#include <string.h>

#include "io/h5_internal.h"

/* An open file, as the driver sees it. */
struct around_file {
    H5FD_t base; /* first: the library casts */
    struct h5_around *around;
};

static struct h5_around *around_of(const H5FD_t *file)
{
    return ((const struct around_file *)file)->around;
}

static H5FD_t *around_open(const char *name, unsigned flags, hid_t access, haddr_t most)
{
    struct around_file *file = calloc(1, sizeof *file);
    struct h5_around *const *around = H5Pget_driver_info(access);

    (void)name, (void)flags, (void)most;
    if (file)
        file->around = *around;
    return &file->base;
}

static herr_t around_close(H5FD_t *file)
{
    free(file);
    return 0;
}

static herr_t around_query(const H5FD_t *file, unsigned long *features)
{
    (void)file;
    *features = 0;
    return 0;
}

/* Between rooms before the gap: a room that ends where the file does would be made larger without asking, into the gap. */
enum { APART = 8 };

/* Room that fits before the gap goes there, later room behind it; the raw data of an array that is on the disk is where it is,
 * and from then on the file reaches beyond the gap. */
static haddr_t around_alloc(H5FD_t *file, H5FD_mem_t type, hid_t transfer, hsize_t size)
{
    struct h5_around *a = around_of(file);
    bool claims = a->claim && type == H5FD_MEM_DRAW;
    haddr_t at = claims ? a->claim : a->end;

    (void)transfer;
    if (claims)
        a->claim = 0;
    if (a->end < a->gap_end && (claims || at + size > H5_FRONT))
        a->end = a->gap_end;
    if (claims)
        return at;
    at = a->end;
    a->end = at + size;
    if (a->end < a->gap_end)
        a->end += APART;
    return at;
}

static haddr_t around_end(const H5FD_t *file, H5FD_mem_t type)
{
    (void)type;
    return around_of(file)->end;
}

static herr_t around_set_end(H5FD_t *file, H5FD_mem_t type, haddr_t end)
{
    (void)type;
    around_of(file)->end = end;
    return 0;
}

bool h5_around_reserve(struct h5_around *a, size_t size)
{
    size_t room = a->back_room ? a->back_room : 1 << 16;

    if (size <= a->back_size)
        return true;
    while (room < size)
        room *= 2;
    if (room > a->back_room) {
        uint8_t *grown = realloc(a->back, room);

        if (!grown)
            return false;
        a->back = grown;
        a->back_room = room;
    }
    memset(a->back + a->back_size, 0, size - a->back_size);
    a->back_size = size;
    return true;
}

/* The memory behind a range of addresses; NULL if it reaches into the gap or there is none. */
static uint8_t *memory_at(struct h5_around *a, haddr_t at, size_t size)
{
    if (at + size <= H5_FRONT)
        return a->front + at;
    if (at >= a->gap_end && h5_around_reserve(a, (size_t)(at - a->gap_end) + size))
        return a->back + (at - a->gap_end);
    return NULL;
}

static herr_t around_read(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t size, void *to)
{
    const uint8_t *from = memory_at(around_of(file), at, size);

    (void)type, (void)transfer;
    if (from)
        memcpy(to, from, size);
    return from ? 0 : -1;
}

static herr_t around_write(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t size, const void *from)
{
    uint8_t *to = memory_at(around_of(file), at, size);

    (void)type, (void)transfer;
    if (to)
        memcpy(to, from, size);
    return to ? 0 : -1;
}

static const H5FD_class_t driver = {
#ifdef H5FD_CLASS_VERSION /* HDF5 1.14 */
    .version = H5FD_CLASS_VERSION,
    .value = 513,
#endif
    .name = "around",
    .maxaddr = (haddr_t)1 << 62,
    .fc_degree = H5F_CLOSE_STRONG,
    .fapl_size = sizeof(struct h5_around *),
    .open = around_open,
    .close = around_close,
    .query = around_query,
    .alloc = around_alloc,
    .get_eoa = around_end,
    .set_eoa = around_set_end,
    .get_eof = around_end,
    .read = around_read,
    .write = around_write,
    .fl_map = H5FD_FLMAP_SINGLE,
};

struct h5_around *h5_around_create(uint64_t gap_end, hid_t access)
{
    struct h5_around *a = calloc(1, sizeof *a);
    hid_t id = a ? H5FDregister(&driver) : -1;

    if (!a)
        return NULL;
    a->gap_end = (gap_end + 7) / 8 * 8;
    if (id < 0 || H5Pset_driver(access, id, &a) < 0) {
        free(a);
        return NULL;
    }
    H5FDunregister(id); /* the list keeps it */
    return a;
}

void h5_around_free(struct h5_around *a)
{
    if (a)
        free(a->back);
    free(a);
}
