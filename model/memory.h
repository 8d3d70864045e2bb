/* model/memory.h - one large block of numbers: weights, activations.  Asks for huge pages, since a pass walks through rows that lie
 * kilobytes apart, each on a page of its own, and the processor knows where only so many pages are.  A step of ViT-S/16 took
 * 2.5 s instead of 2.9; of ViT-B/16 no difference could be told from noise. */
#ifndef MODEL_MEMORY_H
#define MODEL_MEMORY_H

#include <stddef.h>

/* n numbers, not initialised, at an address that is a multiple of 64; NULL without memory.  free() gives them back. */
float *memory_numbers(size_t n);

#endif
