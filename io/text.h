/* io/text.h - texts that come from files that nobody vouches for: what of them is UTF-8, and what becomes of the rest. */
#ifndef IO_TEXT_H
#define IO_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Bytes of the UTF-8 character that the n bytes at s begin with: 1 to 4, or 0 if they do not (n is 0; it is cut, longer than
 * needed, a surrogate or beyond Unicode).  Nothing is read behind the first byte that is wrong, so behind a NUL neither. */
int text_character(const char *s, size_t n);
/* Whether these are UTF-8 and can be shown on one line: no control characters. */
bool text_is_printable(const char *s, size_t n);
/* Make a text UTF-8 in place: each byte that is none becomes a '?'. */
void text_repair(char *text);
/* The same, and each byte of a control character becomes a space. */
void text_clean(char *text);
/* A JSON string of a text, or of its first n bytes, none of which is NUL: as text_repair() makes it.  NULL without memory. */
json_t *text_json(const char *text);
json_t *text_json_n(const char *text, size_t n);

#endif
