/* model/losses.h - losses and their gradients.  Letters: B batch, C classes, D width, K stored class means. */
#ifndef MODEL_LOSSES_H
#define MODEL_LOSSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Mean cross-entropy of logits (B, C) over the classes that are allowed (C bytes; NULL: all), the others being masked to minus
 * infinity (methods.md 1.3).  Unless `keep`, the logits become their gradient, with exact zeros for masked classes.
 * labels (B) in [0, C); one that is not allowed makes the loss infinite.
 * [out] correct (may be NULL): samples whose largest allowed logit is the label's; ties go to the lowest class. */
double cross_entropy(float *logits, const int32_t *labels, const uint8_t *allowed, int B, int C, bool keep,
                     int *correct);

/* The contrastive regulariser of methods.md 1.4.1: rows M = [means (K, D); features (B, D)], S = M M' / temperature,
 * CR = mean over rows r of logsumexp(S_r) - S_rr.  Returns CR; adds weight * dCR/dfeatures to dfeatures (B, D).
 * scratch: contrastive_scratch() floats. */
double contrastive(const float *means, int K, const float *features, int B, int D, float temperature, float weight,
                   float *dfeatures, float *scratch);
size_t contrastive_scratch(int K, int B, int D);

#endif
