/* orchestrator/merge.c - see merge.h. */
#include "orchestrator/merge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "orchestrator/adopt.h"
#include "orchestrator/changes.h"
#include "orchestrator/lock.h"
#include "orchestrator/origin.h"
#include "orchestrator/results.h"

static const char *const whole_sweep[] = {"shard.index=1", "shard.count=1"};

struct shard {
    char path[FOLDER_PATH + 64];
    int index, count;
};

struct shards {
    struct shard *list;
    int count, room;
    err *e;
};

/* ------------------------------------------------------------------------------------------------ which shards */

static void add_shard(void *context, const char *path, int index, int count)
{
    struct shards *s = context;

    if (s->e->code)
        return;
    if (s->count == s->room) {
        void *more = realloc(s->list, (size_t)(s->room = 2 * s->room + 16) * sizeof *s->list);

        if (!more) {
            err_set(s->e, ERR_NOMEM, "no memory for %d shards", s->count);
            return;
        }
        s->list = more;
    }
    s->list[s->count] = (struct shard){.index = index, .count = count};
    snprintf(s->list[s->count++].path, sizeof s->list->path, "%s", path);
}

/* A folder with shards in it, or one that is a shard, as its sweep says. */
static int add_folder(struct shards *s, const char *given, err *e)
{
    struct folder f;
    struct sweep sweep = {0};

    if (folder_name(given, "", &f, e) || adopt_each_shard(f.root, add_shard, s) || e->code)
        return e->code;
    if (access(f.sweep, F_OK))
        return err_set(e, ERR_MISSING, "%s: neither a shard nor a folder with shards (shard-1-of-3, ...)", f.root);
    if (!sweep_load(f.sweep, NULL, 0, &sweep, e)) {
        if (sweep.setting[SETTING_SHARD_COUNT].number > 1)
            add_shard(s, f.root, (int)sweep.setting[SETTING_SHARD_INDEX].number,
                      (int)sweep.setting[SETTING_SHARD_COUNT].number);
        else
            err_set(e, ERR_CONFIG, "%s: a whole sweep, no shard of one", f.root);
    }
    sweep_free(&sweep);
    return e->code;
}

static int compare_shards(const void *a, const void *b)
{
    return ((const struct shard *)a)->index - ((const struct shard *)b)->index;
}

/* All of the same number of shards, none twice. */
static int check_shards(struct shards *s, err *e)
{
    qsort(s->list, (size_t)s->count, sizeof *s->list, compare_shards);
    for (int i = 0; i < s->count; i++) {
        if (s->list[i].count != s->list[0].count)
            return err_set(e, ERR_CONFIG, "%s and %s: shards of different splits; name the folders of one of them",
                           s->list[0].path, s->list[i].path);
        if (i && s->list[i].index == s->list[i - 1].index)
            return err_set(e, ERR_CONFIG, "%s and %s: the same shard twice", s->list[i - 1].path, s->list[i].path);
    }
    return 0;
}

/* "2, 5": cut where it does not fit. */
static void name_absent(const struct shards *s, struct merge_report *r)
{
    size_t used = 0;

    r->shards = s->list[0].count;
    r->present = s->count;
    for (int index = 1, i = 0; index <= r->shards && used < sizeof r->absent; index++) {
        if (i < s->count && s->list[i].index == index)
            i++;
        else
            used += (size_t)snprintf(r->absent + used, sizeof r->absent - used, "%s%d", used ? ", " : "", index);
    }
}

/* ------------------------------------------------------------------------------------------------ one sweep */

