"""What programs take from the C allocator they give back, to the byte."""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Callable

import numpy as np
import pytest

from cnn_core import ops
from cnn_core.graph import Variable
from cnn_core.graph.program import Spec, compile_function

LEAST_BLOCK = 24  # bytes that malloc takes for the smallest request


class _Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks",
        "uordblks", "fordblks", "keepcost",
    )]  # fmt: skip


@pytest.fixture(scope="module")
def in_use() -> Callable[[], int]:
    """Return the number of bytes that malloc has given out."""
    try:
        mallinfo = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        pytest.skip("needs mallinfo2 of glibc 2.33")
    if "asan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("the sanitizer has an allocator of its own")
    mallinfo.restype = _Mallinfo

    def measure() -> int:
        gc.collect()
        now = mallinfo()
        return int(now.uordblks + now.hblkhd)

    return measure


def build_run_drop() -> None:
    """Make a program with tasks of many kinds, run it twice and forget it."""
    kernel = Variable(np.full((6, 4), 0.5, "float32"))
    x, labels = np.ones((5, 6), "float32"), np.arange(5) % 4

    def step(x, labels):
        y = ops.matmul(x, kernel)
        kernel.assign(kernel * 0.5 + 1)
        loss = ops.sparse_categorical_crossentropy(labels, y, from_logits=True)
        scale = ops.exp(ops.tanh(y * 2 + 1) * 0.25)
        return loss, ops.sum(scale, axis=1), ops.softmax(ops.transpose(y)), labels + 1

    program = compile_function(step, Spec((5, 6), "float32"), Spec((5,), "int64"))
    assert not program.lowering.fallbacks
    program(x, labels)
    program(x, labels)


def leaked(in_use: Callable[[], int], work: Callable[[], None]) -> float:
    """Return the bytes that a call of work keeps, the least of up to 30 rounds: what
    the interpreter allots for itself comes in some of them only."""
    calls, least = 50, float("inf")
    for _ in range(30):
        before = in_use()
        for _ in range(calls):
            work()
        least = min(least, (in_use() - before) / calls)
        if least < LEAST_BLOCK:
            break
    return least


def test_programs_leave_nothing_behind(in_use: Callable[[], int]) -> None:
    assert leaked(in_use, build_run_drop) < LEAST_BLOCK


def test_failed_programs_leave_nothing_behind(in_use: Callable[[], int], native):
    def build_wrongly() -> None:
        program = native.Program()
        operand = (0, 0)
        program.map("relu_f32", 8, [operand], operand)
        program.chain(8, [(operand, 1)], 0, [("relu_f32", (0,), 0, 0, 0)])
        for wrong in (
            lambda: program.map("no_such_kernel", 8, [operand], operand),
            lambda: program.map("sum_f32", 8, [operand], operand),
            lambda: program.rows("relu_f32", 8, 8, operand, a=operand),
            lambda: program.chain(8, [(operand, 1)] * 40, 0, []),
            lambda: program.chain(8, [], 0, [("sum_f32", (0,), 0, 0, 0)]),
            lambda: program.copy(4, [2] * 20, [1] * 20, operand, [3] * 20, operand),
        ):
            with pytest.raises(ValueError, match="Program"):
                wrong()
        with pytest.raises(ValueError, match="not bound"):
            program.run(0, 1)

    assert leaked(in_use, build_wrongly) < LEAST_BLOCK
