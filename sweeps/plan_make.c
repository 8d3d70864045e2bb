/* sweeps/plan_make.c - a sweep becomes a plan: plan_make() of plan.h.
 *
 * A million trials must pass in seconds, so a trial costs as little as possible: the options of a kind of stage are hashed
 * once and remembered (`project`), a chain that an earlier trial has made is found by one look-up (`chain_index`), and a chain
 * that nothing shares costs one more, by which it is found out, and no work for each task but its cost.  Only where a chain
 * begins as another does is it followed task by task.  Stages are told apart by what their keys hash, not by their keys, which
 * are made when somebody asks for them (plan_keys). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweeps/cost.h"
#include "sweeps/methods.h"
#include "sweeps/plan.h"
#include "sweeps/sequence.h"
#include "sweeps/shard.h"

/* ---- an index from hashes to items ---- */

/* Items are found by 32 bits of a hash, and then told apart by what they are.  The place of a slot follows from its tag alone, so
 * an index that grows looks at no item. */
struct slot {
    uint32_t tag;
    int item; /* + 1; 0: free */
};

struct hash_index {
    struct slot *slots;
    size_t size, used;
};

static size_t index_first(const struct hash_index *ix, uint32_t tag)
{
    return (size_t)((uint64_t)tag * ix->size >> 32);
}

/* A large index is in no cache: fetch what will be asked for while there is something else to do. */
static void index_prefetch(const struct hash_index *ix, uint32_t tag)
{
    __builtin_prefetch(&ix->slots[index_first(ix, tag)]);
}

/* The next item with this tag, from slot *at on; -1 if there is none. */
static int index_next(const struct hash_index *ix, uint32_t tag, size_t *at)
{
    while (ix->slots[*at].item) {
        const struct slot *s = &ix->slots[*at];
        *at = *at + 1 < ix->size ? *at + 1 : 0;
        if (s->tag == tag)
            return s->item - 1;
    }
    return -1;
}

static void index_put(struct hash_index *ix, struct slot slot)
{
    size_t i = index_first(ix, slot.tag);

    while (ix->slots[i].item)
        i = i + 1 < ix->size ? i + 1 : 0;
    ix->slots[i] = slot;
    ix->used++;
}

static int index_grow(struct hash_index *ix, err *e)
{
    struct hash_index bigger = {.size = ix->size + ix->size / 2 + 64};

    bigger.slots = calloc(bigger.size, sizeof *bigger.slots);
    if (!bigger.slots)
        return err_errno(e, "plan");
    for (size_t i = 0; i < ix->size; i++)
        if (ix->slots[i].item)
            index_put(&bigger, ix->slots[i]);
    free(ix->slots);
    *ix = bigger;
    return 0;
}

