/* Packs of images: what goes in comes out, wherever it is read from; and nothing is left where writing failed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/dataset.h"
#include "io/h5.h"
#include "io/image_pack.h"
#include "io/image_pack_contents.h"

const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}

#define GOOD(call)                             \
    do {                                       \
        if (call)                              \
            fail_msg("%s: %s", #call, e.text); \
    } while (0)

static const char class_names[3][CLASS_NAME_SIZE] = {"cat", "dog", "white horse"};

/* An empty folder to write in. */
static void fresh(const char *folder)
{
    char command[200];

    snprintf(command, sizeof command, "rm -rf '%s' && mkdir '%s'", folder, folder);
    assert_int_equal(system(command), 0);
}

/* Run a script that uses h5py and NumPy, in a folder where "there" is fresh; false where Python has them not. */
static bool python(const char *script)
{
    FILE *out;

    if (system("/usr/bin/python3 -c 'import h5py, numpy' 2> there/log"))
        return false;
    out = fopen("there/script.py", "w");
    assert_non_null(out);
    fputs(script, out);
    fclose(out);
    assert_int_equal(system("/usr/bin/python3 there/script.py"), 0);
    return true;
}

static int files_in(const char *folder)
{
    DIR *d = opendir(folder);
    int files = 0;

    for (struct dirent *entry; (entry = readdir(d));)
        files += entry->d_name[0] != '.';
    closedir(d);
    return files;
}

/* ---------------------------------------------------------------- images that follow from their number */

struct made {
    int height, width, channels, label;
    size_t bytes;
};

static struct made made(int part, int i, bool one_size)
{
    struct made m = {3, 5, 3, i % 3, 0};

    if (!one_size)
        m = (struct made){1 + (i * 7 + part) % 30, 1 + i * 5 % 40, i % 4 ? 3 : 1, (i + part) % 3, 0};
    m.bytes = (size_t)m.height * (size_t)m.width * (size_t)m.channels;
    return m;
}

static void paint(uint8_t *to, struct made m, int part, int i)
{
    for (size_t k = 0; k < m.bytes; k++)
        to[k] = (uint8_t)(k * (2 * (size_t)i + 1) + (size_t)(100 * part + 31 * i));
}

enum { TRAIN = 50, TEST = 20 };
static const int counts[DATASET_PARTS] = {TRAIN, TEST};

static int add_all(image_pack *p, bool one_size, err *e)
{
    static uint8_t pixels[30 * 40 * 3];

    for (int part = 0; part < DATASET_PARTS; part++)
        for (int i = 0; i < counts[part]; i++) {
            struct made m = made(part, i, one_size);

            paint(pixels, m, part, i);
            if (image_pack_add_pixels(p, part, m.label, m.height, m.width, m.channels, pixels, e))
                return e->code;
        }
    return 0;
}

static struct digest pack_make(const char *path, enum image_pack_kind kind)
{
    struct digest digest;
    image_pack *p;
    err e = {0};

    GOOD(image_pack_create(path, kind, class_names, 3, &p, &e));
    GOOD(image_pack_note(p, "source", "images that follow from their number", &e));
    GOOD(add_all(p, kind == IMAGE_PACK_PIXELS, &e));
    GOOD(image_pack_finish(p, &digest, &e));
    return digest;
}

/* Every image of a part as it was made; what differs is counted. */
static int differences(const struct dataset *d, int part, bool one_size)
{
    struct image_reader reader = {0};
    uint8_t expected[30 * 40 * 3];
    int wrong = 0;

    for (int i = 0; i < counts[part]; i++) {
        struct made m = made(part, i, one_size);
        struct image image;
        err e = {0};

        paint(expected, m, part, i);
        wrong += image_set_read(&d->part[part], (size_t)i, &reader, &image, &e) || image.height != m.height ||
                 image.width != m.width || image.channels != m.channels || memcmp(image.pixels, expected, m.bytes) ||
                 d->part[part].labels[i] != m.label;
    }
    image_reader_free(&reader);
    return wrong;
}

/* ---------------------------------------------------------------- there and back */

