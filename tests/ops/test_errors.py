"""Wrong arguments: one clear message that names the operation, eager and symbolic."""

from __future__ import annotations

import numpy as np
import pytest

from cnn_core import ops
from cnn_core.graph import KerasTensor, inferring

A, B, LABELS = (
    np.ones((2, 3), "float32"),
    np.ones((4, 5), "float32"),
    np.ones(2, "int32"),
)

CASES = {
    "add": (lambda a, b: ops.add(a, b), (A, B), "shapes .* do not broadcast"),
    "where": (lambda a, b: ops.where(a > 0, a, b), (A, B), "shapes .* do not broad"),
    "matmul": (lambda a, b: ops.matmul(a, b), (A, B), "inner sizes must be equal"),
    "matmul-scalar": (lambda a: ops.matmul(a, 2.0), (A,), "at least 1 dimension"),
    "tensordot": (lambda a, b: ops.tensordot(a, b, 1), (A, B), "differ in size"),
    "einsum": (lambda a, b: ops.einsum("ij,jk->ik", a, b), (A, B), "'j' has the sizes"),
    "einsum-count": (lambda a: ops.einsum("ij,jk", a), (A,), "names 2 operands, got 1"),
    "einsum-rank": (lambda a: ops.einsum("ijk->i", a), (A,), "does not fit an operand"),
    "einsum-result": (lambda a: ops.einsum("ij->k", a), (A,), "bad result 'k'"),
    "sum": (lambda a: ops.sum(a, axis=2), (A,), r"expected an axis in \[-2, 1\]"),
    "max": (lambda a: ops.max(a, axis=(0, 0)), (A,), "names a dimension twice"),
    "softmax": (lambda a: ops.softmax(a, axis=5), (A,), "expected an axis"),
    "argmax": (lambda a: ops.argmax(a, axis=-3), (A,), "expected an axis"),
    "cumsum": (lambda a: ops.cumsum(a, axis=2), (A,), "expected an axis"),
    "sort": (lambda a: ops.sort(a, axis=2), (A,), "expected an axis"),
    "reshape": (lambda a: ops.reshape(a, (4, 2)), (A,), "has 6 elements"),
    "squeeze": (lambda a: ops.squeeze(a, 0), (A,), "does not have size 1"),
    "expand_dims": (lambda a: ops.expand_dims(a, 4), (A,), "expected an axis"),
    "transpose": (lambda a: ops.transpose(a, (0, 0)), (A,), "expected a permutation"),
    "moveaxis": (lambda a: ops.moveaxis(a, (0, 1), 0), (A,), "2 source axes, 1"),
    "broadcast_to": (lambda a: ops.broadcast_to(a, (2, 4)), (A,), "do(es)? not broad"),
    "concatenate": (lambda a, b: ops.concatenate([a, b]), (A, B), "equal except along"),
    "stack": (lambda a, b: ops.stack([a, b]), (A, B), "tensors of one shape"),
    "split": (lambda a: ops.split(a, 2, axis=1), (A,), "does not divide into 2 equal"),
    "pad": (
        lambda a: ops.pad(a, [(1, 1)] * 3),
        (A,),
        "a pair .* for each of the 2 axes",
    ),
    "pad-negative": (lambda a: ops.pad(a, -1), (A,), "expected widths >= 0"),
    "roll": (lambda a: ops.roll(a, 1, axis=2), (A,), "expected an axis"),
    "diagonal": (lambda i: ops.diagonal(i), (LABELS,), "at least 2 dimensions"),
    "diag": (lambda a: ops.diag(a[None]), (A,), "expected 1 or 2 dimensions"),
    "tril": (lambda i: ops.tril(i), (LABELS,), "at least 2 dimensions"),
    "take": (
        lambda a: ops.take(a, [0.5]),
        (A,),
        "expected integer indices, got dtype f",
    ),
    "take-axis": (lambda a: ops.take(a, [0], axis=2), (A,), "expected an axis"),
    "take_along_axis": (
        *(lambda a, i: ops.take_along_axis(a, i, 0), (A, LABELS)),
        "as many dimensions",
    ),
    "slice": (lambda a: ops.slice(a, (1, 1), (2, 2)), (A,), "does not lie within"),
    "slice_update": (
        *(lambda a, b: ops.slice_update(a, (0, 0), b), (A, B)),
        "does not lie within",
    ),
    "scatter": (
        lambda i, a: ops.scatter(i, a, (5,)),
        (LABELS, A),
        "indices|coordinates",
    ),
    "segment_sum": (
        lambda a: ops.segment_sum(a, A, 2),
        (A,),
        "expected integer indices",
    ),
    "glu": (lambda a: ops.glu(a), (A,), "expected an even size"),
    "cross": (lambda b: ops.cross(b, b), (B,), "2 or 3 elements"),
    "top_k": (lambda a: ops.top_k(a, 4), (A,), "cannot take k=4"),
    "searchsorted": (lambda a: ops.searchsorted(a, 1.0), (A,), "expected a vector"),
    "ldexp": (lambda a: ops.ldexp(a, a), (A,), "expected integer exponents"),
    "left_shift": (
        lambda a: ops.left_shift(a, 1),
        (A,),
        "expected integers or booleans",
    ),
    "binary_crossentropy": (
        *(lambda a, b: ops.binary_crossentropy(a, b), (A, B)),
        "of one shape",
    ),
    "categorical_crossentropy": (
        *(lambda a, b: ops.categorical_crossentropy(a, b), (A, B)),
        "of one shape",
    ),
    "sparse_categorical_crossentropy": (
        *(lambda i, b: ops.sparse_categorical_crossentropy(i, b), (LABELS, B)),
        "expected integer labels of shape",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_message(name):
    function, arrays, message = CASES[name]
    pattern = rf"^{name.partition('-')[0]}: .*({message})"
    tensors = [ops.convert_to_tensor(x) for x in arrays]
    symbols = [KerasTensor(x.shape, x.dtype.name) for x in arrays]
    found = []
    for operands in (tensors, symbols):
        with pytest.raises((ValueError, TypeError), match=pattern) as caught:
            function(*operands)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
        found.append((type(caught.value), str(caught.value)))
    assert found[0] == found[1]


def test_dense():
    from cnn_core.ops.matmul import dense

    x, kernel = ops.ones((2, 3)), ops.ones((4, 5))
    with pytest.raises(ValueError, match=r"dense: expected x of shape .*\(2, 3\)"):
        dense(x, kernel)
    with pytest.raises(ValueError, match=r"bias of shape \(3,\), got \(2,\)"):
        dense(x, ops.ones((3, 3)), ops.ones(2))
    with pytest.raises(ValueError, match=r"Unknown fused activation 'rel'; .* 'relu'"):
        dense(x, ops.ones((3, 3)), activation="rel")
    with inferring(), pytest.raises(ValueError, match=r"dense: expected x"):
        dense(KerasTensor((None, 3)), kernel)


def test_an_error_of_a_kernel_names_the_operation():
    with pytest.raises(
        ValueError, match=r"^power: Integers to negative integer powers"
    ):
        ops.power(np.int32([2]), np.int32([-1]))
    with pytest.raises(TypeError, match=r"^negative: "):
        ops.negative(np.array([True]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.one_hot([1], 2, sparse=True), "no sparse tensors"),
        (lambda: ops.convert_to_tensor([1], sparse=True), "no sparse or ragged"),
        (lambda: ops.moments(A, 0, synchronized=True), "needs several devices"),
        (lambda: ops.where(A > 0, A), "both x1 and x2"),
        (lambda: ops.concatenate([]), "at least one tensor"),
        (lambda: ops.stack([]), "at least one tensor"),
        (lambda: ops.unstack(KerasTensor((None, 2))), "must be known"),
        (lambda: ops.pad(A, 1, "reflct"), "Unknown pad mode .* 'reflect'"),
        (lambda: ops.meshgrid([1], indexing="yx"), "Unknown indexing 'yx'"),
        (lambda: ops.correlate([1.0], [1.0], "fall"), "did you mean 'full'"),
    ],
)
def test_other_messages(call, message):
    with pytest.raises(ValueError, match=message):
        call()
