/* io/image_pack_contents.c - see image_pack_contents.h.
 *
 * The child fills a file in memory: `struct head`, then the blocks whose lengths it has, each from a multiple of 8. */
#include "io/image_pack_contents.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/containers/fault.h"
#include "io/containers/quarantine.h"
#include "io/dataset_internal.h"
#include "io/h5.h"
#include "io/image_pack.h"

static const uint64_t array_limit = (uint64_t)16 << 30; /* bytes of one array in memory */

/* Processor time for a file: several times what it takes to inflate arrays as large as they may be, or to copy it. */
enum { SECONDS_ALWAYS = 300, BYTES_A_SECOND = 4 << 20 };

/* The texts, then the arrays of each part. */
enum text { CLASS_NAMES, DIGEST, DECODING, PROVENANCE, SEQUENCE, TEXTS };
enum array { LABELS, ENDS, PIXELS, ARRAYS };
enum { BLOCKS = TEXTS + DATASET_PARTS * ARRAYS };

static const char *const text_names[TEXTS] = {[CLASS_NAMES] = "class_names",
                                              [DIGEST] = DATASET_DIGEST,
                                              [DECODING] = DATASET_DECODING,
                                              [PROVENANCE] = IMAGE_PACK_PROVENANCE,
                                              [SEQUENCE] = IMAGE_PACK_SEQUENCE};
static const struct {
    const char *name;
    enum h5_type type;
    int rank;
    size_t element;
} arrays[ARRAYS] = {
    [LABELS] = {"labels", H5_I32, 1, 4}, [ENDS] = {"ends", H5_I64, 1, 8}, [PIXELS] = {"images", H5_U8, 4, 1}};

static int block_of(int part, enum array array)
{
    return TEXTS + part * ARRAYS + (int)array;
}

struct head {
    uint64_t bytes[BLOCKS]; /* 0: it is not there */
    struct {
        uint64_t files, at, shape[4]; /* shape: of `images`, or of `files` in the first */
    } part[DATASET_PARTS];
};

static uint64_t aligned(uint64_t n)
{
    return (n + 7) / 8 * 8;
}

/* Where the blocks begin, and in [BLOCKS] where the last one ends; false if that is no number. */
static bool blocks_place(const struct head *h, uint64_t start[BLOCKS + 1])
{
    start[0] = sizeof *h;
    for (int i = 0; i < BLOCKS; i++)
        if (h->bytes[i] > (uint64_t)1 << 56)
            return false;
        else
            start[i + 1] = start[i] + aligned(h->bytes[i]);
    return true;
}

/* ---------------------------------------------------------------- in the child */

struct inside {
    const char *path;
    h5 *file;
    int fd; /* the parent's, of the pack */
    struct head head;
    char *text[TEXTS];
};

/* Where images are is said of the file that the parent has open. */
static int check_same(const struct inside *in, err *e)
{
    struct stat theirs, ours;
    int fd;

    if (h5_descriptor(in->file, &fd, e))
        return e->code;
    if (fstat(in->fd, &theirs) || fstat(fd, &ours))
        err_errno(e, "%s", in->path);
    else if (theirs.st_dev != ours.st_dev || theirs.st_ino != ours.st_ino)
        err_set(e, ERR_DAMAGED, "%s: was replaced while it was opened; try again", in->path);
    close(fd);
    return e->code;
}

/* What is only shown may be anything; the others must be texts. */
static int read_texts(struct inside *in, err *e)
{
    for (int i = 0; i < TEXTS; i++) {
        err none = {0};
        bool shown = i == PROVENANCE || i == SEQUENCE;

        if (i != CLASS_NAMES && !h5_has_attribute(in->file, text_names[i]))
            continue;
        if (!h5_read_text(in->file, text_names[i], &in->text[i], shown ? &none : e))
            in->head.bytes[i] = strlen(in->text[i]) + 1;
        else if (!shown)
            return e->code;
    }
    return 0;
}

/* Provide for an array of a part; `shape` has the room of its rank. */
static int measure_array(struct inside *in, int part, enum array array, size_t shape[H5_MAX_RANK], err *e)
{
    char name[40];
    uint64_t *bytes = &in->head.bytes[block_of(part, array)];
    int rank;

    dataset_array_name(name, (enum dataset_part)part, arrays[array].name);
    if (h5_shape(in->file, name, &rank, shape, e))
        return e->code;
    if (rank != arrays[array].rank)
        return err_set(e, ERR_DAMAGED, "%s: %s has %d dimensions, expected %d", in->path, name, rank,
                       arrays[array].rank);
    *bytes = arrays[array].element;
    for (int i = 0; i < rank; i++)
        if (__builtin_mul_overflow(*bytes, shape[i], bytes))
            *bytes = UINT64_MAX;
    return 0;
}

