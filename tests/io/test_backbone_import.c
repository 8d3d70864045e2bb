/* Published checkpoints: what torch, NumPy and h5py write comes back number by number, from every container and profile; the
 * network computes PyTorch's features from it; and every broken file is refused with the kind of fault that it has.
 *
 * backbone_files.py writes the files when the test starts, and says what is in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "io/backbones/import.h"
#include "io/containers/fault.h"
#include "io/containers/names.h"
#include "io/containers/pickle.h"
#include "io/h5.h"
#include "model/position.h"
#include "model/vit.h"

enum { IMAGES = 8, SKIPPED = 77, PATH_LENGTH = 600 };

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

/* One line of good.txt. */
struct row {
    char file[64], profile[16], sum[CHECKSUM_HEX];
    int side, patch, heads;
};

static struct row rows[100];
static int row_count;
static bool with_torch; /* which compares with PyTorch's own numbers */

static char *read_file(const char *path, size_t *size)
{
    FILE *in = fopen(path, "rb");
    struct stat status;
    char *bytes;

    assert_non_null(in);
    assert_int_equal(fstat(fileno(in), &status), 0);
    *size = (size_t)status.st_size;
    bytes = malloc(*size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, in), *size);
    fclose(in);
    return bytes;
}

static void read_table(void)
{
    FILE *in = fopen("good.txt", "r");
    struct row *r = rows;

    assert_non_null(in);
    while (fscanf(in, "%63s %15s %d %d %d %64s", r->file, r->profile, &r->side, &r->patch, &r->heads, r->sum) == 6)
        r++;
    fclose(in);
    row_count = (int)(r - rows);
    assert_true(row_count > (with_torch ? 40 : 4));
}

/* ---------------------------------------------------------------- what is good */

static void import_row(const struct row *r, const char *profile, struct backbone_weights *w,
                       struct import_report *report)
{
    struct import_options o = {.name = "x", .profile = profile, .heads = r->heads};
    char path[PATH_LENGTH];
    err e = {0};

    snprintf(path, sizeof path, "good/%s", r->file);
    if (backbone_import(path, &o, w, report, &e))
        fail_msg("%s as %s: %s\n%s", path, profile ? profile : "whatever it is", e.text, report->problems);
    if (strcmp(report->tensors_sum, r->sum) != 0)
        fail_msg("%s: SHA-256 %s, expected %s", path, report->tensors_sum, r->sum);
    assert_int_equal(w->shape.side, r->side);
    assert_int_equal(w->shape.patch, r->patch);
    assert_int_equal(w->shape.heads, r->heads);
    assert_int_equal(report->found, report->required);
    assert_int_equal(report->required, 6 + 12 * w->shape.depth);
}

/* The sum is that of Python's hashlib over PyTorch's numbers. */
static void weights_come_back_from_every_container(void **state)
{
    (void)state;
    for (int i = 0; i < row_count; i++) {
        struct import_report report;
        struct backbone_weights w;

        import_row(&rows[i], rows[i].profile, &w, &report);
        assert_string_equal(report.profile->name, rows[i].profile);
        backbone_close(&w);
        import_report_free(&report);
    }
}

/* Without being told a profile; the weights are the same ones.  The named profiles are ViT-B/16, and these are small. */
static void profiles_are_recognised(void **state)
{
    (void)state;
    for (int i = 0; i < row_count; i++) {
        struct import_report report;
        struct backbone_weights w;

        import_row(&rows[i], NULL, &w, &report);
        if (strcmp(report.profile->name, "timm") != 0)
            fail_msg("%s: a small network was recognised as %s", rows[i].file, report.profile->name);
        backbone_close(&w);
        import_report_free(&report);
    }
}

static void copy_weights(const struct backbone_weights *from, struct vit_weights *to)
{
    struct vit_shape shape = {.side = from->shape.side,
                              .patch = from->shape.patch,
                              .width = from->shape.width,
                              .depth = from->shape.depth,
                              .heads = from->shape.heads,
                              .hidden = from->shape.hidden};
    struct vit_tensor t;
    err e = {0};

    GOOD(vit_weights_create(to, &shape, &e));
    for (int k = 0; vit_tensor(to, k, &t); k++)
        memcpy(t.data, backbone_tensor(from, t.name)->data, t.rows * t.columns * sizeof *t.data);
}

