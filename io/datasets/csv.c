/* io/datasets/csv.c - see csv.h. */
#include "io/datasets/csv.h"

#include <string.h>

#include "io/containers/fault.h"
#include "io/text.h"

int csv_open(struct csv *c, const char *name, char *text, size_t size, err *e)
{
    size_t line = 1;

    *c = (struct csv){.name = name, .at = text, .end = text + size, .next_line = 1};
    for (size_t i = 0; i < size;) {
        size_t n = text[i] ? (size_t)text_character(text + i, size - i) : 0;

        if (n == 0)
            return fault_set(e, FAULT_SYNTAX, "%s:%zu: byte %zu is %s", name, line, i,
                             text[i] ? "not UTF-8" : "a NUL, in a text");
        line += text[i] == '\n';
        i += n;
    }
    if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
        c->at += 3;
    return 0;
}

static int fail(struct csv *c, const char *what, err *e)
{
    return fault_set(e, FAULT_SYNTAX, "%s:%zu: %s", c->name, c->line, what);
}

static int check_row(struct csv *c, const char *start, const char *at, err *e)
{
    if (at - start > CSV_ROW_LIMIT)
        return fault_set(e, FAULT_LIMIT, "%s:%zu: the row has more than %d bytes", c->name, c->line, CSV_ROW_LIMIT);
    return 0;
}

/* Take a quoted field, whose text moves to where it begins; *from ends behind the closing quote. */
static int take_quoted(struct csv *c, const char *start, char **from, char **to, err *e)
{
    char *in = *from + 1;

    for (;; in++) {
        if (in == c->end)
            return fail(c, "a quoted field is not closed", e);
        if (check_row(c, start, in, e))
            return e->code;
        if (*in == '"' && *++in != '"')
            break;
        c->next_line += *in == '\n';
        *(*to)++ = *in;
    }
    *from = in;
    return 0;
}

static int take_plain(struct csv *c, const char *start, char **from, char **to, err *e)
{
    char *in = *from;

    for (; in < c->end && *in != ',' && *in != '\n'; in++) {
        if (*in == '"')
            return fail(c, "a quote stands inside a field that does not begin with one", e);
        if (check_row(c, start, in, e))
            return e->code;
        *(*to)++ = *in;
    }
    if (*to > *from && (*to)[-1] == '\r' && (in == c->end || *in == '\n'))
        --*to;
    *from = in;
    return 0;
}

/* Whether the row ends at a place, which moves to its last byte. */
static bool at_row_end(const struct csv *c, char **at)
{
    if (*at + 1 < c->end && (*at)[0] == '\r' && (*at)[1] == '\n')
        ++*at;
    return *at == c->end || **at == '\n';
}

static int take_row(struct csv *c, size_t *count, err *e)
{
    char *start = c->at, *at = c->at;
    bool last = false;

    for (*count = 0; !last; at++) {
        char *field = at, *to = at;

        if (*count == CSV_FIELDS_LIMIT)
            return fault_set(e, FAULT_LIMIT, "%s:%zu: the row has more than %d fields", c->name, c->line,
                             CSV_FIELDS_LIMIT);
        if (at < c->end && *at == '"' ? take_quoted(c, start, &at, &to, e) : take_plain(c, start, &at, &to, e))
            return e->code;
        last = at_row_end(c, &at);
        if (!last && *at != ',')
            return fail(c, "a quoted field goes on after its closing quote", e);
        if (at < c->end)
            c->next_line += *at == '\n';
        *to = 0;
        c->fields[(*count)++] = field;
    }
    c->at = at > c->end ? c->end : at;
    return 0;
}

int csv_next(struct csv *c, bool *more, err *e)
{
    size_t count;

    while (c->at < c->end && (*c->at == '\n' || (*c->at == '\r' && c->at + 1 < c->end && c->at[1] == '\n'))) {
        c->next_line += *c->at == '\n';
        c->at++;
    }
    *more = c->at < c->end;
    c->line = c->next_line;
    if (!*more)
        return 0;
    if (take_row(c, &count, e))
        return e->code;
    if (!c->columns)
        c->columns = count;
    if (count != c->columns)
        return fault_set(e, FAULT_SYNTAX, "%s:%zu: the row has %zu fields, the header %zu", c->name, c->line, count,
                         c->columns);
    return 0;
}
