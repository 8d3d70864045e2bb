/* io/containers/pickle_calls.c - names in a pickle, and what calling them makes; see pickle.h.
 *
 * Two tables decide everything: what a name stands for, and which function turns its arguments into a value.  A name that
 * is in neither makes OPAQUE values. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/containers/pickle_machine.h"

enum { KEY_LIMIT = 64, WORD_LIMIT = 512 };

enum call {
    CALL_UNKNOWN, /* OPAQUE, and refused by `strict` */
    CALL_KNOWN,   /* OPAQUE */
    CALL_DICT,
    CALL_STORAGE, /* a type of storage: not called, stands in persistent ids */
    CALL_DTYPE_NAME,
    CALL_TENSOR,
    CALL_TENSOR_V2,
    CALL_TENSOR_V3,
    CALL_PARAMETER,
    CALL_SIZE,
    CALL_ENCODE,
    CALL_ARRAY,
    CALL_NDARRAY,
    CALL_DTYPE,
    CALL_COUNT
};

/* module NULL: the one of the row above. */
static const struct {
    const char *module, *name;
    enum call call;
} names_known[] = {
    {"collections", "OrderedDict", CALL_DICT},
    {"torch._utils", "_rebuild_tensor_v2", CALL_TENSOR_V2},
    {NULL, "_rebuild_tensor_v3", CALL_TENSOR_V3},
    {NULL, "_rebuild_tensor", CALL_TENSOR},
    {NULL, "_rebuild_parameter", CALL_PARAMETER},
    {NULL, "_rebuild_parameter_with_state", CALL_PARAMETER},
    {"torch", "Size", CALL_SIZE},
    {NULL, "device", CALL_KNOWN},
    {"_codecs", "encode", CALL_ENCODE},
    {"numpy.core.multiarray", "_reconstruct", CALL_ARRAY},
    {NULL, "scalar", CALL_KNOWN},
    {"numpy._core.multiarray", "_reconstruct", CALL_ARRAY},
    {NULL, "scalar", CALL_KNOWN},
    {"numpy", "ndarray", CALL_NDARRAY},
    {NULL, "dtype", CALL_DTYPE},
    {"argparse", "Namespace", CALL_KNOWN},
    {"builtins", "set", CALL_KNOWN},
};

/* torch.XStorage, torch.cuda.XStorage; and torch.<name> as a dtype. */
static const struct {
    const char *storage, *dtype, *alias;
    enum element element;
} torch_types[] = {
    {"FloatStorage", "float32", "float", ELEMENT_F32},
    {"DoubleStorage", "float64", "double", ELEMENT_F64},
    {"HalfStorage", "float16", "half", ELEMENT_F16},
    {"BFloat16Storage", "bfloat16", "bfloat16", ELEMENT_BF16},
    {"LongStorage", "int64", "long", ELEMENT_I64},
    {"IntStorage", "int32", "int", ELEMENT_I32},
    {"ShortStorage", "int16", "short", ELEMENT_I16},
    {"CharStorage", "int8", "int8", ELEMENT_I8},
    {"ByteStorage", "uint8", "uint8", ELEMENT_U8},
    {"BoolStorage", "bool", "bool", ELEMENT_BOOL},
    {"ComplexFloatStorage", "complex64", "cfloat", ELEMENT_C64},
    {"ComplexDoubleStorage", "complex128", "cdouble", ELEMENT_C128},
    {"QInt8Storage", "qint8", "qint8", ELEMENT_QI8},
    {"QUInt8Storage", "quint8", "quint8", ELEMENT_QU8},
    {"QInt32Storage", "qint32", "qint32", ELEMENT_QI32},
};

static const char *const dangerous_modules[] = {"os", "posix", "nt", "sys", "subprocess"};
static const char *const dangerous_builtins[] = {"eval", "exec", "getattr"};

enum { TORCH_TYPES = sizeof torch_types / sizeof *torch_types };

static bool same(struct pickle_text text, const char *word)
{
    return text.size == strlen(word) && !memcmp(text.bytes, word, text.size);
}

static bool ends_with(struct pickle_text text, const char *ending)
{
    size_t n = strlen(ending);

    return text.size >= n && !memcmp(text.bytes + text.size - n, ending, n);
}

