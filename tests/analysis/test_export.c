/* tests/analysis/test_export.c - what `sluice export` writes is what results.h5 holds: read back by our own reader, by a strict CSV
 * reader, and where there is one by pandas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analysis/commands.h"
#include "analysis/export.h"
#include "io/h5.h"
#include "io/pack.h"
#include "sample_store.h"

static const struct sample plain = {
    .gates = 3, .lengths = 2, .seeds = 2, .tasks = 3, .finished = 11, .ranks = 2, .failure = true};

static void good(err *e)
{
    if (e->code)
        fail_msg("%s", e->text);
}

static void make_sweep(const char *folder)
{
    char path[100];
    err e = {0};

    mkdir(folder, 0700);
    snprintf(path, sizeof path, "%s/results.h5", folder);
    sample_store_write(path, &plain, &e);
    good(&e);
}

static int run(const char *path, const char *to)
{
    char from[100], into[100];

    snprintf(from, sizeof from, "%s", path);
    snprintf(into, sizeof into, "%s", to);
    return command_export(4, (char *[]){(char[]){"export"}, from, (char[]){"--to"}, into, NULL});
}

/* Fields of the next record of a CSV stream; 0 at the end. */
static int next_record(FILE *in, char field[64][300])
{
    int count = 0, c;
    size_t n = 0;
    bool quoted = false, any = false;

    while ((c = getc(in)) != EOF) {
        any = true;
        if (c == '"') {
            int after = quoted ? getc(in) : 0;
            if (quoted && after == '"') {
                field[count][n++] = '"';
                continue;
            }
            if (quoted)
                ungetc(after, in);
            quoted = !quoted;
        } else if (!quoted && (c == ',' || c == '\n')) {
            field[count++][n] = 0;
            n = 0;
            if (c == '\n')
                return count;
        } else {
            field[count][n++] = (char)c;
        }
        assert_true(count < 64 && n < 299);
    }
    assert_false(any); /* the last record ends with its line */
    return 0;
}

static int column(char field[64][300], int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(field[i], name))
            return i;
    fail_msg("no column %s", name);
    return -1;
}

static void csv_holds_every_number(void **state)
{
    static char head[64][300], field[64][300];
    struct results r;
    err e = {0};

    (void)state;
    make_sweep("sweep");
    assert_int_equal(run("sweep", "csv"), 0);
    results_read("sweep/results.h5", &r, &e);
    good(&e);
    FILE *in = fopen("csv/trials.csv", "r");
    assert_non_null(in);
    int count = next_record(in, head);
    int faa = column(head, count, "faa"), gate = column(head, count, "gate_activation"),
        cause = column(head, count, "cause");
    for (size_t i = 0; i < r.trials_count; i++) {
        assert_int_equal(next_record(in, field), count);
        assert_int_equal(atoi(field[0]), r.trials[i].trial);
        assert_string_equal(field[gate], r.columns[0].texts[i]);
        assert_string_equal(field[cause], r.trials[i].cause);
        if (isnan(r.trials[i].faa))
            assert_string_equal(field[faa], "");
        else
            assert_true(strtod(field[faa], NULL) == r.trials[i].faa); /* to the last bit */
    }
    assert_int_equal(next_record(in, field), 0);
    fclose(in);
    in = fopen("csv/accuracy.csv", "r");
    assert_non_null(in);
    count = next_record(in, head);
    int accuracy = column(head, count, "accuracy");
    for (size_t i = 0; i < r.accuracy_count; i++) {
        assert_int_equal(next_record(in, field), count);
        assert_true(strtod(field[accuracy], NULL) == r.accuracy[i].row.accuracy);
    }
    fclose(in);
    results_free(&r);
}

static void csv_says_what_its_fields_mean(void **state)
{
    static char field[64][300];
    bool unit = false, yaml = false;

    (void)state;
    make_sweep("sweep");
    assert_int_equal(run("sweep/results.h5", "csv"), 0);
    FILE *in = fopen("csv/fields.csv", "r");
    assert_non_null(in);
    while (next_record(in, field) == 4)
        unit |= !strcmp(field[0], "trials") && !strcmp(field[1], "prompt_length") && !strcmp(field[2], "tokens");
    fclose(in);
    assert_true(unit);
    in = fopen("csv/attributes.csv", "r");
    assert_non_null(in);
    while (next_record(in, field) == 2) /* the YAML has line ends and commas inside */
        yaml |= !strcmp(field[0], "sweep_yaml") && strstr(field[1], "\n  rows:\n") != NULL;
    fclose(in);
    assert_true(yaml);
}

