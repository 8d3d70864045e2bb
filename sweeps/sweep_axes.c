/* sweeps/sweep_axes.c - the loops of a sweep: grid, zip, random. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/mt19937.h"
#include "sweeps/nearest.h"
#include "sweeps/stage.h"
#include "sweeps/sweep_private.h"

static struct named_axis *add_axis(struct reader *r, struct axis_list *list)
{
    struct named_axis *items = grow_list(r, list->items, list->count, &list->capacity, sizeof *items);

    if (!items)
        return NULL;
    list->items = items;
    items[list->count] = (struct named_axis){0};
    return &items[list->count++];
}

static int find_column(const struct sweep_axis *axis, enum option_id id)
{
    for (int i = 0; i < axis->options_count; i++)
        if (axis->options[i] == id)
            return i;
    return -1;
}

static struct named_axis *find_axis(struct axis_list *list, enum option_id id)
{
    for (int i = 0; i < list->count; i++)
        if (find_column(&list->items[i].axis, id) >= 0)
            return &list->items[i];
    return NULL;
}

/* ---- grid ---- */

void set_axis(struct reader *r, enum option_id id, const struct yaml_node *at, const struct yaml_node *values)
{
    struct named_axis *named = find_axis(&r->grid, id);
    struct sweep_axis axis = {.origin = "grid", .options_count = 1};

    if (!read_values(r, id, values, &axis.length, &axis.values))
        return;
    axis.options = sweep_memory(r->sweep, sizeof *axis.options);
    if (!named)
        named = add_axis(r, &r->grid);
    if (!axis.options || !named) {
        err_set(r->e, ERR_NOMEM, "out of memory");
        return;
    }
    axis.options[0] = id;
    *named = (struct named_axis){axis, at};
}

static void visit_grid(struct reader *r, enum option_id id, const struct yaml_node *key, const struct yaml_node *value,
                       void *context)
{
    (void)context;
    set_axis(r, id, key, value);
}

void read_grid(struct reader *r, const struct yaml_node *key, const struct yaml_node *node)
{
    (void)key;
    walk_options(r, node, "grid", visit_grid, NULL);
}

/* ---- axes of several options ---- */

/* Columns of values that become one axis; every column has the same length. */
struct columns {
    struct named_axis *named;
    int capacity;
    struct column {
        enum option_id id;
        int64_t length;
        union option_value *values;
        const struct yaml_node *at;
    } * items;
    int count;
    bool good;
};

static void add_column(struct reader *r, struct columns *c, struct column column)
{
    struct column *items = grow_list(r, c->items, c->count, &c->capacity, sizeof *items);

    if (!items)
        return;
    c->items = items;
    items[c->count++] = column;
}

/* Interleave the columns into lines. */
static void join_columns(struct reader *r, const struct columns *c, const char *origin, const struct yaml_node *at,
                         struct axis_list *list)
{
    struct sweep_axis axis = {.origin = origin, .options_count = c->count, .length = c->items[0].length};
    struct named_axis *named;

    axis.options = sweep_memory(r->sweep, (size_t)c->count * sizeof *axis.options);
    axis.values = sweep_memory(r->sweep, (size_t)(axis.length * c->count) * sizeof *axis.values);
    named = add_axis(r, list);
    if (!axis.options || !axis.values || !named) {
        err_set(r->e, ERR_NOMEM, "out of memory");
        return;
    }
    for (int k = 0; k < c->count; k++) {
        axis.options[k] = c->items[k].id;
        for (int64_t i = 0; i < axis.length; i++)
            axis.values[i * c->count + k] = c->items[k].values[i];
    }
    *named = (struct named_axis){axis, at};
}

/* ---- zip ---- */

static void visit_zip(struct reader *r, enum option_id id, const struct yaml_node *key, const struct yaml_node *value,
                      void *context)
{
    struct columns *c = context;
    struct column column = {.id = id, .at = key};

    if (read_values(r, id, value, &column.length, &column.values))
        add_column(r, c, column);
    else
        c->good = false;
}

