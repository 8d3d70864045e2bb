/* tests/analysis/sample_store.c - see sample_store.h. */
#include "sample_store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const gates[] = {"none", "tanh", "sigmoid", "gelu", "relu", "elu"};

static const char yaml[] = "name: sample\n"
                           "published:\n"
                           "  source: a paper\n"
                           "  rows:\n"
                           "    - {gate.activation: tanh, faa: 80, faa_sd: 0.2, seeds: 3}\n";

/* A number in [0, 1) that depends on nothing but its arguments. */
static double noise(int a, int b, int c)
{
    uint64_t x =
        (uint64_t)a * 0x9e3779b97f4a7c15u ^ (uint64_t)b * 0xc2b2ae3d27d4eb4fu ^ (uint64_t)c * 0x165667b19e3779f9u;

    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 32;
    return (double)(x >> 11) / 9007199254740992.0;
}

static double accuracy(int trial, int gate, int length, int after, int task)
{
    return 88 + gate + 0.5 * length - 1.5 * (after - task) - 0.8 * after + noise(trial, after, task);
}

struct tables {
    struct trial_row *trials;
    struct accuracy_result *accuracy;
    struct attempt_row *attempts;
    struct stage_row *stages;
    struct option_result *options;
    const char **gate;
    int64_t *length;
    size_t accuracies;
};

static void fill_trial(const struct sample *s, struct tables *t, int i)
{
    struct trial_row *row = &t->trials[i];
    int seed = i % s->seeds, length = i / s->seeds % s->lengths, gate = i / s->seeds / s->lengths;
    bool failed = s->failure && i == 1, done = i < s->finished && !failed;

    *row = (struct trial_row){.trial = i,
                              .seed = seed,
                              .faa = NAN,
                              .caa = NAN,
                              .ffm = NAN,
                              .bwt = NAN,
                              .tii_accuracy = NAN,
                              .faa_before = NAN,
                              .caa_before = NAN,
                              .ffm_before = NAN,
                              .bwt_before = NAN,
                              .tii_before = NAN,
                              .tii_sample = NAN,
                              .seconds = NAN,
                              .core_seconds = NAN,
                              .attempts = done || failed,
                              .trainable_parameters = 12345 + length};
    snprintf(row->key, sizeof row->key, "%032x", i);
    snprintf(row->status, sizeof row->status, "%s", failed ? "failed" : done ? "done" : "waiting");
    snprintf(row->method, sizeof row->method, "%s", gate ? "norga" : "hide");
    snprintf(row->dataset, sizeof row->dataset, "fashion-mnist");
    snprintf(row->backbone, sizeof row->backbone, "vit-micro");
    snprintf(row->cause, sizeof row->cause, "%s", failed ? "wtp task 2: loss is not finite" : "");
    t->gate[i] = gates[gate];
    t->length[i] = 5 * (length + 1);
    t->options[i] = (struct option_result){i, "gate.activation", gates[gate]};
    if (!done)
        return;
    double last = 0, all = 0, forgotten = 0;
    for (int after = 0; after < s->tasks; after++) {
        double sum = 0;
        for (int task = 0; task <= after; task++) {
            double a = accuracy(i, gate, length, after, task);
            struct accuracy_result *r = &t->accuracy[t->accuracies++];
            *r = (struct accuracy_result){
                i, {.after_task = after, .task = task, .accuracy = a, .tii_accuracy = 90, .loss = 0.5, .images = 2000}};
            strcpy(r->row.phase, "after");
            if (s->phases) {
                t->accuracy[t->accuracies] = *r;
                t->accuracy[t->accuracies].row.accuracy -= 5;
                strcpy(t->accuracy[t->accuracies++].row.phase, "before");
            }
            sum += a;
            if (after == s->tasks - 1 && task < after)
                forgotten += accuracy(i, gate, length, task, task) - a;
        }
        last = sum / (after + 1);
        all += last;
    }
    row->faa = last;
    row->caa = all / s->tasks;
    row->ffm = s->tasks > 1 ? forgotten / (s->tasks - 1) : NAN;
    row->bwt = -row->ffm; /* every task is best when it is learned */
    row->tii_accuracy = 90;
    row->seconds = 60 + 10 * noise(i, 0, 1);
    row->core_seconds = row->seconds;
}

