/* io/backbone.c - see backbone.h. */
#include "io/backbone.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/h5.h"

enum { SIDE_LIMIT = 4096, PATCH_LIMIT = 256, CHANNELS_LIMIT = 16, WIDTH_LIMIT = 16384, HIDDEN_LIMIT = 65536 };

/* ---------------------------------------------------------------- the list of tensors */

/* Sizes that shapes are made of. */
enum size { NONE, ONE, T, C, P, D, D3, M, SIZES };

struct slot {
    const char *name;
    enum size sizes[4];
};

static const struct slot outer[] = {
    {"cls_token", {ONE, ONE, D}},   {"pos_embed", {ONE, T, D}}, {"patch_embed.proj.weight", {D, C, P, P}},
    {"patch_embed.proj.bias", {D}}, {"norm.weight", {D}},       {"norm.bias", {D}},
};

/* Of each block, behind "blocks.<i>.". */
static const struct slot inner[] = {
    {"norm1.weight", {D}},        {"norm1.bias", {D}},     {"attn.qkv.weight", {D3, D}}, {"attn.qkv.bias", {D3}},
    {"attn.proj.weight", {D, D}}, {"attn.proj.bias", {D}}, {"norm2.weight", {D}},        {"norm2.bias", {D}},
    {"mlp.fc1.weight", {M, D}},   {"mlp.fc1.bias", {M}},   {"mlp.fc2.weight", {D, M}},   {"mlp.fc2.bias", {D}},
};

enum { OUTER = sizeof outer / sizeof *outer, INNER = sizeof inner / sizeof *inner };

static int tokens(const struct backbone_shape *s)
{
    return 1 + (s->side / s->patch) * (s->side / s->patch);
}

/* Name and shape of the k-th tensor. */
static void describe(const struct backbone_shape *s, int k, struct backbone_tensor *t)
{
    const size_t sizes[SIZES] = {[ONE] = 1,
                                 [T] = (size_t)tokens(s),
                                 [C] = (size_t)s->channels,
                                 [P] = (size_t)s->patch,
                                 [D] = (size_t)s->width,
                                 [D3] = 3 * (size_t)s->width,
                                 [M] = (size_t)s->hidden};
    const struct slot *slot = k < OUTER ? &outer[k] : &inner[(k - OUTER) % INNER];

    *t = (struct backbone_tensor){.count = 1};
    if (k < OUTER)
        snprintf(t->name, sizeof t->name, "%s", slot->name);
    else
        snprintf(t->name, sizeof t->name, "blocks.%d.%s", (k - OUTER) / INNER, slot->name);
    while (t->rank < 4 && slot->sizes[t->rank] != NONE) {
        t->shape[t->rank] = sizes[slot->sizes[t->rank]];
        t->count *= t->shape[t->rank++];
    }
}

static bool within(int value, int limit)
{
    return value >= 1 && value <= limit;
}

/* NULL, or what no Vision Transformer's shape can be. */
static const char *shape_wrong(const struct backbone_shape *s)
{
    if (!within(s->side, SIDE_LIMIT) || !within(s->patch, PATCH_LIMIT) || s->side % s->patch)
        return "side and patch are not pixels of which one divides the other";
    if (!within(s->width, WIDTH_LIMIT) || !within(s->heads, s->width) || s->width % s->heads)
        return "the number of heads does not divide the width";
    if (!within(s->depth, BACKBONE_MAX_DEPTH))
        return "it has not between 1 and 64 blocks";
    if (!within(s->hidden, HIDDEN_LIMIT) || !within(s->channels, CHANNELS_LIMIT))
        return "its hidden width or number of channels is out of range";
    return NULL;
}

bool backbone_layout(const struct backbone_shape *shape, int k, struct backbone_tensor *out)
{
    if (shape_wrong(shape) || k < 0 || k >= OUTER + INNER * shape->depth)
        return false;
    describe(shape, k, out);
    return true;
}

int backbone_create(struct backbone_weights *out, const struct backbone_shape *shape, err *e)
{
    const char *wrong = shape_wrong(shape);
    size_t numbers = 0;

    *out = (struct backbone_weights){0};
    if (wrong)
        return err_set(e, ERR_SHAPE, "backbone: %s (side %d, patch %d, width %d, heads %d, depth %d)", wrong,
                       shape->side, shape->patch, shape->width, shape->heads, shape->depth);
    out->shape = *shape;
    out->count = OUTER + INNER * shape->depth;
    if (!(out->tensors = calloc((size_t)out->count, sizeof *out->tensors)))
        return err_set(e, ERR_NOMEM, "backbone: out of memory");
    for (int k = 0; k < out->count; k++) {
        describe(shape, k, &out->tensors[k]);
        numbers += out->tensors[k].count;
    }
    if (!(out->memory = calloc(numbers, sizeof *out->memory))) {
        backbone_close(out);
        return err_set(e, ERR_NOMEM, "backbone: out of memory for %zu numbers", numbers);
    }
    numbers = 0;
    for (int k = 0; k < out->count; k++) {
        out->tensors[k].data = out->memory + numbers;
        numbers += out->tensors[k].count;
    }
    return 0;
}

