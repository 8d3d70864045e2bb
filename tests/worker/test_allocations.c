/* Training takes its memory before the first step: however many steps follow, no more is asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "trial.h"

static atomic_int asked; /* how often our own code asked for memory */

/* The linker sends calls from our objects here. */
void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
int __real_posix_memalign(void **p, size_t alignment, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
int __wrap_posix_memalign(void **p, size_t alignment, size_t n);

void *__wrap_malloc(size_t n)
{
    asked++;
    return __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    asked++;
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    asked++;
    return __real_realloc(p, n);
}

int __wrap_posix_memalign(void **p, size_t alignment, size_t n)
{
    asked++;
    return __real_posix_memalign(p, alignment, n);
}

/* Allocations of the stage of task 0 in a trial with these options; *calls: how often it asked whether it may go on. */
static int allocations(const char *options, enum stage_kind kind, int *calls)
{
    struct record *r = calloc(1, sizeof *r);
    struct trial t;
    int before = 0;
    err e = {0};

    trial_open(&t, options, "counted");
    for (int stage = 0; stage <= trial_stage(&t, kind, 0); stage++) {
        before = asked;
        if (trial_run_stage(&t, stage, r, &e))
            fail_msg("%s", e.text);
    }
    before = asked - before;
    *calls = r->calls;
    free(r);
    trial_close(&t);
    return before;
}

static void as_many_for_two_epochs_as_for_twelve(void **state)
{
    static const struct {
        enum stage_kind kind;
        const char *few, *many;
        int more; /* at most, or less: threads that make images take memory when they first get one, and for larger crops; of 60 steps
                     more each would ask otherwise */
    } cases[] = {
        {STAGE_WTP, "train.epochs=2 train.batch=4", "train.epochs=12 train.batch=4", 12},
        {STAGE_WTP, "train.epochs=2 train.batch=4 dataset.augment=true",
         "train.epochs=12 train.batch=4 dataset.augment=true", 12},
        {STAGE_TII, "tii.epochs=2 tii.batch=4", "tii.epochs=12 tii.batch=4", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int few_calls, many_calls, few = allocations(cases[i].few, cases[i].kind, &few_calls),
                                   many = allocations(cases[i].many, cases[i].kind, &many_calls);

        assert_true(few > 0 && many_calls > few_calls + 10);
        if (abs(many - few) > cases[i].more)
            fail_msg("'%s' asks for memory %d times, '%s' %d times", cases[i].few, few, cases[i].many, many);
    }
}

static int make_world(void **state)
{
    (void)state;
    world_make();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_many_for_two_epochs_as_for_twelve)};

    return cmocka_run_group_tests(tests, make_world, NULL);
}
