/* sweeps/plan_report.c - see plan_report.h. */
#include "sweeps/plan_report.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "sweeps/command_line.h"
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
    const char *out;
    bool trials, json;
    double ranks, gflops;
};

/* A plan as it is shown. */
struct view {
    const struct plan *plan;
    const struct arguments *arguments;
    const struct plan_known *known;
    struct estimate estimate;
    int chains[STAGE_KIND_COUNT]; /* stages of one kind, task after task */
};

/* What is counted for each kind of stage. */
struct tally {
    int stages, shared, of_trials, finished; /* distinct; used by more than one trial; if nothing were shared */
    double seconds, alone;
};

static double stage_seconds(const struct view *v, int stage)
{
    return estimate_stage(v->plan, v->known, v->arguments->gflops, stage);
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

static double saved_percent(double work, double alone)
{
    return alone > 0 ? 100 * (1 - work / alone) : 0;
}

/* Ranks cannot be busier than the work allows, nor faster than the longest chain. */
static double wall_seconds(const struct view *v)
{
    double share = v->estimate.left / v->arguments->ranks;

    return share > v->estimate.critical ? share : v->estimate.critical;
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
    for (int kind = 0, any = 0; kind < STAGE_KIND_COUNT; kind++)
        if (v->chains[kind] < tally[kind].stages) {
            printf("%s %d %s", any ? "," : "chains of tasks:", v->chains[kind], stage_kind_name(kind));
            any = 1;
        }
    putchar('\n');
}

static void print_why(const struct plan_known *k)
{
    for (const char *line = k->why ? k->why : ""; *line; line += strcspn(line, "\n") + 1)
        printf("  %.*s\n", (int)strcspn(line, "\n"), line);
}

/* What earlier runs mean for this one. */
static void print_known(const struct view *v)
{
    const struct plan_known *k = v->known;

    if (!k->folder[0])
        return;
    printf("\n%s: %d of %d stages are finished", k->folder, v->estimate.finished, v->plan->stages_count);
    printf(v->estimate.finished == v->plan->stages_count ? "; nothing is left to do\n" : "; %.3g core-hours are left\n",
           v->estimate.left / 3600);
    if (k->edited)
        printf("the sweep differs from the one that ran there: %d trials kept, %d added, %d orphaned%s\n", k->kept,
               k->added, k->orphaned, k->orphaned ? " (finished stages of these stay on disk)" : "");
    if (k->outdated)
        printf("%d finished stages are of no use any more: other data, weights, options or code made them\n",
               k->outdated);
    print_why(k);
}

static void print_estimate(const struct view *v)
{
    char text[32], text2[32];

    printf("\nsharing saves %.0f%% of the work: %.3g instead of %.3g core-hours\n",
           saved_percent(v->estimate.all, v->estimate.alone), v->estimate.all / 3600, v->estimate.alone / 3600);
    if (v->estimate.measured)
        printf("estimate from measured times (%.0f GFLOP/s a core where there are none): ", v->arguments->gflops);
    else
        printf("estimate at %.0f GFLOP/s a core: ", v->arguments->gflops);
    printf("%s on %g ranks", command_line_duration(wall_seconds(v), text), v->arguments->ranks);
    printf(", at least %s on any number\n", command_line_duration(v->estimate.critical, text));
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
                                json_pack("{s:i, s:i, s:i, s:i, s:i, s:f}", "distinct", tally[kind].stages, "chains",
                                          v->chains[kind], "finished", tally[kind].finished, "shared",
                                          tally[kind].shared, "if_unshared", tally[kind].of_trials, "seconds",
                                          tally[kind].seconds));
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

static json_t *json_why(const struct plan_known *k)
{
    json_t *lines = json_array();

    for (const char *line = k->why ? k->why : ""; *line; line += strcspn(line, "\n") + 1)
        json_array_append_new(lines, json_stringn(line, strcspn(line, "\n")));
    return lines;
}

static json_t *json_known(const struct plan_known *k)
{
    return k->folder[0] ? json_pack("{s:s, s:b, s:i, s:i, s:i, s:i, s:o}", "folder", k->folder, "edited",
                                    (int)k->edited, "kept", k->kept, "added", k->added, "orphaned", k->orphaned,
                                    "outdated_stages", k->outdated, "why", json_why(k))
                        : json_null();
}

static void print_json(const struct view *v)
{
    const struct plan *plan = v->plan;
    json_t *missing = json_array(), *warnings = json_array(), *trials = json_array(), *root;

    for (int i = 0; i < plan->missing_count; i++)
        json_array_append_new(missing, json_string(plan->missing[i]));
    for (int i = 0; i < plan->warnings_count; i++)
        json_array_append_new(warnings, json_string(plan->warnings[i]));
    for (int i = 0; i < plan->trials_count && v->arguments->trials; i++)
        json_array_append_new(trials, json_trial(plan, i));
    root = json_pack("{s:s, s:i, s:I, s:I, s:I}", "name", plan->sweep->setting[SETTING_NAME].text, "trials_count",
                     plan->trials_count, "combinations", (json_int_t)plan->points, "excluded",
                     (json_int_t)plan->excluded, "folded", (json_int_t)plan->folded);
    json_object_update_new(root,
                           json_pack("{s:i, s:i, s:o, s:o}", "stages_count", plan->stages_count, "finished",
                                     v->estimate.finished, "stages", json_stages(v), "earlier", json_known(v->known)));
    json_object_update_new(root, json_pack("{s:f, s:f, s:f, s:f, s:f}", "flop", plan->work, "core_seconds",
                                           v->estimate.all, "core_seconds_unshared", v->estimate.alone,
                                           "core_seconds_left", v->estimate.left, "wall_seconds", wall_seconds(v)));
    json_object_update_new(root, json_pack("{s:f, s:f, s:o, s:o, s:o}", "memory_bytes", plan->memory, "disk_bytes",
                                           plan->disk, "missing", missing, "warnings", warnings, "trials", trials));
    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(root);
}

/* ---- the command ---- */

void plan_tell_warnings(const struct plan *plan, const char *command)
{
    for (int i = 0; i < plan->warnings_count; i++)
        fprintf(stderr, "sluice %s: warning: %s\n", command, plan->warnings[i]);
}

static int show_plan(struct plan *plan, const struct arguments *a, plan_recall *recall, err *e)
{
    struct plan_known known = {.folder = ""};
    struct view v = {.plan = plan, .arguments = a, .known = &known};

    if ((!recall || !recall(plan, a->out, &known, e)) && !estimate_make(plan, &known, a->gflops, &v.estimate, e) &&
        !graph_count_ends(&plan->graph, v.chains, e) && (!a->trials || !plan_keys(plan, e))) {
        if (a->json)
            print_json(&v);
        else
            print_text(&v);
        fflush(stdout);
        plan_tell_warnings(plan, "plan");
    }
    plan_known_free(&known);
    return e->code;
}

static int show(const struct command_line *line, const struct arguments *a, plan_recall *recall, err *e)
{
    struct sweep sweep;
    struct plan plan = {0};

    if (!sweep_load(line->sweep, line->overrides, line->overrides_count, &sweep, e) &&
        (plan_make(&sweep, &sources_installed, &plan, e) || show_plan(&plan, a, recall, e)))
        err_context(e, "%s", line->sweep);
    if (e->code)
        command_line_complain("plan", &sweep, e);
    plan_free(&plan);
    sweep_free(&sweep);
    return err_exit_status(e->code);
}

int plan_command(int argc, char **argv, plan_recall *recall, double gflops)
{
    struct arguments a = {.ranks = (double)sysconf(_SC_NPROCESSORS_ONLN), .gflops = gflops};
    const struct command_line_option options[] = {
        {"trials", .flag = &a.trials},   {"json", .flag = &a.json}, {"ranks", .number = &a.ranks},
        {"gflops", .number = &a.gflops}, {"out", .text = &a.out},
    };
    struct command_line line;
    err e = {0};

    if (command_line_read(argc, argv, options, sizeof options / sizeof *options, &line, &e)) {
        fprintf(stderr, "sluice plan: %s\n", e.text);
        return err_exit_status(e.code);
    }
    if (line.help) {
        fputs(help, stdout);
        return 0;
    }
    return show(&line, &a, recall, &e);
}
