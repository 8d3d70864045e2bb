/* io/h5_read.c - see h5.h: arrays and attributes out of a file, and its verification. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/containers/fault.h"
#include "io/h5_internal.h"

enum {
    SLAB_BYTES = 16 << 20, /* verification reads this much at a time */
    CHUNK_FACTOR = 64,     /* how much larger than its array a chunk above H5_CHUNK_BYTES may be */
    TEXT_LIMIT = 64 << 20  /* of an attribute */
};

/* Which of ours a stored type is; H5_TYPES if none. */
static int type_of(hid_t stored)
{
    for (int type = 0; type < H5_TYPES; type++) {
        hid_t ours = h5_stored_type(type);
        bool same = H5Tequal(ours, stored) > 0;

        H5Tclose(ours);
        if (same)
            return type;
    }
    return H5_TYPES;
}

/* IEEE binary16 to binary32. */
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

const char *h5_shape_text(char text[H5_SHAPE_TEXT], int rank, const size_t *shape)
{
    size_t used = (size_t)snprintf(text, H5_SHAPE_TEXT, "(");

    for (int i = 0; i < rank && used < H5_SHAPE_TEXT - 30; i++)
        used += (size_t)snprintf(text + used, H5_SHAPE_TEXT - used, "%s%zu", i ? ", " : "", shape[i]);
    snprintf(text + used, H5_SHAPE_TEXT - used, ")");
    return text;
}

/* Whether every part of the name is a hard link: soft and external links are not followed. */
static bool is_hard(const h5 *file, const char *name)
{
    char path[H5_NAME_LIMIT + 1];
    H5L_info_t info;
    bool hard = h5_name_valid(name);

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

static const char *filters_wrong(hid_t list)
{
    int filters = H5Pget_nfilters(list);

    if (filters < 0)
        return "has filters that cannot be read" FAULT_TEXT(SYNTAX);
    for (int i = 0; i < filters; i++) {
        unsigned flags, config;
        size_t values = 0;
        H5Z_filter_t filter = H5Pget_filter2(list, (unsigned)i, &flags, &values, NULL, 0, NULL, &config);

        if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_FLETCHER32)
            return "uses a filter other than deflate, shuffle and fletcher32" FAULT_TEXT(UNSUPPORTED);
    }
    return NULL;
}

/* The sizes of chunks, before anything is looked up. */
static const char *chunk_wrong(hid_t list, int rank, size_t element, size_t bytes)
{
    hsize_t chunk[H5_MAX_RANK], chunk_bytes = element;
    bool small = H5Pget_chunk(list, H5_MAX_RANK, chunk) == rank;

    for (int i = 0; i < rank && small; i++)
        small = !__builtin_mul_overflow(chunk_bytes, chunk[i], &chunk_bytes) && chunk_bytes <= H5_CHUNK_LIMIT;
    if (!small)
        return "has chunks above 64 MiB" FAULT_TEXT(LIMIT);
    if (chunk_bytes > H5_CHUNK_BYTES && chunk_bytes / CHUNK_FACTOR > bytes)
        return "has chunks that are much larger than itself" FAULT_TEXT(LIMIT);
    return NULL;
}

/* How it is stored, as far as its creation properties say. */
static const char *layout_wrong(hid_t list, int rank, size_t element, size_t bytes)
{
    H5D_layout_t layout = H5Pget_layout(list);
    const char *wrong = filters_wrong(list);

    if (wrong)
        return wrong;
    if (H5Pget_external_count(list) != 0)
        return "keeps its data in another file" FAULT_TEXT(UNSUPPORTED);
    if (layout == H5D_CHUNKED)
        return chunk_wrong(list, rank, element, bytes);
    return layout == H5D_CONTIGUOUS || layout == H5D_COMPACT
               ? NULL
               : "is put together from other arrays" FAULT_TEXT(UNSUPPORTED);
}

static hsize_t file_size(hid_t array)
{
    hid_t file = H5Iget_file_id(array);
    hsize_t size = 0;

    if (file < 0 || H5Fget_filesize(file, &size) < 0)
        size = 0;
    if (file >= 0)
        H5Fclose(file);
    return size;
}

/* Whether there is more of what is stored as it is than the file has bytes.  Asked before HDF5 is asked about the chunks: those
 * without an index it counts one by one, however many are claimed. */
static bool claims_more_than_the_file(hid_t array, hid_t list, size_t bytes)
{
    H5D_chunk_index_t index = H5D_CHUNK_IDX_BTREE;

    if (H5Pget_layout(list) == H5D_CHUNKED && H5Dget_chunk_index_type(array, &index) < 0)
        return true;
    return (H5Pget_nfilters(list) == 0 || index == H5D_CHUNK_IDX_NONE) && bytes > file_size(array);
}

