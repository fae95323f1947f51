"""The benchmarks cover every kernel, and run."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import cnn_core as keras
from cnn_core import backend
from cnn_core.backend import reference

ROOT = Path(__file__).resolve().parents[1]

if backend.name() != "compiled":
    pytest.skip("benchmarks need the compiled backend", allow_module_level=True)


def test_every_kernel_has_a_case(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from bench.cases import iterate_cases
    from cnn_core.backend.compiled import native

    cases = list(iterate_cases())
    twins = {name for name in reference.FUNCTION_NAMES if hasattr(native, name)}
    assert twins == {case.kernel for case in cases}
    assert all(case.flops or case.traffic for case in cases)


def bench(*arguments):
    """Run a command of the benchmarks."""
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def bench_modules(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def test_the_command_prints_a_table_and_writes_json(tmp_path):
    path = tmp_path / "figures.json"
    chosen = ["--only", "bias_add", "--seconds", "0"]
    result = bench(*chosen, "--json", str(path))
    assert result.returncode == 0, result.stderr
    assert "isa:" in result.stdout
    assert "GB/s" in result.stdout
    figures = json.loads(path.read_text())
    assert {row["kernel"] for row in figures["results"]} == {"bias_add"}
    result = bench("kernels", "--only", "softmaxx")
    assert result.returncode == 1
    assert "softmax_grad" in result.stderr
    assert "python -m bench products" in result.stderr


def test_help_names_every_command():
    result = bench("--help")
    assert result.returncode == 0
    for command in ("kernels", "products", "models", "fixed", "memory", "roofline"):
        assert f"\n    {command} " in result.stdout


def test_markdown_aligns_its_columns(bench_modules):
    from bench.harness import markdown

    lines = markdown(["name", "us"], [["a", "1.0"], ["longer", "10.25"]]).splitlines()
    assert lines == [
        "| name   |    us |",
        "| ------ | ----: |",
        "| a      |   1.0 |",
        "| longer | 10.25 |",
    ]
    lines = markdown(["a", "b", "c"], [["a1", "b1", "10"]], texts=2).splitlines()
    assert lines == ["| a  | b  |  c |", "| -- | -- | -: |", "| a1 | b1 | 10 |"]


def test_rounds_end_with_the_time_but_not_before_the_first(bench_modules):
    from bench.harness import rounds_within

    assert list(rounds_within(3, 60)) == [0, 1, 2]
    assert list(rounds_within(3, -1)) == [0]


# --- products -------------------------------------------------------------------------


def test_products_print_a_table_of_every_form(tmp_path):
    path = tmp_path / "figures.json"
    result = bench(
        *["products", "--only", "32x10x512", "--no-rivals", "--seconds", "0"],
        *["--threads", "1", "--json", str(path)],
    )
    assert result.returncode == 0, result.stderr
    assert "isa:" in result.stdout
    assert "| shape     | form          | GFLOP/s |" in result.stdout
    assert "best" not in result.stdout
    figures = json.loads(path.read_text())
    assert {row["shape"] for row in figures["results"]} == {"32x10x512"}
    forms = {row["form"] for row in figures["results"]} - {"A B held"}
    assert forms == {
        *("A B", "A B + b relu", "A^T B", "A B^T", "bias gradient", "relu gradient")
    }
    assert all(set(row["seconds"]) == {"compiled"} for row in figures["results"])


def test_an_unknown_product_names_the_sizes_there_are():
    result = bench("products", "--only", "65x65x65")
    assert result.returncode == 1
    assert "64x64x64" in result.stderr


def test_products_list_the_rows_that_a_rival_wins(bench_modules):
    from bench.harness import Case, Result
    from bench.products import below, table

    case = Case("matmul", "2x3x4", (), flops=48_000_000_000, form="A B")
    times = [{"torch": 0.96, "numpy": 2.0}, {"torch": 1.5, "numpy": 0.8}, {}]
    results = [Result(case, {"compiled": 1.0} | seconds) for seconds in times]
    assert below(results, 1.0) == ["2x3x4 A B (0.96)", "2x3x4 A B (0.80)"]
    assert below(results, 0.95) == ["2x3x4 A B (0.80)"]
    assert table(results, ["numpy", "torch"]).splitlines()[2:] == [
        "| 2x3x4 | A B  |    48.0 |  2.00 |  0.96 | 0.96 |",
        "| 2x3x4 | A B  |    48.0 |  0.80 |  1.50 | 0.80 |",
        "| 2x3x4 | A B  |    48.0 |       |       |      |",
    ]


@pytest.mark.parametrize("library", ["numpy", "torch", "jax"])
def test_rivals_compute_the_same_products(bench_modules, library):
    pytest.importorskip(library)
    from bench import worker
    from bench.matmul import can_run, cases
    from cnn_core.backend.compiled import native

    theirs_of = getattr(worker, f"{library}_call")
    forms = set()
    for case in cases():
        if case.flops > 2 * 256**3 or not can_run(native, case):
            continue
        forms.add(case.form)
        ours, theirs = worker.our_call(native, case)(), theirs_of(case)()
        if not isinstance(ours, tuple):
            ours, theirs = (ours,), (theirs,)
        for mine, other in zip(ours, theirs, strict=True):
            other = np.asarray(other)
            assert other.dtype == np.float32 and other.shape == mine.shape
            np.testing.assert_allclose(mine, other, rtol=1e-4, atol=2e-4)
    assert len(forms) >= 6


def test_a_held_product_has_the_bits_of_the_cold_one(bench_modules):
    from bench import worker
    from bench.matmul import can_run, cases
    from cnn_core.backend.compiled import native

    for case in cases():
        if case.held is None or case.flops > 2 * 256**3 or not can_run(native, case):
            continue
        held = worker.our_call(native, case)
        case.held[:] = np.nan
        np.testing.assert_array_equal(held(), native.matmul(*case.args))


def test_a_worker_finds_any_case_and_leaves_out_what_is_not_there(bench_modules):
    from bench.cases import FAMILIES
    from bench.worker import Timer

    made = []
    timer = Timer(lambda case: made.append((case.kernel, case.title)))
    for number in (2, 3, 3, 0):
        assert timer.measure("losses", number) is None
    assert timer.measure("reductions", 1) is None
    losses = [(case.kernel, case.title) for case in FAMILIES["losses"].cases()]
    assert made[:-1] == [losses[2], losses[3], losses[0]]
    assert made[-1][0] in reference.FUNCTION_NAMES


def test_rivals_keep_to_the_instruction_set(bench_modules, monkeypatch):
    from bench import harness

    found = {}

    class Recorded:
        def __init__(self, name, threads, module, environment):
            found[name] = environment
            self.facts = {"name": name}

        def close(self):
            pass

    monkeypatch.setattr(harness, "Contestant", Recorded)
    monkeypatch.setenv("CNN_CORE_ISA", "avx512")
    monkeypatch.setenv("XLA_FLAGS", "--one")
    with harness.processes({"compiled": {}, "jax": {"A": "1"}}, 1) as contestants:
        facts = harness.header(1, contestants)
    assert found["compiled"] == {}
    assert found["jax"]["A"] == "1"
    assert found["jax"]["OPENBLAS_CORETYPE"] == "SkylakeX"
    assert found["jax"]["XLA_FLAGS"] == "--one --xla_cpu_max_isa=AVX512"
    assert "MKL_ENABLE_INSTRUCTIONS=AVX512" in facts["others limited by"]
    monkeypatch.delenv("CNN_CORE_ISA")
    assert harness.instruction_limits() == {}


# --- fixed costs ----------------------------------------------------------------------


def test_fixed_costs_of_this_library(tmp_path):
    path = tmp_path / "figures.json"
    result = bench(
        *["fixed", "--no-rivals", "--rounds", "1", "--lengths", "3", "--models", "2"],
        *["--json", str(path)],
    )
    assert result.returncode == 0, result.stderr
    for title in ("import beyond NumPy", "model(x1), 784-512-10", "both right"):
        assert title in result.stdout
    figures = json.loads(path.read_text())
    assert figures["answers"]["threads"]["cnn_core"] == [{"right": True}]
    assert figures["answers"]["lengths predict"]["cnn_core"][0]["warnings"] == 0
    assert len(figures["step_cost"]["seconds"]) == 5  # more layers, more instructions


def test_step_cost_is_the_line_through_the_times(bench_modules):
    from bench.fixed import StepCost

    cost = StepCost({10: 4e-6, 20: 5e-6, 50: 8e-6})
    assert cost.per_step == pytest.approx(3e-6)
    assert cost.per_instruction == pytest.approx(1e-7)


def test_an_unknown_fixed_cost_names_those_there_are():
    result = bench("fixed", "--only", "latencies")
    assert result.returncode == 1
    assert "latency call 8-8-4" in result.stderr


# --- models ---------------------------------------------------------------------------


def test_models_print_a_table_and_draw_a_chart(tmp_path):
    path = tmp_path / "models.png"
    result = bench(
        *["models", "--only", "64-32-10", "--no-rivals", "--rounds", "1"],
        *["--threads", "1", "--png", str(path)],
    )
    assert result.returncode == 0, result.stderr
    assert "threads: 1" in result.stdout
    assert "isa:" in result.stdout
    assert "| MLP 64-32-10, batch 32, adam |" in result.stdout
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_missing_library_is_named(bench_modules, monkeypatch, capsys):
    from bench import networks

    library = networks.Library(("numpy", "no_such_library"), {}, None)
    monkeypatch.setitem(networks.LIBRARIES, "other", library)
    assert networks.installed(["other"]) == []
    assert "left out: other (no_such_library not installed)" in capsys.readouterr().out


def test_rivals_train_the_same_network(bench_modules):
    """Ours and torch's have the same weights; branches meet in the last layer."""
    from bench.networks import Task, keras_model

    task = Task("two", (6, 5, 4, 3), 2, "adam", 1, branches=2)
    model = keras_model(task, keras)
    assert [w.shape for w in model.weights][-2:] == [(8, 3), (3,)]
    assert len(model.trainable_variables) == 2 * 2 * 2 + 2
    torch = pytest.importorskip("torch")
    from bench.networks import torch_model

    theirs = torch_model(task)
    assert sum(p.numel() for p in theirs.parameters()) == model.count_params()
    assert theirs(torch.zeros(2, 6)).shape == (2, 3)