void backbone_close(struct backbone_weights *w)
{
    free(w->tensors);
    free(w->memory);
    free(w->provenance);
    *w = (struct backbone_weights){0};
}

const struct backbone_tensor *backbone_tensor(const struct backbone_weights *w, const char *name)
{
    for (int k = 0; k < w->count; k++)
        if (!strcmp(w->tensors[k].name, name))
            return &w->tensors[k];
    return NULL;
}

/* ---------------------------------------------------------------- places */

static const char store_below_home[] = ".local/share/sluice/backbones";

void backbone_places(struct places *out)
{
    out->count = 0;
    places_add(out, getenv("SLUICE_BACKBONES"));
    places_add_home(out, store_below_home);
#ifdef SLUICE_SHARE_DIRS
    places_add(out, SLUICE_SHARE_DIRS);
#endif
}

int backbone_locate(const char *name, char path[PATH_SIZE], err *e)
{
    struct places places;
    char text[600];

    if (!place_name_valid(name))
        return err_set(e, ERR_CONFIG,
                       "'%s' cannot be the name of a backbone: letters, digits, '.', '_' and '-' make one", name);
    backbone_places(&places);
    for (int i = 0; i < places.count; i++)
        if (place_find(places.folder[i], name, ".h5", false, path))
            return 0;
    return err_set(
        e, ERR_MISSING,
        "backbone '%s' is not here; looked for %s.h5 in %s; `sluice backbone import FILE --as %s` takes a published "
        "checkpoint in, `sluice pretrain RECIPE.yaml --as %s` makes a small one, SLUICE_BACKBONES may name more places",
        name, name, places_text(&places, text), name, name);
}

int backbone_place(const char *name, char path[PATH_SIZE], err *e)
{
    return place_to_keep("SLUICE_BACKBONES", store_below_home, name, path, e);
}

/* ---------------------------------------------------------------- reading */

/* Everything wrong with the tensors of a file, as far as it fits. */
struct complaint {
    char text[700];
    size_t used;
    int count, left_out;
};

__attribute__((format(printf, 2, 3))) static void complain(struct complaint *c, const char *format, ...)
{
    char one[200];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(one, sizeof one, format, args);
    va_end(args);
    c->count++;
    if (n >= (int)sizeof one || c->used + (size_t)n + 3 > sizeof c->text)
        c->left_out++;
    else
        c->used += (size_t)snprintf(c->text + c->used, sizeof c->text - c->used, "%s%s", c->used ? "; " : "", one);
}

static int complaint_error(const struct complaint *c, const char *path, err *e)
{
    if (c->left_out)
        return err_set(e, ERR_DAMAGED, "%s: %s; and %d more", path, c->text, c->left_out);
    return err_set(e, ERR_DAMAGED, "%s: %s", path, c->text);
}

/* Where the tensor of that name is in its file; returns path. */
enum { ARRAY_SIZE = 80 };
static const char *array_of(char path[ARRAY_SIZE], const char *name)
{
    snprintf(path, ARRAY_SIZE, BACKBONE_GROUP "%s", name);
    return path;
}

/* The shape of a tensor that must have this rank; false (and a complaint) if it has not. */
static bool measure(h5 *file, const char *name, int rank, size_t shape[H5_MAX_RANK], struct complaint *c)
{
    char path[ARRAY_SIZE];
    int found;
    err e = {0};

    array_of(path, name);
    if (!h5_has(file, path))
        complain(c, "%s is missing", name);
    else if (h5_shape(file, path, &found, shape, &e))
        complain(c, "%s cannot be read", name);
    else if (found != rank)
        complain(c, "%s has %d dimensions, expected %d", name, found, rank);
    else
        return true;
    return false;
}

static int small(size_t size)
{
    return size < 1 << 20 ? (int)size : 1 << 20; /* far out of every range that shape_wrong() accepts */
}

