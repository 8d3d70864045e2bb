/* io/datasets/mnist.c - MNIST and Fashion-MNIST: four IDX files, plain or gzipped. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/containers/fault.h"
#include "io/datasets/kinds.h"
#include "io/idx.h"

enum { SIDE = 28, CLASSES = 10 };
static const size_t data_limit = (size_t)1 << 30;

/* The published files of a part, and how many images they have. */
static const struct {
    const char *images, *labels;
    size_t count;
} files[DATASET_PARTS] = {
    [DATASET_TRAIN] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", 60000},
    [DATASET_TEST] = {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", 10000},
};

/* What the two data sets differ in. */
struct variant {
    const char *const *classes, *const *folders;
    struct {
        const char *images, *labels; /* MD5 of the gzipped files; the plain ones have none that was published */
    } md5[DATASET_PARTS];
};

static const char *const digits[CLASSES] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
static const char *const clothes[CLASSES] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                             "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};

/* Where torchvision and the official code's class of that name put the files; NULL ends a list. */
static const char *const mnist_folders[] = {"", "raw/", "MNIST_RGB/raw/", "MNIST/raw/", NULL};
static const char *const fashion_folders[] = {"", "raw/", "FashionMNIST/raw/", NULL};

static const struct variant mnist = {
    .classes = digits,
    .folders = mnist_folders,
    .md5 = {[DATASET_TRAIN] = {"f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432"},
            [DATASET_TEST] = {"9fb629c4189551a2d022fa330f9573f3", "ec29112dd5afa0611ce80d1b7f02629c"}}};
static const struct variant fashion = {
    .classes = clothes,
    .folders = fashion_folders,
    .md5 = {[DATASET_TRAIN] = {"8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe"},
            [DATASET_TEST] = {"bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310"}}};

/* Read one file of a folder, the plain one first. */
static int read_idx(struct image_source *s, const char *folder, const char *file, const char *md5,
                    const struct source_options *options, int rank, struct idx *out, err *e)
{
    bool zipped;
    char name[120], path[BELOW_NAME_SIZE];
    uint64_t size;
    int fd;

    snprintf(name, sizeof name, "%s%s", folder, file);
    if ((zipped = !below_has(&s->root, name)))
        strcat(name, ".gz");
    if (below_open(&s->root, name, &fd, &size, e))
        return e->code;
    snprintf(path, sizeof path, "%s/%s", s->root.path, name);
    if (!idx_read_open(fd, path, rank, data_limit, out, e) && zipped)
        source_compare_file(s, options, name, fd, md5);
    close(fd);
    if (!e->code && out->trailing)
        source_note(s, "%s: %zu bytes after the gzip stream were passed over", name, out->trailing);
    return e->code;
}

static int check(struct image_source *s, const char *where, enum dataset_part part, const struct idx *images,
                 const struct idx *labels, const struct source_options *options, err *e)
{
    if (images->shape[1] != SIDE || images->shape[2] != SIDE)
        return fault_set(e, FAULT_SHAPE, "%s: the images are %zu by %zu, expected %d by %d", where, images->shape[1],
                         images->shape[2], SIDE, SIDE);
    if (images->shape[0] != labels->shape[0])
        return fault_set(e, FAULT_RANGE, "%s: %zu images and %zu labels", where, images->shape[0], labels->shape[0]);
    return source_published(s, options, where, images->shape[0], files[part].count, e);
}

static int read_part(struct image_source *s, const char *folder, const struct variant *v, enum dataset_part part,
                     const struct source_options *options, err *e)
{
    struct idx images = {0}, labels = {0};

    if (!read_idx(s, folder, files[part].images, v->md5[part].images, options, 3, &images, e) &&
        !read_idx(s, folder, files[part].labels, v->md5[part].labels, options, 1, &labels, e) &&
        !check(s, files[part].images, part, &images, &labels, options, e))
        source_add_pixels(s, part, files[part].labels, images.bytes, labels.bytes, images.shape[0], e);
    free(images.bytes);
    free(labels.bytes);
    return e->code;
}

static bool has(const struct image_source *s, const char *folder)
{
    char name[120];

    snprintf(name, sizeof name, "%s%s", folder, files[DATASET_TRAIN].images);
    if (below_has(&s->root, name))
        return true;
    strcat(name, ".gz");
    return below_has(&s->root, name);
}

static int open_four(struct image_source *s, const struct variant *v, const struct source_options *options, err *e)
{
    const char *const *folders = v->folders;

    while (*folders && !has(s, *folders))
        folders++;
    if (!*folders)
        return err_set(e, ERR_MISSING, "%s: holds no %s (or .gz), nor does a folder raw/ in it", s->root.path,
                       files[DATASET_TRAIN].images);
    s->height = s->width = SIDE;
    s->channels = 1;
    s->layout = PIXELS_ROWS;
    if (!source_classes(s, s->root.path, v->classes, CLASSES, e) &&
        !read_part(s, *folders, v, DATASET_TRAIN, options, e))
        read_part(s, *folders, v, DATASET_TEST, options, e);
    return e->code;
}

int kind_mnist_open(struct image_source *s, const struct source_options *options, err *e)
{
    return open_four(s, &mnist, options, e);
}

int kind_fashion_mnist_open(struct image_source *s, const struct source_options *options, err *e)
{
    return open_four(s, &fashion, options, e);
}
