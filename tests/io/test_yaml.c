/* tests/io/test_yaml.c - places of nodes, merging, and everything that a hostile file may try. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/yaml.h"

static yaml_document *parse(const char *text)
{
    yaml_document *d;
    err e = {0};

    if (yaml_parse("x.yaml", text, strlen(text), &d, &e))
        fail_msg("%s", e.text);
    return d;
}

static void test_places(void **state)
{
    yaml_document *d = parse("a: 1\nb:\n  - x\n  - {c: \"5\", \"d\": ~}\n");
    const struct yaml_node *root = yaml_root(d), *b = yaml_get(root, "b"), *map = b->values[1];

    (void)state;
    assert_int_equal(root->count, 2);
    assert_string_equal(yaml_get(root, "a")->text, "1");
    assert_true(yaml_get(root, "a")->plain);
    assert_int_equal(b->kind, YAML_LIST);
    assert_int_equal(b->values[0]->line, 3);
    assert_int_equal(b->values[0]->column, 5);
    assert_string_equal(b->values[0]->file, "x.yaml");
    assert_int_equal(map->kind, YAML_MAP);
    assert_int_equal(map->keys[1]->line, 4);
    assert_int_equal(map->keys[1]->column, 14);
    assert_false(yaml_get(map, "c")->plain);
    assert_true(yaml_is_null(yaml_get(map, "d")));
    assert_null(yaml_get(map, "e"));
    assert_null(yaml_get(b, "c"));
    yaml_close(d);
}

static void test_merge(void **state)
{
    yaml_document *d = parse("p: &p {x: 1, y: 2}\nq: &q {y: 3, z: 4}\n"
                             "r: {<<: *p, y: 9}\ns: {<<: [*q, *p], w: 0}\n");
    const struct yaml_node *r = yaml_get(yaml_root(d), "r"), *s = yaml_get(yaml_root(d), "s");

    (void)state;
    assert_int_equal(r->count, 2);
    assert_string_equal(yaml_get(r, "x")->text, "1");
    assert_string_equal(yaml_get(r, "y")->text, "9");
    assert_int_equal(s->count, 4);
    assert_string_equal(yaml_get(s, "y")->text, "3"); /* the earlier of the list */
    assert_string_equal(yaml_get(s, "x")->text, "1");
    yaml_close(d);
}

static void test_empty(void **state)
{
    yaml_document *d = parse("# nothing\n");

    (void)state;
    assert_null(yaml_root(d));
    yaml_close(d);
    d = parse("\xEF\xBB\xBFkey: value");
    assert_string_equal(yaml_get(yaml_root(d), "key")->text, "value");
    yaml_close(d);
    yaml_close(NULL);
}

static void expect(const char *bytes, size_t n, const char *message)
{
    yaml_document *d;
    err e = {0};

    assert_int_equal(yaml_parse("x.yaml", bytes, n, &d, &e), ERR_CONFIG);
    assert_string_equal(e.text, message);
    assert_null(d);
}

