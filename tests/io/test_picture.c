/* Pictures: the same bytes as Pillow for every kind, and a named error for everything broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <jpeglib.h>
#include <zlib.h>

#include "io/containers/fault.h"
#include "io/picture.h"

/* ---------------------------------------------------------------- files */

static uint8_t *slurp(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    struct stat s;

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &s), 0);
    uint8_t *bytes = malloc((size_t)s.st_size + 1);
    *n = fread(bytes, 1, (size_t)s.st_size, f);
    assert_int_equal(*n, s.st_size);
    fclose(f);
    return bytes;
}

static void spill(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* ---------------------------------------------------------------- JPEGs that Pillow cannot write */

struct recipe {
    const char *name;
    int height, width, channels; /* channels 1, 3 or 4 (CMYK) */
    J_COLOR_SPACE space;         /* in the file */
    int sampling[3][2];          /* of the first components: across, down; 0: as the library likes */
    unsigned restart;            /* blocks between restart markers */
    bool progressive, arithmetic;
    bool solid; /* in the fewest bits that Huffman's codes allow: one a block */
};

static uint8_t sample(const struct recipe *r, int y, int x, int c)
{
    if (r->solid)
        return 128;
    return (uint8_t)(128 + (7 * x + 13 * y + 29 * c + x * y / 3) % 97 - 40 + (x / 8 + y / 8) % 2 * 30 + r->channels);
}

/* One scan for all means, and one of the rest for each component, where a few bytes say that there is nothing. */
static void fewest_bits(struct jpeg_compress_struct *c)
{
    static jpeg_scan_info scans[4];

    c->optimize_coding = TRUE;
    c->num_scans = 1 + c->num_components;
    c->scan_info = scans;
    scans[0] = (jpeg_scan_info){.comps_in_scan = c->num_components, .component_index = {0, 1, 2, 3}};
    for (int i = 0; i < c->num_components; i++)
        scans[1 + i] = (jpeg_scan_info){.comps_in_scan = 1, .component_index = {i}, .Ss = 1, .Se = 63};
}

/* malloc'd. */
static uint8_t *jpeg_make(const struct recipe *r, unsigned long *n)
{
    struct jpeg_compress_struct c = {0};
    struct jpeg_error_mgr errors;
    uint8_t *out = NULL, *row = malloc((size_t)r->width * 4);

    *n = 0;
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &out, n);
    c.image_height = (JDIMENSION)r->height;
    c.image_width = (JDIMENSION)r->width;
    c.input_components = r->channels;
    c.in_color_space = r->channels == 1 ? JCS_GRAYSCALE : r->channels == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&c);
    jpeg_set_colorspace(&c, r->space);
    for (int i = 0; i < 3 && i < c.num_components && r->sampling[i][0]; i++) {
        c.comp_info[i].h_samp_factor = r->sampling[i][0];
        c.comp_info[i].v_samp_factor = r->sampling[i][1];
    }
    c.restart_interval = r->restart;
    c.arith_code = r->arithmetic;
    if (r->progressive)
        jpeg_simple_progression(&c);
    if (r->solid && !r->arithmetic)
        fewest_bits(&c);
    jpeg_start_compress(&c, TRUE);
    while (c.next_scanline < c.image_height) {
        for (int x = 0; x < r->width; x++)
            for (int k = 0; k < r->channels; k++)
                row[x * r->channels + k] = sample(r, (int)c.next_scanline, x, k);
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    free(row);
    return out;
}

static const struct recipe recipes[] = {
    {"restart", 50, 70, 3, JCS_YCbCr, {{2, 2}, {1, 1}, {1, 1}}, 3, false, false, false},
    {"restart-progressive", 33, 17, 3, JCS_YCbCr, {{2, 1}, {1, 1}, {1, 1}}, 2, true, false, false},
    {"arithmetic", 40, 41, 3, JCS_YCbCr, {{0}}, 0, false, true, false},
    {"rgb-inside", 20, 31, 3, JCS_RGB, {{0}}, 0, false, false, false},
    {"ycck", 30, 29, 4, JCS_YCCK, {{0}}, 0, false, false, false},
    {"ycck-progressive", 9, 64, 4, JCS_YCCK, {{0}}, 0, true, false, false},
    {"4-1-1", 20, 90, 3, JCS_YCbCr, {{4, 1}, {1, 1}, {1, 1}}, 0, false, false, false},
    {"4-4-0", 90, 20, 3, JCS_YCbCr, {{1, 2}, {1, 1}, {1, 1}}, 0, false, false, false},
    {"odd-sampling", 37, 43, 3, JCS_YCbCr, {{3, 1}, {1, 1}, {1, 1}}, 0, false, false, false},
    {"grey-sampled", 19, 23, 1, JCS_GRAYSCALE, {{2, 2}}, 1, false, false, false},
    {"wide", 1, 2000, 3, JCS_YCbCr, {{0}}, 0, true, false, false},
};
enum { RECIPES = sizeof recipes / sizeof *recipes };

