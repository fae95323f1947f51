"""Files from elsewhere: damaged, foreign or malicious ones are refused, all the same.

Whatever the bytes are, loading raises a ValueError that names the file, or it succeeds;
it opens no other file, takes no memory the file does not justify, and does not touch
the model before the whole file is known to be sound.
"""

from __future__ import annotations

import builtins
import io
import json
import os
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest

import cnn_core as keras
from cnn_core import layers, saving

h5py = pytest.importorskip("h5py")

MEGABYTE = 2**20


def make_model():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(2)])
    model.compile("adam", "mse")
    return model


@pytest.fixture
def model():
    return make_model()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Return the bytes of a sound `.keras` and a sound `.weights.h5` file."""
    folder = tmp_path_factory.mktemp("sound")
    model = make_model()
    model.train_on_batch(np.ones((2, 4)), np.ones((2, 2)))
    model.save(folder / "m.keras")
    model.save_weights(folder / "m.weights.h5")
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def state(model):
    return [
        *model.get_weights(),
        *(v.numpy().copy() for v in model.optimizer.variables),
    ]


def refuses(model, path, match=None, load_whole=True):
    """Assert that the file is refused by name, and leaves no trace in the model."""
    before = state(model)
    with pytest.raises(ValueError, match=match) as caught:
        model.load_weights(path)
    assert path.name in str(caught.value)
    if load_whole and path.suffix == ".keras":
        with pytest.raises(ValueError, match=match) as caught:
            saving.load_model(path)
        assert path.name in str(caught.value)
    after = state(model)
    for a, b in zip(before, after[: len(before)], strict=True):
        np.testing.assert_array_equal(a, b)


def outcome(function):
    """Return the ValueError that a call raises, or None; let others through."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function()
    except ValueError as error:
        return error
    return None


def peak_memory(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# --- damage -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5"])
def test_truncated_anywhere(name, sound, model, tmp_path):
    content = sound[name]
    path = tmp_path / name
    lengths = [*range(0, 64, 3), *range(64, len(content), 211), len(content) - 1]
    for length in lengths:
        path.write_bytes(content[:length])
        refuses(model, path)


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5"])
def test_changed_bytes_never_crash(name, sound, model, tmp_path):
    content = sound[name]
    rng = np.random.default_rng(0)
    path = tmp_path / name
    refused = 0
    for _ in range(300):
        damaged = bytearray(content)
        for position in rng.integers(0, len(content), rng.integers(1, 4)):
            damaged[position] = rng.integers(0, 256)
        path.write_bytes(damaged)
        before = state(model)
        error = outcome(lambda: model.load_weights(path))
        if error is not None:
            refused += 1
            assert name in str(error)
            for a, b in zip(before, state(model)[: len(before)], strict=True):
                np.testing.assert_array_equal(a, b)
    assert refused > 10


def test_changed_weights_in_a_model_file_are_noticed(sound, model, tmp_path):
    content = bytearray(sound["m.keras"])
    kernel = make_model()
    position = content.rindex(b"PK\1\2") - 600  # inside the stored weights
    content[position] ^= 1
    path = tmp_path / "m.keras"
    path.write_bytes(content)
    refuses(kernel, path, "CRC")


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\x89HDF\r\n\x1a\n",
        b"PK\3\4",
        b"PK\5\6" + bytes(18),
        bytes(9999),
    ],
)
def test_foreign_content(name, content, model, tmp_path):
    (tmp_path / name).write_bytes(content)
    refuses(model, tmp_path / name)


@pytest.mark.parametrize("name", ["m.keras", "m.weights.h5"])
def test_folder_instead_of_a_file(name, model, tmp_path):
    (tmp_path / name).mkdir()
    refuses(model, tmp_path / name, "is a folder")


