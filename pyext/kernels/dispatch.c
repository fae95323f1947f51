#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* syscall */
#endif
#include "dispatch.h"

#include <string.h>
#if CNN_BUILD_AMX
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#define CNN_INFO(name, signature)                                                    \
    {#name, #signature, offsetof(cnn_kernel_table, name)},
const cnn_kernel_info cnn_kernel_list[] = {CNN_KERNELS(CNN_INFO){NULL, NULL, 0}};

const cnn_kernel_table *cnn_table = NULL;

extern const cnn_kernel_table cnn_table_baseline;
#if defined(__x86_64__)
extern const cnn_kernel_table cnn_table_avx2, cnn_table_avx512;
#if CNN_BUILD_AMX
extern const cnn_kernel_table cnn_table_amx;
#endif
#elif defined(__aarch64__)
extern const cnn_kernel_table cnn_table_neon;
#endif

static const char *const known[] = {"baseline", "avx2", "avx512", "amx", "neon"};

#if CNN_BUILD_AMX
/* Whether this processor has tile units for bfloat16 and Linux lends them to the process,
 * which it does on request only: each thread's state of them is 8 KiB. */
static int has_amx(void) {
    enum { AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24 };       /* bits of edx, leaf 7 */
    enum { REQUEST_PERMISSION = 0x1023, TILES = 18 }; /* of asm/prctl.h; a feature */
    static int answer = -1;
    unsigned a, b, c, d;
    if (answer < 0)
        answer = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & AMX_BF16) &&
                 (d & AMX_TILE) && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILES) == 0;
    return answer;
}
#endif

const cnn_kernel_table *cnn_available(int index) {
    const cnn_kernel_table *tables[5] = {&cnn_table_baseline};
    int n = 1;
#if defined(__x86_64__)
    /* the builtin also asks whether the operating system saves the registers */
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        tables[n++] = &cnn_table_avx2;
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
            tables[n++] = &cnn_table_avx512;
#if CNN_BUILD_AMX
            if (has_amx()) tables[n++] = &cnn_table_amx;
#endif
        }
    }
#elif defined(__aarch64__)
    tables[n++] = &cnn_table_neon;
#endif
    return index >= 0 && index < n ? tables[index] : NULL;
}

int cnn_select(const char *isa) {
    const cnn_kernel_table *table, *found = NULL;
    for (int i = 0; (table = cnn_available(i)) != NULL; i++) {
        if (isa == NULL || strcmp(table->isa, isa) == 0) found = table;
    }
    if (found != NULL) {
        cnn_table = found;
        return CNN_SELECTED;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i], isa) == 0) return CNN_ISA_UNSUPPORTED;
    }
    return CNN_ISA_UNKNOWN;
}