# --- memory ---------------------------------------------------------------------------


def test_memory_of_plan_and_process(tmp_path):
    path = tmp_path / "figures.json"
    result = bench(
        *["memory", "--only", "784-512-10", "--no-rivals", "--rounds", "1"],
        *["--threads", "1", "--json", str(path)],
    )
    assert result.returncode == 0, result.stderr
    assert "| 784-512-10, batch 128, rmsprop |" in result.stdout
    (row,) = json.loads(path.read_text())["results"]
    parameters = 784 * 512 + 512 + 512 * 10 + 10
    assert row["plan"]["weights"] == 4 * parameters
    assert row["plan"]["optimizer"] >= 4 * parameters
    if row["growth"]["cnn_core"] is not None:  # what the plan says is really used
        assert row["growth"]["cnn_core"] > 0.8 * sum(row["plan"].values())


def test_memory_rows_compare_with_ours(bench_modules):
    from bench.memory import TASKS, row

    mega = 2**20
    plan = {"weights": mega, "optimizer": 2 * mega, "temporaries": 3 * mega, "x": 0}
    cells = row(TASKS[0], plan, {"cnn_core": 8 * mega, "torch": 12 * mega, "jax": None})
    assert cells[1:] == ["1.0", "2.0", "3.0", "6.0", "8.0", "12.0 (1.50)", ""]


