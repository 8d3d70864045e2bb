/* io/places.c - see places.h. */
#include "io/places.h"

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
