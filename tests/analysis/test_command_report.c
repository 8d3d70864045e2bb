/* tests/analysis/test_command_report.c - `sluice report` as a user meets it: output, files, mistakes, damaged results. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analysis/commands.h"
#include "io/h5.h"
#include "sample_store.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct sample plain = {
    .gates = 4, .lengths = 2, .seeds = 3, .tasks = 4, .finished = 100, .ranks = 2, .failure = true};

struct output {
    int status;
    char out[200000], errors[4000];
};

static void slurp(const char *path, char *to, size_t size)
{
    FILE *in = fopen(path, "rb");

    assert_non_null(in);
    size_t n = fread(to, 1, size - 1, in);
    to[n] = 0;
    fclose(in);
}

/* Run the command on these words, with its two streams in files. */
static struct output *run_words(const char *const *words, size_t count)
{
    static struct output o;
    char *argv[20] = {(char[]){"report"}};
    int kept[2] = {dup(1), dup(2)};
    static const char *const names[] = {"stdout.txt", "stderr.txt"};

    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        int fd = open(names[i], O_WRONLY | O_CREAT | O_TRUNC, 0600);
        assert_true(fd >= 0 && dup2(fd, i + 1) == i + 1);
        close(fd);
    }
    for (size_t i = 0; i < count; i++)
        argv[i + 1] = strdup(words[i]);
    o.status = command_report((int)count + 1, argv);
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        dup2(kept[i], i + 1);
        close(kept[i]);
    }
    for (size_t i = 0; i < count; i++)
        free(argv[i + 1]);
    slurp(names[0], o.out, sizeof o.out);
    slurp(names[1], o.errors, sizeof o.errors);
    return &o;
}
#define RUN(...) run_words((const char *const[]){__VA_ARGS__}, COUNT(((const char *const[]){__VA_ARGS__})))

static void make_sweep(const char *folder, const struct sample *s)
{
    char path[100];
    err e = {0};

    mkdir(folder, 0700);
    snprintf(path, sizeof path, "%s/results.h5", folder);
    if (sample_store_write(path, s, &e))
        fail_msg("%s", e.text);
}

static void contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is missing from: %s", part, text);
}

static void a_folder_and_its_file_give_the_same_report(void **state)
{
    char *first;

    (void)state;
    make_sweep("plain", &plain);
    struct output *o = RUN("plain");
    assert_int_equal(o->status, 0);
    assert_string_equal(o->errors, "");
    contains(o->out, "Report of the sweep sample");
    contains(o->out, "24 trials: 23 done, 1 failed.");
    contains(o->out, "wtp task 2: loss is not finite");
    contains(o->out, "Beside published numbers (a paper)");
    first = strdup(o->out);
    o = RUN("plain/results.h5");
    assert_string_equal(o->out, first);
    free(first);
}

static void rows_and_baselines_can_be_chosen(void **state)
{
    (void)state;
    make_sweep("plain", &plain);
    struct output *o = RUN("plain", "--by", "gate_activation", "--table", "ablation", "--format", "csv");
    assert_int_equal(o->status, 0);
    int lines = 0;
    for (const char *s = o->out; *s; s++)
        lines += *s == '\n';
    assert_int_equal(lines, 5); /* a head and four gates */
    o = RUN("plain", "--by", "gate.activation,prompt.length", "--baseline", "gate.activation=none", "--table",
            "differences", "--json");
    assert_int_equal(o->status, 0);
    json_t *root = json_loads(o->out, 0, NULL);
    json_t *table = json_object_get(json_object_get(root, "tables"), "differences");
    assert_int_equal(json_array_size(json_object_get(table, "rows")), 6); /* three gates against none, at two lengths */
    json_decref(root);
    o = RUN("plain", "--metric", "ffm");
    assert_int_equal(o->status, 0);
    contains(o->out, "Difference of FFM to the baseline");
}

