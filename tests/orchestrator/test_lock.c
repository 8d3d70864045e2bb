/* Who may write into an output folder: nobody beside a live holder, here or on another host; anybody after a dead one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "orchestrator/lock.h"

/* A lock file as its holder leaves it: who, and how long ago was the last sign of life. */
static void write_lock(const char *host, int pid, int age)
{
    const struct timespec times[2] = {{time(NULL) - age, 0}, {time(NULL) - age, 0}};
    FILE *out = fopen("lock", "w");

    assert_non_null(out);
    fprintf(out, "host %s\npid %d\nsince 2026-01-01T00:00:00Z\n", host, pid);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(utimensat(AT_FDCWD, "lock", times, 0), 0);
}

static void assert_free(void)
{
    struct folder_lock l;
    err e = {0};

    if (lock_take(".", &l, &e))
        fail_msg("%s", e.text);
    assert_int_equal(lock_holder_here("."), getpid());
    lock_release(&l);
    assert_int_equal(lock_holder_here("."), 0);
}

static void assert_busy(const char *words)
{
    struct folder_lock l;
    err e = {0};

    assert_int_equal(lock_take(".", &l, &e), ERR_BUSY);
    if (!strstr(e.text, words))
        fail_msg("'%s' is not in '%s'", words, e.text);
    lock_release(&l); /* harmless */
}

static void test_one_at_a_time(void **state)
{
    char words[64];
    struct folder_lock first;
    err e = {0};

    (void)state;
    unlink("lock");
    assert_int_equal(lock_take(".", &first, &e), 0);
    snprintf(words, sizeof words, "process %d on ", (int)getpid());
    assert_busy(words);
    lock_beat(&first);
    assert_busy("sluice cancel");
    lock_release(&first);
    assert_free();
}

static void test_the_dead_do_not_block(void **state)
{
    char here[256] = "";
    pid_t child = fork();

    (void)state;
    if (child == 0) { /* it takes the lock and is killed with it */
        struct folder_lock l;
        err e = {0};

        lock_take(".", &l, &e);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_free();
    gethostname(here, sizeof here - 1);
    write_lock(here, (int)child, 0);
    assert_free();
    write_lock(here, 1, 0); /* after a reboot the number belongs to somebody else */
    assert_free();
}

static void test_other_hosts(void **state)
{
    (void)state;
    write_lock("node17.elsewhere", 4711, 3);
    assert_busy("process 4711 on node17.elsewhere is running this sweep since 2026-01-01T00:00:00Z");
    write_lock("node17.elsewhere", 4711, LOCK_STALE_SECONDS + 5);
    assert_free();
}

static void test_a_file_that_makes_no_sense(void **state)
{
    FILE *out = fopen("lock", "w");

    (void)state;
    assert_non_null(out);
    fputs("host\0pid seven\n", out);
    fclose(out);
    assert_free();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_at_a_time),
        cmocka_unit_test(test_the_dead_do_not_block),
        cmocka_unit_test(test_other_hosts),
        cmocka_unit_test(test_a_file_that_makes_no_sense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
