/* tests/orchestrator/test_plan_command.c - what `sluice plan` says of a folder in which the sweep has run before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "orchestrator/commands.h"
#include "orchestrator/folder.h"
#include "orchestrator/history.h"
#include "sweeps/plan.h"

static const char before[] =
    "name: p\ntrial: {dataset.name: nowhere, backbone: none, method: sequential}\ngrid: {seed: 0..3}\n";
static const char after[] =
    "name: p\ntrial: {dataset.name: nowhere, backbone: none, method: sequential}\ngrid: {seed: 2..6}\n";

static void write_file(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");

    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

/* A ledger that says: the first n stages of the plan are finished, 2 s for each sequential one; and one of no plan. */
static void pretend_run(const struct folder *f, const struct plan *plan, int n)
{
    ledger *l;
    struct ledger_summary summary;
    err e = {0};

    unlink(f->ledger);
    assert_int_equal(ledger_open(f->ledger, NULL, NULL, &summary, &l, &e), 0);
    for (int i = 0; i <= n; i++) {
        struct attempt a = {.stage = i < n ? plan->key[i] : digest_bytes("old", 3),
                            .kind = (enum stage_kind)plan->kind[i < n ? i : 0],
                            .task = plan->task[i < n ? i : 0],
                            .number = 1,
                            .host = "h",
                            .started = 5,
                            .seconds = 2};
        struct digest content = digest_bytes(&i, sizeof i);
        char *fact = fact_done(&a, &content, 10, 1.5, "{\"accuracy\": [], \"training\": []}");
        assert_int_equal(ledger_append(l, FACT_DONE, fact, strlen(fact), &e), 0);
        free(fact);
    }
    assert_int_equal(ledger_sync(l, &e), 0);
    ledger_close(l);
}

/* The command's standard output as JSON. */
static json_t *plan_json(char *sweep)
{
    char words[][10] = {"plan", "--json", "--out", "out"},
         *argv[] = {words[0], words[1], words[2], words[3], sweep, NULL};
    int saved = dup(STDOUT_FILENO), to = open("plan.json", O_CREAT | O_TRUNC | O_WRONLY, 0666), status;
    json_t *root;

    fflush(stdout);
    dup2(to, STDOUT_FILENO);
    status = command_plan(5, argv);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(to);
    assert_int_equal(status, 0);
    root = json_load_file("plan.json", 0, NULL);
    assert_non_null(root);
    return root;
}

static long number(const json_t *root, const char *key)
{
    return (long)json_number_value(json_object_get(root, key));
}

static void test_recall(void **state)
{
    char before_file[] = "before.yaml", after_file[] = "after.yaml";
    struct sweep sweep;
    struct plan plan;
    struct folder folder;
    bool changed;
    json_t *root, *earlier;
    err e = {0};

    (void)state;
    write_file("before.yaml", before);
    write_file("after.yaml", after);
    assert_int_equal(sweep_load("before.yaml", NULL, 0, &sweep, &e), 0);
    assert_int_equal(plan_make(&sweep, &sources_installed, &plan, &e), 0);
    assert_int_equal(plan_keys(&plan, &e), 0);
    assert_int_equal(plan.stages_count, 1 + 4 * 5);
    assert_int_equal(folder_name("out", "p", &folder, &e), 0);

    unlink(folder.ledger);
    root = plan_json(before_file);
    assert_true(json_is_null(json_object_get(root, "earlier"))); /* nothing ran yet */
    assert_int_equal(number(root, "finished"), 0);
    json_decref(root);

    assert_int_equal(folder_make(&folder, &e), 0);
    assert_int_equal(folder_freeze(&folder, &sweep, "before.yaml", &changed, &e), 0);
    pretend_run(&folder, &plan, 1 + 5);

    root = plan_json(before_file);
    earlier = json_object_get(root, "earlier");
    assert_int_equal(number(root, "finished"), 6);
    assert_int_equal(number(earlier, "kept"), 4);
    assert_int_equal(number(earlier, "added"), 0);
    assert_int_equal(number(earlier, "orphaned"), 0);
    assert_false(json_is_true(json_object_get(earlier, "edited")));
    assert_int_equal(number(earlier, "outdated_stages"), 1);
    /* measured: 2 s for each of 5 sequential stages of the first trial, and as much for each of the other three */
    assert_true(fabs(json_number_value(json_object_get(root, "core_seconds_left")) - 3 * 10) < 1e-6);
    json_decref(root);

    root = plan_json(after_file);
    earlier = json_object_get(root, "earlier");
    assert_int_equal(number(root, "finished"), 1); /* features; the finished trial has another seed */
    assert_int_equal(number(earlier, "kept"), 2);
    assert_int_equal(number(earlier, "added"), 3);
    assert_int_equal(number(earlier, "orphaned"), 2);
    assert_string_equal(json_string_value(json_array_get(json_object_get(earlier, "why"), 0)),
                        "seed was 0, 1, 2, 3; it is 2, 3, 4, 5, 6");
    assert_int_equal(number(json_object_get(json_object_get(root, "stages"), "sequential"), "distinct"), 5 * 5);
    assert_int_equal(number(json_object_get(json_object_get(root, "stages"), "sequential"), "chains"), 5);
    assert_true(json_is_true(json_object_get(earlier, "edited")));
    json_decref(root);
    plan_free(&plan);
    sweep_free(&sweep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_recall)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
