/* analysis/command_report.c - sluice report: ablation tables, statistics and pictures of a sweep. */
#include "analysis/commands.h"
#include "analysis/output.h"
#include "analysis/report.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FORMATS = 16 };

struct arguments {
    const char *path, *by, *baseline, *metric, *format, *out, *table;
};

static void usage(FILE *to)
{
    fputs(
        "usage: sluice report DIR [--by KEY,...] [--baseline KEY=VALUE,...] [--metric NAME]\n"
        "                         [--format NAME,...] [--table ID] [--out FOLDER]\n\n"
        "Prints what a sweep has measured so far: the ablation table (mean, deviation and 95 % interval over seeds),\n"
        "differences paired by seed, effects of the options, curves over the tasks, cost, failures.\n\n"
        "  DIR                     the sweep's output folder, or a results.h5\n"
        "  --by KEY,...            options that make the rows; default: all that the sweep varies, except seeds\n"
        "  --baseline KEY=VALUE    compare each row with the row that has these values and is otherwise the same;\n"
        "                          default: compare all with the first row\n"
        "  --metric NAME           what to compare: ",
        to);
    for (int k = 0; k < METRIC_COUNT; k++)
        fprintf(to, "%s%s", k ? ", " : "", metric_info[k].key);
    fputs(" (default faa)\n  --format NAME,...       ", to);
    for (int f = 0; f < report_formats_count; f++)
        fprintf(to, "%s%-9s %s\n", f ? "                          " : "", report_formats[f].name,
                report_formats[f].meaning);
    fputs("                          all\n"
          "                          default: text; --json is --format json\n"
          "  --table ID              only this table: ablation, differences, effects, variance, curves, ...\n"
          "  --out FOLDER            write report.* and the pictures there; default for several formats: DIR/report\n\n"
          "example: sluice report runs/gate-ablation --by gate.activation --baseline gate.activation=none\n"
          "         sluice report runs/gate-ablation --format html,latex\n",
          to);
}

/* Comma-separated words of a copy of `list`; `take` gets each.  Empty words are mistakes. */
static int each_word(const char *list, const char *what, int (*take)(void *context, char *word, err *e), void *context,
                     err *e)
{
    char *copy = strdup(list), *rest = copy, *word;

    if (!copy)
        return err_set(e, ERR_NOMEM, "no memory for the arguments");
    while (!e->code && (word = strsep(&rest, ",")) != NULL)
        if (!*word)
            err_set(e, ERR_USAGE, "%s '%s': there is an empty word between commas", what, list);
        else
            take(context, word, e);
    free(copy);
    return e->code;
}

/* --- --by and --baseline --- */

struct grouping {
    const struct measured *m;
    int count, by[MAX_BY];
    int wanted[MAX_BY]; /* levels of the baseline, -1: the row's own */
};

static int unknown_option(const struct measured *m, const char *name, err *e)
{
    char known[600] = "";
    size_t n = 0;

    for (int f = 0; f < m->factors_count && n < sizeof known - NAME_SIZE - 3; f++)
        n += (size_t)sprintf(known + n, "%s%s", f ? ", " : "", m->factors[f].name);
    return err_set(e, ERR_USAGE, "the sweep does not vary '%.80s'; its options are %s", name, known);
}

static int take_by(void *context, char *word, err *e)
{
    struct grouping *g = context;
    int f = measured_factor(g->m, word);

    if (f < 0)
        return unknown_option(g->m, word, e);
    for (int i = 0; i < g->count; i++)
        if (g->by[i] == f)
            return err_set(e, ERR_USAGE, "--by names %s twice", word);
    if (g->count == MAX_BY)
        return err_set(e, ERR_USAGE, "--by can take %d options at most", MAX_BY);
    g->by[g->count++] = f;
    return 0;
}

