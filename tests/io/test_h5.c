/* HDF5 files of named arrays: round trips, equal bytes, damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <float.h>
#include <malloc.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/h5.h"

/* HDF5 itself forgets a few blocks when it meets a damaged header. */
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

enum { ROWS = 300, COLUMNS = 300 };

static float wave[ROWS * COLUMNS];

static int setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        wave[i] = sinf(0.01f * (float)i);
    return 0;
}

/* A file with every type, groups, a scalar, an empty array and attributes. */
static struct digest write_sample(const char *path, bool compress)
{
    const double doubles[] = {DBL_MAX, -0.0, 1e-300};
    const int32_t ints[] = {INT32_MIN, 0, INT32_MAX, 7};
    const int64_t longs[] = {INT64_MIN, INT64_MAX};
    const uint8_t bytes[] = {0, 1, 254, 255, 3, 4};
    const float halves[] = {1, -2, 0.5f};
    const float one = 42;
    struct digest digest;
    err e = {0};
    h5 *file;

    GOOD(h5_create(path, &file, &e));
    GOOD(h5_write(file, "wave", H5_F32, 2, (size_t[]){ROWS, COLUMNS}, wave, compress, &e));
    GOOD(h5_write(file, "group/inner/doubles", H5_F64, 1, (size_t[]){3}, doubles, compress, &e));
    GOOD(h5_write(file, "group/ints", H5_I32, 2, (size_t[]){2, 2}, ints, compress, &e));
    GOOD(h5_write(file, "longs", H5_I64, 1, (size_t[]){2}, longs, compress, &e));
    GOOD(h5_write(file, "bytes", H5_U8, 3, (size_t[]){1, 2, 3}, bytes, compress, &e));
    GOOD(h5_write(file, "group/halves", H5_F16, 1, (size_t[]){3}, halves, compress, &e));
    GOOD(h5_write(file, "scalar", H5_F32, 0, NULL, &one, compress, &e));
    GOOD(h5_write(file, "empty", H5_F32, 2, (size_t[]){0, 5}, &one, compress, &e));
    GOOD(h5_write_text(file, "name", "\xc3\xa9prouv\xc3\xa9", &e));
    GOOD(h5_write_number(file, "heads", 12, &e));
    GOOD(h5_commit(file, &digest, &e));
    return digest;
}

static void arrays_come_back(void **state)
{
    static float wave_back[ROWS * COLUMNS];
    struct digest written = write_sample("back.h5", true), recorded;
    float reals[6], scalar;
    double doubles[3], heads;
    int32_t ints[4];
    int64_t longs[2];
    uint8_t bytes[6];
    size_t shape[H5_MAX_RANK];
    void *data;
    char *text;
    int rank;
    err e = {0};
    h5 *file;

    (void)state;
    GOOD(h5_open("back.h5", &file, &e));
    GOOD(h5_read(file, "wave", H5_F32, 2, (size_t[]){ROWS, COLUMNS}, wave_back, &e));
    assert_memory_equal(wave, wave_back, sizeof wave);
    GOOD(h5_read(file, "group/inner/doubles", H5_F64, 1, (size_t[]){3}, doubles, &e));
    assert_true(doubles[0] == DBL_MAX && signbit(doubles[1]) && doubles[2] == 1e-300);
    GOOD(h5_read(file, "group/ints", H5_I32, 2, (size_t[]){2, 2}, ints, &e));
    assert_true(ints[0] == INT32_MIN && ints[2] == INT32_MAX && ints[3] == 7);
    GOOD(h5_read(file, "longs", H5_I64, 1, (size_t[]){2}, longs, &e));
    assert_true(longs[0] == INT64_MIN && longs[1] == INT64_MAX);
    GOOD(h5_read(file, "bytes", H5_U8, 3, (size_t[]){1, 2, 3}, bytes, &e));
    assert_true(bytes[2] == 254 && bytes[3] == 255);
    GOOD(h5_read(file, "group/halves", H5_F32, 1, (size_t[]){3}, reals, &e));
    assert_true(reals[0] == 1 && reals[1] == -2 && reals[2] == 0.5f);
    GOOD(h5_read(file, "scalar", H5_F32, 0, NULL, &scalar, &e));
    assert_true(scalar == 42);
    GOOD(h5_read(file, "empty", H5_F32, 2, (size_t[]){0, 5}, reals, &e));
    GOOD(h5_shape(file, "bytes", &rank, shape, &e));
    assert_true(rank == 3 && shape[0] == 1 && shape[1] == 2 && shape[2] == 3);
    GOOD(h5_read_alloc(file, "group/ints", H5_I64, 2, shape, 1000, &data, &e)); /* widened */
    assert_true(((int64_t *)data)[2] == INT32_MAX);
    free(data);
    GOOD(h5_read_alloc(file, "group/ints", H5_F64, 2, shape, 1000, &data, &e));
    assert_true(((double *)data)[0] == INT32_MIN);
    free(data);
    GOOD(h5_read_text(file, "name", &text, &e));
    assert_string_equal(text, "\xc3\xa9prouv\xc3\xa9");
    free(text);
    GOOD(h5_read_number(file, "heads", &heads, &e));
    assert_true(heads == 12);
    assert_true(h5_has(file, "group/ints") && !h5_has(file, "group") && !h5_has(file, "group/none") &&
                !h5_has(file, "none/at/all") && !h5_has(file, "") && !h5_has(file, "/wave") && !h5_has(file, "../x"));
    GOOD(h5_digest(file, &recorded, &e));
    assert_true(digest_equal(&written, &recorded));
    GOOD(h5_verify(file, &e));
    h5_close(file);
}