static double largest_difference(h5 *reference, const char *profile, const char *norm, const float *got, int width)
{
    size_t shape[H5_MAX_RANK] = {IMAGES, (size_t)width};
    float *want = malloc(IMAGES * (size_t)width * sizeof *want);
    char name[64];
    double worst = 0;
    err e = {0};

    snprintf(name, sizeof name, "%s/%s", profile, norm);
    GOOD(h5_read(reference, name, H5_F32, 2, shape, want, &e));
    for (int i = 0; i < IMAGES * width; i++)
        worst = fmax(worst, fabs((double)want[i] - (double)got[i]));
    free(want);
    return worst;
}

/* The class token of 8 images, with the stored final norm and (as MoCo's official code) without. */
static void features_are_pytorchs(void **state)
{
    size_t shape[] = {IMAGES, 3, 16, 16};
    static float images[IMAGES * 3 * 16 * 16];
    h5 *reference;
    err e = {0};
    int checked = 0;

    (void)state;
    if (!with_torch)
        skip();
    GOOD(h5_open("reference.h5", &reference, &e));
    GOOD(h5_read(reference, "images", H5_F32, 4, shape, images, &e));
    for (int i = 0; i < row_count; i++) {
        struct import_report report;
        struct backbone_weights from;
        struct vit_weights w;
        float got[IMAGES * 64];

        if (!strncmp(rows[i].file, "v-", 2)) /* the same weights in other forms */
            continue;
        import_row(&rows[i], rows[i].profile, &from, &report);
        copy_weights(&from, &w);
        for (int plain = 0; plain < 2; plain++) {
            const char *norm = plain ? "fc_norm" : "final";
            vit_batch *batch;

            w.shape.no_final_norm = plain;
            GOOD(vit_batch_create(&batch, &w.shape, VIT_INFER, IMAGES, 0, 0, 1, &e));
            vit_forward(batch, &w, images, IMAGES, NULL, got);
            assert_true(largest_difference(reference, rows[i].profile, norm, got, w.shape.width) < 1e-4);
            vit_batch_free(batch);
            checked++;
        }
        vit_weights_free(&w);
        backbone_close(&from);
        import_report_free(&report);
    }
    h5_close(reference);
    assert_true(checked >= 5 * 5 * 2);
}

/* 3e-6 is what double and PyTorch's floats differ by; an unchanged grid is the same to the bit. */
static void positions_are_resampled_as_by_pytorch(void **state)
{
    static const int cases[][2] = {{14, 24}, {14, 7}, {14, 15}, {4, 14}, {1, 3}, {3, 1}, {2, 5}, {5, 5}};
    enum { WIDTH = 6, MOST = (1 + 24 * 24) * WIDTH };
    static float before[MOST], after[MOST], got[MOST];
    h5 *reference;
    err e = {0};

    (void)state;
    if (!with_torch)
        skip();
    GOOD(h5_open("reference.h5", &reference, &e));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int n = cases[i][0], m = cases[i][1];
        size_t from[] = {(size_t)(1 + n * n), WIDTH}, to[] = {(size_t)(1 + m * m), WIDTH};
        char name[64];

        snprintf(name, sizeof name, "positions/%d-%d/before", n, m);
        GOOD(h5_read(reference, name, H5_F32, 2, from, before, &e));
        snprintf(name, sizeof name, "positions/%d-%d/after", n, m);
        GOOD(h5_read(reference, name, H5_F32, 2, to, after, &e));
        position_resample(before, n, got, m, WIDTH);
        for (size_t k = 0; k < to[0] * WIDTH; k++)
            if (!(fabs((double)got[k] - (double)after[k]) <= 3e-6))
                fail_msg("%d to %d: number %zu is %.9g, PyTorch has %.9g", n, m, k, (double)got[k], (double)after[k]);
        assert_memory_equal(got, before, WIDTH * sizeof *got); /* the class token's */
        if (n == m)
            assert_memory_equal(got, before, to[0] * WIDTH * sizeof *got);
    }
    h5_close(reference);
}

