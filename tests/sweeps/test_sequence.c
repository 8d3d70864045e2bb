/* tests/sweeps/test_sequence.c - class orders and the split of ImageNet-R against the fixtures of the official code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/mt19937.h"
#include "sweeps/sequence.h"

/* clang-format off */
/* Class orders of the official code for the seeds of its scripts (methods.md 4.1). */
static const struct {
    int classes;
    uint64_t seed;
    int order[200];
} orders[] = {
    {100, 42, {
        42, 41, 91, 9, 65, 50, 1, 70, 15, 78, 73, 10, 55, 56, 72, 45, 48, 92, 76, 37, 30, 21, 32, 96, 80, 49,
        83, 26, 87, 33, 8, 47, 59, 63, 74, 44, 98, 52, 85, 12, 36, 23, 39, 40, 18, 66, 61, 60, 7, 34, 99, 46, 2,
        51, 16, 38, 58, 68, 22, 62, 24, 5, 6, 67, 82, 19, 79, 43, 90, 20, 0, 95, 57, 93, 53, 89, 25, 71, 84, 77,
        64, 29, 27, 88, 97, 4, 54, 75, 11, 69, 86, 13, 17, 28, 31, 35, 94, 3, 14, 81
    }},
    {100, 40, {
        8, 28, 21, 83, 24, 54, 48, 77, 23, 73, 92, 87, 98, 11, 80, 91, 90, 70, 94, 47, 1, 2, 71, 86, 17, 9, 75,
        43, 46, 49, 20, 30, 84, 34, 39, 15, 69, 82, 59, 55, 5, 0, 45, 38, 51, 57, 53, 96, 60, 27, 95, 13, 37,
        61, 50, 64, 72, 68, 88, 62, 33, 10, 63, 19, 29, 42, 76, 78, 52, 12, 66, 65, 18, 41, 32, 14, 40, 22, 6,
        99, 79, 25, 7, 89, 97, 3, 56, 35, 44, 16, 26, 93, 81, 85, 36, 31, 4, 67, 74, 58
    }},
    {100, 44, {
        54, 31, 82, 46, 25, 63, 70, 10, 32, 26, 53, 99, 86, 35, 33, 50, 56, 60, 11, 73, 42, 17, 87, 19, 61, 18,
        96, 7, 0, 5, 55, 44, 62, 39, 98, 71, 79, 67, 64, 29, 58, 23, 21, 77, 78, 76, 27, 80, 74, 2, 90, 49, 15,
        47, 16, 97, 57, 68, 59, 30, 6, 24, 94, 4, 91, 13, 40, 34, 85, 8, 83, 88, 84, 36, 43, 9, 45, 41, 51, 75,
        93, 81, 38, 65, 20, 12, 1, 72, 95, 92, 3, 37, 28, 48, 22, 14, 89, 69, 66, 52
    }},
    {200, 42, {
        66, 187, 101, 193, 111, 121, 13, 2, 64, 44, 136, 170, 128, 76, 158, 167, 45, 130, 30, 3, 159, 15, 42,
        126, 186, 162, 47, 110, 5, 194, 37, 122, 12, 36, 153, 69, 61, 195, 32, 172, 171, 60, 10, 144, 160, 52,
        125, 106, 73, 113, 105, 95, 103, 145, 43, 0, 161, 192, 16, 80, 102, 38, 156, 176, 135, 78, 115, 19, 14,
        177, 146, 179, 65, 84, 165, 46, 104, 79, 54, 196, 85, 118, 109, 133, 142, 33, 18, 140, 123, 175, 63, 83,
        148, 100, 155, 72, 27, 184, 112, 51, 174, 4, 29, 183, 99, 98, 131, 124, 198, 134, 178, 120, 34, 48, 169,
        138, 149, 132, 127, 21, 81, 77, 9, 82, 164, 119, 89, 68, 53, 90, 94, 41, 93, 116, 199, 157, 25, 180,
        147, 74, 58, 152, 17, 49, 92, 75, 141, 20, 96, 31, 137, 117, 11, 67, 88, 91, 24, 97, 182, 190, 86, 181,
        39, 168, 87, 185, 40, 1, 71, 150, 114, 56, 107, 191, 166, 50, 143, 197, 154, 129, 59, 55, 23, 7, 8, 108,
        151, 22, 139, 173, 26, 188, 35, 57, 62, 70, 189, 6, 28, 163
    }},
    {200, 40, {
        47, 26, 156, 136, 187, 153, 186, 105, 6, 122, 113, 188, 78, 97, 130, 196, 179, 14, 149, 73, 88, 0, 129,
        142, 146, 181, 90, 182, 109, 68, 173, 166, 165, 127, 44, 195, 99, 10, 49, 198, 42, 19, 162, 87, 35, 169,
        108, 69, 91, 140, 71, 18, 106, 36, 115, 191, 121, 183, 1, 34, 59, 176, 175, 81, 197, 151, 157, 67, 159,
        54, 50, 46, 128, 3, 82, 76, 96, 5, 180, 4, 95, 65, 171, 124, 60, 55, 86, 114, 27, 143, 172, 94, 126,
        111, 185, 31, 103, 147, 144, 11, 192, 189, 161, 20, 21, 178, 123, 102, 100, 56, 141, 30, 66, 139, 138,
        145, 75, 167, 152, 93, 107, 177, 57, 92, 184, 101, 23, 98, 38, 9, 17, 63, 194, 137, 84, 120, 25, 116,
        155, 61, 48, 28, 77, 119, 22, 2, 190, 43, 16, 132, 110, 125, 53, 150, 40, 118, 74, 160, 168, 41, 79, 39,
        58, 85, 174, 12, 104, 24, 133, 131, 37, 83, 64, 29, 80, 154, 45, 13, 199, 158, 51, 164, 15, 33, 135, 7,
        112, 70, 89, 32, 52, 193, 163, 170, 72, 62, 8, 134, 148, 117
    }},
    {200, 44, {
        13, 44, 110, 39, 1, 30, 149, 21, 52, 20, 100, 160, 81, 54, 56, 92, 50, 105, 147, 124, 93, 68, 119, 85,
        10, 128, 156, 198, 19, 188, 143, 126, 148, 53, 180, 26, 47, 125, 58, 31, 99, 118, 166, 106, 23, 64, 95,
        78, 137, 49, 73, 165, 5, 89, 90, 41, 136, 135, 4, 187, 115, 159, 117, 16, 32, 183, 102, 129, 132, 70,
        154, 139, 75, 36, 87, 62, 196, 42, 76, 65, 178, 164, 61, 114, 113, 155, 109, 161, 67, 134, 199, 35, 112,
        101, 144, 34, 169, 182, 37, 174, 108, 0, 142, 82, 22, 172, 15, 60, 79, 175, 6, 193, 55, 190, 173, 181,
        167, 107, 153, 43, 46, 14, 51, 185, 127, 194, 141, 170, 3, 189, 186, 168, 71, 146, 157, 140, 123, 59,
        38, 197, 116, 120, 94, 84, 9, 111, 11, 12, 63, 66, 33, 152, 48, 121, 122, 163, 98, 88, 8, 191, 27, 80,
        69, 24, 150, 17, 130, 28, 184, 158, 72, 86, 18, 91, 83, 171, 103, 151, 96, 162, 177, 77, 176, 131, 40,
        25, 2, 145, 195, 192, 7, 74, 57, 97, 45, 29, 179, 138, 133, 104
    }},
};

