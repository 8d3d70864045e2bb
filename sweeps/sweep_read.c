/* sweeps/sweep_read.c - a sweep file, its defaults and the command line, section by section. */
#include <libgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweeps/nearest.h"
#include "sweeps/stage.h"
#include "sweeps/sweep_private.h"

enum { MAX_DEFAULTS_DEPTH = 8, MAX_LINES = 200 };

typedef void read_section(struct reader *r, const struct yaml_node *key, const struct yaml_node *node);

/* ---- settings ---- */

static void read_setting(struct reader *r, enum setting id, const struct yaml_node *node)
{
    err e = {0};

    if (node->kind != YAML_SCALAR)
        complain(r, node, "%s must be one value, not %s", setting_info(id)->key, yaml_kind_name(node));
    else if (yaml_is_null(node))
        complain(r, node, "%s has no value", setting_info(id)->key);
    else if (setting_parse(id, node->text, &r->sweep->setting[id], &e))
        complain(r, node, "%s", e.text);
}

/* A list of lines.  slurm.setup is shell, written to the job script as it is; slurm.additional is quoted. */
static void read_lines(struct reader *r, const struct yaml_node *node, const char *key, const char ***lines, int *count)
{
    if (!expect_list(r, node, key))
        return;
    if (node->count > MAX_LINES) {
        complain(r, node, "%s has more than %d lines", key, MAX_LINES);
        return;
    }
    *lines = sweep_memory(r->sweep, (size_t)(node->count + 1) * sizeof **lines);
    *count = 0;
    for (int i = 0; i < node->count && *lines; i++) {
        const struct yaml_node *line = node->values[i];
        if (line->kind != YAML_SCALAR || strpbrk(line->text, "\r\n") || strlen(line->text) > 1000)
            complain(r, line, "%s: each item must be one line of at most 1000 characters", key);
        else
            (*lines)[(*count)++] = intern(line->text);
    }
}

static void unknown_setting(struct reader *r, const struct yaml_node *key, const char *path)
{
    const char *keys[SETTING_COUNT + 2], *near;

    for (int i = 0; i < SETTING_COUNT; i++)
        keys[i] = setting_info(i)->key;
    keys[SETTING_COUNT] = "slurm.setup";
    keys[SETTING_COUNT + 1] = "slurm.additional";
    near = nearest_word(path, keys, SETTING_COUNT + 2);
    complain(r, key, "there is no key '%.80s'%s%s%s", path, near ? "; did you mean '" : "", near ? near : "",
             near ? "'?" : "");
}

/* A group of settings: metric, early_stop, retry, resources, slurm. */
static void read_group(struct reader *r, const struct yaml_node *key, const struct yaml_node *node)
{
    if (yaml_is_null(node) || !expect_map(r, node, key->text))
        return;
    for (int i = 0; i < node->count; i++) {
        char path[200];
        enum setting id;
        snprintf(path, sizeof path, "%.60s.%.60s", key->text, node->keys[i]->text);
        id = setting_by_key(path);
        if (id < SETTING_COUNT)
            read_setting(r, id, node->values[i]);
        else if (!strcmp(path, "slurm.setup"))
            read_lines(r, node->values[i], path, &r->sweep->setup, &r->sweep->setup_count);
        else if (!strcmp(path, "slurm.additional"))
            read_lines(r, node->values[i], path, &r->sweep->additional, &r->sweep->additional_count);
        else
            unknown_setting(r, node->keys[i], path);
    }
}

/* ---- trials and rules ---- */

static void visit_trial(struct reader *r, enum option_id id, const struct yaml_node *key, const struct yaml_node *value,
                        void *context)
{
    union option_value parsed;

    (void)key;
    (void)context;
    if (read_value(r, id, value, &parsed))
        r->sweep->base.value[id] = parsed;
}

static void read_trial(struct reader *r, const struct yaml_node *key, const struct yaml_node *node)
{
    (void)key;
    walk_options(r, node, "trial", visit_trial, NULL);
}

static void read_include_item(struct reader *r, const struct yaml_node *node, struct sweep_rule *out)
{
    read_assignments(r, node, "include", out);
    if (!node->count)
        complain(r, node, "include: an item without options");
}