/* What the file says of itself survives, and the store's own copy gives the same weights again. */
static void provenance_is_kept(void **state)
{
    struct import_report report, again;
    struct backbone_weights w, back;
    struct row row = {.profile = "ibot21k", .file = "ibot21k.pth", .side = 16, .patch = 4, .heads = 4};
    err e = {0};

    (void)state;
    if (!with_torch)
        skip();
    for (int i = 0; i < row_count; i++)
        if (!strcmp(rows[i].file, row.file))
            row = rows[i];
    import_row(&row, NULL, &w, &report);
    assert_string_equal(report.root, "teacher");
    assert_string_equal(report.prefix, "backbone.");
    assert_int_equal(report.dropped, 0); /* its head has no prefix */
    assert_true(report.foreign > 50);
    assert_non_null(strstr(report.notes, "pathlib"));
    assert_null(strstr(report.notes, "SECURITY"));
    assert_non_null(strstr(w.provenance, report.file_sum));
    assert_non_null(strstr(w.provenance, "\nroot: teacher\nprefix: backbone.\n"));
    GOOD(backbone_write("stored.h5", &w, false, &e));
    GOOD(backbone_read("stored.h5", &back, &e));
    assert_string_equal(back.profile, w.profile);
    assert_string_equal(back.profile, report.profile->name);
    backbone_close(&back);
    GOOD(backbone_import("stored.h5", &(struct import_options){.name = "y"}, &back, &again, &e));
    assert_string_equal(report.tensors_sum, again.tensors_sum);
    assert_int_equal(back.shape.heads, 4); /* the store says */
    backbone_close(&w);
    backbone_close(&back);
    import_report_free(&report);
    import_report_free(&again);
}

/* What a file looks like, and whether it is what the user takes it for. */
static void verdicts_are_told(void **state)
{
    static const struct {
        const char *file, *profile, *note;
        bool told;
    } cases[] = {
        {"sup21k.npz", NULL, "orig-21k", true},
        {"sup21k.npz", "sup21k", "WARNING", false},
        {"v-augreg.npz", NULL, "augreg-21k", true},
        {"v-augreg.npz", "sup21k", "WARNING", true},
        {"v-tuned.npz", NULL, "fine-tuned-1k", true},
        {"moco1k.pth", "moco1k", "fc_norm", true},
        {"moco1k.pth", "moco1k", "WARNING", false},
        {"dino1k.h5", "moco1k", "WARNING", true},
        {"ibot21k.pth", NULL, "taken for profile timm", true},
        {"ibot21k.pth", "ibot21k", "taken for", false},
        {"v-format.h5", NULL, "WARNING: the file says profile 'x', which nobody knows", true},
        {"v-format.h5", "timm", "WARNING", false},
        {"v-profile.h5", NULL, "says profile 'dino1k', which is a ViT-B/16, and this is none", true},
        {"v-profile.h5", NULL, "taken for profile timm", true},
        {"v-block.h5", NULL, "(any Vision Transformer with timm's names), as the file says", true},
    };

    (void)state;
    if (!with_torch)
        skip();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct import_options o = {.name = "x", .profile = cases[i].profile, .heads = 4};
        struct import_report report;
        struct backbone_weights w;
        char path[PATH_LENGTH];
        err e = {0};

        snprintf(path, sizeof path, "good/%s", cases[i].file);
        GOOD(backbone_import(path, &o, &w, &report, &e));
        if ((strstr(report.notes, cases[i].note) != NULL) != cases[i].told)
            fail_msg("%s: '%s' %s in: %s", path, cases[i].note, cases[i].told ? "is not" : "is", report.notes);
        backbone_close(&w);
        import_report_free(&report);
    }
}

