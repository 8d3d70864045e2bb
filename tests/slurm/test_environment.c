/* What a process knows of its job, from the environment as SLURM sets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "slurm/environment.h"

static void test_outside(void **state)
{
    struct slurm_job job;

    (void)state;
    unsetenv("SLURM_JOB_ID");
    setenv("SLURM_JOB_END_TIME", "1700000000", 1); /* left over from somewhere */
    job = slurm_job();
    assert_false(job.inside);
    assert_true(isinf(slurm_seconds_left(&job, 1600000000)));
}

static void test_inside(void **state)
{
    struct slurm_job job;

    (void)state;
    setenv("SLURM_JOB_ID", "4711", 1);
    setenv("SLURM_NTASKS", "32", 1);
    setenv("SLURM_RESTART_COUNT", "2", 1);
    setenv("SLURM_JOB_END_TIME", "1700000000", 1);
    job = slurm_job();
    assert_true(job.inside);
    assert_int_equal(job.id, 4711);
    assert_int_equal(job.tasks, 32);
    assert_int_equal(job.restarts, 2);
    assert_int_equal(job.end_time, 1700000000);
    assert_true(slurm_seconds_left(&job, 1699999000) == 1000);
    assert_true(slurm_seconds_left(&job, 1700000060) == -60); /* the limit has passed */
}

static void test_unknown(void **state)
{
    static const char *const nonsense[] = {"", "soon", "12x", "-1", "99999999999999999999"};
    struct slurm_job job;

    (void)state;
    setenv("SLURM_JOB_ID", "1", 1);
    unsetenv("SLURM_NTASKS");
    unsetenv("SLURM_RESTART_COUNT");
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
        setenv("SLURM_JOB_END_TIME", nonsense[i], 1);
        job = slurm_job();
        assert_true(job.inside);
        assert_int_equal(job.tasks, 0);
        assert_int_equal(job.restarts, 0);
        assert_true(isinf(slurm_seconds_left(&job, 1)));
        setenv("SLURM_JOB_ID", nonsense[i], 1);
        assert_false(slurm_job().inside);
        setenv("SLURM_JOB_ID", "1", 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outside),
        cmocka_unit_test(test_inside),
        cmocka_unit_test(test_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
