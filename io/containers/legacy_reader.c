/* io/containers/legacy_reader.c - tensors in .pth files of PyTorch before 1.6: five pickles, then the storages one after
 * the other, each behind its number of elements. */
#include <stdlib.h>
#include <string.h>

#include "io/containers/fault.h"
#include "io/containers/names.h"
#include "io/containers/reader.h"

enum { MAGIC_SIZE = 15, PROTOCOL = 1001, FIRST_READ = 1 << 16, GROWTH = 8, COUNT_SIZE = 8 };

/* A pickle and the bytes that its texts lie in. */
struct taken {
    unsigned char *bytes;
    pickle *pickle;
};

struct legacy {
    struct taken object;
    uint32_t *numbers; /* info -> tensor of the pickle */
    uint64_t *at;      /* storage -> its first byte in the file */
};

static void drop(struct taken *t)
{
    pickle_free(t->pickle);
    free(t->bytes);
    *t = (struct taken){0};
}

/* The pickle at *at, whose length nothing tells: more of the file is read as long as it seems cut off. */
static int take_pickle(struct tensor_file *f, uint64_t *at, enum pickle_storages storages, struct taken *out, err *e)
{
    const struct container_limits *limits = &f->options.limits;
    const struct pickle_options options = {
        .storages = storages, .strict = f->options.strict_pickle, .file_size = f->source.size, .limits = limits};
    uint64_t left = f->source.size - *at, most = limit_of(limits, LIMIT_PICKLE), size = FIRST_READ;
    size_t used;

    most = left < most ? left : most;

    for (;; size *= GROWTH) {
        size = size < most ? size : most;
        *out = (struct taken){.bytes = malloc(size + 1)};
        if (!out->bytes)
            return err_set(e, ERR_NOMEM, "%s: out of memory for its pickles", f->source.name);
        if (source_read(&f->source, *at, out->bytes, size, e))
            break;
        if (!pickle_read(f->source.name, out->bytes, size, &options, &used, &out->pickle, e)) {
            *at += used;
            return 0;
        }
        if (fault_of(e) == FAULT_TRUNC && size == most && size < left) {
            *e = (err){0};
            limit_fault(limits, LIMIT_PICKLE, e, "%s: a longer pickle at byte %llu", f->source.name,
                        (unsigned long long)*at);
        }
        if (fault_of(e) != FAULT_TRUNC || size == most)
            break;
        drop(out);
        *e = (err){0};
    }
    drop(out);
    return e->code;
}

/* A pickle that is looked at and dropped. */
static int check_pickle(struct tensor_file *f, uint64_t *at,
                        int (*check)(const struct tensor_file *, const pickle *, err *), err *e)
{
    struct taken t;

    if (take_pickle(f, at, PICKLE_NO_STORAGES, &t, e))
        return e->code;
    check(f, t.pickle, e);
    drop(&t);
    return e->code;
}

static int check_protocol(const struct tensor_file *f, const pickle *p, err *e)
{
    if (pickle_kind_of(p, pickle_root(p)) == PICKLE_INT && pickle_int(p, pickle_root(p)) == PROTOCOL)
        return 0;
    return fault_set(e, FAULT_VERSION, "%s: a legacy file of another version than %d", f->source.name, PROTOCOL);
}

static int check_system(const struct tensor_file *f, const pickle *p, err *e)
{
    pickle_value little = pickle_get(p, pickle_root(p), "little_endian");

    if (little == PICKLE_ABSENT || pickle_kind_of(p, little) != PICKLE_BOOL)
        return fault_set(e, FAULT_SYNTAX, "%s: does not say its byte order", f->source.name);
    if (!pickle_int(p, little))
        return fault_set(e, FAULT_UNSUPPORTED, "%s: was written on a big-endian computer", f->source.name);
    return 0;
}

/* ---------------------------------------------------------------- storages */

/* Key of the list -> storage of the pickle. */
static int index_roots(const struct tensor_file *f, struct names *roots, size_t *count, err *e)
{
    const struct legacy *l = f->state;
    const struct pickle_storage *s;

    for (*count = 0; (s = pickle_storage(l->object.pickle, *count)); ++*count) {
        uint32_t number = (uint32_t)*count;

        if (s->root == *count && names_add(roots, s->key.bytes, s->key.size, &number) == NAMES_NOMEM)
            return err_set(e, ERR_NOMEM, "%s: out of memory for its storages", f->source.name);
    }
    return 0;
}