static void options_decide(void **state)
{
    static const struct {
        const char *file;
        struct import_options o;
        enum fault kind;
    } cases[] = {
        {"good/ibot21k.pth", {.name = "x", .root = "student", .heads = 4}, FAULT_NONE}, /* forced: works */
        {"good/ibot21k.pth", {.name = "x", .root = "optimizer", .heads = 4}, FAULT_MISSING},
        {"good/dino1k.pth", {.name = "x", .profile = "ibot21k", .heads = 4}, FAULT_MISSING},
        {"good/dino1k.pth", {.name = "x", .profile = "ibot21k", .root = ".", .heads = 4}, FAULT_NONE},
        {"good/ibot21k.pth", {.name = "x", .container.strict_pickle = true, .heads = 4}, FAULT_UNSUPPORTED},
        {"good/dino1k.pth", {.name = "x", .container.strict_pickle = true, .heads = 4}, FAULT_NONE},
        {"good/dino1k.pth", {.name = "x"}, FAULT_MISSING},           /* heads of width 32: nobody knows */
        {"good/dino1k.npz", {.name = "x", .heads = 2}, FAULT_SHAPE}, /* the file says 4 */
        {"good/dino1k.npz", {.name = "x"}, FAULT_NONE},
        {"good/dino1k.pth", {.name = "x", .heads = 5}, FAULT_SHAPE}, /* does not divide 32 */
        {"bad/weights-odd-prefix--E_MISSING", {.name = "x", .prefix = "encoder.", .heads = 2}, FAULT_NONE},
        {"bad/weights-two-prefixes--E_DUP", {.name = "x", .prefix = "module.", .heads = 2}, FAULT_NONE},
        {"bad/weights-unknown--E_UNKNOWN_KEY", {.name = "x", .allow_unknown = true, .heads = 2}, FAULT_NONE},
        {"bad/weights-changes-reg_token--E_UNKNOWN_KEY",
         {.name = "x", .allow_unknown = true, .heads = 2},
         FAULT_UNKNOWN_KEY},
        {"valid/v2.npz", {.name = "x"}, FAULT_DTYPE},
        {"valid/v2.npz", {.name = "x", .container.npz_v2_is_bf16 = true}, FAULT_NONE},
        {"valid/by-hand.pth", {.name = "x", .heads = 2}, FAULT_NONE},
        {"bad/zip-crc-stored--E_CRC", {.name = "x", .container.ignore_crc = true, .heads = 2}, FAULT_NONE},
        {"bad/zip-crc-deflated--E_CRC", {.name = "x", .container.ignore_crc = true, .heads = 2}, FAULT_NONE},
        {"bad/zip-flat-flipped--E_CRC", {.name = "x", .container.ignore_crc = true, .heads = 2}, FAULT_NONE},
        {"bad/npz-crc--E_CRC", {.name = "x", .container.ignore_crc = true}, FAULT_NONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct import_report report;
        struct backbone_weights w;
        err e = {0};
        enum fault want = cases[i].kind;

        if (!with_torch && access(cases[i].file, F_OK))
            continue;
        backbone_import(cases[i].file, &cases[i].o, &w, &report, &e);
        if (fault_of(&e) != want || (e.code != 0) != (want != FAULT_NONE))
            fail_msg("case %zu, %s: %s", i, cases[i].file, e.text);
        backbone_close(&w);
        import_report_free(&report);
    }
}

/* ---------------------------------------------------------------- what is not */

/* Whether "E_X" is among "E_X+E_Y". */
static bool expected(const char *kinds, const err *e)
{
    const char *kind = fault_of(e) ? fault_name(fault_of(e)) : "OK";
    const char *at = strstr(kinds, kind);

    return at && (at[strlen(kind)] == '\0' || at[strlen(kind)] == '+') && (fault_of(e) != 0) == (e->code != 0);
}

static int each_file(const char *folder, void (*check)(const char *path, const char *kinds))
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    int count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        const char *kinds = strstr(entry->d_name, "--");
        char path[PATH_LENGTH];

        if (!kinds)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        check(path, kinds + 2);
        count++;
    }
    closedir(dir);
    return count;
}

/* ---------------------------------------------------------------- what it costs to refuse them */

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ || !defined __OPTIMIZE__
enum { SLOW = 1 };
#else
enum { SLOW = 0 };
#endif
/* The specification's limits; sanitizers are slow, and keep what is freed. */
enum { MOST_SECONDS = SLOW ? 20 : 1, MOST_GROWTH = 64 << 10 /* KiB */ };

struct cost {
    clock_t start;
    long memory; /* KiB */
};

/* A number of /proc/self/status in KiB; -1 if there is none. */
static long status_number(const char *key)
{
    FILE *in = fopen("/proc/self/status", "r");
    char line[200];
    long value = -1;

    while (in && fgets(line, sizeof line, in))
        if (!strncmp(line, key, strlen(key)))
            value = strtol(line + strlen(key), NULL, 10);
    if (in)
        fclose(in);
    return value;
}

/* The highest use of memory is counted from here on. */
static struct cost cost_start(void)
{
    FILE *reset = fopen("/proc/self/clear_refs", "w");
    struct cost c = {.memory = -1};

    malloc_trim(0);
    if (reset && fputs("5", reset) >= 0 && !fclose(reset) && !SLOW)
        c.memory = status_number("VmRSS:");
    c.start = clock();
    return c;
}

