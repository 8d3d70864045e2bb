/* io/dataset.c - see dataset.h. */
#include "io/dataset.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/h5.h"
#include "io/idx.h"
#include "io/places.h"

enum { SIDE_LIMIT = 20000, CLASSES_LIMIT = 1000000 };
static const size_t part_limit = (size_t)16 << 30; /* bytes of the pixels of one part */

static const char *const part_names[DATASET_PARTS] = {[DATASET_TRAIN] = "train", [DATASET_TEST] = "test"};

/* A data set that is known by name and read from IDX files. */
struct known {
    const char *name, *torch; /* torch: the folder that torchvision makes */
    const char *get;          /* how to get it */
    int classes;
    const char *class_names[10];
};

static const struct known known[] = {
    {"fashion-mnist",
     "FashionMNIST",
     "`apt-get install dataset-fashion-mnist` provides it",
     10,
     {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"}},
    {"mnist",
     "MNIST",
     "its four IDX files go into a folder of that name",
     10,
     {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}},
};
enum { KNOWN = sizeof known / sizeof *known };

static const struct known *known_by_name(const char *name)
{
    for (int i = 0; i < KNOWN; i++)
        if (!strcmp(known[i].name, name))
            return &known[i];
    return NULL;
}

/* ---------------------------------------------------------------- memory */

struct blocks {
    void *pixels[DATASET_PARTS], *labels[DATASET_PARTS];
};

void dataset_close(struct dataset *d)
{
    struct blocks *b = d->memory;

    for (int part = 0; b && part < DATASET_PARTS; part++) {
        free(b->pixels[part]);
        free(b->labels[part]);
    }
    free(b);
    free(d->class_names);
    *d = (struct dataset){0};
}

/* Hand a part its arrays, which the data set now owns. */
static void part_give(struct dataset *d, enum dataset_part part, const size_t shape[4], void *pixels, void *labels)
{
    struct blocks *b = d->memory;

    b->pixels[part] = pixels;
    b->labels[part] = labels;
    d->part[part] = (struct image_set){.count = shape[0],
                                       .height = (int)shape[1],
                                       .width = (int)shape[2],
                                       .channels = (int)shape[3],
                                       .pixels = pixels,
                                       .labels = labels};
}

/* Take the names of the classes, one a line. */
static int classes_take(struct dataset *d, const char *path, const char *lines, err *e)
{
    size_t count = 1;

    for (const char *at = lines; (at = strchr(at, '\n')); at++)
        count++;
    if (count > CLASSES_LIMIT)
        return err_set(e, ERR_DAMAGED, "%s: has %zu classes, at most %d are read", path, count, CLASSES_LIMIT);
    if (!(d->class_names = calloc(count, sizeof *d->class_names)))
        return err_set(e, ERR_NOMEM, "%s: out of memory", path);
    d->classes = (int)count;
    for (size_t i = 0; i < count; i++) {
        size_t n = strcspn(lines, "\n");

        if (n == 0 || n >= sizeof *d->class_names)
            return err_set(e, ERR_DAMAGED, "%s: the name of class %zu has %zu bytes, allowed are 1 to %zu", path, i, n,
                           sizeof *d->class_names - 1);
        memcpy(d->class_names[i], lines, n);
        lines += n + 1;
    }
    return 0;
}

/* ---------------------------------------------------------------- checks and digest, the same for every container */

static int shape_check(const char *path, const char *part, const size_t shape[4], size_t labels, err *e)
{
    if (shape[0] == 0 || shape[1] == 0 || shape[2] == 0 || shape[1] > SIDE_LIMIT || shape[2] > SIDE_LIMIT)
        return err_set(e, ERR_DAMAGED, "%s: %s has %zu images of %zu by %zu pixels", path, part, shape[0], shape[1],
                       shape[2]);
    if (shape[3] != 1 && shape[3] != 3)
        return err_set(e, ERR_DAMAGED, "%s: %s has %zu channels, 1 or 3 are read", path, part, shape[3]);
    if (labels != shape[0])
        return err_set(e, ERR_DAMAGED, "%s: %s has %zu images and %zu labels", path, part, shape[0], labels);
    return 0;
}

static int check(const struct dataset *d, const char *path, err *e)
{
    const struct image_set *train = &d->part[DATASET_TRAIN], *test = &d->part[DATASET_TEST];

    for (int part = 0; part < DATASET_PARTS; part++)
        for (size_t i = 0; i < d->part[part].count; i++)
            if (d->part[part].labels[i] < 0 || d->part[part].labels[i] >= d->classes)
                return err_set(e, ERR_DAMAGED, "%s: label %zu of %s is %d, but the classes are 0 to %d", path, i,
                               part_names[part], (int)d->part[part].labels[i], d->classes - 1);
    if (train->height != test->height || train->width != test->width || train->channels != test->channels)
        return err_set(e, ERR_DAMAGED, "%s: training images are %dx%dx%d, test images %dx%dx%d", path, train->height,
                       train->width, train->channels, test->height, test->width, test->channels);
    return 0;
}

static struct digest content_digest(const struct dataset *d)
{
    struct digester all;

    digester_start(&all);
    digester_add_u64(&all, (uint64_t)d->classes);
    for (int part = 0; part < DATASET_PARTS; part++) {
        const struct image_set *s = &d->part[part];

        digester_add_u64(&all, s->count);
        digester_add_u64(&all, (uint64_t)s->height);
        digester_add_u64(&all, (uint64_t)s->width);
        digester_add_u64(&all, (uint64_t)s->channels);
        digester_add(&all, s->pixels, s->count * (size_t)s->height * (size_t)s->width * (size_t)s->channels);
        digester_add(&all, s->labels, s->count * sizeof *s->labels); /* little-endian, see io/h5_internal.h */
    }
    return digester_end(&all);
}

/* ---------------------------------------------------------------- IDX */

/* The plain file or the gzipped one. */
static bool idx_find(const char *folder, const char *file, char path[PATH_SIZE])
{
    return place_find(folder, file, "", false, path) || place_find(folder, file, ".gz", false, path);
}

/* The folder of a data set's IDX files: its own name, or as torchvision lays it out. */
static bool idx_folder_find(const char *place, const struct known *k, char path[PATH_SIZE])
{
    const char *const folders[][2] = {{k->name, ""}, {k->name, "/raw"}, {k->torch, "/raw"}};
    char file[PATH_SIZE];

    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (place_find(place, folders[i][0], folders[i][1], true, path) &&
            idx_find(path, "train-images-idx3-ubyte", file))
            return true;
    return false;
}

static int idx_read_found(const char *folder, const char *file, int rank, struct idx *out, err *e)
{
    char path[PATH_SIZE];

    if (!idx_find(folder, file, path))
        return err_set(e, ERR_MISSING, "%s: %s (or %s.gz) is missing", folder, file, file);
    return idx_read(path, rank, part_limit, out, e);
}

static int idx_part(const char *folder, enum dataset_part part, struct dataset *d, err *e)
{
    static const char *const files[DATASET_PARTS][2] = {
        [DATASET_TRAIN] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte"},
        [DATASET_TEST] = {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"},
    };
    struct idx images = {0}, labels = {0};
    int32_t *wide = NULL;
    size_t shape[4];
    int status = idx_read_found(folder, files[part][0], 3, &images, e);

    if (!status)
        status = idx_read_found(folder, files[part][1], 1, &labels, e);
    if (!status) {
        memcpy(shape, images.shape, 3 * sizeof *shape);
        shape[3] = 1;
        status = shape_check(folder, part_names[part], shape, labels.shape[0], e);
    }
    if (!status && !(wide = malloc(labels.shape[0] * sizeof *wide)))
        status = err_set(e, ERR_NOMEM, "%s: out of memory", folder);
    for (size_t i = 0; !status && i < labels.shape[0]; i++)
        wide[i] = labels.bytes[i];
    free(labels.bytes);
    if (status)
        free(images.bytes);
    else
        part_give(d, part, shape, images.bytes, wide);
    return status;
}

static int idx_open(const struct known *k, const char *folder, struct dataset *d, err *e)
{
    char lines[512] = "";
    size_t used = 0;

    for (int i = 0; i < k->classes; i++)
        used += (size_t)snprintf(lines + used, sizeof lines - used, "%s%s", i ? "\n" : "", k->class_names[i]);
    if (classes_take(d, folder, lines, e) || idx_part(folder, DATASET_TRAIN, d, e))
        return e->code;
    return idx_part(folder, DATASET_TEST, d, e);
}

/* ---------------------------------------------------------------- HDF5 packs */

static int pack_part(h5 *file, const char *path, enum dataset_part part, struct dataset *d, err *e)
{
    char name[40];
    size_t shape[4], labels_count[1];
    void *pixels = NULL, *labels = NULL;
    int status;

    snprintf(name, sizeof name, "%s/images", part_names[part]);
    status = h5_read_alloc(file, name, H5_U8, 4, shape, part_limit, &pixels, e);
    snprintf(name, sizeof name, "%s/labels", part_names[part]);
    if (!status)
        status = h5_read_alloc(file, name, H5_I32, 1, labels_count, part_limit, &labels, e);
    if (!status)
        status = shape_check(path, part_names[part], shape, labels_count[0], e);
    if (status) {
        free(pixels);
        free(labels);
    } else {
        part_give(d, part, shape, pixels, labels);
    }
    return status;
}

static int pack_open(const char *path, struct dataset *d, err *e)
{
    char *lines = NULL;
    int status;
    h5 *file;

    if (h5_open(path, &file, e))
        return e->code;
    status = h5_read_text(file, "class_names", &lines, e);
    if (!status)
        status = classes_take(d, path, lines, e);
    for (int part = 0; part < DATASET_PARTS && !status; part++)
        status = pack_part(file, path, part, d, e);
    free(lines);
    h5_close(file);
    return status;
}

int dataset_write_pack(const struct dataset *d, const char *path, err *e)
{
    size_t room = (size_t)d->classes * sizeof *d->class_names, used = 0;
    char name[40], *lines = malloc(room + 1);
    int status;
    h5 *file;

    if (!lines)
        return err_set(e, ERR_NOMEM, "%s: out of memory", path);
    for (int i = 0; i < d->classes; i++)
        used += (size_t)snprintf(lines + used, room - used, "%s%s", i ? "\n" : "", d->class_names[i]);
    status = h5_create(path, &file, e);
    if (!status)
        status = h5_write_text(file, "class_names", lines, e);
    free(lines);
    for (int part = 0; part < DATASET_PARTS && !status; part++) {
        const struct image_set *s = &d->part[part];
        const size_t shape[] = {s->count, (size_t)s->height, (size_t)s->width, (size_t)s->channels};

        snprintf(name, sizeof name, "%s/images", part_names[part]);
        status = h5_write(file, name, H5_U8, 4, shape, s->pixels, true, e);
        snprintf(name, sizeof name, "%s/labels", part_names[part]);
        if (!status)
            status = h5_write(file, name, H5_I32, 1, shape, s->labels, true, e);
    }
    if (!status)
        return h5_commit(file, NULL, e);
    h5_close(file);
    return status;
}

/* ---------------------------------------------------------------- by name */

static void search(struct places *p)
{
    p->count = 0;
    places_add(p, getenv("SLUICE_DATA"));
    places_add(p, "/usr/share/datasets");
    places_add_home(p, ".local/share/sluice/data");
}

int dataset_locate(const char *name, char path[1024], err *e)
{
    const struct known *k = known_by_name(name);
    struct places places;
    char text[600];

    if (!place_name_valid(name))
        return err_set(e, ERR_CONFIG,
                       "'%s' cannot be the name of a data set: letters, digits, '.', '_' and '-' make one", name);
    search(&places);
    for (int i = 0; i < places.count; i++)
        if ((k && idx_folder_find(places.folder[i], k, path)) || place_find(places.folder[i], name, ".h5", false, path))
            return 0;
    return err_set(
        e, ERR_MISSING,
        "data set '%s' is not here; looked for the folder %s or the pack %s.h5 in %s; %s; SLUICE_DATA may name "
        "more places, separated by colons",
        name, name, name, places_text(&places, text),
        k ? k->get : "names known without a pack are fashion-mnist and mnist");
}

int dataset_open(const char *name, struct dataset *out, err *e)
{
    const struct known *k = known_by_name(name);
    char path[PATH_SIZE];
    size_t length;
    int status;

    *out = (struct dataset){0};
    if (dataset_locate(name, path, e))
        return e->code;
    length = strlen(path);
    strcpy(out->name, name);
    if (!(out->memory = calloc(1, sizeof(struct blocks))))
        return err_set(e, ERR_NOMEM, "%s: out of memory", path);
    if (k && !(length > 3 && !strcmp(path + length - 3, ".h5")))
        status = idx_open(k, path, out, e);
    else
        status = pack_open(path, out, e);
    if (!status)
        status = check(out, path, e);
    if (status)
        dataset_close(out);
    else
        out->digest = content_digest(out);
    return status;
}

int dataset_digest(const char *name, struct digest *out, err *e)
{
    struct dataset d;

    if (dataset_open(name, &d, e))
        return e->code;
    *out = d.digest;
    dataset_close(&d);
    return 0;
}

int image_set_take(const struct image_set *set, int classes, int64_t per_class, size_t **indices, size_t *count, err *e)
{
    size_t *taken = calloc((size_t)classes + 1, sizeof *taken);
    size_t *list = malloc((set->count + 1) * sizeof *list), n = 0;
    int status = 0;

    *indices = NULL;
    if (!taken || !list)
        status = err_set(e, ERR_NOMEM, "out of memory for %zu images", set->count);
    for (size_t i = 0; i < set->count && !status; i++)
        if (set->labels[i] < 0 || set->labels[i] >= classes)
            status = err_set(e, ERR_BUG, "image %zu has label %d of %d classes", i, (int)set->labels[i], classes);
        else if (per_class <= 0 || taken[set->labels[i]] < (size_t)per_class) {
            taken[set->labels[i]]++;
            list[n++] = i;
        }
    for (int c = 0; c < classes && !status; c++)
        if (!taken[c])
            status = err_set(e, ERR_DATA, "class %d has no image", c);
    free(taken);
    if (status) {
        free(list);
        return status;
    }
    *indices = list;
    *count = n;
    return 0;
}
