/* io/h5.c - see h5.h: files, their errors, types and digests.  Arrays are in h5_write.c and h5_read.c.
 *
 * Files use HDF5's 1.8 format, those around arrays on the disk that of 1.10.  The metadata of both carries checksums: a
 * flipped byte there is found by HDF5 itself, one in the data of an array by h5_verify(). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/h5_internal.h"

enum { MEMORY_STEP = 1 << 20 }; /* by which a file in memory grows */

static herr_t keep_first(unsigned n, const H5E_error2_t *error, void *text)
{
    if (n == 0 && error->desc)
        snprintf(text, 300, "%s", error->desc);
    return 0;
}

int h5_fail(const h5 *file, enum err_code code, const char *name, const char *what, err *e)
{
    char inner[300] = "";

    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, inner);
    H5Eclear2(H5E_DEFAULT);
    return err_set(e, code, "%s: %s%s%s%s%s%s", file->path, name, *name ? ": " : "", what, *inner ? " (HDF5: " : "",
                   inner, *inner ? ")" : "");
}

static void quiet(void)
{
    static bool plugins_off;

    if (!plugins_off) /* no code is loaded because a file asks for a filter */
        H5PLset_loading_state(0);
    plugins_off = true;
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

/* ---------------------------------------------------------------- types */

static hid_t half_type(void)
{
    hid_t t = H5Tcopy(H5T_IEEE_F32LE);

    H5Tset_fields(t, 15, 10, 5, 0, 10);
    H5Tset_size(t, 2);
    H5Tset_ebias(t, 15);
    return t;
}

hid_t h5_stored_type(enum h5_type type)
{
    switch (type) {
    case H5_F32:
        return H5Tcopy(H5T_IEEE_F32LE);
    case H5_F64:
        return H5Tcopy(H5T_IEEE_F64LE);
    case H5_I32:
        return H5Tcopy(H5T_STD_I32LE);
    case H5_I64:
        return H5Tcopy(H5T_STD_I64LE);
    case H5_U8:
        return H5Tcopy(H5T_STD_U8LE);
    case H5_F16:
        return half_type();
    }
    return -1;
}

size_t h5_type_size(enum h5_type type)
{
    static const size_t sizes[] = {[H5_F32] = 4, [H5_F64] = 8, [H5_I32] = 4, [H5_I64] = 8, [H5_U8] = 1, [H5_F16] = 2};

    return sizes[type];
}

bool h5_type_valid(int type)
{
    return type >= 0 && type < H5_TYPES;
}

/* ---------------------------------------------------------------- shapes and digests */

bool h5_shape_bytes(int rank, const size_t *shape, size_t element, size_t *bytes)
{
    *bytes = element;
    for (int i = 0; i < rank; i++)
        if (__builtin_mul_overflow(*bytes, shape[i], bytes))
            return false;
    return true;
}

void h5_entry_start(struct digester *d, const char *name, int type, int rank, const size_t *shape)
{
    digester_start(d);
    digester_add_text(d, name);
    digester_add_u64(d, (uint64_t)type);
    digester_add_u64(d, (uint64_t)rank);
    for (int i = 0; i < rank; i++)
        digester_add_u64(d, shape[i]);
}

bool h5_entries_add(struct h5_entries *list, const char *name, const struct digest *digest)
{
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 16;
        struct h5_entry *grown = realloc(list->entry, room * sizeof *grown);

        if (!grown)
            return false;
        list->entry = grown;
        list->room = room;
    }
    list->entry[list->count] = (struct h5_entry){.name = strdup(name)};
    if (digest)
        list->entry[list->count].digest = *digest;
    return list->entry[list->count++].name != NULL;
}

void h5_entries_free(struct h5_entries *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->entry[i].name);
    free(list->entry);
    *list = (struct h5_entries){0};
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct h5_entry *)a)->name, ((const struct h5_entry *)b)->name);
}

struct digest h5_entries_digest(struct h5_entries *list)
{
    struct digester d;

    if (list->count)
        qsort(list->entry, list->count, sizeof *list->entry, by_name);
    digester_start(&d);
    for (size_t i = 0; i < list->count; i++)
        digester_add(&d, list->entry[i].digest.bytes, DIGEST_BYTES);
    return digester_end(&d);
}

