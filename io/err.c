/* io/err.c - see err.h. */
#include "io/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
static const struct {
    const char *name, *meaning;
    int status;
} codes[ERR_COUNT] = {
    [ERR_NONE] = {"NONE", "all is well", 0},
#define X(name, status, meaning) [ERR_##name] = {#name, meaning, status},
    ERR_CODES(X)
#undef X
};
/* clang-format on */

/* vsnprintf that ends a text which did not fit with "...". */
__attribute__((format(printf, 3, 0))) static void format_cut(char *to, size_t size, const char *format, va_list args)
{
    if (vsnprintf(to, size, format, args) >= (int)size)
        memcpy(to + size - 4, "...", 4);
}

int err_set(err *e, enum err_code code, const char *format, ...)
{
    int saved = errno;
    va_list args;

    va_start(args, format);
    format_cut(e->text, sizeof e->text, format, args);
    va_end(args);
    e->code = code;
    errno = saved;
    return code;
}

int err_errno(err *e, const char *format, ...)
{
    int saved = errno;
    size_t used;
    va_list args;

    va_start(args, format);
    format_cut(e->text, sizeof e->text, format, args);
    va_end(args);
    used = strlen(e->text);
    snprintf(e->text + used, sizeof e->text - used, ": %s", strerror(saved));
    e->code = saved == ENOSPC || saved == EDQUOT || saved == EROFS ? ERR_STORAGE
              : saved == ENOMEM                                    ? ERR_NOMEM
                                                                   : ERR_SYSTEM;
    errno = saved;
    return e->code;
}

int err_context(err *e, const char *format, ...)
{
    char old[sizeof e->text];
    size_t used;
    int saved = errno;
    va_list args;

    memcpy(old, e->text, sizeof old);
    va_start(args, format);
    format_cut(e->text, sizeof e->text / 2, format, args);
    va_end(args);
    used = strlen(e->text);
    if (snprintf(e->text + used, sizeof e->text - used, ": %s", old) >= (int)(sizeof e->text - used))
        memcpy(e->text + sizeof e->text - 4, "...", 4);
    errno = saved;
    return e->code;
}

const char *err_name(enum err_code code)
{
    return (unsigned)code < ERR_COUNT ? codes[code].name : "UNKNOWN";
}

const char *err_meaning(enum err_code code)
{
    return (unsigned)code < ERR_COUNT ? codes[code].meaning : "unknown error";
}

enum err_code err_by_name(const char *name)
{
    enum err_code code = ERR_NONE;

    while (code < ERR_COUNT && strcmp(codes[code].name, name))
        code++;
    return code;
}

int err_exit_status(enum err_code code)
{
    return (unsigned)code < ERR_COUNT ? codes[code].status : 1;
}
