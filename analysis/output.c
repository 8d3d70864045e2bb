/* analysis/output.c - see output.h. */
#include "analysis/output.h"

#include "analysis/canvas.h"
#include "io/atomic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct report_table *first_table(const struct document *d)
{
    for (size_t i = 0; i < d->blocks_count; i++)
        if (d->blocks[i].kind == BLOCK_TABLE)
            return d->blocks[i].table;
    return NULL;
}

int output_stream(const struct document *d, const struct report_format *format, const struct report_table *only,
                  FILE *out, err *e)
{
    if (format->each && !only)
        only = first_table(d);
    return format->render(d, only, out, e);
}

/* What one file holds: exactly one of the three. */
struct content {
    const struct report_format *format;
    const struct report_table *only; /* with format; may be NULL */
    const struct report_picture *svg, *png;
};

static int write_content(const struct document *d, const struct content *c, FILE *out, err *e)
{
    if (c->format)
        return c->format->render(d, c->only, out, e);
    if (c->png)
        return picture_to_png(c->png, out, e);
    picture_to_svg(c->svg, true, out);
    return 0;
}

static int write_file(const struct document *d, const struct content *c, const char *folder, const char *name,
                      const char *extension, FILE *told, err *e)
{
    char *path = NULL, *bytes = NULL;
    size_t size = 0;
    struct atomic_file file = {.fd = -1};
    FILE *out = open_memstream(&bytes, &size);

    if (asprintf(&path, "%s/%s.%s", folder, name, extension) < 0)
        path = NULL;
    if (out && path) {
        write_content(d, c, out, e);
        bool lost = ferror(out) != 0;
        if ((fclose(out) || lost) && !e->code)
            err_set(e, ERR_NOMEM, "%s: no memory to compose it", path);
        if (!e->code && !atomic_open(&file, path, e) && !atomic_write(&file, bytes, size, e))
            atomic_commit(&file, e);
        else
            atomic_abandon(&file);
        if (!e->code && told)
            fprintf(told, "%s\n", path);
    } else {
        if (out)
            fclose(out);
        err_set(e, ERR_NOMEM, "%s: no memory to write into it", folder);
    }
    free(bytes);
    free(path);
    return e->code;
}

int output_make_folder(const char *folder, err *e)
{
    struct stat s;

    if (mkdir(folder, 0777) == 0 || (errno == EEXIST && stat(folder, &s) == 0 && S_ISDIR(s.st_mode)))
        return 0;
    return errno == ENOENT ? err_set(e, ERR_USAGE, "%s: the folder that it should lie in does not exist", folder)
                           : err_errno(e, "%s: this folder cannot be made", folder);
}

int output_folder(const struct document *d, const struct report_format *const *formats, int count,
                  const struct report_table *only, const char *folder, FILE *told, err *e)
{
    if (output_make_folder(folder, e))
        return e->code;
    for (int f = 0; f < count && !e->code; f++) {
        struct content c = {.format = formats[f], .only = only};
        if (!formats[f]->each)
            write_file(d, &c, folder, only ? only->id : "report", formats[f]->extension, told, e);
        for (size_t i = 0; formats[f]->each && i < d->blocks_count && !e->code; i++) {
            if (d->blocks[i].kind != BLOCK_TABLE || !is_wanted(d->blocks[i].table, only))
                continue;
            c.only = d->blocks[i].table;
            write_file(d, &c, folder, c.only->id, formats[f]->extension, told, e);
        }
    }
    return e->code;
}

int output_pictures(const struct document *d, const char *folder, FILE *told, err *e)
{
    if (output_make_folder(folder, e))
        return e->code;
    for (size_t i = 0; i < d->blocks_count && !e->code; i++) {
        const struct report_picture *p = &d->blocks[i].picture;
        if (d->blocks[i].kind != BLOCK_PICTURE)
            continue;
        if (!write_file(d, &(struct content){.svg = p}, folder, p->id, "svg", told, e))
            write_file(d, &(struct content){.png = p}, folder, p->id, "png", told, e);
    }
    return e->code;
}
