"""The compiled matrix product: accuracy, the numeric contract, layouts, threads."""

from __future__ import annotations

import itertools
import multiprocessing
import subprocess
import sys
import textwrap
import threading
import warnings
from types import ModuleType

import numpy as np
import pytest
from products import ACTIVATIONS, equal_bits, make, multiply_add, operands

from cnn_core.backend import reference

EPS = float(np.finfo(np.float32).eps)
CHUNK = 256  # of K, the constant of the numeric contract
TRANSPOSES = list(itertools.product((False, True), repeat=2))
# Around the register tiles (4, 6, 14 rows; 8, 16, 32, 64 columns) and twice them.
ROWS = (1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 14, 15, 28, 29)
COLUMNS = (1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65)
DEPTHS = (1, 2, 3, 16, 33, 255, 256, 257, 300)


def assert_close(
    result: np.ndarray, a: np.ndarray, b: np.ndarray, bias: np.ndarray | None = None
) -> None:
    """Compare with float64 under the bound of a dot product."""
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    exact = wide_a @ wide_b
    bound = (a.shape[-1] + 1) * EPS * (abs(wide_a) @ abs(wide_b))
    if bias is not None:
        exact = exact + bias.astype(np.float64)
        bound = bound + EPS * (abs(exact) + abs(bias))
    assert result.dtype == np.float32
    assert result.shape == exact.shape
    assert (abs(result - exact) <= bound).all()


@pytest.mark.parametrize(("transpose_a", "transpose_b"), TRANSPOSES)
@pytest.mark.usefixtures("isa")
def test_every_tile_edge(
    native: ModuleType, transpose_a: bool, transpose_b: bool
) -> None:
    for m, n, k in itertools.product(ROWS, COLUMNS, DEPTHS):
        a, b = operands(m, n, k, transpose_a, transpose_b)
        bias = make(n, seed=3) if (m + n + k) % 2 else None
        result = native.matmul(a, b, bias, transpose_a, transpose_b)
        assert_close(result, a.T if transpose_a else a, b.T if transpose_b else b, bias)


@pytest.mark.parametrize(("transpose_a", "transpose_b"), TRANSPOSES)
@pytest.mark.usefixtures("isa")
def test_blocks_and_long_sums(
    native: ModuleType, transpose_a: bool, transpose_b: bool
) -> None:
    for m, n, k in (
        (70, 300, 100),
        (131, 530, 257),
        (40, 801, 513),
        (257, 65, 300),
        (3, 1100, 700),
        (150, 290, 1030),
        (300, 2, 600),
        (1, 300, 1300),
        (300, 1, 1300),
        (64, 300, 2100),
        (200, 2050, 270),
        (30, 1024, 70),
    ):
        a, b = operands(m, n, k, transpose_a, transpose_b)
        result = native.matmul(a, b, None, transpose_a, transpose_b)
        assert_close(result, a.T if transpose_a else a, b.T if transpose_b else b)


# ---- the numeric contract -----------------------------------------------------------


def contract(a: np.ndarray, b: np.ndarray, fused: bool) -> np.float32:
    """One element: a chain over k in each chunk of K, the chunks added in order."""
    total = np.float32(0)
    for start in range(0, len(a), CHUNK):
        chain = np.float32(0)
        stop = start + CHUNK
        for x, y in zip(a[start:stop], b[start:stop], strict=True):
            chain = multiply_add(x, y, chain) if fused else x * y + chain
        total = chain if start == 0 else total + chain
    return total


@pytest.mark.parametrize("k", [1, 2, 256, 257, 600, 1100])
def test_element_is_the_documented_chain(native: ModuleType, isa: str, k: int) -> None:
    a, b = operands(2, 2, k)
    result = native.matmul(a, b)
    for i, j in itertools.product(range(2), range(2)):
        assert result[i, j] == contract(a[i], b[:, j], fused=isa != "baseline")


