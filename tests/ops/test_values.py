"""Values of operations where they are not those of a NumPy function of the same name,
or where care is needed: NaN, infinities, ties, zeros, limits."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from cnn_core import ops
from cnn_core.graph import GradientTape, KerasTensor

INF, NAN = math.inf, math.nan


def close(actual, expected, **options):
    np.testing.assert_allclose(np.asarray(actual), expected, **{"rtol": 1e-6} | options)


def derivative(function, x):
    x = ops.convert_to_tensor(np.asarray(x, "float64"))
    with GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return np.asarray(tape.gradient(y, x))


# --- elementwise ---


@pytest.mark.parametrize(
    "name",
    (
        "exp2 cbrt trunc hypot fmod nextafter gcd lcm heaviside fmax fmin logaddexp "
        "logaddexp2 sinc signbit isposinf isneginf deg2rad rad2deg left_shift "
        "right_shift bitwise_and bitwise_or bitwise_xor bitwise_not"
    ).split(),
)
def test_functions_that_numpy_has(name):
    function = getattr(np, name)
    arrays = [np.array([3.0, -2.5, 0.0, 1.0]), np.array([2.0, 1.5, 0.5, -3.0])]
    if name in ("gcd", "lcm") or "bitwise" in name or "shift" in name:
        arrays = [np.array([12, 7, 0, 5]), np.array([8, 3, 4, 1])]
    arrays = arrays[: function.nin if isinstance(function, np.ufunc) else 1]
    close(getattr(ops, name)(*arrays), function(*arrays), rtol=1e-12, atol=1e-15)


def test_error_functions():
    x = np.array([-3.0, -0.7, -1e-9, 0.0, 1e-300, 0.3, 2.0, 5.0])
    erf = np.array([math.erf(v) for v in x])
    close(ops.erf(x), erf, rtol=1e-14)
    close(ops.erfc(x), [math.erfc(v) for v in x], rtol=1e-13)
    inner = np.array([-1 + 1e-12, -0.999, -0.5, -1e-9, 0.0, 1e-300, 0.2, 0.9999999])
    y = np.asarray(ops.erfinv(inner))
    close([math.erf(v) for v in y], inner, rtol=1e-13)
    tail = 1 - np.array([math.erf(v) for v in (2.5, 3.0)])
    close(ops.erfinv(1 - tail), [2.5, 3.0], rtol=1e-9)
    close(ops.erfinv(np.float32([-1, 1, 1.5, NAN])), [-INF, INF, NAN, NAN])


def test_rounding():
    close(ops.round([0.5, 1.5, 2.5, -0.5]), [0, 2, 2, 0])
    close(ops.round([1.25, -1.75], 1), [1.2, -1.8])
    close(ops.round(np.int32([1234, 1250]), -2), [1200, 1200])


def test_powers():
    close(ops.power([0.0, 2.0, -2.0], 2), [0, 4, 4])
    close(ops.power(np.int32([2, -3]), 3), [8, -27])
    assert ops.power(2, 2).dtype == "int32"
    assert ops.power(True, 2).dtype == "int32"
    close(derivative(lambda x: x**0.0, [0.0, 1.0]), [0.0, 0.0])
    close(derivative(lambda x: x**1, [0.0]), [1.0])
    close(derivative(lambda x: x**3, [0.0, -2.0]), [0.0, 12.0])
    close(
        derivative(lambda b: np.float64([0.0, 2.0]) ** b, [2.0, 3.0]),
        [0, 8 * math.log(2)],
    )


def test_maximum_of_equal_elements_shares_its_gradient():
    close(derivative(lambda x: ops.maximum(x, 1.0), [0.0, 1.0, 2.0]), [0, 0.5, 1])
    close(derivative(lambda x: ops.minimum(x, 1.0), [0.0, 1.0, 2.0]), [1, 0.5, 0])
    close(derivative(ops.max, [1.0, 3.0, 3.0]), [0, 0.5, 0.5])


def test_clip_lets_the_gradient_through_at_its_limits():
    clipped = [-2.0, -1.0, 0.0, 1.0, 2.0]
    close(derivative(lambda x: ops.clip(x, -1, 1), clipped), [0, 1, 1, 1, 0])
    close(ops.clip([1.0, 5.0], [2.0, 0.0], 3.0), [2.0, 3.0])
    close(ops.clip(np.array([True, False]), 0, 1), [1, 0])


def test_division_by_zero():
    close(ops.divide([1.0, -1.0, 0.0], 0.0), [INF, -INF, NAN])
    close(ops.divide_no_nan([1.0, 4.0], [0.0, 2.0]), [0, 2])
    close(derivative(lambda x: ops.divide_no_nan(1.0, x), [0.0, 2.0]), [0, -0.25])
    close(ops.reciprocal(0.0), INF)


def test_special_values():
    x = np.array([NAN, INF, -INF, 1.0])
    close(ops.nan_to_num(x, nan=7, posinf=8, neginf=9), [7, 8, 9, 1])
    largest = float(np.finfo("float64").max)
    close(ops.nan_to_num(x), [0, largest, -largest, 1])
    close(
        ops.logaddexp([INF, -INF, 1000.0], [INF, -INF, 1000.0]),
        [INF, -INF, 1000 + math.log(2)],
    )
    close(
        ops.isclose([INF, INF, NAN, 1.0], [INF, -INF, NAN, INF]),
        [True, False, False, False],
    )
    assert bool(ops.allclose([NAN], [NAN], equal_nan=True))
    close(ops.fmax([NAN, 1.0, NAN], [2.0, NAN, NAN]), [2, 1, NAN])
    close(ops.logsumexp([-INF, -INF]), -INF)
    close(ops.logsumexp([1000.0, 1000.0]), 1000 + math.log(2))
    close(ops.softmax([[1000.0, 1000.0], [-INF, 0.0]]), [[0.5, 0.5], [0, 1]])
    close(ops.relu([NAN, -1.0]), [NAN, 0])
    close(ops.celu([100.0, -1.0]), [100, math.expm1(-1)])
    close(derivative(ops.celu, [1000.0]), [1.0])


def test_select():
    x = np.arange(5.0)
    y = ops.select([x < 1, x < 3], [x * 10, x * 100], default=-1)
    close(y, [0, 100, 200, -1, -1])
    with pytest.raises(ValueError, match="as many choices as conditions"):
        ops.select([x < 1], [x, x])


def test_view_keeps_the_bits():
    x = np.float32([1.5, -2.0])
    close(ops.view(x, "int32"), x.view("int32"))
    assert ops.view(x, "uint8").shape == (8,)
    with pytest.raises(ValueError, match=r"view: .* does not divide"):
        ops.view(np.float32([1]), "float64")


def test_saturate_cast():
    x = np.array([-1e30, -129.0, 3.7, 1e30, INF])
    close(ops.saturate_cast(x, "int8"), [-128, -128, 3, 127, 127])
    close(ops.saturate_cast(np.float32([1e30, -1e30]), "int32")[1], -(2**31))
    assert int(ops.saturate_cast(np.float32([1e30]), "int32")[0]) >= 2**31 - 129
    close(ops.saturate_cast(np.array([-5, 300]), "uint8"), [0, 255])
    close(
        ops.saturate_cast(np.array([2**40, -(2**40)]), "int32"), [2**31 - 1, -(2**31)]
    )
    close(ops.saturate_cast([0.0, 2.0], "bool"), [False, True])


# --- reductions ---


def test_reductions_without_nan():
    x = np.array([[1.0, NAN, 3.0], [NAN, NAN, NAN]])
    for name in ("nansum", "nanprod"):
        close(getattr(ops, name)(x, axis=1), getattr(np, name)(x, axis=1))
    for name in ("nanmax", "nanmin", "nanmean", "nanvar", "nanstd", "nanmedian"):
        row = getattr(np, name)(x[0])
        close(getattr(ops, name)(x, axis=1), [row, NAN])
    close(ops.nanargmax(x, axis=1), [2, -1])
    close(ops.nanargmin(x, axis=1), [0, -1])
    close(ops.nancumsum(x, axis=1), np.nancumsum(x, axis=1))
    close(ops.nancumprod(x, axis=1), np.nancumprod(x, axis=1))
    close(derivative(ops.nanmean, [1.0, NAN, 3.0]), [0.5, 0, 0.5])


def test_extremes_of_nothing():
    empty = np.zeros((2, 0), "float32")
    for x in (empty, KerasTensor((2, 0))):
        with pytest.raises(ValueError, match=r"max: no element .* shape \(2, 0\)"):
            ops.max(x, axis=1)
    close(ops.max(empty, axis=1, initial=3), [3, 3])
    close(ops.min(np.float32([[1, 5]]), axis=1, initial=3), [1])
    close(ops.mean(empty, axis=1), [NAN, NAN])


def test_products_with_zeros_have_gradients():
    x = np.array([2.0, 0.0, 3.0, 0.0, 5.0])
    close(derivative(ops.prod, x), np.zeros(5))
    close(derivative(ops.prod, x[:3]), [0, 6, 0])
    # Each element of the running product by each element of x.
    x = np.array([2.0, 3.0, 0.0, 4.0, 0.0, 5.0])
    t = ops.convert_to_tensor(x)
    with GradientTape() as tape:
        tape.watch(t)
        y = ops.cumprod(t)
    expected = np.zeros((6, 6))
    for k, j in itertools.product(range(6), range(6)):
        if j <= k:
            expected[k, j] = np.prod(np.delete(x[: k + 1], j))
    close(tape.jacobian(y, t), expected)


def test_gradients_of_segments_with_zeros():
    data = np.array([0.0, 2.0, 3.0, 0.0, 0.0, 4.0])
    ids = np.int32([0, 0, 1, 2, 2, 1])
    slope = derivative(lambda x: ops.segment_prod(x, ids, 3), data)
    close(slope, [2, 0, 4, 0, 0, 3])
    close(
        derivative(lambda x: ops.segment_max(x, ids, 3), data), [0, 1, 0, 0.5, 0.5, 1]
    )


def test_averages():
    x = np.arange(6.0).reshape(2, 3)
    close(ops.average(x, 0, [1.0, 3.0]), np.average(x, axis=0, weights=[1, 3]))
    close(ops.average(x, weights=x), np.average(x, weights=x))
    with pytest.raises(ValueError, match=r"weights of shape \(2, 3\)"):
        ops.average(x, weights=np.ones((3, 2)))


def test_quantiles():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 4, 5))
    for method, q in itertools.product(
        ("linear", "lower", "higher", "midpoint", "nearest"), (0, 0.25, 0.7, 1)
    ):
        close(ops.quantile(x, q, 1, method), np.quantile(x, q, 1, method=method))
    close(ops.percentile(x, [10, 90], (0, 2)), np.percentile(x, [10, 90], (0, 2)))
    x[0, 1, 2] = NAN
    close(ops.median(x, axis=2), np.median(x, axis=2))
    close(ops.nanmedian(x, axis=(1, 2)), np.nanmedian(x, axis=(1, 2)))
    close(ops.nanquantile(x, 0.3, axis=0), np.nanquantile(x, 0.3, axis=0))
    close(derivative(ops.median, [3.0, 1.0, 2.0, 9.0]), [0.5, 0, 0.5, 0])
    with pytest.raises(ValueError, match="did you mean 'linear'"):
        ops.quantile(x, 0.5, method="liner")


# --- order ---


def test_order_of_equal_elements():
    close(ops.argsort([2, 1, 2, 1]), [1, 3, 0, 2])
    values, indices = ops.top_k([1.0, 3.0, 3.0, 2.0], 3)
    close(values, [3, 3, 2])
    close(indices, [1, 2, 3])
    close(ops.argmax([1.0, 3.0, 3.0]), 1)
    assert ops.argsort([1.0]).dtype == indices.dtype == "int32"


def test_top_k_of_extreme_integers():
    lowest = np.array([-(2**31), 2**31 - 1, 0], "int32")
    close(ops.top_k(lowest, 2)[0], [2**31 - 1, 0])
    close(ops.top_k(np.uint8([0, 255, 3]), 2)[0], [255, 3])
    close(ops.top_k(np.array([True, False]), 1)[1], [0])
    with pytest.raises(ValueError, match="cannot take k=4"):
        ops.top_k(lowest, 4)


def test_in_top_k():
    scores = np.float32([[0.1, 0.9, 0.5], [NAN, 0.1, 0.2], [0.5, 0.5, 0.5]])
    close(ops.in_top_k([2, 0, 2], scores, k=1), [False, False, True])
    close(ops.in_top_k([2, 2, 0], scores, k=2), [True, True, True])


def test_counting():
    close(ops.bincount([0, 1, 1, 4]), [1, 2, 0, 0, 1])
    close(ops.bincount([[0, 1], [2, 2]], minlength=4), [[1, 1, 0, 0], [0, 0, 2, 0]])
    close(ops.bincount([1, 1], weights=[0.5, 2.0]), [0, 2.5])
    counts, edges = ops.histogram([1.0, 2.0, 2.5, 4.0], bins=3)
    close(counts, [1, 2, 1])
    close(edges, [1, 2, 3, 4])
    close(ops.unique([3, 1, 3, 2]), [1, 2, 3])
    values, first, inverse, number = ops.unique(
        [3, 1, 3], return_index=True, return_inverse=True, return_counts=True
    )
    close(values, [1, 3])
    close(first, [1, 0])
    close(inverse, [1, 0, 1])
    close(number, [1, 2])
    close(ops.unique([3, 1, 3], size=4, fill_value=0), [1, 3, 0, 0])
    close(ops.unique([3, 1, 2], size=2), [1, 2])
    first, second = ops.nonzero([[0, 1], [2, 0]])
    close(first, [0, 1])
    close(second, [1, 0])
    close(ops.isin([1, 2, 3], [3, 1], invert=True), [False, True, False])
    close(ops.digitize([0.0, 1.0, 5.0], [1.0, 2.0]), [0, 1, 2])


# --- positions ---


def test_scatter_adds_and_scatter_update_replaces():
    indices, values = np.int32([[0], [2], [0]]), np.float32([1, 2, 3])
    close(ops.scatter(indices, values, (4,)), [4, 0, 2, 0])
    x = np.float32([10, 20, 30, 40])
    close(ops.scatter_update(x, indices, values), [3, 20, 2, 40])
    close(ops.scatter_update(x, indices, values, "add"), [14, 20, 32, 40])
    close(ops.scatter_update(x, indices, values, "mul"), [30, 20, 60, 40])
    close(ops.scatter_update(x, indices, values, "max"), [10, 20, 30, 40])
    close(ops.scatter_update(x, indices, values, "min"), [1, 20, 2, 40])
    close(derivative(lambda u: ops.scatter_update(x, indices, u), values), [0, 1, 1])
    with pytest.raises(ValueError, match="did you mean 'max'"):
        ops.scatter_update(x, indices, values, "maxi")


def test_the_original_stays_as_it_is():
    x = ops.convert_to_tensor(np.zeros((3, 3), "float32"))
    ops.slice_update(x, (0, 1), np.ones((2, 2), "float32"))
    ops.scatter_update(x, [[0]], np.ones((1, 3), "float32"))
    close(x, np.zeros((3, 3)))


def test_segments():
    data, ids = np.float32([[1, 2], [3, 4], [5, 6]]), [1, 3, 1]
    close(ops.segment_sum(data, ids), [[0, 0], [6, 8], [0, 0], [3, 4]])
    close(ops.segment_sum(data, ids, num_segments=2), [[0, 0], [6, 8]])
    close(ops.segment_sum(data, [-1, 0, 0], 1), [[8, 10]])
    close(ops.segment_max(data, ids, 2), [[-INF, -INF], [5, 6]])
    close(ops.segment_min(data[:, 0], ids, 2), [INF, 1])
    close(ops.segment_prod(data[:, 0], ids, 2), [1, 5])


def test_one_hot():
    close(ops.one_hot([0, -1, 2, 3], 3), [[1, 0, 0], [0, 0, 0], [0, 0, 1], [0, 0, 0]])
    assert ops.one_hot([[1]], 2, axis=1).shape == (1, 2, 1)
    close(ops.multi_hot([[0, 2, 2]], 4), [[1, 0, 1, 0]])


def test_take_counts_negative_indices_from_the_end():
    close(ops.take([1.0, 2.0, 3.0], [-1, 0]), [3, 1])
    with pytest.raises(IndexError, match="take: "):
        ops.take([1.0, 2.0], [2])


def test_repeat_and_array_split():
    close(ops.repeat([1, 2, 3], [1, 0, 2]), [1, 3, 3])
    close(ops.repeat([[1, 2]], np.array([2]), axis=0), [[1, 2], [1, 2]])
    with pytest.raises(ValueError, match="repeat: expected one number or 3"):
        ops.repeat([1, 2, 3], [1, 2])
    assert [len(p) for p in ops.array_split(np.arange(7), 3)] == [3, 2, 2]


def test_rot90_and_vander_and_unravel():
    x = np.arange(6).reshape(2, 3)
    for k in range(-1, 5):
        close(ops.rot90(x, k), np.rot90(x, k))
    close(ops.vander([1.0, 2.0, 3.0]), np.vander([1, 2, 3]))
    close(ops.unravel_index([5, 0], (2, 3)), np.unravel_index([5, 0], (2, 3)))


@pytest.mark.parametrize("mode", ["valid", "same", "full"])
@pytest.mark.parametrize("sizes", [(5, 2), (2, 5), (4, 4), (6, 4), (4, 6), (1, 3)])
def test_correlate(mode, sizes):
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=n) for n in sizes)
    close(ops.correlate(a, b, mode), np.correlate(a, b, mode))


def test_diff_and_trapezoid_and_corrcoef():
    x = np.random.default_rng(0).normal(size=(3, 5))
    close(ops.diff(x, n=2, axis=0), np.diff(x, n=2, axis=0))
    close(ops.trapezoid(x, dx=0.5), np.trapezoid(x, dx=0.5))
    points = np.sort(x[0])
    close(ops.trapezoid(x, points), np.trapezoid(x, points))
    close(ops.corrcoef(x), np.corrcoef(x))


def test_sparsemax_projects_onto_the_simplex():
    y = np.asarray(ops.sparsemax([[1.0, 0.9, 0.8, -2.0], [5.0, 0.0, 0.0, 0.0]]))
    close(y, [[13 / 30, 1 / 3, 7 / 30, 0], [1, 0, 0, 0]], rtol=1e-5, atol=1e-7)


# --- creation ---


def test_ranges():
    close(ops.arange(2, 9, 3), [2, 5, 8])
    assert ops.arange(3).dtype == "int32"
    assert ops.arange(3.0).dtype == ops.arange(0, 1, 0.5).dtype == "float32"
    close(ops.arange(ops.convert_to_tensor(3)), [0, 1, 2])
    close(ops.linspace(0, 1, 3), [0, 0.5, 1])
    values, step = ops.linspace(0.0, 1.0, 4, endpoint=False, retstep=True)
    close(values, [0, 0.25, 0.5, 0.75])
    close(step, 0.25)
    close(ops.logspace(0, 2, 3), [1, 10, 100])
    close(ops.geomspace(1, 8, 4), [1, 2, 4, 8])


def test_filled():
    assert ops.zeros(3).dtype == ops.ones((2,)).dtype == "float32"
    close(ops.full((2, 2), [1.0, 2.0]), [[1, 2], [1, 2]])
    close(derivative(lambda v: ops.full((3,), v, "float64"), 2.0), 3.0)
    close(ops.full_like(np.zeros(2), 3), [3, 3])
    with pytest.raises(ValueError, match="zeros: every size must be known"):
        ops.zeros((None, 2))
    close(ops.eye(2, 3, 1), np.eye(2, 3, 1))
    close(ops.tri(2, 3), np.tri(2, 3))


@pytest.mark.parametrize("name", ["bartlett", "blackman", "hamming", "hanning"])
def test_windows(name):
    close(getattr(ops, name)(6), getattr(np, name)(6), atol=1e-7)
    close(ops.kaiser(6, 3.0), np.kaiser(6, 3.0))


# --- control flow ---


def test_control_flow():
    assert ops.cond(True, lambda: "yes", lambda: "no") == "yes"
    close(ops.switch(5, [lambda x: x, lambda x: -x], 2.0), -2.0)
    state = ops.while_loop(lambda i, s: i < 5, lambda i, s: (i + 1, s + i), (0, 10))
    assert [int(v) for v in state] == [5, 20]
    single = ops.while_loop(lambda i: i < 100, lambda i: i * 2, 1, maximum_iterations=3)
    assert int(single) == 8
    assert int(ops.fori_loop(1, 4, lambda i, s: s * i, 1)) == 6


def test_scan():
    carry, ys = ops.scan(lambda c, x: (c + x, c * x), 0.0, np.float32([1, 2, 3]))
    close(carry, 6)
    close(ys, [0, 2, 9])
    carry, ys = ops.scan(
        lambda c, x: (c + x, c), 0.0, np.float32([1, 2, 3]), reverse=True
    )
    close(ys, [5, 3, 0])
    carry, ys = ops.scan(lambda c, _: (c * 2, None), 1.0, length=4)
    close(carry, 16)
    assert ys is None
    with pytest.raises(ValueError, match="expected xs or length"):
        ops.scan(lambda c, x: (c, x), 0.0)
    total = ops.associative_scan(ops.multiply, np.float32([1, 2, 3, 4]))
    close(total, [1, 2, 6, 24])


def test_branches_must_agree():
    with pytest.raises(ValueError, match="cond: every branch must return one shape"):
        ops.cond(KerasTensor((), "bool"), lambda: ops.ones(2), lambda: ops.ones(3))


def test_jvp():
    x, v = np.float64([1.0, 2.0]), np.float64([0.5, -1.0])
    y, dy = ops.jvp(lambda t: ops.sin(t) * t, (x,), (v,))
    close(y, np.sin(x) * x)
    close(dy, (np.cos(x) * x + np.sin(x)) * v)
    y, dy, extra = ops.jvp(lambda a, b: (a * b, "more"), (x, x), (v, v), has_aux=True)
    close(dy, 2 * x * v)
    assert extra == "more"