/* Where the array of images or files is, if that can be said of it. */
static int find_images(struct inside *in, int part, const char *array, err *e)
{
    char name[40];

    return h5_range(in->file, dataset_array_name(name, (enum dataset_part)part, array), &in->head.part[part].at, e);
}

static int measure_files(struct inside *in, int part, err *e)
{
    char name[40];
    size_t shape[H5_MAX_RANK];
    int rank;

    if (h5_shape(in->file, dataset_array_name(name, (enum dataset_part)part, "files"), &rank, shape, e) ||
        find_images(in, part, "files", e))
        return e->code;
    if (rank != 1 || !in->head.part[part].at)
        return err_set(e, ERR_DAMAGED, "%s: %s is not a row of bytes, stored as they are one after the other", in->path,
                       name);
    in->head.part[part].files = 1;
    in->head.part[part].shape[0] = shape[0];
    return measure_array(in, part, ENDS, shape, e);
}

static int measure_images(struct inside *in, int part, err *e)
{
    size_t shape[H5_MAX_RANK];

    if (measure_array(in, part, PIXELS, shape, e) || find_images(in, part, "images", e))
        return e->code;
    for (int i = 0; i < 4; i++)
        in->head.part[part].shape[i] = shape[i];
    if (in->head.part[part].at)
        in->head.bytes[block_of(part, PIXELS)] = 0; /* they stay where they are */
    return 0;
}

static int measure(struct inside *in, err *e)
{
    size_t shape[H5_MAX_RANK];
    char name[40];

    for (int part = 0; part < DATASET_PARTS; part++) {
        bool files = h5_has(in->file, dataset_array_name(name, (enum dataset_part)part, "files"));

        if ((files ? measure_files(in, part, e) : measure_images(in, part, e)) ||
            measure_array(in, part, LABELS, shape, e))
            return e->code;
        for (int i = 0; i < ARRAYS; i++)
            if (in->head.bytes[block_of(part, i)] > array_limit)
                return err_set(e, ERR_DAMAGED, "%s: %s is larger than the limit of %llu bytes", in->path,
                               dataset_array_name(name, (enum dataset_part)part, arrays[i].name),
                               (unsigned long long)array_limit);
    }
    return 0;
}

static int fill_array(struct inside *in, int part, enum array array, void *to, err *e)
{
    uint64_t bytes = in->head.bytes[block_of(part, array)];
    size_t shape[4] = {bytes / arrays[array].element};
    char name[40];

    if (!bytes)
        return 0;
    for (int i = 0; i < 4 && array == PIXELS; i++)
        shape[i] = in->head.part[part].shape[i];
    return h5_read(in->file, dataset_array_name(name, (enum dataset_part)part, arrays[array].name), arrays[array].type,
                   arrays[array].rank, shape, to, e);
}

