/* Stands between a program and its disk (LD_PRELOAD): lets the n-th write or sync of a file fail,
   and records all of them in order. Only files whose path begins with what `faulty_watch` was given
   are looked at; SQLite's -shm file is memory and is left alone. */

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
static int fault, is_lasting, record_to = -1;

void faulty_watch(const char *prefix) { snprintf(watched, sizeof watched, "%s", prefix); }
void faulty_record(int descriptor) { record_to = descriptor; }
long faulty_calls(void) { return calls; }

/* Fail the n-th call from now on with an error number; 0 is never. If lasting, all after it too. */
void faulty_arm(long number, int error, int lasting) {
    calls = 0;
    first_fault = number;
    fault = error;
    is_lasting = lasting;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static const char *ours(int descriptor, char *path) {
    char link[64];
    ssize_t length;
    if (!watched[0]) return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return NULL;
    path[length] = 0;
    if (strncmp(path, watched, strlen(watched)) != 0) return NULL;
    if (length > 4 && strcmp(path + length - 4, "-shm") == 0) return NULL;
    return path + strlen(watched);
}

static int fails(void) {
    calls++;
    return first_fault && (calls == first_fault || (is_lasting && calls > first_fault));
}

/* One line of text (operation, suffix of the file's name, offset, length), then the data. */
static void note(char what, const char *suffix, off64_t at, size_t length, const void *data) {
    if (record_to < 0) return;
    dprintf(record_to, "%c .%s %lld %zu\n", what, suffix, (long long)at, length);
    if (data) REAL(write)(record_to, data, length);
}

static ssize_t put(int descriptor, const void *data, size_t length, off64_t at) {
    char path[PATH_MAX];
    const char *suffix = ours(descriptor, path);
    if (suffix && fails()) {
        /* A failing disk may have taken a part. */
        if (length > 1) REAL(pwrite64)(descriptor, data, length / 2, at);
        errno = fault;
        return -1;
    }
    ssize_t written = REAL(pwrite64)(descriptor, data, length, at);
    if (suffix && written > 0) note('w', suffix, at, (size_t)written, data);
    return written;
}

ssize_t pwrite64(int descriptor, const void *data, size_t length, off64_t at) {
    return put(descriptor, data, length, at);
}

ssize_t pwrite(int descriptor, const void *data, size_t length, off_t at) {
    return put(descriptor, data, length, at);
}

static int sync_with(int descriptor, int (*real)(int)) {
    char path[PATH_MAX];
    const char *suffix = ours(descriptor, path);
    if (suffix && fails()) {
        errno = fault;
        return -1;
    }
    int answer = real(descriptor);
    if (suffix && answer == 0) note('s', suffix, 0, 0, NULL);
    return answer;
}

int fsync(int descriptor) { return sync_with(descriptor, REAL(fsync)); }
int fdatasync(int descriptor) { return sync_with(descriptor, REAL(fdatasync)); }

static int cut(int descriptor, off64_t length) {
    char path[PATH_MAX];
    const char *suffix = ours(descriptor, path);
    if (suffix && fails()) {
        errno = fault;
        return -1;
    }
    int answer = REAL(ftruncate64)(descriptor, length);
    if (suffix && answer == 0) note('t', suffix, length, 0, NULL);
    return answer;
}

int ftruncate64(int descriptor, off64_t length) { return cut(descriptor, length); }
int ftruncate(int descriptor, off_t length) { return cut(descriptor, length); }

int unlink(const char *path) {
    int answer = REAL(unlink)(path);
    size_t length = strlen(watched);
    if (answer == 0 && length && strncmp(path, watched, length) == 0)
        note('u', path + length, 0, 0, NULL);
    return answer;
}
