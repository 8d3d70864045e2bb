/* The ledger, truncated at every offset, with every bit flipped, and on a disk that is full. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/ledger.h"

static const char *const texts[] = {"{\"stage\":1}", "{}",
                                    "{\"a long one\":\"0123456789012345678901234567890123456789\"}", "[4]"};
enum { TEXTS = sizeof texts / sizeof *texts };

struct seen {
    int count;
    uint64_t end[TEXTS + 4]; /* offset behind each record */
};

static int check_record(void *context, const struct ledger_record *r, err *e)
{
    struct seen *s = context;

    (void)e;
    assert_int_equal(r->type, 100 + s->count);
    assert_int_equal(r->n, strlen(texts[s->count % TEXTS]));
    assert_string_equal(r->payload, texts[s->count % TEXTS]);
    s->end[s->count++] = r->offset + 32 + r->n;
    return 0;
}

static void write_texts(const char *path, int from, int to)
{
    struct ledger_summary s;
    struct seen seen = {0};
    ledger *l;
    err e = {0};

    assert_int_equal(ledger_open(path, check_record, &seen, &s, &l, &e), 0);
    assert_int_equal(seen.count, from);
    for (int i = from; i < to; i++)
        assert_int_equal(ledger_append(l, (uint32_t)(100 + i), texts[i % TEXTS], strlen(texts[i % TEXTS]), &e), 0);
    assert_int_equal(ledger_sync(l, &e), 0);
    ledger_close(l);
}

static void put(const char *path, const char *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static size_t get(const char *path, char *bytes, size_t room)
{
    FILE *f = fopen(path, "rb");
    size_t n;

    assert_non_null(f);
    n = fread(bytes, 1, room, f);
    fclose(f);
    return n;
}

static void test_appends_and_replays(void **state)
{
    struct ledger_summary s;
    struct seen seen = {0};
    err e = {0};

    (void)state;
    unlink("a");
    write_texts("a", 0, 2);
    write_texts("a", 2, TEXTS);
    assert_int_equal(ledger_replay("a", check_record, &seen, &s, &e), 0);
    assert_int_equal(seen.count, TEXTS);
    assert_int_equal(s.records, TEXTS);
    assert_int_equal(s.torn, 0);
    assert_int_equal(ledger_replay("absent", NULL, NULL, &s, &e), ERR_MISSING);
}

static void test_truncated_at_every_offset(void **state)
{
    char whole[4096];
    struct ledger_summary s;
    struct seen full = {0};
    err e = {0};
    size_t n;

    (void)state;
    unlink("b");
    write_texts("b", 0, TEXTS);
    n = get("b", whole, sizeof whole);
    assert_int_equal(ledger_replay("b", check_record, &full, &s, &e), 0);
    for (size_t cut = 0; cut <= n; cut++) {
        struct seen seen = {0};
        int expected = 0;

        while (expected < TEXTS && full.end[expected] <= cut)
            expected++;
        put("cut", whole, cut);
        assert_int_equal(ledger_replay("cut", check_record, &seen, &s, &e), 0);
        assert_int_equal(seen.count, expected);
        assert_int_equal(s.bytes + s.torn, cut < 16 ? cut + s.bytes : cut);
        write_texts("cut", expected, TEXTS); /* going on after the crash */
        assert_int_equal(get("cut", (char[4096]){0}, 4096), n);
    }
}

static void test_zero_filled_tail(void **state)
{
    char whole[4096];
    struct ledger_summary s;
    struct seen full = {0};
    err e = {0};
    size_t n;

    (void)state;
    unlink("z");
    write_texts("z", 0, TEXTS);
    n = get("z", whole, sizeof whole);
    assert_int_equal(ledger_replay("z", check_record, &full, &s, &e), 0);
    for (size_t from = full.end[1]; from < n; from++) {
        struct seen seen = {0};
        char zeroed[4096];
        int expected = 0;

        while (expected < TEXTS && full.end[expected] <= from)
            expected++;
        memcpy(zeroed, whole, n);
        memset(zeroed + from, 0, n - from);
        put("zeroed", zeroed, n);
        assert_int_equal(ledger_replay("zeroed", check_record, &seen, &s, &e), 0);
        assert_int_equal(seen.count, expected);
        assert_true(s.torn > 0);
    }
}

static void test_every_bit_flipped(void **state)
{
    char whole[4096];
    struct ledger_summary s;
    struct ledger_salvage rescue;
    size_t n;

    (void)state;
    unlink("c");
    write_texts("c", 0, TEXTS);
    n = get("c", whole, sizeof whole);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        struct seen seen = {0};
        err e = {0};

        whole[bit / 8] = (char)(whole[bit / 8] ^ 1 << bit % 8);
        put("flipped", whole, n);
        assert_int_equal(ledger_replay("flipped", check_record, &seen, &s, &e), ERR_DAMAGED);
        assert_non_null(strstr(e.text, "offset"));
        if (bit % 8 == 0 && bit >= 8 * 16) { /* one record is lost, the others are kept */
            e = (err){0};
            assert_int_equal(ledger_salvage("flipped", "rescued", &rescue, &e), 0);
            assert_int_equal(rescue.kept, TEXTS - 1);
            assert_int_equal(rescue.holes, 1);
            assert_int_equal(ledger_replay("rescued", NULL, NULL, &s, &e), 0);
            assert_int_equal(s.records, TEXTS - 1);
        }
        whole[bit / 8] = (char)(whole[bit / 8] ^ 1 << bit % 8);
    }
}

static void test_full_disk_keeps_what_was_synced(void **state)
{
    struct rlimit old, low = {200, RLIM_INFINITY};
    struct ledger_summary s;
    struct seen seen = {0};
    char big[1000];
    ledger *l;
    err e = {0};

    (void)state;
    unlink("d");
    write_texts("d", 0, 2);
    memset(big, 'x', sizeof big);
    assert_int_equal(ledger_open("d", check_record, &seen, &s, &l, &e), 0);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    low.rlim_max = old.rlim_max;
    setrlimit(RLIMIT_FSIZE, &low);
    assert_int_equal(ledger_append(l, 7, big, sizeof big, &e), 0);
    assert_int_not_equal(ledger_sync(l, &e), 0);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_not_equal(ledger_sync(l, &e), 0); /* a ledger that failed stays failed */
    ledger_close(l);
    e = (err){0};
    write_texts("d", 2, TEXTS);
    seen = (struct seen){0};
    assert_int_equal(ledger_replay("d", check_record, &seen, &s, &e), 0);
    assert_int_equal(seen.count, TEXTS);
    assert_int_equal(s.torn, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends_and_replays),
        cmocka_unit_test(test_truncated_at_every_offset),
        cmocka_unit_test(test_zero_filled_tail),
        cmocka_unit_test(test_every_bit_flipped),
        cmocka_unit_test(test_full_disk_keeps_what_was_synced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