static int fill(struct inside *in, int fd, err *e)
{
    uint64_t start[BLOCKS + 1];
    uint8_t *to;

    if (!blocks_place(&in->head, start))
        return err_set(e, ERR_BUG, "%s: its lists are too long", in->path);
    if (ftruncate(fd, (off_t)start[BLOCKS]) ||
        (to = mmap(NULL, start[BLOCKS], PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) == MAP_FAILED)
        return err_errno(e, "%s: %llu bytes of memory", in->path, (unsigned long long)start[BLOCKS]);
    memcpy(to, &in->head, sizeof in->head);
    for (int i = 0; i < TEXTS; i++)
        if (in->text[i])
            memcpy(to + start[i], in->text[i], in->head.bytes[i]);
    for (int part = 0; part < DATASET_PARTS; part++)
        for (int i = 0; i < ARRAYS && !e->code; i++)
            fill_array(in, part, i, to + start[block_of(part, i)], e);
    munmap(to, start[BLOCKS]);
    return e->code;
}

/* What the child does. */
static int read_inside(void *context, int fd, err *e)
{
    struct inside *in = context;

    if (!h5_open(in->path, &in->file, e) && !check_same(in, e) && !read_texts(in, e) && !measure(in, e))
        fill(in, fd, e);
    for (int i = 0; i < TEXTS; i++)
        free(in->text[i]);
    h5_close(in->file);
    return e->code;
}

/* ---------------------------------------------------------------- in the parent */

/* The text of a block; NULL if it is not there, or does not end. */
static const char *text_at(const char *memory, uint64_t start, uint64_t bytes)
{
    return bytes && !memory[start + bytes - 1] ? memory + start : NULL;
}

static bool part_take(const struct head *h, const uint64_t *start, int part, struct image_pack_contents *c)
{
    struct image_pack_part *p = &c->part[part];
    const uint8_t *memory = c->memory;
    uint64_t pixels = h->bytes[block_of(part, PIXELS)];

    p->files = h->part[part].files;
    p->at = h->part[part].at;
    p->bytes = 1;
    for (int i = 0; i < (p->files ? 1 : 4); i++) {
        p->shape[i] = h->part[part].shape[i];
        if (__builtin_mul_overflow(p->bytes, p->shape[i], &p->bytes))
            return false;
    }
    p->labels_count = h->bytes[block_of(part, LABELS)] / arrays[LABELS].element;
    p->labels = (const int32_t *)(memory + start[block_of(part, LABELS)]);
    p->ends_count = h->bytes[block_of(part, ENDS)] / arrays[ENDS].element;
    p->ends = (const int64_t *)(memory + start[block_of(part, ENDS)]);
    p->pixels = p->at ? NULL : memory + start[block_of(part, PIXELS)];
    return p->at || (!p->files && pixels == p->bytes);
}

static const char **text_of(struct image_pack_contents *c, enum text text)
{
    const char **texts[TEXTS] = {[CLASS_NAMES] = &c->class_names,
                                 [DIGEST] = &c->digest,
                                 [DECODING] = &c->decoding,
                                 [PROVENANCE] = &c->provenance,
                                 [SEQUENCE] = &c->sequence};

    return texts[text];
}

static bool contents_take(struct image_pack_contents *c)
{
    const struct head *h = c->memory;
    uint64_t start[BLOCKS + 1];
    bool good = blocks_place(h, start) && start[BLOCKS] == c->memory_bytes;

    if (!good)
        return false;
    for (int i = 0; i < TEXTS; i++)
        *text_of(c, i) = text_at(c->memory, start[i], h->bytes[i]);
    for (int part = 0; part < DATASET_PARTS && good; part++)
        good = part_take(h, start, part, c);
    return good && c->class_names;
}

/* Images that stay in the file must be in it. */
static int check_places(const char *path, const struct image_pack_contents *c, uint64_t size, err *e)
{
    for (int part = 0; part < DATASET_PARTS; part++) {
        const struct image_pack_part *p = &c->part[part];

        if (p->at && (p->at > size || p->bytes > size - p->at))
            return fault_set(e, FAULT_TRUNC, "%s: the images of %s reach beyond the end of the file", path,
                             dataset_part_name((enum dataset_part)part));
    }
    return 0;
}

int image_pack_contents_read(const char *path, int fd, struct image_pack_contents *out, err *e)
{
    struct inside in = {.path = path, .fd = fd};
    struct stat pack, made;
    int memory;

    *out = (struct image_pack_contents){0};
    if (fstat(fd, &pack))
        return err_errno(e, "%s", path);
    if (quarantine(path, read_inside, &in, SECONDS_ALWAYS + (unsigned)(pack.st_size / BYTES_A_SECOND), &memory, e))
        return e->code;
    if (fstat(memory, &made) || (size_t)made.st_size < sizeof(struct head) ||
        (out->memory = mmap(NULL, (size_t)made.st_size, PROT_READ, MAP_PRIVATE, memory, 0)) == MAP_FAILED) {
        out->memory = NULL;
        err_set(e, ERR_NOMEM, "%s: no memory for %lld bytes of it", path, (long long)made.st_size);
    } else {
        out->memory_bytes = (size_t)made.st_size;
        if (!contents_take(out))
            fault_set(e, FAULT_SYNTAX, "%s: is so malformed that the library that reads it errs", path);
        else
            check_places(path, out, (uint64_t)pack.st_size, e);
    }
    close(memory);
    return e->code;
}

void image_pack_contents_free(struct image_pack_contents *c)
{
    if (c->memory)
        munmap(c->memory, c->memory_bytes);
    *c = (struct image_pack_contents){0};
}
