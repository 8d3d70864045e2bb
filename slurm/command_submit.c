/* slurm/command_submit.c - `sluice submit`: a sweep as a job of the batch system. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/atomic.h"
#include "slurm/commands.h"
#include "slurm/estimate.h"
#include "slurm/process.h"
#include "slurm/script.h"

static const char help[] =
    "usage: sluice submit SWEEP.yaml [KEY=VALUE ...] [--out DIR] [--dry-run] [--gflops X]\n"
    "\n"
    "Writes the job script of the sweep, DIR/job.sh, shows what it will cost and submits it with sbatch.  The job "
    "asks\n"
    "for what the sweep's slurm: section says (sluice options slurm.time), runs the sweep, and requeues itself\n"
    "until the sweep is done.  The same command again continues a sweep that was cancelled or has failed.\n"
    "\n"
    "  KEY=VALUE    set an option for every trial or a setting: slurm.time=4h; KEY=A,B,C replaces an axis of the grid\n"
    "  --out DIR    output folder (default: runs/<sweep name>)\n"
    "  --dry-run    print the script and do nothing\n"
    "  --gflops X   speed of a core in the estimate, in GFLOP/s (default 20)\n"
    "\n"
    "example: sluice submit sweeps/quickstart.yaml slurm.partition=cpu slurm.time=2h slurm.ranks_per_node=8 "
    "--dry-run\n";

struct arguments {
    const char *sweep, *out;
    const char *const *overrides;
    int overrides_count;
    bool dry_run, help;
    double gflops;
};

/* What is known of the job before it is submitted. */
struct submission {
    struct sweep sweep;
    char program[PATH_MAX], file[PATH_MAX], out[PATH_MAX];
    char *script;
};