static void read_one_zip(struct reader *r, const struct yaml_node *node)
{
    struct columns c = {.good = true};

    walk_options(r, node, "zip", visit_zip, &c);
    for (int i = 1; i < c.count; i++) {
        if (c.items[i].length != c.items[0].length) {
            complain(r, c.items[i].at,
                     "zip: %s has %lld values, but %s has %lld; lists that are walked together are "
                     "equally long",
                     option_info(c.items[i].id)->key, (long long)c.items[i].length, option_info(c.items[0].id)->key,
                     (long long)c.items[0].length);
            c.good = false;
        }
    }
    if (c.good && c.count)
        join_columns(r, &c, "zip", node, &r->zips);
}

void read_zip(struct reader *r, const struct yaml_node *key, const struct yaml_node *node)
{
    (void)key;
    r->zips.count = 0; /* replaces what a file of defaults said */
    if (node->kind == YAML_MAP)
        read_one_zip(r, node);
    else if (!yaml_is_null(node) && expect_list(r, node, "zip"))
        for (int i = 0; i < node->count; i++)
            if (expect_map(r, node->values[i], "an item of zip"))
                read_one_zip(r, node->values[i]);
}

/* ---- random ---- */

struct draw {
    enum option_id id;
    const struct yaml_node *at;
    enum { UNIFORM, LOG_UNIFORM, INTEGER, CHOICE } kind;
    double low, high;
    int64_t choices_count;
    union option_value *choices;
};

static const char *const draw_names[] = {"uniform", "log_uniform", "int", "choice"};

/* A uniform number in [0, 1) that depends on seed, option and sample only. */
static double unit_draw(uint64_t seed, enum option_id id, int64_t sample)
{
    uint32_t words[5] = {(uint32_t)seed, (uint32_t)(seed >> 32), 0, (uint32_t)sample, 0x7377656bu};
    struct mt19937 m;
    uint32_t a, b;

    for (const char *p = option_info(id)->key; *p; p++)
        words[2] = (words[2] ^ (unsigned char)*p) * 16777619u;
    mt19937_seed_words(&m, words, 5);
    a = mt19937_next(&m) >> 5;
    b = mt19937_next(&m) >> 6;
    return (a * 67108864.0 + b) / 9007199254740992.0;
}

static bool read_bound(struct reader *r, const struct yaml_node *node, double *out)
{
    char *end;

    if (node->kind != YAML_SCALAR || !node->text[0] || node->text[strspn(node->text, "0123456789+-.eE")])
        return complain(r, node, "a bound must be a number");
    *out = strtod(node->text, &end);
    return !*end && isfinite(*out) ? true : complain(r, node, "a bound must be a number, not '%.40s'", node->text);
}

static bool read_bounds(struct reader *r, struct draw *d, const struct yaml_node *node)
{
    const char *key = option_info(d->id)->key, *name = draw_names[d->kind];
    enum option_type type = option_info(d->id)->type;
    bool integer = type == OPTION_TYPE_INT || type == OPTION_TYPE_COUNT || type == OPTION_TYPE_SEED;

    if (node->kind != YAML_LIST || node->count != 2)
        return complain(r, node, "random: %s of %s must be [low, high]", name, key);
    if (d->kind == INTEGER ? !integer : type != OPTION_TYPE_REAL)
        return complain(r, node, "random: %s draws %s, but %s is of type %s", name,
                        d->kind == INTEGER ? "integers" : "numbers", key, option_type_name(type));
    if (!read_bound(r, node->values[0], &d->low) || !read_bound(r, node->values[1], &d->high))
        return false;
    if (d->low > d->high || (d->kind == LOG_UNIFORM && d->low <= 0))
        return complain(r, node, "random: %s of %s needs %slow <= high", name, key,
                        d->kind == LOG_UNIFORM ? "0 < " : "");
    if (d->low < option_info(d->id)->low || d->high > option_info(d->id)->high) {
        char rule[300];
        option_rule(d->id, rule, sizeof rule);
        return complain(r, node, "random: [%g, %g] leaves the range of %s: it must be %s", d->low, d->high, key, rule);
    }
    if (d->kind == INTEGER && (d->low != floor(d->low) || d->high != floor(d->high)))
        return complain(r, node, "random: bounds of int must be integers");
    return true;
}

