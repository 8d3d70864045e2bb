/* io/backbones/import.h - the weights of published Vision Transformers, read from the files their authors gave out.
 *
 * Container and profile are recognised from the content.  Every tensor of the network must be there once, in its shape and
 * finite; tensors of heads and projectors are dropped; a tensor that would change the function that the network computes
 * is an error, and so is one that nobody knows.  The result has timm's names and float32, whatever the file had. */
#ifndef IO_BACKBONES_IMPORT_H
#define IO_BACKBONES_IMPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "io/backbone.h"
#include "io/backbones/profiles.h"
#include "io/backbones/sums.h"
#include "io/containers/tensors.h"

struct import_options {
    const char *name;    /* what the backbone will be called */
    const char *profile; /* NULL: recognise it */
    const char *root;    /* the outer key of a .pth, "." for the top level; NULL: the profile's, or the one that fits */
    const char *prefix;  /* of the names; NULL: the profile's, or a known one */
    int heads;           /* 0: from the file, what the network looks like, the profile or the width */
    bool allow_unknown;  /* ignore tensors that nobody knows */
    struct tensor_options container;
};

/* What was found.  Texts are owned; import_report_free() releases them. */
struct import_report {
    const struct backbone_profile *profile;
    const char *container;
    char root[64], prefix[128];
    int required, found;           /* tensors of the network */
    int dropped, foreign, unknown; /* tensors with the prefix that were dropped or (allowed) unknown; without it */
    char *dropped_names;           /* "head.weight, head.bias", a very long list ending in "... 3 more"; "" */
    char *problems;                /* one line for each tensor that is wrong, likewise; "" */
    char *notes;                   /* lines for the user, all of them: warnings and what was recognised; "" */
    uint64_t parameters;
    uint64_t file_bytes;
    char file_sum[CHECKSUM_HEX];    /* SHA-256 of the file's bytes */
    char tensors_sum[CHECKSUM_HEX]; /* SHA-256 of names and numbers; see sums.h */
};

/* On failure the report holds what was found until then, its problems above all, and must be freed all the same.
 * out->provenance tells where the weights came from, as lines "key: value".  Kinds of faults: io/containers/fault.h's. */
int backbone_import(const char *path, const struct import_options *options, struct backbone_weights *out,
                    struct import_report *report, err *e);
/* The same from memory. */
int backbone_import_memory(const char *name, const void *bytes, size_t size, const struct import_options *options,
                           struct backbone_weights *out, struct import_report *report, err *e);
void import_report_free(struct import_report *r);

#endif
