/* io/containers/pickle.c - the arena and the stack machine; see pickle.h.  What calls make is in pickle_calls.c. */
#include "io/containers/pickle.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/containers/pickle_machine.h"

enum { LINE_LIMIT = 512, HIGHEST_PROTOCOL = 4, ITEMS_A_VALUE = 4 };

/* ---------------------------------------------------------------- errors and memory */

int machine_fault(struct machine *m, enum fault kind, const char *format, ...)
{
    char text[400];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return fault_set(m->e, kind, "%s: pickle, byte %zu: %s", m->where, m->op_at, text);
}

/* A limit of the user's, with the place in front. */
static int over_limit(struct machine *m, enum container_limit which, const char *what)
{
    return limit_fault(m->options->limits, which, m->e, "%s: pickle, byte %zu: %s", m->where, m->op_at, what);
}

static int too_much(struct machine *m)
{
    return machine_fault(m, FAULT_LIMIT, "takes more memory than a file of its size may");
}

bool machine_room(struct machine *m, void *array, size_t count, size_t *capacity, size_t each)
{
    void **at = array, *bigger;
    size_t wanted = *capacity ? 2 * *capacity : 64, most = m->memory / each;

    if (count < *capacity)
        return true;
    if (count >= most)
        return !too_much(m);
    wanted = wanted < most ? wanted : most;
    if (!(bigger = realloc(*at, wanted * each))) {
        err_set(m->e, ERR_NOMEM, "%s: out of memory for the values of a pickle", m->where);
        return false;
    }
    *at = bigger;
    *capacity = wanted;
    return true;
}

pickle_value machine_node(struct machine *m, struct node node)
{
    pickle *p = m->p;

    if (p->nodes_count >= limit_of(m->options->limits, LIMIT_PICKLE_VALUES)) {
        over_limit(m, LIMIT_PICKLE_VALUES, "one value more");
        return PICKLE_ABSENT;
    }
    if (!machine_room(m, &p->nodes, p->nodes_count, &p->nodes_capacity, sizeof *p->nodes))
        return PICKLE_ABSENT;
    p->nodes[p->nodes_count] = node;
    return (pickle_value)p->nodes_count++;
}

int machine_push(struct machine *m, pickle_value v)
{
    if (v == PICKLE_ABSENT)
        return m->e->code;
    if (m->stack_count >= limit_of(m->options->limits, LIMIT_PICKLE_STACK))
        return over_limit(m, LIMIT_PICKLE_STACK, "one value more on the stack");
    if (!machine_room(m, &m->stack, m->stack_count, &m->stack_capacity, sizeof *m->stack))
        return m->e->code;
    m->stack[m->stack_count++] = v;
    return 0;
}

int machine_push_node(struct machine *m, struct node node)
{
    return machine_push(m, machine_node(m, node));
}

/* A place for n handles at the end of the items; UINT32_MAX if there is none. */
static uint32_t reserve_items(struct machine *m, size_t n)
{
    pickle *p = m->p;
    size_t first = p->items_count, most = m->memory / sizeof *p->items,
           values = ITEMS_A_VALUE * (size_t)limit_of(m->options->limits, LIMIT_PICKLE_VALUES);
    size_t wanted = p->items_capacity ? p->items_capacity : 64;
    pickle_value *bigger;

    if (n > values - first || n > most - first) {
        if (n > most - first)
            too_much(m);
        else
            over_limit(m, LIMIT_PICKLE_VALUES, "more items in its containers than four for each value");
        return UINT32_MAX;
    }
    while (wanted < first + n)
        wanted *= 2;
    wanted = wanted < most ? wanted : most;
    if (wanted > p->items_capacity) {
        if (!(bigger = realloc(p->items, wanted * sizeof *bigger))) {
            err_set(m->e, ERR_NOMEM, "%s: out of memory for the values of a pickle", m->where);
            return UINT32_MAX;
        }
        p->items = bigger;
        p->items_capacity = wanted;
    }
    p->items_count += n;
    return (uint32_t)first;
}