static void read_exclude_item(struct reader *r, const struct yaml_node *node, struct sweep_rule *out)
{
    read_conditions(r, node, "exclude", out);
    if (!node->count)
        complain(r, node, "exclude: an item without options would exclude everything");
}

static void read_when_item(struct reader *r, const struct yaml_node *node, struct sweep_rule *out)
{
    const struct yaml_node *condition = yaml_get(node, "if"), *set = yaml_get(node, "set");

    if (node->count != 2 || !condition || !set) {
        complain(r, node, "when: each item must be {if: {option: value}, set: {option: value}}");
        return;
    }
    read_conditions(r, condition, "when", out);
    read_assignments(r, set, "when", out);
}

static void read_rules(struct reader *r, const struct yaml_node *node, const char *section, struct sweep_rule **rules,
                       int *count, void (*read)(struct reader *r, const struct yaml_node *node, struct sweep_rule *out))
{
    char item[40];

    *count = 0;
    snprintf(item, sizeof item, "an item of %s", section);
    if (yaml_is_null(node) || !expect_list(r, node, section))
        return;
    *rules = sweep_memory(r->sweep, (size_t)(node->count + 1) * sizeof **rules);
    if (!*rules) {
        err_set(r->e, ERR_NOMEM, "out of memory");
        return;
    }
    for (int i = 0; i < node->count; i++)
        if (expect_map(r, node->values[i], item))
            read(r, node->values[i], &(*rules)[(*count)++]);
}

static void read_include(struct reader *r, const struct yaml_node *key, const struct yaml_node *node)
{
    (void)key;
    read_rules(r, node, "include", &r->sweep->includes, &r->sweep->includes_count, read_include_item);
}

static void read_exclude(struct reader *r, const struct yaml_node *key, const struct yaml_node *node)
{
    (void)key;
    read_rules(r, node, "exclude", &r->sweep->excludes, &r->sweep->excludes_count, read_exclude_item);
}

static void read_when(struct reader *r, const struct yaml_node *key, const struct yaml_node *node)
{
    (void)key;
    read_rules(r, node, "when", &r->sweep->whens, &r->sweep->whens_count, read_when_item);
}

/* ---- published ---- */

