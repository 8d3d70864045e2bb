/* io/containers/zip_reader.c - tensors in zip archives: NumPy's .npz and PyTorch's .pth. */
#include <stdlib.h>
#include <string.h>

#include "io/containers/archive.h"
#include "io/containers/fault.h"
#include "io/containers/npy.h"
#include "io/containers/reader.h"

enum {
    PICKLE_ALWAYS = 1 << 20,
    PICKLE_RATIO = 100,
    VERSION_LIMIT = 16,
    SCRATCH = 1 << 16,
    LOWEST_VERSION = 1,
    HIGHEST_VERSION = 10
};
/* How much larger than its tensors a deflated storage may be; how much may be read more than once, in sizes of the file. */
enum { UNUSED_FACTOR = 64, UNUSED_ALWAYS = 16 << 20, AGAIN_FACTOR = 8, AGAIN_ALWAYS = 64 << 20 };

static bool ends_with(const char *name, const char *ending)
{
    size_t n = strlen(name), m = strlen(ending);

    return n >= m && !strcmp(name + n - m, ending);
}

/* ---------------------------------------------------------------- npz */

struct npz {
    archive *archive;
    struct npz_array {
        size_t entry, header;
        struct npy npy;
    } * arrays;
};

/* The header of one array; the entry is left open behind it. */
static int npz_header(struct tensor_file *f, size_t entry, size_t *header, struct npy *npy, err *e)
{
    struct npz *z = f->state;
    const struct archive_entry *it = archive_entry(z->archive, entry);
    size_t have = it->size < NPY_PREFIX ? (size_t)it->size : NPY_PREFIX;
    unsigned char prefix[NPY_PREFIX], *bytes = NULL;
    char where[ESCAPED_SIZE];

    escaped(where, it->name, strlen(it->name));
    if (!archive_begin(z->archive, entry, e) && !archive_next(z->archive, prefix, have, e) &&
        !npy_header_size(where, prefix, have, it->size, &f->options.limits, header, e) &&
        !(bytes = malloc(*header + NPY_PREFIX)))
        err_set(e, ERR_NOMEM, "out of memory for the header of %s", where);
    if (bytes) {
        memcpy(bytes, prefix, have);
        if (*header <= have || !archive_next(z->archive, bytes + have, *header - have, e))
            npy_parse(where, bytes, *header, it->size, f->options.npz_v2_is_bf16, npy, e);
    }
    if (e->code)
        err_context(e, "%s", f->source.name);
    free(bytes);
    return e->code;
}

static int npz_open(struct tensor_file *f, err *e)
{
    struct npz *z = f->state;
    size_t count = archive_count(z->archive);

    f->jax_names = true;
    if (!(z->arrays = calloc(count + 1, sizeof *z->arrays)))
        return err_set(e, ERR_NOMEM, "%s: out of memory for its arrays", f->source.name);
    for (size_t i = 0; i < count; i++) {
        const char *name = archive_entry(z->archive, i)->name;
        struct npz_array *a = &z->arrays[f->count];

        if (!ends_with(name, ".npy"))
            continue;
        a->entry = i;
        if (npz_header(f, i, &a->header, &a->npy, e) ||
            tensors_add(f, "", 0, name, strlen(name) - 4, a->npy.element, a->npy.rank, a->npy.shape, e))
            return e->code;
    }
    return 0;
}

static int npz_read(struct tensor_file *f, size_t i, float *to, err *e)
{
    struct npz *z = f->state;
    const struct npz_array *a = &z->arrays[i];
    struct npy again;
    size_t header;
    void *bytes = malloc(a->npy.bytes);

    if (!bytes)
        return err_set(e, ERR_NOMEM, "%s: out of memory for %s", f->source.name, f->info[i].name);
    if (!npz_header(f, a->entry, &header, &again, e) && !archive_next(z->archive, bytes, a->npy.bytes, e) &&
        !archive_end(z->archive, f->options.ignore_crc, e))
        npy_to_f32(&a->npy, bytes, to);
    free(bytes);
    return e->code;
}

static void npz_close(struct tensor_file *f)
{
    struct npz *z = f->state;

    archive_close(z->archive);
    free(z->arrays);
    free(z);
}

/* ---------------------------------------------------------------- pth */

struct pth {
    archive *archive;
    unsigned char *bytes; /* data.pkl, which the pickle's texts lie in */
    pickle *pickle;
    uint32_t *numbers; /* info -> tensor of the pickle */
    size_t *entries;   /* storage -> entry */
    uint64_t *spanned; /* storage -> bytes that its tensors reach over, together */
    bool *checked;     /* storage -> its checksum was right */
    bool big;
    bool reading; /* the entry of this storage is open, and has been read to there */
    uint32_t storage;
    uint64_t position;
    uint64_t again; /* bytes read more than once */
};

