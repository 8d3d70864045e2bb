/* io/image_pack.c - see image_pack.h. */
#include "io/image_pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/atomic.h"
#include "io/containers/fault.h"
#include "io/dataset_internal.h"
#include "io/h5.h"

/* A chunk has about as many bytes, or one image of up to IMAGE_BYTES: what HDF5 keeps of an array in memory by itself. */
enum { CHUNK_BYTES = 1 << 16, IMAGE_BYTES = 1 << 20 };

/* What is kept of a part: not its images. */
struct part {
    size_t count, room;
    uint64_t bytes, at; /* of its images; where they begin in the file */
    int32_t *labels;    /* (count) */
    int64_t *ends;      /* (count) bytes of the images up to and with this one */
    struct digester digester;
};

struct note {
    char *name, *text;
    struct note *next;
};

struct image_pack {
    enum image_pack_kind kind;
    struct atomic_file disk;
    char *path, *class_names; /* class_names: one a line */
    int classes;
    struct part part[DATASET_PARTS];
    int height, width, channels; /* of pixels; 0 before the first image */
    uint64_t written;            /* bytes of the file */
    struct note *notes;
};

static int no_memory(const image_pack *p, err *e)
{
    return err_set(e, ERR_NOMEM, "%s: no memory for its lists", p->path);
}

/* One a line. */
static int join_names(image_pack *p, const char (*names)[CLASS_NAME_SIZE], int classes, err *e)
{
    char shown[ESCAPED_SIZE], *to = p->class_names = malloc((size_t)classes * CLASS_NAME_SIZE + 1);

    if (!to)
        return no_memory(p, e);
    for (int i = 0; i < classes; i++) {
        size_t n = strnlen(names[i], CLASS_NAME_SIZE);

        if (!class_name_valid(names[i], n))
            return err_set(e, ERR_DATA, "%s: '%s' cannot be the name of a class: " CLASS_NAME_RULE, p->path,
                           escaped(shown, names[i], n));
        memcpy(to, names[i], n);
        to += n;
        *to++ = '\n';
    }
    to[-1] = '\0';
    return 0;
}

/* Append to the file. */
static int put(image_pack *p, const void *bytes, size_t n, err *e)
{
    p->written += n;
    return atomic_write(&p->disk, bytes, n, e);
}

int image_pack_create(const char *path, enum image_pack_kind kind, const char (*class_names)[CLASS_NAME_SIZE],
                      int classes, image_pack **out, err *e)
{
    static const uint8_t front[H5_FRONT];
    image_pack *p = calloc(1, sizeof *p);

    *out = NULL;
    if (!p || !(p->path = strdup(path))) {
        free(p);
        return err_set(e, ERR_NOMEM, "%s: out of memory", path);
    }
    p->disk.fd = -1;
    p->kind = kind;
    p->classes = classes;
    for (int part = 0; part < DATASET_PARTS; part++)
        digester_start(&p->part[part].digester);
    if (classes < 1 || classes > DATASET_CLASSES_LIMIT)
        err_set(e, ERR_DATA, "%s: %d classes; a data set has 1 to %d", path, classes, DATASET_CLASSES_LIMIT);
    else if (!join_names(p, class_names, classes, e) && !atomic_open(&p->disk, path, e) &&
             !put(p, front, sizeof front, e)) {
        *out = p;
        return 0;
    }
    image_pack_abandon(p);
    return e->code;
}

void image_pack_abandon(image_pack *p)
{
    if (!p)
        return;
    for (int part = 0; part < DATASET_PARTS; part++) {
        free(p->part[part].labels);
        free(p->part[part].ends);
    }
    for (struct note *n = p->notes, *next; n; n = next) {
        next = n->next;
        free(n->name);
        free(n->text);
        free(n);
    }
    atomic_abandon(&p->disk);
    free(p->class_names);
    free(p->path);
    free(p);
}

int image_pack_note(image_pack *p, const char *name, const char *text, err *e)
{
    struct note *n = calloc(1, sizeof *n);

    if (!n)
        return no_memory(p, e);
    n->next = p->notes;
    p->notes = n;
    n->name = strdup(name);
    n->text = strdup(text);
    return n->name && n->text ? 0 : no_memory(p, e);
}

int image_pack_lenient(image_pack *p, err *e)
{
    return image_pack_note(p, DATASET_DECODING, DATASET_LENIENT, e);
}

