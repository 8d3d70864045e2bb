/* io/h5.c - see h5.h.
 *
 * Files use the 1.8 format, whose metadata carries checksums: a flipped byte there is found by HDF5 itself, one in the
 * data of an array by h5_verify(). */
#include "io/h5.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "digests are of the bytes in memory, little-endian");

enum {
    CHUNK_LEAST = 4096,     /* smaller arrays are stored in one piece */
    CHUNK_BYTES = 1 << 20,  /* what we write: the default chunk cache holds one such chunk */
    CHUNK_LIMIT = 64 << 20, /* what we read */
    SLAB_BYTES = 16 << 20,  /* verification reads this much at a time */
    INFLATE_RATIO = 1100,   /* deflate cannot compress better than about 1032 to 1 */
    NAME_LIMIT = 1024,
    TEXT_LIMIT = 64 << 20,
    DEFLATE_LEVEL = 4
};

struct entry {
    char *name;
    struct digest digest;
};

struct h5 {
    hid_t id;
    char *path;
    char *temporary;       /* the name while it is written; NULL for a file being read */
    bool failed;           /* a write failed: commit will refuse */
    struct entry *entries; /* of every array written */
    size_t entries_count, entries_room;
};

/* ---------------------------------------------------------------- HDF5's side of an error */

static herr_t keep_first(unsigned n, const H5E_error2_t *error, void *text)
{
    if (n == 0 && error->desc)
        snprintf(text, 300, "%s", error->desc);
    return 0;
}

/* Fail with HDF5's innermost message behind our own words. */
static int fail(const h5 *file, enum err_code code, const char *name, const char *what, err *e)
{
    char inner[300] = "no further explanation";
    const char *path = file->temporary && code == ERR_STORAGE ? file->temporary : file->path;

    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, inner);
    H5Eclear2(H5E_DEFAULT);
    return err_set(e, code, "%s: %s%s%s (HDF5: %s)", path, name, *name ? ": " : "", what, inner);
}

static int fail_write(h5 *file, const char *name, err *e)
{
    file->failed = true;
    return fail(file, ERR_STORAGE, name, "cannot be written", e);
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

/* The type in the file, to be closed by the caller. */
static hid_t stored_type(enum h5_type type)
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

static const size_t type_size[] = {[H5_F32] = 4, [H5_F64] = 8, [H5_I32] = 4, [H5_I64] = 8, [H5_U8] = 1, [H5_F16] = 2};
enum { TYPES = sizeof type_size / sizeof *type_size };

static bool type_valid(int type)
{
    return type >= 0 && type < TYPES;
}

/* Which of ours a stored type is; TYPES if none. */
static int type_of(hid_t stored)
{
    for (int type = 0; type < TYPES; type++) {
        hid_t ours = stored_type(type);
        bool same = H5Tequal(ours, stored) > 0;

        H5Tclose(ours);
        if (same)
            return type;
    }
    return TYPES;
}

/* IEEE binary16 <-> binary32.  Rounding is to nearest, ties to even. */
static uint16_t half_from_float(float value)
{
    uint32_t bits, sign, mantissa;
    int exponent;

    memcpy(&bits, &value, 4);
    sign = bits >> 16 & 0x8000;
    exponent = (int)(bits >> 23 & 0xff) - 127;
    mantissa = bits & 0x7fffff;
    if (exponent == 128) /* infinity, or NaN kept quiet */
        return (uint16_t)(sign | 0x7c00 | (mantissa ? 0x200 : 0));
    if (exponent < -25)
        return (uint16_t)sign;
    if (exponent < -14) {          /* subnormal: the implicit bit becomes explicit */
        int shift = -1 - exponent; /* 14..24 of the 24-bit significand fall away */
        uint32_t whole = (mantissa | 0x800000) >> shift, rest = (mantissa | 0x800000) & ((1u << shift) - 1);

        return (uint16_t)(sign | (whole + (rest > 1u << (shift - 1) || (rest == 1u << (shift - 1) && (whole & 1)))));
    }
    bits = (uint32_t)(exponent + 15) << 10 | mantissa >> 13;
    bits += (mantissa & 0x1fff) > 0x1000 || ((mantissa & 0x1fff) == 0x1000 && (bits & 1));
    return (uint16_t)(sign | (exponent > 15 || bits > 0x7c00 ? 0x7c00 : bits));
}

static float float_from_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, mantissa = half & 0x3ff, bits;
    float value;

    if (exponent == 0) {
        value = (float)mantissa * 0x1p-24f;
        memcpy(&bits, &value, 4);
        bits |= sign;
    } else {
        bits = sign | (exponent == 31 ? 0xffu : exponent + 112) << 23 | mantissa << 13;
    }
    memcpy(&value, &bits, 4);
    return value;
}