/* One storage's elements at *at. */
static int place_storage(struct tensor_file *f, uint32_t number, uint64_t *at, err *e)
{
    struct legacy *l = f->state;
    const struct pickle_storage *s = pickle_storage(l->object.pickle, number);
    unsigned char bytes[COUNT_SIZE];
    uint64_t count = 0, size;

    if (s->element == ELEMENT_OTHER)
        return fault_set(e, FAULT_UNSUPPORTED, "%s: storage %.*s is of a type whose size is not known", f->source.name,
                         (int)s->key.size, s->key.bytes);
    if (source_read(&f->source, *at, bytes, sizeof bytes, e))
        return e->code;
    for (int i = COUNT_SIZE - 1; i >= 0; i--)
        count = count << 8 | bytes[i];
    if (count != s->count)
        return fault_set(e, FAULT_RANGE, "%s: storage %.*s at byte %llu has %llu elements, %llu are expected",
                         f->source.name, (int)s->key.size, s->key.bytes, (unsigned long long)*at,
                         (unsigned long long)count, (unsigned long long)s->count);
    l->at[number] = *at += sizeof bytes;
    if (__builtin_mul_overflow(count, element_size(s->element), &size))
        return fault_set(e, FAULT_OVERFLOW, "%s: the size of storage %.*s fits no number", f->source.name,
                         (int)s->key.size, s->key.bytes);
    if (size > f->source.size - *at)
        return fault_set(e, FAULT_TRUNC, "%s: ends within storage %.*s, which begins at byte %llu", f->source.name,
                         (int)s->key.size, s->key.bytes, (unsigned long long)*at);
    *at += size;
    return 0;
}

static int place_storages(struct tensor_file *f, const pickle *keys, uint64_t at, err *e)
{
    struct legacy *l = f->state;
    struct names roots = {0};
    size_t count, placed = 0, listed = pickle_count(keys, pickle_root(keys));
    char text[ESCAPED_SIZE];

    if (index_roots(f, &roots, &count, e) || !(l->at = calloc(count + 1, sizeof *l->at))) {
        names_free(&roots);
        if (e->code)
            return e->code;
        return err_set(e, ERR_NOMEM, "%s: out of memory for its storages", f->source.name);
    }
    for (; placed < listed && !e->code; placed++) {
        struct pickle_text key = pickle_text_of(keys, pickle_item(keys, pickle_root(keys), placed));
        uint32_t number;

        if (!names_find(&roots, key.bytes, key.size, &number))
            fault_set(e, FAULT_UNKNOWN_KEY, "%s: lists storage '%s', which no tensor has", f->source.name,
                      escaped(text, key.bytes, key.size));
        else if (l->at[number])
            fault_set(e, FAULT_DUP, "%s: lists storage '%s' twice", f->source.name, escaped(text, key.bytes, key.size));
        else
            place_storage(f, number, &at, e);
    }
    if (!e->code && placed != roots.count)
        fault_set(e, FAULT_MISSING, "%s: lists %zu storages, its tensors have %zu", f->source.name, placed,
                  roots.count);
    if (!e->code && at != f->source.size)
        fault_set(e, FAULT_RANGE, "%s: %llu bytes follow the last storage, from byte %llu", f->source.name,
                  (unsigned long long)(f->source.size - at), (unsigned long long)at);
    for (size_t i = 0; i < count && !e->code; i++) { /* views lie in their roots */
        const struct pickle_storage *s = pickle_storage(l->object.pickle, i);

        if (s->root != i)
            l->at[i] = l->at[s->root] + s->view * element_size(s->element);
    }
    names_free(&roots);
    return e->code;
}

/* ---------------------------------------------------------------- the reader */

static int legacy_open(struct tensor_file *f, err *e)
{
    struct legacy *l = calloc(1, sizeof *l);
    uint64_t at = MAGIC_SIZE;
    struct taken keys;

    if (!(f->state = l))
        return err_set(e, ERR_NOMEM, "%s: out of memory", f->source.name);
    if (check_pickle(f, &at, check_protocol, e) || check_pickle(f, &at, check_system, e) ||
        take_pickle(f, &at, PICKLE_LEGACY_STORAGES, &l->object, e) || take_pickle(f, &at, PICKLE_NO_STORAGES, &keys, e))
        return e->code;
    if (pickle_kind_of(keys.pickle, pickle_root(keys.pickle)) != PICKLE_LIST)
        fault_set(e, FAULT_SYNTAX, "%s: has no list of its storages", f->source.name);
    else
        place_storages(f, keys.pickle, at, e);
    drop(&keys);
    if (e->code)
        return e->code;
    return pickled_tensors(f, l->object.pickle, &l->numbers, e);
}

static int legacy_read(struct tensor_file *f, size_t i, float *to, err *e)
{
    struct legacy *l = f->state;
    const struct pickle_tensor *t = pickle_tensor(l->object.pickle, l->numbers[i]);
    size_t each = element_size(t->element);
    uint64_t span = pickled_span(t);
    void *bytes;

    if (pickled_scattered(f, t, f->info[i].count, e))
        return e->code;
    if (!(bytes = malloc(span * each)))
        return err_set(e, ERR_NOMEM, "%s: out of memory for %s", f->source.name, f->info[i].name);
    if (!source_read(&f->source, l->at[t->storage] + t->offset * each, bytes, span * each, e))
        elements_gather(t->element, false, bytes, 0, t->rank, t->shape, t->stride, to);
    free(bytes);
    return e->code;
}

static void legacy_close(struct tensor_file *f)
{
    struct legacy *l = f->state;

    drop(&l->object);
    free(l->numbers);
    free(l->at);
    free(l);
}

const struct tensor_reader legacy_reader = {"legacy pth", legacy_open, legacy_read, legacy_close, NULL};
