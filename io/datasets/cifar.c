/* io/datasets/cifar.c - CIFAR-10 and CIFAR-100 in a folder; the binary version's records.  See cifar.h. */
#include "io/datasets/cifar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/containers/fault.h"
#include "io/datasets/kinds.h"
#include "io/datasets/lists.h"

enum { FILES_MOST = 6 };
static const uint64_t file_limit = (uint64_t)1 << 30;

/* The published files; md5: NULL where none was published. */
struct cifar_file {
    const char *name;
    enum dataset_part part;
    size_t images;
    const char *md5;
};

struct cifar_version {
    const char *folder; /* as the archive calls it */
    const char *names;  /* of the classes */
    const char *names_md5;
    bool pickled;
    struct cifar_file files[FILES_MOST + 1];
};

static const struct cifar_version cifar10[] = {
    {"cifar-10-batches-bin",
     "batches.meta.txt",
     NULL,
     false,
     {{"data_batch_1.bin", DATASET_TRAIN, 10000, NULL},
      {"data_batch_2.bin", DATASET_TRAIN, 10000, NULL},
      {"data_batch_3.bin", DATASET_TRAIN, 10000, NULL},
      {"data_batch_4.bin", DATASET_TRAIN, 10000, NULL},
      {"data_batch_5.bin", DATASET_TRAIN, 10000, NULL},
      {"test_batch.bin", DATASET_TEST, 10000, NULL}}},
    {"cifar-10-batches-py",
     "batches.meta",
     "5ff9c542aee3614f3951f8cda6e48888",
     true,
     {{"data_batch_1", DATASET_TRAIN, 10000, "c99cafc152244af753f735de768cd75f"},
      {"data_batch_2", DATASET_TRAIN, 10000, "d4bba439e000b95fd0a9bffe97cbabec"},
      {"data_batch_3", DATASET_TRAIN, 10000, "54ebc095f3ab1f0389bbae665268c751"},
      {"data_batch_4", DATASET_TRAIN, 10000, "634d18415352ddfa80567beed471001a"},
      {"data_batch_5", DATASET_TRAIN, 10000, "482c414d41f54cd18b22e5b47cb7c3cb"},
      {"test_batch", DATASET_TEST, 10000, "40351d587109b95175f43aff81a1287e"}}},
};

static const struct cifar_version cifar100[] = {
    {"cifar-100-binary",
     "fine_label_names.txt",
     NULL,
     false,
     {{"train.bin", DATASET_TRAIN, 50000, "6172c7755cfe09b2fe270c85cebc1b15"},
      {"test.bin", DATASET_TEST, 10000, "4499cfba6c016c1be1438163640a0898"}}},
    {"cifar-100-python",
     "meta",
     "7973b15100ade9c7d40fb424638fde48",
     true,
     {{"train", DATASET_TRAIN, 50000, "16019d7e3df5f24257cddd939b257f8d"},
      {"test", DATASET_TEST, 10000, "f0ef6b0ae62326f3e7ffdfab6717acfc"}}},
};

/* ---------------------------------------------------------------- records */

static int check_coarse(const char *where, const uint8_t *records, size_t count, size_t record, err *e)
{
    for (size_t i = 0; i < count; i++)
        if (records[i * record] >= CIFAR100_COARSE)
            return fault_set(e, FAULT_RANGE, "%s: the coarse label of image %zu is %d, but they are 0 to %d", where, i,
                             records[i * record], CIFAR100_COARSE - 1);
    return 0;
}

int cifar_binary_add(struct image_source *s, enum dataset_part part, const char *where, const uint8_t *bytes, size_t n,
                     err *e)
{
    bool fine = s->classes == CIFAR100_CLASSES;
    size_t record = CIFAR_PIXELS + (fine ? 2 : 1), count = n / record;

    if (n == 0 || n % record)
        return fault_set(e, FAULT_TRUNC, "%s: has %zu bytes, which is no number of records of %zu", where, n, record);
    if (fine && check_coarse(where, bytes, count, record, e))
        return e->code;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *label = bytes + i * record + (fine ? 1 : 0);

        if (*label >= s->classes)
            return fault_set(e, FAULT_RANGE, "%s: the label of image %zu is %d, but the classes are 0 to %d", where, i,
                             *label, s->classes - 1);
        if (source_add_pixels(s, part, where, label + 1, label, 1, e))
            return e->code;
    }
    return 0;
}