static void what_cannot_be_read_as_asked_is_refused(void **state)
{
    int32_t ints[4];
    uint8_t small[4];
    float reals[8];
    size_t shape[H5_MAX_RANK];
    void *data;
    double number;
    char *text;
    err e = {0};
    h5 *file;

    (void)state;
    write_sample("asked.h5", true);
    GOOD(h5_open("asked.h5", &file, &e));
    assert_int_equal(h5_read(file, "none", H5_F32, 1, (size_t[]){1}, reals, &e), ERR_DAMAGED);
    assert_int_equal(h5_read(file, "group", H5_F32, 1, (size_t[]){1}, reals, &e), ERR_DAMAGED);
    assert_int_equal(h5_read(file, "group/ints", H5_I32, 2, (size_t[]){2, 3}, ints, &e), ERR_DAMAGED);
    assert_non_null(strstr(e.text, "(2, 2), expected (2, 3)"));
    assert_int_equal(h5_read(file, "group/ints", H5_I32, 1, (size_t[]){4}, ints, &e), ERR_DAMAGED);
    assert_int_equal(h5_read(file, "group/ints", H5_U8, 2, (size_t[]){2, 2}, small, &e), ERR_DAMAGED);
    assert_non_null(strstr(e.text, "out of range"));
    assert_int_equal(h5_read(file, "group/halves", H5_I32, 1, (size_t[]){3}, ints, &e), ERR_DAMAGED);
    assert_int_equal(h5_read(file, "scalar", H5_F16, 0, NULL, reals, &e), ERR_BUG);
    assert_int_equal(h5_read_alloc(file, "wave", H5_F32, 2, shape, sizeof wave - 1, &data, &e), ERR_DAMAGED);
    assert_null(data);
    assert_int_equal(h5_read_alloc(file, "wave", H5_F32, 1, shape, sizeof wave, &data, &e), ERR_DAMAGED);
    assert_int_equal(h5_read_text(file, "heads", &text, &e), ERR_DAMAGED);
    assert_int_equal(h5_read_number(file, "name", &number, &e), ERR_DAMAGED);
    assert_int_equal(h5_read_number(file, "none", &number, &e), ERR_DAMAGED);
    GOOD(h5_read(file, "group/ints", H5_I32, 2, (size_t[]){2, 2}, ints, &e)); /* an earlier failure does not stick */
    h5_close(file);
    assert_int_equal(h5_open("no-such-file.h5", &file, &e), ERR_MISSING);
    assert_int_equal(h5_open(".", &file, &e), ERR_DAMAGED);
    assert_null(file);
}

