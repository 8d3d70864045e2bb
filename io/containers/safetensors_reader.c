/* io/containers/safetensors_reader.c - tensors in .safetensors files: the length of a JSON header, the header, and the
 * numbers, which the tensors must tile from the first byte to the last.
 *
 * The header's JSON is narrower than JSON: no signs, fractions or words outside of texts, and three levels at most.  That
 * is checked over the bytes first; jansson does the rest. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "io/containers/fault.h"
#include "io/containers/reader.h"

enum { HEADER_LIMIT = 16 << 20, PREFIX = 8, DEPTH_LIMIT = 3 };
#define LARGEST_NUMBER ((json_int_t)1 << 53)

/* Their bits decide the size; OTHER types are listed and not read. */
static const struct {
    const char *name;
    unsigned bits;
    enum element element;
} types[] = {
    {"F32", 32, ELEMENT_F32},      {"F16", 16, ELEMENT_F16},          {"BF16", 16, ELEMENT_BF16},
    {"F64", 64, ELEMENT_F64},      {"BOOL", 8, ELEMENT_BOOL},         {"U8", 8, ELEMENT_U8},
    {"I8", 8, ELEMENT_I8},         {"U16", 16, ELEMENT_U16},          {"I16", 16, ELEMENT_I16},
    {"U32", 32, ELEMENT_U32},      {"I32", 32, ELEMENT_I32},          {"U64", 64, ELEMENT_U64},
    {"I64", 64, ELEMENT_I64},      {"C64", 64, ELEMENT_OTHER},        {"F8_E5M2", 8, ELEMENT_OTHER},
    {"F8_E4M3", 8, ELEMENT_OTHER}, {"F8_E5M2FNUZ", 8, ELEMENT_OTHER}, {"F8_E4M3FNUZ", 8, ELEMENT_OTHER},
    {"F8_E8M0", 8, ELEMENT_OTHER}, {"F4", 4, ELEMENT_OTHER},          {"F6_E2M3", 6, ELEMENT_OTHER},
    {"F6_E3M2", 6, ELEMENT_OTHER},
};

struct range {
    uint64_t from, to;
};

struct safetensors {
    uint64_t data; /* where the numbers begin */
    struct range *ranges;
    size_t ranges_capacity;
};

/* ---------------------------------------------------------------- the header's bytes */

/* Outside of texts: brackets, commas, colons, digits and spaces, not nested deeper than the format goes. */
static int check_bytes(const struct tensor_file *f, const char *text, size_t n, err *e)
{
    bool quoted = false;
    int depth = 0;

    for (size_t i = 0; i < n; i++) {
        char c = text[i], shown[ESCAPED_SIZE];

        if (quoted) {
            if (c == '\\')
                i++;
            quoted = c != '"';
            continue;
        }
        quoted = c == '"';
        depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        if (depth > DEPTH_LIMIT)
            return fault_set(e, FAULT_SYNTAX, "%s: the header is nested deeper than %d", f->source.name, DEPTH_LIMIT);
        if (!c || !strchr("{}[]:,\" \t\r\n0123456789", c))
            return fault_set(e, FAULT_SYNTAX, "%s: the header has '%s' at byte %zu", f->source.name,
                             escaped(shown, &c, 1), i + PREFIX);
    }
    return 0;
}

static int parse(const struct tensor_file *f, const char *text, size_t n, json_t **out, err *e)
{
    json_error_t error;
    char shown[ESCAPED_SIZE];

    if (check_bytes(f, text, n, e))
        return e->code;
    if ((*out = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error)))
        return 0;
    return fault_set(e, json_error_code(&error) == json_error_duplicate_key ? FAULT_DUP : FAULT_SYNTAX,
                     "%s: the header is wrong at byte %d: %s", f->source.name, error.position + PREFIX,
                     escaped(shown, error.text, strlen(error.text)));
}

/* ---------------------------------------------------------------- entries */

static int entry_fault(const struct tensor_file *f, enum fault kind, const char *name, const char *what, err *e)
{
    char text[ESCAPED_SIZE];

    return fault_set(e, kind, "%s: tensor '%s' %s", f->source.name, escaped(text, name, strlen(name)), what);
}

