"""Products on tile units: errors at each number of parts, and what keeps its bits.

Sizes stay small: an emulator runs these where no processor at hand has the units.
"""

from __future__ import annotations

import itertools
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType

import numpy as np
import pytest
from contract import LAYOUTS, THREADS, Layout, assert_same_bits
from products import (
    ACTIVATIONS,
    equal_bits,
    make,
    operands,
    packed_product,
    run_program,
)

import cnn_core as keras
from cnn_core import config, layers
from cnn_core.backend import reference

pytestmark = pytest.mark.usefixtures("needs_amx")

EPS = float(np.finfo(np.float32).eps)
TINY = 2.0**-149
PARTS = (1, 2, 3)
TRANSPOSES = list(itertools.product((False, True), repeat=2))
# Error of an element beyond that of float32 sums, in units of sum |a| |b|.
CUT = {0: 0.0, 1: 2.0**-8, 2: 2.0**-16, 3: 0.0}
# Relative errors in the Frobenius norm; the greatest that the documentation allows.
FROBENIUS = {1: 5e-3, 2: 1e-5, 3: 1e-6}
# Sizes that use tile units with any number of parts, around 16 and 32 rows and columns,
# and around steps of 32 and chunks of 128 and 256 along K.
SHAPES = [
    (128, 128, 128),
    (127, 145, 64),
    (129, 176, 256),
    (144, 191, 255),
    (145, 193, 257),
    (159, 160, 160),
    (161, 240, 63),
    (175, 177, 300),
    (96, 200, 300),
]


@pytest.fixture
def settings() -> Iterator[None]:
    """Put the settings of the process back after the test."""
    before = config.float32_matmul_precision(), config.portable_bits()
    yield
    config.set_float32_matmul_precision(before[0])
    config.set_portable_bits(before[1])