int machine_extend(struct machine *m, pickle_value container, const pickle_value *values, size_t n)
{
    struct node *c = machine_at(m, container);
    size_t each = c->kind == PICKLE_DICT ? 2 : 1, used = each * c->count;

    if (used + n > c->at.capacity) {
        size_t wanted = used + n > 2 * (size_t)c->at.capacity ? used + n : 2 * (size_t)c->at.capacity;
        uint32_t first = reserve_items(m, wanted);

        if (first == UINT32_MAX)
            return m->e->code;
        if (used)
            memcpy(m->p->items + first, m->p->items + c->at.first, used * sizeof *values);
        c->at.first = first;
        c->at.capacity = (uint32_t)wanted;
    }
    if (n)
        memcpy(m->p->items + c->at.first + used, values, n * sizeof *values);
    c->count += (uint32_t)(n / each);
    return 0;
}

/* ---------------------------------------------------------------- the stack */

/* Values above the last mark. */
static size_t height(const struct machine *m)
{
    return m->stack_count - (m->marks_count ? m->marks[m->marks_count - 1] : 0);
}

static int need(struct machine *m, size_t n)
{
    if (height(m) < n)
        return machine_fault(m, FAULT_SYNTAX, "takes %zu values off a stack that has %zu", n, height(m));
    return 0;
}

static pickle_value pop(struct machine *m)
{
    return m->stack[--m->stack_count];
}

/* Take the last mark off; [out] how many values lay above it.  They stay on the stack. */
static int unmark(struct machine *m, size_t *n)
{
    if (!m->marks_count)
        return machine_fault(m, FAULT_SYNTAX, "wants a mark, and there is none");
    *n = height(m);
    m->marks_count--;
    return 0;
}

/* ---------------------------------------------------------------- operands */

static int take(struct machine *m, size_t n, const uint8_t **at)
{
    if (n > m->size - m->at)
        return machine_fault(m, FAULT_TRUNC, "the pickle ends within an operand of %zu bytes", n);
    *at = m->bytes + m->at;
    m->at += n;
    return 0;
}

/* An unsigned little-endian number of n bytes. */
static int take_number(struct machine *m, size_t n, uint64_t *value)
{
    const uint8_t *at = NULL;

    if (take(m, n, &at))
        return m->e->code;
    *value = 0;
    for (size_t i = 0; i < n; i++)
        *value |= (uint64_t)at[i] << 8 * i;
    return 0;
}

/* ---------------------------------------------------------------- texts */

/* Whether these are UTF-8; surrogates as three bytes pass, since Python writes them. */
static bool utf8(const uint8_t *s, size_t n)
{
    static const struct {
        uint8_t low, high, mask, more; /* the first byte, its bits that count, how many bytes follow */
        uint32_t least;
    } forms[] = {{0x00, 0x7f, 0x7f, 0, 0},
                 {0xc2, 0xdf, 0x1f, 1, 0x80},
                 {0xe0, 0xef, 0x0f, 2, 0x800},
                 {0xf0, 0xf4, 0x07, 3, 0x10000}};

    for (size_t i = 0; i < n; i++) {
        size_t f = 0;
        uint32_t code;

        while (f < 4 && !(s[i] >= forms[f].low && s[i] <= forms[f].high))
            f++;
        if (f == 4 || forms[f].more > n - 1 - i)
            return false;
        code = s[i] & forms[f].mask;
        for (int k = 0; k < forms[f].more; k++) {
            if ((s[++i] & 0xc0) != 0x80)
                return false;
            code = code << 6 | (s[i] & 0x3f);
        }
        if (code < forms[f].least || code > 0x10ffff)
            return false;
    }
    return true;
}

enum { SIGNED_LENGTH = 0x40 }; /* in the argument of text opcodes: the length has a sign */