static void images_come_back(void **state)
{
    static const enum image_pack_kind kinds[] = {IMAGE_PACK_PIXELS, IMAGE_PACK_FILES};

    (void)state;
    fresh("there");
    for (int k = 0; k < 2; k++) {
        bool one_size = kinds[k] == IMAGE_PACK_PIXELS;
        struct digest digest = pack_make("there/a.h5", kinds[k]);
        struct dataset d, copy;
        err e = {0};

        GOOD(dataset_open_pack("there/a.h5", &d, &e));
        assert_int_equal(d.classes, 3);
        assert_string_equal(d.class_names[2], "white horse");
        assert_true(digest_equal(&d.digest, &digest));
        for (int part = 0; part < DATASET_PARTS; part++) {
            assert_int_equal(d.part[part].count, counts[part]);
            assert_int_equal(d.part[part].height, one_size ? 3 : 0);
            assert_int_equal(differences(&d, part, one_size), 0);
        }
        GOOD(dataset_verify(&d, &e));
        GOOD(dataset_write_pack(&d, "there/b.h5", &e));
        GOOD(dataset_open_pack("there/b.h5", &copy, &e));
        assert_true(digest_equal(&copy.digest, &digest));
        assert_int_equal(differences(&copy, DATASET_TEST, one_size), 0);
        dataset_close(&copy);
        dataset_close(&d);
        dataset_close(&d);
    }
    assert_int_equal(files_in("there"), 2);
}

/* The digest is of numbers, shapes, pixels and labels, whatever holds them; so packs of other versions keep theirs. */
static void digests_are_of_the_content(void **state)
{
    struct digest digest;
    struct digester d;

    (void)state;
    fresh("there");
    digester_start(&d);
    digester_add_u64(&d, 3);
    for (int part = 0; part < DATASET_PARTS; part++) {
        int32_t labels[TRAIN];

        digester_add_u64(&d, (uint64_t)counts[part]);
        for (int k = 0; k < 3; k++)
            digester_add_u64(&d, (const uint64_t[]){3, 5, 3}[k]);
        for (int i = 0; i < counts[part]; i++) {
            uint8_t pixels[45];
            struct made m = made(part, i, true);

            paint(pixels, m, part, i);
            digester_add(&d, pixels, sizeof pixels);
            labels[i] = m.label;
        }
        digester_add(&d, labels, (size_t)counts[part] * sizeof *labels);
    }
    digest = pack_make("there/a.h5", IMAGE_PACK_PIXELS);
    struct digest expected = digester_end(&d);
    assert_true(digest_equal(&digest, &expected));
}

static void equal_calls_give_equal_bytes(void **state)
{
    struct digest a, b;
    err e = {0};

    (void)state;
    fresh("there");
    pack_make("there/a.h5", IMAGE_PACK_FILES);
    pack_make("there/b.h5", IMAGE_PACK_FILES);
    GOOD(digest_file("there/a.h5", &a, &e));
    GOOD(digest_file("there/b.h5", &b, &e));
    assert_true(digest_equal(&a, &b));
}

static void python_reads_them(void **state)
{
    (void)state;
    fresh("there");
    pack_make("there/pixels.h5", IMAGE_PACK_PIXELS);
    pack_make("there/files.h5", IMAGE_PACK_FILES);
    if (!python("import h5py, numpy as n\n"
                "paint = lambda k, part, i: (k * (2 * i + 1) + 100 * part + 31 * i).astype('u1')\n"
                "with h5py.File('there/pixels.h5') as f:\n"
                "  assert f.attrs['class_names'].decode() == 'cat\\ndog\\nwhite horse'\n"
                "  assert f.attrs['source'].decode().startswith('images that')\n"
                "  assert (f['test/images'][7].ravel() == paint(n.arange(45), 1, 7)).all()\n"
                "  assert f['train/images'].shape == (50, 3, 5, 3) and f['train/images'].chunks == (50, 3, 5, 3)\n"
                "with h5py.File('there/files.h5') as f:\n"
                "  ends = f['train/ends'][:]\n"
                "  one = bytes(f['train/files'][ends[8]:ends[9]])\n"
                "  assert one.startswith(b'P6\\n6 4\\n255\\n'), one\n"
                "  assert (n.frombuffer(one[11:], 'u1') == paint(n.arange(72), 0, 9)).all()\n"
                "  assert ends[-1] == len(f['train/files'])\n"
                "  assert (f['test/labels'][:] == (n.arange(20) + 1) % 3).all()"))
        skip();
}

/* ---------------------------------------------------------------- chunks */

