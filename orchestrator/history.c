/* orchestrator/history.c - see history.h. */
#include "orchestrator/history.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/rows.h"
#include "io/text.h"

const char *fact_name(uint32_t type)
{
    static const char *const names[] = {
#define X(name, number, meaning) [FACT_##name] = #name,
        FACTS(X)
#undef X
    };

    return type < sizeof names / sizeof *names && names[type] ? names[type] : "UNKNOWN";
}

/* ------------------------------------------------------------------------------------------------ writing facts */

static char *finish_json(json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

    json_decref(object);
    return text;
}

static json_t *json_key(const struct digest *key)
{
    char hex[DIGEST_HEX];

    digest_to_hex(key, hex);
    return json_string(hex);
}

char *fact_begun(const char *host, int pid, int workers, const char *version, double when,
                 const struct plan_content *contents, int contents_count)
{
    json_t *all = json_object();

    for (int i = 0; i < contents_count; i++)
        json_object_set_new(all, contents[i].what, json_string(contents[i].is));
    return finish_json(json_pack("{s:o, s:i, s:i, s:s, s:f, s:o}", "host", text_json(host), "pid", pid, "workers",
                                 workers, "version", version, "when", when, "contents", all));
}

static json_t *attempt_json(const struct attempt *a)
{
    return json_pack("{s:o, s:s, s:i, s:i, s:i, s:i, s:o, s:f, s:f}", "stage", json_key(&a->stage), "kind",
                     stage_kind_name(a->kind), "task", a->task, "attempt", a->number, "rank", a->rank, "threads",
                     a->threads, "host", text_json(a->host), "started", a->started, "seconds", a->seconds);
}

/* A time as facts have it: in whole microseconds, so that what was written is what is read. */
static double in_microseconds(double seconds)
{
    return fabs(seconds) < 1e10 ? round(1e6 * seconds) / 1e6 + 0. : 0; /* never -0 */
}

/* The attempt as its fact will be read. */
static struct attempt as_written(const struct attempt *a)
{
    struct attempt w = *a;

    w.started = in_microseconds(a->started);
    w.seconds = in_microseconds(a->seconds);
    for (char *c = w.host; *c; c++)
        if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
            *c = '?';
    return w;
}

static char *put_integer(char *at, int64_t value)
{
    char digits[24];
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    int n = 0;

    do
        digits[n++] = (char)('0' + left % 10);
    while (left /= 10);
    if (value < 0)
        *at++ = '-';
    while (n)
        *at++ = digits[--n];
    return at;
}

static char *put_seconds(char *at, double seconds)
{
    int64_t us = llround(1e6 * in_microseconds(seconds)), part = us < 0 ? -us : us;

    if (us < 0)
        *at++ = '-';
    at = put_integer(at, part / 1000000);
    *at++ = '.';
    for (int64_t unit = 100000; unit; unit /= 10)
        *at++ = (char)('0' + part / unit % 10);
    return at;
}

static char *put_key(char *at, const struct digest *key)
{
    digest_to_hex(key, at);
    return at + DIGEST_HEX - 1;
}

/* By hand, and not by way of JSON values: rank 0 does nothing more often. */
char *fact_done(const struct attempt *attempt, const struct digest *checkpoint, int64_t parameters, double trained,
                const char *rows)
{
    enum { HEAD_ROOM = 1024 }; /* 14 names, 3 keys, 2 texts of limited size and 9 numbers */
    const struct attempt a = as_written(attempt);
    size_t n = strlen(rows);
    char *text = malloc(HEAD_ROOM + n), *at = text;

    if (!text)
        return NULL;
    at = put_key(stpcpy(at, "{\"stage\":\""), &a.stage);
    at = stpcpy(stpcpy(at, "\",\"kind\":\""), stage_kind_name(a.kind));
    at = put_integer(stpcpy(at, "\",\"task\":"), a.task);
    at = put_integer(stpcpy(at, ",\"attempt\":"), a.number);
    at = put_integer(stpcpy(at, ",\"rank\":"), a.rank);
    at = put_integer(stpcpy(at, ",\"threads\":"), a.threads);
    at = stpcpy(stpcpy(at, ",\"host\":\""), a.host);
    at = put_seconds(stpcpy(at, "\",\"started\":"), a.started);
    at = put_seconds(stpcpy(at, ",\"seconds\":"), a.seconds);
    at = put_key(stpcpy(at, ",\"digest\":\""), checkpoint);
    at = put_integer(stpcpy(at, "\",\"parameters\":"), parameters);
    at = put_seconds(stpcpy(at, ",\"trained\":"), trained);
    at = stpcpy(at, ",\"rows\":");
    memcpy(at, rows, n);
    memcpy(at + n, "}", 2);
    return text;
}

