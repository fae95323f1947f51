/* Exercises the thread pool by itself; test_threads.py builds it, also with
 * -fsanitize=thread. Usage: threads_stress pool | fork | wake | cpus | quota LIST MOUNT */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* sched_setaffinity */
#endif
#include "cpus.h"
#include "threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ITEMS 5000
#define CALLERS 4

static _Atomic int failures;

static void expect(int condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "failed: %s\n", what);
        atomic_fetch_add(&failures, 1);
    }
}

/* Plain (not atomic) writes: the sanitizer sees whether the pool orders them. */
static void add_one(void *ctx, int64_t begin, int64_t end) {
    int *counts = ctx;
    for (int64_t i = begin; i < end; i++)
        counts[i]++;
}

static void check_for(int64_t n, int64_t grain) {
    static _Thread_local int counts[ITEMS];
    memset(counts, 0, sizeof counts);
    cnn_parallel_for(n, grain, add_one, counts);
    int wrong = 0;
    for (int64_t i = 0; i < ITEMS; i++)
        wrong += counts[i] != (i < n);
    expect(!wrong, "every item runs once");
}

typedef struct {
    int counts[64];
    int in_slot[CNN_MAX_THREADS]; /* plain: two parts in one slot would be a race */
    int slots;
    int slow; /* parts sleep, so that every worker gets some */
} slot_check;

static void use_slot(void *ctx, int64_t part, int slot) {
    slot_check *check = ctx;
    expect(slot >= 0 && slot < check->slots, "slot in range");
    check->in_slot[slot]++;
    check->counts[part]++;
    if (check->slow) {
        struct timespec pause = {0, 100000};
        nanosleep(&pause, NULL);
    }
    if (part % 16 == 0) { /* nested: runs inline */
        int inner[100] = {0};
        cnn_parallel_for(100, 1, add_one, inner);
        expect(inner[0] == 1 && inner[99] == 1, "nested call");
    }
}

static void check_slots(int threads, int slow) {
    slot_check check = {.slots = threads, .slow = slow};
    cnn_parallel_parts(64, threads, slow ? 1 : 8, use_slot, &check);
    int parts = 0, wrong = 0;
    for (int i = 0; i < threads; i++)
        parts += check.in_slot[i];
    for (int i = 0; i < 64; i++)
        wrong += check.counts[i] != 1;
    expect(parts == 64 && !wrong, "every part runs once, in a slot");
}

static void *caller(void *arg) {
    unsigned state = (unsigned)(uintptr_t)arg * 2654435761u + 1u;
    for (int round = 0; round < 300; round++) {
        state = state * 1664525u + 1013904223u;
        check_for(state % ITEMS, 1 + (state >> 8) % 200);
        check_slots(1 + (int)((state >> 16) % 8), round % 50 == 1);
        if (round % 50 == 0)
            cnn_set_num_threads(1 + (int)((state >> 20) % 8));
        if (round % 100 == 0) { /* let the workers fall asleep */
            struct timespec pause = {0, 300000};
            nanosleep(&pause, NULL);
        }
    }
    return NULL;
}

static void run_callers(void) {
    pthread_t threads[CALLERS];
    for (uintptr_t i = 0; i < CALLERS; i++)
        expect(!pthread_create(&threads[i], NULL, caller, (void *)i), "create");
    for (int i = 0; i < CALLERS; i++)
        pthread_join(threads[i], NULL);
}

static void *keep_busy(void *stop) {
    while (!atomic_load((_Atomic int *)stop))
        check_for(ITEMS, 10);
    return NULL;
}

/* Fork while other threads use the pool: each child must be able to use it too. */
static void run_forks(void) {
    _Atomic int stop = 0;
    pthread_t busy;
    cnn_set_num_threads(4);
    expect(!pthread_create(&busy, NULL, keep_busy, &stop), "create");
    for (int i = 0; i < 20; i++) {
        check_for(ITEMS, 10);
        pid_t child = fork();
        if (child == 0) {
            for (int round = 0; round < 20; round++)
                check_for(ITEMS, 10);
            _exit(atomic_load(&failures) ? 1 : 0);
        }
        int status = 1;
        expect(waitpid(child, &status, 0) == child && status == 0, "child");
    }
    atomic_store(&stop, 1);
    pthread_join(busy, NULL);
}

/* ---- workers that sleep are not woken for little -------------------------------- */

typedef struct {
    int microseconds;   /* that a part takes; a thousand are slept */
    _Atomic int helped; /* parts that workers ran */
} small_job;

static int64_t now_nanoseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void run_small(void *ctx, int64_t part, int slot) {
    small_job *job = ctx;
    struct timespec pause = {0, job->microseconds * 1000};
    const int64_t end = now_nanoseconds() + pause.tv_nsec;
    (void)part;
    if (slot != 0)
        atomic_fetch_add(&job->helped, 1);
    if (job->microseconds >= 1000)
        nanosleep(&pause, NULL);
    while (now_nanoseconds() < end)
        ;
}

