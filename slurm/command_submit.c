/* slurm/command_submit.c - `sluice submit`: a sweep as a job of the batch system. */
#include <errno.h>
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
#include "slurm/jobs.h"
#include "slurm/process.h"
#include "slurm/script.h"
#include "slurm/submit.h"
#include "sweeps/command_line.h"
#include "sweeps/plan_report.h"
#include "sweeps/shard.h"

static const char help[] =
    "usage: sluice submit SWEEP.yaml [KEY=VALUE ...] [--out DIR] [--array N] [--dry-run] [--gflops X]\n"
    "\n"
    "Writes the job script of the sweep, DIR/job.sh, shows what it will cost and submits it with sbatch.  The job "
    "asks\n"
    "for what the sweep's slurm: section says (sluice options slurm.time), runs the sweep, and requeues itself\n"
    "until the sweep is done.  The same command again continues a sweep that was cancelled or has failed.\n"
    "\n"
    "  KEY=VALUE    set an option for every trial or a setting: slurm.time=4h; KEY=A,B,C replaces an axis of the grid\n"
    "  --out DIR    output folder (default: runs/<sweep name>)\n"
    "  --array N    split the sweep into N shards, run side by side by a job array; sluice merge DIR brings them "
    "together\n"
    "  --dry-run    print the script and do nothing\n"
    "  --gflops X   speed of a core in the estimate, in GFLOP/s, where no stage has been timed (default: measured "
    "now)\n"
    "\n"
    "example: sluice submit sweeps/quickstart.yaml slurm.partition=cpu slurm.time=2h slurm.ranks_per_node=8 "
    "--dry-run\n";

enum { MOST_SHARDS = 100000, CONFIG_SIZE = 1 << 16 };
static const double ASK_SECONDS = 10;
static const double NOMINAL_GFLOPS = 20; /* of a core of which nothing is known */

struct arguments {
    const char *out;
    bool dry_run;
    double gflops, array; /* 0: not given */
};

/* What is known of the job before it is submitted. */
struct submission {
    const struct arguments *arguments;
    struct sweep sweep;
    struct script_array array;
    char program[PATH_MAX], file[PATH_MAX], out[PATH_MAX];
    char *script;
};

static struct {
    plan_recall *recall;
    double (*gflops)(void);
} knowledge;

void submit_learn_from(plan_recall *recall, double (*gflops)(void))
{
    knowledge.recall = recall;
    knowledge.gflops = gflops;
}

/* ---- before ---- */

/* The output folder, absolute, without a '/' at the end; of one shard, the shard's own. */
static int name_out(const struct arguments *a, const struct sweep *s, char out[PATH_MAX], err *e)
{
    char here[PATH_MAX] = "";
    const char *given = a->out ? a->out : s->setting[SETTING_NAME].text, *folder = a->out ? "" : "runs/";
    char shard[SHARD_NAME];
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
    shard_folder(s, shard);
    if (*shard && strcmp(strrchr(out, '/') + 1, shard) &&
        n + (size_t)snprintf(out + n, PATH_MAX - n, "/%s", shard) >= PATH_MAX)
        return err_set(e, ERR_USAGE, "%.200s...: this path is too long", given);
    return 0;
}

/* The number behind "NAME = " in the answer; 0 if it is not there. */
static long config_number(const char *answer, const char *name)
{
    const char *line = strstr(answer, name), *sign = line ? strchr(line, '=') : NULL;

    return sign && (line == answer || line[-1] == '\n') ? atol(sign + 1) : 0;
}

/* The most elements that an array may have here; MOST_SHARDS where SLURM does not say. */
static int ask_array_limit(void)
{
    const char *const argv[] = {"scontrol", "show", "config", NULL};
    char *answer = malloc(CONFIG_SIZE);
    long most = MOST_SHARDS;
    int status;
    err e = {0};

    if (answer && !process_run(argv, ASK_SECONDS, answer, CONFIG_SIZE, &status, &e) && !status) {
        long size = config_number(answer, "MaxArraySize"), jobs = config_number(answer, "MaxJobCount");

        if (size > 1 && size - 1 < most)
            most = size - 1; /* numbers of elements are below it, and ours begin at 1 */
        if (jobs > 1 && jobs / 2 < most)
            most = jobs / 2; /* others have jobs too */
    }
    free(answer);
    return (int)most;
}

