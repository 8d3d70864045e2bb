/* orchestrator/adopt.c - see adopt.h. */
#include "orchestrator/adopt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/h5.h"
#include "sweeps/shard.h"
#include "worker/log.h"

enum { COPY_BYTES = 1 << 20, LOG_LIMIT = 4 << 20 };

/* ------------------------------------------------------------------------------------------------ the other folder */

/* The stage that the record speaks of; zero if none. */
static struct digest stage_of(const struct ledger_record *record)
{
    json_t *object = json_loadb(record->payload, record->n, 0, NULL);
    const char *text = json_string_value(json_object_get(object, "stage"));
    struct digest key = {{0}};

    if (text)
        digest_from_hex(text, &key);
    json_decref(object);
    return key;
}

static int keep_record(void *context, const struct ledger_record *record, err *e)
{
    struct adopt_source *s = context;
    struct adopt_record *kept;

    if (history_apply(&s->history, record->type, record->payload, record->n, e))
        return e->code;
    if (s->records_count == s->records_room) {
        int room = 2 * s->records_room + 64;
        void *more = realloc(s->records, (size_t)room * sizeof *s->records);

        if (!more)
            return err_set(e, ERR_NOMEM, "no memory for %d records", room);
        s->records = more;
        s->records_room = room;
    }
    kept = &s->records[s->records_count];
    *kept = (struct adopt_record){.type = record->type, .stage = stage_of(record), .n = record->n};
    if (!(kept->payload = malloc(record->n + 1)))
        return err_set(e, ERR_NOMEM, "no memory for a record of %zu bytes", record->n);
    memcpy(kept->payload, record->payload, record->n + 1);
    s->records_count++;
    return 0;
}

static int find_done(struct adopt_source *s, err *e)
{
    s->done = malloc(((size_t)s->history.stages_count + 1) * sizeof *s->done);
    if (!s->done)
        return err_set(e, ERR_NOMEM, "no memory for %d stages", s->history.stages_count);
    for (int i = 0; i < s->history.stages_count; i++)
        s->done[i] = -1;
    for (int i = 0; i < s->records_count; i++)
        if (s->records[i].type == FACT_DONE)
            s->done[history_find(&s->history, &s->records[i].stage) - s->history.stages] = i;
    return 0;
}

int adopt_open(const char *folder, struct adopt_source *out, err *e)
{
    struct ledger_summary summary;

    *out = (struct adopt_source){0};
    if (folder_name(folder, "", &out->folder, e) || ledger_replay(out->folder.ledger, keep_record, out, &summary, e) ||
        find_done(out, e))
        return e->code;
    return 0;
}

void adopt_close(struct adopt_source *s)
{
    for (int i = 0; i < s->records_count; i++)
        free(s->records[i].payload);
    free(s->records);
    free(s->done);
    history_free(&s->history);
}

/* ------------------------------------------------------------------------------------------------ checkpoints */

static int copy_bytes(int from, int to, const char *path, err *e)
{
    char *buffer = malloc(COPY_BYTES);
    ssize_t n = 1;

    if (!buffer)
        return err_set(e, ERR_NOMEM, "no memory to copy with");
    while (n > 0 && (n = read(from, buffer, COPY_BYTES)) > 0)
        for (ssize_t done = 0, w; done < n; done += w)
            if ((w = write(to, buffer + done, (size_t)(n - done))) < 0) {
                w = 0;
                if (errno != EINTR) {
                    n = -1;
                    break;
                }
            }
    free(buffer);
    if (n < 0 || fsync(to)) {
        err_errno(e, "%s", path);
        e->code = ERR_STORAGE;
    }
    return e->code;
}

static int copy_file(const char *from, const char *to, err *e)
{
    int in = open(from, O_RDONLY | O_CLOEXEC), out;

    if (in < 0)
        return err_errno(e, "%s", from);
    out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (out < 0) {
        err_errno(e, "%s", to);
        e->code = ERR_STORAGE;
    } else {
        copy_bytes(in, out, to, e);
        close(out);
    }
    close(in);
    return e->code;
}