static bool among(struct pickle_text text, const char *const *words, size_t n)
{
    while (n-- > 0)
        if (same(text, words[n]))
            return true;
    return false;
}

/* ---------------------------------------------------------------- names */

static enum element storage_element(struct pickle_text name)
{
    for (size_t i = 0; i < TORCH_TYPES; i++)
        if (same(name, torch_types[i].storage))
            return torch_types[i].element;
    return same(name, "UntypedStorage") || same(name, "_UntypedStorage") || same(name, "TypedStorage") ||
                   same(name, "_TypedStorage")
               ? ELEMENT_U8
               : ELEMENT_OTHER;
}

static enum element dtype_element(struct pickle_text name)
{
    for (size_t i = 0; i < TORCH_TYPES; i++)
        if (same(name, torch_types[i].dtype) || same(name, torch_types[i].alias))
            return torch_types[i].element;
    return ELEMENT_OTHER;
}

/* torch's dtypes are words in lower case with a digit, or a known alias. */
static bool looks_like_dtype(struct pickle_text name)
{
    static const char *const families[] = {"float", "int", "uint", "bfloat", "complex", "quint", "qint"};

    if (dtype_element(name) != ELEMENT_OTHER)
        return true;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (name.size > strlen(families[i]) && !memcmp(name.bytes, families[i], strlen(families[i])))
            return true;
    return false;
}

static enum call call_of(struct pickle_text module, struct pickle_text name)
{
    const char *row_module = NULL;
    bool torch = same(module, "torch");

    for (size_t i = 0; i < sizeof names_known / sizeof *names_known; i++) {
        row_module = names_known[i].module ? names_known[i].module : row_module;
        if (same(module, row_module) && same(name, names_known[i].name))
            return names_known[i].call;
    }
    if ((torch || same(module, "torch.cuda") || same(module, "torch.storage")) && ends_with(name, "Storage"))
        return CALL_STORAGE;
    return torch && looks_like_dtype(name) ? CALL_DTYPE_NAME : CALL_UNKNOWN;
}

int pickle_call_global(struct machine *m, struct pickle_text module, struct pickle_text name)
{
    pickle *p = m->p;
    struct pickle_global g = {.module = module, .name = name};
    enum call call;

    if (same(module, "__builtin__"))
        g.module = (struct pickle_text){"builtins", 8};
    call = call_of(g.module, g.name);
    g.known = call != CALL_UNKNOWN;
    g.dangerous = among(g.module, dangerous_modules, sizeof dangerous_modules / sizeof *dangerous_modules) ||
                  (same(g.module, "builtins") &&
                   among(name, dangerous_builtins, sizeof dangerous_builtins / sizeof *dangerous_builtins));
    if (m->options->strict && !g.known) {
        char a[ESCAPED_SIZE], b[ESCAPED_SIZE];

        return machine_fault(m, FAULT_UNSUPPORTED, "the name %s.%s is not among those that --strict-pickle allows",
                             escaped(a, module.bytes, module.size), escaped(b, name.bytes, name.size));
    }
    if (!machine_room(m, &p->globals, p->globals_count, &p->globals_capacity, sizeof *p->globals))
        return m->e->code;
    p->globals[p->globals_count] = g;
    return machine_push_node(
        m, (struct node){.kind = PICKLE_GLOBAL, .call = (uint8_t)call, .number = (uint32_t)p->globals_count++});
}

/* ---------------------------------------------------------------- arguments */

/* The i-th item of a tuple if it is of that kind; PICKLE_ABSENT otherwise. */
static pickle_value item_of_kind(const struct machine *m, pickle_value tuple, size_t i, int kind)
{
    pickle_value v;

    if (machine_at(m, tuple)->kind != PICKLE_TUPLE || i >= pickle_count(m->p, tuple))
        return PICKLE_ABSENT;
    v = pickle_item(m->p, tuple, i);
    return machine_at(m, v)->kind == kind ? v : PICKLE_ABSENT;
}

/* A size or an offset: an integer that is not negative. */
static int take_size(struct machine *m, pickle_value v, const char *what, uint64_t *out)
{
    if (v == PICKLE_ABSENT || machine_at(m, v)->kind != PICKLE_INT)
        return machine_fault(m, FAULT_SYNTAX, "%s is no integer", what);
    if (pickle_int(m->p, v) < 0)
        return machine_fault(m, FAULT_RANGE, "%s is negative", what);
    *out = (uint64_t)pickle_int(m->p, v);
    return 0;
}

