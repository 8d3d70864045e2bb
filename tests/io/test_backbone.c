/* The backbone store: round trips, search order, and everything that can be wrong with a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/backbone.h"
#include "io/h5.h"

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

static const struct backbone_shape tiny = {
    .side = 8, .patch = 4, .channels = 3, .width = 8, .depth = 2, .heads = 2, .hidden = 16};

/* Weights with distinct values that halves hold exactly. */
static void make(struct backbone_weights *w, const struct backbone_shape *shape)
{
    err e = {0};

    GOOD(backbone_create(w, shape, &e));
    strcpy(w->name, "tiny");
    w->provenance = strdup("made by a test");
    for (int k = 0; k < w->count; k++)
        for (size_t i = 0; i < w->tensors[k].count; i++)
            w->tensors[k].data[i] = (float)((int)(i * 7 + (size_t)k * 13) % 1024 - 512) / 256;
}

static void assert_equal(const struct backbone_weights *a, const struct backbone_weights *b)
{
    assert_int_equal(a->count, b->count);
    assert_memory_equal(&a->shape, &b->shape, sizeof a->shape);
    for (int k = 0; k < a->count; k++) {
        assert_string_equal(a->tensors[k].name, b->tensors[k].name);
        assert_int_equal(a->tensors[k].count, b->tensors[k].count);
        assert_memory_equal(a->tensors[k].data, b->tensors[k].data, a->tensors[k].count * sizeof(float));
    }
}

static void weights_come_back(void **state)
{
    static const struct backbone_shape shapes[] = {
        {8, 4, 3, 8, 2, 2, 16}, {28, 7, 1, 12, 1, 3, 24}, {16, 16, 3, 4, BACKBONE_MAX_DEPTH, 1, 5}};

    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int half = 0; half < 2; half++) {
            struct backbone_weights w, back;
            err e = {0};

            make(&w, &shapes[i]);
            assert_int_equal(w.count, 6 + 12 * shapes[i].depth);
            GOOD(backbone_write("round.h5", &w, half, &e));
            GOOD(backbone_read("round.h5", &back, &e));
            assert_equal(&w, &back);
            assert_string_equal(back.name, "tiny");
            assert_string_equal(back.provenance, "made by a test");
            backbone_close(&w);
            backbone_close(&back);
            backbone_close(&back);
        }
}

/* The formats' table: names, shapes and the number of parameters of ViT-B/16. */
static void the_shapes_are_those_of_vit_b_16(void **state)
{
    const struct backbone_shape base = {224, 16, 3, 768, 12, 12, 3072};
    const struct backbone_tensor *t;
    struct backbone_weights w;
    size_t numbers = 0;
    err e = {0};

    (void)state;
    GOOD(backbone_create(&w, &base, &e));
    assert_int_equal(w.count, 150);
    for (int k = 0; k < w.count; k++)
        numbers += w.tensors[k].count;
    assert_int_equal(numbers, 85798656);
    t = backbone_tensor(&w, "pos_embed");
    assert_true(t->rank == 3 && t->shape[0] == 1 && t->shape[1] == 197 && t->shape[2] == 768);
    t = backbone_tensor(&w, "patch_embed.proj.weight");
    assert_true(t->rank == 4 && t->shape[0] == 768 && t->shape[1] == 3 && t->shape[2] == 16 && t->shape[3] == 16);
    t = backbone_tensor(&w, "blocks.11.attn.qkv.weight");
    assert_true(t->rank == 2 && t->shape[0] == 2304 && t->shape[1] == 768);
    t = backbone_tensor(&w, "blocks.0.mlp.fc2.weight");
    assert_true(t->rank == 2 && t->shape[0] == 768 && t->shape[1] == 3072);
    assert_null(backbone_tensor(&w, "blocks.12.norm1.weight"));
    backbone_close(&w);
}

static void impossible_shapes_are_refused(void **state)
{
    static const struct backbone_shape bad[] = {
        {8, 3, 3, 8, 2, 2, 16},  {8, 0, 3, 8, 2, 2, 16},  {0, 4, 3, 8, 2, 2, 16},       {8, 4, 3, 8, 2, 3, 16},
        {8, 4, 3, 8, 0, 2, 16},  {8, 4, 3, 8, 65, 2, 16}, {8, 4, 0, 8, 2, 2, 16},       {8, 4, 3, 8, 2, 0, 16},
        {8, 4, 3, -8, 2, 2, 16}, {8, 4, 3, 8, 2, 2, 0},   {1 << 20, 4, 3, 8, 2, 2, 16},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct backbone_weights w;
        err e = {0};

        assert_int_equal(backbone_create(&w, &bad[i], &e), ERR_SHAPE);
        backbone_close(&w);
    }
}

