/* Frames cross a socket whole and in order, however they are cut; nonsense is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/wire.h"

static uint64_t random_state = 88172645463325252u;

static uint32_t random_below(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 20) % n;
}

static void two_ends(struct wire *a, struct wire *b)
{
    int pair[2];
    err e = {0};

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(wire_open(a, pair[0], &e), 0);
    assert_int_equal(wire_open(b, pair[1], &e), 0);
}

static void fill_text(char *text, size_t n, int seed)
{
    for (size_t i = 0; i < n; i++)
        text[i] = (char)(seed + (int)i * 7);
}

static void test_frames_arrive_in_order(void **state)
{
    enum { COUNT = 400 };
    struct wire a, b;
    char text[5000], expected[5000];
    size_t n[COUNT];
    int sent = 0, got = 0;
    err e = {0};

    (void)state;
    two_ends(&a, &b);
    for (int i = 0; i < COUNT; i++)
        n[i] = random_below(sizeof text);
    while (got < COUNT) { /* the sender runs ahead of the reader: the socket gets full, the queue takes the rest */
        struct frame f;
        bool more;

        for (int i = 0; i < 20 && sent < COUNT; i++, sent++) {
            fill_text(text, n[sent], sent);
            assert_int_equal(wire_send(&a, FRAME_JOB, text, n[sent], &e), 0);
        }
        assert_int_equal(wire_flush(&a, false, &e), 0);
        assert_int_equal(wire_fill(&b, &e), 0);
        for (int i = 0; i < 7 && !wire_next(&b, &f, &more, &e) && more; i++, got++) {
            assert_int_equal(f.type, FRAME_JOB);
            assert_int_equal(f.n, n[got]);
            fill_text(expected, f.n, got);
            assert_memory_equal(f.payload, expected, f.n);
        }
        assert_int_equal(e.code, 0);
    }
    assert_false(wire_has_unsent(&a));
    wire_close(&a);
    assert_int_equal(wire_fill(&b, &e), 0);
    assert_true(b.ended);
    assert_int_not_equal(wire_send(&b, FRAME_STOP, NULL, 0, &e), 0); /* and no SIGPIPE */
    wire_close(&b);
}

static void test_too_long_is_not_sent(void **state)
{
    struct wire a, b;
    char text[5000] = "";
    err e = {0};

    (void)state;
    two_ends(&a, &b);
    assert_int_equal(wire_send(&a, FRAME_PROGRESS, text, sizeof text, &e), ERR_BUG);
    wire_close(&a);
    wire_close(&b);
}

/* Random bytes, and good frames with one byte changed: every outcome is a frame within its limits, or ERR_WORKER. */
static void test_nonsense(void **state)
{
    int refused = 0;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        uint32_t head[2] = {0x534c0000 | random_below(FRAME_TYPES), random_below(64)};
        unsigned char bytes[200];
        struct wire a, b;
        struct frame f;
        bool more = true;
        err e = {0};

        two_ends(&a, &b);
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (unsigned char)random_below(256);
        if (round % 2) {
            memcpy(bytes, head, sizeof head);
            bytes[random_below(8)] ^= (unsigned char)(1 + random_below(255));
        }
        assert_int_equal(send(a.fd, bytes, sizeof bytes, 0), sizeof bytes);
        assert_int_equal(wire_fill(&b, &e), 0);
        while (!wire_next(&b, &f, &more, &e) && more) {
            assert_in_range(f.type, 0, FRAME_TYPES - 1);
            assert_in_range(f.n, 0, sizeof bytes);
        }
        assert_true(e.code == 0 || e.code == ERR_WORKER);
        refused += e.code == ERR_WORKER;
        wire_close(&a);
        wire_close(&b);
    }
    assert_in_range(refused, 1500, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_arrive_in_order),
        cmocka_unit_test(test_too_long_is_not_sent),
        cmocka_unit_test(test_nonsense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