/* ---------------------------------------------------------------- a folder */

/* "<folder>/<name>", where the folder may be the root itself. */
static const char *inside(char path[BELOW_NAME_SIZE], const char *folder, const char *name)
{
    snprintf(path, BELOW_NAME_SIZE, "%s%s%s", folder, *folder ? "/" : "", name);
    return path;
}

/* Which version lies where: in the folder itself or below it, as the archives unpack; the binary one first. */
static const struct cifar_version *find(const struct image_source *s, const struct cifar_version versions[2],
                                        const char **folder)
{
    char path[BELOW_NAME_SIZE];

    for (int i = 0; i < 2; i++) {
        const char *const places[] = {"", versions[i].folder};

        for (int k = 0; k < 2; k++)
            if (below_has(&s->root, inside(path, places[k], versions[i].files[0].name))) {
                *folder = places[k];
                return &versions[i];
            }
    }
    return NULL;
}

static int read_names(struct image_source *s, const struct cifar_version *v, const char *folder, size_t classes,
                      const struct source_options *options, struct bytes *bytes, err *e)
{
    char path[BELOW_NAME_SIZE];
    struct text_lines lines;

    inside(path, folder, v->names);
    if (v->pickled) {
        if (below_read(&s->root, path, file_limit, bytes, e) ||
            cifar_python_classes(s, path, bytes->data, bytes->size, e))
            return e->code;
        source_compare_bytes(s, options, path, bytes, v->names_md5);
    } else {
        if (text_lines_read(&s->root, path, &lines, e))
            return e->code;
        text_lines_trim(&lines);
        source_classes(s, path, (const char *const *)lines.lines, lines.count, e);
        text_lines_free(&lines);
    }
    if (!e->code && (size_t)s->classes != classes)
        fault_set(e, FAULT_RANGE, "%s: names %d classes, expected %zu", path, s->classes, classes);
    return e->code;
}

static int read_file(struct image_source *s, const struct cifar_version *v, const struct cifar_file *f,
                     const char *folder, const struct source_options *options, struct bytes *bytes, err *e)
{
    size_t before = s->part[f->part].count;
    char path[BELOW_NAME_SIZE];

    inside(path, folder, f->name);
    if (below_read(&s->root, path, file_limit, bytes, e))
        return e->code;
    if (v->pickled ? cifar_python_add(s, f->part, path, bytes->data, bytes->size, e)
                   : cifar_binary_add(s, f->part, path, bytes->data, bytes->size, e))
        return e->code;
    source_compare_bytes(s, options, path, bytes, f->md5);
    return source_published(s, options, path, s->part[f->part].count - before, f->images, e);
}

static int open_versions(struct image_source *s, const struct cifar_version versions[2], size_t classes,
                         const struct source_options *options, err *e)
{
    const char *folder = "";
    const struct cifar_version *v = find(s, versions, &folder);
    struct bytes bytes = {0};

    if (!v)
        return err_set(e, ERR_MISSING, "%s: holds neither %s nor %s, nor a folder %s or %s", s->root.path,
                       versions[0].files[0].name, versions[1].files[0].name, versions[0].folder, versions[1].folder);
    s->height = s->width = 32;
    s->channels = 3;
    s->layout = PIXELS_PLANES;
    if (!read_names(s, v, folder, classes, options, &bytes, e))
        for (const struct cifar_file *f = v->files; f->name; f++)
            if (read_file(s, v, f, folder, options, &bytes, e))
                break;
    bytes_free(&bytes);
    return e->code;
}

int kind_cifar10_open(struct image_source *s, const struct source_options *options, err *e)
{
    return open_versions(s, cifar10, CIFAR10_CLASSES, options, e);
}

int kind_cifar100_open(struct image_source *s, const struct source_options *options, err *e)
{
    return open_versions(s, cifar100, CIFAR100_CLASSES, options, e);
}