/* A small text entry; "" if there is none. */
static int small_entry(struct tensor_file *f, const char *prefix, size_t prefix_size, const char *name,
                       char text[VERSION_LIMIT + 1], err *e)
{
    struct pth *p = f->state;
    char path[ARCHIVE_NAME_LIMIT + 32];
    size_t entry, size;

    *text = '\0';
    memcpy(path, prefix, prefix_size);
    strcpy(path + prefix_size, name);
    if (!archive_find(p->archive, path, &entry))
        return 0;
    if ((size = (size_t)archive_entry(p->archive, entry)->size) > VERSION_LIMIT)
        return fault_set(e, FAULT_LIMIT, "%s: %s of %zu bytes", f->source.name, name, size);
    if (archive_read(p->archive, entry, text, f->options.ignore_crc, e))
        return e->code;
    text[size] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return 0;
}

static int pth_frame(struct tensor_file *f, const char *prefix, size_t prefix_size, err *e)
{
    struct pth *p = f->state;
    char version[VERSION_LIMIT + 1], order[VERSION_LIMIT + 1], text[ESCAPED_SIZE];
    long number;

    if (small_entry(f, prefix, prefix_size, "/version", version, e) ||
        small_entry(f, prefix, prefix_size, "/byteorder", order, e))
        return e->code;
    number = *version ? strtol(version, NULL, 10) : LOWEST_VERSION;
    if (number < LOWEST_VERSION || number > HIGHEST_VERSION)
        tensors_note(f, "the file says version '%s', PyTorch's are %d to %d; read all the same",
                     escaped(text, version, strlen(version)), LOWEST_VERSION, HIGHEST_VERSION);
    p->big = !strcmp(order, "big");
    if (*order && !p->big && strcmp(order, "little") != 0)
        return fault_set(e, FAULT_SYNTAX, "%s: the byte order is '%s'", f->source.name,
                         escaped(text, order, strlen(order)));
    return 0;
}

/* Every storage must have an entry of exactly its size. */
static int pth_storages(struct tensor_file *f, const char *prefix, size_t prefix_size, err *e)
{
    struct pth *p = f->state;
    const struct pickle_storage *s;
    char path[ARCHIVE_NAME_LIMIT + 128];
    size_t count = 0;

    while (pickle_storage(p->pickle, count))
        count++;
    p->entries = calloc(count + 1, sizeof *p->entries);
    p->checked = calloc(count + 1, sizeof *p->checked);
    p->spanned = calloc(count + 1, sizeof *p->spanned);
    if (!p->entries || !p->checked || !p->spanned)
        return err_set(e, ERR_NOMEM, "%s: out of memory for its storages", f->source.name);
    memcpy(path, prefix, prefix_size);
    strcpy(path + prefix_size, "/data/");
    for (size_t i = 0; (s = pickle_storage(p->pickle, i)); i++) {
        uint64_t want, have;

        memcpy(path + prefix_size + 6, s->key.bytes, s->key.size);
        path[prefix_size + 6 + s->key.size] = '\0';
        if (!archive_find(p->archive, path, &p->entries[i]))
            return fault_set(e, FAULT_MISSING, "%s: storage %.*s is not in the archive", f->source.name,
                             (int)s->key.size, s->key.bytes);
        if (s->element == ELEMENT_OTHER)
            continue;
        if (__builtin_mul_overflow(s->count, element_size(s->element), &want))
            return fault_set(e, FAULT_OVERFLOW, "%s: the size of storage %.*s fits no number", f->source.name,
                             (int)s->key.size, s->key.bytes);
        if ((have = archive_entry(p->archive, p->entries[i])->size) != want)
            return fault_set(e, have < want ? FAULT_TRUNC : FAULT_RANGE,
                             "%s: storage %.*s at byte %llu has %llu bytes, %llu times %s are expected", f->source.name,
                             (int)s->key.size, s->key.bytes,
                             (unsigned long long)archive_entry(p->archive, p->entries[i])->at, (unsigned long long)have,
                             (unsigned long long)s->count, element_name(s->element));
    }
    return 0;
}

/* The one entry "<prefix>/data.pkl" with no further slash. */
static int find_pickle(struct tensor_file *f, size_t *entry, size_t *prefix_size, err *e)
{
    struct pth *p = f->state;
    int found = 0;

    for (size_t i = 0; i < archive_count(p->archive); i++) {
        const char *name = archive_entry(p->archive, i)->name;

        if (!ends_with(name, "/data.pkl") || strchr(name, '/') != strrchr(name, '/'))
            continue;
        *entry = i;
        *prefix_size = strlen(name) - strlen("/data.pkl");
        found++;
    }
    if (found == 1)
        return 0;
    return fault_set(e, found ? FAULT_DUP : FAULT_MISSING, "%s: %d entries NAME/data.pkl in the archive instead of one",
                     f->source.name, found);
}

