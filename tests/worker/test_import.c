/* Imports into packs, compositions and contact sheets; a trial on 5-datasets from its parts to the result. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jpeglib.h>

#include "io/containers/fault.h"
#include "io/datasets/kinds.h"
#include "io/h5.h"
#include "io/image_pack.h"
#include "trial.h"
#include "worker/command_data.h"
#include "worker/console.h"
#include "worker/import.h"
#include "worker/sheet.h"

#define GOOD(call)                             \
    do {                                       \
        if (call)                              \
            fail_msg("%s: %s", #call, e.text); \
    } while (0)

enum { CLASSES = 3, TRAIN = 40, TEST = 7 };

/* ---------------------------------------------------------------- a folder of pictures */

static void spill(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* The bytes of image i of a class: a PPM or PGM file whose size and pixels depend on both. */
static size_t picture_bytes(int class, int i, uint8_t *to)
{
    int height = 4 + i % 5, width = 3 + class, channels = i % 2 ? 3 : 1;
    char header[PICTURE_PNM_HEADER];
    size_t n = picture_pnm_header(header, height, width, channels), size = (size_t)(height * width * channels);

    memcpy(to, header, n);
    for (size_t k = 0; k < size; k++)
        to[n + k] = (uint8_t)(31 * class + 17 * i + (int)k);
    return n + size;
}

/* folder/train and test with classes c0, c1, c2; the first `bad` training images of c1 are no pictures. */
static void make_folder_of(const char *folder, int classes, int bad)
{
    static const char *const parts[DATASET_PARTS] = {"train", "test"};
    char path[200];
    uint8_t bytes[400];

    mkdir(folder, 0777);
    for (int part = 0; part < DATASET_PARTS; part++)
        for (int c = 0; c < classes; c++) {
            snprintf(path, sizeof path, "%s/%s", folder, parts[part]);
            mkdir(path, 0777);
            snprintf(path, sizeof path, "%s/%s/c%d", folder, parts[part], c);
            mkdir(path, 0777);
            for (int i = 0; i < (part == DATASET_TRAIN ? TRAIN : TEST); i++) {
                snprintf(path, sizeof path, "%s/%s/c%d/%03d.pgm", folder, parts[part], c, i);
                if (part == DATASET_TRAIN && c == 1 && i < bad)
                    spill(path, "not a picture", 13);
                else
                    spill(path, bytes, picture_bytes(c, i, bytes));
            }
        }
}

static void make_folder(const char *folder, int bad)
{
    make_folder_of(folder, CLASSES, bad);
}

/* ---------------------------------------------------------------- imports */

static int calls, stop_at;

static bool go_on(void *context, const struct progress *p)
{
    (void)context;
    assert_true(p->fraction >= 0 && p->fraction <= 1);
    return ++calls != stop_at;
}

static const struct host host = {.go_on = go_on};

/* Import a folder into a pack of that name; returns e->code. */
static int import_folder(const char *folder, const char *to, enum bad_image bad, int threads, FILE *complaints,
                         struct import_report *report, err *e)
{
    const struct import_request request = {
        .to = to, .provenance = "a test", .bad = bad, .threads = threads, .host = &host, .complaints = complaints};
    struct image_source source;

    *e = (err){0};
    calls = 0;
    assert_int_equal(image_source_open("folder", folder, &(struct source_options){0}, &source, e), 0);
    import_source(&source, &request, report, e);
    image_source_close(&source);
    return e->code;
}

static char *provenance_of(const char *path)
{
    char *text = NULL;
    h5 *file;
    err e = {0};

    GOOD(h5_open(path, &file, &e));
    GOOD(h5_read_text(file, "provenance", &text, &e));
    h5_close(file);
    return text;
}

static void files_keep_their_bytes(void **state)
{
    struct import_report report, again;
    struct image_reader reader = {0};
    const uint8_t *bytes;
    uint8_t expected[400];
    char *text;
    struct dataset d;
    size_t n;
    err e = {0};

    (void)state;
    make_folder("pictures", 0);
    GOOD(import_folder("pictures", "pictures.h5", BAD_IMAGE_FAIL, 1, NULL, &report, &e));
    GOOD(import_folder("pictures", "pictures-3.h5", BAD_IMAGE_FAIL, 3, NULL, &again, &e));
    assert_true(digest_equal(&report.digest, &again.digest)); /* for any number of threads */
    assert_int_equal(report.count[DATASET_TRAIN], CLASSES * TRAIN);
    assert_int_equal(report.count[DATASET_TEST], CLASSES * TEST);
    assert_int_equal(report.skipped, 0);
    GOOD(dataset_open_pack("pictures.h5", &d, &e));
    assert_true(digest_equal(&d.digest, &report.digest));
    GOOD(dataset_verify(&d, &e));
    assert_string_equal(d.class_names[2], "c2");
    for (int part = 0; part < DATASET_PARTS; part++)
        for (size_t i = 0; i < d.part[part].count; i++) {
            int per_class = part == DATASET_TRAIN ? TRAIN : TEST, class = (int)i / per_class;

            assert_int_equal(d.part[part].labels[i], class);
            GOOD(image_set_bytes(&d.part[part], i, &reader, &bytes, &n, &e));
            assert_int_equal(n, picture_bytes(class, (int)i % per_class, expected));
            assert_memory_equal(bytes, expected, n);
        }
    image_reader_free(&reader);
    dataset_close(&d);
    text = provenance_of("pictures.h5");
    assert_string_equal(text, "a test");
    free(text);
}

static void bad_images_are_named_skipped_or_fatal(void **state)
{
    struct import_report report;
    char *text = NULL;
    size_t size;
    FILE *complaints;
    err e = {0};

    (void)state;
    make_folder("rotten", 9);
    assert_int_equal(import_folder("rotten", "rotten.h5", BAD_IMAGE_FAIL, 2, NULL, &report, &e), ERR_DAMAGED);
    assert_non_null(strstr(e.text, "train/c1/000.pgm: "));
    assert_int_not_equal(access("rotten.h5", F_OK), 0);
    complaints = open_memstream(&text, &size);
    GOOD(import_folder("rotten", "rotten.h5", BAD_IMAGE_SKIP, 2, complaints, &report, &e));
    fclose(complaints);
    assert_int_equal(report.skipped, 9);
    assert_int_equal(report.count[DATASET_TRAIN], CLASSES * TRAIN - 9);
    for (int i = 0; i < 9; i++) {
        char name[40];

        snprintf(name, sizeof name, "skipped: train/c1/%03d.pgm: ", i);
        assert_non_null(strstr(text, name));
    }
    free(text);
    text = provenance_of("rotten.h5");
    assert_true(text == strstr(text, "a test\nskipped: train/c1/000.pgm: "));
    assert_non_null(strstr(text, "\nskipped: train/c1/008.pgm: "));
    free(text);
    assert_int_equal(import_folder("rotten", "few.h5", BAD_IMAGE_FEW, 2, NULL, &report, &e), ERR_DAMAGED);
    assert_non_null(strstr(e.text, "more than 8 of 141 images"));
    make_folder("rotten-8", 8);
    GOOD(import_folder("rotten-8", "few.h5", BAD_IMAGE_FEW, 2, NULL, &report, &e));
    assert_int_equal(report.skipped, 8);
}

/* A picture is what its bytes say. */
static void suffixes_say_nothing(void **state)
{
    static const uint8_t png[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\b\0\0\0\0:~\x9bU\0\0\0\nIDATx"
                                 "\x9c\x63\x68\0\0\0\x82\0\x81w\xcd\x72\xb6\0\0\0\0IEND\xae\x42`\x82";
    struct import_report report;
    struct picture picture = {0};
    err e = {0};

    (void)state;
    GOOD(picture_decode(png, sizeof png - 1, PICTURE_STRICT, &picture, &e));
    assert_int_equal(picture.format, PICTURE_PNG);
    picture_free(&picture);
    make_folder("named", 0);
    spill("named/train/c0/a.jpg", png, sizeof png - 1);
    spill("named/test/c2/b.JPEG", png, sizeof png - 1);
    GOOD(import_folder("named", "named.h5", BAD_IMAGE_FAIL, 2, NULL, &report, &e));
    assert_int_equal(report.count[DATASET_TRAIN], CLASSES * TRAIN + 1);
    spill("named/test/c2/c.jpg", "a text", 6);
    assert_int_equal(import_folder("named", "named.h5", BAD_IMAGE_FAIL, 2, NULL, &report, &e), ERR_DAMAGED);
    assert_int_equal(fault_of(&e), FAULT_MAGIC);
    spill("named/test/c2/c.jpg", "GIF89a and so on", 16);
    assert_int_equal(import_folder("named", "named.h5", BAD_IMAGE_FAIL, 2, NULL, &report, &e), ERR_DAMAGED);
    assert_int_equal(fault_of(&e), FAULT_UNSUPPORTED);
}

/* A pack can be made whatever the number of bad images: names beyond a limit are only counted. */
static void many_bad_images_are_counted(void **state)
{
    enum { BAD = 600 };
    struct import_report report;
    char path[100], *text, *last;
    err e = {0};

    (void)state;
    make_folder("awful", 0);
    for (int i = 0; i < BAD; i++) {
        snprintf(path, sizeof path, "awful/train/c2/bad-%04d.png", i);
        spill(path, "none", 4);
    }
    GOOD(import_folder("awful", "awful.h5", BAD_IMAGE_SKIP, 2, NULL, &report, &e));
    assert_int_equal(report.skipped, BAD);
    text = provenance_of("awful.h5");
    int lines = 0;
    for (char *at = text; (at = strstr(at, "\nskipped: train/c2/bad-")); at++)
        lines++;
    last = strrchr(text, '\n');
    assert_true(lines > 50 && lines < BAD);
    snprintf(path, sizeof path, "\nskipped: %d more", BAD - lines);
    assert_string_equal(last, path);
    free(text);
}

static int files_beginning_with(const char *prefix)
{
    DIR *folder = opendir(".");
    struct dirent *entry;
    int n = 0;

    while ((entry = readdir(folder)))
        n += !strncmp(entry->d_name, prefix, strlen(prefix));
    closedir(folder);
    return n;
}

static void an_interrupted_import_leaves_nothing(void **state)
{
    struct import_report report;
    err e = {0};

    (void)state;
    make_folder("pictures", 0);
    stop_at = 2;
    assert_int_equal(import_folder("pictures", "interrupted.h5", BAD_IMAGE_FAIL, 2, NULL, &report, &e),
                     ERR_INTERRUPTED);
    stop_at = 0;
    assert_int_equal(files_beginning_with("interrupted"), 0);
    assert_int_equal(files_beginning_with(".interrupted"), 0);
}

/* Pixels of an array stay pixels of one size. */
static void arrays_become_packs_of_pixels(void **state)
{
    static uint8_t record[3073];
    struct source_options partial = {.allow_partial = true};
    const struct import_request request = {.to = "cifar.h5", .threads = 2, .host = &host};
    struct import_report report;
    struct image_source source;
    struct image_reader reader = {0};
    struct image image;
    struct dataset d;
    char path[100], names[100] = "";
    err e = {0};

    (void)state;
    mkdir("cifar", 0777);
    for (int k = 0; k < 10; k++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "name %d\n", k);
    spill("cifar/batches.meta.txt", names, strlen(names));
    for (int k = 1; k <= 6; k++) {
        record[0] = (uint8_t)k;
        for (int i = 0; i < 3072; i++)
            record[1 + i] = (uint8_t)(i / 7 + k);
        snprintf(path, sizeof path, k < 6 ? "cifar/data_batch_%d.bin" : "cifar/test_batch.bin", k);
        spill(path, record, sizeof record);
    }
    GOOD(image_source_open("cifar10", "cifar", &partial, &source, &e));
    GOOD(import_source(&source, &request, &report, &e));
    image_source_close(&source);
    GOOD(dataset_open_pack("cifar.h5", &d, &e));
    assert_int_equal(d.part[DATASET_TRAIN].count, 5);
    assert_int_equal(d.part[DATASET_TRAIN].height, 32);
    assert_int_equal(d.part[DATASET_TRAIN].channels, 3);
    assert_int_equal(d.part[DATASET_TEST].labels[0], 6);
    GOOD(image_set_read(&d.part[DATASET_TRAIN], 2, &reader, &image, &e));
    for (int y = 0; y < 32; y++)
        for (int x = 0; x < 32; x++)
            for (int c = 0; c < 3; c++)
                assert_int_equal(image.pixels[(y * 32 + x) * 3 + c], (uint8_t)((c * 1024 + y * 32 + x) / 7 + 3));
    image_reader_free(&reader);
    dataset_close(&d);
}

/* ---------------------------------------------------------------- 5-datasets */

/* A pack of one of the members: ten classes with a few images each, every class of its own brightness. */
static void make_member_of(const char *name, enum image_pack_kind kind, int side, int channels, int classes)
{
    char names[10][CLASS_NAME_SIZE] = {""}, path[100];
    uint8_t pixels[32 * 32 * 3], file[32 * 32 + PICTURE_PNM_HEADER];
    image_pack *pack;
    err e = {0};

    for (int c = 0; c < classes; c++)
        snprintf(names[c], sizeof names[c], "class %d", c);
    snprintf(path, sizeof path, "store/%s.h5", name);
    GOOD(image_pack_create(path, kind, (const char(*)[CLASS_NAME_SIZE])names, classes, &pack, &e));
    for (int part = 0; part < DATASET_PARTS; part++)
        for (int i = 0; i < 40; i++) {
            for (int k = 0; k < side * side * channels; k++)
                pixels[k] = (uint8_t)(25 * (i % 10) + (k * (i + 3) + part) % 20);
            if (kind == IMAGE_PACK_PIXELS) {
                GOOD(image_pack_add_pixels(pack, part, i % classes, side, side, channels, pixels, &e));
            } else {
                size_t n = picture_pnm_header((char *)file, side, side, 1);

                memcpy(file + n, pixels, (size_t)(side * side));
                GOOD(image_pack_add_file(pack, part, i % classes, file, n + (size_t)(side * side), &e));
            }
        }
    GOOD(image_pack_finish(pack, NULL, &e));
}

static void make_member(const char *name, enum image_pack_kind kind, int side, int channels)
{
    make_member_of(name, kind, side, channels, 10);
}

static void make_members(void)
{
    mkdir("store", 0777);
    setenv("SLUICE_DATA", "store", 1);
    make_member("svhn", IMAGE_PACK_PIXELS, 32, 3);
    make_member("mnist", IMAGE_PACK_PIXELS, 28, 1);
    make_member("cifar10", IMAGE_PACK_PIXELS, 32, 3);
    make_member("notmnist", IMAGE_PACK_FILES, 28, 1);
    make_member("fashion-mnist", IMAGE_PACK_PIXELS, 28, 1);
}

/* Run a verb of `sluice data` with its results in a file; returns its exit status. */
static int run_verb(int (*verb)(int, char **), const char *to, char *words)
{
    char *argv[20] = {(char *)"verb"};
    int argc = 1, before = dup(STDOUT_FILENO), fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0666), status;

    for (char *word = strtok(words, " "); word && argc < 19; word = strtok(NULL, " "))
        argv[argc++] = word;
    optind = 0;
    fflush(stdout);
    dup2(fd, STDOUT_FILENO);
    status = verb(argc, argv);
    fflush(stdout);
    dup2(before, STDOUT_FILENO);
    close(before);
    close(fd);
    return status;
}

#define RUN(verb, to, words) run_verb(data_##verb, to, (char[]){words})

static void five_data_sets_become_one(void **state)
{
    static const int heights[] = {32, 28, 32, 28, 28}, channels[] = {3, 1, 3, 1, 1};
    struct image_reader reader = {0}, other = {0};
    struct dataset d, member;
    struct image image, of_member;
    err e = {0};

    (void)state;
    make_members();
    assert_int_equal(RUN(import, "out", "5-datasets --as 5-datasets --replace"), 0);
    GOOD(dataset_open("5-datasets", &d, &e));
    assert_int_equal(d.classes, 50);
    assert_string_equal(d.class_names[0], "svhn/class 0");
    assert_string_equal(d.class_names[29], "cifar10/class 9");
    assert_string_equal(d.class_names[49], "fashion-mnist/class 9");
    assert_int_equal(d.part[DATASET_TRAIN].count, 200);
    for (int k = 0; k < 5; k++) {
        GOOD(dataset_open(data_composition_by_name("5-datasets")->members[k], &member, &e));
        for (size_t i = 0; i < 40; i++) {
            size_t at = (size_t)k * 40 + i;

            assert_int_equal(d.part[DATASET_TEST].labels[at], 10 * k + member.part[DATASET_TEST].labels[i]);
            GOOD(image_set_read(&d.part[DATASET_TEST], at, &reader, &image, &e));
            GOOD(image_set_read(&member.part[DATASET_TEST], i, &other, &of_member, &e));
            assert_int_equal(image.height, heights[k]);
            assert_int_equal(image.channels, channels[k]);
            assert_memory_equal(image.pixels, of_member.pixels, (size_t)(heights[k] * heights[k] * channels[k]));
        }
        dataset_close(&member);
    }
    image_reader_free(&reader);
    image_reader_free(&other);
    dataset_close(&d);
}

static void each_of_the_five_has_ten_classes(void **state)
{
    const struct import_request request = {.to = "store/five.h5", .threads = 1, .host = &host};
    struct import_report report;
    err e = {0};

    (void)state;
    make_members();
    make_member_of("cifar10", IMAGE_PACK_PIXELS, 32, 3, 9);
    assert_int_equal(import_composition(data_composition_by_name("5-datasets"), &request, &report, &e), ERR_DATA);
    assert_string_equal(e.text,
                        "cifar10 has 9 classes, but each part of 5-datasets has 10; import the published cifar10");
    assert_int_not_equal(access("store/five.h5", F_OK), 0);
}

/* From the parts to the result of a trial, in the order of the official code's seed 42: notMNIST, MNIST, CIFAR-10,
 * Fashion-MNIST, SVHN. */
static void a_trial_on_five_data_sets_runs(void **state)
{
    struct trial t;
    struct record *records;
    int last, rows = 0;

    (void)state;
    world_make();
    make_members();
    setenv("SLUICE_DATA", "store:.", 1);
    assert_int_equal(RUN(import, "out", "5-datasets --as 5-datasets --replace"), 0);
    trial_open(
        &t,
        "dataset.name=5-datasets dataset.tasks=5 dataset.sequence=permutation:0 seed=42 dataset.transform=from_cifar "
        "dataset.augment=true",
        "five");
    records = trial_run(&t);
    last = trial_stage(&t, STAGE_TAP, 4);
    for (int i = 0; i < records[last].accuracy_count; i++) {
        assert_true(records[last].accuracy[i].accuracy >= 0 && isfinite(records[last].accuracy[i].loss));
        assert_int_equal(records[last].accuracy[i].images, 40);
        rows++;
    }
    assert_true(rows >= 5);
    free(records);
    trial_close(&t);
}

/* ---------------------------------------------------------------- JPEGs that end too early */

enum { JPEG_SIDE = 64, LARGE_SIDE = 2000 };

/* A grey JPEG of side by side pixels, cut short by so many bytes. */
static void spill_jpeg_of(const char *path, unsigned side, size_t less)
{
    struct jpeg_compress_struct c = {0};
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL, row[LARGE_SIDE] = {0}, *at = row;
    unsigned long n = 0;

    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &bytes, &n);
    c.image_height = c.image_width = side;
    c.input_components = 1;
    c.in_color_space = JCS_GRAYSCALE;
    jpeg_set_defaults(&c);
    jpeg_start_compress(&c, TRUE);
    while (c.next_scanline < c.image_height) {
        for (unsigned x = 0; x < JPEG_SIDE; x++)
            row[x] = (unsigned char)(x * c.next_scanline * 7 + x);
        jpeg_write_scanlines(&c, &at, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    spill(path, bytes, n - less);
    free(bytes);
}

static void spill_jpeg(const char *path, size_t less)
{
    spill_jpeg_of(path, JPEG_SIDE, less);
}

/* Opening says how they are decoded, and all can be. */
static void is_lenient(struct dataset *d)
{
    struct image_reader reader = {0};
    struct image image;
    err e = {0};

    for (int part = 0; part < DATASET_PARTS; part++) {
        assert_int_equal(d->part[part].mode, PICTURE_LENIENT);
        for (size_t i = 0; i < d->part[part].count; i++)
            GOOD(image_set_read(&d->part[part], i, &reader, &image, &e));
    }
    image_reader_free(&reader);
    dataset_close(d);
}

static void leniency_stays_with_the_pack(void **state)
{
    struct dataset d;
    json_t *root;
    image_pack *pack;
    err e = {0};

    (void)state;
    make_members();
    make_folder("cut", 0);
    spill_jpeg("cut/train/c1/000.pgm", 300);
    assert_int_equal(RUN(import, "out", "folder cut --as cut"), 3);
    assert_int_equal(RUN(import, "out", "folder cut --as cut --lenient-jpeg"), 0);
    GOOD(dataset_open("cut", &d, &e));
    GOOD(dataset_write_pack(&d, "copy-of-cut.h5", &e));
    is_lenient(&d);
    GOOD(dataset_open_pack("copy-of-cut.h5", &d, &e));
    is_lenient(&d);
    assert_int_equal(RUN(show, "show.json", "cut --json"), 0);
    root = json_load_file("show.json", 0, NULL);
    assert_non_null(strstr(json_string_value(json_object_get(root, "provenance")), "folder cut --lenient-jpeg"));
    json_decref(root);
    make_folder_of("cut-of-ten", 10, 0);
    spill_jpeg("cut-of-ten/train/c1/000.pgm", 300);
    assert_int_equal(RUN(import, "out", "folder cut-of-ten --as notmnist --lenient-jpeg --replace"), 0);
    assert_int_equal(RUN(import, "out", "5-datasets --as 5-datasets --replace"), 0);
    GOOD(dataset_open("5-datasets", &d, &e));
    is_lenient(&d);

    GOOD(dataset_open("mnist", &d, &e));
    assert_int_equal(d.part[DATASET_TRAIN].mode, PICTURE_STRICT);
    GOOD(image_pack_create("odd.h5", IMAGE_PACK_PIXELS, (const char(*)[CLASS_NAME_SIZE])d.class_names, d.classes, &pack,
                           &e));
    GOOD(image_pack_note(pack, "decoding", "by heart", &e));
    for (int part = 0; part < DATASET_PARTS; part++)
        GOOD(image_pack_add_pixels(pack, part, 0, 28, 28, 1, (const uint8_t[28 * 28]){0}, &e));
    GOOD(image_pack_finish(pack, NULL, &e));
    dataset_close(&d);
    assert_int_equal(dataset_open_pack("odd.h5", &d, &e), ERR_DAMAGED);
    assert_non_null(strstr(e.text, "decoding"));
}

/* With --decoded a pack holds no JPEG any more, and the images are the same; also where many pixels come from few bytes, which
 * do not fit into a batch. */
static void decoded_packs_hold_pixels(void **state)
{
    struct image_reader a = {0}, b = {0};
    struct dataset files, pixels;
    struct image image, again;
    const uint8_t *bytes;
    struct digest digest;
    char *text;
    size_t n;
    err e = {0};

    (void)state;
    make_folder("photographs", 0);
    for (int i = 0; i < TRAIN; i++) {
        char path[200];

        snprintf(path, sizeof path, "photographs/train/c1/%03d.pgm", i);
        spill_jpeg_of(path, i < 10 ? LARGE_SIDE : JPEG_SIDE, i == 13 ? 300 : 0);
    }
    assert_int_equal(RUN(import, "out", "folder photographs --as photographs --lenient-jpeg"), 0);
    assert_int_equal(RUN(import, "out", "folder photographs --as decoded --decoded --out decoded.h5"), 3);
    assert_int_equal(
        RUN(import, "out", "folder photographs --as decoded --lenient-jpeg --decoded --threads 1 --out decoded.h5"), 0);
    assert_int_equal(
        RUN(import, "out", "folder photographs --as decoded --lenient-jpeg --decoded --threads 3 --out decoded-3.h5"),
        0);
    GOOD(dataset_open("photographs", &files, &e));
    GOOD(dataset_open_pack("decoded-3.h5", &pixels, &e));
    digest = pixels.digest;
    dataset_close(&pixels);
    GOOD(dataset_open_pack("decoded.h5", &pixels, &e));
    assert_true(digest_equal(&digest, &pixels.digest));
    GOOD(dataset_verify(&pixels, &e));
    assert_false(digest_equal(&files.digest, &pixels.digest));
    for (int part = 0; part < DATASET_PARTS; part++) {
        assert_int_equal(files.part[part].count, pixels.part[part].count);
        for (size_t i = 0; i < files.part[part].count; i++) {
            GOOD(image_set_bytes(&pixels.part[part], i, &b, &bytes, &n, &e));
            assert_int_equal(picture_format_of(bytes, n), PICTURE_PNM);
            GOOD(image_set_read(&files.part[part], i, &a, &image, &e));
            GOOD(image_set_read(&pixels.part[part], i, &b, &again, &e));
            assert_int_equal(image.height, again.height);
            assert_int_equal(image.width, again.width);
            assert_int_equal(image.channels, again.channels);
            assert_memory_equal(image.pixels, again.pixels,
                                (size_t)image.height * (size_t)image.width * (size_t)image.channels);
        }
    }
    image_reader_free(&a);
    image_reader_free(&b);
    dataset_close(&files);
    dataset_close(&pixels);
    text = provenance_of("decoded.h5");
    assert_non_null(strstr(text, "folder photographs --lenient-jpeg --decoded"));
    free(text);
    assert_int_equal(RUN(import, "out", "5-datasets --as 5-datasets --decoded --replace"), 2);
}

/* ---------------------------------------------------------------- contact sheets */

static void read_picture(const char *path, struct picture *out)
{
    struct stat status;
    uint8_t *bytes;
    FILE *f = fopen(path, "rb");
    err e = {0};

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &status), 0);
    bytes = malloc((size_t)status.st_size);
    assert_int_equal(fread(bytes, 1, (size_t)status.st_size, f), status.st_size);
    fclose(f);
    GOOD(picture_decode(bytes, (size_t)status.st_size, PICTURE_STRICT, out, &e));
    assert_int_equal(out->format, PICTURE_PNG);
    free(bytes);
}

