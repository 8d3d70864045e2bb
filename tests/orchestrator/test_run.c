/* Whole runs through mpirun, the real protocol and the real ledger, with a trainer that learns nothing: to the end, stopped,
 * killed, damaged, edited, refused - and always the same numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runs.h"

static const char small[] = "grid:\n  gate.activation: [tanh, sigmoid]\n  seed: 0..1\n";

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

static int prepare(void **state)
{
    (void)state;
    setenv("FAKE_SECONDS", "0.01", 1);
    runs_write_sweep("small.yaml", "small", 2, small);
    clean("calm");
    return runs_run("small.yaml", "calm", 2);
}

static void test_same_numbers_with_any_number_of_workers(void **state)
{
    pid_t one, four;

    (void)state;
    clean("one");
    clean("four");
    one = runs_start("small.yaml", "one", 1, 10);
    four = runs_start("small.yaml", "four", 4, 10);
    assert_int_equal(runs_wait(one, 60), 0);
    assert_int_equal(runs_wait(four, 60), 0);
    assert_same("one", "calm");
    assert_same("four", "calm");
}

static void test_again_does_nothing(void **state)
{
    double start = runs_clock();

    (void)state;
    assert_int_equal(runs_run("small.yaml", "calm", 2), 0);
    assert_true(runs_clock() - start < 2 * RUNS_SLOWNESS);
    assert_non_null(strstr(runs_output("calm.txt"), "small is finished: all 4 trials are done"));
    clean("again");
    assert_int_equal(runs_wait(runs_start_words("/bin/cp -a calm again", "cp.txt"), 10), 0);
    assert_int_equal(unlink("again/results.h5"), 0); /* as when the disk was full at the very end */
    assert_int_equal(runs_run("small.yaml", "again", 2), 0);
    assert_same("again", "calm");
}

/* SIGINT in the middle: 75 within five seconds, a line that says how to continue, nobody left; continuing gives the same. */
static void test_interrupt_and_continue(void **state)
{
    double start;
    pid_t run;

    (void)state;
    clean("interrupted");
    setenv("FAKE_SECONDS", RUNS_SLOWNESS > 1 ? "0.5" : "0.1", 1);
    run = runs_start("small.yaml", "interrupted", 2, 5);
    assert_true(runs_wait_finished("interrupted", 3));
    start = runs_clock();
    kill(run, SIGINT);
    assert_int_equal(runs_wait(run, 10), 75);
    assert_true(runs_clock() - start < 5 * RUNS_SLOWNESS);
    assert_non_null(strstr(runs_output("interrupted.txt"), "to continue: sluice run small.yaml --out"));
    assert_int_equal(runs_alive("interrupted"), 0);
    setenv("FAKE_SECONDS", "0.01", 1);
    assert_int_equal(runs_run("small.yaml", "interrupted", 2), 0);
    assert_same("interrupted", "calm");
}

/* A trainer that does not stop when told must not hold up Ctrl-C. */
static void test_interrupt_deaf_trainer(void **state)
{
    double start;
    pid_t run;

    (void)state;
    clean("deaf");
    runs_write_sweep("deaf.yaml", "deaf", 2, "grid:\n  seeds.init: [9008]\n");
    run = runs_start("deaf.yaml", "deaf", 1, 60);
    for (int i = 0; i < 1000 && !runs_find("deaf", RUNS_CHILD, 0); i++)
        usleep(10000);
    usleep(500000); /* it has come to the stage where it does not listen */
    start = runs_clock();
    kill(run, SIGTERM);
    assert_int_equal(runs_wait(run, 10), 75);
    assert_true(runs_clock() - start < 5 * RUNS_SLOWNESS);
    assert_int_equal(runs_alive("deaf"), 0);
}

/* One run for each kind of process, all at the same time, each struck when it has begun to work. */
static void test_every_process_may_die(void **state)
{
    static const char *const names[RUNS_ROLES] = {"mpirun", "rank 0", "a worker", "a child"};
    char out[RUNS_ROLES][32];
    pid_t run[RUNS_ROLES];

    (void)state;
    setenv("FAKE_SECONDS", RUNS_SLOWNESS > 1 ? "0.5" : "0.1", 1);
    for (enum runs_role role = 0; role < RUNS_ROLES; role++) {
        pid_t victim;

        snprintf(out[role], sizeof out[role], "killed%d", (int)role);
        clean(out[role]);
        run[role] = runs_start("small.yaml", out[role], 2, 4);
        assert_true(runs_wait_finished(out[role], 3));
        victim = runs_find(out[role], role, 0);
        if (!victim)
            fail_msg("%s was not found", names[role]);
        kill(victim, SIGKILL);
    }
    for (enum runs_role role = 0; role < RUNS_ROLES; role++) {
        char file[64];

        snprintf(file, sizeof file, "%s.txt", out[role]);
        if (runs_wait(run[role], 60))
            fail_msg("after the death of %s: %s", names[role], runs_output(file));
        assert_same(out[role], "calm");
        assert_int_equal(runs_alive(out[role]), 0);
    }
    setenv("FAKE_SECONDS", "0.01", 1);
}