static int push_text(struct machine *m, enum pickle_kind kind, int length_bytes)
{
    int width = length_bytes & ~SIGNED_LENGTH;
    const uint8_t *at = NULL;
    uint64_t n = 0;

    if (take_number(m, (size_t)width, &n))
        return m->e->code;
    if (length_bytes & SIGNED_LENGTH && n > INT32_MAX)
        return machine_fault(m, FAULT_RANGE, "a text of negative length");
    if (n > m->size - m->at)
        return machine_fault(m, FAULT_TRUNC, "a text of %llu bytes, %zu are left", (unsigned long long)n,
                             m->size - m->at);
    if (n > limit_of(m->options->limits, LIMIT_PICKLE_TEXT))
        return over_limit(m, LIMIT_PICKLE_TEXT, "a longer text");
    take(m, (size_t)n, &at);
    if (kind == PICKLE_STR && !utf8(at, (size_t)n))
        return machine_fault(m, FAULT_SYNTAX, "a text that is not UTF-8");
    return machine_push_node(m, (struct node){.kind = (uint8_t)kind, .count = (uint32_t)n, .text = (const char *)at});
}

static int op_str(struct machine *m, int length_bytes)
{
    return push_text(m, PICKLE_STR, length_bytes);
}

static int op_bytes(struct machine *m, int length_bytes)
{
    return push_text(m, PICKLE_BYTES, length_bytes);
}

/* ---------------------------------------------------------------- numbers and constants */

static int push_integer(struct machine *m, int64_t value)
{
    return machine_push_node(m, (struct node){.kind = PICKLE_INT, .integer = value});
}

/* value: -1 None, 0 False, 1 True.  They cannot change, so one of each is enough. */
static int op_constant(struct machine *m, int value)
{
    pickle_value *one = &m->constants[value + 1];
    struct node node = {.kind = value < 0 ? PICKLE_NONE : PICKLE_BOOL, .integer = value > 0};

    if (*one == PICKLE_ABSENT)
        *one = machine_node(m, node);
    return machine_push(m, *one);
}

static int op_unsigned(struct machine *m, int width)
{
    uint64_t value = 0;

    if (take_number(m, (size_t)width, &value))
        return m->e->code;
    return push_integer(m, (int64_t)value);
}

static int op_int32(struct machine *m, int arg)
{
    uint64_t value = 0;

    (void)arg;
    if (take_number(m, 4, &value))
        return m->e->code;
    return push_integer(m, (int32_t)(uint32_t)value);
}

/* Two's complement of any length. */
static int op_long(struct machine *m, int length_bytes)
{
    const uint8_t *at = NULL;
    uint64_t n = 0, value = 0;
    bool negative;
    size_t used;

    if (take_number(m, (size_t)length_bytes, &n))
        return m->e->code;
    if (length_bytes == 4 && n > INT32_MAX)
        return machine_fault(m, FAULT_RANGE, "a number of negative length");
    if (take(m, (size_t)n, &at))
        return m->e->code;
    negative = n && at[n - 1] & 0x80;
    for (used = (size_t)n; used > 8 && at[used - 1] == (negative ? 0xff : 0); used--)
        ;
    if (used > 8 || (used == 8 && n > 8 && (at[7] & 0x80) != (negative ? 0x80 : 0)))
        return machine_push_node(m, (struct node){.kind = PICKLE_BIGINT});
    for (size_t i = 0; i < 8; i++)
        value |= (uint64_t)(i < used ? at[i] : negative ? 0xff : 0) << 8 * i;
    return push_integer(m, (int64_t)value);
}

static int op_float(struct machine *m, int arg)
{
    const uint8_t *at = NULL;
    uint64_t bits = 0;
    double value;

    (void)arg;
    if (take(m, 8, &at))
        return m->e->code;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | at[i];
    memcpy(&value, &bits, sizeof value);
    return machine_push_node(m, (struct node){.kind = PICKLE_FLOAT, .real = value});
}

/* ---------------------------------------------------------------- containers */

static int op_empty(struct machine *m, int kind)
{
    return machine_push_node(m, (struct node){.kind = (uint8_t)kind});
}

/* The n values on top of the stack become one container. */
static int gather(struct machine *m, int kind, size_t n)
{
    pickle_value made = machine_node(m, (struct node){.kind = (uint8_t)kind});

    if (made == PICKLE_ABSENT || machine_extend(m, made, m->stack + m->stack_count - n, n))
        return m->e->code;
    m->stack_count -= n;
    return machine_push(m, made);
}

