/* sweeps/plan.c - see plan.h.
 *
 * A million trials must pass in seconds, so a trial costs as little as possible: the options of a kind of stage are hashed
 * once and remembered (`project`), and a chain of stages that an earlier trial has made is found by one look-up (`chains`).
 * Only a new chain is walked task by task.  It may share its first tasks with an older chain: stages form a forest in which
 * a stage's parent is the stage of the same kind one task earlier.  A first child is found through `next`, and only roots
 * and later children stand in an index by their keys, so that a stage that nothing shares costs no look-up at all. */
#include "sweeps/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweeps/cost.h"
#include "sweeps/methods.h"
#include "sweeps/shard.h"
#include "sweeps/sequence.h"

/* ---- an index from digests to positions in an array of digests ---- */

/* A slot keeps half of its digest's hash, so that passing by another digest's slot costs no look at that digest. */
struct slot {
    uint32_t tag;
    int position; /* + 1; 0: free */
};

struct digest_index {
    struct slot *slots;
    size_t size;
    int used;
};

/* The position (+ 1) of a digest, or the free place where it belongs, which now carries its tag. */
static int *index_slot(const struct digest_index *ix, const struct digest *keys, const struct digest *key)
{
    uint64_t h;
    uint32_t tag;
    size_t i;

    memcpy(&h, key->bytes, sizeof h); /* digests are uniform already */
    tag = (uint32_t)h;
    for (i = (size_t)((h >> 32) * ix->size >> 32); ix->slots[i].position; i = i + 1 < ix->size ? i + 1 : 0)
        if (ix->slots[i].tag == tag && digest_equal(&keys[ix->slots[i].position - 1], key))
            break;
    ix->slots[i].tag = tag;
    return &ix->slots[i].position;
}

/* Room for one more; `keys` holds the digests at the positions in use. */
static int index_reserve(struct digest_index *ix, const struct digest *keys, err *e)
{
    struct digest_index bigger = {.size = ix->size + ix->size / 2 + 64, .used = ix->used};

    if (4 * ((size_t)ix->used + 1) <= 3 * ix->size)
        return 0;
    bigger.slots = calloc(bigger.size, sizeof *bigger.slots);
    if (!bigger.slots)
        return err_errno(e, "plan");
    for (size_t i = 0; i < ix->size; i++)
        if (ix->slots[i].position)
            *index_slot(&bigger, keys, &keys[ix->slots[i].position - 1]) = ix->slots[i].position;
    free(ix->slots);
    *ix = bigger;
    return 0;
}

/* Make room for `count + 1` items in *items. */
static int reserve(void *items, int count, int *capacity, size_t size, err *e)
{
    void **p = items, *more;
    int wanted = *capacity ? *capacity + *capacity / 2 + 1 : 256;

    if (count < *capacity)
        return 0;
    more = realloc(*p, (size_t)wanted * size);
    if (!more)
        return err_errno(e, "plan");
    *p = more;
    *capacity = wanted;
    return 0;
}

/* ---- the planner ---- */

enum { MAX_NEEDS = 4, PROJECTIONS = 4096, MAX_WORDS = OPTION_COUNT + 3 };

/* Classes per task and digests of all prefixes of a class order. */
struct order {
    int tasks;
    int *classes_until;    /* (tasks) */
    struct digest *prefix; /* (tasks): of the classes of tasks 0..t, and of the number of tasks */
};

/* The options of a kind that its key hashes by value, and the projections made so far, as far as there is room: those whose
 * words fall on the same line replace each other. */
struct projection {
    int count, words;
    enum option_id ids[OPTION_COUNT];
    bool dataset, backbone, order;
    struct digest schema;   /* of the options' keys */
    uint64_t *known;        /* (PROJECTIONS, words) */
    struct digest *digests; /* (PROJECTIONS) */
};

struct named_dataset {
    const char *name;
    struct source_dataset is;
};

struct named_backbone {
    const char *name;
    struct source_backbone is;
};

struct planner {
    struct plan *plan;
    const struct sources *sources;
    err *e;
    struct projection projections[STAGE_KIND_COUNT];
    unsigned closures[2][STAGE_KIND_COUNT]; /* by fc_norm: the kinds whose options a chain depends on, as bits */

    struct named_dataset *datasets;
    struct named_backbone *backbones;
    int datasets_count, datasets_capacity, backbones_count, backbones_capacity, missing_capacity, contents_capacity;

    struct order *orders; /* in step with order_keys */
    struct digest *order_keys;
    int orders_count, orders_capacity, order_keys_capacity;
    struct digest_index order_index;

    struct chains {
        struct digest *keys; /* chains of this kind that exist: what they are made of, */
        int *last;           /* and their last stage */
        int count, keys_capacity, last_capacity;
        struct digest_index index;
        int recalled; /* the last stage of the chain in stage_of */
    } chains[STAGE_KIND_COUNT];

