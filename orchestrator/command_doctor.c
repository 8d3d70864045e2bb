/* orchestrator/command_doctor.c - `sluice doctor`: what this machine has, what is missing and how to get it. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/backbone.h"
#include "io/dataset.h"
#include "orchestrator/commands.h"
#include "orchestrator/launch.h"
#include "orchestrator/origin.h"
#include "worker/math.h"

static const char help[] =
    "usage: sluice doctor [--json]\n"
    "\n"
    "Shows what a run would stand on here, and what is missing and how to get it.  Exit status 1 if\n"
    "something is missing that `sluice run sweeps/quickstart.yaml` needs.\n"
    "\n"
    "example: sluice doctor\n";

/* One line: what was looked at, what was found, whether it is as it must be. */
struct finding {
    const char *what;
    bool fine;
    char text[1100];
};

static void look_program(struct finding *f)
{
    struct results_origin o = origin_here();

    f->fine = true;
    snprintf(f->text, sizeof f->text, "%s, commit %s, %s", o.version, o.commit, o.compiler);
}

static void look_blas(struct finding *f)
{
    f->fine = !math_is_slow();
    snprintf(f->text, sizeof f->text, "%s: %.0f GFLOP/s a core%s", math_library(), math_library_gflops(),
             f->fine ? "" : "; these are its slowest: unset OPENBLAS_CORETYPE, or set it to your CPU's");
}

static void look_kernels(struct finding *f)
{
    f->fine = true;
    snprintf(f->text, sizeof f->text, "%s: %.0f GFLOP/s a core", math_kernels(), math_gflops());
}

static void look_mpi(struct finding *f)
{
    err e = {0};

    f->fine = !launch_check(&e);
    snprintf(f->text, sizeof f->text, "%s", f->fine ? origin_here().mpi : e.text);
}

static void look_memory(struct finding *f)
{
    double page = (double)sysconf(_SC_PAGESIZE);

    f->fine = true;
    snprintf(f->text, sizeof f->text, "%ld cores, %.1f GB of memory, %.1f GB free", sysconf(_SC_NPROCESSORS_ONLN),
             page * (double)sysconf(_SC_PHYS_PAGES) / 1e9, page * (double)sysconf(_SC_AVPHYS_PAGES) / 1e9);
}

/* A program on the PATH. */
static bool on_path(const char *program)
{
    const char *path = getenv("PATH");
    char candidate[1100];

    while (path && *path) {
        int n = (int)strcspn(path, ":");

        if (snprintf(candidate, sizeof candidate, "%.*s/%s", n, path, program) < (int)sizeof candidate &&
            !access(candidate, X_OK))
            return true;
        path += n + (path[n] == ':');
    }
    return false;
}

static void look_slurm(struct finding *f)
{
    f->fine = true; /* a laptop has none */
    snprintf(f->text, sizeof f->text, "%s",
             on_path("sbatch") ? "sbatch is here: sluice submit works"
                               : "no sbatch on the PATH: sluice submit can only show job scripts");
}

static void look_backbone(struct finding *f)
{
    char path[PATH_SIZE];
    err e = {0};

    f->fine = !backbone_locate("vit-micro", path, &e);
    snprintf(f->text, sizeof f->text, "vit-micro: %.600s", f->fine ? path : e.text);
}

static void look_data(struct finding *f)
{
    char path[1024];
    err e = {0};

    f->fine = !dataset_locate("fashion-mnist", path, &e);
    snprintf(f->text, sizeof f->text, "fashion-mnist: %.600s", f->fine ? path : e.text);
}

static const struct {
    const char *what;
    void (*look)(struct finding *);
} looks[] = {
    {"sluice", look_program}, {"OpenBLAS", look_blas}, {"kernels", look_kernels},   {"MPI", look_mpi},
    {"machine", look_memory}, {"SLURM", look_slurm},   {"backbone", look_backbone}, {"data set", look_data},
};
enum { LOOKS = sizeof looks / sizeof *looks };

static void print_json(const struct finding *findings)
{
    json_t *all = json_object();

    for (int i = 0; i < LOOKS; i++)
        json_object_set_new(all, findings[i].what,
                            json_pack("{s:b, s:s}", "fine", findings[i].fine, "found", findings[i].text));
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

int command_doctor(int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    struct finding findings[LOOKS];
    bool json = false, fine = true;
    int c;

    opterr = 0;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) == 'j')
        json = true;
    if (c == 'h') {
        fputs(help, stdout);
        return 0;
    }
    if (c != -1 || optind < argc) {
        fprintf(stderr, "sluice doctor: cannot understand '%s'; see sluice doctor --help\n",
                argv[c != -1 ? optind - 1 : optind]);
        return 2;
    }
    for (int i = 0; i < LOOKS; i++) {
        findings[i].what = looks[i].what;
        looks[i].look(&findings[i]);
        fine = fine && findings[i].fine;
    }
    if (json)
        print_json(findings);
    for (int i = 0; i < LOOKS && !json; i++)
        printf("%-3s %-9s %s\n", findings[i].fine ? "ok" : "!!", findings[i].what, findings[i].text);
    return fine ? 0 : 1;
}
