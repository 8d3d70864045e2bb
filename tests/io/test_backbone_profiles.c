/* What an import sees in a file: which backbone it is, how many heads it has, everything that is wrong with it, and what the
 * user must be told.  backbone_profiles.py writes the files, without torch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/backbones/import.h"
#include "io/backbones/recognise.h"
#include "io/containers/fault.h"

enum { SKIPPED = 77, PATH_LENGTH = 200 };

const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

/* An import of one of the files, which may fail. */
struct done {
    struct backbone_weights w;
    struct import_report report;
    err e;
};

static struct done import(const char *file, struct import_options o)
{
    struct done d = {0};
    char path[PATH_LENGTH];

    snprintf(path, sizeof path, "profiles/%s", file);
    o.name = "x";
    backbone_import(path, &o, &d.w, &d.report, &d.e);
    return d;
}

static struct done import_good(const char *file, struct import_options o)
{
    struct done d = import(file, o);

    if (d.e.code)
        fail_msg("%s: %s\n%s", file, d.e.text, d.report.problems);
    return d;
}

static void end(struct done *d)
{
    backbone_close(&d->w);
    import_report_free(&d->report);
}

static void assert_told(const char *text, const char *what)
{
    if (!strstr(text, what))
        fail_msg("'%s' is not in: %s", what, text);
}

/* Each name with what stands before and behind it. */
static void assert_all_told(const char *text, const char *before, const char *const *names, size_t n,
                            const char *behind)
{
    for (size_t i = 0; i < n; i++) {
        char line[PATH_LENGTH];

        snprintf(line, sizeof line, "%s%s%s", before, names[i], behind);
        assert_told(text, line);
    }
}

/* ---------------------------------------------------------------- recognition */

static const struct backbone_shape vit_b16 = {
    .side = 224, .patch = 16, .channels = 3, .width = 768, .depth = 12, .hidden = 3072};

static void looks_decide_the_profile(void **state)
{
    static const struct {
        const char *root, *prefix;
        bool jax, pickled, head, pre_logits, masks, sines;
        enum backbone_profile_id profile;
    } cases[] = {
        {"", "", .jax = true, .pre_logits = true, .profile = PROFILE_SUP21K},
        {"", "opt/target/", .jax = true, .pre_logits = true, .head = true, .profile = PROFILE_SUP21K},
        {"", "", .jax = true, .head = true, .profile = PROFILE_TIMM},
        {"teacher", "backbone.", .pickled = true, .masks = true, .profile = PROFILE_IBOT21K},
        {"teacher", "backbone.", .pickled = true, .profile = PROFILE_DINO1K},
        {"state_dict", "", .pickled = true, .profile = PROFILE_IBOT1K},
        {"state_dict", "", .pickled = true, .head = true, .profile = PROFILE_TIMM},
        {"", "", .pickled = true, .profile = PROFILE_DINO1K},
        {"", "", .pickled = true, .head = true, .profile = PROFILE_TIMM},
        {"", "", .profile = PROFILE_TIMM}, /* no .pth */
        {"model", "", .pickled = true, .profile = PROFILE_TIMM},
        {"model", "", .pickled = true, .sines = true, .profile = PROFILE_MOCO1K},
        {"", "", .sines = true, .profile = PROFILE_MOCO1K},
        {"state_dict", "module.base_encoder.", .pickled = true, .head = true, .profile = PROFILE_MOCO1K},
        {"state_dict", "module.momentum_encoder.", .pickled = true, .sines = true, .profile = PROFILE_TIMM},
        {"", "module.", .pickled = true, .profile = PROFILE_TIMM},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct backbone_shape shape = vit_b16;
        int *const sizes[] = {&shape.side, &shape.patch, &shape.width, &shape.depth, &shape.hidden};
        const struct looks l = {&shape,        cases[i].jax,        cases[i].pickled, cases[i].root, cases[i].prefix,
                                cases[i].head, cases[i].pre_logits, cases[i].masks,   cases[i].sines};

        if (looks_profile(&l) != cases[i].profile)
            fail_msg("case %zu: %s", i, backbone_profiles[looks_profile(&l)].name);
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) { /* of any other size it is none of the five */
            *sizes[k] *= 2;
            assert_int_equal(looks_profile(&l), PROFILE_TIMM);
            *sizes[k] /= 2;
        }
    }
}

