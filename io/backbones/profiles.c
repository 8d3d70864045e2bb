/* io/backbones/profiles.c - see profiles.h. */
#include "io/backbones/profiles.h"

#include <stddef.h>
#include <string.h>

#define ROOTS(...)  \
    {               \
        __VA_ARGS__ \
    }
#define PREFIXES(...) \
    {                 \
        __VA_ARGS__   \
    }
const struct backbone_profile backbone_profiles[PROFILE_COUNT] = {
#define X(symbol, name, preset, title, roots, prefixes, heads, advice) \
    [PROFILE_##symbol] = {name, preset, title, roots, prefixes, heads, advice},
    BACKBONE_PROFILES(X)
#undef X
};

const struct backbone_profile *backbone_profile_by_name(const char *name)
{
    for (int i = 0; i < PROFILE_COUNT; i++)
        if (!strcmp(backbone_profiles[i].name, name))
            return &backbone_profiles[i];
    return NULL;
}

int backbone_usual_heads(int width)
{
    static const struct {
        int width, heads;
    } usual[] = {{192, 3}, {384, 6}, {768, 12}, {1024, 16}, {1280, 16}};

    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (usual[i].width == width)
            return usual[i].heads;
    return 0;
}
