/* The thread pool: split independent work over a few long-lived threads.
 *
 * Results never depend on the number of threads: a task only says which part of
 * the output it writes, never in which order sums are taken.
 */
#ifndef CNN_THREADS_H
#define CNN_THREADS_H

#include <stdint.h>

#define CNN_MAX_THREADS 256

typedef void (*cnn_task_fn)(void *ctx, int64_t begin, int64_t end);
typedef void (*cnn_part_fn)(void *ctx, int64_t part, int slot);

/* Split [0, n) into contiguous ranges of at least `grain` items and run them.
 * Runs inline when n <= grain, with one thread, inside a task, or when another
 * caller holds the pool. Returns when every range is done. */
void cnn_parallel_for(int64_t n, int64_t grain, cnn_task_fn fn, void *ctx);

/* Run parts 0..parts-1 on at most `threads` threads, in any order. Every part gets a
 * slot in [0, threads); two parts that run at the same time never share a slot, so a
 * slot indexes per-thread scratch. `work` is all of it, 1 being the least that pays for
 * a thread; workers that sleep are not woken for little. */
void cnn_parallel_parts(int64_t parts, int threads, int64_t work, cnn_part_fn fn,
                        void *ctx);

int cnn_num_threads(void);
void cnn_set_num_threads(int n); /* clamped to 1..CNN_MAX_THREADS */

#endif