/* ---------------------------------------------------------------- shapes and digests */

/* Bytes of an array; false if that does not fit into size_t. */
static bool shape_bytes(int rank, const size_t *shape, size_t element, size_t *bytes)
{
    *bytes = element;
    for (int i = 0; i < rank; i++)
        if (__builtin_mul_overflow(*bytes, shape[i], bytes))
            return false;
    return true;
}

static const char *shape_text(char text[200], int rank, const size_t *shape)
{
    int used = snprintf(text, 200, "(");

    for (int i = 0; i < rank && used < 170; i++)
        used += snprintf(text + used, (size_t)(200 - used), "%s%zu", i ? ", " : "", shape[i]);
    snprintf(text + used, (size_t)(200 - used), ")");
    return text;
}

static void entry_start(struct digester *d, const char *name, int type, int rank, const size_t *shape)
{
    digester_start(d);
    digester_add_text(d, name);
    digester_add_u64(d, (uint64_t)type);
    digester_add_u64(d, (uint64_t)rank);
    for (int i = 0; i < rank; i++)
        digester_add_u64(d, shape[i]);
}

static bool entry_add(struct entry **entries, size_t *count, size_t *room, const char *name,
                      const struct digest *digest)
{
    if (*count == *room) {
        size_t more = *room ? 2 * *room : 16;
        struct entry *grown = realloc(*entries, more * sizeof *grown);

        if (!grown)
            return false;
        *entries = grown;
        *room = more;
    }
    (*entries)[*count] = (struct entry){.name = strdup(name)};
    if (digest)
        (*entries)[*count].digest = *digest;
    return (*entries)[(*count)++].name != NULL;
}

static void entries_free(struct entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(entries[i].name);
    free(entries);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

/* The digest of a file: of its arrays' digests, by name, so the order of writing does not matter. */
static struct digest entries_digest(struct entry *entries, size_t count)
{
    struct digester d;

    if (count)
        qsort(entries, count, sizeof *entries, by_name);
    digester_start(&d);
    for (size_t i = 0; i < count; i++)
        digester_add(&d, entries[i].digest.bytes, DIGEST_BYTES);
    return digester_end(&d);
}

/* ---------------------------------------------------------------- files */

static hid_t access_list(void)
{
    hid_t list = H5Pcreate(H5P_FILE_ACCESS);

    H5Pset_fclose_degree(list, H5F_CLOSE_STRONG);
    H5Pset_file_locking(list, false, true); /* files are complete before they get their name: nothing to lock */
    return list;
}

static h5 *h5_new(const char *path)
{
    h5 *file = calloc(1, sizeof *file);

    quiet();
    if (!file)
        return NULL;
    file->id = -1;
    file->path = strdup(path);
    if (!file->path) {
        free(file);
        return NULL;
    }
    return file;
}

/* Free everything; the file is closed before. */
static void h5_drop(h5 *file)
{
    entries_free(file->entries, file->entries_count);
    free(file->temporary);
    free(file->path);
    free(file);
}

/* A name beside the final one that nobody else, on no host, has. */
static char *temporary_name(const char *path)
{
    uint64_t salt = 0;
    char *name = NULL;

    if (getrandom(&salt, sizeof salt, 0) != sizeof salt)
        return NULL;
    return asprintf(&name, "%s.%016" PRIx64 ".tmp", path, salt) < 0 ? NULL : name;
}

int h5_create(const char *path, h5 **out, err *e)
{
    h5 *file = h5_new(path);
    hid_t create, access;

    *out = NULL;
    if (!file || !(file->temporary = temporary_name(path))) {
        if (file)
            h5_drop(file);
        return err_set(e, ERR_NOMEM, "%s: out of memory", path);
    }
    create = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_obj_track_times(create, false);
    access = access_list();
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18);
    errno = 0;
    file->id = H5Fcreate(file->temporary, H5F_ACC_EXCL, create, access);
    H5Pclose(create);
    H5Pclose(access);
    if (file->id < 0) {
        if (errno)
            err_set(e, ERR_STORAGE, "%s: cannot be created: %s", file->temporary, strerror(errno));
        else
            fail(file, ERR_STORAGE, "", "cannot be created", e);
        h5_drop(file);
        return e->code;
    }
    *out = file;
    return 0;
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
    access = access_list();
    file->id = H5Fopen(path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    if (file->id < 0) {
        fail(file, ERR_DAMAGED, "", "is not a readable HDF5 file", e);
        h5_drop(file);
        return e->code;
    }
    *out = file;
    return 0;
}

static int sync_path(const char *path, int flags, err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);

    if (fd < 0)
        return err_set(e, ERR_STORAGE, "%s: %s", path, strerror(errno));
    if (fsync(fd) && errno != EINVAL) { /* some network file systems cannot sync a folder */
        err_set(e, ERR_STORAGE, "%s: cannot be synchronised: %s", path, strerror(errno));
        close(fd);
        return e->code;
    }
    close(fd);
    return 0;
}

