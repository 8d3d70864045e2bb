/* Pixels as Pillow and torchvision make them: tests/reference/image.h5 (written by image.py beside it) and what this machine's
 * Pillow makes of random images (pixels.py) byte for byte, published vectors of the resize, and what image_draw() draws. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "io/h5.h"
#include "io/mt19937.h"
#include "model/image.h"

static struct image_scratch scratch;

/* --- the reference file -------------------------------------------------------------------------------------- */

static void *read_array(h5 *file, const char *name, enum h5_type type, int rank, size_t shape[2])
{
    void *data = NULL;
    err e = {0};

    if (h5_read_alloc(file, name, type, rank, shape, (size_t)1 << 24, &data, &e))
        fail_msg("%s", e.text);
    return data;
}

/* The cases of a group and its flat inputs and outputs; take() walks through a flat array. */
struct group {
    int32_t *cases;
    size_t count, fields, in_size, out_size;
    uint8_t *in, *in_at;
    void *out;
    size_t out_used;
};

static struct group group_open(h5 *file, const char *name, enum h5_type out_type)
{
    struct group g = {0};
    char path[64];
    size_t shape[2];

    snprintf(path, sizeof path, "%s/cases", name);
    g.cases = read_array(file, path, H5_I32, 2, shape);
    g.count = shape[0];
    g.fields = shape[1];
    snprintf(path, sizeof path, "%s/in", name);
    g.in = g.in_at = read_array(file, path, H5_U8, 1, shape);
    g.in_size = shape[0];
    snprintf(path, sizeof path, "%s/out", name);
    g.out = read_array(file, path, out_type, 1, shape);
    g.out_size = shape[0];
    assert_true(g.count > 0);
    return g;
}

static struct image_view group_image(struct group *g, int height, int width, int channels)
{
    struct image_view view = image_whole(g->in_at, height, width, channels);

    g->in_at += (size_t)height * view.stride;
    assert_true((size_t)(g->in_at - g->in) <= g->in_size);
    return view;
}

static size_t group_out(struct group *g, size_t n)
{
    size_t at = g->out_used;

    g->out_used += n;
    assert_true(g->out_used <= g->out_size);
    return at;
}

static void group_close(struct group *g)
{
    assert_int_equal(g->in_at - g->in, g->in_size); /* every case was looked at */
    assert_int_equal(g->out_used, g->out_size);
    free(g->cases);
    free(g->in);
    free(g->out);
}

static h5 *reference(void)
{
    h5 *file = NULL;
    err e = {0};

    if (h5_open(SOURCE_DIR "/tests/reference/image.h5", &file, &e))
        fail_msg("%s", e.text);
    return file;
}

/* --- against the reference file ------------------------------------------------------------------------------ */

static void resize_equals_pillow(void **state)
{
    h5 *file = reference();
    struct group g = group_open(file, "resize", H5_U8);

    (void)state;
    for (size_t i = 0; i < g.count; i++) {
        const int32_t *c = g.cases + i * g.fields;
        struct image_view in = group_image(&g, c[0], c[1], c[2]);
        size_t n = (size_t)c[3] * (size_t)c[4] * (size_t)c[2];
        const uint8_t *expected = (uint8_t *)g.out + group_out(&g, n);
        uint8_t *out = malloc(n);
        err e = {0};

        assert_int_equal(image_resize(in, (enum image_filter)c[5], c[3], c[4], out, &scratch, &e), 0);
        assert_memory_equal(out, expected, n);
        free(out);
    }
    group_close(&g);
    h5_close(file);
}