static int parse_arguments(int argc, char **argv, struct arguments *a, err *e)
{
    static const struct option long_options[] = {
        {"out", required_argument, NULL, 'o'},
        {"dry-run", no_argument, NULL, 'd'},
        {"gflops", required_argument, NULL, 'g'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;

    *a = (struct arguments){.gflops = 20};
    opterr = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        char *end = NULL;
        if (c == 'o')
            a->out = optarg;
        else if (c == 'd')
            a->dry_run = true;
        else if (c == 'h')
            a->help = true;
        else if (c == '?')
            return err_set(e, ERR_USAGE, "cannot understand '%s'; see sluice submit --help", argv[optind - 1]);
        else if (a->gflops = strtod(optarg, &end), *end || end == optarg || !(a->gflops > 0 && a->gflops < 1e9))
            return err_set(e, ERR_USAGE, "--gflops needs a positive number, not '%s'", optarg);
    }
    if (!a->help && optind == argc)
        return err_set(e, ERR_USAGE, "which sweep?  See sluice submit --help");
    if (a->help)
        return 0;
    a->sweep = argv[optind];
    a->overrides = (const char *const *)argv + optind + 1;
    a->overrides_count = argc - optind - 1;
    return 0;
}

/* ---- before ---- */

/* The output folder, absolute, without a '/' at the end. */
static int name_out(const struct arguments *a, const struct sweep *s, char out[PATH_MAX], err *e)
{
    char here[PATH_MAX] = "";
    const char *given = a->out ? a->out : s->setting[SETTING_NAME].text, *folder = a->out ? "" : "runs/";
    size_t n;

    if (a->out && !*a->out)
        return err_set(e, ERR_USAGE, "--out needs a folder");
    if ((*given != '/' || !a->out) && (!getcwd(here, sizeof here - 1) || !strcat(here, "/")))
        return err_errno(e, "the current folder");
    n = (size_t)snprintf(out, PATH_MAX, "%s%s%s", here, folder, given);
    if (n >= PATH_MAX)
        return err_set(e, ERR_USAGE, "%.200s...: this path is too long", given);
    while (n > 1 && out[n - 1] == '/')
        out[--n] = 0;
    return 0;
}

static int prepare(const struct arguments *a, struct submission *job, err *e)
{
    ssize_t n;

    if (sweep_load(a->sweep, a->overrides, a->overrides_count, &job->sweep, e))
        return e->code;
    if (!realpath(a->sweep, job->file))
        return err_errno(e, "%s", a->sweep);
    n = readlink("/proc/self/exe", job->program, sizeof job->program - 1);
    if (n < 0)
        return err_errno(e, "/proc/self/exe");
    job->program[n] = 0;
    if (name_out(a, &job->sweep, job->out, e))
        return e->code;
    return script_render(&job->sweep,
                         &(struct script_paths){job->program, job->file, job->out, a->overrides, a->overrides_count},
                         &job->script, e);
}

/* "45 s", "34 min", "5.6 h", "78 days": whichever reads best. */
static const char *duration(double seconds, char text[32])
{
    if (seconds < 100)
        snprintf(text, 32, "%.2g s", seconds);
    else if (seconds < 6000)
        snprintf(text, 32, "%.0f min", seconds / 60);
    else if (seconds < 360000)
        snprintf(text, 32, "%.1f h", seconds / 3600);
    else
        snprintf(text, 32, "%.0f days", seconds / 86400);
    return text;
}

/* Print the estimate.  ERR_MISSING: data or a backbone that the sweep needs is not here. */
static int show_estimate(const struct submission *job, double gflops, err *e)
{
    struct script_shape shape;
    struct estimate estimate;
    struct plan plan = {0};
    char text[32], limit[32];

    if (script_shape(&job->sweep, &shape, e) || plan_make(&job->sweep, &sources_installed, &plan, e)) {
        plan_free(&plan);
        return e->code;
    }
    estimate = estimate_make(&plan, &shape, gflops, (int)sysconf(_SC_NPROCESSORS_ONLN));
    printf("%s: %d trials, %d stages\n", job->sweep.setting[SETTING_NAME].text, plan.trials_count, plan.stages_count);
    printf("estimate at %g GFLOP/s a core: %.3g core-hours, %s on %g ranks%s", gflops, estimate.core_hours,
           duration(estimate.wall_seconds, text), estimate.ranks,
           shape.ranks_per_node ? "" : " (as many cores to a node as here)");
    if (estimate.jobs > 0)
        printf(", %.0f job%s of %s\n", estimate.jobs, estimate.jobs > 1 ? "s" : "", duration(shape.seconds, limit));
    else
        printf(", no slurm.time is set\n");
    if (plan.missing_count)
        err_set(e, ERR_MISSING, "%s%s", plan.missing[0], plan.missing_count > 1 ? "; and more: see sluice plan" : "");
    plan_free(&plan);
    return e->code;
}

/* Make the folder and those above it. */
static int make_folder(const char *path, err *e)
{
    char part[PATH_MAX + 8];
    struct stat st;

    snprintf(part, sizeof part, "%s", path);
    for (char *slash = part; slash;) {
        slash = strchr(slash + 1, '/');
        if (slash)
            *slash = 0;
        if (mkdir(part, 0777) && (errno != EEXIST || stat(part, &st) || !S_ISDIR(st.st_mode))) {
            err_errno(e, "%s: the folder cannot be made", part);
            e->code = ERR_STORAGE;
            return e->code;
        }
        if (slash)
            *slash = '/';
    }
    return 0;
}

/* out/job.sh, and out/log for what the job will say: SLURM opens the log before the job begins. */
static int write_script(const struct submission *job, char path[PATH_MAX + 8], err *e)
{
    struct atomic_file file;

    snprintf(path, PATH_MAX + 8, "%s/log", job->out);
    if (make_folder(path, e))
        return e->code;
    snprintf(path, PATH_MAX + 8, "%s/job.sh", job->out);
    if (atomic_open(&file, path, e))
        return e->code;
    if (atomic_write(&file, job->script, strlen(job->script), e))
        atomic_abandon(&file);
    else
        atomic_commit(&file, e);
    return e->code;
}

/* ---- sbatch ---- */

static const double SBATCH_SECONDS = 120; /* a busy controller may take its time */

/* A line of digits, perhaps with ";cluster" behind them, is the job's number; what else sbatch says is for the user. */
static void read_answer(char *answer, char id[32])
{
    *id = 0;
    for (char *line; (line = strsep(&answer, "\n"));) {
        size_t digits = strspn(line, "0123456789");
        if (!*id && digits && digits < 32 && (!line[digits] || line[digits] == ';'))
            snprintf(id, 32, "%.*s", (int)digits, line);
        else if (*line)
            fprintf(stderr, "sluice submit: %s\n", line);
    }
}

static int submit(const struct submission *job, err *e)
{
    char path[PATH_MAX + 8], answer[4096], id[32];
    const char *const argv[] = {"sbatch", "--parsable", path, NULL};
    int status;

    if (write_script(job, path, e))
        return e->code;
    if (process_run(argv, SBATCH_SECONDS, answer, sizeof answer, &status, e)) {
        if (e->code == ERR_MISSING)
            err_set(e, ERR_MISSING,
                    "there is no sbatch here: submit from a node of the cluster, or run the sweep here with sluice run "
                    "(the job script is %s)",
                    path);
        return e->code;
    }
    if (status) {
        for (char *p = answer; *p; p++)
            if (*p == '\n')
                *p = p[1] ? ' ' : 0;
        return err_set(e, ERR_CONFIG, "sbatch refused the job (status %d): %s; the script is %s", status,
                       *answer ? answer : "it does not say why", path);
    }
    read_answer(answer, id);
    if (!*id)
        return err_set(e, ERR_SYSTEM, "sbatch named no job; see squeue whether there is one");
    printf("submitted as job %s; what it says: %s/log/slurm-%s.log\n", id, job->out, id);
    return 0;
}

/* ---- the command ---- */

static void complain(const struct submission *job, const err *e)
{
    for (int i = 0; i < job->sweep.problems_count; i++)
        fprintf(stderr, "sluice submit: %s\n", job->sweep.problems[i]);
    if (!job->sweep.problems_count)
        fprintf(stderr, "sluice submit: %s\n", e->text);
}

int command_submit(int argc, char **argv)
{
    struct submission job = {0};
    struct arguments a;
    err e = {0};

    if (parse_arguments(argc, argv, &a, &e)) {
        fprintf(stderr, "sluice submit: %s\n", e.text);
        return err_exit_status(e.code);
    }
    if (a.help) {
        fputs(help, stdout);
        return 0;
    }
    if (!prepare(&a, &job, &e)) {
        if (a.dry_run)
            fputs(job.script, stdout);
        else if (!show_estimate(&job, a.gflops, &e))
            submit(&job, &e);
    }
    if (e.code)
        complain(&job, &e);
    free(job.script);
    sweep_free(&job.sweep);
    return err_exit_status(e.code);
}