/* ---------------------------------------------------------------- the same as Pillow */

/* A check comes to the same verdict as decoding. */
static void check_agrees(const void *bytes, size_t n, unsigned mode)
{
    struct picture p = {0}, checked = {0};
    err e = {0}, check_e = {0};

    picture_decode(bytes, n, mode, &p, &e);
    picture_decode(bytes, n, mode | PICTURE_CHECK, &checked, &check_e);
    if (e.code != check_e.code || strcmp(e.text, check_e.text))
        fail_msg("decoding says '%s', a check '%s'", e.text, check_e.text);
    assert_true(e.code || (p.height == checked.height && p.width == checked.width && p.channels == checked.channels &&
                           p.warnings == checked.warnings));
    picture_free(&p);
    picture_free(&checked);
}

static uint32_t u32(const uint8_t *b)
{
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* Compare one picture with Pillow's; grey ones have their value three times there. */
static void compare(const char *folder, const char *name, struct picture *p)
{
    char path[600];
    size_t n, expected_n;
    err e = {0};

    snprintf(path, sizeof path, "%s/%s", folder, name);
    uint8_t *bytes = slurp(path, &n);
    strcpy(strrchr(path, '.'), ".rgb");
    uint8_t *expected = slurp(path, &expected_n);
    check_agrees(bytes, n, PICTURE_STRICT);
    int failed = picture_decode(bytes, n, PICTURE_STRICT, p, &e);
    if (!expected_n && !failed)
        fail_msg("%s: Pillow cannot read it, we can", name);
    if (expected_n && failed)
        fail_msg("%s: %s", name, e.text);
    if (expected_n && ((uint32_t)p->height != u32(expected) || (uint32_t)p->width != u32(expected + 4)))
        fail_msg("%s: has %d x %d pixels, %u x %u in Pillow", name, p->height, p->width, u32(expected),
                 u32(expected + 4));
    for (size_t i = 8; i < expected_n; i++) {
        uint8_t value = p->pixels[p->channels == 3 ? i - 8 : (i - 8) / 3];

        if (value != expected[i])
            fail_msg("%s: byte %zu is %d, %d in Pillow", name, i - 8, value, expected[i]);
    }
    free(bytes);
    free(expected);
}

static void pixels_are_those_of_pillow(void **state)
{
    struct picture p = {0};
    struct dirent *entry;
    int compared = 0, status;

    (void)state;
    assert_int_equal(system("rm -rf pillow && mkdir pillow"), 0);
    for (size_t i = 0; i < RECIPES; i++) {
        char path[100];
        unsigned long n;
        uint8_t *bytes = jpeg_make(&recipes[i], &n);

        snprintf(path, sizeof path, "pillow/made-%s.pic", recipes[i].name);
        spill(path, bytes, n);
        free(bytes);
    }
    status = system("/usr/bin/python3 " SOURCE_DIR "/tests/io/pictures.py pillow > pillow.log 2>&1");
    if (!WIFEXITED(status) || WEXITSTATUS(status) == 127 || WEXITSTATUS(status) == 77) {
        print_message("no Python with Pillow and NumPy\n");
        skip();
    }
    assert_int_equal(status, 0);
    DIR *folder = opendir("pillow");
    while ((entry = readdir(folder)))
        if (strstr(entry->d_name, ".pic")) {
            compare("pillow", entry->d_name, &p);
            compared++;
        }
    closedir(folder);
    assert_in_range(compared, 100, 1000);
    picture_free(&p);
}

static void pnm_headers_lead_back(void **state)
{
    static const uint8_t pixels[2 * 3 * 3] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 250, 251, 252, 253, 254, 255, 0, 1};
    char bytes[100];
    struct picture p = {0};
    err e = {0};

    (void)state;
    for (int channels = 1; channels <= 3; channels += 2) {
        size_t n = picture_pnm_header(bytes, 2, 3, channels), values = 6 * (size_t)channels;

        memcpy(bytes + n, pixels, values);
        assert_int_equal(picture_decode(bytes, n + values, PICTURE_STRICT, &p, &e), 0);
        assert_true(p.format == PICTURE_PNM && p.height == 2 && p.width == 3 && p.channels == channels);
        assert_memory_equal(p.pixels, pixels, values);
    }
    assert_true(picture_pnm_header(bytes, PICTURE_SIDE_MAX, PICTURE_SIDE_MAX, 3) < PICTURE_PNM_HEADER);
    picture_free(&p);
}

