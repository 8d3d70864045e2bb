/* io/datasets/svhn.c - see svhn.h.  The files are checked by mat5.h; libmatio reads the two variables, and sees no
 * others. */
#include "io/datasets/svhn.h"

#include <matio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/containers/fault.h"
#include "io/datasets/kinds.h"
#include "io/datasets/mat5.h"

enum { SIDE = 32, CHANNELS = 3, CLASSES = 10, ZERO = 10 };

static const struct {
    const char *name;
    size_t count; /* as published, and so is the MD5 */
    const char *md5;
} files[DATASET_PARTS] = {
    [DATASET_TRAIN] = {"train_32x32.mat", 73257, "e26dedcc434d2e4c54c9b2d4a06d8373"},
    [DATASET_TEST] = {"test_32x32.mat", 26032, "eb5a983be6a315427106f1b164d9cef3"},
};

static const char *const digits[CLASSES] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};

/* ---------------------------------------------------------------- checks */

static int find(const struct mat5_index *index, const char *where, const char *name, const struct mat5_variable **out,
                err *e)
{
    if (!(*out = mat5_find(index, name)))
        return fault_set(e, FAULT_MISSING, "%s: there is no variable %s", where, name);
    if ((*out)->class >= MAT5_DOUBLE && !(*out)->plain)
        return fault_set(e, FAULT_UNSUPPORTED, "%s: %s is complex or logical", where, name);
    return 0;
}

static bool one_of(const int *list, size_t n, int value)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == value)
            return true;
    return false;
}

static int check_types(const char *where, const struct mat5_variable *x, const struct mat5_variable *y, err *e)
{
    static const int classes[] = {MAT_C_DOUBLE, MAT_C_UINT8, MAT_C_UINT16, MAT_C_INT32, MAT_C_UINT32};
    static const int stored[] = {MAT5_U8, MAT5_U16, MAT5_I32, MAT5_U32, MAT5_F64};

    if (x->class != MAT_C_UINT8 || !one_of(classes, sizeof classes / sizeof *classes, y->class))
        return fault_set(e, FAULT_DTYPE, "%s: X is of class %d and y of class %d; expected bytes (9) and numbers",
                         where, x->class, y->class);
    if (x->stored != MAT5_U8 || !one_of(stored, sizeof stored / sizeof *stored, y->stored))
        return fault_set(e, FAULT_DTYPE,
                         "%s: X is stored as type %d and y as type %d; expected bytes (2) and whole numbers", where,
                         x->stored, y->stored);
    return 0;
}

static int check(const struct mat5_index *index, const char *where, err *e)
{
    const struct mat5_variable *x, *y;

    if (find(index, where, "X", &x, e) || find(index, where, "y", &y, e) || check_types(where, x, y, e))
        return e->code;
    if (x->rank != 4 || x->shape[0] != SIDE || x->shape[1] != SIDE || x->shape[2] != CHANNELS || x->shape[3] == 0)
        return fault_set(e, FAULT_SHAPE, "%s: X is not (32, 32, 3, N)", where);
    if (y->rank != 2 || (y->shape[0] != 1 && y->shape[1] != 1) || y->count != x->shape[3])
        return fault_set(e, FAULT_RANGE, "%s: X has %llu images, y %llu labels", where, (unsigned long long)x->shape[3],
                         (unsigned long long)y->count);
    return 0;
}

/* ---------------------------------------------------------------- a file with the two variables alone */

static int copy_range(int from, int to, uint64_t at, uint64_t size)
{
    char buffer[1 << 15];

    while (size) {
        ssize_t got = pread(from, buffer, size < sizeof buffer ? (size_t)size : sizeof buffer, (off_t)at);

        if (got <= 0 || write(to, buffer, (size_t)got) != got)
            return -1;
        at += (uint64_t)got;
        size -= (uint64_t)got;
    }
    return 0;
}

/* The file itself if it has no other variables, or a copy in memory without them; a new descriptor. */
static int alone(int fd, const struct mat5_index *index, const char *where, int *out, err *e)
{
    const struct mat5_variable *x = mat5_find(index, "X"), *y = mat5_find(index, "y");

    *out = index->count == 2 ? dup(fd) : memfd_create("svhn", MFD_CLOEXEC);
    if (*out < 0)
        return err_errno(e, "%s", where);
    if (index->count != 2 && (copy_range(fd, *out, 0, MAT5_HEADER) || copy_range(fd, *out, x->offset, x->size) ||
                              copy_range(fd, *out, y->offset, y->size))) {
        close(*out);
        return err_errno(e, "%s: copying two variables", where);
    }
    return 0;
}

/* ---------------------------------------------------------------- labels */

