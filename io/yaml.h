/* io/yaml.h - a YAML file as a tree in which every node knows its place.
 *
 * The reader trusts nothing: size, depth, number of nodes (after aliases are expanded), length of a scalar and number of keys
 * are bounded, and NUL bytes, invalid UTF-8, duplicate keys, keys that are not plain texts, self-referring aliases and second
 * documents are errors with file:line:column.  Anchors, aliases and merge keys (<<) work within these bounds; an alias shares
 * the node of its anchor, so the tree is a graph without cycles and memory stays proportional to the file.
 *
 * Scalars are kept as text: what a text means is the business of who reads it. */
#ifndef IO_YAML_H
#define IO_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "io/err.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    bool plain;                /* a scalar without quotes: `null`, `5` and `a` may mean something, "5" is a text */
    int line, column;          /* from 1 */
    const char *file;          /* the name given to yaml_load() or yaml_parse() */
    const char *text;          /* of a scalar, without NUL inside; otherwise "" */
    int count;                 /* items of a list, pairs of a map */
    struct yaml_node **keys;   /* of a map: scalars */
    struct yaml_node **values; /* of a map or a list */
    size_t weight;             /* nodes below and including this one, aliases expanded */
};

enum {
    YAML_MAX_BYTES = 4 << 20,
    YAML_MAX_DEPTH = 64,
    YAML_MAX_NODES = 1000000,
    YAML_MAX_SCALAR = 64 << 10,
    YAML_MAX_KEYS = 1000,
};

typedef struct yaml_document yaml_document;

/* Read a file; ERR_MISSING if there is none, ERR_CONFIG "file:line:column: ..." if it is not acceptable YAML.
 * The document owns all nodes and texts. */
int yaml_load(const char *path, yaml_document **out, err *e);
/* The same for n bytes in memory; `name` stands in for the file name. */
int yaml_parse(const char *name, const char *bytes, size_t n, yaml_document **out, err *e);
void yaml_close(yaml_document *document); /* NULL is fine */

/* The root; NULL for an empty document. */
const struct yaml_node *yaml_root(const yaml_document *document);

/* The value of a key of a map; NULL if there is none or the node is no map. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

/* "a text", "a list" or "a map", for messages. */
const char *yaml_kind_name(const struct yaml_node *node);

/* True for a plain scalar that stands for nothing: empty, ~ or null. */
bool yaml_is_null(const struct yaml_node *node);

#endif
