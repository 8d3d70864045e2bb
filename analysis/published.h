/* analysis/published.h - numbers published elsewhere, from the `published` section of a sweep file, to stand beside
 * measured ones:
 *
 *   published:
 *     source: "NoRGa, NeurIPS 2024"
 *     rows: [{method: norga, gate.activation: [tanh, sigmoid], faa: 94.48, faa_sd: 0.13}]
 *
 * A row has conditions (an option and the values that it may have), numbers (faa, caa, ffm, bwt, and their deviations _sd;
 * `seeds` if the source says how many) and a label. */
#ifndef ANALYSIS_PUBLISHED_H
#define ANALYSIS_PUBLISHED_H

#include "analysis/ablation.h"
#include "io/yaml.h"

struct published_condition {
    const char *option;
    const struct yaml_node *value; /* a scalar, or a list of scalars */
};

struct published_row {
    const char *label;
    int conditions_count;
    struct published_condition *conditions;
    struct estimate
        metric[METRIC_COUNT]; /* mean NaN where the row says nothing, sd NaN where it is not known; count: seeds or 0 */
};

struct published {
    const char *source; /* "" if there is none */
    size_t count;
    struct published_row *rows;
    yaml_document *document; /* owns the texts */
};

/* Read from the text of a sweep file.  A sweep without the section gives no rows.  Rows that cannot be understood are
 * the sweep reader's business; here they are left out.  ERR_CONFIG if the text is no YAML, ERR_NOMEM. */
int published_read(const char *yaml, size_t n, struct published *out, err *e);
void published_free(struct published *p);

/* Does the row speak of this group?  All conditions must hold for options that the results know; others count as held.
 */
bool published_speaks_of(const struct published_row *row, const struct ablation *a, int group);

#endif