static void crops_equal_torchvision(void **state)
{
    size_t shape[2], words_shape[2];
    h5 *file = reference();
    double *cases = read_array(file, "crop/cases", H5_F64, 2, shape);
    int64_t *numbers = read_array(file, "crop/words", H5_I64, 2, words_shape);
    int central = 0;

    (void)state;
    assert_int_equal(words_shape[1], IMAGE_CROP_WORDS);
    for (size_t i = 0; i < shape[0]; i++) {
        const double *c = cases + i * shape[1];
        uint32_t words[IMAGE_CROP_WORDS], other[IMAGE_CROP_WORDS];
        struct image_box box, again;

        for (int k = 0; k < IMAGE_CROP_WORDS; k++)
            words[k] = (uint32_t)numbers[i * IMAGE_CROP_WORDS + (size_t)k];
        box = image_random_box((int)c[0], (int)c[1], (float)c[2], words);
        assert_int_equal(box.top, c[3]);
        assert_int_equal(box.left, c[4]);
        assert_int_equal(box.height, c[5]);
        assert_int_equal(box.width, c[6]);
        for (int k = 0; k < IMAGE_CROP_WORDS; k++)
            other[k] = ~words[k];
        again = image_random_box((int)c[0], (int)c[1], (float)c[2], other);
        central += !memcmp(&box, &again, sizeof box);
    }
    assert_true(central > 0); /* boxes that no number changes: the fallback was among the cases */
    free(cases);
    free(numbers);
    h5_close(file);
}

/* Whether words after those of so many tries, and of the place, change nothing: then so many were made. */
static bool ends_after(int tries, int height, int width, float least_area, const uint32_t words[IMAGE_CROP_WORDS])
{
    struct image_box box = image_random_box(height, width, least_area, words), again;
    uint32_t other[IMAGE_CROP_WORDS];

    for (int k = 0; k < IMAGE_CROP_WORDS; k++)
        other[k] = k < 2 * tries + 2 ? words[k] : ~words[k];
    again = image_random_box(height, width, least_area, other);
    return !memcmp(&box, &again, sizeof box);
}

/* Boxes that torch draws one after the other, after torch.manual_seed(): formats.md D.4. */
static void crops_follow_torch_s_stream(void **state)
{
    static const struct {
        uint32_t seed;
        struct image_box boxes[4]; /* top, left, height, width */
    } streams[] = {
        {0, {{17, 161, 289, 338}, {103, 129, 244, 263}, {13, 94, 290, 313}, {199, 380, 127, 105}}},
        {42, {{4, 8, 362, 460}, {59, 76, 273, 289}, {33, 102, 230, 247}, {44, 145, 227, 275}}},
    };
    static const struct {
        int height, width;
        struct image_box box;
    } flat[] = {{3, 1000, {0, 498, 3, 4}}, {1000, 3, {498, 0, 4, 3}}};
    uint32_t words[5 * IMAGE_CROP_WORDS];
    struct mt19937 m;

    (void)state;
    for (size_t s = 0; s < sizeof streams / sizeof *streams; s++) {
        const uint32_t *at = words;

        mt19937_seed(&m, streams[s].seed);
        for (size_t k = 0; k < sizeof words / sizeof *words; k++)
            words[k] = mt19937_next(&m);
        for (int i = 0; i < 4; i++) {
            struct image_box box = image_random_box(375, 500, 0.05f, at);
            int tries = 1;

            assert_memory_equal(&box, &streams[s].boxes[i], sizeof box);
            while (tries < 10 && !ends_after(tries, 375, 500, 0.05f, at))
                tries++;
            at += 2 * tries + 2;
        }
    }
    for (size_t i = 0; i < sizeof flat / sizeof *flat; i++) {
        struct image_box box = image_random_box(flat[i].height, flat[i].width, 0.9f, words);

        assert_memory_equal(&box, &flat[i].box, sizeof box);
    }
}

static void centre_equals_torchvision(void **state)
{
    size_t shape[2], boxes_shape[2];
    h5 *file = reference();
    int32_t *cases = read_array(file, "centre/cases", H5_I32, 2, shape);
    int32_t *boxes = read_array(file, "centre/boxes", H5_I32, 2, boxes_shape);

    (void)state;
    for (size_t i = 0; i < shape[0]; i++) {
        const int32_t *c = cases + i * shape[1];
        int height, width, side = c[2] * 7 / 8 > 1 ? c[2] * 7 / 8 : 1;
        struct image_box box;

        image_shorter_side(c[0], c[1], c[2], &height, &width);
        assert_int_equal(height, c[3]);
        assert_int_equal(width, c[4]);
        box = image_centre(height, width, side);
        assert_int_equal(box.top, boxes[2 * i]);
        assert_int_equal(box.left, boxes[2 * i + 1]);
    }
    free(cases);
    free(boxes);
    h5_close(file);
}