static bool read_draw(struct reader *r, struct draw *d, const struct yaml_node *node)
{
    const char *word, *near;

    if (node->kind != YAML_MAP || node->count != 1)
        return complain(r, node,
                        "random: %s must be one of {uniform: [low, high]}, {log_uniform: [low, high]}, "
                        "{int: [low, high]}, {choice: [values]}",
                        option_info(d->id)->key);
    word = node->keys[0]->text;
    for (d->kind = UNIFORM; d->kind <= CHOICE; d->kind++) {
        if (strcmp(word, draw_names[d->kind]))
            continue;
        if (d->kind == CHOICE)
            return read_values(r, d->id, node->values[0], &d->choices_count, &d->choices);
        return read_bounds(r, d, node->values[0]);
    }
    near = nearest_word(word, draw_names, 4);
    return complain(r, node->keys[0],
                    "random: there is no distribution '%.40s'; uniform, log_uniform, int or choice%s%s%s", word,
                    near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* Numbers are rounded to six digits, which read well and print short. */
static bool draw_value(struct reader *r, const struct draw *d, uint64_t seed, int64_t sample, union option_value *out)
{
    double u = unit_draw(seed, d->id, sample), x = d->low + u * (d->high - d->low);
    char text[40];
    err e = {0};

    switch (d->kind) {
    case CHOICE:
        *out = d->choices[(int64_t)(u * (double)d->choices_count)];
        return true;
    case LOG_UNIFORM:
        x = exp(log(d->low) + u * (log(d->high) - log(d->low)));
        break;
    case INTEGER:
        x = d->low + floor(u * (d->high - d->low + 1));
        break;
    case UNIFORM:
        break;
    }
    snprintf(text, sizeof text, d->kind == INTEGER ? "%.0f" : "%.6g", x < d->low ? d->low : x > d->high ? d->high : x);
    if (!option_parse(d->id, text, out, &e))
        return true;
    return complain(r, d->at, "random: %s", e.text);
}

struct random_reader {
    struct columns columns;
    int64_t samples;
    uint64_t seed;
};

static void visit_space(struct reader *r, enum option_id id, const struct yaml_node *key, const struct yaml_node *value,
                        void *context)
{
    struct random_reader *to = context;
    struct draw d = {.id = id, .at = key};
    struct column column = {.id = id, .length = to->samples, .at = key};

    if (!read_draw(r, &d, value))
        return;
    column.values = sweep_memory(r->sweep, (size_t)to->samples * sizeof *column.values);
    if (!column.values) {
        err_set(r->e, ERR_NOMEM, "out of memory");
        return;
    }
    for (int64_t i = 0; i < to->samples; i++)
        if (!draw_value(r, &d, to->seed, i, &column.values[i]))
            return;
    add_column(r, &to->columns, column);
}

static bool read_count(struct reader *r, const struct yaml_node *node, const char *what, long long low, long long high,
                       long long *out)
{
    char *end;

    if (node->kind == YAML_SCALAR && node->text[0] && !node->text[strspn(node->text, "0123456789")] &&
        strlen(node->text) < 18) {
        *out = strtoll(node->text, &end, 10);
        if (*out >= low && *out <= high)
            return true;
    }
    return complain(r, node, "random: %s must be an integer from %lld to %lld", what, low, high);
}

void read_random(struct reader *r, const struct yaml_node *key, const struct yaml_node *node)
{
    static const char *const words[] = {"samples", "seed", "space"};
    const struct yaml_node *samples = yaml_get(node, "samples"), *seed = yaml_get(node, "seed"),
                           *space = yaml_get(node, "space");
    struct random_reader to = {.samples = 1};
    long long number = 0;

    r->drawn.count = 0;
    if (yaml_is_null(node) || !expect_map(r, node, "random"))
        return;
    for (int i = 0; i < node->count; i++) {
        const char *word = node->keys[i]->text, *near = nearest_word(word, words, 3);
        if (strcmp(word, "samples") && strcmp(word, "seed") && strcmp(word, "space"))
            complain(r, node->keys[i], "random: there is no key '%.40s'; samples, seed or space%s%s%s", word,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    }
    if (!samples || !space) {
        complain(r, key, "random: needs samples and space");
        return;
    }
    if (seed && !read_count(r, seed, "seed", 0, 4294967295LL, &number))
        return;
    to.seed = (uint64_t)number;
    if (!read_count(r, samples, "samples", 1, SWEEP_MAX_AXIS, &number))
        return;
    to.samples = number;
    walk_options(r, space, "random", visit_space, &to);
    if (to.columns.count)
        join_columns(r, &to.columns, "random", node, &r->drawn);
}

/* ---- all axes together ---- */

/* Remove one option's column from an axis. */
static void drop_column(struct sweep_axis *axis, int column)
{
    int n = axis->options_count;

    for (int64_t i = 0, to = 0; i < axis->length * n; i++)
        if (i % n != column)
            axis->values[to++] = axis->values[i];
    memmove(axis->options + column, axis->options + column + 1, (size_t)(n - column - 1) * sizeof *axis->options);
    axis->options_count--;
}

void drop_axis(struct reader *r, enum option_id id, const struct yaml_node *at)
{
    struct named_axis *grid = find_axis(&r->grid, id), *zip = find_axis(&r->zips, id),
                      *drawn = find_axis(&r->drawn, id);

    if (zip)
        complain(r, at, "%s is walked by a zip (%s:%d); change it there", option_info(id)->key, zip->at->file,
                 zip->at->line);
    if (grid) {
        memmove(grid, grid + 1, (size_t)(&r->grid.items[r->grid.count] - grid - 1) * sizeof *grid);
        r->grid.count--;
    }
    if (drawn) {
        drop_column(&drawn->axis, find_column(&drawn->axis, id));
        r->drawn.count = drawn->axis.options_count ? 1 : 0;
    }
}

/* An option belongs to one axis. */
static void check_columns(struct reader *r, const struct named_axis *named, const struct yaml_node **owner)
{
    for (int i = 0; i < named->axis.options_count; i++) {
        enum option_id id = named->axis.options[i];
        if (owner[id])
            complain(r, named->at, "%s is an axis twice, here and on line %d of %s", option_info(id)->key,
                     owner[id]->line, owner[id]->file);
        owner[id] = named->at;
    }
}

void finish_axes(struct reader *r)
{
    struct axis_list *lists[] = {&r->grid, &r->zips, &r->drawn};
    const struct yaml_node *owner[OPTION_COUNT] = {NULL};
    struct sweep *s = r->sweep;
    const struct yaml_node *first = NULL;
    double product = 1;

    s->axes = sweep_memory(s, (size_t)(r->grid.count + r->zips.count + r->drawn.count + 1) * sizeof *s->axes);
    if (!s->axes) {
        err_set(r->e, ERR_NOMEM, "out of memory");
        return;
    }
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
        for (int i = 0; i < lists[k]->count; i++) {
            check_columns(r, &lists[k]->items[i], owner);
            first = first ? first : lists[k]->items[i].at;
            s->axes[s->axes_count++] = lists[k]->items[i].axis;
            product *= (double)lists[k]->items[i].axis.length;
        }
    }
    if (product + s->includes_count > SWEEP_MAX_TRIALS)
        complain(r, first, "the axes multiply to %.15g trials; a sweep has at most %d", product, SWEEP_MAX_TRIALS);
    else
        s->product = (int64_t)product;
}
