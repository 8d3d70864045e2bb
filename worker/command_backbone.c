/* worker/command_backbone.c - sluice backbone: published checkpoints into the store, and what is in it. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/position.h"
#include "worker/backbone_print.h"
#include "worker/commands.h"

static const char help[] =
    "usage: sluice backbone import FILE --as NAME [--profile PROFILE] [OPTION ...]\n"
    "       sluice backbone list [--json]\n"
    "       sluice backbone show NAME [--tensors] [--json]\n"
    "\n"
    "import reads a published checkpoint (.npz, .pth, .safetensors, HDF5; the content decides, not the name), checks\n"
    "every tensor and keeps the backbone as NAME, which sweeps then say in `backbone`.  Nothing in a file is "
    "executed.\n"
    "\n"
    "  --as NAME          the backbone's name; presets say vit-b16-PROFILE\n"
    "  --profile PROFILE  which file this is, see below; recognised if left out\n"
    "  --side N           for images of N pixels: the position embedding is resampled\n"
    "  --heads N          attention heads, where neither file nor width tells\n"
    "  --root KEY         the dict inside a .pth (such as teacher); . is the top level\n"
    "  --prefix TEXT      what the names of the backbone's tensors begin with\n"
    "  --allow-unknown    ignore tensors that are no part of the network\n"
    "  --ignore-crc       read zip entries whose checksum is wrong\n"
    "  --strict-pickle    refuse a .pth that names anything but PyTorch's usual parts\n"
    "  --npz-v2-is-bf16   NumPy arrays of type |V2 are bfloat16\n"
    "  --limit NAME=N     read more, or less, of a file than usual, see below; may be given several times\n"
    "  --force            replace a backbone of that name\n"
    "  --out FILE         write here instead of the backbone store\n"
    "  --tensors          list every tensor with its smallest, largest and mean number\n"
    "  --json             as JSON\n"
    "\n"
    "Profiles:\n";

struct request {
    struct import_options import;
    const char *out;
    int side;
    bool force, tensors, json;
};

static void print_help(void)
{
    fputs(help, stdout);
    for (int i = 0; i < PROFILE_COUNT; i++)
        printf("  %-9s %s\n", backbone_profiles[i].name, backbone_profiles[i].title);
    puts("\nLimits: what is read if nothing else is said, and the most that can be asked for:");
    for (int i = 0; i < LIMIT_COUNT; i++)
        printf("  %-18s %9llu %10llu  %s\n", limit_name(i), (unsigned long long)limit_of(NULL, i),
               (unsigned long long)limit_highest(i), limit_counts(i));
    puts("\nExample: sluice backbone import checkpoint.pth --profile ibot21k --as vit-b16-ibot21k");
}

/* ---------------------------------------------------------------- import */

/* The same weights for images of another size. */
static int resize(struct backbone_weights *w, int side, err *e)
{
    struct backbone_shape shape = w->shape;
    struct backbone_weights out;

    shape.side = side;
    if (side == w->shape.side)
        return 0;
    if (side % shape.patch)
        return err_set(e, ERR_USAGE, "--side %d is no multiple of the patch of %d pixels", side, shape.patch);
    if (backbone_create(&out, &shape, e))
        return e->code;
    for (int k = 0; k < w->count; k++)
        if (!strcmp(w->tensors[k].name, "pos_embed"))
            position_resample(w->tensors[k].data, w->shape.side / shape.patch, out.tensors[k].data, side / shape.patch,
                              shape.width);
        else
            memcpy(out.tensors[k].data, w->tensors[k].data, w->tensors[k].count * sizeof(float));
    memcpy(out.name, w->name, sizeof out.name);
    memcpy(out.profile, w->profile, sizeof out.profile);
    if (asprintf(&out.provenance, "%s\nresampled: position embedding from %d to %d pixels", w->provenance,
                 w->shape.side, side) < 0) {
        out.provenance = NULL;
        backbone_close(&out);
        return err_set(e, ERR_NOMEM, "no memory for the provenance");
    }
    backbone_close(w);
    *w = out;
    return 0;
}

/* A name of the presets says which backbone it means. */
static void check_name(const char *name, const struct import_report *r)
{
    for (int i = 0; i < PROFILE_COUNT; i++)
        if (!strcmp(backbone_profiles[i].preset_name, name) && r->profile != &backbone_profiles[i])
            fprintf(stderr, "sluice backbone: WARNING: presets mean %s by %s, and this is %s\n",
                    backbone_profiles[i].name, name, r->profile->name);
}

static void print_prefixed(const char *lines)
{
    while (*lines) {
        int n = (int)strcspn(lines, "\n");

        fprintf(stderr, "sluice backbone: %.*s\n", n, lines);
        lines += n + (lines[n] == '\n');
    }
}

static int destination(const struct request *q, char path[PATH_SIZE], err *e)
{
    char there[PATH_SIZE];
    err none = {0};

    if (!q->out) {
        if (!q->force && !backbone_locate(q->import.name, there, &none))
            return err_set(e, ERR_USAGE, "there is a backbone %s already, %s; --force goes before it", q->import.name,
                           there);
        return backbone_place(q->import.name, path, e);
    }
    if (!q->force && !access(q->out, F_OK))
        return err_set(e, ERR_USAGE, "%s exists; --force replaces it", q->out);
    if (!place_name_valid(q->import.name) || snprintf(path, PATH_SIZE, "%s", q->out) >= PATH_SIZE)
        return err_set(e, ERR_USAGE, "'%s' is no name or '%s' too long", q->import.name, q->out);
    return 0;
}