/* Nearest half by search: every finite half is a candidate. */
static float half_value(int bits)
{
    int exponent = bits >> 10 & 31, mantissa = bits & 0x3ff;
    float size = exponent ? ldexpf((float)(mantissa + 1024), exponent - 25) : ldexpf((float)mantissa, -24);

    return bits & 0x8000 ? -size : size;
}

static void halves_are_the_nearest(void **state)
{
    enum { COUNT = 3 * 31744 + 8 };
    float *in = malloc(COUNT * sizeof *in), *out = malloc(COUNT * sizeof *out);
    int n = 0;
    err e = {0};
    h5 *file;

    (void)state;
    for (int bits = 0; bits < 31744; bits++) { /* a half, just below and at the middle to the next one */
        float next = bits + 1 == 31744 ? 65536 : half_value(bits + 1), middle = (half_value(bits) + next) / 2;

        in[n++] = half_value(bits);
        in[n++] = nextafterf(middle, 0);
        in[n++] = -middle;
    }
    in[n++] = INFINITY;
    in[n++] = -INFINITY;
    in[n++] = NAN;
    in[n++] = 1e30f;
    in[n++] = -0.0f;
    in[n++] = 1e-30f;
    in[n++] = FLT_TRUE_MIN;
    in[n++] = 65519.996f;
    assert_int_equal(n, COUNT);
    GOOD(h5_create("halves.h5", &file, &e));
    GOOD(h5_write(file, "h", H5_F16, 1, (size_t[]){COUNT}, in, true, &e));
    GOOD(h5_commit(file, NULL, &e));
    GOOD(h5_open("halves.h5", &file, &e));
    GOOD(h5_read(file, "h", H5_F32, 1, (size_t[]){COUNT}, out, &e));
    h5_close(file);
    for (int bits = 0; bits < 31744; bits++) {
        float up = bits + 1 == 31744 ? INFINITY : half_value(bits + 1);

        assert_true(out[3 * bits] == half_value(bits));
        assert_true(out[3 * bits + 1] == half_value(bits));
        assert_true(out[3 * bits + 2] == (bits % 2 ? -up : -half_value(bits))); /* ties to even */
    }
    assert_true(out[n - 8] == INFINITY && out[n - 7] == -INFINITY && isnan(out[n - 6]) && out[n - 5] == INFINITY);
    assert_true(out[n - 4] == 0 && signbit(out[n - 4]) && out[n - 3] == 0 && out[n - 2] == 0 && out[n - 1] == 65504);
    free(in);
    free(out);
}

/* The whole file; freed by the caller. */
static unsigned char *slurp(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    unsigned char *bytes;
    struct stat status;

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &status), 0);
    *size = (size_t)status.st_size;
    bytes = malloc(*size);
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

static void same_arrays_give_the_same_bytes(void **state)
{
    struct digest first = write_sample("same-1.h5", true), second, plain;
    unsigned char *a, *b;
    size_t na, nb;

    (void)state;
    sleep(1); /* a time stamp would differ */
    second = write_sample("same-2.h5", true);
    plain = write_sample("same-3.h5", false);
    a = slurp("same-1.h5", &na);
    b = slurp("same-2.h5", &nb);
    assert_int_equal(na, nb);
    assert_memory_equal(a, b, na);
    assert_true(digest_equal(&first, &second) && digest_equal(&first, &plain)); /* of the content, not of its packing */
    free(a);
    free(b);
}

