/* io/h5_write.c - see h5.h: arrays and attributes into a file that is being written. */
#include <stdlib.h>
#include <string.h>

#include "io/h5_internal.h"

enum { CHUNK_LEAST = 4096 }; /* smaller arrays are stored in one piece */

/* IEEE binary32 to binary16, to the nearest, ties to even. */
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
    return (uint16_t)(sign | (exponent > 15 ? 0x7c00 : bits));
}

/* Make the groups above `name`. */
static bool groups_make(h5 *file, const char *name)
{
    char path[H5_NAME_LIMIT + 1];
    hid_t create = h5_create_list(H5P_GROUP_CREATE);
    bool good = true;

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
    hid_t list = h5_create_list(H5P_DATASET_CREATE);
    hsize_t chunk[H5_MAX_RANK];

    if (!compress || bytes <= CHUNK_LEAST)
        return list;
    for (int i = 0; i < rank; i++)
        chunk[i] = shape[i];
    for (int i = 0; i < rank; i++) /* whole rows together: halve the leading dimensions first */
        while (bytes > H5_CHUNK_BYTES && chunk[i] > 1) {
            chunk[i] = (chunk[i] + 1) / 2;
            bytes = (bytes + 1) / 2;
        }
    H5Pset_chunk(list, rank, chunk);
    H5Pset_shuffle(list);
    H5Pset_deflate(list, H5_DEFLATE_LEVEL);
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
    hid_t space = space_make(rank, shape), list = array_list(rank, shape, bytes, compress),
          stored = h5_stored_type(type);
    hid_t array = H5Dcreate2(file->id, name, stored, space, H5P_DEFAULT, list, H5P_DEFAULT);
    bool good = array >= 0 && H5Dwrite(array, stored, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;

    if (array >= 0)
        good = H5Dclose(array) >= 0 && good;
    H5Tclose(stored);
    H5Pclose(list);
    H5Sclose(space);
    return good;
}

static int fail_write(h5 *file, const char *name, err *e)
{
    file->failed = true;
    return h5_fail(file, ERR_NOMEM, name, "cannot be added", e);
}

/* A name that no array, and no part of another array's name, has. */
static bool name_is_free(const h5 *file, const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < file->entries.count; i++) {
        const char *other = file->entries.entry[i].name;
        size_t n = strlen(other), both = n < length ? n : length;

        if (!strncmp(name, other, both) && (name[both] == '/' || other[both] == '/' || n == length))
            return false;
    }
    return true;
}

int h5_write(h5 *file, const char *name, enum h5_type type, int rank, const size_t *shape, const void *data,
             bool compress, err *e)
{
    size_t bytes = 0;
    uint16_t *halves = NULL;
    struct digester d;
    struct digest digest;
    bool good;

    if (!file->writing || rank < 0 || rank > H5_MAX_RANK || !h5_name_valid(name) || !h5_type_valid(type) ||
        !h5_shape_bytes(rank, shape, h5_type_size(type), &bytes))
        return err_set(e, ERR_BUG, "%s: %s: not an array that can be written", file->path, name);
    if (!name_is_free(file, name))
        return err_set(e, ERR_BUG, "%s: %s is written twice", file->path, name);
    if (type == H5_F16) {
        if (!(halves = malloc(bytes + 1)))
            return err_set(e, ERR_NOMEM, "%s: %s: out of memory for %zu bytes", file->path, name, bytes);
        for (size_t i = 0; i < bytes / 2; i++)
            halves[i] = half_from_float(((const float *)data)[i]);
        data = halves;
    }
    h5_entry_start(&d, name, type, rank, shape);
    digester_add(&d, data, bytes);
    digest = digester_end(&d);
    good = groups_make(file, name) && array_write(file, name, type, rank, shape, data, bytes, compress) &&
           h5_entries_add(&file->entries, name, &digest);
    free(halves);
    return good ? 0 : fail_write(file, name, e);
}