def frobenius(result: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    exact = a.astype(np.float64) @ b.astype(np.float64)
    return float(np.linalg.norm(result - exact) / np.linalg.norm(exact))


def assert_close(result: np.ndarray, a: np.ndarray, b: np.ndarray, parts: int) -> None:
    """Compare with float64 wherever no sum can overflow."""
    wide = a.astype(np.float64), b.astype(np.float64)
    k = a.shape[-1]
    with np.errstate(invalid="ignore", over="ignore"):
        exact, sums = wide[0] @ wide[1], abs(wide[0]) @ abs(wide[1])
        safe = sums < 1e38
        bound = ((k + 1) * EPS + CUT[parts]) * sums + (k + 1) * TINY
    assert result.dtype == np.float32
    assert result.shape == exact.shape
    assert (abs(result - exact)[safe] <= bound[safe]).all()


def with_parts(
    native: ModuleType, parts: int, function: Callable[[], np.ndarray]
) -> np.ndarray:
    before = native.matmul_parts()
    native.set_matmul_parts(parts)
    try:
        return function()
    finally:
        native.set_matmul_parts(before)


def uses_tiles(native: ModuleType, a: np.ndarray, b: np.ndarray) -> bool:
    """Tell by the bits whether a product differs from fused multiply-adds."""
    portable = with_parts(native, 0, lambda: native.matmul(a, b))
    return not equal_bits(native.matmul(a, b), portable)


# ---- which products, and their errors ------------------------------------------------


@pytest.mark.parametrize("parts", PARTS)
def test_sizes_decide(native: ModuleType, parts: int) -> None:
    native.set_matmul_parts(parts)
    for m, n, k in SHAPES:
        assert uses_tiles(native, *operands(m, n, k)), (m, n, k)
    for m, n, k in (
        (1, 300, 300),
        (300, 1, 300),
        (8, 200, 300),
        (200, 10, 300),
        (48, 48, 200),
        (200, 200, 16),
    ):
        assert not uses_tiles(native, *operands(m, n, k)), (m, n, k)


@pytest.mark.parametrize("k", [16, 32, 64, 96, 128, 256, 512, 1000, 4096, 16384])
def test_errors_in_the_frobenius_norm(native: ModuleType, k: int) -> None:
    a, b = operands(128, 128, k)
    errors = {}
    for parts in (0, *PARTS):
        native.set_matmul_parts(parts)
        errors[parts] = frobenius(native.matmul(a, b), a, b)
    assert errors[3] <= errors[0]
    assert errors[0] <= FROBENIUS[3]
    assert errors[2] < FROBENIUS[2]
    assert errors[1] < FROBENIUS[1]
    if k >= 32:
        assert errors[3] < errors[2] / 5 < errors[1] / 500


@pytest.mark.parametrize("parts", PARTS)
def test_edges_of_tiles_and_chunks(native: ModuleType, parts: int) -> None:
    native.set_matmul_parts(parts)
    for m, n, k in SHAPES:
        plain = operands(m, n, k)
        want = native.matmul(*plain)
        assert_close(want, *plain, parts)
        for flips in TRANSPOSES[1:]:
            a, b = operands(m, n, k, *flips)
            assert equal_bits(native.matmul(a, b, None, *flips), want), (m, n, k)


def test_one_element_is_not_lost(native: ModuleType) -> None:
    """Each place of each tile is multiplied with its partner, once."""
    m, n, k = 128, 144, 160
    for parts in PARTS:
        native.set_matmul_parts(parts)
        identity = np.eye(m, k, dtype=np.float32)
        b = np.arange(k * n, dtype=np.float32).reshape(k, n) % 251  # 8 bits: exact
        assert equal_bits(native.matmul(identity, b), b[:m])
        right = np.eye(k, n, dtype=np.float32)
        a = np.arange(m * k, dtype=np.float32).reshape(m, k) % 241
        assert equal_bits(native.matmul(a, right), a[:, :n])


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
def test_layout_does_not_change_a_bit(native: ModuleType, layout: Layout) -> None:
    for parts, (m, n, k) in itertools.product(
        (1, 3), ((129, 144, 160), (96, 200, 300))
    ):
        native.set_matmul_parts(parts)
        a, b = operands(m, n, k)
        want = native.matmul(a, b)
        odd = layout(a), layout(b)
        assert_same_bits(native.matmul(*odd), want)
        assert_same_bits(native.matmul(odd[0].T, odd[1].T, None, True, True), want)


def test_stacks(native: ModuleType) -> None:
    a, b = make(2, 128, 96, seed=1), make(2, 96, 130, seed=2)
    for parts in PARTS:
        native.set_matmul_parts(parts)
        got = native.matmul(a, b)
        for i in range(2):
            assert equal_bits(got[i], native.matmul(a[i], b[i]))
        # one matrix for all: one taller product
        tall = native.matmul(a.reshape(-1, 96), b[0])
        assert equal_bits(native.matmul(a, b[0]).reshape(tall.shape), tall)
        views = (
            np.repeat(a, 2, axis=2)[..., ::2],
            np.swapaxes(np.swapaxes(a, 1, 2).copy(), 1, 2),
        )
        for view in views:
            assert equal_bits(native.matmul(view, b[0]).reshape(tall.shape), tall)


# ---- values that tile units do not take ----------------------------------------------


@pytest.mark.parametrize("parts", PARTS)
def test_nan_and_infinity_stay_in_their_row_and_column(
    native: ModuleType, parts: int
) -> None:
    native.set_matmul_parts(parts)
    for m, n, k in ((128, 144, 160), (145, 193, 257)):
        a, b = operands(m, n, k)
        want = native.matmul(a, b)
        a[70, 3] = np.nan
        a[0, k - 1] = np.inf
        b[:, n - 1] = 0  # inf * 0 is NaN
        b[130, 40] = -np.inf
        b[5, 90] = np.nan
        with np.errstate(invalid="ignore"):
            exact = a.astype(np.float64) @ b.astype(np.float64)
        for flips in TRANSPOSES:
            left = np.ascontiguousarray(a.T) if flips[0] else a
            right = np.ascontiguousarray(b.T) if flips[1] else b
            got = native.matmul(left, right, None, *flips)
            np.testing.assert_array_equal(np.isnan(got), np.isnan(exact))
            np.testing.assert_array_equal(np.isposinf(got), np.isposinf(exact))
            np.testing.assert_array_equal(np.isneginf(got), np.isneginf(exact))
        clean = np.isfinite(exact)
        clean[:, n - 1] = False  # the column that was set to zero
        bound = (2 * (k + 1) * EPS + 2 * CUT[parts]) * (abs(a) @ abs(b))
        assert (abs(got - want)[clean] <= bound[clean]).all()


# Scales of rows and columns: products and their parts leave the normal numbers, or not.
SCALES = [
    (1e-20, 1.0),
    (1e-30, 1.0),
    (1e-36, 1.0),
    (1e-38, 1e10),
    (1e-41, 1e20),  # denormal
    (1e-18, 1e-19),
    (1e-20, 1e-20),  # denormal results
    (1e-30, 1e-30),  # nothing is left
    (1e20, 1e-20),
    (1e30, 1e-30),
    (1e36, 1.0),
    (3e37, 1e-3),
    (1e25, 1e10),
]


@pytest.mark.parametrize("scales", SCALES, ids=str)
def test_huge_and_tiny_rows_keep_their_accuracy(
    native: ModuleType, scales: tuple[float, float]
) -> None:
    m, n, k = 128, 144, 160
    for parts in PARTS:
        native.set_matmul_parts(parts)
        a, b = operands(m, n, k)
        a = (a * 0.25).astype(np.float32)
        left = (a * np.float32(scales[0])).astype(np.float32)
        right = (b * np.float32(scales[1])).astype(np.float32)
        assert_close(native.matmul(left, right), left, right, parts)
        # a few rows and columns only
        left, right = a.copy(), b.copy()
        left[[1, 40, 41, 127]] *= np.float32(scales[0])
        right[:, [0, 64, 143]] *= np.float32(scales[1])
        assert_close(native.matmul(left, right), left, right, parts)
        # a stretch of K
        left = a.copy()
        left[:, 100:130] *= np.float32(scales[0])
        assert_close(native.matmul(left, b), left, b, parts)


def test_greatest_numbers_do_not_round_to_infinity(native: ModuleType) -> None:
    largest = np.finfo(np.float32).max
    for parts in PARTS:
        native.set_matmul_parts(parts)
        a = np.full((128, 128), 0, np.float32)
        np.fill_diagonal(a, largest)
        b = make(128, 144, seed=2) * np.float32(0.1)
        got = native.matmul(a, b)
        np.testing.assert_allclose(got, largest * b.astype(np.float64), rtol=5e-3)


def test_zeros(native: ModuleType) -> None:
    a, b = operands(128, 144, 160)
    a[3] = 0
    a[64:96] = -0.0
    for parts in PARTS:
        native.set_matmul_parts(parts)
        got = native.matmul(a, b)
        assert not got[3].any()
        assert not got[64:96].any()
        assert not np.signbit(got[64:96]).any()  # sums start from +0
        assert not native.matmul(np.zeros_like(a), b).any()


# ---- one result ----------------------------------------------------------------------


def spoiled(x: np.ndarray) -> np.ndarray:
    """Return x with values in a few places that tile units do not take."""
    x = x.copy()
    x[5, 7], x[70, 100], x[100, 20], x[33, 90] = np.nan, 1e38, 1e-40, -np.inf
    return x


@pytest.mark.parametrize("parts", PARTS)
def test_threads_do_not_change_a_bit(native: ModuleType, parts: int) -> None:
    native.set_matmul_parts(parts)
    for m, n, k in ((129, 257, 300), (300, 190, 130)):
        bias = make(n, seed=3)
        a, b = operands(m, n, k)
        for left, right in ((a, b), (spoiled(a), b), (a, spoiled(b))):
            results = []
            for threads in THREADS:
                native.set_num_threads(threads)
                results.append(native.matmul(left, right, bias, activation="tanh"))
            for result in results[1:]:
                assert_same_bits(result, results[0])


@pytest.mark.parametrize("parts", PARTS)
def test_programs_have_the_bits_of_single_calls(native: ModuleType, parts: int) -> None:
    native.set_matmul_parts(parts)
    for (m, n, k), flips in itertools.product(SHAPES[1:4], TRANSPOSES):
        a, b = operands(m, n, k, *flips)
        bias = make(n, seed=3)
        c = np.full((m, n), np.nan, np.float32)
        run_program(native, c, a, b, bias, flips=flips, bias=(3, 0), activation="gelu")
        assert equal_bits(c, native.matmul(a, b, bias, *flips, "gelu"))


def test_programs_keep_the_parts_they_were_made_with(native: ModuleType) -> None:
    a, b = operands(128, 144, 160)
    expected, programs = {}, {}
    for parts in (0, *PARTS):
        native.set_matmul_parts(parts)
        expected[parts] = native.matmul(a, b)
        program = native.Program()
        program.matmul(128, 144, 160, (1, 0), False, (2, 0), False, (0, 0))
        programs[parts] = program
    for parts, program in programs.items():
        c = np.full((128, 144), np.nan, np.float32)
        for slot, x in enumerate((c, a, b)):
            program.bind(slot, x)
        program.run(0, 1)
        assert equal_bits(c, expected[parts])
        assert program.is_current == (parts == native.matmul_parts())


@pytest.mark.parametrize("parts", PARTS)
def test_panels_have_the_same_bits(native: ModuleType, parts: int) -> None:
    native.set_matmul_parts(parts)
    for (m, n, k), flip in itertools.product(SHAPES[:4], (False, True)):
        a, b = operands(m, n, k, False, flip)
        bias = make(n, seed=3)
        for right in (b, spoiled(b) if min(b.shape) > 100 else b):
            want = native.matmul(a, right, bias, False, flip, "relu")
            for threads in (1, 3):
                native.set_num_threads(threads)
                got = packed_product(native, a, right, bias, flip, "relu")
                assert_same_bits(got, want)


def test_portable_bits_are_those_of_all_machines(native: ModuleType) -> None:
    others = [i for i in native.available_isas() if i not in ("baseline", "amx")]
    for m, n, k in SHAPES:
        a, b = operands(m, n, k)
        native.set_isa("amx")
        native.set_matmul_parts(0)
        want = native.matmul(a, b, b[0].copy(), activation="gelu")
        half = m // 2  # the split of a batch does not count
        for rows in (slice(0, 1), slice(half), slice(half, None)):
            part = native.matmul(a[rows], b, b[0].copy(), activation="gelu")
            assert equal_bits(part, want[rows].copy())
        native.set_matmul_parts(3)
        for name in others:
            native.set_isa(name)
            got = native.matmul(a, b, b[0].copy(), activation="gelu")
            assert equal_bits(got, want), name


# ---- gradients and what follows a product --------------------------------------------


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_fused_equals_unfused(native: ModuleType, activation: str) -> None:
    for parts, (m, n, k) in itertools.product((1, 3), (SHAPES[1], SHAPES[8])):
        native.set_matmul_parts(parts)
        a, b = operands(m, n, k)
        for bias in (None, make(n, seed=3)):
            plain = native.matmul(a, b)
            if bias is not None:
                plain = native.bias_add(plain, bias)
            want = ACTIVATIONS[activation](native, plain)
            assert equal_bits(native.matmul(a, b, bias, activation=activation), want)


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu_tanh", "elu"])
def test_fused_gradient_is_the_separate_one(native: ModuleType, name: str) -> None:
    gradient = {
        "relu": lambda ct, s: native.relu_grad(ct, s),
        "tanh": lambda ct, s: native.tanh_grad(ct, s),
        "gelu_tanh": lambda ct, s: native.gelu_grad(ct, s),
        "elu": lambda ct, s: native.elu_grad(ct, s),
    }[name]
    for parts, flips in itertools.product((1, 3), ((False, True), (True, False))):
        native.set_matmul_parts(parts)
        m, n, k = 145, 176, 160
        a, b = operands(m, n, k, *flips)
        saved = make(m, n, seed=4)
        want = gradient(native.matmul(a, b, None, *flips), saved)
        got = native.matmul_grad(a, b, saved, name, None, *flips)
        assert equal_bits(got, want)
        c = np.full((m, n), np.nan, np.float32)
        run_program(native, c, a, b, saved, flips=flips, grad=name, saved=(3, 0))
        assert equal_bits(c, want)


@pytest.mark.parametrize("parts", PARTS)
def test_gradients_of_a_product(native: ModuleType, parts: int) -> None:
    """x.T @ ct and ct @ kernel.T, as training computes them."""
    native.set_matmul_parts(parts)
    x, kernel, ct = make(160, 144), make(144, 192, seed=2), make(160, 192, seed=3)
    for got, left, right in (
        (native.matmul(x, ct, None, True, False), x.T, ct),
        (native.matmul(ct, kernel, None, False, True), ct, kernel.T),
    ):
        assert_close(got, left, right, parts)
        assert frobenius(got, left, right) < FROBENIUS[parts]


@pytest.mark.parametrize("parts", PARTS)
def test_bias_gradient_is_the_separate_one(native: ModuleType, parts: int) -> None:
    native.set_matmul_parts(parts)
    # K around the chunks of sums (256) and of products (128)
    for (m, n, k), flip in itertools.product(
        ((144, 176, 160), (129, 193, 257), (160, 1, 600), (128, 160, 520)),
        (False, True),
    ):
        a, b = operands(m, n, k, flip)
        product, sums = native.matmul(a, b, None, flip), native.bias_gradient(b)
        for threads in (1, 3):
            native.set_num_threads(threads)
            pair = native.matmul_bias_gradient(a, b, flip)
            assert equal_bits(pair[0], product), (m, n, k)
            assert equal_bits(pair[1], sums), (m, n, k)
        c, bias = np.full_like(product, np.nan), np.full_like(sums, np.nan)
        run_program(native, c, a, b, bias, flips=(flip, False), bias_gradient=(3, 0))
        assert equal_bits(c, product)
        assert equal_bits(bias, sums)


def test_reference_is_met(native: ModuleType) -> None:
    a, b = operands(128, 144, 160)
    bias = make(144, seed=3)
    wide = [x.astype(np.float64) for x in (a, b, bias)]
    exact = reference.matmul(*wide, activation="tanh")
    for parts, atol in ((3, 5e-5), (2, 5e-4), (1, 0.3)):
        native.set_matmul_parts(parts)
        got = native.matmul(a, b, bias, activation="tanh")
        np.testing.assert_allclose(got, exact, rtol=0, atol=atol)


# ---- concurrency ---------------------------------------------------------------------


def test_python_threads_at_once(native: ModuleType) -> None:
    """Each has tiles of its own, and different numbers of parts."""
    native.set_num_threads(2)
    a, b = operands(128, 144, 160)
    programs, expected = [], []
    for parts in (*PARTS, 0):
        native.set_matmul_parts(parts)
        expected.append(native.matmul(a, b))
        program = native.Program()
        program.matmul(128, 144, 160, (1, 0), False, (2, 0), False, (0, 0))
        programs.append(program)
    wrong: list[int] = []

    def work(number: int) -> None:
        c = np.empty((128, 144), np.float32)
        for slot, x in enumerate((c, a, b)):
            programs[number].bind(slot, x)
        for _ in range(3):
            c.fill(np.nan)
            programs[number].run(0, 1)
            if not equal_bits(c, expected[number]):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=300)
    assert not any(thread.is_alive() for thread in threads)
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_tile_units(native: ModuleType) -> None:
    native.set_num_threads(2)
    a, b = operands(128, 144, 160)
    want = native.matmul(a, b)
    with warnings.catch_warnings():
        # the fork is the point: no lock of ours is held across it
        warnings.filterwarnings("ignore", ".*multi-threaded.*fork", DeprecationWarning)
        child = os.fork()
    if child == 0:
        same = False
        try:
            same = equal_bits(native.matmul(a, b), want)
        finally:
            os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert equal_bits(native.matmul(a, b), want)