/* A tuple of sizes. */
static int take_sizes(struct machine *m, pickle_value tuple, const char *what, int *rank, uint64_t out[PICKLE_MAX_RANK])
{
    size_t n;

    if (tuple == PICKLE_ABSENT)
        return machine_fault(m, FAULT_SYNTAX, "%s is no tuple", what);
    if ((n = pickle_count(m->p, tuple)) > PICKLE_MAX_RANK)
        return machine_fault(m, FAULT_LIMIT, "%s has %zu dimensions, at most %d are read", what, n, PICKLE_MAX_RANK);
    *rank = (int)n;
    for (size_t i = 0; i < n; i++)
        if (take_size(m, pickle_item(m->p, tuple, i), what, &out[i]))
            return m->e->code;
    return 0;
}

static int push_opaque(struct machine *m)
{
    return machine_push_node(m, (struct node){.kind = PICKLE_OPAQUE});
}

/* ---------------------------------------------------------------- tensors */

/* Every element must lie inside its storage. */
static int check_extent(struct machine *m, const struct pickle_tensor *t, uint64_t available)
{
    uint64_t last = t->offset, numbers = 1, way;
    bool empty = false;

    for (int i = 0; i < t->rank; i++)
        empty = empty || t->shape[i] == 0;
    if (empty)
        return 0;
    for (int i = 0; i < t->rank; i++)
        if (__builtin_mul_overflow(numbers, t->shape[i], &numbers) ||
            __builtin_mul_overflow(t->shape[i] - 1, t->stride[i], &way) || __builtin_add_overflow(last, way, &last))
            return machine_fault(m, FAULT_OVERFLOW, "the sizes of a tensor fit no number");
    if (last >= available)
        return machine_fault(m, FAULT_RANGE, "a tensor reaches to element %llu of a storage of %llu",
                             (unsigned long long)last, (unsigned long long)available);
    return 0;
}

/* Version 3 names the type beside the storage, which then may be one of bytes; [out] available: how many elements it has. */
static int take_dtype(struct machine *m, pickle_value args, struct pickle_tensor *t, uint64_t *available)
{
    pickle_value v = item_of_kind(m, args, 6, PICKLE_GLOBAL);
    enum element stored = t->element;

    if (v == PICKLE_ABSENT || machine_at(m, v)->call != CALL_DTYPE_NAME)
        return machine_fault(m, FAULT_SYNTAX, "a tensor whose dtype is no name of torch");
    t->element = dtype_element(m->p->globals[machine_at(m, v)->number].name);
    if (t->element == stored)
        return 0;
    if (stored != ELEMENT_U8)
        return machine_fault(m, FAULT_DTYPE, "a tensor of another type than its storage");
    if (t->element != ELEMENT_OTHER)
        *available /= element_size(t->element);
    return 0;
}

/* (storage, offset, shape, strides, ...) */
static int take_geometry(struct machine *m, pickle_value args, struct pickle_tensor *t)
{
    pickle_value offset = pickle_count(m->p, args) > 1 ? pickle_item(m->p, args, 1) : PICKLE_ABSENT;
    int strides = 0;

    if (take_size(m, offset, "the offset of a tensor", &t->offset) ||
        take_sizes(m, item_of_kind(m, args, 2, PICKLE_TUPLE), "the shape of a tensor", &t->rank, t->shape) ||
        take_sizes(m, item_of_kind(m, args, 3, PICKLE_TUPLE), "the strides of a tensor", &strides, t->stride))
        return m->e->code;
    if (strides != t->rank)
        return machine_fault(m, FAULT_SYNTAX, "a tensor with %d sizes and %d strides", t->rank, strides);
    return 0;
}

