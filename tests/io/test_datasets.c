/* Data sets as they are published: small ones written by NumPy, SciPy and Pillow (datasets_fixtures.py) are read back
 * exactly, and every broken one ends in its kind of fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/containers/fault.h"
#include "io/checksum.h"
#include "io/datasets/folder.h"
#include "io/datasets/kinds.h"
#include "io/datasets/lists.h"
#include "io/mt19937.h"
#include "io/picture.h"

#define GOOD(call)                             \
    do {                                       \
        if (call)                              \
            fail_msg("%s: %s", #call, e.text); \
    } while (0)

static const struct source_options partial = {.allow_partial = true};

static uint8_t value(size_t n, int y, int x, int c)
{
    return (uint8_t)(37 * n + 7 * (size_t)y + 13 * (size_t)x + 29 * (size_t)c);
}

static bool has_note(const struct image_source *s, const char *text)
{
    for (int i = 0; i < s->notes_count; i++)
        if (strstr(s->notes[i], text))
            return true;
    return false;
}

/* ---------------------------------------------------------------- arrays of pixels */

static void check_pixels(const struct image_source *s, const char *path, size_t train, size_t test)
{
    struct source_image image = {0};
    err e = {0};

    if (s->part[DATASET_TRAIN].count != train || s->part[DATASET_TEST].count != test)
        fail_msg("%s: %zu and %zu images", path, s->part[DATASET_TRAIN].count, s->part[DATASET_TEST].count);
    for (int part = 0; part < DATASET_PARTS; part++)
        for (size_t i = 0; i < s->part[part].count; i++) {
            const uint8_t *at;
            size_t n = i;

            GOOD(image_source_read(s, (enum dataset_part)part, i, &image, &e));
            assert_int_equal(image.label, (3 * n + 1) % (size_t)s->classes);
            assert_int_equal(image.bytes.size, image.height * image.width * image.channels);
            assert_int_equal(image.bytes.size, image_source_size(s, (enum dataset_part)part, i));
            at = image.bytes.data;
            for (int y = 0; y < image.height; y++)
                for (int x = 0; x < image.width; x++)
                    for (int c = 0; c < image.channels; c++)
                        if (*at++ != value(n, y, x, c))
                            fail_msg("%s: image %zu of part %d differs at (%d, %d, %d)", path, i, part, y, x, c);
        }
    assert_int_equal(image_source_read(s, DATASET_TRAIN, train, &image, &e), ERR_BUG);
    bytes_free(&image.bytes);
}

/* Published are more images than these. */
static void is_only_a_part(const char *kind, const char *path)
{
    struct image_source s;
    err e = {0};

    assert_int_equal(image_source_open(kind, path, &(struct source_options){0}, &s, &e), ERR_DAMAGED);
    assert_int_equal(fault_of(&e), FAULT_RANGE);
    assert_non_null(strstr(e.text, "--allow-partial"));
}

