"""``typegrad check``: what it finds in a user's file of Python, and what it says of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from typegrad.cli import main

SOURCE = str(Path(__file__).parents[2] / "src")

RIGHT = """\
import typegrad as tg

network = tg.NeuralNetwork(
    [tg.Dense(13, 32, "relu"), tg.Dense(32, 1)], loss=tg.MSELoss(), seed=0
)
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _in_a_fresh_directory(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("MYPYPATH", SOURCE)


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[str]]]:
    """Write a file and check it; the exit status, and the lines that were printed."""

    def run(text: str, name: str = "model.py", *options: str) -> tuple[int, list[str]]:
        Path(name).write_text(text, encoding="utf-8")
        status = main(["check", name, *options])
        return status, capsys.readouterr().out.splitlines()

    return run


Check = Callable[..., tuple[int, list[str]]]


def test_a_right_model_is_described(check: Check) -> None:
    status, lines = check(RIGHT)
    assert status == 0
    assert lines == [
        "model.py:3: network",
        "",
        "Layer             Output shape  Parameters  Multiply-adds",
        "---------------------------------------------------------",
        "0  Dense(13, 32)  (batch, 32)          448            416",
        "1  Dense(32, 1)   (batch, 1)            33             32",
        "---------------------------------------------------------",
        "Total                                  481            448",
        "MSELoss(), float32, 1.9 kB",
        "",
        "0 errors, 0 warnings",
    ]
    assert [path.name for path in Path().iterdir()] == ["model.py"]


def test_what_types_and_construction_both_find_is_said_once_where_it_is(check: Check) -> None:
    status, lines = check(
        """\
import typegrad as tg

def network() -> tg.NeuralNetwork:
    return tg.NeuralNetwork(
        [
            tg.Dense(13, 32),
            tg.Dense(64, 1),
        ],
        loss=tg.MSELoss(),
    )
"""
    )
    assert status == 1
    assert lines == [
        "model.py:7: error: Dense(64, 1) expects 64 input features, "
        "but Dense(13, 32) before it gives 32  [layer-size]",
        "model.py: no network was built; see `typegrad check --help`",
        "1 error, 0 warnings",
    ]


def test_construction_finds_what_types_cannot_know(check: Check) -> None:
    status, lines = check(
        """\
import typegrad as tg

class Regression(tg.NeuralNetwork):
    def __init__(self, features: int = 3, *rest: int, **options: object) -> None:
        layers = [tg.Dense(features, features + 1), tg.Dense(features, 1)]
        super().__init__(layers, loss=tg.MSELoss())
"""
    )
    assert status == 1
    assert lines[0] == (
        "model.py:6: error: Dense(3, 1) expects 3 input features, "
        "but Dense(3, 4) before it gives 4  [construction]"
    )


def test_networks_are_found_and_made_in_all_ways_that_are_documented(check: Check) -> None:
    status, lines = check(
        """\
from __future__ import annotations
import typegrad as tg
from typing import Any

def layers() -> list[tg.Layer]:
    return [tg.Dense(3, 1)]

def annotated(hidden: int = 4) -> "tg.NeuralNetwork[Any, Any]":
    return tg.NeuralNetwork(layers(), loss=tg.MSELoss())

def make_network(seed=0):
    return tg.NeuralNetwork(layers(), loss=tg.MSELoss(), seed=seed)

def build_network():
    return "no network at all"

def wants_something(hidden: int) -> tg.NeuralNetwork:
    raise AssertionError

def not_annotated():
    raise AssertionError

def misannotated() -> "Missing":
    raise AssertionError

async def later() -> tg.NeuralNetwork:
    raise AssertionError

class Own(tg.NeuralNetwork):
    def __init__(self) -> None:
        super().__init__(layers(), loss=tg.MSELoss())

first: tg.NeuralNetwork = Own()
second = first
third = fourth = annotated()
for _ in range(2):
    fifth, number = annotated(), 3
"""
    )
    assert [line for line in lines if line.startswith("model.py")] == [
        'model.py:23: error: Name "Missing" is not defined  [name-defined]',
        "model.py:8: annotated",
        "model.py:11: make_network",
        "model.py:29: Own",
        "model.py:33: first",
        "model.py:35: third",
        "model.py:37: fifth",
    ]
    assert status == 1


