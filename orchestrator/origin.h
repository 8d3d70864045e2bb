/* orchestrator/origin.h - this program and its libraries, as results.h5 records them. */
#ifndef ORCHESTRATOR_ORIGIN_H
#define ORCHESTRATOR_ORIGIN_H

#include "orchestrator/results.h"

/* Texts live as long as the process. */
struct results_origin origin_here(void);

#endif
