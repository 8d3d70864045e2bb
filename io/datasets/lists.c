/* io/datasets/lists.c - see lists.h. */
#include "io/datasets/lists.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "io/containers/fault.h"

void text_lines_free(struct text_lines *l)
{
    bytes_free(&l->bytes);
    free(l->lines);
    free(l->name);
    *l = (struct text_lines){0};
}

void text_lines_trim(struct text_lines *l)
{
    while (l->count && !*l->lines[l->count - 1])
        l->count--;
}

/* Cut l->bytes, which end in a zero that does not count, into lines. */
static int cut(struct text_lines *l, err *e)
{
    char *at = (char *)l->bytes.data, *end = at + l->bytes.size;
    size_t count = 0;

    if (memchr(at, 0, l->bytes.size))
        return fault_set(e, FAULT_SYNTAX, "%s: has a NUL at byte %zu; a text is expected", l->name, strlen(at));
    for (const char *c = at; c < end; c++)
        count += *c == '\n';
    count += l->bytes.size && end[-1] != '\n';
    if (count > LIST_LINES_LIMIT)
        return fault_set(e, FAULT_LIMIT, "%s: has %zu lines, at most %d are read", l->name, count, LIST_LINES_LIMIT);
    if (!(l->lines = malloc((count + 1) * sizeof *l->lines)))
        return err_set(e, ERR_NOMEM, "%s: out of memory", l->name);
    while (at < end) {
        char *stop = memchr(at, '\n', (size_t)(end - at));

        stop = stop ? stop : end;
        *stop = 0;
        if (stop > at && stop[-1] == '\r')
            stop[-1] = 0;
        l->lines[l->count++] = at;
        at = stop + 1;
    }
    return 0;
}

static int take(struct text_lines *l, const char *name, err *e)
{
    if (!(l->name = strdup(name)))
        err_set(e, ERR_NOMEM, "%s: out of memory", name);
    else
        cut(l, e);
    if (e->code)
        text_lines_free(l);
    return e->code;
}

int text_lines_read(const struct below *root, const char *name, struct text_lines *out, err *e)
{
    *out = (struct text_lines){0};
    if (below_read(root, name, LIST_BYTES_LIMIT, &out->bytes, e)) {
        bytes_free(&out->bytes);
        return e->code;
    }
    return take(out, name, e);
}

int text_lines_read_path(const char *path, struct text_lines *out, err *e)
{
    char *folder = strdup(path), *file = strdup(path);
    struct below root = {.fd = -1};

    *out = (struct text_lines){0};
    if (!folder || !file)
        err_set(e, ERR_NOMEM, "%s: out of memory", path);
    else if (!below_enter(dirname(folder), &root, e))
        text_lines_read(&root, basename(file), out, e);
    below_leave(&root);
    free(folder);
    free(file);
    return e->code;
}

int text_lines_split(const char *name, const void *text, size_t size, struct text_lines *out, err *e)
{
    *out = (struct text_lines){0};
    if (bytes_reserve(&out->bytes, size + 1, e))
        return err_context(e, "%s", name);
    memcpy(out->bytes.data, text, size);
    out->bytes.data[size] = 0;
    out->bytes.size = size;
    return take(out, name, e);
}

int text_fields(const struct text_lines *l, size_t line, char separator, size_t count, char **fields, err *e)
{
    char shown[ESCAPED_SIZE], *at = l->lines[line];

    for (size_t i = 0; i < count; i++) {
        size_t n = strcspn(at, (char[]){separator, 0});

        if (n == 0 || (i + 1 < count) != (at[n] == separator))
            return fault_set(e, FAULT_SYNTAX, "%s:%zu: expected %zu fields separated by a %s, near '%s'", l->name,
                             line + 1, count, separator == '\t' ? "tab" : "space", escaped(shown, at, strlen(at)));
        fields[i] = at;
        at += n;
        if (i + 1 < count)
            *at++ = 0;
    }
    return 0;
}

int text_number(const struct text_lines *l, size_t line, const char *field, uint32_t low, uint32_t high, uint32_t *out,
                err *e)
{
    size_t n = strspn(field, "0123456789");
    char shown[ESCAPED_SIZE];
    unsigned long long value;

    if (n == 0 || field[n])
        return fault_set(e, FAULT_SYNTAX, "%s:%zu: '%s' is no number", l->name, line + 1,
                         escaped(shown, field, strlen(field)));
    value = n > 18 ? UINT64_MAX : strtoull(field, NULL, 10);
    if (value < low || value > high)
        return fault_set(e, FAULT_RANGE, "%s:%zu: %.20s is outside of %u to %u", l->name, line + 1, field, low, high);
    *out = (uint32_t)value;
    return 0;
}
