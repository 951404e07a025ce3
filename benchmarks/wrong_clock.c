/* Preloaded into a process, sets its wall clock wrong by CLOCK_OFF_SECONDS. Its steady clocks stay right, as on a machine whose time is set
 * wrong. (libfaketime cannot do that: it breaks time.sleep of Python 3.11, which waits until a point of the steady clock.) */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static time_t seconds_off(void) {
    const char *text = getenv("CLOCK_OFF_SECONDS");
    return text ? atol(text) : 0;
}

int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(id, now);
    if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += seconds_off();
    return failed;
}

int gettimeofday(struct timeval *now, void *zone) {
    (void)zone;
    struct timespec spec;
    int failed = clock_gettime(CLOCK_REALTIME, &spec);
    if (!failed) *now = (struct timeval){spec.tv_sec, spec.tv_nsec / 1000};
    return failed;
}

time_t time(time_t *to) {
    struct timespec spec;
    clock_gettime(CLOCK_REALTIME, &spec);
    if (to) *to = spec.tv_sec;
    return spec.tv_sec;
}