static int op_tuple(struct machine *m, int n)
{
    if (need(m, (size_t)n))
        return m->e->code;
    return gather(m, PICKLE_TUPLE, (size_t)n);
}

static int op_from_mark(struct machine *m, int kind)
{
    size_t n = 0;

    if (unmark(m, &n))
        return m->e->code;
    return gather(m, kind, n);
}

/* n values go into the container below them, which must be of that kind; an opaque one swallows them. */
static int insert(struct machine *m, int kind, size_t n)
{
    pickle_value target;
    int found;

    if (need(m, n + 1))
        return m->e->code;
    target = m->stack[m->stack_count - n - 1];
    found = machine_at(m, target)->kind;
    if (found != kind && found != PICKLE_OPAQUE)
        return machine_fault(m, FAULT_SYNTAX, "puts items into %s", pickle_kind_name((enum pickle_kind)found));
    if (found == kind && machine_extend(m, target, m->stack + m->stack_count - n, n))
        return m->e->code;
    m->stack_count -= n;
    return 0;
}

static int op_insert_one(struct machine *m, int kind)
{
    return insert(m, kind, kind == PICKLE_DICT ? 2 : 1);
}

static int op_insert_all(struct machine *m, int kind)
{
    size_t n = 0;

    if (unmark(m, &n))
        return m->e->code;
    if (kind == PICKLE_DICT && n % 2)
        return machine_fault(m, FAULT_SYNTAX, "%zu values are no pairs", n);
    return insert(m, kind, n);
}

/* ---------------------------------------------------------------- stack, marks, memo */

static int op_mark(struct machine *m, int arg)
{
    (void)arg;
    if (m->marks_count + m->stack_count >= limit_of(m->options->limits, LIMIT_PICKLE_STACK))
        return over_limit(m, LIMIT_PICKLE_STACK, "one mark more on the stack");
    if (!machine_room(m, &m->marks, m->marks_count, &m->marks_capacity, sizeof *m->marks))
        return m->e->code;
    m->marks[m->marks_count++] = (uint32_t)m->stack_count;
    return 0;
}

static int op_pop(struct machine *m, int arg)
{
    (void)arg;
    if (m->marks_count && !height(m)) {
        m->marks_count--;
        return 0;
    }
    if (!need(m, 1))
        pop(m);
    return m->e->code;
}

static int op_pop_mark(struct machine *m, int arg)
{
    size_t n = 0;

    (void)arg;
    if (!unmark(m, &n))
        m->stack_count -= n;
    return m->e->code;
}

static struct memo_slot *memo_slot(const struct machine *m, uint32_t index)
{
    uint64_t mixed = (index + (uint64_t)1) * m->memo_seed >> 32;
    size_t at = (size_t)(mixed * m->memo_capacity >> 32);

    while (m->memo[at].value != PICKLE_ABSENT && m->memo[at].index != index)
        at = at + 1 < m->memo_capacity ? at + 1 : 0;
    return &m->memo[at];
}

static int memo_grow(struct machine *m)
{
    struct machine old = *m;
    size_t capacity = m->memo_capacity ? 2 * m->memo_capacity : 64, most = m->memory / sizeof *m->memo;
    struct memo_slot *bigger;

    if (m->memo_capacity >= most)
        return too_much(m);
    capacity = capacity < most ? capacity : most;
    if (!(bigger = malloc(capacity * sizeof *bigger)))
        return err_set(m->e, ERR_NOMEM, "%s: out of memory for the memo of a pickle", m->where);
    for (size_t i = 0; i < capacity; i++)
        bigger[i].value = PICKLE_ABSENT;
    m->memo = bigger;
    m->memo_capacity = capacity;
    for (size_t i = 0; i < old.memo_capacity; i++)
        if (old.memo[i].value != PICKLE_ABSENT)
            *memo_slot(m, old.memo[i].index) = old.memo[i];
    free(old.memo);
    return 0;
}