enum { SIDE = 40, PIXELS = SIDE * SIDE * 3, PER_CHUNK = (1 << 16) / PIXELS };
/* train ends within a chunk, test where one does */
static const int chunked_counts[DATASET_PARTS] = {3 * PER_CHUNK + 5, 2 * PER_CHUNK};

static uint8_t *chunked_image(int part, int i)
{
    static uint8_t pixels[PIXELS];

    for (int k = 0; k < PIXELS; k++)
        pixels[k] = (uint8_t)(k * (2 * i + 1) / 7 + 100 * part + i);
    return pixels;
}

static void chunked_pack(const char *path, enum image_pack_kind kind)
{
    image_pack *p;
    err e = {0};

    GOOD(image_pack_create(path, kind, class_names, 3, &p, &e));
    for (int part = 0; part < DATASET_PARTS; part++)
        for (int i = 0; i < chunked_counts[part]; i++)
            GOOD(image_pack_add_pixels(p, part, i % 3, SIDE, SIDE, 3, chunked_image(part, i), &e));
    GOOD(image_pack_finish(p, NULL, &e));
}

/* Images are in the chunks that the file says, and are read from the disk in their place. */
static void chunks_follow_one_another(void **state)
{
    struct image_reader reader = {0};
    struct image image;
    struct dataset d;
    err e = {0};

    (void)state;
    fresh("there");
    for (int kind = IMAGE_PACK_PIXELS; kind <= IMAGE_PACK_FILES; kind++) {
        const char *path = kind == IMAGE_PACK_PIXELS ? "there/pixels.h5" : "there/files.h5";

        chunked_pack(path, kind);
        GOOD(dataset_open_pack(path, &d, &e));
        for (int part = 0; part < DATASET_PARTS; part++) {
            assert_int_equal(d.part[part].count, chunked_counts[part]);
            assert_non_null(d.part[part].places);
            for (int i = chunked_counts[part]; i--;) {
                GOOD(image_set_read(&d.part[part], (size_t)i, &reader, &image, &e));
                assert_memory_equal(image.pixels, chunked_image(part, i), PIXELS);
            }
        }
        GOOD(dataset_verify(&d, &e));
        dataset_close(&d);
    }
    image_reader_free(&reader);
    if (!python(
            "import h5py, numpy as n\n"
            "made = lambda p, i: (n.arange(4800) * (2 * i + 1) // 7 + 100 * p + i).astype('u1').reshape(40, 40, 3)\n"
            "with h5py.File('there/pixels.h5') as f, h5py.File('there/files.h5') as g:\n"
            "  for p, part, count in (0, 'train', 44), (1, 'test', 26):\n"
            "    images, files, ends = f[part]['images'], g[part]['files'], g[part]['ends'][:]\n"
            "    assert images.shape == (count, 40, 40, 3) and images.chunks == (13, 40, 40, 3), images.chunks\n"
            "    assert files.chunks == (65536,) and not images.compression and not files.compression\n"
            "    for i in range(count):\n"
            "      assert (images[i] == made(p, i)).all()\n"
            "      file = files[ends[i] - 4800:ends[i]]\n"
            "      assert (file.reshape(40, 40, 3) == made(p, i)).all()"))
        skip();
}

/* Images above a mebibyte are in chunks of whole lines that divide their height: 1201 is prime, 1200 is not. */
static void large_images_have_several_chunks(void **state)
{
    enum { WIDTH = 1500, BYTES = 1201 * WIDTH };
    static const int heights[] = {1200, 1201};
    uint8_t *pixels = malloc(BYTES);

    (void)state;
    fresh("there");
    assert_non_null(pixels);
    for (int k = 0; k < 2; k++) {
        struct image_reader reader = {0};
        struct image image;
        struct dataset d;
        image_pack *p;
        char path[40];
        err e = {0};

        snprintf(path, sizeof path, "there/%d.h5", heights[k]);
        GOOD(image_pack_create(path, IMAGE_PACK_PIXELS, class_names, 3, &p, &e));
        for (int i = 0; i < 6; i++) {
            for (int b = 0; b < BYTES; b++)
                pixels[b] = (uint8_t)(b / 7 + i);
            GOOD(image_pack_add_pixels(p, i / 3, i % 3, heights[k], WIDTH, 1, pixels, &e));
        }
        GOOD(image_pack_finish(p, NULL, &e));
        GOOD(dataset_open_pack(path, &d, &e));
        GOOD(dataset_verify(&d, &e));
        GOOD(image_set_read(&d.part[DATASET_TEST], 2, &reader, &image, &e)); /* the last one painted */
        assert_non_null(d.part[DATASET_TEST].places);
        assert_memory_equal(image.pixels, pixels, (size_t)heights[k] * WIDTH);
        image_reader_free(&reader);
        dataset_close(&d);
    }
    free(pixels);
    if (!python("import h5py, numpy as n\n"
                "for height, lines in (1200, 600), (1201, 1):\n"
                "  with h5py.File(f'there/{height}.h5') as f:\n"
                "    d, b = f['test/images'], n.arange(height * 1500)\n"
                "    assert d.chunks == (1, lines, 1500, 1), d.chunks\n"
                "    assert (d[1].ravel() == (b // 7 + 4).astype('u1')).all()"))
        skip();
}