# ---- models --------------------------------------------------------------------------


def model() -> keras.Model:
    keras.utils.set_random_seed(5)
    keras.utils.clear_session()
    net = keras.Sequential(
        [
            layers.Input((160,)),
            layers.Dense(144, activation="relu"),
            layers.Dense(130),
        ]
    )
    net.compile(keras.optimizers.SGD(0.05), "mse")
    return net


@pytest.mark.parametrize("precision", ["highest", "medium"])
@pytest.mark.usefixtures("settings")
def test_models_train_alike_eagerly(native: ModuleType, precision: str) -> None:
    config.set_float32_matmul_precision(precision)
    assert native.matmul_parts() == config.matmul_parts()
    x, y = make(256, 160), make(256, 130, seed=1)
    results = []
    for eager in (False, True):
        net = model()
        net.run_eagerly = eager
        net.fit(x, y, batch_size=128, verbose=0, shuffle=False)
        predicted = net.predict(x, batch_size=128, verbose=0)
        results.append([w.tobytes() for w in net.get_weights()] + [predicted.tobytes()])
    assert results[0] == results[1]


@pytest.mark.usefixtures("settings")
def test_models_follow_the_settings() -> None:
    """Programs and held panels are those of the present setting, there and back."""
    net = model()
    x = make(128, 160)

    def predictions() -> list[bytes]:
        found = [net.predict(x, batch_size=128, verbose=0) for _ in range(2)]
        found += [np.asarray(net(x)) for _ in range(3)]
        return [y.tobytes() for y in found]

    seen = {}
    for precision, portable in (
        ("highest", False),
        ("medium", False),
        ("high", False),
        ("highest", True),
    ):
        config.set_float32_matmul_precision(precision)
        config.set_portable_bits(portable)
        (seen[precision, portable],) = set(predictions())
    assert len(set(seen.values())) == 4
    for (precision, portable), want in seen.items():
        config.set_float32_matmul_precision(precision)
        config.set_portable_bits(portable)
        assert set(predictions()) == {want}


@pytest.mark.usefixtures("settings")
def test_portable_models_do_not_see_the_batch(native: ModuleType) -> None:
    config.set_portable_bits(True)
    net = model()
    x = make(128, 160)
    whole = net.predict(x, batch_size=128, verbose=0)
    for rows in (slice(0, 1), slice(3, 60)):
        part = net.predict(x[rows], batch_size=128, verbose=0)
        assert part.tobytes() == whole[rows].tobytes()
    native.set_isa("avx512")
    config.set_portable_bits(False)
    assert net.predict(x, batch_size=128, verbose=0).tobytes() == whole.tobytes()