    int stages_capacity, needs_count, needs_capacity, trials_capacity;
    int *next;                       /* (stages) the first child's number + 1; 0: none */
    struct digest_index stage_index; /* stages without a parent, and later children */

    /* the trial at hand */
    struct trial_config config;
    const struct method *method;
    const struct named_dataset *dataset;
    const struct named_backbone *backbone;
    const struct order *order;
    bool fc_norm;
    struct digest projected[STAGE_KIND_COUNT]; /* of the method's kinds */
    int *stage_of[STAGE_KIND_COUNT];           /* (SEQUENCE_MAX_TASKS): by task; [0] for a stage of the whole trial */
};

/* ---- contents ---- */

static void note_missing(struct planner *p, const char *text)
{
    struct plan *plan = p->plan;
    const char *kept = intern(text);

    for (int i = 0; i < plan->missing_count; i++)
        if (plan->missing[i] == kept)
            return;
    if (!reserve(&plan->missing, plan->missing_count, &p->missing_capacity, sizeof *plan->missing, p->e))
        plan->missing[plan->missing_count++] = kept;
}

static int note_content(struct planner *p, const char *kind, const char *name, const char *is)
{
    struct plan *plan = p->plan;
    char what[200];

    if (reserve(&plan->contents, plan->contents_count, &p->contents_capacity, sizeof *plan->contents, p->e))
        return p->e->code;
    snprintf(what, sizeof what, "%s %s", kind, name);
    plan->contents[plan->contents_count++] = (struct plan_content){intern(what), intern(is)};
    return 0;
}

/* A source that is missing is noted; anything else is an error. */
static int check_source(struct planner *p, const char *kind, const char *name, const struct digest *digest,
                        const err *e)
{
    char hex[DIGEST_HEX];

    if (!e->code) {
        digest_to_hex(digest, hex);
        return note_content(p, kind, name, hex);
    }
    if (e->code == ERR_MISSING)
        note_missing(p, e->text);
    else
        *p->e = *e;
    return p->e->code;
}

static const struct named_dataset *find_dataset(struct planner *p, const char *name)
{
    err e = {0};

    for (int i = 0; i < p->datasets_count; i++)
        if (p->datasets[i].name == name)
            return &p->datasets[i];
    if (reserve(&p->datasets, p->datasets_count, &p->datasets_capacity, sizeof *p->datasets, p->e))
        return NULL;
    p->datasets[p->datasets_count].name = name;
    p->sources->dataset(name, &p->datasets[p->datasets_count].is, &e);
    return check_source(p, "data set", name, &p->datasets[p->datasets_count].is.digest, &e)
               ? NULL
               : &p->datasets[p->datasets_count++];
}

static const struct named_backbone *find_backbone(struct planner *p, const char *name)
{
    err e = {0};

    for (int i = 0; i < p->backbones_count; i++)
        if (p->backbones[i].name == name)
            return &p->backbones[i];
    if (reserve(&p->backbones, p->backbones_count, &p->backbones_capacity, sizeof *p->backbones, p->e))
        return NULL;
    p->backbones[p->backbones_count].name = name;
    p->sources->backbone(name, &p->backbones[p->backbones_count].is, &e);
    return check_source(p, "backbone", name, &p->backbones[p->backbones_count].is.digest, &e)
               ? NULL
               : &p->backbones[p->backbones_count++];
}

/* ---- class orders ---- */

static struct digest order_key(const struct planner *p)
{
    const union option_value *v = p->config.value;
    struct digester d;

    digester_start(&d);
    digester_add_text(&d, v[OPTION_DATASET_SEQUENCE].text);
    digester_add_u64(&d, (uint64_t)v[OPTION_DATASET_TASKS].integer);
    digester_add_u64(&d, (uint64_t)v[OPTION_SEEDS_ORDER].integer);
    digester_add_u64(&d, (uint64_t)p->dataset->is.classes);
    return digester_end(&d);
}

static int fill_order(struct planner *p, const struct class_sequence *s, struct order *out)
{
    out->tasks = s->tasks;
    out->classes_until = calloc((size_t)s->tasks, sizeof *out->classes_until);
    out->prefix = calloc((size_t)s->tasks, sizeof *out->prefix);
    if (!out->classes_until || !out->prefix)
        return err_errno(p->e, "plan");
    for (int t = 0; t < s->tasks; t++) {
        struct digester d;
        digester_start(&d);
        digester_add_u64(&d, (uint64_t)s->tasks);
        if (t)
            digester_add(&d, &out->prefix[t - 1], sizeof out->prefix[t - 1]);
        for (int i = s->first[t]; i < s->first[t + 1]; i++)
            digester_add_u64(&d, (uint64_t)s->ids[i]);
        out->prefix[t] = digester_end(&d);
        out->classes_until[t] = s->first[t + 1];
    }
    return 0;
}