/* ---------------------------------------------------------------- what is broken */

static void fails(const char *what, const void *bytes, size_t n, enum fault kind)
{
    struct picture p = {0};
    err e = {0};

    check_agrees(bytes, n, PICTURE_STRICT);
    if (!picture_decode(bytes, n, PICTURE_STRICT, &p, &e))
        fail_msg("%s: is accepted", what);
    if (e.code != ERR_DAMAGED || (kind && fault_of(&e) != kind))
        fail_msg("%s: expected %s, not '%s'", what, fault_name(kind), e.text);
    picture_free(&p);
}

static void what_is_no_picture_is_told(void **state)
{
    (void)state;
    fails("nothing", "", 0, FAULT_TRUNC);
    fails("a text", "hello, this is not a picture", 28, FAULT_MAGIC);
    fails("half of WebP's magic number", "RIFF\20\0\0\0WAVE", 12, FAULT_MAGIC);
    for (int i = 0; i < 6; i++) {
        static const struct {
            const char *name, *bytes;
        } unread[] = {{"GIF", "GIF89a\1\0\1\0\0\0"},       {"GIF", "GIF87a\1\0\1\0\0\0"},
                      {"BMP", "BM\72\0\0\0\0\0\0\0\66\0"}, {"TIFF", "II*\0\10\0\0\0\0\0\0\0"},
                      {"TIFF", "MM\0*\0\0\0\10\0\0\0\0"},  {"WebP", "RIFF\20\0\0\0WEBP"}};
        struct picture p = {0};
        err e = {0};

        fails(unread[i].name, unread[i].bytes, 12, FAULT_UNSUPPORTED);
        picture_decode(unread[i].bytes, 12, PICTURE_STRICT, &p, &e);
        assert_non_null(strstr(e.text, unread[i].name));
        assert_non_null(strstr(e.text, "convert it to PNG"));
    }
    fails("half a magic number", "\xff\xd8", 2, FAULT_MAGIC);
}

/* Every truncation, missing end markers included; and any byte changed neither crashes nor hangs. */
static void cut_and_changed_jpegs(void **state)
{
    (void)state;
    for (size_t i = 0; i < RECIPES; i++) {
        unsigned long n;
        uint8_t *bytes = jpeg_make(&recipes[i], &n);

        for (size_t cut = 3; cut < n; cut++) {
            uint8_t *exact = malloc(cut); /* so that a byte too many is noticed */

            memcpy(exact, bytes, cut);
            fails(recipes[i].name, exact, cut, FAULT_TRUNC);
            free(exact);
        }
        for (size_t at = 2; at < n; at += 1 + n / 300) {
            bytes[at] ^= 0x5a;
            check_agrees(bytes, n, PICTURE_STRICT);
            check_agrees(bytes, n, PICTURE_LENIENT);
            bytes[at] ^= 0x5a;
        }
        free(bytes);
    }
}

static void lenient_fills_the_rest(void **state)
{
    struct picture whole = {0}, cut = {0};
    unsigned long n;
    uint8_t *bytes = jpeg_make(&recipes[0], &n);
    size_t row = 3 * (size_t)recipes[0].width;
    err e = {0};

    (void)state;
    assert_int_equal(picture_decode(bytes, n, PICTURE_STRICT, &whole, &e), 0);
    assert_int_equal(whole.warnings, 0);
    assert_int_equal(picture_decode(bytes, n - 200, PICTURE_LENIENT, &cut, &e), 0);
    assert_true(cut.warnings > 0 && cut.height == whole.height && cut.width == whole.width);
    assert_memory_equal(cut.pixels, whole.pixels, 8 * row);
    assert_true(memcmp(cut.pixels, whole.pixels, (size_t)cut.height * row) != 0);
    free(bytes);
    picture_free(&whole);
    picture_free(&cut);
}

