"""Reading, writing and comparing golden data. Imports neither Keras nor cnn_core.

A family is two files in `data/`: `<family>.npz` with arrays under names such as
`dense/kernel`, and `<family>.json` with everything that is not an array.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).parent / "data"
SAVED = DATA / "saved"

# (rtol, atol) by dtype and kind of quantity.
TOLERANCES: dict[tuple[str, str], tuple[float, float]] = {
    ("float16", "value"): (2e-3, 1e-3),
    ("float16", "gradient"): (4e-3, 4e-3),
    ("float32", "value"): (1e-5, 1e-6),
    ("float32", "gradient"): (1e-4, 1e-5),
    ("float32", "steps"): (1e-4, 1e-5),
    ("float64", "value"): (1e-5, 1e-6),
}


class Golden:
    """The arrays and the other data of one family."""

    def __init__(self, family: str) -> None:
        with np.load(DATA / f"{family}.npz") as file:
            self.arrays: dict[str, np.ndarray] = dict(file)
        self.meta: dict[str, Any] = json.loads((DATA / f"{family}.json").read_text())

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def series(self, prefix: str) -> list[np.ndarray]:
        """The arrays `prefix/0`, `prefix/1`, ... in order."""
        found = []
        while f"{prefix}/{len(found)}" in self.arrays:
            found.append(self.arrays[f"{prefix}/{len(found)}"])
        return found

    def tree(self, prefix: str) -> Any:
        """What `flatten` wrote: an array, a list or a dict of them, or None."""
        if prefix in self.arrays:
            return self.arrays[prefix]
        start = prefix + "/"
        keys = [k.removeprefix(start) for k in self.arrays if k.startswith(start)]
        if not keys:
            return None
        if all(key.isdigit() for key in keys):
            return self.series(prefix)
        return {key: self.arrays[start + key] for key in keys}


@cache
def load(family: str) -> Golden:
    """The golden data of a family, read once."""
    return Golden(family)


def flatten(prefix: str, tree: Any) -> dict[str, np.ndarray]:
    """Names for the arrays of `tree`: an array, a list or a dict of arrays."""
    if isinstance(tree, Mapping):
        return {f"{prefix}/{key}": np.asarray(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return {f"{prefix}/{i}": np.asarray(value) for i, value in enumerate(tree)}
    return {prefix: np.asarray(tree)}


def save(family: str, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
    """Write a family. The same content gives the same bytes."""
    DATA.mkdir(exist_ok=True)
    np.savez_compressed(DATA / f"{family}.npz", **arrays)
    lines = [f" {json.dumps(k)}: {json.dumps(v)}" for k, v in plain(meta).items()]
    (DATA / f"{family}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def plain(value: Any) -> Any:
    """`value` with the types of JSON only; floats keep nine significant digits."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, np.integer):
        return int(value)
    return float(f"{float(value):.9g}")


def normalized_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config in JSON types, with its dtype policy as a name and no name counter."""
    result = plain(config)
    dtype = result.get("dtype")
    if isinstance(dtype, dict):
        result["dtype"] = dtype["config"]["name"]
    if isinstance(result.get("name"), str):
        result["name"] = re.sub(r"_\d+$", "", result["name"])
    return result


# Arguments that Keras forgets in the configs of some objects, so that a loaded object
# computes something else. cnn_core keeps them where they differ from the default.
FORGOTTEN = {"axis", "delta", "gain"}


def assert_config(actual: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Compare configs; arguments that are None in Keras may be absent."""
    got, want = normalized_config(actual), normalized_config(expected)
    want = {k: v for k, v in want.items() if v is not None or k in got}
    got = {k: v for k, v in got.items() if k in want or k not in FORGOTTEN}
    assert _in_float32(got) == _in_float32(want)


def _in_float32(value: Any) -> Any:
    """`value` with floats rounded to float32: Keras keeps some arguments in tensors."""
    if isinstance(value, Mapping):
        return {key: _in_float32(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_in_float32(item) for item in value]
    return float(np.float32(value)) if isinstance(value, float) else value


def assert_close(actual: Any, expected: Any, kind: str = "value") -> None:
    """Compare arrays: exactly where not floating, else by `TOLERANCES`."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(actual, expected)
        return
    rtol, atol = TOLERANCES[(str(expected.dtype), kind)]
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol)


def assert_logs(actual: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Compare logs: the same keys in the same order, and close values."""
    assert list(actual) == list(expected)
    for key, value in expected.items():
        assert_close(np.float32(actual[key]), np.float32(value), "steps")