/* However h5py stores pixels, they are the same images; files too, unless they are out of their order or behind a block of the
 * user's, where HDF5 1.10 says the wrong place. */
static void packs_of_others_are_read(void **state)
{
    static const char script[] =
        "import h5py, numpy as n\n"
        "pixels = (n.arange(50 * 60) % 251).astype('u1').reshape(50, 4, 5, 3)\n"
        "files = n.frombuffer(b''.join(b'P5 1 1 255 ' + bytes([i]) for i in range(50)), 'u1')\n"
        "def add(f, name, data, rows, early):\n"
        "  how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)\n"
        "  if rows: how.set_chunk((rows,) + data.shape[1:])\n"
        "  if early: how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)\n"
        "  kind, space = h5py.h5t.STD_U8LE, h5py.h5s.create_simple(data.shape)\n"
        "  h5py.Dataset(h5py.h5d.create(f.id, name.encode(), kind, space, how))[...] = data\n"
        "with h5py.File('there/more.h5', 'w', libver='latest') as f:\n" /* laid for more than there is */
        "  f.attrs['class_names'], f.attrs['provenance'], f.attrs['sequence'] = n.bytes_('a\\nb'), 2024, ['no', "
        "'text']\n"
        "  for part in 'train', 'test':\n"
        "    f[part + '/labels'] = n.arange(50, dtype='>i8') % 2\n"
        "    how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)\n"
        "    how.set_chunk((7, 4, 5, 3))\n"
        "    how.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)\n"
        "    space = h5py.h5s.create_simple((50, 4, 5, 3), (50, 8, 5, 3))\n"
        "    h5py.Dataset(h5py.h5d.create(f.id, (part + '/images').encode(), h5py.h5t.STD_U8LE, space, how))[...] = "
        "pixels\n"
        "for block in 0, 512:\n"
        "  for rows in 0, 7, 50:\n"
        "    for early in 0, 1:\n"
        "      for version in 'earliest', 'latest':\n"
        "        for kind in 'pixels', 'files':\n"
        "          name = f'there/{kind}-{block}-{rows}-{early}-{version}.h5'\n"
        "          with h5py.File(name, 'w', libver=(version, 'latest'), userblock_size=block) as f:\n"
        "            f.attrs['class_names'] = n.bytes_('a\\nb')\n"
        "            for part in 'train', 'test':\n"
        "              f[part + '/labels'] = n.arange(50, dtype='i4') % 2\n"
        "              if kind == 'files': f[part + '/ends'] = n.arange(12, 612, 12)\n"
        "              data = pixels if kind == 'pixels' else files\n"
        "              add(f, part + '/' + ('images' if kind == 'pixels' else kind), data, rows, early)\n";
    static const int rows[] = {0, 7, 50, 0}; /* 0: in one piece */
    int read = 0, in_place = 0;

    (void)state;
    fresh("there");
    if (!python(script))
        skip();
    for (int k = 0; k < 2 * 3 * 2 * 2 * 2 + 1; k++) {
        bool block = k & 1, early = k & 2, latest = k & 4, files = k & 8;
        int size = rows[k >> 4 & 3];
        struct image_reader reader = {0};
        struct image image;
        struct dataset d;
        char path[100];
        err e = {0};

        snprintf(path, sizeof path, "there/%s-%d-%d-%d-%s.h5", files ? "files" : "pixels", block ? 512 : 0, size, early,
                 latest ? "latest" : "earliest");
        if (k == 48) {
            strcpy(path, "there/more.h5");
            files = false;
        }
        if (dataset_open_pack(path, &d, &e)) {
            if (!files || !size || (latest && early && !block))
                fail_msg("%s", e.text);
            assert_non_null(strstr(e.text, "is not a row of bytes"));
            continue;
        }
        for (size_t i = 0; i < 50; i++) {
            GOOD(image_set_read(&d.part[DATASET_TEST], i, &reader, &image, &e));
            assert_int_equal(image.pixels[0], files ? i : i * 60 % 251);
        }
        in_place += d.part[DATASET_TEST].places != NULL;
        read++;
        image_reader_free(&reader);
        dataset_close(&d);
    }
    assert_in_range(read, 24 + 8 + 2, 49);
    assert_in_range(in_place, 2 * (8 + 2), read);
}

