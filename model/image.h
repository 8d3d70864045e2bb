/* model/image.h - 8-bit pixels to network input, byte for byte as Pillow and torchvision do it.
 *
 * Images are (height, width, channels) of 8-bit values, channels 1 (grey) or 3.  Channels never mix, so grey images
 * stay grey until the last step, which gives all three planes the same values.
 *
 * A pipeline has two sides.  At test time (and for class statistics): resize, perhaps centre crop.  In training: a
 * random crop resized to the input side, a random horizontal flip, perhaps a random brightness; what is random is drawn
 * first (image_draw) and then applied (image_transform), so that either half can be tested.  Both end with value/255
 * and (x - mean) / deviation in float32.
 *
 * Nothing here is parallel; give each thread a scratch of its own. */
#ifndef MODEL_IMAGE_H
#define MODEL_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/err.h"
#include "model/rng.h"

enum {
    IMAGE_SIDE_MAX = 65535, /* of any image that goes in or comes out */
    IMAGE_CROP_WORDS = 22,  /* random numbers of a crop: two for each of ten tries, and two for its place */
};

enum image_filter { IMAGE_BILINEAR, IMAGE_BICUBIC };

/* What the test side does: STRETCH resizes both sides to the input side.  CENTRE resizes the shorter side to 256/224 of
 * it and crops the centre. */
enum image_geometry { IMAGE_STRETCH, IMAGE_CENTRE };

/* The options' names, and what they mean: name, test geometry, test filter, crop filter, least share of the area in a
 * random crop, brightness, mean, deviation.  A random crop has a ratio of its sides between 3/4 and 4/3; brightness b
 * is a factor from [1 - b, 1 + b].  PLAIN to DEFAULT are what programs do whatever the backbone; INCEPTION and IMAGENET are
 * DEFAULT with the statistics of a backbone's pre-training, under the names that those have elsewhere. */
// clang-format off
#define IMAGE_PIPELINES(P)                                                                                             \
    P(PLAIN, plain, IMAGE_STRETCH, IMAGE_BILINEAR, IMAGE_BILINEAR, 0.4f, 0, (0, 0, 0), (1, 1, 1))                      \
    P(CIFAR, cifar, IMAGE_CENTRE, IMAGE_BICUBIC, IMAGE_BICUBIC, 0.08f, 63 / 255.0, (0.5071f, 0.4867f, 0.4408f),        \
      (0.2675f, 0.2565f, 0.2761f))                                                                                     \
    P(DEFAULT, default, IMAGE_CENTRE, IMAGE_BICUBIC, IMAGE_BILINEAR, 0.05f, 0, (0, 0, 0), (1, 1, 1))                   \
    P(INCEPTION, inception, IMAGE_CENTRE, IMAGE_BICUBIC, IMAGE_BILINEAR, 0.05f, 0, (0.5f, 0.5f, 0.5f),                 \
      (0.5f, 0.5f, 0.5f))                                                                                              \
    P(IMAGENET, imagenet, IMAGE_CENTRE, IMAGE_BICUBIC, IMAGE_BILINEAR, 0.05f, 0, (0.485f, 0.456f, 0.406f),             \
      (0.229f, 0.224f, 0.225f))
// clang-format on

enum image_pipeline_id {
#define P(id, name, geometry, test, crop, area, brightness, mean, deviation) IMAGE_##id,
    IMAGE_PIPELINES(P)
#undef P
        IMAGE_PIPELINE_COUNT
};

struct image_pipeline {
    const char *name;
    enum image_geometry geometry;
    enum image_filter test_filter, crop_filter;
    float least_area;
    double brightness;
    float mean[3], deviation[3];
};

extern const struct image_pipeline image_pipelines[IMAGE_PIPELINE_COUNT];
const struct image_pipeline *image_pipeline_by_name(const char *name); /* NULL if there is none */

/* Borrowed pixels; a crop is a view of the same pixels with another start. */
struct image_view {
    const uint8_t *pixels;
    size_t stride; /* bytes from a row to the next */
    int height, width, channels;
};

struct image_box {
    int top, left, height, width; /* pixels */
};

struct image_view image_whole(const uint8_t *pixels, int height, int width, int channels); /* dense rows */
struct image_view image_crop(struct image_view in, struct image_box box);                  /* box lies inside */

/* Working memory that grows to what is needed and is used again.  Begin with zeros. */
struct image_scratch {
    void *memory;
    size_t size;
};
void image_scratch_free(struct image_scratch *s);

/* Pillow's Image.resize: separable, antialiased when shrinking, weights in 22-bit fixed point, rounded to 8 bits after
 * the horizontal and again after the vertical pass; a pass that changes nothing is left out.  Bilinear is the triangle,
 * bicubic Keys' kernel with a = -0.5.  out: (height, width, channels), dense, not overlapping `in`. ERR_SHAPE for sides
 * outside 1..IMAGE_SIDE_MAX or channels other than 1 and 3, ERR_NOMEM. */
int image_resize(struct image_view in, enum image_filter filter, int height, int width, uint8_t *out,
                 struct image_scratch *s, err *e);

/* torchvision's Resize(side): the shorter side becomes `side`, the longer one trunc(side * long / short). */
void image_shorter_side(int height, int width, int side, int *new_height, int *new_width);
/* torchvision's CenterCrop(side) of an image that is at least that large: half differences round to even. */
struct image_box image_centre(int height, int width, int side);

/* torchvision's RandomResizedCrop.get_params: a box with a share of the area from [least_area, 1) and a ratio of its
 * sides log-uniform in [3/4, 4/3), in up to ten tries, else the central box with its ratio brought into these bounds.
 * words: uniform 32-bit numbers.  In order area and ratio (24 low bits each) of each try until one fits, then top and
 * left (modulo), which is how torch 1.13 uses its generator; so from torch's numbers comes torch's box. */
struct image_box image_random_box(int height, int width, float least_area, const uint32_t words[IMAGE_CROP_WORDS]);

void image_flip(uint8_t *pixels, int height, int width, int channels); /* left and right change places, in place */
void image_brighten(uint8_t *pixels, size_t n, float factor);          /* trunc(factor * v), clipped to 0..255 */

/* What is random in a training image. */
struct image_draw {
    struct image_box box;
    bool flip;
    float brightness; /* 1: as it is */
};
/* Takes IMAGE_CROP_WORDS + 2 numbers from the stream. */
struct image_draw image_draw(const struct image_pipeline *p, int height, int width, rng *r);

/* One image to (3, side, side) in float32: the training side of the pipeline with this draw, or the test side if draw
 * is NULL.  Of a resized image only what the crop keeps is computed, so that thin images, which would become very long,
 * cost no more than others.  ERR_SHAPE for sides and channels as image_resize, or when the draw's box does not lie in
 * the image; ERR_NOMEM. */
int image_transform(const struct image_pipeline *p, int side, struct image_view in, const struct image_draw *draw,
                    float *out, struct image_scratch *s, err *e);

#endif