/* Images of the sheet's own size appear unchanged: image i of class c of the pack has the pixels (c, i, x, y). */
static void a_sheet_shows_the_first_images_of_each_class(void **state)
{
    static const int order[] = {2, 0};
    char names[3][CLASS_NAME_SIZE] = {"ant", "bee", "a class with a name that is longer than its column is wide"};
    uint8_t pixels[SHEET_SIDE * SHEET_SIDE];
    struct sheet sheet = {.part = DATASET_TEST, .title = "two classes", .classes = order, .count = 2, .columns = 3};
    struct picture picture = {0};
    struct dataset d;
    image_pack *pack;
    int left, top;
    err e = {0};

    (void)state;
    GOOD(image_pack_create("sheet.h5", IMAGE_PACK_PIXELS, (const char(*)[CLASS_NAME_SIZE])names, 3, &pack, &e));
    for (int part = 0; part < DATASET_PARTS; part++)
        for (int i = 0; i < 12; i++) {
            for (int k = 0; k < SHEET_SIDE * SHEET_SIDE; k++)
                pixels[k] = (uint8_t)(100 * part + 10 * i + k % 7);
            GOOD(image_pack_add_pixels(pack, part, i % 3, SHEET_SIDE, SHEET_SIDE, 1, pixels, &e));
        }
    GOOD(image_pack_finish(pack, NULL, &e));
    GOOD(dataset_open_pack("sheet.h5", &d, &e));
    sheet.data = &d;
    GOOD(sheet_write(&sheet, "sheet.png", &e));
    read_picture("sheet.png", &picture);
    left = picture.width - 3 * (SHEET_SIDE + SHEET_GAP) - SHEET_GAP;
    top = picture.height - 2 * (SHEET_SIDE + SHEET_GAP) - SHEET_GAP;
    for (int r = 0; r < 2; r++)
        for (int c = 0; c < 3; c++)
            for (int k = 0; k < SHEET_SIDE * SHEET_SIDE; k++) {
                int y = top + r * (SHEET_SIDE + SHEET_GAP) + k / SHEET_SIDE,
                    x = left + c * (SHEET_SIDE + SHEET_GAP) + k % SHEET_SIDE, i = 3 * c + order[r];

                for (int channel = 0; channel < picture.channels; channel++)
                    assert_int_equal(picture.pixels[(y * picture.width + x) * picture.channels + channel],
                                     100 + 10 * i + k % 7);
            }
    picture_free(&picture);
    assert_int_equal(sheet_write(&sheet, "no-such-folder/sheet.png", &e), ERR_STORAGE);
    dataset_close(&d);
}

