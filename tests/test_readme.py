"""The README's Python runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.S | re.M)


@pytest.fixture(scope="module")
def namespace():
    """What the blocks share; the last one needs data and a model in its own shapes."""
    return {}


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_block(number, namespace, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    block = BLOCKS[number]
    if "GradientTape" in block:
        import cnn_core as keras

        model = keras.Sequential([keras.Input((4,)), namespace["SimpleDense"](2)])
        namespace.update(
            model=model,
            x=np.ones((3, 4), "float32"),
            y=np.zeros((3, 2), "float32"),
            loss_fn=keras.losses.MeanSquaredError(),
            optimizer=keras.optimizers.SGD(0.1),
        )
        before = model.get_weights()
    exec(compile(block, f"README block {number}", "exec"), namespace)
    if "GradientTape" in block:
        assert not np.array_equal(before[0], namespace["model"].get_weights()[0])
    if "model.save(" in block:
        assert (tmp_path / "digits.keras").exists()
        assert "accuracy" in capsys.readouterr().out
