/* sweeps/sweep_values.c - from YAML nodes to values of options: single values, lists and ranges, rules. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweeps/nearest.h"
#include "sweeps/stage.h"
#include "sweeps/sweep_private.h"

bool complain(struct reader *r, const struct yaml_node *at, const char *format, ...)
{
    struct sweep *s = r->sweep;
    char text[1200];
    size_t used = 0;
    va_list args;
    char *copy;

    if (s->problems_count == SWEEP_MAX_PROBLEMS || r->e->code)
        return false;
    if (at && at->line)
        used = (size_t)snprintf(text, sizeof text, "%.300s:%d:%d: ", at->file, at->line, at->column);
    else if (at)
        used = (size_t)snprintf(text, sizeof text, "%.300s: ", at->file);
    va_start(args, format);
    vsnprintf(text + used, sizeof text - used, format, args);
    va_end(args);
    for (char *p = text; *p; p++) /* a problem is one line, whatever the file holds */
        if ((unsigned char)*p < ' ' || *p == 127)
            *p = ' ';
    if (!s->problems)
        s->problems = sweep_memory(s, SWEEP_MAX_PROBLEMS * sizeof *s->problems);
    copy = sweep_memory(s, strlen(text) + 1);
    if (!s->problems || !copy) {
        err_set(r->e, ERR_NOMEM, "out of memory");
        return false;
    }
    s->problems[s->problems_count++] = strcpy(copy, text);
    return false;
}

void *grow_list(struct reader *r, void *items, int count, int *capacity, size_t size)
{
    int wanted = *capacity ? 2 * *capacity : 8;
    void *more;

    if (count < *capacity)
        return items;
    more = sweep_memory(r->sweep, (size_t)wanted * size);
    if (!more) {
        err_set(r->e, ERR_NOMEM, "out of memory");
        return NULL;
    }
    if (count)
        memcpy(more, items, (size_t)count * size);
    *capacity = wanted;
    return more;
}

bool expect_map(struct reader *r, const struct yaml_node *node, const char *what)
{
    if (node->kind == YAML_MAP)
        return true;
    return complain(r, node, "%s must be a map of keys and values, not %s", what, yaml_kind_name(node));
}

bool expect_list(struct reader *r, const struct yaml_node *node, const char *what)
{
    if (node->kind == YAML_LIST)
        return true;
    return complain(r, node, "%s must be a list, not %s", what, yaml_kind_name(node));
}

/* ---- values ---- */

/* [0, 1, 2] as "0,1,2", [[0, 1], [2]] as "[[0,1],[2]]": the texts that option_parse() reads. */
static bool list_text(FILE *out, const struct yaml_node *node, const char *open, const char *close)
{
    fputs(open, out);
    for (int i = 0; i < node->count; i++) {
        const struct yaml_node *item = node->values[i];
        if (i)
            fputc(',', out);
        if (item->kind == YAML_LIST && *open)
            list_text(out, item, "[", "]");
        else if (item->kind == YAML_SCALAR)
            fputs(item->text, out);
        else
            fputc('?', out); /* no text that anything accepts */
    }
    fputs(close, out);
    return true;
}

static bool parse_text(struct reader *r, enum option_id id, const struct yaml_node *at, const char *text,
                       union option_value *out)
{
    err e = {0};

    if (!option_parse(id, text, out, &e))
        return true;
    return complain(r, at, "%s", e.text);
}

static bool read_list_value(struct reader *r, enum option_id id, const struct yaml_node *node, union option_value *out)
{
    bool sequence = option_info(id)->type == OPTION_TYPE_SEQUENCE;
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    bool good;

    if (!to) {
        err_set(r->e, ERR_NOMEM, "out of memory");
        return false;
    }
    list_text(to, node, sequence ? "[" : "", sequence ? "]" : "");
    fclose(to);
    good = parse_text(r, id, node, text ? text : "", out);
    free(text);
    return good;
}