static int memo_put(struct machine *m, uint64_t index)
{
    struct memo_slot *slot;

    if (need(m, 1))
        return m->e->code;
    if (index >= limit_of(m->options->limits, LIMIT_PICKLE_MEMO))
        return over_limit(m, LIMIT_PICKLE_MEMO, "an entry of the memo beyond the last");
    if (4 * m->memo_count >= 3 * m->memo_capacity && memo_grow(m))
        return m->e->code;
    slot = memo_slot(m, (uint32_t)index);
    m->memo_count += slot->value == PICKLE_ABSENT;
    *slot = (struct memo_slot){(uint32_t)index, m->stack[m->stack_count - 1]};
    return 0;
}

static int op_put(struct machine *m, int width)
{
    uint64_t index = 0;

    if (take_number(m, (size_t)width, &index))
        return m->e->code;
    return memo_put(m, index);
}

static int op_memoize(struct machine *m, int arg)
{
    (void)arg;
    return memo_put(m, m->memo_count);
}

static int op_get(struct machine *m, int width)
{
    uint64_t index = 0;
    pickle_value found;

    if (take_number(m, (size_t)width, &index))
        return m->e->code;
    found = m->memo_capacity ? memo_slot(m, (uint32_t)index)->value : PICKLE_ABSENT;
    if (found == PICKLE_ABSENT)
        return machine_fault(m, FAULT_RANGE, "memo entry %llu does not exist", (unsigned long long)index);
    return machine_push(m, found);
}

/* ---------------------------------------------------------------- names and calls */

/* A line of ASCII that ends in '\n', which is not part of it. */
static int take_line(struct machine *m, struct pickle_text *line)
{
    size_t left = m->size - m->at, most = left < LINE_LIMIT + 1 ? left : LINE_LIMIT + 1;
    const char *start = (const char *)m->bytes + m->at, *end = memchr(start, '\n', most);

    if (!end)
        return left <= LINE_LIMIT ? machine_fault(m, FAULT_TRUNC, "the pickle ends within a name")
                                  : machine_fault(m, FAULT_LIMIT, "a name of more than %d bytes", LINE_LIMIT);
    *line = (struct pickle_text){start, (size_t)(end - start)};
    m->at += line->size + 1;
    for (size_t i = 0; i < line->size; i++)
        if (start[i] == '\r' || start[i] & 0x80)
            return machine_fault(m, FAULT_SYNTAX, "a name that is not plain text");
    return 0;
}

static int op_global(struct machine *m, int arg)
{
    struct pickle_text module, name;

    (void)arg;
    if (take_line(m, &module) || take_line(m, &name))
        return m->e->code;
    return pickle_call_global(m, module, name);
}

static int op_stack_global(struct machine *m, int arg)
{
    pickle_value module, name;

    (void)arg;
    if (need(m, 2))
        return m->e->code;
    name = pop(m);
    module = pop(m);
    if (machine_at(m, name)->kind != PICKLE_STR || machine_at(m, module)->kind != PICKLE_STR)
        return machine_fault(m, FAULT_SYNTAX, "a name that is not made of two texts");
    return pickle_call_global(m, pickle_text_of(m->p, module), pickle_text_of(m->p, name));
}

/* REDUCE and NEWOBJ take a callee and its arguments; NEWOBJ_EX keyword arguments too, which nothing here looks at. */
static int op_call(struct machine *m, int values)
{
    pickle_value callee, args;

    if (need(m, (size_t)values))
        return m->e->code;
    callee = m->stack[m->stack_count - (size_t)values];
    args = m->stack[m->stack_count - (size_t)values + 1];
    m->stack_count -= (size_t)values;
    return pickle_call_reduce(m, callee, args);
}

static int op_build(struct machine *m, int arg)
{
    pickle_value state;

    (void)arg;
    if (need(m, 2))
        return m->e->code;
    state = pop(m);
    return pickle_call_build(m, m->stack[m->stack_count - 1], state);
}

static int op_persistent(struct machine *m, int arg)
{
    (void)arg;
    if (need(m, 1))
        return m->e->code;
    return pickle_call_persistent(m, pop(m));
}

