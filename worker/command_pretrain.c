/* worker/command_pretrain.c - sluice pretrain: make a backbone from a recipe. */
#include <getopt.h>
#include <math.h>
#include <omp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/backbone.h"
#include "worker/commands.h"
#include "worker/console.h"
#include "worker/pretrain.h"

static const char help[] =
    "usage: sluice pretrain RECIPE.yaml --as NAME [--out FILE] [--threads N]\n"
    "\n"
    "Trains a small Vision Transformer on images that the program draws itself and stores it as a backbone.\n"
    "Interrupted, it keeps what it has; the same command continues.\n"
    "\n"
    "  --as NAME     the backbone's name\n"
    "  --out FILE    write here instead of the backbone store (~/.local/share/sluice/backbones/NAME.h5)\n"
    "  --threads N   threads (default: all cores); the result does not depend on it\n"
    "\n"
    "Keys of a recipe:\n";

static void print_help(void)
{
    fputs(help, stdout);
#define R(type, field, key, def, low, high, text) printf("  %-8s default %-8g %s\n", key, (double)(def), text);
    PRETRAIN_FIELDS(R)
#undef R
    puts("\nExample: sluice pretrain sweeps/backbones/vit-micro.yaml --as vit-micro --out vit-micro.h5");
}

static int store(const struct vit_weights *w, const struct pretrain_recipe *r, const char *recipe, const char *name,
                 const char *path, err *e)
{
    struct backbone_shape shape = {.side = r->side,
                                   .patch = r->patch,
                                   .channels = 3,
                                   .width = r->width,
                                   .depth = r->depth,
                                   .heads = r->heads,
                                   .hidden = r->hidden};
    struct backbone_weights out;
    struct vit_tensor t;

    if (backbone_create(&out, &shape, e))
        return e->code;
    snprintf(out.name, sizeof out.name, "%s", name);
    for (int k = 0; vit_tensor(w, k, &t); k++)
        memcpy(backbone_tensor(&out, t.name)->data, t.data, t.rows * t.columns * sizeof *t.data);
    out.provenance = pretrain_provenance(r, recipe);
    if (!out.provenance)
        err_set(e, ERR_NOMEM, "no memory for the provenance");
    else
        backbone_write(path, &out, true, e);
    backbone_close(&out);
    return e->code;
}

static int run(const char *recipe, const char *name, const char *path, int threads, err *e)
{
    struct pretrain_recipe r;
    struct vit_weights weights;
    struct console console;
    char *part = NULL;
    double loss;

    if (pretrain_read(recipe, &r, e))
        return e->code;
    if (asprintf(&part, "%s.part", path) < 0)
        return err_set(e, ERR_NOMEM, "no memory for a file name");
    console_open(&console, "pretrain");
    if (!pretrain_run(&r, threads, part, 60, &console.host, &weights, &loss, e)) {
        if (!store(&weights, &r, recipe, name, path, e))
            printf("%s: %zu weights, loss %.4f\n", path, weights.count, loss);
        vit_weights_free(&weights);
    }
    console_close(&console);
    free(part);
    return e->code;
}

int command_pretrain(int argc, char **argv)
{
    static const struct option options[] = {{"as", required_argument, NULL, 'a'},
                                            {"out", required_argument, NULL, 'o'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *name = NULL, *out = NULL;
    int threads = omp_get_num_procs(), c;
    char path[PATH_SIZE];
    err e = {0};

    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1)
        switch (c) {
        case 'a':
            name = optarg;
            break;
        case 'o':
            out = optarg;
            break;
        case 't':
            threads = atoi(optarg);
            break;
        case 'h':
            print_help();
            return 0;
        default:
            return 2;
        }
    if (optind + 1 != argc || !name || threads < 1) {
        fputs("sluice pretrain: give one recipe, --as NAME, and at least one thread; see sluice pretrain --help\n",
              stderr);
        return 2;
    }
    if (out || !backbone_place(name, path, &e))
        run(argv[optind], name, out ? out : path, threads, &e);
    if (e.code)
        fprintf(stderr, "sluice pretrain: %s%s\n", e.text,
                e.code == ERR_INTERRUPTED ? "; the same command continues" : "");
    return err_exit_status(e.code);
}
