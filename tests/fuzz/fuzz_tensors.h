/* tests/fuzz/fuzz_tensors.h - any bytes as a file of tensors: listed, read, and imported as a backbone. */
#ifndef FUZZ_TENSORS_H
#define FUZZ_TENSORS_H

#include <stdlib.h>

#include "io/backbones/import.h"
#include "io/containers/fault.h"

enum { FUZZ_NUMBERS = 1 << 16 /* larger tensors are listed, but not read */ };

/* Every failure of a reader has a kind, and no other cause than the file or memory. */
static inline void fuzz_failed(const err *e)
{
    if (e->code != ERR_NOMEM && (e->code != ERR_DAMAGED || fault_of(e) == FAULT_NONE))
        abort();
}

static inline void fuzz_tensors(const uint8_t *data, size_t size)
{
    static float to[FUZZ_NUMBERS];
    const struct import_options options = {.name = "x", .heads = 2, .container.ignore_crc = true};
    struct import_report report;
    struct backbone_weights w;
    struct tensor_file f;
    err e = {0};

    if (tensors_open_memory("fuzz", data, size, &options.container, &f, &e)) {
        fuzz_failed(&e);
        return;
    }
    for (size_t i = 0; i < f.count && i < 64; i++) {
        e = (err){0};
        if (f.info[i].count <= FUZZ_NUMBERS && tensors_read(&f, i, to, &e))
            fuzz_failed(&e);
    }
    tensors_close(&f);
    e = (err){0};
    if (backbone_import_memory("fuzz", data, size, &options, &w, &report, &e))
        fuzz_failed(&e);
    else if (report.found != report.required)
        abort();
    backbone_close(&w);
    import_report_free(&report);
}

#endif