/* ---------------------------------------------------------------- frame of the program */

static int op_protocol(struct machine *m, int arg)
{
    uint64_t version = 0;

    (void)arg;
    if (m->op_at != 0)
        return machine_fault(m, FAULT_SYNTAX, "PROTO stands in the middle");
    if (take_number(m, 1, &version))
        return m->e->code;
    if (version < 2 || version > HIGHEST_PROTOCOL)
        return machine_fault(m, FAULT_VERSION, "protocol %d; protocols 2 to %d are read", (int)version,
                             HIGHEST_PROTOCOL);
    return 0;
}

static int op_frame(struct machine *m, int arg)
{
    uint64_t length = 0;

    (void)arg;
    if (take_number(m, 8, &length))
        return m->e->code;
    if (length > m->size - m->at)
        return machine_fault(m, FAULT_TRUNC, "a frame of %llu bytes, %zu are left", (unsigned long long)length,
                             m->size - m->at);
    return 0;
}

static int op_stop(struct machine *m, int arg)
{
    (void)arg;
    if (m->marks_count || m->stack_count != 1)
        return machine_fault(m, FAULT_SYNTAX, "ends with %zu values and %zu marks on the stack instead of one value",
                             m->stack_count, m->marks_count);
    m->p->root = pop(m);
    m->stopped = true;
    return 0;
}

/* run NULL: known and refused. */
/* clang-format off */
static const struct opcode {
    const char *name;
    int (*run)(struct machine *m, int arg);
    int arg;
} opcodes[256] = {
    [0x80] = {"PROTO", op_protocol, 0},
    [0x2e] = {"STOP", op_stop, 0},
    [0x28] = {"MARK", op_mark, 0},
    [0x30] = {"POP", op_pop, 0},
    [0x31] = {"POP_MARK", op_pop_mark, 0},
    [0x4e] = {"NONE", op_constant, -1},
    [0x88] = {"NEWTRUE", op_constant, 1},
    [0x89] = {"NEWFALSE", op_constant, 0},
    [0x4a] = {"BININT", op_int32, 0},
    [0x4b] = {"BININT1", op_unsigned, 1},
    [0x4d] = {"BININT2", op_unsigned, 2},
    [0x8a] = {"LONG1", op_long, 1},
    [0x8b] = {"LONG4", op_long, 4},
    [0x47] = {"BINFLOAT", op_float, 0},
    [0x58] = {"BINUNICODE", op_str, 4},
    [0x8c] = {"SHORT_BINUNICODE", op_str, 1},
    [0x8d] = {"BINUNICODE8", op_str, 8},
    [0x55] = {"SHORT_BINSTRING", op_bytes, 1},
    [0x54] = {"BINSTRING", op_bytes, 4 | SIGNED_LENGTH},
    [0x43] = {"SHORT_BINBYTES", op_bytes, 1},
    [0x42] = {"BINBYTES", op_bytes, 4},
    [0x8e] = {"BINBYTES8", op_bytes, 8},
    [0x29] = {"EMPTY_TUPLE", op_empty, PICKLE_TUPLE},
    [0x85] = {"TUPLE1", op_tuple, 1},
    [0x86] = {"TUPLE2", op_tuple, 2},
    [0x87] = {"TUPLE3", op_tuple, 3},
    [0x74] = {"TUPLE", op_from_mark, PICKLE_TUPLE},
    [0x5d] = {"EMPTY_LIST", op_empty, PICKLE_LIST},
    [0x61] = {"APPEND", op_insert_one, PICKLE_LIST},
    [0x65] = {"APPENDS", op_insert_all, PICKLE_LIST},
    [0x7d] = {"EMPTY_DICT", op_empty, PICKLE_DICT},
    [0x73] = {"SETITEM", op_insert_one, PICKLE_DICT},
    [0x75] = {"SETITEMS", op_insert_all, PICKLE_DICT},
    [0x8f] = {"EMPTY_SET", op_empty, PICKLE_SET},
    [0x90] = {"ADDITEMS", op_insert_all, PICKLE_SET},
    [0x91] = {"FROZENSET", op_from_mark, PICKLE_SET},
    [0x68] = {"BINGET", op_get, 1},
    [0x6a] = {"LONG_BINGET", op_get, 4},
    [0x71] = {"BINPUT", op_put, 1},
    [0x72] = {"LONG_BINPUT", op_put, 4},
    [0x94] = {"MEMOIZE", op_memoize, 0},
    [0x63] = {"GLOBAL", op_global, 0},
    [0x93] = {"STACK_GLOBAL", op_stack_global, 0},
    [0x51] = {"BINPERSID", op_persistent, 0},
    [0x52] = {"REDUCE", op_call, 2},
    [0x81] = {"NEWOBJ", op_call, 2},
    [0x92] = {"NEWOBJ_EX", op_call, 3},
    [0x62] = {"BUILD", op_build, 0},
    [0x95] = {"FRAME", op_frame, 0},

    [0x69] = {"INST", NULL, 0},        [0x6f] = {"OBJ", NULL, 0},
    [0x50] = {"PERSID", NULL, 0},      [0x82] = {"EXT1", NULL, 0},
    [0x83] = {"EXT2", NULL, 0},        [0x84] = {"EXT4", NULL, 0},
    [0x97] = {"NEXT_BUFFER", NULL, 0}, [0x98] = {"READONLY_BUFFER", NULL, 0},
    [0x96] = {"BYTEARRAY8", NULL, 0},  [0x32] = {"DUP", NULL, 0},
    [0x49] = {"INT", NULL, 0},         [0x4c] = {"LONG", NULL, 0},
    [0x46] = {"FLOAT", NULL, 0},       [0x53] = {"STRING", NULL, 0},
    [0x56] = {"UNICODE", NULL, 0},     [0x67] = {"GET", NULL, 0},
    [0x70] = {"PUT", NULL, 0},         [0x64] = {"DICT", NULL, 0},
    [0x6c] = {"LIST", NULL, 0},
};
/* clang-format on */

