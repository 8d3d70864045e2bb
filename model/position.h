/* model/position.h - position embeddings for another image size: the grid of patches resampled, the class token's row kept.
 *
 * Bicubic with a = -0.75, half-pixel centres, border clamp and no antialias, in each axis by itself: what timm 0.6 and
 * PyTorch's interpolate(mode="bicubic", align_corners=False) do, and so what the official programs do. */
#ifndef MODEL_POSITION_H
#define MODEL_POSITION_H

/* from (1 + n n, D), to (1 + m m, D); n = m is a copy, bit for bit.  Sums are in double. */
void position_resample(const float *from, int n, float *to, int m, int D);

#endif
