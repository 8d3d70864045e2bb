/* io/containers/safetensors_reader.c - tensors in .safetensors files: the length of a JSON header, the header, and the
 * numbers, which the tensors must tile from the first byte to the last.
 *
 * The header's JSON is narrower than JSON: no signs, fractions or words outside of texts, three levels at most, nothing but
 * spaces behind it, and lists and objects of no more parts than a header can need.  That is checked over the bytes first.
 * jansson then parses name after name and entry after entry: the values of a whole header would take twenty times its size. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/containers/fault.h"
#include "io/containers/names.h"
#include "io/containers/reader.h"

enum { PREFIX = 8, DEPTH_LIMIT = 3, METADATA_LIMIT = 4096 };
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
    {"I64", 64, ELEMENT_I64},      {"C64", 64, ELEMENT_C64},          {"F8_E5M2", 8, ELEMENT_OTHER},
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

/* How far a look over the bytes of the header has come. */
struct scan {
    bool quoted, closed; /* within a text; behind the object */
    int depth;
    /* Of the object of all tensors; of all the objects in it together; of the open list. */
    size_t commas[DEPTH_LIMIT + 1];
};

/* More parts than so many tensors with three fields each, texts of __metadata__ and shapes can have. */
static bool too_many(const struct scan *s)
{
    return s->commas[2] > METADATA_LIMIT + 2 * (s->commas[1] + 1) || s->commas[3] > TENSOR_MAX_RANK - 1;
}

/* A byte outside of texts. */
static int scan_byte(const struct tensor_file *f, struct scan *s, char c, size_t at, err *e)
{
    char shown[ESCAPED_SIZE];

    s->quoted = c == '"';
    if (s->closed ? c != ' ' : !c || !strchr("{}[]:,\" \t\r\n0123456789", c))
        return fault_set(e, FAULT_SYNTAX, "%s: the header has '%s' at byte %zu", f->source.name, escaped(shown, &c, 1),
                         at + PREFIX);
    if (c == '{' || c == '[') {
        if (s->depth == DEPTH_LIMIT)
            return fault_set(e, FAULT_SYNTAX, "%s: the header is nested deeper than %d", f->source.name, DEPTH_LIMIT);
        if (++s->depth == DEPTH_LIMIT)
            s->commas[DEPTH_LIMIT] = 0;
    } else if ((c == '}' || c == ']') && s->depth) {
        s->closed = --s->depth == 0;
    } else if (c == ',') {
        s->commas[s->depth]++;
        if (s->commas[1] > limit_of(&f->options.limits, LIMIT_TENSORS)) /* __metadata__ among them */
            return limit_fault(&f->options.limits, LIMIT_TENSORS, e, "%s: more tensors by byte %zu of the header",
                               f->source.name, at + PREFIX);
        if (too_many(s))
            return fault_set(e, FAULT_LIMIT, "%s: the header has a list or an object of too many parts at byte %zu",
                             f->source.name, at + PREFIX);
    }
    return 0;
}

/* [out] where the object ends: its last bracket. */
static int check_bytes(const struct tensor_file *f, const char *text, size_t n, size_t *end, err *e)
{
    struct scan s = {0};

    for (size_t i = 0; i < n; i++) {
        if (!s.quoted) {
            *end = s.closed ? *end : i;
            if (scan_byte(f, &s, text[i], i, e))
                return e->code;
        } else if (text[i] == '\\') {
            i++;
        } else {
            s.quoted = text[i] != '"';
        }
    }
    if (s.closed && text[*end] == '}')
        return 0;
    return fault_set(e, FAULT_SYNTAX, "%s: the header is no complete object", f->source.name);
}

/* The header, whose bytes have been checked, up to its last bracket. */
struct header {
    const char *text;
    size_t at, end;
};

static void skip_spaces(struct header *h)
{
    while (h->at < h->end && strchr(" \t\r\n", h->text[h->at]))
        h->at++;
}

static int broken(const struct tensor_file *f, const struct header *h, const char *what, err *e)
{
    return fault_set(e, FAULT_SYNTAX, "%s: the header is wrong at byte %zu: expected %s", f->source.name,
                     h->at + PREFIX, what);
}

/* Behind a text that begins here. */
static size_t behind_text(const struct header *h)
{
    size_t i = h->at + 1;

    for (; i < h->end && h->text[i] != '"'; i++)
        i += h->text[i] == '\\';
    return i + 1;
}

