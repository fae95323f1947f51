"""Nested structures, names and settings."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, namedtuple

import pytest

from cnn_core import config, naming, tree

Pair = namedtuple("Pair", "first second")
NESTED = {"b": [1, (2, None)], "a": Pair(3, {"z": 4})}


def test_flatten_goes_by_sorted_keys():
    assert tree.flatten(NESTED) == [3, 4, 1, 2, None]
    assert tree.flatten(7) == [7]
    assert tree.flatten([]) == []
    assert tree.flatten({"b": 1, 2: 2}) == [1, 2]  # keys that cannot be sorted


def test_map_structure_keeps_types_and_order():
    result = tree.map_structure(lambda x: x and x * 10, NESTED)
    assert result == {"b": [10, (20, None)], "a": Pair(30, {"z": 40})}
    assert list(result) == ["b", "a"]
    assert isinstance(result["a"], Pair)
    ordered = tree.map_structure(str, OrderedDict(b=1, a=2))
    assert isinstance(ordered, OrderedDict)
    assert list(ordered) == ["b", "a"]
    default = tree.map_structure(str, defaultdict(list, a=1))
    assert default == {"a": "1"}
    assert default["new"] == []


def test_map_structure_of_several():
    assert tree.map_structure(lambda x, y: x + y, [1, {"a": 2}], (10, {"a": 20})) == [
        11,
        {"a": 22},
    ]


@pytest.mark.parametrize("other", [[1], [1, 2, 3], 5, {"a": 1, "b": 2}])
def test_structures_that_differ(other):
    with pytest.raises(ValueError, match="differ in nesting"):
        tree.map_structure(lambda x, y: x, [1, 2], other)


def test_dictionaries_with_other_keys():
    with pytest.raises(ValueError, match="differ in nesting"):
        tree.map_structure(lambda x, y: x, {"a": 1}, {"b": 1})


def test_pack_sequence_as():
    packed = tree.pack_sequence_as(NESTED, [3, 4, 1, 2, None])
    assert packed == NESTED
    assert list(packed) == ["b", "a"]
    assert isinstance(packed["a"], Pair)
    assert tree.pack_sequence_as(0, ["x"]) == "x"


@pytest.mark.parametrize("leaves", [[1], [1, 2, None]])
def test_leaves_that_do_not_fit(leaves):
    with pytest.raises(ValueError, match="expected 2 leaves"):
        tree.pack_sequence_as([0, 0], leaves)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Dense", "dense"),
        ("Conv2D", "conv2d"),
        ("LSTM", "lstm"),
        ("SimpleRNN", "simple_rnn"),
        ("Conv2DTranspose", "conv2d_transpose"),
        ("MeanSquaredError", "mean_squared_error"),
        ("AUC", "auc"),
        ("my_layer", "my_layer"),
        ("KLDivergence", "kl_divergence"),
        ("InputLayer", "input_layer"),
        ("GlobalAveragePooling2D", "global_average_pooling2d"),
        ("ELU", "elu"),
        ("PReLU", "p_re_lu"),
        ("ReLU", "re_lu"),
        ("TopKCategoricalAccuracy", "top_k_categorical_accuracy"),
    ],
)
def test_snake_case(name, expected):
    assert naming.snake_case(name) == expected


def test_unique_names():
    prefix = "test_of_unique_names"
    assert [naming.unique_name(prefix) for _ in range(3)] == [
        prefix,
        f"{prefix}_1",
        f"{prefix}_2",
    ]


@pytest.mark.parametrize(
    ("setter", "bad"),
    [
        (config.set_floatx, "int32"),
        (config.set_epsilon, 0),
        (config.set_epsilon, "1e-7"),
        (config.set_epsilon, float("nan")),
        (config.set_image_data_format, "last"),
    ],
)
def test_settings_refuse_what_makes_no_sense(setter, bad):
    before = (config.floatx(), config.epsilon(), config.image_data_format())
    with pytest.raises(ValueError, match=f"{setter.__name__}: expected"):
        setter(bad)
    assert (config.floatx(), config.epsilon(), config.image_data_format()) == before


def test_settings():
    config.set_epsilon(1e-5)
    config.set_image_data_format("channels_first")
    try:
        assert (config.epsilon(), config.image_data_format()) == (
            1e-5,
            "channels_first",
        )
    finally:
        config.set_epsilon(1e-7)
        config.set_image_data_format("channels_last")
