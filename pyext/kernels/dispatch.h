/* Choice of the instruction set at run time. */
#ifndef CNN_DISPATCH_H
#define CNN_DISPATCH_H

#include "kernels.h"

/* Whether the compiler knows tile instructions and the system lends them. */
#if defined(__x86_64__) && defined(__linux__) &&                                     \
    (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 12)
#define CNN_BUILD_AMX 1
#else
#define CNN_BUILD_AMX 0
#endif

/* What the list says about one kernel: &table->name is (char *)table + offset. */
typedef struct {
    const char *name;
    const char *signature;
    size_t offset;
} cnn_kernel_info;

extern const cnn_kernel_info cnn_kernel_list[]; /* ends with name NULL */

/* The table in use; never NULL after cnn_select returned CNN_SELECTED. */
extern const cnn_kernel_table *cnn_table;

/* Tables this machine can run, slowest first; NULL past the last one. */
const cnn_kernel_table *cnn_available(int index);

enum { CNN_SELECTED = 0, CNN_ISA_UNKNOWN = 1, CNN_ISA_UNSUPPORTED = 2 };

/* Use the table of this name, or the best one for NULL. */
int cnn_select(const char *isa);

#endif