/* Pillow finds the classes on the sheets of a data set whose classes have a colour each. */
static void a_sheet_shows_the_classes_of_its_task(void **state)
{
    enum { SIDE = 6, SIX = 6 };
    static const struct {
        const char *words, *tasks;
    } cases[] = {
        {"colours --tasks 2 --to colours.png", "0,1,2 3,4,5"},
        {"colours --tasks 3 --sequence [[5,0],[3,1],[2,4]] --to colours.png --part test", "5,0 3,1 2,4"},
        {"colours --tasks 3 --sequence shuffled --seed 42 --to colours.png", "shuffled:42:6:3"},
    };
    char names[SIX][CLASS_NAME_SIZE] = {"a", "b", "c", "d", "e", "f"}, words[200];
    uint8_t pixels[SIDE * SIDE * 3];
    image_pack *pack;
    err e = {0};

    (void)state;
    mkdir("store", 0777);
    setenv("SLUICE_DATA", "store", 1);
    GOOD(image_pack_create("store/colours.h5", IMAGE_PACK_PIXELS, (const char(*)[CLASS_NAME_SIZE])names, SIX, &pack,
                           &e));
    for (int i = 0; i < DATASET_PARTS * 3 * SIX; i++) {
        for (int k = 0; k < SIDE * SIDE; k++)
            memcpy(pixels + 3 * k, (uint8_t[]){250, (uint8_t)(40 * (i % SIX)), 3}, 3);
        GOOD(image_pack_add_pixels(pack, i < 3 * SIX ? DATASET_TRAIN : DATASET_TEST, i % SIX, SIDE, SIDE, 3, pixels,
                                   &e));
    }
    GOOD(image_pack_finish(pack, NULL, &e));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status;

        snprintf(words, sizeof words, "%s", cases[i].words);
        assert_int_equal(run_verb(data_sheet, "out", words), 0);
        snprintf(words, sizeof words, "/usr/bin/python3 -B " SOURCE_DIR "/tests/worker/sheet_classes.py colours %s",
                 cases[i].tasks);
        status = system(words);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
            skip();
        assert_int_equal(status, 0);
    }
}

