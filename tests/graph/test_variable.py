"""Variables."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from cnn_core import ops
from cnn_core.graph import GradientTape, KerasTensor, Tensor, Variable, inferring


def test_from_values():
    v = Variable([[1, 2], [3, 4]])
    assert (v.shape, v.dtype, v.ndim, v.size) == ((2, 2), "int32", 2, 4)
    assert Variable(1.5).dtype == "float32"
    assert Variable(np.zeros(2)).dtype == "float64"
    assert Variable([1.0], dtype="float16").dtype == "float16"


def test_from_a_callable():
    v = Variable(lambda shape, dtype: np.full(shape, 7, dtype), shape=(2, 3))
    assert (v.shape, v.dtype) == ((2, 3), "float32")
    assert Variable(lambda shape, dtype: np.ones(shape, dtype), shape=4).shape == (4,)
    with pytest.raises(ValueError, match="needs a shape"):
        Variable(lambda shape, dtype: None)
    with pytest.raises(ValueError, match="every size must be known"):
        Variable(lambda shape, dtype: np.ones(2), shape=(None, 2))


def test_initial_values_of_another_shape():
    with pytest.raises(ValueError, match=r"'w': .* shape \(3,\), expected \(2,\)"):
        Variable([1, 2, 3], shape=(2,), name="w")


def test_names():
    assert Variable(1.0, name="kernel").path == "kernel"
    first, second = Variable(1.0), Variable(1.0)
    assert first.name.startswith("variable")
    assert first.name != second.name
    with pytest.raises(ValueError, match="without '/'"):
        Variable(1.0, name="a/b")


def test_assign():
    v = Variable([1.0, 2.0])
    assert isinstance(v.assign([3, 4]), Tensor)
    np.testing.assert_array_equal(v, [3.0, 4.0])
    assert v.dtype == "float32"
    v.assign_add([1.0, 1.0])
    v.assign_sub(np.array([0.5, 0.5]))
    np.testing.assert_array_equal(v.numpy(), [3.5, 4.5])
    assert v.dtype == "float32"
    with pytest.raises(ValueError, match=r"shape \(3,\) to shape \(2,\)"):
        v.assign([1.0, 2.0, 3.0])


def test_assign_does_not_broadcast():
    v = Variable([1.0, 2.0])
    with pytest.raises(ValueError, match=r"shape \(\) to"):
        v.assign(1.0)


def test_values_read_earlier_do_not_change():
    v = Variable([1.0, 2.0])
    value, array = v.value, v.numpy()
    v.assign([5.0, 6.0])
    np.testing.assert_array_equal(value, [1.0, 2.0])
    np.testing.assert_array_equal(array, [1.0, 2.0])
    assert not array.flags.writeable


def test_the_callers_array_is_not_shared():
    source = np.ones(2, "float32")
    v = Variable(source)
    source[0] = 9
    np.testing.assert_array_equal(v, [1.0, 1.0])
    v.assign(source)
    source[1] = 9
    np.testing.assert_array_equal(v, [9.0, 1.0])


def test_assigning_while_inferring_checks_only():
    v = Variable([1.0, 2.0])
    with inferring():
        v.assign(ops.ones(2))
        v.assign(KerasTensor((2,)))
        with pytest.raises(ValueError, match="cannot assign"):
            v.assign(KerasTensor((3,)))
    np.testing.assert_array_equal(v, [1.0, 2.0])


def test_operators_and_conversion():
    v = Variable([1.0, 2.0])
    np.testing.assert_array_equal(2 * v + v / 2 - 1, [1.5, 4.0])
    np.testing.assert_array_equal(np.ones(2, "float32") + v, [2.0, 3.0])
    np.testing.assert_array_equal(v @ v, 5.0)
    np.testing.assert_array_equal(v[1:], [2.0])
    np.testing.assert_array_equal(v == [1.0, 5.0], [True, False])
    np.testing.assert_array_equal(-v, [-1.0, -2.0])
    assert [float(x) for x in v] == [1.0, 2.0]
    assert len(v) == 2
    number = Variable(3)
    assert (float(number), int(number), bool(number)) == (3.0, 3, True)
    assert list(range(5))[number] == 3
    assert f"{Variable(1.5):.2f}" == "1.50"
    assert np.asarray(v).dtype == np.float32
    assert "path=w" in repr(Variable(1.0, name="w"))
    with pytest.raises(TypeError, match="iteration over"):
        iter(number)


def test_trainable():
    v = Variable([1.0], trainable=False)
    assert not v.trainable
    v.trainable = True
    assert v.trainable


@pytest.mark.parametrize(
    "twin", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))], ids="dp"
)
def test_copies(twin):
    v = Variable([1.0, 2.0], name="w", trainable=False)
    v.path = "layer/w"
    other = twin(v)
    assert (other.name, other.path, other.trainable) == ("w", "layer/w", False)
    other.assign([3.0, 4.0])
    np.testing.assert_array_equal(v, [1.0, 2.0])
    other.trainable = True
    with GradientTape() as tape:
        y = other * other
    np.testing.assert_allclose(tape.gradient(y, other), [6.0, 8.0])


def test_a_pickled_trainable_variable_has_gradients():
    other = pickle.loads(pickle.dumps(Variable([2.0])))
    with GradientTape() as tape:
        y = other * other
    np.testing.assert_allclose(tape.gradient(y, other), [4.0])


def test_in_sets_and_dictionaries():
    v, w = Variable(1.0), Variable(1.0)
    assert len({v, w}) == 2
    assert {v: "v", w: "w"}[w] == "w"