static int make_tensor(struct machine *m, pickle_value args, enum call call)
{
    pickle *p = m->p;
    pickle_value storage = item_of_kind(m, args, 0, PICKLE_STORAGE);
    struct pickle_tensor t = {0};
    uint64_t available;

    if (storage == PICKLE_ABSENT)
        return machine_fault(m, FAULT_SYNTAX, "a tensor without a storage");
    t.storage = machine_at(m, storage)->number;
    t.element = p->storages[t.storage].element;
    available = p->storages[t.storage].count;
    if ((call == CALL_TENSOR_V3 && take_dtype(m, args, &t, &available)) || take_geometry(m, args, &t) ||
        check_extent(m, &t, available))
        return m->e->code;
    if (!machine_room(m, &p->tensors, p->tensors_count, &p->tensors_capacity, sizeof *p->tensors))
        return m->e->code;
    p->tensors[p->tensors_count] = t;
    return machine_push_node(m, (struct node){.kind = PICKLE_TENSOR, .number = (uint32_t)p->tensors_count++});
}

static int make_parameter(struct machine *m, pickle_value args, enum call call)
{
    pickle_value tensor = item_of_kind(m, args, 0, PICKLE_TENSOR);

    (void)call;
    if (tensor == PICKLE_ABSENT)
        return machine_fault(m, FAULT_SYNTAX, "a parameter that is no tensor");
    return machine_push(m, tensor);
}

/* ---------------------------------------------------------------- storages */

/* STR, or BYTES of ASCII as Python 2 writes them, and short: a word may be looked at again and again. */
static bool is_word(const struct machine *m, pickle_value v)
{
    struct pickle_text t = pickle_text_of(m->p, v);

    if ((machine_at(m, v)->kind != PICKLE_STR && machine_at(m, v)->kind != PICKLE_BYTES) || t.size > WORD_LIMIT)
        return false;
    for (size_t i = 0; i < t.size; i++)
        if (t.bytes[i] & 0x80)
            return false;
    return true;
}

