/* io/containers/npy.c - see npy.h.
 *
 * The header is a Python dict written as text.  Exactly the text that NumPy writes is understood: three keys in any order,
 * a quoted type, True or False, a tuple of numbers. */
#include "io/containers/npy.h"

#include <stdio.h>
#include <string.h>

#include "io/containers/fault.h"

static const unsigned char magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

static const struct {
    char text[3]; /* behind the byte order */
    enum element element;
} types[] = {
    {"f4", ELEMENT_F32}, {"f8", ELEMENT_F64},  {"f2", ELEMENT_F16}, {"u1", ELEMENT_U8},
    {"i1", ELEMENT_I8},  {"b1", ELEMENT_BOOL}, {"i2", ELEMENT_I16}, {"u2", ELEMENT_U16},
    {"i4", ELEMENT_I32}, {"u4", ELEMENT_U32},  {"i8", ELEMENT_I64}, {"u8", ELEMENT_U64},
};

int npy_header_size(const char *where, const unsigned char *bytes, size_t have, uint64_t size,
                    const struct container_limits *limits, size_t *header, err *e)
{
    size_t prefix, length;

    if (have < sizeof magic)
        return fault_set(e, FAULT_TRUNC, "%s: ends within the header of an array", where);
    if (memcmp(bytes, magic, sizeof magic) != 0)
        return fault_set(e, FAULT_MAGIC, "%s: is no array of NumPy", where);
    if (have < 8)
        return fault_set(e, FAULT_TRUNC, "%s: ends within the header of an array", where);
    if (bytes[6] < 1 || bytes[6] > 3)
        return fault_set(e, FAULT_VERSION, "%s: version %d of NumPy's format; 1, 2 and 3 are read", where, bytes[6]);
    prefix = bytes[6] == 1 ? 10 : NPY_PREFIX;
    if (have < prefix)
        return fault_set(e, FAULT_TRUNC, "%s: ends within the header of an array", where);
    length = bytes[8] | (size_t)bytes[9] << 8;
    if (prefix == NPY_PREFIX)
        length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (length > size - prefix)
        return fault_set(e, FAULT_TRUNC, "%s: the header of the array is longer than the file", where);
    if (length > limit_of(limits, LIMIT_NPY_HEADER))
        return limit_fault(limits, LIMIT_NPY_HEADER, e, "%s: a header of %zu bytes", where, length);
    *header = prefix + length;
    return 0;
}

/* ---------------------------------------------------------------- the dict */

struct text {
    const char *where, *file, *at, *end; /* file: its first byte */
    err *e;
};

static int bad(struct text *t, const char *what)
{
    char near[ESCAPED_SIZE];
    size_t left = (size_t)(t->end - t->at);

    return fault_set(t->e, FAULT_SYNTAX, "%s: the header of the array: %s at byte %zu, '%s'", t->where, what,
                     (size_t)(t->at - t->file), escaped(near, t->at, left < 30 ? left : 30));
}

static void skip_spaces(struct text *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\t' || *t->at == '\n' || *t->at == '\r'))
        t->at++;
}

static bool accept(struct text *t, const char *word)
{
    size_t n = strlen(word);

    skip_spaces(t);
    if ((size_t)(t->end - t->at) < n || memcmp(t->at, word, n) != 0)
        return false;
    t->at += n;
    return true;
}

/* A quoted text without backslashes. */
static int take_string(struct text *t, char *out, size_t size)
{
    const char *start;
    char quote;

    skip_spaces(t);
    if (t->at == t->end || (*t->at != '\'' && *t->at != '"'))
        return bad(t, "expected a quoted text");
    quote = *t->at++;
    for (start = t->at; t->at < t->end && *t->at != quote; t->at++)
        if (*t->at == '\\' || *t->at == '\n')
            return bad(t, "a text with a backslash or over two lines");
    if (t->at == t->end)
        return bad(t, "a text without an end");
    snprintf(out, size, "%.*s", (int)(t->at - start < 64 ? t->at - start : 64), start);
    t->at++;
    return 0;
}

static int take_number(struct text *t, uint64_t *out)
{
    const char *start;

    skip_spaces(t);
    *out = 0;
    for (start = t->at; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++)
        if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, (uint64_t)(*t->at - '0'), out))
            return fault_set(t->e, FAULT_OVERFLOW, "%s: the header of the array: a size that fits no number", t->where);
    if (t->at == start)
        return bad(t, "expected a size");
    if (t->at < t->end && *t->at == 'L') /* Python 2 */
        t->at++;
    return 0;
}

/* "()", "(3,)", "(3, 4)", "(3, 4,)" */
static int take_shape(struct text *t, struct npy *out)
{
    bool comma = false;

    if (!accept(t, "("))
        return bad(t, "expected a tuple");
    for (out->rank = 0; !accept(t, ")"); comma = accept(t, ",")) {
        if (out->rank && !comma)
            return bad(t, "expected a comma or the end of a tuple");
        if (out->rank == NPY_MAX_RANK)
            return fault_set(t->e, FAULT_LIMIT, "%s: the header of the array: more than %d dimensions", t->where,
                             NPY_MAX_RANK);
        if (take_number(t, &out->shape[out->rank++]))
            return t->e->code;
    }
    return out->rank == 1 && !comma ? bad(t, "a tuple of one without its comma") : 0;
}

