/* io/backbones/profiles.h - which published file is which backbone.
 *
 * All five are the same network, ViT-B/16 at 224 pixels; what differs is where in a file its weights stand.  `timm` is any
 * other state dict with timm's names. */
#ifndef IO_BACKBONES_PROFILES_H
#define IO_BACKBONES_PROFILES_H

#include <stdbool.h>

enum { PROFILE_CHOICES = 2 };

/* symbol, name, the name that presets use, what it is,
 * outer keys of a .pth in order of preference ("." is the top level; none: whichever holds a backbone), prefixes of the
 * names in order of preference, heads (0: the usual ones for the width), a line for the user */
#define BACKBONE_PROFILES(X)                                                                                          \
    X(SUP21K, "sup21k", "vit-b16-sup21k", "supervised on ImageNet-21k, Google's original ViT-B_16.npz", ROOTS(NULL),  \
      PREFIXES(""), 0, NULL)                                                                                          \
    X(IBOT21K, "ibot21k", "vit-b16-ibot21k", "iBOT on ImageNet-21k, the teacher of checkpoint.pth", ROOTS("teacher"), \
      PREFIXES("backbone."), 0, NULL)                                                                                 \
    X(IBOT1K, "ibot1k", "vit-b16-ibot1k", "iBOT on ImageNet-1k, checkpoint_teacher.pth", ROOTS("state_dict"),         \
      PREFIXES(""), 0, NULL)                                                                                          \
    X(DINO1K, "dino1k", "vit-b16-dino1k", "DINO on ImageNet-1k, dino_vitbase16_pretrain.pth", ROOTS(".", "teacher"),  \
      PREFIXES("", "backbone."), 0, NULL)                                                                             \
    X(MOCO1K, "moco1k", "vit-b16-moco1k", "MoCo v3 on ImageNet-1k, vit-b-300ep.pth.tar or its conversion",            \
      ROOTS("model", "state_dict"), PREFIXES("", "module.base_encoder."), 12,                                         \
      "the official code drops this backbone's final norm: train with feature.norm: fc_norm; final uses the stored "  \
      "norm")                                                                                                         \
    X(TIMM, "timm", "vit-b16", "any Vision Transformer with timm's names", ROOTS(NULL), PREFIXES(NULL), 0, NULL)

enum backbone_profile_id {
#define X(symbol, ...) PROFILE_##symbol,
    BACKBONE_PROFILES(X)
#undef X
        PROFILE_COUNT
};

struct backbone_profile {
    const char *name, *preset_name, *title;
    const char *roots[PROFILE_CHOICES], *prefixes[PROFILE_CHOICES];
    int heads;
    const char *advice;
};

extern const struct backbone_profile backbone_profiles[PROFILE_COUNT];
const struct backbone_profile *backbone_profile_by_name(const char *name); /* NULL if there is none */

/* Heads of the usual Vision Transformers by width: 0 if the width is not one of theirs.  A state dict does not say. */
int backbone_usual_heads(int width);

#endif