static void cost_check(const struct cost *c, const char *path)
{
    double seconds = (double)(clock() - c->start) / CLOCKS_PER_SEC;
    long growth = c->memory < 0 ? 0 : status_number("VmHWM:") - c->memory;
    struct stat status;
    long most = MOST_GROWTH;

    assert_int_equal(stat(path, &status), 0);
    if (status.st_size >> 10 > MOST_GROWTH / 2) /* it may be held once, and be cut off at the limit of the format */
        most = 2 * MOST_GROWTH;
    if (seconds > MOST_SECONDS)
        fail_msg("%s: refused after %.2f s", path, seconds);
    if (growth > most)
        fail_msg("%s: refused with %ld MiB of memory", path, growth >> 10);
}

/* Import, and failing that for want of a network, read every tensor there is. */
static void check_bad(const char *path, const char *kinds)
{
    const struct import_options o = {.name = "x", .heads = 2};
    struct import_report report;
    struct backbone_weights w;
    struct tensor_file f;
    struct cost cost = cost_start();
    err e = {0};

    backbone_import(path, &o, &w, &report, &e);
    backbone_close(&w);
    import_report_free(&report);
    cost_check(&cost, path);
    if (expected(kinds, &e))
        return;
    if (fault_of(&e) == FAULT_MISSING) {
        e = (err){0};
        if (!tensors_open(path, NULL, &f, &e)) {
            for (size_t i = 0; i < f.count && !e.code; i++) {
                float *to = malloc((f.info[i].count < 1 << 20 ? f.info[i].count : 1) * sizeof *to + 1);

                if (f.info[i].count < 1 << 20)
                    tensors_read(&f, i, to, &e);
                free(to);
            }
            if (!e.code)
                tensors_finish(&f, &e);
            tensors_close(&f);
        }
    }
    if (!expected(kinds, &e))
        fail_msg("%s: expected %s, got: %s", path, kinds, e.code ? e.text : "no error");
}

static void broken_files_are_refused(void **state)
{
    (void)state;
    assert_true(each_file("bad", check_bad) > 240);
}

/* A file that cannot be opened says who tried, if anybody did. */
static void check_reader(const char *path, const char *kinds)
{
    struct tensor_file f;
    err e = {0};

    (void)kinds;
    if (tensors_open(path, NULL, &f, &e) && !strstr(e.text, ": E_") && !strstr(e.text, ": is none of") &&
        !strstr(e.text, ": is a") && !strstr(e.text, ": is one array"))
        fail_msg("%s: nobody is named: %s", path, e.text);
    tensors_close(&f);
}

static void broken_files_name_their_reader(void **state)
{
    (void)state;
    each_file("bad", check_reader);
}

static void check_pickle(const char *path, const char *kinds)
{
    const struct pickle_options o = {.storages = PICKLE_ZIP_STORAGES};
    size_t size;
    char *bytes = read_file(path, &size);
    struct cost cost = cost_start();
    pickle *p;
    err e = {0};

    pickle_read(path, bytes, size, &o, NULL, &p, &e);
    cost_check(&cost, path);
    if (!expected(kinds, &e))
        fail_msg("%s: expected %s, got: %s", path, kinds, e.code ? e.text : "no error");
    pickle_free(p);
    free(bytes);
}

static void broken_pickles_are_refused(void **state)
{
    (void)state;
    assert_true(each_file("pickles", check_pickle) > 200);
    assert_int_not_equal(access("sluice-was-here", F_OK), 0);
}

static void dangerous_names_are_told(void **state)
{
    const struct pickle_options o = {0}, strict = {.strict = true};
    size_t size;
    char *bytes = read_file("pickles/os-system--OK", &size);
    pickle *p;
    err e = {0};

    (void)state;
    GOOD(pickle_read("x", bytes, size, &o, NULL, &p, &e));
    assert_int_equal(pickle_kind_of(p, pickle_root(p)), PICKLE_OPAQUE);
    assert_true(pickle_global(p, 0)->dangerous);
    assert_null(pickle_global(p, 1));
    pickle_free(p);
    assert_int_equal(pickle_read("x", bytes, size, &strict, NULL, &p, &e), ERR_DAMAGED);
    assert_int_equal(fault_of(&e), FAULT_UNSUPPORTED);
    free(bytes);
}

static void values_are_limited(void **state)
{
    static const char many[] = "\x80\x02]K\1aK\1aK\1aK\1aK\1a.";
    const struct container_limits four = {.most[LIMIT_PICKLE_VALUES] = 4};
    const struct pickle_options o = {.limits = &four};
    pickle *p;
    err e = {0};

    (void)state;
    assert_int_equal(pickle_read("x", many, sizeof many - 1, &o, NULL, &p, &e), ERR_DAMAGED);
    assert_int_equal(fault_of(&e), FAULT_LIMIT);
}