/* Where the tensors lie, and how much of the storages they need. */
static int pth_places(struct tensor_file *f, err *e)
{
    struct pth *p = f->state;

    for (size_t i = 0; i < f->count; i++) {
        const struct pickle_tensor *t = pickle_tensor(p->pickle, p->numbers[i]);
        uint64_t each = element_size(t->element), span = pickled_span(t), *spanned = &p->spanned[t->storage];
        const struct archive_entry *entry = archive_entry(p->archive, p->entries[t->storage]);

        if (!each || !f->info[i].count)
            continue;
        if ((t->offset + span) * each > entry->size)
            return fault_set(e, FAULT_RANGE, "%s: tensor %s reaches out of its storage", f->source.name,
                             f->info[i].name);
        f->info[i].place = (uint64_t)p->entries[t->storage] << 32 | t->offset * each; /* entries are below 4 GiB */
        *spanned += span * each;
    }
    return 0;
}

static int check_pickle_size(const struct tensor_file *f, const struct archive_entry *entry, err *e)
{
    if (entry->size > limit_of(&f->options.limits, LIMIT_PICKLE))
        return limit_fault(&f->options.limits, LIMIT_PICKLE, e, "%s: a pickle of %llu bytes", f->source.name,
                           (unsigned long long)entry->size);
    if (entry->size > PICKLE_ALWAYS && entry->size / PICKLE_RATIO > entry->stored)
        return fault_set(e, FAULT_LIMIT, "%s: a pickle of %llu bytes in %llu at byte %llu", f->source.name,
                         (unsigned long long)entry->size, (unsigned long long)entry->stored,
                         (unsigned long long)entry->at);
    return 0;
}

static int pth_open(struct tensor_file *f, err *e)
{
    const struct pickle_options options = {.storages = PICKLE_ZIP_STORAGES,
                                           .strict = f->options.strict_pickle,
                                           .file_size = f->source.size,
                                           .limits = &f->options.limits};
    struct pth *p = f->state;
    size_t entry = 0, prefix_size = 0, size, used;
    const char *prefix;

    if (find_pickle(f, &entry, &prefix_size, e))
        return e->code;
    prefix = archive_entry(p->archive, entry)->name;
    if (check_pickle_size(f, archive_entry(p->archive, entry), e))
        return e->code;
    size = (size_t)archive_entry(p->archive, entry)->size;
    if (!(p->bytes = malloc(size + 1)))
        return err_set(e, ERR_NOMEM, "%s: out of memory for its pickle", f->source.name);
    if (pth_frame(f, prefix, prefix_size, e) || archive_read(p->archive, entry, p->bytes, f->options.ignore_crc, e) ||
        pickle_read(f->source.name, p->bytes, size, &options, &used, &p->pickle, e))
        return e->code;
    if (used != size)
        return fault_set(e, FAULT_RANGE, "%s: %zu bytes follow the pickle in the entry at byte %llu", f->source.name,
                         size - used, (unsigned long long)archive_entry(p->archive, entry)->at);
    if (pth_storages(f, prefix, prefix_size, e))
        return e->code;
    if (pickled_tensors(f, p->pickle, &p->numbers, e))
        return e->code;
    return pth_places(f, e);
}

/* Read the open entry on without keeping it. */
static int skip(archive *a, uint64_t n, err *e)
{
    char scratch[SCRATCH];

    while (n && !archive_next(a, scratch, n < SCRATCH ? (size_t)n : SCRATCH, e))
        n -= n < SCRATCH ? n : SCRATCH;
    return e->code;
}

static uint64_t storage_size(const struct pth *p, uint32_t storage)
{
    return archive_entry(p->archive, p->entries[storage])->size;
}

/* Read the open storage to its end for its checksum, unless that has been done. */
static int pth_finish(struct tensor_file *f, err *e)
{
    struct pth *p = f->state;
    bool unchecked = p->reading && !p->checked[p->storage];

    p->reading = false;
    if (!unchecked)
        return 0;
    if (skip(p->archive, storage_size(p, p->storage) - p->position, e) ||
        archive_end(p->archive, f->options.ignore_crc, e))
        return e->code;
    p->checked[p->storage] = true;
    return 0;
}