static void backbones_are_found_by_name(void **state)
{
    struct backbone_weights w, back;
    struct backbone_shape shape;
    struct digest first, again, other;
    struct places places;
    char path[PATH_SIZE];
    err e = {0};

    (void)state;
    mkdir("a", 0777);
    mkdir("b", 0777);
    mkdir("home", 0777);
    setenv("SLUICE_BACKBONES", "a:b", 1);
    setenv("HOME", "home", 1);
    make(&w, &tiny);
    GOOD(backbone_write("b/tiny.h5", &w, false, &e));
    GOOD(backbone_locate("tiny", path, &e));
    assert_string_equal(path, "b/tiny.h5");
    GOOD(backbone_describe("tiny", &shape, &first, &e));
    assert_memory_equal(&shape, &tiny, sizeof shape);
    w.tensors[5].data[0] += 1;
    GOOD(backbone_write("a/tiny.h5", &w, false, &e));
    GOOD(backbone_open("tiny", &back, &e));
    assert_equal(&w, &back);
    GOOD(backbone_digest("tiny", &other, &e));
    assert_false(digest_equal(&first, &other)); /* another weight */
    w.tensors[5].data[0] -= 1;
    w.shape.heads = 4;
    GOOD(backbone_write("a/tiny.h5", &w, false, &e));
    GOOD(backbone_digest("tiny", &other, &e));
    assert_false(digest_equal(&first, &other)); /* as many heads make another network of the same tensors */
    unlink("a/tiny.h5");
    GOOD(backbone_digest("tiny", &again, &e));
    assert_true(digest_equal(&first, &again));
    backbone_close(&w);
    backbone_close(&back);
    assert_int_equal(backbone_open("nobody", &w, &e), ERR_MISSING);
    assert_non_null(strstr(e.text, "nobody.h5 in a, b, home/.local/share/sluice/backbones"));
    assert_int_equal(backbone_locate("../b/tiny", path, &e), ERR_CONFIG);
    backbone_places(&places);
    assert_true(places.count >= 3);
}

/* ---------------------------------------------------------------- wrong files */

struct change {
    const char *skip, *misshape, *poison, *extra; /* tensors; an extra array */
    const char *skip_number;
    double heads, version;
    const char *format, *version_text;
};

/* The array of a tensor. */
static const char *array(const char *name)
{
    static char path[80];

    snprintf(path, sizeof path, BACKBONE_GROUP "%s", name);
    return path;
}

static void write_changed(const char *path, const struct change *change)
{
    static const char *const numbers[] = {"side", "patch_size", "num_heads", "format_version"};
    const double values[] = {8, 4, change->heads ? change->heads : 2, change->version ? change->version : 1};
    struct backbone_weights w;
    err e = {0};
    h5 *file;

    make(&w, &tiny);
    GOOD(h5_create(path, &file, &e));
    GOOD(h5_write_text(file, "name", "changed", &e));
    GOOD(h5_write_text(file, "provenance", "", &e));
    GOOD(h5_write_text(file, "profile", "", &e));
    GOOD(h5_write_text(file, "format", change->format ? change->format : BACKBONE_FORMAT, &e));
    if (change->version_text)
        GOOD(h5_write_text(file, "format_version", change->version_text, &e));
    for (int i = 0; i < 4; i++)
        if (!change->skip_number || strcmp(change->skip_number, numbers[i]) != 0)
            GOOD(h5_write_number(file, numbers[i], values[i], &e));
    for (int k = 0; k < w.count; k++) {
        struct backbone_tensor *t = &w.tensors[k];

        if (change->skip && !strcmp(t->name, change->skip))
            continue;
        if (change->misshape && !strcmp(t->name, change->misshape))
            t->shape[t->rank - 1]--;
        if (change->poison && !strcmp(t->name, change->poison))
            t->data[3] = NAN;
        GOOD(h5_write(file, array(t->name), H5_F32, t->rank, t->shape, t->data, true, &e));
    }
    if (change->extra)
        GOOD(h5_write(file, *change->extra == '/' ? change->extra + 1 : array(change->extra), H5_F32, 1, (size_t[]){1},
                      w.memory, false, &e));
    GOOD(h5_commit(file, NULL, &e));
    backbone_close(&w);
}