/* A chunk that is not there would read as zeros. */
static bool all_chunks_there(hid_t array, hid_t list, int rank)
{
    hid_t space = H5Dget_space(array);
    hsize_t shape[H5_MAX_RANK], chunk[H5_MAX_RANK], there = 0, expected = 1;
    bool known = H5Sget_simple_extent_dims(space, shape, NULL) == rank &&
                 H5Pget_chunk(list, H5_MAX_RANK, chunk) == rank && H5Dget_num_chunks(array, space, &there) >= 0;

    for (int i = 0; i < rank && known; i++)
        known = chunk[i] && !__builtin_mul_overflow(expected, (shape[i] + chunk[i] - 1) / chunk[i], &expected);
    H5Sclose(space);
    return known && there == expected;
}

/* Whether the stored bytes are there and can yield those of the array. */
static const char *stored_wrong(hid_t array, hid_t list, int rank, size_t bytes)
{
    bool chunked = H5Pget_layout(list) == H5D_CHUNKED;
    hsize_t stored;

    if (claims_more_than_the_file(array, list, bytes))
        return "claims more data than the file holds" FAULT_TEXT(TRUNC);
    stored = H5Dget_storage_size(array);
    if (chunked ? bytes / H5_INFLATE_RATIO > stored + (1 << 10) : stored < bytes)
        return "claims more data than the file holds" FAULT_TEXT(TRUNC);
    if (chunked && bytes && !all_chunks_there(array, list, rank))
        return "lacks a part of its data" FAULT_TEXT(TRUNC);
    return NULL;
}