/* `a..b` of a plain scalar. */
static bool is_range(const struct yaml_node *node, long long *from, long long *to)
{
    int end = 0;

    if (node->kind != YAML_SCALAR || !node->plain || strlen(node->text) > 40 ||
        node->text[strspn(node->text, "0123456789.-")])
        return false;
    return sscanf(node->text, "%18lld..%18lld%n", from, to, &end) == 2 && !node->text[end];
}

bool read_value(struct reader *r, enum option_id id, const struct yaml_node *node, union option_value *out)
{
    const struct option_info *o = option_info(id);
    long long from, to;
    char rule[300];

    memset(out, 0, sizeof *out);
    if (yaml_is_null(node))
        return complain(r, node, "%s has no value", o->key);
    if (is_range(node, &from, &to))
        return complain(r, node, "%s is the range '%s', but one value is expected; a range belongs under grid", o->key,
                        node->text);
    if (node->kind == YAML_SCALAR)
        return parse_text(r, id, node, node->text, out);
    if (node->kind == YAML_LIST && (o->type == OPTION_TYPE_LAYERS || o->type == OPTION_TYPE_SEQUENCE))
        return read_list_value(r, id, node, out);
    option_rule(id, rule, sizeof rule);
    return complain(r, node, "%s is %s; it must be one value, %s%s", o->key, yaml_kind_name(node), rule,
                    node->kind == YAML_LIST ? "; several values belong under grid" : "");
}

static bool read_range(struct reader *r, enum option_id id, const struct yaml_node *node, long long from, long long to,
                       int64_t *count, union option_value **out)
{
    enum option_type type = option_info(id)->type;
    char text[32];

    if (type != OPTION_TYPE_INT && type != OPTION_TYPE_COUNT && type != OPTION_TYPE_SEED)
        return complain(r, node, "%s is '%s'; only integers have ranges", option_info(id)->key, node->text);
    if (from > to)
        return complain(r, node, "%s is '%s'; a range goes upwards", option_info(id)->key, node->text);
    if (to - from >= SWEEP_MAX_AXIS)
        return complain(r, node, "%s is '%s'; an axis has at most %d values", option_info(id)->key, node->text,
                        SWEEP_MAX_AXIS);
    *count = to - from + 1;
    *out = sweep_memory(r->sweep, (size_t)*count * sizeof **out);
    if (!*out) {
        err_set(r->e, ERR_NOMEM, "out of memory");
        return false;
    }
    for (int64_t i = 0; i < *count; i++) {
        snprintf(text, sizeof text, "%lld", from + i);
        if (!parse_text(r, id, node, text, &(*out)[i]))
            return false;
    }
    return true;
}

bool read_values(struct reader *r, enum option_id id, const struct yaml_node *node, int64_t *count,
                 union option_value **out)
{
    long long from, to;
    bool good = true;

    if (is_range(node, &from, &to))
        return read_range(r, id, node, from, to, count, out);
    *count = node->kind == YAML_LIST ? node->count : 1;
    if (!*count)
        return complain(r, node, "%s has no values", option_info(id)->key);
    *out = sweep_memory(r->sweep, (size_t)*count * sizeof **out);
    if (!*out) {
        err_set(r->e, ERR_NOMEM, "out of memory");
        return false;
    }
    for (int64_t i = 0; i < *count; i++)
        good &= read_value(r, id, node->kind == YAML_LIST ? node->values[i] : node, &(*out)[i]);
    return good;
}

/* ---- keys ---- */

/* The options of a group, "prompt.length, prompt.layers, ..."; false if there is no such group. */
static bool group_members(const char *group, char *text, size_t size)
{
    size_t n = strlen(group), used = 0;

    for (int i = 0; i < OPTION_COUNT; i++) {
        const char *key = option_info(i)->key;
        if (!strncmp(key, group, n) && key[n] == '.' && used < size)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", key);
    }
    return used > 0;
}