char *fact_failed(const struct attempt *a, enum cause cause, const char *text)
{
    json_t *object = attempt_json(a);

    json_object_set_new(object, "cause", json_string(cause_name(cause)));
    json_object_set_new(object, "text", text_json(text));
    return finish_json(object);
}

char *fact_aside(const struct digest *stage, enum cause cause, const char *text)
{
    return finish_json(
        json_pack("{s:o, s:s, s:o}", "stage", json_key(stage), "cause", cause_name(cause), "text", text_json(text)));
}

char *fact_forgotten(const struct digest *stage, const char *why)
{
    return finish_json(json_pack("{s:o, s:o}", "stage", json_key(stage), "why", text_json(why)));
}

char *fact_forgiven(const struct digest *stage)
{
    return finish_json(json_pack("{s:o}", "stage", json_key(stage)));
}

char *fact_pruned(const struct digest *trial, int after_task, const char *why)
{
    return finish_json(
        json_pack("{s:o, s:i, s:o}", "trial", json_key(trial), "after_task", after_task, "why", text_json(why)));
}

char *fact_ended(const char *how, double when, const struct run_figures *f)
{
    return finish_json(json_pack("{s:s, s:f, s:I, s:f, s:f, s:f, s:f}", "how", how, "when", when, "stages",
                                 (json_int_t)f->stages, "seconds", f->seconds, "cpu", f->cpu, "loop_cpu", f->loop_cpu,
                                 "results_cpu", f->results_cpu));
}

/* ------------------------------------------------------------------------------------------------ finding stages */

static size_t slot_of(const struct history *h, const struct digest *key)
{
    uint64_t hash;
    size_t at;

    memcpy(&hash, key->bytes, sizeof hash);
    for (at = hash % (size_t)h->index_size; h->index[at] >= 0; at = (at + 1) % (size_t)h->index_size)
        if (digest_equal(&h->stages[h->index[at]].key, key))
            break;
    return at;
}

const struct history_stage *history_find(const struct history *h, const struct digest *key)
{
    int i = h->index_size ? h->index[slot_of(h, key)] : -1;

    return i < 0 ? NULL : &h->stages[i];
}

const struct history_pruned *history_find_pruned(const struct history *h, const struct digest *trial)
{
    for (int i = 0; i < h->pruned_count; i++)
        if (digest_equal(&h->pruned[i].trial, trial))
            return &h->pruned[i];
    return NULL;
}

/* Room for one more element; false when memory is out. */
static bool reserve(void *list, int count, int *room, size_t size)
{
    void **at = list;

    if (count == *room) {
        int more = 2 * *room + 64;
        void *bigger = realloc(*at, (size_t)more * size);

        if (!bigger)
            return false;
        *at = bigger;
        *room = more;
    }
    return true;
}

static bool grow_index(struct history *h)
{
    int size = 4 * h->stages_count + 256;
    int *index = malloc((size_t)size * sizeof *index);

    if (!index)
        return false;
    for (int i = 0; i < size; i++)
        index[i] = -1;
    free(h->index);
    h->index = index;
    h->index_size = size;
    for (int i = 0; i < h->stages_count; i++)
        h->index[slot_of(h, &h->stages[i].key)] = i;
    return true;
}

static struct history_stage *stage_at(struct history *h, const struct digest *key, err *e)
{
    size_t slot;

    if (h->index_size < 2 * (h->stages_count + 1) && !grow_index(h)) {
        err_set(e, ERR_NOMEM, "no memory for %d stages", h->stages_count + 1);
        return NULL;
    }
    slot = slot_of(h, key);
    if (h->index[slot] < 0) {
        if (!reserve(&h->stages, h->stages_count, &h->stages_room, sizeof *h->stages)) {
            err_set(e, ERR_NOMEM, "no memory for %d stages", h->stages_count + 1);
            return NULL;
        }
        h->stages[h->stages_count] = (struct history_stage){.key = *key, .kind = STAGE_KIND_COUNT};
        h->index[slot] = h->stages_count++;
    }
    return &h->stages[h->index[slot]];
}