/* Add to the lists; the bytes are on the disk. */
static int list_image(image_pack *p, struct part *s, int label, size_t n, err *e)
{
    if (s->count == s->room) {
        size_t room = s->room ? 2 * s->room : 1024;
        int32_t *labels = realloc(s->labels, room * sizeof *labels);
        int64_t *ends = labels ? realloc(s->ends, room * sizeof *ends) : NULL;

        if (labels)
            s->labels = labels;
        if (ends)
            s->ends = ends;
        if (!labels || !ends)
            return no_memory(p, e);
        s->room = room;
    }
    s->bytes += n;
    s->labels[s->count] = label;
    s->ends[s->count++] = (int64_t)s->bytes;
    return 0;
}

/* How the array of a part with images is stored. */
struct layout {
    int rank;
    size_t shape[4], chunk[4], bytes; /* bytes: of a chunk */
};

/* `files`. */
static struct layout files_layout(const struct part *s)
{
    size_t chunk = s->bytes < CHUNK_BYTES ? s->bytes : CHUNK_BYTES;

    return (struct layout){1, {s->bytes}, {chunk}, chunk};
}

/* `images`: as many as make CHUNK_BYTES, or one; of one above IMAGE_BYTES the largest part that divides its height. */
static struct layout pixels_layout(const image_pack *p, const struct part *s)
{
    const size_t height = (size_t)p->height, line = (size_t)p->width * (size_t)p->channels;
    size_t images = CHUNK_BYTES / (height * line), lines = height;

    if (images > s->count)
        images = s->count;
    while (lines > 1 && (height % lines || lines * line > IMAGE_BYTES))
        lines--;
    if (images < 1)
        images = 1;
    return (struct layout){4,
                           {s->count, height, (size_t)p->width, (size_t)p->channels},
                           {images, lines, (size_t)p->width, (size_t)p->channels},
                           images * lines * line};
}

static struct layout part_layout(const image_pack *p, const struct part *s)
{
    return p->kind == IMAGE_PACK_PIXELS ? pixels_layout(p, s) : files_layout(s);
}

/* Fill up the last chunk of a part. */
static int fill_chunk(image_pack *p, const struct part *s, err *e)
{
    static const uint8_t nothing[CHUNK_BYTES];
    size_t bytes = part_layout(p, s).bytes;

    return put(p, nothing, (bytes - s->bytes % bytes) % bytes, e); /* larger chunks are full */
}

/* Begin an image: find its part, and the place where the part begins, behind the one before it. */
static int begin(image_pack *p, enum dataset_part part, int label, err *e)
{
    if (label < 0 || label >= p->classes)
        return err_set(e, ERR_BUG, "%s: label %d of %d classes", p->path, label, p->classes);
    if (part == DATASET_TRAIN && p->part[DATASET_TEST].count)
        return err_set(e, ERR_BUG, "%s: an image of train after one of test", p->path);
    if (p->part[part].count)
        return 0;
    if (part == DATASET_TEST && p->part[DATASET_TRAIN].count && fill_chunk(p, &p->part[DATASET_TRAIN], e))
        return e->code;
    p->part[part].at = p->written;
    return 0;
}

/* A file in two pieces. */
static int add_file(image_pack *p, enum dataset_part part, int label, const void *header, size_t header_n,
                    const void *bytes, size_t n, err *e)
{
    struct part *s = &p->part[part];

    if (!header_n && !n)
        return err_set(e, ERR_DATA, "%s: image %zu of %s has no bytes", p->path, s->count, dataset_part_name(part));
    if (begin(p, part, label, e) || put(p, header, header_n, e) || put(p, bytes, n, e))
        return e->code;
    digester_add_u64(&s->digester, header_n + n);
    digester_add(&s->digester, header, header_n);
    digester_add(&s->digester, bytes, n);
    return list_image(p, s, label, header_n + n, e);
}

int image_pack_add_file(image_pack *p, enum dataset_part part, int label, const void *bytes, size_t n, err *e)
{
    if (p->kind != IMAGE_PACK_FILES)
        return err_set(e, ERR_DATA, "%s: a pack of pixels is given a file", p->path);
    return add_file(p, part, label, "", 0, bytes, n, e);
}

