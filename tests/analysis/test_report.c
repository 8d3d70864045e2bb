/* tests/analysis/test_report.c - every format of easy and of awkward sweeps: what it says, and that it is well-formed.
 *
 * Well-formed is judged by readers that share nothing with the writers: jansson for JSON, and small strict readers
 * below for CSV, Markdown tables, LaTeX and XML. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/canvas.h"
#include "analysis/formats.h"
#include "analysis/report.h"
#include "small_sweep.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define LONG_NAME                                                                                                \
    "a-very-long-name-that-no-table-was-made-for-but-that-somebody-gave-to-a-backbone-pretrained-on-everything-" \
    "with-sharpness-aware-minimisation"

struct fixture {
    struct measured m;
    struct ablation a;
    struct document d;
    err e;
};

static const char *const names[SMALL_FACTORS] = {"method", "gate.activation", "prompt.length"};

static void compose(struct fixture *f, const struct small_trial *list, size_t count,
                    const struct report_request *request)
{
    int by[MAX_BY];

    memset(f, 0, sizeof *f);
    small_sweep(&f->m, names, list, count, count ? 3 : 0);
    int by_count = ablation_default_by(&f->m, by);
    document_start(&f->d, "Report of the sweep <small> & \"co\"");
    assert_int_equal(ablation_start(&f->a, &f->m, by, by_count, request->main, &f->e), 0);
    assert_int_equal(report_compose(&f->d, &f->a, request, &f->e), 0);
}

static void stop(struct fixture *f)
{
    document_free(&f->d);
    ablation_free(&f->a);
    measured_free(&f->m);
}

static char *render(const struct fixture *f, const char *format, const char *table)
{
    char *text = NULL;
    size_t size;
    err e = {0};
    FILE *out = open_memstream(&text, &size);

    for (int i = 0; i < report_formats_count; i++)
        if (!strcmp(report_formats[i].name, format))
            assert_int_equal(report_formats[i].render(&f->d, table ? document_find_table(&f->d, table) : NULL, out, &e),
                             0);
    assert_int_equal(fclose(out), 0);
    assert_non_null(text);
    return text;
}

/* --- the sweeps --- */

static size_t plain(struct small_trial *out)
{
    static const char *const gates[] = {"none", "tanh", "gelu"}, *const lengths[] = {"5", "10"};
    size_t n = 0;

    for (int g = 0; g < 3; g++)
        for (int l = 0; l < 2; l++)
            for (int s = 0; s < 3; s++) {
                double y = 70 + g + 0.5 * l + 0.8 * s + 0.1 * ((g * 5 + l * 3 + s * 7) % 4);
                out[n++] = (struct small_trial){.value = {g ? "norga" : "hide", gates[g], lengths[l]},
                                                .seed = s,
                                                .status = STATUS_done,
                                                .faa = y,
                                                .caa = y + 3,
                                                .ffm = 4 - g};
            }
    for (int s = 0; s < 3; s++) /* an upper bound has neither a cumulative accuracy nor forgetting */
        out[n++] = (struct small_trial){
            .value = {"joint", "tanh", "5"}, .seed = s, .status = STATUS_done, .faa = 85 + s, .caa = NAN, .ffm = NAN};
    return n;
}

static size_t one_seed(struct small_trial *out)
{
    size_t n = 0, all = plain(out);

    for (size_t i = 0; i < all; i++)
        if (out[i].seed == 0)
            out[n++] = out[i];
    return n;
}

static size_t none(struct small_trial *out)
{
    (void)out;
    return 0;
}

static size_t single(struct small_trial *out)
{
    plain(out);
    return 1;
}

static size_t with_status(struct small_trial *out, enum trial_status status)
{
    size_t n = plain(out);

    for (size_t i = 0; i < n; i++) {
        out[i].status = status;
        out[i].faa = out[i].caa = out[i].ffm = NAN;
        out[i].cause =
            status == STATUS_failed ? (i % 2 ? "wtp task 1: loss is not finite" : "killed by signal 11") : NULL;
    }
    return n;
}

static size_t all_failed(struct small_trial *out)
{
    return with_status(out, STATUS_failed);
}

static size_t all_running(struct small_trial *out)
{
    return with_status(out, STATUS_running);
}

