/* io/backbones/jax.c - the network under the names and layouts of Google's JAX code, as in ViT-B_16.npz.
 *
 * JAX stores a linear map as (in, out) and attention with an axis for the heads; the three of query, key and value become
 * the rows of one matrix, in this order and head by head within each. */
#include <stdio.h>
#include <string.h>

#include "io/backbones/importing.h"

static const char *const prefixes[] = {"", "opt/target/"};

/* One letter for each axis: 1, T tokens, D width, H heads, d width of a head, M hidden width, p patch, C channels.
 * '|' stands between the inputs of a linear map and its outputs. */
/* clang-format off */
static const struct jax_tensor {
    const char *name, *key, *axes;
    enum part_how how;
} outer[] = {
    {"cls_token", "cls", "11D", PART_COPY},
    {"pos_embed", "Transformer/posembed_input/pos_embedding", "1TD", PART_COPY},
    {"patch_embed.proj.weight", "embedding/kernel", "ppCD", PART_PATCHES},
    {"patch_embed.proj.bias", "embedding/bias", "D", PART_COPY},
    {"norm.weight", "Transformer/encoder_norm/scale", "D", PART_COPY},
    {"norm.bias", "Transformer/encoder_norm/bias", "D", PART_COPY},
}, inner[] = { /* behind "blocks.<i>." and "Transformer/encoderblock_<i>/" */
    {"norm1.weight", "LayerNorm_0/scale", "D", PART_COPY},
    {"norm1.bias", "LayerNorm_0/bias", "D", PART_COPY},
    {"attn.qkv.weight", "MultiHeadDotProductAttention_1/query/kernel", "D|Hd", PART_TRANSPOSE},
    {"attn.qkv.weight", "MultiHeadDotProductAttention_1/key/kernel", "D|Hd", PART_TRANSPOSE},
    {"attn.qkv.weight", "MultiHeadDotProductAttention_1/value/kernel", "D|Hd", PART_TRANSPOSE},
    {"attn.qkv.bias", "MultiHeadDotProductAttention_1/query/bias", "Hd", PART_COPY},
    {"attn.qkv.bias", "MultiHeadDotProductAttention_1/key/bias", "Hd", PART_COPY},
    {"attn.qkv.bias", "MultiHeadDotProductAttention_1/value/bias", "Hd", PART_COPY},
    {"attn.proj.weight", "MultiHeadDotProductAttention_1/out/kernel", "Hd|D", PART_TRANSPOSE},
    {"attn.proj.bias", "MultiHeadDotProductAttention_1/out/bias", "D", PART_COPY},
    {"norm2.weight", "LayerNorm_2/scale", "D", PART_COPY},
    {"norm2.bias", "LayerNorm_2/bias", "D", PART_COPY},
    {"mlp.fc1.weight", "MlpBlock_3/Dense_0/kernel", "D|M", PART_TRANSPOSE},
    {"mlp.fc1.bias", "MlpBlock_3/Dense_0/bias", "M", PART_COPY},
    {"mlp.fc2.weight", "MlpBlock_3/Dense_1/kernel", "M|D", PART_TRANSPOSE},
    {"mlp.fc2.bias", "MlpBlock_3/Dense_1/bias", "D", PART_COPY},
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool has(const struct tensor_file *f, const char *prefix, const char *name)
{
    size_t n = strlen(prefix);

    for (size_t i = 0; i < f->count; i++)
        if (!strncmp(f->info[i].name, prefix, n) && !strcmp(f->info[i].name + n, name))
            return true;
    return false;
}

static bool big_vision(const struct tensor_file *f)
{
    for (size_t i = 0; i < f->count; i++)
        if (!strncmp(f->info[i].name, "params/", 7))
            return true;
    return false;
}

bool jax_recognised(const struct tensor_file *f)
{
    if (!f->jax_names)
        return false;
    for (size_t i = 0; i < COUNT(prefixes); i++)
        if (has(f, prefixes[i], "embedding/kernel"))
            return true;
    return big_vision(f);
}

static int choose(struct importing *m)
{
    m->root = "";
    for (size_t i = 0; i < COUNT(prefixes); i++)
        if (has(m->file, prefixes[i], "embedding/kernel")) {
            strcpy(m->report->prefix, prefixes[i]);
            return 0;
        }
    return fault_set(m->e, FAULT_UNSUPPORTED,
                     "%s: is written by big_vision, whose newer layout is not read; Google's original ViT-B_16.npz is",
                     m->file->source.name);
}

/* (p, p, 3, D); 0 for others, and a problem. */
static int patch_of(struct importing *m, const struct tensor_info *t)
{
    if (!t)
        return 0;
    if (t->rank == 4 && t->shape[0] == t->shape[1] && t->shape[0] >= 1 && t->shape[0] <= INT16_MAX && t->shape[2] == 3)
        return (int)t->shape[0];
    import_wrong(m, t, "which is no square patch of 3 channels");
    return 0;
}

/* What any block says of a size: the first letter of that kind among the axes of its tensors. */
static int block_size(const struct importing *m, int depth, char letter)
{
    int size = 0;

    for (int block = 0; block < depth && !size; block++)
        for (size_t i = 0; i < COUNT(inner) && !size; i++) {
            char name[128];
            int rank = 0, axis = -1;

            for (const char *a = inner[i].axes; *a; a++) {
                if (*a == '|')
                    continue;
                axis = axis < 0 && *a == letter ? rank : axis;
                rank++;
            }
            snprintf(name, sizeof name, "Transformer/encoderblock_%d/%s", block, inner[i].key);
            size = axis < 0 ? 0 : import_size_of(m, name, rank, axis);
        }
    return size;
}

static void measure(struct importing *m, struct backbone_shape *s)
{
    s->patch = patch_of(m, import_find(m, "embedding/kernel"));
    s->channels = 3;
    s->depth = import_depth(m, "Transformer/encoderblock_", '/');
    s->width = import_size_of(m, "embedding/kernel", 4, 3);
    s->width = s->width ? s->width : block_size(m, s->depth, 'D');
    s->heads = block_size(m, s->depth, 'H');
    s->hidden = block_size(m, s->depth, 'M');
    s->side = import_side(m, "Transformer/posembed_input/pos_embedding", s->patch ? s->patch : 1);
}

static void fill_shape(const struct backbone_shape *s, const char *axes, struct part *part)
{
    const struct {
        char letter;
        int size;
    } sizes[] = {{'1', 1},         {'T', 1 + (s->side / s->patch) * (s->side / s->patch)},
                 {'D', s->width},  {'H', s->heads},
                 {'M', s->hidden}, {'d', s->width / s->heads},
                 {'p', s->patch},  {'C', s->channels}};

    for (; *axes; axes++) {
        if (*axes == '|')
            part->inputs = part->rank;
        for (size_t i = 0; i < COUNT(sizes); i++)
            if (sizes[i].letter == *axes)
                part->shape[part->rank++] = (uint64_t)sizes[i].size;
    }
}

static int parts_of(const struct backbone_shape *shape, const struct jax_tensor *table, size_t rows, const char *name,
                    const char *before, struct part out[PARTS_MAX])
{
    int n = 0;
    size_t at = 0;

    for (size_t i = 0; i < rows; i++) {
        struct part *part = &out[n];
        size_t count = 1;

        if (strcmp(table[i].name, name) != 0)
            continue;
        *part = (struct part){.how = table[i].how, .at = at};
        snprintf(part->key, sizeof part->key, "%s%s", before, table[i].key);
        fill_shape(shape, table[i].axes, part);
        for (int k = 0; k < part->rank; k++)
            count *= part->shape[k];
        at += count;
        n++;
    }
    return n;
}

static int parts(const struct importing *m, const struct backbone_shape *shape, const struct backbone_tensor *t,
                 struct part out[PARTS_MAX])
{
    char before[64];
    int block, used = 0;

    (void)m;
    if (sscanf(t->name, "blocks.%d.%n", &block, &used) != 1 || !used)
        return parts_of(shape, outer, COUNT(outer), t->name, "", out);
    snprintf(before, sizeof before, "Transformer/encoderblock_%d/", block);
    return parts_of(shape, inner, COUNT(inner), t->name + used, before, out);
}

static enum key_class classify(const char *name)
{
    return !strncmp(name, "pre_logits/", 11) || !strncmp(name, "head/", 5) ? KEY_DROPPED : KEY_UNKNOWN;
}

const struct naming jax_naming = {choose, measure, parts, classify};