/* BWT is there for machines and people, and can be what a report is about. */
static void backward_transfer_is_a_metric(void **state)
{
    (void)state;
    make_sweep("plain", &plain);
    struct output *o = RUN("plain", "--table", "measures", "--json");
    assert_int_equal(o->status, 0);
    json_t *root = json_loads(o->out, 0, NULL);
    json_t *measures = json_object_get(json_object_get(json_object_get(root, "tables"), "measures"), "rows");
    assert_int_equal(json_array_size(measures), 8);
    json_t *row = json_array_get(measures, 0);
    double bwt = json_number_value(json_object_get(json_object_get(row, "bwt"), "mean"));
    json_decref(root);
    o = RUN("plain", "--table", "ablation", "--json");
    root = json_loads(o->out, 0, NULL);
    row = json_array_get(json_object_get(json_object_get(json_object_get(root, "tables"), "ablation"), "rows"), 0);
    assert_float_equal(bwt, -json_number_value(json_object_get(json_object_get(row, "ffm"), "mean")), 1e-9);
    assert_null(json_object_get(row, "bwt"));
    json_decref(root);
    o = RUN("plain", "--table", "measures", "--format", "csv");
    contains(o->out, "bwt_mean,bwt_sd,bwt_count\n");
    o = RUN("plain", "--metric", "bwt");
    assert_int_equal(o->status, 0);
    contains(o->out, "Difference of BWT to the baseline");
    o = RUN("plain", "--metric", "bwt", "--table", "ablation", "--format", "csv");
    contains(o->out, "bwt_mean,bwt_sd,bwt_count\n");
}

static void every_format_becomes_files(void **state)
{
    static const char *const files[] = {
        "report.txt",           "report.md",          "report.tex",        "report.json",        "report.html",
        "ablation.csv",         "differences.csv",    "seeds-picture.svg", "curves-picture.png", "matrices-picture.svg",
        "timeline-picture.png", "effects-picture.svg"};

    (void)state;
    make_sweep("plain", &plain);
    for (int again = 0; again < 2; again++) {
        struct output *o = RUN("plain", "--format", "all");
        assert_int_equal(o->status, 0);
        for (size_t i = 0; i < COUNT(files); i++) {
            char path[100];
            struct stat s;
            snprintf(path, sizeof path, "plain/report/%s", files[i]);
            assert_int_equal(stat(path, &s), 0);
            assert_true(s.st_size > 100);
            contains(o->out, path); /* the command says what it wrote */
        }
    }
    struct output *o = RUN("plain", "--format", "markdown", "--out", "elsewhere");
    assert_int_equal(o->status, 0);
    static char text[100000];
    slurp("elsewhere/report.md", text, sizeof text);
    contains(text, "](curves-picture.svg)");
    assert_int_equal(access("elsewhere/curves-picture.svg", R_OK), 0);
}

static void a_sweep_may_be_unfinished(void **state)
{
    struct sample s = plain;

    (void)state;
    s.finished = 10;
    make_sweep("running", &s);
    struct output *o = RUN("running");
    assert_int_equal(o->status, 0);
    contains(o->out, "The sweep is not finished");
    s.finished = 0;
    s.failure = false;
    make_sweep("started", &s);
    o = RUN("started");
    assert_int_equal(o->status, 0);
    contains(o->out, "No trial has finished yet");
}