/* brightness NULL: the test side. */
static void check_pipelines(struct group *g, const float *brightness)
{
    for (size_t i = 0; i < g->count; i++) {
        const int32_t *c = g->cases + i * g->fields;
        struct image_view in = group_image(g, c[1], c[2], c[3]);
        size_t n = (size_t)c[4] * (size_t)c[4] * 3;
        const float *expected = (float *)g->out + group_out(g, n);
        struct image_draw draw = {.brightness = 1};
        float *out = malloc(n * sizeof *out);
        err e = {0};

        if (brightness)
            draw = (struct image_draw){{c[5], c[6], c[7], c[8]}, c[9], brightness[i]};
        assert_int_equal(
            image_transform(&image_pipelines[c[0]], c[4], in, brightness ? &draw : NULL, out, &scratch, &e), 0);
        assert_memory_equal(out, expected, n * sizeof *out);
        free(out);
    }
}

static void test_pipelines_equal_torchvision(void **state)
{
    h5 *file = reference();
    struct group g = group_open(file, "test", H5_F32);

    (void)state;
    check_pipelines(&g, NULL);
    group_close(&g);
    h5_close(file);
}

static void train_pipelines_equal_torchvision(void **state)
{
    h5 *file = reference();
    struct group g = group_open(file, "train", H5_F32);
    size_t shape[2];
    float *brightness = read_array(file, "train/brightness", H5_F32, 1, shape);

    (void)state;
    assert_int_equal(shape[0], g.count);
    check_pipelines(&g, brightness);
    free(brightness);
    group_close(&g);
    h5_close(file);
}

/* --- against the Pillow of this machine ------------------------------------------------------------------------ */

/* As pixels.py writes it. */
struct live {
    int32_t what, height, width, channels, new_height, new_width, filter, top, left, box_height, box_width, flip,
        unused;
    float brightness;
};

static uint8_t *read_bytes(FILE *f, size_t n)
{
    uint8_t *bytes = malloc(n);

    assert_int_equal(fread(bytes, 1, n, f), n);
    return bytes;
}

/* What becomes of an image, against the bytes that Pillow says. */
static void check_transform(const struct live *c, struct image_view in, const uint8_t *expected)
{
    const struct image_pipeline *p = image_pipeline_by_name(c->filter == IMAGE_BICUBIC ? "cifar" : "default");
    struct image_draw draw = {{c->top, c->left, c->box_height, c->box_width}, c->flip, c->brightness};
    size_t side = (size_t)c->new_height, plane = side * side;
    float *out = malloc(3 * plane * sizeof *out);
    err e = {0};

    assert_int_equal(image_transform(p, c->new_height, in, c->what == 1 ? &draw : NULL, out, &scratch, &e), 0);
    for (size_t k = 0; k < 3 * plane; k++) {
        size_t channel = k / plane, at = k % plane * (size_t)c->channels + (c->channels == 3 ? channel : 0);
        float value = ((float)expected[at] / 255.0f - p->mean[channel]) / p->deviation[channel];

        if (memcmp(&out[k], &value, sizeof value))
            fail_msg("%d x %d x %d to %zu: number %zu is %g, not %g", c->height, c->width, c->channels, side, k, out[k],
                     value);
    }
    free(out);
}

static void random_images_equal_pillow(void **state)
{
    int status = system("/usr/bin/python3 " SOURCE_DIR "/tests/model/pixels.py pixels.bin 20261130 > pixels.log 2>&1");
    int seen[3] = {0};
    struct live c;
    FILE *f;
    err e = {0};

    (void)state;
    if (!WIFEXITED(status) || WEXITSTATUS(status) == 127 || WEXITSTATUS(status) == 77) {
        print_message("no Python with Pillow and NumPy\n");
        skip();
    }
    assert_int_equal(status, 0);
    assert_non_null(f = fopen("pixels.bin", "rb"));
    while (fread(&c, sizeof c, 1, f) == 1) {
        size_t pixels = (size_t)c.height * (size_t)c.width, new_pixels = (size_t)c.new_height * (size_t)c.new_width,
               channels = (size_t)c.channels;
        uint8_t *in = read_bytes(f, pixels * channels), *expected = read_bytes(f, new_pixels * channels);
        struct image_view view = image_whole(in, c.height, c.width, c.channels);

        if (c.what) {
            check_transform(&c, view, expected);
        } else {
            uint8_t *out = malloc(new_pixels * channels);

            assert_int_equal(
                image_resize(view, (enum image_filter)c.filter, c.new_height, c.new_width, out, &scratch, &e), 0);
            assert_memory_equal(out, expected, new_pixels * channels);
            free(out);
        }
        seen[c.what]++;
        free(in);
        free(expected);
    }
    fclose(f);
    remove("pixels.bin");
    assert_true(seen[0] >= 100 && seen[1] >= 100 && seen[2] >= 100);
}

