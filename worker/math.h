/* worker/math.h - which numerical library is at work, for provenance. */
#ifndef WORKER_MATH_H
#define WORKER_MATH_H

/* "OpenBLAS 0.3.21, SkylakeX kernels" */
const char *math_library(void);

#endif