static void looks_decide_the_heads(void **state)
{
    static const struct {
        int width;
        const char *prefix;
        bool sines;
        const char *profile;
        int heads;
    } cases[] = {
        {192, "", false, NULL, 3},
        {384, "", false, NULL, 6},
        {768, "", false, NULL, 12},
        {1024, "", false, NULL, 16},
        {1280, "", false, NULL, 16},
        {640, "", false, NULL, 0},
        {384, "base_encoder.", false, NULL, 12},
        {384, "module.base_encoder.", false, NULL, 12},
        {384, "module.momentum_encoder.", false, NULL, 12},
        {384, "", true, NULL, 12},
        {384, "", true, "timm", 12}, /* whatever it is called, it is MoCo's */
        {384, "", false, "moco1k", 12},
        {384, "", false, "dino1k", 6},
        {32, "", true, "moco1k", 0}, /* 12 do not divide it */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct backbone_shape shape = {.side = 32, .patch = 16, .width = cases[i].width, .depth = 1};
        const struct looks l = {
            .shape = &shape, .pickled = true, .root = "", .prefix = cases[i].prefix, .sines = cases[i].sines};
        int heads = looks_heads(&l, cases[i].profile ? backbone_profile_by_name(cases[i].profile) : NULL);

        if (heads != cases[i].heads)
            fail_msg("case %zu: %d heads", i, heads);
    }
}

