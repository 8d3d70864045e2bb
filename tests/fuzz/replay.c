/* tests/fuzz/replay.c - a fuzz target without a fuzzer: runs it on every file of a folder, and on cut and flipped copies. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run_variants(uint8_t *bytes, size_t n)
{
    LLVMFuzzerTestOneInput(bytes, n);
    for (size_t i = 0; i < n; i += 1 + n / 40) {
        LLVMFuzzerTestOneInput(bytes, i);
        bytes[i] ^= 0x11;
        LLVMFuzzerTestOneInput(bytes, n);
        bytes[i] ^= 0x11;
    }
}

int main(int argc, char **argv)
{
    static uint8_t bytes[LARGEST];
    struct dirent *entry;
    int files = 0;
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;

    if (!folder)
        return 2;
    while ((entry = readdir(folder))) {
        char path[4096];
        FILE *in;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        in = fopen(path, "rb");
        if (!in)
            return 2;
        run_variants(bytes, fread(bytes, 1, sizeof bytes, in));
        fclose(in);
        files++;
    }
    closedir(folder);
    printf("%d inputs\n", files);
    return files ? 0 : 1; /* an empty corpus proves nothing */
}