/* The classes of a data set that is not here and that nobody knows: as many as the list names, or ten for each task. */
static int assumed_classes(const char *sequence, int tasks)
{
    int most = -1;

    if (!sequence_explicit_tasks(sequence))
        return 10 * tasks;
    for (const char *digits = strpbrk(sequence, "0123456789"); digits; digits = strpbrk(digits, "0123456789")) {
        int id = (int)strtol(digits, (char **)&digits, 10);
        most = id > most ? id : most;
    }
    return most + 1;
}

static int make_order(struct planner *p, struct order *out)
{
    const union option_value *v = p->config.value;
    int tasks = (int)v[OPTION_DATASET_TASKS].integer, classes = p->dataset->is.classes;
    struct class_sequence s;

    if (!classes)
        classes = assumed_classes(v[OPTION_DATASET_SEQUENCE].text, tasks);
    if (sequence_resolve(v[OPTION_DATASET_SEQUENCE].text, classes, tasks, (uint64_t)v[OPTION_SEEDS_ORDER].integer, &s,
                         p->e))
        return err_context(p->e, "dataset.sequence of %s", p->dataset->name);
    fill_order(p, &s, out);
    sequence_free(&s);
    return p->e->code;
}

static const struct order *find_order(struct planner *p)
{
    struct digest key = order_key(p);
    int *slot;

    if (index_reserve(&p->order_index, p->order_keys, p->e))
        return NULL;
    slot = index_slot(&p->order_index, p->order_keys, &key);
    if (*slot)
        return &p->orders[*slot - 1];
    if (reserve(&p->orders, p->orders_count, &p->orders_capacity, sizeof *p->orders, p->e) ||
        reserve(&p->order_keys, p->orders_count, &p->order_keys_capacity, sizeof *p->order_keys, p->e))
        return NULL;
    p->orders[p->orders_count] = (struct order){0};
    p->order_keys[p->orders_count] = key;
    *slot = ++p->orders_count;
    p->order_index.used++;
    return make_order(p, &p->orders[p->orders_count - 1]) ? NULL : &p->orders[p->orders_count - 1];
}

/* ---- projections: the options of a kind as one digest ---- */

/* Options that a key does not hash by value but by what they stand for. */
static bool stands_for_content(enum option_id id)
{
    return id == OPTION_DATASET_NAME || id == OPTION_BACKBONE || id == OPTION_DATASET_TASKS ||
           id == OPTION_DATASET_SEQUENCE || id == OPTION_SEEDS_ORDER;
}

static int start_projections(struct planner *p)
{
    for (int kind = 0; kind < STAGE_KIND_COUNT; kind++) {
        struct projection *q = &p->projections[kind];
        struct digester d;
        digester_start(&d);
        for (int id = 0; id < OPTION_COUNT; id++) {
            if (!option_in_key(kind, id))
                continue;
            digester_add_text(&d, option_info(id)->key);
            if (!stands_for_content(id))
                q->ids[q->count++] = id;
        }
        q->schema = digester_end(&d);
        q->dataset = option_in_key(kind, OPTION_DATASET_NAME);
        q->backbone = option_in_key(kind, OPTION_BACKBONE);
        q->order = option_in_key(kind, OPTION_DATASET_SEQUENCE);
        q->words = q->count + 3;
        q->known = calloc(PROJECTIONS, (size_t)q->words * sizeof *q->known);
        q->digests = calloc(PROJECTIONS, sizeof *q->digests);
        if (!q->known || !q->digests)
            return err_errno(p->e, "plan");
    }
    return 0;
}

static void hash_value(struct digester *d, enum option_id id, union option_value value)
{
    uint64_t bits;

    switch (option_info(id)->type) {
    case OPTION_TYPE_CHOICE:
        digester_add_text(d, option_choice_text(id, value.integer));
        break;
    case OPTION_TYPE_TEXT:
    case OPTION_TYPE_SEQUENCE:
        digester_add_text(d, value.text);
        break;
    case OPTION_TYPE_REAL:
        memcpy(&bits, &value.real, sizeof bits);
        digester_add_u64(d, bits);
        break;
    case OPTION_TYPE_LAYERS:
        digester_add_u64(d, value.layers);
        break;
    default:
        digester_add_u64(d, (uint64_t)value.integer);
    }
}

static struct digest hash_projection(const struct planner *p, const struct projection *q)
{
    struct digester d;

    digester_start(&d);
    digester_add(&d, &q->schema, sizeof q->schema);
    for (int i = 0; i < q->count; i++)
        hash_value(&d, q->ids[i], p->config.value[q->ids[i]]);
    if (q->dataset)
        digester_add(&d, &p->dataset->is.digest, sizeof(struct digest));
    if (q->backbone)
        digester_add(&d, &p->backbone->is.digest, sizeof(struct digest));
    return digester_end(&d);
}

