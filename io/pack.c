/* io/pack.c - see pack.h. */
#include "io/pack.h"

#include <inttypes.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "io/h5_internal.h"

static int file_size(const char *path, uint64_t *size, err *e)
{
    struct stat s;

    if (stat(path, &s))
        return err_set(e, ERR_MISSING, "%s: this file is not there", path);
    *size = (uint64_t)s.st_size;
    return 0;
}

/* A pack grows on the disk: memory may be too small for it.  HDF5 1.10 does not survive a full disk (h5_internal.h), so there must
 * be room before the first byte. */
static int check_room(const char *to, const char *main, const struct pack_part *parts, size_t count, err *e)
{
    uint64_t needed = 0, size = 0;
    struct statvfs s;
    char *copy = strdup(to);

    if (!copy)
        return err_set(e, ERR_NOMEM, "%s: no memory to write it", to);
    bool known = statvfs(dirname(copy), &s) == 0;
    free(copy);
    if (file_size(main, &needed, e))
        return e->code;
    for (size_t i = 0; i < count; i++, needed += size)
        if (file_size(parts[i].path, &size, e))
            return e->code;
    needed += needed / 10 + (1 << 20);
    if (known && (uint64_t)s.f_bavail * s.f_frsize < needed)
        return err_set(e, ERR_STORAGE, "%s: its disk has %" PRIu64 " MB left, %" PRIu64 " MB are needed", to,
                       (uint64_t)s.f_bavail * s.f_frsize >> 20, needed >> 20);
    return 0;
}

struct copying {
    hid_t from, to;
};

static herr_t copy_attribute(hid_t at, const char *name, const H5A_info_t *info, void *context)
{
    const struct copying *c = context;
    hid_t from = H5Aopen(at, name, H5P_DEFAULT), type = H5Aget_type(from), space = H5Aget_space(from), to = -1;
    hssize_t elements = H5Sget_simple_extent_npoints(space);
    size_t size = H5Tget_size(type);
    bool plain = elements >= 0 && size > 0 && H5Tis_variable_str(type) == 0 && H5Tdetect_class(type, H5T_VLEN) == 0;
    void *value = plain && info->data_size <= (64 << 20) ? calloc((size_t)elements + 1, size) : NULL;
    herr_t status = -1;

    if (value && H5Aread(from, type, value) >= 0 &&
        (to = H5Acreate2(c->to, name, type, space, H5P_DEFAULT, H5P_DEFAULT)) >= 0)
        status = H5Awrite(to, type, value);
    free(value);
    if (to >= 0)
        H5Aclose(to);
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(from);
    return status;
}

/* Members that are not hard links are left where they are: nothing that we write has any. */
static herr_t copy_member(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    const struct copying *c = context;

    return info->type == H5L_TYPE_HARD ? H5Ocopy(group, name, c->to, name, H5P_DEFAULT, H5P_DEFAULT) : 0;
}

/* Everything of one group into another. */
static bool copy_group(hid_t from, hid_t to)
{
    struct copying c = {from, to};

    return H5Literate(from, H5_INDEX_NAME, H5_ITER_INC, NULL, copy_member, &c) >= 0 &&
           H5Aiterate2(from, H5_INDEX_NAME, H5_ITER_INC, NULL, copy_attribute, &c) >= 0;
}

static int copy_file(const char *path, bool verify, hid_t to, const char *group, err *e)
{
    h5 *file;

    if (h5_open(path, &file, e))
        return e->code;
    hid_t links = H5Pcreate(H5P_LINK_CREATE), creation = h5_create_list(H5P_GROUP_CREATE);
    if (!verify || !h5_verify(file, e)) {
        H5Pset_create_intermediate_group(links, 1);
        hid_t from = H5Gopen2(file->id, "/", H5P_DEFAULT);
        hid_t into = group ? H5Gcreate2(to, group, links, creation, H5P_DEFAULT) : H5Gopen2(to, "/", H5P_DEFAULT);
        if (from < 0 || into < 0 || !copy_group(from, into))
            h5_fail(file, ERR_STORAGE, group ? group : "/", "cannot be copied into the pack", e);
        H5Gclose(into);
        H5Gclose(from);
    }
    H5Pclose(creation);
    H5Pclose(links);
    h5_close(file);
    return e->code;
}

/* Fill the temporary file of `disk` through HDF5. */
static int fill(const struct atomic_file *disk, const char *main, const struct pack_part *parts, size_t count, err *e)
{
    hid_t creation = h5_create_list(H5P_FILE_CREATE);
    hid_t to = H5Fcreate(disk->temporary, H5F_ACC_TRUNC, creation, H5P_DEFAULT);

    H5Pclose(creation);
    if (to < 0)
        return err_set(e, ERR_STORAGE, "%s: cannot be written", disk->temporary);
    copy_file(main, false, to, NULL, e);
    for (size_t i = 0; i < count && !e->code; i++)
        copy_file(parts[i].path, true, to, parts[i].group, e);
    if (H5Fclose(to) < 0 && !e->code)
        err_set(e, ERR_STORAGE, "%s: cannot be written to its end", disk->temporary);
    return e->code;
}

int pack_write(const char *main, const struct pack_part *parts, size_t count, const char *to, uint64_t *bytes, err *e)
{
    struct atomic_file disk;

    for (size_t i = 0; i < count; i++)
        if (!h5_name_valid(parts[i].group))
            return err_set(e, ERR_BUG, "%s: '%.100s' cannot be a group", to, parts[i].group);
    if (check_room(to, main, parts, count, e) || atomic_open(&disk, to, e))
        return e->code;
    if (fill(&disk, main, parts, count, e))
        atomic_abandon(&disk);
    else if (!atomic_commit(&disk, e) && bytes)
        file_size(to, bytes, e);
    return e->code;
}