static void test_errors(void **state)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"a: 1\n\tb: 2\n", "x.yaml:2:1: a tab cannot indent YAML; use spaces"},
        {"a: 1\nb: \xff\n", "x.yaml:2:4: invalid UTF-8; save the file as UTF-8"},
        {"\xc3\xa4: \xc0\x80", "x.yaml:1:4: invalid UTF-8; save the file as UTF-8"}, /* an overlong NUL */
        {"a: \xed\xa0\x80", "x.yaml:1:4: invalid UTF-8; save the file as UTF-8"},    /* a surrogate */
        {"a: \xf5\x80\x80\x80", "x.yaml:1:4: invalid UTF-8; save the file as UTF-8"},
        {"a: \xe2\x82", "x.yaml:1:4: invalid UTF-8; save the file as UTF-8"}, /* cut */
        {"a: 1\nb: 2\na: 3\n", "x.yaml:3:1: the key 'a' is already on line 1"},
        {"{a: 1, b: {c: 1, c: 2}}", "x.yaml:1:18: the key 'c' is already on line 1"},
        {"a: [1, 2\nb: 2\n",
         "x.yaml:2:2: did not find expected ',' or ']' while parsing a flow sequence (from line 1)"},
        {"a: &x [*x]\n", "x.yaml:1:8: an alias inside its own anchor"},
        {"a: *y\n", "x.yaml:1:4: an alias without an anchor before it"},
        {"a: \"x\\0y\"\n", "x.yaml:1:4: a text with a NUL character"},
        {"? [a]\n: b\n", "x.yaml:1:5: a key must be a text"},
        {"--- a\n--- b\n", "x.yaml:2:1: a second document; a file holds one"},
        {"a: b: c\n", "x.yaml:1:5: mapping values are not allowed in this context"},
        {"a: \x01\n", "x.yaml: byte 3: control characters are not allowed; write plain UTF-8 text"},
        {"a: {<<: 5}\n", "x.yaml:1:5: << merges maps only"},
        {"a: {<<: [{b: 1}, c]}\n", "x.yaml:1:5: << merges maps only"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        expect(rows[i].text, strlen(rows[i].text), rows[i].message);
    expect("a: 1\nb: \0", 9, "x.yaml:2:4: a NUL byte; this is not a text file");
}

/* n copies of a text after a head. */
static char *repeat(const char *head, const char *text, size_t n)
{
    size_t size;
    char *all;
    FILE *out = open_memstream(&all, &size);

    fputs(head, out);
    for (size_t i = 0; i < n; i++)
        fputs(text, out);
    fclose(out);
    return all;
}

static void test_limits(void **state)
{
    static const struct {
        const char *head, *text;
        size_t n;
        const char *message;
    } rows[] = {
        {"a: ", "[", 10000, "x.yaml:1:67: nested more than 64 deep"},
        {"a: ", "{b: ", 10000, "x.yaml:1:256: nested more than 64 deep"},
        {"", "- ", 10000, "x.yaml:1:129: nested more than 64 deep"},
        {"a: ", "x", 65537, "x.yaml:1:4: a text of more than 65536 bytes"},
        {"a: ", "1234567890", 1000000, "x.yaml: larger than 4 MiB"},
        {"", "- \n", 1200000, "x.yaml:1000000:2: more than 1000000 nodes"},
    };
    size_t size;
    char *all;
    FILE *out;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        all = repeat(rows[i].head, rows[i].text, rows[i].n);
        expect(all, strlen(all), rows[i].message);
        free(all);
    }
    out = open_memstream(&all, &size);
    for (int i = 0; i < 1001; i++)
        fprintf(out, "k%d: 1\n", i);
    fclose(out);
    expect(all, size, "x.yaml:1001:8: a map with more than 1000 keys");
    free(all);

    /* an alias bomb: 10^12 nodes in 12 lines */
    out = open_memstream(&all, &size);
    fputs("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n", out);
    for (int i = 1; i < 12; i++) {
        fprintf(out, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            fprintf(out, "*a%d%s", i - 1, k < 9 ? ", " : "]\n");
    }
    fclose(out);
    expect(all, size, "x.yaml:6:55: more than 1000000 nodes once aliases are expanded");
    free(all);
}

static void test_files(void **state)
{
    yaml_document *d;
    FILE *out = fopen("good.yaml", "w");
    err e = {0};

    (void)state;
    fputs("a: 1\n", out);
    fclose(out);
    assert_int_equal(yaml_load("good.yaml", &d, &e), 0);
    assert_string_equal(yaml_root(d)->file, "good.yaml");
    yaml_close(d);
    assert_int_equal(yaml_load("none.yaml", &d, &e), ERR_MISSING);
    assert_string_equal(e.text, "none.yaml: there is no such file");
    assert_int_equal(yaml_load("/", &d, &e), ERR_CONFIG);
    assert_string_equal(e.text, "/: not a file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places), cmocka_unit_test(test_merge),  cmocka_unit_test(test_empty),
        cmocka_unit_test(test_errors), cmocka_unit_test(test_limits), cmocka_unit_test(test_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