/* random.Random(seed + K * 2**32).shuffle(list(range(5))), CPython 3.11. */
static const struct {
    uint64_t seed;
    int k, order[5];
} permutations[] = {
    {0, 0, {2, 1, 0, 4, 3}},
    {0, 1, {3, 4, 1, 2, 0}},
    {0, 2, {4, 1, 2, 3, 0}},
    {42, 0, {3, 1, 2, 4, 0}},
    {42, 1, {1, 2, 0, 3, 4}},
    {42, 2, {1, 0, 3, 4, 2}},
    {40, 0, {2, 1, 4, 0, 3}},
    {40, 1, {2, 4, 1, 3, 0}},
    {40, 2, {4, 3, 2, 0, 1}},
    {44, 0, {2, 1, 4, 0, 3}},
    {44, 1, {4, 3, 1, 0, 2}},
    {44, 2, {2, 0, 1, 4, 3}},
};
/* clang-format on */

static void test_official_orders(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        struct class_sequence s;
        err e = {0};
        assert_int_equal(sequence_resolve("shuffled", orders[i].classes, 10, orders[i].seed, &s, &e), 0);
        assert_memory_equal(s.ids, orders[i].order, (size_t)s.classes * sizeof(int));
        for (int t = 0; t <= 10; t++)
            assert_int_equal(s.first[t], t * orders[i].classes / 10);
        for (int c = 0; c < s.classes; c++)
            assert_int_equal(s.task_of[s.ids[c]], c / (orders[i].classes / 10));
        sequence_free(&s);
    }
}

