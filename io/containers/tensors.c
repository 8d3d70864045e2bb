/* io/containers/tensors.c - see tensors.h. */
#include "io/containers/tensors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/containers/fault.h"
#include "io/containers/reader.h"
#include "io/h5.h"

enum { HEAD = 512, SAFETENSORS_HIGHEST = 100000000, NAMES_BLOCK = 1 << 14 };

/* A block of names; they never move. */
struct tensor_names {
    struct tensor_names *next;
    size_t used, size;
    char bytes[];
};

/* ---------------------------------------------------------------- what a file is */

struct magic {
    size_t at, size;
    const char *bytes;
    const struct tensor_reader *reader; /* NULL: refused */
    const char *refusal;
};

#define M(at, text) at, sizeof text - 1, text
static const struct magic readable[] = {
    {M(0, "PK\x03\x04"), &zip_reader, NULL},
    {M(0, "PK\x05\x06"), &zip_reader, NULL}, /* an archive without entries */
    {M(0, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e"), &legacy_reader, NULL},
    {M(0, H5_SIGNATURE), &hdf5_reader, NULL},
};
/* Some are so short that the length of a safetensors header looks like them: that is tried before. */
static const struct magic refused[] = {
    {M(0, "\x93NUMPY"), NULL, "one array of NumPy; a backbone is an .npz archive of many"},
    {M(257, "ustar"), NULL,
     "a tar archive; a .pth.tar of PyTorch is no archive in spite of its name, so this one was packed by somebody: "
     "unpack it"},
    {M(0, "PYTORCH1"), NULL, "a preview format of PyTorch that no release reads"},
    {M(0, "\x1f\x8b"), NULL, "a gzip file; unpack it first"},
    {M(0, "\x80\x02"), NULL, "a plain pickle, not written by torch.save"},
};
#undef M

static bool is_safetensors(const unsigned char *head, size_t n)
{
    uint64_t header = 0;

    if (n < 9 || head[8] != '{')
        return false;
    for (int i = 7; i >= 0; i--)
        header = header << 8 | head[i];
    return header >= 2 && header <= SAFETENSORS_HIGHEST;
}

static const struct magic *find_magic(const struct magic *all, size_t n, const unsigned char *head, size_t size)
{
    for (const struct magic *m = all; m < all + n; m++)
        if (m->at + m->size <= size && !memcmp(head + m->at, m->bytes, m->size))
            return m;
    return NULL;
}

/* HDF5 behind a block of the user's. */
static bool is_hdf5_behind(const struct source *s)
{
    unsigned char bytes[H5_SIGNATURE_BYTES];
    err e = {0};

    for (uint64_t at = 512; at < s->size && s->size - at >= sizeof bytes; at *= 2)
        if (source_read(s, at, bytes, sizeof bytes, &e) || !memcmp(bytes, H5_SIGNATURE, sizeof bytes))
            return !e.code;
    return false;
}

#define COUNT(array) (sizeof(array) / sizeof *(array))
static int sniff(const struct source *s, const struct tensor_reader **out, err *e)
{
    unsigned char head[HEAD] = {0};
    size_t n = s->size < HEAD ? (size_t)s->size : HEAD;
    const struct magic *m;

    if (source_read(s, 0, head, n, e))
        return e->code;
    if ((m = find_magic(readable, COUNT(readable), head, n)))
        *out = m->reader;
    else if (is_safetensors(head, n))
        *out = &safetensors_reader;
    else if (is_hdf5_behind(s))
        *out = &hdf5_reader;
    else if ((m = find_magic(refused, COUNT(refused), head, n)))
        fault_set(e, FAULT_UNSUPPORTED, "%s: is %s", s->name, m->refusal);
    else
        fault_set(e, FAULT_MAGIC, "%s: is none of npz, pth, safetensors and HDF5", s->name);
    return e->code;
}

/* ---------------------------------------------------------------- opening and reading */

static int open_source(struct tensor_file *f, const struct tensor_options *options, err *e)
{
    if (options)
        f->options = *options;
    if (!(f->notes = strdup("")))
        err_set(e, ERR_NOMEM, "%s: out of memory", f->source.name);
    else if (!sniff(&f->source, &f->reader, e) && !f->reader->open(f, e))
        f->container = f->reader->container;
    if (e->code) {
        if (f->reader)
            fault_reader(e, f->reader->container);
        if (f->notes && !strncmp(f->notes, TENSORS_DANGER, sizeof TENSORS_DANGER - 1)) /* must be heard all the same */
            err_context(e, "%.*s", (int)strcspn(f->notes, "\n"), f->notes);
        tensors_close(f);
    }
    return e->code;
}

int tensors_open(const char *path, const struct tensor_options *options, struct tensor_file *out, err *e)
{
    *out = (struct tensor_file){.source.fd = -1};
    if (source_open(path, &out->source, e))
        return e->code;
    return open_source(out, options, e);
}

int tensors_open_memory(const char *name, const void *bytes, size_t size, const struct tensor_options *options,
                        struct tensor_file *out, err *e)
{
    *out = (struct tensor_file){.source = source_memory(name, bytes, size)};
    return open_source(out, options, e);
}

void tensors_close(struct tensor_file *f)
{
    if (f->reader && f->state)
        f->reader->close(f);
    source_close(&f->source);
    while (f->names) {
        struct tensor_names *block = f->names;

        f->names = block->next;
        free(block);
    }
    free(f->info);
    free(f->notes);
    *f = (struct tensor_file){.source.fd = -1};
}

int tensors_read(struct tensor_file *f, size_t i, float *to, err *e)
{
    char name[ESCAPED_SIZE];

    if (!element_is_real(f->info[i].element))
        fault_set(e, FAULT_DTYPE, "%s: tensor %s is of %s; weights are float32, float16, bfloat16 or float64",
                  f->source.name, escaped(name, f->info[i].name, strlen(f->info[i].name)),
                  element_name(f->info[i].element));
    else if (f->info[i].count)
        f->reader->read(f, i, to, e);
    return fault_reader(e, f->reader->container);
}

int tensors_finish(struct tensor_file *f, err *e)
{
    if (f->reader->finish)
        f->reader->finish(f, e);
    return fault_reader(e, f->reader->container);
}

int tensors_believed(const struct tensor_file *f, uint64_t numbers, err *e)
{
    enum { ALWAYS = 1 << 18, FOR_A_BYTE = 16 };

    if (numbers > ALWAYS && numbers / FOR_A_BYTE > f->source.size)
        return fault_set(e, FAULT_LIMIT, "%s: claims %llu numbers in a file of %llu bytes", f->source.name,
                         (unsigned long long)numbers, (unsigned long long)f->source.size);
    return 0;
}

/* ---------------------------------------------------------------- for readers */

static const char *keep_name(struct tensor_file *f, const char *name, size_t n, err *e)
{
    struct tensor_names *block = f->names;
    char *kept;

    if ((f->names_bytes += n + 1) > limit_memory(f->source.size)) { /* one name again and again */
        fault_set(e, FAULT_LIMIT, "%s: the names of its tensors are longer than the file", f->source.name);
        return NULL;
    }
    if (!block || n + 1 > block->size - block->used) {
        size_t size = n + 1 > NAMES_BLOCK ? n + 1 : NAMES_BLOCK;

        if (!(block = malloc(sizeof *block + size))) {
            err_set(e, ERR_NOMEM, "%s: out of memory for its names", f->source.name);
            return NULL;
        }
        *block = (struct tensor_names){f->names, 0, size};
        f->names = block;
    }
    kept = block->bytes + block->used;
    memcpy(kept, name, n);
    kept[n] = '\0';
    block->used += n + 1;
    return kept;
}

/* Room for one more. */
static int reserve(struct tensor_file *f, err *e)
{
    size_t wanted = f->info_capacity ? f->info_capacity + f->info_capacity / 2 : 64;
    size_t most = (size_t)(limit_memory(f->source.size) / sizeof *f->info);
    struct tensor_info *bigger;

    if (f->count >= limit_of(&f->options.limits, LIMIT_TENSORS))
        return limit_fault(&f->options.limits, LIMIT_TENSORS, e, "%s: one tensor more", f->source.name);
    if (f->count < f->info_capacity)
        return 0;
    if (f->count >= most)
        return fault_set(e, FAULT_LIMIT, "%s: lists %zu tensors and more in %llu bytes", f->source.name, f->count,
                         (unsigned long long)f->source.size);
    wanted = wanted < most ? wanted : most;
    if (!(bigger = realloc(f->info, wanted * sizeof *bigger)))
        return err_set(e, ERR_NOMEM, "%s: out of memory for its tensors", f->source.name);
    f->info = bigger;
    f->info_capacity = wanted;
    return 0;
}

/* Most tensors have the root of the one before. */
static const char *keep_root(struct tensor_file *f, const char *root, size_t n, err *e)
{
    const char *before = f->count ? f->info[f->count - 1].root : NULL;

    return before && strlen(before) == n && !memcmp(before, root, n) ? before : keep_name(f, root, n, e);
}

int tensors_add(struct tensor_file *f, const char *root, size_t root_size, const char *name, size_t name_size,
                enum element element, int rank, const uint64_t *shape, err *e)
{
    struct tensor_info *t;
    char text[ESCAPED_SIZE];

    if (reserve(f, e))
        return e->code;
    if (root_size > TENSOR_NAME_LIMIT || name_size > TENSOR_NAME_LIMIT)
        return fault_set(e, FAULT_LIMIT, "%s: a name of more than %d bytes: %s", f->source.name, TENSOR_NAME_LIMIT,
                         escaped(text, name, name_size));
    if (memchr(root, '\0', root_size) || memchr(name, '\0', name_size))
        return fault_set(e, FAULT_PATH, "%s: a tensor is called '%s'", f->source.name, escaped(text, name, name_size));
    t = &f->info[f->count];
    *t = (struct tensor_info){.element = element, .rank = rank, .place = f->count};
    if (!(t->root = keep_root(f, root, root_size, e)) || !(t->name = keep_name(f, name, name_size, e)))
        return e->code;
    if (rank)
        memcpy(t->shape, shape, (size_t)rank * sizeof *shape);
    if (!sizes_product(rank, shape, &t->count))
        return fault_set(e, FAULT_OVERFLOW, "%s: the sizes of tensor %s fit no number", f->source.name,
                         escaped(text, name, name_size));
    f->count++;
    return 0;
}

void tensors_note(struct tensor_file *f, const char *format, ...)
{
    char *line, *both;
    va_list args;

    va_start(args, format);
    if (vasprintf(&line, format, args) < 0)
        line = NULL;
    va_end(args);
    if (line && asprintf(&both, "%s%s\n", f->notes, line) >= 0) {
        free(f->notes);
        f->notes = both;
    }
    free(line);
}

const char *sizes_text(char text[SIZES_TEXT], int rank, const uint64_t *shape)
{
    size_t used = 0;

    text[used++] = '(';
    for (int i = 0; i < rank && used < SIZES_TEXT - 24; i++)
        used += (size_t)snprintf(text + used, SIZES_TEXT - used, "%s%llu", i ? ", " : "", (unsigned long long)shape[i]);
    snprintf(text + used, SIZES_TEXT - used, rank == 1 ? ",)" : ")");
    return text;
}
