/* tests/fuzz/fuzz_pickle.c - any bytes as a pickle, under each set of rules; every value of what is accepted is looked at. */
#include <stdint.h>

#include "fuzz_tensors.h"
#include "io/containers/pickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t sum(struct pickle_text text)
{
    uint64_t s = text.size;

    for (size_t i = 0; i < text.size; i++)
        s += (unsigned char)text.bytes[i];
    return s;
}

/* A value and its items, not theirs: containers may contain themselves. */
static uint64_t look_at(const pickle *p, pickle_value v)
{
    enum pickle_kind kind = pickle_kind_of(p, v);
    uint64_t s = sum(pickle_text_of(p, v)) + (uint64_t)pickle_int(p, v);

    if (!*pickle_kind_name(kind) || (kind == PICKLE_TENSOR) != (pickle_tensor_of(p, v) != NULL))
        abort();
    if (pickle_array_of(p, v))
        s += sum(pickle_array_of(p, v)->bytes) + sum(pickle_array_of(p, v)->dtype);
    for (size_t i = 0; i < pickle_count(p, v); i++) {
        s += (uint64_t)pickle_kind_of(p, pickle_item(p, v, i)) + sum(pickle_text_of(p, pickle_item(p, v, i)));
        if (kind == PICKLE_DICT)
            s += sum(pickle_text_of(p, pickle_key(p, v, i)));
    }
    return s;
}

/* Names, storages and tensors by number; a tensor lies within its storage. */
static uint64_t look_at_tables(const pickle *p)
{
    uint64_t s = 0;

    for (size_t i = 0; pickle_global(p, i); i++)
        s += sum(pickle_global(p, i)->module) + sum(pickle_global(p, i)->name);
    for (size_t i = 0; pickle_storage(p, i); i++)
        if (!pickle_storage(p, pickle_storage(p, i)->root))
            abort();
    for (size_t i = 0; pickle_tensor(p, i); i++) {
        const struct pickle_tensor *t = pickle_tensor(p, i);
        uint64_t count;

        if (!pickle_storage(p, t->storage))
            abort();
        if (sizes_product(t->rank, t->shape, &count) && count && t->offset >= pickle_storage(p, t->storage)->count)
            abort();
    }
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct pickle_options rules[] = {
        {.storages = PICKLE_ZIP_STORAGES}, {.storages = PICKLE_LEGACY_STORAGES, .strict = true}, {.numpy = true}};
    uint64_t seen = 0;

    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        pickle *p;
        size_t used;
        err e = {0};

        int status;

        fuzz_memory_limit(limit_memory(size));
        status = pickle_read("fuzz", data, size, &rules[i], &used, &p, &e);
        fuzz_memory_free();
        if (status) {
            fuzz_failed(&e);
            continue;
        }
        if (!used || used > size)
            abort();
        seen += look_at(p, pickle_root(p)) + look_at_tables(p);
        for (size_t k = 0; k < pickle_count(p, pickle_root(p)); k++)
            seen += look_at(p, pickle_item(p, pickle_root(p), k));
        pickle_free(p);
    }
    if (seen == UINT64_MAX) /* so that every byte is looked at */
        abort();
    return 0;
}