static int shape_array(struct submission *job, err *e)
{
    double asked = job->arguments->array, most = job->sweep.setting[SETTING_SLURM_MAX_JOBS].number;

    if (!asked)
        return 0;
    if (asked != (int)asked || asked > MOST_SHARDS)
        return err_set(e, ERR_USAGE, "--array needs a whole number of shards up to %d, not %g", MOST_SHARDS, asked);
    if (job->sweep.setting[SETTING_SHARD_COUNT].number > 1)
        return err_set(e, ERR_USAGE, "--array splits a whole sweep, and this is a shard of one (shard.count)");
    if (!most)
        most = job->arguments->dry_run ? MOST_SHARDS : ask_array_limit();
    job->array = (struct script_array){(int)asked, asked < most ? (int)asked : (int)most};
    return 0;
}

static int prepare(const struct command_line *line, struct submission *job, err *e)
{
    ssize_t n;

    if (sweep_load(line->sweep, line->overrides, line->overrides_count, &job->sweep, e))
        return e->code;
    if (!realpath(line->sweep, job->file))
        return err_errno(e, "%s", line->sweep);
    n = readlink("/proc/self/exe", job->program, sizeof job->program - 1);
    if (n < 0)
        return err_errno(e, "/proc/self/exe");
    job->program[n] = 0;
    if (name_out(job->arguments, &job->sweep, job->out, e) || shape_array(job, e))
        return e->code;
    return script_render(
        &job->sweep,
        &(struct script_paths){job->program, job->file, job->out, line->overrides, line->overrides_count, job->array},
        &job->script, e);
}

/* ---- the estimate ---- */

static void print_estimate(const struct submission *job, const struct plan *plan, const struct estimate *estimate,
                           const struct script_shape *shape, const double *share, double gflops)
{
    struct job_estimate cost =
        job_estimate_make(estimate, shape, (int)sysconf(_SC_NPROCESSORS_ONLN), &job->array, share);
    char text[32], limit[32];

    printf("%s: %d trials, %d stages", job->sweep.setting[SETTING_NAME].text, plan->trials_count, plan->stages_count);
    if (estimate->finished)
        printf(", %d of them finished", estimate->finished);
    if (estimate->measured)
        printf("\nestimate from the times of earlier runs (%.3g GFLOP/s a core where there are none)", gflops);
    else
        printf("\nestimate at %.3g GFLOP/s a core, as %s", gflops,
               job->arguments->gflops > 0 ? "given" : "measured on this machine");
    printf(": %.3g core-hours, %s on %g ranks%s", cost.core_hours, command_line_duration(cost.wall_seconds, text),
           cost.ranks, shape->ranks_per_node ? "" : " (as many cores to a node as here)");
    if (job->array.shards)
        printf(" for each of %d array elements", job->array.elements);
    if (cost.jobs > 0)
        printf(", %.0f job%s of %s\n", cost.jobs, cost.jobs > 1 ? "s, one after the other," : "",
               command_line_duration(shape->seconds, limit));
    else
        printf(", no slurm.time is set\n");
}

/* The work of each shard over that of the whole; NULL for a sweep that is whole. */
static int find_shares(const struct submission *job, const struct plan *plan, double **share, err *e)
{
    int *shard;

    *share = NULL;
    if (!job->array.shards)
        return 0;
    shard = calloc((size_t)plan->trials_count, sizeof *shard);
    *share = calloc((size_t)job->array.shards, sizeof **share);
    if (!shard || !*share)
        err_set(e, ERR_NOMEM, "no memory for %d shards", job->array.shards);
    else if (!shard_split(plan, job->array.shards, shard, *share, e))
        for (int k = 0; k < job->array.shards; k++)
            (*share)[k] /= plan->work;
    free(shard);
    return e->code;
}