/* ---------------------------------------------------------------- many readers */

static void *read_all(void *context)
{
    const struct dataset *d = context;
    intptr_t wrong = 0;

    for (int turn = 0; turn < 20; turn++)
        for (int part = 0; part < DATASET_PARTS; part++)
            wrong += differences(d, part, false);
    return (void *)wrong;
}

static void threads_read_at_the_same_time(void **state)
{
    pthread_t threads[4];
    struct dataset d;
    err e = {0};

    (void)state;
    fresh("there");
    pack_make("there/a.h5", IMAGE_PACK_FILES);
    GOOD(dataset_open_pack("there/a.h5", &d, &e));
    for (int t = 0; t < 4; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, read_all, &d), 0);
    for (int t = 0; t < 4; t++) {
        void *wrong;

        assert_int_equal(pthread_join(threads[t], &wrong), 0);
        assert_null(wrong);
    }
    dataset_close(&d);
}

/* ---------------------------------------------------------------- what cannot be packed */

static void misuse_is_refused(void **state)
{
    static const uint8_t pixels[12] = {0};
    static const char bad[][1][CLASS_NAME_SIZE] = {{""}, {"two\nlines"}, {"bell\a"}, {"Latin-1 \xe9t\xe9"}};
    image_pack *p;
    err e = {0};

    (void)state;
    fresh("there");
    for (int i = 0; i < 4; i++)
        assert_int_equal(image_pack_create("there/a.h5", IMAGE_PACK_FILES, bad[i], 1, &p, &e), ERR_DATA);
    assert_int_equal(image_pack_create("no/such/folder/a.h5", IMAGE_PACK_FILES, class_names, 3, &p, &e), ERR_STORAGE);
    assert_int_equal(image_pack_create("there/a.h5", IMAGE_PACK_FILES, class_names, 0, &p, &e), ERR_DATA);
    e = (err){0};
    GOOD(image_pack_create("there/a.h5", IMAGE_PACK_PIXELS, class_names, 3, &p, &e));
    assert_int_equal(image_pack_add_file(p, DATASET_TRAIN, 0, "P5 1 1 255 x", 12, &e), ERR_DATA);
    GOOD(image_pack_add_pixels(p, DATASET_TRAIN, 0, 2, 2, 3, pixels, &e));
    assert_int_equal(image_pack_add_pixels(p, DATASET_TRAIN, 0, 2, 3, 1, pixels, &e), ERR_DATA);
    assert_non_null(strstr(e.text, "image 1 of train is 2 x 3 x 1, those before it are 2 x 2 x 3"));
    assert_int_equal(image_pack_add_pixels(p, DATASET_TRAIN, 0, 2, 3, 2, pixels, &e), ERR_DATA);
    assert_int_equal(image_pack_add_pixels(p, DATASET_TRAIN, 3, 2, 2, 3, pixels, &e), ERR_BUG);
    assert_int_equal(image_pack_finish(p, NULL, &e), ERR_DATA);
    assert_non_null(strstr(e.text, "the test part has no images"));
    e = (err){0};
    GOOD(image_pack_create("there/a.h5", IMAGE_PACK_FILES, class_names, 3, &p, &e));
    GOOD(image_pack_add_file(p, DATASET_TEST, 0, "P5 1 1 255 x", 12, &e));
    assert_int_equal(image_pack_add_file(p, DATASET_TRAIN, 0, "P5 1 1 255 x", 12, &e), ERR_BUG);
    assert_int_equal(image_pack_add_file(p, DATASET_TEST, 0, "", 0, &e), ERR_DATA);
    image_pack_abandon(p);
    image_pack_abandon(NULL);
    assert_int_equal(files_in("there"), 0);
}