/* ---------------------------------------------------------------- progress */

/* Where stderr goes to from now on; returns what puts it back. */
static int stderr_to(int fd)
{
    int before = dup(STDERR_FILENO);

    fflush(stderr);
    dup2(fd, STDERR_FILENO);
    return before;
}

static void stderr_back(int before)
{
    fflush(stderr);
    dup2(before, STDERR_FILENO);
    close(before);
}

/* What an import tells: it opens, counts images, names one that it skips, goes on. */
static void tell(struct console *c)
{
    FILE *lines;

    console_open(c, "pictures");
    c->host.go_on(c, &(struct progress){.phase = "opening", .loss = NAN});
    c->host.go_on(c, &(struct progress){.phase = "importing", .loss = NAN, .fraction = 0.1, .images = 100});
    lines = console_lines(c);
    assert_non_null(lines);
    fputs("skipped: one\n", lines);
    c->started -= 10, c->counted -= 10, c->shown -= 10; /* ten seconds pass */
    c->host.go_on(c, &(struct progress){.phase = "importing", .loss = NAN, .fraction = 0.5, .images = 500});
    c->host.go_on(c, &(struct progress){.phase = "importing", .loss = NAN, .fraction = 0.6, .images = 600});
    fclose(lines);
    console_close(c);
}