static int sync_and_rename(const char *temporary, const char *path, err *e)
{
    char *copy;

    if (sync_path(temporary, 0, e))
        return e->code;
    if (rename(temporary, path))
        return err_set(e, ERR_STORAGE, "%s: cannot be renamed to %s: %s", temporary, path, strerror(errno));
    if (!(copy = strdup(path)))
        return err_set(e, ERR_NOMEM, "%s: out of memory", path);
    sync_path(dirname(copy), O_DIRECTORY, e);
    free(copy);
    return e->code;
}

int h5_commit(h5 *file, struct digest *digest, err *e)
{
    char hex[DIGEST_HEX];
    struct digest content = entries_digest(file->entries, file->entries_count);
    hid_t id = file->id;

    e->code = ERR_NONE;
    if (digest)
        *digest = content;
    digest_to_hex(&content, hex);
    if (file->failed) {
        err_set(e, ERR_STORAGE, "%s: an earlier write failed", file->path);
        h5_close(file);
        return e->code;
    }
    if (h5_write_text(file, "digest", hex, e)) {
        h5_close(file);
        return e->code;
    }
    file->id = -1;
    if (H5Fclose(id) < 0)
        fail(file, ERR_STORAGE, "", "cannot be written", e);
    else if (!sync_and_rename(file->temporary, file->path, e)) {
        h5_drop(file);
        return 0;
    }
    h5_close(file);
    return e->code;
}

void h5_close(h5 *file)
{
    if (!file)
        return;
    if (file->id >= 0)
        H5Fclose(file->id);
    if (file->temporary)
        unlink(file->temporary);
    H5Eclear2(H5E_DEFAULT);
    h5_drop(file);
}

/* ---------------------------------------------------------------- writing */

