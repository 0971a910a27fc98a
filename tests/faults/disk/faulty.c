/* Stands between a program and its disk (LD_PRELOAD): lets the n-th write, truncation or sync of a
   file fail. Only files whose path begins with what `faulty_watch` was given are looked at; SQLite's
   -shm file is memory and is left alone. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static char watched[PATH_MAX];
static long calls, first_fault;
static int fault, is_lasting;

void faulty_watch(const char *prefix) { snprintf(watched, sizeof watched, "%s", prefix); }
long faulty_calls(void) { return calls; }

/* Fail the n-th call from now on with an error number; 0 is never. If lasting, all after it too. */
void faulty_arm(long number, int error, int lasting) {
    calls = 0;
    first_fault = number;
    fault = error;
    is_lasting = lasting;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int is_ours(int descriptor) {
    char link[64], path[PATH_MAX];
    ssize_t length;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    length = readlink(link, path, PATH_MAX - 1);
    if (!watched[0] || length < 0) return 0;
    path[length] = 0;
    if (strncmp(path, watched, strlen(watched)) != 0) return 0;
    return length <= 4 || strcmp(path + length - 4, "-shm") != 0;
}

static int fails(int descriptor) {
    if (!is_ours(descriptor)) return 0;
    calls++;
    if (!first_fault || calls < first_fault || (calls > first_fault && !is_lasting)) return 0;
    errno = fault;
    return 1;
}

static ssize_t put(int descriptor, const void *data, size_t length, off64_t at) {
    if (!fails(descriptor)) return REAL(pwrite64)(descriptor, data, length, at);
    /* A failing disk may have taken a part. */
    if (length > 1) REAL(pwrite64)(descriptor, data, length / 2, at);
    errno = fault;
    return -1;
}

ssize_t pwrite64(int descriptor, const void *data, size_t length, off64_t at) {
    return put(descriptor, data, length, at);
}

ssize_t pwrite(int descriptor, const void *data, size_t length, off_t at) {
    return put(descriptor, data, length, at);
}

int fsync(int descriptor) { return fails(descriptor) ? -1 : REAL(fsync)(descriptor); }
int fdatasync(int descriptor) { return fails(descriptor) ? -1 : REAL(fdatasync)(descriptor); }

static int cut(int descriptor, off64_t length) {
    return fails(descriptor) ? -1 : REAL(ftruncate64)(descriptor, length);
}

int ftruncate64(int descriptor, off64_t length) { return cut(descriptor, length); }
int ftruncate(int descriptor, off_t length) { return cut(descriptor, length); }
