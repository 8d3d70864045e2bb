/* results.h5: round trips, other readers, damage, scale. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io/h5.h"
#include "io/store.h"

const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

#define GOOD(call)                             \
    do {                                       \
        if (call)                              \
            fail_msg("%s: %s", #call, e.text); \
    } while (0)

/* ---------------------------------------------------------------- a sweep's results */

enum { COLUMNS = 3, ATTRIBUTES = 2 };

struct sample {
    struct results results;
    struct trial_row *trials;
    struct accuracy_result *accuracy;
    struct training_result *training;
    struct attempt_row attempts[2];
    struct stage_row stages[1];
    struct option_result *options;
    struct results_column columns[COLUMNS];
    int64_t *lengths;
    double *rates;
    const char **gates;
};

static const char *const gates[] = {"tanh", "sigmoid", "none", "gelu and a name of some length \xc3\xa9"};
static const struct results_attribute attributes[ATTRIBUTES] = {{"sweep", "name: \xce\xb1\ntrial: {}\n"},
                                                                {"program", "sluice"}};

static void make_rows(struct sample *s, size_t trials, size_t tasks)
{
    size_t n = trials * tasks;

    for (size_t t = 0; t < trials; t++) {
        s->trials[t] = (struct trial_row){.trial = (int64_t)t,
                                          .key = "0123456789abcdef0123456789abcdef",
                                          .status = "done",
                                          .method = "norga",
                                          .dataset = "fashion-mnist",
                                          .backbone = "vit-micro",
                                          .seed = (int64_t)t % 5,
                                          .faa = 80 + (double)(t % 100) / 10,
                                          .caa = NAN,
                                          .ffm = (double)t,
                                          .attempts = 3,
                                          .trainable_parameters = 12345};
        s->lengths[t] = (int64_t)t - 1;
        s->rates[t] = t % 2 ? 0.03 : -1e-300;
        s->gates[t] = gates[t % 4];
        s->options[t] = (struct option_result){(int64_t)t, "gate.activation", gates[t % 4]};
    }
    for (size_t i = 0; i < n; i++) {
        s->accuracy[i] = (struct accuracy_result){(int64_t)(i / tasks),
                                                  {.after_task = 9,
                                                   .task = (int64_t)(i % tasks),
                                                   .phase = "after",
                                                   .accuracy = (double)(i % 1000) / 10,
                                                   .tii_accuracy = NAN,
                                                   .loss = 0.25,
                                                   .images = 1000}};
        s->training[i] = (struct training_result){(int64_t)(i / tasks),
                                                  {.stage = "wtp",
                                                   .task = (int64_t)(i % tasks),
                                                   .phase = "train",
                                                   .epoch = 4,
                                                   .loss = (double)i,
                                                   .accuracy = 99.5,
                                                   .lr = 1e-3,
                                                   .seconds = 2,
                                                   .images_per_second = 500}};
    }
}