/* Times, of 20, that workers helped with so many jobs in a row. */
static int count_helped(int64_t work, int parts, int microseconds, int in_a_row) {
    struct timespec pause = {0, 2000000};
    int helped = 0;
    for (int round = 0; round < 20; round++) {
        nanosleep(&pause, NULL); /* the workers fall asleep */
        small_job job = {.microseconds = microseconds};
        for (int i = 0; i < in_a_row; i++)
            cnn_parallel_parts(parts, 2, work, run_small, &job);
        helped += atomic_load(&job.helped) > 0;
    }
    return helped;
}

/* Of two parts the caller takes both, unless a worker was called before the first. */
static void run_wake(void) {
    cnn_set_num_threads(2);
    expect(count_helped(8, 2, 1000, 1) > 15, "workers come at once for much work");
    expect(count_helped(1, 8, 1000, 1) > 15, "workers come for parts that take long");
    expect(count_helped(1, 2, 30, 1) < 5, "workers sleep on while there is little to do");
    expect(count_helped(1, 2, 30, 150) > 15, "workers come for jobs in quick succession");
}

/* ---- workers keep off the caller's CPU ------------------------------------------ */

#if defined(__linux__)
#include <sys/syscall.h>

typedef struct {
    _Atomic int started;
    pid_t worker;
    int worker_cpu, caller_cpu;
} meeting;

/* Each of two parts waits for the other. */
static void meet(void *ctx, int64_t part, int slot) {
    meeting *m = ctx;
    (void)part;
    if (slot != 0) {
        m->worker = (pid_t)syscall(SYS_gettid);
        m->worker_cpu = sched_getcpu();
    } else {
        m->caller_cpu = sched_getcpu();
    }
    atomic_fetch_add(&m->started, 1);
    for (time_t end = time(NULL) + 10; atomic_load(&m->started) < 2;)
        if (time(NULL) > end)
            return;
}

/* The worker of a job that starts when it sleeps. */
static meeting meet_asleep(void) {
    struct timespec pause = {0, 2000000};
    meeting m = {.worker = 0};
    nanosleep(&pause, NULL);
    cnn_parallel_parts(2, 2, 8, meet, &m);
    expect(m.worker != 0, "a worker took part");
    return m;
}

static void pin(pid_t thread, int cpu) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    expect(!sched_setaffinity(thread, sizeof one, &one), "setaffinity");
}

static void run_on_cpus(void) {
    cpu_set_t all, now;
    int cpus[2], count = 0, shared = 0;
    expect(!sched_getaffinity(0, sizeof all, &all), "getaffinity");
    if (cnn_available_cpus() < 2) {
        printf("only one CPU\n");
        return;
    }
    for (int cpu = 0; count < 2; cpu++)
        if (CPU_ISSET(cpu, &all))
            cpus[count++] = cpu;
    cnn_set_num_threads(2);
    const pid_t worker = meet_asleep().worker;
    for (int round = 0; round < 20; round++) {
        pin(0, cpus[round % 2]);
        if (round >= 10) /* from here on it only starts there */
            expect(!sched_setaffinity(0, sizeof all, &all), "setaffinity");
        const meeting m = meet_asleep();
        shared += m.worker_cpu == m.caller_cpu;
    }
    expect(shared < 5, "a worker that slept keeps off the caller's CPU");
    expect(!sched_getaffinity(worker, sizeof now, &now) &&
               CPU_COUNT(&now) == CPU_COUNT(&all) - 1,
           "a worker may run on every other CPU");
    const int taken = cpus[CPU_ISSET(cpus[0], &now) ? 1 : 0];
    pin(worker, taken); /* by somebody else */
    for (int round = 0; round < 4; round++) {
        pin(0, cpus[round % 2]);
        expect(meet_asleep().worker_cpu == taken &&
                   !sched_getaffinity(worker, sizeof now, &now) && CPU_COUNT(&now) == 1,
               "a worker stays where it must");
    }
}

#else

static void run_on_cpus(void) { printf("no control over CPUs\n"); }

#endif

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    if (!strcmp(mode, "quota") && argc == 4) {
        printf("%d\n", cnn_cgroup_cpus(argv[2], argv[3]));
        return 0;
    }
    if (!strcmp(mode, "pool"))
        run_callers();
    else if (!strcmp(mode, "fork"))
        run_forks();
    else if (!strcmp(mode, "wake"))
        run_wake();
    else if (!strcmp(mode, "cpus"))
        run_on_cpus();
    else
        return 2;
    return atomic_load(&failures) ? 1 : 0;
}
