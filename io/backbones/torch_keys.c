/* io/backbones/torch_keys.c - tensors that are none of the network's: to be dropped, or to be afraid of. */
#include <fnmatch.h>
#include <stddef.h>

#include "io/backbones/torch_names.h"

/* '*' is any text. */
static const struct {
    const char *pattern;
    enum key_class class;
} patterns[] = {
    {"head.*", KEY_DROPPED},
    {"head_dist.*", KEY_DROPPED},
    {"pre_logits.*", KEY_DROPPED},
    {"masked_embed", KEY_DROPPED},
    {"mask_token", KEY_DROPPED},
    {"decoder*", KEY_DROPPED},
    {"last_layer*", KEY_DROPPED},
    {"predictor.*", KEY_DROPPED},
    {"projector.*", KEY_DROPPED},
    {"*.num_batches_tracked", KEY_DROPPED},

    /* A network that has them is not the plain Vision Transformer. */
    {"dist_token", KEY_CHANGES},
    {"fc_norm.*", KEY_CHANGES},
    {"norm_pre.*", KEY_CHANGES},
    {"*.ls1.gamma", KEY_CHANGES},
    {"*.ls2.gamma", KEY_CHANGES},
    {"*.gamma_1", KEY_CHANGES},
    {"*.gamma_2", KEY_CHANGES},
    {"*.q_norm.*", KEY_CHANGES},
    {"*.k_norm.*", KEY_CHANGES},
    {"*.attn.q_bias", KEY_CHANGES},
    {"*.attn.v_bias", KEY_CHANGES},
    {"*rel_pos*", KEY_CHANGES},
    {"reg_token", KEY_CHANGES},
    {"attn_pool.*", KEY_CHANGES},
    {"patch_embed.norm.*", KEY_CHANGES},
    {"patch_embed.backbone.*", KEY_CHANGES},
};

enum key_class torch_classify(const char *name)
{
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (!fnmatch(patterns[i].pattern, name, FNM_NOESCAPE))
            return patterns[i].class;
    return KEY_UNKNOWN;
}