static void sample_make(struct sample *s, size_t trials, size_t tasks)
{
    size_t n = trials * tasks;

    *s = (struct sample){.trials = calloc(trials + 1, sizeof *s->trials),
                         .accuracy = calloc(n + 1, sizeof *s->accuracy),
                         .training = calloc(n + 1, sizeof *s->training),
                         .options = calloc(trials + 1, sizeof *s->options),
                         .lengths = calloc(trials + 1, sizeof *s->lengths),
                         .rates = calloc(trials + 1, sizeof *s->rates),
                         .gates = calloc(trials + 1, sizeof *s->gates)};
    make_rows(s, trials, tasks);
    s->attempts[0] = (struct attempt_row){.stage_key = "0123456789abcdef0123456789abcdef",
                                          .attempt = 1,
                                          .rank = 3,
                                          .host = "node-1",
                                          .started = 1.7e9,
                                          .seconds = 1.5,
                                          .outcome = "failed"};
    memset(s->attempts[0].cause, 'c', TEXT_SIZE - 1); /* as long as it may be */
    s->attempts[1] = s->attempts[0];
    s->stages[0] = (struct stage_row){.kind = "tap", .task = 4, .shared_by = 2, .seconds = 7, .checkpoint = "x.h5"};
    s->columns[0] = (struct results_column){.name = "prompt_length",
                                            .option = "prompt.length",
                                            .unit = "tokens",
                                            .help = "prefix experts in each prompted block",
                                            .kind = FIELD_INT,
                                            .integers = s->lengths};
    s->columns[1] =
        (struct results_column){.name = "train_lr", .option = "train.lr", .kind = FIELD_REAL, .reals = s->rates};
    s->columns[2] = (struct results_column){
        .name = "gate_activation", .option = "gate.activation", .kind = FIELD_TEXT, .texts = s->gates};
    s->results = (struct results){.trials_count = trials,
                                  .accuracy_count = n,
                                  .training_count = n,
                                  .attempts_count = trials ? 2 : 0,
                                  .stages_count = trials ? 1 : 0,
                                  .options_count = trials,
                                  .columns_count = COLUMNS,
                                  .attributes_count = ATTRIBUTES,
                                  .trials = s->trials,
                                  .columns = s->columns,
                                  .accuracy = s->accuracy,
                                  .training = s->training,
                                  .attempts = s->attempts,
                                  .stages = s->stages,
                                  .options = s->options,
                                  .attributes = attributes};
}

static void sample_free(struct sample *s)
{
    free(s->trials);
    free(s->accuracy);
    free(s->training);
    free(s->options);
    free(s->lengths);
    free(s->rates);
    free((void *)s->gates);
}

static void write_sample(const char *path, size_t trials, size_t tasks)
{
    struct sample s;
    err e = {0};

    sample_make(&s, trials, tasks);
    GOOD(results_write(path, &s.results, &e));
    sample_free(&s);
}

static void assert_columns_equal(const struct results *a, const struct results *b)
{
    assert_int_equal(a->columns_count, b->columns_count);
    for (int c = 0; c < a->columns_count; c++) {
        const struct results_column *x = &a->columns[c], *y = &b->columns[c];

        assert_string_equal(x->name, y->name);
        assert_string_equal(x->option, y->option);
        assert_string_equal(x->unit, y->unit);
        assert_string_equal(x->help, y->help);
        assert_int_equal(x->kind, y->kind);
        for (size_t t = 0; t < a->trials_count; t++)
            if (x->kind == FIELD_INT)
                assert_int_equal(x->integers[t], y->integers[t]);
            else if (x->kind == FIELD_REAL)
                assert_true(x->reals[t] == y->reals[t]);
            else
                assert_string_equal(x->texts[t], y->texts[t]);
    }
}

/* Rows that lie `stride` apart, field by field: what lies between fields does not count. */
static void assert_rows_equal(const struct table *t, const void *a, const void *b, size_t count, size_t stride)
{
    for (size_t i = 0; i < count; i++)
        for (int k = 0; k < t->count; k++) {
            const struct field *f = &t->fields[k];
            size_t at = i * stride + f->offset;

            assert_memory_equal((const char *)a + at, (const char *)b + at, field_size(f->kind));
        }
}

static void assert_accuracy_equal(const struct accuracy_result *a, const struct accuracy_result *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(a[i].trial, b[i].trial);
    if (count)
        assert_rows_equal(&table_accuracy, &a->row, &b->row, count, sizeof *a);
}

