/* sweeps/command_plan.c - `sluice plan`: what a run of a sweep would do, without doing it. */
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "sweeps/commands.h"
#include "sweeps/methods.h"
#include "sweeps/plan.h"

static const char help[] =
    "usage: sluice plan SWEEP.yaml [KEY=VALUE ...] [--trials] [--ranks N] [--gflops X] [--json]\n"
    "\n"
    "Shows what `sluice run` would do, without doing it: trials, duplicates folded, distinct stages and which of them\n"
    "are shared, the work that sharing saves, and an estimate of time, memory and disk.\n"
    "\n"
    "  --trials     list every trial with the key of its result\n"
    "  --ranks N    ranks for the estimate of wall time (default: the cores of this machine)\n"
    "  --gflops X   speed of a core in the estimates, in GFLOP/s (default 20)\n"
    "  --json       everything as one JSON object\n"
    "\n"
    "KEY=VALUE pins an option, KEY=A,B,C or KEY=0..4 makes an axis of it.\n"
    "\n"
    "example: sluice plan sweeps/quickstart.yaml seed=0..4 --trials\n";

struct arguments {
    const char *sweep;
    const char *const *overrides;
    int overrides_count;
    bool trials, json, help;
    double ranks, gflops;
};

/* What is counted for each kind of stage. */
struct tally {
    int stages, shared, of_trials; /* distinct; used by more than one trial; if nothing were shared */
    double work, alone;            /* FLOP */
};

static void count(const struct plan *plan, struct tally tally[STAGE_KIND_COUNT])
{
    for (int i = 0; i < plan->stages_count; i++) {
        struct tally *t = &tally[plan->kind[i]];
        t->stages++;
        t->shared += plan->shared_by[i] > 1;
        t->of_trials += plan->shared_by[i];
        t->work += plan->cost[i];
        t->alone += plan->cost[i] * plan->shared_by[i];
    }
}

static double saved_percent(double work, double alone)
{
    return alone > 0 ? 100 * (1 - work / alone) : 0;
}