# --- roofline -------------------------------------------------------------------------


def a_machine(threads=1):
    from bench.intensity import Machine

    rates = {"L1": 200e9, "L2": 100e9, "L3": 50e9, "DRAM": 10e9}
    bandwidth = {
        level: dict.fromkeys(("read", "write", "copy", "triad"), rate)
        for level, rate in rates.items()
    }
    caches = {"L1": 32 << 10, "L2": 512 << 10, "L3": 32 << 20}
    return Machine(threads, 100e9, bandwidth, caches)


def test_intensity_counts_operations_and_bytes(bench_modules):
    from bench.harness import Case
    from bench.intensity import work_of

    a, b = np.zeros((8, 16), np.float32), np.zeros((16, 4), np.float32)
    work = work_of(Case("matmul", "8x4x16", (a, b), flops=1024), a @ b)
    assert work.traffic == 4 * (8 * 16 + 16 * 4 + 8 * 4)
    assert work.written == 4 * 8 * 4
    assert work.intensity == 1024 / work.traffic
    assert work.kind == "triad"
    work = work_of(Case("relu", "1K", (a,), traffic=2 * a.nbytes), a)
    assert work.intensity == 1 / 8
    assert work.kind == "copy"
    work = work_of(Case("sum", "8x16", (a,), traffic=a.nbytes + 4), np.float32(0))
    assert work.flops == a.size
    assert work.kind == "read"
    work = work_of(Case("random_uniform", "1K", (1, 0, 1024), traffic=4096), a)
    assert work.intensity is None
    loss = Case("binary_crossentropy", "8x16 logits", (a, a), traffic=3 * a.nbytes)
    assert work_of(loss, a).flops == 57 * a.size


