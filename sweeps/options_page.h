/* sweeps/options_page.h - the tables of options, settings and stages as a page of documentation. */
#ifndef SWEEPS_OPTIONS_PAGE_H
#define SWEEPS_OPTIONS_PAGE_H

#include <stdio.h>

/* docs/options.md, whole: `sluice options --markdown` prints it and a test compares. */
void options_page_write(FILE *out);

#endif
