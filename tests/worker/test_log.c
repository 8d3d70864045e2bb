/* Logs stay small and say in every line when and of which trial. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/log.h"

enum { LIMIT = 4096, LINES = 1000 };

static long size_of(const char *path)
{
    struct stat st;

    return stat(path, &st) ? -1 : (long)st.st_size;
}

/* The numbers in a log's lines, which must follow each other; the last one. */
static int check_lines(const char *path, int expected)
{
    FILE *in = fopen(path, "r");
    char line[512], second[8], label[64];
    int number;

    assert_non_null(in);
    while (fgets(line, sizeof line, in)) {
        assert_int_equal(
            sscanf(line, "2%*3d-%*2d-%*2dT%*2d:%*2d:%7[0-9.]Z %63[^:]: step %d of it", second, label, &number), 3);
        assert_string_equal(label, "trial 7 wtp 2");
        if (expected)
            assert_int_equal(number, expected);
        expected = number + 1;
    }
    fclose(in);
    return expected - 1;
}

static void test_size_and_lines(void **state)
{
    rank_log *l;
    err e = {0};

    (void)state;
    unlink("rank-3.log");
    unlink("rank-3.log.old");
    assert_int_equal(rank_log_open(".", 3, LIMIT, &l, &e), 0);
    for (int i = 1; i <= LINES; i++)
        rank_log_line(l, "trial 7 wtp 2", "step %d of it", i);
    rank_log_close(l);
    assert_in_range(size_of("rank-3.log"), 1, LIMIT);
    assert_in_range(size_of("rank-3.log.old"), LIMIT / 2, LIMIT);
    assert_int_equal(check_lines("rank-3.log", check_lines("rank-3.log.old", 0) + 1), LINES);
}

/* A longer line is cut, and one that a trainer fills with anything does no harm. */
static void test_long_lines(void **state)
{
    char text[10000];
    rank_log *l;
    err e = {0};

    (void)state;
    unlink("rank-4.log");
    memset(text, '%', sizeof text - 1);
    text[sizeof text - 1] = 0;
    assert_int_equal(rank_log_open(".", 4, 1 << 20, &l, &e), 0);
    rank_log_line(l, text, "%s", text);
    rank_log_line(l, "", "after it");
    rank_log_close(l);
    assert_in_range(size_of("rank-4.log"), 1000, 4096);
}

static void test_no_folder(void **state)
{
    rank_log *l;
    err e = {0};

    (void)state;
    assert_int_equal(rank_log_open("/nonexistent", 1, LIMIT, &l, &e), 0);
    rank_log_line(l, "", "nobody hears it");
    rank_log_close(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size_and_lines),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_no_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