/* Ranks cannot be busier than the work allows, nor faster than the longest chain. */
static double wall_seconds(const struct plan *plan, const struct arguments *a)
{
    double speed = a->gflops * 1e9, share = plan->work / a->ranks;

    return (share > plan->critical ? share : plan->critical) / speed;
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

static void print_stages(const struct plan *plan, const struct arguments *a)
{
    struct tally tally[STAGE_KIND_COUNT] = {{0}};

    count(plan, tally);
    printf("\n%-11s %10s %10s %12s %12s %8s\n", "stage", "distinct", "shared", "if unshared", "core-hours", "saved");
    for (int kind = 0; kind < STAGE_KIND_COUNT; kind++)
        if (tally[kind].stages)
            printf("%-11s %10d %10d %12d %12.3g %7.0f%%\n", stage_kind_name(kind), tally[kind].stages,
                   tally[kind].shared, tally[kind].of_trials, tally[kind].work / a->gflops / 3.6e12,
                   saved_percent(tally[kind].work, tally[kind].alone));
}

static void print_estimate(const struct plan *plan, const struct arguments *a)
{
    char text[32], text2[32];

    printf("\nsharing saves %.0f%% of the work: %.3g instead of %.3g core-hours\n",
           saved_percent(plan->work, plan->work_alone), plan->work / a->gflops / 3.6e12,
           plan->work_alone / a->gflops / 3.6e12);
    printf("estimate at %g GFLOP/s a core: %s", a->gflops, duration(wall_seconds(plan, a), text));
    printf(" on %g ranks, at least %s on any number\n", a->ranks, duration(plan->critical / a->gflops / 1e9, text));
    printf("memory: about %s a rank; disk: about %s of checkpoints", bytes_text(plan->memory, text),
           bytes_text(plan->disk, text2));
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

static void print_text(const struct plan *plan, const struct arguments *a)
{
    const struct sweep *s = plan->sweep;

    printf("%s%s%s\n", s->setting[SETTING_NAME].text, s->setting[SETTING_DESCRIPTION].text[0] ? ": " : "",
           s->setting[SETTING_DESCRIPTION].text);
    printf("%d trial%s, from %lld combination%s: %lld excluded, %lld folded as duplicates\n", plan->trials_count,
           plan->trials_count == 1 ? "" : "s", (long long)plan->points, plan->points == 1 ? "" : "s",
           (long long)plan->excluded, (long long)plan->folded);
    print_stages(plan, a);
    print_estimate(plan, a);
    if (a->trials)
        print_trials(plan);
    for (int i = 0; i < plan->missing_count; i++)
        printf("%smissing: %s\n", i ? "" : "\n", plan->missing[i]);
}

/* ---- JSON ---- */

static json_t *json_stages(const struct plan *plan)
{
    struct tally tally[STAGE_KIND_COUNT] = {{0}};
    json_t *stages = json_object();

    count(plan, tally);
    for (int kind = 0; kind < STAGE_KIND_COUNT; kind++)
        if (tally[kind].stages)
            json_object_set_new(stages, stage_kind_name(kind),
                                json_pack("{s:i, s:i, s:i, s:f}", "distinct", tally[kind].stages, "shared",
                                          tally[kind].shared, "if_unshared", tally[kind].of_trials, "flop",
                                          tally[kind].work));
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

static void print_json(const struct plan *plan, const struct arguments *a)
{
    json_t *missing = json_array(), *root;

    for (int i = 0; i < plan->missing_count; i++)
        json_array_append_new(missing, json_string(plan->missing[i]));
    root = json_pack("{s:s, s:i, s:I, s:I, s:I, s:i, s:o, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:o}", "name",
                     plan->sweep->setting[SETTING_NAME].text, "trials_count", plan->trials_count, "combinations",
                     (json_int_t)plan->points, "excluded", (json_int_t)plan->excluded, "folded",
                     (json_int_t)plan->folded, "stages_count", plan->stages_count, "stages", json_stages(plan), "flop",
                     plan->work, "flop_unshared", plan->work_alone, "flop_critical", plan->critical, "core_hours",
                     plan->work / a->gflops / 3.6e12, "wall_seconds", wall_seconds(plan, a), "memory_bytes",
                     plan->memory, "disk_bytes", plan->disk, "missing", missing);
    if (a->trials) {
        json_t *trials = json_array();
        for (int i = 0; i < plan->trials_count; i++)
            json_array_append_new(trials, json_trial(plan, i));
        json_object_set_new(root, "trials", trials);
    }
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

static int parse_arguments(int argc, char **argv, struct arguments *a, err *e)
{
    static const struct option long_options[] = {
        {"trials", no_argument, NULL, 't'},       {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},         {"ranks", required_argument, NULL, 'n'},
        {"gflops", required_argument, NULL, 'g'}, {NULL, 0, NULL, 0},
    };
    int c;

    *a = (struct arguments){.ranks = (double)sysconf(_SC_NPROCESSORS_ONLN), .gflops = 20};
    opterr = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, "h", long_options, NULL)) != -1) {
        if (c == 't')
            a->trials = true;
        else if (c == 'j')
            a->json = true;
        else if (c == 'h')
            a->help = true;
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

static int show(const struct arguments *a, err *e)
{
    struct sweep sweep;
    struct plan plan = {0};

    if (sweep_load(a->sweep, a->overrides, a->overrides_count, &sweep, e)) {
        for (int i = 0; i < sweep.problems_count; i++)
            fprintf(stderr, "sluice plan: %s\n", sweep.problems[i]);
        if (!sweep.problems_count)
            fprintf(stderr, "sluice plan: %s\n", e->text);
    } else if (plan_make(&sweep, &sources_installed, &plan, e)) {
        fprintf(stderr, "sluice plan: %s: %s\n", a->sweep, e->text);
    } else if (a->json) {
        print_json(&plan, a);
    } else {
        print_text(&plan, a);
    }
    plan_free(&plan);
    sweep_free(&sweep);
    return err_exit_status(e->code);
}

int command_plan(int argc, char **argv)
{
    struct arguments a;
    err e = {0};

    if (parse_arguments(argc, argv, &a, &e)) {
        fprintf(stderr, "sluice plan: %s\n", e.text);
        return err_exit_status(e.code);
    }
    if (a.help) {
        fputs(help, stdout);
        return 0;
    }
    return show(&a, &e);
}