static size_t ties(struct small_trial *out)
{
    size_t n = plain(out);

    for (size_t i = 0; i < n; i++)
        out[i].faa = out[i].caa = 70, out[i].ffm = 0;
    return n;
}

static size_t unequal(struct small_trial *out)
{
    size_t n = plain(out);

    out[1].status = STATUS_failed; /* hide-5, seed 1 */
    out[1].faa = out[1].caa = out[1].ffm = NAN;
    out[1].cause = "out of memory: 5.1 GB of 4 GB";
    out[9].seed = 17;
    return n - 4; /* and joint has gaps */
}

static size_t hostile(struct small_trial *out)
{
    static const char *const values[] = {"<script>alert(1)</script>",
                                         "a|b",
                                         "under_score & 100 % of $5 #1 {x} ^ ~ \\ end",
                                         "comma, \"quote\"",
                                         "two\nlines",
                                         "\x1b[31mred\x1b[0m",
                                         "bad \xff utf \xc3",
                                         LONG_NAME,
                                         "=1+1",
                                         "naive nanometre"};
    size_t n = 0;

    for (size_t i = 0; i < COUNT(values); i++)
        for (int s = 0; s < 2; s++)
            out[n++] = (struct small_trial){.value = {values[i], "tanh", "5"},
                                            .seed = s,
                                            .status = i == 3 ? STATUS_failed : STATUS_done,
                                            .faa = i == 3 ? NAN : 70.0 + (double)i,
                                            .caa = NAN,
                                            .ffm = NAN,
                                            .cause = i == 3 ? values[(size_t)s] : NULL};
    return n;
}

static size_t forty(struct small_trial *out)
{
    static char texts[20][16];
    size_t n = 0;

    for (int g = 0; g < 20; g++) {
        snprintf(texts[g], sizeof texts[g], "%d", g + 1);
        for (int l = 0; l < 2; l++)
            out[n++] = (struct small_trial){.value = {"norga", l ? LONG_NAME : "tanh", texts[g]},
                                            .seed = 0,
                                            .status = STATUS_done,
                                            .faa = 60 + g + l,
                                            .caa = 70,
                                            .ffm = 1};
    }
    return n;
}

static const struct {
    const char *name;
    size_t (*fill)(struct small_trial *out);
} sweeps[] = {
    {"plain", plain},           {"one seed", one_seed},   {"no trial", none}, {"one trial", single},
    {"all failed", all_failed}, {"running", all_running}, {"ties", ties},     {"unequal seeds", unequal},
    {"hostile names", hostile}, {"forty cells", forty},
};

/* --- readers --- */

/* A NaN or an infinity that escaped: the word alone, not a part of another. */
static void no_bare_nan(const char *text, const char *where)
{
    static const char *const words[] = {"nan", "inf", "-nan", "-inf"};

    for (const char *s = text; *s; s++)
        for (size_t w = 0; w < COUNT(words); w++) {
            size_t n = strlen(words[w]);
            bool starts = s == text || (!isalnum((unsigned char)s[-1]) && s[-1] != '-');
            if (starts && !strncasecmp(s, words[w], n) && !isalnum((unsigned char)s[n]))
                fail_msg("%s: '%.40s'", where, s);
        }
}

static void no_control_characters(const char *text, const char *where)
{
    for (const char *s = text; *s; s++)
        if (((unsigned char)*s < ' ' && *s != '\n') || *s == 0x7f)
            fail_msg("%s: control character %d before '%.20s'", where, *s, s + 1);
}

/* Every record of a table has as many fields as its head. */
static void read_csv(const char *text, const char *where)
{
    int fields = 1, expected = 0;
    bool quoted = false;

    for (const char *s = text; *s; s++) {
        if (*s == '"') {
            quoted = !quoted;
        } else if (!quoted && *s == ',') {
            fields++;
        } else if (!quoted && *s == '\n') {
            if (!expected)
                expected = fields;
            if (fields != expected)
                fail_msg("%s: a record of %d fields, expected %d", where, fields, expected);
            fields = 1;
        }
    }
    assert_false(quoted);
}