@pytest.mark.parametrize(
    ("last", "loss", "said"),
    [
        (
            "tg.Dense(3, 1, 'sigmoid')",
            "tg.MSELoss()",
            "warning: network: after Sigmoid() the outputs are between 0 and 1; "
            "MSELoss cannot reach other targets",
        ),
        (
            "tg.Dense(3, 1) >> tg.ReLU()",
            "tg.HuberLoss(), target_scaler=tg.Standardizer()",
            "warning: network: after ReLU() the outputs are never below 0, in units of the "
            "standardised target; HuberLoss cannot reach other targets",
        ),
        (
            "tg.Chain(tg.Dense(3, 1), tg.Chain(Negative()))",
            "tg.MAELoss()",
            "warning: network: after Negative() the outputs are never above 0; "
            "MAELoss cannot reach other targets",
        ),
        (
            "tg.Dense(3, 2, 'softplus')",
            "tg.GaussianNLLLoss()",
            "warning: network: after Softplus() the outputs are never below 0; "
            "GaussianNLLLoss takes them for means and for numbers that give variances",
        ),
        (
            "tg.Dense(3, 1, 'softplus')",
            "tg.PoissonNLLLoss()",
            "warning: network: after Softplus() the outputs are never below 0; "
            "PoissonNLLLoss takes them for logarithms of rates",
        ),
        (
            "tg.Dense(3, 4, 'tanh')",
            "tg.CrossEntropyLoss()",
            "warning: network: after Tanh() the outputs are between -1 and 1; "
            "CrossEntropyLoss takes unbounded scores",
        ),
        (
            "tg.Dense(3, 4, 'softmax')",
            "tg.CrossEntropyLoss()",
            "error: network: CrossEntropyLoss applies softmax itself; leave out "
            "Softmax(axis=-1), the last activation",
        ),
        (
            "tg.Dense(3, 1)",
            "tg.CrossEntropyLoss()",
            "error: network: CrossEntropyLoss of one output is always 0; give each class an output",
        ),
    ],
)
def test_outputs_are_compared_with_the_loss(check: Check, last: str, loss: str, said: str) -> None:
    status, lines = check(
        f"""\
import typegrad as tg
from typegrad.types import Array

class Negative(tg.ElementwiseOperation):
    def output(self, x: Array) -> Array:
        return -abs(x)

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        return output_grad

network = tg.NeuralNetwork({last}, loss={loss})
"""
    )
    assert lines[0] == f"model.py:11: {said}  [outputs]"
    assert status == (1 if said.startswith("error") else 0)


@pytest.mark.parametrize("last", ["tg.Dense(3, 1)", "tg.Residual(tg.Dense(3, 3, 'tanh'))",
                                  "tg.Dense(3, 1, 'leaky_relu')", "Broken()"])  # fmt: skip
def test_nothing_is_said_of_outputs_that_may_be_anything(check: Check, last: str) -> None:
    status, lines = check(
        f"""\
import typegrad as tg
from typegrad.types import Array

class Broken(tg.ElementwiseOperation):
    def output(self, x: Array) -> Array:
        raise NotImplementedError

    def input_grad(self, output_grad: Array, x: Array, y: Array) -> Array:
        raise NotImplementedError

def build() -> tg.NeuralNetwork:
    network = tg.NeuralNetwork({last}, loss=tg.MSELoss())
    return network
""",
        "model.py",
        "--json",
    )
    del lines
    assert status == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import typegrad as tg\n\ntg.Dense(int('0'), 3)\n",
         "model.py:3: error: ValueError: Dense: in_features is 0; expected 1 or more  [import]"),
        ("import missing_package\n",
         "model.py:1: error: ModuleNotFoundError: No module named 'missing_package'  [import]"),
        ("x = 1\nraise SystemExit(3)\n", "model.py:2: error: SystemExit: 3  [import]"),
    ],
)  # fmt: skip
def test_an_exception_is_an_error_at_the_line_in_the_users_file(
    check: Check, text: str, said: str
) -> None:
    status, lines = check(text)
    assert (status, lines[0]) == (1, said)


def test_a_syntax_error_is_reported_by_both(check: Check) -> None:
    status, lines = check("x = 1\ny = (\n")
    assert status == 1
    assert lines[0].startswith("model.py:")
    assert lines[0].endswith("[syntax]")
    assert lines[1] == "model.py:2: error: SyntaxError: '(' was never closed  [import]"