/* Label i as libmatio gives it. */
static double label_at(const matvar_t *y, size_t i)
{
    switch (y->class_type) {
    case MAT_C_DOUBLE:
        return ((const double *)y->data)[i];
    case MAT_C_UINT8:
        return ((const uint8_t *)y->data)[i];
    case MAT_C_UINT16:
        return ((const uint16_t *)y->data)[i];
    case MAT_C_INT32:
        return ((const int32_t *)y->data)[i];
    case MAT_C_UINT32:
        return ((const uint32_t *)y->data)[i];
    default:
        return -1;
    }
}

static int read_labels(struct image_source *s, const char *where, const matvar_t *y, size_t count, uint8_t *labels,
                       err *e)
{
    bool zero = false, ten = false;

    for (size_t i = 0; i < count; i++) {
        double value = label_at(y, i);

        if (!(value >= 0 && value <= ZERO) || value != (int)value)
            return fault_set(e, FAULT_RANGE, "%s: label %zu is %g, expected 1 to 10", where, i, value);
        zero = zero || value == 0;
        ten = ten || value == ZERO;
        labels[i] = (uint8_t)((int)value % ZERO);
    }
    if (zero && ten)
        return fault_set(e, FAULT_RANGE, "%s: both 0 and 10 are labels; 10 stands for the digit 0", where);
    if (zero)
        source_note(s, "%s: has labels 0 and none that is 10; 0 was taken for the digit 0", where);
    return 0;
}

/* ---------------------------------------------------------------- reading */

static int read_variables(struct image_source *s, mat_t *mat, const char *where, size_t count, uint8_t *pixels,
                          uint8_t *labels, err *e)
{
    matvar_t *x = Mat_VarReadInfo(mat, "X"), *y = Mat_VarRead(mat, "y");

    if (!x || !y || !y->data || y->nbytes / Mat_SizeOfClass(y->class_type) != count)
        fault_set(e, FAULT_SYNTAX, "%s: libmatio cannot read it", where);
    else if (Mat_VarReadDataLinear(mat, x, pixels, 0, 1, (int)(count * SIDE * SIDE * CHANNELS)))
        fault_set(e, FAULT_SYNTAX, "%s: libmatio cannot read X", where);
    else
        read_labels(s, where, y, count, labels, e);
    Mat_VarFree(x);
    Mat_VarFree(y);
    return e->code;
}

static int read_matio(struct image_source *s, enum dataset_part part, const char *where, int fd, size_t count, err *e)
{
    uint8_t *pixels, *labels = malloc(count);
    char path[40];
    mat_t *mat;

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    mat = Mat_Open(path, MAT_ACC_RDONLY);
    if (!labels)
        err_set(e, ERR_NOMEM, "%s: out of memory for %zu images", where, count);
    else if (!mat)
        fault_set(e, FAULT_SYNTAX, "%s: libmatio cannot open it", where);
    else if (!source_reserve(s, part, count, &pixels, e) && !read_variables(s, mat, where, count, pixels, labels, e))
        source_add_pixels(s, part, where, NULL, labels, count, e);
    if (mat)
        Mat_Close(mat);
    free(labels);
    return e->code;
}

/* No more than were published, whatever is allowed: a small file can inflate to any number of images. */
static int check_count(struct image_source *s, enum dataset_part part, const char *where, uint64_t count,
                       const struct source_options *options, err *e)
{
    if (count > files[part].count && options->allow_partial)
        return fault_set(e, FAULT_LIMIT, "%s: has %llu images, more than the %zu that were published", where,
                         (unsigned long long)count, files[part].count);
    return source_published(s, options, where, (size_t)count, files[part].count, e);
}

int svhn_add(struct image_source *s, enum dataset_part part, const char *where, int fd, uint64_t size,
             const struct source_options *options, err *e)
{
    struct mat5_index index;
    size_t count;
    int two;

    if (mat5_list(fd, size, where, &index, e) || check(&index, where, e))
        return e->code;
    count = (size_t)mat5_find(&index, "X")->shape[3];
    if (check_count(s, part, where, count, options, e) || mat5_verify(fd, size, where, mat5_find(&index, "X"), e) ||
        mat5_verify(fd, size, where, mat5_find(&index, "y"), e) || alone(fd, &index, where, &two, e))
        return e->code;
    read_matio(s, part, where, two, count, e);
    close(two);
    return e->code;
}

int svhn_start(struct image_source *s, err *e)
{
    s->height = s->width = SIDE;
    s->channels = CHANNELS;
    s->layout = PIXELS_MATLAB;
    return source_classes(s, "svhn", digits, CLASSES, e);
}

int kind_svhn_open(struct image_source *s, const struct source_options *options, err *e)
{
    svhn_start(s, e);
    for (int part = 0; part < DATASET_PARTS && !e->code; part++) {
        uint64_t size;
        int fd;

        if (below_open(&s->root, files[part].name, &fd, &size, e))
            return e->code;
        if (!svhn_add(s, (enum dataset_part)part, files[part].name, fd, size, options, e))
            source_compare_file(s, options, files[part].name, fd, files[part].md5);
        close(fd);
    }
    return e->code;
}
