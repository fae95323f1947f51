#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* sched_getcpu, pthread_setaffinity_np, syscall */
#endif
#include "threads.h"

#include "cpus.h"

#include <pthread.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#endif

/* How long an idle worker (or a caller that waits for the last part) polls before it
 * sleeps. A wake-up through the kernel costs about 30 us, a polled one 0.2 us. */
#define SPIN_NANOSECONDS 50000
/* Sleeping workers come late, and waking them costs the caller 5 us: they are called at
 * once for so many times the work that pays for a worker that polls, or for jobs in quick
 * succession, else as soon as the rest of a job seems to take SPIN_NANOSECONDS. */
#define WAKE_WORK 8
/* Ranges per thread in cnn_parallel_for: enough that one slow core does not hold up
 * the others, few enough that a range stays long. */
#define RANGES_PER_THREAD 4

/* `gate` packs the state of the current job into one word:
 * bit 31 open (workers may join), bit 30 the caller sleeps, bits 10-19 how many
 * workers may join, bits 0-9 how many are inside. */
#define GATE_OPEN 0x80000000u
#define GATE_WAITING 0x40000000u
#define GATE_LIMIT_SHIFT 10
#define GATE_COUNT_MASK 0x3ffu

static struct {
    alignas(64) _Atomic unsigned epoch; /* number of jobs so far; workers sleep on it */
    _Atomic unsigned sleepers;
    alignas(64) _Atomic unsigned gate;
    alignas(64) _Atomic int64_t next_part;
    /* Written by the owner of `busy` while the gate is shut and nobody is inside. */
    alignas(64) cnn_part_fn fn;
    void *ctx;
    int64_t parts;
    /* Owned by the holder of `busy`. */
    alignas(64) _Atomic int busy;
    unsigned workers;
#if defined(__linux__)
    struct {
        pthread_t thread;
        int cpu; /* taken from those it may run on, which left `set`, or -1 */
        cpu_set_t *set;
    } worker[CNN_MAX_THREADS];
    int caller_cpu; /* that they keep off */
#endif
    int64_t last_small; /* when the last job started that did not wake workers at once */
    int fork_handler_installed;
    _Atomic int threads; /* 0: not set yet */
    _Atomic int cpus;    /* 0: not probed yet */
} pool;

static _Thread_local int inside_task;

/* ---- sleeping on a word ------------------------------------------------------- */

#if defined(__linux__)

static void word_wait(_Atomic unsigned *word, unsigned expected) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void word_wake(_Atomic unsigned *word, unsigned count) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, (int)count, NULL, NULL, 0);
}

static void word_reset(void) {}

#else

static pthread_mutex_t word_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t word_changed = PTHREAD_COND_INITIALIZER;

static void word_wait(_Atomic unsigned *word, unsigned expected) {
    pthread_mutex_lock(&word_mutex);
    while (atomic_load(word) == expected)
        pthread_cond_wait(&word_changed, &word_mutex);
    pthread_mutex_unlock(&word_mutex);
}

static void word_wake(_Atomic unsigned *word, unsigned count) {
    (void)word;
    (void)count; /* one condition variable serves every word: wake all, they look */
    pthread_mutex_lock(&word_mutex);
    pthread_cond_broadcast(&word_changed);
    pthread_mutex_unlock(&word_mutex);
}

static void word_reset(void) {
    pthread_mutex_init(&word_mutex, NULL);
    pthread_cond_init(&word_changed, NULL);
}

#endif

static inline void cpu_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now_nanoseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Poll until (*word & mask) differs from `value`; 0 when it took too long. */
static int spin_while_equal(_Atomic unsigned *word, unsigned mask, unsigned value) {
    int64_t deadline = 0;
    for (;;) {
        for (int i = 0; i < 32; i++) {
            if ((atomic_load_explicit(word, memory_order_acquire) & mask) != value)
                return 1;
            cpu_relax();
        }
        int64_t now = now_nanoseconds();
        if (deadline == 0)
            deadline = now + SPIN_NANOSECONDS;
        else if (now > deadline)
            return 0;
    }
}

/* With more threads than CPUs, polling would take the CPU from the thread waited for. */
static int may_spin(void) {
    return atomic_load_explicit(&pool.threads, memory_order_relaxed) <=
           atomic_load_explicit(&pool.cpus, memory_order_relaxed);
}

/* ---- CPUs --------------------------------------------------------------------- */

#if defined(__linux__)