/* Everything that the digest depends on, as numbers; the first is never 0, so that an empty line equals nothing. */
static void projection_words(const struct planner *p, const struct projection *q, uint64_t words[MAX_WORDS])
{
    int n = 0;

    words[n++] = 1;
    words[n++] = q->dataset ? (uintptr_t)p->dataset->name : 0;
    words[n++] = q->backbone ? (uintptr_t)p->backbone->name : 0;
    for (int i = 0; i < q->count; i++, n++)
        memcpy(&words[n], &p->config.value[q->ids[i]], sizeof words[n]); /* texts are interned: equal ones are one */
}

static struct digest project(const struct planner *p, enum stage_kind kind)
{
    const struct projection *q = &p->projections[kind];
    uint64_t words[MAX_WORDS], h = 0;
    size_t size = (size_t)q->words * sizeof *words, line;

    projection_words(p, q, words);
    for (int i = 0; i < q->words; i++) {
        h = (h ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 32;
    }
    line = h % PROJECTIONS;
    if (memcmp(q->known + line * (size_t)q->words, words, size)) {
        memcpy(q->known + line * (size_t)q->words, words, size);
        q->digests[line] = hash_projection(p, q);
    }
    return q->digests[line];
}

/* ---- stages ---- */

static bool need_applies(const struct need *need, enum stage_kind kind, bool fc_norm)
{
    return need->kind == kind && (!need->fc_norm_only || fc_norm);
}

/* The direct needs of stage `kind` of task t, as stage numbers. */
static int direct_needs(const struct planner *p, enum stage_kind kind, int t, int needs[MAX_NEEDS])
{
    int n = 0;

    for (int i = 0; i < stage_needs_count; i++) {
        const struct need *need = &stage_needs[i];
        int task = need->tasks == NEED_WHOLE ? 0 : need->tasks == NEED_SAME || need->tasks == NEED_UP_TO ? t : t - 1;
        if (need_applies(need, kind, p->fc_norm) && task >= 0)
            needs[n++] = p->stage_of[need->of][task];
    }
    return n;
}

/* What a stage's key hashes, in one piece. */
struct key_bytes {
    unsigned char bytes[256];
    size_t n;
};

static void put_bytes(struct key_bytes *k, const void *bytes, size_t n)
{
    memcpy(k->bytes + k->n, bytes, n);
    k->n += n;
}

static void put_u64(struct key_bytes *k, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        k->bytes[k->n++] = (unsigned char)(value >> (8 * i));
}

static struct digest stage_key(const struct planner *p, enum stage_kind kind, int t, const int *needs, int needs_count)
{
    bool whole = !stage_kind_has_tasks(kind);
    const char *name = stage_kind_name(kind);
    struct key_bytes k;

    k.n = 0;