static int run_import(const char *file, const struct request *q, err *e)
{
    struct import_report report = {0};
    struct backbone_weights w;
    char path[PATH_SIZE];

    if (q->import.profile && !backbone_profile_by_name(q->import.profile))
        return err_set(e, ERR_USAGE, "there is no profile '%s'; see sluice backbone --help", q->import.profile);
    if (destination(q, path, e))
        return e->code;
    backbone_import(file, &q->import, &w, &report, e);
    if (report.notes) /* a file that is refused may have been dangerous all the same */
        print_prefixed(report.notes);
    if (!e->code) {
        check_name(q->import.name, &report);
        if ((!q->side || !resize(&w, q->side, e)) && !backbone_write(path, &w, false, e))
            print_import(stdout, path, &w, &report, q->tensors, q->json);
        backbone_close(&w);
    } else if (report.problems && strchr(report.problems, '\n')) {
        print_prefixed(report.problems);
    }
    import_report_free(&report);
    return e->code;
}

/* ---------------------------------------------------------------- list and show */

static int run_list(const char *none, const struct request *q, err *e)
{
    struct stored_backbone *list;
    int count;

    (void)none;
    if (!stored_backbones(&list, &count, e))
        print_backbones(stdout, list, count, q->json);
    stored_backbones_free(list, count);
    return e->code;
}

static int run_show(const char *name, const struct request *q, err *e)
{
    struct stored_backbone b;
    struct backbone_weights w;

    if (!stored_backbone_find(name, &b, e)) {
        if (!q->tensors) {
            print_backbone(stdout, &b, NULL, q->json);
        } else if (!backbone_read(b.path, &w, e)) {
            print_backbone(stdout, &b, &w, q->json);
            backbone_close(&w);
        }
    }
    free(b.provenance);
    return e->code;
}

/* ---------------------------------------------------------------- the command line */

static const struct {
    const char *name;
    int (*run)(const char *argument, const struct request *q, err *e);
    int arguments;
} verbs[] = {{"import", run_import, 1}, {"list", run_list, 0}, {"show", run_show, 1}};

/* A number of pixels or heads; 0 if that is none. */
static int positive(const char *text)
{
    char *end;
    long value = strtol(text, &end, 10);

    return *end || value < 1 || value > 65536 ? 0 : (int)value;
}

/* clang-format off */
static const struct option options[] = {
    {"as", required_argument, NULL, 'a'},         {"profile", required_argument, NULL, 'p'},
    {"side", required_argument, NULL, 's'},       {"heads", required_argument, NULL, 'n'},
    {"root", required_argument, NULL, 'r'},       {"prefix", required_argument, NULL, 'x'},
    {"allow-unknown", no_argument, NULL, 'u'},    {"ignore-crc", no_argument, NULL, 'c'},
    {"strict-pickle", no_argument, NULL, 'k'},    {"npz-v2-is-bf16", no_argument, NULL, 'b'},
    {"limit", required_argument, NULL, 'l'},
    {"force", no_argument, NULL, 'f'},            {"out", required_argument, NULL, 'o'},
    {"tensors", no_argument, NULL, 't'},          {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},             {NULL, 0, NULL, 0}};
/* clang-format on */

/* One option into the request; ERR_USAGE if its value is none. */
static int take(int c, struct request *q, err *e)
{
    struct {
        int c;
        const char **text;
        int *number;
        bool *flag;
        struct container_limits *limits;
    } const places[] = {{'a', &q->import.name, NULL, NULL, NULL},
                        {'p', &q->import.profile, NULL, NULL, NULL},
                        {'r', &q->import.root, NULL, NULL, NULL},
                        {'x', &q->import.prefix, NULL, NULL, NULL},
                        {'o', &q->out, NULL, NULL, NULL},
                        {'s', NULL, &q->side, NULL, NULL},
                        {'n', NULL, &q->import.heads, NULL, NULL},
                        {'u', NULL, NULL, &q->import.allow_unknown, NULL},
                        {'c', NULL, NULL, &q->import.container.ignore_crc, NULL},
                        {'k', NULL, NULL, &q->import.container.strict_pickle, NULL},
                        {'b', NULL, NULL, &q->import.container.npz_v2_is_bf16, NULL},
                        {'f', NULL, NULL, &q->force, NULL},
                        {'t', NULL, NULL, &q->tensors, NULL},
                        {'j', NULL, NULL, &q->json, NULL},
                        {'l', NULL, NULL, NULL, &q->import.container.limits}};

    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (places[i].c != c)
            continue;
        if (places[i].text)
            *places[i].text = optarg;
        if (places[i].flag)
            *places[i].flag = true;
        if (places[i].limits)
            return limit_set(places[i].limits, optarg, e);
        if (places[i].number && !(*places[i].number = positive(optarg)))
            return err_set(e, ERR_USAGE, "--side and --heads are numbers above 0");
    }
    return 0;
}

static int usage(const char *what)
{
    fprintf(stderr, "sluice backbone: %s; see sluice backbone --help\n", what);
    return 2;
}

int command_backbone(int argc, char **argv)
{
    struct request q = {.import.container.limits.option = "--limit"};
    err e = {0};
    int c;

    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == '?')
            return 2;
        if (c == 'h') {
            print_help();
            return 0;
        }
        if (take(c, &q, &e))
            return usage(e.text);
    }
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs && optind < argc; i++) {
        if (strcmp(verbs[i].name, argv[optind]) != 0)
            continue;
        if (argc - optind - 1 != verbs[i].arguments)
            return usage(verbs[i].arguments ? "give one file or name" : "list takes no argument");
        if (verbs[i].run == run_import && !q.import.name)
            return usage("import wants --as NAME");
        if (verbs[i].run(argv[optind + 1], &q, &e))
            fprintf(stderr, "sluice backbone: %s\n", e.text);
        return err_exit_status(e.code);
    }
    return usage("say import, list or show");
}
