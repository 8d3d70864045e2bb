/* bench_import.c - what an import costs beside the decoding that it cannot do without.
 *
 *   /usr/bin/python3 tests/bench/photographs.py FOLDER
 *   bench_import FOLDER SLUICE [THREADS]
 *
 * In turns, three times each: decode every JPEG of FOLDER/CLASS/ with libjpeg-turbo alone, from memory into one row, with THREADS (1)
 * threads; and run `SLUICE data import folder FOLDER` with as many.  The import also finds, reads and digests the files and writes the
 * pack.  The last line is the share of the bare decoder's speed, on the wall and in processor time; the first needs an idle machine. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jpeglib.h>

enum { MOST = 100000, ROUNDS = 3 };

static struct {
    unsigned char *bytes;
    size_t n;
} files[MOST];
static int images;

struct times {
    double wall, processor;
};

static double seconds_of(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int keep(const char *path, const struct stat *s, int kind, struct FTW *where)
{
    (void)where;
    if (kind != FTW_F || !strstr(path, ".jpg") || images == MOST)
        return 0;
    size_t n = (size_t)s->st_size;
    unsigned char *bytes = malloc(n);
    FILE *f = fopen(path, "rb");

    if (!bytes || !f || fread(bytes, 1, n, f) != n)
        fail(path);
    fclose(f);
    files[images].bytes = bytes;
    files[images++].n = n;
    return 0;
}

static void decode(const unsigned char *bytes, size_t n)
{
    struct jpeg_decompress_struct c;
    struct jpeg_error_mgr errors;

    c.err = jpeg_std_error(&errors); /* which ends the program: these files are good */
    jpeg_create_decompress(&c);
    jpeg_mem_src(&c, bytes, n);
    jpeg_read_header(&c, TRUE);
    c.out_color_space = c.num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_start_decompress(&c);
    JSAMPROW row = malloc((size_t)c.output_width * 3);
    if (!row)
        fail("malloc");
    while (c.output_scanline < c.output_height)
        jpeg_read_scanlines(&c, &row, 1);
    jpeg_finish_decompress(&c);
    jpeg_destroy_decompress(&c);
    free(row);
}

static struct times decode_all(int threads)
{
    double wall = seconds_of(CLOCK_MONOTONIC), processor = seconds_of(CLOCK_PROCESS_CPUTIME_ID);

#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (int i = 0; i < images; i++)
        decode(files[i].bytes, files[i].n);
    return (struct times){seconds_of(CLOCK_MONOTONIC) - wall, seconds_of(CLOCK_PROCESS_CPUTIME_ID) - processor};
}

static double seconds_in(const struct timeval *t)
{
    return (double)t->tv_sec + 1e-6 * (double)t->tv_usec;
}

/* kib: NULL, or [out] the largest memory. */
static struct times import(const char *sluice, const char *folder, const char *threads, long *kib)
{
    char home[] = "bench-import-XXXXXX", command[100];
    double wall = seconds_of(CLOCK_MONOTONIC);
    struct times took;
    struct rusage u;
    int status;
    pid_t child;

    if (!mkdtemp(home))
        fail(home);
    child = fork();
    if (child == 0) {
        setenv("HOME", home, 1);
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(127);
        execl(sluice, sluice, "data", "import", "folder", folder, "--as", "bench", "--threads", threads, (char *)NULL);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &u) != child || status) {
        fprintf(stderr, "bench_import: %s data import does not work\n", sluice);
        exit(1);
    }
    took = (struct times){seconds_of(CLOCK_MONOTONIC) - wall, seconds_in(&u.ru_utime) + seconds_in(&u.ru_stime)};
    if (kib)
        *kib = u.ru_maxrss;
    snprintf(command, sizeof command, "rm -rf %s", home);
    if (system(command))
        fprintf(stderr, "bench_import: %s is left over\n", home);
    return took;
}

static void print(const char *what, const struct times *sum)
{
    printf("%-20s %7.1f images/s on the wall, %7.1f images/s of processor time\n", what, ROUNDS * images / sum->wall,
           ROUNDS * images / sum->processor);
}

int main(int argc, char **argv)
{
    struct times bare = {0, 0}, whole = {0, 0};
    const char *threads = argc > 3 ? argv[3] : "1";
    double megabytes = 0;
    long kib = 0;

    if (argc < 3 || argc > 4 || atoi(threads) < 1) {
        fputs("usage: bench_import FOLDER SLUICE [THREADS]\n", stderr);
        return 2;
    }
    import(argv[2], argv[1], threads,
           &kib); /* before this process is large itself: a child's largest size begins with its parent's */
    if (nftw(argv[1], keep, 20, 0) || !images) {
        fprintf(stderr, "bench_import: %s has no JPEGs that can be read\n", argv[1]);
        return 1;
    }
    for (int i = 0; i < images; i++)
        megabytes += 1e-6 * (double)files[i].n;
    for (int round = 0; round < ROUNDS; round++) {
        struct times a = decode_all(atoi(threads)), b = import(argv[2], argv[1], threads, NULL);

        bare.wall += a.wall;
        bare.processor += a.processor;
        whole.wall += b.wall;
        whole.processor += b.processor;
    }
    printf("%d images, %.0f MB, %s threads; the import took %.0f MiB of memory at most\n", images, megabytes, threads,
           (double)kib / 1024);
    print("libjpeg-turbo alone", &bare);
    print("sluice data import", &whole);
    printf("%-20s %7.1f %% on the wall, %7.1f %% of processor time\n", "share", 100 * bare.wall / whole.wall,
           100 * bare.processor / whole.processor);
    return 0;
}