    put_u64(&k, strlen(name));
    put_bytes(&k, name, strlen(name));
    put_u64(&k, (uint64_t)stage_kind_version(kind));
    put_u64(&k, whole ? 0 : (uint64_t)t + 1);
    put_bytes(&k, &p->projected[kind], sizeof(struct digest));
    if (p->projections[kind].order)
        put_bytes(&k, &p->order->prefix[whole ? p->order->tasks - 1 : t], sizeof(struct digest));
    for (int i = 0; i < needs_count; i++)
        put_bytes(&k, &p->plan->key[needs[i]], sizeof(struct digest));
    return digest_bytes(k.bytes, k.n);
}

/* Make *items an array of `wanted`. */
static int resize(void *items, int wanted, size_t size, err *e)
{
    void **p = items, *more = realloc(*p, (size_t)wanted * size);

    if (!more)
        return err_errno(e, "plan");
    *p = more;
    return 0;
}

/* Room for one more stage in all arrays. */
static int reserve_stage(struct planner *p)
{
    struct plan *plan = p->plan;
    int wanted = p->stages_capacity + p->stages_capacity / 2 + 256;

    wanted = wanted < PLAN_MAX_STAGES ? wanted : PLAN_MAX_STAGES;

    if (reserve(&plan->needs, p->needs_count + MAX_NEEDS, &p->needs_capacity, sizeof *plan->needs, p->e))
        return p->e->code;
    if (plan->stages_count < p->stages_capacity)
        return 0;
    if (plan->stages_count >= PLAN_MAX_STAGES)
        return err_set(p->e, ERR_CONFIG, "the sweep has more than %d stages, tasks counted singly; make it smaller",
                       PLAN_MAX_STAGES);
    if (resize(&plan->kind, wanted, sizeof *plan->kind, p->e) ||
        resize(&plan->task, wanted, sizeof *plan->task, p->e) || resize(&plan->key, wanted, sizeof *plan->key, p->e) ||
        resize(&plan->cost, wanted, sizeof *plan->cost, p->e) ||
        resize(&plan->example, wanted, sizeof *plan->example, p->e) ||
        resize(&plan->shared_by, wanted, sizeof *plan->shared_by, p->e) ||
        resize(&plan->needs_start, wanted + 1, sizeof *plan->needs_start, p->e) ||
        resize(&p->next, wanted, sizeof *p->next, p->e))
        return p->e->code;
    p->stages_capacity = wanted;
    return 0;
}

static void append_stage(struct planner *p, enum stage_kind kind, int t, const struct digest *key, const int *needs,
                         int needs_count)
{
    struct plan *plan = p->plan;
    int n = plan->stages_count++, task = stage_kind_has_tasks(kind) ? t : -1;
    const struct cost_context c = {&p->config, &p->dataset->is, &p->backbone->is, p->order->tasks,
                                   p->order->classes_until};
    struct cost cost = stage_cost(&c, kind, task);

    plan->kind[n] = (uint8_t)kind;
    plan->task[n] = (int16_t)task;
    plan->key[n] = *key;
    plan->cost[n] = (float)cost.flop;
    plan->example[n] = plan->trials_count;
    plan->shared_by[n] = 0;
    p->next[n] = 0;
    memcpy(plan->needs + p->needs_count, needs, (size_t)needs_count * sizeof *needs);
    plan->needs_start[n] = p->needs_count;
    p->needs_count += needs_count;
    plan->needs_start[n + 1] = p->needs_count;
    plan->work += plan->cost[n];
    plan->disk += cost.disk;
    plan->memory = cost.memory > plan->memory ? cost.memory : plan->memory;
}

/* Where the number (+ 1) of the stage with this key stands, or belongs; NULL if memory ran out.  The parent's key is a part of the
 * key, so no other stage can be the parent of this one. */
static int *stage_place(struct planner *p, const struct digest *key, int parent)
{
    const struct digest *keys = p->plan->key;
    int *slot;

    if (parent >= 0 && (!p->next[parent] || digest_equal(&keys[p->next[parent] - 1], key)))
        return &p->next[parent];
    if (index_reserve(&p->stage_index, keys, p->e))
        return NULL;
    slot = index_slot(&p->stage_index, keys, key);
    p->stage_index.used += !*slot;
    return slot;
}

/* The stage of this kind and task: the one that exists, or a new one. */
static int make_stage(struct planner *p, enum stage_kind kind, int t)
{
    int needs[MAX_NEEDS], needs_count = direct_needs(p, kind, t, needs), *place;
    struct digest key = stage_key(p, kind, t, needs, needs_count);

    if (reserve_stage(p) || !(place = stage_place(p, &key, t ? p->stage_of[kind][t - 1] : -1)))
        return p->e->code;
    if (!*place) {
        append_stage(p, kind, t, &key, needs, needs_count);
        *place = p->plan->stages_count;
    }
    p->stage_of[kind][t] = *place - 1;
    return 0;
}

/* ---- chains: all stages of one kind ---- */

/* The kinds whose options a chain depends on: its own and those of all its needs. */
static unsigned closure(enum stage_kind kind, bool fc_norm)
{
    unsigned set = 1u << kind, before;

    do {
        before = set;
        for (int i = 0; i < stage_needs_count; i++)
            if (set >> stage_needs[i].kind & 1 && need_applies(&stage_needs[i], stage_needs[i].kind, fc_norm))
                set |= 1u << stage_needs[i].of;
    } while (set != before);
    return set;
}

/* Digests are uniform, so a sum of multiples of them is as good as a hash. */
static void mix_digest(uint64_t sum[2], const struct digest *d)
{
    uint64_t half[2];

    memcpy(half, d->bytes, sizeof half);
    sum[0] = sum[0] * UINT64_C(0x9e3779b97f4a7c15) + half[0];
    sum[1] = sum[1] * UINT64_C(0xd1342543de82ef95) + half[1];
}

/* What a chain of this kind is made of.  It names chains in this file only. */
static struct digest chain_key(const struct planner *p, enum stage_kind kind)
{
    unsigned set = p->closures[p->fc_norm][kind];
    uint64_t sum[2] = {set, set};
    struct digest key;

