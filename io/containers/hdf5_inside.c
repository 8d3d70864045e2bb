/* io/containers/hdf5_inside.c - tensors in HDF5 files as the library reads them: a backbone of the store (io/backbone.h), or what a
 * few lines of h5py write (docs/backbones.md), in the group "tensors" or without one.  The attributes may be left out; format,
 * format_version and patch_size must be right where they are.  io/h5.h has the other checks. */
#include <stdlib.h>
#include <string.h>

#include "io/backbone.h"
#include "io/containers/fault.h"
#include "io/containers/reader.h"
#include "io/h5.h"

static const char group[] = BACKBONE_GROUP;

struct hdf5 {
    h5 *file;
    char **paths; /* info -> array */
    size_t count;
};

static int add_array(struct tensor_file *f, const char *path, err *e)
{
    const struct hdf5 *h = f->state;
    const char *name = strncmp(path, group, sizeof group - 1) ? path : path + sizeof group - 1;
    static const enum element elements[] = {
        [H5_WHOLE] = ELEMENT_I64, [H5_REAL] = ELEMENT_F32, [H5_BFLOAT16] = ELEMENT_BF16};
    size_t shape[H5_MAX_RANK];
    uint64_t sizes[TENSOR_MAX_RANK];
    enum h5_numbers numbers;
    int rank;

    if (h5_shape(h->file, path, &rank, shape, e) || h5_numbers(h->file, path, &numbers, e))
        return e->code;
    for (int i = 0; i < rank; i++)
        sizes[i] = shape[i];
    return tensors_add(f, "", 0, name, strlen(name), elements[numbers], rank, sizes, e);
}

static void find_heads(struct tensor_file *f)
{
    static const char *const names[] = {"heads", "num_heads"};
    const struct hdf5 *h = f->state;

    for (size_t i = 0; i < sizeof names / sizeof *names && !f->heads; i++) {
        err e = {0};
        double value;

        if (!h5_read_number(h->file, names[i], &value, &e) && value >= 1 && value <= HEADS_MOST)
            f->heads = (int)value;
    }
}

/* Printable, as everything that is said of it: a file may have written anything. */
static void find_profile(struct tensor_file *f)
{
    const struct hdf5 *h = f->state;
    char *text;
    err e = {0};

    if (!h5_has_attribute(h->file, "profile") || h5_read_text(h->file, "profile", &text, &e))
        return;
    for (size_t i = 0; text[i] && i < sizeof f->profile - 1; i++)
        f->profile[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    free(text);
}

/* Reading it all must not cost more than a file of its size may. */
static int check_size(const struct tensor_file *f, err *e)
{
    uint64_t numbers = 0;

    for (size_t i = 0; i < f->count; i++)
        if (__builtin_add_overflow(numbers, f->info[i].count, &numbers))
            numbers = UINT64_MAX;
    return tensors_believed(f, numbers, e);
}

/* A file of the store says what it should hold. */
static int verify(const struct tensor_file *f, err *e)
{
    const struct hdf5 *h = f->state;
    struct digest recorded;
    err none = {0};

    return h5_digest(h->file, &recorded, &none) ? 0 : h5_verify(h->file, e);
}

/* The side of its patches must be the one of the weights. */
static int check_patch(const struct tensor_file *f, double side, err *e)
{
    for (size_t i = 0; i < f->count; i++) {
        const struct tensor_info *t = &f->info[i];

        if (!strcmp(t->name, "patch_embed.proj.weight") && t->rank == 4 && (double)t->shape[3] != side)
            return fault_set(e, FAULT_SHAPE, "%s: patch_size is %g, the patches of %s are %llu wide", f->source.name,
                             side, t->name, (unsigned long long)t->shape[3]);
    }
    return 0;
}

/* What a file says of itself, if it does. */
static int check_format(const struct tensor_file *f, err *e)
{
    const struct hdf5 *h = f->state;
    double side;

    if (h5_check_format(h->file, BACKBONE_FORMAT, BACKBONE_FORMAT_VERSION, e) ||
        !h5_has_attribute(h->file, "patch_size"))
        return e->code;
    return h5_read_number(h->file, "patch_size", &side, e) ? fault_add(e, FAULT_SHAPE) : check_patch(f, side, e);
}

static int inside_open(struct tensor_file *f, err *e)
{
    struct hdf5 *h = calloc(1, sizeof *h);

    if (!(f->state = h))
        return err_set(e, ERR_NOMEM, "%s: out of memory", f->source.name);
    if (h5_open(f->source.name, &h->file, e))
        return fault_add(e, FAULT_MAGIC);
    if (h5_links(h->file, e) || h5_names(h->file, &h->paths, &h->count, e))
        return fault_add(e, FAULT_UNSUPPORTED);
    for (size_t i = 0; i < h->count; i++)
        if (add_array(f, h->paths[i], e))
            return fault_add(e, FAULT_SYNTAX);
    find_heads(f);
    find_profile(f);
    if (check_format(f, e) || check_size(f, e))
        return e->code;
    return verify(f, e) ? fault_add(e, FAULT_CRC) : 0;
}

/* Read as whole numbers, which are the upper halves of floats. */
static int read_bfloat16(h5 *file, const char *path, int rank, const size_t *shape, size_t count, float *to, err *e)
{
    uint32_t bits;

    if (h5_read(file, path, H5_I32, rank, shape, to, e))
        return e->code;
    for (size_t i = 0; i < count; i++) {
        memcpy(&bits, &to[i], sizeof bits);
        bits <<= 16;
        memcpy(&to[i], &bits, sizeof bits);
    }
    return 0;
}

static int inside_read(struct tensor_file *f, size_t i, float *to, err *e)
{
    const struct hdf5 *h = f->state;
    size_t shape[H5_MAX_RANK];

    for (int k = 0; k < f->info[i].rank; k++)
        shape[k] = (size_t)f->info[i].shape[k];
    if (f->info[i].element == ELEMENT_BF16)
        read_bfloat16(h->file, h->paths[i], f->info[i].rank, shape, f->info[i].count, to, e);
    else
        h5_read(h->file, h->paths[i], H5_F32, f->info[i].rank, shape, to, e);
    return fault_add(e, FAULT_CRC); /* what was described well cannot be decoded */
}

static void inside_close(struct tensor_file *f)
{
    struct hdf5 *h = f->state;

    if (h->paths)
        h5_names_free(h->paths, h->count);
    h5_close(h->file);
    free(h);
}

const struct tensor_reader hdf5_inside_reader = {"hdf5", inside_open, inside_read, inside_close, NULL};