static int check_format(h5 *file, const char *path, err *e)
{
    if (h5_has_attribute(file, "format") && h5_has_attribute(file, "format_version"))
        return h5_check_format(file, BACKBONE_FORMAT, BACKBONE_FORMAT_VERSION, e);
    return err_set(e, ERR_DAMAGED, "%s: is not a file of the backbone store; sluice backbone import reads others",
                   path);
}

/* The shape that the file's tensors imply. */
static int infer_shape(h5 *file, const char *path, struct backbone_shape *s, struct complaint *c, err *e)
{
    size_t patch[H5_MAX_RANK], fc1[H5_MAX_RANK];
    double side, patch_side, heads;
    const char *wrong;
    char name[64], array[ARRAY_SIZE];

    if (check_format(file, path, e) || h5_read_number(file, "side", &side, e) ||
        h5_read_number(file, "patch_size", &patch_side, e) || h5_read_number(file, "num_heads", &heads, e))
        return e->code;
    if (!(side >= 1 && side <= SIDE_LIMIT && patch_side >= 1 && patch_side <= PATCH_LIMIT && heads >= 1 &&
          heads <= WIDTH_LIMIT))
        return err_set(e, ERR_DAMAGED, "%s: side %g, patch %g or heads %g is out of range", path, side, patch_side,
                       heads);
    if (!measure(file, "patch_embed.proj.weight", 4, patch, c) || !measure(file, "blocks.0.mlp.fc1.weight", 2, fc1, c))
        return complaint_error(c, path, e);
    *s = (struct backbone_shape){.side = (int)side,
                                 .patch = (int)patch_side,
                                 .heads = (int)heads,
                                 .width = small(patch[0]),
                                 .channels = small(patch[1]),
                                 .hidden = small(fc1[0])};
    for (s->depth = 1; s->depth <= BACKBONE_MAX_DEPTH; s->depth++) {
        snprintf(name, sizeof name, "blocks.%d.norm1.weight", s->depth);
        if (!h5_has(file, array_of(array, name)))
            break;
    }
    if ((wrong = shape_wrong(s)))
        return err_set(e, ERR_DAMAGED, "%s: %s (side %d, patch %d, width %d, heads %d, depth %d)", path, wrong, s->side,
                       s->patch, s->width, s->heads, s->depth);
    return 0;
}

/* Whether this is the canonical name of a tensor of a network of that depth. */
static bool is_tensor(const char *name, int depth)
{
    char *rest, prefix[32];
    long block;

    for (int k = 0; k < OUTER; k++)
        if (!strcmp(name, outer[k].name))
            return true;
    if (strncmp(name, "blocks.", 7) != 0 || (block = strtol(name + 7, &rest, 10)) < 0 || block >= depth)
        return false;
    snprintf(prefix, sizeof prefix, "blocks.%ld.", block);
    if (strncmp(name, prefix, strlen(prefix)) != 0)
        return false;
    for (int k = 0; k < INNER; k++)
        if (!strcmp(rest + 1, inner[k].name))
            return true;
    return false;
}

/* Complain of each tensor that is missing or misshapen, and of each array that is no tensor. */
static int compare(h5 *file, const struct backbone_shape *s, struct complaint *c, err *e)
{
    size_t shape[H5_MAX_RANK], names_count;
    char have[H5_SHAPE_TEXT], want[H5_SHAPE_TEXT], **names;
    struct backbone_tensor t;

    for (int k = 0; k < OUTER + INNER * s->depth; k++) {
        describe(s, k, &t);
        if (measure(file, t.name, t.rank, shape, c) && memcmp(shape, t.shape, (size_t)t.rank * sizeof *shape) != 0)
            complain(c, "%s has shape %s, expected %s", t.name, h5_shape_text(have, t.rank, shape),
                     h5_shape_text(want, t.rank, t.shape));
    }
    if (h5_names(file, &names, &names_count, e))
        return e->code;
    for (size_t i = 0; i < names_count; i++) {
        bool grouped = !strncmp(names[i], BACKBONE_GROUP, sizeof BACKBONE_GROUP - 1);
        const char *name = names[i] + (grouped ? sizeof BACKBONE_GROUP - 1 : 0);

        if (!grouped || !is_tensor(name, s->depth))
            complain(c, "%s%s is no tensor of a Vision Transformer with %d blocks", grouped ? "" : "/", name, s->depth);
    }
    h5_names_free(names, names_count);
    return 0;
}

static int read_tensors(h5 *file, const char *path, struct backbone_weights *w, err *e)
{
    for (int k = 0; k < w->count; k++) {
        const struct backbone_tensor *t = &w->tensors[k];
        char array[ARRAY_SIZE];

        if (h5_read(file, array_of(array, t->name), H5_F32, t->rank, t->shape, t->data, e))
            return e->code;
        for (size_t i = 0; i < t->count; i++)
            if (!isfinite(t->data[i]))
                return err_set(e, ERR_DAMAGED, "%s: number %zu of %s is not finite", path, i, t->name);
    }
    return 0;
}