static void test_a_worker_that_hangs_is_given_up(void **state)
{
    pid_t run;

    (void)state;
    clean("hung");
    setenv("FAKE_SECONDS", "0.05", 1);
    run = runs_start("small.yaml", "hung", 2, 1);
    assert_true(runs_wait_finished("hung", 3));
    kill(runs_find("hung", RUNS_WORKER, 0), SIGSTOP);
    assert_int_equal(runs_wait(run, 30), 0);
    assert_same("hung", "calm");
    assert_int_equal(runs_alive("hung"), 0);
    setenv("FAKE_SECONDS", "0.01", 1);
}

static void test_second_run_is_refused(void **state)
{
    pid_t first;

    (void)state;
    clean("shared");
    setenv("FAKE_SECONDS", RUNS_SLOWNESS > 1 ? "0.5" : "0.1", 1);
    first = runs_start("small.yaml", "shared", 1, 5);
    assert_true(runs_wait_finished("shared", 1));
    assert_int_equal(rename("shared.txt", "first.txt"), 0);
    assert_int_equal(runs_run("small.yaml", "shared", 1), 2);
    assert_non_null(strstr(runs_output("shared.txt"), "is running this sweep since"));
    kill(first, SIGINT);
    assert_int_equal(runs_wait(first, 10), 75);
    setenv("FAKE_SECONDS", "0.01", 1);
}

/* A lost checkpoint that is still needed is made again; the edit of a sweep keeps what is the same. */
static void test_lost_checkpoint_and_edit(void **state)
{
    glob_t found;

    (void)state;
    clean("edited");
    assert_int_equal(runs_run("small.yaml", "edited", 2), 0);
    runs_write_sweep("edited.yaml", "small", 2, "grid:\n  gate.activation: [tanh, sigmoid, gelu]\n  seed: 0..1\n");
    assert_int_equal(glob("edited/checkpoints/*.h5", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i += 3) {
        if (i % 2)
            assert_int_equal(unlink(found.gl_pathv[i]), 0);
        else
            assert_int_equal(truncate(found.gl_pathv[i], 100), 0);
    }
    globfree(&found);
    assert_int_equal(runs_run("edited.yaml", "edited", 2), 0);
    assert_non_null(strstr(runs_output("edited.txt"), "4 trials kept, 2 added, 0 orphaned"));
    clean("fresh");
    assert_int_equal(runs_run("edited.yaml", "fresh", 2), 0);
}

static void test_read_only_folder(void **state)
{
    (void)state;
    clean("blocked");
    assert_int_equal(close(open("blocked", O_CREAT | O_WRONLY, 0666)), 0); /* a file where the folder should be */
    assert_int_equal(runs_run("small.yaml", "blocked", 1), 75);
    clean("blocked");
}

static void test_wrong_command_lines(void **state)
{
    (void)state;
    assert_int_equal(runs_run("absent.yaml", "wrong", 1), 2);
    assert_int_equal(runs_run("small.yaml trian.lr=1", "wrong", 1), 2);
    assert_int_not_equal(access("wrong", F_OK), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_numbers_with_any_number_of_workers),
        cmocka_unit_test(test_again_does_nothing),
        cmocka_unit_test(test_interrupt_and_continue),
        cmocka_unit_test(test_interrupt_deaf_trainer),
        cmocka_unit_test(test_every_process_may_die),
        cmocka_unit_test(test_a_worker_that_hangs_is_given_up),
        cmocka_unit_test(test_second_run_is_refused),
        cmocka_unit_test(test_lost_checkpoint_and_edit),
        cmocka_unit_test(test_read_only_folder),
        cmocka_unit_test(test_wrong_command_lines),
    };

    if (argc != 2)
        return 2;
    runs_prepare(argv[1]);
    return cmocka_run_group_tests(tests, prepare, NULL);
}