/* A pickle of a small file may not make many values, and the same constant is one value. */
static void values_are_limited_by_the_file(void **state)
{
    static const char constants[] = "\x80\x02](N\x88\x89NN\x88\x89\x65.";
    const struct pickle_options o = {0};
    pickle_value root;
    pickle *p;
    err e = {0};

    (void)state;
    GOOD(pickle_read("x", constants, sizeof constants - 1, &o, NULL, &p, &e));
    root = pickle_root(p);
    assert_int_equal(pickle_count(p, root), 7);
    for (size_t i = 0; i < 7; i++) {
        static const int kinds[] = {PICKLE_NONE, PICKLE_BOOL, PICKLE_BOOL, PICKLE_NONE,
                                    PICKLE_NONE, PICKLE_BOOL, PICKLE_BOOL};

        assert_int_equal(pickle_kind_of(p, pickle_item(p, root, i)), kinds[i]);
        assert_int_equal(pickle_int(p, pickle_item(p, root, i)), i == 1 || i == 5);
    }
    assert_int_equal(pickle_item(p, root, 0), pickle_item(p, root, 4));
    pickle_free(p);
}

/* ---------------------------------------------------------------- limits that a user changes */

static enum fault open_with(const char *path, enum container_limit which, uint64_t most, char text[sizeof(err)])
{
    struct tensor_options options = {.limits.option = "--limit"};
    struct tensor_file f;
    err e = {0};

    options.limits.most[which] = most;
    tensors_open(path, &options, &f, &e);
    tensors_close(&f);
    strcpy(text, e.text);
    return fault_of(&e);
}

/* Of a good file less is read, and the error says how to read more. */
static void limits_can_be_lower(void **state)
{
    static const struct {
        const char *path;
        enum container_limit which;
        uint64_t fits, most;
    } cases[] = {
        {"valid/by-hand.pth", LIMIT_PICKLE, 1 << 20, 100},
        {"valid/tiny-legacy.pth", LIMIT_PICKLE, 1 << 20, 100},
        {"valid/by-hand.pth", LIMIT_PICKLE_VALUES, 5000, 100},
        {"valid/tiny.pth", LIMIT_PICKLE_MEMO, 5000, 3},
        {"valid/by-hand.pth", LIMIT_PICKLE_STACK, 5000, 4},
        {"valid/by-hand.pth", LIMIT_PICKLE_TEXT, 100, 6},
        {"valid/by-hand.pth", LIMIT_TENSORS, 30, 29},
        {"valid/tiny.safetensors", LIMIT_TENSORS, 30, 29},
        {"valid/tiny.safetensors", LIMIT_SAFETENSORS_HEADER, 1 << 16, 100},
        {"valid/tiny.npz", LIMIT_ZIP_ENTRIES, 1000, 3},
        {"valid/tiny.npz", LIMIT_ZIP_DIRECTORY, 1 << 16, 100},
        {"valid/tiny.npz", LIMIT_NPY_HEADER, 118, 100},
        {"good/v-by-hand.h5", LIMIT_TENSORS, 30, 29},
    };
    char text[sizeof(err)], says[100];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (open_with(cases[i].path, cases[i].which, cases[i].fits, text))
            fail_msg("%s: %s", cases[i].path, text);
        if (open_with(cases[i].path, cases[i].which, cases[i].most, text) != FAULT_LIMIT)
            fail_msg("%s: %s of %d: %s", cases[i].path, limit_name(cases[i].which), (int)cases[i].most, text);
        snprintf(says, sizeof says, "at most %d are read; --limit %s=N changes that", (int)cases[i].most,
                 limit_name(cases[i].which));
        if (!strstr(text, says))
            fail_msg("'%s' does not say '%s'", text, says);
    }
}