static void the_digest_depends_on_name_shape_type_and_bytes(void **state)
{
    static const struct {
        const char *name;
        enum h5_type type;
        size_t rows, columns;
        int32_t first;
    } variants[] = {{"a", H5_I32, 2, 3, 1}, {"b", H5_I32, 2, 3, 1}, {"a", H5_F32, 2, 3, 1},
                    {"a", H5_I32, 3, 2, 1}, {"a", H5_I32, 2, 3, 2}, {"a/b", H5_I32, 2, 3, 1}};
    enum { COUNT = sizeof variants / sizeof *variants };
    struct digest digests[COUNT];
    err e = {0};
    h5 *file;

    (void)state;
    for (int i = 0; i < COUNT; i++) {
        int32_t values[6] = {variants[i].first, 2, 3, 4, 5, 6};

        GOOD(h5_create("variant.h5", &file, &e));
        GOOD(h5_write(file, variants[i].name, variants[i].type, 2, (size_t[]){variants[i].rows, variants[i].columns},
                      values, false, &e));
        GOOD(h5_commit(file, &digests[i], &e));
        for (int j = 0; j < i; j++)
            assert_false(digest_equal(&digests[i], &digests[j]));
    }
}

static int files_here(const char *prefix)
{
    DIR *folder = opendir(".");
    int count = 0;

    for (struct dirent *d; (d = readdir(folder));)
        count += strncmp(d->d_name, prefix, strlen(prefix)) == 0;
    closedir(folder);
    return count;
}

static void a_file_appears_complete_or_not_at_all(void **state)
{
    err e = {0};
    h5 *file;

    (void)state;
    unlink("atomic.h5");
    GOOD(h5_create("atomic.h5", &file, &e));
    GOOD(h5_write(file, "a", H5_F32, 1, (size_t[]){3}, wave, false, &e));
    assert_int_not_equal(access("atomic.h5", F_OK), 0);
    h5_close(file);
    assert_int_equal(files_here("atomic.h5"), 0);
    GOOD(h5_create("atomic.h5", &file, &e));
    GOOD(h5_commit(file, NULL, &e));
    assert_int_equal(files_here("atomic.h5"), 1);
    GOOD(h5_create("atomic.h5", &file, &e)); /* over the old one */
    GOOD(h5_write(file, "a", H5_F32, 1, (size_t[]){3}, wave, false, &e));
    GOOD(h5_commit(file, NULL, &e));
    GOOD(h5_open("atomic.h5", &file, &e));
    assert_true(h5_has(file, "a"));
    h5_close(file);
    h5_close(NULL);
    assert_int_equal(h5_create("no-such-folder/x.h5", &file, &e), ERR_STORAGE);
    assert_null(file);
}

/* A limit on file size stands in for the full disk. */
static void a_full_disk_is_a_storage_error(void **state)
{
    struct rlimit before, small;
    err e = {0};
    h5 *file;

    (void)state;
    unlink("full.h5");
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    for (rlim_t limit = 0; limit < 200000; limit += 9973) {
        small = (struct rlimit){limit, before.rlim_max};
        setrlimit(RLIMIT_FSIZE, &small);
        if (!h5_create("full.h5", &file, &e)) {
            h5_write_number(file, "n", 1, &e);
            h5_write(file, "a", H5_F32, 1, (size_t[]){1000}, wave, false, &e);
            h5_write(file, "wave", H5_F32, 2, (size_t[]){ROWS, COLUMNS}, wave, limit % 2, &e);
            h5_commit(file, NULL, &e);
        }
        assert_int_equal(e.code, ERR_STORAGE);
        assert_int_equal(files_here("full.h5"), 0);
    }
    setrlimit(RLIMIT_FSIZE, &before);
    write_sample("full.h5", true);
    GOOD(h5_open("full.h5", &file, &e));
    GOOD(h5_verify(file, &e));
    h5_close(file);
}