/* Bytes of the chunks of an array; 0 if their bytes do not follow one another, or are too many. */
static size_t chunked_bytes(int rank, const size_t *shape, const size_t *chunk)
{
    hsize_t of_array[H5_MAX_RANK], of_chunk[H5_MAX_RANK];
    size_t whole[H5_MAX_RANK], bytes;

    for (int i = 0; i < rank; i++) {
        of_array[i] = whole[i] = shape[i];
        of_chunk[i] = chunk[i];
        if (chunk[i] < 1 || chunk[i] > shape[i])
            return 0;
    }
    if (!h5_chunks_follow(rank, of_array, of_chunk) || __builtin_add_overflow(shape[0], chunk[0] - 1, &whole[0]))
        return 0;
    whole[0] -= whole[0] % chunk[0];
    return h5_shape_bytes(rank, whole, 1, &bytes) ? bytes : 0;
}

/* Room that is taken at once, for chunks of a known number without filters: HDF5 then lays them one after the other and keeps no
 * index of them. */
static hid_t range_list(int rank, const size_t *chunk)
{
    hid_t list = h5_create_list(H5P_DATASET_CREATE);
    hsize_t dims[H5_MAX_RANK];

    for (int i = 0; i < rank; i++)
        dims[i] = chunk[i];
    H5Pset_chunk(list, rank, dims);
    H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(list, H5D_FILL_TIME_NEVER);
    return list;
}

int h5_write_range(h5 *file, const char *name, int rank, const size_t *shape, const size_t *chunk, uint64_t at, err *e)
{
    struct h5_around *a = file->around;
    size_t bytes = a && rank >= 1 && rank <= H5_MAX_RANK ? chunked_bytes(rank, shape, chunk) : 0;

    if (!bytes || !h5_name_valid(name) || at < H5_FRONT || at > a->gap_end || bytes > a->gap_end - at ||
        !name_is_free(file, name))
        return err_set(e, ERR_BUG, "%s: %s: not a range of bytes that can be named", file->path, name);
    hid_t space = space_make(rank, shape), list = range_list(rank, chunk);
    bool good = groups_make(file, name);
    a->claim = at;
    hid_t array = H5Dcreate2(file->id, name, H5T_STD_U8LE, space, H5P_DEFAULT, list, H5P_DEFAULT);
    good = good && array >= 0 && !a->claim && h5_first_byte(array) == at && h5_entries_add(&file->entries, name, NULL);
    a->claim = 0;
    if (array >= 0)
        good = H5Dclose(array) >= 0 && good;
    H5Pclose(list);
    H5Sclose(space);
    return good ? 0 : fail_write(file, name, e);
}

bool h5_attribute_write(hid_t owner, const char *name, hid_t type, const void *value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(owner, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool good = attribute >= 0 && H5Awrite(attribute, type, value) >= 0;

    if (attribute >= 0)
        good = H5Aclose(attribute) >= 0 && good;
    H5Sclose(space);
    H5Tclose(type);
    return good;
}

/* Whether the name can be that of a new attribute of /. */
static bool attribute_is_free(h5 *file, const char *name, err *e)
{
    if (file->writing && *name && H5Aexists(file->id, name) == 0)
        return true;
    err_set(e, ERR_BUG, "%s: attribute %s cannot be written, or is written twice", file->path, name);
    return false;
}

hid_t h5_text_type(size_t size)
{
    hid_t type = H5Tcopy(H5T_C_S1);

    H5Tset_size(type, size);
    H5Tset_strpad(type, H5T_STR_NULLTERM);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

int h5_write_text(h5 *file, const char *name, const char *text, err *e)
{
    if (!attribute_is_free(file, name, e))
        return e->code;
    return h5_attribute_write(file->id, name, h5_text_type(strlen(text) + 1), text) ? 0 : fail_write(file, name, e);
}

int h5_write_number(h5 *file, const char *name, double value, err *e)
{
    if (!attribute_is_free(file, name, e))
        return e->code;
    return h5_attribute_write(file->id, name, H5Tcopy(H5T_IEEE_F64LE), &value) ? 0 : fail_write(file, name, e);
}
