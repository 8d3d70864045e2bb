/* io/backbones/recognise.h - from what a file looks like to what it is taken for. */
#ifndef IO_BACKBONES_RECOGNISE_H
#define IO_BACKBONES_RECOGNISE_H

#include <stdbool.h>

#include "io/backbone.h"
#include "io/backbones/profiles.h"

/* What a file looks like, apart from the numbers of its weights. */
struct looks {
    const struct backbone_shape *shape; /* heads aside */
    bool jax;                           /* Google's names (.npz), else timm's */
    bool pickled;                       /* a .pth */
    const char *root, *prefix;          /* what the weights were taken from; "" for none */
    bool head, pre_logits;              /* behind the prefix stand tensors of a head, of a representation layer */
    bool masks;                         /* somewhere stand those by which iBOT masks patches */
    bool sines;                         /* the positions are the fixed ones of MoCo v3 */
};

/* One of the five only if the network is ViT-B/16 at 224 pixels, as all five are; PROFILE_TIMM for all others. */
enum backbone_profile_id looks_profile(const struct looks *l);
/* Heads as far as looks, the profile that the user named (may be NULL) and the width tell: MoCo v3's networks have 12 at
 * any width.  0: nobody knows. */
int looks_heads(const struct looks *l, const struct backbone_profile *wanted);

#endif
