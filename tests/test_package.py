"""The package as a whole: what it imports, in which order, and its public names."""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import typegrad as tg
from typegrad._exports import EXPORTS, SUBMODULES

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "typegrad"

NOT_IN_THE_ORDER = {"__init__", "__main__", "_exports", "_version"}
"""The package's own face, which loads everything on use, and what imports nothing of it."""

PEERS = {"benchmark.jax_stepper", "benchmark.torch_stepper"}
"""Modules that are there for another framework; they are imported when it is asked for."""

DOWNWARDS = {("history", "plotting"), ("network", "predictor"), ("operations", "layers")}
"""Imports that point down, each inside a function.

`History.plot` draws, and `NeuralNetwork.predict` takes native code, when they are called;
operations are composed to a `Chain`, which type checkers are told of, too.
"""


def layers_of_the_package() -> dict[str, int]:
    """Read the order of modules from the list in the documentation of the architecture."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    block = re.search(r"Imports point only upwards.*?\n\n((?:    .*\n)+)", text)
    assert block is not None
    order = {}
    for rank, line in enumerate(block.group(1).splitlines()):
        names = re.split(r"\s{3,}", line.strip())[0]
        for name in names.split(","):
            order[name.strip().rstrip("/")] = rank
    return order


def modules() -> dict[str, Path]:
    """Find all modules of the package, by dotted name without the package's."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        found[name] = path
    return found


def imported_by(path: Path) -> Iterator[str]:
    """All that a module imports, anywhere in it, as dotted names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            if node.module == "typegrad":
                yield from (f"typegrad.{alias.name}" for alias in node.names)
            else:
                yield node.module


def top(name: str) -> str:
    return name.partition(".")[0]


def is_below(target: str, importer: str, order: dict[str, int]) -> bool:
    """Tell whether `target` is further down; what has no place is another test's business."""
    return order.get(target, 0) > order.get(importer, len(order))


def test_every_module_has_its_place_in_the_documented_order() -> None:
    present = {top(name) for name in modules()} - NOT_IN_THE_ORDER
    order = layers_of_the_package()
    assert present - order.keys() == set()
    assert len(order) >= 20


def test_imports_point_upwards_only() -> None:
    order = layers_of_the_package()
    downwards = set()
    seen = 0
    for name, path in modules().items():
        importer = top(name)
        if importer in {"__init__", "__main__"}:
            continue
        for imported in imported_by(path):
            target = top(imported.removeprefix("typegrad."))
            if not imported.startswith("typegrad.") or target in NOT_IN_THE_ORDER:
                continue
            seen += 1
            if importer in NOT_IN_THE_ORDER or is_below(target, importer, order):
                downwards.add((importer, target))
    assert downwards == DOWNWARDS
    assert seen > 100


def loaded_by(program: str) -> set[str]:
    """Top-level modules that a program loads in a fresh interpreter."""
    report = "import json, sys\nbefore = set(sys.modules)\n" + program
    report += "\nprint(json.dumps(sorted(set(sys.modules) - before)))"
    result = subprocess.run(
        [sys.executable, "-c", report], capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    loaded: list[str] = json.loads(result.stdout.splitlines()[-1])
    return {top(name) for name in loaded}


@pytest.fixture(scope="module")
def expected() -> set[str]:
    """What may be loaded: the standard library, and the dependencies with what they load."""
    dependencies = loaded_by("import numpy.linalg, numpy.random, typing_extensions")
    assert {"numpy", "typing_extensions"} <= dependencies
    # `multiprocessing` gives the main module this second name.
    return dependencies | set(sys.stdlib_module_names) | {"typegrad", "__mp_main__"}


def test_importing_the_package_loads_nothing_foreign(expected: set[str]) -> None:
    loaded = loaded_by("import typegrad")
    assert "typegrad" in loaded
    assert loaded - expected == set()


def test_using_every_public_name_loads_nothing_foreign(expected: set[str]) -> None:
    loaded = loaded_by("from typegrad import *")
    assert "numpy" in loaded
    assert loaded - expected == set()


def test_no_module_needs_an_optional_extra_to_be_imported(expected: set[str]) -> None:
    elsewhere = {"__init__", "__main__", "mypy_plugin"}  # mypy itself imports its plugin
    names = [name for name in modules() if top(name) not in elsewhere]
    names = [name for name in names if not name.endswith(".__main__") and name not in PEERS]
    loaded = loaded_by("\n".join(f"import typegrad.{name}" for name in names))
    assert loaded - expected == set()


def test_optional_packages_are_seen_when_they_are_loaded(expected: set[str]) -> None:
    """The three tests above would notice."""
    assert "tqdm" in loaded_by("import typegrad, tqdm") - expected


def test_all_lists_what_the_modules_export() -> None:
    names = {"__version__", *SUBMODULES, *(name for names in EXPORTS.values() for name in names)}
    listed: list[str] = vars(tg)["__all__"]
    assert set(listed) == names
    assert len(listed) == len(set(listed))
    assert dir(tg) == sorted(listed)


@pytest.mark.parametrize("module", EXPORTS)
def test_modules_and_the_table_of_exports_agree(module: str) -> None:
    assert sorted(import_module(module).__all__) == sorted(EXPORTS[module])


def test_an_unknown_name() -> None:
    package: Any = tg
    with pytest.raises(AttributeError, match=r"module 'typegrad' has no attribute 'Dens'$"):
        _ = package.Dens


PUBLIC = sorted(name for names in EXPORTS.values() for name in names)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_classes_and_functions_have_docstrings_of_their_own(name: str) -> None:
    value = getattr(tg, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__doc__ is not None
        text = inspect.cleandoc(value.__doc__)
        # A dataclass without a docstring gets its signature as one.
        assert not text.startswith(f"{name}(")
        assert len(text.splitlines()[0]) > 10
        assert value.__module__.startswith("typegrad.")
        methods = [] if not inspect.isclass(value) else inspect.getmembers(value, callable)
        for method_name, method in methods:
            if not method_name.startswith("_"):
                assert inspect.getdoc(method), f"{name}.{method_name}"
    else:
        assert name in {"ACTIVATIONS", "ActivationName", "INFERENCE", "Size", "StateValue"}


@pytest.mark.parametrize("name", ["__version__", *SUBMODULES])
def test_version_and_submodules(name: str) -> None:
    value = getattr(tg, name)
    if name == "__version__":
        assert re.fullmatch(r"\d+\.\d+\.\d+", value)
    else:
        assert inspect.ismodule(value)
        assert value.__doc__
        members = [getattr(value, each) for each in value.__all__]
        documented = [each for each in members if inspect.isclass(each) or inspect.isfunction(each)]
        assert documented
        assert all(each.__doc__ for each in documented)


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()
