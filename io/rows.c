/* io/rows.c - see rows.h. */
#include "io/rows.h"

#include <math.h>
#include <string.h>

#include "io/digest.h"
#include "io/text.h"

static json_t *field_to_json(const struct field *f, const char *at)
{
    switch (f->kind) {
    case FIELD_INT:
        return json_integer(*(const int64_t *)at);
    case FIELD_REAL:
        return json_real(*(const double *)at);
    case FIELD_NAME:
    case FIELD_TEXT:
    case FIELD_KEY:
        return text_json_n(at, strnlen(at, field_size(f->kind) - 1));
    }
    return NULL;
}

json_t *row_to_json(const struct table *t, const void *row)
{
    json_t *object = json_object();

    for (int i = 0; i < t->count && object; i++) {
        const struct field *f = &t->fields[i];
        const char *at = (const char *)row + f->offset;

        if (f->kind == FIELD_REAL && !isfinite(*(const double *)at))
            continue;
        if (json_object_set_new_nocheck(object, f->name, field_to_json(f, at))) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}

static int wrong(const struct table *t, const struct field *f, const char *what, err *e)
{
    return err_set(e, ERR_DAMAGED, "%s row: %s %s", t->name, f->name, what);
}

static int text_from_json(const struct table *t, const struct field *f, const json_t *value, char *at, err *e)
{
    size_t n = json_string_length(value), size = field_size(f->kind);
    const char *text = json_string_value(value);
    struct digest digest;

    if (!text)
        return wrong(t, f, "is not a text", e);
    if (n >= size)
        return wrong(t, f, "is too long", e);
    if (memchr(text, '\0', n))
        return wrong(t, f, "contains a zero byte", e);
    if (f->kind == FIELD_KEY && n && !digest_from_hex(text, &digest))
        return wrong(t, f, "is not 32 hexadecimal digits", e);
    memset(at, 0, size); /* so that equal rows have equal bytes */
    memcpy(at, text, n);
    return 0;
}

static int field_from_json(const struct table *t, const struct field *f, const json_t *value, char *at, err *e)
{
    switch (f->kind) {
    case FIELD_INT:
        if (!json_is_integer(value))
            return wrong(t, f, "is not an integer", e);
        *(int64_t *)at = json_integer_value(value);
        return 0;
    case FIELD_REAL:
        if (value && !json_is_number(value))
            return wrong(t, f, "is not a number", e);
        *(double *)at = value ? json_number_value(value) : NAN;
        return 0;
    case FIELD_NAME:
    case FIELD_TEXT:
    case FIELD_KEY:
        return text_from_json(t, f, value, at, e);
    }
    return wrong(t, f, "has no kind", e);
}

int row_from_json(const struct table *t, const json_t *object, void *row, err *e)
{
    if (!json_is_object(object))
        return err_set(e, ERR_DAMAGED, "%s row: is not an object", t->name);
    memset(row, 0, t->row_size);
    for (int i = 0; i < t->count; i++) {
        const struct field *f = &t->fields[i];
        const json_t *value = json_object_get(object, f->name);

        if (!value && f->kind != FIELD_REAL)
            return wrong(t, f, "is missing", e);
        if (field_from_json(t, f, value, (char *)row + f->offset, e))
            return e->code;
    }
    return 0;
}