static int take_type(struct text *t, bool v2_is_bf16, struct npy *out)
{
    char text[80], shown[ESCAPED_SIZE];

    skip_spaces(t);
    if (t->at < t->end && *t->at == '[')
        return fault_set(t->e, FAULT_DTYPE, "%s: an array of records", t->where);
    if (take_string(t, text, sizeof text))
        return t->e->code;
    out->big = text[0] == '>';
    if (v2_is_bf16 && !strcmp(text, "|V2")) {
        out->element = ELEMENT_BF16;
        return 0;
    }
    if (strlen(text) == 3 && strchr("<>|=", text[0]))
        for (size_t i = 0; i < sizeof types / sizeof *types; i++)
            if (!strcmp(text + 1, types[i].text)) {
                out->element = types[i].element;
                return 0;
            }
    return fault_set(t->e, FAULT_DTYPE, "%s: an array of type '%s' is not read%s", t->where,
                     escaped(shown, text, strlen(text)),
                     strcmp(text, "|V2") ? "" : "; if it is bfloat16, say --npz-v2-is-bf16");
}

static int take_order(struct text *t, struct npy *out)
{
    if (accept(t, "True"))
        out->fortran = true;
    else if (!accept(t, "False"))
        return bad(t, "expected True or False");
    return 0;
}

enum { DESCR = 1, ORDER = 2, SHAPE = 4, ALL = 7 };

static int take_pair(struct text *t, bool v2_is_bf16, int *seen, struct npy *out)
{
    static const struct {
        const char *key;
        int bit;
    } keys[] = {{"descr", DESCR}, {"fortran_order", ORDER}, {"shape", SHAPE}};
    char key[80];
    int bit = 0;

    if (take_string(t, key, sizeof key))
        return t->e->code;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strcmp(key, keys[i].key))
            bit = keys[i].bit;
    if (!bit)
        return bad(t, "an unknown key before");
    if (*seen & bit)
        return fault_set(t->e, FAULT_DUP, "%s: the header of the array says '%s' twice", t->where, key);
    *seen |= bit;
    if (!accept(t, ":"))
        return bad(t, "expected a colon");
    return bit == DESCR ? take_type(t, v2_is_bf16, out) : bit == ORDER ? take_order(t, out) : take_shape(t, out);
}

static int take_dict(struct text *t, bool v2_is_bf16, struct npy *out)
{
    bool comma = true;
    int seen = 0;

    if (!accept(t, "{"))
        return bad(t, "expected a dict");
    for (; !accept(t, "}"); comma = accept(t, ",")) {
        if (!comma)
            return bad(t, "expected a comma or the end of the dict");
        if (take_pair(t, v2_is_bf16, &seen, out))
            return t->e->code;
    }
    skip_spaces(t);
    if (t->at != t->end)
        return bad(t, "something follows the dict");
    if (seen != ALL)
        return fault_set(t->e, FAULT_MISSING, "%s: the header of the array lacks one of descr, fortran_order, shape",
                         t->where);
    return 0;
}

int npy_parse(const char *where, const unsigned char *bytes, size_t header, uint64_t size, bool v2_is_bf16,
              struct npy *out, err *e)
{
    size_t prefix = bytes[6] == 1 ? 10 : NPY_PREFIX;
    struct text t = {where, (const char *)bytes, (const char *)bytes + prefix, (const char *)bytes + header, e};
    uint64_t numbers;

    *out = (struct npy){0};
    if (take_dict(&t, v2_is_bf16, out))
        return e->code;
    if (!sizes_product(out->rank, out->shape, &numbers) ||
        __builtin_mul_overflow(numbers, element_size(out->element), &out->bytes))
        return fault_set(e, FAULT_OVERFLOW, "%s: the sizes of the array fit no number", where);
    if (out->bytes > size - header)
        return fault_set(e, FAULT_TRUNC, "%s: %llu bytes of numbers from byte %zu, the array has %llu", where,
                         (unsigned long long)(size - header), header, (unsigned long long)out->bytes);
    if (out->bytes < size - header)
        return fault_set(e, FAULT_RANGE, "%s: %llu bytes of numbers from byte %zu, the array has %llu", where,
                         (unsigned long long)(size - header), header, (unsigned long long)out->bytes);
    return 0;
}

void npy_to_f32(const struct npy *npy, const void *from, float *to)
{
    uint64_t stride[NPY_MAX_RANK], step = 1;

    for (int i = 0; i < npy->rank; i++) {
        int axis = npy->fortran ? i : npy->rank - 1 - i;

        stride[axis] = step;
        step *= npy->shape[axis];
    }
    elements_gather(npy->element, npy->big, from, 0, npy->rank, npy->shape, stride, to);
}
