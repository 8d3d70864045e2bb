/* Data sets: the real Fashion-MNIST, IDX files of every broken kind, HDF5 packs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "io/containers/fault.h"
#include "io/dataset.h"
#include "io/h5.h"
#include "io/idx.h"

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

/* ---------------------------------------------------------------- making files */

static void spill(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void spill_gz(const char *path, const void *bytes, size_t n)
{
    gzFile f = gzopen(path, n < 1 << 20 ? "wb9" : "wb1");

    assert_non_null(f);
    assert_int_equal(gzwrite(f, bytes, (unsigned)n), n);
    assert_int_equal(gzclose(f), Z_OK);
}

/* Header and bytes of an IDX file whose byte i is i mod the modulus. */
static size_t idx_make(unsigned char *to, int type, int rank, const uint32_t *shape, size_t bytes, int modulus)
{
    size_t n = 0;

    to[n++] = 0;
    to[n++] = 0;
    to[n++] = (unsigned char)type;
    to[n++] = (unsigned char)rank;
    for (int i = 0; i < rank; i++)
        for (int shift = 24; shift >= 0; shift -= 8)
            to[n++] = (unsigned char)(shape[i] >> shift);
    for (size_t i = 0; i < bytes; i++)
        to[n++] = (unsigned char)(i % (size_t)modulus);
    return n;
}

static const struct mnist_file {
    const char *name;
    uint32_t shape[3];
    int rank, modulus;
} mnist_files[] = {{"train-images-idx3-ubyte", {60000, 28, 28}, 3, 251},
                   {"train-labels-idx1-ubyte", {60000}, 1, 10},
                   {"t10k-images-idx3-ubyte", {10000, 28, 28}, 3, 241},
                   {"t10k-labels-idx1-ubyte", {10000}, 1, 10}};

/* One of the four files, with `count` images or labels; their bytes are i modulo the file's modulus, or modulo `modulus`. */
static void spill_mnist(const char *path, int file, uint32_t count, int modulus, bool zipped)
{
    const struct mnist_file *f = &mnist_files[file];
    const uint32_t shape[] = {count, f->shape[1], f->shape[2]};
    size_t size = count * (f->rank == 3 ? (size_t)shape[1] * shape[2] : 1);
    unsigned char *bytes = malloc(size + 16);

    assert_non_null(bytes);
    (zipped ? spill_gz : spill)(path, bytes, idx_make(bytes, 8, f->rank, shape, size, modulus ? modulus : f->modulus));
    free(bytes);
}

/* The four files of an MNIST of the published size in a folder: labels 0, 1, ... 9, 0, 1, ... */
static void make_mnist(const char *folder, bool zipped)
{
    char path[300];

    mkdir(folder, 0777);
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s%s", folder, mnist_files[i].name, zipped ? ".gz" : "");
        spill_mnist(path, i, mnist_files[i].shape[0], 0, zipped);
    }
}

static void remove_mnist(const char *folder)
{
    char path[300];

    for (int i = 0; i < 8; i++) {
        snprintf(path, sizeof path, "%s/%s%s", folder, mnist_files[i / 2].name, i % 2 ? ".gz" : "");
        unlink(path);
    }
}

/* Byte k of image i is (first + k) * step. */
static void image_is(const struct image_set *set, size_t i, int first, int step)
{
    struct image_reader reader = {0};
    struct image image;
    err e = {0};

    GOOD(image_set_read(set, i, &reader, &image, &e));
    for (int k = 0; k < image.height * image.width * image.channels; k++)
        assert_int_equal(image.pixels[k], (uint8_t)(step * (first + k)));
    image_reader_free(&reader);
}

/* ---------------------------------------------------------------- the real one */

