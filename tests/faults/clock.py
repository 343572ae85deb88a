"""A wall clock that jumps, for one process and its children: the machine's own is left alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

__all__ = ["jumping_clock"]

# Only CLOCK_REALTIME jumps: nobody can move the monotonic clock. Every tenth of a second (of that one) the
# offset is another number of seconds, up to some ten years to either side.
SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

typedef int (*clock_function)(clockid_t, struct timespec *);

static int real_clock(clockid_t clock, struct timespec *now) {
    static clock_function real;
    if (!real) real = (clock_function)dlsym(RTLD_NEXT, "clock_gettime");
    return real(clock, now);
}

static long offset(void) {
    struct timespec now;
    const char *seed = getenv("CLOCK_SEED");
    real_clock(CLOCK_MONOTONIC, &now);
    unsigned long tenth = (unsigned long)now.tv_sec * 10 + now.tv_nsec / 100000000;
    unsigned long mixed = (tenth + (seed ? strtoul(seed, 0, 10) : 0)) * 6364136223846793005UL;
    return (long)(mixed >> 34) % 315360000L - 157680000L;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = real_clock(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += offset();
    return failed;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *where) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where) *where = now.tv_sec;
    return now.tv_sec;
}
"""


def jumping_clock(folder: Path, seed: int) -> dict[str, str]:
    """The environment of a process whose wall clock jumps; what it loads is compiled into ``folder`` once."""
    library = folder / "clock.so"
    if not library.exists():
        source, partial = folder / "clock.c", folder / "clock.partial.so"
        source.write_text(SOURCE, encoding="utf-8")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", partial, source, "-ldl"], check=True)
        partial.rename(library)
    return {"LD_PRELOAD": str(library), "CLOCK_SEED": str(seed)}