/* Ten thousand classes whose names are as long as a folder's name may be: more than an attribute of HDF5 used to hold. */
static void names_may_be_long_and_many(void **state)
{
    enum { MANY = 10000 };
    char(*names)[CLASS_NAME_SIZE] = calloc(MANY, sizeof *names);
    struct dataset d;
    image_pack *p;
    err e = {0};

    (void)state;
    fresh("there");
    assert_non_null(names);
    for (int i = 0; i < MANY; i++)
        memset(names[i] + snprintf(names[i], 20, "%05d_", i), 'x', CLASS_NAME_SIZE - 1 - 6);
    GOOD(image_pack_create("there/a.h5", IMAGE_PACK_FILES, (const char(*)[CLASS_NAME_SIZE])names, MANY, &p, &e));
    GOOD(image_pack_add_file(p, DATASET_TRAIN, 0, "P5 1 1 255 x", 12, &e));
    GOOD(image_pack_add_file(p, DATASET_TEST, MANY - 1, "P5 1 1 255 x", 12, &e));
    GOOD(image_pack_finish(p, NULL, &e));
    GOOD(dataset_open_pack("there/a.h5", &d, &e));
    assert_int_equal(d.classes, MANY);
    for (int i = 0; i < MANY; i++)
        assert_string_equal(d.class_names[i], names[i]);
    dataset_close(&d);
    names[1][CLASS_NAME_SIZE - 1] = 'x'; /* one byte too many */
    assert_int_equal(
        image_pack_create("there/b.h5", IMAGE_PACK_FILES, (const char(*)[CLASS_NAME_SIZE])names, MANY, &p, &e),
        ERR_DATA);
    free(names);
}

/* The disk is full after every so many bytes: an error, no file, and a process that goes on. */
static void full_disks_are_errors(void **state)
{
    struct rlimit unlimited, limit;
    int failures = 0;

    (void)state;
    fresh("there");
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &unlimited);
    for (rlim_t size = 100; size < 200000; size = size * 5 / 4) {
        image_pack *p;
        err e = {0};

        limit = (struct rlimit){size, unlimited.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
        if (!image_pack_create("there/a.h5", IMAGE_PACK_FILES, class_names, 3, &p, &e)) {
            if (add_all(p, false, &e))
                image_pack_abandon(p);
            else
                image_pack_finish(p, NULL, &e);
        }
        setrlimit(RLIMIT_FSIZE, &unlimited);
        if (!e.code)
            break;
        failures++;
        assert_int_equal(e.code, ERR_STORAGE);
        assert_int_equal(files_in("there"), 0);
    }
    assert_in_range(failures, 10, 40);
    assert_int_equal(files_in("there"), 1);
}

static void memory_does_not_grow(void **state)
{
    enum { IMAGE = 1 << 18, IMAGES = 400 };
    uint8_t *bytes = calloc(IMAGE, 1);
    struct rusage before, after;
    struct digest digest;
    struct stat s;
    image_pack *p;
    err e = {0};

    (void)state;
    fresh("there");
    getrusage(RUSAGE_SELF, &before);
    GOOD(image_pack_create("there/a.h5", IMAGE_PACK_FILES, class_names, 3, &p, &e));
    for (int i = 0; i < IMAGES; i++) {
        memcpy(bytes, &i, sizeof i);
        GOOD(image_pack_add_file(p, i < IMAGES - 1 ? DATASET_TRAIN : DATASET_TEST, 0, bytes, IMAGE, &e));
    }
    GOOD(image_pack_finish(p, &digest, &e));
    getrusage(RUSAGE_SELF, &after);
    assert_int_equal(stat("there/a.h5", &s), 0);
    assert_in_range(s.st_size, IMAGES * IMAGE, IMAGES * IMAGE + 20000);
    assert_in_range(after.ru_maxrss - before.ru_maxrss, 0, 16 << 10);
    free(bytes);
    fresh("there");
}

