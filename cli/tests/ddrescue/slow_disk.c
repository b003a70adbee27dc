/* A clock that only the disk moves, and a disk that is slow and bad as told: preloaded into a program, so that what it
 * decides by the clock can be compared with what another program decides.
 *
 * SLOW_DISK names the file that is the disk. SLOW_DISK_RULES names a file with one rule a line:
 *     FROM END MICROSECONDS_PER_READ MICROSECONDS_PER_KIB ERRNO
 * A read that touches a rule's bytes takes its time, and fails if it has an error number. Sleeping moves the clock too.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RULES_MAX 4096
#define START 1700000000LL
#define MICRO 1000000LL

struct rule { int64_t from, end, per_read, per_kib; int number; };

static struct rule rules[RULES_MAX];
static int rule_count;
static struct stat disk;
static int64_t now = START * MICRO;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void read_rules(void)
{
    const char *path = getenv("SLOW_DISK_RULES"), *name = getenv("SLOW_DISK");
    FILE *file = path ? fopen(path, "r") : NULL;
    struct rule r;
    long long from, end, per_read, per_kib;
    if (!file || !name || stat(name, &disk) != 0) {
        fprintf(stderr, "slow_disk: SLOW_DISK and SLOW_DISK_RULES must name files\n");
        _exit(99);
    }
    while (fscanf(file, "%lld %lld %lld %lld %d", &from, &end, &per_read, &per_kib, &r.number) == 5) {
        if (rule_count == RULES_MAX) _exit(99);
        r.from = from, r.end = end, r.per_read = per_read, r.per_kib = per_kib;
        rules[rule_count++] = r;
    }
    fclose(file);
}

static void pass(int64_t micros)
{
    pthread_mutex_lock(&lock);
    now += micros;
    pthread_mutex_unlock(&lock);
}

/* Whole seconds are all that counts: a sleep ends when one begins, so that it does not matter how long it was before. */
static void pass_asleep(int64_t micros)
{
    pthread_mutex_lock(&lock);
    now = (now + micros) / MICRO * MICRO;
    pthread_mutex_unlock(&lock);
}

static int64_t passed(void)
{
    pthread_mutex_lock(&lock);
    int64_t then = now;
    pthread_mutex_unlock(&lock);
    return then;
}

/* What a read of the disk costs; returns its error number. */
static int charge(int fd, int64_t at, size_t length)
{
    struct stat here;
    int number = 0;
    int64_t end = at + (int64_t)length, micros = 0;
    if (fstat(fd, &here) != 0 || here.st_dev != disk.st_dev || here.st_ino != disk.st_ino) return 0;
    if (end > here.st_size) end = here.st_size;
    for (int i = 0; i < rule_count; i++) {
        int64_t from = at > rules[i].from ? at : rules[i].from, to = end < rules[i].end ? end : rules[i].end;
        if (from >= to) continue;
        micros += rules[i].per_read + rules[i].per_kib * (to - from) / 1024;
        if (rules[i].number && !number) number = rules[i].number;
    }
    pass(micros);
    return number;
}

ssize_t read(int fd, void *data, size_t length)
{
    static ssize_t (*real)(int, void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "read");
    off_t at = lseek(fd, 0, SEEK_CUR);
    int number = at < 0 ? 0 : charge(fd, at, length);
    if (number) { errno = number; return -1; }
    return real(fd, data, length);
}

ssize_t pread64(int fd, void *data, size_t length, off64_t at)
{
    static ssize_t (*real)(int, void *, size_t, off64_t);
    if (!real) real = dlsym(RTLD_NEXT, "pread64");
    int number = charge(fd, at, length);
    if (number) { errno = number; return -1; }
    return real(fd, data, length, at);
}

time_t time(time_t *place)
{
    time_t secs = passed() / MICRO;
    if (place) *place = secs;
    return secs;
}

int clock_gettime(clockid_t which, struct timespec *place)
{
    int64_t micros = passed();
    (void)which;
    place->tv_sec = micros / MICRO;
    place->tv_nsec = micros % MICRO * 1000;
    return 0;
}

unsigned sleep(unsigned secs)
{
    pass_asleep(secs * MICRO);
    return 0;
}

int ppoll(struct pollfd *files, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    static int (*real)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
    if (!real) real = dlsym(RTLD_NEXT, "ppoll");
    if (count || !timeout) return real(files, count, timeout, mask);
    /* Nanoseconds that begin a microsecond end it. */
    pass_asleep(timeout->tv_sec * MICRO + (timeout->tv_nsec + 999) / 1000);
    return 0;
}