/* The file is whole, and the checkpoint that a ledger speaks of. */
static bool is_checkpoint(const char *path, const struct digest *expected)
{
    struct digest found;
    h5 *file = NULL;
    err e = {0};
    bool good = !h5_open(path, &file, &e) && !h5_digest(file, &found, &e) && digest_equal(&found, expected) &&
                !h5_verify(file, &e);

    h5_close(file);
    return good;
}

/* *good: it is here now.  Where it is not, because it is gone there or damaged, that is no error. */
static int take_checkpoint(const struct adopt_source *s, const struct adopt_target *t,
                           const struct history_stage *theirs, bool *good, err *e)
{
    char hex[DIGEST_HEX], from[FOLDER_PATH + 64], to[FOLDER_PATH + 64], aside[FOLDER_PATH + 80];

    digest_to_hex(&theirs->key, hex);
    snprintf(from, sizeof from, "%s/%s.h5", s->folder.checkpoints, hex);
    snprintf(to, sizeof to, "%s/%s.h5", t->folder->checkpoints, hex);
    snprintf(aside, sizeof aside, "%s.adopted.tmp", to);
    *good = false;
    if (access(from, R_OK))
        return 0;
    unlink(aside);
    if (link(from, aside) && copy_file(from, aside, e)) {
        unlink(aside);
        return e->code;
    }
    *good = is_checkpoint(aside, &theirs->checkpoint);
    if (*good && rename(aside, to)) {
        err_errno(e, "%s", to);
        e->code = ERR_STORAGE;
    }
    unlink(aside); /* also where both names are the same file already, which renames nothing */
    return e->code;
}

/* ------------------------------------------------------------------------------------------------ stages */

static bool is_finished(const struct history *h, const struct digest *key)
{
    const struct history_stage *s = history_find(h, key);

    return s && s->finished;
}

static bool needs_finished(const struct adopt_target *t, int stage)
{
    int needs[PLAN_MAX_NEEDS], n = plan_needs(t->plan, stage, needs);

    for (int i = 0; i < n; i++)
        if (!is_finished(t->history, &t->plan->key[needs[i]]))
            return false;
    return true;
}

