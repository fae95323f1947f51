"""Models and weights to files and back."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from saved_models import (
    ALL,
    Block,
    X,
    Y,
    assert_same,
    graph,
    own_model,
    paths_in,
    stack,
)

import cnn_core as keras
from cnn_core import layers, saving

h5py = pytest.importorskip("h5py")


@ALL
def test_model(build, tmp_path):
    model = build()
    model.save(tmp_path / "m.keras")
    loaded = saving.load_model(tmp_path / "m.keras")
    assert type(loaded) is type(model)
    assert [v.shape for v in loaded.weights] == [v.shape for v in model.weights]
    assert_same(loaded, model)


@ALL
def test_weights(build, tmp_path):
    model, other = build(), build()
    path = str(tmp_path / "m.weights.h5")
    model.save_weights(path)
    other.load_weights(path)
    assert_same(other, model)


@ALL
def test_weights_from_a_model_file(build, tmp_path):
    model, other = build(), build()
    model.save(tmp_path / "m.keras")
    other.load_weights(tmp_path / "m.keras")
    assert_same(other, model)


def test_training_goes_on_where_it_was(tmp_path):
    model = stack(compiled=True)
    model.layers[1].rate = 0.0
    for _ in range(3):
        model.train_on_batch(X, Y)
    model.save(tmp_path / "m.keras")
    loaded = saving.load_model(tmp_path / "m.keras")
    assert int(loaded.optimizer.iterations) == 3
    for _ in range(3):
        first = model.train_on_batch(X, Y, return_dict=True)
        second = loaded.train_on_batch(X, Y, return_dict=True)
        assert first["loss"] == second["loss"]
    assert_same(loaded, model)


def test_model_that_was_never_trained(tmp_path):
    model = stack(compiled=True)
    model.save(tmp_path / "m.keras")
    loaded = saving.load_model(tmp_path / "m.keras")
    assert loaded.compiled
    assert loaded.train_on_batch(X, Y, return_dict=True).keys() == {"loss", "mae"}


def test_without_compiling(tmp_path):
    model = stack(compiled=True)
    model.train_on_batch(X, Y)
    model.save(tmp_path / "m.keras")
    loaded = saving.load_model(tmp_path / "m.keras", compile=False)
    assert not loaded.compiled
    assert_same(loaded, model)


def test_optimizer_state_in_weights(tmp_path):
    model = stack(compiled=True)
    model.train_on_batch(X, Y)
    model.save_weights(tmp_path / "m.weights.h5")
    compiled, plain = stack(compiled=True), stack()
    compiled.load_weights(tmp_path / "m.weights.h5")
    for a, b in zip(
        compiled.optimizer.variables, model.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    plain.load_weights(tmp_path / "m.weights.h5")
    assert_same(plain, model)


def test_weights_without_optimizer_leave_it_alone(tmp_path):
    stack().save_weights(tmp_path / "m.weights.h5")
    model = stack(compiled=True)
    model.train_on_batch(X, Y)
    model.load_weights(tmp_path / "m.weights.h5")
    assert int(model.optimizer.iterations) == 1


def test_state_of_another_optimizer_is_not_loaded(tmp_path):
    model = stack(compiled=True)
    model.train_on_batch(X, Y)
    model.save_weights(tmp_path / "m.weights.h5")
    other = stack()
    other.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    other.train_on_batch(X, Y)
    with pytest.warns(UserWarning, match="SGD 'sgd.*' starts anew"):
        other.load_weights(tmp_path / "m.weights.h5")
    assert_same(other, model)


def test_custom_objects(tmp_path):
    class Mine(layers.Layer):
        def call(self, x):
            return 2 * x

    model = keras.Sequential([keras.Input((4,)), Mine()])
    model.save(tmp_path / "m.keras")
    with pytest.raises(ValueError, match=r"m\.keras.*'Mine'.*custom_objects"):
        saving.load_model(tmp_path / "m.keras")
    loaded = saving.load_model(tmp_path / "m.keras", custom_objects={"Mine": Mine})
    assert_same(loaded, model)
    with saving.custom_object_scope({"Mine": Mine}):
        saving.load_model(tmp_path / "m.keras")


def test_frozen_layers_stay_frozen(tmp_path):
    model = stack()
    model.layers[0].trainable = False
    model.save(tmp_path / "m.keras")
    loaded = saving.load_model(tmp_path / "m.keras")
    assert not loaded.layers[0].trainable
    assert len(loaded.trainable_weights) == 2
    assert_same(loaded, model)


# --- layout -------------------------------------------------------------------


def test_members_and_metadata(tmp_path):
    stack().save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        names = [info.filename for info in file.infolist()]
        metadata = json.loads(file.read("metadata.json"))
        config = json.loads(file.read("config.json"))
    assert names == ["metadata.json", "config.json", "model.weights.h5"]
    assert metadata["keras_version"].startswith("3.")
    assert metadata["cnn_core_version"] == keras.__version__
    assert (config["module"], config["class_name"]) == ("keras", "Sequential")
    dense = config["config"]["layers"][1]
    assert (dense["module"], dense["class_name"]) == ("keras.layers", "Dense")
    assert dense["build_config"] == {"input_shape": [None, 4]}


def test_paths_of_layers_and_optimizer(tmp_path):
    model = stack(compiled=True)
    model.train_on_batch(X, Y)
    model.save_weights(tmp_path / "m.weights.h5")
    found = paths_in(tmp_path / "m.weights.h5")
    assert {k: v for k, v in found.items() if k.startswith("layers")} == {
        "layers/dense/vars/0": (4, 3),
        "layers/dense/vars/1": (3,),
        "layers/dense_1/vars/0": (3, 2),
        "layers/dense_1/vars/1": (2,),
    }
    assert sum(k.startswith("optimizer/vars/") for k in found) == 2 + 2 * 4
    with h5py.File(tmp_path / "m.weights.h5") as file:
        assert file["layers/dense/vars"].attrs["name"] == model.layers[0].name
        assert "_stack" not in file


def test_paths_in_containers(tmp_path):
    # As real Keras 3.15 writes them for the same class.
    x = keras.Input((4,))
    keras.Model(x, Block()(x)).save_weights(tmp_path / "m.weights.h5")
    kernels = [k for k in paths_in(tmp_path / "m.weights.h5") if k.endswith("/0")]
    assert sorted(kernels) == [
        "layers/block/_hidden/vars/0",
        "layers/block/first/vars/0",
        "layers/block/items/container/dense/vars/0",
        "layers/block/items/dense/vars/0",
        "layers/block/table/dense/vars/0",
        "layers/block/table/dense_1/vars/0",
        "layers/block/vars/0",
    ]


def test_paths_of_a_subclass(tmp_path):
    # `encoder` comes before `layers`, `neck` after it.
    own_model().save_weights(tmp_path / "m.weights.h5")
    kernels = [k for k in paths_in(tmp_path / "m.weights.h5") if k.endswith("/0")]
    assert sorted(kernels) == ["encoder/vars/0", "layers/dense_1/vars/0"]


# --- weights that do not fit --------------------------------------------------


def assert_unchanged(model, before):
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("other", [lambda: stack(5), graph, own_model])
def test_mismatch_changes_nothing(other, tmp_path):
    other().save_weights(tmp_path / "m.weights.h5")
    model = stack()
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"m\.weights\.h5.*does not fit the model"):
        model.load_weights(tmp_path / "m.weights.h5")
    assert_unchanged(model, before)


def test_skip_mismatch(tmp_path):
    saved = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(7)])
    saved.save_weights(tmp_path / "m.weights.h5")
    model = stack()
    before = model.get_weights()
    with pytest.warns(UserWarning, match=r"skipped: Dense .*\(3, 2\)"):
        model.load_weights(tmp_path / "m.weights.h5", skip_mismatch=True)
    np.testing.assert_array_equal(model.get_weights()[0], saved.get_weights()[0])
    assert_unchanged(model.layers[2], before[2:])


def test_weights_without_a_place_are_named(tmp_path):
    saved = keras.Sequential([stack(), layers.Dense(2)])
    saved(X)
    larger = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(2)])
    larger.save_weights(tmp_path / "m.weights.h5")
    smaller = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    with pytest.warns(UserWarning, match="no place for: layers/dense_1"):
        smaller.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(smaller.get_weights()[0], larger.get_weights()[0])


@saving.register_keras_serializable("tests")
class Tokens(layers.Layer):
    """A layer with its own way of saving."""

    fail = False

    def build(self, input_shape):
        self.w = self.add_weight(shape=(4,), name="w")

    def call(self, x):
        return x * self.w

    def save_own_variables(self, store):
        super().save_own_variables(store)
        store["extra"] = np.arange(3)

    def load_own_variables(self, store):
        assert list(store.keys()) == ["0", "extra"]
        assert store["extra"].tolist() == [0, 1, 2]
        self.w.assign(store["0"])
        if Tokens.fail:
            raise KeyError("something")


def test_own_hooks(tmp_path, monkeypatch):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(4), Tokens()])
    model.save(tmp_path / "m.keras")
    assert_same(saving.load_model(tmp_path / "m.keras"), model)
    other = keras.Sequential([keras.Input((4,)), layers.Dense(4), Tokens()])
    before = other.get_weights()
    monkeypatch.setattr(Tokens, "fail", True)
    with pytest.raises(ValueError, match=r"Tokens 'tokens.*' cannot load: 'something'"):
        other.load_weights(tmp_path / "m.keras")
    assert_unchanged(other, before)  # also the Dense layer before it
    with pytest.warns(UserWarning, match="something"):
        other.load_weights(tmp_path / "m.keras", skip_mismatch=True)
    assert_unchanged(other.layers[1], before[2:])
    np.testing.assert_array_equal(other.get_weights()[0], model.get_weights()[0])


class BadStore(layers.Layer):
    def __init__(self, key, value):
        super().__init__()
        self.key, self.value = key, value

    def save_own_variables(self, store):
        store[self.key] = self.value

    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("key", "value"), [("a/b", 1), ("", 1), (0, 1), ("a", "text"), ("a", [None])]
)
def test_bad_stores_are_refused(key, value, tmp_path):
    model = keras.Sequential([keras.Input((4,)), BadStore(key, value)])
    with pytest.raises(ValueError, match="save_own_variables of 'bad_store"):
        model.save_weights(tmp_path / "m.weights.h5")
    assert not list(tmp_path.iterdir())


def test_layers_with_files_are_refused(tmp_path):
    class WithFiles(layers.Layer):
        def save_assets(self, dir_path):
            raise AssertionError

        def call(self, x):
            return x

    model = keras.Sequential([keras.Input((4,)), WithFiles()])
    with pytest.raises(ValueError, match="save_assets"):
        model.save(tmp_path / "m.keras")
