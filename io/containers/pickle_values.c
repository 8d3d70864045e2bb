/* io/containers/pickle_values.c - looking at the values of a pickle; see pickle.h. */
#include <string.h>

#include "io/containers/pickle_machine.h"

pickle_value pickle_root(const pickle *p)
{
    return p->root;
}

size_t pickle_values(const pickle *p)
{
    return p->nodes_count;
}

enum pickle_kind pickle_kind_of(const pickle *p, pickle_value v)
{
    return (enum pickle_kind)p->nodes[v].kind;
}

const char *pickle_kind_name(enum pickle_kind kind)
{
    static const char *const names[] = {
        [PICKLE_NONE] = "None",         [PICKLE_BOOL] = "a bool",      [PICKLE_INT] = "an integer",
        [PICKLE_BIGINT] = "an integer", [PICKLE_FLOAT] = "a float",    [PICKLE_STR] = "a text",
        [PICKLE_BYTES] = "bytes",       [PICKLE_TUPLE] = "a tuple",    [PICKLE_LIST] = "a list",
        [PICKLE_SET] = "a set",         [PICKLE_DICT] = "a dict",      [PICKLE_GLOBAL] = "a name",
        [PICKLE_STORAGE] = "a storage", [PICKLE_TENSOR] = "a tensor",  [PICKLE_ARRAY] = "an array",
        [PICKLE_DTYPE] = "a dtype",     [PICKLE_OPAQUE] = "an object",
    };

    return names[kind];
}

int64_t pickle_int(const pickle *p, pickle_value v)
{
    const struct node *n = &p->nodes[v];

    return n->kind == PICKLE_INT || n->kind == PICKLE_BOOL ? n->integer : 0;
}

double pickle_float(const pickle *p, pickle_value v)
{
    const struct node *n = &p->nodes[v];

    return n->kind == PICKLE_FLOAT ? n->real : (double)pickle_int(p, v);
}

struct pickle_text pickle_text_of(const pickle *p, pickle_value v)
{
    const struct node *n = &p->nodes[v];

    if (n->kind != PICKLE_STR && n->kind != PICKLE_BYTES)
        return (struct pickle_text){"", 0};
    return (struct pickle_text){n->text, n->count};
}

bool pickle_is_text(const pickle *p, pickle_value v, const char *text)
{
    const struct node *n = &p->nodes[v];

    return (n->kind == PICKLE_STR || n->kind == PICKLE_BYTES) && n->count == strlen(text) &&
           !memcmp(n->text, text, n->count);
}

size_t pickle_count(const pickle *p, pickle_value v)
{
    const struct node *n = &p->nodes[v];

    return n->kind >= PICKLE_TUPLE && n->kind <= PICKLE_DICT ? n->count : 0;
}

pickle_value pickle_item(const pickle *p, pickle_value v, size_t i)
{
    const struct node *n = &p->nodes[v];

    return p->items[n->at.first + (n->kind == PICKLE_DICT ? 2 * i + 1 : i)];
}

pickle_value pickle_key(const pickle *p, pickle_value dict, size_t i)
{
    return p->items[p->nodes[dict].at.first + 2 * i];
}

pickle_value pickle_get(const pickle *p, pickle_value dict, const char *key)
{
    if (p->nodes[dict].kind == PICKLE_DICT)
        for (size_t i = p->nodes[dict].count; i-- > 0;)
            if (pickle_is_text(p, pickle_key(p, dict, i), key))
                return pickle_item(p, dict, i);
    return PICKLE_ABSENT;
}

const struct pickle_global *pickle_global_of(const pickle *p, pickle_value v)
{
    return p->nodes[v].kind == PICKLE_GLOBAL ? &p->globals[p->nodes[v].number] : NULL;
}

const struct pickle_storage *pickle_storage_of(const pickle *p, pickle_value v)
{
    return p->nodes[v].kind == PICKLE_STORAGE ? &p->storages[p->nodes[v].number] : NULL;
}

const struct pickle_tensor *pickle_tensor_of(const pickle *p, pickle_value v)
{
    return p->nodes[v].kind == PICKLE_TENSOR ? &p->tensors[p->nodes[v].number] : NULL;
}

const struct pickle_array *pickle_array_of(const pickle *p, pickle_value v)
{
    return p->nodes[v].kind == PICKLE_ARRAY && p->nodes[v].filled ? &p->arrays[p->nodes[v].number] : NULL;
}

const struct pickle_global *pickle_global(const pickle *p, size_t i)
{
    return i < p->globals_count ? &p->globals[i] : NULL;
}

const struct pickle_storage *pickle_storage(const pickle *p, size_t i)
{
    return i < p->storages_count ? &p->storages[i] : NULL;
}

const struct pickle_tensor *pickle_tensor(const pickle *p, size_t i)
{
    return i < p->tensors_count ? &p->tensors[i] : NULL;
}
