/* sweeps/stage.c - see stage.h. */
#include "sweeps/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_INPUTS = 100000 };

static const struct {
    const char *name;
    char letter;
    int version;
    const char *meaning;
} kinds[STAGE_KIND_COUNT] = {
#define K(id, name, letter, version, meaning) [STAGE_##id] = {#name, letter, version, meaning},
    STAGE_KINDS(K)
#undef K
};

const char *stage_kind_name(enum stage_kind kind)
{
    return kinds[kind].name;
}

char stage_kind_letter(enum stage_kind kind)
{
    return kinds[kind].letter;
}

int stage_kind_version(enum stage_kind kind)
{
    return kinds[kind].version;
}

const char *stage_kind_meaning(enum stage_kind kind)
{
    return kinds[kind].meaning;
}

enum stage_kind stage_kind_by_name(const char *name)
{
    enum stage_kind kind = 0;

    while (kind < STAGE_KIND_COUNT && strcmp(kinds[kind].name, name))
        kind++;
    return kind;
}

const struct stage_input *stage_job_input(const struct stage_job *job, enum stage_kind kind, int task)
{
    for (int i = 0; i < job->inputs_count; i++)
        if (job->inputs[i].kind == kind && job->inputs[i].task == task)
            return &job->inputs[i];
    return NULL;
}

char *stage_checkpoint_path(const struct stage_job *job, const struct digest *key)
{
    char hex[DIGEST_HEX], *path;

    digest_to_hex(key, hex);
    return asprintf(&path, "%s/%s.h5", job->checkpoint_folder, hex) < 0 ? NULL : path;
}

void stage_job_free(struct stage_job *job)
{
    free(job->inputs);
    job->inputs = NULL;
    job->inputs_count = 0;
}

/* ---- writing ---- */

/* Text that grows; printing would cost more than running the shortest stages. */
struct writer {
    char *text; /* NULL: memory ran out */
    size_t used, room;
};

static void put(struct writer *w, const char *text)
{
    size_t n = strlen(text);

    if (w->text && w->used + n >= w->room) {
        char *more = realloc(w->text, w->room = 2 * (w->used + n));

        if (!more)
            free(w->text);
        w->text = more;
    }
    if (!w->text)
        return;
    memcpy(w->text + w->used, text, n + 1);
    w->used += n;
}

static void put_number(struct writer *w, int number)
{
    char text[16];

    snprintf(text, sizeof text, "%d", number);
    put(w, text);
}

static void put_key(struct writer *w, const struct digest *key)
{
    char hex[DIGEST_HEX];

    digest_to_hex(key, hex);
    put(w, hex);
}

int stage_job_write(const struct stage_job *job, char **text, err *e)
{
    struct writer w = {.text = malloc(4096), .room = 4096};

    *text = NULL;
    if (strchr(job->checkpoint_folder, '\n')) {
        free(w.text);
        return err_set(e, ERR_CONFIG, "the output folder's name contains a line break");
    }
    put(&w, "kind ");
    put(&w, stage_kind_name(job->kind));
    put(&w, "\ntask ");
    put_number(&w, job->task);
    put(&w, "\nkey ");
    put_key(&w, &job->key);
    put(&w, "\nfolder ");
    put(&w, job->checkpoint_folder);
    for (int i = 0; i < OPTION_COUNT; i++)
        if (option_declared(job->kind, i)) {
            put(&w, "\noption ");
            put(&w, option_info(i)->key);
            put(&w, " ");
            put(&w, option_format(i, job->config.value[i]));
        }
    for (int i = 0; i < job->inputs_count; i++) {
        put(&w, "\ninput ");
        put(&w, stage_kind_name(job->inputs[i].kind));
        put(&w, " ");
        put_number(&w, job->inputs[i].task);
        put(&w, " ");
        put_key(&w, &job->inputs[i].key);
    }
    put(&w, "\nend\n");
    *text = w.text;
    return *text ? 0 : err_set(e, ERR_NOMEM, "no memory for a stage job");
}

/* ---- reading: nothing is believed ---- */

/* What has been read so far, to reject what is missing or given twice. */
struct job_reader {
    struct stage_job *job;
    bool kind, task, key, folder, end, option[OPTION_COUNT];
    int capacity;
    err *e;
};

