/* io/yaml.c - libyaml events to a tree with places.
 *
 * All memory of a document comes from one arena of malloc'd blocks, so an error anywhere frees everything at once. */
#include "io/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

#include "io/text.h"

struct block {
    struct block *next;
    size_t used, size;
    _Alignas(16) char bytes[];
};

struct anchor {
    const char *name;
    struct yaml_node *node;
    bool open; /* its node is not complete yet: an alias to it would be a cycle */
    struct anchor *next;
};

struct yaml_document {
    struct block *blocks;
    const char *name;
    struct yaml_node *root;
    struct anchor *anchors;
    size_t nodes;
};

/* A list or map that is being read. */
struct frame {
    struct yaml_node *node, *key;
    struct anchor *anchor;
    int capacity;
};

struct reader {
    yaml_parser_t parser;
    yaml_document *document;
    const char *bytes;
    size_t size;
    struct frame stack[YAML_MAX_DEPTH];
    int depth;
    err *e;
};

/* ---- memory ---- */

static void *arena(yaml_document *d, size_t n, err *e)
{
    size_t room = (n + 15) & ~(size_t)15;
    struct block *b = d->blocks;
    void *p;

    if (!b || b->size - b->used < room) {
        size_t size = room > 32768 ? room : 32768;
        b = malloc(sizeof *b + size);
        if (!b) {
            err_errno(e, "%s", d->name);
            return NULL;
        }
        *b = (struct block){.next = d->blocks, .size = size};
        d->blocks = b;
    }
    p = b->bytes + b->used;
    b->used += room;
    memset(p, 0, room);
    return p;
}

static char *arena_text(yaml_document *d, const char *text, size_t n, err *e)
{
    char *copy = arena(d, n + 1, e);

    if (copy)
        memcpy(copy, text, n);
    return copy;
}

