"""The plugin never breaks a run of mypy, whatever it is given, and takes hardly any time."""

from __future__ import annotations

import ast
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"

HEAD = """
from __future__ import annotations
import functools
from typing import Any, Literal
import numpy as np
import typegrad as tg
from typegrad import NeuralNetwork as Net, QuantileLoss as Q

class Rooms(tg.Dim):
    size = 13
class Nothing(tg.Dim): ...
class Own(tg.Layer[Rooms, Literal[3]]): ...
class Odd(tg.Layer["Undefined", bool]): ...
class Sub(tg.NeuralNetwork): ...
L = tg.Dense
type_alias = tg.QuantileLoss
def make(*a: Any, **k: Any) -> tg.Layer: ...
def untyped(a, b=3): return a
layers: list[tg.Layer] = []
pair = (tg.Dense(1, 2), tg.Dense(2, 3))
anything: Any = None
dice = np.random.default_rng(0)
either = tg.Dense(1, 2) if layers else tg.Tanh()
maybe: tg.Layer | None = None
options: dict[str, Any] = {}
"""

LAYERS = [
    "tg.Dense(1, 2)",
    "tg.Dense(*pair)",
    "tg.Dense(**options)",
    "tg.Dense(2, out_features=3)",
    "tg.Dense(out_features=2, in_features=Rooms)",
    "tg.Dense(Rooms, Nothing)",
    "tg.Dense(True, 2)",
    "tg.Dense(-1, 2)",
    "tg.Dense(1 + 1, 2)",
    "tg.Dense('1', None)",
    "tg.Dense()",
    "L(3, 4)",
    "tg.Dense(10**9, 2)",
    "tg.Tanh()",
    "tg.Tanh",
    "tg.Dropout(0.1)",
    "Own()",
    "Odd()",
    "either",
    "maybe",
    "anything",
    "undefined",
    "make(64)",
    "untyped(3)",
    "(lambda: 3)",
    "...",
    "None",
    "13",
    "'text'",
    "tg.Chain()",
    "tg.Chain(pair)",
    "tg.Chain(*pair, *layers)",
    "tg.Residual(either)",
    "tg.Residual()",
    "tg.BatchNorm(*layers)",
    "tg.Embedding(3, Rooms)",
    "tg.Embedding()",
    "tg.ColumnEmbedding(4, {0: 3})",
    "(yielded := tg.Dense(3, 3))",
    "pair[0]",
    "layers[0]",
    "tg.Dense(1, 2) >> tg.Dense(3, 4)",
    "tg.Tanh() >> 3",
    "3 >> tg.Tanh()",
    "tg.Tanh() >> tg.Tanh()",
    "tg.Dense(1, 2) >> either >> maybe >> anything",
    "tg.Dense(1, 2) + tg.Dense(2, 3)",
    "functools.partial(tg.Dense, 3)(4)",
    "[*pair]",
    "(not layers)",
    "f'{layers}'",
    "tg.Dense[Any, Any](1, 2)",
    "(tg.Dense(1, 2), tg.Dense(3, 4))[1]",
    "super",
    "type(layers[0])()",
    "await_me",
]
LOSSES = [
    "tg.MSELoss()",
    "tg.MSELoss",
    "Q()",
    "Q([])",
    "Q((0.1, 0.2))",
    "Q(*layers)",
    "Q(quantiles=[0.5])",
    "type_alias((0.5, 0.9))",
    "tg.GaussianNLLLoss()",
    "None",
    "anything",
    "undefined",
    "either",
    "tg.MSELoss() if layers else tg.GaussianNLLLoss()",
    "tg.CrossEntropyLoss()",
    "make()",
]
WRAPPERS = [
    "tg.NeuralNetwork({0}, {1}, loss={loss})",
    "tg.NeuralNetwork([{0}, {1}, {2}], loss={loss})",
    "Net(({0}, {1}), loss={loss}, **options)",
    "tg.NeuralNetwork(*({0}, {1}), loss={loss})",
    "tg.NeuralNetwork({0} >> {1} >> {2}, loss={loss})",
    "tg.NeuralNetwork(loss={loss})",
    "tg.NeuralNetwork({0})",
    "tg.NeuralNetwork(loss={loss}, *[{0}], **{{'seed': {1}}})",
    "tg.NeuralNetwork([{0} for _ in {1}], loss={loss})",
    "tg.NeuralNetwork([{0}] * 3, loss={loss})",
    "tg.NeuralNetwork([{0}] + [{1}] + layers, loss={loss})",
    "Sub([{0}, {1}], loss={loss})",
    "tg.NeuralNetwork({{{0}, {1}}}, loss={loss})",
    "tg.Chain({0}, {1}, {2})",
    "tg.Residual({0}, {1})",
    "tg.Chain(tg.Residual({0}), tg.Chain({1}, {2}))",
    "tg.NeuralNetwork({0}, {1}, loss={loss}).predict({2})",
    "tg.NeuralNetwork([{0}], loss={loss}).forward(np.zeros({1}))",
    "tg.Trainer(tg.NeuralNetwork({0}, loss={loss}), {1}).fit({2}, [[1, 2], [3]], epochs={1})",
    "tg.Trainer(anything, {0}).evaluate(x={1}, y=np.ones(3))",
    "tg.MSELoss().forward({0}, {1})",
    "tg.MSELoss().forward(target={0}, prediction=np.array([[[1]]]))",
    "tg.NeuralNetwork(tg.Dense(3, 1), loss={loss}).predict(np.zeros(({0}, 4)))",
    "tg.NeuralNetwork(tg.Dense(3, 1), loss={loss}).predict(dice.normal({0}, {1}, (2, 4)))",
    "[{0}, {1}] @ tg.Chain({2})",
    "{0} >> {1}",
    "tg.Dense({0}, {1})",
]