static void progress_is_a_bar_on_a_terminal(void **state)
{
    static const char *const parts[] = {
        "pictures: [                    ]   0.0 %  opening",
        "pictures: [=>                  ]  10.0 %",
        "\r\033[Kskipped: one\r\n\r\033[Kpictures: [=========>          ]  50.0 %  importing, ",
        " images/s, ",
        " s left",
        "\r\033[K"};
    int terminal = posix_openpt(O_RDWR | O_NOCTTY), other;
    char text[2000];
    const char *at = text;
    size_t used = 0;
    struct console c;

    (void)state;
    assert_int_equal(grantpt(terminal) | unlockpt(terminal), 0);
    other = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    assert_true(terminal >= 0 && other >= 0);
    int before = stderr_to(other);
    tell(&c);
    stderr_back(before);
    close(other);
    for (ssize_t n;
         (n = read(terminal, text + used, sizeof text - 1 - used)) > 0;) /* piece by piece, and EIO at the end */
        used += (size_t)n;
    text[used] = '\0';
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const char *found = strstr(at, parts[i]);

        if (!found)
            fail_msg("'%s' is not in '%s'", parts[i], at);
        at = found + strlen(parts[i]);
    }
    assert_null(strstr(text, "60.0 %")); /* too soon */
    close(terminal);
}

