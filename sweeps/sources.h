/* sweeps/sources.h - the data sets and backbones that trials name: what a plan must know about them.
 *
 * A plan can be shown on a machine that has neither: then classes, images and shapes come from a table of well-known
 * names, a digest of the name stands in for the content, and the error text says how to get what is missing. */
#ifndef SWEEPS_SOURCES_H
#define SWEEPS_SOURCES_H

#include "io/digest.h"
#include "io/err.h"

struct source_dataset {
    struct digest digest;             /* of the content; a stand-in if it is missing */
    int classes;                      /* 0: unknown */
    double train_images, test_images; /* of all classes; 0: unknown */
    const char *notes;                /* what the user should know of its files, one a line, interned; NULL: nothing */
};

struct source_backbone {
    struct digest digest;
    int side, patch, width, blocks; /* 0: unknown */
};

/* A data set with published numbers, the dataset.transform that they were measured with, and a preset with all the settings. */
struct benchmark {
    const char *name, *transform, *preset;
};
const struct benchmark *benchmark_by_name(const char *name); /* NULL if it is none */

/* Both fill *out as far as they can, and return ERR_MISSING with what to do when the content itself is not there. */
struct sources {
    int (*dataset)(const char *name, struct source_dataset *out, err *e);
    int (*backbone)(const char *name, struct source_backbone *out, err *e);
};

/* What is installed on this machine, read through io/dataset.h and io/backbone.h. */
extern const struct sources sources_installed;
/* Nothing at all: names only.  What a plan without data looks like; for tests too. */
extern const struct sources sources_none;

#endif