/* Attributes find room before the images or behind them, whatever their length. */
static void notes_of_any_length(void **state)
{
    char note[50000], *read;
    struct dataset d;
    image_pack *p;
    h5 *file;
    err e = {0};

    (void)state;
    fresh("notes");
    for (size_t n = 1; n < sizeof note; n += n < 10000 ? 211 : 5003) {
        memset(note, 'a', n);
        note[n] = '\0';
        GOOD(image_pack_create("notes/a.h5", IMAGE_PACK_FILES, class_names, 3, &p, &e));
        GOOD(image_pack_note(p, "provenance", note, &e));
        GOOD(image_pack_note(p, "sequence", note, &e));
        GOOD(add_all(p, false, &e));
        GOOD(image_pack_finish(p, NULL, &e));
        GOOD(dataset_open_pack("notes/a.h5", &d, &e));
        GOOD(dataset_verify(&d, &e));
        dataset_close(&d);
        GOOD(h5_open("notes/a.h5", &file, &e));
        GOOD(h5_read_text(file, "provenance", &read, &e));
        assert_string_equal(read, note);
        free(read);
        h5_close(file);
    }
}

/* ---------------------------------------------------------------- packs that are broken */

static void changed_bytes_are_noticed(void **state)
{
    struct image_reader reader = {0};
    struct image image;
    struct dataset d;
    err e = {0};

    (void)state;
    fresh("there");
    pack_make("there/a.h5", IMAGE_PACK_FILES);
    FILE *f = fopen("there/a.h5", "r+b");
    assert_non_null(f);
    fseek(f, H5_FRONT, SEEK_SET);
    fputc('Q', f); /* the first image's magic number */
    fclose(f);
    GOOD(dataset_open_pack("there/a.h5", &d, &e));
    assert_int_equal(dataset_verify(&d, &e), ERR_DAMAGED);
    assert_non_null(strstr(e.text, "there/a.h5: "));
    assert_int_equal(image_set_read(&d.part[DATASET_TRAIN], 0, &reader, &image, &e), ERR_DAMAGED);
    assert_non_null(strstr(e.text, "there/a.h5: image 0 of train: it is not a JPEG"));
    assert_int_equal(image_set_read(&d.part[DATASET_TRAIN], 1, &reader, &image, &e), 0);
    dataset_close(&d);
    image_reader_free(&reader);
}

/* Where images are must be in the file, and in the one that is open. */
static void places_are_not_believed(void **state)
{
    static const char script[] =
        "import h5py, numpy as n\n"
        "def pack(name):\n"
        "  with h5py.File(name, 'w') as f:\n"
        "    f.attrs['class_names'] = n.bytes_('a\\nb')\n"
        "    for part in 'train', 'test':\n"
        "      f[part + '/labels'] = n.arange(2, dtype='i4')\n"
        "      f[part + '/images'] = n.zeros((2, 50, 50, 3), 'u1')\n"
        "    return f['test/images'].id.get_offset()\n"
        "pack('there/b.h5')\n"
        "at, text = pack('there/a.h5'), open('there/a.h5', 'rb').read()\n"
        "wrong = text.replace(at.to_bytes(8, 'little'), (len(text) - 7500).to_bytes(8, 'little'))\n"
        "assert wrong != text\n"
        "open('there/a.h5', 'wb').write(wrong)\n";
    struct image_pack_contents pack;
    struct dataset d;
    err e = {0};
    int fd;

    (void)state;
    fresh("there");
    if (!python(script))
        skip();
    assert_int_equal(dataset_open_pack("there/a.h5", &d, &e), ERR_DAMAGED);
    assert_string_equal(e.text, "there/a.h5: the images of test reach beyond the end of the file (E_TRUNC)");
    assert_int_equal(dataset_open_pack("there", &d, &e), ERR_DAMAGED);
    assert_string_equal(e.text, "there: is not a file");
    assert_int_equal(dataset_open_pack("there/c.h5", &d, &e), ERR_MISSING);
    GOOD(dataset_open_pack("there/b.h5", &d, &e));
    dataset_close(&d);
    fd = open("there/a.h5", O_RDONLY);
    assert_int_equal(image_pack_contents_read("there/b.h5", fd, &pack, &e), ERR_DAMAGED);
    assert_non_null(strstr(e.text, "there/b.h5: was replaced while it was opened"));
    image_pack_contents_free(&pack);
    close(fd);
}