/* What is refused by default is read as far as something else is wrong with it. */
static void limits_can_be_higher(void **state)
{
    static const struct {
        const char *path;
        enum container_limit which;
        uint64_t most;
    } cases[] = {
        {"bad/safe-tensors-70000--E_LIMIT", LIMIT_TENSORS, 80000},
        {"bad/safe-limit--E_LIMIT", LIMIT_SAFETENSORS_HEADER, 100000000},
        {"bad/npy-header-limit--E_LIMIT", LIMIT_NPY_HEADER, 1 << 20},
        {"bad/zip-entries-limit--E_LIMIT", LIMIT_ZIP_ENTRIES, 1 << 20},
        {"bad/zip-directory-limit--E_LIMIT", LIMIT_ZIP_DIRECTORY, 1 << 28},
        {"bad/legacy-limit--E_LIMIT", LIMIT_PICKLE, 1 << 28},
    };
    char text[sizeof(err)], says[100];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(open_with(cases[i].path, cases[i].which, 0, text), FAULT_LIMIT);
        snprintf(says, sizeof says, "; --limit %s=N changes that", limit_name(cases[i].which));
        assert_non_null(strstr(text, says));
        if (open_with(cases[i].path, cases[i].which, cases[i].most, text) == FAULT_LIMIT)
            fail_msg("%s: %s", cases[i].path, text);
    }
}

static void limits_are_named(void **state)
{
    static const char *const wrong[] = {"",           "tensors",          "tensor=1",
                                        "tensors=",   "tensors=0",        "tensors=-1",
                                        "tensors=1x", "tensors=16777217", "tensors=99999999999999999999999",
                                        "=5",         "pickle = 5"};
    struct container_limits limits = {0};
    err e = {0};

    (void)state;
    for (int i = 0; i < LIMIT_COUNT; i++) {
        char text[80];

        snprintf(text, sizeof text, "%s=%d", limit_name(i), 100 + i);
        GOOD(limit_set(&limits, text, &e));
        assert_int_equal(limit_of(&limits, i), 100 + i);
        assert_true(limit_of(NULL, i) <= limit_highest(i));
        snprintf(text, sizeof text, "%s=%llu", limit_name(i), (unsigned long long)limit_highest(i) + 1);
        assert_int_equal(limit_set(&limits, text, &e), ERR_USAGE);
        e = (err){0};
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(limit_set(&limits, wrong[i], &e), ERR_USAGE);
        e = (err){0};
    }
    assert_int_equal(limit_of(&limits, LIMIT_TENSORS), 100 + LIMIT_TENSORS);
}

/* Names that differ in their last bytes alone are found as fast as others. */
static void names_do_not_crowd(void **state)
{
    enum { LAST = 256, ALL = LAST * LAST };
    char(*names)[3] = calloc(ALL, sizeof *names);
    clock_t start = clock();
    struct names set = {0};
    uint32_t number;

    (void)state;
    assert_non_null(names);
    for (int i = 0; i < ALL; i++) {
        names[i][0] = 'k';
        names[i][1] = (char)(i / LAST);
        names[i][2] = (char)(i % LAST);
        number = (uint32_t)i;
        assert_int_equal(names_add(&set, names[i], 3, &number), NAMES_ADDED);
        number = 0;
        assert_int_equal(names_add(&set, names[i / 2], 3, &number), NAMES_TAKEN);
        assert_int_equal(number, i / 2);
    }
    assert_int_equal(set.count, ALL);
    assert_true(set.capacity <= 2 * (size_t)ALL);
    for (int i = 0; i < ALL; i++)
        assert_true(names_find(&set, names[i], 3, &number) && number == (uint32_t)i);
    assert_false(names_find(&set, "kk", 2, &number));
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < MOST_SECONDS);
    names_free(&set);
    free(names);
}

/* The reader is told once, in front of the kind, and only where there is one. */
static void errors_name_their_reader(void **state)
{
    err e = {0};

    (void)state;
    fault_set(&e, FAULT_CRC, "x (a: E_TRUNC) y");
    fault_reader(&e, "npz");
    fault_reader(&e, "pth");
    err_context(&e, "there");
    assert_string_equal(e.text, "there: x (a: E_TRUNC) y (npz: E_CRC)");
    assert_int_equal(fault_of(&e), FAULT_CRC);
    err_set(&e, ERR_NOMEM, "no memory (at all)");
    fault_reader(&e, "npz");
    assert_string_equal(e.text, "no memory (at all)");
    err_set(&e, ERR_DAMAGED, "%0*d (E_CRC)", (int)sizeof e.text - 10, 0);
    fault_reader(&e, "safetensors"); /* no room */
    assert_int_equal(fault_of(&e), FAULT_CRC);
}

static float *read_tensor(struct tensor_file *f, size_t i)
{
    float *to = malloc(f->info[i].count * sizeof *to + 1);
    err e = {0};

    assert_non_null(to);
    GOOD(tensors_read(f, i, to, &e));
    return to;
}

