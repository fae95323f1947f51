/* The instruction set that every machine of the architecture has; no FMA. */
#define CNN_ISA baseline
#define CNN_VLEN 4
#define CNN_HAVE_FMA 0
#include <math.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#include "table.inc.c"
