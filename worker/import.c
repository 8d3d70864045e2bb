/* worker/import.c - see import.h. */
#include "worker/import.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "io/containers/fault.h"
#include "io/image_pack.h"
#include "io/picture.h"

enum { BATCH_IMAGES = 256 };
static const uint64_t batch_bytes = (uint64_t)32 << 20;
enum { PIXELS_A_BYTE = 16 };                     /* bytes of pixels for one of a photograph's file, roughly */
static const size_t kept_room = (size_t)1 << 20; /* what an image's memory may be when the next one comes */

/* One image on its way. */
struct item {
    struct source_image image;
    bool odd;     /* a JPEG with warnings */
    bool pending; /* its pixels are wanted, and the batch had no room for them: to be decoded when it is stored */
    err e;        /* why it cannot be used */
};

struct batch {
    struct item items[BATCH_IMAGES];
    size_t first, count; /* images of the part */
    uint64_t pixels;     /* bytes of those that files have given way to */
};

struct import {
    const struct image_source *source;
    const struct import_request *request;
    struct import_report *report;
    image_pack *pack;
    size_t all, done;
    char skipped[IMPORT_SKIPPED_TEXT]; /* lines about skipped images */
    size_t skipped_used, skipped_listed;
    struct picture picture; /* of the thread that stores */
};

/* ---------------------------------------------------------------- one image */

static unsigned mode(const struct import *in)
{
    return in->request->lenient ? PICTURE_LENIENT : PICTURE_STRICT;
}

static size_t pixels_of(const struct picture *p)
{
    return (size_t)p->height * (size_t)p->width * (size_t)p->channels;
}

/* Decode a file to see that it can be, and that it has the size it must have. */
static int check_file(const struct import *in, const struct source_image *image, struct picture *picture, err *e)
{
    const struct image_source *s = in->source;

    if (picture_decode(image->bytes.data, image->bytes.size, in->request->decoded ? mode(in) : mode(in) | PICTURE_CHECK,
                       picture, e))
        return e->code;
    if (s->height && (picture->height != s->height || picture->width != s->width))
        return fault_set(e, FAULT_SHAPE, "has %d by %d pixels, expected %d by %d", picture->width, picture->height,
                         s->width, s->height);
    return 0;
}

/* The file's bytes give way to its pixels, and their memory to the next picture. */
static void keep_pixels(struct source_image *image, struct picture *picture)
{
    struct bytes file = image->bytes;

    image->height = picture->height;
    image->width = picture->width;
    image->channels = picture->channels;
    image->bytes = (struct bytes){.data = picture->pixels, .size = pixels_of(picture), .room = picture->room};
    picture->pixels = file.data;
    picture->room = file.room;
}

/* Whether so many bytes of pixels more may be kept in the batch. */
static bool take_room(struct batch *batch, uint64_t bytes)
{
    uint64_t all;

#pragma omp atomic capture
    all = batch->pixels += bytes;
    return all <= batch_bytes;
}

static void load(const struct import *in, enum dataset_part part, struct batch *batch, size_t k,
                 struct picture *picture)
{
    struct item *item = &batch->items[k];
    size_t i = batch->first + k;
    char name[SOURCE_IMAGE_NAME];

    item->e = (err){0};
    item->odd = item->pending = false;
    if (item->image.bytes.room > kept_room)
        bytes_free(&item->image.bytes);
    if (image_source_read(in->source, part, i, &item->image, &item->e))
        return;
    if (item->image.channels)
        return;
    item->odd = !check_file(in, &item->image, picture, &item->e) && picture->warnings;
    if (item->e.code)
        err_context(&item->e, "%s", image_source_name(in->source, part, i, name));
    else if (in->request->decoded && !(item->pending = !take_room(batch, pixels_of(picture))))
        keep_pixels(&item->image, picture);
}

/* For the provenance, if there is still room. */
static void list_skipped(struct import *in, const char *text)
{
    size_t room = sizeof in->skipped - in->skipped_used;
    int n = snprintf(in->skipped + in->skipped_used, room, "\nskipped: %s", text);

    if (in->skipped_listed + 1 == in->report->skipped && n > 0 && (size_t)n < room) {
        in->skipped_used += (size_t)n;
        in->skipped_listed++;
    }
    in->skipped[in->skipped_used] = '\0';
}

/* Count a bad image and name it, or give up. */
static int bad_image(struct import *in, const struct item *item, err *e)
{
    size_t limit = in->all / IMPORT_FEW_SHARE > IMPORT_FEW_LEAST ? in->all / IMPORT_FEW_SHARE : IMPORT_FEW_LEAST;

    if (in->request->bad == BAD_IMAGE_FAIL || item->e.code == ERR_NOMEM || item->e.code == ERR_BUG) {
        *e = item->e;
        return e->code;
    }
    in->report->skipped++;
    list_skipped(in, item->e.text);
    if (in->request->complaints)
        fprintf(in->request->complaints, "skipped: %s\n", item->e.text);
    if (in->request->bad == BAD_IMAGE_FEW && in->report->skipped > limit)
        return err_set(e, ERR_DAMAGED, "more than %zu of %zu images cannot be used, the last: %s", limit, in->all,
                       item->e.text);
    return 0;
}

