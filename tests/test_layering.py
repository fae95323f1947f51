"""Imports go down only, and importing the package loads nothing heavy."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import cnn_core

PACKAGE = Path(cnn_core.__path__[0])

# A module may import from its own floor and from those below.
FLOORS = (
    ("config", "naming", "serialization", "shapes", "tree"),
    ("_native", "backend"),
    ("graph",),
    ("ops",),
    (
        *("activations", "constraints", "dtype_policies", "initializers", "losses"),
        *("metrics", "optimizers", "random", "regularizers"),
    ),
    ("layers",),
    ("callbacks", "models"),
    ("__main__", "cli", "datasets", "distribution", "saving", "utils"),
)
# Methods of a model that reach for an edge when they are called.
EDGES = {("models/model.py", "saving"), ("models/model.py", "utils")}
FLOOR = {name: number for number, names in enumerate(FLOORS, 1) for name in names}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)
FILES += sorted(path for path in PACKAGE.glob("*.py") if path.name != "__init__.py")
HEAVY = {"h5py", "rich", "matplotlib", "PIL", "pandas", "sklearn", "torch", "jax"}


def room(path: Path) -> str:
    """The module or package right below `cnn_core` that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def is_inside_function(tree: ast.Module, line: int) -> bool:
    """Whether a line belongs to a function, and so runs only when that is called."""
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    return any(f.lineno < line <= (f.end_lineno or 0) for f in functions)


def imported_rooms(path: Path) -> set[tuple[int, str]]:
    """Line and room of every import from the package, also inside functions."""
    module = ("cnn_core", *path.relative_to(PACKAGE).with_suffix("").parts)
    package = module[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base = (*base, *(node.module.split(".") if node.module else ()))
            names = [(*base, alias.name) for alias in node.names]
        else:
            continue
        for name in names:
            if name[0] == "cnn_core" and len(name) > 1:
                found.add((node.lineno, name[1]))
    return found


def test_every_module_has_a_floor():
    assert {room(path) for path in FILES} <= set(FLOOR)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path):
    own, name = room(path), path.relative_to(PACKAGE).as_posix()
    tree = ast.parse(path.read_text())
    upwards = [
        f"line {line}: {own} imports {other}"
        for line, other in imported_rooms(path)
        if other in FLOOR
        and FLOOR[other] > FLOOR[own]
        and not ((name, other) in EDGES and is_inside_function(tree, line))
    ]
    assert not upwards


def test_the_check_sees_imports():
    found = {name for _, name in imported_rooms(PACKAGE / "ops" / "elementwise.py")}
    assert {"backend", "graph", "shapes"} <= found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_packages_are_imported_late(path):
    tree = ast.parse(path.read_text())
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = set()
    for node in top:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif node.level == 0:
            names.add((node.module or "").split(".")[0])
    assert not names & HEAVY


def test_importing_loads_numpy_and_the_standard_library_only():
    code = (
        "import sys, numpy, numpy.linalg, numpy.random\n"
        "before = set(sys.modules)\n"
        "import cnn_core\n"
        "new = {m.split('.')[0] for m in set(sys.modules) - before}\n"
        "new -= {'cnn_core', *sys.stdlib_module_names}\n"
        "print(sorted(n for n in new if not n.startswith('_')))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == "[]"