/* The estimate, and whether the job can run at all.  ERR_MISSING: data or a backbone that the sweep needs is not here. */
static int show_estimate(const struct submission *job, err *e)
{
    struct script_shape shape;
    struct plan plan = {0};
    struct plan_known known = {.folder = ""};
    struct estimate estimate;
    double *share = NULL, gflops = job->arguments->gflops;

    if (!(gflops > 0))
        gflops = knowledge.gflops ? knowledge.gflops() : NOMINAL_GFLOPS;
    if (!script_shape(&job->sweep, &shape, e) && !plan_make(&job->sweep, &sources_installed, &plan, e) &&
        (!knowledge.recall || !knowledge.recall(&plan, job->out, &known, e)) && !find_shares(job, &plan, &share, e) &&
        !estimate_make(&plan, &known, gflops, &estimate, e)) {
        print_estimate(job, &plan, &estimate, &shape, share, gflops);
        plan_tell_warnings(&plan, "submit");
        if (plan.missing_count)
            err_set(e, ERR_MISSING, "%s%s", plan.missing[0],
                    plan.missing_count > 1 ? "; and more: see sluice plan" : "");
    }
    free(share);
    plan_known_free(&known);
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

/* Two jobs cannot work in one folder; one that is just ending is no harm. */
static int check_jobs(const struct submission *job, err *e)
{
    struct jobs jobs;

    if (!jobs_read(job->out, &jobs, e))
        for (int i = 0; i < jobs.count && !e->code; i++)
            if (strcmp(jobs.list[i].state, "COMPLETING"))
                err_set(e, ERR_BUSY, "job %s of this folder is still there (%s); sluice cancel %s ends it",
                        jobs.list[i].id, jobs.list[i].state, job->out);
    jobs_free(&jobs);
    return e->code;
}

static int refuse(const struct submission *job, int status, char *answer, const char *path, err *e)
{
    bool too_many = job->array.shards && (strcasestr(answer, "limit") || strcasestr(answer, "array"));

    for (char *p = answer; *p; p++)
        if (*p == '\n')
            *p = p[1] ? ' ' : 0;
    return err_set(e, ERR_CONFIG, "sbatch refused the job (status %d): %s; the script is %s%s", status,
                   *answer ? answer : "it does not say why", path,
                   too_many ? "; slurm.max_jobs=N makes an array of fewer elements for the same shards" : "");
}

static void tell(const struct submission *job, const char *id)
{
    if (!job->array.shards) {
        printf("submitted as job %s; what it says: %s/log/slurm-%s.log\n", id, job->out, id);
        return;
    }
    printf("submitted as array %s of %d elements for %d shards; what they say: %s/log/slurm-%s_*.log\n", id,
           job->array.elements, job->array.shards, job->out, id);
    printf("when they are done: sluice merge %s\n", job->out);
}

static int submit(const struct submission *job, err *e)
{
    char path[PATH_MAX + 8], answer[4096], id[32];
    const char *const argv[] = {"sbatch", "--parsable", path, NULL};
    int status;

    if (check_jobs(job, e) || write_script(job, path, e))
        return e->code;
    if (process_run(argv, SBATCH_SECONDS, answer, sizeof answer, &status, e)) {
        if (e->code == ERR_MISSING)
            err_set(e, ERR_MISSING,
                    "there is no sbatch here: submit from a node of the cluster, or run the sweep here with sluice run "
                    "(the job script is %s)",
                    path);
        return e->code;
    }
    if (status)
        return refuse(job, status, answer, path, e);
    read_answer(answer, id);
    if (!*id)
        return err_set(e, ERR_SYSTEM, "sbatch named no job; see squeue whether there is one");
    tell(job, id);
    return jobs_record(job->out, id, e);
}

/* ---- the command ---- */

int command_submit(int argc, char **argv)
{
    struct arguments a = {0};
    const struct command_line_option options[] = {{"out", .text = &a.out},
                                                  {"array", .number = &a.array},
                                                  {"dry-run", .flag = &a.dry_run},
                                                  {"gflops", .number = &a.gflops}};
    struct submission job = {.arguments = &a};
    struct command_line line;
    err e = {0};

    if (command_line_read(argc, argv, options, sizeof options / sizeof *options, &line, &e)) {
        fprintf(stderr, "sluice submit: %s\n", e.text);
        return err_exit_status(e.code);
    }
    if (line.help) {
        fputs(help, stdout);
        return 0;
    }
    if (!prepare(&line, &job, &e)) {
        if (a.dry_run)
            fputs(job.script, stdout);
        else if (!show_estimate(&job, &e))
            submit(&job, &e);
    }
    if (e.code)
        command_line_complain("submit", &job.sweep, &e);
    free(job.script);
    sweep_free(&job.sweep);
    return err_exit_status(e.code);
}