void yaml_close(yaml_document *document)
{
    if (!document)
        return;
    for (struct block *b = document->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(document);
}

/* ---- places and errors ---- */

static int fail_at(struct reader *r, yaml_mark_t at, const char *what)
{
    return err_set(r->e, ERR_CONFIG, "%s:%zu:%zu: %s", r->document->name, at.line + 1, at.column + 1, what);
}

/* libyaml's own complaint, with a plainer word for the usual slips. */
static int fail_syntax(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    const yaml_mark_t *at = &p->problem_mark;
    const char *problem = p->problem ? p->problem : "not YAML";

    if (p->error == YAML_MEMORY_ERROR)
        return err_set(r->e, ERR_NOMEM, "%s: out of memory", r->document->name);
    if (p->error == YAML_READER_ERROR)
        return err_set(r->e, ERR_CONFIG, "%s: byte %zu: %s; write plain UTF-8 text", r->document->name,
                       p->problem_offset, problem);
    if (at->index < r->size && r->bytes[at->index] == '\t')
        return fail_at(r, *at, "a tab cannot indent YAML; use spaces");
    if (p->context)
        return err_set(r->e, ERR_CONFIG, "%s:%zu:%zu: %s %s (from line %zu)", r->document->name, at->line + 1,
                       at->column + 1, problem, p->context, p->context_mark.line + 1);
    return fail_at(r, *at, problem);
}

/* NUL bytes and invalid UTF-8, with their place; libyaml would give a byte offset only. */
static int check_text(struct reader *r)
{
    yaml_mark_t at = {0};

    for (size_t i = 0; i < r->size;) {
        int n = text_character(r->bytes + i, r->size - i);
        if (!n)
            return fail_at(r, at, "invalid UTF-8; save the file as UTF-8");
        if (r->bytes[i] == 0)
            return fail_at(r, at, "a NUL byte; this is not a text file");
        at.column++;
        if (r->bytes[i] == '\n') {
            at.line++;
            at.column = 0;
        }
        i += (size_t)n;
    }
    return 0;
}

/* ---- building the tree ---- */

static struct yaml_node *new_node(struct reader *r, enum yaml_kind kind, yaml_mark_t at)
{
    struct yaml_node *node;

    if (++r->document->nodes > YAML_MAX_NODES) {
        fail_at(r, at, "more than 1000000 nodes");
        return NULL;
    }
    node = arena(r->document, sizeof *node, r->e);
    if (node)
        *node = (struct yaml_node){.kind = kind,
                                   .line = (int)at.line + 1,
                                   .column = (int)at.column + 1,
                                   .file = r->document->name,
                                   .text = "",
                                   .weight = 1};
    return node;
}

static int grow(struct reader *r, struct frame *f)
{
    int wanted = f->capacity ? 2 * f->capacity : 4;
    size_t have = (size_t)f->node->count * sizeof(struct yaml_node *);
    struct yaml_node **values, **keys = NULL;

    if (f->node->count < f->capacity)
        return 0;
    values = arena(r->document, (size_t)wanted * sizeof *values, r->e);
    if (f->node->kind == YAML_MAP)
        keys = arena(r->document, (size_t)wanted * sizeof *keys, r->e);
    if (r->e->code)
        return r->e->code;
    if (have) {
        memcpy(values, f->node->values, have);
        if (keys)
            memcpy(keys, f->node->keys, have);
    }
    f->node->values = values;
    f->node->keys = keys;
    f->capacity = wanted;
    return 0;
}

/* Append a pair or an item; the weight of the whole is bounded, which is what stops alias bombs. */
static int append(struct reader *r, struct frame *f, struct yaml_node *key, struct yaml_node *value, yaml_mark_t at)
{
    if (f->node->kind == YAML_MAP && f->node->count >= YAML_MAX_KEYS)
        return fail_at(r, at, "a map with more than 1000 keys");
    if (grow(r, f))
        return r->e->code;
    f->node->weight += value->weight + (key ? 1 : 0);
    if (f->node->weight > YAML_MAX_NODES)
        return fail_at(r, at, "more than 1000000 nodes once aliases are expanded");
    if (f->node->kind == YAML_MAP)
        f->node->keys[f->node->count] = key;
    f->node->values[f->node->count++] = value;
    return 0;
}

/* A finished node takes its place in what is being read. */
static int place(struct reader *r, struct yaml_node *node, yaml_mark_t at)
{
    struct frame *f = r->depth ? &r->stack[r->depth - 1] : NULL;
    struct yaml_node *key;

    if (!f) {
        r->document->root = node;
        return 0;
    }
    if (f->node->kind == YAML_LIST)
        return append(r, f, NULL, node, at);
    if (!f->key) {
        if (node->kind != YAML_SCALAR)
            return fail_at(r, at, "a key must be a text");
        f->key = node;
        return 0;
    }
    key = f->key;
    f->key = NULL;
    return append(r, f, key, node, at);
}

static int key_order(const void *a, const void *b)
{
    const struct yaml_node *x = *(struct yaml_node *const *)a, *y = *(struct yaml_node *const *)b;
    int order = strcmp(x->text, y->text);

    if (order)
        return order;
    return x->line != y->line ? (x->line > y->line) - (x->line < y->line)
                              : (x->column > y->column) - (x->column < y->column);
}

static bool is_merge(const struct yaml_node *key)
{
    return key->plain && !strcmp(key->text, "<<");
}

static int check_duplicates(struct reader *r, const struct yaml_node *map)
{
    size_t bytes = (size_t)map->count * sizeof *map->keys;
    struct yaml_node **sorted = malloc(bytes + 1);

    if (!sorted)
        return err_errno(r->e, "%s", r->document->name);
    if (bytes)
        memcpy(sorted, map->keys, bytes);
    qsort(sorted, (size_t)map->count, sizeof *sorted, key_order);
    for (int i = 1; i < map->count && !r->e->code; i++)
        if (!strcmp(sorted[i - 1]->text, sorted[i]->text))
            err_set(r->e, ERR_CONFIG, "%s:%d:%d: the key '%.100s' is already on line %d", map->file, sorted[i]->line,
                    sorted[i]->column, sorted[i]->text, sorted[i - 1]->line);
    free(sorted);
    return r->e->code;
}

static int merge_one(struct reader *r, struct frame *f, const struct yaml_node *from, yaml_mark_t at)
{
    if (from->kind != YAML_MAP)
        return fail_at(r, at, "<< merges maps only");
    for (int i = 0; i < from->count; i++)
        if (!yaml_get(f->node, from->keys[i]->text) && append(r, f, from->keys[i], from->values[i], at))
            return r->e->code;
    return 0;
}

/* `<<: *other` or `<<: [*a, *b]`: pairs that are not given here come from there, earlier ones first. */
static int merge(struct reader *r, struct frame *f)
{
    struct yaml_node *map = f->node, *from = NULL;
    yaml_mark_t at = {0};
    int kept = 0;

    for (int i = 0; i < map->count; i++) {
        if (is_merge(map->keys[i])) {
            from = map->values[i];
            at = (yaml_mark_t){.line = (size_t)map->keys[i]->line - 1, .column = (size_t)map->keys[i]->column - 1};
        } else {
            map->keys[kept] = map->keys[i];
            map->values[kept++] = map->values[i];
        }
    }
    map->count = kept;
    if (!from)
        return 0;
    if (from->kind != YAML_LIST)
        return merge_one(r, f, from, at);
    for (int i = 0; i < from->count; i++)
        if (merge_one(r, f, from->values[i], at))
            return r->e->code;
    return 0;
}

/* ---- events ---- */

static struct anchor *find_anchor(const struct reader *r, const char *name)
{
    struct anchor *a = r->document->anchors;

    while (a && strcmp(a->name, name))
        a = a->next;
    return a;
}

/* Remember an anchor; a later one of the same name hides the earlier. */
static int add_anchor(struct reader *r, const yaml_char_t *name, struct yaml_node *node, bool open, struct anchor **out)
{
    struct anchor *a;

    *out = NULL;
    if (!name)
        return 0;
    a = arena(r->document, sizeof *a, r->e);
    if (!a)
        return r->e->code;
    a->name = arena_text(r->document, (const char *)name, strlen((const char *)name), r->e);
    if (!a->name)
        return r->e->code;
    a->node = node;
    a->open = open;
    a->next = r->document->anchors;
    r->document->anchors = a;
    *out = a;
    return 0;
}

static int on_scalar(struct reader *r, const yaml_event_t *event)
{
    struct yaml_node *node;
    struct anchor *anchor;
    size_t n = event->data.scalar.length;
    const char *text = (const char *)event->data.scalar.value;

    if (n > YAML_MAX_SCALAR)
        return fail_at(r, event->start_mark, "a text of more than 65536 bytes");
    if (memchr(text, 0, n))
        return fail_at(r, event->start_mark, "a text with a NUL character");
    node = new_node(r, YAML_SCALAR, event->start_mark);
    if (!node)
        return r->e->code;
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->text = arena_text(r->document, text, n, r->e);
    if (!node->text || add_anchor(r, event->data.scalar.anchor, node, false, &anchor))
        return r->e->code;
    return place(r, node, event->start_mark);
}

static int on_start(struct reader *r, const yaml_event_t *event, enum yaml_kind kind, const yaml_char_t *name)
{
    struct frame *f = &r->stack[r->depth];

    if (r->depth == YAML_MAX_DEPTH)
        return fail_at(r, event->start_mark, "nested more than 64 deep");
    *f = (struct frame){.node = new_node(r, kind, event->start_mark)};
    if (!f->node || add_anchor(r, name, f->node, true, &f->anchor))
        return r->e->code;
    r->depth++;
    return 0;
}

static int on_end(struct reader *r, const yaml_event_t *event)
{
    struct frame *f = &r->stack[r->depth - 1];

    if (f->node->kind == YAML_MAP && (check_duplicates(r, f->node) || merge(r, f)))
        return r->e->code;
    if (f->anchor)
        f->anchor->open = false;
    r->depth--;
    return place(r, f->node, event->start_mark);
}

static int on_alias(struct reader *r, const yaml_event_t *event)
{
    const struct anchor *a = find_anchor(r, (const char *)event->data.alias.anchor);

    if (!a)
        return fail_at(r, event->start_mark, "an alias without an anchor before it");
    if (a->open)
        return fail_at(r, event->start_mark, "an alias inside its own anchor");
    return place(r, a->node, event->start_mark);
}

static int on_event(struct reader *r, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return r->document->root ? fail_at(r, event->start_mark, "a second document; a file holds one") : 0;
    case YAML_ALIAS_EVENT:
        return on_alias(r, event);
    case YAML_SCALAR_EVENT:
        return on_scalar(r, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_start(r, event, YAML_LIST, event->data.sequence_start.anchor);
    case YAML_MAPPING_START_EVENT:
        return on_start(r, event, YAML_MAP, event->data.mapping_start.anchor);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_end(r, event);
    default:
        return 0;
    }
}

static int read_events(struct reader *r)
{
    bool end = false;

    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)r->bytes, r->size);
    while (!end) {
        yaml_event_t event;
        if (!yaml_parser_parse(&r->parser, &event))
            return fail_syntax(r);
        end = event.type == YAML_STREAM_END_EVENT;
        on_event(r, &event);
        yaml_event_delete(&event);
        if (r->e->code)
            return r->e->code;
    }
    return 0;
}