/* Take `cpu` from those that worker i may run on; what was taken before it gets back. */
static void keep_off(unsigned i, int cpu) {
    const pthread_t thread = pool.worker[i].thread;
    const int before = pool.worker[i].cpu;
    cpu_set_t *const left = pool.worker[i].set;
    size_t bytes;
    cpu_set_t *set = cnn_get_affinity(thread, &bytes);
    if (!set)
        return;
    /* unless somebody else has set them since */
    if (before >= 0 && CPU_EQUAL_S(bytes, set, left))
        CPU_SET_S((size_t)before, bytes, set);
    pool.worker[i].cpu = CPU_ISSET_S((size_t)cpu, bytes, set) ? cpu : -1;
    CPU_CLR_S((size_t)cpu, bytes, set);
    /* refused where none is left */
    if (pthread_setaffinity_np(thread, bytes, set) != 0)
        pool.worker[i].cpu = -1;
    pool.worker[i].set = set;
    CPU_FREE(left);
}

/* In a virtual machine Linux wakes a thread on the waker's own CPU rather than on one that
 * is halted; they would take turns there for milliseconds. */
static void keep_off_caller(void) {
    const int cpu = sched_getcpu();
    if (cpu < 0 || cpu == pool.caller_cpu || !may_spin())
        return;
    for (unsigned i = 0; i < pool.workers; i++)
        keep_off(i, cpu);
    pool.caller_cpu = cpu;
}

#else

static void keep_off_caller(void) {}

#endif

/* ---- workers ------------------------------------------------------------------ */

static int64_t take_part(void) {
    return atomic_fetch_add_explicit(&pool.next_part, 1, memory_order_relaxed);
}

/* Join the open job, if any. Returns 0 when the job has workers enough. */
static int join_job(void) {
    unsigned gate = atomic_load_explicit(&pool.gate, memory_order_relaxed);
    unsigned inside;
    do {
        if (!(gate & GATE_OPEN))
            return 1;
        inside = gate & GATE_COUNT_MASK;
        if (inside >= ((gate >> GATE_LIMIT_SHIFT) & GATE_COUNT_MASK))
            return 0;
    } while (!atomic_compare_exchange_weak_explicit(
        &pool.gate, &gate, gate + 1, memory_order_acquire, memory_order_relaxed));

    /* Nobody leaves before the parts have run out, so `inside` is a free slot. */
    const int64_t parts = pool.parts;
    for (int64_t part = take_part(); part < parts; part = take_part())
        pool.fn(pool.ctx, part, (int)inside + 1);

    gate = atomic_fetch_sub_explicit(&pool.gate, 1, memory_order_acq_rel);
    if ((gate & GATE_COUNT_MASK) == 1 && (gate & GATE_WAITING))
        word_wake(&pool.gate, 1);
    return 1;
}

static void *worker_main(void *arg) {
    unsigned seen = (unsigned)(uintptr_t)arg;
    int wanted = 1;
    inside_task = 1;
    for (;;) {
        if (!(wanted && may_spin() && spin_while_equal(&pool.epoch, ~0u, seen))) {
            atomic_fetch_add(&pool.sleepers, 1);
            while (atomic_load(&pool.epoch) == seen)
                word_wait(&pool.epoch, seen);
            atomic_fetch_sub(&pool.sleepers, 1);
        }
        seen = atomic_load(&pool.epoch);
        wanted = join_job();
    }
    return NULL;
}

/* The child of a fork has no workers: start afresh, whatever the parent was doing. */
static void reset_after_fork(void) {
    atomic_store(&pool.epoch, 0);
    atomic_store(&pool.sleepers, 0);
    atomic_store(&pool.gate, 0);
    pool.workers = 0;
    inside_task = 0;
    word_reset();
    atomic_store(&pool.busy, 0);
}