bool h5_name_valid(const char *name)
{
    size_t length = strlen(name);

    if (!length || length > H5_NAME_LIMIT || name[0] == '/' || name[length - 1] == '/' || strstr(name, "//"))
        return false;
    for (const char *part = name; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL) {
        size_t n = strcspn(part, "/");

        if ((n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            return false;
    }
    return true;
}

hid_t h5_create_list(hid_t kind)
{
    hid_t list = H5Pcreate(kind);

    H5Pset_obj_track_times(list, false);
    return list;
}

/* ---------------------------------------------------------------- files */

static h5 *h5_new(const char *path)
{
    h5 *file = calloc(1, sizeof *file);

    quiet();
    if (!file)
        return NULL;
    file->id = -1;
    file->disk.fd = -1;
    file->path = strdup(path);
    if (!file->path) {
        free(file);
        return NULL;
    }
    return file;
}

/* Begin to compose a file whose disk is open, in the format of that version of HDF5. */
static int compose(h5 *file, hid_t access, H5F_libver_t version, h5 **out, err *e)
{
    hid_t create = h5_create_list(H5P_FILE_CREATE);

    H5Pset_libver_bounds(access, version, version);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    file->id = H5Fcreate(file->disk.temporary, H5F_ACC_TRUNC, create, access);
    file->writing = true;
    H5Pclose(create);
    if (file->id < 0) {
        h5_fail(file, ERR_NOMEM, "", "cannot be created in memory", e);
        h5_close(file);
        return e->code;
    }
    *out = file;
    return 0;
}

int h5_create(const char *path, h5 **out, err *e)
{
    h5 *file = h5_new(path);
    hid_t access;

    *out = NULL;
    if (!file)
        return err_set(e, ERR_NOMEM, "%s: out of memory", path);
    if (atomic_open(&file->disk, path, e)) {
        h5_close(file);
        return e->code;
    }
    access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_core(access, MEMORY_STEP, false);
    compose(file, access, H5F_LIBVER_V18, out, e);
    H5Pclose(access);
    return *out ? 0 : (int)e->code;
}

int h5_create_around(struct atomic_file *disk, uint64_t size, h5 **out, err *e)
{
    h5 *file = h5_new(disk->path);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);

    *out = NULL;
    if (!file || !(file->around = h5_around_create(size, access))) {
        err_set(e, ERR_NOMEM, "%s: out of memory", disk->path);
        atomic_abandon(disk);
        h5_close(file);
    } else {
        static const uint8_t nothing[8];

        file->disk = *disk;
        *disk = (struct atomic_file){.fd = -1};
        if (atomic_write(&file->disk, nothing, (size_t)(file->around->gap_end - size),
                         e)) /* to where the rest begins */
            h5_close(file);
        else
            compose(file, access, H5F_LIBVER_V110, out, e); /* 1.8 has an index of every chunk */
    }
    H5Pclose(access);
    return *out ? 0 : (int)e->code;
}

int h5_open(const char *path, h5 **out, err *e)
{
    struct stat status;
    hid_t access;
    h5 *file;

    *out = NULL;
    if (stat(path, &status))
        return err_set(e, errno == ENOENT || errno == ENOTDIR ? ERR_MISSING : ERR_DAMAGED, "%s: %s", path,
                       strerror(errno));
    if (!S_ISREG(status.st_mode))
        return err_set(e, ERR_DAMAGED, "%s: is not a file", path);
    if (!(file = h5_new(path)))
        return err_set(e, ERR_NOMEM, "%s: out of memory", path);
    access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    H5Pset_file_locking(access, false, true); /* files are complete before they get their name: nothing to lock */
    file->id = H5Fopen(path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    if (file->id < 0) {
        h5_fail(file, ERR_DAMAGED, "", "is not a readable HDF5 file", e);
        h5_close(file);
        return e->code;
    }
    *out = file;
    return 0;
}

/* Write what is around the arrays on the disk.  The file is closed before: the 1.10 format marks open ones. */
static int spill_around(h5 *file, err *e)
{
    struct h5_around *a = file->around;
    herr_t closed = H5Fclose(file->id);

    file->id = -1;
    if (closed < 0 || a->end < a->gap_end || !h5_around_reserve(a, a->end - a->gap_end))
        return h5_fail(file, ERR_NOMEM, "", "cannot be completed in memory", e);
    if (atomic_write(&file->disk, a->back, a->back_size, e))
        return e->code;
    return atomic_write_at(&file->disk, 0, a->front, H5_FRONT, e);
}

/* Write the file's bytes, which the core driver holds, to the disk. */
static int spill(h5 *file, err *e)
{
    void *handle = NULL; /* of the core driver: a pointer to its pointer to the bytes */
    ssize_t size = -1;

    if (H5Fflush(file->id, H5F_SCOPE_GLOBAL) >= 0 && H5Fget_vfd_handle(file->id, H5P_DEFAULT, &handle) >= 0)
        size = H5Fget_file_image(file->id, NULL, 0);
    if (size < 0)
        return h5_fail(file, ERR_NOMEM, "", "cannot be completed in memory", e);
    return atomic_write(&file->disk, *(void **)handle, (size_t)size, e);
}

int h5_commit(h5 *file, struct digest *digest, err *e)
{
    struct digest content = h5_entries_digest(&file->entries);
    char hex[DIGEST_HEX];
    int status;

    if (digest)
        *digest = content;
    digest_to_hex(&content, hex);
    if (file->failed)
        status = err_set(e, ERR_STORAGE, "%s: not written, because a part of it could not be", file->path);
    else if (file->around)
        status = spill_around(file, e);
    else if (!(status = h5_write_text(file, "digest", hex, e)))
        status = spill(file, e);
    if (!status)
        status = atomic_commit(&file->disk, e);
    h5_close(file);
    return status;
}

void h5_close(h5 *file)
{
    if (!file)
        return;
    if (file->id >= 0)
        H5Fclose(file->id);
    H5Eclear2(H5E_DEFAULT);
    h5_around_free(file->around);
    atomic_abandon(&file->disk);
    h5_entries_free(&file->entries);
    free(file->path);
    free(file);
}