static void misuse_is_a_bug(void **state)
{
    static const char *const names[] = {"", "/a", "a/", "a//b", ".", "..", "a/../b"};
    err e = {0};
    h5 *file;

    (void)state;
    GOOD(h5_create("misuse.h5", &file, &e));
    GOOD(h5_write(file, "a", H5_F32, 1, (size_t[]){3}, wave, false, &e));
    assert_int_equal(h5_write(file, "a", H5_F32, 1, (size_t[]){3}, wave, false, &e), ERR_BUG);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(h5_write(file, names[i], H5_F32, 1, (size_t[]){3}, wave, false, &e), ERR_BUG);
    assert_int_equal(h5_write(file, "b", H5_F32, 2, (size_t[]){SIZE_MAX / 2, 3}, wave, false, &e), ERR_BUG);
    GOOD(h5_write_number(file, "n", 1, &e));
    assert_int_equal(h5_write_number(file, "n", 1, &e), ERR_BUG);
    GOOD(h5_write(file, "b/c", H5_F32, 1, (size_t[]){3}, wave, false, &e));
    assert_int_equal(h5_write(file, "a/b", H5_F32, 1, (size_t[]){3}, wave, false, &e), ERR_BUG); /* a is no group */
    assert_int_equal(h5_write(file, "b", H5_F32, 1, (size_t[]){3}, wave, false, &e), ERR_BUG);   /* b is one */
    GOOD(h5_commit(file, NULL, &e));
    GOOD(h5_open("misuse.h5", &file, &e));
    GOOD(h5_verify(file, &e));
    assert_int_equal(h5_write(file, "z", H5_F32, 1, (size_t[]){3}, wave, false, &e), ERR_BUG); /* it is being read */
    h5_close(file);
}

static void long_attributes_and_many_arrays(void **state)
{
    enum { LONG = 200000, MANY = 300 };
    char *text = malloc(LONG + 1), *back, name[40];
    err e = {0};
    h5 *file;

    (void)state;
    memset(text, 'y', LONG);
    text[LONG] = '\0';
    GOOD(h5_create("long.h5", &file, &e));
    GOOD(h5_write_text(file, "sweep", text, &e)); /* above the 64 KiB of old HDF5 attributes */
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "blocks.%d/weight", i);
        GOOD(h5_write(file, name, H5_F32, 1, (size_t[]){3}, wave + i, true, &e));
    }
    GOOD(h5_commit(file, NULL, &e));
    GOOD(h5_open("long.h5", &file, &e));
    GOOD(h5_read_text(file, "sweep", &back, &e));
    assert_string_equal(back, text);
    GOOD(h5_verify(file, &e));
    h5_close(file);
    free(text);
    free(back);
}

/* KiB of memory that a process takes at most which verifies a file. */
static long memory_of_verifying(const char *path)
{
    struct rusage usage;
    int status;
    pid_t pid;

    malloc_trim(0);
    if ((pid = fork()) == 0) {
        err e = {0};
        h5 *file;

        _exit(h5_open(path, &file, &e) || h5_verify(file, &e));
    }
    assert_int_equal(wait4(pid, &status, 0, &usage), pid);
    assert_int_equal(status, 0);
    return usage.ru_maxrss;
}

/* Verification reads large arrays in slabs, whatever axis is the long one. */
static void large_arrays_are_verified(void **state)
{
    enum { LARGE = 41 << 20 };
    uint8_t *bytes = malloc(LARGE);
    err e = {0};
    h5 *file;

    (void)state;
    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = (uint8_t)(i * i >> 7);
    GOOD(h5_create("large.h5", &file, &e));
    GOOD(h5_write(file, "rows", H5_U8, 2, (size_t[]){41, 1 << 20}, bytes, false, &e));
    GOOD(h5_write(file, "one row", H5_U8, 2, (size_t[]){1, LARGE}, bytes, false, &e));
    GOOD(h5_write(file, "planes", H5_U8, 3, (size_t[]){2, 5, 4 << 20}, bytes, false, &e));
    GOOD(h5_commit(file, NULL, &e));
    GOOD(h5_open("large.h5", &file, &e));
    GOOD(h5_verify(file, &e));
    h5_close(file);
    free(bytes);
#ifndef __SANITIZE_ADDRESS__
    assert_true(memory_of_verifying("large.h5") < 40 << 10);
#else
    assert_true(memory_of_verifying("large.h5") > 0);
#endif
    unlink("large.h5");
}