/* ------------------------------------------------------------------------------------------------ reading facts */

/* Members of the payload, with the first complaint kept. */
struct reader {
    const json_t *object;
    err *e;
};

static const char *text_of(struct reader *r, const char *name)
{
    const char *text = json_string_value(json_object_get(r->object, name));

    if (!text && !r->e->code)
        err_set(r->e, ERR_DAMAGED, "a text \"%s\" is missing", name);
    return text ? text : "";
}

static double number_of(struct reader *r, const char *name)
{
    const json_t *value = json_object_get(r->object, name);

    if (!json_is_number(value) && !r->e->code)
        err_set(r->e, ERR_DAMAGED, "a number \"%s\" is missing", name);
    return json_number_value(value);
}

static int64_t integer_of(struct reader *r, const char *name)
{
    const json_t *value = json_object_get(r->object, name);

    if (!json_is_integer(value) && !r->e->code)
        err_set(r->e, ERR_DAMAGED, "an integer \"%s\" is missing", name);
    return json_integer_value(value);
}

static struct digest key_of(struct reader *r, const char *name)
{
    struct digest d = {{0}};

    if (!digest_from_hex(text_of(r, name), &d) && !r->e->code)
        err_set(r->e, ERR_DAMAGED, "\"%s\" is not a key", name);
    return d;
}

static enum cause cause_of(struct reader *r)
{
    enum cause c = cause_by_name(text_of(r, "cause"));

    if (c == CAUSE_COUNT && !r->e->code)
        err_set(r->e, ERR_DAMAGED, "'%s' is not a cause", text_of(r, "cause"));
    return c;
}

/* The rows of one table, malloc'd; NULL if there are none. */
static void *read_rows(const json_t *tables, const struct table *t, int *count, err *e)
{
    const json_t *list = json_object_get(tables, t->name);
    size_t n = json_array_size(list);
    char *rows = n ? calloc(n, t->row_size) : NULL;

    if (!json_is_array(list) && !e->code)
        err_set(e, ERR_DAMAGED, "a list of %s rows is missing", t->name);
    if (n && !rows && !e->code)
        err_set(e, ERR_NOMEM, "no memory for %zu rows", n);
    for (size_t i = 0; i < n && !e->code; i++)
        row_from_json(t, json_array_get(list, i), rows + i * t->row_size, e);
    *count = (int)n;
    return rows;
}

static void see_host(struct history *h, const char *host)
{
    size_t used = strlen(h->hosts);
    char searched[NAME_SIZE + 2], all[sizeof h->hosts + 2];

    if (!strcmp(host, h->last_host))
        return;
    snprintf(h->last_host, sizeof h->last_host, "%s", host);
    snprintf(searched, sizeof searched, ",%s,", host);
    snprintf(all, sizeof all, ",%s,", h->hosts);
    if (*host && !strstr(all, searched))
        snprintf(h->hosts + used, sizeof h->hosts - used, "%s%s", used ? "," : "", host);
}

static void see_time(struct history *h, double when)
{
    if (!h->begun)
        h->begun = when;
    h->ended = fmax(h->ended, when);
}

static void free_contents(struct history *h)
{
    for (int i = 0; i < h->contents_count; i++) {
        free(h->contents[i].what);
        free(h->contents[i].is);
    }
    free(h->contents);
    h->contents = NULL;
    h->contents_count = 0;
}

/* A run of an older program says nothing of them. */
static void see_contents(struct history *h, json_t *contents, err *e)
{
    const char *what;
    json_t *is;

    if (!json_object_size(contents))
        return;
    free_contents(h);
    h->contents = calloc(json_object_size(contents), sizeof *h->contents);
    if (!h->contents)
        err_set(e, ERR_NOMEM, "no memory for what a run stood on");
    json_object_foreach(contents, what, is)
    {
        if (!h->contents || !json_is_string(is))
            continue;
        h->contents[h->contents_count++] = (struct history_content){strdup(what), strdup(json_string_value(is))};
        if (!h->contents[h->contents_count - 1].what || !h->contents[h->contents_count - 1].is)
            err_set(e, ERR_NOMEM, "no memory for what a run stood on");
    }
}

