/* Where a worker is among those of its host, by what mpirun and srun say; and its part of the cores. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "orchestrator/place.h"

static const char *const variables[] = {
    "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE", "OMPI_COMM_WORLD_RANK", "SLURM_LOCALID", "SLURM_NODEID",
    "SLURM_STEP_TASKS_PER_NODE"};
enum { VARIABLES = sizeof variables / sizeof *variables };

static void test_places(void **state)
{
    static const struct {
        const char *value[VARIABLES]; /* as above; NULL: not set */
        int index, count;
    } cases[] = {
        {{0}, 0, 1},
        {{"0", "4", "0"}, 0, 3}, /* rank 0 itself: it counts for nobody */
        {{"1", "4", "1"}, 0, 3}, /* beside rank 0 */
        {{"3", "4", "3"}, 2, 3},
        {{"0", "3", "4"}, 0, 3}, /* on another host */
        {{"2", "3", "6"}, 2, 3},
        {{"1", "4", "1", "0", "1", "9,9"}, 0, 3}, /* mpirun within a step of SLURM */
        {{NULL, NULL, NULL, "1", "0", "7,3"}, 0, 6},
        {{NULL, NULL, NULL, "6", "0", "7,3"}, 5, 6},
        {{NULL, NULL, NULL, "2", "1", "7,3"}, 2, 3},
        {{NULL, NULL, NULL, "0", "2", "4(x2),8(x2)"}, 0, 8},
        {{NULL, NULL, NULL, "3", "1", "4(x2),8(x2)"}, 3, 4},
        {{NULL, NULL, NULL, "3", "4", "4(x2),8(x2)"}, 0, 1}, /* a list that is too short, */
        {{NULL, NULL, NULL, "0", "0", "nonsense"}, 0, 1},    /* or none */
        {{"9", "4", "12"}, 0, 4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct place p;

        for (int k = 0; k < VARIABLES; k++) {
            unsetenv(variables[k]);
            if (cases[i].value[k])
                setenv(variables[k], cases[i].value[k], 1);
        }
        p = place_here();
        if (p.index != cases[i].index || p.count != cases[i].count)
            fail_msg("case %zu: %d of %d", i, p.index, p.count);
    }
}

/* Every core has one owner, and no two parts differ by more than one. */
static void test_shares(void **state)
{
    (void)state;
    for (int cores = 1; cores <= 40; cores++)
        for (int count = 1; count <= cores + 1; count++) {
            cpu_set_t allowed, seen, share, both;

            CPU_ZERO(&allowed);
            CPU_ZERO(&seen);
            for (int i = 0; i < cores; i++)
                CPU_SET(3 + 2 * i, &allowed);
            for (int index = 0; index < count; index++) {
                assert_int_equal(place_share(&(struct place){index, count}, &allowed, &share), cores >= count);
                if (cores < count) {
                    assert_true(CPU_EQUAL(&share, &allowed));
                    continue;
                }
                assert_in_range(CPU_COUNT(&share), cores / count, (cores + count - 1) / count);
                CPU_AND(&both, &share, &seen);
                assert_int_equal(CPU_COUNT(&both), 0);
                CPU_OR(&seen, &seen, &share);
            }
            if (cores >= count)
                assert_true(CPU_EQUAL(&seen, &allowed));
        }
}

static void test_binding(void **state)
{
    cpu_set_t before, after, expected;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    place_share(&(struct place){1, 2}, &before, &expected);
    place_bind(&(struct place){1, 2});
    assert_int_equal(sched_getaffinity(0, sizeof after, &after), 0);
    assert_true(CPU_EQUAL(&after, &expected));
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_binding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
