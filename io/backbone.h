/* io/backbone.h - the backbone store: the weights of Vision Transformers by name.
 *
 * A backbone is one HDF5 file NAME.h5 (io/h5.h): in the group "tensors" one array for each tensor under its canonical name, which
 * is timm's, as floats or halves, and the attributes format ("vit-backbone"), format_version, side (pixels), patch_size (pixels),
 * num_heads, name, profile (io/backbones/profiles.h; "" if it is none) and provenance.  What follows from shapes is not said
 * twice: width, depth, hidden width and channels are read off the tensors.  Shape letters: D width
 * T tokens, 1 + (side/patch)^2   M hidden width of the MLP   C channels   p patch */
#ifndef IO_BACKBONE_H
#define IO_BACKBONE_H

#include <stdbool.h>
#include <stddef.h>

#include "io/digest.h"
#include "io/err.h"
#include "io/places.h"

enum { BACKBONE_MAX_DEPTH = 64, BACKBONE_FORMAT_VERSION = 1 };
#define BACKBONE_FORMAT "vit-backbone"
#define BACKBONE_GROUP  "tensors/"

struct backbone_shape {
    int side, patch; /* pixels */
    int channels, width, depth, heads, hidden;
};

struct backbone_tensor {
    char name[64]; /* "blocks.3.attn.qkv.weight" */
    int rank;
    size_t shape[4];
    size_t count; /* numbers */
    float *data;
};

struct backbone_weights {
    char name[64], profile[16];
    struct backbone_shape shape;
    int count; /* tensors: 6 and 12 for each block */
    struct backbone_tensor *tensors;
    char *provenance; /* where the weights came from; "" when unknown */
    float *memory;    /* all tensors one after the other, owned */
};

/* Zero-filled weights of a shape, with no name; owned by the caller.  ERR_SHAPE if sizes are out of range, patch does
 * not divide side or heads does not divide width; ERR_NOMEM. */
int backbone_create(struct backbone_weights *out, const struct backbone_shape *shape, err *e);
/* Name, rank, shape and count of the k-th tensor of such a network; false past the end, and if there is no such network. */
bool backbone_layout(const struct backbone_shape *shape, int k, struct backbone_tensor *out);
/* The tensor of that name; NULL if there is none. */
const struct backbone_tensor *backbone_tensor(const struct backbone_weights *w, const char *name);

/* The folders searched, in order: those of SLUICE_BACKBONES (separated by colons), ~/.local/share/sluice/backbones, and
 * those that the build named (the installed share/sluice/backbones; of the source tree, sweeps/backbones). */
void backbone_places(struct places *out);
/* The file of a backbone.  ERR_MISSING with the places searched; ERR_CONFIG if that is no name. */
int backbone_locate(const char *name, char path[PATH_SIZE], err *e);

/* Where a new backbone of that name is kept, in a folder that is made if it is missing; see place_to_keep(). */
int backbone_place(const char *name, char path[PATH_SIZE], err *e);

/* By name, or a file.  The content is compared with its recorded digest.  ERR_DAMAGED lists every tensor that is
 * missing, unknown or misshapen (so far as the text has room) and names a number that is not finite. */
int backbone_open(const char *name, struct backbone_weights *out, err *e);
int backbone_read(const char *path, struct backbone_weights *out, err *e);
void backbone_close(struct backbone_weights *w); /* harmless twice, and after a failure */

/* Shape and digest without reading the weights.  The digest is what a stage's key takes in: the one recorded for the
 * tensors, with side, patch and heads. */
int backbone_describe(const char *name, struct backbone_shape *shape, struct digest *digest, err *e);
int backbone_digest(const char *name, struct digest *out, err *e);
/* The same of a file; with provenance (may be NULL) also where it came from, malloc'd. */
int backbone_about(const char *path, struct backbone_shape *shape, struct digest *digest, char **provenance, err *e);

/* Name and profile are written as they stand in w, the provenance too (NULL: ""); half: rounded to 16 bits and
 * deflated.  Weights of 32 bits stay as they are: they hardly shrink, and every trial reads them. */
int backbone_write(const char *path, const struct backbone_weights *w, bool half, err *e);

#endif