def test_formats_taken_for_each_other(sound, model, tmp_path):
    (tmp_path / "m.keras").write_bytes(sound["m.weights.h5"])
    refuses(model, tmp_path / "m.keras", "zip")
    (tmp_path / "m.weights.h5").write_bytes(sound["m.keras"])
    refuses(model, tmp_path / "m.weights.h5", "HDF5")


# --- malicious HDF5 -----------------------------------------------------------


class Traps:
    """Weights files, each with one trap in place of the first kernel."""

    def __init__(self, folder):
        self.secret = folder / "secret.h5"

    @staticmethod
    def external_link(file, traps):
        file["layers/dense/vars/0"] = h5py.ExternalLink(str(traps.secret), "/x")

    @staticmethod
    def external_group(file, traps):
        del file["layers/dense"]
        file["layers/dense"] = h5py.ExternalLink(str(traps.secret), "/group")

    @staticmethod
    def soft_link(file, traps):
        file["layers/dense/vars/0"] = h5py.SoftLink("/layers/dense_1/vars/0")

    @staticmethod
    def soft_link_to_itself(file, traps):
        del file["layers/dense"]
        file["layers/dense"] = h5py.SoftLink("/layers/dense")

    @staticmethod
    def external_storage(file, traps):
        file["layers/dense/vars"].create_dataset(
            "0", (4, 3), "float32", external=[(str(traps.secret), 0, 48)]
        )

    @staticmethod
    def virtual(file, traps):
        layout = h5py.VirtualLayout((4, 3), "float32")
        layout[:] = h5py.VirtualSource(str(traps.secret), "x", (4, 3))
        file["layers/dense/vars"].create_virtual_dataset("0", layout)

    @staticmethod
    def compressed(file, traps):
        file["layers/dense/vars"].create_dataset(
            "0", (4, 3), "float32", data=np.ones((4, 3)), compression="gzip"
        )

    @staticmethod
    def huge_chunks(file, traps):
        file["layers/dense/vars"].create_dataset(
            "0", (4, 3), "float32", chunks=(2**14, 2**14), maxshape=(None, None)
        )

    @staticmethod
    def huge_shape(file, traps):
        file["layers/dense/vars"].create_dataset("0", (2**40, 3), "float32")

    @staticmethod
    def nothing_stored(file, traps):
        file["layers/dense/vars"].create_dataset("0", (4, 3), "float32")

    @staticmethod
    def text(file, traps):
        file["layers/dense/vars/0"] = "text"

    @staticmethod
    def objects(file, traps):
        file["layers/dense/vars/0"] = np.array([b"x" * 9] * 12, dtype="S9")

    @staticmethod
    def compound(file, traps):
        file["layers/dense/vars/0"] = np.zeros((4, 3), dtype=[("a", "f4"), ("b", "f4")])

    @staticmethod
    def references(file, traps):
        file["layers/dense/vars"].create_dataset(
            "0", data=[file.ref] * 12, dtype=h5py.ref_dtype
        )

    @staticmethod
    def null_space(file, traps):
        file["layers/dense/vars/0"] = h5py.Empty("float32")

    @staticmethod
    def group_as_array(file, traps):
        file["layers/dense/vars"].create_group("0")

    @staticmethod
    def array_as_group(file, traps):
        del file["layers/dense"]
        file["layers/dense"] = np.zeros(3)

    @staticmethod
    def named_type(file, traps):
        file["layers/dense/vars/0"] = np.dtype("float32")


TRAPS = [n for n, v in vars(Traps).items() if isinstance(v, staticmethod)]