/* Put sizes into the frame header of a JPEG. */
static void jpeg_resize(uint8_t *bytes, size_t n, unsigned height, unsigned width)
{
    for (size_t i = 2; i + 9 < n; i += 2 + (size_t)(bytes[i + 2] << 8 | bytes[i + 3]))
        if (bytes[i + 1] == 0xc0 || bytes[i + 1] == 0xc2 || bytes[i + 1] == 0xc9) {
            bytes[i + 5] = (uint8_t)(height >> 8), bytes[i + 6] = (uint8_t)height;
            bytes[i + 7] = (uint8_t)(width >> 8), bytes[i + 8] = (uint8_t)width;
            return;
        }
    fail_msg("there is no frame header");
}

static long peak_kilobytes(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

/* Headers that claim much, with little behind them. */
static void claims_are_not_believed(void **state)
{
    long before = peak_kilobytes();
    unsigned long n;
    uint8_t *bytes = jpeg_make(&recipes[0], &n);

    (void)state;
    jpeg_resize(bytes, n, 65500, 65500);
    fails("a JPEG of 65500 x 65500", bytes, n, FAULT_LIMIT);
    jpeg_resize(bytes, n, 9460, 9460);
    fails("a JPEG of 89.5 million pixels", bytes, n, FAULT_LIMIT);
    jpeg_resize(bytes, n, 0, 50);
    fails("a JPEG without rows", bytes, n, 0);
    jpeg_resize(bytes, n, 9459, 9459);
    fails("a JPEG of 89.4 million pixels", bytes, 300, FAULT_TRUNC);
    fails("a JPEG of 89.4 million pixels that ends at once", bytes, n, FAULT_TRUNC);
    free(bytes);
    bytes = jpeg_make(&recipes[1], &n);
    jpeg_resize(bytes, n, 9000, 9000);
    fails("a progressive JPEG of 81 million pixels that ends at once", bytes, n, FAULT_TRUNC);
    free(bytes);
    fails("a PPM of 89.5 million pixels", "P6 9460 9460 255 x", 18, FAULT_LIMIT);
    fails("a PPM of 9000 x 9000", "P6 9000 9000 255 x", 18, FAULT_TRUNC);
    fails("a PPM of too many digits", "P6 99999999999 1 255 x", 22, FAULT_SYNTAX);
    fails("a PPM whose largest value is 0", "P5 1 1 0 x", 10, FAULT_SYNTAX);
    fails("a PPM whose largest value is 65536", "P5 1 1 65536 xx", 15, FAULT_SYNTAX);
    fails("a PPM without width", "P5 0 1 255 x", 12, FAULT_LIMIT);
    fails("a PPM header without end", "P5 1 1 255", 10, FAULT_SYNTAX);
    assert_in_range(peak_kilobytes() - before, 0, 64 << 10);
}

/* What Huffman's codes can do at the best is believed, and not twice as many blocks. */
static void the_smallest_jpegs_are_read(void **state)
{
    static const struct recipe solid[] = {
        {"grey", 2500, 4000, 1, JCS_GRAYSCALE, {{0}}, 0, false, false, true},
        {"4-2-0", 2500, 3000, 3, JCS_YCbCr, {{2, 2}, {1, 1}, {1, 1}}, 0, false, false, true},
        {"4-4-4", 2000, 2000, 3, JCS_YCbCr, {{1, 1}, {1, 1}, {1, 1}}, 0, false, false, true},
        {"arithmetic", 1000, 1000, 3, JCS_YCbCr, {{0}}, 0, false, true, true},
    };
    struct picture p = {0};
    err e = {0};

    (void)state;
    for (size_t i = 0; i < sizeof solid / sizeof *solid; i++) {
        unsigned long n;
        uint8_t *bytes = jpeg_make(&solid[i], &n);

        if (picture_decode(bytes, n, PICTURE_STRICT, &p, &e))
            fail_msg("%s of %lu bytes: %s", solid[i].name, n, e.text);
        assert_true(p.warnings == 0 && p.pixels[(size_t)p.height * (size_t)p.width * (size_t)p.channels - 1] == 128);
        jpeg_resize(bytes, n, 9000, 9000);
        fails(solid[i].name, bytes, n, FAULT_TRUNC);
        free(bytes);
    }
    picture_free(&p);
}

/* A progressive JPEG whose last scan comes so many times more; malloc'd. */
static uint8_t *with_scans(const struct recipe *r, int scans, size_t *size)
{
    unsigned long n;
    uint8_t *bytes = jpeg_make(r, &n), *many = malloc(n + (size_t)scans * n);
    size_t last = 0;

    for (size_t i = 2; i + 1 < n; i++)
        if (bytes[i] == 0xff && bytes[i + 1] == 0xda)
            last = i;
    memcpy(many, bytes, n - 2);
    *size = n - 2;
    for (int i = 0; i < scans; i++) {
        memcpy(many + *size, bytes + last, n - 2 - last);
        *size += n - 2 - last;
    }
    memcpy(many + *size, "\xff\xd9", 2);
    *size += 2;
    free(bytes);
    return many;
}

static void many_scans_are_refused(void **state)
{
    static const struct {
        struct recipe recipe;
        int scans;
        bool good;
    } cases[] = {{{"tiny", 8, 8, 1, JCS_GRAYSCALE, {{0}}, 0, true, false, false}, 100, true},
                 {{"tiny", 8, 8, 1, JCS_GRAYSCALE, {{0}}, 0, true, false, false}, 600, false},
                 {{"large", 2800, 2800, 1, JCS_GRAYSCALE, {{0}}, 0, true, false, true}, 40, true},
                 {{"large", 2800, 2800, 1, JCS_GRAYSCALE, {{0}}, 0, true, false, true}, 400, false}};
    struct picture p = {0};
    err e = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n;
        uint8_t *bytes = with_scans(&cases[i].recipe, cases[i].scans, &n);

        if (!cases[i].good)
            fails(cases[i].recipe.name, bytes, n, FAULT_LIMIT);
        else if (picture_decode(bytes, n, PICTURE_STRICT, &p, &e))
            fail_msg("%s, %d scans: %s", cases[i].recipe.name, cases[i].scans, e.text);
        free(bytes);
    }
    picture_free(&p);
}

