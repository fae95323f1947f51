/* The kernels of isa_avx512.c or isa_amx.c (CNN_ISA says which) for machines without
 * these instruction sets: the same sources, with intrinsics that are C. */
#define CNN_VLEN 16
#define CNN_HAVE_FMA 1
#include <immintrin.h> /* the one beside this file */
#include <math.h>
#include <stdint.h>
#include <string.h>

/* No register holds such a vector: inlined and unrolled code is slow to compile and not
 * faster. */
#define CNN_INLINE static inline __attribute__((unused))
#define CNN_UNROLL(n)
#define CNN_KEEP(x) (void)(x)

/* Small products are quick to test. */
extern int cnn_test_always;
#define CNN_AMX_PAYS(faster) (cnn_test_always || (faster))

#include "table.inc.c"
