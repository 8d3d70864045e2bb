/* sweeps/options.c - the table of options.h as data; values from text and to text; declared reads. */
#include "sweeps/options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweeps/nearest.h"
#include "sweeps/sequence.h"
#include "sweeps/stage.h"

static const struct option_info table[OPTION_COUNT] = {
#define O(id, key, type, def, low, high, choices, unit, reads, help) \
    [OPTION_##id] = {key, OPTION_TYPE_##type, def, low, high, choices, unit, reads, help},
    OPTIONS(O)
#undef O
};

enum { MAX_CHOICES = 16 };
enum { SEED_OF_TRIAL = -1 }; /* a seed that is still to take the value of `seed` */

/* ---- the table ---- */

const struct option_info *option_info(enum option_id id)
{
    return &table[id];
}

const char *option_type_name(enum option_type type)
{
    static const char *const names[] = {"boolean", "integer", "number",      "choice", "name",
                                        "count",   "blocks",  "class order", "seed"};

    return names[type];
}

bool option_in_key(enum stage_kind kind, enum option_id id)
{
    return strchr(table[id].reads, stage_kind_letter(kind)) != NULL;
}

bool option_declared(enum stage_kind kind, enum option_id id)
{
    return option_in_key(kind, id) || !strcmp(table[id].reads, "*");
}

enum option_id option_by_key(const char *key)
{
    enum option_id id = 0;

    while (id < OPTION_COUNT && strcmp(table[id].key, key))
        id++;
    return id;
}

const char *option_nearest_key(const char *key)
{
    const char *keys[OPTION_COUNT];

    for (int i = 0; i < OPTION_COUNT; i++)
        keys[i] = table[i].key;
    return nearest_word(key, keys, OPTION_COUNT);
}

/* ---- rules ---- */

/* A bound of the table as people write it: 4294967295, 0.000001, 1e9. */
static void write_bound(double value, char text[32])
{
    if (value == floor(value) && fabs(value) < 1e15)
        snprintf(text, 32, "%.0f", value);
    else
        snprintf(text, 32, "%g", value);
}

static void rule_of_range(const struct option_info *o, const char *kind, const char *or_else, char *text, size_t size)
{
    char low[32], high[32];

    write_bound(o->low, low);
    write_bound(o->high, high);
    snprintf(text, size, "%s from %s to %s%s", kind, low, high, or_else);
}

void option_rule(enum option_id id, char *text, size_t size)
{
    const struct option_info *o = &table[id];

    switch (o->type) {
    case OPTION_TYPE_BOOL:
        snprintf(text, size, "true or false");
        break;
    case OPTION_TYPE_INT:
        rule_of_range(o, "an integer", "", text, size);
        break;
    case OPTION_TYPE_REAL:
        rule_of_range(o, "a number", "", text, size);
        break;
    case OPTION_TYPE_COUNT:
        rule_of_range(o, "an integer", ", or all", text, size);
        break;
    case OPTION_TYPE_SEED:
        rule_of_range(o, "an integer", ", or seed", text, size);
        break;
    case OPTION_TYPE_CHOICE:
        snprintf(text, size, "one of %s", o->choices);
        break;
    case OPTION_TYPE_TEXT:
        snprintf(text, size, "%.0f to %.0f letters, digits, '.', '_' or '-', the first a letter or digit", o->low,
                 o->high);
        break;
    case OPTION_TYPE_LAYERS:
        snprintf(text, size, "blocks from %.0f to %.0f, like 0-4 or 0,2,5", o->low, o->high);
        break;
    case OPTION_TYPE_SEQUENCE:
        snprintf(text, size,
                 "natural, shuffled, first:N, shuffled-first:N, permutation:K, rotation:K or [[0,1],[2,3]]");
        break;
    }
}

static int fail(enum option_id id, const char *text, const char *hint, err *e)
{
    char rule[300];

    option_rule(id, rule, sizeof rule);
    return err_set(e, ERR_CONFIG, "%s is '%.60s'; it must be %s%s%s%s", table[id].key, text, rule,
                   hint ? " (did you mean '" : "", hint ? hint : "", hint ? "'?)" : "");
}

/* ---- parsing ---- */

/* A decimal integer, nothing else around it. */
static bool read_integer(const char *text, int64_t *out)
{
    const char *digits = text + (*text == '-' || *text == '+');
    size_t n = strspn(digits, "0123456789");

    if (!n || n > 18 || digits[n])
        return false;
    *out = strtoll(text, NULL, 10);
    return true;
}

/* A finite decimal number: no hexadecimal, no inf, no nan. */
static bool read_real(const char *text, double *out)
{
    char *end;

    if (!*text || text[strspn(text, "0123456789+-.eE")])
        return false;
    *out = strtod(text, &end);
    if (*out == 0)
        *out = 0; /* -0 and 0 are one value */
    return !*end && end != text && isfinite(*out);
}

static bool in_range(const struct option_info *o, double value)
{
    return value >= o->low && value <= o->high;
}

static int parse_choice(enum option_id id, const char *text, union option_value *out, err *e)
{
    char copy[200], *words[MAX_CHOICES], *rest = copy;
    const char *near;
    int n = 0;

    snprintf(copy, sizeof copy, "%s", table[id].choices);
    while (n < MAX_CHOICES && (words[n] = strsep(&rest, "|")))
        n++;
    for (int i = 0; i < n; i++) {
        if (!strcmp(words[i], text)) {
            out->integer = i;
            return 0;
        }
    }
    near = nearest_word(text, (const char *const *)words, (size_t)n);
    return fail(id, text, near, e);
}

static int parse_layers(enum option_id id, const char *text, union option_value *out, err *e)
{
    const char *p = text;
    uint64_t set = 0;

    do {
        long low, high;
        char *end;
        if (*p < '0' || *p > '9')
            return fail(id, text, NULL, e);
        low = high = strtol(p, &end, 10);
        if (*end == '-' && end[1] >= '0' && end[1] <= '9')
            high = strtol(end + 1, &end, 10);
        if (low > high || !in_range(&table[id], (double)low) || !in_range(&table[id], (double)high))
            return fail(id, text, NULL, e);
        for (long block = low; block <= high; block++)
            set |= (uint64_t)1 << block;
        p = end;
    } while (*p++ == ',');
    if (p[-1])
        return fail(id, text, NULL, e);
    out->layers = set;
    return 0;
}

static int parse_text(enum option_id id, const char *text, union option_value *out, err *e)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t n = strspn(text, letters);

    if (text[n] || !in_range(&table[id], (double)n) || strchr("._-", text[0]))
        return fail(id, text, NULL, e);
    out->text = intern(text);
    return out->text ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

static int parse_integer(enum option_id id, const char *text, union option_value *out, err *e)
{
    int64_t value;

    if (!read_integer(text, &value) || !in_range(&table[id], (double)value))
        return fail(id, text, NULL, e);
    out->integer = value;
    return 0;
}

static int parse_bool(enum option_id id, const char *text, union option_value *out, err *e)
{
    static const char *const yes[] = {"yes", "on", "True", "TRUE", "1"}, *const no[] = {"no", "off", "False", "FALSE",
                                                                                        "0"};

    if (!strcmp(text, "true") || !strcmp(text, "false")) {
        out->integer = text[0] == 't';
        return 0;
    }
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        if (!strcmp(text, yes[i]) || !strcmp(text, no[i]))
            return fail(id, text, !strcmp(text, yes[i]) ? "true" : "false", e);
    return fail(id, text, NULL, e);
}

static int parse_sequence(enum option_id id, const char *text, union option_value *out, err *e)
{
    err why = {0};

    if (!sequence_canonical(text, &out->text, &why))
        return 0;
    return why.code == ERR_CONFIG ? err_set(e, ERR_CONFIG, "%s is '%.60s'; it %s", table[id].key, text, why.text)
                                  : err_set(e, why.code, "%s", why.text);
}

int option_parse(enum option_id id, const char *text, union option_value *out, err *e)
{
    memset(out, 0, sizeof *out);
    switch (table[id].type) {
    case OPTION_TYPE_BOOL:
        return parse_bool(id, text, out, e);
    case OPTION_TYPE_INT:
        return parse_integer(id, text, out, e);
    case OPTION_TYPE_REAL:
        return read_real(text, &out->real) && in_range(&table[id], out->real) ? 0 : fail(id, text, NULL, e);
    case OPTION_TYPE_CHOICE:
        return parse_choice(id, text, out, e);
    case OPTION_TYPE_TEXT:
        return parse_text(id, text, out, e);
    case OPTION_TYPE_COUNT:
        return strcmp(text, "all") ? parse_integer(id, text, out, e) : 0;
    case OPTION_TYPE_LAYERS:
        return parse_layers(id, text, out, e);
    case OPTION_TYPE_SEQUENCE:
        return parse_sequence(id, text, out, e);
    case OPTION_TYPE_SEED:
        out->integer = SEED_OF_TRIAL;
        return strcmp(text, "seed") ? parse_integer(id, text, out, e) : 0;
    }
    return err_set(e, ERR_BUG, "%s has no type", table[id].key);
}

/* ---- formatting ---- */

/* The shortest decimal that reads back as the same double: 0.03, 60, 1e-5, exponents without padding and only for
 * numbers that are small or large. */
static void format_real(double value, char text[40])
{
    char *exponent, *digits;
    int precision = 1;

    do
        snprintf(text, 40, "%.*g", precision, value);
    while (strtod(text, NULL) != value && precision++ < 17);
    if (fabs(value) >= 1 && fabs(value) < 1e6 && strchr(text, 'e'))
        snprintf(text, 40, "%.0f", value); /* few digits and zeros: an integer */
    exponent = strchr(text, 'e');
    if (!exponent)
        return;
    digits = ++exponent;
    digits += *digits == '+' || *digits == '-';
    exponent += *exponent == '-';
    while (*digits == '0' && digits[1])
        digits++;
    memmove(exponent, digits, strlen(digits) + 1);
}

static void format_layers(uint64_t set, char *text, size_t size)
{
    size_t used = 0;

    text[0] = 0;
    for (int low = 0; low < 64; low++) {
        int high = low;
        if (!(set >> low & 1))
            continue;
        while (high < 63 && set >> (high + 1) & 1)
            high++;
        if (high == low)
            used += (size_t)snprintf(text + used, size - used, "%s%d", used ? "," : "", low);
        else
            used += (size_t)snprintf(text + used, size - used, "%s%d-%d", used ? "," : "", low, high);
        low = high;
    }
}

const char *option_choice_text(enum option_id id, int64_t index)
{
    static const char *texts[OPTION_COUNT][MAX_CHOICES]; /* found once: a plan asks millions of times */
    const char *rest = table[id].choices;
    char text[64];

    if (index < 0 || index >= MAX_CHOICES)
        return "";
    if (!texts[id][index]) {
        for (int64_t i = 0; i < index && *rest; i++)
            rest += strcspn(rest, "|") + (rest[strcspn(rest, "|")] == '|');
        snprintf(text, sizeof text, "%.*s", (int)strcspn(rest, "|"), rest);
        texts[id][index] = intern(text);
    }
    return texts[id][index] ? texts[id][index] : "";
}

static const char *format(enum option_id id, union option_value value)
{
    char text[256];
    const char *kept;

    switch (table[id].type) {
    case OPTION_TYPE_TEXT:
    case OPTION_TYPE_SEQUENCE:
        return value.text;
    case OPTION_TYPE_BOOL:
        return value.integer ? "true" : "false";
    case OPTION_TYPE_REAL:
        format_real(value.real, text);
        break;
    case OPTION_TYPE_CHOICE:
        return option_choice_text(id, value.integer);
    case OPTION_TYPE_LAYERS:
        format_layers(value.layers, text, sizeof text);
        break;
    case OPTION_TYPE_COUNT:
    case OPTION_TYPE_SEED:
        if (value.integer <= 0 && (table[id].type == OPTION_TYPE_COUNT || value.integer < 0))
            return table[id].type == OPTION_TYPE_COUNT ? "all" : "seed";
        snprintf(text, sizeof text, "%lld", (long long)value.integer);
        break;
    case OPTION_TYPE_INT:
        snprintf(text, sizeof text, "%lld", (long long)value.integer);
        break;
    }
    kept = intern(text);
    return kept ? kept : "";
}

/* A sweep asks for the same few values again and again: the last one of each option is kept. */
const char *option_format(enum option_id id, union option_value value)
{
    static _Thread_local struct {
        const char *text;
        union option_value value;
    } last[OPTION_COUNT];

    if (!last[id].text || memcmp(&last[id].value, &value, sizeof value) != 0) {
        last[id].text = format(id, value);
        last[id].value = value;
    }
    return last[id].text;
}

bool option_equal(enum option_id id, union option_value a, union option_value b)
{
    switch (table[id].type) {
    case OPTION_TYPE_TEXT:
    case OPTION_TYPE_SEQUENCE:
        return a.text == b.text; /* interned */
    case OPTION_TYPE_REAL:
        return a.real == b.real;
    case OPTION_TYPE_LAYERS:
        return a.layers == b.layers;
    default:
        return a.integer == b.integer;
    }
}

void trial_defaults(struct trial_config *config)
{
    static struct trial_config defaults;
    static bool parsed;
    err e = {0};

    if (!parsed) /* the test of the table parses every default, so none fails here */
        for (int i = 0; i < OPTION_COUNT; i++)
            option_parse(i, table[i].initial, &defaults.value[i], &e);
    parsed = !e.code;
    *config = defaults;
}

void trial_resolve_seeds(struct trial_config *config)
{
    for (int i = 0; i < OPTION_COUNT; i++)
        if (table[i].type == OPTION_TYPE_SEED && config->value[i].integer == SEED_OF_TRIAL)
            config->value[i].integer = config->value[OPTION_SEED].integer;
}

/* ---- declared reads ---- */

enum { INTEGERS = 1 << OPTION_TYPE_INT | 1 << OPTION_TYPE_COUNT | 1 << OPTION_TYPE_SEED };

static const union option_value *read_option(struct option_reader *r, enum option_id id, unsigned types)
{
    static const union option_value zero;

    if (r->e->code)
        return &zero;
    if (!option_declared(r->stage, id))
        err_set(r->e, ERR_BUG, "stage %s reads the option %s, which its row in sweeps/options.h does not declare",
                stage_kind_name(r->stage), table[id].key);
    else if (!(types >> table[id].type & 1))
        err_set(r->e, ERR_BUG, "stage %s reads the option %s (%s) as another type", stage_kind_name(r->stage),
                table[id].key, option_type_name(table[id].type));
    return r->e->code ? &zero : &r->config->value[id];
}

bool option_bool(struct option_reader *r, enum option_id id)
{
    return read_option(r, id, 1u << OPTION_TYPE_BOOL)->integer != 0;
}

int64_t option_int(struct option_reader *r, enum option_id id)
{
    return read_option(r, id, INTEGERS)->integer;
}

double option_real(struct option_reader *r, enum option_id id)
{
    return read_option(r, id, 1u << OPTION_TYPE_REAL)->real;
}

const char *option_choice(struct option_reader *r, enum option_id id)
{
    const union option_value *value = read_option(r, id, 1u << OPTION_TYPE_CHOICE);

    return r->e->code ? "" : option_choice_text(id, value->integer);
}

const char *option_text(struct option_reader *r, enum option_id id)
{
    const char *text = read_option(r, id, 1u << OPTION_TYPE_TEXT | 1u << OPTION_TYPE_SEQUENCE)->text;

    return text ? text : "";
}

uint64_t option_layers(struct option_reader *r, enum option_id id)
{
    return read_option(r, id, 1u << OPTION_TYPE_LAYERS)->layers;
}
