"""A chart of all contests: each contestant's time relative to the compiled engine's."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from training.summary import COMPILED, Cell
from typegrad.plotting import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DARK, GRID = "#333333", "#dddddd"
STYLES = {
    "typegrad planned": ("typegrad planned", "#4477aa", "o"),
    "PyTorch, fused optimizer": ("PyTorch", "#ee6677", "s"),
    "PyTorch, torch.compile": ("torch.compile", "#aa3377", "D"),
    "JAX, epoch in lax.scan": ("JAX, lax.scan", "#228833", "^"),
    "JAX, jit per step": ("JAX, jit per step", "#66ccee", "v"),
    "scikit-learn, partial_fit per epoch": ("scikit-learn", "#ccbb44", "P"),
    "Keras, fit on JAX": ("Keras", "#999999", "X"),
    "MyGrad": ("MyGrad", "#7b5b3a", "*"),
}
"""Label, colour and marker of those that are drawn: of two ways to use a library mostly the
faster. Colours are Paul Tol's, which people with colour vision deficiencies can tell apart."""


def draw_chart(cells: Sequence[Cell], path: Path) -> None:
    """Draw a panel for each network, the mean of its optimizers over batch sizes."""
    from matplotlib.figure import Figure

    cells = [cell for cell in cells if COMPILED in cell.seconds]
    networks = list(dict.fromkeys(cell.problem.network for cell in cells))
    figure = Figure(figsize=(10.4, 6.2), layout="constrained")
    grid = list(figure.subplots(2, 3, sharey=True).flat)
    for panel, network in zip(grid, networks, strict=False):
        _draw_network(panel, [cell for cell in cells if cell.problem.network == network])
        panel.set_title(network, fontsize=10)
    for panel in grid[len(networks) :]:
        panel.set_axis_off()
    grid[0].set_ylabel("time / typegrad compiled")
    grid[3].set_ylabel("time / typegrad compiled")
    handles = {
        label: handle
        for panel in grid[: len(networks)]
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    grid[-1].legend(handles.values(), handles.keys(), loc="center", frameon=False, fontsize=9)
    figure.suptitle("A training step, relative to typegrad's compiled engine (1)", fontsize=12)
    save_figure(figure, path)


def _draw_network(panel: Axes, cells: Sequence[Cell]) -> None:
    sizes = sorted({cell.problem.batch_size for cell in cells})
    for name, (label, colour, marker) in STYLES.items():
        points = {}
        for size in sizes:
            ratios = [
                cell.ratio(name, COMPILED)
                for cell in cells
                if cell.problem.batch_size == size and name in cell.seconds
            ]
            if ratios:
                points[size] = statistics.geometric_mean(ratios)
        if points:
            panel.plot(
                list(points),
                list(points.values()),
                color=colour,
                marker=marker,
                markersize=4,
                linewidth=1.4,
                label=label,
            )
    panel.axhline(1.0, color=DARK, linewidth=1.6, label="typegrad compiled")
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.set_xticks(sizes, [str(size) for size in sizes], fontsize=8)
    panel.set_yticks([0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000])
    panel.yaxis.set_major_formatter("{x:g}")
    panel.minorticks_off()
    panel.set_xlabel("batch size")
    panel.grid(color=GRID, linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