static void what_is_written_is_read(void **state)
{
    static const size_t sizes[][2] = {{7, 3}, {1, 1}, {0, 1}, {9000, 12}};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct results back;
        struct sample s;
        err e = {0};

        sample_make(&s, sizes[i][0], sizes[i][1]);
        GOOD(results_write("round.h5", &s.results, &e));
        GOOD(results_read("round.h5", &back, &e));
        assert_int_equal(back.trials_count, s.results.trials_count);
        assert_int_equal(back.accuracy_count, s.results.accuracy_count);
        assert_int_equal(back.training_count, s.results.training_count);
        assert_int_equal(back.attempts_count, s.results.attempts_count);
        assert_int_equal(back.stages_count, s.results.stages_count);
        assert_int_equal(back.options_count, s.results.options_count);
        assert_rows_equal(&table_trials, back.trials, s.trials, back.trials_count, sizeof *s.trials);
        assert_accuracy_equal(back.accuracy, s.accuracy, back.accuracy_count);
        assert_rows_equal(&table_training, &back.training->row, &s.training->row, back.training_count,
                          sizeof *s.training);
        assert_rows_equal(&table_attempts, back.attempts, s.attempts, back.attempts_count, sizeof *s.attempts);
        assert_rows_equal(&table_stages, back.stages, s.stages, back.stages_count, sizeof *s.stages);
        for (size_t k = 0; k < back.training_count; k++)
            assert_int_equal(back.training[k].trial, s.training[k].trial);
        for (size_t k = 0; k < back.options_count; k++) {
            assert_int_equal(back.options[k].trial, s.options[k].trial);
            assert_string_equal(back.options[k].option, s.options[k].option);
            assert_string_equal(back.options[k].value, s.options[k].value);
        }
        assert_columns_equal(&back, &s.results);
        assert_int_equal(back.attributes_count, ATTRIBUTES + 1); /* and the digest */
        assert_string_equal(results_attribute(&back, "sweep"), attributes[0].text);
        assert_null(results_attribute(&back, "none"));
        assert_ptr_equal(results_column(&back, "prompt.length"), &back.columns[0]);
        assert_ptr_equal(results_column(&back, "prompt_length"), &back.columns[0]);
        assert_null(results_column(&back, "faa"));
        results_free(&back);
        results_free(&back);
        sample_free(&s);
    }
}

static void the_same_results_give_the_same_bytes(void **state)
{
    (void)state;
    write_sample("same-1.h5", 50, 5);
    sleep(1);
    write_sample("same-2.h5", 50, 5);
    assert_int_equal(system("cmp same-1.h5 same-2.h5"), 0);
}

static void two_fields_cannot_share_a_name(void **state)
{
    struct sample s;
    err e = {0};

    (void)state;
    sample_make(&s, 2, 2);
    strcpy(s.columns[1].name, "seed");
    assert_int_equal(results_write("twice.h5", &s.results, &e), ERR_BUG);
    assert_non_null(strstr(e.text, "seed"));
    assert_int_not_equal(access("twice.h5", F_OK), 0);
    assert_int_equal(results_write("no-such-folder/r.h5", &s.results, &e), ERR_STORAGE);
    sample_free(&s);
}

/* ---------------------------------------------------------------- other readers */

static void pandas_reads_it_in_one_line(void **state)
{
    (void)state;
    if (system("/usr/bin/python3 -c 'import h5py, pandas'"))
        skip();
    write_sample("pandas.h5", 40, 3);
    assert_int_equal(
        system("/usr/bin/python3 -c \"\n"
               "import pandas, h5py\n"
               "t = pandas.DataFrame(h5py.File('pandas.h5')['trials'][:])\n"
               "f = h5py.File('pandas.h5')\n"
               "assert list(t.columns) == ['trial', 'key', 'status', 'method', 'dataset', 'backbone', 'seed',\n"
               "  'prompt_length', 'train_lr', 'gate_activation', 'faa', 'caa', 'ffm', 'bwt', 'tii_accuracy',\n"
               "  'faa_before', 'caa_before', 'ffm_before', 'bwt_before', 'tii_before', 'tii_sample', 'seconds',\n"
               "  'core_seconds', 'attempts', 'trainable_parameters', 'cause', 'unused'], list(t.columns)\n"
               "assert len(t) == 40 and t.faa[12] == 81.2 and t.caa.isna().all() and t.prompt_length[0] == -1\n"
               "assert t.gate_activation.str.decode('utf-8')[3].endswith('\\u00e9') and t.cause[0] == b''\n"
               "assert t.train_lr[0] == -1e-300 and t.seed[7] == 2 and t.backbone[9] == b'vit-micro'\n"
               "a = pandas.DataFrame(f['accuracy'][:])\n"
               "assert len(a) == 120 and a.trial[119] == 39 and a.task[119] == 2 and a.phase[0] == b'after'\n"
               "assert f['trials'].attrs['prompt_length.unit'] == b'tokens'\n"
               "assert f['trials'].attrs['prompt_length.option'] == b'prompt.length'\n"
               "assert f['accuracy'].attrs['accuracy.unit'] == b'%' and f.attrs['schema_version'] == 1\n"
               "assert f.attrs['sweep'].decode() == 'name: \\u03b1\\ntrial: {}\\n'\n"
               "assert f['trials'].compression == 'gzip' and f['trials'].shuffle and f['trials'].chunks\n"
               "assert len(f['attempts'][0]['cause']) == 255\n"
               "\""),
        0);
}