/* ---------------------------------------------------------------- broken PNGs */

static size_t put_u32(uint8_t *to, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(v >> (24 - 8 * i));
    return 4;
}

static size_t put_chunk(uint8_t *to, const char *name, const void *body, size_t n)
{
    put_u32(to, (uint32_t)n);
    memcpy(to + 4, name, 4);
    memcpy(to + 8, body, n);
    put_u32(to + 8 + n, (uint32_t)crc32(0, to + 4, (unsigned)n + 4));
    return n + 12;
}

/* A PNG with these numbers in its header and these bytes, deflated, as its picture. */
static size_t png_make(uint8_t *to, uint32_t width, uint32_t height, int depth, int type, const char *palette,
                       size_t palette_n, const void *rows, size_t n)
{
    uint8_t head[13] = {0}, *deflated = malloc(compressBound(n));
    uLongf deflated_n = compressBound(n);
    size_t used = 8;

    memcpy(to, "\x89PNG\r\n\x1a\n", 8);
    put_u32(head, width);
    put_u32(head + 4, height);
    head[8] = (uint8_t)depth;
    head[9] = (uint8_t)type;
    used += put_chunk(to + used, "IHDR", head, 13);
    if (palette_n)
        used += put_chunk(to + used, "PLTE", palette, palette_n);
    compress(deflated, &deflated_n, rows, n);
    used += put_chunk(to + used, "IDAT", deflated, deflated_n);
    free(deflated);
    return used + put_chunk(to + used, "IEND", "", 0);
}

