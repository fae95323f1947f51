"""Losses: derivatives, clipping, labels, kinds of targets."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from cnn_core.backend import reference


def _data(rows: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return one-hot targets, logits and positive outputs that do not sum to 1."""
    rng = np.random.default_rng(3)
    target = np.eye(n, dtype=np.float32)[rng.integers(0, n, rows)]
    logits = rng.standard_normal((rows, n)).astype(np.float32) * 2
    output = rng.uniform(0.05, 0.95, (rows, n)).astype(np.float32)
    return target, logits, output


def _slope(name: str, target: np.ndarray, output: np.ndarray, **kw: Any) -> np.ndarray:
    """Differentiate the float64 reference, element by element."""
    function, h = getattr(reference, name), 1e-6
    wide = output.astype(np.float64)
    result = np.zeros_like(wide)
    for index in np.ndindex(output.shape):
        ends = []
        for step in (h, -h):
            moved = wide.copy()
            moved[index] += step
            value = function(target, moved, **kw)
            ends.append(value[index] if value.ndim == wide.ndim else value[index[:-1]])
        result[index] = (ends[0] - ends[1]) / (2 * h)
    return result


@pytest.mark.parametrize("n", [2, 5, 9, 20])
@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize(
    "name", ["categorical_crossentropy", "sparse_categorical_crossentropy"]
)
def test_crossentropy_gradients(
    native: ModuleType, isa: str, name: str, from_logits: bool, n: int
) -> None:
    target, logits, output = _data(4, n)
    if name.startswith("sparse"):
        target = target.argmax(-1)
    output = logits if from_logits else output
    ct = np.array([1, -2, 0.5, 3], np.float32)
    got = getattr(native, name + "_grad")(ct, target, output, from_logits)
    want = ct[:, None] * _slope(name, target, output, from_logits=from_logits)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("from_logits", [False, True])
def test_binary_crossentropy_gradient(
    native: ModuleType, isa: str, from_logits: bool
) -> None:
    target, logits, output = _data(5, 7)
    output = logits if from_logits else output
    ct = np.linspace(-1, 2, 35, dtype=np.float32).reshape(5, 7)
    got = native.binary_crossentropy_grad(ct, target, output, from_logits)
    slope = _slope("binary_crossentropy", target, output, from_logits=from_logits)
    np.testing.assert_allclose(got, ct * slope, rtol=1e-4, atol=1e-5)


def test_mean_squared_error_gradient(native: ModuleType, isa: str) -> None:
    target, logits, _ = _data(5, 7)
    ct = np.linspace(-1, 2, 5, dtype=np.float32)
    got = native.mean_squared_error_grad(ct, target, logits)
    want = ct[:, None] * _slope("mean_squared_error", target, logits)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


# ---- a loss and its gradient at once ------------------------------------------

LOSSES = [
    ("mean_squared_error", {}),
    ("binary_crossentropy", {"from_logits": False}),
    ("binary_crossentropy", {"from_logits": True}),
    ("categorical_crossentropy", {"from_logits": False}),
    ("categorical_crossentropy", {"from_logits": True}),
    ("sparse_categorical_crossentropy", {"from_logits": False}),
    ("sparse_categorical_crossentropy", {"from_logits": True}),
]


def _arguments(name: str, rows: int, n: int, from_logits: bool = False) -> list[Any]:
    """Return the cotangent, target and output of a call, with what is special."""
    rng = np.random.default_rng(rows * 100 + n)
    output = rng.standard_normal((rows, n)).astype(np.float32) * 4
    if not from_logits and name != "mean_squared_error":
        output = np.clip(np.abs(output) / 8, 0, 1)
    for row, value in enumerate((np.nan, np.inf, -np.inf, 1e30, 0.0)):
        if row < rows - 1:
            output[row, row % n] = value
    if rows > 7:
        output[6] = -np.inf
    target: Any = rng.uniform(0, 1, (rows, n)).astype(np.float32)
    if name.startswith("sparse"):
        target = rng.integers(-1, n + 1, rows)
    ct = rng.standard_normal((rows, n)).astype(np.float32)
    return [ct if name.startswith("binary") else ct[:, 0].copy(), target, output]


def _bits(x: np.ndarray) -> np.ndarray:
    """Return the bits of floats, the same for every NaN."""
    return np.where(np.isnan(x), np.float32(np.nan), x).view(np.int32)


@pytest.mark.parametrize(("name", "kw"), LOSSES)
def test_a_loss_with_its_gradient_has_the_bits_of_both(
    native: ModuleType, isa: str, name: str, kw: dict[str, Any]
) -> None:
    for n in (*range(1, 20), 31, 33, 63, 64, 65, 100):
        for rows in (1, 2, 3, 4, 7, 8, 9, 17, 40):
            ct, target, output = _arguments(name, rows, n, **kw)
            loss, grad = getattr(native, name + "_with_grad")(ct, target, output, **kw)
            want = getattr(native, name)(target, output, **kw)
            np.testing.assert_array_equal(_bits(loss), _bits(want))
            want = getattr(native, name + "_grad")(ct, target, output, **kw)
            np.testing.assert_array_equal(_bits(grad), _bits(want))