/* The sweep frozen in a folder, whole, is that of the plan? */
static int check_sweep(const char *file, const struct plan *plan, const char *yaml, err *e)
{
    struct sweep sweep;
    struct plan other = {0};
    struct changes c = {0};
    char *text = NULL;

    if (!sweep_load(file, whole_sweep, 2, &sweep, e) && !sweep_write(&sweep, &text, e) && strcmp(text, yaml) &&
        !plan_make(&sweep, &sources_installed, &other, e) && !plan_keys(&other, e) &&
        !changes_between(&other, plan, &c, e) && (c.added || c.orphaned))
        err_set(e, ERR_CONFIG, "%s: another sweep: %d trials of it are not in the first shard's, and %d are missing",
                file, c.orphaned, c.added);
    free(text);
    plan_free(&other);
    sweep_free(&sweep);
    return e->code;
}

static int check_sweeps(const struct shards *s, const struct study *whole, err *e)
{
    char *yaml = NULL, path[sizeof s->list->path + 16];

    if (sweep_write(&whole->sweep, &yaml, e))
        return e->code;
    for (int i = 1; i < s->count && !e->code; i++) {
        snprintf(path, sizeof path, "%s/sweep.yaml", s->list[i].path);
        if (!access(path, F_OK)) /* it may not have begun */
            check_sweep(path, &whole->plan, yaml, e);
    }
    if (!e->code && !access(whole->folder.sweep, F_OK))
        check_sweep(whole->folder.sweep, &whole->plan, yaml, e);
    free(yaml);
    return e->code;
}

/* ------------------------------------------------------------------------------------------------ the ledger */

/* A merge under way. */
struct merging {
    struct adopt_target target;
    struct history history;
    struct digest *seen; /* (seen_count) the records that the merged ledger had before, by type and payload; sorted */
    int seen_count, seen_room;
    bool again; /* a second look at all shards, for stages only */
    int taken, left;
};

static struct digest digest_record(uint32_t type, const char *payload, size_t n)
{
    struct digester d;

    digester_start(&d);
    digester_add_u64(&d, type);
    digester_add(&d, payload, n);
    return digester_end(&d);
}

static int visit(void *context, const struct ledger_record *r, err *e)
{
    struct merging *m = context;

    if (m->seen_count == m->seen_room) {
        void *more = realloc(m->seen, (size_t)(m->seen_room = 2 * m->seen_room + 256) * sizeof *m->seen);

        if (!more)
            return err_set(e, ERR_NOMEM, "no memory for %d records", m->seen_count);
        m->seen = more;
    }
    m->seen[m->seen_count++] = digest_record(r->type, r->payload, r->n);
    return history_apply(&m->history, r->type, r->payload, r->n, e);
}

static int compare_digests(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct digest));
}

static int append(struct merging *m, uint32_t type, const char *payload, size_t n, err *e)
{
    if (!history_apply(&m->history, type, payload, n, e))
        ledger_append(m->target.ledger, type, payload, n, e);
    return e->code;
}

/* Append a fact that is made here; frees the payload. */
static int append_own(struct merging *m, enum fact type, char *payload, err *e)
{
    if (!payload)
        return err_set(e, ERR_NOMEM, "no memory for a %s fact", fact_name(type));
    append(m, type, payload, strlen(payload), e);
    free(payload);
    return e->code;
}

/* What a shard tells beside finished stages, word for word, and once: how it began, what failed, how it ended. */
static int copy_facts(struct merging *m, const struct adopt_source *s, err *e)
{
    for (int i = 0; i < s->records_count; i++) {
        const struct adopt_record *r = &s->records[i];
        struct digest d;

        if (r->type != FACT_BEGUN && r->type != FACT_FAILED && r->type != FACT_ENDED)
            continue;
        d = digest_record(r->type, r->payload, r->n);
        if ((!m->seen_count || !bsearch(&d, m->seen, (size_t)m->seen_count, sizeof d, compare_digests)) &&
            append(m, r->type, r->payload, r->n, e))
            return e->code;
    }
    return 0;
}

