/* io/datasets/cifar_python.c - the Python version of CIFAR; see cifar.h. */
#include "io/datasets/cifar.h"

#include <stdlib.h>
#include <string.h>

#include "io/containers/fault.h"
#include "io/containers/pickle.h"

/* The images are one text. */
static const struct container_limits limits = {.most[LIMIT_PICKLE_TEXT] = 512 << 20};

static int read_dict(const char *where, const void *bytes, size_t n, pickle **out, err *e)
{
    const struct pickle_options options = {.numpy = true, .limits = &limits};

    if (pickle_read(where, bytes, n, &options, NULL, out, e))
        return e->code;
    if (pickle_kind_of(*out, pickle_root(*out)) != PICKLE_DICT) {
        fault_set(e, FAULT_DTYPE, "%s: is %s, expected a dict", where,
                  pickle_kind_name(pickle_kind_of(*out, pickle_root(*out))));
        pickle_free(*out);
    }
    return e->code;
}

/* The list under a key. */
static int find_list(const char *where, const pickle *p, const char *key, pickle_value *out, err *e)
{
    *out = pickle_get(p, pickle_root(p), key);
    if (*out == PICKLE_ABSENT)
        return fault_set(e, FAULT_MISSING, "%s: there is no '%s' in the dict", where, key);
    if (pickle_kind_of(p, *out) != PICKLE_LIST)
        return fault_set(e, FAULT_DTYPE, "%s: '%s' is %s, expected a list", where, key,
                         pickle_kind_name(pickle_kind_of(p, *out)));
    return 0;
}

/* The labels under a key, each below `classes`. */
static int read_labels(const char *where, const pickle *p, const char *key, size_t count, int classes, uint8_t *labels,
                       err *e)
{
    pickle_value list;

    if (find_list(where, p, key, &list, e))
        return e->code;
    if (pickle_count(p, list) != count)
        return fault_set(e, FAULT_RANGE, "%s: '%s' has %zu labels for %zu images", where, key, pickle_count(p, list),
                         count);
    for (size_t i = 0; i < count; i++) {
        pickle_value item = pickle_item(p, list, i);

        if (pickle_kind_of(p, item) != PICKLE_INT)
            return fault_set(e, FAULT_DTYPE, "%s: '%s' %zu is %s, expected an integer", where, key, i,
                             pickle_kind_name(pickle_kind_of(p, item)));
        if (pickle_int(p, item) < 0 || pickle_int(p, item) >= classes)
            return fault_set(e, FAULT_RANGE, "%s: '%s' %zu is %lld, but they are 0 to %d", where, key, i,
                             (long long)pickle_int(p, item), classes - 1);
        labels[i] = (uint8_t)pickle_int(p, item);
    }
    return 0;
}

static int find_pixels(const char *where, const pickle *p, const struct pickle_array **out, err *e)
{
    pickle_value data = pickle_get(p, pickle_root(p), "data");
    const struct pickle_array *a;

    if (data == PICKLE_ABSENT)
        return fault_set(e, FAULT_MISSING, "%s: there is no 'data' in the dict", where);
    if (!(a = pickle_array_of(p, data)))
        return fault_set(e, FAULT_DTYPE, "%s: 'data' is %s, expected an array", where,
                         pickle_kind_name(pickle_kind_of(p, data)));
    if (a->dtype.size != 2 || memcmp(a->dtype.bytes, "u1", 2))
        return fault_set(e, FAULT_DTYPE, "%s: 'data' holds %.*s, expected bytes (u1)", where, (int)a->dtype.size,
                         a->dtype.bytes);
    if (a->fortran)
        return fault_set(e, FAULT_UNSUPPORTED, "%s: 'data' is stored column by column", where);
    if (a->rank != 2 || a->shape[1] != CIFAR_PIXELS || a->shape[0] == 0)
        return fault_set(e, FAULT_SHAPE, "%s: 'data' has %d dimensions and %llu numbers in a row, expected 2 and %d",
                         where, a->rank, a->rank == 2 ? (unsigned long long)a->shape[1] : 0, CIFAR_PIXELS);
    if (a->bytes.size / CIFAR_PIXELS != a->shape[0] || a->bytes.size % CIFAR_PIXELS)
        return fault_set(e, FAULT_TRUNC, "%s: 'data' has %zu bytes, expected %llu by %d", where, a->bytes.size,
                         (unsigned long long)a->shape[0], CIFAR_PIXELS);
    *out = a;
    return 0;
}

int cifar_python_add(struct image_source *s, enum dataset_part part, const char *where, const void *bytes, size_t n,
                     err *e)
{
    bool fine = s->classes == CIFAR100_CLASSES;
    const struct pickle_array *pixels = NULL;
    uint8_t *labels = NULL;
    pickle *p;

    if (read_dict(where, bytes, n, &p, e))
        return e->code;
    if (!find_pixels(where, p, &pixels, e) && !(labels = malloc(pixels->shape[0])))
        err_set(e, ERR_NOMEM, "%s: out of memory", where);
    if (!e->code && fine && pickle_get(p, pickle_root(p), "coarse_labels") != PICKLE_ABSENT)
        read_labels(where, p, "coarse_labels", pixels->shape[0], CIFAR100_COARSE, labels, e);
    if (!e->code && !read_labels(where, p, fine ? "fine_labels" : "labels", pixels->shape[0], s->classes, labels, e))
        source_add_pixels(s, part, where, (const uint8_t *)pixels->bytes.bytes, labels, pixels->shape[0], e);
    free(labels);
    pickle_free(p);
    return e->code;
}

int cifar_python_classes(struct image_source *s, const char *where, const void *bytes, size_t n, err *e)
{
    char(*names)[CLASS_NAME_SIZE] = NULL;
    const char **list = NULL;
    pickle_value value;
    size_t count = 0;
    pickle *p;

    if (read_dict(where, bytes, n, &p, e))
        return e->code;
    if (!find_list(where, p,
                   pickle_get(p, pickle_root(p), "fine_label_names") == PICKLE_ABSENT ? "label_names"
                                                                                      : "fine_label_names",
                   &value, e)) {
        count = pickle_count(p, value);
        names = calloc(count + 1, sizeof *names);
        list = calloc(count + 1, sizeof *list);
        if (!names || !list)
            err_set(e, ERR_NOMEM, "%s: out of memory", where);
    }
    for (size_t i = 0; i < count && !e->code; i++) {
        struct pickle_text text = pickle_text_of(p, pickle_item(p, value, i));

        if (text.size < sizeof *names)
            memcpy(names[i], text.bytes, text.size);
        list[i] = names[i];
    }
    if (!e->code)
        source_classes(s, where, list, count, e);
    free(names);
    free(list);
    pickle_free(p);
    return e->code;
}