/* 1 for a failure, which can only be that the file is damaged. */
static int failed(int status)
{
    if (status)
        assert_int_equal(status, ERR_DAMAGED);
    return status != 0;
}

/* Everything a reader would ask of a file, true if all of it succeeded. */
static bool exercise(const char *path, bool *verified)
{
    static float wave_back[ROWS * COLUMNS];
    size_t shape[H5_MAX_RANK];
    struct digest digest;
    int rank, failures = 0;
    double number;
    void *data;
    char *text;
    err e = {0};
    h5 *file;

    *verified = false;
    if (failed(h5_open(path, &file, &e))) {
        assert_null(file);
        return false;
    }
    failures += failed(h5_read(file, "wave", H5_F32, 2, (size_t[]){ROWS, COLUMNS}, wave_back, &e));
    failures += failed(h5_shape(file, "group/ints", &rank, shape, &e));
    failures += failed(h5_read_alloc(file, "group/halves", H5_F32, 1, shape, 1 << 20, &data, &e));
    free(data);
    failures += failed(h5_read_alloc(file, "bytes", H5_I32, 3, shape, 1 << 20, &data, &e));
    free(data);
    failures += failed(h5_read_text(file, "name", &text, &e));
    free(text);
    failures += failed(h5_read_number(file, "heads", &number, &e));
    failures += failed(h5_digest(file, &digest, &e));
    *verified = !failed(h5_verify(file, &e));
    h5_close(file);
    return !failures;
}

static void truncated_files_are_damaged(void **state)
{
    size_t size, step;
    unsigned char *bytes;
    bool verified;

    (void)state;
    write_sample("whole.h5", true);
    bytes = slurp("whole.h5", &size);
    assert_true(exercise("whole.h5", &verified) && verified);
    for (size_t cut = 0; cut < size; cut += step) {
        step = cut < 4096 ? 13 : size / 300;
        spill("cut.h5", bytes, cut);
        assert_false(exercise("cut.h5", &verified));
        assert_false(verified);
    }
    free(bytes);
}

