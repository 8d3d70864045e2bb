/* bench_import.c - what an import costs beside the decoding that it cannot do without.
 *
 *   /usr/bin/python3 tests/bench/photographs.py FOLDER
 *   bench_import FOLDER SLUICE
 *
 * decodes every JPEG of FOLDER/CLASS/ with libjpeg-turbo alone, from memory into one row, then runs `SLUICE data import folder
 * FOLDER` with one thread, and compares processor times; so other programs on the machine do not count.  The import also reads
 * the files, digests them and writes the pack.  The last line is the share of the bare decoder's speed. */
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

static struct {
    int images;
    double seconds, megapixels, megabytes;
} decoded;

static double processor_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
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
    while (c.output_scanline < c.output_height)
        jpeg_read_scanlines(&c, &row, 1);
    decoded.megapixels += 1e-6 * c.output_width * c.output_height;
    jpeg_finish_decompress(&c);
    jpeg_destroy_decompress(&c);
    free(row);
}

static int visit(const char *path, const struct stat *s, int kind, struct FTW *where)
{
    (void)where;
    if (kind != FTW_F || !strstr(path, ".jpg"))
        return 0;
    size_t n = (size_t)s->st_size;
    unsigned char *bytes = malloc(n);
    FILE *f = fopen(path, "rb");

    if (!bytes || !f || fread(bytes, 1, n, f) != n) {
        perror(path);
        exit(1);
    }
    fclose(f);
    double started = processor_seconds();
    decode(bytes, n);
    decoded.seconds += processor_seconds() - started;
    decoded.images++;
    decoded.megabytes += 1e-6 * (double)n;
    free(bytes);
    return 0;
}

int main(int argc, char **argv)
{
    struct rusage u;
    char home[] = "bench-import-XXXXXX";
    int status;

    if (argc != 3) {
        fputs("usage: bench_import FOLDER SLUICE\n", stderr);
        return 2;
    }
    if (nftw(argv[1], visit, 20, 0) || !decoded.images || !mkdtemp(home)) {
        fprintf(stderr, "bench_import: %s has no JPEGs that can be read\n", argv[1]);
        return 1;
    }
    pid_t child = fork();
    if (child == 0) {
        setenv("HOME", home, 1);
        execl(argv[2], argv[2], "data", "import", "folder", argv[1], "--as", "bench", "--threads", "1", (char *)NULL);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &u) != child || status) {
        fprintf(stderr, "bench_import: %s data import does not work\n", argv[2]);
        return 1;
    }
    double import =
        (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
    printf("%d images, %.0f megapixels, %.0f MB\n", decoded.images, decoded.megapixels, decoded.megabytes);
    printf("libjpeg-turbo alone  %7.1f images/s of processor time\n", decoded.images / decoded.seconds);
    printf("sluice data import   %7.1f images/s of processor time, %.0f MiB of memory at most\n",
           decoded.images / import, (double)u.ru_maxrss / 1024);
    printf("share                %7.1f %%\n", 100 * decoded.seconds / import);
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", home);
    return system(command) != 0;
}