static void fashion_mnist_is_what_it_should_be(void **state)
{
    static const int first_train[] = {9, 0, 0, 3, 0, 2, 7, 2, 5, 5}, first_test[] = {9, 2, 1, 1, 6, 1, 4, 6, 5, 7};
    /* sums by NumPy of pixel(i) and of pixel(i) * (i mod 65521) */
    static const uint64_t sums[][2] = {{3431114169, 112460535856340}, {573469082, 18730890696781}};
    struct dataset d;
    err e = {0};

    (void)state;
    unsetenv("SLUICE_DATA");
    if (access("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz", R_OK)) {
        print_message("dataset-fashion-mnist is not installed\n");
        skip();
    }
    GOOD(dataset_open("fashion-mnist", &d, &e));
    assert_string_equal(d.name, "fashion-mnist");
    assert_int_equal(d.classes, 10);
    assert_string_equal(d.class_names[0], "T-shirt/top");
    assert_string_equal(d.class_names[9], "Ankle boot");
    for (int part = 0; part < DATASET_PARTS; part++) {
        const struct image_set *s = &d.part[part];
        size_t histogram[10] = {0};
        uint64_t sum = 0, weighted = 0;

        assert_int_equal(s->count, part == DATASET_TRAIN ? 60000 : 10000);
        assert_true(s->height == 28 && s->width == 28 && s->channels == 1);
        for (size_t i = 0; i < s->count; i++)
            histogram[s->labels[i]]++;
        for (int c = 0; c < 10; c++)
            assert_int_equal(histogram[c], s->count / 10);
        for (int i = 0; i < 10; i++)
            assert_int_equal(s->labels[i], (part == DATASET_TRAIN ? first_train : first_test)[i]);
        for (size_t i = 0; i < s->count * 28 * 28; i++) {
            sum += s->pixels[i];
            weighted += s->pixels[i] * (uint64_t)(i % 65521);
        }
        assert_int_equal(sum, sums[part][0]);
        assert_int_equal(weighted, sums[part][1]);
    }
    GOOD(dataset_verify(&d, &e));
    dataset_close(&d);
    dataset_close(&d);
}

/* ---------------------------------------------------------------- where things are found */

static void places_are_searched_in_order(void **state)
{
    char path[1024];
    struct dataset d;
    struct digest plain;
    FILE *f;
    err e = {0};

    (void)state;
    mkdir("first", 0777);
    mkdir("second", 0777);
    mkdir("third", 0777);
    mkdir("third/MNIST_RGB", 0777); /* the official code's class */
    make_mnist("second/mnist", false);
    make_mnist("third/MNIST_RGB/raw", true);
    setenv("SLUICE_DATA", "first::no-such-folder:second:third", 1);
    GOOD(dataset_locate("mnist", path, &e));
    assert_string_equal(path, "second/mnist");
    GOOD(dataset_open("mnist", &d, &e));
    assert_int_equal(d.part[DATASET_TRAIN].pixels[60000 * 784 - 1], (60000 * 784 - 1) % 251);
    assert_int_equal(d.part[DATASET_TEST].labels[9999], 9);
    assert_string_equal(d.class_names[9], "9");
    assert_null(d.notes);
    GOOD(dataset_write_pack(&d, "second/mnist.h5", &e));
    plain = d.digest;
    dataset_close(&d);
    GOOD(dataset_locate("mnist", path, &e));
    assert_string_equal(path, "second/mnist.h5"); /* what was imported goes before the files */
    GOOD(dataset_open("mnist", &d, &e));          /* the same content in a pack ... */
    assert_true(digest_equal(&d.digest, &plain));
    dataset_close(&d);
    unlink("second/mnist.h5");
    setenv("SLUICE_DATA", "third", 1);
    f = fopen("third/MNIST_RGB/raw/t10k-labels-idx1-ubyte.gz", "ab");
    fputs("garbage", f);
    fclose(f);
    GOOD(dataset_open("mnist", &d, &e)); /* ... and gzipped */
    assert_true(digest_equal(&d.digest, &plain));
    assert_string_equal(d.notes, "t10k-labels-idx1-ubyte.gz: 7 bytes after the gzip stream were passed over");
    dataset_close(&d);
    remove_mnist("second/mnist");
    remove_mnist("third/MNIST_RGB/raw");
}

static void what_is_not_there_is_explained(void **state)
{
    char path[1024];
    struct dataset d;
    err e = {0};

    (void)state;
    setenv("SLUICE_DATA", "nothing-here", 1);
    setenv("HOME", "/no-such-home", 1);
    assert_int_equal(dataset_open("mnist", &d, &e), ERR_MISSING);
    assert_non_null(strstr(e.text, "nothing-here, /usr/share/datasets, /no-such-home/.local/share/sluice/data"));
    dataset_close(&d);
    assert_int_equal(dataset_locate("../../etc", path, &e), ERR_CONFIG);
    assert_int_equal(dataset_locate("", path, &e), ERR_CONFIG);
    assert_int_equal(dataset_locate("a b", path, &e), ERR_CONFIG);
    if (access("/usr/share/datasets/fashion-mnist", F_OK)) {
        assert_int_equal(dataset_locate("fashion-mnist", path, &e), ERR_MISSING);
        assert_non_null(strstr(e.text, "apt-get install dataset-fashion-mnist"));
    }
    mkdir("partial", 0777);
    make_mnist("partial/mnist", false);
    unlink("partial/mnist/t10k-labels-idx1-ubyte");
    setenv("SLUICE_DATA", "partial", 1);
    assert_int_equal(dataset_open("mnist", &d, &e), ERR_MISSING);
    assert_non_null(strstr(e.text, "t10k-labels-idx1-ubyte"));
    remove_mnist("partial/mnist");
}