static double *published_number(struct sweep_published *p, const char *key)
{
#define N(name)              \
    if (!strcmp(key, #name)) \
        return &p->name;
    PUBLISHED_NUMBERS(N)
#undef N
    return NULL;
}

static void read_percent(struct reader *r, const struct yaml_node *key, const struct yaml_node *node, double *out)
{
    char *end = NULL;

    if (node->kind == YAML_SCALAR && node->text[0] && !node->text[strspn(node->text, "0123456789.")])
        *out = strtod(node->text, &end);
    if (!end || *end || *out > 100) {
        *out = NAN;
        complain(r, node, "published: %s must be a number from 0 to 100", key->text);
    }
}

/* The numbers and the label are taken out of a row; what is left are the options that say which trials it speaks of. */
static void read_published_row(struct reader *r, const struct yaml_node *node, struct sweep_published *out)
{
    struct yaml_node rest = *node;

    *out = (struct sweep_published){.label = ""};
#define N(name) out->name = NAN;
    PUBLISHED_NUMBERS(N)
#undef N
    if (!expect_map(r, node, "published: a row"))
        return;
    rest.count = 0;
    rest.keys = sweep_memory(r->sweep, (size_t)(node->count + 1) * sizeof *rest.keys);
    rest.values = sweep_memory(r->sweep, (size_t)(node->count + 1) * sizeof *rest.values);
    if (!rest.keys || !rest.values) {
        err_set(r->e, ERR_NOMEM, "out of memory");
        return;
    }
    for (int i = 0; i < node->count; i++) {
        double *number = published_number(out, node->keys[i]->text);
        if (number) {
            read_percent(r, node->keys[i], node->values[i], number);
        } else if (!strcmp(node->keys[i]->text, "label") && node->values[i]->kind == YAML_SCALAR) {
            out->label = intern(node->values[i]->text);
        } else {
            rest.keys[rest.count] = node->keys[i];
            rest.values[rest.count++] = node->values[i];
        }
    }
    read_conditions(r, &rest, "published", &out->which);
}

static void read_published(struct reader *r, const struct yaml_node *key, const struct yaml_node *node)
{
    const struct yaml_node *rows = yaml_get(node, "rows"), *source = yaml_get(node, "source");
    struct sweep *s = r->sweep;

    s->published_count = 0;
    if (yaml_is_null(node) || !expect_map(r, node, "published"))
        return;
    for (int i = 0; i < node->count; i++)
        if (strcmp(node->keys[i]->text, "rows") && strcmp(node->keys[i]->text, "source"))
            complain(r, node->keys[i], "published: there is no key '%.60s'; source or rows", node->keys[i]->text);
    if (!rows || !source || source->kind != YAML_SCALAR || yaml_is_null(source)) {
        complain(r, key, "published: needs source, a text that says where the numbers are from, and rows");
        return;
    }
    if (!expect_list(r, rows, "published: rows"))
        return;
    s->published_source = intern(source->text);
    s->published = sweep_memory(s, (size_t)(rows->count + 1) * sizeof *s->published);
    if (!s->published) {
        err_set(r->e, ERR_NOMEM, "out of memory");
        return;
    }
    for (int i = 0; i < rows->count; i++)
        read_published_row(r, rows->values[i], &s->published[s->published_count++]);
}

/* ---- files ---- */

static void read_document(struct reader *r, const struct yaml_node *root);

/* Take a document over; its nodes are needed until the sweep is complete. */
static bool keep_document(struct reader *r, const struct yaml_node *at, yaml_document *document)
{
    if (r->documents_count < (int)(sizeof r->documents / sizeof *r->documents)) {
        r->documents[r->documents_count++] = document;
        return true;
    }
    yaml_close(document);
    return complain(r, at, "defaults: more than %d files", (int)(sizeof r->documents / sizeof *r->documents) - 1);
}

static void read_default(struct reader *r, const struct yaml_node *node)
{
    const char *outer = r->folder;
    char path[2048], folder[2048];
    yaml_document *document;
    err e = {0};

    if (node->kind != YAML_SCALAR || yaml_is_null(node) || strlen(node->text) > 900) {
        complain(r, node, "defaults: each item must be a file name");
        return;
    }
    snprintf(path, sizeof path, "%.1000s%s%.900s", node->text[0] == '/' ? "" : r->folder,
             node->text[0] == '/' ? "" : "/", node->text);
    if (r->depth == MAX_DEFAULTS_DEPTH) {
        complain(r, node, "defaults: nested more than %d deep; does '%.200s' include itself?", MAX_DEFAULTS_DEPTH,
                 node->text);
        return;
    }
    if (yaml_load(path, &document, &e)) {
        complain(r, e.code == ERR_MISSING ? node : NULL, "%s%s", e.code == ERR_MISSING ? "defaults: " : "", e.text);
        return;
    }
    if (!keep_document(r, node, document) || !yaml_root(document))
        return;
    snprintf(folder, sizeof folder, "%s", path);
    r->folder = dirname(folder);
    r->depth++;
    read_document(r, yaml_root(document));
    r->depth--;
    r->folder = outer;
}

static void read_defaults(struct reader *r, const struct yaml_node *key, const struct yaml_node *node)
{
    (void)key;
    if (node->kind == YAML_SCALAR && !yaml_is_null(node))
        read_default(r, node);
    else if (!yaml_is_null(node) && expect_list(r, node, "defaults"))
        for (int i = 0; i < node->count && !r->e->code; i++)
            read_default(r, node->values[i]);
}

static const struct section {
    const char *key;
    read_section *read;
} sections[] = {
    {"trial", read_trial},       {"grid", read_grid},       {"zip", read_zip},          {"random", read_random},
    {"include", read_include},   {"exclude", read_exclude}, {"when", read_when},        {"published", read_published},
    {"defaults", read_defaults}, {"metric", read_group},    {"early_stop", read_group}, {"retry", read_group},
    {"resources", read_group},   {"shard", read_group},     {"slurm", read_group},
};
enum { SECTIONS = sizeof sections / sizeof *sections };

static void unknown_section(struct reader *r, const struct yaml_node *key)
{
    const char *words[SECTIONS + 2], *near;
    size_t n = strlen(key->text);

    for (int i = 0; i < OPTION_COUNT; i++) {
        const char *option = option_info(i)->key;
        if (!strcmp(option, key->text) || (!strncmp(option, key->text, n) && option[n] == '.')) {
            complain(r, key, "'%.60s' is an option; options stand under trial or grid", key->text);
            return;
        }
    }
    for (int i = 0; i < SECTIONS; i++)
        words[i] = sections[i].key;
    words[SECTIONS] = "name";
    words[SECTIONS + 1] = "description";
    near = nearest_word(key->text, words, SECTIONS + 2);
    complain(r, key, "there is no section '%.60s'%s%s%s", key->text, near ? "; did you mean '" : "", near ? near : "",
             near ? "'?" : "; see docs/interface.md, section 2");
}

static void read_pair(struct reader *r, const struct yaml_node *key, const struct yaml_node *node)
{
    enum setting setting = setting_by_key(key->text);

    if (!strncmp(key->text, "x-", 2)) /* the user's own: a place for anchors */
        return;
    if (setting < SETTING_COUNT && !strchr(key->text, '.')) {
        read_setting(r, setting, node);
        return;
    }
    for (int i = 0; i < SECTIONS; i++) {
        if (!strcmp(key->text, sections[i].key)) {
            sections[i].read(r, key, node);
            return;
        }
    }
    unknown_section(r, key);
}

/* defaults first, wherever they stand; then everything in order. */
static void read_document(struct reader *r, const struct yaml_node *root)
{
    if (!expect_map(r, root, "a sweep"))
        return;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < root->count && !r->e->code; i++)
            if (!strcmp(root->keys[i]->text, "defaults") == (pass == 0))
                read_pair(r, root->keys[i], root->values[i]);
}

/* ---- the command line ---- */

/* An argument's value as YAML: "5", "a,b,c", "[[0, 1], [2, 3]]", "0..4" are the inside of a list. */
static const struct yaml_node *parse_argument(struct reader *r, const struct yaml_node *at, const char *value)
{
    yaml_document *document;
    const struct yaml_node *root;
    char *text;
    err e = {0};

    if (asprintf(&text, "[%s]", value) < 0) {
        err_set(r->e, ERR_NOMEM, "out of memory");
        return NULL;
    }
    if (yaml_parse(at->file, text, strlen(text), &document, &e)) {
        free(text);
        complain(r, at, "cannot be read: %s", strrchr(e.text, ':') ? strrchr(e.text, ':') + 2 : e.text);
        return NULL;
    }
    free(text);
    root = yaml_root(document);
    if (!keep_document(r, at, document))
        return NULL;
    if (!root || root->kind != YAML_LIST || !root->count) {
        complain(r, at, "has no value");
        return NULL;
    }
    for (int i = 0; i < root->count; i++)
        root->values[i]->line = 0; /* places inside an argument help nobody */
    return root;
}

static void override_option(struct reader *r, enum option_id id, const struct yaml_node *at, const char *value)
{
    const struct yaml_node *list = parse_argument(r, at, value);
    union option_value parsed;

    if (!list)
        return;
    if (list->count > 1 || strstr(list->values[0]->text, "..")) {
        drop_axis(r, id, at);
        set_axis(r, id, at, list->count > 1 ? list : list->values[0]);
    } else if (read_value(r, id, list->values[0], &parsed)) {
        drop_axis(r, id, at);
        r->sweep->base.value[id] = parsed;
    }
}

static void read_override(struct reader *r, const char *argument)
{
    const char *equals = strchr(argument, '=');
    struct yaml_node *at = sweep_memory(r->sweep, sizeof *at);
    char *name = sweep_memory(r->sweep, strlen(argument) + 40), key[128];
    enum setting setting;
    enum option_id option;

    if (!at || !name) {
        err_set(r->e, ERR_NOMEM, "out of memory");
        return;
    }
    sprintf(name, "argument '%.200s'", argument);
    *at = (struct yaml_node){.file = name, .text = equals ? equals + 1 : "", .kind = YAML_SCALAR};
    if (!equals || equals == argument) {
        complain(r, at, "must be KEY=VALUE");
        return;
    }
    snprintf(key, sizeof key, "%.*s", (int)(equals - argument < 120 ? equals - argument : 120), argument);
    option = option_by_key(key);
    setting = setting_by_key(key);
    if (option < OPTION_COUNT)
        override_option(r, option, at, equals + 1);
    else if (setting < SETTING_COUNT)
        read_setting(r, setting, at);
    else if (option_nearest_key(key))
        complain(r, at, "there is no option '%s'; did you mean '%s'?", key, option_nearest_key(key));
    else
        unknown_setting(r, at, key);
}

/* ---- the interface ---- */

static void start(struct reader *r, struct sweep *out, const char *folder, err *e)
{
    *out = (struct sweep){.published_source = ""};
    *r = (struct reader){.sweep = out, .folder = folder, .e = e};
    trial_defaults(&out->base);
    for (int i = 0; i < SETTING_COUNT; i++)
        setting_parse(i, setting_info(i)->initial, &out->setting[i], e);
}

/* The name of a sweep that does not say it: its file's, without folder and ending, as far as it is a name. */
static void name_after_file(struct sweep *s, const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
    char name[64];
    err e = {0};

    snprintf(name, sizeof name, "%.*s", (int)(dot && dot > base ? dot - base : 60), base);
    if (!s->setting[SETTING_NAME].text[0] && setting_parse(SETTING_NAME, name, &s->setting[SETTING_NAME], &e))
        setting_parse(SETTING_NAME, "sweep", &s->setting[SETTING_NAME], &e);
}

/* The first problems as one error; a file that is not there stays ERR_MISSING. */
static int report(struct sweep *s, err *e)
{
    size_t used = 0;
    int shown = 0;

    if (e->code || !s->problems_count)
        return e->code;
    e->code = ERR_CONFIG;
    for (; shown < s->problems_count && used + strlen(s->problems[shown]) + 40 < sizeof e->text; shown++)
        used += (size_t)sprintf(e->text + used, "%s%s", shown ? "\n" : "", s->problems[shown]);
    if (!shown)
        return err_set(e, ERR_CONFIG, "%s", s->problems[0]);
    if (shown < s->problems_count)
        sprintf(e->text + used, "\n... and %d more problems", s->problems_count - shown);
    return e->code;
}

static int finish(struct reader *r, const char *path, const char *const *overrides, int count)
{
    for (int i = 0; i < count && !r->e->code; i++)
        read_override(r, overrides[i]);
    if (!r->e->code)
        finish_axes(r);
    name_after_file(r->sweep, path);
    for (int i = 0; i < r->documents_count; i++)
        yaml_close(r->documents[i]);
    return report(r->sweep, r->e);
}

int sweep_parse(const char *name, const char *folder, const char *bytes, size_t n, const char *const *overrides,
                int overrides_count, struct sweep *out, err *e)
{
    yaml_document *document;
    struct reader r;

    start(&r, out, folder, e);
    if (e->code || yaml_parse(name, bytes, n, &document, e))
        return e->code;
    keep_document(&r, NULL, document);
    if (yaml_root(document))
        read_document(&r, yaml_root(document));
    else
        complain(&r, &(struct yaml_node){.file = name, .line = 1, .column = 1}, "an empty file is no sweep");
    return finish(&r, name, overrides, overrides_count);
}

int sweep_load(const char *path, const char *const *overrides, int overrides_count, struct sweep *out, err *e)
{
    yaml_document *document;
    char folder[4096];
    struct reader r;

    snprintf(folder, sizeof folder, "%s", path);
    start(&r, out, dirname(folder), e);
    if (e->code || yaml_load(path, &document, e))
        return e->code;
    keep_document(&r, NULL, document);
    if (yaml_root(document))
        read_document(&r, yaml_root(document));
    else
        complain(&r, &(struct yaml_node){.file = path, .line = 1, .column = 1}, "an empty file is no sweep");
    return finish(&r, path, overrides, overrides_count);
}