static void read_markdown(const char *text, const char *where)
{
    int expected = 0;

    for (const char *line = text; *line;) {
        const char *end = strchr(line, '\n');
        int pipes = 0;
        for (const char *s = line; s < end; s++)
            pipes += *s == '|' && (s == line || s[-1] != '\\');
        if (*line != '|')
            expected = 0;
        else if (!expected)
            expected = pipes;
        else if (pipes != expected)
            fail_msg("%s: a row with %d pipes, expected %d", where, pipes, expected);
        line = end + 1;
    }
    assert_null(strstr(text, "<script"));
}

static void read_latex(const char *text, const char *where)
{
    int depth = 0;
    bool comment = false;

    for (const char *s = text; *s; s++) {
        if (*s == '\n')
            comment = false;
        if (comment)
            continue;
        if (*s == '\\') {
            s++;
            continue;
        }
        comment = *s == '%';
        depth += (*s == '{') - (*s == '}');
        if (depth < 0 || strchr("#^~_", *s))
            fail_msg("%s: '%.30s'", where, s);
    }
    assert_int_equal(depth, 0);
}

/* A strict reader of tags: names match, attributes are quoted, only the five entities.  `html` knows void elements. */
static void read_xml(const char *text, bool html, const char *where)
{
    static const char *const voids[] = {"meta", "link", "br"};
    char open[64][24];
    int depth = 0;

    for (const char *s = text; *s; s++) {
        if (*s == '&') {
            static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#"};
            bool known = false;
            for (size_t i = 0; i < COUNT(entities); i++)
                known |= !strncmp(s, entities[i], strlen(entities[i]));
            if (!known)
                fail_msg("%s: entity '%.20s'", where, s);
        }
        if (*s != '<')
            continue;
        if (s[1] == '!') {
            s = strchr(s, '>');
            continue;
        }
        bool closes = s[1] == '/';
        const char *name = s + 1 + closes;
        size_t n = strcspn(name, " />");
        assert_true(n > 0 && n < sizeof open[0]);
        bool quoted = false;
        for (s = name + n; quoted || *s != '>'; s++) {
            assert_int_not_equal(*s, 0);
            if (!quoted && *s == '<')
                fail_msg("%s: tag in a tag at '%.30s'", where, s);
            quoted ^= *s == '"';
        }
        bool alone = s[-1] == '/';
        for (size_t i = 0; html && i < COUNT(voids); i++)
            alone |= strlen(voids[i]) == n && !strncmp(name, voids[i], n);
        if (closes) {
            assert_true(depth > 0);
            depth--;
            if (strlen(open[depth]) != n || strncmp(open[depth], name, n))
                fail_msg("%s: </%.*s> closes <%s>", where, (int)n, name, open[depth]);
        } else if (!alone) {
            assert_true(depth < 64);
            snprintf(open[depth++], sizeof open[0], "%.*s", (int)n, name);
        }
    }
    assert_int_equal(depth, 0);
}

static void read_json(const char *text, const char *where)
{
    json_error_t error;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);

    if (!root)
        fail_msg("%s: line %d: %s", where, error.line, error.text);
    assert_true(json_is_object(json_object_get(json_object_get(root, "tables"), "ablation")));
    json_decref(root);
}

/* --- tests --- */

static void read_pictures(const struct fixture *f, const char *where)
{
    for (size_t i = 0; i < f->d.blocks_count; i++) {
        if (f->d.blocks[i].kind != BLOCK_PICTURE)
            continue;
        const struct report_picture *p = &f->d.blocks[i].picture;
        char *svg = NULL, *png = NULL;
        size_t svg_size, png_size;
        err e = {0};
        FILE *out = open_memstream(&svg, &svg_size);
        picture_to_svg(p, true, out);
        fclose(out);
        read_xml(svg, false, where);
        no_bare_nan(svg, where);
        assert_non_null(strstr(svg, "<desc"));
        out = open_memstream(&png, &png_size);
        assert_int_equal(picture_to_png(p, out, &e), 0);
        fclose(out);
        assert_true(png_size > 1000 && !memcmp(png, "\x89PNG\r\n\x1a\n", 8));
        free(svg);
        free(png);
    }
}

