"""The reference backend: every function in plain NumPy, which defines correctness.

One module per family of operations; a compiled twin has the same names and
signatures. Functions take and return arrays, keep float dtypes, accept any strides
and never write into an argument.
"""

# The star imports below are exports:
# mypy: implicit-reexport

from __future__ import annotations

from typing import TYPE_CHECKING

from cnn_core.backend.reference import activations as _activations
from cnn_core.backend.reference import elementwise as _elementwise
from cnn_core.backend.reference import losses as _losses
from cnn_core.backend.reference import matmul as _matmul
from cnn_core.backend.reference import random as _random
from cnn_core.backend.reference import reductions as _reductions
from cnn_core.backend.reference import shaping as _shaping
from cnn_core.backend.reference.activations import *  # noqa: F403
from cnn_core.backend.reference.elementwise import *  # noqa: F403
from cnn_core.backend.reference.losses import *  # noqa: F403
from cnn_core.backend.reference.matmul import *  # noqa: F403
from cnn_core.backend.reference.random import *  # noqa: F403
from cnn_core.backend.reference.reductions import *  # noqa: F403
from cnn_core.backend.reference.shaping import *  # noqa: F403

FUNCTION_NAMES: tuple[str, ...] = (
    *_activations.__all__,
    *_elementwise.__all__,
    *_losses.__all__,
    *_matmul.__all__,
    *_random.__all__,
    *_reductions.__all__,
    *_shaping.__all__,
)

if not TYPE_CHECKING:  # type checkers take every imported name as exported
    __all__ = list(FUNCTION_NAMES)
