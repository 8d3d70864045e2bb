/* Texts: what is UTF-8 by the table of the standard, what is shown of what is not, and JSON of any bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/text.h"

/* Table 3-7 of the Unicode standard (well-formed UTF-8 byte sequences), written out. */
static int by_the_standard(const unsigned char *s)
{
    static const struct {
        unsigned char low[4], high[4];
        int length;
    } rows[] = {
        {{0x00}, {0x7F}, 1},
        {{0xC2, 0x80}, {0xDF, 0xBF}, 2},
        {{0xE0, 0xA0, 0x80}, {0xE0, 0xBF, 0xBF}, 3},
        {{0xE1, 0x80, 0x80}, {0xEC, 0xBF, 0xBF}, 3},
        {{0xED, 0x80, 0x80}, {0xED, 0x9F, 0xBF}, 3},
        {{0xEE, 0x80, 0x80}, {0xEF, 0xBF, 0xBF}, 3},
        {{0xF0, 0x90, 0x80, 0x80}, {0xF0, 0xBF, 0xBF, 0xBF}, 4},
        {{0xF1, 0x80, 0x80, 0x80}, {0xF3, 0xBF, 0xBF, 0xBF}, 4},
        {{0xF4, 0x80, 0x80, 0x80}, {0xF4, 0x8F, 0xBF, 0xBF}, 4},
    };

    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        int k = 0;

        while (k < rows[r].length && s[k] >= rows[r].low[k] && s[k] <= rows[r].high[k])
            k++;
        if (k == rows[r].length)
            return k;
    }
    return 0;
}

static void characters_are_those_of_the_standard(void **state)
{
    static const unsigned char last[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF};
    enum { LAST = sizeof last };

    (void)state;
    for (int first = 0; first < 256; first++)
        for (int second = 0; second < 256; second++)
            for (int k = 0; k < LAST * LAST; k++) {
                const unsigned char s[4] = {(unsigned char)first, (unsigned char)second, last[k / LAST],
                                            last[k % LAST]};
                int length = by_the_standard(s);

                for (size_t n = 0; n <= 4; n++)
                    if (text_character((const char *)s, n) != ((size_t)length <= n ? length : 0))
                        fail_msg("%02x %02x %02x %02x, %zu bytes", s[0], s[1], s[2], s[3], n);
            }
}

static void control_characters_are_not_printable(void **state)
{
    static const char *const good[] = {"",        "a", "white horse", "caf\xC3\xA9", "\xE7\x8C\xAB", "\xF0\x9F\x90\x88",
                                       "\xC2\xA0"},
                             *const bad[] = {"\n", "a\tb", "\x1b[31m", "\x7F", "\xC2\x85", "\xE9t\xE9", "cut \xC3"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(text_is_printable(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(text_is_printable(bad[i], strlen(bad[i])));
    assert_false(text_is_printable("\xC3\xA9", 1));
    assert_false(text_is_printable("a\0b", 3));
}

static void texts_are_repaired_and_cleaned(void **state)
{
    char text[] = "\xE9t\xC3\xA9\x1b\xC2\x85 \xF0\x9F\x90";

    (void)state;
    text_repair(text);
    assert_string_equal(text, "?t\xC3\xA9\x1b\xC2\x85 ???");
    text_clean(text);
    assert_string_equal(text, "?t\xC3\xA9    ???");
}

static void json_takes_any_bytes(void **state)
{
    char any[256];
    json_t *json;

    (void)state;
    for (int i = 1; i < 256; i++)
        any[i - 1] = (char)i;
    any[255] = '\0';
    assert_non_null(json = text_json(any));
    assert_memory_equal(json_string_value(json), any, 127);
    assert_int_equal(json_string_length(json), 255);
    for (int i = 127; i < 255; i++)
        assert_int_equal(json_string_value(json)[i], '?');
    json_decref(json);
    assert_non_null(json = text_json("caf\xC3\xA9 \xE9"));
    assert_string_equal(json_string_value(json), "caf\xC3\xA9 ?");
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_are_those_of_the_standard),
        cmocka_unit_test(control_characters_are_not_printable),
        cmocka_unit_test(texts_are_repaired_and_cleaned),
        cmocka_unit_test(json_takes_any_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
