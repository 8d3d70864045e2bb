/* model/formula.h - images drawn by the program itself, and the numbers that pre-training predicts from them.
 *
 * Pre-training without photographs (Kataoka et al., "Pre-training without Natural Images", ACCV 2020; Kataoka et al.,
 * "Replacing Labeled Real-image Datasets with Auto-generated Contours", CVPR 2022) shows a network pictures made from
 * formulas.  Ours are grey, square and of seven families: silhouettes between two profiles, mirror-symmetric bodies
 * with limbs, radial contours, super-ellipses, fractals of iterated function systems, scenes of several shapes, and
 * textures over the whole frame.  Shapes are painted with gradients, stripes, checks, noise or level lines, get
 * outlines and details, and stand on a black, grey, shaded or textured ground.  No photograph and no data set is read.
 *
 * The numbers are a histogram of oriented gradients (Dalal and Triggs, CVPR 2005) and a coarse copy of the image, the
 * kind of target that masked feature prediction uses (Wei et al., CVPR 2022).
 *
 * Everything is a pure function of its arguments: nothing is remembered between calls, and any thread may draw any
 * image. */
#ifndef MODEL_FORMULA_H
#define MODEL_FORMULA_H

#include <stdint.h>

#include "io/err.h"

enum {
    FORMULA_SIDE_MIN = 8,
    FORMULA_SIDE_MAX = 64,
    FORMULA_CELLS = 8,        /* along one axis */
    FORMULA_ORIENTATIONS = 8, /* bins of half a turn */
    FORMULA_HISTOGRAMS = FORMULA_CELLS * FORMULA_CELLS * FORMULA_ORIENTATIONS,
    FORMULA_NUMBERS = FORMULA_HISTOGRAMS + FORMULA_CELLS * FORMULA_CELLS
};

/* Draw image `index` of the stream `seed`.
 * [out] image  (side, side) in [0, 1], row-major, y down; side in FORMULA_SIDE_MIN..FORMULA_SIDE_MAX.  Another side
 * gives another picture of much the same formula (noise and fractals differ). */
void formula_draw(uint64_t seed, uint64_t index, int side, float *image);

/* Describe any image (side, side), row-major, values about [0, 1].
 * [out] out  (FORMULA_NUMBERS), not standardised:
 *            first (CELLS y, CELLS x, ORIENTATIONS): square roots of the mean gradient magnitude in the cell by
 * orientation of the gradient.  Bin o is centred at o * 180 / ORIENTATIONS degrees from the x axis towards y (down): a
 * vertical edge is bin 0, a horizontal one bin ORIENTATIONS / 2.  A gradient is shared between the two nearest bins and
 * the nearest cells, linearly; gradients are central differences, the border repeated.  1e-4 is added before the root;
 *            then (CELLS y, CELLS x): mean brightness of each cell. */
void formula_describe(const float *image, int side, float *out);

/* What a network is asked to predict: principal components of the standardised numbers over drawn images, coefficient k
 * divided by the fourth root of its variance and all by one constant, so that targets have mean 0 and mean square 1.
 * Unscaled, the first sixteen components would have 0.6 of the squared error and the fine ones, which tell shapes
 * apart, little; so they have 0.3. */
enum { FORMULA_TARGETS = 160 };

struct formula_basis {
    float mean[FORMULA_NUMBERS];
    float mix[FORMULA_TARGETS][FORMULA_NUMBERS]; /* target = mix (numbers - mean) */
};

/* Measure the basis over 4,096 images of the stream, far from its beginning (index 2^40 and on).  ERR_NOMEM, ERR_BUG.
 */
int formula_basis_measure(uint64_t seed, int side, struct formula_basis *out, err *e);

/* [out] targets  (FORMULA_TARGETS) */
void formula_targets(const struct formula_basis *basis, const float *numbers, float *targets);

#endif