static void mistakes_are_explained(void **state)
{
    static const struct {
        const char *words[4];
        const char *says;
    } cases[] = {
        {{"plain", "--by", "gate.form"}, "the sweep does not vary 'gate.form'; its options are method, dataset.name"},
        {{"plain", "--by", "method,,seed"}, "there is an empty word between commas"},
        {{"plain", "--by", "method,method"}, "--by names method twice"},
        {{"plain", "--baseline", "gate.activation"}, "--baseline wants KEY=VALUE, not 'gate.activation'"},
        {{"plain", "--baseline", "gate.activation=cubic"},
         "gate.activation is never 'cubic'; it is none, tanh, sigmoid, gelu"},
        {{"plain", "--baseline", "backbone=vit-micro"}, "which does not tell the rows apart"},
        {{"plain", "--metric", "beauty"}, "there is no metric 'beauty'"},
        {{"plain", "--format", "docx"}, "there is no format 'docx'"},
        {{"plain", "--format", "text,text"}, "--format names text twice"},
        {{"plain", "--table", "chair"}, "this report has no table 'chair'; it has ablation, differences"},
        {{"plain", "--out", "no/such/place"}, "no/such/place: the folder that it should lie in does not exist"},
        {{"plain", "--colour"}, "'--colour' is no option"},
        {{"plain", "plain"}, "one folder at a time"},
        {{"nowhere"}, "nowhere"},
        {{"empty"}, "there is no results.h5 in it"},
    };

    (void)state;
    make_sweep("plain", &plain);
    mkdir("empty", 0700);
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t n = 0;
        while (n < 4 && cases[i].words[n])
            n++;
        struct output *o = run_words(cases[i].words, n);
        if (o->status != 2)
            fail_msg("case %zu ended with status %d: %s", i, o->status, o->errors);
        contains(o->errors, cases[i].says);
        assert_string_equal(o->out, "");
    }
}

static void damaged(const char *path, const char *says)
{
    struct output *o = RUN(path);

    if (o->status != 3)
        fail_msg("%s: status %d, '%s'", path, o->status, o->errors);
    contains(o->errors, "sluice report: ");
    contains(o->errors, path);
    contains(o->errors, says);
    assert_string_equal(o->out, "");
}

static void lies_are_refused(void **state)
{
    static const struct {
        enum lie lie;
        const char *says;
    } cases[] = {{LIE_TRIAL_TWICE, "trial 0 is there twice"},
                 {LIE_NO_SUCH_TRIAL, "there is no trial 1000000"},
                 {LIE_STATUS, "trial 0 has the status 'splendid'"},
                 {LIE_TASK, "task 7 after task 0 cannot be"}};

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sample s = plain;
        s.lie = cases[i].lie;
        make_sweep("lie", &s);
        damaged("lie/results.h5", cases[i].says);
    }
}

static void foreign_and_broken_files_are_refused(void **state)
{
    static char bytes[1 << 20];
    float number = 1;
    err e = {0};
    h5 *file;

    (void)state;
    FILE *out = fopen("text.h5", "w");
    fputs("trial,faa\n0,71.2\n", out);
    fclose(out);
    damaged("text.h5", "HDF5");
    assert_int_equal(h5_create("foreign.h5", &file, &e), 0);
    assert_int_equal(h5_write(file, "weights", H5_F32, 0, NULL, &number, false, &e), 0);
    assert_int_equal(h5_commit(file, NULL, &e), 0);
    damaged("foreign.h5", "is not a results file");
    make_sweep("plain", &plain);
    FILE *in = fopen("plain/results.h5", "rb");
    size_t n = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    assert_true(n > 1000 && n < sizeof bytes);
    for (int part = 0; part < 4; part++) {
        out = fopen("cut.h5", "wb");
        fwrite(bytes, 1, n * (size_t)part / 4, out);
        fclose(out);
        damaged("cut.h5", "cut.h5");
    }
}

static void a_sweep_file_that_cannot_be_read_is_named(void **state)
{
    struct sample s = plain;

    (void)state;
    s.lie = LIE_YAML;
    make_sweep("yaml", &s);
    damaged("yaml/results.h5", "the sweep that it keeps cannot be read");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_and_its_file_give_the_same_report),
        cmocka_unit_test(rows_and_baselines_can_be_chosen),
        cmocka_unit_test(backward_transfer_is_a_metric),
        cmocka_unit_test(every_format_becomes_files),
        cmocka_unit_test(a_sweep_may_be_unfinished),
        cmocka_unit_test(mistakes_are_explained),
        cmocka_unit_test(lies_are_refused),
        cmocka_unit_test(foreign_and_broken_files_are_refused),
        cmocka_unit_test(a_sweep_file_that_cannot_be_read_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