static int stages_of_trial(const struct sample *s)
{
    return s->stages ? s->stages : 1;
}

static void fill_attempt(const struct sample *s, struct tables *t, int i)
{
    static const char *const kinds[] = {"features", "tii", "wtp", "infer", "tap"};
    struct attempt_row *a = &t->attempts[i];
    struct stage_row *g = &t->stages[i];

    *a = (struct attempt_row){
        .attempt = 1, .rank = 1 + i % s->ranks, .started = 1.7e9 + 70.0 * (i / s->ranks), .seconds = 60};
    snprintf(a->stage_key, sizeof a->stage_key, "%032x", i);
    snprintf(a->kind, sizeof a->kind, "%s", kinds[i % 5]);
    snprintf(a->host, sizeof a->host, "node-1");
    snprintf(a->outcome, sizeof a->outcome, "%s", s->failure && i == stages_of_trial(s) ? "failed" : "done");
    *g = (struct stage_row){.task = i % s->tasks, .shared_by = 1, .seconds = 60};
    memcpy(g->stage_key, a->stage_key, sizeof g->stage_key);
    memcpy(g->digest, a->stage_key, sizeof g->digest);
    snprintf(g->kind, sizeof g->kind, "%s", kinds[i % 5]);
    snprintf(g->checkpoint, sizeof g->checkpoint, "checkpoints/%s.h5", g->stage_key);
}

static void tell(enum lie lie, struct tables *t)
{
    if (lie == LIE_TRIAL_TWICE)
        t->trials[2].trial = 0;
    else if (lie == LIE_NO_SUCH_TRIAL)
        t->accuracy[1].trial = 1000000;
    else if (lie == LIE_STATUS)
        strcpy(t->trials[0].status, "splendid");
    else if (lie == LIE_TASK)
        t->accuracy[0].row.task = 7; /* evaluated before it was learned */
}

int sample_store_write(const char *path, const struct sample *s, err *e)
{
    const struct results_attribute attributes[] = {
        {"sweep_name", "sample"}, {"sweep_yaml", s->lie == LIE_YAML ? "a: [" : yaml}, {"program", "0.1.0"}};
    size_t n = (size_t)(s->gates * s->lengths * s->seeds), cells = (size_t)(s->tasks * (s->tasks + 1) / 2),
           tries = n * (size_t)stages_of_trial(s);
    struct tables t = {
        .trials = calloc(n + 1, sizeof *t.trials),
        .accuracy = calloc((s->phases ? 2 : 1) * n * cells + 1, sizeof *t.accuracy),
        .attempts = calloc(tries + 1, sizeof *t.attempts),
        .stages = calloc(tries + 1, sizeof *t.stages),
        .options = calloc(n + 1, sizeof *t.options),
        .gate = calloc(n + 1, sizeof *t.gate),
        .length = calloc(n + 1, sizeof *t.length),
    };
    for (size_t i = 0; i < n; i++)
        fill_trial(s, &t, (int)i);
    for (size_t i = 0; i < tries; i++)
        fill_attempt(s, &t, (int)i);
    tell(s->lie, &t);
    size_t tried = (s->finished < (int)n ? (size_t)s->finished : n) * (size_t)stages_of_trial(s);
    const struct results_column columns[] = {
        {.name = "gate_activation",
         .option = "gate.activation",
         .help = "the gate",
         .kind = FIELD_TEXT,
         .texts = t.gate},
        {.name = "prompt_length",
         .option = "prompt.length",
         .unit = "tokens",
         .help = "prefix experts",
         .kind = FIELD_INT,
         .integers = t.length},
    };
    const struct results r = {.trials_count = n,
                              .accuracy_count = t.accuracies,
                              .attempts_count = tried,
                              .stages_count = tried,
                              .options_count = n,
                              .columns_count = 2,
                              .attributes_count = 3,
                              .trials = t.trials,
                              .columns = columns,
                              .accuracy = t.accuracy,
                              .attempts = t.attempts,
                              .stages = t.stages,
                              .options = t.options,
                              .attributes = attributes};

    results_write(path, &r, e);
    void *blocks[] = {t.trials, t.accuracy, t.attempts, t.stages, t.options, t.gate, t.length};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        free(blocks[i]);
    return e->code;
}
