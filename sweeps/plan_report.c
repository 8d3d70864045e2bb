/* sweeps/plan_report.c - see plan_report.h. */
#include "sweeps/plan_report.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "sweeps/methods.h"

static const char help[] =
    "usage: sluice plan SWEEP.yaml [KEY=VALUE ...] [--trials] [--ranks N] [--gflops X] [--out DIR] [--json]\n"
    "\n"
    "Shows what `sluice run` would do, without doing it: trials, duplicates folded, distinct stages and which of them\n"
    "are shared, the work that sharing saves, and an estimate of time, memory and disk; where the sweep has been run\n"
    "already, what is finished, and what an edit keeps, adds and orphans.\n"
    "\n"
    "  --trials     list every trial with the key of its result\n"
    "  --ranks N    ranks for the estimate of wall time (default: the cores of this machine)\n"
    "  --gflops X   speed of a core where no stage has been timed, in GFLOP/s (default: measured now)\n"
    "  --out DIR    the output folder to look for earlier results in (default runs/<sweep name>)\n"
    "  --json       everything as one JSON object\n"
    "\n"
    "KEY=VALUE pins an option, KEY=A,B,C or KEY=0..4 makes an axis of it.\n"
    "\n"
    "example: sluice plan sweeps/quickstart.yaml seed=0..4 --trials\n";

struct arguments {
    const char *sweep, *out;
    const char *const *overrides;
    int overrides_count;
    bool trials, json, help;
    double ranks, gflops;
};

/* A plan as it is shown: with what was measured, in seconds of one rank. */
struct view {
    const struct plan *plan;
    const struct arguments *arguments;
    const struct plan_known *known;
    double all, alone, left, critical; /* with sharing; without; not finished; longest chain of what is left */
    int finished;
};

/* What is counted for each kind of stage. */
struct tally {
    int stages, shared, of_trials, finished; /* distinct; used by more than one trial; if nothing were shared */
    double seconds, alone;
};

static double stage_seconds(const struct view *v, int stage)
{
    double measured = v->known->seconds_per_flop[v->plan->kind[stage]];

    return v->plan->cost[stage] * (measured > 0 ? measured : 1e-9 / v->arguments->gflops);
}

static bool is_finished(const struct view *v, int stage)
{
    return v->known->finished && v->known->finished[stage];
}

static void count(const struct view *v, struct tally tally[STAGE_KIND_COUNT])
{
    for (int i = 0; i < v->plan->stages_count; i++) {
        struct tally *t = &tally[v->plan->kind[i]];
        t->stages++;
        t->finished += is_finished(v, i);
        t->shared += v->plan->shared_by[i] > 1;
        t->of_trials += v->plan->shared_by[i];
        t->seconds += stage_seconds(v, i);
        t->alone += stage_seconds(v, i) * v->plan->shared_by[i];
    }
}

static int estimate(struct view *v, err *e)
{
    const struct plan *p = v->plan;
    double *path = calloc((size_t)p->stages_count, sizeof *path);

    if (!path)
        return err_errno(e, "plan");
    for (int i = 0; i < p->stages_count; i++) {
        double seconds = stage_seconds(v, i), before = 0;
        v->all += seconds;
        v->alone += seconds * p->shared_by[i];
        v->finished += is_finished(v, i);
        if (is_finished(v, i))
            continue;
        v->left += seconds;
        for (int k = p->needs_start[i]; k < p->needs_start[i + 1]; k++)
            before = path[p->needs[k]] > before ? path[p->needs[k]] : before;
        path[i] = before + seconds;
        v->critical = path[i] > v->critical ? path[i] : v->critical;
    }
    free(path);
    return 0;
}

static double saved_percent(double work, double alone)
{
    return alone > 0 ? 100 * (1 - work / alone) : 0;
}

/* Ranks cannot be busier than the work allows, nor faster than the longest chain. */
static double wall_seconds(const struct view *v)
{
    double share = v->left / v->arguments->ranks;

    return share > v->critical ? share : v->critical;
}

/* "12 s", "34 min", "5.6 h", "78 days": whichever reads best. */
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

static const char *bytes_text(double bytes, char text[32])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    int unit = 0;

    for (; bytes >= 1000 && unit < 5; unit++)
        bytes /= 1000;
    snprintf(text, 32, "%.3g %s", bytes, units[unit]);
    return text;
}

static double free_disk(void)
{
    struct statvfs fs;

    return statvfs(".", &fs) ? 0 : (double)fs.f_bavail * (double)fs.f_frsize;
}

/* ---- text ---- */

static void print_stages(const struct view *v)
{
    struct tally tally[STAGE_KIND_COUNT] = {{0}};

    count(v, tally);
    printf("\n%-11s %10s %10s %10s %12s %12s %8s\n", "stage", "distinct", "finished", "shared", "if unshared",
           "core-hours", "saved");
    for (int kind = 0; kind < STAGE_KIND_COUNT; kind++)
        if (tally[kind].stages)
            printf("%-11s %10d %10d %10d %12d %12.3g %7.0f%%\n", stage_kind_name(kind), tally[kind].stages,
                   tally[kind].finished, tally[kind].shared, tally[kind].of_trials, tally[kind].seconds / 3600,
                   saved_percent(tally[kind].seconds, tally[kind].alone));
}