/* A list of up to `most` whole numbers. */
static bool take_numbers(const json_t *list, size_t most, uint64_t *out, size_t *count)
{
    *count = json_array_size(list);
    if (!json_is_array(list) || *count > most)
        return false;
    for (size_t i = 0; i < *count; i++) {
        const json_t *one = json_array_get(list, i);

        if (!json_is_integer(one) || json_integer_value(one) < 0 || json_integer_value(one) > LARGEST_NUMBER)
            return false;
        out[i] = (uint64_t)json_integer_value(one);
    }
    return true;
}

static int find_type(const struct tensor_file *f, const char *name, const json_t *dtype, size_t *type, err *e)
{
    if (!json_is_string(dtype))
        return entry_fault(f, FAULT_SYNTAX, name, "has no dtype", e);
    for (*type = 0; *type < sizeof types / sizeof *types; ++*type)
        if (!strcmp(json_string_value(dtype), types[*type].name))
            return 0;
    return entry_fault(f, FAULT_UNSUPPORTED, name, "is of an unknown dtype", e);
}

static int keep_range(struct tensor_file *f, struct range range, err *e)
{
    struct safetensors *s = f->state;

    if (f->count >= s->ranges_capacity) {
        size_t wanted = s->ranges_capacity ? 2 * s->ranges_capacity : 64;
        struct range *bigger = realloc(s->ranges, wanted * sizeof *bigger);

        if (!bigger)
            return err_set(e, ERR_NOMEM, "%s: out of memory for its tensors", f->source.name);
        s->ranges = bigger;
        s->ranges_capacity = wanted;
    }
    s->ranges[f->count] = range;
    return 0;
}

static int take_entry(struct tensor_file *f, const char *name, const json_t *entry, err *e)
{
    uint64_t shape[TENSOR_MAX_RANK], offsets[2], count, bits, size;
    const json_t *sizes = json_object_get(entry, "shape");
    size_t rank, pair, type;

    if (!json_is_object(entry) || json_object_size(entry) != 3 || !json_is_array(sizes))
        return entry_fault(f, FAULT_SYNTAX, name, "does not have exactly dtype, shape and data_offsets", e);
    if (find_type(f, name, json_object_get(entry, "dtype"), &type, e))
        return e->code;
    if (json_array_size(sizes) > TENSOR_MAX_RANK)
        return entry_fault(f, FAULT_LIMIT, name, "has more than 8 dimensions", e);
    if (!take_numbers(sizes, TENSOR_MAX_RANK, shape, &rank) ||
        !take_numbers(json_object_get(entry, "data_offsets"), 2, offsets, &pair) || pair != 2)
        return entry_fault(f, FAULT_SYNTAX, name, "has a shape or offsets that are no lists of numbers", e);
    if (!sizes_product((int)rank, shape, &count) || __builtin_mul_overflow(count, types[type].bits, &bits))
        return entry_fault(f, FAULT_OVERFLOW, name, "has sizes that fit no number", e);
    if (offsets[0] > offsets[1] || __builtin_mul_overflow(offsets[1] - offsets[0], 8, &size) || size != bits)
        return entry_fault(f, FAULT_RANGE, name, "has offsets that do not fit its shape and dtype", e);
    if (keep_range(f, (struct range){offsets[0], offsets[1]}, e))
        return e->code;
    return tensors_add(f, "", 0, name, strlen(name), types[type].element, (int)rank, shape, e);
}

static int check_metadata(const struct tensor_file *f, const json_t *metadata, err *e)
{
    const char *key;
    json_t *value;

    if (!json_is_object(metadata))
        return fault_set(e, FAULT_SYNTAX, "%s: __metadata__ is no object of texts", f->source.name);
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value) if (!json_is_string(value)) return fault_set(
        e, FAULT_SYNTAX, "%s: __metadata__ is no object of texts", f->source.name);
    return 0;
}

static int by_place(const void *x, const void *y)
{
    const struct range *a = x, *b = y;

    if (a->from != b->from)
        return a->from < b->from ? -1 : 1;
    return (a->to > b->to) - (a->to < b->to);
}

