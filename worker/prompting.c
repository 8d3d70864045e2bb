/* worker/prompting.c - see prompting.h. */
#include "worker/prompting.h"

#include <stdlib.h>
#include <string.h>

#include "model/rng.h"

int prompting_open(struct prompting *p, struct stage_run *run, const struct vit_shape *shape, int max_batch, err *e)
{
    struct option_reader *r = &run->options;
    const char *layout = option_choice(r, OPTION_PROMPT_LAYOUT), *gate = option_choice(r, OPTION_GATE_ACTIVATION);
    const char *scope = option_choice(r, OPTION_GATE_SCOPE);
    uint64_t layers = option_layers(r, OPTION_PROMPT_LAYERS);

    memset(p, 0, sizeof *p);
    p->prefix.length = (int)option_int(r, OPTION_PROMPT_LENGTH);
    p->gate_train = option_choice(r, OPTION_GATE_TRAIN);
    if (e->code || prefix_set_layers(&p->prefix, layers, shape->depth, e))
        return e->code;
    if (!layers)
        return err_set(e, ERR_CONFIG, "prompt.layers names no block");
    p->official = !strcmp(layout, "official");
    p->prefix.gate = gate_by_name(gate);
    p->prefix.scopes = strcmp(scope, "head") ? 1 : shape->heads;
    p->prompt_size = prefix_prompt_size(&p->prefix, shape->width);
    p->scalars_size = prefix_scalars_size(&p->prefix);
    while (p->prefix.layer_of[p->first_block] < 0)
        p->first_block++;
    p->sources = calloc((size_t)max_batch, sizeof *p->sources);
    if (!p->sources)
        return err_set(e, ERR_NOMEM, "no memory for a batch of %d", max_batch);
    p->prefix.sources = p->sources;
    return 0;
}

void prompting_close(struct prompting *p)
{
    free(p->sources);
    memset(p, 0, sizeof *p);
}

void prompting_init_scalars(const struct prompting *p, double a0, double a1, float *scalars)
{
    for (size_t i = 0; i < p->scalars_size; i++)
        scalars[i] = (float)(i / (size_t)p->prefix.scopes % 2 ? a1 : a0);
}

void prompting_init_prompt(const struct prompting *p, uint64_t seed, int task, float *prompt)
{
    rng r = rng_stream(seed, RNG_PROMPT_INIT, (uint32_t)task, 0, 0);

    rng_fill_uniform(&r, prompt, p->prompt_size, -1, 1);
}

void prompting_set(struct prompting *p, int n, const float *const *prompts, const float *const *scalars)
{
    for (int b = 0; b < n; b++) {
        struct prefix_source *s = &p->sources[b];
        int sample;

        prefix_map(p->official, n, b, 1, &s->value_half, &sample);
        s->value_prompt = prompts[sample];
        prefix_map(p->official, n, b, 0, &s->key_half, &sample);
        s->key_prompt = prompts[sample];
        s->scalars = scalars[b];
    }
}

void prompting_set_one(struct prompting *p, int n, const float *prompt, const float *scalars)
{
    for (int b = 0; b < n; b++) {
        struct prefix_source *s = &p->sources[b];
        int sample;

        prefix_map(p->official, n, b, 0, &s->key_half, &sample);
        prefix_map(p->official, n, b, 1, &s->value_half, &sample);
        s->key_prompt = s->value_prompt = prompt;
        s->scalars = scalars;
    }
}