/* Stages that a shard has set aside, or forgiven since the last merge. */
static int copy_aside(struct merging *m, const struct adopt_source *s, err *e)
{
    for (int i = 0; i < m->target.plan->stages_count; i++) {
        const struct digest *key = &m->target.plan->key[i];
        const struct history_stage *theirs = history_find(&s->history, key), *ours = history_find(&m->history, key);

        if (!theirs || (ours && ours->finished) || (ours ? ours->aside : false) == theirs->aside)
            continue;
        if (theirs->aside)
            append_own(m, FACT_ASIDE, fact_aside(key, theirs->cause, theirs->text ? theirs->text : ""), e);
        else
            append_own(m, FACT_FORGIVEN, fact_forgiven(key), e);
        if (e->code)
            return e->code;
    }
    return 0;
}

static int take_shard(struct merging *m, const struct shard *shard, err *e)
{
    struct adopt_source source;

    if (adopt_open(shard->path, &source, e) == ERR_MISSING)
        *e = (err){0}; /* it has not begun */
    else if (!e->code && (m->again || !copy_facts(m, &source, e)) &&
             !adopt_stages(&source, &m->target, &m->taken, &m->left, e))
        copy_aside(m, &source, e);
    adopt_close(&source);
    return e->code ? err_context(e, "%s", shard->path) : 0;
}

/* All shards; and all once more while something is left over, since one may lack a checkpoint that another has. */
static int take_shards(const struct shards *s, const struct study *whole, int *taken, err *e)
{
    struct merging m = {.target = {.plan = &whole->plan, .folder = &whole->folder, .history = &m.history}};
    struct ledger_summary summary;
    int before;

    if (!ledger_open(whole->folder.ledger, visit, &m, &summary, &m.target.ledger, e)) {
        if (m.seen_count)
            qsort(m.seen, (size_t)m.seen_count, sizeof *m.seen, compare_digests);
        do {
            before = m.taken;
            m.left = 0;
            for (int i = 0; i < s->count && !e->code; i++)
                take_shard(&m, &s->list[i], e);
            m.again = true;
        } while (!e->code && m.left && m.taken > before);
        if (!e->code)
            ledger_sync(m.target.ledger, e);
    }
    *taken = m.taken;
    ledger_close(m.target.ledger);
    history_free(&m.history);
    free(m.seen);
    return e->code;
}

/* ------------------------------------------------------------------------------------------------ all of it */

static int write_results(struct study *whole, err *e)
{
    const struct results_origin origin = origin_here();

    return study_refresh(whole, e) ||
                   results_make(&whole->plan, &whole->folder, &whole->history, &whole->standing, &origin, e)
               ? e->code
               : 0;
}

static int merge_into(const struct shards *s, struct study *whole, struct merge_report *report, err *e)
{
    struct folder_lock lock = {.fd = -1};
    bool changed;

    if (!folder_make(&whole->folder, e) && !lock_take(whole->folder.root, &lock, e) &&
        !folder_freeze(&whole->folder, &whole->sweep, s->list[0].path, &changed, e) &&
        !take_shards(s, whole, &report->stages, e))
        write_results(whole, e);
    lock_release(&lock);
    return e->code;
}

int merge(const char *const *folders, int count, const char *out, struct study *whole, struct merge_report *report,
          err *e)
{
    struct shards s = {.e = e};
    char path[FOLDER_PATH + 80];

    *whole = (struct study){0};
    *report = (struct merge_report){0};
    for (int i = 0; i < count && !e->code; i++)
        add_folder(&s, folders[i], e);
    if (!e->code && !out && (count != 1 || !adopt_each_shard(folders[0], NULL, NULL)))
        err_set(e, ERR_USAGE, "not one folder that holds shards: say with --out where the merged sweep shall go");
    if (!e->code && !check_shards(&s, e)) {
        name_absent(&s, report);
        snprintf(path, sizeof path, "%s/sweep.yaml", s.list[0].path);
        if (!study_from_sweep(path, whole_sweep, 2, out ? out : folders[0], whole, e) && !check_sweeps(&s, whole, e))
            merge_into(&s, whole, report, e);
    }
    free(s.list);
    return e->code;
}