/* Each tensor is itself, in whatever order they are read. */
static void tensors_are_read_in_any_order(void **state)
{
    struct tensor_file forward, backward;
    err e = {0};

    (void)state;
    GOOD(tensors_open("valid/by-hand.pth", NULL, &forward, &e));
    GOOD(tensors_open("valid/flat.pth", NULL, &backward, &e));
    assert_int_equal(forward.count, backward.count);
    for (size_t i = backward.count; i-- > 0;) {
        float *a = read_tensor(&forward, i), *b = read_tensor(&backward, i);

        assert_string_equal(forward.info[i].name, backward.info[i].name);
        assert_true(!i || backward.info[i].place > backward.info[i - 1].place);
        assert_memory_equal(a, b, forward.info[i].count * sizeof *a);
        free(a);
        free(b);
    }
    GOOD(tensors_finish(&forward, &e));
    GOOD(tensors_finish(&backward, &e));
    tensors_close(&forward);
    tensors_close(&backward);
}

static void column_major_arrays_come_back_row_major(void **state)
{
    struct tensor_file f;
    err e = {0};
    float *got;

    (void)state;
    GOOD(tensors_open("valid/columns.npz", NULL, &f, &e));
    assert_int_equal(f.count, 1);
    assert_int_equal(f.info[0].rank, 5);
    assert_int_equal(f.info[0].count, 240);
    got = read_tensor(&f, 0);
    for (int i = 0; i < 240; i++)
        assert_true(got[i] == (float)i);
    free(got);
    tensors_close(&f);
}

/* Cut off anywhere, a file is cut off: nothing less is said, and nothing is believed. */
static void truncation_is_noticed(void **state)
{
    static const char *const files[] = {"tiny.pth", "tiny-legacy.pth", "tiny.safetensors", "tiny.npz"};
    const struct import_options o = {.name = "x", .heads = 2};

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[PATH_LENGTH], *bytes;
        size_t size, step;

        snprintf(path, sizeof path, "valid/%s", files[i]);
        bytes = read_file(path, &size);
        step = 1 + size / 3000;
        for (size_t n = 0; n <= size; n += n > 300 && n + 300 < size ? step : 1) {
            struct import_report report;
            struct backbone_weights w;
            err e = {0};
            char *copy = malloc(n + 1); /* so that reading too far shows */

            memcpy(copy, bytes, n);
            backbone_import_memory(path, copy, n, &o, &w, &report, &e);
            if (n == size ? e.code != 0
                          : fault_of(&e) != FAULT_TRUNC && !(n < 16 && fault_of(&e) == FAULT_MAGIC) &&
                                !(n < 16 && fault_of(&e) == FAULT_UNSUPPORTED))
                fail_msg("%s cut to %zu of %zu bytes: %s", path, n, size, e.code ? e.text : "no error");
            backbone_close(&w);
            import_report_free(&report);
            free(copy);
        }
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_come_back_from_every_container),
        cmocka_unit_test(profiles_are_recognised),
        cmocka_unit_test(features_are_pytorchs),
        cmocka_unit_test(positions_are_resampled_as_by_pytorch),
        cmocka_unit_test(provenance_is_kept),
        cmocka_unit_test(verdicts_are_told),
        cmocka_unit_test(options_decide),
        cmocka_unit_test(broken_files_are_refused),
        cmocka_unit_test(broken_pickles_are_refused),
        cmocka_unit_test(dangerous_names_are_told),
        cmocka_unit_test(broken_files_name_their_reader),
        cmocka_unit_test(values_are_limited),
        cmocka_unit_test(limits_can_be_lower),
        cmocka_unit_test(limits_can_be_higher),
        cmocka_unit_test(limits_are_named),
        cmocka_unit_test(names_do_not_crowd),
        cmocka_unit_test(errors_name_their_reader),
        cmocka_unit_test(values_are_limited_by_the_file),
        cmocka_unit_test(tensors_are_read_in_any_order),
        cmocka_unit_test(column_major_arrays_come_back_row_major),
        cmocka_unit_test(truncation_is_noticed),
    };
    int status = system(PYTHON " -B " SOURCE_DIR "/tests/io/backbone_files.py .");

    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
        return SKIPPED;
    if (status)
        return 1;
    with_torch = !access("reference.h5", F_OK);
    read_table();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