static int read_word(h5 *file, const char *name, char *out, size_t size, err *e)
{
    char *text;

    if (h5_read_text(file, name, &text, e))
        return e->code;
    snprintf(out, size, "%s", text);
    free(text);
    return 0;
}

static int read_file(h5 *file, const char *path, struct backbone_weights *out, err *e)
{
    struct complaint complaint = {0};
    struct backbone_shape shape;

    if (infer_shape(file, path, &shape, &complaint, e) || compare(file, &shape, &complaint, e))
        return e->code;
    if (complaint.count)
        return complaint_error(&complaint, path, e);
    if (h5_verify(file, e) || backbone_create(out, &shape, e) ||
        h5_read_text(file, "provenance", &out->provenance, e) ||
        read_word(file, "name", out->name, sizeof out->name, e) ||
        read_word(file, "profile", out->profile, sizeof out->profile, e))
        return e->code;
    return read_tensors(file, path, out, e);
}

int backbone_read(const char *path, struct backbone_weights *out, err *e)
{
    int status;
    h5 *file;

    *out = (struct backbone_weights){0};
    if (h5_open(path, &file, e))
        return e->code;
    status = read_file(file, path, out, e);
    h5_close(file);
    if (status)
        backbone_close(out);
    return status;
}

int backbone_open(const char *name, struct backbone_weights *out, err *e)
{
    char path[PATH_SIZE];

    *out = (struct backbone_weights){0};
    if (backbone_locate(name, path, e))
        return e->code;
    return backbone_read(path, out, e);
}

/* ---------------------------------------------------------------- digests and writing */

/* The digest of the tensors, as recorded, with the numbers that are not tensors. */
static int read_digest(h5 *file, struct digest *out, err *e)
{
    static const char *const numbers[] = {"side", "patch_size", "num_heads"};
    struct digest tensors;
    struct digester all;

    if (h5_digest(file, &tensors, e))
        return e->code;
    digester_start(&all);
    digester_add(&all, tensors.bytes, DIGEST_BYTES);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        double value;

        if (h5_read_number(file, numbers[i], &value, e))
            return e->code;
        digester_add_text(&all, numbers[i]);
        digester_add(&all, &value, sizeof value);
    }
    *out = digester_end(&all);
    return 0;
}

int backbone_about(const char *path, struct backbone_shape *shape, struct digest *digest, char **provenance, err *e)
{
    struct complaint complaint = {0};
    h5 *file;

    if (h5_open(path, &file, e))
        return e->code;
    if (!infer_shape(file, path, shape, &complaint, e) && !read_digest(file, digest, e) && provenance)
        h5_read_text(file, "provenance", provenance, e);
    h5_close(file);
    return e->code;
}

int backbone_describe(const char *name, struct backbone_shape *shape, struct digest *digest, err *e)
{
    char path[PATH_SIZE];

    if (backbone_locate(name, path, e))
        return e->code;
    return backbone_about(path, shape, digest, NULL, e);
}

int backbone_digest(const char *name, struct digest *out, err *e)
{
    struct backbone_shape shape;

    return backbone_describe(name, &shape, out, e);
}

int backbone_write(const char *path, const struct backbone_weights *w, bool half, err *e)
{
    int status;
    h5 *file;

    if (h5_create(path, &file, e))
        return e->code;
    status = h5_write_text(file, "format", BACKBONE_FORMAT, e) ||
             h5_write_number(file, "format_version", BACKBONE_FORMAT_VERSION, e) ||
             h5_write_text(file, "name", w->name, e) || h5_write_text(file, "profile", w->profile, e) ||
             h5_write_text(file, "provenance", w->provenance ? w->provenance : "", e) ||
             h5_write_number(file, "side", w->shape.side, e) ||
             h5_write_number(file, "patch_size", w->shape.patch, e) ||
             h5_write_number(file, "num_heads", w->shape.heads, e);
    for (int k = 0; k < w->count && !status; k++) {
        const struct backbone_tensor *t = &w->tensors[k];
        char array[ARRAY_SIZE];

        status = h5_write(file, array_of(array, t->name), half ? H5_F16 : H5_F32, t->rank, t->shape, t->data, half, e);
    }
    if (!status)
        return h5_commit(file, NULL, e);
    h5_close(file);
    return e->code;
}
