"""Arrays in, arrays out: the operations everything above is made of.

The functions of `reference` are attributes of this module; where the compiled
backend is in use, its functions have taken their place. CNN_CORE_BACKEND, "compiled"
or "reference", forces a choice.
"""

# The star imports below are exports:
# mypy: implicit-reexport

from __future__ import annotations

from typing import TYPE_CHECKING

from cnn_core.backend import reference as _reference
from cnn_core.backend import selection as _selection
from cnn_core.backend.reference import *  # noqa: F403
from cnn_core.backend.selection import (
    info,
    isa,
    name,
    num_threads,
    set_num_threads,
)
from cnn_core.config import (  # Keras has them here, too
    backend,
    epsilon,
    floatx,
    image_data_format,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)

if not TYPE_CHECKING:  # type checkers take every imported name as exported
    __all__ = ["info", "isa", "name", "num_threads", "set_num_threads"]
    __all__ += ["backend", "epsilon", "floatx", "image_data_format"]
    __all__ += ["set_epsilon", "set_floatx", "set_image_data_format"]
    __all__ += _reference.FUNCTION_NAMES

globals().update(_selection.FUNCTIONS)
