/* io/h5_chunks.c - see h5_chunks.h.
 *
 * The form of a chunk is that of HDF5's filters.  Shuffled: the first bytes of all rows, then their second bytes, and so on; the
 * shuffle's element is a whole row.  Deflated: one zlib stream.  Checksummed: Fletcher's sum of what is stored, behind it. */
#include "io/h5_chunks.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "io/h5_internal.h"

/* The filters in their order; a chunk's mask has the bit 1 << i where it went without the i-th. */
enum { SHUFFLE, DEFLATE, CHECKSUM, FILTERS };
enum { CHECKSUM_BYTES = 4 };

static bool filter_is(hid_t how, unsigned i, H5Z_filter_t wanted, unsigned *first_value)
{
    unsigned flags, config, value[8] = {0};
    size_t values = sizeof value / sizeof *value;
    H5Z_filter_t filter = H5Pget_filter2(how, i, &flags, &values, value, 0, NULL, &config);

    *first_value = value[0];
    return filter == wanted;
}

bool h5_chunks_fit(hid_t list, size_t row_bytes, struct h5_chunks *c)
{
    hid_t how = H5Dget_create_plist(list);
    hsize_t rows = 0;
    unsigned element, any, options = 0;
    bool fit = H5Pget_layout(how) == H5D_CHUNKED && H5Pget_chunk(how, 1, &rows) == 1 && rows > 0 &&
               H5Pget_chunk_opts(how, &options) >= 0 && !options && H5Pget_nfilters(how) == FILTERS &&
               filter_is(how, SHUFFLE, H5Z_FILTER_SHUFFLE, &element) && element == row_bytes &&
               filter_is(how, DEFLATE, H5Z_FILTER_DEFLATE, &any) &&
               filter_is(how, CHECKSUM, H5Z_FILTER_FLETCHER32, &any);

    H5Pclose(how);
    H5Eclear2(H5E_DEFAULT);
    *c = (struct h5_chunks){.list = list, .row_bytes = row_bytes, .rows = rows};
    return fit && !__builtin_mul_overflow(row_bytes, c->rows, &c->bytes) && c->bytes <= H5_CHUNK_LIMIT;
}

bool h5_chunks_open(struct h5_chunks *c)
{
    c->room = compressBound(c->bytes) + CHECKSUM_BYTES;
    c->stored = malloc(c->room);
    c->shuffled = malloc(c->bytes);
    return c->stored && c->shuffled;
}

void h5_chunks_close(struct h5_chunks *c)
{
    free(c->stored);
    free(c->shuffled);
    c->stored = c->shuffled = NULL;
}

/* ---------------------------------------------------------------- decoding */

/* Fletcher's sum of big-endian 16-bit words, an odd byte at the end being the high one of its word. */
static uint32_t fletcher32(const unsigned char *bytes, size_t n)
{
    enum { WORDS = 360 }; /* as many as the sums can take before they must be folded */
    uint32_t low = 0, high = 0;

    for (size_t i = 0; i < n;) {
        size_t end = n - i > 2 * WORDS ? i + 2 * WORDS : n;

        for (; i < end; i += 2) {
            low += (uint32_t)bytes[i] << 8 | (i + 1 < n ? bytes[i + 1] : 0);
            high += low;
        }
        low = (low & 0xffff) + (low >> 16);
        high = (high & 0xffff) + (high >> 16);
    }
    low = (low & 0xffff) + (low >> 16);
    high = (high & 0xffff) + (high >> 16);
    return high << 16 | low;
}

static bool checksum_right(const unsigned char *bytes, size_t n)
{
    const unsigned char *at = bytes + n;
    uint32_t recorded = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;

    return recorded == fletcher32(bytes, n);
}

/* Exactly `size` bytes must come of it.  zlib's own checksum is passed over: HDF5's has spoken for the stored bytes, and the
 * table's digest is going to for what becomes of them. */