/* --- published vectors --------------------------------------------------------------------------------------- */

static void rows_of_known_values(void **state)
{
    static const struct {
        int from, to;
        uint8_t in[8], bicubic[7], bilinear[7];
    } rows[] = {
        {4, 7, {0, 50, 100, 200}, {0, 13, 46, 72, 106, 172, 208}, {0, 18, 46, 75, 107, 164, 200}},
        {2, 5, {0, 255}, {0, 17, 128, 238, 255}, {0, 25, 128, 230, 255}},
        {8, 3, {10, 20, 30, 40, 200, 210, 220, 230}, {12, 120, 228}, {21, 120, 219}},
        {6, 4, {0, 0, 255, 255, 0, 0}, {0, 180, 180, 0}, {0, 170, 170, 0}},
    };
    err e = {0};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t out[7];
        size_t n = (size_t)rows[i].to;

        assert_int_equal(
            image_resize(image_whole(rows[i].in, 1, rows[i].from, 1), IMAGE_BICUBIC, 1, rows[i].to, out, &scratch, &e),
            0);
        assert_memory_equal(out, rows[i].bicubic, n);
        assert_int_equal(
            image_resize(image_whole(rows[i].in, rows[i].from, 1, 1), IMAGE_BILINEAR, rows[i].to, 1, out, &scratch, &e),
            0);
        assert_memory_equal(out, rows[i].bilinear, n);
    }
}

static uint8_t *pattern(int height, int width)
{
    uint8_t *pixels = malloc((size_t)height * (size_t)width * 3), *p = pixels;

    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++)
                *p++ = (uint8_t)(7 * x + 13 * y + 29 * c + x * y / 3);
    return pixels;
}

static void pattern_checksums(void **state)
{
    static const struct {
        int width, height, to_width, to_height;
        uint32_t bicubic, bilinear;
    } cases[] = {
        {32, 32, 256, 256, 0x50ea8da8, 0x3a9656ad},   {28, 28, 224, 224, 0xf5580ae2, 0xe61a0fb8},
        {500, 375, 341, 256, 0x806c9c48, 0x3b9166aa}, {333, 500, 256, 384, 0x9c9cc306, 0xc7778cc7},
        {100, 80, 224, 224, 0x5f392141, 0xe9e48131},
    };
    err e = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t *in = pattern(cases[i].height, cases[i].width);
        size_t n = (size_t)cases[i].to_width * (size_t)cases[i].to_height * 3;
        uint8_t *out = malloc(n);

        for (int filter = IMAGE_BILINEAR; filter <= IMAGE_BICUBIC; filter++) {
            assert_int_equal(image_resize(image_whole(in, cases[i].height, cases[i].width, 3),
                                          (enum image_filter)filter, cases[i].to_height, cases[i].to_width, out,
                                          &scratch, &e),
                             0);
            assert_int_equal(crc32(0, out, (uInt)n), filter == IMAGE_BICUBIC ? cases[i].bicubic : cases[i].bilinear);
        }
        free(in);
        free(out);
    }
}

