/* io/datasets/source.c - see source.h. */
#include "io/datasets/source.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/containers/fault.h"
#include "io/datasets/kinds.h"

static const uint64_t file_limit = (uint64_t)256 << 20; /* bytes of one image file */

static const struct data_kind kinds[] = {
#define K(id, name, traits, holds, get) {name, traits, holds, get, kind_##id##_open},
    DATA_KINDS(K)
#undef K
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static const char *const part_names[DATASET_PARTS] = {[DATASET_TRAIN] = "training", [DATASET_TEST] = "test"};

const struct data_kind *data_kind(size_t i)
{
    return i < KINDS ? &kinds[i] : NULL;
}

const struct data_kind *data_kind_by_name(const char *name)
{
    for (size_t i = 0; i < KINDS; i++)
        if (!strcmp(kinds[i].name, name))
            return &kinds[i];
    return NULL;
}

/* The official code's list: in natural order, class 10 k + c is class c of the k-th. */
static const struct data_composition compositions[] = {
    {"5-datasets", {"svhn", "mnist", "cifar10", "notmnist", "fashion-mnist"}, 10},
};

const struct data_composition *data_composition_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof compositions / sizeof *compositions; i++)
        if (!strcmp(compositions[i].name, name))
            return &compositions[i];
    return NULL;
}

const char *data_advice(const char *name, char text[DATA_ADVICE])
{
    const struct data_kind *kind = data_kind_by_name(name);
    const struct data_composition *c = data_composition_by_name(name);
    size_t used;

    if (c) {
        used = (size_t)snprintf(text, DATA_ADVICE, "import");
        for (int i = 0; c->members[i]; i++)
            used += (size_t)snprintf(text + used, DATA_ADVICE - used, "%s %s", i ? "," : "", c->members[i]);
        snprintf(text + used, DATA_ADVICE - used, ", then run `sluice data import %s --as %s`", name, name);
    } else if (kind) {
        snprintf(text, DATA_ADVICE, "get it from %s, and run `sluice data import %s FOLDER --as %s`", kind->get, name,
                 name);
    } else {
        snprintf(text, DATA_ADVICE, "`sluice data import KIND FOLDER --as %s` makes one of your own images", name);
    }
    return text;
}

/* ---------------------------------------------------------------- opening and closing */

/* The names of the kinds that have all these traits. */
static const char *kinds_with(unsigned traits, char list[300])
{
    size_t used = 0;

    for (size_t i = 0; i < KINDS; i++)
        if ((kinds[i].traits & traits) == traits)
            used += (size_t)snprintf(list + used, 300 - used, "%s%s", used ? ", " : "", kinds[i].name);
    return list;
}

/* What the kind has no use for. */
static int check_options(const struct data_kind *kind, const struct source_options *options, err *e)
{
    bool lists = options->list[DATASET_TRAIN] || options->list[DATASET_TEST];
    char list[300];

    if (options->seeded && !(kind->traits & KIND_SEED))
        return err_set(e, ERR_USAGE,
                       "its files say which images are for training, so that a seed has no use; kinds that may be "
                       "divided with one are %s",
                       kinds_with(KIND_SEED, list));
    if (lists && !(kind->traits & KIND_LISTS))
        return err_set(e, ERR_USAGE, "lists of training and test images are taken by %s", kinds_with(KIND_LISTS, list));
    return 0;
}

static int check_parts(const struct image_source *s, err *e)
{
    for (int part = 0; part < DATASET_PARTS; part++)
        if (!s->part[part].count)
            return fault_set(e, FAULT_MISSING, "%s: there are no %s images", s->root.path, part_names[part]);
    return 0;
}

/* Open the root: the path, or where the path is a manifest, its folder. */
static int enter(struct image_source *s, const char *path, err *e)
{
    char *folder;
    struct stat status;
    const char *slash = strrchr(path, '/');

    if (stat(path, &status) || !S_ISREG(status.st_mode) || strcmp(s->kind->name, "csv"))
        return below_enter(path, &s->root, e);
    s->manifest = slash ? slash + 1 : path;
    if (!(folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".")))
        return err_set(e, ERR_NOMEM, "%s: out of memory", path);
    below_enter(folder, &s->root, e);
    free(folder);
    return e->code;
}

int image_source_open(const char *kind, const char *path, const struct source_options *options,
                      struct image_source *out, err *e)
{
    char list[300];

    *out = (struct image_source){.kind = data_kind_by_name(kind), .root.fd = -1};
    if (!out->kind)
        return err_set(e, ERR_USAGE, "'%.60s' is no kind of data set; the kinds are %s", kind, kinds_with(0, list));
    if (!check_options(out->kind, options, e) && !enter(out, path, e) && !out->kind->open(out, options, e))
        check_parts(out, e);
    if (!e->code && options->seeded && !out->drawn)
        source_note(out, "the seed was not used: the images are divided already");
    if (e->code) {
        image_source_close(out);
        return err_context(e, "%s", kind);
    }
    return 0;
}