SHAPES = (
    (1, 1, 300),
    (5, 7, 9),
    (8, 512, 784),
    (33, 10, 512),
    (64, 64, 64),
    (130, 200, 300),
    (70, 300, 1100),
    (300, 65, 40),
    (400, 50, 600),
    (1, 900, 784),
    (900, 1, 784),
    (70, 1, 512),
    (1, 21, 1900),
    (3, 9, 1100),
    (12, 1, 2000),
    (20, 1024, 300),
    (200, 2050, 270),
)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.usefixtures("isa", "portable")
def test_element_depends_on_row_column_and_k_only(
    native: ModuleType, shape: tuple[int, int, int]
) -> None:
    a, b = operands(*shape)
    whole = native.matmul(a, b)
    for flip_a, flip_b in TRANSPOSES:
        left = np.ascontiguousarray(a.T) if flip_a else a
        right = np.ascontiguousarray(b.T) if flip_b else b
        assert equal_bits(native.matmul(left, right, None, flip_a, flip_b), whole)
    for i in sorted({0, 1, shape[0] // 2, shape[0] - 1} & set(range(shape[0]))):
        assert equal_bits(native.matmul(a[i : i + 1], b), whole[i : i + 1])
    for j in sorted({3, shape[1] // 2, shape[1] - 1} & set(range(1, shape[1]))):
        pair = np.ascontiguousarray(b[:, j - 1 : j + 1])  # one column has another order
        assert equal_bits(native.matmul(a, pair), whole[:, j - 1 : j + 1].copy())
    half = (shape[0] + 1) // 2
    parts = [native.matmul(a[:half], b), native.matmul(a[half:], b)]
    assert equal_bits(np.concatenate(parts), whole)


@pytest.mark.parametrize("shape", [*SHAPES, (500, 500, 300), (7, 3000, 300)], ids=str)
@pytest.mark.usefixtures("isa", "restore")
def test_threads_do_not_change_a_bit(
    native: ModuleType, shape: tuple[int, int, int]
) -> None:
    bias = make(shape[1], seed=3)
    for flip_a, flip_b in TRANSPOSES:
        a, b = operands(*shape, flip_a, flip_b)
        results = []
        for threads in (1, 2, 3, 8):
            native.set_num_threads(threads)
            results.append(native.matmul(a, b, bias, flip_a, flip_b, "tanh"))
        assert all(equal_bits(r, results[0]) for r in results[1:])


@pytest.mark.usefixtures("restore", "portable")
def test_instruction_sets_with_fma_agree(native: ModuleType) -> None:
    names = [name for name in native.available_isas() if name != "baseline"]
    if len(names) < 2:
        pytest.skip(f"this machine has only {names} with FMA")
    for m, n, k in itertools.product(ROWS, COLUMNS, (1, 33, 300)):
        a, b = operands(m, n, k)
        results = []
        for name in names:
            native.set_isa(name)
            results.append(native.matmul(a, b, b[0].copy(), activation="gelu"))
        assert all(equal_bits(r, results[0]) for r in results[1:])


# ---- epilogue ------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.usefixtures("isa")
def test_fused_equals_unfused(native: ModuleType, activation: str) -> None:
    for m, n, k in ((1, 1, 5), (3, 5, 7), (9, 40, 300), (1, 70, 20), (70, 1, 20)):
        for flip_b in (False, True):
            a, b = operands(m, n, k, False, flip_b)
            for bias in (None, make(n, seed=3)):
                fused = native.matmul(a, b, bias, False, flip_b, activation)
                plain = native.matmul(a, b, None, False, flip_b)
                if bias is not None:
                    plain = native.bias_add(plain, bias)
                assert equal_bits(fused, ACTIVATIONS[activation](native, plain))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.usefixtures("isa")
def test_activation_is_the_reference(native: ModuleType, activation: str) -> None:
    a, b, bias = make(9, 20, seed=1), make(20, 21, seed=2), make(21, seed=3)
    exact = reference.matmul(
        *(x.astype(np.float64) for x in (a, b, bias)), activation=activation
    )
    result = native.matmul(a, b, bias, activation=activation)
    np.testing.assert_allclose(result, exact, rtol=2e-5, atol=2e-5)


def test_unknown_activation_is_refused(native: ModuleType) -> None:
    with pytest.raises(ValueError, match="sigmoid"):
        native.matmul(make(2, 2), make(2, 2), activation="sigmoit")


# ---- layouts -------------------------------------------------------------------------


def unaligned(x: np.ndarray) -> np.ndarray:
    """Return x at an address that is no multiple of 4."""
    raw = np.empty(x.nbytes + 1, np.uint8)[1:]
    view = raw.view(np.float32).reshape(x.shape)
    view[...] = x
    return view


def odd_address(x: np.ndarray) -> np.ndarray:
    """Return x at an address that is a multiple of 4 but not of 8."""
    raw = np.empty(x.size + 3, np.float32)
    start = 1 if raw.ctypes.data % 8 == 0 else 2
    view = raw[start : start + x.size].reshape(x.shape)
    view[...] = x
    return view


def gaps(x: np.ndarray) -> np.ndarray:
    wide = np.full((x.shape[0], 2 * x.shape[1] + 1), np.nan, np.float32)
    wide[:, 1::2] = x
    return wide[:, 1::2]


def padded_rows(x: np.ndarray) -> np.ndarray:
    wide = np.full((x.shape[0] + 1, x.shape[1] + 5), np.nan, np.float32)
    wide[:-1, 2:-3] = x
    return wide[:-1, 2:-3]


def reversed_rows(x: np.ndarray) -> np.ndarray:
    return x[::-1].copy()[::-1]


def reversed_columns(x: np.ndarray) -> np.ndarray:
    return x[:, ::-1].copy()[:, ::-1]


def swapped_bytes(x: np.ndarray) -> np.ndarray:
    return x.astype(x.dtype.newbyteorder())


LAYOUTS = (
    np.asfortranarray, unaligned, odd_address, gaps, padded_rows, reversed_rows,
    reversed_columns, swapped_bytes,
)  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
@pytest.mark.usefixtures("isa")
def test_layout_does_not_change_a_bit(native: ModuleType, layout) -> None:
    for m, n, k in ((1, 40, 30), (7, 10, 300), (50, 1, 40), (80, 290, 70), (6, 3, 1)):
        a, b, bias = make(m, k, seed=1), make(k, n, seed=2), make(n, seed=3)
        expected = native.matmul(a, b, bias)
        odd = layout(a), layout(b)
        assert np.array_equal(odd[0], a)
        assert equal_bits(native.matmul(*odd, bias), expected)
        assert equal_bits(native.matmul(odd[0].T, odd[1].T, bias, True, True), expected)


@pytest.mark.usefixtures("isa")
def test_repeated_rows_and_columns(native: ModuleType) -> None:
    a = np.broadcast_to(make(1, 30), (9, 30))
    b = np.broadcast_to(make(30, 1), (30, 20))
    assert equal_bits(native.matmul(a, b), native.matmul(a.copy(), b.copy()))
    b = np.broadcast_to(make(1, 20), (30, 20))
    assert equal_bits(native.matmul(a, b), native.matmul(a.copy(), b.copy()))


@pytest.mark.usefixtures("isa")
def test_inputs_are_only_read(native: ModuleType) -> None:
    for m, n, k in ((1, 40, 30), (50, 1, 40), (80, 290, 70)):
        arrays = [make(m, k, seed=1), make(k, n, seed=2), make(n, seed=3)]
        copies = [x.copy() for x in arrays]
        for x in arrays:
            x.flags.writeable = False
        native.matmul(*arrays, activation="relu")
        assert all(equal_bits(x, y) for x, y in zip(arrays, copies, strict=True))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3, 4, 5), (5, 6)),
        ((4, 5), (3, 5, 6)),
        ((3, 4, 5), (3, 5, 6)),
        ((2, 1, 4, 5), (3, 5, 6)),
        ((1, 1, 4, 5), (5, 6)),
        ((2, 3, 1, 5), (5, 6)),
        ((2, 3, 1, 5), (3, 5, 1)),
        ((2, 3, 4, 5), (2, 1, 5, 1)),
        ((40, 8, 16), (40, 16, 8)),
        ((0, 4, 5), (5, 6)),
        ((2, 0, 4, 5), (1, 1, 5, 6)),
    ],
    ids=str,
)
@pytest.mark.usefixtures("isa", "restore")
def test_stacks(native: ModuleType, a: tuple[int, ...], b: tuple[int, ...]) -> None:
    x, y, bias = make(*a, seed=1), make(*b, seed=2), make(b[-1], seed=3)
    for threads in (1, 3):
        native.set_num_threads(threads)
        assert_close(native.matmul(x, y, bias), x, y, bias)
        flipped = [np.ascontiguousarray(np.swapaxes(v, -1, -2)) for v in (x, y)]
        assert_close(native.matmul(*flipped, bias, True, True), x, y, bias)
        every_other = np.repeat(x, 2, axis=0)[::2]
        assert_close(native.matmul(every_other, y), x, y)


