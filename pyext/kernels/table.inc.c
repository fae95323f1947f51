/* Every kernel family, compiled for one instruction set, and their table. */
#include "kernels.h"
#include "simd.h"
#include "vmath.h"
#include "power.h"
#include "map.h"
#include "lanes.h"
#include "transpose.h"
#include "tile.h"

#include "activations.inc.c"
#include "elementwise.inc.c"
#include "reductions.inc.c"
#include "softmax.inc.c"
#include "losses.inc.c"
#include "column_sum.inc.c"
#include "matmul.inc.c"
#include "philox.inc.c"
#include "trigonometry.inc.c"
#include "peak.inc.c"

#define CNN_STRING_(x) #x
#define CNN_STRING(x) CNN_STRING_(x)
#define CNN_ENTRY(name, signature) .name = CNN_FN(name),

const cnn_kernel_table CNN_FN(cnn_table) = {
    .isa = CNN_STRING(CNN_ISA),
    CNN_KERNELS(CNN_ENTRY)
};
