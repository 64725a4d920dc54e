"""Every example runs as a program and draws its figures."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from examples import figures

FIGURES = {
    "examples.book.nested_functions": {
        "functions.png",
        "chains.png",
        "chain_forward.svg",
        "chain_backward.svg",
    },
    "examples.book.many_inputs": {
        "loss_against_x11.png",
        *(
            f"{name}_{direction}.svg"
            for name in ("two_inputs", "row_times_column", "loss")
            for direction in ("forward", "backward")
        ),
    },
    "examples.book.chapter2": {"chapter2_predictions.png"},
    "examples.book.chapter3": {"chapter3_predictions.png"},
    "examples.calculus.derivatives": {
        "tangents.png",
        "sigmoid_derivative.png",
        "gradient_fields.png",
    },
    "examples.calculus.gradient_descent": {"gradient_descent.png", "learning_rates.png"},
    "examples.calculus.mean_squared_error": set(),
    "examples.calculus.vector_functions": set(),
    "examples.nonlinear_regression.certified_values": {"nonlinear_regression.png"},
}


@pytest.mark.parametrize("name", FIGURES)
def test_program(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", [name, "--output", str(tmp_path / "out")])
    state = np.random.get_state(legacy=False)  # noqa: NPY002  # it must stay as it is
    import_module(name).main()
    assert capsys.readouterr().out
    assert {path.name for path in (tmp_path / "out").glob("*")} == FIGURES[name]
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    np.testing.assert_array_equal(after["state"]["key"], state["state"]["key"])
    assert after["state"]["pos"] == state["state"]["pos"]


def test_every_program_is_run() -> None:
    folder = Path(figures.__file__).parent
    programs = {
        f"examples.{path.parent.name}.{path.stem}"
        for topic in ("book", "calculus", "nonlinear_regression")
        for path in (folder / topic).glob("*.py")
        if "def main(" in path.read_text(encoding="utf-8")
    }
    assert programs == FIGURES.keys()


def test_without_matplotlib_a_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(figures, "find_spec", lambda name: None)
    figures.save_figures(tmp_path / "out", {"never": lambda: pytest.fail("a figure was drawn")})
    assert capsys.readouterr().out == (
        "No figures: they need matplotlib, run `pip install 'typegrad[plot]'`\n"
    )
    assert not (tmp_path / "out").exists()