static void arrays_are_read_exactly(void **state)
{
    static const struct {
        const char *kind, *path;
        int classes, channels;
        const char *last_class, *note;
    } cases[] = {
        {"cifar10", "good/cifar10-binary", 10, 3, "class 09", NULL},
        {"cifar10", "good/cifar10-python2", 10, 3, "class 09", NULL},
        {"cifar10", "good/cifar10-python3", 10, 3, "class 09", NULL},
        {"cifar100", "good/cifar100-binary", 100, 3, "class 99", NULL},
        {"cifar100", "good/cifar100-python2", 100, 3, "class 99", NULL},
        {"cifar100", "good/cifar100-python3", 100, 3, "class 99", NULL},
        {"mnist", "good/mnist", 10, 1, "9", NULL},
        {"mnist", "good/mnist-gz", 10, 1, "9", NULL},
        {"mnist", "good/mnist-members", 10, 1, "9", NULL},
        {"mnist", "good/mnist-trailing", 10, 1, "9", "7 bytes after the gzip stream"},
        {"fashion-mnist", "good/mnist-gz", 10, 1, "Ankle boot", NULL},
        {"svhn", "good/svhn-plain", 10, 3, "9", NULL},
        {"svhn", "good/svhn-compressed", 10, 3, "9", NULL},
        {"svhn", "good/svhn-extra", 10, 3, "9", NULL},
        {"svhn", "good/svhn-double", 10, 3, "9", NULL},
        {"svhn", "good/svhn-narrow", 10, 3, "9", NULL},
        {"svhn", "good/svhn-stored-u2", 10, 3, "9", NULL},
        {"svhn", "good/svhn-stored-i4", 10, 3, "9", NULL},
        {"svhn", "good/svhn-stored-f8", 10, 3, "9", NULL},
        {"svhn", "good/svhn-zero", 10, 3, "9", "train_32x32.mat: has labels 0 and none that is 10"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct image_source s;
        err e = {0};

        GOOD(image_source_open(cases[i].kind, cases[i].path, &partial, &s, &e));
        assert_int_equal(s.classes, cases[i].classes);
        assert_int_equal(s.channels, cases[i].channels);
        assert_string_equal(s.class_names[s.classes - 1], cases[i].last_class);
        assert_true(has_note(&s, "images, ") && has_note(&s, " were published"));
        if (cases[i].note && !has_note(&s, cases[i].note))
            fail_msg("%s: the note is '%s'", cases[i].path, s.notes[0]);
        check_pixels(&s, cases[i].path, 15, 3);
        image_source_close(&s);
        image_source_close(&s);
        is_only_a_part(cases[i].kind, cases[i].path);
    }
}

/* Files with all images and other contents than the published ones are read, with a note for each. */
static void other_files_than_the_published_are_noted(void **state)
{
    static const struct {
        const char *kind, *path;
        int notes;
        const char *published[4]; /* MD5, formats.md C.1 and C.2 */
    } cases[] = {
        {"mnist",
         "good/mnist-whole",
         4,
         {"f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432", "9fb629c4189551a2d022fa330f9573f3",
          "ec29112dd5afa0611ce80d1b7f02629c"}},
        {"fashion-mnist",
         "good/mnist-whole",
         4,
         {"8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe", "bef4ecab320f06d8554ea6380940ec79",
          "bb300cfdad3c16e7a12a480ee83cd310"}},
        {"cifar100",
         "good/cifar100-whole",
         2,
         {"6172c7755cfe09b2fe270c85cebc1b15", "4499cfba6c016c1be1438163640a0898"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct image_source s;
        err e = {0};

        GOOD(image_source_open(cases[i].kind, cases[i].path, &(struct source_options){0}, &s, &e));
        assert_int_equal(s.notes_count, cases[i].notes);
        for (int n = 0; n < cases[i].notes; n++)
            if (!strstr(s.notes[n], cases[i].published[n]))
                fail_msg("%s: '%s' does not expect %s", cases[i].path, s.notes[n], cases[i].published[n]);
        image_source_close(&s);
    }
}

/* ---------------------------------------------------------------- files */

/* The names of a part, less a prefix, against the lines of a file, which may begin with a label. */
static void check_files(const struct image_source *s, enum dataset_part part, const char *prefix, const char *list,
                        bool labels)
{
    const struct source_part *p = &s->part[part];
    struct text_lines lines;
    err e = {0};

    GOOD(text_lines_read_path(list, &lines, &e));
    if (lines.count != p->count)
        fail_msg("%s: %zu lines, %zu images", list, lines.count, p->count);
    for (size_t i = 0; i < lines.count; i++) {
        char *line = lines.lines[i];

        if (labels) {
            assert_int_equal(p->labels[i], strtol(line, &line, 10));
            line++;
        }
        if (strncmp(p->files[i], prefix, strlen(prefix)) || strcmp(p->files[i] + strlen(prefix), line))
            fail_msg("%s:%zu: '%s' is image '%s'", list, i + 1, line, p->files[i]);
    }
    text_lines_free(&lines);
}

/* RFC 1321 and FIPS 180-4. */
static void checksums_are_what_they_are_called(void **state)
{
    char hex[CHECKSUM_HEX];
    FILE *f = fopen("abc", "w+");

    (void)state;
    checksum_bytes(CHECKSUM_MD5, "abc", 3, hex);
    assert_string_equal(hex, "900150983cd24fb0d6963f7d28e17f72");
    checksum_bytes(CHECKSUM_SHA256, "abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    fputs("abc", f);
    fflush(f);
    assert_true(checksum_open_file(fileno(f), hex));
    assert_string_equal(hex, "900150983cd24fb0d6963f7d28e17f72");
    fclose(f);
    assert_false(checksum_open_file(-1, hex));
}

static void folders_are_in_torchvision_s_order(void **state)
{
    struct image_source s;
    err e = {0};

    (void)state;
    GOOD(image_source_open("folder", "good/folder", &partial, &s, &e));
    assert_int_equal(s.classes, 4);
    assert_string_equal(s.class_names[0], "B");
    assert_string_equal(s.class_names[2], "a-b");
    check_files(&s, DATASET_TRAIN, "", "good/folder-train.txt", false);
    check_files(&s, DATASET_TEST, "", "good/folder-test.txt", false);
    assert_true(has_note(&s, ".ipynb_checkpoints was passed over"));
    assert_true(has_note(&s, "._z.jpg was passed over"));
    image_source_close(&s);
    GOOD(image_source_open("folder", "good/folder/train", &(struct source_options){.seed = 7, .seeded = true}, &s, &e));
    assert_int_equal(s.part[DATASET_TRAIN].count, 4 * 6); /* int(0.8 * 8) of each class */
    assert_int_equal(s.part[DATASET_TEST].count, 4 * 2);
    assert_true(has_note(&s, "seed 7"));
    image_source_close(&s);
    GOOD(image_source_open("folder", "good/folder-val", &partial, &s, &e));
    check_files(&s, DATASET_TEST, "", "good/folder-test.txt", false);
    assert_true(has_note(&s, "val/ was passed over"));
    image_source_close(&s);
}

/* Whatever the seed, no class is left without training or test images, and the same seed draws the same. */
static void every_class_is_divided(void **state)
{
    static const size_t training[] = {1, 2, 8}, test[] = {1, 1, 3};
    int differ = 0;

    (void)state;
    for (uint32_t seed = 0; seed < 20; seed++) {
        const struct source_options options = {.seed = seed, .seeded = true};
        size_t count[DATASET_PARTS][3] = {{0}};
        struct image_source s, again;
        err e = {0};

        GOOD(image_source_open("folder", "good/undivided", &options, &s, &e));
        GOOD(image_source_open("folder", "good/undivided", &options, &again, &e));
        for (int part = 0; part < DATASET_PARTS; part++)
            for (size_t i = 0; i < s.part[part].count; i++) {
                count[part][s.part[part].labels[i]]++;
                assert_string_equal(s.part[part].files[i], again.part[part].files[i]);
            }
        assert_memory_equal(count[DATASET_TRAIN], training, sizeof training);
        assert_memory_equal(count[DATASET_TEST], test, sizeof test);
        differ += strcmp(s.part[DATASET_TEST].files[0], "a/00.jpg") != 0;
        image_source_close(&s);
        image_source_close(&again);
    }
    assert_in_range(differ, 1, 19);
}

/* iNaturalist's folders have names of 79 bytes; no folder's name can be longer than 255. */
static void names_of_classes_may_be_long(void **state)
{
    char name[CLASS_NAME_SIZE] = "", path[400];
    struct image_source s;
    err e = {0};

    (void)state;
    memset(name, 'n', CLASS_NAME_SIZE - 1);
    assert_int_equal(system("rm -rf long && mkdir -p long/train long/test"), 0);
    for (int part = 0; part < DATASET_PARTS; part++) {
        snprintf(path, sizeof path, "long/%s/%s", part ? "test" : "train", name);
        assert_int_equal(mkdir(path, 0777), 0);
        snprintf(path, sizeof path, "cp good/folder/train/a/9.jpg long/%s/%s/", part ? "test" : "train", name);
        assert_int_equal(system(path), 0);
    }
    GOOD(image_source_open("folder", "long", &partial, &s, &e));
    assert_string_equal(s.class_names[0], name);
    image_source_close(&s);
}

static void links_inside_the_folder_are_followed(void **state)
{
    struct image_source s;
    err e = {0};

    (void)state;
    if (access("good/linked", F_OK)) {
        assert_int_equal(system("cp -r good/folder good/linked && ln -s ../a/9.jpg good/linked/train/B/8.jpg"), 0);
    }
    if (image_source_open("folder", "good/linked", &partial, &s,
                          &e)) { /* where the kernel cannot promise to stay inside */
        assert_int_equal(fault_of(&e), FAULT_PATH);
        return;
    }
    assert_int_equal(s.part[DATASET_TRAIN].count, 4 * 8 + 1);
    image_source_close(&s);
}

/* A kernel without openat2(): plain files are read as before, and links are not followed at all. */
static bool old_kernel, no_permission;
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    va_list args;
    long a[4];

    if (old_kernel && number == SYS_openat2) {
        errno = ENOSYS;
        return -1;
    }
    if (no_permission && number == SYS_openat2) {
        errno = EACCES;
        return -1;
    }
    va_start(args, number);
    for (int i = 0; i < 4; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    return __real_syscall(number, a[0], a[1], a[2], a[3]);
}

static void an_old_kernel_follows_no_links(void **state)
{
    struct image_source s;
    struct source_image image = {0};
    err e = {0};

    (void)state;
    old_kernel = true;
    GOOD(image_source_open("folder", "good/folder", &partial, &s, &e));
    check_files(&s, DATASET_TRAIN, "", "good/folder-train.txt", false);
    for (size_t i = 0; i < s.part[DATASET_TRAIN].count; i++)
        GOOD(image_source_read(&s, DATASET_TRAIN, i, &image, &e));
    bytes_free(&image.bytes);
    image_source_close(&s);
    assert_int_not_equal(image_source_open("folder", "good/linked", &partial, &s, &e), 0);
    assert_int_equal(fault_of(&e), FAULT_PATH);
    old_kernel = false;
}

static void what_cannot_be_read_is_said(void **state)
{
    struct source_image image = {0};
    struct image_source s;
    err e = {0};

    (void)state;
    GOOD(image_source_open("folder", "good/folder", &partial, &s, &e));
    no_permission = true; /* root may read everything */
    assert_int_equal(image_source_read(&s, DATASET_TRAIN, 0, &image, &e), ERR_DAMAGED);
    no_permission = false;
    assert_int_equal(fault_of(&e), FAULT_IO);
    assert_non_null(strstr(e.text, strerror(EACCES)));
    bytes_free(&image.bytes);
    image_source_close(&s);
    e = (err){0};
    assert_int_equal(system("rm -rf pipe && cp -r good/cub200 pipe && rm pipe/images.txt && mkfifo pipe/images.txt"),
                     0);
    assert_int_equal(image_source_open("cub200", "pipe", &partial, &s, &e), ERR_DAMAGED);
    assert_int_equal(fault_of(&e), FAULT_IO);
}

static void notmnist_is_read(void **state)
{
    struct source_image image = {0};
    struct picture picture = {0};
    struct image_source s;
    err e = {0};

    (void)state;
    GOOD(image_source_open("notmnist", "good/notmnist", &(struct source_options){0}, &s, &e));
    assert_true(has_note(&s, "41 training and 20 test images; the literature reports 16853 and 1873"));
    assert_int_equal(s.part[DATASET_TRAIN].count, 41);
    assert_int_equal(s.part[DATASET_TEST].count, 20);
    assert_int_equal(s.part[DATASET_TRAIN].labels[40], 9);
    assert_int_equal(s.height, 28);
    assert_string_equal(s.class_names[9], "J");
    GOOD(image_source_read(&s, DATASET_TRAIN, 0, &image, &e)); /* E..., Q..., R..., RGV... (empty), W... of A */
    GOOD(picture_decode(image.bytes.data, image.bytes.size, PICTURE_STRICT, &picture, &e));
    assert_int_equal(picture.width, 28);
    GOOD(image_source_read(&s, DATASET_TRAIN, 3, &image, &e));
    assert_int_equal(image.bytes.size, 0);
    assert_int_equal(picture_decode(image.bytes.data, image.bytes.size, PICTURE_STRICT, &picture, &e), ERR_DAMAGED);
    picture_free(&picture);
    bytes_free(&image.bytes);
    image_source_close(&s);
}

static void imagenet_r_has_three_layouts(void **state)
{
    const struct source_options coda = {.list = {"good/coda-train.yaml", "good/coda-test.yaml"}},
                                half = {.list = {"good/coda-train.yaml", NULL}},
                                twice = {.list = {"good/coda-test.yaml", "good/coda-test.txt"}};
    struct image_source s;
    err e = {0};

    (void)state;
    GOOD(image_source_open("imagenet-r", "good/imagenet-r", &partial, &s, &e));
    assert_int_equal(s.part[DATASET_TRAIN].count, 32);
    assert_int_equal(s.part[DATASET_TEST].count, 8);
    assert_string_equal(s.class_names[0], "n00000007");
    assert_true(has_note(&s, "file names are not the published ones (40 images"));
    image_source_close(&s);
    for (int lists = 0; lists < 2; lists++) { /* as the official code leaves it; by lists */
        GOOD(image_source_open("imagenet-r", lists ? "good/imagenet-r" : "good/imagenet-r-split",
                               lists ? &coda : &partial, &s, &e));
        check_files(&s, DATASET_TEST, lists ? "" : "test/", "good/coda-test.txt", false);
        assert_int_equal(s.part[DATASET_TRAIN].count, 32);
        assert_int_equal(s.part[DATASET_TEST].labels[7], 3); /* sorted, not CODA-Prompt's number 2 */
        assert_true(has_note(&s, "the split is none of the published ones"));
        assert_int_equal(has_note(&s, "__MACOSX was passed over"), !lists);
        image_source_close(&s);
    }
    assert_int_equal(image_source_open("imagenet-r", "good/imagenet-r", &half, &s, &e), ERR_USAGE);
    e = (err){0};
    assert_int_equal(image_source_open("imagenet-r", "good/imagenet-r", &twice, &s, &e), ERR_DAMAGED);
    assert_int_equal(fault_of(&e), FAULT_DUP);
}

static void shuffle(int *items, int n, uint64_t seed)
{
    for (int i = 0; i < n; i++)
        items[i] = i;
    python_shuffle(items, n, seed);
}

static void permute(int *items, int n, uint64_t seed)
{
    torch_randperm((uint32_t *)items, (uint32_t)n, (uint32_t)seed);
}

/* Lines "seed n items" against what comes out here. */
static void check_orders(const char *path, void (*make)(int *, int, uint64_t), int lines)
{
    static int items[30000];
    FILE *f = fopen(path, "r");
    uint64_t seed;
    int n, item;

    if (!f) {
        print_message("torch is not installed\n");
        return;
    }
    for (; fscanf(f, "%" SCNu64 " %d", &seed, &n) == 2; lines--) {
        assert_in_range(n, 1, 30000);
        make(items, n, seed);
        for (int i = 0; i < n; i++)
            if (fscanf(f, "%d", &item) != 1 || item != items[i])
                fail_msg("%s: seed %" PRIu64 ", n %d: item %d is %d, expected %d", path, seed, n, i, items[i], item);
    }
    fclose(f);
    assert_int_equal(lines, 0);
}

static void orders_are_those_of_the_python_that_is_here(void **state)
{
    (void)state;
    check_orders("good/shuffles.txt", shuffle, 8 * 6);
    check_orders("good/permutations.txt", permute, 5 * 5);
}

/* A listing of 30,000 names, split with seed 42: the permutation begins as formats.md C.5 says, and the digest of the
 * test images is the one that torch and hashlib come to. */
static void a_split_of_30000_is_torch_s(void **state)
{
    static const int first[] = {7542, 10109, 19114, 5209, 9270}; /* all among the training images */
    char name[40], hex[CHECKSUM_HEX], expected[CHECKSUM_HEX] = "";
    struct image_source s = {.root = {.path = (char *)"listing", .fd = -1}};
    FILE *file;
    err e = {0};

    (void)state;
    for (int i = 0; i < 30000; i++) {
        snprintf(name, sizeof name, "n%08d/%05d.jpg", i % 200, i);
        GOOD(source_add_file(&s, DATASET_TRAIN, name, i, &e));
    }
    GOOD(folder_split(&s, 42, &e));
    assert_int_equal(s.part[DATASET_TRAIN].count, 24000);
    assert_int_equal(s.part[DATASET_TEST].count, 6000);
    for (size_t i = 1; i < 6000; i++)
        assert_true(s.part[DATASET_TEST].labels[i - 1] < s.part[DATASET_TEST].labels[i]); /* the order of the list */
    for (size_t k = 0; k < 5; k++)
        for (size_t i = 0; i < 6000; i++)
            assert_int_not_equal(s.part[DATASET_TEST].labels[i], first[k]);
    GOOD(source_listing_sum(&s, DATASET_TEST, "", hex, &e));
    s.root.path = NULL;
    image_source_close(&s);
    if (!(file = fopen("good/split.txt", "r"))) {
        print_message("torch is not installed\n");
        skip();
    }
    assert_int_equal(fread(expected, 1, 64, file), 64);
    fclose(file);
    assert_string_equal(hex, expected);
}

static void cub_is_joined_by_number(void **state)
{
    struct image_source s;
    err e = {0};

    (void)state;
    GOOD(image_source_open("cub200", "good/cub200", &partial, &s, &e));
    check_files(&s, DATASET_TRAIN, "images/", "good/cub200-train.txt", true);
    check_files(&s, DATASET_TEST, "images/", "good/cub200-test.txt", true);
    assert_string_equal(s.class_names[2], "003.Sooty_Albatross");
    assert_true(has_note(&s, "12 images, 11788 were published"));
    image_source_close(&s);
    is_only_a_part("cub200", "good/cub200");
    is_only_a_part("cub200", "good/cub200-split");
    GOOD(image_source_open("cub200", "good/cub200-split", &partial, &s, &e)); /* the official code's layout: the same */
    check_files(&s, DATASET_TRAIN, "train/", "good/cub200-train.txt", true);
    check_files(&s, DATASET_TEST, "test/", "good/cub200-test.txt", true);
    image_source_close(&s);
}

static void tiny_imagenet_is_sorted(void **state)
{
    static const char *const names[] = {"n01", "n02", "n03"};
    struct image_source s, sorted;
    err e = {0};

    (void)state;
    GOOD(image_source_open("tiny-imagenet", "good/tiny", &partial, &s, &e));
    for (int i = 0; i < 3; i++)
        assert_string_equal(s.class_names[i], names[i]); /* wnids.txt begins with n03 */
    assert_int_equal(s.part[DATASET_TRAIN].count, 9);
    check_files(&s, DATASET_TEST, "val/images/", "good/tiny-test.txt", true);
    GOOD(image_source_open("tiny-imagenet", "good/tiny-sorted", &partial, &sorted, &e));
    assert_int_equal(sorted.part[DATASET_TEST].count, s.part[DATASET_TEST].count);
    for (size_t i = 0; i < s.part[DATASET_TEST].count; i++) {
        assert_int_equal(sorted.part[DATASET_TEST].labels[i], s.part[DATASET_TEST].labels[i]);
        assert_string_equal(strrchr(sorted.part[DATASET_TEST].files[i], '/'),
                            strrchr(s.part[DATASET_TEST].files[i], '/'));
    }
    assert_true(has_note(&s, "9 images, 100000 were published"));
    assert_true(has_note(&s, "7 images, 10000 were published"));
    image_source_close(&s);
    image_source_close(&sorted);
    is_only_a_part("tiny-imagenet", "good/tiny");
    is_only_a_part("tiny-imagenet", "good/tiny-sorted");
}

static void manifests_are_read(void **state)
{
    struct image_source s;
    struct source_image image = {0};
    err e = {0};

    (void)state;
    GOOD(image_source_open("csv", "good/csv", &partial, &s, &e));
    assert_int_equal(s.classes, 3);
    assert_string_equal(s.class_names[0], "cat");
    assert_string_equal(s.class_names[2], "zebra");
    assert_int_equal(s.part[DATASET_TRAIN].count, 3);
    assert_string_equal(s.part[DATASET_TRAIN].files[0], "b/x,1.jpg");
    assert_string_equal(s.part[DATASET_TRAIN].files[1], "b/\xc3\xbc.jpg");
    assert_string_equal(s.part[DATASET_TEST].files[0], "b/\"q\".jpg");
    assert_int_equal(s.part[DATASET_TRAIN].labels[0], 2);
    assert_string_equal(s.sequence, "[[0],[1,2]]");
    assert_true(has_note(&s, "the column 'remark' was passed over"));
    assert_true(has_note(&s, "1 images of the split val"));
    GOOD(image_source_read(&s, DATASET_TEST, 0, &image, &e));
    assert_int_equal(picture_format_of(image.bytes.data, image.bytes.size), PICTURE_JPEG);
    bytes_free(&image.bytes);
    image_source_close(&s);
    GOOD(image_source_open("csv", "good/csv-ids/manifest.csv", &partial, &s, &e));
    assert_int_equal(s.classes, 3);
    assert_int_equal(s.part[DATASET_TRAIN].labels[1], 2);
    assert_string_equal(s.class_names[2], "2");
    assert_int_equal(image_source_read(&s, DATASET_TRAIN, 0, &image, &e), ERR_MISSING);
    bytes_free(&image.bytes);
    image_source_close(&s);
    e = (err){0};
    mkdir("good/csv-ids/b.jpg", 0777); /* there, and no file */
    GOOD(image_source_open("csv", "good/csv-ids", &partial, &s, &e));
    assert_int_equal(image_source_read(&s, DATASET_TRAIN, 0, &image, &e), ERR_DAMAGED);
    assert_int_equal(fault_of(&e), FAULT_IO);
    image_source_close(&s);
    e = (err){0};
    GOOD(image_source_open("csv", "good/csv-classes", &partial, &s, &e)); /* names and numbers, but said to be names */
    assert_string_equal(s.class_names[0], "7");
    assert_int_equal(s.part[DATASET_TRAIN].labels[0], 1);
    assert_int_equal(s.part[DATASET_TRAIN].labels[1], 2);
    assert_int_equal(s.part[DATASET_TEST].labels[0], 0);
    image_source_close(&s);
}

/* ---------------------------------------------------------------- what is broken */

/* AddressSanitizer keeps what is freed for a while. */
#ifdef __SANITIZE_ADDRESS__
enum { MEMORY_IS_KEPT = true };
#else
enum { MEMORY_IS_KEPT = false };
#endif

/* The most memory that this process has had since forget_memory(), in KiB; 0 where that cannot be known. */
static long most_memory(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[100];
    long kib = 0;

    while (f && fgets(line, sizeof line, f) && sscanf(line, "VmHWM: %ld", &kib) != 1)
        ;
    if (f)
        fclose(f);
    return kib;
}

static long forget_memory(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");

    if (f) {
        fputs("5", f);
        fclose(f);
    }
    return most_memory();
}

static void every_broken_one_has_its_fault(void **state)
{
    long before = forget_memory();
    char kind[40], path[100], code[40];
    int cases = 0, wrong = 0;
    FILE *list;

    (void)state;
    list = fopen("bad.txt", "r");
    assert_non_null(list);
    while (fscanf(list, "%39s %99s %39s", kind, path, code) == 3) {
        struct image_source s;
        err e = {0};

        image_source_open(kind, path, &partial, &s, &e);
        if (!e.code || strcmp(fault_name(fault_of(&e)), code)) {
            print_message("%s: expected %s, got '%s'\n", path, code, e.code ? e.text : "no error");
            wrong++;
        }
        image_source_close(&s);
        cases++;
    }
    fclose(list);
    assert_true(cases > 150);
    assert_int_equal(wrong, 0);
    if (!MEMORY_IS_KEPT)
        assert_in_range(most_memory() - before, 0, 64 << 10);
}

static void what_is_missing_is_named(void **state)
{
    struct image_source s;
    const struct data_kind *kind;
    err e = {0};

    (void)state;
    mkdir("nothing", 0777);
    for (size_t i = 0; (kind = data_kind(i)); i++) {
        assert_int_not_equal(image_source_open(kind->name, "no-such-folder", &partial, &s, &e), 0);
        assert_int_equal(e.code, ERR_MISSING);
        assert_non_null(strstr(e.text, kind->name));
        e = (err){0};
        assert_int_not_equal(image_source_open(kind->name, "nothing", &partial, &s, &e), 0);
        assert_true(e.code == ERR_MISSING || fault_of(&e) == FAULT_MISSING);
        e = (err){0};
    }
    for (size_t i = 0; (kind = data_kind(i)); i++) { /* options that a kind has no use for are not ignored */
        const struct source_options seed = {.seeded = true}, lists = {.list = {"a", "b"}};

        image_source_open(kind->name, "nothing", &seed, &s, &e);
        assert_int_equal(e.code == ERR_USAGE, !(kind->traits & KIND_SEED));
        assert_int_equal(strstr(e.text, "are imagenet-r, folder") != NULL, !(kind->traits & KIND_SEED));
        e = (err){0};
        image_source_open(kind->name, "nothing", &lists, &s, &e);
        assert_int_equal(e.code == ERR_USAGE, !(kind->traits & KIND_LISTS));
        assert_int_equal(strstr(e.text, "taken by imagenet-r") != NULL, !(kind->traits & KIND_LISTS));
        e = (err){0};
    }
    GOOD(image_source_open("folder", "good/folder", &(struct source_options){.seeded = true, .seed = 7}, &s, &e));
    assert_true(has_note(&s, "the seed was not used"));
    image_source_close(&s);
    assert_int_equal(image_source_open("imagenet", "nothing", &partial, &s, &e), ERR_USAGE);
    assert_non_null(strstr(e.text, "imagenet-r, cub200"));
}

enum { SKIPPED = 77 };

/* Work in a folder of this test's own, wherever it was started, and fill it with fixtures.  0, or how to end. */
static int make_fixtures(void)
{
    int status;

    if ((mkdir(SCRATCH, 0777) && errno != EEXIST) || chdir(SCRATCH)) {
        perror(SCRATCH);
        return 1;
    }
    status = system("PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 " SOURCE_DIR "/tests/io/datasets_fixtures.py");
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
        return SKIPPED;
    if (status)
        fprintf(stderr, "datasets_fixtures.py has failed, see above\n");
    return status != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_are_read_exactly),
        cmocka_unit_test(other_files_than_the_published_are_noted),
        cmocka_unit_test(checksums_are_what_they_are_called),
        cmocka_unit_test(folders_are_in_torchvision_s_order),
        cmocka_unit_test(every_class_is_divided),
        cmocka_unit_test(names_of_classes_may_be_long),
        cmocka_unit_test(links_inside_the_folder_are_followed),
        cmocka_unit_test(an_old_kernel_follows_no_links),
        cmocka_unit_test(what_cannot_be_read_is_said),
        cmocka_unit_test(notmnist_is_read),
        cmocka_unit_test(imagenet_r_has_three_layouts),
        cmocka_unit_test(orders_are_those_of_the_python_that_is_here),
        cmocka_unit_test(a_split_of_30000_is_torch_s),
        cmocka_unit_test(cub_is_joined_by_number),
        cmocka_unit_test(tiny_imagenet_is_sorted),
        cmocka_unit_test(manifests_are_read),
        cmocka_unit_test(every_broken_one_has_its_fault),
        cmocka_unit_test(what_is_missing_is_named),
    };

    int status = make_fixtures();

    return status ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