/* A name is one or more non-empty parts joined by '/', none of them "." or "..". */
static bool name_valid(const char *name)
{
    size_t length = strlen(name);

    if (!length || length > NAME_LIMIT || name[0] == '/' || name[length - 1] == '/' || strstr(name, "//"))
        return false;
    for (const char *part = name; part; part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL) {
        size_t n = strcspn(part, "/");

        if ((n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
            return false;
    }
    return true;
}

/* Make the groups above `name`, without time stamps. */
static bool groups_make(h5 *file, const char *name)
{
    char path[NAME_LIMIT + 1];
    hid_t create = H5Pcreate(H5P_GROUP_CREATE);
    bool good = true;

    H5Pset_obj_track_times(create, false);
    strcpy(path, name);
    for (char *slash = strchr(path, '/'); slash && good; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (H5Lexists(file->id, path, H5P_DEFAULT) == 0) {
            hid_t group = H5Gcreate2(file->id, path, H5P_DEFAULT, create, H5P_DEFAULT);

            good = group >= 0 && H5Gclose(group) >= 0;
        }
        *slash = '/';
    }
    H5Pclose(create);
    return good;
}

static hid_t array_list(int rank, const size_t *shape, size_t bytes, bool compress)
{
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t chunk[H5_MAX_RANK];

    H5Pset_obj_track_times(list, false);
    if (!compress || bytes <= CHUNK_LEAST)
        return list;
    for (int i = 0; i < rank; i++)
        chunk[i] = shape[i];
    for (int i = 0; i < rank; i++) /* whole rows together: halve the leading dimensions first */
        while (bytes > CHUNK_BYTES && chunk[i] > 1) {
            chunk[i] = (chunk[i] + 1) / 2;
            bytes = (bytes + 1) / 2;
        }
    H5Pset_chunk(list, rank, chunk);
    H5Pset_shuffle(list);
    H5Pset_deflate(list, DEFLATE_LEVEL);
    return list;
}

static hid_t space_make(int rank, const size_t *shape)
{
    hsize_t dims[H5_MAX_RANK];

    for (int i = 0; i < rank; i++)
        dims[i] = shape[i];
    return rank ? H5Screate_simple(rank, dims, NULL) : H5Screate(H5S_SCALAR);
}

static bool array_write(h5 *file, const char *name, enum h5_type type, int rank, const size_t *shape, const void *data,
                        size_t bytes, bool compress)
{
    hid_t space = space_make(rank, shape), list = array_list(rank, shape, bytes, compress), stored = stored_type(type);
    hid_t array = H5Dcreate2(file->id, name, stored, space, H5P_DEFAULT, list, H5P_DEFAULT);
    bool good = array >= 0 && H5Dwrite(array, stored, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;

    if (array >= 0)
        good = H5Dclose(array) >= 0 && good;
    H5Tclose(stored);
    H5Pclose(list);
    H5Sclose(space);
    return good;
}

int h5_write(h5 *file, const char *name, enum h5_type type, int rank, const size_t *shape, const void *data,
             bool compress, err *e)
{
    size_t bytes = 0;
    uint16_t *halves = NULL;
    struct digester d;
    struct digest digest;
    bool good;

    if (!file->temporary || rank < 0 || rank > H5_MAX_RANK || !name_valid(name) || !type_valid(type) ||
        !shape_bytes(rank, shape, type_size[type], &bytes))
        return err_set(e, ERR_BUG, "%s: %s: not an array that can be written", file->path, name);
    if (H5Lexists(file->id, name, H5P_DEFAULT) > 0)
        return err_set(e, ERR_BUG, "%s: %s is written twice", file->path, name);
    H5Eclear2(H5E_DEFAULT); /* H5Lexists complains when a group is not there yet */
    if (type == H5_F16) {
        if (!(halves = malloc(bytes + 1)))
            return err_set(e, ERR_NOMEM, "%s: %s: out of memory for %zu bytes", file->path, name, bytes);
        for (size_t i = 0; i < bytes / 2; i++)
            halves[i] = half_from_float(((const float *)data)[i]);
        data = halves;
    }
    entry_start(&d, name, type, rank, shape);
    digester_add(&d, data, bytes);
    digest = digester_end(&d);
    good = groups_make(file, name) && array_write(file, name, type, rank, shape, data, bytes, compress);
    free(halves);
    if (!good)
        return fail_write(file, name, e);
    if (!entry_add(&file->entries, &file->entries_count, &file->entries_room, name, &digest)) {
        file->failed = true;
        return err_set(e, ERR_NOMEM, "%s: out of memory", file->path);
    }
    return 0;
}

/* An attribute of / that holds one element of a type, which is closed here. */
static int attribute_write(h5 *file, const char *name, hid_t type, const void *value, err *e)
{
    hid_t space, attribute;
    bool good;

    if (!file->temporary || !*name || H5Aexists(file->id, name) > 0) {
        H5Tclose(type);
        return err_set(e, ERR_BUG, "%s: attribute %s cannot be written, or is written twice", file->path, name);
    }
    space = H5Screate(H5S_SCALAR);
    attribute = H5Acreate2(file->id, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    good = attribute >= 0 && H5Awrite(attribute, type, value) >= 0;
    if (attribute >= 0)
        good = H5Aclose(attribute) >= 0 && good;
    H5Sclose(space);
    H5Tclose(type);
    return good ? 0 : fail_write(file, name, e);
}

int h5_write_text(h5 *file, const char *name, const char *text, err *e)
{
    hid_t type = H5Tcopy(H5T_C_S1);

    H5Tset_size(type, strlen(text) + 1);
    H5Tset_strpad(type, H5T_STR_NULLTERM);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return attribute_write(file, name, type, text, e);
}

int h5_write_number(h5 *file, const char *name, double value, err *e)
{
    return attribute_write(file, name, H5Tcopy(H5T_IEEE_F64LE), &value, e);
}

/* ---------------------------------------------------------------- reading */

/* Whether every part of the name is a hard link: soft and external links are not followed. */
static bool is_hard(const h5 *file, const char *name)
{
    char path[NAME_LIMIT + 1];
    H5L_info_t info;
    bool hard = name_valid(name);

    if (!hard)
        return false;
    strcpy(path, name);
    for (char *slash = path; slash && hard;) {
        if ((slash = strchr(slash + 1, '/')))
            *slash = '\0';
        hard = H5Lexists(file->id, path, H5P_DEFAULT) > 0 && H5Lget_info(file->id, path, &info, H5P_DEFAULT) >= 0 &&
               info.type == H5L_TYPE_HARD;
        if (slash)
            *slash = '/';
    }
    H5Eclear2(H5E_DEFAULT);
    return hard;
}

bool h5_has(h5 *file, const char *name)
{
    H5O_info_t info;
    bool has = is_hard(file, name) && H5Oget_info_by_name2(file->id, name, &info, H5O_INFO_BASIC, H5P_DEFAULT) >= 0 &&
               info.type == H5O_TYPE_DATASET;

    H5Eclear2(H5E_DEFAULT);
    return has;
}

/* An open array whose claims have been checked. */
struct array {
    hid_t id, type;
    H5T_class_t class;
    size_t element; /* bytes of a stored element */
    int rank;
    size_t shape[H5_MAX_RANK];
    size_t bytes; /* stored, decompressed */
};

static void array_close(struct array *a)
{
    if (a->type >= 0)
        H5Tclose(a->type);
    if (a->id >= 0)
        H5Dclose(a->id);
}

/* Only what we would write ourselves may be between the file's bytes and ours: no filter but deflate, shuffle and
 * checksum, no other files.  The stored bytes must be able to yield the claimed ones.  NULL, or what is wrong. */
static const char *storage_wrong(const struct array *a)
{
    hid_t list = H5Dget_create_plist(a->id);
    hsize_t chunk[H5_MAX_RANK], chunk_bytes = a->element, stored = H5Dget_storage_size(a->id);
    H5D_layout_t layout = H5Pget_layout(list);
    int filters = H5Pget_nfilters(list);
    const char *wrong = filters < 0 ? "has filters that cannot be read" : NULL;

    for (int i = 0; i < filters && !wrong; i++) {
        unsigned flags, config;
        size_t values = 0;
        H5Z_filter_t filter = H5Pget_filter2(list, (unsigned)i, &flags, &values, NULL, 0, NULL, &config);

        if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_FLETCHER32)
            wrong = "uses a filter other than deflate, shuffle and fletcher32";
    }
    if (!wrong && H5Pget_external_count(list) != 0)
        wrong = "keeps its data in another file";
    else if (!wrong && layout == H5D_CHUNKED) {
        bool small = H5Pget_chunk(list, H5_MAX_RANK, chunk) == a->rank;

        for (int i = 0; i < a->rank && small; i++)
            small = !__builtin_mul_overflow(chunk_bytes, chunk[i], &chunk_bytes) && chunk_bytes <= CHUNK_LIMIT;
        if (!small)
            wrong = "has chunks above 64 MiB";
        else if (a->bytes / INFLATE_RATIO > stored + (1 << 10))
            wrong = "claims more data than the file holds";
    } else if (!wrong && layout != H5D_CONTIGUOUS && layout != H5D_COMPACT)
        wrong = "is put together from other arrays";
    else if (!wrong && stored < a->bytes)
        wrong = "claims more data than the file holds";
    H5Pclose(list);
    return wrong;
}

static const char *array_describe(struct array *a)
{
    hsize_t dims[H5_MAX_RANK];
    hid_t space = H5Dget_space(a->id);
    H5S_class_t kind = H5Sget_simple_extent_type(space);
    const char *wrong = NULL;

    a->class = H5Tget_class(a->type);
    a->element = H5Tget_size(a->type);
    a->rank = H5Sget_simple_extent_ndims(space);
    if (a->class != H5T_INTEGER && a->class != H5T_FLOAT)
        wrong = "does not hold numbers";
    else if (a->element == 0 || a->element > 8)
        wrong = "holds numbers above 8 bytes";
    else if ((kind != H5S_SIMPLE && kind != H5S_SCALAR) || a->rank < 0 || a->rank > H5_MAX_RANK)
        wrong = "has no shape, or too many dimensions";
    else if (H5Sget_simple_extent_dims(space, dims, NULL) < 0)
        wrong = "has a shape that cannot be read";
    for (int i = 0; i < a->rank && !wrong; i++)
        a->shape[i] = dims[i];
    if (!wrong && !shape_bytes(a->rank, a->shape, a->element, &a->bytes))
        wrong = "claims an impossible shape";
    H5Sclose(space);
    return wrong ? wrong : storage_wrong(a);
}

static int array_open(h5 *file, const char *name, struct array *a, err *e)
{
    const char *wrong;

    *a = (struct array){.id = -1, .type = -1};
    if (!h5_has(file, name))
        return err_set(e, ERR_DAMAGED, "%s: there is no array %s", file->path, name);
    a->id = H5Dopen2(file->id, name, H5P_DEFAULT);
    if (a->id >= 0)
        a->type = H5Dget_type(a->id);
    if (a->type < 0) {
        fail(file, ERR_DAMAGED, name, "cannot be opened", e);
        array_close(a);
        return e->code;
    }
    if ((wrong = array_describe(a))) {
        err_set(e, ERR_DAMAGED, "%s: %s %s", file->path, name, wrong);
        H5Eclear2(H5E_DEFAULT);
        array_close(a);
        return e->code;
    }
    return 0;
}

int h5_shape(h5 *file, const char *name, int *rank, size_t shape[H5_MAX_RANK], err *e)
{
    struct array a;

    if (array_open(file, name, &a, e))
        return e->code;
    *rank = a.rank;
    memcpy(shape, a.shape, (size_t)a.rank * sizeof *shape);
    array_close(&a);
    return 0;
}

static size_t array_count(const struct array *a)
{
    return a->bytes / a->element;
}

/* Halves are converted here: HDF5 would take a hundred times as long. */
static int read_halves(h5 *file, const char *name, const struct array *a, float *data, err *e)
{
    size_t count = array_count(a);
    uint16_t *halves = malloc(a->bytes + 1);

    if (!halves)
        return err_set(e, ERR_NOMEM, "%s: %s: out of memory for %zu bytes", file->path, name, a->bytes);
    if (H5Dread(a->id, a->type, H5S_ALL, H5S_ALL, H5P_DEFAULT, halves) < 0)
        fail(file, ERR_DAMAGED, name, "cannot be read", e);
    else
        for (size_t i = 0; i < count; i++)
            data[i] = float_from_half(halves[i]);
    free(halves);
    return e->code;
}

static const struct {
    int64_t low, high;
} integer_range[] = {[H5_I32] = {INT32_MIN, INT32_MAX}, [H5_I64] = {INT64_MIN, INT64_MAX}, [H5_U8] = {0, UINT8_MAX}};

/* Integers of another width or sign, each checked: HDF5 would clip silently. */
static int read_integers(h5 *file, const char *name, const struct array *a, enum h5_type type, void *data, err *e)
{
    size_t count = array_count(a);
    int64_t *wide;

    if (a->element == 8 && H5Tget_sign(a->type) == H5T_SGN_NONE)
        return err_set(e, ERR_DAMAGED, "%s: %s holds unsigned 64-bit integers, expected signed", file->path, name);
    if (count > SIZE_MAX / sizeof *wide || !(wide = malloc(count * sizeof *wide + 1)))
        return err_set(e, ERR_NOMEM, "%s: %s: out of memory for %zu integers", file->path, name, count);
    if (H5Dread(a->id, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, wide) < 0)
        fail(file, ERR_DAMAGED, name, "cannot be read", e);
    for (size_t i = 0; i < count && !e->code; i++)
        if (wide[i] < integer_range[type].low || wide[i] > integer_range[type].high)
            err_set(e, ERR_DAMAGED, "%s: %s holds %" PRId64 " at %zu, which is out of range", file->path, name, wide[i],
                    i);
        else if (type == H5_I32)
            ((int32_t *)data)[i] = (int32_t)wide[i];
        else if (type == H5_U8)
            ((uint8_t *)data)[i] = (uint8_t)wide[i];
        else
            ((int64_t *)data)[i] = wide[i];
    free(wide);
    return e->code;
}

static int array_read(h5 *file, const char *name, const struct array *a, enum h5_type type, void *data, err *e)
{
    bool floats = type == H5_F32 || type == H5_F64;
    int stored = type_of(a->type);
    hid_t memory;
    herr_t status;

    if (!type_valid(type) || type == H5_F16)
        return err_set(e, ERR_BUG, "%s: %s is asked for in a type that memory has not", file->path, name);
    if (array_count(a) == 0)
        return 0;
    if (!floats && a->class == H5T_FLOAT)
        return err_set(e, ERR_DAMAGED, "%s: %s holds floating-point numbers, expected integers", file->path, name);
    if (stored == H5_F16 && type == H5_F32)
        return read_halves(file, name, a, data, e);
    if (!floats && stored != (int)type)
        return read_integers(file, name, a, type, data, e);
    memory = stored_type(type);
    status = H5Dread(a->id, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
    H5Tclose(memory);
    return status < 0 ? fail(file, ERR_DAMAGED, name, "cannot be read", e) : 0;
}

static bool same_shape(const struct array *a, int rank, const size_t *shape)
{
    bool same = a->rank == rank;

    for (int i = 0; i < rank && same; i++)
        same = a->shape[i] == shape[i];
    return same;
}

int h5_read(h5 *file, const char *name, enum h5_type type, int rank, const size_t *shape, void *data, err *e)
{
    char have[200], want[200];
    struct array a;

    e->code = ERR_NONE;
    if (array_open(file, name, &a, e))
        return e->code;
    if (!same_shape(&a, rank, shape))
        err_set(e, ERR_DAMAGED, "%s: %s has shape %s, expected %s", file->path, name, shape_text(have, a.rank, a.shape),
                shape_text(want, rank, shape));
    else
        array_read(file, name, &a, type, data, e);
    array_close(&a);
    return e->code;
}

int h5_read_alloc(h5 *file, const char *name, enum h5_type type, int rank, size_t *shape, size_t limit, void **data,
                  err *e)
{
    size_t bytes = 0;
    struct array a;

    e->code = ERR_NONE;
    *data = NULL;
    if (array_open(file, name, &a, e))
        return e->code;
    if (a.rank != rank)
        err_set(e, ERR_DAMAGED, "%s: %s has %d dimensions, expected %d", file->path, name, a.rank, rank);
    else if (!type_valid(type) || !shape_bytes(a.rank, a.shape, type_size[type], &bytes) || bytes > limit)
        err_set(e, ERR_DAMAGED, "%s: %s is larger than the limit of %zu bytes", file->path, name, limit);
    else if (!(*data = malloc(bytes + 1)))
        err_set(e, ERR_NOMEM, "%s: %s: out of memory for %zu bytes", file->path, name, bytes);
    else if (!array_read(file, name, &a, type, *data, e) && rank)
        memcpy(shape, a.shape, (size_t)rank * sizeof *shape);
    if (e->code) {
        free(*data);
        *data = NULL;
    }
    array_close(&a);
    return e->code;
}

/* ---------------------------------------------------------------- attributes */

/* Open an attribute of / that holds one element. */
static int attribute_open(h5 *file, const char *name, hid_t *attribute, hid_t *type, err *e)
{
    hid_t space;
    bool single;

    if (H5Aexists(file->id, name) <= 0) {
        H5Eclear2(H5E_DEFAULT);
        return err_set(e, ERR_DAMAGED, "%s: there is no attribute %s", file->path, name);
    }
    *attribute = H5Aopen(file->id, name, H5P_DEFAULT);
    if (*attribute < 0)
        return fail(file, ERR_DAMAGED, name, "the attribute cannot be opened", e);
    *type = H5Aget_type(*attribute);
    space = H5Aget_space(*attribute);
    single = H5Sget_simple_extent_npoints(space) == 1;
    H5Sclose(space);
    if (*type >= 0 && single)
        return 0;
    if (*type >= 0)
        H5Tclose(*type);
    H5Aclose(*attribute);
    return err_set(e, ERR_DAMAGED, "%s: attribute %s does not hold one value", file->path, name);
}

static char *read_fixed_text(hid_t attribute, hid_t type, size_t size)
{
    char *text = calloc(size + 1, 1);

    if (text && H5Aread(attribute, type, text) < 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* What h5py writes for a str. */
static char *read_variable_text(hid_t attribute, hid_t type)
{
    char *held = NULL, *text = NULL;
    hid_t space = H5Aget_space(attribute);

    if (H5Aread(attribute, type, &held) >= 0) {
        text = strdup(held ? held : "");
        H5Dvlen_reclaim(type, space, H5P_DEFAULT, &held);
    }
    H5Sclose(space);
    return text;
}

int h5_read_text(h5 *file, const char *name, char **text, err *e)
{
    hid_t attribute, type;
    size_t size;

    e->code = ERR_NONE;
    *text = NULL;
    if (attribute_open(file, name, &attribute, &type, e))
        return e->code;
    size = H5Tget_size(type);
    if (H5Tget_class(type) != H5T_STRING)
        err_set(e, ERR_DAMAGED, "%s: attribute %s does not hold text", file->path, name);
    else if (H5Tis_variable_str(type) > 0)
        *text = read_variable_text(attribute, type);
    else if (size <= TEXT_LIMIT)
        *text = read_fixed_text(attribute, type, size);
    if (!*text && !e->code)
        fail(file, ERR_DAMAGED, name, "the attribute cannot be read", e);
    H5Tclose(type);
    H5Aclose(attribute);
    return e->code;
}

int h5_read_number(h5 *file, const char *name, double *value, err *e)
{
    hid_t attribute, type;
    H5T_class_t class;

    e->code = ERR_NONE;
    if (attribute_open(file, name, &attribute, &type, e))
        return e->code;
    class = H5Tget_class(type);
    if (class != H5T_INTEGER && class != H5T_FLOAT)
        err_set(e, ERR_DAMAGED, "%s: attribute %s does not hold a number", file->path, name);
    else if (H5Aread(attribute, H5T_NATIVE_DOUBLE, value) < 0)
        fail(file, ERR_DAMAGED, name, "the attribute cannot be read", e);
    H5Tclose(type);
    H5Aclose(attribute);
    return e->code;
}

/* ---------------------------------------------------------------- digests of files */

int h5_digest(h5 *file, struct digest *out, err *e)
{
    char *hex;

    e->code = ERR_NONE;
    if (h5_read_text(file, "digest", &hex, e))
        return e->code;
    if (!digest_from_hex(hex, out))
        err_set(e, ERR_DAMAGED, "%s: attribute digest is not 32 hexadecimal digits", file->path);
    free(hex);
    return e->code;
}

/* Feed an array as it is stored, a slab of leading rows at a time. */
static bool add_slabs(struct digester *d, const struct array *a, void *buffer)
{
    hsize_t start[H5_MAX_RANK] = {0}, count[H5_MAX_RANK];
    size_t row = a->rank && a->shape[0] ? a->bytes / a->shape[0] : 0, step = row ? SLAB_BYTES / row : 0;
    hid_t space, memory;
    bool good = true;

    if (!a->bytes)
        return true;
    if (a->bytes <= SLAB_BYTES || !step) {
        good = H5Dread(a->id, a->type, H5S_ALL, H5S_ALL, H5P_DEFAULT, buffer) >= 0;
        digester_add(d, buffer, a->bytes);
        return good;
    }
    for (int i = 0; i < a->rank; i++)
        count[i] = a->shape[i];
    space = H5Dget_space(a->id);
    for (size_t at = 0; at < a->shape[0] && good; at += step) {
        start[0] = at;
        count[0] = a->shape[0] - at < step ? a->shape[0] - at : step;
        memory = H5Screate_simple(a->rank, count, NULL);
        good = H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
               H5Dread(a->id, a->type, memory, space, H5P_DEFAULT, buffer) >= 0;
        H5Sclose(memory);
        digester_add(d, buffer, count[0] * row);
    }
    H5Sclose(space);
    return good;
}

/* The digest of one array, from the file. */
static int array_digest(h5 *file, const char *name, struct digest *out, err *e)
{
    struct digester d;
    struct array a;
    size_t row, room;
    void *buffer;
    int type;

    if (array_open(file, name, &a, e))
        return e->code;
    row = a.rank && a.shape[0] ? a.bytes / a.shape[0] : a.bytes;
    room = a.bytes < SLAB_BYTES ? a.bytes : row > SLAB_BYTES ? a.bytes : SLAB_BYTES;
    if ((type = type_of(a.type)) == TYPES)
        err_set(e, ERR_DAMAGED, "%s: %s is not of a type that sluice writes", file->path, name);
    else if (!(buffer = calloc(1, room + 1)))
        err_set(e, ERR_NOMEM, "%s: %s: out of memory for %zu bytes", file->path, name, room);
    else {
        entry_start(&d, name, type, a.rank, a.shape);
        if (add_slabs(&d, &a, buffer))
            *out = digester_end(&d);
        else
            fail(file, ERR_DAMAGED, name, "cannot be read", e);
        free(buffer);
    }
    array_close(&a);
    return e->code;
}

struct listing {
    struct entry *entries;
    size_t count, room;
    bool foreign; /* something that is neither group nor array */
};

static herr_t list_array(hid_t at, const char *name, const H5O_info_t *info, void *context)
{
    struct listing *l = context;

    (void)at;
    if (info->type == H5O_TYPE_GROUP)
        return 0;
    if (info->type != H5O_TYPE_DATASET) {
        l->foreign = true;
        return 0;
    }
    return entry_add(&l->entries, &l->count, &l->room, name, NULL) ? 0 : -1;
}

int h5_verify(h5 *file, err *e)
{
    struct listing l = {0};
    struct digest recorded, found;

    e->code = ERR_NONE;
    if (h5_digest(file, &recorded, e))
        return e->code;
    if (H5Ovisit2(file->id, H5_INDEX_NAME, H5_ITER_NATIVE, list_array, &l, H5O_INFO_BASIC) < 0 || l.foreign)
        fail(file, ERR_DAMAGED, "", "its contents cannot be listed", e);
    for (size_t i = 0; i < l.count && !e->code; i++)
        array_digest(file, l.entries[i].name, &l.entries[i].digest, e);
    if (!e->code) {
        found = entries_digest(l.entries, l.count);
        if (!digest_equal(&found, &recorded))
            err_set(e, ERR_DAMAGED, "%s: its content is not what was written (the digest differs)", file->path);
    }
    entries_free(l.entries, l.count);
    return e->code;
}