/* The whole test side of `default` at 224, back in interleaved bytes. */
static void pipeline_checksums(void **state)
{
    enum { SIDE = 224, PLANE = SIDE * SIDE };
    static const struct {
        int width, height;
        uint32_t crc;
    } cases[] = {{500, 375, 0x55d4ce84}, {333, 500, 0x0415c195}, {32, 32, 0xdcf23a94}};
    float *out = malloc(3 * PLANE * sizeof *out);
    uint8_t *bytes = malloc(3 * PLANE);
    err e = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t *in = pattern(cases[i].height, cases[i].width);

        assert_int_equal(image_transform(&image_pipelines[IMAGE_DEFAULT], SIDE,
                                         image_whole(in, cases[i].height, cases[i].width, 3), NULL, out, &scratch, &e),
                         0);
        for (int k = 0; k < 3 * PLANE; k++)
            bytes[k] = (uint8_t)lrintf(255 * out[k % 3 * PLANE + k / 3]);
        assert_int_equal(crc32(0, bytes, 3 * PLANE), cases[i].crc);
        free(in);
    }
    free(out);
    free(bytes);
}

/* First and last pixel, and the sum, as torchvision 0.14 has them. */
static void normalised_values(void **state)
{
    enum { SIDE = 224, PLANE = SIDE * SIDE };
    static const struct {
        const char *name;
        float first[3], last[3];
        double sum;
    } cases[] = {
        {"cifar", {-1.44123864f, -0.98013991f, -0.33241722f}, {-0.297753274f, 0.212384015f, 0.775450766f}, 16051.644},
        {"inception",
         {-0.75686276f, -0.529411793f, -0.301960766f},
         {-0.145098031f, 0.0823529959f, 0.309803963f},
         2149.383},
        {"imagenet",
         {-1.58703661f, -0.985294104f, -0.253246099f},
         {-0.251305819f, 0.380252212f, 1.10623109f},
         38839.610},
    };
    uint8_t *in = pattern(32, 32);
    float *out = malloc(3 * PLANE * sizeof *out);
    err e = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double sum = 0;

        assert_int_equal(image_transform(image_pipeline_by_name(cases[i].name), SIDE, image_whole(in, 32, 32, 3), NULL,
                                         out, &scratch, &e),
                         0);
        for (int c = 0; c < 3; c++) {
            assert_float_equal(out[c * PLANE], cases[i].first[c], 1e-7);
            assert_float_equal(out[(c + 1) * PLANE - 1], cases[i].last[c], 1e-7);
        }
        for (int k = 0; k < 3 * PLANE; k++)
            sum += out[k];
        assert_float_equal(sum, cases[i].sum, 0.01);
    }
    free(in);
    free(out);
}

/* inception and imagenet are default with a mean and a deviation, in training and at test time. */
static void statistics_of_backbones_come_after_default(void **state)
{
    enum { SIDE = 32, PLANE = SIDE * SIDE };
    static const struct {
        const char *name;
        float mean[3], deviation[3];
    } cases[] = {{"inception", {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}},
                 {"imagenet", {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}}};
    uint8_t *in = pattern(48, 40);
    static float plain[3 * PLANE], got[3 * PLANE];
    err e = {0};

    (void)state;
    for (uint32_t i = 0; i < 20; i++) {
        const struct image_pipeline *p = image_pipeline_by_name(cases[i % 2].name);
        rng a = rng_stream(3, RNG_TEST, 0, 0, i), b = a;
        struct image_draw of_default = image_draw(&image_pipelines[IMAGE_DEFAULT], 48, 40, &a);
        struct image_draw of_p = image_draw(p, 48, 40, &b);
        struct image_view view = image_whole(in, 48, 40, 3);

        assert_int_equal(image_transform(&image_pipelines[IMAGE_DEFAULT], SIDE, view, i < 2 ? NULL : &of_default, plain,
                                         &scratch, &e),
                         0);
        assert_int_equal(image_transform(p, SIDE, view, i < 2 ? NULL : &of_p, got, &scratch, &e), 0);
        for (int k = 0; k < 3 * PLANE; k++)
            assert_true(got[k] == (plain[k] - cases[i % 2].mean[k / PLANE]) / cases[i % 2].deviation[k / PLANE]);
    }
    free(in);
}

/* --- draws and refusals -------------------------------------------------------------------------------------- */

