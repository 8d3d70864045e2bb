/* analysis/command_export.c - sluice export: the tables as CSV, or a sweep in one HDF5 file. */
#include "analysis/commands.h"
#include "analysis/export.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void usage(FILE *to)
{
    fputs("usage: sluice export DIR --to FOLDER | --to FILE.h5\n\n"
          "Writes the tables of a sweep for other programs.\n\n"
          "  DIR             the sweep's output folder, or a results.h5\n"
          "  --to FOLDER     one CSV file for each table, attributes.csv, and fields.csv with units and meanings\n"
          "  --to FILE.h5    one HDF5 file with the tables and every checkpoint inside, in checkpoints/<key>/\n\n"
          "example: sluice export runs/gate-ablation --to gate-ablation-csv\n"
          "         sluice export runs/gate-ablation --to gate-ablation.h5\n",
          to);
}

static bool is_h5(const char *name)
{
    size_t n = strlen(name);

    return n > 3 && !strcmp(name + n - 3, ".h5");
}

static int export_to_pack(const struct results *r, const char *path, const char *folder, const char *to, err *e)
{
    size_t packed, gone;
    uint64_t bytes;

    if (!export_pack(r, path, folder, to, &packed, &gone, &bytes, e)) {
        printf("%s\n", to);
        fprintf(stderr, "%zu trials and %zu checkpoints in %.1f MB", r->trials_count, packed, (double)bytes / 1e6);
        fprintf(stderr, gone ? "; %zu checkpoints are no longer there\n" : "\n", gone);
    }
    return e->code;
}

/* Read the results; `path` is the sweep's folder or the file. */
static int export(const char *path, const char *to, err *e)
{
    struct results r = {0};
    struct stat s;
    char *file = NULL, *folder = NULL;
    const char *slash = strrchr(path, '/');

    bool inside = stat(path, &s) == 0 && S_ISDIR(s.st_mode);
    int length = inside ? (int)strlen(path) : slash ? (int)(slash - path) : 1; /* of the folder's name */
    if (asprintf(&folder, "%.*s", length, inside || slash ? path : ".") < 0)
        folder = NULL;
    if (!folder || asprintf(&file, inside ? "%s/results.h5" : "%s", path) < 0) {
        free(folder);
        return err_set(e, ERR_NOMEM, "%s: no memory to read it", path);
    }
    if (inside && stat(file, &s))
        err_set(e, ERR_MISSING, "%s: there is no results.h5 in it; is it the output folder of a sweep?", path);
    else if (!results_read(file, &r, e) && is_h5(to))
        export_to_pack(&r, file, folder, to, e);
    else if (!e->code)
        export_csv(&r, to, stdout, e);
    results_free(&r);
    free(file);
    free(folder);
    return e->code;
}

int command_export(int argc, char **argv)
{
    static const struct option options[] = {
        {"to", required_argument, NULL, 't'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    const char *to = NULL;
    err e = {0};
    int c;

    opterr = 0;
    optind = 0; /* glibc: start afresh, however often commands ran in this process */
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'h') {
            usage(stdout);
            return 0;
        }
        if (c != 't') {
            fprintf(stderr, "sluice export: '%s' is no option, or lacks its value; see sluice export --help\n",
                    argv[optind - 1]);
            return err_exit_status(ERR_USAGE);
        }
        to = optarg;
    }
    if (argc - optind != 1 || !to) {
        fprintf(stderr, "sluice export: %s; see sluice export --help\n",
                argc == optind      ? "which output folder?"
                : argc > optind + 1 ? "one folder at a time"
                                    : "where to?  --to FOLDER or --to FILE.h5");
        return err_exit_status(ERR_USAGE);
    }
    if (export(argv[optind], to, &e))
        fprintf(stderr, "sluice export: %s\n", e.text);
    return err_exit_status(e.code);
}