int image_pack_add_pixels(image_pack *p, enum dataset_part part, int label, int height, int width, int channels,
                          const uint8_t *pixels, err *e)
{
    char header[PICTURE_PNM_HEADER];
    size_t n = (size_t)height * (size_t)width * (size_t)channels;

    if (height < 1 || width < 1 || height > PICTURE_SIDE_MAX || width > PICTURE_SIDE_MAX ||
        (int64_t)height * width > PICTURE_PIXELS_MAX || (channels != 1 && channels != 3))
        return err_set(e, ERR_DATA, "%s: an image of %d x %d x %d cannot be stored", p->path, height, width, channels);
    if (p->kind == IMAGE_PACK_FILES)
        return add_file(p, part, label, header, picture_pnm_header(header, height, width, channels), pixels, n, e);
    if (!p->height) {
        p->height = height;
        p->width = width;
        p->channels = channels;
    }
    if (height != p->height || width != p->width || channels != p->channels)
        return err_set(e, ERR_DATA,
                       "%s: image %zu of %s is %d x %d x %d, those before it are %d x %d x %d; images of different "
                       "sizes need a pack of files",
                       p->path, p->part[part].count, dataset_part_name(part), height, width, channels, p->height,
                       p->width, p->channels);
    if (begin(p, part, label, e) || put(p, pixels, n, e))
        return e->code;
    return list_image(p, &p->part[part], label, n, e);
}

/* Add the pixels of a part to a digest, from the disk: their number comes before them, and was not known when they came. */
static int digest_pixels(image_pack *p, const struct part *s, struct digester *d, err *e)
{
    enum { ROOM = 1 << 16 };
    FILE *in = fopen(p->disk.temporary, "rb");
    uint8_t *buffer = malloc(ROOM);

    if (!in || !buffer || fseeko(in, (off_t)s->at, SEEK_SET))
        err_errno(e, "%s: cannot be read back", p->disk.temporary);
    for (uint64_t left = s->bytes, n; left && !e->code; left -= n) {
        n = left < ROOM ? left : ROOM;
        if (fread(buffer, 1, n, in) != n)
            err_errno(e, "%s: cannot be read back", p->disk.temporary);
        digester_add(d, buffer, n);
    }
    free(buffer);
    if (in)
        fclose(in);
    return e->code;
}

static int content_digest(image_pack *p, struct digest *out, err *e)
{
    struct digester all;

    dataset_digest_start(&all, p->classes, p->kind == IMAGE_PACK_FILES);
    for (int part = 0; part < DATASET_PARTS && !e->code; part++) {
        struct part *s = &p->part[part];

        if (p->kind == IMAGE_PACK_FILES) {
            dataset_digest_files(&all, s->count, &s->digester);
        } else {
            dataset_digest_shape(&all, s->count, p->height, p->width, p->channels);
            digest_pixels(p, s, &all, e);
        }
        dataset_digest_labels(&all, s->labels, s->count);
    }
    *out = digester_end(&all);
    return e->code;
}

static int write_part(image_pack *p, h5 *file, enum dataset_part part, err *e)
{
    const struct part *s = &p->part[part];
    const struct layout l = part_layout(p, s);
    bool pixels = p->kind == IMAGE_PACK_PIXELS;
    char name[40];

    if (h5_write(file, dataset_array_name(name, part, "labels"), H5_I32, 1, &s->count, s->labels, true, e) ||
        (!pixels && h5_write(file, dataset_array_name(name, part, "ends"), H5_I64, 1, &s->count, s->ends, true, e)))
        return e->code;
    dataset_array_name(name, part, pixels ? "images" : "files");
    return h5_write_range(file, name, l.rank, l.shape, l.chunk, s->at, e);
}

static int write_all(image_pack *p, h5 *file, const struct digest *digest, err *e)
{
    char hex[DIGEST_HEX];

    digest_to_hex(digest, hex);
    if (h5_write_text(file, "class_names", p->class_names, e) || h5_write_text(file, DATASET_DIGEST, hex, e))
        return e->code;
    for (const struct note *n = p->notes; n && !e->code; n = n->next)
        h5_write_text(file, n->name, n->text, e);
    for (int part = 0; part < DATASET_PARTS && !e->code; part++)
        write_part(p, file, (enum dataset_part)part, e);
    return e->code;
}

int image_pack_finish(image_pack *p, struct digest *digest, err *e)
{
    struct digest content;
    h5 *file;

    e->code = ERR_NONE;
    for (int part = 0; part < DATASET_PARTS && !e->code; part++)
        if (!p->part[part].count)
            err_set(e, ERR_DATA, "%s: the %s part has no images", p->path, dataset_part_name(part));
    if (!e->code && !content_digest(p, &content, e) && !fill_chunk(p, &p->part[DATASET_TEST], e) &&
        !h5_create_around(&p->disk, p->written, &file, e)) {
        if (write_all(p, file, &content, e))
            h5_close(file);
        else
            h5_commit(file, NULL, e);
    }
    if (digest && !e->code)
        *digest = content;
    image_pack_abandon(p);
    return e->code;
}
