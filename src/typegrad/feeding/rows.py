"""Rows as they were given: checked, in their own units, not yet converted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from typegrad.data.moments import ROWS_AT_A_TIME
from typegrad.errors import DataError, ShapeError
from typegrad.losses.base import check_sample_weight
from typegrad.network import as_real_array
from typegrad.types import AnyArray, IntArray, Vector

Examples: TypeAlias = (
    tuple[npt.ArrayLike, npt.ArrayLike] | tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike | None]
)
"""Inputs and targets, or inputs, targets and weights."""


@dataclass(frozen=True)
class Rows:
    """Inputs, targets and perhaps weights as they came, as arrays of equal length.

    `numbers` are those of the rows in what they were taken from, for messages; None if they
    are all of it.
    """

    inputs: AnyArray
    targets: AnyArray
    weights: Vector | None
    numbers: IntArray | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, rows: IntArray) -> Rows:
        """Return copies of some rows."""
        weights = None if self.weights is None else self.weights[rows]
        return Rows(self.inputs[rows], self.targets[rows], weights)

    def check_finite(self, prefix: str) -> None:
        """Raise DataError, which says where, if an input or target is NaN or infinite."""
        for array, name in ((self.inputs, "x"), (self.targets, "y")):
            bad = first_nonfinite(array)
            if bad is not None:
                raise DataError(
                    f"{prefix}{name} has {array[bad]} at {self.place(bad)}; drop or fill such "
                    "rows first (a TableEncoder fills gaps)"
                )

    def check_range(self, converted: AnyArray, given: AnyArray, name: str) -> None:
        """Require that finite numbers stayed finite when they were converted."""
        bad = first_nonfinite(converted)
        if bad is not None:
            wider = ", or build the network with dtype=float64" if converted.itemsize < 8 else ""
            raise DataError(
                f"{name} has {given[bad]} at {self.place(bad)}, which is too large for the "
                f"network's {converted.dtype}; rescale it{wider}"
            )

    def place(self, index: tuple[int, ...]) -> str:
        """Name the row and the column of an element."""
        row = index[0] if self.numbers is None else self.numbers[index[0]]
        return f"row {row}" + "".join(f", column {number}" for number in index[1:])


def as_rows(examples: Examples, prefix: str) -> Rows:
    """Check arrays against each other; nothing is copied that is an array already."""
    given: Any = examples
    if not isinstance(given, tuple) or len(given) not in (2, 3):
        raise ValueError(
            f"{prefix}data must be a tuple (x, y) or (x, y, sample_weight), or a data set "
            "with __len__ and take(indices)"
        )
    inputs = as_real_array(examples[0], f"{prefix}x")
    targets = as_real_array(examples[1], f"{prefix}y")
    if inputs.ndim == 0 or targets.ndim == 0 or len(inputs) != len(targets):
        raise ShapeError(
            f"{prefix}x has shape {inputs.shape} and {prefix}y {targets.shape}; "
            "expected as many rows in both"
        )
    if len(inputs) == 0:
        raise DataError(f"{prefix}x and {prefix}y have no rows; nothing can be learnt from them")
    weights = examples[2] if len(examples) == 3 else None
    return Rows(inputs, targets, None if weights is None else as_weights(weights, inputs, prefix))


def as_weights(given: npt.ArrayLike, inputs: AnyArray, prefix: str) -> Vector:
    """Check the weights of some rows."""
    weights: Vector = check_sample_weight(
        f"{prefix}data", np.asarray(given), len(inputs)
    ).astype(np.float64)  # fmt: skip
    return weights


def first_nonfinite(array: AnyArray) -> tuple[int, ...] | None:
    """Index of the first NaN or infinity."""
    if array.dtype.kind != "f":
        return None
    for start in range(0, len(array), ROWS_AT_A_TIME):
        part = array[start : start + ROWS_AT_A_TIME]
        if not np.isfinite(part).all():
            row, *columns = np.argwhere(~np.isfinite(part))[0].tolist()
            return (start + row, *columns)
    return None
