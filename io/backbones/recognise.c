/* io/backbones/recognise.c - what a file looks like, and whether it is what the user takes it for. */
#include <math.h>
#include <string.h>

#include "io/backbones/importing.h"

enum { CLASSES_21K = 21843, CLASSES_1K = 1000 };

/* A tensor of the whole file by the end of its name. */
static const struct tensor_info *ending(const struct importing *m, const char *root, const char *text)
{
    for (size_t i = 0; i < m->file->count; i++) {
        const char *name = m->file->info[i].name;
        size_t n = strlen(name), k = strlen(text);

        if (!strcmp(m->file->info[i].root, root) && n >= k && !strcmp(name + n - k, text))
            return &m->file->info[i];
    }
    return NULL;
}

static bool any_behind_prefix(const struct importing *m, const char *start)
{
    for (size_t i = 0; i < m->file->count; i++) {
        const char *name = import_stripped(m, i);

        if (name && !strncmp(name, start, strlen(start)))
            return true;
    }
    return false;
}

/* MoCo v3's positions are not learned: with q = D/4 and w_k = 10000^(-k/q), patch (r, c) has sin(r w), cos(r w), sin(c w),
 * cos(c w), and the class token zeros. */
static bool sine_positions(const struct backbone_weights *w)
{
    const struct backbone_tensor *t = backbone_tensor(w, "pos_embed");
    int width = w->shape.width, q = width / 4, grid = w->shape.side / w->shape.patch;

    if (width % 4 || grid < 2)
        return false;
    for (int i = 0; i < width; i++)
        if (t->data[i] != 0)
            return false;
    for (int n = 0; n < grid * grid; n++)
        for (int k = 0; k < q; k++) {
            double omega = pow(10000, -(double)k / q), row = n / grid * omega, column = n % grid * omega;
            const double want[] = {sin(row), cos(row), sin(column), cos(column)};
            const float *have = t->data + (size_t)(1 + n) * (size_t)width + k;

            for (int j = 0; j < 4; j++)
                if (fabs(have[j * q] - want[j]) > 1e-4)
                    return false;
        }
    return true;
}

/* ---------------------------------------------------------------- by what is in the file */

static enum backbone_profile_id recognise_jax(struct importing *m)
{
    const struct tensor_info *head = import_find(m, "head/kernel");
    uint64_t classes = head && head->rank == 2 ? head->shape[1] : 0;

    if (import_find(m, "pre_logits/kernel")) {
        import_note(m, "this is orig-21k, the original ImageNet-21k backbone (it has pre_logits)");
        return PROFILE_SUP21K;
    }
    import_note(m, "this is %s, not the original ImageNet-21k backbone (no pre_logits)",
                classes == CLASSES_21K  ? "augreg-21k"
                : classes == CLASSES_1K ? "fine-tuned-1k"
                                        : "a backbone without a known head");
    return PROFILE_TIMM;
}

/* A training checkpoint of iBOT or DINO: a teacher beside a student.  iBOT masks patches. */
static enum backbone_profile_id recognise_teacher(const struct importing *m)
{
    bool masks = ending(m, "student", "masked_embed") || ending(m, "teacher", "last_layer2.weight_g") ||
                 ending(m, "teacher", "last_layer2.weight_v");

    return masks ? PROFILE_IBOT21K : PROFILE_DINO1K;
}

static enum backbone_profile_id recognise_torch(const struct importing *m, const struct backbone_weights *w)
{
    const char *root = m->report->root, *prefix = m->report->prefix;

    if (strstr(prefix, "base_encoder.") || sine_positions(w))
        return PROFILE_MOCO1K;
    if (!strcmp(root, "teacher") && !strcmp(prefix, "backbone."))
        return recognise_teacher(m);
    if (any_behind_prefix(m, "head.") || *prefix || strcmp(m->file->container, "safetensors") == 0 ||
        strcmp(m->file->container, "hdf5") == 0)
        return PROFILE_TIMM;
    return !strcmp(root, "state_dict") ? PROFILE_IBOT1K : !*root ? PROFILE_DINO1K : PROFILE_TIMM;
}

const struct backbone_profile *import_recognise(struct importing *m, const struct backbone_weights *w)
{
    const struct backbone_profile *found;

    found = &backbone_profiles[m->naming == &jax_naming ? recognise_jax(m) : recognise_torch(m, w)];
    if (!m->wanted)
        import_note(m, "taken for profile %s (%s) from the names and places of its tensors%s", found->name,
                    found->title, found == &backbone_profiles[PROFILE_TIMM] ? "" : "; --profile says it for sure");
    if (m->wanted == &backbone_profiles[PROFILE_SUP21K] && m->naming == &jax_naming && found != m->wanted)
        import_note(m, "WARNING: this is not the backbone sup21k of the papers; accuracies will not match theirs");
    if (m->wanted == &backbone_profiles[PROFILE_MOCO1K] && !sine_positions(w))
        import_note(m, "WARNING: its position embedding is not the fixed one of MoCo v3, so this is another backbone");
    found = m->wanted ? m->wanted : found;
    if (found->advice)
        import_note(m, "%s", found->advice);
    return found;
}