/* A file that shrinks while it is open. */
static void vanished_bytes_are_noticed(void **state)
{
    struct image_reader reader = {0};
    struct image image;
    struct dataset d;
    err e = {0};

    (void)state;
    fresh("there");
    pack_make("there/a.h5", IMAGE_PACK_PIXELS);
    GOOD(dataset_open_pack("there/a.h5", &d, &e));
    assert_int_equal(truncate("there/a.h5", H5_FRONT + 10), 0);
    assert_int_equal(image_set_read(&d.part[DATASET_TEST], 3, &reader, &image, &e), ERR_DAMAGED);
    assert_non_null(strstr(e.text, "image 3 of test: the file has become shorter"));
    dataset_close(&d);
    assert_int_equal(dataset_open_pack("there/a.h5", &d, &e), ERR_DAMAGED);
    image_reader_free(&reader);
}

static void lists_of_ends_are_not_believed(void **state)
{
    static const struct {
        const char *text; /* NULL: is good */
        int64_t ends[3];
        size_t bytes, labels;
        bool chunked;
    } cases[] = {
        {NULL, {12, 24, 36}, 36, 3, false},
        {"ends at 10 of 36 bytes, the one before at 12", {12, 10, 36}, 36, 3, false},
        {"ends at 12 of 36 bytes, the one before at 12", {12, 12, 36}, 36, 3, false},
        {"ends at 0 of 36 bytes", {0, 24, 36}, 36, 3, false},
        {"ends at -5 of 36 bytes", {-5, 24, 36}, 36, 3, false},
        {"ends at 37 of 36 bytes", {12, 24, 37}, 36, 3, false},
        {"ends at 9223372036854775807 of 36 bytes", {12, 24, INT64_MAX}, 36, 3, false},
        {"the last image ends at 35 of 36 bytes", {12, 24, 35}, 36, 3, false},
        {"has 3 images and 2 labels", {12, 24, 36}, 36, 2, false},
        {"is not a row of bytes, stored as they are one after the other", {12, 24, 5000}, 5000, 3, true},
    };
    static uint8_t bytes[5000];

    (void)state;
    fresh("there");
    for (int i = 0; i < 3; i++)
        memcpy(bytes + 12 * i, "P5 1 1 255 x", 12);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static const int32_t labels[3] = {0, 1, 0};
        const size_t three = 3;
        struct dataset d;
        err e = {0};
        h5 *file;

        GOOD(h5_create("there/a.h5", &file, &e));
        GOOD(h5_write_text(file, "class_names", "a\nb", &e));
        for (int part = 0; part < DATASET_PARTS; part++) {
            GOOD(h5_write(file, part ? "test/files" : "train/files", H5_U8, 1, &cases[i].bytes, bytes, cases[i].chunked,
                          &e));
            GOOD(h5_write(file, part ? "test/ends" : "train/ends", H5_I64, 1, &three, cases[i].ends, true, &e));
            GOOD(h5_write(file, part ? "test/labels" : "train/labels", H5_I32, 1, &cases[i].labels, labels, true, &e));
        }
        GOOD(h5_commit(file, NULL, &e));
        int code = dataset_open_pack("there/a.h5", &d, &e);
        if (cases[i].text && (code != ERR_DAMAGED || !strstr(e.text, cases[i].text)))
            fail_msg("expected '%s', not '%s'", cases[i].text, e.text);
        if (!cases[i].text)
            assert_int_equal(code, 0);
        dataset_close(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_does_not_grow), /* first: it looks at the most memory used so far */
        cmocka_unit_test(images_come_back),
        cmocka_unit_test(digests_are_of_the_content),
        cmocka_unit_test(equal_calls_give_equal_bytes),
        cmocka_unit_test(python_reads_them),
        cmocka_unit_test(chunks_follow_one_another),
        cmocka_unit_test(large_images_have_several_chunks),
        cmocka_unit_test(packs_of_others_are_read),
        cmocka_unit_test(threads_read_at_the_same_time),
        cmocka_unit_test(misuse_is_refused),
        cmocka_unit_test(names_may_be_long_and_many),
        cmocka_unit_test(full_disks_are_errors),
        cmocka_unit_test(notes_of_any_length),
        cmocka_unit_test(changed_bytes_are_noticed),
        cmocka_unit_test(places_are_not_believed),
        cmocka_unit_test(vanished_bytes_are_noticed),
        cmocka_unit_test(lists_of_ends_are_not_believed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