/* Bring the pool to `wanted` workers; fewer when the system refuses more. */
static void start_workers(unsigned wanted) {
    if (!pool.fork_handler_installed) {
        if (pthread_atfork(NULL, NULL, reset_after_fork) != 0)
            return;
        pool.fork_handler_installed = 1;
    }
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    /* Signals belong to the threads of the application. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool.workers < wanted) {
        pthread_t thread;
        /* the job that is open now is new to it */
        void *seen = (void *)(uintptr_t)(atomic_load(&pool.epoch) - 1);
        if (pthread_create(&thread, &attributes, worker_main, seen) != 0)
            break;
#if defined(__linux__)
        pool.worker[pool.workers].thread = thread;
        pool.worker[pool.workers].cpu = -1;
        pool.caller_cpu = -1;
#endif
        pool.workers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

/* ---- callers ------------------------------------------------------------------ */

static void wait_until_empty(void) {
    unsigned gate =
        atomic_fetch_and_explicit(&pool.gate, ~GATE_OPEN, memory_order_acq_rel);
    if (!(gate & GATE_COUNT_MASK))
        return;
    /* Count down one by one: the word changes with every worker that leaves. */
    for (;;) {
        gate = atomic_load_explicit(&pool.gate, memory_order_acquire);
        if (!(gate & GATE_COUNT_MASK))
            return;
        if (may_spin() &&
            spin_while_equal(&pool.gate, GATE_COUNT_MASK, gate & GATE_COUNT_MASK))
            continue;
        if ((gate & GATE_WAITING) ||
            atomic_compare_exchange_strong_explicit(
                &pool.gate, &gate, gate | GATE_WAITING, memory_order_acq_rel,
                memory_order_acquire))
            word_wait(&pool.gate, gate | GATE_WAITING);
    }
}

static unsigned workers_awake(void) {
    unsigned sleepers = atomic_load(&pool.sleepers);
    return pool.workers > sleepers ? pool.workers - sleepers : 0;
}

/* Bring `helpers` workers, or as many as there can be, to the open job. */
static void call_workers(unsigned helpers) {
    if (pool.workers < helpers) {
        start_workers(helpers);
        keep_off_caller();
    }
    /* Either a worker sees the new epoch before it sleeps, or it is counted here. */
    unsigned awake = workers_awake();
    if (awake < helpers) {
        keep_off_caller();
        word_wake(&pool.epoch, helpers - awake);
    }
}

/* Run parts until none is left, and call workers once that pays. */
static void run_parts(cnn_part_fn fn, void *ctx, int64_t parts, int64_t work,
                      unsigned helpers) {
    int called = work >= WAKE_WORK;
    int64_t start = 0;
    if (!called && workers_awake() < helpers) {
        start = now_nanoseconds();
        called = start - pool.last_small < 2 * SPIN_NANOSECONDS;
        pool.last_small = start;
    }
    if (called)
        call_workers(helpers);
    for (int64_t part = take_part(); part < parts; part = take_part()) {
        fn(ctx, part, 0);
        if (!called && start) {
            int64_t elapsed = now_nanoseconds() - start;
            called = elapsed * (parts - part - 1) > SPIN_NANOSECONDS * (part + 1);
            if (called)
                call_workers(helpers);
        }
    }
}

void cnn_parallel_parts(int64_t parts, int threads, int64_t work, cnn_part_fn fn,
                        void *ctx) {
    int limit = cnn_num_threads();
    if (threads < limit)
        limit = threads;
    if (parts < limit)
        limit = (int)parts;
    if (limit <= 1 || inside_task ||
        atomic_exchange_explicit(&pool.busy, 1, memory_order_acquire)) {
        for (int64_t part = 0; part < parts; part++)
            fn(ctx, part, 0);
        return;
    }
    unsigned helpers = (unsigned)limit - 1;
    pool.fn = fn;
    pool.ctx = ctx;
    pool.parts = parts;
    atomic_store_explicit(&pool.next_part, 0, memory_order_relaxed);
    atomic_store_explicit(&pool.gate, GATE_OPEN | helpers << GATE_LIMIT_SHIFT,
                          memory_order_release);
    atomic_fetch_add(&pool.epoch, 1);
    inside_task = 1;
    run_parts(fn, ctx, parts, work, helpers);
    inside_task = 0;
    wait_until_empty();
    atomic_store_explicit(&pool.busy, 0, memory_order_release);
}

typedef struct {
    cnn_task_fn fn;
    void *ctx;
    int64_t n, step;
} range_job;

static void run_range(void *ctx, int64_t part, int slot) {
    (void)slot;
    const range_job *job = ctx;
    int64_t begin = part * job->step;
    int64_t end = job->n - begin < job->step ? job->n : begin + job->step;
    job->fn(job->ctx, begin, end);
}

void cnn_parallel_for(int64_t n, int64_t grain, cnn_task_fn fn, void *ctx) {
    if (n <= 0)
        return;
    if (grain < 1)
        grain = 1;
    int threads = n > grain ? cnn_num_threads() : 1;
    if (threads <= 1 || inside_task) {
        fn(ctx, 0, n);
        return;
    }
    int64_t ranges = (n - 1) / grain + 1;
    if (ranges > (int64_t)threads * RANGES_PER_THREAD)
        ranges = (int64_t)threads * RANGES_PER_THREAD;
    int64_t step = (n - 1) / ranges + 1;
    if (step >= 1024)
        step = (step + 63) & ~(int64_t)63; /* keep the alignment of the first range */
    range_job job = {fn, ctx, n, step};
    cnn_parallel_parts((n - 1) / step + 1, threads, n / grain, run_range, &job);
}

/* ---- how many threads --------------------------------------------------------- */

int cnn_num_threads(void) {
    int threads = atomic_load_explicit(&pool.threads, memory_order_relaxed);
    if (threads == 0) {
        cnn_set_num_threads(cnn_available_cpus());
        threads = atomic_load_explicit(&pool.threads, memory_order_relaxed);
    }
    return threads;
}

void cnn_set_num_threads(int n) {
    if (atomic_load_explicit(&pool.cpus, memory_order_relaxed) == 0)
        atomic_store_explicit(&pool.cpus, cnn_available_cpus(), memory_order_relaxed);
    if (n < 1)
        n = 1;
    if (n > CNN_MAX_THREADS)
        n = CNN_MAX_THREADS;
    atomic_store_explicit(&pool.threads, n, memory_order_relaxed);
}
