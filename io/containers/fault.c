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

/* The last kind named wins: names of entries inside the file come before it. */
enum fault fault_of(const err *e)
{
    const char *open = strrchr(e->text, '(');
    size_t n;

    if (!open)
        return FAULT_NONE;
    n = strcspn(open + 1, ")");
    for (int kind = 1; kind < FAULT_COUNT; kind++)
        if (strlen(faults[kind].name) == n && !memcmp(open + 1, faults[kind].name, n))
            return (enum fault)kind;
    return FAULT_NONE;
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
