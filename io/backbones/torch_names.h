/* io/backbones/torch_names.h - the two halves of timm's naming that have files of their own.  For io/backbones/ only. */
#ifndef IO_BACKBONES_TORCH_NAMES_H
#define IO_BACKBONES_TORCH_NAMES_H

#include "io/backbones/importing.h"

/* torch_choose.c: which dict of the file, and which prefix. */
int torch_choose(struct importing *m);
/* torch_keys.c: what to do with a tensor that is none of the network's. */
enum key_class torch_classify(const char *name);

#endif