/* ---------------------------------------------------------------- broken IDX files */

static int read_code(const char *path, int rank, size_t limit, const char *text)
{
    struct idx idx;
    err e = {0};
    int fd = open(path, O_RDONLY), code;

    assert_true(fd >= 0);
    code = idx_read_open(fd, path, rank, limit, &idx, &e);
    close(fd);
    if (code) {
        assert_null(idx.bytes);
        if (!strstr(e.text, text) || !strstr(e.text, path))
            fail_msg("'%s' does not say '%s'", e.text, text);
    }
    free(idx.bytes);
    return code;
}

static void broken_headers_are_named(void **state)
{
    static const struct {
        int type, rank;
        uint32_t shape[4];
        size_t bytes;
        const char *text; /* NULL: is good */
    } cases[] = {
        {8, 3, {2, 3, 4}, 24, NULL},
        {8, 2, {2, 12}, 24, "has 2 dimensions, expected 3"},
        {8, 0, {0}, 24, "has 0 dimensions"},
        {9, 3, {2, 3, 4}, 24, "type 0x09"},
        {13, 3, {2, 3, 4}, 96, "type 0x0d"},
        {8, 3, {2, 3, 4}, 23, "which says 24"},
        {8, 3, {2, 3, 4}, 25, "which says 24"},
        {8, 3, {0xffffffff, 0xffffffff, 0xffffffff}, 24, "impossible shape"},
        {8, 3, {0xffffffff, 0xffff, 1}, 24, "above the limit"},
        {8, 3, {2, 3, 0}, 0, NULL},
    };
    unsigned char bytes[200];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = idx_make(bytes, cases[i].type, cases[i].rank, cases[i].shape, cases[i].bytes, 256);

        spill("case", bytes, n);
        assert_int_equal(read_code("case", 3, 1 << 20, cases[i].text), cases[i].text ? ERR_DAMAGED : 0);
    }
    spill("case", "not an IDX file at all", 22);
    assert_int_equal(read_code("case", 3, 1 << 20, "is not an IDX file"), ERR_DAMAGED);
    spill("case", "", 0);
    assert_int_equal(read_code("case", 3, 1 << 20, "within its header"), ERR_DAMAGED);
    assert_int_equal(read_code(".", 3, 1 << 20, ""), ERR_DAMAGED);
}

static void broken_gzip_streams_are_noticed(void **state)
{
    unsigned char bytes[5000], zipped[8000];
    size_t n = idx_make(bytes, 8, 1, (uint32_t[]){4000}, 4000, 251), size;
    FILE *f;

    (void)state;
    spill_gz("good.gz", bytes, n);
    assert_int_equal(read_code("good.gz", 1, 1 << 20, ""), 0);
    f = fopen("good.gz", "rb");
    size = fread(zipped, 1, sizeof zipped, f);
    fclose(f);
    for (size_t cut = 0; cut < size; cut++) { /* every truncation */
        spill("cut.gz", zipped, cut);
        assert_int_equal(read_code("cut.gz", 1, 1 << 20, ""), ERR_DAMAGED);
    }
    for (size_t at = 10; at < size; at++) { /* every byte after gzip's header, checksum included */
        zipped[at] ^= 0x10;
        spill("flip.gz", zipped, size);
        assert_int_equal(read_code("flip.gz", 1, 1 << 20, ""), ERR_DAMAGED);
        zipped[at] ^= 0x10;
    }
    memcpy(zipped + size, "garbage", 7); /* after the stream: as gzip itself, ignored */
    spill("tail.gz", zipped, size + 7);
    assert_int_equal(read_code("tail.gz", 1, 1 << 20, ""), 0);
    bytes[n] = 7; /* within the stream: not */
    spill_gz("longer.gz", bytes, n + 1);
    assert_int_equal(read_code("longer.gz", 1, 1 << 20, "goes on after the data"), ERR_DAMAGED);
    spill_gz("shorter.gz", bytes, n - 1);
    assert_int_equal(read_code("shorter.gz", 1, 1 << 20, "1 bytes too early"), ERR_DAMAGED);
    spill("plain.gz", bytes, n);
    assert_int_equal(read_code("plain.gz", 1, 1 << 20, "is not a gzip file"), ERR_DAMAGED);
    spill_gz("zipped", bytes, n);
    assert_int_equal(read_code("zipped", 1, 1 << 20, "should end in .gz"), ERR_DAMAGED);
}

