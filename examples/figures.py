"""What the examples' figures have in common: where they go, and how they look."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import typegrad as tg
from typegrad.plotting import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, RED, GREEN, DARK = "#4477aa", "#ee6677", "#228833", "#333333"
GRID = "#dddddd"


def output_directory(description: str | None, arguments: Sequence[str] | None = None) -> Path:
    """Read ``--output DIR`` from the command line.

    Parameters
    ----------
    description
        What ``--help`` says; a module's docstring, of which the first line is taken.
    arguments
        Instead of those the program was called with.
    """
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument(
        "--output", type=Path, default=Path("out"), metavar="DIR", help="where figures go"
    )
    directory: Path = parser.parse_args(arguments).output
    return directory


def save_figures(directory: Path, figures: Mapping[str, Callable[[], Figure]]) -> None:
    """Draw each figure into ``directory/NAME.png``, or say why there are none."""
    if find_spec("matplotlib") is None:
        print("No figures: they need matplotlib, run `pip install 'typegrad[plot]'`")
        return
    directory.mkdir(parents=True, exist_ok=True)
    for name, draw in figures.items():
        path = directory / f"{name}.png"
        save_figure(draw(), path)
        print(f"Figure: {path}")


def save_diagrams(directory: Path, diagrams: Mapping[str, tg.Drawing]) -> None:
    """Write each diagram of a computation into ``directory/NAME.svg``."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, diagram in diagrams.items():
        path = directory / f"{name}.svg"
        diagram.save(path)
        print(f"Diagram: {path}")


def panels(rows: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Make a figure, and its panels row by row; width and height are a panel's, in inches."""
    figure: Figure = import_module("matplotlib.figure").Figure(
        figsize=(columns * width, rows * height), layout="constrained"
    )
    grid = figure.subplots(rows, columns, squeeze=False)
    axes: list[Axes] = list(grid.flat)
    for panel in axes:
        panel.grid(color=GRID, linewidth=0.6)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    return figure, axes
