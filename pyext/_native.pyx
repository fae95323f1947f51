"""The compiled twin of cnn_core.backend.reference: same functions, C kernels.

Every function takes and returns NumPy arrays. What no kernel serves (other types,
odd layouts) goes to the reference function of the same name, see bind_reference.
"""

include "common.pxi"
include "typed.pxi"
include "elementwise.pxi"
include "activations.pxi"
include "reductions.pxi"
include "losses.pxi"
include "matmul.pxi"
include "random.pxi"
include "sorting.pxi"
include "indexing.pxi"
include "threads.pxi"
include "panels.pxi"
include "arenas.pxi"
include "peak.pxi"
include "program_tasks.pxi"
include "program.pxi"
include "program_run.pxi"

_start()
