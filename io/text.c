/* io/text.c - see text.h. */
#include "io/text.h"

#include <stdlib.h>
#include <string.h>

int text_character(const char *s, size_t n)
{
    static const struct {
        unsigned char mask, lead, low, high; /* of the first byte; range of the second */
        int length;
    } forms[] = {
        {0x80, 0x00, 0, 0, 1},       {0xFF, 0xE0, 0xA0, 0xBF, 3}, {0xFF, 0xED, 0x80, 0x9F, 3},
        {0xFF, 0xF0, 0x90, 0xBF, 4}, {0xFF, 0xF4, 0x80, 0x8F, 4}, {0xFE, 0xC0, 1, 0, 2},
        {0xE0, 0xC0, 0x80, 0xBF, 2}, {0xF0, 0xE0, 0x80, 0xBF, 3}, {0xFC, 0xF0, 0x80, 0xBF, 4},
    };
    const unsigned char *u = (const unsigned char *)s;

    for (size_t i = 0; i < sizeof forms / sizeof *forms && n; i++) {
        if ((u[0] & forms[i].mask) != forms[i].lead)
            continue;
        if ((size_t)forms[i].length > n)
            return 0;
        if (forms[i].length > 1 && (u[1] < forms[i].low || u[1] > forms[i].high))
            return 0;
        for (int k = 2; k < forms[i].length; k++)
            if ((u[k] & 0xC0) != 0x80)
                return 0;
        return forms[i].length;
    }
    return 0;
}

/* C0, DEL and C1. */
static bool is_control(const char *s)
{
    const unsigned char *u = (const unsigned char *)s;

    return u[0] < ' ' || u[0] == 0x7F || (u[0] == 0xC2 && u[1] < 0xA0);
}

bool text_is_printable(const char *s, size_t n)
{
    for (size_t i = 0, length; i < n; i += length)
        if (!(length = (size_t)text_character(s + i, n - i)) || is_control(s + i))
            return false;
    return true;
}

static void repair(char *text, bool spaces)
{
    for (int n; *text; text += n ? n : 1)
        if (!(n = text_character(text, 4))) /* or up to the NUL */
            *text = '?';
        else if (spaces && is_control(text))
            memset(text, ' ', (size_t)n);
}

void text_repair(char *text)
{
    repair(text, false);
}

void text_clean(char *text)
{
    repair(text, true);
}

json_t *text_json_n(const char *text, size_t n)
{
    json_t *json = json_stringn(text, n); /* NULL unless it is UTF-8 */
    char *copy;

    if (json || !(copy = strndup(text, n)))
        return json;
    text_repair(copy);
    json = json_string(copy);
    free(copy);
    return json;
}

json_t *text_json(const char *text)
{
    return text_json_n(text, strlen(text));
}