static void apply_begun(struct history *h, struct reader *r)
{
    const char *host = text_of(r, "host");
    double when = number_of(r, "when");

    if (r->e->code)
        return;
    h->runs++;
    see_host(h, host);
    see_time(h, when);
    see_contents(h, json_object_get(r->object, "contents"), r->e);
}

static struct attempt read_attempt(struct reader *r)
{
    struct attempt a = {
        .stage = key_of(r, "stage"),
        .kind = stage_kind_by_name(text_of(r, "kind")),
        .task = (int)integer_of(r, "task"),
        .number = (int)integer_of(r, "attempt"),
        .rank = (int)integer_of(r, "rank"),
        .threads = (int)integer_of(r, "threads"),
        .started = number_of(r, "started"),
        .seconds = number_of(r, "seconds"),
    };

    snprintf(a.host, sizeof a.host, "%s", text_of(r, "host"));
    if (a.kind == STAGE_KIND_COUNT && !r->e->code)
        err_set(r->e, ERR_DAMAGED, "'%s' is not a kind of stage", text_of(r, "kind"));
    return a;
}

/* The attempt's row, and its stage's entry. */
static struct history_stage *add_attempt(struct history *h, const struct attempt *a, const char *outcome,
                                         const char *cause, const char *text, err *e)
{
    struct history_stage *s = stage_at(h, &a->stage, e);
    struct attempt_row *row;

    if (!s)
        return NULL;
    if (!reserve(&h->attempts, h->attempts_count, &h->attempts_room, sizeof *h->attempts)) {
        err_set(e, ERR_NOMEM, "no memory for %d attempts", h->attempts_count + 1);
        return NULL;
    }
    row = &h->attempts[h->attempts_count++];
    *row = (struct attempt_row){.attempt = a->number, .rank = a->rank, .started = a->started, .seconds = a->seconds};
    digest_to_hex(&a->stage, row->stage_key);
    snprintf(row->kind, sizeof row->kind, "%s", stage_kind_name(a->kind));
    memcpy(row->host, a->host, sizeof row->host);
    memcpy(row->outcome, outcome, strlen(outcome));
    if (*cause)
        snprintf(row->cause, sizeof row->cause, "%s%s%s", cause, *text ? ": " : "", text);
    s->kind = a->kind;
    s->task = a->task;
    s->attempts++;
    see_host(h, a->host);
    see_time(h, a->started + a->seconds);
    return s;
}

/* A finished stage with the rows of its tables. */
static void add_result(struct history *h, const struct attempt *a, const struct digest *checkpoint, int64_t parameters,
                       const json_t *tables, err *e)
{
    struct history_stage result = {.checkpoint = *checkpoint, .parameters = parameters}, *s = NULL;

    result.accuracy = read_rows(tables, &table_accuracy, &result.accuracy_count, e);
    result.training = read_rows(tables, &table_training, &result.training_count, e);
    if (!e->code)
        s = add_attempt(h, a, "done", "", "", e);
    if (!s || s->finished) {
        h->doubles += s != NULL;
        free(result.accuracy);
        free(result.training);
        return;
    }
    s->finished = true;
    s->aside = false;
    s->checkpoint = result.checkpoint;
    s->parameters = result.parameters;
    s->seconds = a->seconds;
    s->rank = a->rank;
    s->threads = a->threads;
    s->order = ++h->finished;
    s->accuracy = result.accuracy;
    s->accuracy_count = result.accuracy_count;
    s->training = result.training;
    s->training_count = result.training_count;
}

static void apply_done(struct history *h, struct reader *r)
{
    struct attempt a = read_attempt(r);
    struct digest checkpoint = key_of(r, "digest");

    add_result(h, &a, &checkpoint, integer_of(r, "parameters"), json_object_get(r->object, "rows"), r->e);
}

int history_done(struct history *h, const struct attempt *a, const struct digest *checkpoint, int64_t parameters,
                 const char *rows, err *e)
{
    const struct attempt written = as_written(a);
    json_error_t why;
    json_t *tables = json_loads(rows, 0, &why);

    if (!tables)
        err_set(e, ERR_DAMAGED, "the rows are not JSON: %s", why.text);
    else
        add_result(h, &written, checkpoint, parameters, tables, e);
    json_decref(tables);
    return e->code ? err_context(e, "%s record", fact_name(FACT_DONE)) : 0;
}

