/* tests/io/test_quarantine.c - work in a child process: what it makes arrives, and however it ends, this process goes on. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/containers/fault.h"
#include "io/containers/quarantine.h"

static int write_text(void *context, int fd, err *e)
{
    (void)e;
    return write(fd, context, strlen(context)) < 0;
}

static int refuse(void *context, int fd, err *e)
{
    (void)fd;
    return fault_set(e, FAULT_CRC, "%s: does not agree with itself", (const char *)context);
}

/* Signals that a sanitizer would catch to write a report are given their usual meaning. */
static int die_by(void *context, int fd, err *e)
{
    (void)fd, (void)e;
    signal(*(int *)context, SIG_DFL);
    raise(*(int *)context);
    return 0;
}

static int leave(void *context, int fd, err *e)
{
    (void)context, (void)fd, (void)e;
    _exit(0);
}

static int never_end(void *context, int fd, err *e)
{
    volatile int *turn = context;

    (void)fd, (void)e;
    while (*turn >= 0)
        *turn = 1 - *turn;
    return 0;
}

/* As a signal to all processes of a job reaches the child. */
static int be_told(void *context, int fd, err *e)
{
    (void)fd, (void)e;
    raise(*(int *)context);
    return 0;
}

static void no_child_is_left(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void what_the_child_wrote_arrives(void **state)
{
    char text[] = "from the child", got[sizeof text] = "";
    err e = {0};
    int fd;

    (void)state;
    assert_int_equal(quarantine("a file", write_text, text, 10, &fd, &e), 0);
    assert_int_equal(pread(fd, got, sizeof got, 0), sizeof text - 1);
    assert_string_equal(got, text);
    close(fd);
    no_child_is_left();
}

static void its_error_is_ours(void **state)
{
    char name[] = "odd.h5";
    err e = {0};
    int fd;

    (void)state;
    assert_int_equal(quarantine(name, refuse, name, 10, &fd, &e), ERR_DAMAGED);
    assert_string_equal(e.text, "odd.h5: does not agree with itself (E_CRC)");
    assert_int_equal(fd, -1);
    no_child_is_left();
}

static void its_death_is_an_error(void **state)
{
    static const struct {
        int signal;
        enum fault kind;
    } deaths[] = {{SIGSEGV, FAULT_SYNTAX},
                  {SIGBUS, FAULT_SYNTAX},
                  {SIGABRT, FAULT_SYNTAX},
                  {SIGFPE, FAULT_SYNTAX},
                  {SIGKILL, FAULT_LIMIT}};

    (void)state;
    for (size_t i = 0; i < sizeof deaths / sizeof *deaths; i++) {
        int number = deaths[i].signal, fd;
        err e = {0};

        assert_int_equal(quarantine("odd.h5", die_by, &number, 10, &fd, &e), ERR_DAMAGED);
        assert_int_equal(fault_of(&e), deaths[i].kind);
        assert_non_null(strstr(e.text, "odd.h5"));
    }
    no_child_is_left();
}

static void leaving_without_a_word_is_an_error(void **state)
{
    err e = {0};
    int fd;

    (void)state;
    assert_int_equal(quarantine("odd.h5", leave, NULL, 10, &fd, &e), ERR_DAMAGED);
    assert_int_equal(fault_of(&e), FAULT_SYNTAX);
    no_child_is_left();
}

static void its_time_is_bounded(void **state)
{
    int turn = 0, fd;
    err e = {0};

    (void)state;
    assert_int_equal(quarantine("odd.h5", never_end, &turn, 1, &fd, &e), ERR_DAMAGED);
    assert_int_equal(fault_of(&e), FAULT_LIMIT);
    assert_int_equal(turn, 0);
    no_child_is_left();
}

/* A job that is told to stop says nothing of the file; and what this process ignores, the child does. */
static void requests_to_stop_are_no_faults(void **state)
{
    static const int requests[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        int number = requests[i], fd;
        err e = {0};

        assert_int_equal(quarantine("a.h5", be_told, &number, 10, &fd, &e), ERR_INTERRUPTED);
        assert_non_null(strstr(e.text, "a.h5: reading it was stopped"));
        assert_int_equal(fd, -1);
        signal(number, SIG_IGN);
        assert_int_equal(quarantine("a.h5", be_told, &number, 10, &fd, &e), 0);
        close(fd);
        signal(number, SIG_DFL);
    }
    no_child_is_left();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_to_stop_are_no_faults),
        cmocka_unit_test(what_the_child_wrote_arrives),
        cmocka_unit_test(its_error_is_ours),
        cmocka_unit_test(its_death_is_an_error),
        cmocka_unit_test(leaving_without_a_word_is_an_error),
        cmocka_unit_test(its_time_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