static void test_permutations(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof permutations / sizeof *permutations; i++) {
        struct class_sequence s;
        char text[32];
        err e = {0};
        snprintf(text, sizeof text, "permutation:%d", permutations[i].k);
        assert_int_equal(sequence_resolve(text, 10, 5, permutations[i].seed, &s, &e), 0);
        for (int t = 0; t < 5; t++) {
            assert_int_equal(s.ids[2 * t], 2 * permutations[i].order[t]);
            assert_int_equal(s.ids[2 * t + 1], 2 * permutations[i].order[t] + 1);
            assert_int_equal(s.first[t], 2 * t);
        }
        sequence_free(&s);
    }
}

/* torch.Generator().manual_seed(42): n = 10, and ImageNet-R's 30,000 (methods.md 4.2). */
static void test_torch_randperm(void **state)
{
    static const uint32_t small[] = {2, 6, 1, 8, 4, 5, 0, 9, 3, 7},
                          large[] = {7542, 10109, 19114, 5209, 9270, 15555, 12970, 10207, 13694, 1745, 14788, 6523},
                          with_40[] = {22438, 26406, 1191, 17820, 3140}, with_44[] = {19732, 4411, 5867, 15375, 3011};
    uint32_t *p = malloc(30000 * sizeof *p);
    uint64_t sum = 0;

    (void)state;
    torch_randperm(p, 10, 42);
    assert_memory_equal(p, small, sizeof small);
    torch_randperm(p, 30000, 42);
    assert_memory_equal(p, large, sizeof large);
    for (int i = 0; i < 24000; i++)
        sum += p[i];
    assert_int_equal(sum, 360537727);
    torch_randperm(p, 30000, 40);
    assert_memory_equal(p, with_40, sizeof with_40);
    torch_randperm(p, 30000, 44);
    assert_memory_equal(p, with_44, sizeof with_44);
    free(p);
}

/* The layout as text: "0 1|2 3|...". */
static const char *layout(const struct class_sequence *s)
{
    static char text[1000];
    size_t used = 0;

    for (int t = 0; t < s->tasks; t++)
        for (int i = s->first[t]; i < s->first[t + 1]; i++)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%d", i == s->first[t] ? (t ? "|" : "") : " ",
                                     s->ids[i]);
    return text;
}

