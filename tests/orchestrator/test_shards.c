/* Shards of a sweep, each run by itself and then merged: the same numbers as the whole sweep's, whatever came in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runs.h"

static const char *program;

/* Run "program WORDS", its output to words.txt; its exit status. */
__attribute__((format(printf, 1, 2))) static int call(const char *format, ...)
{
    char words[1000];
    int n = snprintf(words, sizeof words, "%s ", program);
    va_list args;

    va_start(args, format);
    vsnprintf(words + n, sizeof words - (size_t)n, format, args);
    va_end(args);
    return runs_wait(runs_start_words(words, "words.txt"), 60);
}

static void assert_says(const char *text)
{
    if (!strstr(runs_output("words.txt"), text))
        fail_msg("'%s' is not in: %s", text, runs_output("words.txt"));
}

static void clean(const char *name)
{
    char words[300];

    snprintf(words, sizeof words, "/bin/rm -rf %s", name);
    assert_int_equal(runs_wait(runs_start_words(words, "rm.txt"), 10), 0);
}

static void assert_same(const char *a, const char *b)
{
    const char *difference = runs_difference(a, b);

    if (*difference)
        fail_msg("%s and %s: %s", a, b, difference);
}

static void run_shard(const char *sweep, const char *out, int index, int count, int status)
{
    int got = call("run %s --out %s --ranks 2 --shard %d/%d", sweep, out, index, count);

    if (got != status)
        fail_msg("shard %d of %d in %s: status %d, not %d: %s", index, count, out, got, status,
                 runs_output("words.txt"));
}

static int prepare(void **state)
{
    (void)state;
    setenv("FAKE_SECONDS", "0.01", 1);
    runs_write_sweep("small.yaml", "small", 2, "grid:\n  gate.activation: [tanh, sigmoid, gelu]\n  seed: 0..1\n");
    runs_write_sweep("other.yaml", "small", 2, "grid:\n  gate.activation: [tanh, sigmoid, gelu]\n  seed: 0..2\n");
    clean("calm parts");
    return runs_run("small.yaml", "calm", 2);
}

/* The parts that are there, then all of them, then once more. */
static void test_merged_is_the_whole(void **state)
{
    (void)state;
    run_shard("small.yaml", "parts", 3, 3, 0);
    run_shard("small.yaml", "parts", 1, 3, 0);
    assert_int_equal(call("merge parts"), 75);
    assert_says("not there: shard 2 of 3");
    assert_says("2 of 3 shards");
    run_shard("small.yaml", "parts", 2, 3, 0);
    assert_int_equal(call("merge parts"), 0);
    assert_says("6 of 6 trials are done");
    assert_same("parts", "calm");
    assert_int_equal(call("merge parts"), 0);
    assert_says(", 0 stages taken over now");
    assert_same("parts", "calm");
    assert_int_equal(call("verify parts"), 0);
    assert_int_equal(call("run small.yaml --out parts"), 0);
    assert_says("small is finished");
    clean("elsewhere");
    assert_int_equal(call("merge parts/shard-2-of-3 parts/shard-1-of-3/ parts/shard-3-of-3 --out elsewhere"), 0);
    assert_same("elsewhere", "calm");
}

