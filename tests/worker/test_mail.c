/* Letters between ranks: each one comes once, whole, in order, however large; packets that make no sense end where they do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <mpi.h>
#include <stdlib.h>
#include <string.h>

#include "io/clock.h"
#include "worker/mail.h"

enum { LETTERS = 3000, LARGE = 300000, PACKET_TAG = 1 };

static int rank;

/* Sizes from none to larger than a packet. */
static size_t size_of(int i)
{
    return i % 500 == 7 ? LARGE : (size_t)(i * 37 % 700);
}

static void fill(char *bytes, int i)
{
    for (size_t k = 0; k < size_of(i); k++)
        bytes[k] = (char)(i + (int)k * 7);
}

/* Wait for a letter, for at most 30 s. */
static struct letter next(mail *m)
{
    double end = clock_monotonic() + 30;
    struct letter l = {.from = -1};

    while (!mail_next(m, &l) && clock_monotonic() < end)
        ;
    return l;
}

static void send_all(mail *m, char *bytes)
{
    err e = {0};

    for (int i = 0; i < LETTERS; i++) {
        size_t head = size_of(i) / 3;

        fill(bytes, i);
        assert_int_equal(mail_send(m, 0, 1 + i % 9, bytes, head, bytes + head, size_of(i) - head, &e), 0);
        if (i % 64 == 0)
            mail_flush(m);
    }
    mail_flush(m);
    while (mail_pending(m))
        ;
}

static void take_all(mail *m, char *bytes)
{
    for (int i = 0; i < LETTERS; i++) {
        struct letter l = next(m);

        fill(bytes, i);
        assert_int_equal(l.from, 1);
        assert_int_equal(l.tag, 1 + i % 9);
        assert_int_equal(l.n, size_of(i));
        assert_memory_equal(l.bytes, bytes, l.n);
        assert_int_equal(l.bytes[l.n], 0);
    }
}

static void test_letters(void **state)
{
    char *bytes = malloc(LARGE);
    mail *m;
    err e = {0};

    (void)state;
    assert_int_equal(mail_open(MPI_COMM_WORLD, &m, &e), 0);
    if (rank == 1)
        send_all(m, bytes);
    else if (rank == 0)
        take_all(m, bytes);
    MPI_Barrier(MPI_COMM_WORLD);
    mail_close(m);
    free(bytes);
}

/* What could come from another version, or from a broken sender: n that lies, no end, no room for a head. */
static void test_nonsense(void **state)
{
    struct packet {
        uint32_t tag, n;
        char bytes[24];
    } packets[] = {{1, 0xffffffffu, ""}, {2, 25, ""}, {3, 24, ""}, {4, 8, "12345678x"}, {0, 3, "ab"}};
    const struct packet good = {5, 5, "hello"};
    struct letter l;
    mail *m;
    err e = {0};

    (void)state;
    assert_int_equal(mail_open(MPI_COMM_WORLD, &m, &e), 0);
    if (rank == 1) {
        for (size_t i = 0; i < sizeof packets / sizeof *packets; i++)
            for (int n = 0; n < (int)sizeof *packets; n += 5)
                MPI_Send(&packets[i], n, MPI_BYTE, 0, PACKET_TAG, MPI_COMM_WORLD);
        MPI_Send(&good, 16, MPI_BYTE, 0, PACKET_TAG, MPI_COMM_WORLD);
    } else if (rank == 0) {
        do { /* of those before, whatever could be read */
            l = next(m);
            assert_int_equal(l.from, 1);
            assert_in_range(l.n, 0, sizeof good);
        } while (l.tag != 5);
        assert_int_equal(l.n, 5);
        assert_string_equal(l.bytes, "hello");
    }
    MPI_Barrier(MPI_COMM_WORLD);
    mail_close(m);
}

#if defined __SANITIZE_ADDRESS__
#define HAS_LEAK_CHECK 1
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define HAS_LEAK_CHECK 1
#endif
#endif
#ifdef HAS_LEAK_CHECK
#include <sanitizer/lsan_interface.h>
#include <unistd.h>

/* Open MPI loads plugins and unloads them; what those keep could not be told from ours afterwards. */
static void enter(int *argc, char ***argv)
{
    __lsan_disable();
    MPI_Init(argc, argv);
    __lsan_enable();
}

__attribute__((noreturn)) static void leave(int failed)
{
    failed |= __lsan_do_recoverable_leak_check();
    MPI_Finalize();
    _exit(failed);
}
#else
static void enter(int *argc, char ***argv)
{
    MPI_Init(argc, argv);
}

__attribute__((noreturn)) static void leave(int failed)
{
    MPI_Finalize();
    exit(failed);
}
#endif

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_letters),
        cmocka_unit_test(test_nonsense),
    };
    int failed;

    enter(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    leave(failed);
}
