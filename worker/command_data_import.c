/* worker/command_data_import.c - sluice data import: a published data set into an HDF5 pack. */
#include <getopt.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/datasets/kinds.h"
#include "io/places.h"
#include "worker/command_data.h"
#include "worker/console.h"
#include "worker/import.h"

static const char help[] =
    "usage: sluice data import KIND PATH --as NAME [OPTION ...]\n"
    "       sluice data import 5-datasets --as 5-datasets\n"
    "\n"
    "Reads the data set of a kind from the folder PATH, as its archive unpacks, and writes one HDF5 file.  Files keep "
    "their bytes;\n"
    "each is decoded once to see that it can be.  5-datasets is put together from svhn, mnist, cifar10, notmnist and\n"
    "fashion-mnist, which must be here already.\n"
    "\n"
    "  --as NAME              the name for dataset.name\n"
    "  --out FILE             write here instead of the data store (the first folder of SLUICE_DATA, or\n"
    "                         ~/.local/share/sluice/data)\n"
    "  --replace              there may be one of that name already\n"
    "  --on-bad-image skip    leave out images that cannot be decoded, and name them (fail: end at the first; the "
    "default, but\n"
    "                         notmnist skips as long as they are few)\n"
    "  --lenient-jpeg         take JPEGs that end too early, with grey for what is missing; training decodes them "
    "likewise\n"
    "  --decoded              keep the pixels of files instead of their bytes: about ten times as large, and training\n"
    "                         decodes nothing, which pays for small backbones\n"
    "  --allow-partial        accept files with fewer images than were published\n"
    "  --seed N               imagenet-r, folder: of the split into training and test images where the files make "
    "none\n"
    "                         (default: 42)\n"
    "  --part-train FILE      imagenet-r: a list of the training images, one a line or CODA-Prompt's YAML file\n"
    "  --part-test FILE       imagenet-r: a list of the test images\n"
    "  --threads N            threads that decode (default: all cores); the result does not depend on it\n"
    "\n"
    "Kinds, and what lies in PATH:\n";

struct arguments {
    const char *kind, *path, *name, *out, *bad;
    bool replace, lenient, decoded;
    int threads;
    struct source_options source;
};

static void print_help(void)
{
    const struct data_kind *kind;

    fputs(help, stdout);
    for (size_t i = 0; (kind = data_kind(i)); i++)
        printf("  %-14s %s\n                 from %s\n", kind->name, kind->holds, kind->get);
    puts("\nExample: sluice data import imagenet-r ~/downloads/imagenet-r --as imagenet-r");
}

static bool read_seed(const char *text, struct source_options *out)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    out->seeded = true;
    out->seed = (uint32_t)value;
    return *text >= '0' && *text <= '9' && !*end && value <= UINT32_MAX;
}

/* Whether there are options that only matter to files that are read. */
static bool for_files(const struct arguments *a)
{
    const struct source_options *s = &a->source;

    return a->bad || a->decoded || s->seeded || s->allow_partial || s->list[DATASET_TRAIN] || s->list[DATASET_TEST];
}

/* 0: go on; otherwise the command ends with that status less one. */
static int parse(int argc, char **argv, struct arguments *out)
{
    enum { AS = 256, OUT, REPLACE, BAD, LENIENT, DECODED, PARTIAL, SEED, TRAIN, TEST, THREADS };
    static const struct option options[] = {{"as", required_argument, NULL, AS},
                                            {"out", required_argument, NULL, OUT},
                                            {"replace", no_argument, NULL, REPLACE},
                                            {"on-bad-image", required_argument, NULL, BAD},
                                            {"lenient-jpeg", no_argument, NULL, LENIENT},
                                            {"decoded", no_argument, NULL, DECODED},
                                            {"allow-partial", no_argument, NULL, PARTIAL},
                                            {"seed", required_argument, NULL, SEED},
                                            {"part-train", required_argument, NULL, TRAIN},
                                            {"part-test", required_argument, NULL, TEST},
                                            {"threads", required_argument, NULL, THREADS},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *wrong = NULL;
    int c;

    *out = (struct arguments){.threads = omp_get_num_procs()};
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1)
        switch (c) {
        case AS:
            out->name = optarg;
            break;
        case OUT:
            out->out = optarg;
            break;
        case REPLACE:
            out->replace = true;
            break;
        case BAD:
            out->bad = optarg;
            if (strcmp(optarg, "skip") && strcmp(optarg, "fail"))
                wrong = "--on-bad-image is skip or fail";
            break;
        case LENIENT:
            out->lenient = true;
            break;
        case DECODED:
            out->decoded = true;
            break;
        case PARTIAL:
            out->source.allow_partial = true;
            break;
        case SEED:
            if (!read_seed(optarg, &out->source))
                wrong = "--seed is a number from 0 to 4294967295";
            break;
        case TRAIN:
            out->source.list[DATASET_TRAIN] = optarg;
            break;
        case TEST:
            out->source.list[DATASET_TEST] = optarg;
            break;
        case THREADS:
            out->threads = atoi(optarg);
            break;
        case 'h':
            print_help();
            return 1;
        default:
            return 3;
        }
    out->kind = optind < argc ? argv[optind] : NULL;
    out->path = optind + 1 < argc ? argv[optind + 1] : NULL;
    if (!out->kind || optind + 2 < argc || (!out->path && !data_composition_by_name(out->kind)))
        wrong = "give a kind and the folder with its files";
    else if (out->path && data_composition_by_name(out->kind))
        wrong = "it is put together from data sets that are here already, so give no folder";
    else if (data_composition_by_name(out->kind) && for_files(out))
        wrong = "it is put together from data sets that are here already; --seed, --part-train, --part-test, "
                "--allow-partial, --decoded and --on-bad-image are for their own imports";
    else if (!out->name)
        wrong = "give --as NAME";
    else if (out->threads < 1)
        wrong = "--threads is a number of threads, 1 or more";
    if (wrong)
        fprintf(stderr, "sluice data import: %s; see sluice data import --help\n", wrong);
    return wrong ? 3 : 0;
}