void image_source_close(struct image_source *s)
{
    for (int part = 0; part < DATASET_PARTS; part++) {
        struct source_part *p = &s->part[part];

        for (size_t i = 0; p->files && i < p->count; i++)
            free(p->files[i]);
        free(p->files);
        free(p->pixels);
        free(p->labels);
    }
    free(s->class_names);
    free(s->sequence);
    below_leave(&s->root);
    *s = (struct image_source){.root.fd = -1};
}

/* ---------------------------------------------------------------- reading */

/* Bytes of one image as the array has them, to (height, width, channels). */
static void to_rows(const struct image_source *s, const uint8_t *from, uint8_t *to)
{
    size_t h = (size_t)s->height, w = (size_t)s->width, c = (size_t)s->channels;

    if (s->layout == PIXELS_ROWS) {
        memcpy(to, from, h * w * c);
        return;
    }
    for (size_t y = 0; y < h; y++)
        for (size_t x = 0; x < w; x++)
            for (size_t k = 0; k < c; k++)
                *to++ = from[s->layout == PIXELS_PLANES ? (k * h + y) * w + x : (k * w + x) * h + y];
}

int image_source_read(const struct image_source *s, enum dataset_part part, size_t i, struct source_image *out, err *e)
{
    const struct source_part *p = &s->part[part];
    size_t size = (size_t)s->height * (size_t)s->width * (size_t)s->channels;

    if (i >= p->count)
        return err_set(e, ERR_BUG, "image %zu of %zu", i, p->count);
    out->label = p->labels[i];
    out->height = out->width = out->channels = 0;
    if (p->files)
        return below_read(&s->root, p->files[i], file_limit, &out->bytes, e);
    if (bytes_reserve(&out->bytes, size, e))
        return e->code;
    to_rows(s, p->pixels + i * size, out->bytes.data);
    out->bytes.size = size;
    out->height = s->height;
    out->width = s->width;
    out->channels = s->channels;
    return 0;
}

uint64_t image_source_size(const struct image_source *s, enum dataset_part part, size_t i)
{
    const struct source_part *p = &s->part[part];
    uint64_t size = (uint64_t)s->height * (uint64_t)s->width * (uint64_t)s->channels;
    err e = {0};
    int fd;

    if (!p->files)
        return size;
    if (below_open(&s->root, p->files[i], &fd, &size, &e))
        return 0;
    close(fd);
    return size;
}

const char *image_source_name(const struct image_source *s, enum dataset_part part, size_t i,
                              char text[SOURCE_IMAGE_NAME])
{
    const struct source_part *p = &s->part[part];
    char shown[ESCAPED_SIZE];

    if (p->files)
        snprintf(text, SOURCE_IMAGE_NAME, "%s", escaped(shown, p->files[i], strlen(p->files[i])));
    else
        snprintf(text, SOURCE_IMAGE_NAME, "%s image %zu", part_names[part], i);
    return text;
}

/* ---------------------------------------------------------------- for the kinds */

void source_note(struct image_source *s, const char *format, ...)
{
    va_list args;

    if (s->notes_count == SOURCE_NOTES) {
        s->notes_dropped++;
        return;
    }
    va_start(args, format);
    vsnprintf(s->notes[s->notes_count++], SOURCE_NOTE_SIZE, format, args);
    va_end(args);
}

int source_published(struct image_source *s, const struct source_options *options, const char *where, size_t images,
                     size_t published, err *e)
{
    if (images == published)
        return 0;
    if (!options->allow_partial)
        return fault_set(
            e, FAULT_RANGE,
            "%s: has %zu images, %zu were published; `sluice data import %s` reads it with --allow-partial", where,
            images, published, s->kind->name);
    source_note(s, "%s: has %zu images, %zu were published", where, images, published);
    return 0;
}

static bool compares(const struct source_options *options, const char *md5)
{
    return md5 && !options->allow_partial && !options->skip_digests;
}

static void compare(struct image_source *s, const char *where, const char *hex, const char *md5)
{
    if (strcmp(hex, md5))
        source_note(s, "%s is not the published file: its MD5 is %s, expected %s", where, hex, md5);
}

void source_compare_file(struct image_source *s, const struct source_options *options, const char *where, int fd,
                         const char *md5)
{
    char hex[CHECKSUM_HEX];

    if (compares(options, md5) && checksum_open_file(fd, hex))
        compare(s, where, hex, md5);
}