static bool is_key(struct pickle_text key)
{
    static const char allowed[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_.-";

    if (!key.size || key.size > KEY_LIMIT)
        return false;
    for (size_t i = 0; i < key.size; i++)
        if (!key.bytes[i] || !strchr(allowed, key.bytes[i]))
            return false;
    return true;
}

static int new_storage(struct machine *m, struct pickle_storage s, uint32_t *number)
{
    pickle *p = m->p;

    if (!machine_room(m, &p->storages, p->storages_count, &p->storages_capacity, sizeof *p->storages))
        return m->e->code;
    *number = (uint32_t)p->storages_count++;
    p->storages[*number] = s;
    if (s.root == UINT32_MAX)
        p->storages[*number].root = *number;
    return 0;
}

/* The storage of that key, which must always come with the same type and size. */
static int find_storage(struct machine *m, struct pickle_storage s, uint32_t *number)
{
    const struct pickle_storage *before;
    char key[ESCAPED_SIZE];

    *number = (uint32_t)m->p->storages_count;
    switch (names_add(&m->p->storage_keys, s.key.bytes, s.key.size, number)) {
    case NAMES_NOMEM:
        return err_set(m->e, ERR_NOMEM, "%s: out of memory for the storages of a pickle", m->where);
    case NAMES_ADDED:
        return new_storage(m, s, number);
    case NAMES_TAKEN:
        break;
    }
    before = &m->p->storages[*number];
    if (before->element != s.element || before->count != s.count)
        return machine_fault(m, FAULT_DTYPE, "storage %s comes as %llu times %s and as %llu times %s",
                             escaped(key, s.key.bytes, s.key.size), (unsigned long long)before->count,
                             element_name(before->element), (unsigned long long)s.count, element_name(s.element));
    return 0;
}

/* (view key, offset, size): a part of the storage, as torch wrote it before version 0.4. */
static int make_view(struct machine *m, pickle_value view, uint32_t *number)
{
    struct pickle_storage s = m->p->storages[*number];
    uint64_t offset = 0, size = 0, end;

    if (machine_at(m, view)->kind == PICKLE_NONE)
        return 0;
    if (machine_at(m, view)->kind != PICKLE_TUPLE || pickle_count(m->p, view) != 3)
        return machine_fault(m, FAULT_SYNTAX, "the view of a storage is no triple");
    if (take_size(m, pickle_item(m->p, view, 1), "the offset of a view", &offset) ||
        take_size(m, pickle_item(m->p, view, 2), "the size of a view", &size))
        return m->e->code;
    if (__builtin_add_overflow(offset, size, &end) || end > s.count)
        return machine_fault(m, FAULT_RANGE, "a view reaches beyond its storage");
    s.root = *number;
    s.view = offset;
    s.count = size;
    return new_storage(m, s, number);
}

int pickle_call_persistent(struct machine *m, pickle_value id)
{
    size_t want = m->options->storages == PICKLE_LEGACY_STORAGES ? 6 : 5;
    struct pickle_storage s = {.root = UINT32_MAX};
    const struct pickle *p = m->p;
    uint32_t number = 0;
    pickle_value type;

    if (m->options->storages == PICKLE_NO_STORAGES)
        return machine_fault(m, FAULT_UNSUPPORTED, "a persistent id; this file may not have any");
    if (machine_at(m, id)->kind != PICKLE_TUPLE || pickle_count(p, id) != want ||
        !pickle_is_text(p, pickle_item(p, id, 0), "storage"))
        return machine_fault(m, FAULT_UNSUPPORTED, "a persistent id that is no storage of %zu parts", want);
    type = item_of_kind(m, id, 1, PICKLE_GLOBAL);
    if (type == PICKLE_ABSENT || machine_at(m, type)->call != CALL_STORAGE)
        return machine_fault(m, FAULT_SYNTAX, "a storage whose type is no storage of torch");
    if (!is_word(m, pickle_item(p, id, 2)) || !is_key(s.key = pickle_text_of(p, pickle_item(p, id, 2))))
        return machine_fault(m, FAULT_SYNTAX, "a storage whose key is not 1 to %d letters and digits", KEY_LIMIT);
    if (!is_word(m, pickle_item(p, id, 3)))
        return machine_fault(m, FAULT_SYNTAX, "a storage whose place is no short text");
    if (take_size(m, pickle_item(p, id, 4), "the size of a storage", &s.count))
        return m->e->code;
    s.element = storage_element(p->globals[machine_at(m, type)->number].name);
    if (find_storage(m, s, &number) || (want == 6 && make_view(m, pickle_item(p, id, 5), &number)))
        return m->e->code;
    return machine_push_node(m, (struct node){.kind = PICKLE_STORAGE, .number = number});
}

/* ---------------------------------------------------------------- dicts and texts */

/* OrderedDict(), or OrderedDict([[key, value], ...]) as Python 2 writes it. */
static int make_dict(struct machine *m, pickle_value args, enum call call)
{
    pickle_value made, list, pair[2];
    size_t n;

    (void)call;
    if (pickle_count(m->p, args) > 1)
        return machine_fault(m, FAULT_SYNTAX, "an OrderedDict of %zu arguments", pickle_count(m->p, args));
    if ((made = machine_node(m, (struct node){.kind = PICKLE_DICT})) == PICKLE_ABSENT)
        return m->e->code;
    if (pickle_count(m->p, args) == 0)
        return machine_push(m, made);
    if ((list = item_of_kind(m, args, 0, PICKLE_LIST)) == PICKLE_ABSENT)
        return machine_fault(m, FAULT_SYNTAX, "an OrderedDict of something else than a list of pairs");
    n = pickle_count(m->p, list);
    for (size_t i = 0; i < n; i++) {
        pickle_value one = pickle_item(m->p, list, i);

        if ((machine_at(m, one)->kind != PICKLE_LIST && machine_at(m, one)->kind != PICKLE_TUPLE) ||
            pickle_count(m->p, one) != 2)
            return machine_fault(m, FAULT_SYNTAX, "an OrderedDict of something else than a list of pairs");
        pair[0] = pickle_item(m->p, one, 0);
        pair[1] = pickle_item(m->p, one, 1);
        if (machine_extend(m, made, pair, 2))
            return m->e->code;
    }
    return machine_push(m, made);
}

static int make_size(struct machine *m, pickle_value args, enum call call)
{
    pickle_value tuple = item_of_kind(m, args, 0, PICKLE_TUPLE);

    (void)call;
    if (tuple == PICKLE_ABSENT)
        return machine_fault(m, FAULT_SYNTAX, "a torch.Size that is no tuple");
    return machine_push(m, tuple);
}

/* Each code point up to 255 is one byte; returns how many, or SIZE_MAX if one is larger. */
static size_t decode_latin1(struct pickle_text text, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.bytes[i];

        if (c >= 0x80 && c != 0xc2 && c != 0xc3)
            return SIZE_MAX;
        out[n++] = (char)(c < 0x80 ? c : (c & 3) << 6 | (text.bytes[++i] & 0x3f)); /* valid UTF-8: the byte is there */
    }
    return n;
}

