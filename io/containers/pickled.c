/* io/containers/pickled.c - the tensors of a pickled state dict, for both kinds of .pth; see reader.h. */
#include <stdlib.h>
#include <string.h>

#include "io/containers/fault.h"
#include "io/containers/reader.h"

enum { SPAN_FACTOR = 64, SPAN_ALWAYS = 1 << 20, NAMES_SHOWN = 5 };

struct listing {
    struct tensor_file *f;
    const pickle *p;
    uint32_t *numbers;
    size_t capacity;
    struct seen {            /* value -> what was found in that dict of the root */
        uint32_t first, end; /* of the tensors listed; end: plus 1, and 0 if it has not been looked at */
    } * seen;
};

/* `number` is the tensor's in the pickle. */
static int list_tensor(struct listing *l, struct pickle_text root, struct pickle_text name, uint32_t number, err *e)
{
    const struct pickle_tensor *t = pickle_tensor(l->p, number);

    if (l->f->count >= l->capacity) {
        size_t wanted = l->capacity ? 2 * l->capacity : 64;
        uint32_t *bigger = realloc(l->numbers, wanted * sizeof *bigger);

        if (!bigger)
            return err_set(e, ERR_NOMEM, "%s: out of memory for its tensors", l->f->source.name);
        l->numbers = bigger;
        l->capacity = wanted;
    }
    l->numbers[l->f->count] = number;
    return tensors_add(l->f, root.bytes, root.size, name.bytes, name.size, t->element, t->rank, t->shape, e);
}

static bool is_name(const pickle *p, pickle_value key)
{
    return pickle_kind_of(p, key) == PICKLE_STR || pickle_kind_of(p, key) == PICKLE_BYTES;
}

/* The tensors that stand in one dict under text keys. */
static int list_dict(struct listing *l, struct pickle_text root, pickle_value dict, err *e)
{
    for (size_t i = 0; i < pickle_count(l->p, dict); i++) {
        pickle_value key = pickle_key(l->p, dict, i), v = pickle_item(l->p, dict, i);

        if (pickle_kind_of(l->p, v) == PICKLE_TENSOR && is_name(l->p, key) &&
            list_tensor(l, root, pickle_text_of(l->p, key),
                        (uint32_t)(pickle_tensor_of(l->p, v) - pickle_tensor(l->p, 0)), e))
            return e->code;
    }
    return 0;
}

/* The tensors of a dict that has been looked at, once more: it stands in the root under another key too. */
static int list_again(struct listing *l, struct pickle_text root, struct seen seen, err *e)
{
    for (size_t i = seen.first; i + 1 < seen.end; i++) {
        const char *name = l->f->info[i].name;

        if (list_tensor(l, root, (struct pickle_text){name, strlen(name)}, l->numbers[i], e))
            return e->code;
    }
    return 0;
}

/* A dict in the root.  Each is walked once, however often it stands there: few bytes make a root of many entries that are all
 * the same dict of many. */
static int list_inner(struct listing *l, struct pickle_text root, pickle_value dict, err *e)
{
    struct seen *seen = &l->seen[dict];

    if (seen->end)
        return list_again(l, root, *seen, e);
    seen->first = (uint32_t)l->f->count;
    list_dict(l, root, dict, e);
    seen->end = (uint32_t)l->f->count + 1;
    return e->code;
}

static int list_all(struct listing *l, pickle_value root, err *e)
{
    size_t count = pickle_count(l->p, root);

    if (!(l->seen = calloc(pickle_values(l->p), sizeof *l->seen)))
        return err_set(e, ERR_NOMEM, "%s: out of memory for its tensors", l->f->source.name);
    list_dict(l, (struct pickle_text){"", 0}, root, e);
    for (size_t i = 0; i < count && !e->code; i++) {
        pickle_value key = pickle_key(l->p, root, i), v = pickle_item(l->p, root, i);

        if (pickle_kind_of(l->p, v) == PICKLE_DICT && is_name(l->p, key) && v != root)
            list_inner(l, pickle_text_of(l->p, key), v, e);
    }
    return e->code;
}

/* Tell of names outside of PyTorch's usual ones, and of those that somebody meant ill with. */
static void note_names(struct tensor_file *f, const pickle *p)
{
    for (int danger = 1; danger >= 0; danger--) {
        const struct pickle_global *g;
        int count = 0;

        for (size_t i = 0; (g = pickle_global(p, i)); i++) {
            char module[ESCAPED_SIZE], name[ESCAPED_SIZE];

            if (g->dangerous == danger && (danger || !g->known) && count++ < NAMES_SHOWN)
                tensors_note(f,
                             danger ? TENSORS_DANGER
                                 ": the file names %s.%s, which a checkpoint has no use for; it was not called"
                                    : "the file holds objects of %s.%s, which were passed over",
                             escaped(module, g->module.bytes, g->module.size),
                             escaped(name, g->name.bytes, g->name.size));
        }
        if (count > NAMES_SHOWN)
            tensors_note(f,
                         danger ? TENSORS_DANGER ": and %d more names that a checkpoint has no use for"
                                : "and %d more names of objects that were passed over",
                         count - NAMES_SHOWN);
    }
}

int pickled_tensors(struct tensor_file *f, const pickle *p, uint32_t **numbers, err *e)
{
    struct listing l = {.f = f, .p = p};
    pickle_value root = pickle_root(p);

    note_names(f, p);
    if (pickle_kind_of(p, root) == PICKLE_OPAQUE)
        return fault_set(e, FAULT_UNSUPPORTED,
                         "%s: holds a whole pickled module; save model.state_dict() instead, which is data alone",
                         f->source.name);
    if (pickle_kind_of(p, root) != PICKLE_DICT)
        return fault_set(e, FAULT_UNSUPPORTED, "%s: holds %s instead of a dict of tensors", f->source.name,
                         pickle_kind_name(pickle_kind_of(p, root)));
    list_all(&l, root, e);
    free(l.seen);
    *numbers = l.numbers;
    return e->code;
}

uint64_t pickled_span(const struct pickle_tensor *t)
{
    uint64_t last = 0; /* cannot overflow: checked when the tensor was made */

    for (int i = 0; i < t->rank; i++)
        last += (t->shape[i] - 1) * t->stride[i];
    return last + 1;
}

int pickled_scattered(const struct tensor_file *f, const struct pickle_tensor *t, uint64_t count, err *e)
{
    uint64_t span = pickled_span(t);

    if (span > SPAN_ALWAYS && span / SPAN_FACTOR > count)
        return fault_set(e, FAULT_LIMIT, "%s: a tensor of %llu numbers lies scattered over %llu", f->source.name,
                         (unsigned long long)count, (unsigned long long)span);
    return 0;
}