static void broken_pngs_are_named(void **state)
{
    static const char rows[] = "\0\1\2\3\0\4\5\6"; /* 3 x 2 pixels of one byte */
    uint8_t png[500];
    size_t n = png_make(png, 3, 2, 8, 0, NULL, 0, rows, 8);
    struct picture p = {0};
    err e = {0};

    (void)state;
    assert_int_equal(picture_decode(png, n, PICTURE_STRICT, &p, &e), 0);
    assert_true(p.height == 2 && p.width == 3 && p.channels == 1 && !memcmp(p.pixels, "\1\2\3\4\5\6", 6));
    for (size_t cut = 8; cut < n; cut++)
        fails("a cut PNG", png, cut, FAULT_TRUNC);
    for (size_t at = 8; at < n; at++) /* everything has a checksum */
        for (int bit = 1; bit < 256; bit *= 2) {
            png[at] ^= (uint8_t)bit;
            fails("a changed PNG", png, n, 0);
            png[at] ^= (uint8_t)bit;
        }
    for (size_t chunk = 0; chunk < 3; chunk++) { /* the checksums of IHDR, IDAT and IEND */
        size_t at = (const size_t[]){8 + 25, n - 12, n}[chunk] - 1;

        png[at] ^= 1;
        fails("a PNG with a wrong checksum", png, n, FAULT_CRC);
        png[at] ^= 1;
    }
    fails("a PNG 2147483648 wide", png, png_make(png, 1u << 31, 1, 8, 0, NULL, 0, rows, 8), FAULT_LIMIT);
    fails("a PNG 4294967295 high", png, png_make(png, 1, UINT32_MAX, 8, 0, NULL, 0, rows, 8), FAULT_LIMIT);
    fails("a PNG 30000 wide", png, png_make(png, 30000, 1, 8, 0, NULL, 0, rows, 8), FAULT_LIMIT);
    fails("a PNG of 20000 x 20000", png, png_make(png, 20000, 20000, 8, 2, NULL, 0, rows, 8), FAULT_LIMIT);
    fails("a PNG of 9000 x 9000", png, png_make(png, 9000, 9000, 8, 2, NULL, 0, rows, 8), FAULT_TRUNC);
    fails("a PNG without rows", png, png_make(png, 3, 0, 8, 0, NULL, 0, rows, 8), FAULT_LIMIT);
    fails("a PNG whose data end early", png, png_make(png, 3, 2, 8, 0, NULL, 0, rows, 7), 0);
    fails("a PNG of 3 bits", png, png_make(png, 3, 2, 3, 0, NULL, 0, rows, 8), 0);
    fails("a PNG without palette", png, png_make(png, 3, 2, 8, 3, NULL, 0, rows, 8), 0);
    assert_int_equal(
        picture_decode(png, png_make(png, 3, 2, 8, 3, "aaabbbcccdddeeefffggg", 21, rows, 8), PICTURE_STRICT, &p, &e),
        0);
    assert_memory_equal(p.pixels, "bbbcccdddeeefffggg", 18);
    fails("a PNG beyond its palette", png, png_make(png, 3, 2, 8, 3, "aaabbbcccdddeeefff", 18, rows, 8), FAULT_RANGE);
    picture_free(&p);
}

/* Much that deflates to little is an honest picture as long as it is within the limits. */
static void png_bombs_are_refused(void **state)
{
    size_t side = 9460, rows_n = side * (side + 1);
    uint8_t *rows = calloc(rows_n, 1), *png = malloc(rows_n / 100);
    long before = peak_kilobytes();

    (void)state;
    size_t n = png_make(png, (uint32_t)side, (uint32_t)side, 8, 0, NULL, 0, rows, rows_n);
    long made = peak_kilobytes();
    fails("a PNG of 89.5 million zeros", png, n, FAULT_LIMIT);
    assert_in_range(peak_kilobytes() - (made > before ? made : before), 0, 64 << 10);
    free(rows);
    free(png);
}

/* Small pictures whose data go on with zeros, which Pillow never looks at. */
static void png_bombs_behind_small_headers(void **state)
{
    enum { BOMB = 50 << 20 };
    uint8_t *rows = calloc(BOMB, 1), *png = malloc(BOMB / 100);
    struct picture p = {0};
    err e = {0};

    (void)state;
    fails("50 MiB behind 3 x 2 pixels", png, png_make(png, 3, 2, 8, 0, NULL, 0, rows, BOMB), FAULT_LIMIT);
    fails("50 MiB behind one pixel", png, png_make(png, 1, 1, 8, 2, NULL, 0, rows, BOMB), FAULT_LIMIT);
    size_t n = png_make(png, 3, 3, 8, 0, NULL, 0, rows, BOMB);
    png[8 + 8 + 12] = 1; /* interlaced */
    put_u32(png + 8 + 8 + 13, (uint32_t)crc32(0, png + 8 + 4, 4 + 13));
    fails("50 MiB behind 3 x 3 interlaced pixels", png, n, FAULT_LIMIT);
    assert_int_equal(picture_decode(png, png_make(png, 3, 2, 8, 0, NULL, 0, rows, 1000), PICTURE_STRICT, &p, &e), 0);
    picture_free(&p);
    free(rows);
    free(png);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims_are_not_believed), /* first: it looks at the most memory used so far */
        cmocka_unit_test(pixels_are_those_of_pillow),  cmocka_unit_test(pnm_headers_lead_back),
        cmocka_unit_test(what_is_no_picture_is_told),  cmocka_unit_test(cut_and_changed_jpegs),
        cmocka_unit_test(lenient_fills_the_rest),      cmocka_unit_test(many_scans_are_refused),
        cmocka_unit_test(broken_pngs_are_named),       cmocka_unit_test(png_bombs_are_refused),
        cmocka_unit_test(the_smallest_jpegs_are_read), cmocka_unit_test(png_bombs_behind_small_headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
