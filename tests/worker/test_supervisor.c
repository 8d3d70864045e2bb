/* A supervised trainer: good stages, and every way in which one can go wrong, each with its cause. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_trainer.h"
#include "worker/supervisor.h"

static const char *const command[] = {"/proc/self/exe", "trainer", NULL};
static int lines;

static void count_line(void *context, const char *line)
{
    (void)context;
    (void)line;
    lines++;
}

static supervisor *start(void)
{
    const struct supervisor_options options = {
        .argv = command, .threads = 1, .silence = 4, .grace = 2, .line = count_line};
    supervisor *s;
    err e = {0};

    assert_int_equal(supervisor_create(&options, &s, &e), 0);
    return s;
}

static char *job_text(enum stage_kind kind, int64_t habit, int number)
{
    struct stage_job job = {.kind = kind, .task = 0, .checkpoint_folder = intern(".")};
    char *text;
    err e = {0};

    trial_defaults(&job.config);
    trial_resolve_seeds(&job.config);
    job.config.value[OPTION_SEEDS_INIT].integer = habit;
    job.key.bytes[0] = (unsigned char)number;
    job.key.bytes[1] = (unsigned char)(number >> 8);
    assert_int_equal(stage_job_write(&job, &text, &e), 0);
    return text;
}

static void begin(supervisor *s, enum stage_kind kind, int64_t habit, struct stage_limits limits)
{
    static int number;
    char *text = job_text(kind, habit, ++number);

    assert_false(supervisor_busy(s));
    supervisor_begin(s, text, strlen(text), &limits);
    free(text);
}

static struct attempt_end wait_for_end(supervisor *s)
{
    struct attempt_end end = {0};

    for (int i = 0; i < 2000; i++) {
        struct pollfd fds[2];

        if (supervisor_poll(s, &end))
            return end;
        poll(fds, (nfds_t)supervisor_fds(s, fds), 10);
    }
    fail_msg("no end after 20 s");
    return end;
}

static void expect(supervisor *s, enum cause cause, const char *word)
{
    struct attempt_end end = wait_for_end(s);

    if (end.cause != cause || !strstr(end.text, word))
        fail_msg("%s (%s) where %s (%s) was expected", cause_name(end.cause), end.text, cause_name(cause), word);
    free(end.rows);
}

static void expect_good(supervisor *s)
{
    begin(s, STAGE_SEQUENTIAL, 1, (struct stage_limits){0});
    expect(s, CAUSE_none, "");
}

static void test_good_stages_keep_their_child(void **state)
{
    supervisor *s = start();
    struct attempt_end end;
    int child;

    (void)state;
    expect_good(s);
    child = supervisor_child(s);
    assert_int_not_equal(child, 0);
    begin(s, STAGE_SEQUENTIAL, 2, (struct stage_limits){60, 4e9});
    end = wait_for_end(s);
    assert_int_equal(end.cause, CAUSE_none);
    assert_false(digest_is_zero(&end.outcome.checkpoint));
    assert_int_equal(end.outcome.trainable_parameters, 10);
    assert_true(end.started > 1.6e9 && end.seconds > 0 && end.seconds < 10);
    assert_non_null(strstr(end.rows, "\"accuracy\":[{\"after_task\":0,\"task\":0,\"phase\":\"after\""));
    assert_non_null(strstr(end.rows, "\"training\":[{\"stage\":\"sequential\""));
    free(end.rows);
    assert_int_equal(supervisor_child(s), child);
    supervisor_free(s);
}

static void test_every_bad_end_has_its_cause(void **state)
{
    static const struct {
        enum fake_habit habit;
        enum cause cause;
        struct stage_limits limits;
        const char *word;
    } cases[] = {
        {FAKE_CRASH, CAUSE_signal, {0, 0}, "signal 11 (Segmentation fault); it last printed: habit 9001"},
        {FAKE_EXIT, CAUSE_exit, {0, 0}, "status 3"},
        {FAKE_HANG, CAUSE_hang, {0, 0}, "4 s"},
        {FAKE_EAT, CAUSE_memory, {0, 600e6}, "limit is 0.60 GB"},
        {FAKE_NOT_A_NUMBER, CAUSE_diverged, {0, 0}, "not finite"},
        {FAKE_NONSENSE, CAUSE_answer, {0, 0}, "makes no sense"},
        {FAKE_LIAR, CAUSE_answer, {0, 0}, "without digest"},
        {FAKE_SLOW, CAUSE_time, {0.3, 0}, "time limit of 0.3 s"},
    };
    supervisor *s = start();

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(s, STAGE_SEQUENTIAL, cases[i].habit, cases[i].limits);
        expect(s, cases[i].cause, cases[i].word);
        expect_good(s); /* and the next stage does not suffer */
    }
    assert_true(lines >= (int)(sizeof cases / sizeof *cases));
    supervisor_free(s);
}

static void test_stops_when_told(void **state)
{
    supervisor *s = start();

    (void)state;
    begin(s, STAGE_SEQUENTIAL, FAKE_SLOW, (struct stage_limits){0});
    supervisor_stop(s);
    expect(s, CAUSE_interrupted, "told to stop");
    expect_good(s);
    begin(s, STAGE_SEQUENTIAL, FAKE_DEAF, (struct stage_limits){0});
    supervisor_stop(s);
    expect(s, CAUSE_interrupted, "by force");
    expect_good(s);
    supervisor_free(s);
}

static void test_killed_from_outside(void **state)
{
    supervisor *s = start();

    (void)state;
    expect_good(s);
    kill(supervisor_child(s), SIGKILL); /* between two stages: nobody's fault */
    usleep(50000);
    expect_good(s);
    for (int i = 0; i < 5; i++) {
        begin(s, STAGE_SEQUENTIAL, FAKE_SLOW, (struct stage_limits){0});
        usleep((useconds_t)(i * 20000));
        kill(supervisor_child(s), SIGKILL);
        expect(s, CAUSE_killed, "signal 9");
    }
    expect_good(s);
    begin(s, STAGE_SEQUENTIAL, FAKE_SLOW, (struct stage_limits){0});
    kill(supervisor_child(s), SIGSTOP);
    expect(s, CAUSE_hang, "no sign of life");
    supervisor_free(s);
}

static void test_no_program(void **state)
{
    static const char *const absent[] = {"./no-such-program", NULL};
    const struct supervisor_options options = {.argv = absent, .threads = 1, .silence = 1, .grace = 1};
    supervisor *s;
    err e = {0};

    (void)state;
    assert_int_equal(supervisor_create(&options, &s, &e), 0);
    begin(s, STAGE_SEQUENTIAL, 1, (struct stage_limits){0});
    expect(s, CAUSE_system, "no-such-program");
    supervisor_free(s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_stages_keep_their_child),
        cmocka_unit_test(test_every_bad_end_has_its_cause),
        cmocka_unit_test(test_stops_when_told),
        cmocka_unit_test(test_killed_from_outside),
        cmocka_unit_test(test_no_program),
    };

    if (argc > 1)
        return child_main(argc - 1, argv + 1, fake_trainer);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
