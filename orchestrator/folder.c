/* orchestrator/folder.c - see folder.h. */
#include "orchestrator/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io/atomic.h"
#include "sweeps/shard.h"

int folder_name(const char *out, const char *sweep_name, struct folder *f, err *e)
{
    char here[FOLDER_PATH / 2] = "", given[FOLDER_PATH];
    int n;

    *f = (struct folder){0};
    if (out)
        snprintf(given, sizeof given, "%s", out);
    else
        snprintf(given, sizeof given, "runs/%s", sweep_name);
    for (size_t end = strlen(given); end > 1 && given[end - 1] == '/'; end--)
        given[end - 1] = 0;
    if (*given != '/' && !getcwd(here, sizeof here))
        return err_errno(e, "the current folder");
    n = *given == '/' ? snprintf(f->root, sizeof f->root, "%s", given)
                      : snprintf(f->root, sizeof f->root, "%s/%s", here, given);
    if (n >= (int)sizeof f->root || (out && strlen(out) >= sizeof given) || strchr(f->root, '\n'))
        return err_set(e, ERR_USAGE, "%s: this path is too long, or has a line break in it", given);
#define F(name, entry, meaning) snprintf(f->name, sizeof f->name, "%s/%s", f->root, entry);
    FOLDER_ENTRIES(F)
#undef F
    return 0;
}

int folder_of(const char *out, const struct sweep *sweep, struct folder *f, err *e)
{
    const char *name = sweep->setting[SETTING_NAME].text, *last;
    char shard[SHARD_NAME], path[FOLDER_PATH];
    int n;

    shard_folder(sweep, shard);
    if (folder_name(out, name, f, e) || !*shard)
        return e->code;
    last = strrchr(f->root, '/');
    if (!strcmp(last + 1, shard))
        return 0;
    n = snprintf(path, sizeof path, "%s/%s", f->root, shard);
    return n < (int)sizeof path ? folder_name(path, name, f, e)
                                : err_set(e, ERR_USAGE, "%s: this path is too long", f->root);
}

static int make_one(const char *path, err *e)
{
    struct stat st;

    if (!mkdir(path, 0777) || (errno == EEXIST && !stat(path, &st) && S_ISDIR(st.st_mode)))
        return 0;
    err_errno(e, "%s: the folder cannot be made", path);
    e->code = ERR_STORAGE;
    return e->code;
}

int folder_make(const struct folder *f, err *e)
{
    char path[FOLDER_PATH];

    snprintf(path, sizeof path, "%s", f->root);
    for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        if (make_one(path, e))
            return e->code;
        *slash = '/';
    }
    if (make_one(path, e) || make_one(f->checkpoints, e) || make_one(f->log, e))
        return e->code;
    if (access(f->root, W_OK)) {
        err_errno(e, "%s: the output folder cannot be written", f->root);
        e->code = ERR_STORAGE;
    }
    return e->code;
}

int folder_check(const struct folder *f, err *e)
{
    if (access(f->sweep, F_OK) && access(f->ledger, F_OK))
        return err_set(e, ERR_MISSING,
                       "%s: this is not the output folder of a sweep; `sluice run SWEEP.yaml --out %s` makes one",
                       f->root, f->root);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ the frozen sweep */

static char *read_text(const char *path)
{
    FILE *in = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;

    if (in && getdelim(&text, &size, 0, in) < 0) {
        free(text);
        text = NULL;
    }
    if (in)
        fclose(in);
    return text;
}

/* What follows the comment lines at the top. */
static const char *body_of(const char *text)
{
    while (*text == '#') {
        const char *end = strchr(text, '\n');

        if (!end)
            break;
        text = end + 1;
    }
    return text;
}

static int write_frozen(const char *path, const char *yaml, const char *source, err *e)
{
    struct atomic_file file;
    char head[2 * FOLDER_PATH], when[64];
    time_t now = time(NULL);
    struct tm day;
    int n;

    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &day));
    n = snprintf(head, sizeof head, "# The sweep as resolved by sluice on %s.\n# From: %s\n", when, source);
    if (n >= (int)sizeof head)
        n = (int)sizeof head - 1;
    for (char *line = strchr(head, '\n') + 1; (line = strchr(line, '\n')) && line[1]; line++)
        *line = ' '; /* a line break in a file name must not end the comment */
    if (atomic_open(&file, path, e))
        return e->code;
    if (atomic_write(&file, head, (size_t)n, e) || atomic_write(&file, yaml, strlen(yaml), e))
        atomic_abandon(&file);
    else
        atomic_commit(&file, e);
    return e->code;
}

int folder_freeze(const struct folder *f, const struct sweep *sweep, const char *source, bool *changed, err *e)
{
    char *yaml, *old;

    *changed = false;
    if (sweep_write(sweep, &yaml, e))
        return e->code;
    old = read_text(f->sweep);
    if (!old || strcmp(body_of(old), body_of(yaml))) {
        *changed = old != NULL;
        write_frozen(f->sweep, body_of(yaml), source, e);
    }
    free(old);
    free(yaml);
    return e->code;
}

/* ------------------------------------------------------------------------------------------------ odds and ends */

static void sweep_up(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *entry;

    while (d && (entry = readdir(d))) {
        size_t n = strlen(entry->d_name);

        if (n > 4 && !strcmp(entry->d_name + n - 4, ".tmp"))
            unlinkat(dirfd(d), entry->d_name, 0);
    }
    if (d)
        closedir(d);
}

void folder_sweep_up(const struct folder *f)
{
    sweep_up(f->root);
    sweep_up(f->checkpoints);
}

int folder_ask_stop(const struct folder *f, const char *who, err *e)
{
    FILE *out = fopen(f->stop, "we");

    if (!out)
        return err_errno(e, "%s", f->stop);
    fprintf(out, "%s\n", who);
    return fclose(out) ? err_errno(e, "%s", f->stop) : 0;
}

bool folder_stop_asked(const struct folder *f, char *who, size_t size)
{
    FILE *in = access(f->stop, F_OK) ? NULL : fopen(f->stop, "re");

    *who = 0;
    if (!in)
        return false;
    if (fgets(who, (int)size, in))
        who[strcspn(who, "\n")] = 0;
    fclose(in);
    return true;
}

void folder_clear_stop(const struct folder *f)
{
    unlink(f->stop);
}
