/* Instead of pyext/kernels/dispatch.c: the emulated instruction sets and the one of this
 * machine that they are compared with. */
#include "dispatch.h"

#include <string.h>

#define CNN_INFO(name, signature)                                                    \
    {#name, #signature, offsetof(cnn_kernel_table, name)},
const cnn_kernel_info cnn_kernel_list[] = {CNN_KERNELS(CNN_INFO){NULL, NULL, 0}};

const cnn_kernel_table *cnn_table = NULL;

extern const cnn_kernel_table cnn_table_avx512, cnn_table_amx;
#if defined(__x86_64__)
extern const cnn_kernel_table cnn_table_avx2;
#define CNN_TABLE_HERE cnn_table_avx2
#else
extern const cnn_kernel_table cnn_table_neon;
#define CNN_TABLE_HERE cnn_table_neon
#endif

const cnn_kernel_table *cnn_available(int index) {
    static const cnn_kernel_table *const tables[] = {
        &CNN_TABLE_HERE, &cnn_table_avx512, &cnn_table_amx};
    const int count = (int)(sizeof tables / sizeof *tables);
    return index >= 0 && index < count ? tables[index] : NULL;
}

int cnn_select(const char *isa) {
    for (int i = 0; (cnn_table = cnn_available(i)) != NULL; i++)
        if (strcmp(cnn_table->isa, isa) == 0) return CNN_SELECTED;
    return CNN_ISA_UNKNOWN;
}
