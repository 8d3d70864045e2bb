/* io/containers/limits.c - see limits.h. */
#include "io/containers/limits.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/containers/fault.h"

static const struct {
    const char *name, *counts;
    uint64_t usual, highest;
} table[LIMIT_COUNT] = {
#define X(symbol, name, usual, highest, counts) [LIMIT_##symbol] = {name, counts, usual, highest},
    CONTAINER_LIMITS(X)
#undef X
};

uint64_t limit_of(const struct container_limits *limits, enum container_limit which)
{
    return limits && limits->most[which] ? limits->most[which] : table[which].usual;
}

int limit_set(struct container_limits *limits, const char *text, err *e)
{
    size_t n = strcspn(text, "=");

    for (int i = 0; i < LIMIT_COUNT; i++) {
        const char *number = text + n + 1;
        unsigned long long value;
        char *end;

        if (strlen(table[i].name) != n || memcmp(text, table[i].name, n) != 0 || !text[n])
            continue;
        value = strtoull(number, &end, 10);
        if (*number < '0' || *number > '9' || *end || value < 1 || value > table[i].highest)
            return err_set(e, ERR_USAGE, "the limit %s is a number from 1 to %" PRIu64 ", not '%s'", table[i].name,
                           table[i].highest, number);
        limits->most[i] = value;
        return 0;
    }
    return err_set(e, ERR_USAGE, "there is no limit '%.*s', or nothing behind it; --limit NAME=N", (int)n, text);
}

int limit_fault(const struct container_limits *limits, enum container_limit which, err *e, const char *format, ...)
{
    char text[sizeof e->text / 2], change[80] = "";
    va_list args;

    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) >= (int)sizeof text)
        strcpy(text + sizeof text - 4, "...");
    va_end(args);
    if (limits && limits->option)
        snprintf(change, sizeof change, "; %s %s=N changes that", limits->option, table[which].name);
    return fault_set(e, FAULT_LIMIT, "%s; at most %" PRIu64 " are read%s", text, limit_of(limits, which), change);
}

uint64_t limit_memory(uint64_t file_size)
{
    enum { ALWAYS = 1 << 20 };

    return file_size < UINT64_MAX / 4 ? 2 * file_size + ALWAYS : UINT64_MAX / 2;
}

const char *limit_name(enum container_limit which)
{
    return table[which].name;
}

const char *limit_counts(enum container_limit which)
{
    return table[which].counts;
}

uint64_t limit_highest(enum container_limit which)
{
    return table[which].highest;
}
