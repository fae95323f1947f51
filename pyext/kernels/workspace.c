#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* madvise */
#endif
#include "workspace.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#define SMALL_ALIGN ((size_t)64)
#define HUGE_PAGE ((size_t)2 << 20)
/* From here on one huge page, instead of hundreds of small ones, spares TLB misses. */
#define HUGE_FROM ((size_t)256 << 10)

static _Thread_local struct {
    void *memory;
    size_t bytes;
} mine;

static pthread_key_t at_thread_exit;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int have_key;

static void make_key(void) { have_key = pthread_key_create(&at_thread_exit, free) == 0; }

void *cnn_workspace(size_t bytes) {
    if (bytes <= mine.bytes)
        return mine.memory;
    pthread_once(&once, make_key);
    if (!have_key)
        return NULL;
    const size_t unit = bytes < HUGE_FROM ? SMALL_ALIGN : HUGE_PAGE;
    if (bytes > (size_t)-1 - unit)
        return NULL;
    const size_t rounded = (bytes + unit - 1) / unit * unit;
    free(mine.memory);
    mine.bytes = 0;
    mine.memory = aligned_alloc(unit, rounded);
    if (pthread_setspecific(at_thread_exit, mine.memory) != 0) {
        free(mine.memory);
        mine.memory = NULL;
        pthread_setspecific(at_thread_exit, NULL);
    }
    if (!mine.memory)
        return NULL;
#if defined(MADV_HUGEPAGE)
    if (unit == HUGE_PAGE)
        madvise(mine.memory, rounded, MADV_HUGEPAGE); /* a hint: failure costs nothing */
#endif
    mine.bytes = rounded;
    return mine.memory;
}