@pytest.mark.parametrize("trap", TRAPS)
def test_traps_in_hdf5(trap, sound, model, tmp_path, monkeypatch):
    traps = Traps(tmp_path)
    with h5py.File(traps.secret, "w") as file:
        file["x"] = np.ones((4, 3), "float32")
        file["group/vars/0"] = np.ones((4, 3), "float32")
        file["group/vars/1"] = np.ones(3, "float32")
    path = tmp_path / "m.weights.h5"
    path.write_bytes(sound["m.weights.h5"])
    with h5py.File(path, "r+") as file:
        del file["layers/dense/vars/0"]
        getattr(Traps, trap)(file, traps)
    used = peak_memory(lambda: refuses(model, path))
    assert used < 4 * MEGABYTE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match=r"m\.weights\.h5"):
            model.load_weights(path, skip_mismatch=True)  # a trap is no mismatch


def test_values_that_several_names_share(sound, model, tmp_path):
    """Many names for one array must not multiply the memory it takes."""
    path = tmp_path / "m.weights.h5"

    class Own(layers.Layer):
        def load_own_variables(self, store):
            raise AssertionError("not reached")

        def call(self, x):
            return x

    own = keras.Sequential([keras.Input((4,)), Own()])
    with h5py.File(path, "w") as file:
        file["layers/own/vars/0"] = np.zeros(MEGABYTE, "uint8")
        file.create_group("vars")
        for i in range(1, 1000):
            file[f"layers/own/vars/{i}"] = file["layers/own/vars/0"]

    def load():
        with pytest.raises(ValueError, match="more values than it has bytes"):
            own.load_weights(path)

    assert peak_memory(load) < 8 * MEGABYTE


def test_groups_in_a_circle(sound, model, tmp_path):
    path = tmp_path / "m.weights.h5"
    path.write_bytes(sound["m.weights.h5"])
    with h5py.File(path, "r+") as file:
        file["layers/dense/circle"] = file["layers"]
    refuses(model, path, "nested too deeply")


def test_no_other_file_is_opened(sound, model, tmp_path, monkeypatch):
    """Python's `open` sees exactly one path; HDF5 gets an open file, never a name."""
    path = tmp_path / "m.weights.h5"
    path.write_bytes(sound["m.weights.h5"])
    original, opened = builtins.open, []

    def watching(file, *args, **kwargs):
        opened.append(file)
        return original(file, *args, **kwargs)

    real_file, names = h5py.File, []

    def watching_file(name, *args, **kwargs):
        names.append(name)
        return real_file(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "open", watching)
    monkeypatch.setattr(h5py, "File", watching_file)
    model.load_weights(path)
    monkeypatch.undo()
    assert opened == [os.fspath(path)]
    assert len(names) == 1
    assert isinstance(names[0], io.IOBase)


# --- malicious zip archives ---------------------------------------------------


@pytest.fixture
def rewrite(sound, tmp_path):
    """Return a function that writes a `.keras` file with changed or added members."""
    with zipfile.ZipFile(io.BytesIO(sound["m.keras"])) as file:
        members = {info.filename: file.read(info) for info in file.infolist()}

    def write(changes, compression=zipfile.ZIP_STORED):
        path = tmp_path / "m.keras"
        with zipfile.ZipFile(path, "w", compression) as file:
            for name, content in {**members, **changes}.items():
                if content is not None:
                    file.writestr(name, content)
        return path

    write.members = members
    return write


def test_other_members_are_ignored(rewrite, tmp_path):
    path = rewrite({"../../escaped": b"x", "/tmp/absolute": b"x", "assets/a": b"x"})
    loaded = saving.load_model(path)
    assert int(loaded.optimizer.iterations) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["m.keras"]
    assert not (tmp_path.parent.parent / "escaped").exists()


def test_compressed_archives_are_read(rewrite):
    saving.load_model(rewrite({}, zipfile.ZIP_DEFLATED))


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_unusual_compression_is_refused(rewrite, model, compression):
    refuses(model, rewrite({}, compression), "unusual")


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_missing_members(rewrite, model, name):
    path = rewrite({name: None})
    with pytest.raises(ValueError, match=f"one member '{name}', found 0"):
        saving.load_model(path)