/* ---- the interface ---- */

int yaml_parse(const char *name, const char *bytes, size_t n, yaml_document **out, err *e)
{
    struct reader r = {.bytes = bytes, .size = n, .e = e};

    *out = NULL;
    r.document = calloc(1, sizeof *r.document);
    if (!r.document)
        return err_errno(e, "%s", name);
    r.document->name = name; /* until the arena holds a copy */
    r.document->name = arena_text(r.document, name, strlen(name), e);
    if (e->code)
        goto failed;
    if (n >= 3 && !memcmp(bytes, "\xEF\xBB\xBF", 3)) {
        r.bytes += 3;
        r.size -= 3;
    }
    if (n > YAML_MAX_BYTES) {
        err_set(e, ERR_CONFIG, "%s: larger than 4 MiB", name);
        goto failed;
    }
    if (check_text(&r))
        goto failed;
    if (!yaml_parser_initialize(&r.parser)) {
        err_set(e, ERR_NOMEM, "%s: out of memory", name);
        goto failed;
    }
    read_events(&r);
    yaml_parser_delete(&r.parser);
    if (e->code)
        goto failed;
    *out = r.document;
    return 0;
failed:
    yaml_close(r.document);
    return e->code;
}

static int read_file(const char *path, char **bytes, size_t *n, err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer must not block */
    FILE *file = fd < 0 ? NULL : fdopen(fd, "rb");
    struct stat about;

    *bytes = NULL;
    if (!file)
        return errno == ENOENT ? err_set(e, ERR_MISSING, "%s: there is no such file", path) : err_errno(e, "%s", path);
    if (fstat(fileno(file), &about) || !S_ISREG(about.st_mode)) {
        err_set(e, ERR_CONFIG, "%s: not a file", path);
    } else if (about.st_size > YAML_MAX_BYTES) {
        err_set(e, ERR_CONFIG, "%s: larger than 4 MiB", path);
    } else if (!(*bytes = malloc((size_t)about.st_size + 1))) {
        err_errno(e, "%s", path);
    } else {
        *n = fread(*bytes, 1, (size_t)about.st_size, file);
        if (ferror(file))
            err_errno(e, "%s", path);
    }
    fclose(file);
    return e->code;
}

int yaml_load(const char *path, yaml_document **out, err *e)
{
    char *bytes;
    size_t n = 0;

    *out = NULL;
    if (!read_file(path, &bytes, &n, e))
        yaml_parse(path, bytes, n, out, e);
    free(bytes);
    return e->code;
}

const struct yaml_node *yaml_root(const yaml_document *document)
{
    return document->root;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    if (map && map->kind == YAML_MAP)
        for (int i = 0; i < map->count; i++)
            if (!strcmp(map->keys[i]->text, key))
                return map->values[i];
    return NULL;
}

const char *yaml_kind_name(const struct yaml_node *node)
{
    static const char *const names[] = {"a text", "a list", "a map"};

    return names[node->kind];
}

bool yaml_is_null(const struct yaml_node *node)
{
    return node->kind == YAML_SCALAR && node->plain &&
           (!node->text[0] || !strcmp(node->text, "~") || !strcmp(node->text, "null"));
}