static void every_format_of_every_sweep_is_well_formed(void **state)
{
    const struct report_request request = {.main = METRIC_FAA};

    (void)state;
    for (size_t i = 0; i < COUNT(sweeps); i++) {
        struct small_trial trials[64];
        struct fixture f;
        compose(&f, trials, sweeps[i].fill(trials), &request);
        for (int k = 0; k < report_formats_count; k++) {
            char where[80];
            snprintf(where, sizeof where, "%s of %s", report_formats[k].name, sweeps[i].name);
            if (report_formats[k].each) {
                for (size_t b = 0; b < f.d.blocks_count; b++)
                    if (f.d.blocks[b].kind == BLOCK_TABLE) {
                        char *text = render(&f, "csv", f.d.blocks[b].table->id);
                        read_csv(text, where);
                        no_bare_nan(text, where);
                        free(text);
                    }
                continue;
            }
            char *text = render(&f, report_formats[k].name, NULL);
            no_bare_nan(text, where);
            no_control_characters(text, where);
            if (!strcmp(report_formats[k].name, "json"))
                read_json(text, where);
            else if (!strcmp(report_formats[k].name, "latex"))
                read_latex(text, where);
            else if (!strcmp(report_formats[k].name, "markdown"))
                read_markdown(text, where);
            else if (!strcmp(report_formats[k].name, "html"))
                read_xml(text, true, where);
            free(text);
        }
        read_pictures(&f, sweeps[i].name);
        stop(&f);
    }
}

static void expect(const char *text, const char *const *parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!strstr(text, parts[i]))
            fail_msg("'%s' is missing from:\n%s", parts[i], text);
}
#define EXPECT(text, ...) expect(text, (const char *const[]){__VA_ARGS__}, COUNT(((const char *const[]){__VA_ARGS__})))

static void the_text_says_what_was_measured(void **state)
{
    struct small_trial trials[64];
    struct fixture f;

    (void)state;
    compose(&f, trials, plain(trials), &(struct report_request){.main = METRIC_FAA});
    char *text = render(&f, "text", NULL);
    /* hide-none-5 has 70.0, 71.1, 71.8: mean 70.967, deviation 0.907, interval 70.967 -+ 4.3027 0.907 / sqrt 3 */
    EXPECT(text, "21 trials: 21 done.", "hide    none             5                  3  70.97 ± 0.91   [68.71, 73.22]",
           "joint   tanh             5                  3  86.00 ± 1.00*  [83.52, 88.48]  ",
           "Difference of FAA to the baseline method=hide, gate.activation=none, prompt.length=5, paired by seed",
           "With 3 pairs the permutation test cannot give a p below 0.25.");
    free(text);
    stop(&f);
}

static void awkward_sweeps_are_explained(void **state)
{
    static const struct {
        size_t (*fill)(struct small_trial *out);
        const char *says;
    } cases[] = {
        {one_seed, "Every row has one seed only: there is no spread and no interval."},
        {none, "No trial has finished, so there is nothing to compare."},
        {all_running, "No trial has finished yet, so there is nothing to compare."},
        {all_failed, "Failures: 21 trials"},
        {all_failed, "killed by signal 11"},
        {ties, "70.00 ± 0.00"},
        {unequal, "some seeds were measured on one side only"},
        {unequal, "out of memory: 5.1 GB of 4 GB"},
        {single, "The same in all trials: method hide, gate.activation none, prompt.length 5."},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct small_trial trials[64];
        struct fixture f;
        compose(&f, trials, cases[i].fill(trials), &(struct report_request){.main = METRIC_FAA});
        char *text = render(&f, "text", NULL), *joined = text;
        for (char *s = text; *s; s++) /* undo the wrapping */
            if (*s != '\n' || s[1] == '\n')
                *joined++ = *s;
            else {
                *joined++ = ' ';
                while (s[1] == ' ')
                    s++;
            }
        *joined = 0;
        EXPECT(text, cases[i].says);
        free(text);
        stop(&f);
    }
}

