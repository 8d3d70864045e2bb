/* bench_images.c - can one core feed another?  Images decoded, and decoded and augmented, in a second on one core, over those that a
 * training step takes on one. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include "bench.h"
#include "io/picture.h"
#include "model/image.h"
#include "model/rng.h"

enum { WIDE = 500, HIGH = 375, SMALL = 28 }; /* ImageNet's usual picture; Fashion-MNIST's */

struct feeding {
    const unsigned char *jpeg; /* NULL: the picture is decoded already */
    size_t bytes;
    struct picture picture;
    const struct image_pipeline *pipeline;
    bool augment;
    int side;
    uint32_t count;
    float *out;
    struct image_scratch scratch;
};

static void feed(void *what)
{
    struct feeding *f = what;
    rng r = rng_stream(1, RNG_TEST, 0, 0, f->count++);
    struct image_draw draw;
    struct image_view whole;
    err e = {0};

    if (f->jpeg)
        bench_check(picture_decode(f->jpeg, f->bytes, PICTURE_STRICT, &f->picture, &e), &e);
    if (!f->out)
        return;
    whole = image_whole(f->picture.pixels, f->picture.height, f->picture.width, f->picture.channels);
    draw = image_draw(f->pipeline, whole.height, whole.width, &r);
    bench_check(image_transform(f->pipeline, f->side, whole, f->augment ? &draw : NULL, f->out, &f->scratch, &e), &e);
}

/* A picture with smooth and with busy parts. */
static void draw(unsigned char *pixels, int high, int wide, int channels)
{
    rng r = rng_stream(2, RNG_TEST, 0, 0, 0);

    for (int y = 0; y < high; y++)
        for (int x = 0; x < wide; x++)
            for (int c = 0; c < channels; c++)
                *pixels++ =
                    (unsigned char)(128 + 80 * sin(0.02 * (x + 2 * y) + c) + (x > wide / 2 ? 20 * rng_uniform(&r) : 0));
}

/* The picture as a JPEG of quality 90; *bytes of malloc'd memory. */
static unsigned char *compress_jpeg(unsigned char *pixels, size_t *bytes)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    unsigned char *out = NULL;
    unsigned long size = 0;

    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &out, &size);
    c.image_width = WIDE;
    c.image_height = HIGH;
    c.input_components = 3;
    c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, 90, TRUE);
    jpeg_start_compress(&c, TRUE);
    while (c.next_scanline < c.image_height) {
        JSAMPROW row = pixels + (size_t)c.next_scanline * WIDE * 3;

        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    *bytes = size;
    return out;
}

static double training_rate(const char *model, int batch, bool quick)
{
    struct bench_pass p = {bench_model(model), batch, 1, true};
    struct bench_runner r;
    double rate;

    bench_runner_open(&r, &p);
    bench_runners_race((struct bench_runner *[]){&r}, 1, quick ? 1 : 3);
    rate = r.turns * batch / r.seconds;
    bench_runner_close(&r);
    return rate;
}

static void print_rate(const char *what, struct feeding *f, const char *model, int batch, bool quick)
{
    double rate = 1 / bench_best(feed, f, 0.3), trained = training_rate(model, batch, quick);

    printf("| %s | %.0f | %s | %.1f |\n", what, rate, bench_model(model)->title, rate / trained);
}

void bench_images(const struct bench_options *o)
{
    unsigned char *pixels = bench_zeros(HIGH * WIDE * 3), *jpeg;
    struct feeding f = {.pipeline = image_pipeline_by_name("default"), .side = 224}, small;
    const char *model = o->quick ? "vit-s" : "vit-b";
    size_t bytes;

    draw(pixels, HIGH, WIDE, 3);
    jpeg = compress_jpeg(pixels, &bytes);
    f.jpeg = jpeg;
    f.bytes = bytes;
    printf("\n### Images\n\n| | in a second, one core | training step of | times as many as trained |\n| --- | ---: | "
           "--- | ---: |\n");
    print_rate("JPEG, 500 x 375, decoded", &f, model, 4, o->quick);
    f.out = bench_numbers(3 * 224 * 224);
    print_rate("the same, for evaluation at 224", &f, model, 4, o->quick);
    f.augment = true;
    print_rate("the same, augmented for training at 224", &f, model, 4, o->quick);
    print_rate("the same", &f, "vit-s", 4, o->quick);
    small = (struct feeding){.picture = {.height = SMALL, .width = SMALL, .channels = 1, .pixels = pixels},
                             .pipeline = image_pipeline_by_name("plain"),
                             .augment = true,
                             .side = 32,
                             .out = f.out};
    print_rate("grey pixels, 28 x 28, augmented for training at 32", &small, "vit-micro", 16, o->quick);
    free(f.out);
    free(jpeg);
    free(pixels);
    picture_free(&f.picture);
    image_scratch_free(&f.scratch);
    image_scratch_free(&small.scratch);
}
