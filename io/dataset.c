/* io/dataset.c - see dataset.h. */
#include "io/dataset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/containers/fault.h"
#include "io/dataset_internal.h"
#include "io/datasets/kinds.h"
#include "io/image_pack.h"
#include "io/image_pack_contents.h"
#include "io/places.h"
#include "io/text.h"

/* A data set that is read from its IDX files without import, by its kind of that name. */
struct known {
    const char *name, *folders[4]; /* folders: in a place, with the IDX files in them; up to NULL */
    const char *get;               /* how to get it */
};

/* After NAME/ and NAME/raw/, the folders that torchvision makes, and for the official code's class. */
static const struct known known[] = {
    {"fashion-mnist",
     {"fashion-mnist", "fashion-mnist/raw", "FashionMNIST/raw"},
     "`apt-get install dataset-fashion-mnist` provides it"},
    {"mnist", {"mnist", "mnist/raw", "MNIST_RGB/raw", "MNIST/raw"}, "its four IDX files go into a folder of that name"},
};
enum { KNOWN = sizeof known / sizeof *known, FOLDERS = sizeof known->folders / sizeof *known->folders };

static const struct known *known_by_name(const char *name)
{
    for (int i = 0; i < KNOWN; i++)
        if (!strcmp(known[i].name, name))
            return &known[i];
    return NULL;
}

static const char *const part_names[DATASET_PARTS] = {[DATASET_TRAIN] = "train", [DATASET_TEST] = "test"};

const char *dataset_part_name(enum dataset_part part)
{
    return part_names[part];
}

const char *dataset_array_name(char name[40], enum dataset_part part, const char *array)
{
    snprintf(name, 40, "%s/%s", part_names[part], array);
    return name;
}

/* ---------------------------------------------------------------- memory */

/* The images of a part as ranges of bytes in a file: one after the other from `at`. */
struct image_places {
    int fd;           /* of the data set */
    const char *path; /* for messages */
    enum dataset_part part;
    uint64_t at;
    size_t image_bytes;  /* of each; 0: they end where `ends` says */
    const int64_t *ends; /* (count) counted from `at` */
};

struct blocks {
    void *pixels[DATASET_PARTS], *labels[DATASET_PARTS]; /* of IDX files */
    struct image_pack_contents pack;
    struct image_places places[DATASET_PARTS];
    int fd; /* of a pack; -1: none */
    char *path;
};

void dataset_close(struct dataset *d)
{
    struct blocks *b = d->memory;

    for (int part = 0; b && part < DATASET_PARTS; part++) {
        free(b->pixels[part]);
        free(b->labels[part]);
    }
    if (b) {
        image_pack_contents_free(&b->pack);
        if (b->fd >= 0)
            close(b->fd);
        free(b->path);
    }
    free(b);
    free(d->class_names);
    free(d->notes);
    *d = (struct dataset){0};
}

/* An empty data set, to be closed whatever comes. */
static int start(struct dataset *d, const char *path, err *e)
{
    struct blocks *b = calloc(1, sizeof *b);

    *d = (struct dataset){.memory = b};
    if (!b)
        return err_set(e, ERR_NOMEM, "%s: out of memory", path);
    b->fd = -1;
    b->path = strdup(path);
    return b->path ? 0 : err_set(e, ERR_NOMEM, "%s: out of memory", path);
}

/* Describe the images of a part. */
static void part_set(struct dataset *d, enum dataset_part part, const size_t shape[4], const uint8_t *pixels,
                     const int32_t *labels)
{
    d->part[part] = (struct image_set){.count = shape[0],
                                       .height = (int)shape[1],
                                       .width = (int)shape[2],
                                       .channels = (int)shape[3],
                                       .pixels = pixels,
                                       .labels = labels};
}

bool class_name_valid(const char *name, size_t n)
{
    return n > 0 && n < CLASS_NAME_SIZE && text_is_printable(name, n);
}

