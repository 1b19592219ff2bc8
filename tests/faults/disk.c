/* A disk that can be cut off or made to fail, put under a program with LD_PRELOAD by tests/faults/disk.py.
 *
 * Every change to a file in $CAREBELL_DISK_FOLDER is done and then noted in $CAREBELL_DISK_LOG, in the order in which the
 * kernel did it, so that a test can rebuild what a real disk would hold after a power cut at any point: what was synced,
 * and any part of what was not. Two files in $CAREBELL_DISK_FAULTS make it fail while they exist: `full` (ENOSPC on
 * writes) and `eio` (EIO on syncs).
 *
 * A note: op (1 byte), 3 bytes of nothing, length of the path (4), length of the data (4), 4 of nothing, offset (8), the
 * path relative to the folder, the data; numbers as the machine has them.
 * Ops: C created, U unlinked, W written, T truncated to `offset`, S synced, D the folder synced, E a sync failed on purpose.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct note {
    uint8_t op, none[3];
    uint32_t path_length, data_length, nothing;
    uint64_t offset;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char folder[PATH_MAX], faults[PATH_MAX];
static size_t folder_length;
static int log_file = -1;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) {
    const char *where = getenv("CAREBELL_DISK_FOLDER"), *log = getenv("CAREBELL_DISK_LOG"), *bad = getenv("CAREBELL_DISK_FAULTS");
    if (!where || !log || !bad || !realpath(where, folder)) return;
    folder_length = strlen(folder);
    snprintf(faults, sizeof faults, "%s", bad);
    int low = REAL(open)(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    log_file = fcntl(low, F_DUPFD_CLOEXEC, 500); /* out of the way of a program that counts its files */
    REAL(close)(low);
}

/* The path relative to the folder ("" is the folder itself), or NULL: not ours. */
static const char *inside(const char *path) {
    if (log_file < 0 || strncmp(path, folder, folder_length) != 0) return NULL;
    if (path[folder_length] == '\0') return path + folder_length;
    return path[folder_length] == '/' ? path + folder_length + 1 : NULL;
}

static const char *of_file(int file, char *path) {
    char link[64];
    if (log_file < 0 || file == log_file) return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return NULL;
    path[length] = '\0';
    return inside(path);
}

static void note(char op, const char *path, uint64_t offset, const void *data, size_t length) {
    int before = errno;
    struct note head = {.op = (uint8_t)op, .path_length = (uint32_t)strlen(path), .data_length = (uint32_t)length, .offset = offset};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)path, head.path_length}, {(void *)data, length}};
    if (writev(log_file, parts, 3) != (ssize_t)(sizeof head + head.path_length + length)) abort();
    errno = before;
}

static int failing(const char *how) {
    char path[PATH_MAX + 16];
    int before = errno;
    snprintf(path, sizeof path, "%s/%s", faults, how);
    int found = access(path, F_OK) == 0;
    errno = before;
    return found;
}

static int opened(const char *path, int flags, mode_t mode, int (*real)(const char *, int, ...)) {
    char whole[PATH_MAX];
    const char *name = NULL;
    if (log_file >= 0 && (flags & O_CREAT)) {
        char parent[PATH_MAX], resolved[PATH_MAX];
        snprintf(parent, sizeof parent, "%s", path);
        char *slash = strrchr(parent, '/');
        if (slash) *slash = '\0';
        if (realpath(slash ? (*parent ? parent : "/") : ".", resolved)) {
            snprintf(whole, sizeof whole, "%.2000s/%.2000s", resolved, slash ? slash + 1 : path);
            name = inside(whole);
        }
    }
    if (!name) return real(path, flags, mode);
    pthread_mutex_lock(&lock);
    int existed = access(path, F_OK) == 0;
    int file = real(path, flags, mode);
    if (file >= 0 && !existed) note('C', name, 0, NULL, 0);
    if (file >= 0 && existed && (flags & O_TRUNC)) note('T', name, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return file;
}

#define MODE(last) mode_t mode = 0; if (flags & O_CREAT) { va_list rest; va_start(rest, last); mode = va_arg(rest, mode_t); va_end(rest); }
int open(const char *path, int flags, ...) { MODE(flags) return opened(path, flags, mode, REAL(open)); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(path, flags, mode, REAL(open64)); }

static ssize_t written(int file, const void *data, size_t length, off_t offset, int placed) {
    char path[PATH_MAX];
    const char *name = of_file(file, path);
    ssize_t (*real)(int, const void *, size_t) = REAL(write);
    if (!name) return placed ? REAL(pwrite)(file, data, length, offset) : real(file, data, length);
    if (failing("full")) { errno = ENOSPC; return -1; }
    pthread_mutex_lock(&lock);
    if (!placed) offset = lseek(file, 0, (fcntl(file, F_GETFL) & O_APPEND) ? SEEK_END : SEEK_CUR);
    ssize_t done = placed ? REAL(pwrite)(file, data, length, offset) : real(file, data, length);
    if (done > 0) note('W', name, (uint64_t)offset, data, (size_t)done);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int file, const void *data, size_t length) { return written(file, data, length, 0, 0); }
ssize_t pwrite(int file, const void *data, size_t length, off_t at) { return written(file, data, length, at, 1); }
ssize_t pwrite64(int file, const void *data, size_t length, off64_t at) { return written(file, data, length, at, 1); }

static int truncated(int file, off_t length, int (*real)(int, off_t)) {
    char path[PATH_MAX];
    const char *name = of_file(file, path);
    if (!name) return real(file, length);
    pthread_mutex_lock(&lock);
    int done = real(file, length);
    if (done == 0) note('T', name, (uint64_t)length, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate(int file, off_t length) { return truncated(file, length, REAL(ftruncate)); }
int ftruncate64(int file, off64_t length) { return truncated(file, length, REAL(ftruncate64)); }

static int synced(int file, int (*real)(int)) {
    char path[PATH_MAX];
    const char *name = of_file(file, path);
    if (!name) return real(file);
    pthread_mutex_lock(&lock);
    int done;
    if (failing("eio")) {
        note('E', name, 0, NULL, 0);
        errno = EIO;
        done = -1;
    } else if ((done = real(file)) == 0) {
        note(*name ? 'S' : 'D', name, 0, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

int fsync(int file) { return synced(file, REAL(fsync)); }
int fdatasync(int file) { return synced(file, REAL(fdatasync)); }

int unlink(const char *path) {
    char resolved[PATH_MAX];
    const char *name = log_file >= 0 && realpath(path, resolved) ? inside(resolved) : NULL;
    if (!name) return REAL(unlink)(path);
    pthread_mutex_lock(&lock);
    int done = REAL(unlink)(path);
    if (done == 0) note('U', name, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