static int store(struct import *in, enum dataset_part part, const struct item *item, err *e)
{
    const struct source_image *image = &item->image;
    struct picture *p = &in->picture;

    if (item->e.code)
        return bad_image(in, item, e);
    in->report->count[part]++;
    in->report->odd += item->odd;
    if (item->pending) {
        if (picture_decode(image->bytes.data, image->bytes.size, mode(in), p, e))
            return e->code;
        return image_pack_add_pixels(in->pack, part, image->label, p->height, p->width, p->channels, p->pixels, e);
    }
    if (image->channels)
        return image_pack_add_pixels(in->pack, part, image->label, image->height, image->width, image->channels,
                                     image->bytes.data, e);
    return image_pack_add_file(in->pack, part, image->label, image->bytes.data, image->bytes.size, e);
}

/* ---------------------------------------------------------------- batches */

static bool go_on(const struct import *in, const char *phase)
{
    const struct progress p = {
        .phase = phase, .fraction = in->all ? (double)in->done / (double)in->all : 0, .loss = NAN, .images = in->done};

    return in->request->host->go_on(in->request->host->context, &p);
}

static int store_batch(struct import *in, enum dataset_part part, const struct batch *batch, err *e)
{
    for (size_t i = 0; i < batch->count && !e->code; i++) {
        store(in, part, &batch->items[i], e);
        in->done++;
    }
    if (!e->code && !go_on(in, "importing"))
        err_set(e, ERR_INTERRUPTED, "stopped before the end; nothing was written");
    return e->code;
}

/* As many images from `first` on as fit into a batch: one at least. */
static void choose(const struct import *in, enum dataset_part part, size_t first, struct batch *batch)
{
    size_t left = in->source->part[part].count - first;
    uint64_t bytes = 0;

    batch->first = first;
    batch->pixels = 0;
    for (batch->count = 0; batch->count < left && batch->count < BATCH_IMAGES && bytes < batch_bytes; batch->count++)
        bytes += image_source_size(in->source, part, first + batch->count) * (in->request->decoded ? PIXELS_A_BYTE : 1);
}

/* Store the batch before while the next one is loaded. */
static int turn(struct import *in, enum dataset_part part, const struct batch *before, struct batch *next, err *e)
{
    long count = (long)next->count;

#pragma omp parallel num_threads(in->request->threads)
    {
        struct picture picture = {0};

#pragma omp single nowait
        store_batch(in, part, before, e);
#pragma omp for schedule(dynamic)
        for (long i = 0; i < count; i++)
            load(in, part, next, (size_t)i, &picture);
        picture_free(&picture);
    }
    return e->code;
}

static int import_part(struct import *in, enum dataset_part part, struct batch *batches, err *e)
{
    size_t total = in->source->part[part].count, first = 0;
    int now = 0;

    batches[0].count = batches[1].count = 0;
    do {
        struct batch *before = &batches[now], *next = &batches[!now];

        choose(in, part, first, next);
        first += next->count;
        if (turn(in, part, before, next, e))
            return e->code;
        now = !now;
    } while (first < total);
    return store_batch(in, part, &batches[now], e);
}

static void free_batches(struct batch *batches)
{
    for (int b = 0; b < 2 && batches; b++)
        for (int i = 0; i < BATCH_IMAGES; i++)
            bytes_free(&batches[b].items[i].image.bytes);
    free(batches);
}

/* ---------------------------------------------------------------- a whole source */

/* Where the images come from, and which are left out. */
static int note_provenance(const struct import *in, err *e)
{
    size_t unlisted = in->report->skipped - in->skipped_listed;
    char *text = NULL, more[60] = "";

    if (unlisted)
        snprintf(more, sizeof more, "\nskipped: %zu more", unlisted);
    if (asprintf(&text, "%s%s%s", in->request->provenance, in->skipped, more) < 0)
        return err_set(e, ERR_NOMEM, "%s: out of memory", in->request->to);
    image_pack_note(in->pack, IMAGE_PACK_PROVENANCE, text, e);
    free(text);
    return e->code;
}

static int finish(const struct import *in, const char *sequence, err *e)
{
    if (!e->code && in->request->provenance)
        note_provenance(in, e);
    if (!e->code && sequence)
        image_pack_note(in->pack, IMAGE_PACK_SEQUENCE, sequence, e);
    if (!e->code && !go_on(in, "finishing")) /* the pixels of a pack are read once more for its digest */
        err_set(e, ERR_INTERRUPTED, "stopped before the end; nothing was written");
    if (!e->code)
        return image_pack_finish(in->pack, &in->report->digest, e);
    image_pack_abandon(in->pack);
    return e->code;
}

