/* Images made ahead: the same bytes whoever makes them and whenever, errors that do not depend on chance, and no thread left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "worker/ahead.h"

enum { NUMBERS = 50, IMAGES = 1000, BAD = 777, WORSE = 778 };

/* What the maker of images saw. */
struct factory {
    atomic_int made, memories;
    atomic_int slow; /* milliseconds for each image */
};

struct memory {
    bool counted;
    struct factory *factory;
};

static void pause_for(int milliseconds)
{
    struct timespec t = {0, milliseconds * 1000000L};

    nanosleep(&t, NULL);
}

/* Images are random numbers from their own streams; two of them cannot be made. */
static int make(const void *context, const struct batch_request *r, int i, float *out, void *memory, err *e)
{
    struct factory *f = (struct factory *)(uintptr_t)context;
    struct memory *m = memory;
    size_t position = r->positions[i];
    const struct augment plain = {0}, *a = r->augmented ? &r->augment : &plain;

    if (!m->counted) {
        m->counted = true;
        m->factory = f;
        f->memories++;
    }
    f->made++;
    if (f->slow)
        pause_for(f->slow);
    if (position == BAD || position == WORSE)
        return err_set(e, ERR_DAMAGED, "image %zu is bad", position);
    rng stream = rng_stream(a->seed, a->purpose, a->task, a->epoch, (uint32_t)position);
    rng_fill_uniform(&stream, out, NUMBERS, 0, 1);
    return 0;
}

static void release(void *memory)
{
    struct memory *m = memory;

    if (m->counted)
        m->factory->memories--;
}

static ahead *open_ahead(struct factory *f, int threads)
{
    const struct ahead_source source = {.context = f,
                                        .numbers = NUMBERS,
                                        .memory_size = sizeof(struct memory),
                                        .memory_release = release,
                                        .make = make};
    ahead *a;
    err e = {0};

    if (ahead_create(&a, &source, threads, &e))
        fail_msg("%s", e.text);
    return a;
}

/* Batch b of a made-up epoch: its size and positions vary. */
enum { BATCH = 16 };
static struct batch_request request_of(int b, size_t positions[BATCH])
{
    struct batch_request r = {.part = b % 5 == 4 ? DATASET_TEST : DATASET_TRAIN,
                              .n = 1 + b * 7 % BATCH,
                              .positions = positions,
                              .augmented = b % 3 != 0,
                              .augment = {.seed = 9, .purpose = RNG_TEST, .task = 2, .epoch = (uint32_t)b}};

    for (int i = 0; i < r.n; i++)
        positions[i] = (size_t)(b * 131 + i * 17) % BAD;
    return r;
}

static void expect(const struct batch_request *r, const float *images)
{
    struct factory alone = {0};
    struct memory memory = {0};
    float image[NUMBERS];
    err e = {0};

    for (int i = 0; i < r->n; i++) {
        assert_int_equal(make(&alone, r, i, image, &memory, &e), 0);
        assert_memory_equal(images + (size_t)i * NUMBERS, image, sizeof image);
    }
}

static int threads_now(void)
{
    DIR *folder = opendir("/proc/self/task");
    int n = 0;

    for (struct dirent *entry; (entry = readdir(folder));)
        n += entry->d_name[0] != '.';
    closedir(folder);
    return n;
}

/* Wait until there are so many threads: one that was joined is listed a moment longer. */
static void expect_threads(int count)
{
    for (int wait = 0; wait < 200 && threads_now() != count; wait++)
        pause_for(5);
    assert_int_equal(threads_now(), count);
}

/* The number of threads without ours; a sanitizer starts its own with the first. */
static int threads_without(void)
{
    struct factory f = {0};

    ahead_free(open_ahead(&f, 1));
    pause_for(20);
    return threads_now();
}

/* How batches are announced, if at all. */
enum habit { SILENT, HONEST, LYING, FORGETFUL, HABITS };