static void draws_are_uniform(void **state)
{
    enum { DRAWS = 4000, HEIGHT = 300, WIDTH = 300 };
    const struct image_pipeline *p = image_pipeline_by_name("cifar");
    double flips = 0, brightness = 0, area = 0, log_ratio = 0;
    float least = 2, most = 0;

    (void)state;
    for (uint32_t i = 0; i < DRAWS; i++) {
        rng r = rng_stream(7, RNG_TEST, 0, 0, i);
        struct image_draw d = image_draw(p, HEIGHT, WIDTH, &r);

        assert_true(d.box.top >= 0 && d.box.top + d.box.height <= HEIGHT && d.box.left >= 0 &&
                    d.box.left + d.box.width <= WIDTH);
        flips += d.flip;
        brightness += d.brightness;
        least = fminf(least, d.brightness);
        most = fmaxf(most, d.brightness);
        area += (double)d.box.height * d.box.width / (HEIGHT * WIDTH);
        log_ratio += log((double)d.box.width / d.box.height);
    }
    assert_float_equal(flips / DRAWS, 0.5, 4 * 0.5 / sqrt(DRAWS));
    assert_float_equal(brightness / DRAWS, 1, 4 * 2 * 63 / 255.0 / sqrt(12.0 * DRAWS));
    assert_true(least >= 1 - 63 / 255.0 - 1e-6 && least < 0.76 && most <= 1 + 63 / 255.0 + 1e-6 && most > 1.24);
    assert_true(area / DRAWS > 0.45 &&
                area / DRAWS < 0.55); /* a little below 0.54: large boxes of other ratios do not fit */
    assert_float_equal(log_ratio / DRAWS, 0, 4 * 2 * log(4 / 3.0) / sqrt(12.0 * DRAWS));
}

/* What a draw takes from its stream does not depend on the image. */
static void draws_take_equally(void **state)
{
    rng a = rng_stream(1, RNG_TEST, 0, 0, 0), b = a;
    struct image_draw of_a = image_draw(&image_pipelines[IMAGE_PLAIN], 28, 28, &a);
    struct image_draw of_b = image_draw(&image_pipelines[IMAGE_DEFAULT], 1, 600, &b);

    (void)state;
    assert_int_equal(rng_u32(&a), rng_u32(&b));
    assert_true(of_a.brightness == 1 && of_b.brightness == 1);
    assert_true(of_a.flip == of_b.flip);
}

static void impossible_shapes(void **state)
{
    static const struct {
        int side, height, width, channels;
        struct image_draw draw;
        const char *text;
    } cases[] = {
        {8, 0, 4, 3, {{0, 0, 4, 4}, 0, 1}, "sides are 1 to"},
        {0, 4, 4, 3, {{0, 0, 4, 4}, 0, 1}, "sides are 1 to"},
        {8, 4, 70000, 1, {{0, 0, 4, 4}, 0, 1}, "sides are 1 to"},
        {70000, 4, 4, 1, {{0, 0, 4, 4}, 0, 1}, "sides are 1 to"},
        {8, 4, 4, 2, {{0, 0, 4, 4}, 0, 1}, "2 channels"},
        {8, 4, 4, 3, {{1, 0, 4, 4}, 0, 1}, "does not lie in"},
        {8, 4, 4, 3, {{0, -1, 4, 4}, 0, 1}, "does not lie in"},
        {8, 4, 4, 3, {{0, 0, 0, 4}, 0, 1}, "does not lie in"},
        {8, 4, 4, 3, {{0, 4, 4, 2147483647}, 0, 1}, "does not lie in"},
    };
    uint8_t pixels[48] = {0};
    float out[192];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct image_view in = image_whole(pixels, cases[i].height, cases[i].width, cases[i].channels);
        err e = {0};

        assert_int_equal(
            image_transform(&image_pipelines[IMAGE_PLAIN], cases[i].side, in, &cases[i].draw, out, &scratch, &e),
            ERR_SHAPE);
        assert_non_null(strstr(e.text, cases[i].text));
    }
    assert_null(image_pipeline_by_name("fancy"));
}

/* The test side of `default` the long way: all of the image is resized, then cropped.  out: (3, side, side). */
static void whole_then_cropped(struct image_view in, int side, float *out)
{
    int height, width, channels = in.channels;
    err e = {0};

    image_shorter_side(in.height, in.width, (side * 256 + 112) / 224, &height, &width);
    uint8_t *resized = malloc((size_t)height * (size_t)width * (size_t)channels);
    assert_int_equal(image_resize(in, IMAGE_BICUBIC, height, width, resized, &scratch, &e), 0);
    struct image_view kept =
        image_crop(image_whole(resized, height, width, channels), image_centre(height, width, side));
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < side; y++)
            for (int x = 0; x < side; x++)
                *out++ = (float)kept.pixels[(size_t)y * kept.stride + (size_t)(x * channels + c % channels)] / 255.0f;
    free(resized);
}

