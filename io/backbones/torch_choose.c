/* io/backbones/torch_choose.c - which dict of a file holds the backbone, and what stands before its names. */
#include <stdio.h>
#include <string.h>

#include "io/backbones/torch_names.h"

enum { ROOTS_MAX = 32, PREFIXES_MAX = 16 };

static const char anchor[] = "patch_embed.proj.weight"; /* every backbone has it */

/* First-level entries that are looked into when nobody says which; never "student", whose weights nobody publishes. */
static const char *const usual_roots[] = {"teacher", "state_dict", "model"};
static const char *const known_prefixes[] = {
    "", "backbone.", "module.", "module.backbone.", "module.base_encoder.", "base_encoder."};

static bool ends_with(const char *text, const char *ending)
{
    size_t n = strlen(text), m = strlen(ending);

    return n >= m && !strcmp(text + n - m, ending);
}

/* Whether the dict holds a backbone under some prefix. */
static bool holds_backbone(const struct tensor_file *f, const char *root)
{
    for (size_t i = 0; i < f->count; i++)
        if (!strcmp(f->info[i].root, root) && ends_with(f->info[i].name, anchor))
            return true;
    return false;
}

static bool exists(const struct tensor_file *f, const char *root)
{
    for (size_t i = 0; i < f->count; i++)
        if (!strcmp(f->info[i].root, root))
            return true;
    return false;
}

/* "teacher (a backbone), optimizer"; tensors of one dict come one after the other. */
static const char *roots_text(const struct tensor_file *f, char text[400])
{
    const char *last = NULL;
    char name[ESCAPED_SIZE];
    size_t used = 0;
    int shown = 0;

    strcpy(text, "nothing with tensors");
    for (size_t i = 0; i < f->count && used < 200; i++) {
        if (last && !strcmp(last, f->info[i].root))
            continue;
        last = f->info[i].root;
        used += (size_t)snprintf(text + used, 400 - used, "%s%s%s", shown++ ? ", " : "",
                                 *last ? escaped(name, last, strlen(last)) : "the top level",
                                 holds_backbone(f, last) ? " (with a backbone)" : "");
    }
    return text;
}

/* What other naming schemes look like. */
static const char *hint(const struct tensor_file *f)
{
    static const struct {
        const char *part, *hint;
    } schemes[] = {
        {"embeddings.cls_token", "; these are the names of Hugging Face's transformers: convert the model to timm's"},
        {"attention.attention.query.weight",
         "; these are the names of Hugging Face's transformers: convert the model to timm's"},
        {"visual.conv1.weight", "; this is a CLIP model, whose network is another one"},
        {"conv1.weight", "; this looks like a convolutional network"},
    };

    for (size_t s = 0; s < sizeof schemes / sizeof *schemes; s++)
        for (size_t i = 0; i < f->count; i++)
            if (strstr(f->info[i].name, schemes[s].part))
                return schemes[s].hint;
    return "";
}

static int no_backbone(struct importing *m)
{
    char text[400];

    return fault_set(m->e, FAULT_MISSING,
                     "%s: no tensor is called ...%s, so there is no Vision Transformer; found: %s%s",
                     m->file->source.name, anchor, roots_text(m->file, text), hint(m->file));
}

/* ---------------------------------------------------------------- the dict */

static int named_root(struct importing *m, const char *root)
{
    char text[400];

    m->root = strcmp(root, ".") ? root : "";
    if (exists(m->file, m->root))
        return 0;
    return fault_set(m->e, FAULT_MISSING, "%s: has no dict '%s' with tensors; found: %s", m->file->source.name, root,
                     roots_text(m->file, text));
}

static bool pickled(const struct tensor_file *f)
{
    return !strcmp(f->container, "pth") || !strcmp(f->container, "legacy pth");
}

/* One of the profile's. */
static int profile_root(struct importing *m)
{
    const struct backbone_profile *p = m->wanted;
    char text[400];

    for (int i = 0; i < PROFILE_CHOICES && p->roots[i]; i++) {
        m->root = strcmp(p->roots[i], ".") ? p->roots[i] : "";
        if (holds_backbone(m->file, m->root))
            return 0;
    }
    return fault_set(
        m->e, FAULT_MISSING,
        "%s: %s keeps its weights in the dict '%s', which is not here; found: %s; --root NAME (or --root . for "
        "the top level) takes another one%s",
        m->file->source.name, p->name, p->roots[0], roots_text(m->file, text), hint(m->file));
}

