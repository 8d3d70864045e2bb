/* worker/backbone_print.h - backbones as `sluice backbone` shows them: for people, and as JSON. */
#ifndef WORKER_BACKBONE_PRINT_H
#define WORKER_BACKBONE_PRINT_H

#include <stdbool.h>
#include <stdio.h>

#include "io/backbone.h"
#include "io/backbones/import.h"

/* A file of the store. */
struct stored_backbone {
    char name[64], path[PATH_SIZE];
    struct backbone_shape shape;
    struct digest digest;
    char *provenance; /* owned; NULL if the file cannot be read */
    err wrong;
};

/* Everything in the places, a name that stands in several once; owned by the caller. */
int stored_backbones(struct stored_backbone **out, int *count, err *e);
void stored_backbones_free(struct stored_backbone *list, int count);
int stored_backbone_find(const char *name, struct stored_backbone *out, err *e);

size_t backbone_numbers(const struct backbone_shape *s); /* weights of such a network */

void print_backbones(FILE *out, const struct stored_backbone *list, int count, bool json);
/* tensors (may be NULL): each with its smallest, largest and mean number. */
void print_backbone(FILE *out, const struct stored_backbone *b, const struct backbone_weights *tensors, bool json);
/* What an import found, and where the backbone is now; tensors as above. */
void print_import(FILE *out, const char *path, const struct backbone_weights *w, const struct import_report *r,
                  bool tensors, bool json);

#endif