/* What earlier runs mean for this one. */
static void print_known(const struct view *v)
{
    const struct plan_known *k = v->known;

    if (!k->folder[0])
        return;
    printf("\n%s: %d of %d stages are finished", k->folder, v->finished, v->plan->stages_count);
    printf(v->finished == v->plan->stages_count ? "; nothing is left to do\n" : "; %.3g core-hours are left\n",
           v->left / 3600);
    if (k->edited)
        printf("the sweep differs from the one that ran there: %d trials kept, %d added, %d orphaned%s\n", k->kept,
               k->added, k->orphaned, k->orphaned ? " (finished stages of these stay on disk)" : "");
    if (k->outdated)
        printf("%d finished stages are of no use any more: other data, weights, options or code made them\n",
               k->outdated);
}

static bool any_measured(const struct view *v)
{
    for (int kind = 0; kind < STAGE_KIND_COUNT; kind++)
        if (v->known->seconds_per_flop[kind] > 0)
            return true;
    return false;
}

static void print_estimate(const struct view *v)
{
    char text[32], text2[32];

    printf("\nsharing saves %.0f%% of the work: %.3g instead of %.3g core-hours\n", saved_percent(v->all, v->alone),
           v->all / 3600, v->alone / 3600);
    if (any_measured(v))
        printf("estimate from measured times (%.0f GFLOP/s a core where there are none): ", v->arguments->gflops);
    else
        printf("estimate at %.0f GFLOP/s a core: ", v->arguments->gflops);
    printf("%s on %g ranks", duration(wall_seconds(v), text), v->arguments->ranks);
    printf(", at least %s on any number\n", duration(v->critical, text));
    printf("memory: about %s a rank; disk: about %s of checkpoints", bytes_text(v->plan->memory, text),
           bytes_text(v->plan->disk, text2));
    printf(" (%s free here)\n", bytes_text(free_disk(), text));
}

static void print_trials(const struct plan *plan)
{
    char label[1000], hex[DIGEST_HEX];

    printf("\n%6s  %-32s  options\n", "trial", "key");
    for (int i = 0; i < plan->trials_count; i++) {
        plan_trial_label(plan, i, label, sizeof label);
        digest_to_hex(&plan->key[plan->trials[i].stage], hex);
        printf("%6d  %s  %s\n", i, hex, label);
    }
}

static void print_text(const struct view *v)
{
    const struct plan *plan = v->plan;
    const struct sweep *s = plan->sweep;

    printf("%s%s%s\n", s->setting[SETTING_NAME].text, s->setting[SETTING_DESCRIPTION].text[0] ? ": " : "",
           s->setting[SETTING_DESCRIPTION].text);
    printf("%d trial%s, from %lld combination%s: %lld excluded, %lld folded as duplicates\n", plan->trials_count,
           plan->trials_count == 1 ? "" : "s", (long long)plan->points, plan->points == 1 ? "" : "s",
           (long long)plan->excluded, (long long)plan->folded);
    print_stages(v);
    print_known(v);
    print_estimate(v);
    if (v->arguments->trials)
        print_trials(plan);
    for (int i = 0; i < plan->missing_count; i++)
        printf("%smissing: %s\n", i ? "" : "\n", plan->missing[i]);
}

/* ---- JSON ---- */

static json_t *json_stages(const struct view *v)
{
    struct tally tally[STAGE_KIND_COUNT] = {{0}};
    json_t *stages = json_object();

    count(v, tally);
    for (int kind = 0; kind < STAGE_KIND_COUNT; kind++)
        if (tally[kind].stages)
            json_object_set_new(stages, stage_kind_name(kind),
                                json_pack("{s:i, s:i, s:i, s:i, s:f}", "distinct", tally[kind].stages, "finished",
                                          tally[kind].finished, "shared", tally[kind].shared, "if_unshared",
                                          tally[kind].of_trials, "seconds", tally[kind].seconds));
    return stages;
}

static json_t *json_trial(const struct plan *plan, int trial)
{
    struct trial_config config;
    const struct method *method;
    json_t *options = json_object();
    char hex[DIGEST_HEX];

    plan_trial_config(plan, trial, &config);
    method = method_of(&config);
    for (int i = 0; i < plan->varied_count; i++) {
        enum option_id id = plan->varied[i];
        if (id == OPTION_METHOD || id == OPTION_SEED || method_reads(method, id))
            json_object_set_new(options, option_info(id)->key, json_string(option_format(id, config.value[id])));
    }
    digest_to_hex(&plan->key[plan->trials[trial].stage], hex);
    return json_pack("{s:i, s:s, s:o}", "trial", trial, "key", hex, "options", options);
}

static json_t *json_known(const struct plan_known *k)
{
    return k->folder[0]
               ? json_pack("{s:s, s:b, s:i, s:i, s:i, s:i}", "folder", k->folder, "edited", (int)k->edited, "kept",
                           k->kept, "added", k->added, "orphaned", k->orphaned, "outdated_stages", k->outdated)
               : json_null();
}