static bool plain_ascii(struct pickle_text text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.bytes[i] & 0x80)
            return false;
    return true;
}

/* encode(text, "latin1"): how Python 3 writes bytes in protocol 2.  Each text of the file is decoded once at most, so what
 * is decoded cannot outgrow the file. */
static int make_bytes(struct machine *m, pickle_value args, enum call call)
{
    pickle *p = m->p;
    pickle_value source = item_of_kind(m, args, 0, PICKLE_STR);
    struct pickle_text text;
    size_t n;
    char *decoded;

    (void)call;
    if (source == PICKLE_ABSENT || pickle_count(p, args) != 2 ||
        (!pickle_is_text(p, pickle_item(p, args, 1), "latin1") &&
         !pickle_is_text(p, pickle_item(p, args, 1), "latin-1")))
        return machine_fault(m, FAULT_UNSUPPORTED, "_codecs.encode of something else than a text to latin1");
    text = pickle_text_of(p, source);
    if ((m->decoded_bytes += text.size) > m->size)
        return machine_fault(m, FAULT_LIMIT, "the same text is decoded many times");
    if (plain_ascii(text))
        return machine_push_node(m,
                                 (struct node){.kind = PICKLE_BYTES, .count = (uint32_t)text.size, .text = text.bytes});
    if (!machine_room(m, &p->decoded, p->decoded_count, &p->decoded_capacity, sizeof *p->decoded))
        return m->e->code;
    if (!(decoded = malloc(text.size)))
        return err_set(m->e, ERR_NOMEM, "%s: out of memory for %zu bytes", m->where, text.size);
    p->decoded[p->decoded_count++] = decoded;
    if ((n = decode_latin1(text, decoded)) == SIZE_MAX)
        return machine_fault(m, FAULT_SYNTAX, "a text that does not fit latin1");
    return machine_push_node(m, (struct node){.kind = PICKLE_BYTES, .count = (uint32_t)n, .text = decoded});
}

/* ---------------------------------------------------------------- NumPy */

static int push_array(struct machine *m, enum pickle_kind kind, struct pickle_array a)
{
    pickle *p = m->p;

    if (!machine_room(m, &p->arrays, p->arrays_count, &p->arrays_capacity, sizeof *p->arrays))
        return m->e->code;
    p->arrays[p->arrays_count] = a;
    return machine_push_node(m, (struct node){.kind = (uint8_t)kind, .number = (uint32_t)p->arrays_count++});
}

/* _reconstruct(ndarray, (0,), b"b"): an array that BUILD will fill. */
static int make_array(struct machine *m, pickle_value args, enum call call)
{
    pickle_value type = item_of_kind(m, args, 0, PICKLE_GLOBAL);

    (void)call;
    if (!m->options->numpy || type == PICKLE_ABSENT || machine_at(m, type)->call != CALL_NDARRAY)
        return push_opaque(m);
    return push_array(m, PICKLE_ARRAY, (struct pickle_array){0});
}

/* dtype("u1", 0, 1) */
static int make_dtype(struct machine *m, pickle_value args, enum call call)
{
    (void)call;
    if (!m->options->numpy)
        return push_opaque(m);
    if (!pickle_count(m->p, args) || !is_word(m, pickle_item(m->p, args, 0)))
        return machine_fault(m, FAULT_SYNTAX, "a NumPy dtype that is no text");
    return push_array(m, PICKLE_DTYPE,
                      (struct pickle_array){.dtype = pickle_text_of(m->p, pickle_item(m->p, args, 0)), .order = '|'});
}

/* (version, byte order, ...); nothing else matters here. */
static int build_dtype(struct machine *m, pickle_value target, pickle_value state)
{
    struct pickle_text order = {"", 0};

    if (machine_at(m, state)->kind == PICKLE_TUPLE && pickle_count(m->p, state) > 1)
        order = pickle_text_of(m->p, pickle_item(m->p, state, 1));
    if (order.size == 1)
        m->p->arrays[machine_at(m, target)->number].order = order.bytes[0];
    return 0;
}