/* Open a storage for bytes that end there.  One that has been read before is read again. */
static int begin_storage(struct tensor_file *f, uint32_t storage, uint64_t end, err *e)
{
    struct pth *p = f->state;
    const struct archive_entry *entry = archive_entry(p->archive, p->entries[storage]);

    if (pth_finish(f, e))
        return e->code;
    if (entry->method && entry->size > UNUSED_ALWAYS && entry->size / UNUSED_FACTOR > p->spanned[storage])
        return fault_set(e, FAULT_LIMIT,
                         "%s: a storage at byte %llu inflates to %llu bytes, of which its tensors are %llu",
                         f->source.name, (unsigned long long)entry->at, (unsigned long long)entry->size,
                         (unsigned long long)p->spanned[storage]);
    p->again += p->checked[storage] ? end : 0;
    if (p->again > AGAIN_ALWAYS && p->again / AGAIN_FACTOR > f->source.size)
        return fault_set(e, FAULT_LIMIT, "%s: its tensors lie one over the other; %llu bytes had to be read again",
                         f->source.name, (unsigned long long)p->again);
    if (archive_begin(p->archive, p->entries[storage], e))
        return e->code;
    p->reading = true;
    p->storage = storage;
    p->position = 0;
    return 0;
}

/* n bytes of a storage; going forward, its entry stays open. */
static int read_storage(struct tensor_file *f, uint32_t storage, uint64_t at, void *to, uint64_t n, err *e)
{
    struct pth *p = f->state;
    bool forward = p->reading && p->storage == storage && p->position <= at;

    if (!forward && begin_storage(f, storage, at + n, e))
        return e->code;
    if (skip(p->archive, at - p->position, e) || archive_next(p->archive, to, n, e)) {
        p->reading = false;
        return e->code;
    }
    p->position = at + n;
    return p->position == storage_size(p, storage) ? pth_finish(f, e) : 0;
}

static int pth_read(struct tensor_file *f, size_t i, float *to, err *e)
{
    struct pth *p = f->state;
    const struct pickle_tensor *t = pickle_tensor(p->pickle, p->numbers[i]);
    size_t each = element_size(t->element);
    uint64_t span = pickled_span(t);
    void *bytes;

    if (pickled_scattered(f, t, f->info[i].count, e))
        return e->code;
    if (!(bytes = malloc(span * each)))
        return err_set(e, ERR_NOMEM, "%s: out of memory for %s", f->source.name, f->info[i].name);
    if (!read_storage(f, t->storage, t->offset * each, bytes, span * each, e))
        elements_gather(t->element, p->big, bytes, 0, t->rank, t->shape, t->stride, to);
    free(bytes);
    return e->code;
}

static void pth_close(struct tensor_file *f)
{
    struct pth *p = f->state;

    pickle_free(p->pickle);
    archive_close(p->archive);
    free(p->bytes);
    free(p->numbers);
    free(p->entries);
    free(p->checked);
    free(p->spanned);
    free(p);
}

const struct tensor_reader npz_reader = {"npz", npz_open, npz_read, npz_close, NULL};
const struct tensor_reader pth_reader = {"pth", pth_open, pth_read, pth_close, pth_finish};

/* ---------------------------------------------------------------- which of the two */

static int choose(const struct tensor_file *f, const archive *a, const struct tensor_reader **out, err *e)
{
    bool pth = false, script = false, npz = false;

    for (size_t i = 0; i < archive_count(a); i++) {
        const char *name = archive_entry(a, i)->name, *slash = strchr(name, '/');

        pth = pth || ends_with(name, "/data.pkl");
        script = script || ends_with(name, "/constants.pkl") || (slash && !strncmp(slash, "/code/", 6));
        npz = npz || ends_with(name, ".npy");
    }
    if (script)
        return fault_set(e, FAULT_UNSUPPORTED,
                         "%s: is a TorchScript program; save model.state_dict() with torch.save instead",
                         f->source.name);
    if (pth || npz) {
        *out = pth ? &pth_reader : &npz_reader;
        return 0;
    }
    return fault_set(e, FAULT_MAGIC, "%s: is a zip archive, and neither PyTorch's nor NumPy's", f->source.name);
}

static int zip_open(struct tensor_file *f, err *e)
{
    archive *a;

    if (archive_open(&f->source, &f->options.limits, &a, e))
        return e->code;
    if (choose(f, a, &f->reader, e)) {
        archive_close(a);
        return e->code;
    }
    if (f->reader == &pth_reader) {
        struct pth *p = calloc(1, sizeof *p);

        if ((f->state = p))
            p->archive = a;
    } else {
        struct npz *z = calloc(1, sizeof *z);

        if ((f->state = z))
            z->archive = a;
    }
    if (!f->state) {
        archive_close(a);
        return err_set(e, ERR_NOMEM, "%s: out of memory", f->source.name);
    }
    return f->reader->open(f, e);
}

const struct tensor_reader zip_reader = {"zip", zip_open, NULL, NULL, NULL};