static void test_forms(void **state)
{
    static const struct {
        const char *text;
        int classes, tasks;
        const char *layout;
    } rows[] = {
        {"natural", 10, 5, "0 1|2 3|4 5|6 7|8 9"},
        {"natural", 10, 4, "0 1 2|3 4 5|6 7 8|9"},
        {"natural", 3, 1, "0 1 2"},
        {"[[9, 0], [1], [2,3,4,5,6,7,8]]", 10, 3, "9 0|1|2 3 4 5 6 7 8"},
        {"first:4", 10, 4, "0 1 2 3|4 5|6 7|8 9"},
        {"first:5", 10, 4, "0 1 2 3 4|5 6|7 8|9"},
        {"rotation:0", 6, 3, "0 1|2 3|4 5"},
        {"rotation:1", 6, 3, "2 3|4 5|0 1"},
        {"rotation:2", 6, 3, "4 5|0 1|2 3"},
        {"rotation:2", 5, 3, "4|0 1|2 3"},
        {"shuffled-first:4", 10, 4, "7 3 2 8|5 6|9 4|0 1"}, /* random.Random(42).shuffle(list(range(10))) */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct class_sequence s;
        err e = {0};
        if (sequence_resolve(rows[i].text, rows[i].classes, rows[i].tasks, 42, &s, &e))
            fail_msg("%s: %s", rows[i].text, e.text);
        assert_string_equal(layout(&s), rows[i].layout);
        sequence_free(&s);
    }
}

static void test_errors(void **state)
{
    static const char rule[] =
        "must be natural, shuffled, first:N, shuffled-first:N, permutation:K, rotation:K or a list "
        "of the classes of each task like [[0, 1], [2, 3]]";
    static const struct {
        const char *text;
        int classes, tasks;
        const char *message; /* %s: the rule */
    } rows[] = {
        {"[[0,1],[2,3]]", 5, 2, "class 4 is in no task"},
        {"[[0,1],[1,2]]", 3, 2, "class 1 is in task 0 and in task 1"},
        {"[[0,0],[1,2]]", 3, 2, "class 0 is in task 0 and in task 0"},
        {"[[0,1],[2,3]]", 3, 2, "class 3 of task 1: the data set has classes 0 to 2"},
        {"[[0,1],[2,3]]", 4, 3, "the list names the classes of 2 tasks, but dataset.tasks is 3"},
        {"natural", 10, 7, "natural: task 5 of 7 gets none of the 10 classes"},
        {"first:10", 10, 2, "first:10: task 1 of 2 gets none of the 10 classes"},
        {"first:0", 10, 2, "first:0: task 0 of 2 gets none of the 10 classes"},
        {"rotation:5", 10, 5, "rotation:5: there are tasks 0 to 4 to start from"},
        {"natural", 0, 5, "0 classes in 5 tasks: at most 100000 in 1000"},
        {"shufled", 10, 5, "shufled: %s; did you mean 'shuffled'?"},
        {"first", 10, 5, "first: %s; did you mean 'first:N'?"},
        {"first:x", 10, 5, "first:x: %s; did you mean 'first:N'?"},
        {"natural:3", 10, 5, "natural:3: %s; did you mean 'natural'?"},
        {"[[0,1],[]]", 10, 5, "[[0,1],[]]: %s"},
        {"[[0,1],[2]", 10, 5, "[[0,1],[2]: %s"},
        {"[0,1]", 10, 5, "[0,1]: %s"},
        {"[[0 1]]", 10, 5, "[[0 1]]: %s"},
        {"[[-1]]", 10, 5, "[[-1]]: %s"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct class_sequence s;
        char message[600];
        const char *at = strstr(rows[i].message, "%s");
        err e = {0};
        snprintf(message, sizeof message, "%.*s%s%s", at ? (int)(at - rows[i].message) : 500, rows[i].message,
                 at ? rule : "", at ? at + 2 : "");
        assert_int_equal(sequence_resolve(rows[i].text, rows[i].classes, rows[i].tasks, 42, &s, &e), ERR_CONFIG);
        assert_string_equal(e.text, message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_official_orders), cmocka_unit_test(test_permutations),
        cmocka_unit_test(test_torch_randperm),  cmocka_unit_test(test_forms),
        cmocka_unit_test(test_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