/* Behind a value that begins here: at a comma that is not within it, or at the end. */
static size_t behind_value(struct header h)
{
    for (int depth = 0; h.at < h.end && (depth || h.text[h.at] != ',');) {
        char c = h.text[h.at];

        depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        h.at = c == '"' ? behind_text(&h) : h.at + 1;
    }
    return h.at;
}

/* What lies between here and there. */
static int parse(const struct tensor_file *f, struct header *h, size_t to, json_t **out, err *e)
{
    json_error_t error;
    char shown[ESCAPED_SIZE];

    *out = json_loadb(h->text + h->at, to - h->at, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!*out)
        return fault_set(e, json_error_code(&error) == json_error_duplicate_key ? FAULT_DUP : FAULT_SYNTAX,
                         "%s: the header is wrong at byte %zu: %s", f->source.name,
                         h->at + (size_t)error.position + PREFIX, escaped(shown, error.text, strlen(error.text)));
    h->at = to;
    return 0;
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

/* Texts; the number of heads and the profile among them, which no tensor tells. */
static int take_metadata(struct tensor_file *f, const json_t *metadata, err *e)
{
    const char *key;
    json_t *value;
    long heads;

    if (!json_is_object(metadata))
        return fault_set(e, FAULT_SYNTAX, "%s: __metadata__ is no object of texts", f->source.name);
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value) if (!json_is_string(value)) return fault_set(
        e, FAULT_SYNTAX, "%s: __metadata__ is no object of texts", f->source.name);
    value = json_object_get(metadata, "heads");
    value = value ? value : json_object_get(metadata, "num_heads");
    heads = value ? strtol(json_string_value(value), NULL, 10) : 0;
    f->heads = heads >= 1 && heads <= HEADS_MOST ? (int)heads : 0;
    if ((value = json_object_get(metadata, "profile")))
        snprintf(f->profile, sizeof f->profile, "%s", json_string_value(value));
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

/* What stands under a name; `seen` are the names so far. */
static int take_named(struct tensor_file *f, const char *name, const json_t *entry, struct names *seen, err *e)
{
    bool metadata = !strcmp(name, "__metadata__");
    uint32_t number = (uint32_t)f->count;
    char shown[ESCAPED_SIZE];

    if (metadata ? take_metadata(f, entry, e) : take_entry(f, name, entry, e))
        return e->code;
    if (metadata)
        name = "__metadata__"; /* the set holds on to its names */
    else
        name = f->info[number].name;
    switch (names_add(seen, name, strlen(name), &number)) {
    case NAMES_TAKEN:
        return fault_set(e, FAULT_DUP, "%s: '%s' is there twice", f->source.name, escaped(shown, name, strlen(name)));
    case NAMES_NOMEM:
        return err_set(e, ERR_NOMEM, "%s: out of memory for its names", f->source.name);
    case NAMES_ADDED:
        break;
    }
    return 0;
}

/* "name": entry */
static int take_member(struct tensor_file *f, struct header *h, struct names *seen, err *e)
{
    json_t *name = NULL, *entry = NULL;

    if (h->at == h->end || h->text[h->at] != '"')
        return broken(f, h, "a name", e);
    if (parse(f, h, behind_text(h), &name, e))
        return e->code;
    skip_spaces(h);
    if (h->at == h->end || h->text[h->at] != ':') {
        broken(f, h, "a colon", e);
    } else {
        h->at++;
        if (!parse(f, h, behind_value(*h), &entry, e))
            take_named(f, json_string_value(name), entry, seen, e);
    }
    json_decref(name);
    json_decref(entry);
    return e->code;
}

static int take_members(struct tensor_file *f, struct header *h, struct names *seen, err *e)
{
    h->at = 1;
    skip_spaces(h);
    if (h->at == h->end)
        return 0;
    while (!take_member(f, h, seen, e) && h->at < h->end) {
        h->at++; /* the comma */
        skip_spaces(h);
    }
    return e->code;
}

static int take_header(struct tensor_file *f, const char *text, size_t n, err *e)
{
    struct header h = {.text = text};
    struct names seen = {0};

    if (check_bytes(f, text, n, &h.end, e))
        return e->code;
    take_members(f, &h, &seen, e);
    names_free(&seen);
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
    if (n > limit_of(&f->options.limits, LIMIT_SAFETENSORS_HEADER))
        return limit_fault(&f->options.limits, LIMIT_SAFETENSORS_HEADER, e, "%s: a header of %llu bytes",
                           f->source.name, (unsigned long long)n);
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

const struct tensor_reader safetensors_reader = {"safetensors", safetensors_open, safetensors_read, safetensors_close,
                                                 NULL};
