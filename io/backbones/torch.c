/* io/backbones/torch.c - the network under timm's names, which are the canonical ones. */
#include <stdio.h>
#include <string.h>

#include "io/backbones/torch_names.h"

enum { CHANNELS = 3 };

/* (D, 3, p, p), or (D, 3 p p) as very old files have it; 0 and a problem for others. */
static int patch_of(struct importing *m, const struct tensor_info *t)
{
    char have[SIZES_TEXT];

    if (t->rank == 4 && t->shape[1] == CHANNELS && t->shape[2] == t->shape[3] && t->shape[2] <= INT16_MAX)
        return (int)t->shape[2];
    for (int patch = 1; t->rank == 2 && patch <= 64; patch++)
        if (t->shape[1] == CHANNELS * (uint64_t)patch * (uint64_t)patch)
            return patch;
    import_problem(m, FAULT_SHAPE, "%s has shape %s, which is no square patch of 3 channels", t->name,
                   sizes_text(have, t->rank, t->shape));
    return 0;
}

static int measure(struct importing *m, struct backbone_shape *s)
{
    const struct tensor_info *patches = import_need(m, "patch_embed.proj.weight", -1);
    const struct tensor_info *positions = import_need(m, "pos_embed", 3);
    const struct tensor_info *fc1 = import_need(m, "blocks.0.mlp.fc1.weight", 2);

    s->depth = import_depth(m, "blocks.", '.');
    if (!patches || !positions || !fc1 || !(s->patch = patch_of(m, patches)))
        return import_settle(m);
    s->channels = CHANNELS;
    s->width = import_size(patches->shape[0]);
    s->hidden = import_size(fc1->shape[0]);
    s->side = import_side(m, "pos_embed", positions->shape[1], s->patch);
    return import_settle(m);
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