static void make_checkpoint(const char *path, float value)
{
    float values[3] = {value, 2, 3};
    err e = {0};
    h5 *file;

    if (!h5_create(path, &file, &e) && !h5_write(file, "prompt/keys", H5_F32, 1, (size_t[]){3}, values, false, &e) &&
        !h5_write_text(file, "kind", "wtp", &e))
        h5_commit(file, NULL, &e);
    good(&e);
}

static void a_pack_holds_the_tables_and_every_checkpoint(void **state)
{
    struct results before, after;
    float values[3];
    err e = {0};
    h5 *file;

    (void)state;
    make_sweep("sweep");
    mkdir("sweep/checkpoints", 0700);
    make_checkpoint("sweep/checkpoints/00000000000000000000000000000002.h5", 42);
    make_checkpoint("sweep/checkpoints/00000000000000000000000000000003.h5", 43);
    assert_int_equal(run("sweep", "packed.h5"), 0);
    results_read("sweep/results.h5", &before, &e);
    good(&e);
    results_read("packed.h5", &after, &e); /* with its digest, so the tables are the same to the byte */
    good(&e);
    assert_int_equal(after.trials_count, before.trials_count);
    assert_int_equal(after.accuracy_count, before.accuracy_count);
    assert_string_equal(results_attribute(&after, "sweep_yaml"), results_attribute(&before, "sweep_yaml"));
    results_free(&before);
    results_free(&after);
    assert_int_equal(h5_open("packed.h5", &file, &e), 0);
    assert_int_equal(
        h5_read(file, "checkpoints/00000000000000000000000000000003/prompt/keys", H5_F32, 1, (size_t[]){3}, values, &e),
        0);
    assert_true(values[0] == 43 && values[2] == 3);
    assert_true(h5_has(file, "checkpoints/00000000000000000000000000000002/prompt/keys"));
    assert_false(h5_has(file, "checkpoints/00000000000000000000000000000004/prompt/keys"));
    h5_close(file);
}

static void a_damaged_checkpoint_is_not_packed(void **state)
{
    static const char path[] = "sweep/checkpoints/00000000000000000000000000000002.h5";
    struct pack_part part = {path, "checkpoints/2"};
    char byte;
    err e = {0};

    (void)state;
    make_sweep("sweep");
    mkdir("sweep/checkpoints", 0700);
    make_checkpoint(path, 42.5f);
    FILE *f = fopen(path, "r+b");
    float value = 42.5f, found = 0;
    long at = 0;
    while (fseek(f, at, SEEK_SET) == 0 && fread(&found, sizeof found, 1, f) == 1 &&
           memcmp(&found, &value, sizeof value))
        at++;
    assert_true(found == value);
    fseek(f, at, SEEK_SET);
    byte = 1;
    fwrite(&byte, 1, 1, f);
    fclose(f);
    unlink("damaged.h5");
    assert_int_equal(pack_write("sweep/results.h5", &part, 1, "damaged.h5", NULL, &e), ERR_DAMAGED);
    assert_non_null(strstr(e.text, path));
    assert_int_not_equal(access("damaged.h5", F_OK), 0); /* nothing half done is left */
}

static void mistakes_have_their_status(void **state)
{
    (void)state;
    make_sweep("sweep");
    assert_int_equal(run("nowhere", "csv"), 2);
    assert_int_equal(run("sweep", "no/such/place"), 2);
    assert_int_equal(run("sweep", "no/such/place.h5"), 75);
    FILE *f = fopen("text.h5", "w");
    fputs("no HDF5", f);
    fclose(f);
    assert_int_equal(run("text.h5", "csv"), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_holds_every_number),
        cmocka_unit_test(csv_says_what_its_fields_mean),
        cmocka_unit_test(a_pack_holds_the_tables_and_every_checkpoint),
        cmocka_unit_test(a_damaged_checkpoint_is_not_packed),
        cmocka_unit_test(mistakes_have_their_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
