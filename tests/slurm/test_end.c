/* A run whose end SLURM has named, without a SLURM: it stops in good time, begins nothing that does not fit, says why, and comes
 * to the same numbers in the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runs.h"

/* What a run keeps between its last work and the end, at least: orchestrator/leader.c. */
enum { MARGIN = 10 };

static void clean(const char *name)
{
    char words[300];

    snprintf(words, sizeof words, "/bin/rm -rf %s", name);
    assert_int_equal(runs_wait(runs_start_words(words, "rm.txt"), 10), 0);
}

static void end_in(double seconds)
{
    char text[32];

    snprintf(text, sizeof text, "%lld", (long long)time(NULL) + (long long)seconds);
    setenv("SLURM_JOB_END_TIME", text, 1);
}

static void assert_says(const char *file, const char *text)
{
    if (!strstr(runs_output(file), text))
        fail_msg("'%s' is not in: %s", text, runs_output(file));
}

static int prepare(void **state)
{
    (void)state;
    setenv("FAKE_SECONDS", "0.01", 1);
    runs_write_sweep("small.yaml", "small", 2, "");
    clean("calm timed late");
    return runs_run("small.yaml", "calm", 1);
}

/* An end that is as good as here: nothing is begun. */
static void test_no_time(void **state)
{
    (void)state;
    end_in(MARGIN - 1);
    assert_int_equal(runs_run("small.yaml", "late", 1), 75);
    assert_says("late.txt", "stopped (out of time)");
    assert_int_equal(runs_finished("late"), 0);
}

/* Nine stages of 1.5 s on one worker, and five seconds for them: some are done, and the run is over long before the end.  What
 * they took is known to the next run, which has less time than a stage needs, and does not begin one. */
static void test_some_time(void **state)
{
    double begun = runs_clock();
    const char *difference;
    int finished;

    (void)state;
    setenv("FAKE_SECONDS", RUNS_SLOWNESS > 1 ? "9" : "1.5", 1);
    end_in(MARGIN + 5 * RUNS_SLOWNESS);
    assert_int_equal(runs_run("small.yaml", "timed", 1), 75);
    assert_true(runs_clock() - begun < (MARGIN + 5) * RUNS_SLOWNESS);
    assert_says("timed.txt", "out of time");
    finished = runs_finished("timed");
    assert_in_range(finished, 1, 8);

    end_in(MARGIN + 1);
    assert_int_equal(runs_run("small.yaml", "timed", 1), 75);
    assert_says("timed.txt", "stopped (out of time"); /* and perhaps what comes next, if the start was quick */
    assert_int_equal(runs_finished("timed"), finished);

    unsetenv("SLURM_JOB_END_TIME");
    setenv("FAKE_SECONDS", "0.01", 1);
    assert_int_equal(runs_run("small.yaml", "timed", 1), 0);
    difference = runs_difference("timed", "calm");
    if (*difference)
        fail_msg("%s", difference);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_time),
        cmocka_unit_test(test_some_time),
    };

    if (argc != 2)
        return 2;
    unsetenv("SLURM_JOB_ID");
    unsetenv("SLURM_JOB_END_TIME");
    runs_prepare(argv[1]);
    return cmocka_run_group_tests(tests, prepare, NULL);
}
