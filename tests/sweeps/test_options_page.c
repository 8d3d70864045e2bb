/* tests/sweeps/test_options_page.c - docs/options.md is what the tables say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sweeps/options_page.h"

static void test_up_to_date(void **state)
{
    char *page, *committed = calloc(1, 1 << 20);
    size_t size;
    FILE *out = open_memstream(&page, &size), *in = fopen(SOURCE_DIR "/docs/options.md", "r");

    (void)state;
    assert_non_null(in);
    options_page_write(out);
    fclose(out);
    assert_true(fread(committed, 1, (1 << 20) - 1, in) > 0);
    fclose(in);
    if (strcmp(page, committed))
        fail_msg("docs/options.md is out of date: sluice options --markdown > docs/options.md");
    free(page);
    free(committed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_up_to_date)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
