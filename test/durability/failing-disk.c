/*
 * Makes the disk fail under a program: the calls that write and sync are passed on until the one whose turn it is.
 * Built and preloaded by test/durability/faults.ts:
 *
 *   cc -shared -fPIC -O1 -o failing-disk.so failing-disk.c -ldl
 *
 * FAIL_CONTROL names a file of three words, "<calls> <from> <count> <errno>", read before each call:
 *   calls   w (write, pwrite, writev, ftruncate), s (fsync, fdatasync) or n (none)
 *   from    the number of the first such call that fails, counted from when the line last changed
 *   count   how many fail from there on; 0 for all
 * Only files whose path holds FAIL_PATH are counted. FAIL_COUNTS names a file that says how many were seen and failed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char line[128];
static long seen, failed;

static void say_counts(void) {
  const char *name = getenv("FAIL_COUNTS");
  if (!name) return;
  char text[64];
  int length = snprintf(text, sizeof text, "%ld %ld\n", seen, failed);
  int fd = (int)syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0) return;
  (void)!syscall(SYS_write, fd, text, (size_t)length);
  close(fd);
}

static int counts(int fd) {
  const char *part = getenv("FAIL_PATH");
  if (!part) return 0;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return strstr(path, part) != NULL;
}

/* The errno that this call is to fail with, or 0. */
static int due(char kind, int fd) {
  const char *control = getenv("FAIL_CONTROL");
  if (!control || !counts(fd)) return 0;
  int saved = errno, result = 0;
  pthread_mutex_lock(&lock);
  char now[128] = "";
  int file = (int)syscall(SYS_openat, AT_FDCWD, control, O_RDONLY);
  if (file >= 0) {
    ssize_t length = syscall(SYS_read, file, now, sizeof now - 1);
    now[length > 0 ? length : 0] = 0;
    close(file);
  }
  if (strcmp(now, line) != 0) {
    strcpy(line, now);
    seen = failed = 0;
  }
  char calls = 'n';
  long from = 0, count = 0;
  int code = EIO;
  if (sscanf(now, " %c %ld %ld %d", &calls, &from, &count, &code) >= 2 && calls == kind) {
    seen++;
    if (seen >= from && (count == 0 || seen < from + count)) {
      failed++;
      result = code;
    }
    say_counts();
  }
  pthread_mutex_unlock(&lock);
  errno = saved;
  return result;
}

#define REAL(name) \
  static __typeof__(name) *real; \
  if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define FAIL(kind, fd) \
  int code = due(kind, fd); \
  if (code) { errno = code; return -1; }

int fsync(int fd) { REAL(fsync); FAIL('s', fd) return real(fd); }
int fdatasync(int fd) { REAL(fdatasync); FAIL('s', fd) return real(fd); }
ssize_t write(int fd, const void *bytes, size_t size) { REAL(write); FAIL('w', fd) return real(fd, bytes, size); }
ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) { REAL(pwrite); FAIL('w', fd) return real(fd, bytes, size, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) { REAL(pwrite64); FAIL('w', fd) return real(fd, bytes, size, at); }
ssize_t writev(int fd, const struct iovec *parts, int count) { REAL(writev); FAIL('w', fd) return real(fd, parts, count); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { REAL(pwritev); FAIL('w', fd) return real(fd, parts, count, at); }
int ftruncate(int fd, off_t size) { REAL(ftruncate); FAIL('w', fd) return real(fd, size); }
int ftruncate64(int fd, off64_t size) { REAL(ftruncate64); FAIL('w', fd) return real(fd, size); }