/* (version, shape, dtype, is column-major, bytes) */
static int build_array(struct machine *m, pickle_value target, pickle_value state)
{
    struct node *node = machine_at(m, target);
    struct pickle_array *a = &m->p->arrays[node->number];
    pickle_value dtype = item_of_kind(m, state, 2, PICKLE_DTYPE), fortran, bytes;

    if (node->filled)
        return machine_fault(m, FAULT_DUP, "an array is filled twice");
    if (pickle_count(m->p, state) != 5 || dtype == PICKLE_ABSENT)
        return machine_fault(m, FAULT_SYNTAX, "an array whose state is not (version, shape, dtype, order, bytes)");
    if (take_sizes(m, item_of_kind(m, state, 1, PICKLE_TUPLE), "the shape of an array", &a->rank, a->shape))
        return m->e->code;
    fortran = pickle_item(m->p, state, 3);
    bytes = pickle_item(m->p, state, 4);
    if (machine_at(m, fortran)->kind != PICKLE_BOOL && machine_at(m, fortran)->kind != PICKLE_INT)
        return machine_fault(m, FAULT_SYNTAX, "an array whose order is neither row-major nor column-major");
    if (machine_at(m, bytes)->kind != PICKLE_BYTES)
        return machine_fault(m, FAULT_UNSUPPORTED, "an array of %s instead of bytes",
                             pickle_kind_name((enum pickle_kind)machine_at(m, bytes)->kind));
    a->dtype = m->p->arrays[machine_at(m, dtype)->number].dtype;
    a->order = m->p->arrays[machine_at(m, dtype)->number].order;
    a->fortran = pickle_int(m->p, fortran) != 0;
    a->bytes = pickle_text_of(m->p, bytes);
    node->filled = 1;
    return 0;
}

/* ---------------------------------------------------------------- calling and building */

static int make_opaque(struct machine *m, pickle_value args, enum call call)
{
    (void)args;
    (void)call;
    return push_opaque(m);
}

static int (*const makers[CALL_COUNT])(struct machine *m, pickle_value args, enum call call) = {
    [CALL_UNKNOWN] = make_opaque,   [CALL_KNOWN] = make_opaque,      [CALL_DICT] = make_dict,
    [CALL_STORAGE] = make_opaque,   [CALL_DTYPE_NAME] = make_opaque, [CALL_TENSOR] = make_tensor,
    [CALL_TENSOR_V2] = make_tensor, [CALL_TENSOR_V3] = make_tensor,  [CALL_PARAMETER] = make_parameter,
    [CALL_SIZE] = make_size,        [CALL_ENCODE] = make_bytes,      [CALL_ARRAY] = make_array,
    [CALL_NDARRAY] = make_opaque,   [CALL_DTYPE] = make_dtype,
};

int pickle_call_reduce(struct machine *m, pickle_value callee, pickle_value args)
{
    const struct node *f = machine_at(m, callee);

    if (f->kind != PICKLE_GLOBAL && f->kind != PICKLE_OPAQUE)
        return machine_fault(m, FAULT_SYNTAX, "calls %s", pickle_kind_name((enum pickle_kind)f->kind));
    if (f->kind == PICKLE_OPAQUE)
        return push_opaque(m);
    if (machine_at(m, args)->kind != PICKLE_TUPLE && f->call > CALL_KNOWN)
        return machine_fault(m, FAULT_SYNTAX, "calls with %s instead of a tuple",
                             pickle_kind_name((enum pickle_kind)machine_at(m, args)->kind));
    return makers[f->call](m, args, (enum call)f->call);
}

int pickle_call_build(struct machine *m, pickle_value target, pickle_value state)
{
    switch (machine_at(m, target)->kind) {
    case PICKLE_DICT:
    case PICKLE_TENSOR:
    case PICKLE_OPAQUE:
        return 0; /* the state is dropped */
    case PICKLE_ARRAY:
        return build_array(m, target, state);
    case PICKLE_DTYPE:
        return build_dtype(m, target, state);
    default:
        return machine_fault(m, FAULT_SYNTAX, "gives a state to %s",
                             pickle_kind_name((enum pickle_kind)machine_at(m, target)->kind));
    }
}
