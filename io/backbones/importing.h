/* io/backbones/importing.h - an import in progress.  For io/backbones/ only. */
#ifndef IO_BACKBONES_IMPORTING_H
#define IO_BACKBONES_IMPORTING_H

#include "io/backbones/import.h"
#include "io/containers/fault.h"
#include "io/containers/names.h"

/* How the numbers of a file's tensor become (a part of) a tensor of the network. */
enum part_how {
    PART_COPY,
    PART_TRANSPOSE, /* (in, out) to (out, in) */
    PART_PATCHES    /* (y, x, channel, out) to (out, channel, y, x) */
};

struct part {
    char key[128]; /* behind the prefix */
    int rank;
    uint64_t shape[4];
    enum part_how how;
    int inputs; /* of a transposed part: how many leading axes are the input */
    size_t at;  /* where its numbers begin in the network's tensor */
};

enum { PARTS_MAX = 3 };

/* A tensor that is none of the network's. */
enum key_class { KEY_DROPPED, KEY_CHANGES, KEY_UNKNOWN };

struct importing;

/* What tensors are called: torch.c has timm's names, jax.c Google's. */
struct naming {
    /* Dict and prefix, into m->root and report->prefix. */
    int (*choose)(struct importing *m);
    /* What the tensors say of the network's shape (all but side's divisibility and heads, which may stay 0). */
    int (*measure)(struct importing *m, struct backbone_shape *shape);
    /* What the tensor t is made of; returns how many parts. */
    int (*parts)(const struct importing *m, const struct backbone_shape *shape, const struct backbone_tensor *t,
                 struct part out[PARTS_MAX]);
    enum key_class (*classify)(const char *name);
};
extern const struct naming torch_naming, jax_naming;

struct importing {
    struct tensor_file *file;
    const struct naming *naming;
    const struct import_options *options;
    struct import_report *report;
    const struct backbone_profile *wanted; /* what the user named, or NULL */
    const char *root;                      /* of the tensors in question */
    struct names names;                    /* those behind the prefix -> number in the file */
    int problems;
    enum fault kind; /* of the problem that matters most; FAULT_NONE: none so far */
    err *e;
};

/* A problem with one tensor. */
void import_problem(struct importing *m, enum fault kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void import_note(struct importing *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* All problems as an error; 0 if there are none. */
int import_settle(struct importing *m);

/* A tensor by the name behind the prefix; NULL if there is none. */
const struct tensor_info *import_find(const struct importing *m, const char *name);
/* The same, a missing one and one of another rank being problems (rank -1: any). */
const struct tensor_info *import_need(struct importing *m, const char *name, int rank);
/* The name behind the prefix if tensor i is one of the chosen; NULL otherwise. */
const char *import_stripped(const struct importing *m, size_t i);
/* Side in pixels from the number of tokens; a problem if they are no square and a class token. */
int import_side(struct importing *m, const char *name, uint64_t tokens, int patch);
/* Blocks 0, 1, ... of which there are tensors "<before><number><behind>...". */
int import_depth(const struct importing *m, const char *before, char behind);

/* A size as an int; what does not fit any backbone comes out as something that still does not. */
static inline int import_size(uint64_t size)
{
    return size < 1 << 20 ? (int)size : 1 << 20;
}

bool jax_recognised(const struct tensor_file *f);
/* recognise.c: which profile this is, with notes about what it looks like; after the weights have been read. */
const struct backbone_profile *import_recognise(struct importing *m, const struct backbone_weights *w);

#endif