static void h5dump_reads_it(void **state)
{
    (void)state;
    if (system("h5dump --version >version.txt 2>&1"))
        skip();
    write_sample("dump.h5", 3, 2);
    assert_int_equal(system("h5dump dump.h5 >dump.txt 2>&1"), 0);
    assert_int_equal(system("grep -q 'H5T_STD_I64LE \"prompt_length\"' dump.txt"), 0);
    assert_int_equal(system("grep -q 'CSET H5T_CSET_UTF8' dump.txt"), 0);
    assert_int_equal(system("grep -q fashion-mnist dump.txt"), 0);
}

/* ---------------------------------------------------------------- damaged and foreign files */

static unsigned char *slurp(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    unsigned char *bytes;
    struct stat status;

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &status), 0);
    *size = (size_t)status.st_size;
    bytes = malloc(*size + 1);
    assert_int_equal(fread(bytes, 1, *size, f), *size);
    fclose(f);
    return bytes;
}

static void spill(const char *path, const unsigned char *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static bool reads(const char *path)
{
    struct results r;
    err e = {0};
    int code = results_read(path, &r, &e);

    if (code)
        assert_int_equal(code, ERR_DAMAGED);
    results_free(&r);
    return code == 0;
}

static void truncated_files_are_damaged(void **state)
{
    unsigned char *bytes;
    size_t size;

    (void)state;
    write_sample("whole.h5", 30, 4);
    bytes = slurp("whole.h5", &size);
    assert_true(reads("whole.h5"));
    for (size_t cut = 0; cut < size; cut += 1 + size / 400) {
        spill("cut.h5", bytes, cut);
        assert_false(reads("cut.h5"));
    }
    free(bytes);
}

/* Metadata and data are checksummed: what a flipped bit changes is refused, or was not in use. */
static void flipped_bits_change_nothing_unseen(void **state)
{
    const char *given = getenv("SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : 20240802;
    struct results good, r;
    unsigned char *bytes;
    int noticed = 0;
    size_t size;
    err e = {0};

    (void)state;
    print_message("SEED=%u\n", seed);
    write_sample("flips.h5", 30, 4);
    GOOD(results_read("flips.h5", &good, &e));
    bytes = slurp("flips.h5", &size);
    for (int round = 0; round < 500; round++) {
        size_t at = (size_t)rand_r(&seed) % size;
        unsigned char bit = (unsigned char)(1 << rand_r(&seed) % 8);

        bytes[at] ^= bit;
        spill("flipped.h5", bytes, size);
        if (results_read("flipped.h5", &r, &e)) {
            assert_int_equal(e.code, ERR_DAMAGED);
            noticed++;
        } else {
            assert_int_equal(r.accuracy_count, good.accuracy_count);
            assert_accuracy_equal(r.accuracy, good.accuracy, good.accuracy_count);
            assert_rows_equal(&table_trials, r.trials, good.trials, good.trials_count, sizeof *good.trials);
            assert_columns_equal(&good, &r);
        }
        results_free(&r);
        bytes[at] ^= bit;
    }
    assert_true(noticed > 100);
    results_free(&good);
    free(bytes);
}

static void foreign_files_are_named(void **state)
{
    struct results r;
    err e = {0};
    h5 *file;

    (void)state;
    spill("foreign.h5", (const unsigned char *)"hello", 5);
    assert_int_equal(results_read("foreign.h5", &r, &e), ERR_DAMAGED);
    assert_int_equal(results_read("no-such-file.h5", &r, &e), ERR_MISSING);
    GOOD(h5_create("foreign.h5", &file, &e));
    GOOD(h5_commit(file, NULL, &e));
    assert_int_equal(results_read("foreign.h5", &r, &e), ERR_DAMAGED);
    assert_non_null(strstr(e.text, "is not a results file"));
    GOOD(h5_create("foreign.h5", &file, &e));
    GOOD(h5_write_number(file, "schema_version", 2, &e));
    GOOD(h5_commit(file, NULL, &e));
    assert_int_equal(results_read("foreign.h5", &r, &e), ERR_DAMAGED);
    assert_non_null(strstr(e.text, "schema version 2"));
    GOOD(h5_create("foreign.h5", &file, &e));
    GOOD(h5_write_number(file, "schema_version", 1, &e));
    GOOD(h5_write(file, "trials", H5_I32, 1, (size_t[]){1}, &(int32_t){1}, false, &e));
    GOOD(h5_commit(file, NULL, &e));
    assert_int_equal(results_read("foreign.h5", &r, &e), ERR_DAMAGED);
    assert_non_null(strstr(e.text, "trials"));
}

/* Files made with h5py from a good one, each with one thing that a reader must not trust. */
static void wrong_tables_are_named(void **state)
{
    static const struct {
        const char *python, *says;
    } cases[] = {
        {"t = f['trials'][:]; a = dict(f['trials'].attrs); del f['trials']; f['trials'] = t;"
         " f['trials'].attrs.update(a)",
         NULL}, /* the same, of h5py's making */
        {"t = f['trials'][:]; t['faa'][3] += 1; f['trials'][...] = t", "the digest differs"},
        {"del f['stages'].attrs['digest']", "table stages has no digest"},
        {"f['stages'].attrs['digest'] = 7", "table stages has no digest"},
        {"del f['stages']", "no table stages"},
        {"del f['stages']; f.create_group('stages')", "no table stages"},
        {"del f['stages']; f['stages'] = h5py.SoftLink('/attempts')", "no table stages"},
        {"del f['stages']; f['stages'] = h5py.ExternalLink('tables.h5', '/stages')", "no table stages"},
        {"t = f['accuracy'][:][['trial', 'task']]; del f['accuracy']; f['accuracy'] = n.array(t.tolist(), t.dtype)",
         "no field after_task"},
        {"t = f['stages'][:]; d = [(x, t.dtype[x]) for x in t.dtype.names]; d[2] = (d[2][0], 'i4'); del f['stages']; "
         "f['stages'] = t.astype(d)",
         "field task of table stages has the wrong type"},
        {"t = f['stages'][:]; d = [(x, t.dtype[x]) for x in t.dtype.names]; d[1] = (d[1][0], 'S500'); del f['stages']; "
         "t = t.astype(d);"
         " t['kind'] = b'x' * 400; f['stages'] = t",
         "too long"},
        {"t = f['stages'][:]; del f['stages']; f['stages'] = t.reshape(1, 1)", "not a list of rows"},
        {"t = f['stages'].dtype; del f['stages']; f.create_dataset('stages', (2**50,), t, chunks=(10,))",
         "claims more data"},
        {"t = f['stages'].dtype; del f['stages']; f.create_dataset('stages', (2**62,), t, chunks=(10,))",
         "impossible number of rows"},
        {"t = f['stages'][:]; del f['stages']; f.create_dataset('stages', data=t, compression='lzf')", "filter"},
        {"t = f['stages'][:]; a = dict(f['stages'].attrs); t = t[[x for x in t.dtype.names if x not in ('seconds', "
         "'checkpoint')]]; del f['stages']; f['stages'] = n.array(t.tolist(), [(x, t.dtype[x]) for x "
         "in "
         "t.dtype.names]); f['stages'].attrs.update(a)",
         "digest differs"}, /* an older program's fields are no damage, other rows are */
        {"t = f['trials'][:]; d = [(x, t.dtype[x]) for x in t.dtype.names]; d[7] = (d[7][0], 'f4'); del f['trials']; "
         "f['trials'] = t.astype(d)",
         "wrong type"},
        {"t = f['trials'][:]; d = [(x, t.dtype[x]) for x in t.dtype.names]; d[7] = ('y' * 80, 'i8'); del f['trials']; "
         "f['trials'] = t.astype(d)",
         "wrong type or name"},
    };
    enum { CASES = sizeof cases / sizeof *cases };
    FILE *script = fopen("wrong.py", "w");
    char name[40];

    (void)state;
    if (system("/usr/bin/python3 -c 'import h5py, numpy'"))
        skip();
    write_sample("tables.h5", 5, 2);
    fprintf(script, "import h5py, shutil, numpy as n\n");
    for (int i = 0; i < CASES; i++)
        fprintf(script,
                "shutil.copy('tables.h5', 'wrong-%d.h5')\n"
                "with h5py.File('wrong-%d.h5', 'r+') as f: %s\n",
                i, i, cases[i].python);
    fclose(script);
    assert_int_equal(system("/usr/bin/python3 wrong.py"), 0);
    for (int i = 0; i < CASES; i++) {
        struct results r;
        err e = {0};
        int code;

        snprintf(name, sizeof name, "wrong-%d.h5", i);
        code = results_read(name, &r, &e);
        if (code != (cases[i].says ? ERR_DAMAGED : 0) || (code && !strstr(e.text, cases[i].says)))
            fail_msg("%s: code %d, '%s', expected '%s'", cases[i].python, code, e.text, cases[i].says);
        results_free(&r);
    }
}

/* The accuracies of a good file, put in otherwise: `say` is what the reader says, NULL if it must read the same rows. */
static const struct {
    const char *python, *says;
} stored_otherwise[] = {
    {"put(t)", NULL},
    {"put(t, chunks=(7,))", NULL},
    {"put(t, compression='gzip')", NULL},
    {"put(t, chunks=(7,), fletcher32=True)", NULL},
    {"put(t, chunks=(7,), **ours)", NULL},
    {"put(t, chunks=(8,), **ours)", NULL},
    {"put(t, chunks=(64,), **ours)", NULL},
    {"put(t, maxshape=(None,), chunks=(1000,), **ours)", NULL},
    {"put(odd(t), chunks=(37,), **ours)", NULL},                        /* rows and chunks that eight does not divide */
    {"put(t, chunks=(64,), **ours); chunk(64, shuffled(64), 2)", NULL}, /* as HDF5 leaves what does not deflate */
    {"put(t, chunks=(64,), **ours); chunk(64, zlib.compress(rows(64)), 1)", NULL},
    {"put(t, chunks=(64,), **ours); chunk(64, rows(64), 3)", NULL},
    {"put(t, chunks=(64,), **ours); chunk(64, rows(64), 7, b'')", NULL},
    {"put(t, chunks=(64,), **ours); chunk(64, zlib.compress(shuffled(64)))", NULL},
    {"put(t, chunks=(64,), **ours); chunk(64, zlib.compress(shuffled(64)), 0, b'1234')", "checksum differs"},
    {"put(t, chunks=(64,), **ours); chunk(64, b'', 0, b'123')", "checksum differs"},
    {"put(t, chunks=(64,), **ours); chunk(64, b'', 0, b'1')", "checksum differs"},
    {"put(t, chunks=(64,), **ours); chunk(64, zlib.compress(shuffled(64)[:-1]))", "cannot be decompressed"},
    {"put(t, chunks=(64,), **ours); chunk(64, zlib.compress(shuffled(64) + b'0'))", "cannot be decompressed"},
    {"put(t, chunks=(64,), **ours); chunk(64, zlib.compress(shuffled(64))[:-20])", "cannot be decompressed"},
    {"put(t, chunks=(64,), **ours); chunk(64, b'these are no bytes of zlib')", "cannot be decompressed"},
    {"put(t, chunks=(64,), **ours); chunk(64, rows(64)[:-1], 3)", "wrong size"},
    {"put(t, chunks=(64,), **ours); chunk(64, rows(64) + b'0', 7, b'')", "wrong size"},
    {"put(t, chunks=(64,), **ours); chunk(64, rows(64) + b'0' * 100000, 7, b'')", "wrong size"},
    {"put(t, chunks=(64,), **ours); chunk(64, zlib.compress(rows(64)), 0)", "digest differs"},
    {"put(t, chunks=(64,), **ours); chunk(64, zlib.compress(shuffled(0)))", "digest differs"},
};

static void write_otherwise(const char *python)
{
    FILE *f = fopen(python, "w");

    fprintf(f, "import h5py, hashlib, shutil, struct, zlib, numpy as n\n"
               "ours = dict(shuffle=True, compression='gzip', fletcher32=True)\n"
               "def put(t, **how):\n"
               "    a = dict(f['accuracy'].attrs); del f['accuracy']; f.create_dataset('accuracy', data=t, **how)\n"
               "    f['accuracy'].attrs.update(a)\n"
               "    rows = struct.pack('<Q8s3Q', 8, b'accuracy', 6, 1, len(t)) + t.tobytes()\n"
               "    f['accuracy'].attrs['digest'] = n.bytes_(hashlib.sha256(rows).hexdigest()[:32])\n"
               "def odd(t):\n"
               "    return t.astype([(x, 'S13' if x == 'phase' else t.dtype[x]) for x in t.dtype.names])\n"
               "def rows(first):\n"
               "    return t[first:first + 64].tobytes()\n"
               "def shuffled(first):\n"
               "    return n.frombuffer(rows(first), 'u1').reshape(64, -1).T.tobytes()\n"
               "def fletcher(b):\n"
               "    a = n.frombuffer(b + bytes(len(b) %% 2), '>u2').astype(object)\n"
               "    low = sum(a); high = sum((len(a) - i) * x for i, x in enumerate(a))\n"
               "    fold = lambda x: (x - 1) %% 65535 + 1 if x else 0\n"
               "    return struct.pack('<I', fold(high) << 16 | fold(low))\n"
               "def chunk(first, b, without=0, checksum=None):\n"
               "    f['accuracy'].id.write_direct_chunk((first,), b + (fletcher(b) if checksum is None else checksum), "
               "without)\n");
    for (size_t i = 0; i < sizeof stored_otherwise / sizeof *stored_otherwise; i++)
        fprintf(f,
                "shutil.copy('otherwise.h5', 'otherwise-%zu.h5')\n"
                "with h5py.File('otherwise-%zu.h5', 'r+') as f:\n"
                "    t = f['accuracy'][:]; %s\n",
                i, i, stored_otherwise[i].python);
    fclose(f);
}

static void tables_may_be_stored_otherwise(void **state)
{
    struct sample s;
    err e = {0};

    (void)state;
    if (system("/usr/bin/python3 -c 'import h5py, numpy'"))
        skip();
    sample_make(&s, 15, 20);
    GOOD(results_write("otherwise.h5", &s.results, &e));
    write_otherwise("otherwise.py");
    assert_int_equal(system("/usr/bin/python3 otherwise.py"), 0);
    for (size_t i = 0; i < sizeof stored_otherwise / sizeof *stored_otherwise; i++) {
        const char *says = stored_otherwise[i].says;
        struct results r;
        char name[40];

        snprintf(name, sizeof name, "otherwise-%zu.h5", i);
        e = (err){0};
        if (results_read(name, &r, &e) != (says ? ERR_DAMAGED : 0) || (says && !strstr(e.text, says)))
            fail_msg("%s: code %d, '%s', expected '%s'", stored_otherwise[i].python, e.code, e.text, says);
        if (!says)
            assert_accuracy_equal(r.accuracy, s.accuracy, s.results.accuracy_count);
        results_free(&r);
        unlink(name);
    }
    sample_free(&s);
}

/* Longer than what is read at a time. */
static void long_tables_are_read_in_parts(void **state)
{
    struct results r;
    struct sample s;
    FILE *f;
    err e = {0};

    (void)state;
    sample_make(&s, 20000, 10);
    GOOD(results_write("long.h5", &s.results, &e));
    GOOD(results_read("long.h5", &r, &e));
    assert_accuracy_equal(r.accuracy, s.accuracy, s.results.accuracy_count);
    results_free(&r);
    if (!system("h5repack -l CONTI -f NONE long.h5 long-as-it-is.h5 2> /dev/null")) {
        GOOD(results_read("long-as-it-is.h5", &r, &e));
        assert_accuracy_equal(r.accuracy, s.accuracy, s.results.accuracy_count);
        results_free(&r);
    }
    f = fopen("long.h5", "r+");
    fseek(f, 0, SEEK_END);
    fseek(f, ftell(f) / 3, SEEK_SET);
    fputs("damage", f);
    fclose(f);
    assert_int_equal(results_read("long.h5", &r, &e), ERR_DAMAGED);
    results_free(&r);
    sample_free(&s);
}

/* ---------------------------------------------------------------- scale */

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void a_hundred_thousand_trials_take_seconds(void **state)
{
    struct results r;
    struct sample s;
    double start, written, read;
    err e = {0};

    (void)state;
    sample_make(&s, 100000, 10);
    start = now();
    GOOD(results_write("large.h5", &s.results, &e));
    written = now();
    GOOD(results_read("large.h5", &r, &e));
    read = now();
    print_message("100,000 trials x 10 tasks: %.1f s to write, %.1f s to read\n", written - start, read - written);
    assert_true(written - start < 30 && read - written < 30); /* generous: sanitizers, busy machines */
    assert_accuracy_equal(r.accuracy, s.accuracy, s.results.accuracy_count);
    results_free(&r);
    sample_free(&s);
    unlink("large.h5");
}

static void tables_can_be_read_alone(void **state)
{
    struct results back;
    struct sample s;
    err e = {0};

    (void)state;
    sample_make(&s, 7, 3);
    GOOD(results_write("some.h5", &s.results, &e));
    GOOD(results_read_tables("some.h5", RESULTS_TRIALS | RESULTS_STAGES, &back, &e));
    assert_rows_equal(&table_trials, back.trials, s.trials, back.trials_count, sizeof *s.trials);
    assert_rows_equal(&table_stages, back.stages, s.stages, back.stages_count, sizeof *s.stages);
    assert_columns_equal(&back, &s.results);
    assert_int_equal(back.stages_count, s.results.stages_count);
    assert_int_equal(back.accuracy_count + back.training_count + back.attempts_count + back.options_count, 0);
    results_free(&back);
    sample_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(tables_can_be_read_alone),
        cmocka_unit_test(the_same_results_give_the_same_bytes),
        cmocka_unit_test(two_fields_cannot_share_a_name),
        cmocka_unit_test(pandas_reads_it_in_one_line),
        cmocka_unit_test(h5dump_reads_it),
        cmocka_unit_test(truncated_files_are_damaged),
        cmocka_unit_test(flipped_bits_change_nothing_unseen),
        cmocka_unit_test(foreign_files_are_named),
        cmocka_unit_test(wrong_tables_are_named),
        cmocka_unit_test(tables_may_be_stored_otherwise),
        cmocka_unit_test(long_tables_are_read_in_parts),
        cmocka_unit_test(a_hundred_thousand_trials_take_seconds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