@pytest.mark.parametrize("n", [1, 9, 70])
@pytest.mark.usefixtures("isa")
def test_strided_stacks_times_one_matrix(native: ModuleType, n: int) -> None:
    whole, w = make(9, 8, 300), make(300, n)
    views = [
        whole[::2],
        whole[::-1],
        whole[:, ::2],
        whole[:, :1],
        whole[:, 5:6][::3],
        whole[:, 2:7],
        whole.transpose(1, 0, 2),
        np.broadcast_to(whole[0], (3, 8, 300)),
        np.broadcast_to(whole[0, :1], (3, 1, 300)),
        whole.reshape(3, 3, 8, 300)[:, 1:, ::4],
    ]
    for x in views:
        want = native.matmul(np.ascontiguousarray(x), w)
        assert equal_bits(native.matmul(x, w), want)


@pytest.mark.usefixtures("isa", "restore")
def test_large_stacks_are_cut_among_threads(native: ModuleType) -> None:
    for count, m, n, k in ((3, 90, 100, 80), (200, 16, 17, 18), (5, 1, 300, 500)):
        x, y = make(count, m, k, seed=1), make(count, k, n, seed=2)
        native.set_num_threads(1)
        one = native.matmul(x, y)
        assert_close(one, x, y)
        for threads in (2, 3, 8):
            native.set_num_threads(threads)
            assert equal_bits(native.matmul(x, y), one)


