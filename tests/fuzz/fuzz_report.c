/* tests/fuzz/fuzz_report.c - any contents of the tables of results.h5: every format of the report, without a bare NaN.
 *
 * The bytes are a list of trials and evaluations; numbers are taken from a list of good and of awkward ones. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/formats.h"
#include "analysis/report.h"
#include "io/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TRIALS = 40, EVALUATIONS = 120 };

struct bytes {
    const uint8_t *at, *end;
};

static unsigned take(struct bytes *b)
{
    return b->at < b->end ? *b->at++ : 0;
}

static double number(struct bytes *b)
{
    static const double awkward[] = {NAN, INFINITY, -INFINITY, 0, -0.0, 100, 1e300, -1e300, 5e-324, 1e-9, 70, 70};
    unsigned x = take(b);

    return x < sizeof awkward / sizeof *awkward ? awkward[x] : x / 2.56;
}

static const char *word(struct bytes *b)
{
    static const char *const words[] = {"done",  "failed", "running", "waiting", "pruned", "after", "before",
                                        "norga", "5",      "10",      "0.01",    "",       "<b>",   "a|b",
                                        "\xff",  "1e5",    "-3",      "_^{}$",   "\"",     "x,y",   "nothing\nmore",
                                        "1e-2",  "tanh"};

    return words[take(b) % (sizeof words / sizeof *words)];
}

/* Most statuses are good ones, or nearly every input would be refused. */
static const char *status(struct bytes *b)
{
    static const char *const words[] = {"done", "done", "done", "failed", "running", "waiting", "pruned", "odd"};

    return words[take(b) % (sizeof words / sizeof *words)];
}

static void refuse_bare_nan(const char *text)
{
    for (const char *s = text; (s = strstr(s, "nan")) != NULL; s++) {
        bool before = s > text && ((s[-1] | 32) >= 'a' && (s[-1] | 32) <= 'z'),
             after = (s[3] | 32) >= 'a' && (s[3] | 32) <= 'z';
        if (!before && !after)
            abort();
    }
}

static void report_on(const struct measured *m, unsigned metric)
{
    struct ablation a;
    struct document d;
    int by[MAX_BY];
    err e = {0};

    int count = ablation_default_by(m, by);
    document_start(&d, m->name);
    if (ablation_start(&a, m, by, count, (enum metric)(metric % METRIC_COUNT), &e) ||
        report_compose(&d, &a, &(struct report_request){.main = (enum metric)(metric % METRIC_COUNT)}, &e))
        abort();
    for (int i = 0; i < report_formats_count; i++) {
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        if (!out || report_formats[i].render(&d, NULL, out, &e) || fclose(out))
            abort();
        refuse_bare_nan(text);
        free(text);
    }
    document_free(&d);
    ablation_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct trial_row trials[TRIALS];
    static struct accuracy_result accuracy[EVALUATIONS];
    static struct attempt_row attempts[TRIALS];
    static struct stage_row stages[TRIALS];
    static const char *gates[TRIALS];
    static double rates[TRIALS];
    struct bytes b = {data, data + size};
    struct measured m = {0};
    err e = {0};

    unsigned metric = take(&b);
    size_t n = take(&b) % (TRIALS + 1), evaluations = take(&b) % (EVALUATIONS + 1);
    for (size_t i = 0; i < n; i++) {
        trials[i] = (struct trial_row){.trial = (int64_t)i,
                                       .seed = take(&b) % 4,
                                       .faa = number(&b),
                                       .caa = number(&b),
                                       .ffm = number(&b),
                                       .tii_accuracy = number(&b),
                                       .seconds = number(&b),
                                       .core_seconds = number(&b),
                                       .attempts = take(&b),
                                       .trainable_parameters = take(&b)};
        if (take(&b) == 255)
            trials[i].trial = take(&b);
        strcpy(trials[i].status, status(&b));
        strcpy(trials[i].method, word(&b));
        strcpy(trials[i].backbone, word(&b));
        strcpy(trials[i].cause, word(&b));
        gates[i] = word(&b);
        rates[i] = number(&b);
        attempts[i] =
            (struct attempt_row){.attempt = 1, .rank = take(&b) % 5, .started = number(&b), .seconds = number(&b)};
        snprintf(attempts[i].stage_key, sizeof attempts[i].stage_key, "%032x", take(&b));
        strcpy(attempts[i].outcome, word(&b));
        stages[i] = (struct stage_row){.task = take(&b)};
        snprintf(stages[i].stage_key, sizeof stages[i].stage_key, "%032zx", i);
        strcpy(stages[i].kind, word(&b));
    }
    for (size_t i = 0; i < evaluations; i++) {
        accuracy[i] = (struct accuracy_result){n ? (int64_t)(take(&b) % n) : 0,
                                               {.after_task = take(&b) % 7, .accuracy = number(&b)}};
        accuracy[i].row.task = take(&b) % (accuracy[i].row.after_task + 1 + (take(&b) == 255));
        strcpy(accuracy[i].row.phase, take(&b) % 4 ? "after" : "before");
    }
    const struct results_column columns[] = {
        {.name = "gate_activation", .option = "gate.activation", .kind = FIELD_TEXT, .texts = gates},
        {.name = "train_lr", .option = "train.lr", .kind = FIELD_REAL, .reals = rates}};
    const struct results r = {.trials_count = n,
                              .accuracy_count = evaluations,
                              .attempts_count = n,
                              .stages_count = n,
                              .columns_count = 2,
                              .trials = trials,
                              .columns = columns,
                              .accuracy = accuracy,
                              .attempts = attempts,
                              .stages = stages};
    if (!measured_from(&r, "fuzz", &m, &e))
        report_on(&m, metric);
    else if (e.code != ERR_DAMAGED)
        abort();
    measured_free(&m);
    return 0;
}