static int take_baseline(void *context, char *word, err *e)
{
    struct grouping *g = context;
    char *value = strchr(word, '='), known[400] = "";
    size_t n = 0;

    if (!value)
        return err_set(e, ERR_USAGE, "--baseline wants KEY=VALUE, not '%.80s'", word);
    *value++ = 0;
    int f = measured_factor(g->m, word), place = 0;
    if (f < 0)
        return unknown_option(g->m, word, e);
    while (place < g->count && g->by[place] != f)
        place++;
    if (place == g->count)
        return err_set(e, ERR_USAGE, "--baseline speaks of %s, which does not tell the rows apart; add it to --by",
                       word);
    const struct factor *factor = &g->m->factors[f];
    for (int level = 0; level < factor->levels_count; level++)
        if (!strcmp(factor->levels[level], value)) {
            g->wanted[place] = level;
            return 0;
        }
    for (int level = 0; level < factor->levels_count && n < sizeof known - 60; level++)
        n += (size_t)snprintf(known + n, sizeof known - n, "%s%.40s", level ? ", " : "", factor->levels[level]);
    return err_set(e, ERR_USAGE, "--baseline: %s is never '%.80s'; it is %s", word, value, known);
}

/* --- --format --- */

struct chosen {
    int count;
    const struct report_format *format[MAX_FORMATS];
};

static int unknown_format(const char *word, err *e)
{
    char known[200] = "";
    size_t n = 0;

    for (int f = 0; f < report_formats_count; f++)
        n += (size_t)snprintf(known + n, sizeof known - n, "%s, ", report_formats[f].name);
    return err_set(e, ERR_USAGE, "there is no format '%.40s'; there are %sall", word, known);
}

static int take_format(void *context, char *word, err *e)
{
    struct chosen *c = context;
    bool all = !strcmp(word, "all"), found = false;

    for (int f = 0; f < report_formats_count; f++) {
        if (!all && strcmp(report_formats[f].name, word))
            continue;
        found = true;
        for (int i = 0; i < c->count; i++)
            if (c->format[i] == &report_formats[f])
                return err_set(e, ERR_USAGE, "--format names %s twice", report_formats[f].name);
        if (c->count < MAX_FORMATS)
            c->format[c->count++] = &report_formats[f];
    }
    return found ? 0 : unknown_format(word, e);
}

/* --- the work --- */

/* Where the files go: --out; otherwise, for several formats, the folder "report" beside results.h5; otherwise NULL for
 * stdout. */
static int choose_folder(const struct arguments *args, int formats, char **folder, err *e)
{
    const char *slash = strrchr(args->path, '/');
    size_t n = strlen(args->path);
    int made;

    *folder = NULL;
    if (!args->out && formats < 2)
        return 0;
    if (args->out)
        made = asprintf(folder, "%s", args->out);
    else if (n > 3 && !strcmp(args->path + n - 3, ".h5"))
        made = asprintf(folder, "%.*sreport", slash ? (int)(slash + 1 - args->path) : 0, args->path);
    else
        made = asprintf(folder, "%s/report", args->path);
    if (made >= 0)
        return 0;
    *folder = NULL;
    return err_set(e, ERR_NOMEM, "no memory for a path");
}

static int put_out(struct document *d, const struct arguments *args, const struct chosen *formats, err *e)
{
    const struct report_table *only = args->table ? document_find_table(d, args->table) : NULL;
    char *folder;

    if (args->table && !only) {
        char known[400] = "";
        size_t n = 0;
        for (size_t i = 0; i < d->blocks_count && n < sizeof known - 60; i++)
            if (d->blocks[i].kind == BLOCK_TABLE)
                n += (size_t)snprintf(known + n, sizeof known - n, "%s%.40s", n ? ", " : "", d->blocks[i].table->id);
        return err_set(e, ERR_USAGE, "this report has no table '%.60s'; it has %s", args->table, known);
    }
    if (choose_folder(args, formats->count, &folder, e))
        return e->code;
    if (folder) {
        d->pictures_beside = !only;
        if (!output_folder(d, formats->format, formats->count, only, folder, stdout, e) && !only)
            output_pictures(d, folder, stdout, e);
    } else {
        output_stream(d, formats->format[0], only, stdout, e);
    }
    free(folder);
    if (!e->code && (fflush(stdout) || ferror(stdout)))
        err_errno(e, "standard output cannot be written");
    return e->code;
}