static void print_json(const struct view *v)
{
    const struct plan *plan = v->plan;
    json_t *missing = json_array(), *trials = json_array(), *root;

    for (int i = 0; i < plan->missing_count; i++)
        json_array_append_new(missing, json_string(plan->missing[i]));
    for (int i = 0; i < plan->trials_count && v->arguments->trials; i++)
        json_array_append_new(trials, json_trial(plan, i));
    root = json_pack("{s:s, s:i, s:I, s:I, s:I}", "name", plan->sweep->setting[SETTING_NAME].text, "trials_count",
                     plan->trials_count, "combinations", (json_int_t)plan->points, "excluded",
                     (json_int_t)plan->excluded, "folded", (json_int_t)plan->folded);
    json_object_update_new(root, json_pack("{s:i, s:i, s:o, s:o}", "stages_count", plan->stages_count, "finished",
                                           v->finished, "stages", json_stages(v), "earlier", json_known(v->known)));
    json_object_update_new(root, json_pack("{s:f, s:f, s:f, s:f, s:f}", "flop", plan->work, "core_seconds", v->all,
                                           "core_seconds_unshared", v->alone, "core_seconds_left", v->left,
                                           "wall_seconds", wall_seconds(v)));
    json_object_update_new(root, json_pack("{s:f, s:f, s:o, s:o}", "memory_bytes", plan->memory, "disk_bytes",
                                           plan->disk, "missing", missing, "trials", trials));
    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(root);
}

/* ---- the command ---- */

static bool positive(const char *text, double *out)
{
    char *end;

    *out = strtod(text, &end);
    return end != text && !*end && *out > 0 && *out < 1e9;
}

static int parse_arguments(int argc, char **argv, double gflops, struct arguments *a, err *e)
{
    static const struct option long_options[] = {
        {"trials", no_argument, NULL, 't'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {"ranks", required_argument, NULL, 'n'},
        {"gflops", required_argument, NULL, 'g'},
        {"out", required_argument, NULL, 'o'},
        {NULL, 0, NULL, 0},
    };
    int c;

    *a = (struct arguments){.ranks = (double)sysconf(_SC_NPROCESSORS_ONLN), .gflops = gflops};
    opterr = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        if (c == 't')
            a->trials = true;
        else if (c == 'j')
            a->json = true;
        else if (c == 'h')
            a->help = true;
        else if (c == 'o')
            a->out = optarg;
        else if (c == '?')
            return err_set(e, ERR_USAGE, "cannot understand '%s'; see sluice plan --help", argv[optind - 1]);
        else if (!positive(optarg, c == 'n' ? &a->ranks : &a->gflops))
            return err_set(e, ERR_USAGE, "--%s needs a positive number, not '%s'", c == 'n' ? "ranks" : "gflops",
                           optarg);
    }
    if (a->help)
        return 0;
    if (optind == argc)
        return err_set(e, ERR_USAGE, "which sweep? usage: sluice plan SWEEP.yaml; see sluice plan --help");
    a->sweep = argv[optind];
    a->overrides = (const char *const *)argv + optind + 1;
    a->overrides_count = argc - optind - 1;
    return 0;
}

/* A sweep that cannot be read has many problems; each gets a line. */
static void print_problems(const struct sweep *sweep, const err *e)
{
    for (int i = 0; i < sweep->problems_count; i++)
        fprintf(stderr, "sluice plan: %s\n", sweep->problems[i]);
    if (!sweep->problems_count)
        fprintf(stderr, "sluice plan: %s\n", e->text);
}

static int show_plan(const struct plan *plan, const struct arguments *a, plan_recall *recall, err *e)
{
    struct plan_known known = {.folder = ""};
    struct view v = {.plan = plan, .arguments = a, .known = &known};

    if ((!recall || !recall(plan, a->out, &known, e)) && !estimate(&v, e)) {
        if (a->json)
            print_json(&v);
        else
            print_text(&v);
    }
    free(known.finished);
    return e->code;
}

static int show(const struct arguments *a, plan_recall *recall, err *e)
{
    struct sweep sweep;
    struct plan plan = {0};

    if (sweep_load(a->sweep, a->overrides, a->overrides_count, &sweep, e))
        print_problems(&sweep, e);
    else if (plan_make(&sweep, &sources_installed, &plan, e) || show_plan(&plan, a, recall, e))
        fprintf(stderr, "sluice plan: %s: %s\n", a->sweep, e->text);
    plan_free(&plan);
    sweep_free(&sweep);
    return err_exit_status(e->code);
}

int plan_command(int argc, char **argv, plan_recall *recall, double gflops)
{
    struct arguments a;
    err e = {0};

    if (parse_arguments(argc, argv, gflops, &a, &e)) {
        fprintf(stderr, "sluice plan: %s\n", e.text);
        return err_exit_status(e.code);
    }
    if (a.help) {
        fputs(help, stdout);
        return 0;
    }
    return show(&a, recall, &e);
}