/* Where the pack goes. */
static int choose_path(const struct arguments *a, char path[PATH_SIZE], err *e)
{
    if (a->out)
        snprintf(path, PATH_SIZE, "%s", a->out);
    else if (place_to_keep(DATA_PLACES, a->name, path, e))
        return e->code;
    if (!a->replace && !access(path, F_OK))
        return err_set(e, ERR_USAGE, "%s exists already; --replace writes it anew", path);
    return 0;
}

static void print_notes(const struct image_source *s, FILE *to)
{
    for (int i = 0; i < s->notes_count; i++)
        fprintf(to, "sluice data import: %s\n", s->notes[i]);
    if (s->notes_dropped)
        fprintf(to, "sluice data import: and %d more such notes\n", s->notes_dropped);
}

/* What the pack says of its origin; malloc'd. */
static char *provenance_of(const struct arguments *a, const struct image_source *s)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    fprintf(out, "sluice data import %s", a->kind);
    if (a->path)
        fprintf(out, " %s", a->path);
    if (a->lenient)
        fputs(" --lenient-jpeg", out);
    if (a->decoded)
        fputs(" --decoded", out);
    if (a->source.seeded)
        fprintf(out, " --seed %u", a->source.seed);
    if (a->source.list[DATASET_TRAIN] && a->source.list[DATASET_TEST])
        fprintf(out, " --part-train %s --part-test %s", a->source.list[DATASET_TRAIN], a->source.list[DATASET_TEST]);
    for (int i = 0; s && i < s->notes_count; i++)
        fprintf(out, "\n%s", s->notes[i]);
    return fclose(out) ? NULL : text;
}

static enum bad_image bad_policy(const struct arguments *a, const struct data_kind *kind)
{
    if ((kind->traits & KIND_BROKEN) && (!a->bad || !strcmp(a->bad, "skip")))
        return BAD_IMAGE_FEW;
    return a->bad && !strcmp(a->bad, "skip") ? BAD_IMAGE_SKIP : BAD_IMAGE_FAIL;
}

static int import_kind(const struct arguments *a, struct import_request *request, struct import_report *report, err *e)
{
    struct image_source source;
    char *provenance;

    if (image_source_open(a->kind, a->path, &a->source, &source, e))
        return e->code;
    print_notes(&source, request->complaints);
    provenance = provenance_of(a, &source);
    request->provenance = provenance;
    request->bad = bad_policy(a, source.kind);
    import_source(&source, request, report, e);
    free(provenance);
    image_source_close(&source);
    return e->code;
}

static int import_members(const struct arguments *a, const struct data_composition *c, struct import_request *request,
                          struct import_report *report, err *e)
{
    char *provenance = provenance_of(a, NULL);

    request->provenance = provenance;
    import_composition(c, request, report, e);
    free(provenance);
    return e->code;
}

static int run(const struct arguments *a, err *e)
{
    char path[PATH_SIZE], hex[DIGEST_HEX];
    const struct data_composition *c;
    struct import_report report;
    struct console console;
    struct import_request request = {
        .to = path, .lenient = a->lenient, .decoded = a->decoded, .threads = a->threads, .host = &console.host};

    if (choose_path(a, path, e))
        return e->code;
    console_open(&console, a->name);
    console.host.go_on(&console, &(struct progress){.phase = "opening", .loss = NAN});
    if (!(request.complaints = console_lines(&console)))
        err_set(e, ERR_NOMEM, "out of memory");
    else if ((c = data_composition_by_name(a->kind)))
        import_members(a, c, &request, &report, e);
    else
        import_kind(a, &request, &report, e);
    if (request.complaints)
        fclose(request.complaints);
    console_close(&console);
    if (e->code)
        return e->code;
    if (report.odd)
        fprintf(stderr, "sluice data import: %zu JPEGs hold damaged or superfluous data, which decoders read past\n",
                report.odd);
    digest_to_hex(&report.digest, hex);
    printf("%s: %zu training and %zu test images", path, report.count[DATASET_TRAIN], report.count[DATASET_TEST]);
    if (report.skipped)
        printf(", %zu skipped", report.skipped);
    printf(", digest %s\n", hex);
    return 0;
}

int data_import(int argc, char **argv)
{
    struct arguments a;
    int status = parse(argc, argv, &a);
    err e = {0};

    if (status)
        return status - 1;
    if (run(&a, &e))
        fprintf(stderr, "sluice data import: %s\n", e.text);
    return err_exit_status(e.code);
}
