/* Pictures of different sizes, from a folder of JPEG and PNG files to a trained trial. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/datasets/source.h"
#include "io/image_pack.h"
#include "trial.h"
#include "worker/features.h"
#include "worker/import.h"
#include "worker/material.h"

#define GOOD(call)                             \
    do {                                       \
        if (call)                              \
            fail_msg("%s: %s", #call, e.text); \
    } while (0)

enum { SIDE = 8, TEST_IMAGES = 6 * 6 };

static bool always(void *context, const struct progress *p)
{
    (void)context, (void)p;
    return true;
}

static bool no_python;

/* The folder, its import photographs.h5, and the tiny world beside it. */
static int setup(void **state)
{
    struct image_source source;
    struct import_report report;
    const struct host host = {.go_on = always};
    const struct import_request request = {.to = "photographs.h5", .threads = 2, .host = &host};
    char command[300];
    err e = {0};

    (void)state;
    world_make();
    snprintf(command, sizeof command,
             "rm -rf pictures pictures.f32 && /usr/bin/python3 " SOURCE_DIR
             "/tests/worker/photographs.py pictures %d > python.log 2>&1",
             SIDE);
    int status = system(command);
    no_python = WIFEXITED(status) && (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 127);
    if (no_python)
        return 0;
    assert_int_equal(status, 0);
    GOOD(image_source_open("folder", "pictures", &(struct source_options){0}, &source, &e));
    GOOD(import_source(&source, &request, &report, &e));
    image_source_close(&source);
    assert_int_equal(report.count[DATASET_TRAIN], 6 * 12);
    assert_int_equal(report.count[DATASET_TEST], TEST_IMAGES);
    assert_int_equal(report.odd, 1);
    return 0;
}

static void needs_python(void)
{
    if (no_python) {
        print_message("no Python with Pillow and NumPy\n");
        skip();
    }
}

static void the_networks_input_is_torchvisions(void **state)
{
    enum { NUMBERS = TEST_IMAGES * 3 * SIDE * SIDE };
    static float expected[NUMBERS], images[NUMBERS];
    size_t positions[TEST_IMAGES];
    struct trial t;
    struct stage_job job;
    struct material m;
    err e = {0};

    (void)state;
    needs_python();
    FILE *f = fopen("pictures.f32", "rb");
    if (!f) {
        print_message("no torchvision\n");
        skip();
    }
    assert_int_equal(fread(expected, sizeof *expected, NUMBERS, f), NUMBERS);
    fclose(f);
    trial_open(&t, "dataset.name=photographs dataset.transform=default", "input");
    GOOD(plan_job(&t.plan, trial_stage(&t, STAGE_FEATURES, -1), t.folder, &job, &e));
    struct option_reader options = {&job.config, job.kind, &e};
    GOOD(material_open(&options, &m, &e));
    assert_int_equal(m.taken[DATASET_TEST], TEST_IMAGES);
    for (size_t i = 0; i < TEST_IMAGES; i++)
        positions[i] = i;
    GOOD(material_images(&m, DATASET_TEST, positions, TEST_IMAGES, NULL, images, &e));
    assert_memory_equal(images, expected, sizeof expected);
    material_close(&m);
    stage_job_free(&job);
    trial_close(&t);
}

/* The same images as PGM and PPM files, under another name. */
static void write_decoded(void)
{
    struct image_reader reader = {0};
    struct dataset d;
    image_pack *p;
    err e = {0};

    GOOD(dataset_open_pack("photographs.h5", &d, &e));
    GOOD(image_pack_create("decoded.h5", IMAGE_PACK_FILES, (const char(*)[CLASS_NAME_SIZE])d.class_names, d.classes, &p,
                           &e));
    for (int part = 0; part < DATASET_PARTS; part++)
        for (size_t i = 0; i < d.part[part].count; i++) {
            struct image image;

            GOOD(image_set_read(&d.part[part], i, &reader, &image, &e));
            GOOD(image_pack_add_pixels(p, part, d.part[part].labels[i], image.height, image.width, image.channels,
                                       image.pixels, &e));
        }
    GOOD(image_pack_finish(p, NULL, &e));
    image_reader_free(&reader);
    dataset_close(&d);
}

/* Run the trial and return the final head, malloc'd. */
static float *train(const char *options, const char *threads, const char *folder, struct record **records, size_t *n)
{
    struct trial t;

    setenv("OMP_NUM_THREADS", threads, 1);
    material_forget();
    features_forget();
    trial_open(&t, options, folder);
    *records = trial_run(&t);
    float *head = trial_array(&t, trial_stage(&t, STAGE_TAP, WORLD_TASKS - 1), "head.weight", n);
    trial_close(&t);
    return head;
}

/* Threads, and how the images are stored, change nothing of what is learnt. */
static void a_trial_learns_the_same_from_them(void **state)
{
    static const char files[] = "dataset.name=photographs dataset.transform=default dataset.augment=true",
                      decoded[] = "dataset.name=decoded dataset.transform=default dataset.augment=true";
    struct record *one, *three, *other;
    size_t n_one, n_three, n_other;

    (void)state;
    needs_python();
    write_decoded();
    float *head_one = train(files, "1", "one", &one, &n_one),
          *head_three = train(files, "3", "three", &three, &n_three),
          *head_other = train(decoded, "2", "other", &other, &n_other);
    struct trial t;
    trial_open(&t, files, "count");
    for (int i = 0; i < t.plan.stages_count; i++)
        assert_true(record_equal(&one[i], &three[i]));
    trial_close(&t);
    assert_true(n_one == n_three && n_one == n_other && n_one > 0);
    assert_memory_equal(head_one, head_three, n_one * sizeof *head_one);
    assert_memory_equal(head_one, head_other, n_one * sizeof *head_one);
    free(one);
    free(three);
    free(other);
    free(head_one);
    free(head_three);
    free(head_other);
}

/* Write over the beginning of a stored file. */
static void spoil(const char *path, enum dataset_part part, size_t image)
{
    struct image_reader reader = {0};
    const uint8_t *bytes;
    struct dataset d;
    size_t n;
    err e = {0};

    GOOD(dataset_open_pack(path, &d, &e));
    GOOD(image_set_bytes(&d.part[part], image, &reader, &bytes, &n, &e));
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    static char all[1 << 20];
    size_t size = fread(all, 1, sizeof all, f);
    char *at = memmem(all, size, bytes, n);
    assert_non_null(at);
    fseek(f, at - all + (long)n / 2, SEEK_SET);
    for (size_t i = n / 2; i < n; i++)
        fputc(0xff, f); /* a JPEG that has no end */
    fclose(f);
    image_reader_free(&reader);
    dataset_close(&d);
}

static void a_picture_gone_bad_is_named(void **state)
{
    struct trial t;
    struct record record = {0};
    err e = {0};

    (void)state;
    needs_python();
    assert_int_equal(system("cp photographs.h5 spoilt.h5"), 0);
    spoil("spoilt.h5", DATASET_TRAIN, 14);
    material_forget();
    trial_open(&t, "dataset.name=spoilt dataset.transform=default", "spoilt");
    assert_int_equal(trial_run_stage(&t, trial_stage(&t, STAGE_FEATURES, -1), &record, &e), ERR_DAMAGED);
    if (!strstr(e.text, "spoilt.h5: image 14 of train: JPEG: it is cut short (E_TRUNC)"))
        fail_msg("%s", e.text);
    trial_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_networks_input_is_torchvisions),
        cmocka_unit_test(a_trial_learns_the_same_from_them),
        cmocka_unit_test(a_picture_gone_bad_is_named),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