/* The checkpoint that both shards have, that of the features, in each of them. */
static void find_shared(char path[2][1100])
{
    glob_t found;

    **path = 0;
    assert_int_equal(glob("reuse/shard-1-of-2/checkpoints/*.h5", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc && !**path; i++) {
        snprintf(path[1], 1100, "reuse/shard-2-of-2/checkpoints/%s", strrchr(found.gl_pathv[i], '/') + 1);
        if (!access(path[1], F_OK))
            snprintf(path[0], 1100, "%s", found.gl_pathv[i]);
    }
    globfree(&found);
    assert_true(**path);
}

/* What a sibling has finished is linked and not run again; a damaged checkpoint of a sibling is not believed. */
static void test_siblings_share(void **state)
{
    char path[2][1100], byte = 0;
    struct stat theirs, ours;
    int file;

    (void)state;
    clean("reuse");
    run_shard("small.yaml", "reuse", 1, 2, 0);
    run_shard("small.yaml", "reuse", 2, 2, 0);
    find_shared(path);
    assert_int_equal(stat(path[0], &theirs), 0);
    assert_int_equal(stat(path[1], &ours), 0);
    assert_int_equal(theirs.st_ino, ours.st_ino);
    assert_non_null(strstr(runs_output("reuse/shard-2-of-2/log/rank-0.log"), "finished stages are taken over from"));

    clean("reuse/shard-2-of-2");
    file = open(path[0], O_RDWR);
    for (off_t at = 512; at < theirs.st_size; at += 64) {
        assert_int_equal(pread(file, &byte, 1, at), 1);
        byte = (char)~byte;
        assert_int_equal(pwrite(file, &byte, 1, at), 1);
    }
    close(file);
    run_shard("small.yaml", "reuse", 2, 2, 0);
    assert_int_equal(stat(path[0], &theirs), 0);
    assert_int_equal(stat(path[1], &ours), 0);
    assert_int_not_equal(theirs.st_ino, ours.st_ino);
    assert_int_equal(call("merge reuse"), 0); /* the whole copy is taken */
    assert_same("reuse", "calm");
}

/* A stage that fails for good fails the merged sweep too; forgiven in its shard, it may be run again in the merged one. */
static void test_failures_are_merged(void **state)
{
    (void)state;
    clean("bad");
    runs_write_sweep("bad.yaml", "bad", 2, "grid:\n  seeds.init: [1, 2, 9005]\nretry: {attempts: 1}\n");
    for (int k = 1; k <= 3; k++) {
        int status = call("run bad.yaml --out bad --ranks 2 --shard %d/3", k);

        assert_true(status == 0 || status == 1);
    }
    for (int again = 0; again < 2; again++) {
        assert_int_equal(call("merge bad"), 1);
        assert_says("2 of 3 trials are done");
    }
    assert_says(", 0 stages taken over now");
    assert_int_equal(call("why bad 2"), 0);
    assert_says("diverged");
    for (int k = 1; k <= 3; k++)
        call("retry bad/shard-%d-of-3", k);
    assert_int_equal(call("merge bad"), 75);
}

static void test_mixtures_are_refused(void **state)
{
    (void)state;
    clean("mixed");
    run_shard("small.yaml", "mixed", 1, 3, 0);
    run_shard("other.yaml", "mixed", 2, 3, 0);
    assert_int_equal(call("merge mixed"), 2);
    assert_says("another sweep");
    assert_int_equal(access("mixed/results.h5", F_OK), -1);
    run_shard("small.yaml", "mixed", 2, 4, 0);
    assert_int_equal(call("merge mixed"), 2);
    assert_says("shards of different splits");
    assert_int_equal(call("merge mixed/shard-1-of-3 parts/shard-1-of-3 --out mixed/merged"), 2);
    assert_says("the same shard twice");
    assert_int_equal(call("merge calm --out mixed/merged"), 2);
    assert_says("a whole sweep, no shard of one");
    assert_int_equal(call("merge parts/shard-1-of-3"), 2);
    assert_says("--out");
    assert_int_equal(call("merge nowhere"), 2);
    assert_says("neither a shard nor a folder with shards");
    clean("foreign");
    assert_int_equal(runs_run("other.yaml", "foreign", 2), 0);
    assert_int_equal(call("merge parts/shard-1-of-3 parts/shard-2-of-3 --out foreign"), 2);
    assert_says("another sweep");
}

static void test_wrong_shards(void **state)
{
    static const struct {
        const char *words, *says;
    } cases[] = {
        {"run small.yaml --shard 4/3", "'4/3' is no shard; write K/N"},
        {"run small.yaml --shard 1/7 --out w", "7 shards of 6 trials"},
        {"run small.yaml shard.index=3 shard.count=2 --out w", "shard.index is 3; it must be at most shard.count"},
        {"run small.yaml early_stop.rule=asha --shard 1/2 --out w", "early_stop.rule compares trials"},
        {"merge", "which folder?"},
        {"merge --nonsense", "see sluice merge --help"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(call("%s", cases[i].words), 2);
        assert_says(cases[i].says);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merged_is_the_whole), cmocka_unit_test(test_siblings_share),
        cmocka_unit_test(test_failures_are_merged), cmocka_unit_test(test_mixtures_are_refused),
        cmocka_unit_test(test_wrong_shards),
    };

    if (argc != 2)
        return 2;
    program = argv[1];
    runs_prepare(argv[1]);
    return cmocka_run_group_tests(tests, prepare, NULL);
}