    for (int k = 0; k < STAGE_KIND_COUNT; k++)
        if (set >> k & 1)
            mix_digest(sum, &p->projected[k]);
    if (stage_kind_has_tasks(kind) || p->projections[kind].order)
        mix_digest(sum, &p->order->prefix[p->order->tasks - 1]);
    _Static_assert(sizeof sum == sizeof key, "two halves of a digest");
    memcpy(&key, sum, sizeof key);
    return key;
}

/* The stage of the same kind that a stage needs; -1 if there is none. */
static int predecessor(const struct plan *plan, int stage)
{
    for (int i = plan->needs_start[stage]; i < plan->needs_start[stage + 1]; i++)
        if (plan->kind[plan->needs[i]] == plan->kind[stage])
            return plan->needs[i];
    return -1;
}

/* Walk back along a chain that exists. */
static void recall_chain(struct planner *p, enum stage_kind kind, int last)
{
    if (p->chains[kind].recalled == last)
        return;
    p->chains[kind].recalled = last;
    for (int t = stage_kind_has_tasks(kind) ? p->order->tasks - 1 : 0; t >= 0 && last >= 0; t--) {
        p->stage_of[kind][t] = last;
        last = predecessor(p->plan, last);
    }
}

static int *chain_slot(struct planner *p, enum stage_kind kind, const struct digest *key)
{
    struct chains *c = &p->chains[kind];

    if (index_reserve(&c->index, c->keys, p->e))
        return NULL;
    return index_slot(&c->index, c->keys, key);
}

static int remember_chain(struct planner *p, enum stage_kind kind, const struct digest *key)
{
    struct chains *c = &p->chains[kind];
    int last = stage_kind_has_tasks(kind) ? p->order->tasks - 1 : 0, *slot = chain_slot(p, kind, key);

    if (!slot || reserve(&c->keys, c->count, &c->keys_capacity, sizeof *c->keys, p->e) ||
        reserve(&c->last, c->count, &c->last_capacity, sizeof *c->last, p->e))
        return p->e->code;
    c->recalled = p->stage_of[kind][last];
    c->keys[c->count] = *key;
    c->last[c->count] = c->recalled;
    *slot = ++c->count;
    c->index.used++;
    return 0;
}

/* All stages of the trial's chains that do not exist yet, task by task, since chains may need each other. */
static int make_chains(struct planner *p, const bool *missing, const struct digest *keys)
{
    const struct method *m = p->method;

    for (int t = 0; t < p->order->tasks; t++)
        for (int i = 0; i < m->kinds_count; i++)
            if (missing[i] && (t == 0 || stage_kind_has_tasks(m->kinds[i])) && make_stage(p, m->kinds[i], t))
                return p->e->code;
    for (int i = 0; i < m->kinds_count; i++)
        if (missing[i] && remember_chain(p, m->kinds[i], &keys[i]))
            return p->e->code;
    return 0;
}

/* ---- trials ---- */

/* The last stage of a chain of the trial at hand. */
static int last_stage(const struct planner *p, enum stage_kind kind)
{
    return p->stage_of[kind][stage_kind_has_tasks(kind) ? p->order->tasks - 1 : 0];
}

/* The last stage of the trial at hand; -1 on failure. */
static int make_trial_stages(struct planner *p)
{
    const struct method *m = p->method;
    bool missing[METHOD_MAX_KINDS];
    struct digest keys[METHOD_MAX_KINDS];
    int last = m->kinds_count - 1;

    for (int i = last; i >= 0; i--) {
        int *slot;
        keys[i] = chain_key(p, m->kinds[i]);
        slot = chain_slot(p, m->kinds[i], &keys[i]);
        if (!slot)
            return -1;
        missing[i] = !*slot;
        if (*slot && i == last)
            return p->chains[m->kinds[i]].last[*slot - 1];
        if (*slot)
            recall_chain(p, m->kinds[i], p->chains[m->kinds[i]].last[*slot - 1]);
    }
    if (make_chains(p, missing, keys))
        return -1;
    return last_stage(p, m->kinds[last]);
}

static int look_up(struct planner *p)
{
    const union option_value *v = p->config.value;

    p->method = method_of(&p->config);
    p->dataset = find_dataset(p, v[OPTION_DATASET_NAME].text);
    p->backbone = p->e->code ? NULL : find_backbone(p, v[OPTION_BACKBONE].text);
    p->order = p->e->code ? NULL : find_order(p);
    p->fc_norm = !strcmp(option_choice_text(OPTION_FEATURE_NORM, v[OPTION_FEATURE_NORM].integer), "fc_norm");
    for (int i = 0; i < p->method->kinds_count && !p->e->code; i++)
        p->projected[p->method->kinds[i]] = project(p, p->method->kinds[i]);
    return p->e->code;
}

static int add_point(struct planner *p, int64_t point)
{
    struct plan *plan = p->plan;
    int stage;

    if (!sweep_point(plan->sweep, point, &p->config)) {
        plan->excluded++;
        return 0;
    }
    method_normalise(&p->config);
    stage = look_up(p) ? -1 : make_trial_stages(p);
    if (stage < 0)
        return err_context(p->e, "trial %lld", (long long)point);
    if (plan->example[stage] != plan->trials_count) {
        plan->folded++;
        return 0;
    }
    if (reserve(&plan->trials, plan->trials_count, &p->trials_capacity, sizeof *plan->trials, p->e))
        return p->e->code;
    plan->trials[plan->trials_count++] = (struct plan_trial){point, stage};
    for (int i = 0; i < p->method->kinds_count; i++)
        plan->shared_by[last_stage(p, p->method->kinds[i])]++;
    return 0;
}

/* ---- what follows from the stages ---- */

/* add_point() has counted every trial at the last stage of each of its chains; the stages before it are used by as many. */
static void spread_sharing(struct plan *plan)
{
    for (int i = plan->stages_count - 1; i >= 0; i--) {
        int before = predecessor(plan, i);
        if (before >= 0)
            plan->shared_by[before] += plan->shared_by[i];
        plan->work_alone += plan->cost[i] * plan->shared_by[i];
    }
}

static int find_critical(struct plan *plan, err *e)
{
    double *path = malloc((size_t)plan->stages_count * sizeof *path);

    if (!path)
        return err_errno(e, "plan");
    for (int i = 0; i < plan->stages_count; i++) {
        double before = 0;
        for (int k = plan->needs_start[i]; k < plan->needs_start[i + 1]; k++)
            before = path[plan->needs[k]] > before ? path[plan->needs[k]] : before;
        path[i] = before + plan->cost[i];
        plan->critical = path[i] > plan->critical ? path[i] : plan->critical;
    }
    free(path);
    return 0;
}

/* Options that anything but `trial` sets; only these can differ between trials. */
static void find_candidates(const struct sweep *s, bool candidate[OPTION_COUNT])
{
    for (int a = 0; a < s->axes_count; a++)
        for (int k = 0; k < s->axes[a].options_count; k++)
            candidate[s->axes[a].options[k]] = true;
    for (int i = 0; i < s->includes_count; i++)
        for (int k = 0; k < s->includes[i].assignments_count; k++)
            candidate[s->includes[i].assignments[k].option] = true;
    for (int i = 0; i < s->whens_count; i++)
        for (int k = 0; k < s->whens[i].assignments_count; k++)
            candidate[s->whens[i].assignments[k].option] = true;
}

/* Seeds that only follow `seed` are no options of their own: the sweep varies `seed`. */
static void find_varied(struct plan *plan)
{
    bool candidate[OPTION_COUNT] = {false}, varied[OPTION_COUNT] = {false};
    struct trial_config first, other;

    find_candidates(plan->sweep, candidate);
    candidate[OPTION_GATE_ACTIVATION] |= candidate[OPTION_METHOD]; /* which a method may fix */
    plan_trial_config(plan, 0, &first);
    for (int trial = 1, open = 1; trial < plan->trials_count && open; trial++) {
        plan_trial_config(plan, trial, &other);
        open = 0; /* candidates that have not varied so far */
        for (int id = 0; id < OPTION_COUNT; id++) {
            if (candidate[id] && !varied[id])
                varied[id] = !option_equal(id, first.value[id], other.value[id]);
            open += candidate[id] && !varied[id];
        }
    }
    for (int id = 0; id < OPTION_COUNT; id++)
        if (varied[id] && id != OPTION_SEED)
            plan->varied[plan->varied_count++] = id;
    if (varied[OPTION_SEED])
        plan->varied[plan->varied_count++] = OPTION_SEED;
}

/* ---- the interface ---- */

static void free_planner(struct planner *p)
{
    for (int i = 0; i < p->orders_count; i++) {
        free(p->orders[i].classes_until);
        free(p->orders[i].prefix);
    }
    for (int kind = 0; kind < STAGE_KIND_COUNT; kind++) {
        free(p->stage_of[kind]);
        free(p->chains[kind].keys);
        free(p->chains[kind].last);
        free(p->chains[kind].index.slots);
        free(p->projections[kind].known);
        free(p->projections[kind].digests);
    }
    free(p->next);
    free(p->datasets);
    free(p->backbones);
    free(p->orders);
    free(p->order_keys);
    free(p->order_index.slots);
    free(p->stage_index.slots);
}

static int start_planner(struct planner *p)
{
    if (start_projections(p))
        return p->e->code;
    for (int kind = 0; kind < STAGE_KIND_COUNT; kind++) {
        char version[16];
        snprintf(version, sizeof version, "%d", stage_kind_version(kind));
        if (note_content(p, "code of", stage_kind_name(kind), version))
            return p->e->code;
        p->chains[kind].recalled = -1;
        p->closures[false][kind] = closure(kind, false);
        p->closures[true][kind] = closure(kind, true);
        p->stage_of[kind] = calloc(SEQUENCE_MAX_TASKS, sizeof *p->stage_of[kind]);
        if (!p->stage_of[kind])
            return err_errno(p->e, "plan");
    }
    return 0;
}

int plan_make(const struct sweep *sweep, const struct sources *sources, struct plan *out, err *e)
{
    struct planner *p = calloc(1, sizeof *p);

    *out = (struct plan){.sweep = sweep, .points = sweep_points(sweep)};
    if (!p)
        return err_errno(e, "plan");
    p->plan = out;
    p->sources = sources;
    p->e = e;
    if (!start_planner(p))
        for (int64_t i = 0; i < out->points && !e->code; i++)
            add_point(p, i);
    free_planner(p);
    free(p);
    if (!e->code && !out->trials_count)
        err_set(e, ERR_CONFIG, "nothing to run: all %lld trials are excluded", (long long)out->points);
    if (e->code || find_critical(out, e))
        return e->code;
    spread_sharing(out);
    find_varied(out);
    return shard_keep(out, e);
}

void plan_free(struct plan *plan)
{
    free(plan->trials);
    free(plan->kind);
    free(plan->task);
    free(plan->key);
    free(plan->cost);
    free(plan->example);
    free(plan->shared_by);
    free(plan->needs_start);
    free(plan->needs);
    free(plan->missing);
    free(plan->contents);
    *plan = (struct plan){0};
}

void plan_trial_config(const struct plan *plan, int trial, struct trial_config *out)
{
    sweep_point(plan->sweep, plan->trials[trial].point, out);
    method_normalise(out);
}

void plan_trial_label(const struct plan *plan, int trial, char *text, size_t size)
{
    struct trial_config config;
    const struct method *method;
    size_t used = 0;

    plan_trial_config(plan, trial, &config);
    method = method_of(&config);
    text[0] = 0;
    for (int i = 0; i < plan->varied_count && used < size; i++) {
        enum option_id id = plan->varied[i];
        if (id == OPTION_METHOD || id == OPTION_SEED || method_reads(method, id))
            used += (size_t)snprintf(text + used, size - used, "%s%s=%s", used ? " " : "", option_info(id)->key,
                                     option_format(id, config.value[id]));
    }
}

static int compare_ints(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;

    return (x > y) - (x < y);
}

int plan_trial_stages(const struct plan *plan, int trial, int **stages, int *count, err *e)
{
    int room = 256, n = 0;
    int *list = malloc((size_t)room * sizeof *list);

    *stages = NULL;
    *count = 0;
    if (!list)
        return err_errno(e, "plan");
    list[n++] = plan->trials[trial].stage;
    for (int i = 0; i < n; i++) {
        for (int k = plan->needs_start[list[i]]; k < plan->needs_start[list[i] + 1]; k++) {
            bool known = false;
            for (int j = n - 1; j >= 0 && !known; j--) /* what is needed twice was needed a moment ago */
                known = list[j] == plan->needs[k];
            if (!known && reserve(&list, n, &room, sizeof *list, e)) {
                free(list);
                return e->code;
            }
            if (!known)
                list[n++] = plan->needs[k];
        }
    }
    qsort(list, (size_t)n, sizeof *list, compare_ints);
    *stages = list;
    *count = n;
    return 0;
}

int plan_find_stage(const struct plan *plan, const struct digest *key)
{
    for (int i = 0; i < plan->stages_count; i++)
        if (digest_equal(&plan->key[i], key))
            return i;
    return -1;
}

/* ---- jobs ---- */

/* The direct need of that kind; -1 if there is none. */
static int direct_need(const struct plan *plan, int stage, enum stage_kind kind)
{
    for (int i = plan->needs_start[stage]; i < plan->needs_start[stage + 1]; i++)
        if (plan->kind[plan->needs[i]] == (int)kind)
            return plan->needs[i];
    return -1;
}

int plan_job(const struct plan *plan, int stage, const char *checkpoint_folder, struct stage_job *out, err *e)
{
    int t = plan->task[stage];

    *out = (struct stage_job){.kind = (enum stage_kind)plan->kind[stage],
                              .task = t,
                              .key = plan->key[stage],
                              .checkpoint_folder = intern(checkpoint_folder)};
    plan_trial_config(plan, plan->example[stage], &out->config);
    out->inputs = calloc((size_t)(stage_needs_count * (t + 2)), sizeof *out->inputs);
    if (!out->inputs || !out->checkpoint_folder)
        return err_set(e, ERR_NOMEM, "out of memory");
    for (int i = 0; i < stage_needs_count; i++) {
        const struct need *need = &stage_needs[i];
        bool all = need->tasks == NEED_BEFORE || need->tasks == NEED_UP_TO;
        int from = need->kind == out->kind ? direct_need(plan, stage, need->of) : -1;
        for (; from >= 0; from = all ? predecessor(plan, from) : -1)
            out->inputs[out->inputs_count++] = (struct stage_input){need->of, plan->task[from], plan->key[from]};
    }
    return 0;
}
