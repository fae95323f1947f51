"""Fixtures for the compiled functions: instruction sets, threads, one call of each."""

from __future__ import annotations

import math
import sys
import zlib
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

from cnn_core.backend import reference

sys.path.append(str(Path(__file__).parent))  # for contract.py and others

collect_ignore_glob: list[str] = []
if find_spec("cnn_core._native") is None:
    # A pure-Python build has nothing to test here.
    collect_ignore_glob = ["test_*.py"]
    ISAS: tuple[str, ...] = ()
else:
    from cnn_core import _native

    ISAS = _native.available_isas()


class Case(NamedTuple):
    """One call of a compiled function, and the error it may have."""

    function: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    rtol: float
    atol: float

    def run(self, namespace: ModuleType) -> np.ndarray:
        return _joined(
            getattr(namespace, self.function)(*self.arguments, **self.keywords)
        )

    def expected(self) -> np.ndarray:
        """Return the float64 result of the reference function."""
        wide = [a.astype(np.float64) if _is_float32(a) else a for a in self.arguments]
        return _joined(getattr(reference, self.function)(*wide, **self.keywords))

    def with_arrays(self, change: Callable[[np.ndarray], np.ndarray]) -> Case:
        """Return the call with every float32 array replaced by change(array)."""
        arguments = [change(a) if _is_float32(a) else a for a in self.arguments]
        return self._replace(arguments=tuple(arguments))

    @property
    def label(self) -> str:
        words = [f"{k}={v}" for k, v in self.keywords.items()]
        return f"{self.function}({', '.join(words)})"


def _joined(result: Any) -> np.ndarray:
    """Return an array; the rows of several results side by side."""
    if not isinstance(result, tuple):
        array: np.ndarray = result
        return array
    rows = [part.reshape(len(part), math.prod(part.shape[1:])) for part in result]
    return np.concatenate(rows, axis=1)