/* Take the names of the classes, one a line. */
static int classes_take(struct dataset *d, const char *path, const char *lines, err *e)
{
    char shown[ESCAPED_SIZE];
    size_t count = 1;

    for (const char *at = lines; (at = strchr(at, '\n')); at++)
        count++;
    if (count > DATASET_CLASSES_LIMIT)
        return err_set(e, ERR_DAMAGED, "%s: has %zu classes, at most %d are read", path, count, DATASET_CLASSES_LIMIT);
    if (!(d->class_names = calloc(count, sizeof *d->class_names)))
        return err_set(e, ERR_NOMEM, "%s: out of memory", path);
    d->classes = (int)count;
    for (size_t i = 0; i < count; i++) {
        size_t n = strcspn(lines, "\n");

        if (!class_name_valid(lines, n))
            return err_set(e, ERR_DAMAGED, "%s: '%s' cannot be the name of a class: " CLASS_NAME_RULE, path,
                           escaped(shown, lines, n));
        memcpy(d->class_names[i], lines, n);
        lines += n + 1;
    }
    return 0;
}

/* ---------------------------------------------------------------- checks and digest, the same for every container */

static int shape_check(const char *path, const char *part, const size_t shape[4], size_t labels, err *e)
{
    if (shape[0] == 0 || shape[1] == 0 || shape[2] == 0 || shape[1] > PICTURE_SIDE_MAX || shape[2] > PICTURE_SIDE_MAX)
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

void dataset_digest_start(struct digester *d, int classes, bool files)
{
    digester_start(d);
    if (files)
        digester_add_text(d, "files");
    digester_add_u64(d, (uint64_t)classes);
}

void dataset_digest_shape(struct digester *d, size_t count, int height, int width, int channels)
{
    digester_add_u64(d, count);
    digester_add_u64(d, (uint64_t)height);
    digester_add_u64(d, (uint64_t)width);
    digester_add_u64(d, (uint64_t)channels);
}

void dataset_digest_files(struct digester *d, size_t count, const struct digester *files)
{
    struct digester copy = *files;
    struct digest digest = digester_end(&copy);

    digester_add_u64(d, count);
    digester_add(d, digest.bytes, sizeof digest.bytes);
}

void dataset_digest_labels(struct digester *d, const int32_t *labels, size_t count)
{
    digester_add(d, labels, count * sizeof *labels); /* little-endian, see io/h5_internal.h */
}

/* Feed the images of a part; of files, their lengths too. */
static int digest_images(const struct image_set *s, bool files, struct digester *d, err *e)
{
    struct image_reader reader = {0};
    const uint8_t *bytes;
    size_t n;

    for (size_t i = 0; i < s->count && !image_set_bytes(s, i, &reader, &bytes, &n, e); i++) {
        if (files)
            digester_add_u64(d, n);
        digester_add(d, bytes, n);
    }
    image_reader_free(&reader);
    return e->code;
}

static int content_digest(const struct dataset *d, struct digest *out, err *e)
{
    bool files = !d->part[DATASET_TRAIN].height;
    struct digester all, own;

    e->code = ERR_NONE;
    dataset_digest_start(&all, d->classes, files);
    for (int part = 0; part < DATASET_PARTS && !e->code; part++) {
        const struct image_set *s = &d->part[part];

        if (files) {
            digester_start(&own);
            digest_images(s, true, &own, e);
            dataset_digest_files(&all, s->count, &own);
        } else {
            dataset_digest_shape(&all, s->count, s->height, s->width, s->channels);
            digest_images(s, false, &all, e);
        }
        dataset_digest_labels(&all, s->labels, s->count);
    }
    *out = digester_end(&all);
    return e->code;
}

int dataset_verify(const struct dataset *d, err *e)
{
    const struct blocks *b = d->memory;
    struct digest found;

    if (content_digest(d, &found, e))
        return e->code;
    if (!digest_equal(&found, &d->digest))
        return err_set(e, ERR_DAMAGED, "%s: its images are not those that were written (the digest differs)", b->path);
    return 0;
}

/* ---------------------------------------------------------------- images */

static bool reader_reserve(struct image_reader *r, size_t n)
{
    if (r->room >= n)
        return true;
    free(r->bytes);
    r->bytes = malloc(n);
    r->room = r->bytes ? n : 0;
    return r->bytes != NULL;
}

void image_reader_free(struct image_reader *reader)
{
    free(reader->bytes);
    picture_free(&reader->picture);
    *reader = (struct image_reader){0};
}

/* Which image it is, before what is wrong with it. */
static int image_context(const struct image_places *p, size_t i, err *e)
{
    return err_context(e, "%s: image %zu of %s", p->path, i, part_names[p->part]);
}

static int read_range(const struct image_places *p, uint64_t at, size_t n, uint8_t *to, err *e)
{
    while (n) {
        ssize_t done = pread(p->fd, to, n, (off_t)at);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return err_set(e, ERR_DAMAGED, "%s", done ? strerror(errno) : "the file has become shorter");
        to += done;
        at += (uint64_t)done;
        n -= (size_t)done;
    }
    return 0;
}

int image_set_bytes(const struct image_set *set, size_t i, struct image_reader *reader, const uint8_t **bytes,
                    size_t *n, err *e)
{
    const struct image_places *p = set->places;
    uint64_t start, end;

    if (!p) {
        *n = (size_t)set->height * (size_t)set->width * (size_t)set->channels;
        *bytes = set->pixels + i * *n;
        return 0;
    }
    start = p->image_bytes ? i * p->image_bytes : i ? (uint64_t)p->ends[i - 1] : 0;
    end = p->image_bytes ? start + p->image_bytes : (uint64_t)p->ends[i];
    *n = (size_t)(end - start);
    if (!reader_reserve(reader, *n))
        err_set(e, ERR_NOMEM, "no memory for %zu bytes", *n);
    else if (!read_range(p, p->at + start, *n, reader->bytes, e)) {
        *bytes = reader->bytes;
        return 0;
    }
    return image_context(p, i, e);
}

int image_set_read(const struct image_set *set, size_t i, struct image_reader *reader, struct image *out, err *e)
{
    const uint8_t *bytes;
    size_t n;

    if (image_set_bytes(set, i, reader, &bytes, &n, e))
        return e->code;
    if (set->height) {
        *out = (struct image){set->height, set->width, set->channels, bytes};
        return 0;
    }
    if (picture_decode(bytes, n, set->mode, &reader->picture, e))
        return image_context(set->places, i, e);
    *out =
        (struct image){reader->picture.height, reader->picture.width, reader->picture.channels, reader->picture.pixels};
    return 0;
}

/* ---------------------------------------------------------------- IDX */

/* The folder of a data set's IDX files, plain or gzipped. */
static bool idx_folder_find(const char *place, const struct known *k, char path[PATH_SIZE])
{
    static const char images[] = "train-images-idx3-ubyte";
    char file[PATH_SIZE];

    for (size_t i = 0; i < FOLDERS && k->folders[i]; i++)
        if (place_find(place, k->folders[i], "", true, path) &&
            (place_find(path, images, "", false, file) || place_find(path, images, ".gz", false, file)))
            return true;
    return false;
}

/* One a line; NULL without any. */
static int notes_take(struct dataset *d, const struct image_source *s, err *e)
{
    size_t used = 0;

    if (!s->notes_count)
        return 0;
    if (!(d->notes = malloc((size_t)s->notes_count * SOURCE_NOTE_SIZE)))
        return err_set(e, ERR_NOMEM, "%s: out of memory", s->root.path);
    for (int i = 0; i < s->notes_count; i++)
        used += (size_t)sprintf(d->notes + used, "%s%s", i ? "\n" : "", s->notes[i]);
    return 0;
}

/* What a source has read, whose arrays the data set takes over. */
static int source_take(struct dataset *d, struct image_source *s, err *e)
{
    struct blocks *b = d->memory;

    for (int part = 0; part < DATASET_PARTS; part++) {
        struct source_part *p = &s->part[part];
        const size_t shape[] = {p->count, (size_t)s->height, (size_t)s->width, (size_t)s->channels};

        part_set(d, (enum dataset_part)part, shape, p->pixels, p->labels);
        b->pixels[part] = p->pixels;
        b->labels[part] = p->labels;
        p->pixels = NULL;
        p->labels = NULL;
    }
    d->classes = s->classes;
    d->class_names = s->class_names;
    s->class_names = NULL;
    return notes_take(d, s, e);
}

/* As an import would read them: nothing may be missing. */
static int idx_open(const struct known *k, const char *folder, struct dataset *d, err *e)
{
    const struct source_options options = {.skip_digests = true}; /* a package may have compressed the files anew */
    struct image_source s;

    if (image_source_open(k->name, folder, &options, &s, e))
        return err_context(e, "%s", folder);
    source_take(d, &s, e);
    image_source_close(&s);
    return e->code;
}

/* ---------------------------------------------------------------- HDF5 packs */

/* `ends` must rise to the length of `files`. */
static int check_ends(const char *path, enum dataset_part part, const struct image_pack_part *p, err *e)
{
    char name[40];
    int64_t last = 0;

    dataset_array_name(name, part, "files");
    for (size_t i = 0; i < p->ends_count; last = p->ends[i++])
        if (p->ends[i] <= last || (uint64_t)p->ends[i] > p->bytes)
            return err_set(e, ERR_DAMAGED, "%s: %s: image %zu ends at %lld of %zu bytes, the one before at %lld", path,
                           name, i, (long long)p->ends[i], p->bytes, (long long)last);
    if ((uint64_t)last != p->bytes)
        return err_set(e, ERR_DAMAGED, "%s: %s: the last image ends at %lld of %zu bytes", path, name, (long long)last,
                       p->bytes);
    if (p->labels_count != p->ends_count || !p->ends_count)
        return err_set(e, ERR_DAMAGED, "%s: %s has %zu images and %zu labels", path, part_names[part], p->ends_count,
                       p->labels_count);
    return 0;
}

static int pack_part(const char *path, enum dataset_part part, struct dataset *d, err *e)
{
    struct blocks *b = d->memory;
    const struct image_pack_part *p = &b->pack.part[part];
    const size_t files[4] = {p->ends_count};

    if (p->files ? check_ends(path, part, p, e) : shape_check(path, part_names[part], p->shape, p->labels_count, e))
        return e->code;
    part_set(d, part, p->files ? files : p->shape, p->pixels, p->labels);
    b->places[part] = (struct image_places){
        .fd = b->fd, .path = b->path, .part = part, .at = p->at, .ends = p->files ? p->ends : NULL};
    if (!p->files)
        b->places[part].image_bytes = p->bytes / p->shape[0];
    if (!p->pixels)
        d->part[part].places = &b->places[part];
    return 0;
}

/* How the pack's files are decoded. */
static int pack_mode(const char *path, const char *decoding, unsigned *mode, err *e)
{
    *mode = decoding ? PICTURE_LENIENT : PICTURE_STRICT;
    if (decoding && strcmp(decoding, DATASET_LENIENT))
        return err_set(e, ERR_DAMAGED, "%s: attribute %s is not '%s', the only one that is known", path,
                       DATASET_DECODING, DATASET_LENIENT);
    return 0;
}

/* The digest that was recorded, or computed where none was. */
static int pack_digest(const char *path, const char *hex, struct dataset *d, err *e)
{
    if (!hex)
        return content_digest(d, &d->digest, e);
    if (!digest_from_hex(hex, &d->digest))
        return err_set(e, ERR_DAMAGED, "%s: attribute %s is not 32 hexadecimal digits", path, DATASET_DIGEST);
    return 0;
}

static int pack_take(const char *path, struct dataset *d, err *e)
{
    const struct image_pack_contents *pack = &((struct blocks *)d->memory)->pack;
    unsigned mode;

    if (classes_take(d, path, pack->class_names, e) || pack_mode(path, pack->decoding, &mode, e))
        return e->code;
    for (int part = 0; part < DATASET_PARTS; part++) {
        if (pack_part(path, part, d, e))
            return e->code;
        d->part[part].mode = mode;
    }
    d->provenance = pack->provenance;
    d->sequence = pack->sequence;
    return check(d, path, e) ? (int)e->code : pack_digest(path, pack->digest, d, e);
}

static int pack_open(const char *path, struct dataset *d, err *e)
{
    struct blocks *b = d->memory;
    struct stat status;

    if ((b->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) < 0 || fstat(b->fd, &status))
        return err_set(e, errno == ENOENT || errno == ENOTDIR ? ERR_MISSING : ERR_DAMAGED, "%s: %s", path,
                       strerror(errno));
    if (!S_ISREG(status.st_mode))
        return err_set(e, ERR_DAMAGED, "%s: is not a file", path);
    return image_pack_contents_read(path, b->fd, &b->pack, e) ? (int)e->code : pack_take(path, d, e);
}

int dataset_open_pack(const char *path, struct dataset *out, err *e)
{
    e->code = ERR_NONE;
    if (start(out, path, e) || pack_open(path, out, e))
        dataset_close(out);
    return e->code;
}

int dataset_write_pack(const struct dataset *d, const char *path, err *e)
{
    bool files = !d->part[DATASET_TRAIN].height;
    struct image_reader reader = {0};
    image_pack *pack;

    e->code = ERR_NONE;
    if (image_pack_create(path, files ? IMAGE_PACK_FILES : IMAGE_PACK_PIXELS,
                          (const char(*)[CLASS_NAME_SIZE])d->class_names, d->classes, &pack, e))
        return e->code;
    if (d->part[DATASET_TRAIN].mode & PICTURE_LENIENT)
        image_pack_lenient(pack, e);
    for (int part = 0; part < DATASET_PARTS; part++) {
        const struct image_set *s = &d->part[part];
        const uint8_t *bytes;
        size_t n;

        for (size_t i = 0; i < s->count && !e->code && !image_set_bytes(s, i, &reader, &bytes, &n, e); i++)
            if (files)
                image_pack_add_file(pack, part, s->labels[i], bytes, n, e);
            else
                image_pack_add_pixels(pack, part, s->labels[i], s->height, s->width, s->channels, bytes, e);
    }
    image_reader_free(&reader);
    if (!e->code)
        return image_pack_finish(pack, NULL, e);
    image_pack_abandon(pack);
    return e->code;
}

/* ---------------------------------------------------------------- by name */

const char *dataset_known(size_t i)
{
    return i < KNOWN ? known[i].name : NULL;
}

void dataset_places(struct places *p)
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
    char text[600], advice[DATA_ADVICE];

    if (!place_name_valid(name))
        return err_set(e, ERR_CONFIG,
                       "'%s' cannot be the name of a data set: letters, digits, '.', '_' and '-' make one", name);
    dataset_places(&places);
    for (int i = 0; i < places.count; i++)
        if (place_find(places.folder[i], name, ".h5", false, path) || (k && idx_folder_find(places.folder[i], k, path)))
            return 0;
    return err_set(
        e, ERR_MISSING,
        "data set '%s' is not here: %s; looked for the folder %s or the pack %s.h5 in %s; SLUICE_DATA may name more "
        "places, separated by colons",
        name, k ? k->get : data_advice(name, advice), name, name, places_text(&places, text));
}

int dataset_open(const char *name, struct dataset *out, err *e)
{
    const struct known *k = known_by_name(name);
    char path[PATH_SIZE];
    size_t length;

    *out = (struct dataset){0};
    e->code = ERR_NONE;
    if (dataset_locate(name, path, e) || start(out, path, e))
        return e->code;
    length = strlen(path);
    if (!k || (length > 3 && !strcmp(path + length - 3, ".h5")))
        pack_open(path, out, e);
    else if (!idx_open(k, path, out, e))
        content_digest(out, &out->digest, e);
    if (e->code)
        dataset_close(out);
    else
        strcpy(out->name, name);
    return e->code;
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