static bool inflate_whole(const unsigned char *from, size_t n, unsigned char *to, size_t size)
{
    z_stream z = {.next_in = (unsigned char *)from, .avail_in = (uInt)n, .next_out = to, .avail_out = (uInt)size};
    bool whole;

    if (inflateInit(&z) != Z_OK)
        return false;
    whole = inflateValidate(&z, 0) == Z_OK && inflate(&z, Z_FINISH) == Z_STREAM_END && z.avail_out == 0;
    inflateEnd(&z);
    return whole;
}

static uint64_t load(const unsigned char *from)
{
    uint64_t value;

    memcpy(&value, from, sizeof value);
    return value;
}

/* Eight bytes of eight rows: from[k * rows + i] is byte k of row i, to[i * row_bytes + k] will be.  Square by square within the
 * square, as one transposes a matrix of 2 x 2 blocks. */
static void turn_square(const unsigned char *from, size_t rows, unsigned char *to, size_t row_bytes)
{
    static const uint64_t masks[] = {0x00000000ffffffffu, 0x0000ffff0000ffffu, 0x00ff00ff00ff00ffu};
    uint64_t x[8];

    for (size_t k = 0; k < 8; k++)
        x[k] = load(from + k * rows);
    for (int level = 0; level < 3; level++) {
        int half = 4 >> level, shift = 32 >> level;

        for (int k = 0; k < 8; k++)
            if (!(k & half)) {
                uint64_t swap = (x[k] >> shift ^ x[k + half]) & masks[level];

                x[k + half] ^= swap;
                x[k] ^= swap << shift;
            }
    }
    for (size_t i = 0; i < 8; i++)
        memcpy(to + i * row_bytes, &x[i], 8);
}

/* Some rows, all their bytes; what does not fill a square is turned byte by byte. */
static void turn_rows(const unsigned char *from, size_t first, size_t end, size_t rows, unsigned char *to,
                      size_t row_bytes)
{
    size_t squares = (end - first) / 8 * 8, k = 0;

    for (; k + 8 <= row_bytes; k += 8)
        for (size_t i = first; i < first + squares; i += 8)
            turn_square(from + k * rows + i, rows, to + i * row_bytes + k, row_bytes);
    for (size_t j = 0; j < row_bytes; j++)
        for (size_t i = j < k ? first + squares : first; i < end; i++)
            to[i * row_bytes + j] = from[j * rows + i];
}

static void unshuffle(const unsigned char *from, size_t rows, unsigned char *to, size_t row_bytes)
{
    enum { TILE_BYTES = 1 << 14 }; /* of rows that stay in the first cache while all their bytes arrive */
    size_t step = row_bytes < TILE_BYTES / 8 ? TILE_BYTES / row_bytes / 8 * 8 : 8;

    for (size_t first = 0; first < rows; first += step)
        turn_rows(from, first, rows - first < step ? rows : first + step, rows, to, row_bytes);
}

static const char *decode(struct h5_chunks *c, size_t n, unsigned without, unsigned char *rows)
{
    const unsigned char *from = c->stored;

    if (!(without >> CHECKSUM & 1)) {
        if (n < CHECKSUM_BYTES || !checksum_right(from, n - CHECKSUM_BYTES))
            return "has a part whose checksum differs";
        n -= CHECKSUM_BYTES;
    }
    if (!(without >> DEFLATE & 1)) {
        if (!inflate_whole(from, n, c->shuffled, c->bytes))
            return "has a part that cannot be decompressed";
        from = c->shuffled;
    } else if (n != c->bytes) {
        return "has a part of the wrong size";
    }
    if (without >> SHUFFLE & 1)
        memcpy(rows, from, c->bytes);
    else
        unshuffle(from, c->rows, rows, c->row_bytes);
    return NULL;
}

const char *h5_chunks_read(struct h5_chunks *c, size_t index, unsigned char *rows)
{
    const hsize_t at = index * c->rows;
    hsize_t stored = 0;
    uint32_t without = 0;

    if (H5Dget_chunk_storage_size(c->list, &at, &stored) < 0)
        return "has a part that cannot be found";
    if (stored > c->room)
        return "has a part of the wrong size";
    if (H5Dread_chunk(c->list, H5P_DEFAULT, &at, &without, c->stored) < 0)
        return "has a part that cannot be read";
    return decode(c, stored, without, rows);
}