static void everything_wrong_is_listed(void **state)
{
    static const struct {
        struct change change;
        const char *says[3];
    } cases[] = {
        {{0}, {NULL}},
        {{.skip = "norm.bias"}, {"norm.bias is missing"}},
        {{.skip = "blocks.1.mlp.fc2.weight", .extra = "head.weight", .misshape = "pos_embed"},
         {"blocks.1.mlp.fc2.weight is missing", "head.weight is no tensor",
          "pos_embed has shape (1, 5, 7), expected (1, 5, 8)"}},
        {{.skip = "patch_embed.proj.weight"}, {"patch_embed.proj.weight is missing"}},
        {{.skip = "blocks.1.norm1.weight"}, {"blocks.1.norm1.bias is no tensor of a Vision Transformer with 1 blocks"}},
        {{.extra = "blocks.0.ls1.gamma"}, {"blocks.0.ls1.gamma is no tensor"}},
        {{.extra = "blocks.00.norm1.weight"}, {"blocks.00.norm1.weight is no tensor"}},
        {{.extra = "blocks.2.norm1.weight"}, {"blocks.2.norm1.bias is missing", "blocks.2.mlp.fc2.weight is missing"}},
        {{.misshape = "blocks.0.attn.qkv.weight"}, {"(24, 7), expected (24, 8)"}},
        {{.poison = "blocks.0.norm2.weight"}, {"number 3 of blocks.0.norm2.weight is not finite"}},
        {{.heads = 3}, {"heads does not divide the width"}},
        {{.heads = NAN}, {"out of range"}},
        {{.heads = 1e300}, {"out of range"}},
        {{.skip_number = "patch_size"}, {"there is no attribute patch_size"}},
        {{.skip_number = "format_version"}, {"is not a file of the backbone store"}},
        {{.skip_number = "format_version", .version_text = "one"}, {"format_version"}},
        {{.version = 2}, {"format_version 2; this sluice reads 1"}},
        {{.format = "vit-results"}, {"its format is not vit-backbone"}},
        {{.extra = "/norm.bias"}, {"/norm.bias is no tensor"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct backbone_weights w;
        err e = {0};
        int code;

        write_changed("wrong.h5", &cases[i].change);
        code = backbone_read("wrong.h5", &w, &e);
        assert_int_equal(code, cases[i].says[0] ? ERR_DAMAGED : 0);
        for (int j = 0; j < 3 && cases[i].says[j]; j++)
            if (!strstr(e.text, cases[i].says[j]))
                fail_msg("'%s' does not say '%s'", e.text, cases[i].says[j]);
        backbone_close(&w);
    }
}

static void long_lists_say_how_many_more(void **state)
{
    struct backbone_shape deep = tiny;
    struct backbone_weights w;
    err e = {0};
    h5 *file;

    (void)state;
    deep.depth = 60;
    make(&w, &deep);
    GOOD(h5_create("gaps.h5", &file, &e));
    GOOD(h5_write_text(file, "format", BACKBONE_FORMAT, &e));
    GOOD(h5_write_number(file, "format_version", 1, &e));
    GOOD(h5_write_number(file, "side", 8, &e));
    GOOD(h5_write_number(file, "patch_size", 4, &e));
    GOOD(h5_write_number(file, "num_heads", 2, &e));
    for (int k = 0; k < w.count; k++)
        if (!strstr(w.tensors[k].name, "attn.proj.bias"))
            GOOD(h5_write(file, array(w.tensors[k].name), H5_F32, w.tensors[k].rank, w.tensors[k].shape,
                          w.tensors[k].data, false, &e));
    GOOD(h5_commit(file, NULL, &e));
    backbone_close(&w);
    assert_int_equal(backbone_read("gaps.h5", &w, &e), ERR_DAMAGED);
    assert_non_null(strstr(e.text, "blocks.0.attn.proj.bias is missing; blocks.1.attn.proj.bias is missing"));
    assert_non_null(strstr(e.text, " more"));
}

static void changed_weights_are_noticed(void **state)
{
    struct backbone_weights w, back;
    unsigned char bytes[1 << 16];
    size_t n, at = 0;
    err e = {0};
    FILE *f;

    (void)state;
    make(&w, &tiny);
    GOOD(backbone_write("changed.h5", &w, false, &e));
    f = fopen("changed.h5", "r+b");
    n = fread(bytes, 1, sizeof bytes, f);
    while (at + 128 < n && memcmp(bytes + at, backbone_tensor(&w, "blocks.1.attn.proj.weight")->data, 128) != 0)
        at++;
    assert_true(at + 128 < n); /* small arrays lie in the file as they are */
    fseek(f, (long)at + 5, SEEK_SET);
    fputc(bytes[at + 5] ^ 1, f);
    fclose(f);
    assert_int_equal(backbone_read("changed.h5", &back, &e), ERR_DAMAGED);
    assert_non_null(strstr(e.text, "digest differs"));
    f = fopen("changed.h5", "wb");
    fputs("not HDF5", f);
    fclose(f);
    assert_int_equal(backbone_read("changed.h5", &back, &e), ERR_DAMAGED);
    assert_int_equal(backbone_read("no-such.h5", &back, &e), ERR_MISSING);
    backbone_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_come_back),
        cmocka_unit_test(the_shapes_are_those_of_vit_b_16),
        cmocka_unit_test(impossible_shapes_are_refused),
        cmocka_unit_test(backbones_are_found_by_name),
        cmocka_unit_test(everything_wrong_is_listed),
        cmocka_unit_test(long_lists_say_how_many_more),
        cmocka_unit_test(changed_weights_are_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
