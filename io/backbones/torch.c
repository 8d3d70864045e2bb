/* io/backbones/torch.c - the network under timm's names, which are the canonical ones. */
#include <stdio.h>
#include <string.h>

#include "io/backbones/torch_names.h"

enum { CHANNELS = 3 };

/* (D, 3, p, p), or (D, 3 p p) as very old files have it; 0 for others, and a problem. */
static int patch_of(struct importing *m, const struct tensor_info *t)
{
    if (!t)
        return 0;
    if (t->rank == 4 && t->shape[1] == CHANNELS && t->shape[2] == t->shape[3] && t->shape[2] <= INT16_MAX)
        return (int)t->shape[2];
    for (int patch = 1; t->rank == 2 && patch <= 64; patch++)
        if (t->shape[1] == CHANNELS * (uint64_t)patch * (uint64_t)patch)
            return patch;
    import_wrong(m, t, "which is no square patch of 3 channels");
    return 0;
}

static int width_of(const struct importing *m)
{
    static const struct {
        const char *name;
        int rank, axis;
    } tells[] = {{"patch_embed.proj.weight", -1, 0}, {"cls_token", 3, 2}, {"norm.weight", 1, 0}, {"pos_embed", 3, 2}};
    int width = 0;

    for (size_t i = 0; i < sizeof tells / sizeof *tells && !width; i++)
        width = import_size_of(m, tells[i].name, tells[i].rank, tells[i].axis);
    return width;
}

/* Any block tells it. */
static int hidden_of(const struct importing *m, int depth)
{
    char name[64];
    int hidden = 0;

    for (int i = 0; i < depth && !hidden; i++) {
        snprintf(name, sizeof name, "blocks.%d.mlp.fc1.weight", i);
        hidden = import_size_of(m, name, 2, 0);
        snprintf(name, sizeof name, "blocks.%d.mlp.fc1.bias", i);
        hidden = hidden ? hidden : import_size_of(m, name, 1, 0);
        snprintf(name, sizeof name, "blocks.%d.mlp.fc2.weight", i);
        hidden = hidden ? hidden : import_size_of(m, name, 2, 1);
    }
    return hidden;
}

static void measure(struct importing *m, struct backbone_shape *s)
{
    s->channels = CHANNELS;
    s->patch = patch_of(m, import_find(m, "patch_embed.proj.weight"));
    s->width = width_of(m);
    s->depth = import_depth(m, "blocks.", '.');
    s->hidden = hidden_of(m, s->depth);
    s->side = import_side(m, "pos_embed", s->patch ? s->patch : 1);
}

static int parts(const struct importing *m, const struct backbone_shape *shape, const struct backbone_tensor *t,
                 struct part out[PARTS_MAX])
{
    const struct tensor_info *found = import_find(m, t->name);

    (void)shape;
    out[0] = (struct part){.rank = t->rank, .how = PART_COPY};
    snprintf(out[0].key, sizeof out[0].key, "%s", t->name);
    for (int i = 0; i < t->rank; i++)
        out[0].shape[i] = t->shape[i];
    if (t->rank == 4 && found && found->rank == 2) { /* the old form of the patch embedding */
        out[0].rank = 2;
        out[0].shape[1] = t->count / t->shape[0];
    }
    return 1;
}

const struct naming torch_naming = {torch_choose, measure, parts, torch_classify};
