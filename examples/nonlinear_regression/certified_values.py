"""NIST's 27 nonlinear regression problems, from both starts, and the digits reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from examples.figures import BLUE, DARK, GREEN, RED, output_directory, panels, save_figures
from examples.nonlinear_regression.levenberg_marquardt import Fit, fit
from examples.nonlinear_regression.models import MODELS
from examples.nonlinear_regression.problems import Problem, digits, load

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Fits = tuple[Fit, Fit]
"""From the first and from the second start."""

DRAWN = ("Gauss2", "MGH17", "ENSO", "Thurber", "Rat43", "Eckerle4")


def fits_of(problem: Problem) -> Fits:
    """Fit a problem from both of its starts."""
    first, second = (fit(problem.model, problem.x, problem.y, start) for start in problem.starts)
    return first, second


def row(problem: Problem, fits: Fits) -> str:
    """Line of the table: for each start iterations, and digits of parameters and of the sum."""
    cells = "".join(
        f"{found.iterations:12d}{digits(found.parameters, problem.parameters):12.1f}"
        f"{digits(found.sum_of_squares, problem.sum_of_squares):6.1f}"
        for found in fits
    )
    return f"{problem.name:9} {problem.difficulty:9}{cells}"


def draw_fits(fits: Mapping[str, Fits]) -> Figure:
    """Draw the data of a few problems, the curves at both starts and the fitted one."""
    figure, axes = panels(2, 3, 4.0, 3.0)
    for panel, name in zip(axes, DRAWN, strict=True):
        _draw_fit(panel, load(name), fits[name][1])
    axes[1].legend(frameon=False, loc="lower left")  # where there is room
    return figure


def _draw_fit(panel: Axes, problem: Problem, found: Fit) -> None:
    x = np.linspace(problem.x.min(), problem.x.max(), 600)
    panel.scatter(problem.x, problem.y, s=10, color=DARK, alpha=0.6, linewidths=0, label="data")
    limits = panel.get_ylim()  # a start's curve may lie far off
    first, second = problem.starts
    panel.plot(x, problem.model(first, x), ":", color=RED, label="first start")
    panel.plot(x, problem.model(second, x), "--", color=GREEN, label="second start")
    panel.plot(x, problem.model(found.parameters, x), color=BLUE, label="fit")
    panel.set(title=problem.name, xlabel="x", ylabel="y", ylim=limits)


def main() -> None:
    """Print a line for each problem; draw the fits of a few."""
    directory = output_directory(__doc__)
    print("Certified digits, at most 11, of the parameters and of the sum of squares\n")
    print(f"{'':19}{'first start':>30}{'second start':>30}")
    print(f"{'problem':9} {'level':9}" + f"{'iterations':>12}{'parameters':>12}{'sum':>6}" * 2)
    fits: dict[str, Fits] = {}
    for name in MODELS:
        problem = load(name)
        fits[name] = fits_of(problem)
        print(row(problem, fits[name]))
    print("\nThe residuals of Lanczos1 are 1e-13 of data near 1: float64 has three digits of them.")
    save_figures(directory, {"nonlinear_regression": lambda: draw_fits(fits)})


if __name__ == "__main__":
    main()