static void progress_is_plain_lines_elsewhere(void **state)
{
    static const char start[] = "skipped: one\npictures:  50.0 %  importing, ", end[] = " s left\n";
    int file = open("progress.txt", O_RDWR | O_CREAT | O_TRUNC, 0666), before = stderr_to(file);
    char text[2000];
    struct console c;

    (void)state;
    tell(&c);
    stderr_back(before);
    ssize_t n = pread(file, text, sizeof text - 1, 0);
    assert_true(n > 0);
    text[n] = '\0';
    assert_true(!strncmp(text, start, strlen(start)) && !strcmp(text + n - strlen(end), end));
    close(file);
}

/* ---------------------------------------------------------------- commands */

static void the_commands_import_and_show(void **state)
{
    json_t *root, *classes;

    (void)state;
    make_folder("pictures", 0);
    make_folder("rotten", 3);
    mkdir("kept", 0777);
    setenv("SLUICE_DATA", "kept/new/place", 1);
    assert_int_equal(RUN(import, "out", "folder pictures --as pictures"), 0);
    assert_int_equal(RUN(import, "out", "folder pictures --as pictures"), 2); /* is there already */
    assert_int_equal(RUN(import, "out", "folder rotten --as rotten"), 3);
    assert_int_equal(RUN(import, "out", "folder rotten --as rotten --on-bad-image skip --threads 2"), 0);
    assert_int_equal(RUN(import, "out", "folder pictures --as pictures --replace --seed 7"), 0);
    assert_int_equal(RUN(import, "out", "folder pictures"), 2);
    assert_int_equal(RUN(import, "out", "folder pictures --as ../x"), 2);
    assert_int_equal(RUN(import, "out", "folder pictures --as x --seed -1"), 2);
    assert_int_equal(RUN(import, "out", "folder pictures --as x --on-bad-image maybe"), 2);
    assert_int_equal(RUN(import, "out", "folder pictures --as x --part-train a --part-test b"), 2);
    assert_int_equal(RUN(import, "out", "cifar10 pictures --as x --seed 7"), 2);
    assert_int_equal(RUN(import, "out", "5-datasets --as x --seed 7"), 2);
    assert_int_equal(RUN(import, "out", "5-datasets pictures --as x"), 2);
    assert_int_equal(RUN(import, "out", "5-datasets --as x"), 2); /* its parts are not here */
    assert_int_equal(RUN(import, "out", "imagenet pictures --as x"), 2);
    assert_int_equal(RUN(show, "show.json", "pictures --json --verify"), 0);
    root = json_load_file("show.json", 0, NULL);
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "path")), "kept/new/place/pictures.h5");
    assert_non_null(strstr(json_string_value(json_object_get(root, "provenance")), "folder pictures --seed 7"));
    classes = json_object_get(root, "classes");
    assert_int_equal(json_array_size(classes), CLASSES);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(classes, 2), "train")), TRAIN);
    assert_int_equal(
        json_integer_value(json_array_get(json_object_get(json_object_get(root, "train"), "largest_size"), 1)), 8);
    json_decref(root);
    assert_int_equal(RUN(list, "list.json", "--json"), 0);
    root = json_load_file("list.json", 0, NULL);
    assert_true(json_array_size(root) >= 2);
    json_decref(root);
    assert_int_equal(RUN(show, "out", "no-such-data-set"), 2);
    assert_int_equal(
        RUN(sheet, "out", "pictures --to pictures.png --tasks 3 --sequence shuffled --seed 42 --columns 4"), 0);
    for (int task = 1; task <= 3; task++) {
        char path[40];

        snprintf(path, sizeof path, "pictures-%d.png", task);
        assert_int_equal(access(path, R_OK), 0);
    }
    assert_int_equal(RUN(sheet, "out", "pictures --to x.png --tasks 4"), 2);
    assert_int_equal(RUN(sheet, "out", "pictures --to x.png --columns 0"), 2);
    assert_int_equal(RUN(sheet, "out", "pictures"), 2);
}

