/* tests/orchestrator/test_changes.c - what an edit of a sweep means, and why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/changes.h"

static char content[20];

/* Every data set and backbone is here; their contents are what the test says. */
static int some_dataset(const char *name, struct source_dataset *out, err *e)
{
    (void)name;
    *out = (struct source_dataset){.digest = digest_bytes(content, strlen(content)), .classes = 10};
    return e->code;
}

static int some_backbone(const char *name, struct source_backbone *out, err *e)
{
    *out = (struct source_backbone){.digest = digest_bytes(name, strlen(name)), .side = 8, .patch = 4, .width = 8};
    return e->code;
}

static const struct sources sources_here = {some_dataset, some_backbone};

struct planned {
    struct sweep sweep;
    struct plan plan;
};

static void make(struct planned *p, const char *yaml)
{
    err e = {0};

    if (sweep_parse("x.yaml", ".", yaml, strlen(yaml), NULL, 0, &p->sweep, &e) ||
        plan_make(&p->sweep, &sources_here, &p->plan, &e) || plan_keys(&p->plan, &e))
        fail_msg("%s", e.text);
}

static void drop(struct planned *p)
{
    plan_free(&p->plan);
    sweep_free(&p->sweep);
}

static void expect(const char *before, const char *now, int kept, int added, int orphaned, const char *why)
{
    struct planned old, new;
    struct history nothing = {0};
    struct changes c;
    err e = {0};
    char *text;

    make(&old, before);
    make(&new, now);
    assert_int_equal(changes_between(&old.plan, &new.plan, &c, &e), 0);
    assert_int_equal(c.kept, kept);
    assert_int_equal(c.added, added);
    assert_int_equal(c.orphaned, orphaned);
    text = changes_why(&old.plan, &new.plan, &nothing);
    assert_non_null(text);
    assert_string_equal(text, why);
    free(text);
    drop(&old);
    drop(&new);
}

static void test_edits(void **state)
{
    (void)state;
    expect("grid: {seed: 0..1}", "grid: {seed: 0..1}", 2, 0, 0, "");
    expect("grid: {seed: 0..1}", "grid: {seed: 1..3}", 1, 2, 1, "seed was 0, 1; it is 1, 2, 3\n");
    expect("grid: {seed: 0..1}", "{grid: {seed: 0..1}, trial: {train.epochs: 7}}", 0, 2, 2,
           "train.epochs was 20; it is 7\n");
    expect("grid: {gate.activation: [tanh, gelu]}", "{}", 1, 0, 1, "gate.activation was tanh, gelu; it is tanh\n");
    expect("grid: {seed: 0..9}", "grid: {seed: 0..19}", 10, 10, 0,
           "seed was 0, 1, 2, 3, 4, 5, 6, 7, ... (10 values); it is 0, 1, 2, 3, 4, 5, 6, 7, ... (20 values)\n");
    /* what the method does not read changes nothing, and is not spoken of */
    expect("trial: {method: sequential, prompt.length: 5}", "trial: {method: sequential, prompt.length: 9}", 1, 0, 0,
           "");
    expect("grid: {gate.activation: [tanh, gelu]}", "{grid: {gate.activation: [tanh, gelu]}, trial: {method: hide}}", 0,
           1, 2, "method was norga; it is hide\ngate.activation was tanh, gelu; it is none\n");
}

/* What a run leaves in its ledger is read back, and compared with what is here. */
static void test_contents(void **state)
{
    struct planned old, new;
    struct history h = {0};
    err e = {0};
    char *fact, *why;

    (void)state;
    strcpy(content, "first");
    make(&old, "{}");
    fact = fact_begun("here", 1, 1, "1", 5, old.plan.contents, old.plan.contents_count);
    assert_int_equal(history_apply(&h, FACT_BEGUN, fact, strlen(fact), &e), 0);
    assert_int_equal(h.contents_count, STAGE_KIND_COUNT + 2);
    free(fact);
    fact = fact_begun("here", 1, 1, "1", 6, NULL, 0); /* says nothing, and takes nothing back */
    assert_int_equal(history_apply(&h, FACT_BEGUN, fact, strlen(fact), &e), 0);
    assert_int_equal(h.contents_count, STAGE_KIND_COUNT + 2);
    free(fact);

    why = changes_why(&old.plan, &old.plan, &h);
    assert_string_equal(why, "");
    free(why);
    strcpy(content, "second");
    make(&new, "{}");
    free(h.contents[0].is);
    h.contents[0].is = strdup("0"); /* as if the code of the first kind had been older */
    why = changes_why(&new.plan, &new.plan, &h);
    assert_string_equal(why, "code of features is not what it was when the sweep last ran here\n"
                             "data set fashion-mnist is not what it was when the sweep last ran here\n");
    free(why);
    history_free(&h);
    drop(&old);
    drop(&new);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_edits), cmocka_unit_test(test_contents)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
