/* io/picture_formats.h - what the readers of picture.c's formats have in common; each is a file of its own. */
#ifndef IO_PICTURE_FORMATS_H
#define IO_PICTURE_FORMATS_H

#include "io/picture.h"

/* Decode n bytes that begin as the format does.  Fills everything of `out` but its format. */
#define F(id, name, function) int function(const uint8_t *bytes, size_t n, unsigned mode, struct picture *out, err *e);
PICTURE_FORMATS(F)
#undef F

/* Whether a picture may have that size: E_LIMIT. */
int picture_check_size(enum picture_format format, uint64_t height, uint64_t width, err *e);
/* Give a picture its shape and memory for its pixels, once its size is allowed: E_LIMIT, ERR_NOMEM. */
int picture_reserve(struct picture *p, uint64_t height, uint64_t width, int channels, err *e);

#endif
