/* io/places.c - see places.h. */
#include "io/places.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void places_add(struct places *p, const char *list)
{
    while (list && *list) {
        size_t n = strcspn(list, ":");

        if (n && n < PATH_SIZE && p->count < PLACES_MAX)
            snprintf(p->folder[p->count++], PATH_SIZE, "%.*s", (int)n, list);
        list += n + (list[n] == ':');
    }
}

void places_add_home(struct places *p, const char *below)
{
    const char *home = getenv("HOME");

    if (home && *home && strlen(home) + strlen(below) + 2 <= PATH_SIZE && p->count < PLACES_MAX)
        snprintf(p->folder[p->count++], PATH_SIZE, "%s/%s", home, below);
}

const char *places_text(const struct places *p, char text[600])
{
    size_t used = 0;

    strcpy(text, "nowhere");
    for (int i = 0; i < p->count && used < 590; i++)
        used += (size_t)snprintf(text + used, 600 - used, "%s%s", i ? ", " : "", p->folder[i]);
    if (used >= 600)
        strcpy(text + 596, "...");
    return text;
}

bool place_name_valid(const char *name)
{
    size_t n = strlen(name);

    return n >= 1 && n <= 63 && name[0] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

bool place_find(const char *folder, const char *name, const char *suffix, bool is_folder, char path[PATH_SIZE])
{
    struct stat status;
    int n = snprintf(path, PATH_SIZE, "%s/%s%s", folder, name, suffix);

    return n > 0 && n < PATH_SIZE && !stat(path, &status) &&
           (is_folder ? S_ISDIR(status.st_mode) : S_ISREG(status.st_mode));
}

/* A folder and those above it. */
static int make_folders(char *path, err *e)
{
    for (char *at = path + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = 0;
        mkdir(path, 0777); /* if this fails, so does the last one */
        *at = '/';
    }
    if (mkdir(path, 0777) && errno != EEXIST)
        return err_set(e, ERR_STORAGE, "%s: the folder cannot be made: %s", path, strerror(errno));
    return 0;
}

int place_to_keep(const char *variable, const char *below, const char *name, char path[PATH_SIZE], err *e)
{
    struct places *p = calloc(1, sizeof *p);
    int status = 0;

    if (!place_name_valid(name)) {
        free(p);
        return err_set(e, ERR_CONFIG, "'%.80s' cannot be a name: letters, digits, '.', '_' and '-' make one", name);
    }
    if (!p)
        return err_set(e, ERR_NOMEM, "out of memory");
    places_add(p, getenv(variable));
    places_add_home(p, below);
    if (!p->count)
        status = err_set(e, ERR_STORAGE, "neither %s nor HOME says where to keep '%s'", variable, name);
    else if (snprintf(path, PATH_SIZE, "%s/%s.h5", p->folder[0], name) >= PATH_SIZE)
        status = err_set(e, ERR_STORAGE, "%s: the name is too long", p->folder[0]);
    else
        status = make_folders(p->folder[0], e);
    free(p);
    return status;
}