# ---- edges ---------------------------------------------------------------------------


@pytest.mark.usefixtures("isa")
def test_empty_operands(native: ModuleType) -> None:
    bias = make(4)
    assert native.matmul(make(0, 3), make(3, 4), bias).shape == (0, 4)
    assert native.matmul(make(3, 2), make(2, 0)).shape == (3, 0)
    assert equal_bits(native.matmul(make(3, 0), make(0, 4)), np.zeros((3, 4), "f4"))
    for m, n in ((3, 4), (1, 4), (40, 4)):
        result = native.matmul(make(m, 0), make(0, n), bias, activation="relu")
        assert equal_bits(result, np.tile(np.maximum(bias, 0), (m, 1)))
        column = native.matmul(make(m, 0), make(0, 1), bias[:1])
        assert equal_bits(column, np.full((m, 1), bias[0]))


@pytest.mark.parametrize(("transpose_a", "transpose_b"), TRANSPOSES)
@pytest.mark.usefixtures("isa")
def test_nan_and_infinity_stay_in_their_row_and_column(
    native: ModuleType, transpose_a: bool, transpose_b: bool
) -> None:
    for m, n, k in ((1, 9, 20), (9, 1, 20), (7, 10, 20), (45, 500, 300)):
        a, b = make(m, k, seed=1), make(k, n, seed=2)
        a[m // 2, 3] = np.nan
        a[0, 5] = np.inf
        b[:, n - 1] = 0  # inf * 0 is NaN
        b[7, n // 2] = -np.inf
        left = np.ascontiguousarray(a.T) if transpose_a else a
        right = np.ascontiguousarray(b.T) if transpose_b else b
        result = native.matmul(left, right, None, transpose_a, transpose_b)
        with np.errstate(invalid="ignore"):
            exact = a.astype(np.float64) @ b.astype(np.float64)
        assert np.array_equal(np.isnan(result), np.isnan(exact))
        assert np.array_equal(np.isposinf(result), np.isposinf(exact))
        assert np.array_equal(np.isneginf(result), np.isneginf(exact))


@pytest.mark.parametrize(
    ("a", "b"),
    [((2, 3), (4, 5)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 4, 3), (3, 3, 5))],
    ids=str,
)
def test_shapes_that_do_not_fit(
    native: ModuleType, a: tuple[int, ...], b: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=rf"{a[0]}"):
        native.matmul(make(*a), make(*b))


def test_bias_that_does_not_fit(native: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"\(5,\)"):
        native.matmul(make(2, 3), make(3, 4), make(5))


def test_other_types_are_served_by_the_reference(native: ModuleType) -> None:
    a, b = np.arange(6).reshape(2, 3), np.arange(12).reshape(3, 4)
    assert native.matmul(a, b).dtype == a.dtype
    assert np.array_equal(native.matmul(a, b), a @ b)
    assert native.matmul(a / 2, b / 2).dtype == np.float64


def test_nothing_is_read_beside_the_operands(native: ModuleType) -> None:
    """Every operand ends, then starts, at a page that must not be touched."""
    script = """
        import ctypes, itertools, mmap, sys
        import numpy as np
        from cnn_core import _native as native

        PAGE = mmap.PAGESIZE
        libc = ctypes.CDLL(None, use_errno=True)
        keep = []

        def guarded(shape, at_end):
            count = int(np.prod(shape))
            size = -(-max(4 * count, 1) // PAGE) * PAGE
            region = mmap.mmap(-1, size + 2 * PAGE)
            whole = np.frombuffer(region, np.uint8)
            for page in (0, size + PAGE):
                address = ctypes.c_void_p(whole.ctypes.data + page)
                assert libc.mprotect(address, PAGE, 0) == 0
            keep.append(region)
            start = PAGE + (size - 4 * count if at_end else 0)
            x = whole[start : start + 4 * count].view(np.float32).reshape(shape)
            x[...] = 1
            return x

        sizes = [(1, 1, 1), (1, 9, 3), (2, 3, 20), (5, 10, 257), (7, 33, 5),
                 (9, 1, 6), (30, 2, 261), (17, 71, 4), (90, 301, 5), (3, 130, 7)]
        for isa in native.available_isas():
            native.set_isa(isa)
            for (m, n, k), ta, tb, at_end in itertools.product(
                sizes, (0, 1), (0, 1), (0, 1)
            ):
                a = guarded((k, m) if ta else (m, k), at_end)
                b = guarded((n, k) if tb else (k, n), at_end)
                result = native.matmul(a, b, guarded((n,), at_end), ta, tb)
                assert (result == k + 1).all()
                saved = guarded((m, n), at_end)
                for name in ("relu", "linear", "tanh"):
                    result = native.matmul_grad(a, b, saved, name, None, ta, tb)
                    assert (result == (0 if name == "tanh" else k)).all()
                _, sums = native.matmul_bias_gradient(a, b, ta, tb)
                assert (sums == k).all()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# ---- concurrency ---------------------------------------------------------------------


@pytest.mark.usefixtures("restore")
def test_many_python_threads_at_once(native: ModuleType) -> None:
    native.set_num_threads(3)
    a, b = operands(200, 150, 300)
    expected = native.matmul(a, b)
    wrong: list[int] = []

    def work(number: int) -> None:
        results = (native.matmul(a, b) for _ in range(20))
        wrong.extend(number for r in results if not equal_bits(r, expected))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)
    assert not wrong


def _product_in_child(connection) -> None:
    from cnn_core import _native

    a, b = operands(200, 150, 300)
    connection.send_bytes(_native.matmul(a, b).tobytes())
    connection.close()


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="needs fork"
)
@pytest.mark.usefixtures("restore")
def test_fork_after_threads_were_used(native: ModuleType) -> None:
    native.set_num_threads(3)
    a, b = operands(200, 150, 300)
    expected = native.matmul(a, b)
    context = multiprocessing.get_context("fork")
    for _ in range(3):
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=_product_in_child, args=(sender,))
        with warnings.catch_warnings():
            # the fork is the point: no lock of ours is held across it
            warnings.filterwarnings(
                "ignore", ".*multi-threaded.*fork", DeprecationWarning
            )
            child.start()
        sender.close()
        assert receiver.poll(60), "the child hangs"
        assert receiver.recv_bytes() == expected.tobytes()
        child.join(timeout=60)
        assert child.exitcode == 0
        assert equal_bits(native.matmul(a, b), expected)


# ---- bias ----------------------------------------------------------------------------


@pytest.mark.usefixtures("isa", "restore")
def test_bias_add(native: ModuleType) -> None:
    for shape in ((1, 1), (7,), (3, 5), (2, 3, 17), (400, 130), (3, 40000)):
        x, bias = make(*shape), make(shape[-1], seed=3)
        for threads in (1, 3):
            native.set_num_threads(threads)
            assert equal_bits(native.bias_add(x, bias), x + bias)
    assert native.bias_add(make(0, 3), make(3)).shape == (0, 3)
    with pytest.raises(ValueError, match=r"\(4,\)"):
        native.bias_add(make(2, 3), make(4))


@pytest.mark.usefixtures("isa", "restore")
def test_bias_gradient(native: ModuleType) -> None:
    for shape in ((1, 1), (7,), (3, 5), (2, 3, 17), (255, 9), (257, 130), (9, 300, 70)):
        ct = make(*shape)
        rows = ct.reshape(-1, shape[-1])
        exact = rows.astype(np.float64).sum(axis=0)
        bound = len(rows) * EPS * abs(rows.astype(np.float64)).sum(axis=0)
        results = []
        for threads in (1, 2, 3, 8):
            native.set_num_threads(threads)
            results.append(native.bias_gradient(ct))
        assert (abs(results[0] - exact) <= bound).all()
        assert all(equal_bits(r, results[0]) for r in results[1:])
    assert equal_bits(native.bias_gradient(make(0, 3)), np.zeros(3, np.float32))
