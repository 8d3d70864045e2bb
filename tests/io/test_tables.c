/* Tables and their rows as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "io/rows.h"

static const struct table *const tables[] = {&table_trials,   &table_options,  &table_accuracy,
                                             &table_training, &table_attempts, &table_stages};
enum { TABLES = sizeof tables / sizeof *tables, ROW_ROOM = 2048 };

static void fields_cover_their_row(void **state)
{
    (void)state;
    for (size_t t = 0; t < TABLES; t++) {
        size_t end = 0;

        for (int i = 0; i < tables[t]->count; i++) {
            const struct field *f = &tables[t]->fields[i];

            assert_in_range(f->offset, end, end + 7); /* nothing between but alignment */
            end = f->offset + field_size(f->kind);
            assert_true(strlen(f->help) > 0);
            assert_ptr_equal(table_field(tables[t], f->name), f);
        }
        assert_in_range(tables[t]->row_size, end, end + 7);
        assert_true(tables[t]->row_size <= ROW_ROOM);
        assert_null(table_field(tables[t], "no_such_field"));
    }
}

/* A row with a distinct value in each field. */
static void fill(const struct table *t, char *row)
{
    memset(row, 0, t->row_size);
    for (int i = 0; i < t->count; i++) {
        const struct field *f = &t->fields[i];

        if (f->kind == FIELD_INT)
            *(int64_t *)(row + f->offset) = INT64_MAX - i;
        else if (f->kind == FIELD_REAL)
            *(double *)(row + f->offset) = 0.1 * (i + 1);
        else if (f->kind == FIELD_KEY)
            snprintf(row + f->offset, KEY_SIZE, "0123456789abcdef0123456789abcd%02x", (unsigned char)i);
        else
            snprintf(row + f->offset, field_size(f->kind), "%s \"\xc3\xa9\xe2\x88\x9e\" %d", f->name, i);
    }
}

static void every_table_goes_through_json_text(void **state)
{
    (void)state;
    for (size_t t = 0; t < TABLES; t++) {
        char row[ROW_ROOM], back[ROW_ROOM];
        json_t *json, *again;
        err e = {0};
        char *text;

        fill(tables[t], row);
        json = row_to_json(tables[t], row);
        text = json_dumps(json, JSON_COMPACT);
        again = json_loads(text, 0, NULL);
        memset(back, 0xff, sizeof back);
        assert_int_equal(row_from_json(tables[t], again, back, &e), 0);
        assert_memory_equal(row, back, tables[t]->row_size);
        assert_int_equal(json_object_size(json), tables[t]->count);
        free(text);
        json_decref(json);
        json_decref(again);
    }
}

static void what_is_not_finite_is_left_out(void **state)
{
    struct accuracy_row row = {.phase = "after", .accuracy = 12.5, .tii_accuracy = NAN, .loss = INFINITY}, back;
    json_t *json = row_to_json(&table_accuracy, &row);
    err e = {0};

    (void)state;
    assert_null(json_object_get(json, "tii_accuracy"));
    assert_null(json_object_get(json, "loss"));
    assert_int_equal(row_from_json(&table_accuracy, json, &back, &e), 0);
    assert_true(isnan(back.tii_accuracy) && isnan(back.loss) && back.accuracy == 12.5);
    json_decref(json);
}

static void text_that_is_not_utf8_is_kept_readable(void **state)
{
    struct attempt_row row = {.host = "node\xff\xfe"};
    json_t *json = row_to_json(&table_attempts, &row);

    (void)state;
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "host")), "node??");
    json_decref(json);
    memset(row.cause, 'x', sizeof row.cause); /* no terminator */
    json = row_to_json(&table_attempts, &row);
    assert_int_equal(json_string_length(json_object_get(json, "cause")), TEXT_SIZE - 1);
    json_decref(json);
}

/* Each line replaces one member of a good stage row; the error names the field. */
static void nonsense_is_refused_by_name(void **state)
{
    static const struct {
        const char *field, *json;
    } bad[] = {{"task", "1.5"},   {"task", "\"1\""},         {"task", "null"},
               {"kind", "3"},     {"kind", "\"a\\u0000b\""}, {"seconds", "\"1\""},
               {"seconds", "{}"}, {"stage_key", "\"0123\""}, {"digest", "\"zz23456789abcdef0123456789abcdef\""}};
    char row[ROW_ROOM], back[ROW_ROOM], longest[TEXT_SIZE + 1];
    json_t *json;
    err e = {0};

    (void)state;
    fill(&table_stages, row);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json = row_to_json(&table_stages, row);
        json_object_set_new(json, bad[i].field, json_loads(bad[i].json, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL));
        assert_int_equal(row_from_json(&table_stages, json, back, &e), ERR_DAMAGED);
        assert_non_null(strstr(e.text, bad[i].field));
        json_decref(json);
    }
    for (int i = 0; i < table_stages.count; i++) {
        bool real = table_stages.fields[i].kind == FIELD_REAL;

        json = row_to_json(&table_stages, row);
        json_object_del(json, table_stages.fields[i].name);
        assert_int_equal(row_from_json(&table_stages, json, back, &e), real ? 0 : ERR_DAMAGED);
        json_decref(json);
    }
    memset(longest, 'x', TEXT_SIZE);
    longest[TEXT_SIZE] = '\0';
    json = row_to_json(&table_stages, row);
    json_object_set_new(json, "checkpoint", json_string(longest));
    assert_int_equal(row_from_json(&table_stages, json, back, &e), ERR_DAMAGED);
    json_object_set_new(json, "checkpoint", json_string(longest + 1)); /* fits exactly */
    json_object_set_new(json, "unknown", json_true());
    assert_int_equal(row_from_json(&table_stages, json, back, &e), 0);
    json_decref(json);
    json = json_array();
    assert_int_equal(row_from_json(&table_stages, json, back, &e), ERR_DAMAGED);
    json_decref(json);
    assert_int_equal(row_from_json(&table_stages, NULL, back, &e), ERR_DAMAGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_cover_their_row),         cmocka_unit_test(every_table_goes_through_json_text),
        cmocka_unit_test(what_is_not_finite_is_left_out), cmocka_unit_test(text_that_is_not_utf8_is_kept_readable),
        cmocka_unit_test(nonsense_is_refused_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