static void numbers_for_machines_are_complete(void **state)
{
    struct small_trial trials[64];
    struct fixture f;

    (void)state;
    compose(&f, trials, plain(trials), &(struct report_request){.main = METRIC_FAA});
    char *text = render(&f, "json", NULL);
    json_t *root = json_loads(text, 0, NULL);
    json_t *row =
        json_array_get(json_object_get(json_object_get(json_object_get(root, "tables"), "ablation"), "rows"), 0);
    double mean = json_real_value(json_object_get(json_object_get(row, "faa"), "mean"));
    assert_true(fabs(mean - (trials[0].faa + trials[1].faa + trials[2].faa) / 3) < 1e-12);
    json_decref(root);
    free(text);
    text = render(&f, "csv", "ablation");
    EXPECT(text,
           "method,gate.activation,prompt.length,seeds,faa_mean,faa_sd,faa_count,faa_ci95_low,faa_ci95_high,caa_mean",
           "joint,tanh,5,3,86,1,3,83.515", ",,,0,,,0\n");
    free(text);
    stop(&f);
}

static void the_page_asks_nobody_for_anything(void **state)
{
    struct small_trial trials[64];
    struct fixture f;

    (void)state;
    compose(&f, trials, plain(trials), &(struct report_request){.main = METRIC_FAA});
    char *text = render(&f, "html", NULL);
    for (const char *s = text; (s = strstr(s, "http")) != NULL; s++)
        assert_true(!strncmp(s, "http://www.w3.org/2000/svg\"", 27) || !strncmp(s, "http-equiv=", 11));
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "src="));
    assert_null(strstr(text, "@import"));
    EXPECT(text, "<html lang=\"en\">", "name=\"viewport\"", "prefers-color-scheme:dark", "@media print",
           "scope=\"col\"", "scope=\"row\"", "role=\"img\"", "<caption", "class=\"skip\"");
    free(text);
    stop(&f);
}

static void published_numbers_stand_beside(void **state)
{
    static const char yaml[] = "published:\n"
                               "  source: a paper\n"
                               "  rows:\n"
                               "    - {method: hide, prompt.length: [5, 7], faa: 70, label: table 2}\n"
                               "    - {method: norga, gate.activation: gelu, faa: 74, faa_sd: 0.5, seeds: 4, caa: 75}\n"
                               "    - {method: nobody, faa: 1}\n";
    struct small_trial trials[64];
    struct published p;
    struct fixture f;
    err e = {0};

    (void)state;
    assert_int_equal(published_read(yaml, strlen(yaml), &p, &e), 0);
    assert_int_equal(p.count, 3);
    compose(&f, trials, plain(trials), &(struct report_request){.main = METRIC_FAA, .published = &p});
    const struct report_table *t = document_find_table(&f.d, "published");
    assert_non_null(t);
    assert_int_equal(table_rows(t), 5); /* hide at length 5; gelu at both lengths, with two numbers each */
    /* hide-none-5: mean 70.9667, deviation 0.9074 over 3 seeds; the published mean has no known error */
    assert_true(fabs(table_cell(t, 0, 7)->number - 70.9666667 + 70) < 1e-6);
    assert_true(fabs(table_cell(t, 0, 8)->number - 0.9666667 / (0.9073772 / sqrt(3))) < 1e-5);
    /* gelu-5: both sides have an error */
    const struct estimate *ours = &table_cell(t, 1, 5)->estimate;
    assert_true(fabs(table_cell(t, 1, 8)->number - (ours->mean - 74) / sqrt(ours->sd * ours->sd / 3 + 0.25 / 4)) <
                1e-9);
    char *text = render(&f, "text", NULL);
    EXPECT(text, "Beside published numbers (a paper)", "table 2");
    free(text);
    stop(&f);
    published_free(&p);
}

static void texts_are_made_harmless(void **state)
{
    struct document d;

    (void)state;
    document_start(&d, "t");
    assert_string_equal(document_text(&d, "a\x1b[1m\x07z"), "a [1m z");
    assert_string_equal(document_text(&d, "\xff\xc3-\xe2\x82\xacü\xed\xa0\x80"), "\?\?-€ü\?\?\?");
    assert_string_equal(document_text(&d, "x\xc2\x9by"), "x  y"); /* C1: a terminal may take it for an escape */
    assert_true(document_complete(&d));
    document_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_of_every_sweep_is_well_formed),
        cmocka_unit_test(the_text_says_what_was_measured),
        cmocka_unit_test(awkward_sweeps_are_explained),
        cmocka_unit_test(numbers_for_machines_are_complete),
        cmocka_unit_test(the_page_asks_nobody_for_anything),
        cmocka_unit_test(published_numbers_stand_beside),
        cmocka_unit_test(texts_are_made_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