const char *h5_storage_wrong(hid_t array, int rank, size_t element, size_t bytes)
{
    hid_t list = H5Dget_create_plist(array);
    const char *wrong = layout_wrong(list, rank, element, bytes);

    if (!wrong)
        wrong = stored_wrong(array, list, rank, bytes);
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
        wrong = "does not hold numbers" FAULT_TEXT(DTYPE);
    else if (a->element == 0 || a->element > 8)
        wrong = "holds numbers above 8 bytes" FAULT_TEXT(DTYPE);
    else if ((kind != H5S_SIMPLE && kind != H5S_SCALAR) || a->rank < 0 || a->rank > H5_MAX_RANK)
        wrong = "has no shape, or too many dimensions" FAULT_TEXT(UNSUPPORTED);
    else if (H5Sget_simple_extent_dims(space, dims, NULL) < 0)
        wrong = "has a shape that cannot be read" FAULT_TEXT(SYNTAX);
    for (int i = 0; i < a->rank && !wrong; i++)
        a->shape[i] = dims[i];
    if (!wrong && !h5_shape_bytes(a->rank, a->shape, a->element, &a->bytes))
        wrong = "claims an impossible shape" FAULT_TEXT(OVERFLOW);
    H5Sclose(space);
    return wrong ? wrong : h5_storage_wrong(a->id, a->rank, a->element, a->bytes);
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
        h5_fail(file, ERR_DAMAGED, name, "cannot be opened", e);
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
        h5_fail(file, ERR_DAMAGED, name, "cannot be read", e);
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
        h5_fail(file, ERR_DAMAGED, name, "cannot be read", e);
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

    if (!h5_type_valid(type) || type == H5_F16)
        return err_set(e, ERR_BUG, "%s: %s is asked for in a type that memory has not", file->path, name);
    if (array_count(a) == 0)
        return 0;
    if (!floats && a->class == H5T_FLOAT)
        return err_set(e, ERR_DAMAGED, "%s: %s holds floating-point numbers, expected integers", file->path, name);
    if (stored == H5_F16 && type == H5_F32)
        return read_halves(file, name, a, data, e);
    if (!floats && stored != (int)type)
        return read_integers(file, name, a, type, data, e);
    memory = h5_stored_type(type);
    status = H5Dread(a->id, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
    H5Tclose(memory);
    return status < 0 ? h5_fail(file, ERR_DAMAGED, name, "cannot be read", e) : 0;
}

bool h5_chunks_follow(int rank, const hsize_t *shape, const hsize_t *chunk)
{
    int part = rank - 1; /* the dimension that chunks have a part of */

    while (part > 0 && chunk[part] == shape[part])
        part--;
    for (int i = 0; i < part; i++)
        if (chunk[i] != 1)
            return false;
    return part <= 0 || (chunk[part] && shape[part] % chunk[part] == 0);
}

/* The same of a stored array.  Chunks without an index are laid for the largest shape that it may take. */
static bool stored_chunks_follow(hid_t array, hid_t list)
{
    hid_t space = H5Dget_space(array);
    hsize_t shape[H5_MAX_RANK], largest[H5_MAX_RANK], chunk[H5_MAX_RANK];
    int rank = H5Sget_simple_extent_ndims(space);
    bool follow = rank >= 1 && rank <= H5_MAX_RANK && H5Sget_simple_extent_dims(space, shape, largest) == rank &&
                  H5Pget_chunk(list, H5_MAX_RANK, chunk) == rank && h5_chunks_follow(rank, shape, chunk);

    for (int i = 1; i < rank && follow; i++)
        follow = shape[i] == largest[i];
    H5Sclose(space);
    return follow;
}

/* HDF5 1.10 does not count a block of the user's before the file when it says where a chunk is. */
static bool has_user_block(hid_t array)
{
    hid_t file = H5Iget_file_id(array), list = H5Fget_create_plist(file);
    hsize_t size = 1;
    bool has = H5Pget_userblock(list, &size) < 0 || size != 0;

    H5Pclose(list);
    H5Fclose(file);
    return has;
}

/* Whether the chunks are stored as they are and follow one another: those without an index do, and a single one does. */
static bool is_in_order(hid_t array, hid_t list)
{
    H5D_chunk_index_t index;

    return H5Pget_nfilters(list) == 0 && H5Dget_chunk_index_type(array, &index) >= 0 &&
           (index == H5D_CHUNK_IDX_NONE || index == H5D_CHUNK_IDX_SINGLE) && stored_chunks_follow(array, list) &&
           !has_user_block(array);
}

haddr_t h5_first_byte(hid_t array)
{
    hid_t list = H5Dget_create_plist(array);
    hsize_t first[H5_MAX_RANK] = {0}, stored;
    haddr_t at = HADDR_UNDEF;
    unsigned mask;

    if (H5Pget_layout(list) != H5D_CHUNKED)
        at = H5Dget_offset(array);
    else if (!is_in_order(array, list) || H5Dget_chunk_info_by_coord(array, first, &mask, &at, &stored) < 0)
        at = HADDR_UNDEF;
    H5Pclose(list);
    return at;
}

int h5_range(h5 *file, const char *name, uint64_t *at, err *e)
{
    struct array a;
    haddr_t offset;

    *at = 0;
    if (array_open(file, name, &a, e))
        return e->code;
    offset = h5_first_byte(a.id);
    if (offset != HADDR_UNDEF && type_of(a.type) == H5_U8)
        *at = offset;
    H5Eclear2(H5E_DEFAULT);
    array_close(&a);
    return 0;
}

int h5_descriptor(h5 *file, int *fd, err *e)
{
    void *handle = NULL; /* of the default driver: a pointer to its descriptor */

    if (H5Fget_vfd_handle(file->id, H5P_DEFAULT, &handle) < 0)
        return h5_fail(file, ERR_SYSTEM, "", "its descriptor is not known", e);
    if ((*fd = fcntl(*(int *)handle, F_DUPFD_CLOEXEC, 0)) < 0)
        return err_errno(e, "%s: cannot be read", file->path);
    return 0;
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
    char have[H5_SHAPE_TEXT], want[H5_SHAPE_TEXT];
    struct array a;

    e->code = ERR_NONE;
    if (array_open(file, name, &a, e))
        return e->code;
    if (!same_shape(&a, rank, shape))
        err_set(e, ERR_DAMAGED, "%s: %s has shape %s, expected %s", file->path, name,
                h5_shape_text(have, a.rank, a.shape), h5_shape_text(want, rank, shape));
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
    else if (!h5_type_valid(type) || !h5_shape_bytes(a.rank, a.shape, h5_type_size(type), &bytes) || bytes > limit)
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

/* Open an attribute of / or of an array (`owner`) that holds one element. */
static int attribute_open(h5 *file, hid_t owner, const char *name, hid_t *attribute, hid_t *type, err *e)
{
    hid_t space;
    bool single;

    if (H5Aexists(owner, name) <= 0) {
        H5Eclear2(H5E_DEFAULT);
        return err_set(e, ERR_DAMAGED, "%s: there is no attribute %s", file->path, name);
    }
    *attribute = H5Aopen(owner, name, H5P_DEFAULT);
    if (*attribute < 0)
        return h5_fail(file, ERR_DAMAGED, name, "the attribute cannot be opened", e);
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

bool h5_has_attribute(h5 *file, const char *name)
{
    bool has = H5Aexists(file->id, name) > 0;

    H5Eclear2(H5E_DEFAULT);
    return has;
}

int h5_check_format(h5 *file, const char *format, int version, err *e)
{
    char *said = NULL;
    double number;

    if (h5_has_attribute(file, "format")) {
        if (h5_read_text(file, "format", &said, e))
            return fault_add(e, FAULT_MAGIC);
        if (strcmp(said, format) != 0)
            fault_set(e, FAULT_MAGIC, "%s: its format is not %s", file->path, format);
        free(said);
    }
    if (e->code || !h5_has_attribute(file, "format_version"))
        return e->code;
    if (h5_read_number(file, "format_version", &number, e))
        return fault_add(e, FAULT_VERSION);
    if (number != version)
        return fault_set(e, FAULT_VERSION, "%s: format_version %g; this sluice reads %d", file->path, number, version);
    return 0;
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
    hid_t attribute = -1, type = -1;
    size_t size;

    e->code = ERR_NONE;
    *text = NULL;
    if (attribute_open(file, file->id, name, &attribute, &type, e))
        return e->code;
    size = H5Tget_size(type);
    if (H5Tget_class(type) != H5T_STRING)
        err_set(e, ERR_DAMAGED, "%s: attribute %s does not hold text", file->path, name);
    else if (H5Tis_variable_str(type) > 0)
        *text = read_variable_text(attribute, type);
    else if (size <= TEXT_LIMIT)
        *text = read_fixed_text(attribute, type, size);
    if (!*text && !e->code)
        h5_fail(file, ERR_DAMAGED, name, "the attribute cannot be read", e);
    H5Tclose(type);
    H5Aclose(attribute);
    return e->code;
}

static int number_read(h5 *file, hid_t owner, const char *name, double *value, err *e)
{
    hid_t attribute = -1, type = -1;
    H5T_class_t class;

    e->code = ERR_NONE;
    if (attribute_open(file, owner, name, &attribute, &type, e))
        return e->code;
    class = H5Tget_class(type);
    if (class != H5T_INTEGER && class != H5T_FLOAT)
        err_set(e, ERR_DAMAGED, "%s: attribute %s does not hold a number", file->path, name);
    else if (H5Aread(attribute, H5T_NATIVE_DOUBLE, value) < 0)
        h5_fail(file, ERR_DAMAGED, name, "the attribute cannot be read", e);
    H5Tclose(type);
    H5Aclose(attribute);
    return e->code;
}

int h5_read_number(h5 *file, const char *name, double *value, err *e)
{
    return number_read(file, file->id, name, value, e);
}

/* Whether an attribute of an array holds the number 1. */
static bool is_marked(h5 *file, hid_t array, const char *name)
{
    err none = {0};
    double value;

    return !number_read(file, array, name, &value, &none) && value == 1;
}

int h5_numbers(h5 *file, const char *name, enum h5_numbers *out, err *e)
{
    struct array a;

    if (array_open(file, name, &a, e))
        return e->code;
    *out = a.class == H5T_FLOAT ? H5_REAL : H5_WHOLE;
    if (a.class == H5T_INTEGER && a.element == 2 && is_marked(file, a.id, "bfloat16"))
        *out = H5_BFLOAT16;
    array_close(&a);
    return 0;
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

/* The leading axis of which a slab takes several steps, those before it being taken one by one; *row: bytes of a step. */
static int slab_axis(const struct array *a, size_t *row)
{
    int axis = 0;

    *row = a->bytes / a->shape[0];
    while (*row > SLAB_BYTES)
        *row /= a->shape[++axis]; /* an element fits */
    return axis;
}

static bool add_slab(struct digester *d, const struct array *a, const hsize_t *start, const hsize_t *count,
                     size_t bytes, void *buffer)
{
    hid_t space = H5Dget_space(a->id), memory = H5Screate_simple(a->rank, count, NULL);
    bool good = H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
                H5Dread(a->id, a->type, memory, space, H5P_DEFAULT, buffer) >= 0;

    H5Sclose(memory);
    H5Sclose(space);
    digester_add(d, buffer, bytes);
    return good;
}

/* Feed an array as it is stored, in pieces of SLAB_BYTES at most. */
static bool add_slabs(struct digester *d, const struct array *a, void *buffer)
{
    hsize_t start[H5_MAX_RANK] = {0}, count[H5_MAX_RANK];
    size_t row, step;
    bool good = true;
    int axis, i;

    if (!a->bytes)
        return true;
    if (a->bytes <= SLAB_BYTES) {
        good = H5Dread(a->id, a->type, H5S_ALL, H5S_ALL, H5P_DEFAULT, buffer) >= 0;
        digester_add(d, buffer, a->bytes);
        return good;
    }
    axis = slab_axis(a, &row);
    step = SLAB_BYTES / row;
    for (i = 0; i < a->rank; i++)
        count[i] = i < axis ? 1 : a->shape[i];
    do {
        for (size_t at = 0; at < a->shape[axis] && good; at += step) {
            start[axis] = at;
            count[axis] = a->shape[axis] - at < step ? a->shape[axis] - at : step;
            good = add_slab(d, a, start, count, count[axis] * row, buffer);
        }
        for (i = axis - 1; i >= 0 && ++start[i] == a->shape[i]; i--)
            start[i] = 0;
    } while (i >= 0 && good);
    return good;
}

/* The digest of one array, from the file. */
static int array_digest(h5 *file, const char *name, struct digest *out, err *e)
{
    struct digester d;
    struct array a;
    size_t room;
    void *buffer;
    int type;

    if (array_open(file, name, &a, e))
        return e->code;
    room = a.bytes < SLAB_BYTES ? a.bytes : SLAB_BYTES;
    if ((type = type_of(a.type)) == H5_TYPES)
        err_set(e, ERR_DAMAGED, "%s: %s is not of a type that sluice writes", file->path, name);
    else if (!(buffer = calloc(1, room + 1)))
        err_set(e, ERR_NOMEM, "%s: %s: out of memory for %zu bytes", file->path, name, room);
    else {
        h5_entry_start(&d, name, type, a.rank, a.shape);
        if (add_slabs(&d, &a, buffer))
            *out = digester_end(&d);
        else
            h5_fail(file, ERR_DAMAGED, name, "cannot be read", e);
        free(buffer);
    }
    array_close(&a);
    return e->code;
}

struct listing {
    struct h5_entries arrays;
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
    return h5_entries_add(&l->arrays, name, NULL) ? 0 : -1;
}

/* All arrays by name, each once; released with h5_entries_free() whatever is returned. */
static int list_arrays(h5 *file, struct listing *l, err *e)
{
    if (H5Ovisit2(file->id, H5_INDEX_NAME, H5_ITER_NATIVE, list_array, l, H5O_INFO_BASIC) < 0)
        return h5_fail(file, ERR_DAMAGED, "", "its contents cannot be listed", e);
    if (l->foreign)
        return err_set(e, ERR_DAMAGED, "%s: holds something that is neither group nor array", file->path);
    return 0;
}

static herr_t find_soft(hid_t at, const char *name, const H5L_info_t *info, void *context)
{
    (void)at;
    if (info->type == H5L_TYPE_HARD)
        return 0;
    snprintf(context, H5_NAME_LIMIT + 1, "%s", name);
    return 1;
}

int h5_links(h5 *file, err *e)
{
    char name[H5_NAME_LIMIT + 1] = "";
    herr_t found = H5Lvisit(file->id, H5_INDEX_NAME, H5_ITER_NATIVE, find_soft, name);

    if (found < 0)
        return h5_fail(file, ERR_DAMAGED, "", "its contents cannot be listed", e);
    if (found > 0)
        return err_set(e, ERR_DAMAGED, "%s: %s is a link to somewhere else", file->path, name);
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int h5_names(h5 *file, char ***names, size_t *count, err *e)
{
    struct listing l = {0};
    int status = list_arrays(file, &l, e);

    *names = NULL;
    *count = 0;
    if (!status && !(*names = malloc((l.arrays.count + 1) * sizeof **names)))
        status = err_set(e, ERR_NOMEM, "%s: out of memory", file->path);
    for (; !status && *count < l.arrays.count; ++*count) { /* the names move over */
        (*names)[*count] = l.arrays.entry[*count].name;
        l.arrays.entry[*count].name = NULL;
    }
    if (*count)
        qsort(*names, *count, sizeof **names, by_text);
    h5_entries_free(&l.arrays);
    return status;
}

void h5_names_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

int h5_verify(h5 *file, err *e)
{
    struct listing l = {0};
    struct digest recorded, found;
    int status;

    if (h5_digest(file, &recorded, e))
        return e->code;
    status = list_arrays(file, &l, e);
    for (size_t i = 0; i < l.arrays.count && !status; i++)
        status = array_digest(file, l.arrays.entry[i].name, &l.arrays.entry[i].digest, e);
    if (!status) {
        found = h5_entries_digest(&l.arrays);
        if (!digest_equal(&found, &recorded))
            status =
                err_set(e, ERR_DAMAGED, "%s: its content is not what was written (the digest differs)", file->path);
    }
    h5_entries_free(&l.arrays);
    return status;
}