@pytest.mark.parametrize(("name", "kw"), LOSSES)
def test_programs_compute_a_loss_with_its_gradient(
    native: ModuleType, isa: str, name: str, kw: dict[str, Any]
) -> None:
    rows, n = 9, 10
    ct, target, output = _arguments(name, rows, n, **kw)
    want = getattr(native, name + "_with_grad")(ct, target, output, **kw)
    kernel = name + ("_logits" if kw.get("from_logits") else "") + "_with_grad_f32"
    loss, grad = np.zeros_like(want[0]), np.zeros_like(want[1])
    program = native.Program()
    c, t, o, y, g = ((slot, 0) for slot in range(1, 6))
    if name.startswith("binary"):
        program.map(kernel, rows * n, (c, t, o), y, g=g)
    elif name.startswith("sparse"):
        program.rows(kernel, rows, n, y, b=o, c=c, labels=t, g=g)
    else:
        program.rows(kernel, rows, n, y, a=t, b=o, c=c, g=g)
    program.bind(0, np.zeros(1, np.float32))
    for slot, array in enumerate((ct, target, output, loss, grad), 1):
        program.bind(slot, array)
    program.run(0, 1)
    np.testing.assert_array_equal(_bits(loss), _bits(want[0]))
    np.testing.assert_array_equal(_bits(grad), _bits(want[1]))


def test_programs_refuse_a_gradient_that_a_kernel_does_not_write(
    native: ModuleType,
) -> None:
    a, b, c = (1, 0), (2, 0), (3, 0)
    rows, elements = "mean_squared_error", "binary_crossentropy"
    with pytest.raises(ValueError, match=rf"Program\.rows: .* {rows}_f32"):
        native.Program().rows(f"{rows}_f32", 2, 3, c, a=a, b=b, g=c)
    with pytest.raises(ValueError, match=rf"Program\.rows: .* {rows}_with_grad_f32"):
        native.Program().rows(f"{rows}_with_grad_f32", 2, 3, c, a=a, b=b, c=a)
    with pytest.raises(ValueError, match=rf"Program\.map: {elements}_grad_f32"):
        native.Program().map(f"{elements}_grad_f32", 3, (a, b, a), c, g=c)
    with pytest.raises(ValueError, match=rf"{elements}_with_grad_f32 is not an"):
        native.Program().map(f"{elements}_with_grad_f32", 3, (a, b, a), c)


# ---- probabilities at and beyond the limits ----------------------------------


@pytest.mark.parametrize("n", [2, 9, 70])
def test_clipped_probabilities(native: ModuleType, isa: str, n: int) -> None:
    output = np.zeros((3, n), np.float32)
    output[0, 0] = 1  # certain and right
    output[1, 1] = 1  # certain and wrong
    output[2] = 1 / n
    target = np.zeros((3, n), np.float32)
    target[:, 0] = 1
    label = np.zeros(3, np.int64)
    ct = np.ones(3, np.float32)
    pairs = (
        ("categorical_crossentropy", target),
        ("sparse_categorical_crossentropy", label),
    )
    for name, t in pairs:
        got, want = (
            getattr(native, name)(t, output),
            getattr(reference, name)(t, output),
        )
        np.testing.assert_allclose(got, want, rtol=1e-5)
        got = getattr(native, name + "_grad")(ct, t, output)
        want = getattr(reference, name + "_grad")(ct, t, output)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_clipped_binary_probabilities(native: ModuleType, isa: str) -> None:
    output = np.array([0, 1e-9, 1e-7, 0.5, 0.9999999, 1, 2, -1] * 2, np.float32)
    target = np.repeat(np.array([0, 1], np.float32), 8)
    got = native.binary_crossentropy(target, output)
    want = reference.binary_crossentropy(target, output)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-9)
    ct = np.ones_like(output)
    got = native.binary_crossentropy_grad(ct, target, output)
    want = reference.binary_crossentropy_grad(ct, target, output)
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_extreme_logits_stay_finite(native: ModuleType, isa: str) -> None:
    logits = np.array([[-1e4, 0, 1e4], [1e4, -1e4, 0], [300, 300, 300]], np.float32)
    target = np.eye(3, dtype=np.float32)
    label = np.arange(3)
    ct = np.ones(3, np.float32)
    want = [2e4, 2e4, np.log(3)]
    for name, t in (
        ("categorical_crossentropy", target),
        ("sparse_categorical_crossentropy", label),
    ):
        got = getattr(native, name)(t, logits, True)
        np.testing.assert_allclose(got, want, rtol=1e-6)
        assert np.isfinite(getattr(native, name + "_grad")(ct, t, logits, True)).all()
    got = native.binary_crossentropy(target, logits, True)
    assert np.isfinite(got).all()
    assert np.isfinite(
        native.binary_crossentropy_grad(np.ones_like(logits), target, logits, True)
    ).all()