void source_compare_bytes(struct image_source *s, const struct source_options *options, const char *where,
                          const struct bytes *bytes, const char *md5)
{
    char hex[CHECKSUM_HEX];

    if (!compares(options, md5))
        return;
    checksum_bytes(CHECKSUM_MD5, bytes->data, bytes->size, hex);
    compare(s, where, hex, md5);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_distinct(const char *where, const char *const *names, size_t count, err *e)
{
    const char **sorted = malloc((count + 1) * sizeof *sorted);
    char shown[ESCAPED_SIZE];

    if (!sorted)
        return err_set(e, ERR_NOMEM, "%s: out of memory", where);
    memcpy(sorted, names, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_names);
    for (size_t i = 1; i < count && !e->code; i++)
        if (!strcmp(sorted[i - 1], sorted[i]))
            fault_set(e, FAULT_DUP, "%s: two classes are named '%s'", where,
                      escaped(shown, sorted[i], strlen(sorted[i])));
    free(sorted);
    return e->code;
}

static int check_name(const char *where, const char *name, err *e)
{
    size_t size = strlen(name);
    char shown[ESCAPED_SIZE];

    if (!class_name_valid(name, size))
        return fault_set(e, FAULT_SYNTAX, "%s: '%s' cannot be the name of a class: " CLASS_NAME_RULE, where,
                         escaped(shown, name, size));
    return 0;
}

int source_classes(struct image_source *s, const char *where, const char *const *names, size_t count, err *e)
{
    if (count == 0)
        return fault_set(e, FAULT_MISSING, "%s: there are no classes", where);
    if (count > SOURCE_CLASSES_LIMIT)
        return fault_set(e, FAULT_LIMIT, "%s: %zu classes, at most %d are read", where, count, SOURCE_CLASSES_LIMIT);
    for (size_t i = 0; i < count; i++)
        if (check_name(where, names[i], e))
            return e->code;
    if (check_distinct(where, names, count, e))
        return e->code;
    if (!(s->class_names = calloc(count, sizeof *s->class_names)))
        return err_set(e, ERR_NOMEM, "%s: out of memory", where);
    for (size_t i = 0; i < count; i++)
        snprintf(s->class_names[i], sizeof s->class_names[i], "%s", names[i]);
    s->classes = (int)count;
    return 0;
}

int source_add_file(struct image_source *s, enum dataset_part part, const char *name, int32_t label, err *e)
{
    struct source_part *p = &s->part[part];

    if (p->count == p->room) {
        size_t room = p->room ? 2 * p->room : 256;
        char **files = realloc(p->files, room * sizeof *files);
        int32_t *labels;

        if (files)
            p->files = files;
        labels = files ? realloc(p->labels, room * sizeof *labels) : NULL;
        if (!labels)
            return err_set(e, ERR_NOMEM, "%s: out of memory", s->root.path);
        p->labels = labels;
        p->room = room;
    }
    if (!(p->files[p->count] = strdup(name)))
        return err_set(e, ERR_NOMEM, "%s: out of memory", s->root.path);
    p->labels[p->count++] = label;
    return 0;
}

static size_t image_size(const struct image_source *s)
{
    return (size_t)s->height * (size_t)s->width * (size_t)s->channels;
}

static int reserve_pixels(struct image_source *s, struct source_part *p, size_t total, err *e)
{
    size_t room = total > 2 * p->room ? total : 2 * p->room;
    uint8_t *pixels;
    int32_t *labels;

    if (total <= p->room)
        return 0;
    pixels = realloc(p->pixels, room * image_size(s));
    p->pixels = pixels ? pixels : p->pixels;
    labels = pixels ? realloc(p->labels, room * sizeof *labels) : NULL;
    p->labels = labels ? labels : p->labels;
    if (!labels)
        return err_set(e, ERR_NOMEM, "%s: out of memory for %zu images", s->root.path, total);
    p->room = room;
    return 0;
}

int source_reserve(struct image_source *s, enum dataset_part part, size_t count, uint8_t **pixels, err *e)
{
    struct source_part *p = &s->part[part];

    if (reserve_pixels(s, p, p->count + count, e))
        return e->code;
    *pixels = p->pixels + p->count * image_size(s);
    return 0;
}

int source_add_pixels(struct image_source *s, enum dataset_part part, const char *where, const uint8_t *pixels,
                      const uint8_t *labels, size_t count, err *e)
{
    struct source_part *p = &s->part[part];

    for (size_t i = 0; i < count; i++)
        if (labels[i] >= s->classes)
            return fault_set(e, FAULT_RANGE, "%s: the label of image %zu is %d, but the classes are 0 to %d", where, i,
                             labels[i], s->classes - 1);
    if (reserve_pixels(s, p, p->count + count, e))
        return e->code;
    if (pixels)
        memcpy(p->pixels + p->count * image_size(s), pixels, count * image_size(s));
    for (size_t i = 0; i < count; i++)
        p->labels[p->count++] = labels[i];
    return 0;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int source_listing_sum(const struct image_source *s, enum dataset_part part, const char *prefix, char hex[CHECKSUM_HEX],
                       err *e)
{
    const struct source_part *p = &s->part[part];
    const char **names = malloc((p->count + 1) * sizeof *names);
    size_t skip = strlen(prefix);
    struct checksum sum;

    if (!names)
        return err_set(e, ERR_NOMEM, "%s: out of memory for a checksum", s->root.path);
    for (size_t i = 0; i < p->count; i++)
        names[i] = p->files[i] + (strncmp(p->files[i], prefix, skip) ? 0 : skip);
    qsort(names, p->count, sizeof *names, compare_texts);
    checksum_start(&sum, CHECKSUM_SHA256);
    for (size_t i = 0; i < p->count; i++) {
        checksum_add(&sum, names[i], strlen(names[i]));
        checksum_add(&sum, "\n", 1);
    }
    checksum_end(&sum, hex);
    free(names);
    return 0;
}