/* ViT-B/16 in the containers of its authors, without a word about heads. */
static void files_of_full_size_are_known(void **state)
{
    static const struct {
        const char *file, *profile, *recognised, *note;
    } cases[] = {
        {"full-bare.pth", NULL, "dino1k", "taken for profile dino1k"},
        {"full-state-dict.pth", NULL, "ibot1k", "taken for profile ibot1k"},
        {"full-ibot.pth", NULL, "ibot21k", "taken for profile ibot21k"},
        {"full-dino.pth", NULL, "dino1k", "taken for profile dino1k"},
        {"full-dino.pth", "dino1k", "dino1k", ""},
        {"full-moco-converted.pth", NULL, "moco1k", "fc_norm"},
        {"full-moco-converted.pth", "moco1k", "moco1k", "fc_norm"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct done d = import_good(cases[i].file, (struct import_options){.profile = cases[i].profile});

        assert_string_equal(d.report.profile->name, cases[i].recognised);
        assert_told(d.report.notes, cases[i].note);
        assert_null(strstr(d.report.notes, "WARNING"));
        assert_int_equal(d.w.shape.heads, 12);
        assert_int_equal(d.w.shape.side, 224);
        assert_int_equal(d.report.found, 150);
        end(&d);
    }
}

/* What the store keeps of a profile is believed when its file comes back. */
static void the_store_remembers_the_profile(void **state)
{
    struct done d = import_good("full-ibot.pth", (struct import_options){0}), again;
    err e = {0};

    (void)state;
    assert_string_equal(d.w.profile, "ibot21k");
    for (int k = 0; k < d.w.count; k++) /* a file of zeros alone would not be believed */
        for (size_t i = 0; i < d.w.tensors[k].count; i += 12)
            d.w.tensors[k].data[i] = (float)(i * 2654435761u >> 16 & 0xffff) / 65536;
    assert_int_equal(backbone_write("profiles/kept.h5", &d.w, true, &e), 0);
    end(&d);
    again = import_good("kept.h5", (struct import_options){0});
    assert_string_equal(again.report.profile->name, "ibot21k");
    assert_told(again.report.notes,
                "taken for profile ibot21k (iBOT on ImageNet-21k, the teacher of checkpoint.pth), as the file");
    end(&again);
    again = import_good("kept.h5", (struct import_options){.profile = "timm"}); /* the user knows better */
    assert_string_equal(again.report.profile->name, "timm");
    end(&again);
    unlink("profiles/kept.h5");
}

static void heads_follow_width_and_origin(void **state)
{
    static const struct {
        const char *file;
        struct import_options o;
        int heads;
        const char *profile;
    } cases[] = {
        {"width-192.pth", {0}, 3, "timm"},
        {"width-384.pth", {0}, 6, "timm"},
        {"width-768.pth", {0}, 12, "timm"},
        {"width-384.pth", {.profile = "dino1k"}, 6, "dino1k"},
        {"width-384.pth", {.root = ".", .profile = "moco1k"}, 12, "moco1k"},
        {"moco-small.pth", {0}, 12, "timm"},
        {"moco-small.pth", {.prefix = "module.momentum_encoder."}, 12, "timm"},
        {"moco-small.pth", {.profile = "moco1k"}, 12, "moco1k"},
        {"moco-small.pth", {.heads = 6}, 6, "timm"},
        {"moco-small-converted.pth", {0}, 12, "timm"},
        {"moco-small-converted.pth", {.profile = "timm"}, 12, "timm"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct done d = import_good(cases[i].file, cases[i].o);

        if (d.w.shape.heads != cases[i].heads || strcmp(d.report.profile->name, cases[i].profile) != 0)
            fail_msg("case %zu, %s: %d heads, %s", i, cases[i].file, d.w.shape.heads, d.report.profile->name);
        if (d.w.shape.heads == 12 && d.w.shape.width == 384)
            assert_told(d.report.notes, "12 attention heads");
        end(&d);
    }
}

/* ---------------------------------------------------------------- what is good */

static void all_forms_hold_the_same_weights(void **state)
{
    FILE *in = fopen("profiles.txt", "r");
    char file[64], sum[CHECKSUM_HEX];
    int count = 0;

    (void)state;
    assert_non_null(in);
    while (fscanf(in, "%63s %64s", file, sum) == 2) {
        struct done d = import_good(file, (struct import_options){.heads = 2});

        if (strcmp(d.report.tensors_sum, sum) != 0)
            fail_msg("%s: SHA-256 %s, expected %s", file, d.report.tensors_sum, sum);
        assert_null(strstr(d.report.notes, "WARNING"));
        end(&d);
        count++;
    }
    fclose(in);
    assert_int_equal(count, 9);
}

static void heads_and_projectors_are_dropped(void **state)
{
    static const char *const names[] = {"head_dist.weight",     "pre_logits.fc.weight",
                                        "mask_token",           "masked_embed",
                                        "decoder_embed.weight", "decoder_pos_embed",
                                        "last_layer.weight_g",  "projector.0.weight",
                                        "predictor.0.bias",     "projector.1.num_batches_tracked"};
    struct done d = import_good("dropped.safetensors", (struct import_options){.heads = 2});

    (void)state;
    assert_int_equal(d.report.dropped, sizeof names / sizeof *names);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_told(d.report.dropped_names, names[i]);
    assert_told(d.w.provenance, d.report.dropped_names);
    end(&d);
    d = import_good("many-dropped.safetensors", (struct import_options){.heads = 2});
    assert_int_equal(d.report.dropped, 900);
    assert_told(d.report.dropped_names, ", ... ");
    assert_told(d.report.dropped_names, " more");
    end(&d);
}

static void strict_pickles_may_hold_the_usual(void **state)
{
    static const char *const good[] = {"usual-values.pth", "newer-values.pth", "newer-records.pth", "scalars.pth"};
    const struct import_options strict = {.heads = 2, .container.strict_pickle = true};
    struct done d;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        d = import_good(good[i], strict);
        assert_null(strstr(d.report.notes, "passed over"));
        end(&d);
    }
    d = import("evil.pth", strict);
    assert_int_equal(fault_of(&d.e), FAULT_UNSUPPORTED);
    end(&d);
}

/* ---------------------------------------------------------------- what must be told */

static void dangerous_names_are_told_first(void **state)
{
    static const char *const files[] = {"evil.pth", "evil-incomplete.pth"};

    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct done d = import(files[i], (struct import_options){.heads = 2, .allow_unknown = true});

        assert_int_equal(fault_of(&d.e), i == 0 ? FAULT_NONE : FAULT_MISSING);
        if (strncmp(d.report.notes, "SECURITY: ", 10) != 0)
            fail_msg("%s: %s", files[i], d.report.notes);
        assert_told(d.report.notes, "os.system");
        assert_told(d.report.notes, "objects of m0xxx");
        assert_told(d.report.notes, "objects of m1xxx");
        assert_told(strstr(d.report.notes, "objects of m1xxx"), "passed over");
        end(&d);
    }
    /* a file that is refused before anything else is known */
    struct done d = import("evil-module.pth", (struct import_options){.heads = 2});
    assert_int_equal(fault_of(&d.e), FAULT_UNSUPPORTED);
    assert_int_equal(strncmp(d.e.text, "SECURITY: the file names os.system", 34), 0);
    end(&d);
    assert_int_not_equal(access("sluice-was-here", F_OK), 0);
}