def test_nan_outputs_give_nan(native: ModuleType, isa: str) -> None:
    target, logits, output = _data(3, 10)
    label = target.argmax(-1)
    for array, from_logits in ((logits, True), (output, False)):
        array[1, 4] = np.nan
        for loss in (
            native.categorical_crossentropy(target, array, from_logits),
            native.sparse_categorical_crossentropy(label, array, from_logits),
            native.binary_crossentropy(target, array, from_logits).sum(axis=1),
            native.mean_squared_error(target, array),
        ):
            np.testing.assert_array_equal(np.isnan(loss), [False, True, False])


# ---- labels and targets ------------------------------------------------------


@pytest.mark.parametrize(
    "dtype", [np.int64, np.int32, np.uint8, np.int8, np.float32, np.float64]
)
@pytest.mark.parametrize("from_logits", [False, True])
def test_labels_of_any_type(
    native: ModuleType, isa: str, dtype: type, from_logits: bool
) -> None:
    _, logits, output = _data(6, 5)
    output = logits if from_logits else output
    label = np.array([0, 4, 2, 3, 1, 100]).astype(dtype)  # 100 is no class
    got = native.sparse_categorical_crossentropy(label, output, from_logits)
    want = reference.sparse_categorical_crossentropy(label, output, from_logits)
    np.testing.assert_allclose(got, want, rtol=1e-5)
    assert got[5] == 0
    ct = np.ones(6, np.float32)
    name = "sparse_categorical_crossentropy_grad"
    got = getattr(native, name)(ct, label, output, from_logits)
    want = getattr(reference, name)(ct, label, output, from_logits)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    assert (got[5] == 0).all()


def test_labels_that_are_no_class_count_nothing(native: ModuleType, isa: str) -> None:
    logits = _data(4, 5)[1]
    label = np.array([-1, 5, np.iinfo(np.int64).max, np.iinfo(np.int64).min])
    for from_logits in (False, True):
        assert not native.sparse_categorical_crossentropy(
            label, logits, from_logits
        ).any()
        assert not native.sparse_categorical_crossentropy_grad(
            np.ones(4, np.float32), label, logits, from_logits
        ).any()
    bad = np.array([np.nan, np.inf, -np.inf, 1e30], np.float32)
    assert not native.sparse_categorical_crossentropy(bad, logits, True).any()


@pytest.mark.parametrize("dtype", [np.bool_, np.int32, np.uint8, np.float64])
def test_targets_of_any_type(native: ModuleType, dtype: type) -> None:
    target, _, output = _data(4, 6)
    other = target.astype(dtype)
    ct, per_row = np.ones_like(output), np.ones(4, np.float32)
    for name in ("mean_squared_error", "categorical_crossentropy"):
        np.testing.assert_array_equal(
            getattr(native, name)(other, output), getattr(native, name)(target, output)
        )
        grad = getattr(native, name + "_grad")
        np.testing.assert_array_equal(
            grad(per_row, other, output), grad(per_row, target, output)
        )
    np.testing.assert_array_equal(
        native.binary_crossentropy(other, output),
        native.binary_crossentropy(target, output),
    )
    np.testing.assert_array_equal(
        native.binary_crossentropy_grad(ct, other, output),
        native.binary_crossentropy_grad(ct, target, output),
    )


def test_any_number_of_axes(native: ModuleType, isa: str) -> None:
    rng = np.random.default_rng(4)
    for shape in ((5,), (3, 5), (2, 3, 5)):
        output = rng.uniform(0.1, 0.9, shape).astype(np.float32)
        target = rng.uniform(0, 1, shape).astype(np.float32)
        label = rng.integers(0, 5, shape[:-1])
        for name, t in (
            ("mean_squared_error", target),
            ("categorical_crossentropy", target),
            ("sparse_categorical_crossentropy", np.asarray(label)),
        ):
            got = getattr(native, name)(t, output)
            assert isinstance(got, np.ndarray)
            assert got.shape == shape[:-1]
            want = getattr(reference, name)(t, output)
            np.testing.assert_allclose(got, want, rtol=1e-5)


@pytest.mark.parametrize("shape", [(0, 4), (3, 0)])
def test_no_samples_or_classes(native: ModuleType, shape: tuple[int, int]) -> None:
    x = np.zeros(shape, np.float32)
    for from_logits in (False, True):
        got = native.categorical_crossentropy(x, x, from_logits)
        assert got.shape == shape[:1]
    assert native.binary_crossentropy(x, x).shape == shape


@pytest.mark.parametrize(
    "name",
    ["mean_squared_error", "binary_crossentropy", "categorical_crossentropy"],
)
def test_shapes_that_differ_are_refused(native: ModuleType, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: expected target and output"):
        getattr(native, name)(np.ones((2, 3), np.float32), np.ones((2, 4), np.float32))
    with pytest.raises(
        ValueError, match="sparse_categorical_crossentropy: expected one"
    ):
        native.sparse_categorical_crossentropy(np.zeros(3), np.ones((2, 4), np.float32))
