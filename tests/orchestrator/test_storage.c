/* The disk under a run: full, read-only, and another user's.  A small tmpfs of our own, in a mount namespace that nobody else
 * sees; where the system does not permit that, the tests are skipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return good;
}

/* A mount namespace of our own, by right or by a user namespace in which we have it. */
static bool enter_namespace(void)
{
    char map[64];
    unsigned user = geteuid();

    if (unshare(CLONE_NEWNS) == 0)
        return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    snprintf(map, sizeof map, "0 %u 1", user);
    return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_text("/proc/self/setgroups", "deny") &&
           write_text("/proc/self/uid_map", map) && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* Can we mount?  Tried by a child, which may fail without harm, before this process does the same. */
static bool may_mount(void)
{
    pid_t child = fork();
    int status = 1;

    if (child == 0)
        _exit(!enter_namespace() || mount("tmpfs", "disk", "tmpfs", 0, "size=1m"));
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static int prepare(void **state)
{
    static bool able;

    *state = &able;
    mkdir("disk", 0777);
    clean("calm");
    setenv("FAKE_SECONDS", "0.01", 1);
    runs_write_sweep("small.yaml", "small", 2, small);
    able = may_mount() && enter_namespace();
    return runs_run("small.yaml", "calm", 2);
}

static void resize(const char *options, unsigned long flags)
{
    assert_int_equal(mount("tmpfs", "disk", "tmpfs", flags, options), 0);
}

/* Whatever write is the first that fails: the sweep.yaml, the ledger, a checkpoint, results.h5.  The run ends with 75 and says
 * why; when there is room again, the same command goes on to the same results. */
static void test_full_disk(void **state)
{
    int full = 0;

    if (!*(bool *)*state)
        skip();
    for (int kilobytes = 16; kilobytes <= 496; kilobytes += 80) {
        char size[32];
        int status;

        snprintf(size, sizeof size, "size=%dk", kilobytes);
        resize(size, 0);
        status = runs_run("small.yaml", "disk", 2);
        if (status != 75 && status != 0)
            fail_msg("%s: status %d: %s", size, status, runs_output("disk.txt"));
        if (status == 75 && !strstr(runs_output("disk.txt"), "No space left on device"))
            fail_msg("%s: it does not say why: %s", size, runs_output("disk.txt"));
        full += status == 75;
        resize("size=16m", MS_REMOUNT);
        if (runs_run("small.yaml", "disk", 2))
            fail_msg("%s: after there was room again: %s", size, runs_output("disk.txt"));
        assert_same("disk", "calm");
        assert_int_equal(runs_alive("disk"), 0);
        assert_int_equal(umount("disk"), 0);
    }
    assert_true(full >= 3);
}

/* Only the checkpoints' file system is full, so that a worker meets it. */
static void test_full_checkpoints(void **state)
{
    if (!*(bool *)*state)
        skip();
    clean("split");
    assert_int_equal(mkdir("split", 0777) | symlink("../disk", "split/checkpoints"), 0);
    resize("size=48k", 0);
    assert_int_equal(runs_run("small.yaml", "split", 2), 75);
    assert_non_null(strstr(runs_output("split.txt"), "No space left on device"));
    resize("size=16m", MS_REMOUNT);
    assert_int_equal(runs_run("small.yaml", "split", 2), 0);
    assert_same("split", "calm");
    assert_int_equal(umount("disk"), 0);
}

/* Begin a run and stop it when so many stages are finished. */
static void begin(const char *out, int finished)
{
    pid_t run;

    setenv("FAKE_SECONDS", RUNS_SLOWNESS > 1 ? "0.5" : "0.1", 1);
    run = runs_start("small.yaml", out, 2, 5);
    assert_true(runs_wait_finished(out, finished));
    kill(run, SIGINT);
    assert_int_equal(runs_wait(run, 10), 75);
    setenv("FAKE_SECONDS", "0.01", 1);
}

static void test_read_only(void **state)
{
    if (!*(bool *)*state)
        skip();
    resize("size=16m", 0);
    begin("disk", 4);
    resize("size=16m", MS_REMOUNT | MS_RDONLY);
    assert_int_equal(runs_run("small.yaml", "disk", 2), 75);
    assert_non_null(strstr(runs_output("disk.txt"), "Read-only file system"));
    resize("size=16m", MS_REMOUNT);
    assert_int_equal(runs_run("small.yaml", "disk", 2), 0);
    assert_same("disk", "calm");
    assert_int_equal(umount("disk"), 0);
}

/* Begun by one user, continued by another: possible where the first one's umask lets others write, and otherwise refused with
 * the file's name. */
static void test_another_user(void **state)
{
    static const char other[] = "/usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups";
    char words[9000];
    mode_t before = umask(0);

    (void)state;
    snprintf(words, sizeof words, "%s /usr/bin/test -x %s -a -r tiny.h5", other, runs_program());
    if (geteuid() != 0 || runs_wait(runs_start_words(words, "other.txt"), 10)) {
        umask(before);
        skip(); /* we cannot become somebody else, or they cannot reach the program */
    }
    for (int open = 0; open < 2; open++) {
        int status;

        umask(open ? 0 : 077);
        clean("handed");
        begin("handed", 4);
        snprintf(words, sizeof words, "%s %s run %s/small.yaml --out %s/handed --ranks 2", other, runs_program(),
                 runs_folder(), runs_folder());
        status = runs_wait(runs_start_words(words, "other.txt"), 60);
        if (status != (open ? 0 : 75) && status != (open ? 0 : 2) && status != (open ? 0 : 3))
            fail_msg("%s: status %d: %s", open ? "open" : "closed", status, runs_output("other.txt"));
        if (!open &&
            (!strstr(runs_output("other.txt"), "handed") || !strstr(runs_output("other.txt"), "Permission denied")))
            fail_msg("it does not say why: %s", runs_output("other.txt"));
        umask(0);
        assert_int_equal(runs_run("small.yaml", "handed", 2), 0);
        assert_same("handed", "calm");
    }
    umask(before);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_full_checkpoints),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_another_user),
    };

    if (argc != 2)
        return 2;
    runs_prepare(argv[1]);
    return cmocka_run_group_tests(tests, prepare, NULL);
}