/* Each tensor begins where the one before ends; empty ones may stand anywhere between two. */
static int check_tiling(const struct tensor_file *f, err *e)
{
    const struct safetensors *s = f->state;
    struct range *sorted = malloc((f->count + 1) * sizeof *sorted);
    uint64_t at = 0, size = f->source.size - s->data;

    if (!sorted)
        return err_set(e, ERR_NOMEM, "%s: out of memory for its tensors", f->source.name);
    if (f->count)
        memcpy(sorted, s->ranges, f->count * sizeof *sorted);
    qsort(sorted, f->count, sizeof *sorted, by_place);
    for (size_t i = 0; i < f->count && !e->code; i++) {
        if (sorted[i].from != at)
            fault_set(e, FAULT_RANGE, "%s: the tensors %s at byte %llu of the data", f->source.name,
                      sorted[i].from < at ? "overlap" : "leave a hole", (unsigned long long)at);
        at = sorted[i].to;
    }
    free(sorted);
    if (!e->code && at != size)
        fault_set(e, at > size ? FAULT_TRUNC : FAULT_RANGE, "%s: the tensors need %llu bytes, the file has %llu",
                  f->source.name, (unsigned long long)at, (unsigned long long)size);
    return e->code;
}

static int take_header(struct tensor_file *f, const char *text, size_t n, err *e)
{
    const char *name;
    json_t *header, *entry;

    if (parse(f, text, n, &header, e))
        return e->code;
    json_object_foreach(header, name, entry)
    {
        if (!strcmp(name, "__metadata__") ? check_metadata(f, entry, e) : take_entry(f, name, entry, e))
            break;
    }
    json_decref(header);
    if (e->code)
        return e->code;
    return check_tiling(f, e);
}

/* ---------------------------------------------------------------- the reader */

static int safetensors_open(struct tensor_file *f, err *e)
{
    struct safetensors *s = calloc(1, sizeof *s);
    unsigned char prefix[PREFIX];
    uint64_t n = 0;
    char *text;

    if (!(f->state = s))
        return err_set(e, ERR_NOMEM, "%s: out of memory", f->source.name);
    if (source_read(&f->source, 0, prefix, PREFIX, e))
        return e->code;
    for (int i = PREFIX - 1; i >= 0; i--)
        n = n << 8 | prefix[i];
    if (n > f->source.size - PREFIX)
        return fault_set(e, FAULT_TRUNC, "%s: a header of %llu bytes is longer than the file", f->source.name,
                         (unsigned long long)n);
    if (n > HEADER_LIMIT)
        return fault_set(e, FAULT_LIMIT, "%s: a header of %llu bytes, at most %d are read", f->source.name,
                         (unsigned long long)n, HEADER_LIMIT);
    s->data = PREFIX + n;
    if (!(text = malloc(n + 1)))
        return err_set(e, ERR_NOMEM, "%s: out of memory for its header", f->source.name);
    if (!source_read(&f->source, PREFIX, text, n, e))
        take_header(f, text, n, e);
    free(text);
    return e->code;
}

static int safetensors_read(struct tensor_file *f, size_t i, float *to, err *e)
{
    const struct safetensors *s = f->state;
    size_t size = (size_t)(s->ranges[i].to - s->ranges[i].from);
    void *bytes = f->info[i].element == ELEMENT_F32 ? (void *)to : malloc(size);

    if (!bytes)
        return err_set(e, ERR_NOMEM, "%s: out of memory for %s", f->source.name, f->info[i].name);
    if (!source_read(&f->source, s->data + s->ranges[i].from, bytes, size, e))
        elements_to_f32(f->info[i].element, false, bytes, to, f->info[i].count);
    if (bytes != (void *)to)
        free(bytes);
    return e->code;
}

static void safetensors_close(struct tensor_file *f)
{
    struct safetensors *s = f->state;

    free(s->ranges);
    free(s);
}

const struct tensor_reader safetensors_reader = {"safetensors", safetensors_open, safetensors_read, safetensors_close};