def test_repeated_members(rewrite, model, tmp_path):
    path = rewrite({})
    with zipfile.ZipFile(path, "a") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file.writestr("config.json", b"{}")
    refuses(model, path, "found 2")


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5"])
def test_zip_bombs(rewrite, model, name):
    path = rewrite({name: bytes(100 * MEGABYTE)}, zipfile.ZIP_DEFLATED)

    def load():
        with pytest.raises(ValueError, match=r"would unpack|larger than"):
            saving.load_model(path)

    assert peak_memory(load) < 4 * MEGABYTE


def test_encrypted_flag(rewrite, model):
    path = rewrite({})
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        position = -1
        while (position := content.find(mark, position + 1)) >= 0:
            content[position + offset] |= 1
    path.write_bytes(content)
    refuses(model, path)


# --- malicious configurations -------------------------------------------------


def with_config(rewrite, change):
    config = json.loads(rewrite.members["config.json"])
    changed = change(config)
    return rewrite({"config.json": json.dumps(config if changed is None else changed)})


def dense(config):
    return config["config"]["layers"][1]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"1",
        b"null",
        b'"text"',
        b"{}",
        b"[" * 100_000,
        b'{"class_name": 1, "config": 2}',
        b'{"class_name": "Sequential", "config": null, "module": "keras"}',
        b'{"class_name": "Dense", "config": {"units": 3}, "module": "keras.layers"}',
    ],
)
def test_foreign_configurations(rewrite, text):
    path = rewrite({"config.json": text})
    with pytest.raises(ValueError, match=r"m\.keras"):
        saving.load_model(path)


@pytest.mark.parametrize(
    ("module", "class_name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("subprocess", "Popen"),
        ("cnn_core.saving.model_files", "write_file"),
        ("keras.layers", "Nonsense"),
        (None, "__import__"),
    ],
)
@pytest.mark.parametrize("safe_mode", [True, False])
def test_other_classes_are_unknown(rewrite, module, class_name, safe_mode):
    def change(config):
        dense(config).update(module=module, class_name=class_name, registered_name=None)

    with pytest.raises(ValueError, match=rf"m\.keras.*Unknown.*{class_name}"):
        saving.load_model(with_config(rewrite, change), safe_mode=safe_mode)


@pytest.mark.parametrize("safe_mode", [True, False])
def test_lambdas_are_never_run(rewrite, safe_mode):
    def change(config):
        dense(config)["config"]["activation"] = {
            "class_name": "__lambda__",
            "config": {"value": "4wAAAAAAAAAA"},
        }

    with pytest.raises(ValueError, match="lambda"):
        saving.load_model(with_config(rewrite, change), safe_mode=safe_mode)


@pytest.mark.parametrize("units", [2**20, 2**40, -1, 0, "x", None, 1e9, [1]])
def test_sizes_the_file_does_not_justify(rewrite, units):
    def change(config):
        dense(config)["config"]["units"] = units

    path = with_config(rewrite, change)

    def load():
        with pytest.raises(ValueError, match=r"m\.keras"):
            saving.load_model(path)

    assert peak_memory(load) < 40 * MEGABYTE


def test_wrong_types_everywhere(rewrite):
    """Replace every value of the configuration in turn: no other error comes out."""
    original = json.loads(rewrite.members["config.json"])

    def places(value, path=()):
        yield path
        items = (
            value.items()
            if isinstance(value, dict)
            else enumerate(value)
            if isinstance(value, list)
            else ()
        )
        for key, inner in items:
            yield from places(inner, (*path, key))

    for path in places(original):
        for replacement in (None, -1, "x", [], {}):
            config = json.loads(rewrite.members["config.json"])
            target = config
            for key in path[:-1]:
                target = target[key]
            if path:
                target[path[-1]] = replacement
            else:
                config = replacement
            file = rewrite({"config.json": json.dumps(config)})
            error = outcome(lambda file=file: saving.load_model(file))
            assert error is None or "m.keras" in str(error)
