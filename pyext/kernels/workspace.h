/* Scratch memory that a thread keeps between calls; kernels themselves allocate nothing. */
#ifndef CNN_WORKSPACE_H
#define CNN_WORKSPACE_H

#include <stddef.h>

/* At least `bytes` bytes, 64-byte aligned, that belong to the calling thread until its
 * next call of cnn_workspace; freed when the thread ends. NULL when memory is short. */
void *cnn_workspace(size_t bytes);

#endif