static int usual_root(struct importing *m)
{
    char text[400];
    int found = 0;

    m->root = "";
    if (holds_backbone(m->file, ""))
        return 0;
    for (size_t i = 0; i < sizeof usual_roots / sizeof *usual_roots; i++)
        if (holds_backbone(m->file, usual_roots[i])) {
            m->root = usual_roots[i];
            found++;
        }
    if (found == 1)
        return 0;
    if (!found && !holds_backbone(m->file, "student"))
        return no_backbone(m);
    return fault_set(m->e, found ? FAULT_DUP : FAULT_MISSING, "%s: %s; found: %s; say which with --root NAME",
                     m->file->source.name,
                     found ? "several of its dicts hold a backbone"
                           : "only the student holds a backbone, and it is the "
                             "teacher that is published",
                     roots_text(m->file, text));
}

/* ---------------------------------------------------------------- the prefix */

static bool known(const char *prefix)
{
    for (size_t i = 0; i < sizeof known_prefixes / sizeof *known_prefixes; i++)
        if (!strcmp(prefix, known_prefixes[i]))
            return true;
    return false;
}

struct candidates {
    char prefix[PREFIXES_MAX][sizeof((struct import_report *)0)->prefix];
    int count;
};

static void collect(const struct importing *m, struct candidates *c)
{
    for (size_t i = 0; i < m->file->count; i++) {
        const struct tensor_info *t = &m->file->info[i];
        size_t n = strlen(t->name) - strlen(anchor);

        if (strcmp(t->root, m->root) != 0 || !ends_with(t->name, anchor) || n >= sizeof c->prefix[0] ||
            c->count == PREFIXES_MAX)
            continue;
        memcpy(c->prefix[c->count], t->name, n);
        c->prefix[c->count++][n] = '\0';
    }
}

static bool among(const struct candidates *c, const char *prefix)
{
    for (int i = 0; i < c->count; i++)
        if (!strcmp(c->prefix[i], prefix))
            return true;
    return false;
}

/* MoCo's momentum encoder is a shadow of its base encoder. */
static void drop_momentum(struct candidates *c)
{
    int kept = 0;
    bool base = false;

    for (int i = 0; i < c->count; i++)
        base = base || strstr(c->prefix[i], "base_encoder.");
    for (int i = 0; i < c->count; i++)
        if (!base || !strstr(c->prefix[i], "momentum_encoder."))
            memmove(c->prefix[kept++], c->prefix[i], sizeof c->prefix[0]);
    c->count = kept;
}

static const char *candidates_text(const struct candidates *c, char text[300])
{
    char one[ESCAPED_SIZE];
    size_t used = 0;

    *text = '\0';
    for (int i = 0; i < c->count && used < 150; i++)
        used += (size_t)snprintf(text + used, 300 - used, "%s'%s'", i ? ", " : "",
                                 escaped(one, c->prefix[i], strlen(c->prefix[i])));
    return text;
}

static int take_prefix(struct importing *m, const char *prefix)
{
    snprintf(m->report->prefix, sizeof m->report->prefix, "%s", prefix);
    return 0;
}

static int choose_prefix(struct importing *m)
{
    struct candidates c = {0};
    char text[300];

    collect(m, &c);
    if (m->options->prefix && among(&c, m->options->prefix))
        return take_prefix(m, m->options->prefix);
    if (!c.count)
        return no_backbone(m);
    for (int i = 0; m->wanted && !m->options->prefix && i < PROFILE_CHOICES && m->wanted->prefixes[i]; i++)
        if (among(&c, m->wanted->prefixes[i]))
            return take_prefix(m, m->wanted->prefixes[i]);
    drop_momentum(&c);
    if (c.count == 1 && known(c.prefix[0]) && !m->options->prefix)
        return take_prefix(m, c.prefix[0]);
    return fault_set(m->e, c.count > 1 ? FAULT_DUP : FAULT_MISSING,
                     "%s: the names of the backbone's tensors begin with %s; say which to take with --prefix TEXT",
                     m->file->source.name, candidates_text(&c, text));
}

int torch_choose(struct importing *m)
{
    int status;

    if (m->options->root)
        status = named_root(m, m->options->root);
    else if (m->wanted && m->wanted->roots[0] && pickled(m->file))
        status = profile_root(m);
    else
        status = usual_root(m);
    if (status)
        return status;
    snprintf(m->report->root, sizeof m->report->root, "%s", m->root);
    return choose_prefix(m);
}