static void unknown_key(struct reader *r, const struct yaml_node *key, const char *path, const char *section)
{
    const char *near = option_nearest_key(path);
    char members[900];

    if (group_members(path, members, sizeof members))
        complain(r, key, "%s: '%.60s' is a group of options: %s", section, path, members);
    else if (near)
        complain(r, key, "%s: there is no option '%.60s'; did you mean '%s'?", section, path, near);
    else
        complain(r, key, "%s: there is no option '%.60s'; see sluice options", section, path);
}

/* An unknown key with a map: is one of the keys in it near to an option, `promt: {length: 5}`? */
static bool has_near_member(const char *path, const struct yaml_node *map)
{
    char member[256];

    for (int i = 0; i < map->count; i++) {
        snprintf(member, sizeof member, "%.120s.%.60s", path, map->keys[i]->text);
        if (option_nearest_key(member) || group_members(path, member, sizeof member))
            return true;
    }
    return false;
}

/* The options below one map whose keys continue `prefix`. */
static void walk_map(struct reader *r, const struct yaml_node *map, const char *prefix, const char *section,
                     visit_option *visit, void *context, bool *seen)
{
    for (int i = 0; i < map->count; i++) {
        const struct yaml_node *key = map->keys[i], *value = map->values[i];
        char path[256];
        enum option_id id;

        snprintf(path, sizeof path, "%s%.120s", prefix, key->text);
        id = option_by_key(path);
        if (id < OPTION_COUNT && seen[id]) {
            complain(r, key, "%s: %s is given twice, nested and dotted", section, path);
        } else if (id < OPTION_COUNT) {
            seen[id] = true;
            visit(r, id, key, value, context);
        } else if (value->kind == YAML_MAP && strlen(path) < 120 && has_near_member(path, value)) {
            strcat(path, ".");
            walk_map(r, value, path, section, visit, context, seen);
        } else {
            unknown_key(r, key, path, section);
        }
    }
}

void walk_options(struct reader *r, const struct yaml_node *map, const char *section, visit_option *visit,
                  void *context)
{
    bool seen[OPTION_COUNT] = {false};

    if (!yaml_is_null(map) && expect_map(r, map, section))
        walk_map(r, map, "", section, visit, context, seen);
}

/* ---- rules ---- */

/* A rule that is being read, with the room of its arrays. */
struct rule_reader {
    struct sweep_rule *rule;
    int capacity;
};

static void add_assignment(struct reader *r, enum option_id id, const struct yaml_node *key,
                           const struct yaml_node *value, void *context)
{
    struct rule_reader *to = context;
    struct sweep_rule *rule = to->rule;
    struct sweep_assignment a = {.option = id};
    void *items;

    (void)key;
    if (!read_value(r, id, value, &a.value))
        return;
    items = grow_list(r, rule->assignments, rule->assignments_count, &to->capacity, sizeof a);
    if (!items)
        return;
    rule->assignments = items;
    rule->assignments[rule->assignments_count++] = a;
}

static void add_condition(struct reader *r, enum option_id id, const struct yaml_node *key,
                          const struct yaml_node *value, void *context)
{
    struct rule_reader *to = context;
    struct sweep_rule *rule = to->rule;
    struct sweep_condition c = {.option = id};
    int64_t count;
    void *items;

    (void)key;
    if (!read_values(r, id, value, &count, &c.values))
        return;
    c.count = (int)count;
    items = grow_list(r, rule->conditions, rule->conditions_count, &to->capacity, sizeof c);
    if (!items)
        return;
    rule->conditions = items;
    rule->conditions[rule->conditions_count++] = c;
}

void read_assignments(struct reader *r, const struct yaml_node *map, const char *section, struct sweep_rule *out)
{
    struct rule_reader to = {.rule = out};

    walk_options(r, map, section, add_assignment, &to);
}

void read_conditions(struct reader *r, const struct yaml_node *map, const char *section, struct sweep_rule *out)
{
    struct rule_reader to = {.rule = out};

    walk_options(r, map, section, add_condition, &to);
}