int adopt_stages(const struct adopt_source *s, const struct adopt_target *t, int *count, int *left, err *e)
{
    for (int i = 0; i < t->plan->stages_count; i++) {
        const struct history_stage *theirs = history_find(&s->history, &t->plan->key[i]);
        const struct adopt_record *record;
        bool good = false;

        if (!theirs || !theirs->finished || is_finished(t->history, &t->plan->key[i]))
            continue;
        record = &s->records[s->done[theirs - s->history.stages]];
        if (needs_finished(t, i) && take_checkpoint(s, t, theirs, &good, e))
            return e->code;
        *left += !good;
        if (!good)
            continue;
        if (history_apply(t->history, record->type, record->payload, record->n, e) ||
            ledger_append(t->ledger, record->type, record->payload, record->n, e))
            return e->code;
        (*count)++;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ siblings */

struct shard_entry {
    char path[FOLDER_PATH + SHARD_NAME];
    int index, count;
};

static int compare_entries(const void *a, const void *b)
{
    const struct shard_entry *x = a, *y = b;

    return x->count != y->count ? x->count - y->count : x->index - y->index;
}

int adopt_each_shard(const char *root, void (*visit)(void *context, const char *path, int index, int count),
                     void *context)
{
    struct shard_entry *list = NULL;
    int n = 0, room = 0;
    DIR *d = opendir(root);
    struct dirent *entry;

    while (d && (entry = readdir(d))) {
        struct shard_entry found;

        if (!shard_folder_read(entry->d_name, &found.index, &found.count))
            continue;
        snprintf(found.path, sizeof found.path, "%.*s/%.*s", FOLDER_PATH - 1, root, SHARD_NAME - 1, entry->d_name);
        if (n == room) {
            void *more = realloc(list, (size_t)(room = 2 * room + 16) * sizeof *list);

            if (!more)
                break;
            list = more;
        }
        list[n++] = found;
    }
    if (d)
        closedir(d);
    if (n)
        qsort(list, (size_t)n, sizeof *list, compare_entries);
    for (int i = 0; i < n && visit; i++)
        visit(context, list[i].path, list[i].index, list[i].count);
    free(list);
    return n;
}

static int compare_names(const void *a, const void *b)
{
    return memcmp(a, b, DIGEST_HEX);
}

/* The names of the checkpoints that this folder lacks, sorted. */
struct wanted {
    int count;
    char (*name)[DIGEST_HEX]; /* (count), owned */
};

static int list_wanted(const struct adopt_target *t, struct wanted *out, err *e)
{
    *out = (struct wanted){.name = malloc(((size_t)t->plan->stages_count + 1) * DIGEST_HEX)};
    if (!out->name)
        return err_set(e, ERR_NOMEM, "no memory for %d stages", t->plan->stages_count);
    for (int i = 0; i < t->plan->stages_count; i++)
        if (!is_finished(t->history, &t->plan->key[i]))
            digest_to_hex(&t->plan->key[i], out->name[out->count++]);
    qsort(out->name, (size_t)out->count, DIGEST_HEX, compare_names);
    return 0;
}

/* Is there any of them?  Listing a folder is cheap, reading a ledger is not. */
static bool has_wanted(const char *folder, const struct wanted *w)
{
    char path[FOLDER_PATH + 80], name[DIGEST_HEX];
    struct dirent *entry;
    bool found = false;
    DIR *d;

    snprintf(path, sizeof path, "%.*s/checkpoints", FOLDER_PATH + SHARD_NAME, folder);
    d = opendir(path);
    while (d && !found && (entry = readdir(d))) {
        if (strlen(entry->d_name) != DIGEST_HEX - 1 + strlen(".h5"))
            continue;
        memcpy(name, entry->d_name, DIGEST_HEX - 1);
        name[DIGEST_HEX - 1] = 0;
        found = bsearch(name, w->name, (size_t)w->count, DIGEST_HEX, compare_names);
    }
    if (d)
        closedir(d);
    return found;
}

/* One run's look at its siblings. */
struct look {
    struct adopt_target target;
    struct wanted wanted;
    rank_log *log;
    int count;
    err *e;
};

static void look_at(void *context, const char *path, int index, int shards)
{
    struct look *l = context;
    struct adopt_source source;
    int count = 0, left = 0;
    err e = {0};

    (void)index;
    (void)shards;
    if (l->e->code || !strcmp(path, l->target.folder->root) || !has_wanted(path, &l->wanted))
        return;
    if (adopt_open(path, &source, &e)) {
        if (e.code != ERR_MISSING) /* it has not begun */
            rank_log_line(l->log, "", "%s: nothing is taken over: %s", path, e.text);
    } else if (!adopt_stages(&source, &l->target, &count, &left, l->e) && count) {
        rank_log_line(l->log, "", "%d finished stages are taken over from %s", count, path);
    }
    l->count += count;
    adopt_close(&source);
}

static int look_around(struct look *l, const char *root, err *e)
{
    struct history history = {0};
    struct ledger_summary summary;

    l->target.history = &history;
    if (!ledger_open(l->target.folder->ledger, history_visit, &history, &summary, &l->target.ledger, e) &&
        !list_wanted(&l->target, &l->wanted, e)) {
        look_at(l, root, 0, 0);
        adopt_each_shard(root, look_at, l);
        if (!e->code)
            ledger_sync(l->target.ledger, e);
    }
    ledger_close(l->target.ledger);
    history_free(&history);
    free(l->wanted.name);
    return e->code;
}

int adopt_from_siblings(const struct plan *plan, const struct folder *folder, int *count, err *e)
{
    struct look l = {.target = {.plan = plan, .folder = folder}, .e = e};
    char root[FOLDER_PATH], own[SHARD_NAME], *slash;

    *count = 0;
    shard_folder(plan->sweep, own);
    snprintf(root, sizeof root, "%s", folder->root);
    slash = strrchr(root, '/');
    if (!*own || !slash || strcmp(slash + 1, own))
        return 0;
    *slash = 0;
    if (!rank_log_open(folder->log, 0, LOG_LIMIT, &l.log, e))
        look_around(&l, root, e);
    rank_log_close(l.log);
    *count = l.count;
    return e->code;
}
