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
    /* What the tensors say of the network's shape: a size that none tells stays 0.  A tensor that should tell one and
     * cannot is a problem; one that is missing not yet. */
    void (*measure)(struct importing *m, struct backbone_shape *shape);
    /* What the tensor t is made of; returns how many parts. */
    int (*parts)(const struct importing *m, const struct backbone_shape *shape, const struct backbone_tensor *t,
                 struct part out[PARTS_MAX]);
    enum key_class (*classify)(const char *name);
};
extern const struct naming torch_naming, jax_naming;

/* A text of the report that a file can make long: past the limit, entries are counted and told as "... 3 more". */
struct import_list {
    char **text;
    const char *separator;
    size_t limit;
    int left_out;
};

/* Of the tensors of the file: used by the network; told as a problem, and not to be told again. */
enum { MARK_USED = 1, MARK_TOLD = 2 };

struct importing {
    struct tensor_file *file;
    const struct naming *naming;
    const struct import_options *options;
    struct import_report *report;
    const struct backbone_profile *wanted; /* what the user named, or NULL */
    const char *root;                      /* of the tensors in question */
    struct names names;                    /* those behind the prefix -> number in the file */
    unsigned char *marks;                  /* one for each tensor of the file */
    struct import_list problem_list;
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
/* One size of that tensor; 0 unless it is there and has this rank (-1: any that has the axis). */
int import_size_of(const struct importing *m, const char *name, int rank, int axis);
/* "<name> has shape (...), <why>", once. */
void import_wrong(struct importing *m, const struct tensor_info *t, const char *why);
/* The name behind the prefix if tensor i is one of the chosen; NULL otherwise. */
const char *import_stripped(const struct importing *m, size_t i);
/* Side in pixels from the tokens of the position embedding; 0 if it does not tell, and a problem if they are no square and
 * a class token. */
int import_side(struct importing *m, const char *name, int patch);
/* The largest number of all tensors "<before><number><behind>...", plus 1: a block that is missing in between is no
 * reason to take the network for a shallower one.  More than BACKBONE_MAX_DEPTH comes out as one more. */
int import_depth(const struct importing *m, const char *before, char behind);

/* A size as an int; what does not fit any backbone comes out as something that still does not. */
static inline int import_size(uint64_t size)
{
    return size < 1 << 20 ? (int)size : 1 << 20;
}

bool jax_recognised(const struct tensor_file *f);
/* recognise.c: profile into the report, heads into the shape unless they are there, with notes about what it looks like;
 * after the weights have been read. */
int import_recognise(struct importing *m, struct backbone_weights *w);

#endif