static int index_add(struct hash_index *ix, uint32_t tag, int item, err *e)
{
    if (4 * (ix->used + 1) > 3 * ix->size && index_grow(ix, e))
        return e->code;
    index_put(ix, (struct slot){tag, item + 1});
    return 0;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

static uint64_t mix_digest(uint64_t hash, const struct digest *d)
{
    uint64_t word;

    memcpy(&word, d->bytes, sizeof word);
    return mix(hash, word);
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

enum { PROJECTIONS = 4096, MAX_WORDS = OPTION_COUNT + 3 };

/* What a class order follows from. */
struct order_source {
    const char *sequence; /* interned */
    int64_t tasks, seed;
    int classes; /* of the data set */
};

/* The options of a kind that its key hashes by value, and the projections made so far, as far as there is room: those whose
 * words fall on the same line replace each other. */
struct projection {
    int count, varying_count, words;
    enum option_id ids[OPTION_COUNT], varying[OPTION_COUNT]; /* all; those that can differ between trials */
    bool dataset, backbone;
    struct digest schema;   /* of the options' keys */
    uint64_t *known;        /* (PROJECTIONS, words) */
    struct digest *digests; /* (PROJECTIONS) */
};

struct named_dataset {
    const char *name;
    struct source_dataset is;
    const struct benchmark *benchmark; /* NULL: no published numbers */
    unsigned warned;                   /* of these of its transforms: 1 << choice */
};

struct named_backbone {
    const char *name;
    struct source_backbone is;
};

/* A chain that the trial at hand may have to make. */
struct strand {
    int owner;   /* the chain that has its stage of the task before, as long as there is one */
    bool parted; /* it is a new chain, */
    int from;    /* from this task on */
};

struct planner {
    struct plan *plan;
    const struct sources *sources;
    err *e;
    struct projection projections[STAGE_KIND_COUNT];
    unsigned closures[2][STAGE_KIND_COUNT]; /* by fc_norm: the kinds whose options a chain depends on, as bits */

    struct named_dataset *datasets;
    struct named_backbone *backbones;
    int datasets_count, datasets_capacity, backbones_count, backbones_capacity, missing_capacity, warnings_capacity,
        contents_capacity;

    struct order_source *order_sources; /* in step with the graph's orders */
    int orders_capacity, order_sources_capacity;
    struct hash_index order_index;

    struct hash_index chain_index; /* chains by all that they are made of */
    struct hash_index start_index; /* chains by all that their first stage's key hashes */
    int stages_capacity, trials_capacity, chains_capacity, batches_capacity;

    /* the trial at hand */
    struct trial_config config;
    const struct method *method;
    struct named_dataset *dataset;
    const struct named_backbone *backbone;
    int order;
    bool fc_norm;
    struct digest projected[STAGE_KIND_COUNT]; /* of the method's kinds */
    int chain_of[STAGE_KIND_COUNT];            /* -1: none, or not yet */
    struct strand strands[STAGE_KIND_COUNT];
};

/* ---- contents ---- */

/* Add a text to a list that has each once. */
static void note(struct planner *p, const char ***list, int *count, int *capacity, const char *text)
{
    const char *kept = intern(text);

    for (int i = 0; i < *count; i++)
        if ((*list)[i] == kept)
            return;
    if (!reserve(list, *count, capacity, sizeof **list, p->e))
        (*list)[(*count)++] = kept;
}

static void note_missing(struct planner *p, const char *text)
{
    note(p, &p->plan->missing, &p->plan->missing_count, &p->missing_capacity, text);
}

static void warn(struct planner *p, const char *text)
{
    note(p, &p->plan->warnings, &p->plan->warnings_count, &p->warnings_capacity, text);
}

static void warn_of_files(struct planner *p, const struct named_dataset *d)
{
    char text[600];

    for (const char *line = d->is.notes; line && *line; line += strcspn(line, "\n"), line += *line == '\n') {
        snprintf(text, sizeof text, "data set %s: %.*s", d->name, (int)strcspn(line, "\n"), line);
        warn(p, text);
    }
}

/* A benchmark with other transforms than its published numbers were made with gives numbers that cannot stand beside them. */
static void warn_of_transform(struct planner *p)
{
    int64_t choice = p->config.value[OPTION_DATASET_TRANSFORM].integer;
    const struct benchmark *b = p->dataset->benchmark;
    const char *transform;
    char text[400];

    if (!b || p->dataset->warned & 1u << choice)
        return;
    p->dataset->warned |= 1u << choice;
    transform = option_choice_text(OPTION_DATASET_TRANSFORM, choice);
    if (!strcmp(transform, b->transform))
        return;
    snprintf(
        text, sizeof text,
        "data set %s with dataset.transform %s: published numbers are made with %s; %s has it, and their class order, "
        "tasks and augmentation",
        b->name, transform, b->transform, b->preset);
    warn(p, text);
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

static struct named_dataset *find_dataset(struct planner *p, const char *name)
{
    err e = {0};

    for (int i = 0; i < p->datasets_count; i++)
        if (p->datasets[i].name == name)
            return &p->datasets[i];
    if (reserve(&p->datasets, p->datasets_count, &p->datasets_capacity, sizeof *p->datasets, p->e))
        return NULL;
    p->datasets[p->datasets_count] = (struct named_dataset){.name = name, .benchmark = benchmark_by_name(name)};
    p->sources->dataset(name, &p->datasets[p->datasets_count].is, &e);
    if (check_source(p, "data set", name, &p->datasets[p->datasets_count].is.digest, &e))
        return NULL;
    warn_of_files(p, &p->datasets[p->datasets_count]);
    return &p->datasets[p->datasets_count++];
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

static bool same_source(const struct order_source *a, const struct order_source *b)
{
    return a->sequence == b->sequence && a->tasks == b->tasks && a->seed == b->seed && a->classes == b->classes;
}

static int fill_order(struct planner *p, const struct class_sequence *s, struct plan_order *out)
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

static int make_order(struct planner *p, struct plan_order *out)
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

static int add_order(struct planner *p, const struct order_source *source, uint32_t tag)
{
    struct plan_graph *g = &p->plan->graph;
    int n = g->orders_count;

    if (reserve(&g->orders, n, &p->orders_capacity, sizeof *g->orders, p->e) ||
        reserve(&p->order_sources, n, &p->order_sources_capacity, sizeof *p->order_sources, p->e) ||
        index_add(&p->order_index, tag, n, p->e))
        return p->e->code;
    g->orders[n] = (struct plan_order){0};
    p->order_sources[n] = *source;
    p->order = g->orders_count++;
    return make_order(p, &g->orders[n]);
}

static int find_order(struct planner *p)
{
    const union option_value *v = p->config.value;
    const struct order_source source = {v[OPTION_DATASET_SEQUENCE].text, v[OPTION_DATASET_TASKS].integer,
                                        v[OPTION_SEEDS_ORDER].integer, p->dataset->is.classes};
    uint64_t hash = mix(mix((uintptr_t)source.sequence, (uint64_t)source.tasks), (uint64_t)source.classes);
    uint32_t tag = (uint32_t)mix(hash, (uint64_t)source.seed);
    size_t at = index_first(&p->order_index, tag);

    while ((p->order = index_next(&p->order_index, tag, &at)) >= 0)
        if (same_source(&p->order_sources[p->order], &source))
            return 0;
    return add_order(p, &source, tag);
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

/* ---- projections: the options of a kind as one digest ---- */

/* Options that a key does not hash by value but by what they stand for. */
static bool stands_for_content(enum option_id id)
{
    return id == OPTION_DATASET_NAME || id == OPTION_BACKBONE || id == OPTION_DATASET_TASKS ||
           id == OPTION_DATASET_SEQUENCE || id == OPTION_SEEDS_ORDER;
}

/* Which options can differ between trials, once these are normalised. */
static void find_varying(const struct sweep *sweep, bool varying[OPTION_COUNT])
{
    find_candidates(sweep, varying);
    for (int id = 0; id < OPTION_COUNT; id++)
        varying[id] |= option_info(id)->type == OPTION_TYPE_SEED || method_fixes(id);
}

static int start_projections(struct planner *p)
{
    bool varying[OPTION_COUNT] = {false};

    find_varying(p->plan->sweep, varying);
    for (int kind = 0; kind < STAGE_KIND_COUNT; kind++) {
        struct projection *q = &p->projections[kind];
        struct digester d;
        digester_start(&d);
        for (int id = 0; id < OPTION_COUNT; id++) {
            if (!option_in_key(kind, id))
                continue;
            digester_add_text(&d, option_info(id)->key);
            if (stands_for_content(id))
                continue;
            q->ids[q->count++] = id;
            if (varying[id])
                q->varying[q->varying_count++] = id;
        }
        q->schema = digester_end(&d);
        q->dataset = option_in_key(kind, OPTION_DATASET_NAME);
        q->backbone = option_in_key(kind, OPTION_BACKBONE);
        q->words = q->varying_count + 3;
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

/* Everything that tells the digest from those of other trials, as numbers; the first is never 0, so that an empty line equals nothing. */
static void projection_words(const struct planner *p, const struct projection *q, uint64_t words[MAX_WORDS])
{
    int n = 0;

    words[n++] = 1;
    words[n++] = q->dataset ? (uintptr_t)p->dataset->name : 0;
    words[n++] = q->backbone ? (uintptr_t)p->backbone->name : 0;
    for (int i = 0; i < q->varying_count; i++, n++)
        memcpy(&words[n], &p->config.value[q->varying[i]],
               sizeof words[n]); /* texts are interned: equal ones are one */
}

static struct digest project(const struct planner *p, enum stage_kind kind)
{
    const struct projection *q = &p->projections[kind];
    uint64_t words[MAX_WORDS], h = 0;
    size_t size = (size_t)q->words * sizeof *words, line;

    projection_words(p, q, words);
    for (int i = 0; i < q->words; i++)
        h = mix(h, words[i]);
    line = h % PROJECTIONS;
    if (memcmp(q->known + line * (size_t)q->words, words, size)) {
        memcpy(q->known + line * (size_t)q->words, words, size);
        q->digests[line] = hash_projection(p, q);
    }
    return q->digests[line];
}

/* ---- chains that exist ---- */

/* The kinds whose options a chain depends on: its own and those of all its needs. */
static unsigned closure(enum stage_kind kind, bool fc_norm)
{
    unsigned set = 1u << kind, before;

    do {
        before = set;
        for (int i = 0; i < stage_needs_count; i++)
            if (set >> stage_needs[i].kind & 1 && need_task(&stage_needs[i], stage_needs[i].kind, 1, fc_norm) >= 0)
                set |= 1u << stage_needs[i].of;
    } while (set != before);
    return set;
}

static bool follows_order(enum stage_kind kind)
{
    return stage_kind_has_tasks(kind) || option_in_key(kind, OPTION_DATASET_SEQUENCE);
}

static const struct plan_order *order_of(const struct planner *p, const struct plan_chain *chain)
{
    const struct plan_graph *g = &p->plan->graph;

    return &g->orders[g->batches[chain->batch].order];
}

static const struct plan_order *order_at_hand(const struct planner *p)
{
    return &p->plan->graph.orders[p->order];
}

/* The task of the last stage of the trial at hand. */
static int last_task(const struct planner *p, enum stage_kind kind)
{
    return stage_kind_has_tasks(kind) ? order_at_hand(p)->tasks - 1 : 0;
}

static bool same_classes(const struct plan_order *a, const struct plan_order *b)
{
    return a == b || digest_equal(&a->prefix[a->tasks - 1], &b->prefix[b->tasks - 1]);
}

/* What a chain of the trial at hand is made of. */
static uint32_t chain_tag(const struct planner *p, enum stage_kind kind)
{
    const struct plan_order *order = order_at_hand(p);
    unsigned set = p->closures[p->fc_norm][kind];
    uint64_t hash = mix(set, kind);

    for (int k = 0; k < STAGE_KIND_COUNT; k++)
        if (set >> k & 1)
            hash = mix_digest(hash, &p->projected[k]);
    return (uint32_t)(follows_order(kind) ? mix_digest(hash, &order->prefix[order->tasks - 1]) : hash);
}

static bool same_chain(const struct planner *p, enum stage_kind kind, const struct plan_chain *chain)
{
    const struct plan_graph *g = &p->plan->graph;
    const int *chain_of = g->batches[chain->batch].chain_of;
    unsigned set = p->closures[p->fc_norm][kind];

    if (chain->kind != kind || p->closures[chain->fc_norm][kind] != set ||
        (follows_order(kind) && !same_classes(order_of(p, chain), order_at_hand(p))))
        return false;
    for (int k = 0; k < STAGE_KIND_COUNT; k++)
        if (set >> k & 1 && !digest_equal(&g->chains[chain_of[k]].options, &p->projected[k]))
            return false;
    return true;
}

/* The chain of this kind, if an earlier trial had just the same; -1: it has to be made. */
static int find_chain(const struct planner *p, enum stage_kind kind, uint32_t tag)
{
    size_t at = index_first(&p->chain_index, tag);
    int chain;

    while ((chain = index_next(&p->chain_index, tag, &at)) >= 0)
        if (same_chain(p, kind, &p->plan->graph.chains[chain]))
            break;
    return chain;
}

/* ---- where new chains part with older ones ---- */

enum { NEW = -1 }; /* in place of the number of a stage that does not exist yet */

/* A stage of the trial at hand: what its key hashes besides the options of its kind. */
struct stage_inputs {
    int t, needs_count, needs[PLAN_MAX_NEEDS];
};

/* Is it the stage of task t of this chain, whose options are the same? */
static bool same_stage(const struct planner *p, const struct plan_chain *chain, const struct stage_inputs *in)
{
    const struct digest *theirs = graph_classes(order_of(p, chain), chain->kind, in->t);
    const struct digest *ours = graph_classes(order_at_hand(p), chain->kind, in->t);
    int needs[PLAN_MAX_NEEDS];

    return in->t >= chain->from && in->t < chain->until && (!ours || digest_equal(ours, theirs)) &&
           graph_needs(&p->plan->graph, chain, in->t, needs) == in->needs_count &&
           !memcmp(needs, in->needs, (size_t)in->needs_count * sizeof *needs);
}

static uint32_t start_tag(const struct digest *options, int before, const struct digest *classes,
                          const struct stage_inputs *in)
{
    uint64_t hash = mix_digest((uint64_t)before, options);

    if (classes)
        hash = mix_digest(hash, classes);
    for (int i = 0; i < in->needs_count; i++)
        hash = mix(hash, (uint64_t)in->needs[i]);
    return (uint32_t)hash;
}

/* The chain that begins with this stage, or parts with it from chain `before`; -1 if there is none. */
static int find_start(const struct planner *p, enum stage_kind kind, int before, const struct stage_inputs *in)
{
    const struct digest *options = &p->projected[kind];
    uint32_t tag = start_tag(options, before, graph_classes(order_at_hand(p), kind, in->t), in);
    size_t at = index_first(&p->start_index, tag);
    int found;

    while ((found = index_next(&p->start_index, tag, &at)) >= 0) {
        const struct plan_chain *chain = &p->plan->graph.chains[found];
        if (chain->kind == kind && chain->from == in->t && chain->before == before &&
            digest_equal(&chain->options, options) && same_stage(p, chain, in))
            break;
    }
    return found;
}

/* What the stage of task t needs: stages of this task and of the one before.  False if one of them is new, and so the stage. */
static bool find_inputs(const struct planner *p, enum stage_kind kind, int t, const int *now, const int *before,
                        struct stage_inputs *in)
{
    *in = (struct stage_inputs){.t = t};
    for (int i = 0; i < stage_needs_count; i++) {
        int task = need_task(&stage_needs[i], kind, t, p->fc_norm), need;
        if (task < 0)
            continue;
        need = task < t && stage_kind_has_tasks(stage_needs[i].of) ? before[stage_needs[i].of] : now[stage_needs[i].of];
        if (need == NEW)
            return false;
        in->needs[in->needs_count++] = need;
    }
    return true;
}

/* The stage of task t of a chain that has to be made: an existing one as long as there is one. */
static int follow(struct planner *p, enum stage_kind kind, int t, const int *now, const int *before)
{
    const struct plan_graph *g = &p->plan->graph;
    struct strand *s = &p->strands[kind];
    struct stage_inputs in;
    int chain = -1;

    if (find_inputs(p, kind, t, now, before, &in))
        chain =
            s->owner >= 0 && same_stage(p, &g->chains[s->owner], &in) ? s->owner : find_start(p, kind, s->owner, &in);
    if (chain < 0) {
        s->parted = true;
        s->from = t;
        return NEW;
    }
    s->owner = chain;
    return graph_stage(g, chain, t);
}

/* Find where the trial's chains part with those that exist.  Chains may need each other, so all go task by task. */
static void part_chains(struct planner *p)
{
    const struct method *m = p->method;
    int now[STAGE_KIND_COUNT] = {0}, before[STAGE_KIND_COUNT], open = 1; /* chains that may exist further on */

    for (int i = 0; i < m->kinds_count; i++)
        p->strands[m->kinds[i]] = (struct strand){.owner = -1};
    for (int t = 0; t < order_at_hand(p)->tasks && open; t++) {
        memcpy(before, now, sizeof before);
        open = 0;
        for (int i = 0; i < m->kinds_count; i++) {
            enum stage_kind kind = m->kinds[i];
            int chain = p->chain_of[kind];
            if (t && !stage_kind_has_tasks(kind))
                continue;
            now[kind] = chain >= 0                ? graph_stage(&p->plan->graph, chain, t)
                        : p->strands[kind].parted ? NEW
                                                  : follow(p, kind, t, now, before);
            open += chain < 0 && !p->strands[kind].parted;
        }
    }
}

/* ---- new stages ---- */

/* Make *items an array of `wanted`. */
static int resize(void *items, int wanted, size_t size, err *e)
{
    void **p = items, *more = realloc(*p, (size_t)wanted * size);

    if (!more)
        return err_errno(e, "plan");
    *p = more;
    return 0;
}

static int reserve_stages(struct planner *p, int count)
{
    struct plan *plan = p->plan;
    int wanted = p->stages_capacity + p->stages_capacity / 2 + 256;

    if (plan->stages_count + count > PLAN_MAX_STAGES)
        return err_set(p->e, ERR_CONFIG, "the sweep has more than %d stages, tasks counted singly; make it smaller",
                       PLAN_MAX_STAGES);
    if (plan->stages_count + count <= p->stages_capacity)
        return 0;
    wanted = wanted < plan->stages_count + count ? plan->stages_count + count : wanted;
    wanted = wanted < PLAN_MAX_STAGES ? wanted : PLAN_MAX_STAGES;
    if (resize(&plan->kind, wanted, sizeof *plan->kind, p->e) ||
        resize(&plan->task, wanted, sizeof *plan->task, p->e) ||
        resize(&plan->cost, wanted, sizeof *plan->cost, p->e) ||
        resize(&plan->shared_by, wanted, sizeof *plan->shared_by, p->e))
        return p->e->code;
    p->stages_capacity = wanted;
    return 0;
}

static void append_stage(struct planner *p, const struct cost_trial *trial, enum stage_kind kind, int t)
{
    struct plan *plan = p->plan;
    int n = plan->stages_count++, task = stage_kind_has_tasks(kind) ? t : -1;
    struct cost cost = stage_cost(trial, kind, task);

    plan->kind[n] = (uint8_t)kind;
    plan->task[n] = (int16_t)task;
    plan->cost[n] = (float)cost.flop;
    plan->shared_by[n] = 0;
    plan->work += plan->cost[n];
    plan->disk += cost.disk;
    plan->memory = cost.memory > plan->memory ? cost.memory : plan->memory;
}

/* All stages of the newest batch. */
static int append_stages(struct planner *p)
{
    const struct plan_order *order = order_at_hand(p);
    struct plan_graph *g = &p->plan->graph;
    struct plan_batch *batch = &g->batches[g->batches_count - 1];
    const struct plan_chain *end = g->chains + batch[1].chains;
    const struct cost_trial trial =
        cost_of_trial(&p->config, &p->dataset->is, &p->backbone->is, order->tasks, order->classes_until);
    int count = 0;

    for (const struct plan_chain *c = g->chains + batch->chains; c < end; c++)
        count += c->until - c->from;
    if (reserve_stages(p, count))
        return p->e->code;
    for (int t = 0; t < order->tasks; t++)
        for (const struct plan_chain *c = g->chains + batch->chains; c < end; c++)
            if (c->from <= t && t < c->until)
                append_stage(p, &trial, c->kind, t);
    batch[1].first = p->plan->stages_count;
    return 0;
}

static int append_chain(struct planner *p, enum stage_kind kind)
{
    struct plan_graph *g = &p->plan->graph;
    const struct strand *s = &p->strands[kind];

    if (reserve(&g->chains, g->chains_count, &p->chains_capacity, sizeof *g->chains, p->e))
        return p->e->code;
    p->chain_of[kind] = g->chains_count;
    g->chains[g->chains_count++] = (struct plan_chain){.options = p->projected[kind],
                                                       .batch = g->batches_count,
                                                       .before = s->owner,
                                                       .example = p->plan->trials_count,
                                                       .from = (int16_t)s->from,
                                                       .until = (int16_t)(last_task(p, kind) + 1),
                                                       .kind = (uint8_t)kind,
                                                       .fc_norm = p->fc_norm};
    return 0;
}

static int append_batch(struct planner *p)
{
    struct plan_graph *g = &p->plan->graph;
    struct plan_batch *batch;

    if (reserve(&g->batches, g->batches_count + 1, &p->batches_capacity, sizeof *g->batches, p->e))
        return p->e->code;
    batch = &g->batches[g->batches_count++];
    batch->order = p->order;
    memcpy(batch->chain_of, p->chain_of, sizeof batch->chain_of);
    batch[1] = (struct plan_batch){.first = p->plan->stages_count, .chains = g->chains_count};
    return append_stages(p);
}

static uint32_t start_tag_of(const struct planner *p, const struct plan_chain *c)
{
    struct stage_inputs in = {.t = c->from};

    in.needs_count = graph_needs(&p->plan->graph, c, c->from, in.needs);
    return start_tag(&c->options, c->before, graph_classes(order_at_hand(p), c->kind, c->from), &in);
}

/* Let later trials find the chains of the newest batch. */
static int remember_chains(struct planner *p, const uint32_t *tags)
{
    const struct plan_graph *g = &p->plan->graph;
    int first = g->batches[g->batches_count - 1].chains;
    uint32_t starts[STAGE_KIND_COUNT];

    for (int c = first; c < g->chains_count; c++) {
        starts[c - first] = start_tag_of(p, &g->chains[c]);
        index_prefetch(&p->start_index, starts[c - first]);
    }
    for (int c = first; c < g->chains_count; c++)
        if (index_add(&p->chain_index, tags[g->chains[c].kind], c, p->e) ||
            index_add(&p->start_index, starts[c - first], c, p->e))
            return p->e->code;
    return 0;
}

/* Chains that part with those that exist are made; the others are these. */
static int make_chains(struct planner *p, const uint32_t *tags)
{
    const struct method *m = p->method;
    int first = p->plan->graph.chains_count;

    part_chains(p);
    for (int i = 0; i < m->kinds_count; i++) {
        enum stage_kind kind = m->kinds[i];
        if (p->chain_of[kind] >= 0)
            continue;
        if (!p->strands[kind].parted)
            p->chain_of[kind] = p->strands[kind].owner;
        else if (append_chain(p, kind))
            return p->e->code;
    }
    if (p->plan->graph.chains_count == first)
        return 0;
    if (append_batch(p))
        return p->e->code;
    return remember_chains(p, tags);
}

/* ---- trials ---- */

/* The last stage of the trial at hand. */
static int result_stage(const struct planner *p)
{
    enum stage_kind kind = p->method->kinds[p->method->kinds_count - 1];

    return graph_stage(&p->plan->graph, p->chain_of[kind], last_task(p, kind));
}

/* The result's chain is looked up first: of a trial that is folded nothing else matters. */
static int find_chains(struct planner *p)
{
    const struct method *m = p->method;
    uint32_t tags[STAGE_KIND_COUNT];

    for (int kind = 0; kind < STAGE_KIND_COUNT; kind++)
        p->chain_of[kind] = -1;
    for (int i = 0; i < m->kinds_count; i++) {
        tags[m->kinds[i]] = chain_tag(p, m->kinds[i]);
        index_prefetch(&p->chain_index, tags[m->kinds[i]]);
    }
    for (int i = m->kinds_count - 1; i >= 0; i--) {
        enum stage_kind kind = m->kinds[i];
        p->chain_of[kind] = find_chain(p, kind, tags[kind]);
        if (p->chain_of[kind] >= 0 && i == m->kinds_count - 1)
            return 0;
    }
    return make_chains(p, tags);
}

static int look_up(struct planner *p)
{
    const union option_value *v = p->config.value;

    p->method = method_of(&p->config);
    p->dataset = find_dataset(p, v[OPTION_DATASET_NAME].text);
    p->backbone = p->e->code ? NULL : find_backbone(p, v[OPTION_BACKBONE].text);
    if (p->e->code || find_order(p))
        return p->e->code;
    warn_of_transform(p);
    p->fc_norm = !strcmp(option_choice_text(OPTION_FEATURE_NORM, v[OPTION_FEATURE_NORM].integer), "fc_norm");
    for (int i = 0; i < p->method->kinds_count; i++)
        p->projected[p->method->kinds[i]] = project(p, p->method->kinds[i]);
    return 0;
}

static int add_point(struct planner *p, int64_t point)
{
    struct plan *plan = p->plan;
    int before = plan->stages_count;

    if (!sweep_point(plan->sweep, point, &p->config)) {
        plan->excluded++;
        return 0;
    }
    method_normalise(&p->config);
    if (look_up(p) || find_chains(p))
        return err_context(p->e, "trial %lld", (long long)point);
    if (result_stage(p) < before) {
        plan->folded++;
        return 0;
    }
    if (reserve(&plan->trials, plan->trials_count, &p->trials_capacity, sizeof *plan->trials, p->e))
        return p->e->code;
    plan->trials[plan->trials_count++] = (struct plan_trial){point, result_stage(p)};
    for (int i = 0; i < p->method->kinds_count; i++) {
        enum stage_kind kind = p->method->kinds[i];
        plan->shared_by[graph_stage(&plan->graph, p->chain_of[kind], last_task(p, kind))]++;
    }
    return 0;
}

/* ---- what follows from the stages ---- */

/* add_point() has counted every trial at the last stage of each of its chains; the stages before it are used by as many.  A batch
 * is gone through from its last stage to its first. */
static void spread_batch(struct plan *plan, const struct plan_batch *batch)
{
    const struct plan_chain *first = plan->graph.chains + batch->chains, *end = plan->graph.chains + batch[1].chains;
    int users[STAGE_KIND_COUNT] = {0}, stage = batch[1].first; /* of the chain's next stage */

    for (int t = plan->graph.orders[batch->order].tasks - 1; t >= 0; t--)
        for (const struct plan_chain *c = end - 1; c >= first; c--) {
            if (t < c->from || t >= c->until)
                continue;
            plan->shared_by[--stage] += users[c->kind];
            users[c->kind] = plan->shared_by[stage];
            plan->work_alone += plan->cost[stage] * plan->shared_by[stage];
            if (t && t == c->from)
                plan->shared_by[graph_stage(&plan->graph, c->before, t - 1)] += users[c->kind];
        }
}

static void spread_sharing(struct plan *plan)
{
    for (int b = plan->graph.batches_count - 1; b >= 0; b--)
        spread_batch(plan, &plan->graph.batches[b]);
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

/* ---- the whole ---- */

static void free_planner(struct planner *p)
{
    for (int kind = 0; kind < STAGE_KIND_COUNT; kind++) {
        free(p->projections[kind].known);
        free(p->projections[kind].digests);
    }
    free(p->datasets);
    free(p->backbones);
    free(p->order_sources);
    free(p->order_index.slots);
    free(p->chain_index.slots);
    free(p->start_index.slots);
}

static int start_planner(struct planner *p)
{
    if (index_grow(&p->order_index, p->e) || index_grow(&p->chain_index, p->e) || index_grow(&p->start_index, p->e) ||
        start_projections(p) ||
        reserve(&p->plan->graph.batches, 0, &p->batches_capacity, sizeof *p->plan->graph.batches, p->e))
        return p->e->code;
    p->plan->graph.batches[0] = (struct plan_batch){0};
    for (int kind = 0; kind < STAGE_KIND_COUNT; kind++) {
        char version[16];
        snprintf(version, sizeof version, "%d", stage_kind_version(kind));
        if (note_content(p, "code of", stage_kind_name(kind), version))
            return p->e->code;
        p->closures[false][kind] = closure(kind, false);
        p->closures[true][kind] = closure(kind, true);
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
    if (e->code || graph_finish(&out->graph, e))
        return e->code;
    spread_sharing(out);
    find_varied(out);
    return shard_keep(out, e);
}