static int nonsense(struct job_reader *r, const char *word, const char *value)
{
    return err_set(r->e, ERR_WORKER, "stage job: '%.20s %.80s' makes no sense", word, value);
}

static bool once(bool *seen)
{
    bool first = !*seen;

    *seen = true;
    return first;
}

static bool read_task(const char *text, int *task)
{
    char *end;
    long value = strtol(text, &end, 10);

    *task = (int)value;
    return end != text && !*end && value >= -1 && value < 1000000;
}

static bool read_kind(struct job_reader *r, char *value)
{
    r->job->kind = stage_kind_by_name(value);
    return once(&r->kind) && r->job->kind < STAGE_KIND_COUNT;
}

static bool read_task_line(struct job_reader *r, char *value)
{
    return once(&r->task) && read_task(value, &r->job->task);
}

static bool read_key(struct job_reader *r, char *value)
{
    return once(&r->key) && digest_from_hex(value, &r->job->key);
}

static bool read_folder(struct job_reader *r, char *value)
{
    r->job->checkpoint_folder = intern(value);
    return once(&r->folder) && *value && r->job->checkpoint_folder;
}

static bool read_option(struct job_reader *r, char *value)
{
    char *key = strsep(&value, " ");
    enum option_id id = option_by_key(key);

    return value && r->kind && id < OPTION_COUNT && option_declared(r->job->kind, id) && once(&r->option[id]) &&
           !option_parse(id, value, &r->job->config.value[id], r->e);
}

static bool read_input(struct job_reader *r, char *value)
{
    struct stage_job *job = r->job;
    char *kind = strsep(&value, " "), *task = strsep(&value, " ");
    struct stage_input in;

    if (!task || !value)
        return false;
    in.kind = stage_kind_by_name(kind);
    if (in.kind == STAGE_KIND_COUNT || !read_task(task, &in.task) || !digest_from_hex(value, &in.key) ||
        job->inputs_count == MAX_INPUTS)
        return false;
    if (job->inputs_count == r->capacity) {
        int wanted = r->capacity ? 2 * r->capacity : 16;
        struct stage_input *more = realloc(job->inputs, (size_t)wanted * sizeof *more);
        if (!more)
            return err_errno(r->e, "stage job") == 0;
        job->inputs = more;
        r->capacity = wanted;
    }
    job->inputs[job->inputs_count++] = in;
    return true;
}

static bool read_end(struct job_reader *r, char *value)
{
    r->end = true;
    return !*value;
}

static int read_line(struct job_reader *r, char *line)
{
    static const struct {
        const char *word;
        bool (*read)(struct job_reader *r, char *value);
    } lines[] = {
        {"kind", read_kind},     {"task", read_task_line}, {"key", read_key}, {"folder", read_folder},
        {"option", read_option}, {"input", read_input},    {"end", read_end},
    };
    char none[] = "", *word = strsep(&line, " ");

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (strcmp(word, lines[i].word))
            continue;
        if (lines[i].read(r, line ? line : none))
            return 0;
        if (r->e->code == ERR_NOMEM)
            return r->e->code;
        return nonsense(r, word, line ? line : "");
    }
    return nonsense(r, word, "");
}

static int check_complete(struct job_reader *r)
{
    if (!r->kind || !r->task || !r->key || !r->folder || !r->end)
        return err_set(r->e, ERR_WORKER, "stage job: cut short");
    for (int i = 0; i < OPTION_COUNT; i++)
        if (option_declared(r->job->kind, i) && !r->option[i])
            return err_set(r->e, ERR_WORKER, "stage job: no option %s", option_info(i)->key);
    return 0;
}

int stage_job_read(const char *text, struct stage_job *job, err *e)
{
    struct job_reader r = {.job = job, .e = e};
    char *copy = strdup(text), *rest = copy, *line;

    *job = (struct stage_job){.task = -1};
    if (!copy)
        return err_errno(e, "stage job");
    trial_defaults(&job->config);
    trial_resolve_seeds(&job->config);
    while (!e->code && !r.end && (line = strsep(&rest, "\n")))
        if (*line)
            read_line(&r, line);
    if (!e->code)
        check_complete(&r);
    free(copy);
    if (e->code)
        stage_job_free(job);
    return e->code;
}
