/* worker/log.c - see log.h. */
#include "worker/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct rank_log {
    char path[4096];
    int fd;
    size_t size, limit;
};

static void reopen(rank_log *l)
{
    struct stat st;

    l->fd = open(l->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    l->size = l->fd >= 0 && !fstat(l->fd, &st) ? (size_t)st.st_size : 0;
}

int rank_log_open(const char *folder, int rank, size_t limit, rank_log **out, err *e)
{
    rank_log *l = calloc(1, sizeof *l);

    *out = NULL;
    if (!l)
        return err_set(e, ERR_NOMEM, "no memory for a log");
    l->limit = limit;
    if (snprintf(l->path, sizeof l->path, "%s/rank-%d.log", folder, rank) >= (int)sizeof l->path) {
        free(l);
        return err_set(e, ERR_USAGE, "%s: this path is too long", folder);
    }
    reopen(l);
    *out = l;
    return 0;
}

static void turn_over(rank_log *l)
{
    char old[sizeof l->path + 8];

    if (l->fd >= 0)
        close(l->fd);
    snprintf(old, sizeof old, "%s.old", l->path);
    rename(l->path, old);
    reopen(l);
}

void rank_log_line(rank_log *l, const char *label, const char *format, ...)
{
    char line[2048];
    struct timespec t;
    struct tm day;
    size_t used;
    va_list args;

    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &day);
    used = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &day);
    used += (size_t)snprintf(line + used, sizeof line - used, ".%03ldZ %.100s%s", t.tv_nsec / 1000000, label,
                             *label ? ": " : "");
    va_start(args, format);
    vsnprintf(line + used, sizeof line - used - 1, format, args);
    va_end(args);
    used = strlen(line);
    line[used++] = '\n';
    if (l->fd < 0) /* the folder may have come later than this rank */
        reopen(l);
    if (l->size + used > l->limit)
        turn_over(l);
    if (l->fd >= 0 && write(l->fd, line, used) == (ssize_t)used)
        l->size += used;
}

void rank_log_close(rank_log *l)
{
    if (l && l->fd >= 0)
        close(l->fd);
    free(l);
}
