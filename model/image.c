/* model/image.c - see image.h. */
#include "model/image.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// clang-format off
#define LIST(a, b, c) {a, b, c}
const struct image_pipeline image_pipelines[IMAGE_PIPELINE_COUNT] = {
#define P(id, name, geometry, test, crop, area, brightness, mean, deviation) \
    {#name, geometry, test, crop, area, brightness, LIST mean, LIST deviation},
    IMAGE_PIPELINES(P)
#undef P
};
#undef LIST
// clang-format on

const struct image_pipeline *image_pipeline_by_name(const char *name)
{
    for (int i = 0; i < IMAGE_PIPELINE_COUNT; i++)
        if (!strcmp(image_pipelines[i].name, name))
            return &image_pipelines[i];
    return NULL;
}

struct image_view image_whole(const uint8_t *pixels, int height, int width, int channels)
{
    return (struct image_view){pixels, (size_t)width * (size_t)channels, height, width, channels};
}

struct image_view image_crop(struct image_view in, struct image_box box)
{
    in.pixels += (size_t)box.top * in.stride + (size_t)box.left * (size_t)in.channels;
    in.height = box.height;
    in.width = box.width;
    return in;
}

void image_scratch_free(struct image_scratch *s)
{
    free(s->memory);
    *s = (struct image_scratch){0};
}

static int scratch_reserve(struct image_scratch *s, size_t size, err *e)
{
    if (s->size >= size)
        return 0;
    image_scratch_free(s);
    s->memory = malloc(size);
    if (!s->memory)
        return err_set(e, ERR_NOMEM, "%zu bytes to resize an image", size);
    s->size = size;
    return 0;
}

/* --- resize -------------------------------------------------------------------------------------------------- */

enum { FIXED_BITS = 22, FIXED_HALF = 1 << (FIXED_BITS - 1) };

static double triangle(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static double keys(double x)
{
    const double a = -0.5;

    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static const struct {
    double support;
    double (*at)(double x);
} filters[] = {[IMAGE_BILINEAR] = {1, triangle}, [IMAGE_BICUBIC] = {2, keys}};

/* A resize of one axis, of which `count` outputs from `begin` on are wanted. */
struct stretch {
    enum image_filter filter;
    int from, to; /* pixels */
    int begin, count;
};

/* The weights of one axis: output i is the sum over x of weight[i * taps + x] times input first[i] + x, x < used[i]. */
struct axis {
    int taps;
    int32_t *first, *used, *weight; /* (count), (count), (count, taps) */
};

static int axis_taps(struct stretch s)
{
    return (int)ceil(filters[s.filter].support * fmax((double)s.from / s.to, 1)) * 2 + 1;
}

static size_t axis_words(struct stretch s)
{
    return (size_t)s.count * (size_t)(axis_taps(s) + 2);
}

/* memory: axis_words() numbers for the axis.  real: axis_taps() numbers of working space. */
static struct axis axis_make(struct stretch s, int32_t *memory, double *real)
{
    double scale = (double)s.from / s.to, widened = fmax(scale, 1), support = filters[s.filter].support * widened;
    struct axis axis = {axis_taps(s), memory, memory + s.count, memory + 2 * (size_t)s.count};

    for (int i = 0; i < s.count; i++) {
        int32_t *weight = axis.weight + (size_t)i * (size_t)axis.taps;
        double centre = (s.begin + i + 0.5) * scale, sum = 0;
        int low = (int)fmax(0, trunc(centre - support + 0.5)), high = (int)fmin(s.from, trunc(centre + support + 0.5));

        for (int x = low; x < high; x++) {
            real[x - low] = filters[s.filter].at((x - centre + 0.5) * (1 / widened));
            sum += real[x - low];
        }
        for (int x = 0; x < high - low; x++) {
            double share = sum != 0 ? real[x] / sum : real[x];

            weight[x] = (int32_t)(share * (1 << FIXED_BITS) + (share < 0 ? -0.5 : 0.5));
        }
        axis.first[i] = low;
        axis.used[i] = high - low;
    }
    return axis;
}

static uint8_t to_byte(int32_t fixed)
{
    int32_t v = fixed >> FIXED_BITS; /* arithmetic, as gcc and clang define it */

    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* Rows [top, top + height) of `in`. */
static struct image_view rows_of(struct image_view in, int top, int height)
{
    return image_crop(in, (struct image_box){top, 0, height, in.width});
}

static struct image_view columns_of(struct image_view in, int left, int width)
{
    return image_crop(in, (struct image_box){0, left, in.height, width});
}

static void pass_horizontal(struct image_view in, const struct axis *axis, int width, uint8_t *out)
{
    int channels = in.channels;

    for (int y = 0; y < in.height; y++) {
        const uint8_t *row = in.pixels + (size_t)y * in.stride;

        for (int i = 0; i < width; i++, out += channels) {
            const int32_t *weight = axis->weight + (size_t)i * (size_t)axis->taps;
            const uint8_t *value = row + (size_t)axis->first[i] * (size_t)channels;
            int32_t sum[3] = {FIXED_HALF, FIXED_HALF, FIXED_HALF};

            for (int x = 0; x < axis->used[i]; x++, value += channels)
                for (int c = 0; c < channels; c++)
                    sum[c] += weight[x] * value[c];
            for (int c = 0; c < channels; c++)
                out[c] = to_byte(sum[c]);
        }
    }
}

/* A stretch of a row at a time, so that the compiler may work on several columns at once. */
static void pass_vertical(struct image_view in, const struct axis *axis, int height, uint8_t *out)
{
    enum { STRETCH = 64 };
    size_t bytes = (size_t)in.width * (size_t)in.channels;

    for (int i = 0; i < height; i++, out += bytes) {
        const int32_t *weight = axis->weight + (size_t)i * (size_t)axis->taps;
        const uint8_t *first = in.pixels + (size_t)axis->first[i] * in.stride;

        for (size_t x = 0; x < bytes; x += STRETCH) {
            size_t n = bytes - x < STRETCH ? bytes - x : STRETCH;
            int32_t sum[STRETCH];

            for (size_t k = 0; k < n; k++)
                sum[k] = FIXED_HALF;
            for (int y = 0; y < axis->used[i]; y++)
                for (size_t k = 0; k < n; k++)
                    sum[k] += weight[y] * first[(size_t)y * in.stride + x + k];
            for (size_t k = 0; k < n; k++)
                out[x + k] = to_byte(sum[k]);
        }
    }
}

static void copy_rows(struct image_view in, uint8_t *out)
{
    size_t bytes = (size_t)in.width * (size_t)in.channels;

    for (int y = 0; y < in.height; y++)
        memcpy(out + (size_t)y * bytes, in.pixels + (size_t)y * in.stride, bytes);
}

static bool side_is_bad(int side)
{
    return side < 1 || side > IMAGE_SIDE_MAX;
}

/* Whether `in` may be resized, and its result be of that size. */
static int check_shape(struct image_view in, int height, int width, err *e)
{
    if (side_is_bad(in.height) || side_is_bad(in.width) || side_is_bad(height) || side_is_bad(width))
        return err_set(e, ERR_SHAPE, "an image of %d x %d pixels cannot become %d x %d: sides are 1 to %d", in.height,
                       in.width, height, width, IMAGE_SIDE_MAX);
    if (in.channels != 1 && in.channels != 3)
        return err_set(e, ERR_SHAPE, "an image has %d channels; 1 (grey) or 3 (RGB) are possible", in.channels);
    return 0;
}

/* How an image gets its size: of what, by which filter, to what size, and which part of that is wanted. */
struct plan {
    struct image_view from;
    enum image_filter filter;
    int height, width;
    struct image_box kept;
};

/* The resize of each axis; only rows of the input that the wanted ones need are looked at. */
struct stretches {
    struct stretch across, down;
    int top, rows; /* of the input */
};

static struct stretches stretches_of(const struct plan *p)
{
    struct stretches s = {
        .across = {p->filter, p->from.width, p->width, p->kept.left, p->kept.width},
        .down = {p->filter, p->from.height, p->height, p->kept.top, p->kept.height},
    };
    double scale = (double)p->from.height / p->height, reach = filters[p->filter].support * fmax(scale, 1) + 1;

    if (p->height == p->from.height)
        reach = 0;
    s.top = (int)fmax(0, floor(p->kept.top * scale - reach));
    s.rows = (int)fmin(p->from.height, ceil((p->kept.top + p->kept.height) * scale + reach)) - s.top;
    return s;
}

/* The memory that a resize works in, in this order: weights of one output, weights of an axis, pixels of the first
 * pass. */
struct resize_memory {
    size_t reals, words, bytes; /* counts */
};

static struct resize_memory resize_memory(const struct plan *p)
{
    struct stretches s = stretches_of(p);
    int across = axis_taps(s.across), down = axis_taps(s.down);
    size_t words_across = axis_words(s.across), words_down = axis_words(s.down);

    return (struct resize_memory){.reals = (size_t)(across > down ? across : down),
                                  .words = words_across > words_down ? words_across : words_down,
                                  .bytes = (size_t)s.rows * (size_t)p->kept.width * (size_t)p->from.channels};
}

static size_t resize_bytes(const struct plan *p)
{
    struct resize_memory m = resize_memory(p);

    return m.reals * sizeof(double) + m.words * sizeof(int32_t) + m.bytes;
}

/* The part that is kept, and nothing else of the resized image, since columns and rows do not depend on those beside them.
 * out: (kept.height, kept.width, channels). */
static void resize(const struct plan *p, uint8_t *out, void *memory)
{
    struct stretches s = stretches_of(p);
    struct resize_memory m = resize_memory(p);
    double *reals = memory;
    int32_t *words = (int32_t *)(reals + m.reals);
    uint8_t *bytes = (uint8_t *)(words + m.words);
    struct image_view in = rows_of(p->from, s.top, s.rows);

    if (p->width != p->from.width) {
        struct axis axis = axis_make(s.across, words, reals);
        uint8_t *to = p->height == p->from.height ? out : bytes;

        pass_horizontal(in, &axis, p->kept.width, to);
        in = image_whole(to, s.rows, p->kept.width, in.channels);
    } else {
        in = columns_of(in, p->kept.left, p->kept.width);
    }
    if (p->height != p->from.height) {
        struct axis axis = axis_make(s.down, words, reals);

        for (int i = 0; i < p->kept.height; i++)
            axis.first[i] -= s.top;
        pass_vertical(in, &axis, p->kept.height, out);
    } else if (in.pixels != out) {
        copy_rows(in, out);
    }
}

int image_resize(struct image_view in, enum image_filter filter, int height, int width, uint8_t *out,
                 struct image_scratch *s, err *e)
{
    struct plan plan = {in, filter, height, width, {0, 0, height, width}};

    if (check_shape(in, height, width, e) || scratch_reserve(s, resize_bytes(&plan), e))
        return e->code;
    resize(&plan, out, s->memory);
    return 0;
}

/* --- geometry ------------------------------------------------------------------------------------------------ */

void image_shorter_side(int height, int width, int side, int *new_height, int *new_width)
{
    bool upright = width <= height;
    int shorter = upright ? width : height, longer = upright ? height : width;
    int other = (int)fmin((double)((int64_t)side * longer) / shorter, INT_MAX);

    *new_height = upright ? other : side;
    *new_width = upright ? side : other;
}

/* Python's round(): halves go to the even neighbour. */
static int round_even(double x)
{
    return (int)rint(x);
}

struct image_box image_centre(int height, int width, int side)
{
    return (struct image_box){round_even((height - side) / 2.0), round_even((width - side) / 2.0), side, side};
}

static const double ratio_low = 3 / 4.0, ratio_high = 4 / 3.0;

static struct image_box central_box(int height, int width)
{
    double ratio = (double)width / height;
    struct image_box box = {.height = height, .width = width};

    if (ratio < ratio_low)
        box.height = round_even(width / ratio_low);
    else if (ratio > ratio_high)
        box.width = round_even(height * ratio_high);
    box.top = (height - box.height) / 2;
    box.left = (width - box.width) / 2;
    return box;
}

static float uniform_between(uint32_t word, float low, float high)
{
    return (float)(word & 0xffffff) * 0x1p-24f * (high - low) + low;
}

struct image_box image_random_box(int height, int width, float least_area, const uint32_t words[IMAGE_CROP_WORDS])
{
    enum { TRIES = 10 };
    double area = (double)height * width;
    float log_low = logf((float)ratio_low), log_high = logf((float)ratio_high);

    for (int try = 0; try < TRIES; try++, words += 2) {
        double share = area * uniform_between(words[0], least_area, 1);
        double ratio = expf(uniform_between(words[1], log_low, log_high));
        struct image_box box = {.height = round_even(sqrt(share / ratio)), .width = round_even(sqrt(share * ratio))};

        if (box.height < 1 || box.height > height || box.width < 1 || box.width > width)
            continue;
        box.top = (int)(words[2] % (uint32_t)(height - box.height + 1));
        box.left = (int)(words[3] % (uint32_t)(width - box.width + 1));
        return box;
    }
    return central_box(height, width);
}

/* --- values -------------------------------------------------------------------------------------------------- */

static void flip_row(uint8_t *row, int width, int channels)
{
    for (int left = 0, right = width - 1; left < right; left++, right--)
        for (int c = 0; c < channels; c++) {
            uint8_t *a = row + (size_t)left * (size_t)channels + c, *b = row + (size_t)right * (size_t)channels + c;
            uint8_t kept = *a;

            *a = *b;
            *b = kept;
        }
}

void image_flip(uint8_t *pixels, int height, int width, int channels)
{
    for (int y = 0; y < height; y++)
        flip_row(pixels + (size_t)y * (size_t)width * (size_t)channels, width, channels);
}

void image_brighten(uint8_t *pixels, size_t n, float factor)
{
    uint8_t table[256];

    for (int v = 0; v < 256; v++)
        table[v] = (uint8_t)fminf(fmaxf(factor * (float)v, 0), 255);
    for (size_t i = 0; i < n; i++)
        pixels[i] = table[pixels[i]];
}

/* Planes in float32 from interleaved bytes. */
static void to_planes(const struct image_pipeline *p, struct image_view in, float *out)
{
    for (int c = 0; c < 3; c++) {
        const uint8_t *first = in.pixels + (in.channels == 3 ? c : 0);
        float table[256];

        for (int v = 0; v < 256; v++)
            table[v] = ((float)v / 255.0f - p->mean[c]) / p->deviation[c];
        for (int y = 0; y < in.height; y++)
            for (int x = 0; x < in.width; x++)
                *out++ = table[first[(size_t)y * in.stride + (size_t)x * (size_t)in.channels]];
    }
}

/* --- pipelines ----------------------------------------------------------------------------------------------- */

struct image_draw image_draw(const struct image_pipeline *p, int height, int width, rng *r)
{
    struct image_draw draw;
    uint32_t words[IMAGE_CROP_WORDS];
    float low = (float)(1 - p->brightness), high = (float)(1 + p->brightness);

    for (int i = 0; i < IMAGE_CROP_WORDS; i++)
        words[i] = rng_u32(r);
    draw.box = image_random_box(height, width, p->least_area, words);
    draw.flip = rng_uniform(r) < 0.5f;
    draw.brightness = low + (high - low) * rng_uniform(r);
    return draw;
}

static bool box_fits(struct image_box box, struct image_view in)
{
    return box.top >= 0 && box.left >= 0 && box.height >= 1 && box.width >= 1 && box.height <= in.height - box.top &&
           box.width <= in.width - box.left;
}

static int plan_transform(const struct image_pipeline *p, int side, struct image_view in, const struct image_draw *draw,
                          struct plan *plan, err *e)
{
    *plan = (struct plan){in, p->test_filter, side, side, {0, 0, side, side}};
    if (draw && !box_fits(draw->box, in))
        return err_set(e, ERR_SHAPE, "a crop of %d x %d at (%d, %d) does not lie in an image of %d x %d pixels",
                       draw->box.height, draw->box.width, draw->box.top, draw->box.left, in.height, in.width);
    if (draw) {
        plan->from = image_crop(in, draw->box);
        plan->filter = p->crop_filter;
    } else if (p->geometry == IMAGE_CENTRE) {
        int shorter = (side * 256 + 112) / 224; /* 256 pixels for a side of 224, to the nearest */

        image_shorter_side(in.height, in.width, shorter, &plan->height, &plan->width);
        plan->kept = image_centre(plan->height, plan->width, side);
    }
    if (plan->height == INT_MAX || plan->width == INT_MAX)
        return err_set(e, ERR_SHAPE, "an image of %d x %d pixels is too thin to be resized to a side of %d", in.height,
                       in.width, side);
    return 0;
}

int image_transform(const struct image_pipeline *p, int side, struct image_view in, const struct image_draw *draw,
                    float *out, struct image_scratch *s, err *e)
{
    struct plan plan;
    size_t working, resized = (size_t)side * (size_t)side * (size_t)in.channels;
    uint8_t *pixels;

    if (check_shape(in, side, side, e) || plan_transform(p, side, in, draw, &plan, e))
        return e->code;
    working = resize_bytes(&plan);
    if (scratch_reserve(s, working + resized, e))
        return e->code;
    pixels = (uint8_t *)s->memory + working;
    resize(&plan, pixels, s->memory);
    if (draw && draw->flip)
        image_flip(pixels, side, side, in.channels);
    if (draw && draw->brightness != 1)
        image_brighten(pixels, resized, draw->brightness);
    to_planes(p, image_whole(pixels, side, side, in.channels), out);
    return 0;
}
