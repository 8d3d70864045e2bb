/* io/containers/fault.c - see fault.h. */
#include "io/containers/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *meaning;
} faults[FAULT_COUNT] = {
#define X(name, meaning) [FAULT_##name] = {"E_" #name, meaning},
    FAULTS(X)
#undef X
};

int fault_set(err *e, enum fault kind, const char *format, ...)
{
    char text[sizeof e->text - 100]; /* so that contexts and the kind still fit */
    va_list args;

    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) >= (int)sizeof text)
        strcpy(text + sizeof text - 4, "...");
    va_end(args);
    return err_set(e, ERR_DAMAGED, "%s (%s)", text, faults[kind].name);
}

int fault_add(err *e, enum fault kind)
{
    err plain = *e;

    if (e->code != ERR_DAMAGED || fault_of(e))
        return e->code;
    return fault_set(e, kind, "%s", plain.text);
}

/* Where the last kind is named, at "E_TRUNC)"; NULL if none is.  Names of entries inside the file come before it. */
static const char *find_kind(const char *text, enum fault *kind)
{
    const char *open = strrchr(text, '('), *at = open ? strstr(open, ": E_") : NULL;
    size_t n;

    if (!open)
        return NULL;
    at = at ? at + 2 : open + 1;
    n = strcspn(at, ")");
    for (int k = 1; k < FAULT_COUNT; k++)
        if (strlen(faults[k].name) == n && !memcmp(at, faults[k].name, n)) {
            *kind = (enum fault)k;
            return at;
        }
    return NULL;
}

enum fault fault_of(const err *e)
{
    enum fault kind;

    return find_kind(e->text, &kind) ? kind : FAULT_NONE;
}

int fault_reader(err *e, const char *reader)
{
    enum fault kind;
    const char *at = find_kind(e->text, &kind);
    size_t n = strlen(reader);
    char *to;

    if (!e->code || !at || at[-1] != '(' || strlen(e->text) + n + 2 >= sizeof e->text)
        return e->code;
    to = e->text + (at - e->text);
    memmove(to + n + 2, to, strlen(to) + 1);
    memcpy(to, reader, n);
    memcpy(to + n, ": ", 2);
    return e->code;
}

const char *fault_name(enum fault kind)
{
    return faults[kind].name;
}

const char *fault_meaning(enum fault kind)
{
    return faults[kind].meaning;
}

const char *escaped(char out[ESCAPED_SIZE], const void *bytes, size_t n)
{
    const unsigned char *b = bytes;
    size_t used = 0;

    for (size_t i = 0; i < n; i++) {
        if (used + 8 > ESCAPED_SIZE) {
            strcpy(out + used, "...");
            return out;
        }
        if (b[i] >= ' ' && b[i] <= '~' && b[i] != '\\')
            out[used++] = (char)b[i];
        else
            used += (size_t)snprintf(out + used, ESCAPED_SIZE - used, "\\x%02x", b[i]);
    }
    out[used] = '\0';
    return out;
}
