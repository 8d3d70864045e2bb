/* sweeps/sweep_private.h - what the files of the sweep reader share; for sweep*.c only. */
#ifndef SWEEPS_SWEEP_PRIVATE_H
#define SWEEPS_SWEEP_PRIVATE_H

#include "io/yaml.h"
#include "sweeps/sweep.h"

/* Zeroed memory that lives as long as the sweep; NULL if there is none. */
void *sweep_memory(struct sweep *s, size_t n);

/* An axis, and who may say something about it. */
struct named_axis {
    struct sweep_axis axis;
    const struct yaml_node *at;
};

struct axis_list {
    int count, capacity;
    struct named_axis *items;
};

/* A sweep while it is being read. */
struct reader {
    struct sweep *sweep;
    struct axis_list grid, zips, drawn; /* drawn: at most one */
    yaml_document *documents[64];
    int documents_count, depth;
    const char *folder;
    err *e; /* memory only: what is wrong with the file becomes a problem */
};

/* Record a problem at the node's place.  Returns false, for `return complain(...)`. */
bool complain(struct reader *r, const struct yaml_node *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Append to an array of the sweep's memory: doubles `*items` when it is full; NULL (and r->e) if memory ran out. */
void *grow_list(struct reader *r, void *items, int count, int *capacity, size_t size);

/* sweep_values.c: from nodes to values of options */
bool read_value(struct reader *r, enum option_id id, const struct yaml_node *node, union option_value *out);
/* One value, a list of values or a range. */
bool read_values(struct reader *r, enum option_id id, const struct yaml_node *node, int64_t *count,
                 union option_value **out);
/* Call visit for every option that a map names, nested or dotted; unknown keys are problems. */
typedef void visit_option(struct reader *r, enum option_id id, const struct yaml_node *key,
                          const struct yaml_node *value, void *context);
void walk_options(struct reader *r, const struct yaml_node *map, const char *section, visit_option *visit,
                  void *context);
void read_assignments(struct reader *r, const struct yaml_node *map, const char *section, struct sweep_rule *out);
void read_conditions(struct reader *r, const struct yaml_node *map, const char *section, struct sweep_rule *out);
bool expect_map(struct reader *r, const struct yaml_node *node, const char *what);
bool expect_list(struct reader *r, const struct yaml_node *node, const char *what);

/* sweep_axes.c: grid, zip and random */
void read_grid(struct reader *r, const struct yaml_node *key, const struct yaml_node *node);
void read_zip(struct reader *r, const struct yaml_node *key, const struct yaml_node *node);
void read_random(struct reader *r, const struct yaml_node *key, const struct yaml_node *node);
void set_axis(struct reader *r, enum option_id id, const struct yaml_node *at, const struct yaml_node *values);
/* An option is pinned: its axis goes away; a problem if a zip walks it. */
void drop_axis(struct reader *r, enum option_id id, const struct yaml_node *at);
/* The lists become the sweep's axes, checked against each other. */
void finish_axes(struct reader *r);

#endif