/* A small file that claims, or really is, much more: refused before memory is taken for it. */
static void bombs_do_not_go_off(void **state)
{
    enum { BOMB = 32 << 20 };
    unsigned char *zeros = calloc(BOMB + 8, 1), header[8];
    size_t n = idx_make(header, 8, 1, (uint32_t[]){BOMB}, 0, 1);

    (void)state;
    memcpy(zeros, header, n);
    spill_gz("bomb.gz", zeros, BOMB + 8);
    assert_int_equal(read_code("bomb.gz", 1, BOMB - 1, "above the limit"), ERR_DAMAGED);
    assert_int_equal(read_code("bomb.gz", 1, BOMB, ""), 0);
    spill_gz("claim.gz", header, n);
    assert_int_equal(read_code("claim.gz", 1, (size_t)1 << 40, "cannot hold"), ERR_DAMAGED);
    idx_make(zeros, 8, 1, (uint32_t[]){10}, 0, 1); /* 10 bytes claimed, 32 MiB there */
    spill_gz("more.gz", zeros, BOMB + 8);
    assert_int_equal(read_code("more.gz", 1, 1 << 20, "goes on after the data"), ERR_DAMAGED);
    free(zeros);
    unlink("bomb.gz");
}

/* Read without import, files are checked as an import checks them. */
static void files_without_import_are_checked(void **state)
{
    static const struct {
        int file;
        uint32_t count;
        int modulus;
        enum fault fault;
        const char *text;
    } wrong[] = {
        {1, 60000, 11, FAULT_RANGE, "train-labels-idx1-ubyte: the label of image 10 is 10"},
        {1, 59999, 0, FAULT_RANGE, "60000 images and 59999 labels"},
        {2, 20, 0, FAULT_RANGE, "20 images and 10000 labels"},
        {3, 0, 0, FAULT_RANGE, "10000 images and 0 labels"},
    };
    static unsigned char bytes[60000 * 27 * 28 + 16];
    char path[300];
    struct dataset d;
    err e = {0};

    (void)state;
    mkdir("wrong", 0777);
    setenv("SLUICE_DATA", "wrong", 1);
    make_mnist("wrong/mnist", false);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        int file = wrong[i].file;

        snprintf(path, sizeof path, "wrong/mnist/%s", mnist_files[file].name);
        spill_mnist(path, file, wrong[i].count, wrong[i].modulus, false);
        e = (err){0};
        assert_int_equal(dataset_open("mnist", &d, &e), ERR_DAMAGED);
        if (fault_of(&e) != wrong[i].fault || !strstr(e.text, wrong[i].text) || !strstr(e.text, "wrong/mnist"))
            fail_msg("expected '%s', got '%s'", wrong[i].text, e.text);
        spill_mnist(path, file, mnist_files[file].shape[0], 0, false);
    }
    e = (err){0};
    spill_mnist("wrong/mnist/t10k-images-idx3-ubyte", 2, 20, 0, false); /* a part of it: an import can allow that */
    spill_mnist("wrong/mnist/t10k-labels-idx1-ubyte", 3, 20, 0, false);
    assert_int_equal(dataset_open("mnist", &d, &e), ERR_DAMAGED);
    assert_int_equal(fault_of(&e), FAULT_RANGE);
    assert_non_null(strstr(e.text, "`sluice data import mnist` reads it with --allow-partial"));
    e = (err){0};
    spill("wrong/mnist/train-images-idx3-ubyte", bytes,
          idx_make(bytes, 8, 3, (uint32_t[]){60000, 27, 28}, sizeof bytes - 16, 251));
    assert_int_equal(dataset_open("mnist", &d, &e), ERR_DAMAGED);
    assert_int_equal(fault_of(&e), FAULT_SHAPE);
    remove_mnist("wrong/mnist");
}

/* ---------------------------------------------------------------- packs */