/* However much there is to say of other tensors. */
static void warnings_are_never_left_out(void **state)
{
    struct import_options o = {.heads = 2, .profile = "sup21k", .allow_unknown = true};
    struct done d = import_good("many.safetensors", o);

    (void)state;
    assert_int_equal(d.report.unknown, 900);
    assert_told(d.report.notes, "ignored unknown tensors: extra.0000");
    assert_told(d.report.notes, ", ... ");
    assert_told(d.report.notes, " more\n");
    assert_told(d.report.notes, "WARNING");
    end(&d);
    o.allow_unknown = false;
    d = import("many.safetensors", o);
    assert_int_equal(fault_of(&d.e), FAULT_UNKNOWN_KEY);
    assert_told(d.e.text, "900 problems");
    assert_told(d.report.problems, "\n... ");
    assert_true(strlen(d.report.problems) < 1 << 17);
    end(&d);
}

/* Google's original has no head without its representation layer, whoever converted it. */
static void other_heads_than_sup21ks_are_warned_of(void **state)
{
    static const struct {
        const char *file, *profile;
        bool warned;
    } cases[] = {{"tuned.safetensors", "sup21k", true},
                 {"tuned.pth", "sup21k", true},
                 {"tuned.pth", NULL, false},
                 {"tuned.pth", "timm", false},
                 {"original.pth", "sup21k", false},
                 {"headless.safetensors", "sup21k", false}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct done d = import_good(cases[i].file, (struct import_options){.heads = 2, .profile = cases[i].profile});

        if ((strstr(d.report.notes, "WARNING") != NULL) != cases[i].warned)
            fail_msg("%s as %s: %s", cases[i].file, cases[i].profile, d.report.notes);
        end(&d);
    }
}

static void function_changing_tensors_are_called_so(void **state)
{
    static const char *const names[] = {"dist_token",
                                        "fc_norm.weight",
                                        "norm_pre.bias",
                                        "blocks.0.ls1.gamma",
                                        "blocks.1.ls2.gamma",
                                        "blocks.0.gamma_1",
                                        "blocks.0.gamma_2",
                                        "blocks.0.attn.q_norm.weight",
                                        "blocks.0.attn.k_norm.weight",
                                        "blocks.0.attn.q_bias",
                                        "blocks.0.attn.v_bias",
                                        "blocks.0.attn.rel_pos_h",
                                        "reg_token",
                                        "attn_pool.q",
                                        "patch_embed.norm.weight",
                                        "patch_embed.backbone.conv.weight"};
    struct done d = import("changes.safetensors", (struct import_options){.heads = 2, .allow_unknown = true});

    (void)state;
    assert_int_equal(fault_of(&d.e), FAULT_UNKNOWN_KEY);
    assert_told(d.e.text, "16 problems");
    assert_told(d.e.text, "dist_token is function-changing");
    assert_all_told(d.report.problems, "", names, sizeof names / sizeof *names, " is function-changing");
    end(&d);
}

/* ---------------------------------------------------------------- what is wrong */

/* Each line, and no other one. */
static void assert_problems(const char *file, enum fault kind, const char *const *lines)
{
    struct done d = import(file, (struct import_options){.heads = 2});
    char *copy = strdup(d.report.problems);
    int said = 0, wanted = 0;

    if (fault_of(&d.e) != kind)
        fail_msg("%s: %s", file, d.e.text);
    for (char *at = copy, *line; (line = strsep(&at, "\n"));)
        said += *line != '\0';
    for (; lines[wanted]; wanted++)
        assert_told(d.report.problems, lines[wanted]);
    if (said != wanted)
        fail_msg("%s: %d problems instead of %d: %s", file, said, wanted, d.report.problems);
    free(copy);
    end(&d);
}