def odd_program(seed: int, count: int) -> str:
    """Make a program of calls that nobody would write."""
    generator = random.Random(seed)
    lines = [HEAD]
    for _ in range(count):
        parts = generator.choices(LAYERS, k=3)
        lines.append(generator.choice(WRAPPERS).format(*parts, loss=generator.choice(LOSSES)))
    return "\n".join(lines)


def check(folder: Path, plugin: bool, *files: str) -> str:
    """Run mypy on files; return what it says."""
    lines = ["[mypy]", "strict = True", "show_traceback = True"]
    lines += ["plugins = typegrad.mypy_plugin"] if plugin else []
    (folder / "mypy.ini").write_text("\n".join(lines), encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-m", "mypy", *files],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env=os.environ | {"PYTHONPATH": str(SOURCE), "MYPYPATH": str(SOURCE)},
    )
    said = result.stdout + result.stderr
    assert result.returncode in (0, 1), said
    assert "INTERNAL ERROR" not in said, said
    assert "Traceback" not in said, said
    return said


def test_odd_programs_do_not_break_a_run(tmp_path: Path) -> None:
    for seed in range(4):
        (tmp_path / f"odd{seed}.py").write_text(odd_program(seed, 300), encoding="utf-8")
    with_plugin = check(tmp_path, True, *(f"odd{seed}.py" for seed in range(4)))
    assert "[layer-size]" in with_plugin
    assert len(with_plugin.splitlines()) > 1000


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_more_odd_programs(seed: int, tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(odd_program(1000 + seed, 2000), encoding="utf-8")
    check(tmp_path, True, "odd.py")


class Mutation(ast.NodeTransformer):
    """Changes a program here and there: arguments, numbers and names."""

    def __init__(self, seed: int) -> None:
        self.generator = random.Random(seed)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        choice = self.generator.random()
        if choice < 0.1 and node.args:
            del node.args[self.generator.randrange(len(node.args))]
        elif choice < 0.15:
            node.args.append(ast.Starred(node.func, ast.Load()))
        elif choice < 0.2 and node.keywords:
            node.keywords.pop().value = node.func
        elif choice < 0.25:
            return ast.BinOp(node, ast.RShift(), node.func)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if type(node.value) is int and self.generator.random() < 0.3:
            return ast.Constant(self.generator.choice([0, 1, 64, 10**12, None, "13", 2.5]))
        return node

    def visit_List(self, node: ast.List) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load) and self.generator.random() < 0.3:
            return ast.BinOp(node, ast.Add(), ast.List([*node.elts, *node.elts], ast.Load()))
        return node


@pytest.mark.slow
def test_mutated_sources_of_the_project_do_not_break_a_run(tmp_path: Path) -> None:
    root = SOURCE.parent
    files = [
        path
        for folder in ("tests/typing", "tests/layers", "tests/trainer", "examples", "src/typegrad")
        for path in sorted((root / folder).rglob("*.py"))
    ]
    names = []
    for number, path in enumerate(files):
        tree = Mutation(number).visit(ast.parse(path.read_text(encoding="utf-8")))
        names.append(f"mutated{number}.py")
        text = ast.unparse(ast.fix_missing_locations(tree))
        (tmp_path / names[-1]).write_text(text, encoding="utf-8")
    assert len(names) > 150
    assert "[layer-size]" in check(tmp_path, True, *names)


def test_the_plugin_takes_nothing_away(tmp_path: Path) -> None:
    """Whatever mypy alone complains about, sums of lists apart, it does with the plugin."""
    (tmp_path / "odd.py").write_text(odd_program(7, 400), encoding="utf-8")
    lines = re.compile(r"^odd\.py:(\d+): error: (?!.* types for \+ \(\"list)", re.MULTILINE)
    alone, more = (set(lines.findall(check(tmp_path, on, "odd.py"))) for on in (False, True))
    assert alone - more == set()
    assert more - alone


def test_errors_are_found_from_the_cache_too(tmp_path: Path) -> None:
    (tmp_path / "parts.py").write_text("import typegrad as tg\nlast = tg.Dense(1001, 1)\n")
    model = "import typegrad as tg\nfrom parts import last\ntg.Chain(tg.Dense(13, {}), last)\n"
    (tmp_path / "model.py").write_text(model.format(1001))
    assert "Success" in check(tmp_path, True, "model.py")
    (tmp_path / "model.py").write_text(model.format(1002))
    said = check(tmp_path, True, "model.py")
    assert "Dense(1001, 1) expects 1001 input features, but Dense(13, 1002) before it" in said