static void flipped_bits_never_pass_verification_unseen(void **state)
{
    const char *given = getenv("SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : 20240801;
    struct digest digest, original = write_sample("flips.h5", true);
    int noticed = 0;
    size_t size;
    unsigned char *bytes = slurp("flips.h5", &size);
    bool verified;
    err e = {0};
    h5 *file;

    (void)state;
    print_message("SEED=%u\n", seed);
    for (int round = 0; round < 600; round++) {
        /* half of the flips in the first pages, which are mostly metadata */
        size_t at = (size_t)rand_r(&seed) % (round % 2 ? size : 4096);
        unsigned char bit = (unsigned char)(1 << rand_r(&seed) % 8);

        bytes[at] ^= bit;
        spill("flipped.h5", bytes, size);
        exercise("flipped.h5", &verified);
        if (verified) { /* then the flip was in a gap, or hit the recorded digest not at all */
            GOOD(h5_open("flipped.h5", &file, &e));
            GOOD(h5_digest(file, &digest, &e));
            assert_true(digest_equal(&digest, &original));
            h5_close(file);
        }
        noticed += !verified;
        bytes[at] ^= bit;
    }
    assert_true(noticed > 300);
    free(bytes);
}

static void garbage_is_damaged(void **state)
{
    unsigned char noise[5000];
    unsigned seed = 7;
    bool verified;

    (void)state;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (unsigned char)rand_r(&seed);
    spill("noise.h5", noise, 0);
    assert_false(exercise("noise.h5", &verified));
    spill("noise.h5", noise, sizeof noise);
    assert_false(exercise("noise.h5", &verified));
    memcpy(noise, "\x89HDF\r\n\x1a\n", 8);
    for (unsigned char version = 0; version < 4; version++) {
        noise[8] = version;
        spill("noise.h5", noise, sizeof noise);
        assert_false(exercise("noise.h5", &verified));
    }
}

/* Changed data with metadata intact: only the digest tells. */
static void verification_notices_changed_data(void **state)
{
    size_t size, at;
    unsigned char *bytes;
    bool verified;

    (void)state;
    write_sample("changed.h5", false);
    bytes = slurp("changed.h5", &size);
    for (at = 0; at + sizeof wave <= size && memcmp(bytes + at, wave, 64) != 0; at++)
        ;
    assert_true(at + sizeof wave <= size);
    bytes[at + 40] ^= 1;
    spill("changed.h5", bytes, size);
    assert_true(exercise("changed.h5", &verified));
    assert_false(verified);
    free(bytes);
}

/* What a reader must not follow, load or believe; made with h5py, each called x. */
static void what_must_not_be_trusted_is_refused(void **state)
{
    static const struct {
        const char *python, *says;
    } cases[] = {
        {"f['x'] = n.arange(6, dtype='f4').reshape(2, 3)", NULL},
        {"f.create_dataset('x', (2, 3), 'f8', n.ones((2, 3)), chunks=(1, 3), compression=9, fletcher32=True)", NULL},
        {"f['x'] = n.arange(6, dtype='>i2').reshape(2, 3)", NULL},
        {"f['y'] = n.zeros((2, 3)); f['x'] = h5py.SoftLink('/y')", "no array x"},
        {"f['x'] = h5py.ExternalLink('whole.h5', '/wave')", "no array x"},
        {"f.create_group('x')", "no array x"},
        {"f['x'] = 'text'", "does not hold numbers"},
        {"f.create_dataset('x', (2, 3), h5py.vlen_dtype('f4'))", "does not hold numbers"},
        {"f['x'] = n.zeros((2, 3), 'c8')", "does not hold numbers"},
        {"f['x'] = h5py.Empty('f4')", "has no shape"},
        {"f['x'] = n.zeros((1,) * 9, 'f4')", "too many dimensions"},
        {"f['x'] = n.zeros((3, 2), 'f4')", "has shape (3, 2), expected (2, 3)"},
        {"f.create_dataset('x', (2, 3), 'f4', n.zeros((2, 3)), chunks=(1, 3), compression='lzf')", "a filter other"},
        {"f.create_dataset('x', (2**61, 2**61), 'f4', chunks=(1, 3))", "impossible shape"},
        {"f.create_dataset('x', (2**50, 3), 'f4', chunks=(1, 3))", "claims more data"},
        {"f.create_dataset('x', (2**20, 2**20), 'f4', chunks=(2**12, 2**13))", "chunks above 64 MiB"},
        {"f.create_dataset('x', (2, 3), 'f4')", "claims more data"},
        {"f.create_dataset('x', (2, 3), 'f4', chunks=(1, 3))[0] = 1", "lacks a part"},
        {"f.create_dataset('x', (2, 3), 'f4', external=[('outside.bin', 0, 24)])", "in another file"},
        {"l = h5py.VirtualLayout((2, 3), 'f4'); l[0] = h5py.VirtualSource('whole.h5', 'wave', (300, 300))[0, :3];"
         " f.create_virtual_dataset('x', l)",
         "put together from other arrays"},
    };
    enum { CASES = sizeof cases / sizeof *cases };
    char name[40];
    float data[6];
    FILE *script = fopen("traps.py", "w");

    (void)state;
    if (system("/usr/bin/python3 -c 'import h5py, numpy'"))
        skip();
    fprintf(script, "import h5py, numpy as n\n");
    for (int i = 0; i < CASES; i++)
        fprintf(script, "with h5py.File('trap-%d.h5', 'w') as f: %s\n", i, cases[i].python);
    fclose(script);
    assert_int_equal(system("/usr/bin/python3 traps.py"), 0);
    for (int i = 0; i < CASES; i++) {
        err e = {0};
        h5 *file;
        int code;

        snprintf(name, sizeof name, "trap-%d.h5", i);
        GOOD(h5_open(name, &file, &e));
        code = h5_read(file, "x", H5_F32, 2, (size_t[]){2, 3}, data, &e);
        h5_close(file);
        if (code != (cases[i].says ? ERR_DAMAGED : 0) || (code && !strstr(e.text, cases[i].says)))
            fail_msg("%s: code %d, '%s', expected '%s'", cases[i].python, code, e.text, cases[i].says);
    }
}

uint32_t H5_checksum_lookup3(const void *bytes, size_t n, uint32_t start); /* exported by HDF5, not declared */

/* Bytes of an object's header before its checksum: where that of all before it is. */
static size_t header_bytes(const unsigned char *header, size_t room)
{
    for (size_t n = 16; n + 4 <= room; n++) {
        uint32_t sum = H5_checksum_lookup3(header, n, 0);

        if (!memcmp(header + n, &sum, sizeof sum))
            return n;
    }
    fail_msg("a header without a checksum");
    return 0;
}

/* Replace a number in the header of an array, which begins with "OHDR". */
static void header_change(unsigned char *bytes, size_t size, uint64_t from, uint64_t to)
{
    unsigned char *at = memmem(bytes, size, &from, sizeof from), *header = at;
    uint32_t sum;
    size_t n;

    assert_non_null(at);
    while (memcmp(header, "OHDR", 4))
        assert_ptr_not_equal(--header, bytes);
    n = header_bytes(header, size - (size_t)(header - bytes));
    for (; (at = memmem(header, n, &from, sizeof from)); memcpy(at, &to, sizeof to))
        ;
    sum = H5_checksum_lookup3(header, n, 0);
    memcpy(header + n, &sum, sizeof sum);
}

/* Chunks without an index, of which a small file claims 2^50: HDF5 would count them, for months. */
static void chunks_are_not_counted_before_they_can_be_there(void **state)
{
    static const char script[] =
        "import h5py\n"
        "with h5py.File('claims.h5', 'w', libver='latest') as f:\n"
        "  how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)\n"
        "  how.set_chunk((1,))\n"
        "  how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)\n"
        "  h5py.h5d.create(f.id, b'x', h5py.h5t.STD_U8LE, h5py.h5s.create_simple((50021,)), how)\n";
    unsigned char *bytes;
    size_t size, shape[H5_MAX_RANK];
    int rank;

    (void)state;
    if (system("/usr/bin/python3 -c 'import h5py'"))
        skip();
    FILE *out = fopen("claims.py", "w");
    fputs(script, out);
    fclose(out);
    assert_int_equal(system("/usr/bin/python3 claims.py"), 0);
    bytes = slurp("claims.h5", &size);
    for (int changed = 0; changed < 2; changed++) {
        err e = {0};
        h5 *file;

        GOOD(h5_open("claims.h5", &file, &e));
        if (h5_shape(file, "x", &rank, shape, &e) != (changed ? ERR_DAMAGED : 0))
            fail_msg("code %d: %s", e.code, e.text);
        if (changed)
            assert_non_null(strstr(e.text, "claims more data than the file holds"));
        h5_close(file);
        if (!changed)
            header_change(bytes, size, 50021, (uint64_t)1 << 50);
        spill("claims.h5", bytes, size);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_come_back),
        cmocka_unit_test(what_cannot_be_read_as_asked_is_refused),
        cmocka_unit_test(halves_are_the_nearest),
        cmocka_unit_test(same_arrays_give_the_same_bytes),
        cmocka_unit_test(the_digest_depends_on_name_shape_type_and_bytes),
        cmocka_unit_test(a_file_appears_complete_or_not_at_all),
        cmocka_unit_test(a_full_disk_is_a_storage_error),
        cmocka_unit_test(misuse_is_a_bug),
        cmocka_unit_test(long_attributes_and_many_arrays),
        cmocka_unit_test(large_arrays_are_verified),
        cmocka_unit_test(truncated_files_are_damaged),
        cmocka_unit_test(flipped_bits_never_pass_verification_unseen),
        cmocka_unit_test(garbage_is_damaged),
        cmocka_unit_test(verification_notices_changed_data),
        cmocka_unit_test(what_must_not_be_trusted_is_refused),
        cmocka_unit_test(chunks_are_not_counted_before_they_can_be_there),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
