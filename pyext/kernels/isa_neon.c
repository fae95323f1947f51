/* NEON of 64-bit Arm: 4 floats per vector, with FMA. */
#if defined(__aarch64__)
#define CNN_ISA neon
#define CNN_VLEN 4
#define CNN_HAVE_FMA 1
#include <arm_neon.h>
#include <math.h>
#include "table.inc.c"
#else
typedef int cnn_not_this_architecture;
#endif