def _is_float32(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype == np.float32


@pytest.fixture(scope="session")
def native() -> ModuleType:
    """The extension module with the reference bound."""
    _native.bind_reference(reference)
    return _native  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def emulated(native: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The kernels for AVX-512 and AMX, compiled for this machine: see emulated.py."""
    import emulated

    if emulated.REAL not in native.available_isas():
        pytest.skip("this machine has no FMA")
    return emulated.build(tmp_path_factory.mktemp("emulated"))


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest, native: ModuleType) -> Iterator[str]:
    """Run the test once on each instruction set that this machine has."""
    before = native.isa()
    native.set_isa(request.param)
    yield request.param
    native.set_isa(before)


@pytest.fixture
def restore(native: ModuleType) -> Iterator[None]:
    """Put instruction set, threads and parts of products back after the test."""
    before = native.isa(), native.num_threads(), native.matmul_parts()
    yield
    native.set_isa(before[0])
    native.set_num_threads(before[1])
    native.set_matmul_parts(before[2])


@pytest.fixture
def portable(native: ModuleType) -> Iterator[None]:
    """Keep products to the bits that all instruction sets with FMA share."""
    before = native.matmul_parts()
    native.set_matmul_parts(0)
    yield
    native.set_matmul_parts(before)


@pytest.fixture
def needs_amx(native: ModuleType, restore: None) -> None:
    """Run the test on tile units, with three parts; skip it where there are none."""
    if "amx" not in native.available_isas():
        pytest.skip(
            f"needs tile units (AMX); this machine has {native.available_isas()}"
        )
    native.set_isa("amx")
    native.set_matmul_parts(3)


def make_cases(rows: int, n: int) -> list[Case]:
    """Return a call of every function that has float32 kernels, on (rows, n) arrays."""

    def values(label: str) -> np.ndarray:
        rng = np.random.default_rng(zlib.crc32(f"{label}{rows}x{n}".encode()))
        return (rng.standard_normal((rows, n)) * 3).astype(np.float32)

    x, z, ct = values("x"), values("z"), values("ct")
    positive = np.abs(x) + np.float32(0.01)
    row, column = z[:1].reshape(-1), z[:, :1].copy()
    per_row = ct[:, 0].copy()
    gate = (1 / (1 + np.exp(-x.astype(np.float64)))).astype(np.float32)
    probability = np.clip(gate, 0.01, 0.99).astype(np.float32)
    target = np.clip(np.abs(z) / 9, 0, 1).astype(np.float32)
    simplex = reference.softmax(x)
    labels = np.arange(rows) * 7 % (n + 1) - 1  # -1 is no class
    ulp = float(np.finfo(np.float32).eps)
    total = ulp * (4 + np.sqrt(n)) * 20  # of sums of up to n terms of size 20
    cases: list[Case] = []

    def add(
        function: str, *arguments: Any, rtol: float = ulp, atol: float = 0.0, **kw: Any
    ) -> None:
        cases.append(Case(function, arguments, kw, rtol, atol))

    for name in ("negative", "absolute", "sign", "square", "reciprocal", "relu"):
        add(name, x)
    for name in ("exp", "expm1", "erf", "tanh", "sigmoid", "softplus", "softsign"):
        add(name, x, rtol=3 * ulp)
    for name in ("sin", "cos"):
        add(name, x)
    for name in ("log", "log1p", "sqrt", "rsqrt"):
        add(name, positive, rtol=3 * ulp)
    for name in ("add", "subtract", "multiply", "divide", "maximum", "minimum"):
        add(name, x, z)
        add(name, x, row)
        add(name, column, x)
        add(name, x, np.float32(1.5) * np.ones((), np.float32))
    for exponents in (z, row, np.float32(0.5) * np.ones((), np.float32)):
        add("power", positive, exponents)
    add("clip", x, -1.0, 2.0)
    add("leaky_relu", x)
    add("leaky_relu", x, negative_slope=0.01)
    add("elu", x, alpha=0.7, rtol=4 * ulp)
    add("selu", x, rtol=4 * ulp)
    add("silu", x, rtol=4 * ulp)
    add("hard_sigmoid", x, atol=ulp)
    # the baseline has no FMA: its x*x/2 is rounded, which exp magnifies by x*x/2
    add("gelu", x, approximate=True, rtol=200 * ulp, atol=1e-43)
    add("gelu", x, approximate=False, rtol=100 * ulp, atol=1e-43)
    add("relu_grad", ct, x)
    add("leaky_relu_grad", ct, x)
    add("elu_grad", ct, x, alpha=0.7, rtol=4 * ulp, atol=4 * ulp)
    add("selu_grad", ct, x, rtol=4 * ulp, atol=8 * ulp)
    add("sigmoid_grad", ct, gate, rtol=4 * ulp)
    add("tanh_grad", ct, x, rtol=4 * ulp, atol=20 * ulp)
    add("hard_sigmoid_grad", ct, x, rtol=2 * ulp)
    for name in ("softplus_grad", "softsign_grad"):
        add(name, ct, x, rtol=4 * ulp)
    add("silu_grad", ct, x, rtol=8 * ulp, atol=8 * ulp)
    add("gelu_grad", ct, x, approximate=True, rtol=50 * ulp, atol=20 * ulp)
    add("gelu_grad", ct, x, approximate=False, rtol=50 * ulp, atol=20 * ulp)
    add("softmax", x, rtol=40 * ulp)
    add("log_softmax", x, rtol=8 * ulp, atol=8 * ulp)
    add("softmax_grad", ct, simplex, rtol=8 * ulp, atol=total)
    add("log_softmax_grad", ct, reference.log_softmax(x), rtol=40 * ulp, atol=total)
    for axis in (None, 0, 1):
        for name in ("sum", "mean"):
            add(name, x, axis=axis, atol=total * rows, rtol=4 * ulp)
        for name in ("max", "min", "argmax", "argmin"):
            add(name, x, axis=axis)
    add("mean_squared_error", z, x, rtol=(8 + n / 32) * ulp)
    add("mean_squared_error_grad", per_row, z, x, rtol=4 * ulp, atol=4 * ulp)
    add("binary_crossentropy", target, probability, rtol=8 * ulp, atol=8 * ulp)
    add("binary_crossentropy", target, x, from_logits=True, rtol=8 * ulp, atol=8 * ulp)
    kw = {"rtol": (8 + n / 32) * ulp, "atol": 4 * ulp}
    add("mean_squared_error_with_grad", per_row, z, x, **kw)
    for name in ("binary_crossentropy_grad", "binary_crossentropy_with_grad"):
        add(name, ct, target, probability, rtol=30 * ulp, atol=total)
        add(name, ct, target, x, from_logits=True, rtol=8 * ulp, atol=total)
    for logits, output in ((False, probability), (True, x)):
        kw = {"from_logits": logits, "rtol": (16 + n / 32) * ulp, "atol": total}
        add("categorical_crossentropy", target, output, **kw)
        add("sparse_categorical_crossentropy", labels, output, **kw)
        kw["atol"] = 40 * total
        for what in ("grad", "with_grad"):
            add(f"categorical_crossentropy_{what}", per_row, target, output, **kw)
            add(
                f"sparse_categorical_crossentropy_{what}", per_row, labels, output, **kw
            )
    return cases


@pytest.fixture(scope="session")
def cases() -> Callable[[int, int], list[Case]]:
    """make_cases, for tests: one call of every float32 kernel."""
    return make_cases