static int unknown_metric(const char *word, err *e)
{
    char known[400] = "";
    size_t n = 0;

    for (int k = 0; k < METRIC_COUNT && n < sizeof known - NAME_SIZE; k++)
        n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", k ? ", " : "", metric_info[k].key);
    return err_set(e, ERR_USAGE, "there is no metric '%.40s'; there are %s", word, known);
}

static int report(const struct arguments *args, const struct measured *m, err *e)
{
    struct grouping g = {.m = m};
    struct chosen formats = {0};
    struct ablation a = {0};
    struct document d = {0};
    struct published published = {.source = ""};
    const char *yaml = measured_fact(m, "sweep_yaml");
    struct report_request request = {.main = metric_by_key(args->metric ? args->metric : "faa"),
                                     .published = &published};

    if (request.main == METRIC_COUNT)
        return unknown_metric(args->metric, e);
    for (int i = 0; i < MAX_BY; i++)
        g.wanted[i] = -1;
    if (!args->by)
        g.count = ablation_default_by(m, g.by);
    else if (each_word(args->by, "--by", take_by, &g, e))
        return e->code;
    if (args->baseline && each_word(args->baseline, "--baseline", take_baseline, &g, e))
        return e->code;
    if (each_word(args->format ? args->format : "text", "--format", take_format, &formats, e))
        return e->code;
    request.wanted = args->baseline ? g.wanted : NULL;
    if (yaml && published_read(yaml, strlen(yaml), &published, e)) {
        const err cause = *e; /* what the user wrote was checked before the sweep ran: the file has changed since */
        err_set(e, ERR_DAMAGED, "%s: the sweep that it keeps cannot be read: %.500s", args->path, cause.text);
    } else {
        document_start(&d, "");
        d.title = document_text(&d, "Report of the sweep %s", m->name);
        if (!ablation_start(&a, m, g.by, g.count, request.main, e) && !report_compose(&d, &a, &request, e))
            put_out(&d, args, &formats, e);
    }
    document_free(&d);
    ablation_free(&a);
    published_free(&published);
    return e->code;
}

int command_report(int argc, char **argv)
{
    struct arguments args = {0};
    struct measured m = {0};
    err e = {0};
    enum { JSON = 100, HELP };
    const char **const values[] = {&args.by, &args.baseline, &args.metric, &args.format, &args.table, &args.out};
    static const struct option options[] = {
        /* the number is the place in `values` */
        {"by", required_argument, NULL, 0},
        {"baseline", required_argument, NULL, 1},
        {"metric", required_argument, NULL, 2},
        {"format", required_argument, NULL, 3},
        {"table", required_argument, NULL, 4},
        {"out", required_argument, NULL, 5},
        {"json", no_argument, NULL, JSON},
        {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    int c;

    opterr = 0;
    optind = 0; /* glibc: start afresh, however often commands ran in this process */
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == HELP) {
            usage(stdout);
            return 0;
        }
        if (c == '?') {
            fprintf(stderr, "sluice report: '%s' is no option, or lacks its value; see sluice report --help\n",
                    argv[optind - 1]);
            return err_exit_status(ERR_USAGE);
        }
        if (c == JSON)
            args.format = "json";
        else
            *values[c] = optarg;
    }
    if (argc - optind != 1) {
        fprintf(stderr, "sluice report: %s; see sluice report --help\n",
                argc == optind ? "which output folder?" : "one folder at a time");
        return err_exit_status(ERR_USAGE);
    }
    args.path = argv[optind];
    if (!measured_read(args.path, &m, &e))
        report(&args, &m, &e);
    measured_free(&m);
    if (e.code)
        fprintf(stderr, "sluice report: %s\n", e.text);
    return err_exit_status(e.code);
}