def test_the_limit_is_the_lower_part_of_the_roof(bench_modules):
    from bench.intensity import Work

    machine = a_machine()
    dense = machine.place(Work(10**9, 10**6, 10**5), 0.02)  # 10 ms at 100 GFLOP/s
    assert (dense.level, dense.limit) == ("L3", "FMA")
    assert dense.percent == pytest.approx(50)
    assert dense.flop_rate == pytest.approx(50e9)
    quick = dataclasses.replace(machine, tiles=400e9)
    assert quick.place(Work(10**9, 10**6, 10**5), 0.02) == dense
    tiles = quick.place(Work(10**9, 10**6, 10**5), 0.02, product=True)
    assert (tiles.limit, tiles.percent) == ("tiles", pytest.approx(12.5))
    thin = machine.place(Work(10**6, 10**8, 5 * 10**7), 0.02)  # 10 ms at 10 GB/s
    assert (thin.level, thin.limit) == ("DRAM", "DRAM copy")
    assert thin.percent == pytest.approx(50)
    unknown = machine.place(Work(None, 1000, 0), 1e-8)
    assert (unknown.level, unknown.limit) == ("L1", "L1 read")
    assert unknown.cells() == ["0.0", "", "", "100.0", "L1 read", "50"]


def test_private_caches_add_up(bench_modules):
    assert a_machine(1).level(40 << 10) == "L2"
    assert a_machine(2).level(40 << 10) == "L1"
    assert a_machine(2).level(30 << 20) == "DRAM"


def test_labels_move_apart_as_little_as_they_must(bench_modules):
    from bench.intensity import spread

    assert spread([], 1) == []
    assert spread([0, 5], 1) == [0, 5]
    assert spread([3, 3, 3], 1) == [2, 3, 4]
    placed = spread([0, 0.1, 0.2, 2, 9], 1)
    assert all(b - a >= 1 - 1e-9 for a, b in pairwise(placed))
    assert placed[-1] == 9


def test_cache_sizes_come_from_the_system(bench_modules, tmp_path):
    from bench.roofline import cache_sizes

    for i, (kind, level, size) in enumerate(
        [("Data", 1, "48K"), ("Instruction", 1, "32K"), ("Unified", 2, "2M")]
    ):
        folder = tmp_path / f"index{i}"
        folder.mkdir()
        for name, value in (("type", kind), ("level", level), ("size", size)):
            (folder / name).write_text(f"{value}\n")
    assert cache_sizes(tmp_path) == {"L1": 48 << 10, "L2": 2 << 20}
    assert set(cache_sizes(tmp_path / "nothing")) == {"L1", "L2", "L3"}


def test_every_elementwise_kernel_has_its_operations_counted(bench_modules):
    from bench.cases import activations, elementwise
    from bench.intensity import operations_of

    cases = [*activations.cases(), *elementwise.cases()]
    missing = {c.kernel for c in cases if operations_of(c.kernel, c.shape) is None}
    assert missing == {"power"}  # in double, where the peak is another


def test_roofline_prints_a_table_and_draws_it(tmp_path):
    figures, picture = tmp_path / "figures.json", tmp_path / "roof.png"
    result = bench(
        *["roofline", "--only", "softmax_grad", "--seconds", "0.001"],
        *["--json", str(figures), "--png", str(picture)],
    )
    assert result.returncode == 0, result.stderr
    assert "| FMA baseline, GFLOP/s" in result.stdout
    assert "| DRAM triad, GB/s" in result.stdout
    assert "| softmax_grad 128x512" in result.stdout
    assert "left out: " in result.stdout  # 32x10
    report = json.loads(figures.read_text())
    assert all(row["percent"] > 0 for row in report["kernels"])
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert bench("roofline", "--only", "soft_max").returncode == 1
