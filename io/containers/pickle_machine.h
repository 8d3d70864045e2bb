/* io/containers/pickle_machine.h - the inside of the pickle reader: arena, machine, calls.  For pickle*.c only. */
#ifndef IO_CONTAINERS_PICKLE_MACHINE_H
#define IO_CONTAINERS_PICKLE_MACHINE_H

#include "io/containers/fault.h"
#include "io/containers/names.h"
#include "io/containers/pickle.h"

/* Growing arrays: V(field, type). */
#define PICKLE_TABLES(V)               \
    V(nodes, struct node)              \
    V(items, pickle_value)             \
    V(globals, struct pickle_global)   \
    V(storages, struct pickle_storage) \
    V(tensors, struct pickle_tensor)   \
    V(arrays, struct pickle_array)     \
    V(decoded, char *)

struct node {
    uint8_t kind;   /* enum pickle_kind */
    uint8_t call;   /* of a GLOBAL: enum call */
    uint8_t filled; /* of an ARRAY: BUILD has been */
    uint32_t count; /* bytes of a text, items of a container, pairs of a dict */
    union {
        int64_t integer;
        double real;
        const char *text;
        uint32_t number; /* of the global, storage, tensor or array */
        struct {
            uint32_t first, capacity; /* in the items; a dict's pair takes two */
        } at;
    };
};

struct pickle {
#define V(field, type) type *field;
    PICKLE_TABLES(V)
#undef V
#define V(field, type) size_t field##_count, field##_capacity;
    PICKLE_TABLES(V)
#undef V
    struct names storage_keys;
    pickle_value root;
};

struct machine {
    pickle *p;
    const struct pickle_options *options;
    const char *where;
    const uint8_t *bytes;
    size_t size, at, op_at;       /* op_at: where the opcode at work stands */
    size_t memory, decoded_bytes; /* memory: limit_memory() */
    pickle_value *stack;
    size_t stack_count, stack_capacity;
    uint32_t *marks; /* heights of the stack */
    size_t marks_count, marks_capacity;
    struct memo_slot {
        uint32_t index;
        pickle_value value; /* PICKLE_ABSENT: free */
    } * memo;
    size_t memo_count, memo_capacity;
    uint64_t memo_seed;        /* from an address: a file cannot know which indices collide */
    pickle_value constants[3]; /* None, False, True: PICKLE_ABSENT until there is one */
    bool stopped;
    err *e;
};

int machine_fault(struct machine *m, enum fault kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Make room for one more element of an array of *capacity; false (and an error) if there is no memory, or the array would
 * become larger than the file allows. */
bool machine_room(struct machine *m, void *array, size_t count, size_t *capacity, size_t each);

/* A new value; PICKLE_ABSENT and an error if there are too many. */
pickle_value machine_node(struct machine *m, struct node node);
int machine_push(struct machine *m, pickle_value v);
int machine_push_node(struct machine *m, struct node node);
/* Append n handles (of a dict: n/2 pairs) to a container; they may not lie in the items. */
int machine_extend(struct machine *m, pickle_value container, const pickle_value *values, size_t n);

static inline struct node *machine_at(const struct machine *m, pickle_value v)
{
    return &m->p->nodes[v];
}

/* pickle_calls.c: names and what calling them makes. */
int pickle_call_global(struct machine *m, struct pickle_text module, struct pickle_text name);
int pickle_call_reduce(struct machine *m, pickle_value callee, pickle_value args);
int pickle_call_build(struct machine *m, pickle_value target, pickle_value state);
int pickle_call_persistent(struct machine *m, pickle_value id);

#endif