static void set_text(struct history_stage *s, enum cause cause, const char *text)
{
    free(s->text);
    s->text = strdup(text);
    s->cause = cause;
}

static void apply_failed(struct history *h, struct reader *r)
{
    struct attempt a = read_attempt(r);
    enum cause cause = cause_of(r);
    const char *text = text_of(r, "text");
    const char *outcome = cause == CAUSE_lost ? "lost" : cause == CAUSE_interrupted ? "interrupted" : "failed";
    struct history_stage *s = r->e->code ? NULL : add_attempt(h, &a, outcome, cause_name(cause), text, r->e);

    if (s && cause != CAUSE_interrupted)
        set_text(s, cause, text);
}

static void apply_aside(struct history *h, struct reader *r)
{
    struct digest key = key_of(r, "stage");
    enum cause cause = cause_of(r);
    const char *text = text_of(r, "text");
    struct history_stage *s = r->e->code ? NULL : stage_at(h, &key, r->e);

    if (!s)
        return;
    s->aside = true;
    set_text(s, cause, text);
}

static void drop_result(struct history_stage *s)
{
    free(s->accuracy);
    free(s->training);
    s->accuracy = NULL;
    s->training = NULL;
    s->accuracy_count = s->training_count = 0;
    s->finished = false;
}

static void apply_forgotten(struct history *h, struct reader *r)
{
    struct digest key = key_of(r, "stage");
    struct history_stage *s = r->e->code ? NULL : stage_at(h, &key, r->e);

    if (s)
        drop_result(s);
}

static void apply_forgiven(struct history *h, struct reader *r)
{
    struct digest key = key_of(r, "stage");
    struct history_stage *s = r->e->code ? NULL : stage_at(h, &key, r->e);

    if (s)
        s->aside = false;
}

static void apply_pruned(struct history *h, struct reader *r)
{
    struct history_pruned p = {.trial = key_of(r, "trial"), .after_task = (int)integer_of(r, "after_task")};
    const char *why = text_of(r, "why");

    if (r->e->code || history_find_pruned(h, &p.trial))
        return;
    if (!(p.why = strdup(why)) || !reserve(&h->pruned, h->pruned_count, &h->pruned_room, sizeof *h->pruned)) {
        free(p.why);
        err_set(r->e, ERR_NOMEM, "no memory for a pruned trial");
        return;
    }
    h->pruned[h->pruned_count++] = p;
}

static void apply_ended(struct history *h, struct reader *r)
{
    double when = number_of(r, "when");

    if (!r->e->code)
        see_time(h, when);
}

static void (*const appliers[])(struct history *, struct reader *) = {
    [FACT_BEGUN] = apply_begun,   [FACT_DONE] = apply_done,           [FACT_FAILED] = apply_failed,
    [FACT_ASIDE] = apply_aside,   [FACT_FORGOTTEN] = apply_forgotten, [FACT_FORGIVEN] = apply_forgiven,
    [FACT_PRUNED] = apply_pruned, [FACT_ENDED] = apply_ended,
};

int history_apply(struct history *h, uint32_t type, const char *payload, size_t n, err *e)
{
    json_error_t why;
    json_t *object;

    if (type >= sizeof appliers / sizeof *appliers || !appliers[type])
        return 0;
    object = json_loadb(payload, n, 0, &why);
    if (!json_is_object(object))
        err_set(e, ERR_DAMAGED, "a %s record is not a JSON object: %s", fact_name(type), why.text);
    else
        appliers[type](h, &(struct reader){object, e});
    json_decref(object);
    return e->code ? err_context(e, "%s record", fact_name(type)) : 0;
}

int history_visit(void *context, const struct ledger_record *record, err *e)
{
    return history_apply(context, record->type, record->payload, record->n, e);
}

void history_free(struct history *h)
{
    for (int i = 0; i < h->stages_count; i++) {
        drop_result(&h->stages[i]);
        free(h->stages[i].text);
    }
    for (int i = 0; i < h->pruned_count; i++)
        free(h->pruned[i].why);
    free_contents(h);
    free(h->stages);
    free(h->attempts);
    free(h->pruned);
    free(h->index);
    *h = (struct history){0};
}