/* Nothing of an earlier run is left. */
static int begin(void **state)
{
    (void)state;
    return system("rm -rf pictures rotten rotten-8 awful named cut cifar store kept five *.h5 *.png");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_keep_their_bytes),
        cmocka_unit_test(bad_images_are_named_skipped_or_fatal),
        cmocka_unit_test(many_bad_images_are_counted),
        cmocka_unit_test(suffixes_say_nothing),
        cmocka_unit_test(an_interrupted_import_leaves_nothing),
        cmocka_unit_test(arrays_become_packs_of_pixels),
        cmocka_unit_test(five_data_sets_become_one),
        cmocka_unit_test(each_of_the_five_has_ten_classes),
        cmocka_unit_test(a_trial_on_five_data_sets_runs),
        cmocka_unit_test(leniency_stays_with_the_pack),
        cmocka_unit_test(decoded_packs_hold_pixels),
        cmocka_unit_test(a_sheet_shows_the_first_images_of_each_class),
        cmocka_unit_test(a_sheet_shows_the_classes_of_its_task),
        cmocka_unit_test(progress_is_a_bar_on_a_terminal),
        cmocka_unit_test(progress_is_plain_lines_elsewhere),
        cmocka_unit_test(the_commands_import_and_show),
    };

    return cmocka_run_group_tests(tests, begin, NULL);
}
