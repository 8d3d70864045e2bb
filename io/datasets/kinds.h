/* io/datasets/kinds.h - the data sets that sluice reads as they are published: one row each.
 *
 * K(id, name, traits, what lies in the folder, where to get it).  kind_<id>_open() fills the source whose root is open;
 * each is in a file of its own. */
#ifndef IO_DATASETS_KINDS_H
#define IO_DATASETS_KINDS_H

#include "io/datasets/source.h"

/* What is true of a kind. */
enum {
    KIND_BROKEN = 1, /* some of the published files cannot be decoded, and an import skips a few */
    KIND_SEED = 2,   /* the images may have to be divided, with a seed */
    KIND_LISTS = 4   /* lists may say which image is of which part */
};

/* clang-format off */
#define DATA_KINDS(K)                                                                                        \
    K(cifar10, "cifar10", 0,                                                                                 \
      "data_batch_1.bin .. 5, test_batch.bin, batches.meta.txt, or the Python version's files",              \
      "https://www.cs.toronto.edu/~kriz/cifar.html, cifar-10-binary.tar.gz")                                 \
    K(cifar100, "cifar100", 0,                                                                               \
      "train.bin, test.bin, fine_label_names.txt, or the Python version's files",                            \
      "https://www.cs.toronto.edu/~kriz/cifar.html, cifar-100-binary.tar.gz")                                \
    K(mnist, "mnist", 0,                                                                                     \
      "the four IDX files, plain or .gz",                                                                    \
      "http://yann.lecun.com/exdb/mnist, or any copy with the published digests")                            \
    K(fashion_mnist, "fashion-mnist", 0,                                                                     \
      "the four IDX files, plain or .gz",                                                                    \
      "https://github.com/zalandoresearch/fashion-mnist, or the Debian package dataset-fashion-mnist")       \
    K(svhn, "svhn", 0,                                                                                       \
      "train_32x32.mat, test_32x32.mat",                                                                     \
      "http://ufldl.stanford.edu/housenumbers, format 2")                                                    \
    K(notmnist, "notmnist", KIND_BROKEN,                                                                     \
      "Train/A .. J/*.png and Test/A .. J/*.png",                                                            \
      "the notMNIST.zip that the official code downloads")                                                   \
    K(imagenet_r, "imagenet-r", KIND_SEED | KIND_LISTS,                                                      \
      "one folder of images for each class, or train/ and test/ with such folders",                          \
      "https://github.com/hendrycks/imagenet-r, imagenet-r.tar")                                             \
    K(cub200, "cub200", 0,                                                                                   \
      "images/, images.txt, train_test_split.txt, image_class_labels.txt, classes.txt, or train/ and test/", \
      "https://www.vision.caltech.edu/datasets/cub_200_2011, CUB_200_2011.tgz")                              \
    K(tiny_imagenet, "tiny-imagenet", 0,                                                                     \
      "train/, val/, val/val_annotations.txt, wnids.txt",                                                    \
      "http://cs231n.stanford.edu/tiny-imagenet-200.zip")                                                    \
    K(folder, "folder", KIND_SEED,                                                                           \
      "train/ and test/ (or val/), each with one folder of images for each class; or such folders alone, "   \
      "each of which is split",                                                                              \
      "your own images")                                                                                     \
    K(csv, "csv", 0,                                                                                         \
      "manifest.csv with the columns path and label, and perhaps split",                                     \
      "your own images")
/* clang-format on */

struct data_kind {
    const char *name;
    unsigned traits;
    const char *holds, *get;
    int (*open)(struct image_source *s, const struct source_options *options, err *e);
};

#define K(id, name, traits, holds, get) \
    int kind_##id##_open(struct image_source *s, const struct source_options *options, err *e);
DATA_KINDS(K)
#undef K

/* Data sets made of others, which are imported first: the classes of the first member, then those of the second, ... */
struct data_composition {
    const char *name, *members[8]; /* up to NULL */
    int classes;                   /* that each of them has */
};
/* NULL if there is none of that name. */
const struct data_composition *data_composition_by_name(const char *name);

/* How to get the data set of that name: an address, and the command that imports it; returns text. */
enum { DATA_ADVICE = 400 };
const char *data_advice(const char *name, char text[DATA_ADVICE]);

/* NULL if there is none of that name, or past the end. */
const struct data_kind *data_kind_by_name(const char *name);
const struct data_kind *data_kind(size_t i);

#endif