def test_json_is_all_that_stdout_gets(check: Check, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = check(f"{RIGHT}print('loud')\nwrong: int = 'text'\n", "model.py", "--json")
    report: dict[str, Any] = json.loads("\n".join(lines))
    assert status == 1
    assert report == {
        "version": 1,
        "file": "model.py",
        "findings": [
            {
                "file": "model.py",
                "line": 7,
                "column": 14,
                "severity": "error",
                "code": "assignment",
                "message": 'Incompatible types in assignment (expression has type "str", '
                'variable has type "int")',
            }
        ],
        "networks": [
            {
                "name": "network",
                "line": 3,
                "in_features": 13,
                "out_features": 1,
                "parameters": 481,
                "dtype": "float32",
                "loss": "MSELoss()",
                "layers": [
                    {"layer": "Dense(13, 32)", "output_shape": "(batch, 32)", "parameters": 448},
                    {"layer": "Dense(32, 1)", "output_shape": "(batch, 1)", "parameters": 33},
                ],
            }
        ],
    }


def test_a_module_in_a_package_may_import_its_neighbours(
    capsys: pytest.CaptureFixture[str],
) -> None:
    package = Path("models_of_mine/inner")
    package.mkdir(parents=True)
    for directory in (package.parent, package):
        (directory / "__init__.py").write_text("")
    (package / "widths.py").write_text("FEATURES = 13\n")
    (package / "model.py").write_text(
        "import typegrad as tg\n"
        "from .widths import FEATURES\n"
        "network = tg.NeuralNetwork([tg.Dense(FEATURES, 1)], loss=tg.MSELoss())\n"
    )
    try:
        for target in ("models_of_mine/inner/model.py", "models_of_mine.inner.model"):
            path = list(sys.path)
            assert main(["check", target]) == 0
            assert sys.path == path
            shown = capsys.readouterr().out.splitlines()[0]
            assert shown == "models_of_mine/inner/model.py:3: network"
    finally:
        for name in [name for name in sys.modules if name.startswith("models_of_mine")]:
            del sys.modules[name]


def test_a_file_may_have_the_name_of_an_imported_package(check: Check) -> None:
    status, lines = check(RIGHT.replace("network =", "net ="), "json.py")
    assert (status, lines[0]) == (0, "json.py:3: net")
    assert sys.modules["json"] is json


def test_the_users_own_configuration_of_mypy_is_kept(check: Check) -> None:
    text = "import typegrad as tg\n\ndef width(text):\n    return int(text)\n"
    assert check(text)[1][-1] == "0 errors, 0 warnings"
    Path("mypy.ini").write_text(
        "[mypy]\ndisallow_untyped_defs = True\nplugins = typegrad.mypy_plugin\n"
    )
    status, lines = check(text)
    assert status == 1
    assert lines[0] == "model.py:3: error: Function is missing a type annotation  [no-untyped-def]"
    assert Path(".mypy_cache").is_dir()


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("missing.py", "there is no file missing.py, and no module of that name"),
        ("missing.module", "there is no file missing.module, and no module of that name"),
        ("missing", "there is no file missing, and no module of that name"),
        ("itertools", "there is no file itertools, and no module of that name"),
        ("data.csv", "data.csv is no Python file; expected a file.py, or a module's name"),
        (".", ". is no Python file; expected a file.py, or a module's name"),
    ],
)
def test_what_cannot_be_checked(target: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("data.csv").write_text("a,b\n")
    assert main(["check", target]) == 2
    printed, errors = capsys.readouterr()
    assert (printed, errors) == ("", f"typegrad: {said}\n")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("plugins = no_such_plugin", "mypy.ini:2:1: error: Error importing plugin"),
        ("python_executable = /nowhere/python", ""),
    ],
)
def test_a_configuration_that_mypy_refuses(
    option: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("model.py").write_text(RIGHT)
    Path("mypy.ini").write_text(f"[mypy]\n{option}\n")
    assert main(["check", "model.py"]) == 2
    printed, errors = capsys.readouterr()
    assert printed == ""
    assert errors.startswith(f"typegrad: mypy cannot run: {said}")


def test_a_file_elsewhere_goes_by_its_whole_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.py"
    path.write_text(RIGHT)
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out.startswith(f"{path}:3: network\n")


def test_mypy_is_an_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("model.py").write_text(RIGHT)
    monkeypatch.setitem(sys.modules, "mypy.main", None)
    assert main(["check", "model.py"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("typegrad: Checking types needs mypy")
    assert "'typegrad[check]'" in said
