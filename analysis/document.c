/* analysis/document.c - see document.h. */
#include "analysis/document.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/text.h"

enum { CHUNK_SIZE = 1 << 16 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t used, size;
    _Alignas(16) unsigned char bytes[];
};

void document_start(struct document *d, const char *title)
{
    memset(d, 0, sizeof *d);
    d->title = document_text(d, "%s", title);
}

bool document_complete(const struct document *d)
{
    return !d->failed;
}

void document_free(struct document *d)
{
    for (size_t i = 0; i < d->blocks_count; i++)
        if (d->blocks[i].kind == BLOCK_TABLE)
            free(d->blocks[i].table->cells);
    free(d->blocks);
    while (d->memory) {
        struct arena_chunk *next = d->memory->next;
        free(d->memory);
        d->memory = next;
    }
    memset(d, 0, sizeof *d);
}

void *document_alloc(struct document *d, size_t size)
{
    struct arena_chunk *chunk = d->memory;

    size = (size + 15) & ~(size_t)15;
    if (!chunk || chunk->size - chunk->used < size) {
        size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;
        chunk = d->failed ? NULL : malloc(sizeof *chunk + room);
        if (!chunk) {
            d->failed = true;
            return NULL;
        }
        *chunk = (struct arena_chunk){.next = d->memory, .size = room};
        d->memory = chunk;
    }
    void *p = chunk->bytes + chunk->used;
    chunk->used += size;
    return memset(p, 0, size);
}

static const char *text_of(struct document *d, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

static const char *text_of(struct document *d, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *text = length < 0 ? NULL : document_alloc(d, (size_t)length + 1);
    if (!text) {
        d->failed = true;
        return "";
    }
    vsnprintf(text, (size_t)length + 1, format, arguments);
    text_clean(text);
    return text;
}

#define TEXT_OF(result, d, format)                 \
    do {                                           \
        va_list arguments_;                        \
        va_start(arguments_, format);              \
        (result) = text_of(d, format, arguments_); \
        va_end(arguments_);                        \
    } while (0)

const char *document_text(struct document *d, const char *format, ...)
{
    const char *text;

    TEXT_OF(text, d, format);
    return text;
}

/* Room for one more element; false when memory has run out. */
static bool grow(struct document *d, void **array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return true;
    size_t wanted = *room ? 2 * *room : 64;
    void *larger = d->failed ? NULL : realloc(*array, wanted * size);
    if (!larger) {
        d->failed = true;
        return false;
    }
    *array = larger;
    *room = wanted;
    return true;
}

static void add_block(struct document *d, struct report_block block)
{
    void *blocks = d->blocks;

    if (!grow(d, &blocks, d->blocks_count, &d->blocks_room, sizeof block))
        return;
    d->blocks = blocks;
    d->blocks[d->blocks_count++] = block;
}

void document_heading(struct document *d, const char *text)
{
    add_block(d, (struct report_block){.kind = BLOCK_HEADING, .text = document_text(d, "%s", text)});
}

void document_paragraph(struct document *d, const char *format, ...)
{
    const char *text;

    TEXT_OF(text, d, format);
    add_block(d, (struct report_block){.kind = BLOCK_PARAGRAPH, .text = text});
}

void document_note(struct document *d, const char *format, ...)
{
    const char *text;

    TEXT_OF(text, d, format);
    add_block(d, (struct report_block){.kind = BLOCK_NOTE, .text = text});
}

void document_picture(struct document *d, const struct report_picture *picture)
{
    add_block(d, (struct report_block){.kind = BLOCK_PICTURE, .picture = *picture});
}

struct report_table *document_table(struct document *d, const char *id, const char *title, const char *caption,
                                    const struct report_column *columns, int count)
{
    struct report_table *t = document_alloc(d, sizeof *t);
    struct report_column *own = document_alloc(d, (size_t)count * sizeof *own);

    if (!t || !own)
        return NULL;
    for (int c = 0; c < count; c++) {
        own[c] = columns[c];
        own[c].name = document_text(d, "%s", columns[c].name);
        own[c].key = document_text(d, "%s", columns[c].key);
        own[c].unit = document_text(d, "%s", columns[c].unit ? columns[c].unit : "");
    }
    t->id = document_text(d, "%s", id);
    t->title = document_text(d, "%s", title);
    t->caption = document_text(d, "%s", caption ? caption : "");
    t->columns = own;
    t->columns_count = count;
    add_block(d, (struct report_block){.kind = BLOCK_TABLE, .table = t});
    return d->failed ? NULL : t;
}

static void put(struct document *d, struct report_table *t, struct report_cell cell)
{
    if (!t)
        return;
    void *cells = t->cells;
    if (!grow(d, &cells, t->cells_count, &t->cells_room, sizeof cell))
        return;
    t->cells = cells;
    t->cells[t->cells_count++] = cell;
}

static const struct report_cell nothing = {.number = NAN,
                                           .estimate = {.mean = NAN, .sd = NAN, .low = NAN, .high = NAN}};

void put_text(struct document *d, struct report_table *t, const char *format, ...)
{
    struct report_cell cell = nothing;

    TEXT_OF(cell.text, d, format);
    put(d, t, cell);
}

void put_number(struct document *d, struct report_table *t, double value)
{
    struct report_cell cell = nothing;

    cell.number = value;
    put(d, t, cell);
}

void put_estimate(struct document *d, struct report_table *t, const struct estimate *value)
{
    struct report_cell cell = nothing;

    cell.estimate = *value;
    put(d, t, cell);
}

void put_nothing(struct document *d, struct report_table *t)
{
    put(d, t, nothing);
}

size_t table_rows(const struct report_table *t)
{
    return t && t->columns_count ? t->cells_count / (size_t)t->columns_count : 0;
}

const struct report_cell *table_cell(const struct report_table *t, size_t row, int column)
{
    return &t->cells[row * (size_t)t->columns_count + (size_t)column];
}

static double cell_value(enum column_kind kind, const struct report_cell *cell)
{
    return kind == COLUMN_SPREAD || kind == COLUMN_INTERVAL ? cell->estimate.mean : cell->number;
}

void table_mark_best(struct report_table *t, int column, int sign)
{
    double best = -INFINITY, worst = INFINITY;
    size_t rows = table_rows(t);

    for (size_t r = 0; r < rows; r++) {
        double value = sign * cell_value(t->columns[column].kind, table_cell(t, r, column));
        best = fmax(best, value);
        worst = fmin(worst, value);
    }
    for (size_t r = 0; r < rows; r++) {
        struct report_cell *cell = &t->cells[r * (size_t)t->columns_count + (size_t)column];
        cell->best = best > worst && sign * cell_value(t->columns[column].kind, cell) == best;
    }
}

const struct report_table *document_find_table(const struct document *d, const char *id)
{
    for (size_t i = 0; i < d->blocks_count; i++)
        if (d->blocks[i].kind == BLOCK_TABLE && !strcmp(d->blocks[i].table->id, id))
            return d->blocks[i].table;
    return NULL;
}