/* A pack with one thing wrong; 0 is the good one. */
static void pack_make(const char *path, int wrong)
{
    const size_t count = 6, shape[] = {count, 2, 2, wrong == 1 ? 2 : 3}, labels_count = wrong == 2 ? count - 1 : count;
    uint8_t pixels[6 * 2 * 2 * 3];
    int32_t labels[] = {0, 1, 2, 0, 1, wrong == 3 ? 3 : wrong == 4 ? -1 : 2};
    float reals[6] = {0};
    err e = {0};
    h5 *file;

    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(7 * i);
    GOOD(h5_create(path, &file, &e));
    if (wrong != 5)
        GOOD(h5_write_text(file, "class_names", wrong == 6 ? "cat\n\ndog" : "cat\ndog\nhorse", &e));
    GOOD(h5_write(file, "train/images", H5_U8, 4, shape, pixels, true, &e));
    if (wrong == 7)
        GOOD(h5_write(file, "train/labels", H5_F32, 1, &labels_count, reals, true, &e));
    else
        GOOD(h5_write(file, "train/labels", H5_I32, 1, &labels_count, labels, true, &e));
    GOOD(h5_write(file, "test/images", H5_U8, 4, shape, pixels, true, &e));
    if (wrong != 8)
        GOOD(h5_write(file, "test/labels", H5_I32, 1, &count, labels, true, &e));
    GOOD(h5_commit(file, NULL, &e));
}

static void packs_are_checked(void **state)
{
    struct dataset d;
    err e = {0};

    (void)state;
    mkdir("packs", 0777);
    setenv("SLUICE_DATA", "packs", 1);
    for (int wrong = 0; wrong <= 8; wrong++) {
        pack_make("packs/animals.h5", wrong);
        if (wrong) {
            assert_int_equal(dataset_open("animals", &d, &e), ERR_DAMAGED);
            assert_non_null(strstr(e.text, "packs/animals.h5"));
        } else {
            GOOD(dataset_open("animals", &d, &e));
            assert_int_equal(d.classes, 3);
            assert_string_equal(d.class_names[2], "horse");
            assert_int_equal(d.part[DATASET_TEST].channels, 3);
            image_is(&d.part[DATASET_TRAIN], 5, 60, 7);
            dataset_close(&d);
        }
    }
}

/* What a user writes with h5py: 64-bit labels, variable-length text, another compression level. */
static void packs_by_h5py_are_read(void **state)
{
    struct dataset d;
    err e = {0};

    (void)state;
    mkdir("packs", 0777);
    setenv("SLUICE_DATA", "packs", 1);
    if (system("/usr/bin/python3 -c \"import h5py, numpy as n\n"
               "with h5py.File('packs/python.h5', 'w') as f:\n"
               "  f.attrs['class_names'] = 'a\\nb'\n"
               "  for p in ('train', 'test'):\n"
               "    f[p + '/labels'] = n.array([0, 1, 1])\n"
               "    f.create_dataset(p + '/images', data=n.arange(3*4*5).reshape(3, 4, 5, 1).astype('u1'),"
               " compression=9)\""))
        skip();
    GOOD(dataset_open("python", &d, &e));
    image_is(&d.part[DATASET_TRAIN], 2, 40, 1);
    assert_int_equal(d.part[DATASET_TRAIN].labels[2], 1);
    assert_string_equal(d.class_names[1], "b");
    dataset_close(&d);
}

/* ---------------------------------------------------------------- choosing images */

static void the_first_of_each_class_are_taken(void **state)
{
    const int32_t labels[] = {2, 0, 0, 1, 2, 2, 0};
    const struct image_set set = {.count = 7, .labels = labels};
    static const size_t one[] = {0, 1, 3}, two[] = {0, 1, 2, 3, 4};
    size_t *indices, count;
    err e = {0};

    (void)state;
    GOOD(image_set_take(&set, 3, 1, &indices, &count, &e));
    assert_int_equal(count, 3);
    assert_memory_equal(indices, one, sizeof one);
    free(indices);
    GOOD(image_set_take(&set, 3, 2, &indices, &count, &e));
    assert_int_equal(count, 5);
    assert_memory_equal(indices, two, sizeof two);
    free(indices);
    GOOD(image_set_take(&set, 3, 0, &indices, &count, &e));
    assert_int_equal(count, 7);
    free(indices);
    assert_int_equal(image_set_take(&set, 4, 0, &indices, &count, &e), ERR_DATA);
    assert_non_null(strstr(e.text, "class 3"));
    assert_int_equal(image_set_take(&set, 2, 0, &indices, &count, &e), ERR_BUG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fashion_mnist_is_what_it_should_be),
        cmocka_unit_test(places_are_searched_in_order),
        cmocka_unit_test(what_is_not_there_is_explained),
        cmocka_unit_test(broken_headers_are_named),
        cmocka_unit_test(broken_gzip_streams_are_noticed),
        cmocka_unit_test(bombs_do_not_go_off),
        cmocka_unit_test(files_without_import_are_checked),
        cmocka_unit_test(packs_are_checked),
        cmocka_unit_test(packs_by_h5py_are_read),
        cmocka_unit_test(the_first_of_each_class_are_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