static void bytes_do_not_depend_on_threads_or_announcements(void **state)
{
    int before = threads_without();

    (void)state;
    for (int threads = 0; threads <= 4; threads++)
        for (int habit = 0; habit < HABITS; habit++) {
            struct factory f = {0};
            ahead *a = open_ahead(&f, threads);
            float *images = malloc(BATCH * NUMBERS * sizeof *images);

            for (int b = 0; b < 200; b++) {
                size_t positions[BATCH], others[BATCH];
                struct batch_request r = request_of(b, positions),
                                     next = request_of(b + (habit == LYING ? 2 : 1), others);
                err e = {0};

                if (habit == LYING && b % 4 == 1)
                    next.augment.epoch++; /* differs in nothing else */
                if (habit == HONEST || habit == LYING || (habit == FORGETFUL && b % 3 == 0))
                    ahead_soon(a, &next);
                memset(others, 0, sizeof others); /* was copied */
                memset(images, 0xff, BATCH * NUMBERS * sizeof *images);
                assert_int_equal(ahead_take(a, &r, images, &e), 0);
                expect(&r, images);
            }
            ahead_free(a);
            free(images);
            assert_int_equal(f.memories, 0);
            expect_threads(before);
        }
    ahead_free(NULL);
}

/* While the network is busy, the next batch is made, and only that one. */
static void announced_batches_are_made_meanwhile(void **state)
{
    struct factory f = {0};
    ahead *a = open_ahead(&f, 1);
    size_t positions[BATCH], others[BATCH];
    struct batch_request r = request_of(3, positions), next = request_of(2, others);
    float images[BATCH * NUMBERS];
    err e = {0};

    (void)state;
    assert_int_equal(ahead_take(a, &r, images, &e), 0);
    assert_int_equal(f.made, r.n);
    ahead_soon(a, &next);
    pause_for(20);
    assert_int_equal(f.made, r.n); /* not before the present one is delivered */
    assert_int_equal(ahead_take(a, &r, images, &e), 0);
    for (int wait = 0; wait < 2000 && f.made < 2 * r.n + next.n; wait++)
        pause_for(5);
    assert_int_equal(f.made, 2 * r.n + next.n);
    assert_int_equal(ahead_take(a, &next, images, &e), 0);
    assert_int_equal(f.made, 2 * r.n + next.n);
    expect(&next, images);
    ahead_free(a);
}

/* Of several bad images the first is told, whichever thread has it; afterwards all is well. */
static void the_first_error_is_told(void **state)
{
    (void)state;
    for (int threads = 0; threads <= 3; threads++)
        for (int announced = 0; announced < 2; announced++) {
            size_t bad[] = {1, 2, 3, 4, WORSE, 5, 6, BAD, 7}, good[BATCH];
            const struct batch_request r = {.n = sizeof bad / sizeof *bad, .positions = bad};
            struct batch_request before = request_of(1, good), after = request_of(5, good);
            struct factory f = {.slow = 1};
            ahead *a = open_ahead(&f, threads);
            float images[BATCH * NUMBERS];
            err e = {0};

            before = request_of(1, good);
            if (announced)
                ahead_soon(a, &r);
            assert_int_equal(ahead_take(a, &before, images, &e), 0);
            assert_int_equal(ahead_take(a, &r, images, &e), ERR_DAMAGED);
            assert_string_equal(e.text, "image 778 is bad");
            after = request_of(5, good);
            assert_int_equal(ahead_take(a, &after, images, &e), 0);
            expect(&after, images);
            ahead_free(a);
            assert_int_equal(f.memories, 0);
        }
}

/* What was announced and is never asked for keeps nobody waiting for long, even if it is bad. */
static void stopping_does_not_wait_for_the_rest(void **state)
{
    int before = threads_without();

    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        size_t many[500], good[BATCH];
        const struct batch_request r = {.n = 500, .positions = many};
        struct batch_request first = request_of(1, good);
        struct factory f = {.slow = 20};
        ahead *a = open_ahead(&f, threads);
        float images[BATCH * NUMBERS];
        err e = {0};

        for (size_t i = 0; i < 500; i++)
            many[i] = i % 2 ? BAD : i;
        ahead_soon(a, &r);
        assert_int_equal(ahead_take(a, &first, images, &e), 0);
        pause_for(30);
        ahead_free(a);
        assert_in_range(f.made, first.n, first.n + 499); /* 10 seconds would have gone by */
        assert_int_equal(f.memories, 0);
        expect_threads(before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_do_not_depend_on_threads_or_announcements),
        cmocka_unit_test(announced_batches_are_made_meanwhile),
        cmocka_unit_test(the_first_error_is_told),
        cmocka_unit_test(stopping_does_not_wait_for_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