static void everything_wrong_is_told_at_once(void **state)
{
    static const char *const missing = "blocks.0.mlp.fc1.weight is missing";
#define COMMON                                                                                             \
    missing, "blocks.1.norm2.bias is missing", "norm.weight has shape (3,), expected (8,)",                \
        "blocks.1.mlp.fc1.bias has shape (5,), expected (16,)", "blocks.0.ls1.gamma is function-changing", \
        "extra.weight is no tensor of this network"
    const char *const several[] = {COMMON, "pos_embed is missing", NULL};
    const char *const positions[] = {COMMON, "pos_embed has shape (1, 6, 8), whose positions", NULL};
    const char *const dimensions[] = {COMMON, "pos_embed has shape (5, 8), expected 3 dimensions", NULL};
    const char *const patches[] = {COMMON, "pos_embed is missing",
                                   "patch_embed.proj.weight has shape (8, 1, 4, 4), which is no square patch", NULL};
    const char *const jax[] = {"Transformer/posembed_input/pos_embedding is missing",
                               "Transformer/encoderblock_0/MlpBlock_3/Dense_0/kernel is missing",
                               "Transformer/encoderblock_0/MultiHeadDotProductAttention_1/query/kernel is missing",
                               "Transformer/encoder_norm/scale has shape (3,), expected (8,)",
                               "extra/kernel is no tensor of this network",
                               NULL};

    (void)state;
    assert_problems("several.pth", FAULT_UNKNOWN_KEY, several);
    assert_problems("several-positions.pth", FAULT_UNKNOWN_KEY, positions);
    assert_problems("several-dimensions.pth", FAULT_UNKNOWN_KEY, dimensions);
    assert_problems("several-patches.pth", FAULT_UNKNOWN_KEY, patches);
    assert_problems("several.npz", FAULT_UNKNOWN_KEY, jax);
}

/* A network without its block 2 is no shallower network. */
static void gaps_are_missing_blocks(void **state)
{
    static const char *const inner[] = {"norm1.weight",     "norm1.bias",     "attn.qkv.weight", "attn.qkv.bias",
                                        "attn.proj.weight", "attn.proj.bias", "norm2.weight",    "norm2.bias",
                                        "mlp.fc1.weight",   "mlp.fc1.bias",   "mlp.fc2.weight",  "mlp.fc2.bias"};
    struct done d = import("gap.pth", (struct import_options){.heads = 2, .allow_unknown = true});

    (void)state;
    assert_int_equal(fault_of(&d.e), FAULT_MISSING);
    assert_told(d.e.text, "12 problems");
    assert_all_told(d.report.problems, "blocks.2.", inner, sizeof inner / sizeof *inner, " is missing");
    end(&d);
    d = import("gap.npz", (struct import_options){.allow_unknown = true});
    assert_int_equal(fault_of(&d.e), FAULT_MISSING);
    assert_told(d.report.problems, "Transformer/encoderblock_1/LayerNorm_0/scale is missing");
    end(&d);
    d = import("too-deep.pth", (struct import_options){.heads = 2, .allow_unknown = true});
    assert_int_equal(fault_of(&d.e), FAULT_SHAPE);
    end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looks_decide_the_profile),
        cmocka_unit_test(looks_decide_the_heads),
        cmocka_unit_test(files_of_full_size_are_known),
        cmocka_unit_test(the_store_remembers_the_profile),
        cmocka_unit_test(heads_follow_width_and_origin),
        cmocka_unit_test(all_forms_hold_the_same_weights),
        cmocka_unit_test(heads_and_projectors_are_dropped),
        cmocka_unit_test(strict_pickles_may_hold_the_usual),
        cmocka_unit_test(dangerous_names_are_told_first),
        cmocka_unit_test(warnings_are_never_left_out),
        cmocka_unit_test(other_heads_than_sup21ks_are_warned_of),
        cmocka_unit_test(function_changing_tensors_are_called_so),
        cmocka_unit_test(everything_wrong_is_told_at_once),
        cmocka_unit_test(gaps_are_missing_blocks),
    };
    int status = system(PYTHON " -B " SOURCE_DIR "/tests/io/backbone_profiles.py .");

    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
        return SKIPPED;
    if (status)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