static void only_the_crop_is_resized(void **state)
{
    enum { CASES = 300, MOST = 200, SIDE_MOST = 64 };
    static uint8_t pixels[MOST * MOST * 3];
    static float expected[3 * SIDE_MOST * SIDE_MOST], out[3 * SIDE_MOST * SIDE_MOST];
    rng r = rng_stream(3, RNG_TEST, 0, 0, 0);
    err e = {0};

    (void)state;
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)rng_u32(&r);
    for (int i = 0; i < CASES; i++) {
        int height = 1 + (int)(rng_u32(&r) % MOST), width = 1 + (int)(rng_u32(&r) % MOST),
            side = 1 + (int)(rng_u32(&r) % SIDE_MOST), shorter = (side * 256 + 112) / 224;
        struct image_view in;

        if (i % 7 == 0) /* sides that stay as they are */
            height = shorter;
        if (i % 7 == 1)
            width = shorter;
        in = image_whole(pixels, height, width, i % 2 ? 3 : 1);
        whole_then_cropped(in, side, expected);
        assert_int_equal(image_transform(&image_pipelines[IMAGE_DEFAULT], side, in, NULL, out, &scratch, &e), 0);
        assert_memory_equal(out, expected, 3 * (size_t)side * (size_t)side * sizeof *out);
    }
}

/* A shorter side of one pixel becomes 37, the longer one 37 * 65535; what the crop keeps is that of an image without the
 * ends. */
static void thin_images(void **state)
{
    enum { SIDE = 32, LONG = 65535, MIDDLE = 103 };
    uint8_t *pixels = malloc(LONG);
    float expected[3 * SIDE * SIDE], out[3 * SIDE * SIDE];
    const struct image_pipeline *p = &image_pipelines[IMAGE_DEFAULT];
    err e = {0};

    (void)state;
    for (int i = 0; i < LONG; i++)
        pixels[i] = (uint8_t)((unsigned)i * (unsigned)i / 3 + 40 * (unsigned)i);
    for (int upright = 0; upright < 2; upright++) {
        struct image_view in = image_whole(pixels, upright ? LONG : 1, upright ? 1 : LONG, 1),
                          middle =
                              image_whole(pixels + (LONG - MIDDLE) / 2, upright ? MIDDLE : 1, upright ? 1 : MIDDLE, 1);

        assert_int_equal(image_transform(p, SIDE, in, NULL, out, &scratch, &e), 0);
        whole_then_cropped(middle, SIDE, expected);
        assert_memory_equal(out, expected, sizeof out);
    }
    assert_int_equal(image_transform(p, IMAGE_SIDE_MAX, image_whole(pixels, 1, LONG, 1), NULL, out, &scratch, &e),
                     ERR_SHAPE);
    free(pixels);
}

static int free_scratch(void **state)
{
    (void)state;
    image_scratch_free(&scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resize_equals_pillow),
        cmocka_unit_test(crops_equal_torchvision),
        cmocka_unit_test(crops_follow_torch_s_stream),
        cmocka_unit_test(centre_equals_torchvision),
        cmocka_unit_test(test_pipelines_equal_torchvision),
        cmocka_unit_test(train_pipelines_equal_torchvision),
        cmocka_unit_test(random_images_equal_pillow),
        cmocka_unit_test(rows_of_known_values),
        cmocka_unit_test(pattern_checksums),
        cmocka_unit_test(pipeline_checksums),
        cmocka_unit_test(normalised_values),
        cmocka_unit_test(statistics_of_backbones_come_after_default),
        cmocka_unit_test(draws_are_uniform),
        cmocka_unit_test(draws_take_equally),
        cmocka_unit_test(impossible_shapes),
        cmocka_unit_test(only_the_crop_is_resized),
        cmocka_unit_test(thin_images),
    };

    return cmocka_run_group_tests(tests, NULL, free_scratch);
}
