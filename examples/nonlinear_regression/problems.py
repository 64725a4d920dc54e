"""NIST's nonlinear regression problems: data, starting values and certified results."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from examples.nonlinear_regression.models import MODELS, Model
from typegrad.types import Array, Vector

DATA = Path(__file__).parents[2] / "tests" / "nist" / "data"

ROW = re.compile(r"^ *b\d+ = +" + r" +".join([r"(\S+)"] * 4), re.MULTILINE)
"""A parameter's line: two starting values, the certified value, its standard deviation."""


@dataclass(frozen=True)
class Problem:
    """Data to fit, where to start, and what to arrive at.

    Attributes
    ----------
    difficulty : str
        ``"Lower"``, ``"Average"`` or ``"Higher"``.
    x : ndarray
        Predictor, (n,), or predictors, (2, n).
    y : ndarray
        What the model predicts, (n,): the response, or its logarithm.
    starts : tuple of ndarray
        The first start, far from the solution, and the second, nearer to it; each (p,).
    parameters, deviations : ndarray
        Certified values of the parameters and their standard deviations, (p,).
    sum_of_squares : float
        Certified sum of the squared residuals.
    """

    name: str
    difficulty: str
    model: Model
    x: Array
    y: Vector
    starts: tuple[Vector, Vector]
    parameters: Vector
    deviations: Vector
    sum_of_squares: float

    def residuals(self, b: Vector) -> Vector:
        """Model's predictions minus the response."""
        return self.model(b, self.x) - self.y


def load(name: str) -> Problem:
    """Read the problem called `name` from NIST's file."""
    text = (DATA / f"{name}.dat").read_text(encoding="ascii")
    first, second, parameters, deviations = np.array(ROW.findall(text), dtype=np.float64).T
    # "Data:" stands above the description too; the numbers follow its last occurrence.
    _, _, numbers = text.rpartition("\nData:")
    y, *predictors = np.loadtxt(numbers.splitlines()[1:]).T
    return Problem(
        name,
        _found(r"(\w+) Level of Difficulty", text),
        MODELS[name],
        predictors[0] if len(predictors) == 1 else np.stack(predictors),
        np.log(y) if name == "Nelson" else y,
        (first, second),
        parameters,
        deviations,
        float(_found(r"Residual Sum of Squares: +(\S+)", text)),
    )


def digits(found: Array | float, certified: Array | float) -> float:
    """Correct significant digits, -log10 of the relative error, of the worst element.

    Certified values have 11 digits, so there is no more to see.
    """
    error = np.max(np.abs(np.subtract(found, certified) / certified))
    return float(np.clip(-np.log10(np.maximum(error, 1e-11)), 0.0, 11.0))


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise ValueError(f"no line matches {pattern!r}")
    return match[1]
