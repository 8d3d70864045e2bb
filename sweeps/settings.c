/* sweeps/settings.c - see settings.h. */
#include "sweeps/settings.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweeps/nearest.h"
#include "sweeps/stage.h"

static const struct setting_info table[SETTING_COUNT] = {
#define S(id, key, type, def, low, high, choices, help) \
    [SETTING_##id] = {key, SETTING_TYPE_##type, def, low, high, choices, help},
    SETTINGS(S)
#undef S
};

const struct setting_info *setting_info(enum setting id)
{
    return &table[id];
}

enum setting setting_by_key(const char *key)
{
    enum setting id = 0;

    while (id < SETTING_COUNT && strcmp(table[id].key, key))
        id++;
    return id;
}

void setting_rule(enum setting id, char *text, size_t size)
{
    const struct setting_info *s = &table[id];

    switch (s->type) {
    case SETTING_TYPE_NAME:
        snprintf(text, size, "at most %g letters, digits, '.', '_' or '-', the first a letter or digit", s->high);
        break;
    case SETTING_TYPE_LINE:
        snprintf(text, size, "one line of at most %g characters", s->high);
        break;
    case SETTING_TYPE_INT:
        snprintf(text, size, "an integer from %g to %g", s->low, s->high);
        break;
    case SETTING_TYPE_CHOICE:
        snprintf(text, size, "one of %s", s->choices);
        break;
    case SETTING_TYPE_AUTO:
        snprintf(text, size, "a number from %g to %g, or auto", s->low, s->high);
        break;
    case SETTING_TYPE_DURATION:
        snprintf(text, size, "a time like 45s, 90m, 2h, 1d, 12:00:00 or 1-12:00:00, at least %gs, or none", s->low);
        break;
    }
}

static int fail(enum setting id, const char *text, const char *near, err *e)
{
    char must[200];

    setting_rule(id, must, sizeof must);
    return err_set(e, ERR_CONFIG, "%s is '%.60s'; it must be %s%s%s%s", table[id].key, text, must,
                   near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

/* Seconds of 45s, 90m, 2h, 1d; -1 if it is none. */
static double read_unit(const char *text)
{
    static const struct {
        char unit;
        double seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    size_t n = strspn(text, "0123456789");

    if (!n || n > 9 || !text[n] || text[n + 1])
        return -1;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (text[n] == units[i].unit)
            return atof(text) * units[i].seconds;
    return -1;
}

/* Seconds of [days-]hours:minutes:seconds; -1 if it is none. */
static double read_clock(const char *text)
{
    unsigned days = 0, hours, minutes, seconds;
    const char *dash = strchr(text, '-');
    int end = 0;

    if (text[strspn(text, "0123456789:-")] || strlen(text) > 20)
        return -1;
    if (dash && (sscanf(text, "%u-%n", &days, &end) != 1 || text + end != dash + 1))
        return -1;
    text = dash ? dash + 1 : text;
    if (sscanf(text, "%4u:%2u:%2u%n", &hours, &minutes, &seconds, &end) != 3 || text[end] || minutes > 59 ||
        seconds > 59)
        return -1;
    return days * 86400.0 + hours * 3600.0 + minutes * 60.0 + seconds;
}

static bool read_duration(const char *text, struct setting_value *out)
{
    out->number = read_unit(text);
    if (out->number < 0)
        out->number = read_clock(text);
    return out->number >= 0;
}

static bool read_number(const char *text, struct setting_value *out)
{
    char *end;

    if (!*text || text[strspn(text, "0123456789.eE+-")])
        return false;
    out->number = strtod(text, &end);
    return !*end && isfinite(out->number);
}

static int parse_choice(enum setting id, const char *text, struct setting_value *out, err *e)
{
    char copy[200], *words[16], *rest = copy;
    int n = 0;

    snprintf(copy, sizeof copy, "%s", table[id].choices);
    while (n < 16 && (words[n] = strsep(&rest, "|")))
        n++;
    for (int i = 0; i < n; i++) {
        out->number = i;
        if (!strcmp(words[i], text))
            return 0;
    }
    return fail(id, text, nearest_word(text, (const char *const *)words, (size_t)n), e);
}

static bool is_name(const char *text)
{
    for (const char *p = text; *p; p++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *p))
            return false;
    return !*text || !strchr("._-", *text);
}

static bool is_line(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 127)
            return false;
    return true;
}

/* Does the text obey the setting's type and range? */
static bool accept(enum setting id, const char *text, struct setting_value *out)
{
    const struct setting_info *s = &table[id];

    switch (s->type) {
    case SETTING_TYPE_NAME:
        return is_name(text) && strlen(text) <= s->high;
    case SETTING_TYPE_LINE:
        return is_line(text) && strlen(text) <= s->high;
    case SETTING_TYPE_AUTO:
        return !strcmp(text, "auto") || (read_number(text, out) && out->number >= s->low && out->number <= s->high);
    case SETTING_TYPE_DURATION:
        return !strcmp(text, "none") || (read_duration(text, out) && out->number >= s->low && out->number <= s->high);
    default:
        return read_number(text, out) && out->number == floor(out->number) && out->number >= s->low &&
               out->number <= s->high;
    }
}

int setting_parse(enum setting id, const char *text, struct setting_value *out, err *e)
{
    *out = (struct setting_value){.text = intern(text)};
    if (!out->text)
        return err_set(e, ERR_NOMEM, "out of memory");
    if (table[id].type == SETTING_TYPE_CHOICE)
        return parse_choice(id, text, out, e);
    return accept(id, text, out) ? 0 : fail(id, text, NULL, e);
}