int import_source(const struct image_source *source, const struct import_request *request, struct import_report *out,
                  err *e)
{
    struct import in = {.source = source, .request = request, .report = out};
    enum image_pack_kind kind = source->channels ? IMAGE_PACK_PIXELS : IMAGE_PACK_FILES;
    struct batch *batches = calloc(2, sizeof *batches);

    *out = (struct import_report){0};
    for (int part = 0; part < DATASET_PARTS; part++)
        in.all += source->part[part].count;
    if (!batches)
        return err_set(e, ERR_NOMEM, "%s: out of memory", request->to);
    if (!image_pack_create(request->to, kind, (const char(*)[CLASS_NAME_SIZE])source->class_names, source->classes,
                           &in.pack, e)) {
        if (request->lenient)
            image_pack_lenient(in.pack, e);
        for (int part = 0; part < DATASET_PARTS && !e->code; part++)
            import_part(&in, (enum dataset_part)part, batches, e);
        finish(&in, source->sequence, e);
    }
    free_batches(batches);
    picture_free(&in.picture);
    return e->code;
}

/* ---------------------------------------------------------------- several data sets as one */

struct composition {
    struct dataset *members;
    int count, classes;
    char (*class_names)[CLASS_NAME_SIZE];
};

static void close_members(struct composition *c)
{
    for (int k = 0; c->members && k < c->count; k++)
        dataset_close(&c->members[k]);
    free(c->members);
    free(c->class_names);
}

static int open_members(struct composition *c, const struct data_composition *what, err *e)
{
    const char *const *names = what->members;
    int at = 0;

    if (!(c->members = calloc((size_t)c->count, sizeof *c->members)))
        return err_set(e, ERR_NOMEM, "out of memory for %d data sets", c->count);
    for (int k = 0; k < c->count; k++) {
        if (dataset_open(names[k], &c->members[k], e))
            return e->code;
        if (c->members[k].classes != what->classes)
            return err_set(e, ERR_DATA, "%s has %d classes, but each part of %s has %d; import the published %s",
                           names[k], c->members[k].classes, what->name, what->classes, names[k]);
        c->classes += c->members[k].classes;
    }
    if (!(c->class_names = calloc((size_t)c->classes, sizeof *c->class_names)))
        return err_set(e, ERR_NOMEM, "out of memory for %d classes", c->classes);
    for (int k = 0; k < c->count; k++)
        for (int i = 0; i < c->members[k].classes; i++, at++)
            if (snprintf(c->class_names[at], sizeof *c->class_names, "%s/%s", names[k], c->members[k].class_names[i]) >=
                (int)sizeof *c->class_names)
                return err_set(e, ERR_DATA, "%s: the name of class %d is too long to stand behind the data set's",
                               names[k], i);
    return 0;
}

static bool any_is_lenient(const struct composition *c)
{
    unsigned modes = 0;

    for (int k = 0; k < c->count; k++)
        modes |= c->members[k].part[DATASET_TRAIN].mode;
    return modes & PICTURE_LENIENT;
}

/* Add the images of one part of one member, whose class 0 becomes `base`. */
static int add_member(struct import *in, const struct image_set *set, enum dataset_part part, int base, err *e)
{
    struct image_reader reader = {0};
    struct image image;
    const uint8_t *bytes;
    size_t n;

    for (size_t i = 0; i < set->count && !e->code; i++) {
        int label = base + set->labels[i];

        if (set->channels) {
            if (!image_set_read(set, i, &reader, &image, e))
                image_pack_add_pixels(in->pack, part, label, image.height, image.width, image.channels, image.pixels,
                                      e);
        } else if (!image_set_bytes(set, i, &reader, &bytes, &n, e)) {
            image_pack_add_file(in->pack, part, label, bytes, n, e);
        }
        in->report->count[part]++;
        if (++in->done % BATCH_IMAGES == 0 && !e->code && !go_on(in, "importing"))
            err_set(e, ERR_INTERRUPTED, "stopped before the end; nothing was written");
    }
    image_reader_free(&reader);
    return e->code;
}

static void add_members(struct import *in, const struct composition *c, err *e)
{
    for (int part = 0; part < DATASET_PARTS; part++)
        for (int k = 0, base = 0; k < c->count; base += c->members[k++].classes)
            if (add_member(in, &c->members[k].part[part], (enum dataset_part)part, base, e))
                return;
}

int import_composition(const struct data_composition *what, const struct import_request *request,
                       struct import_report *out, err *e)
{
    struct composition c = {0};
    struct import in = {.request = request, .report = out};

    *out = (struct import_report){0};
    while (what->members[c.count])
        c.count++;
    if (!open_members(&c, what, e)) {
        for (int k = 0; k < c.count; k++)
            for (int part = 0; part < DATASET_PARTS; part++)
                in.all += c.members[k].part[part].count;
        if (!image_pack_create(request->to, IMAGE_PACK_FILES, (const char(*)[CLASS_NAME_SIZE])c.class_names, c.classes,
                               &in.pack, e)) {
            if (request->lenient || any_is_lenient(&c))
                image_pack_lenient(in.pack, e);
            if (!e->code)
                add_members(&in, &c, e);
            finish(&in, NULL, e);
        }
    }
    close_members(&c);
    return e->code;
}
