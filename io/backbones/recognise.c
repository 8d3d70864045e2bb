/* io/backbones/recognise.c - what a file looks like, and whether it is what the user takes it for. */
#include <math.h>
#include <string.h>

#include "io/backbones/importing.h"
#include "io/backbones/recognise.h"

enum { CLASSES_21K = 21843, CLASSES_1K = 1000, SIDE = 224 /* pixels, as all five were published */ };

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

/* ---------------------------------------------------------------- from looks to a profile */

/* The one network that all five backbones are, whatever images it has been made for since. */
static bool is_vit_b16(const struct backbone_shape *s)
{
    return s->patch == 16 && s->width == 768 && s->depth == 12 && s->hidden == 3072;
}

static bool is_moco(const struct looks *l)
{
    return strstr(l->prefix, "base_encoder.") || strstr(l->prefix, "momentum_encoder.") || l->sines;
}

enum backbone_profile_id looks_profile(const struct looks *l)
{
    bool bare = l->pickled && !*l->prefix && !l->head;

    if (!is_vit_b16(l->shape) || l->shape->side != SIDE)
        return PROFILE_TIMM;
    if (l->jax)
        return l->pre_logits ? PROFILE_SUP21K : PROFILE_TIMM;
    if (is_moco(l)) /* the momentum encoder is a shadow of what was published */
        return strstr(l->prefix, "momentum_encoder.") ? PROFILE_TIMM : PROFILE_MOCO1K;
    if (!strcmp(l->root, "teacher") && !strcmp(l->prefix, "backbone."))
        return l->masks ? PROFILE_IBOT21K : PROFILE_DINO1K;
    if (bare && !strcmp(l->root, "state_dict"))
        return PROFILE_IBOT1K;
    return bare && !*l->root ? PROFILE_DINO1K : PROFILE_TIMM;
}

int looks_heads(const struct looks *l, const struct backbone_profile *wanted)
{
    const struct backbone_profile *p = is_moco(l) ? &backbone_profiles[PROFILE_MOCO1K] : wanted;

    return p && p->heads && l->shape->width % p->heads == 0 ? p->heads : backbone_usual_heads(l->shape->width);
}

/* ---------------------------------------------------------------- what is in the file */

/* A training checkpoint of iBOT, which masks patches; DINO's does not. */
static bool masks_patches(const struct importing *m)
{
    return ending(m, "student", "masked_embed") || ending(m, "teacher", "last_layer2.weight_g") ||
           ending(m, "teacher", "last_layer2.weight_v");
}

static struct looks look_at(const struct importing *m, const struct backbone_weights *w)
{
    bool jax = m->naming == &jax_naming;

    return (struct looks){.shape = &w->shape,
                          .jax = jax,
                          .pickled = strstr(m->file->container, "pth") != NULL,
                          .root = m->report->root,
                          .prefix = m->report->prefix,
                          .head = any_behind_prefix(m, jax ? "head/" : "head."),
                          .pre_logits = any_behind_prefix(m, jax ? "pre_logits/" : "pre_logits."),
                          .masks = masks_patches(m),
                          .sines = sine_positions(w)};
}

/* Of Google's files, which. */
static void note_jax(struct importing *m, const struct looks *l)
{
    const struct tensor_info *head = import_find(m, "head/kernel");
    uint64_t classes = head && head->rank == 2 ? head->shape[1] : 0;

    if (l->pre_logits)
        import_note(m, "this is orig-21k, the original ImageNet-21k backbone (it has pre_logits)");
    else
        import_note(m, "this is %s, not the original ImageNet-21k backbone (no pre_logits)",
                    classes == CLASSES_21K  ? "augreg-21k"
                    : classes == CLASSES_1K ? "fine-tuned-1k"
                                            : "a backbone without a known head");
}

/* Google's original has the representation layer.  What others made of it (timm's orig_in21k) may lack both layer and head,
 * but a head alone is that of another training. */
static bool other_than_sup21k(const struct looks *l)
{
    return l->jax ? !l->pre_logits : l->head && !l->pre_logits;
}

static int choose_heads(struct importing *m, const struct looks *l, struct backbone_shape *s)
{
    int usual = backbone_usual_heads(s->width);

    if (s->heads)
        return 0;
    s->heads = looks_heads(l, m->report->profile);
    if (!s->heads)
        return fault_set(
            m->e, FAULT_MISSING,
            "%s: the file does not say how many attention heads a network of width %d has; say it with --heads N",
            m->file->source.name, s->width);
    if (s->heads != usual)
        import_note(m, "taken to have %d attention heads, as MoCo v3's networks of any width; --heads N says otherwise",
                    s->heads);
    return 0;
}

/* What the file says it is, unless it cannot be that: NULL then, and if it says nothing. */
static const struct backbone_profile *said_profile(struct importing *m, const struct looks *l)
{
    const struct backbone_profile *said = backbone_profile_by_name(m->file->profile);
    char text[ESCAPED_SIZE];

    if (!*m->file->profile)
        return NULL;
    if (!said || (said != &backbone_profiles[PROFILE_TIMM] && !is_vit_b16(l->shape))) {
        import_note(m, "WARNING: the file says profile '%s', which %s",
                    escaped(text, m->file->profile, strlen(m->file->profile)),
                    said ? "is a ViT-B/16, and this is none" : "nobody knows");
        return NULL;
    }
    return said;
}

/* The profile for want of one that the user named. */
static const struct backbone_profile *choose_profile(struct importing *m, const struct looks *l)
{
    const struct backbone_profile *found = &backbone_profiles[looks_profile(l)], *said = said_profile(m, l);

    if (said) {
        import_note(m, "taken for profile %s (%s), as the file says", said->name, said->title);
        return said;
    }
    import_note(m, "taken for profile %s (%s) from the names and places of its tensors%s", found->name, found->title,
                found == &backbone_profiles[PROFILE_TIMM] ? "" : "; --profile says it for sure");
    return found;
}

int import_recognise(struct importing *m, struct backbone_weights *w)
{
    const struct looks l = look_at(m, w);

    if (l.jax)
        note_jax(m, &l);
    m->report->profile = m->wanted ? m->wanted : choose_profile(m, &l);
    if (m->report->profile == &backbone_profiles[PROFILE_SUP21K] && other_than_sup21k(&l))
        import_note(m, "WARNING: this is not the backbone sup21k of the papers%s; accuracies will not match theirs",
                    l.jax ? "" : " (it has a head, and the original's files have none or pre_logits with it)");
    if (m->report->profile == &backbone_profiles[PROFILE_MOCO1K] && !l.sines)
        import_note(m, "WARNING: its position embedding is not the fixed one of MoCo v3, so this is another backbone");
    if (m->report->profile->advice)
        import_note(m, "%s", m->report->profile->advice);
    return choose_heads(m, &l, &w->shape);
}