static int step(struct machine *m)
{
    const struct opcode *op;

    m->op_at = m->at;
    if (m->at == m->size)
        return machine_fault(m, FAULT_TRUNC, "the pickle ends without STOP");
    op = &opcodes[m->bytes[m->at++]];
    if (m->op_at == 0 && op->run != op_protocol)
        return machine_fault(m, FAULT_MAGIC, "this is no pickle of protocol 2 or later: it does not begin with PROTO");
    if (op->run)
        return op->run(m, op->arg);
    return machine_fault(m, FAULT_UNSUPPORTED, "opcode 0x%02x (%s) is not read", m->bytes[m->op_at],
                         op->name ? op->name : "unknown");
}

int pickle_read(const char *where, const void *bytes, size_t size, const struct pickle_options *options, size_t *used,
                pickle **out, err *e)
{
    struct machine m = {.options = options,
                        .where = where,
                        .bytes = bytes,
                        .size = size,
                        .memory = (size_t)limit_memory(options->file_size ? options->file_size : size),
                        .constants = {PICKLE_ABSENT, PICKLE_ABSENT, PICKLE_ABSENT},
                        .e = e};

    *out = NULL;
    if (!(m.p = calloc(1, sizeof *m.p)))
        return err_set(e, ERR_NOMEM, "%s: out of memory for a pickle", where);
    m.memo_seed = (uint64_t)(uintptr_t)m.p * 0x9e3779b97f4a7c15u | 1;
    if (machine_room(&m, &m.stack, 0, &m.stack_capacity, sizeof *m.stack))
        while (!m.stopped && !step(&m))
            ;
    free(m.stack);
    free(m.marks);
    free(m.memo);
    if (!m.stopped) {
        pickle_free(m.p);
        return e->code;
    }
    if (used)
        *used = m.at;
    *out = m.p;
    return 0;
}

void pickle_free(pickle *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->decoded_count; i++)
        free(p->decoded[i]);
#define V(field, type) free(p->field);
    PICKLE_TABLES(V)
#undef V
    names_free(&p->storage_keys);
    free(p);
}
