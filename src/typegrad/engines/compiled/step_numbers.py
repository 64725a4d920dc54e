"""Numbers of steps: what updates make of learning rates, and of how many steps there were."""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from typegrad.engines.base import TrainingData
from typegrad.engines.compiled.layout import KeptArray
from typegrad.tracing.scalar import Scalar, ScalarFormulas, is_power_of_fraction, power
from typegrad.types import IntArray, Vector

BLOCK_STEPS = 4096
"""Steps whose numbers are computed together: what NumPy writes on the way stays in the cache."""

_ARITHMETIC = frozenset(
    {operator.add, operator.sub, operator.mul, operator.truediv, operator.neg, power}
)

_OF_EPOCH = ("learning_rate", "examples")


class Steps(NamedTuple):
    """Steps to take.

    Attributes
    ----------
    data
        All examples.
    order
        Numbers of rows, in the order in which they are used.
    rows_per_step
        How many rows each step takes; the last takes what is left.
    rates
        Learning rate of each step.
    first
        Number of the first step, from 0, in the whole training.
    """

    data: TrainingData
    order: IntArray
    rows_per_step: int
    rates: Vector
    first: int


class StepNumbers:
    """What formulas make of each step.

    Parts of them that depend on nothing but the step's number, such as Adam's corrections, are
    computed for a block of steps, and kept for the next epoch: a small table has more epochs than
    a block has steps.

    Parameters
    ----------
    scalars
        Formulas of ``learning_rate``, ``step`` (from 1, in the whole training), and ``examples``,
        the step's number of rows.
    dtype
        Of the numbers.

    Attributes
    ----------
    table
        The numbers of each step, which fill a row, with its address.
    row_bytes
        From one row to the next.
    """

    def __init__(self, scalars: Iterable[Scalar], dtype: np.dtype[Any]) -> None:
        scalars = list(scalars)
        self._formulas = ScalarFormulas(scalars, given=_is_of_step)
        of_step = [name for name in self._formulas.names if isinstance(name, Scalar)]
        self._of_step = ScalarFormulas(of_step, given=_is_power_of_step)
        self._block = -1
        self._columns: list[Vector] = []
        self._width = max(self._formulas.count, 1)
        self.table: KeptArray = KeptArray(dtype)
        self.row_bytes: int = self._width * dtype.itemsize
        # Without the step's number, epochs of the same rates have the same numbers.
        self._may_be_same = all(_is_arithmetic(each, _OF_EPOCH) for each in scalars)
        self._table_of: tuple[object, ...] | None = None

    def compute(self, steps: Steps, last_rows: int) -> None:
        """Fill the table; the last step has so many rows."""
        wanted = None
        if self._may_be_same and len(steps.rates) <= BLOCK_STEPS:
            wanted = (steps.rates.dtype, steps.rates.tobytes(), steps.rows_per_step, last_rows)
            if wanted == self._table_of and len(self.table.array) == len(steps.rates):
                return
        self._table_of = None
        self._fill_table(steps, last_rows)
        self._table_of = wanted

    def _fill_table(self, steps: Steps, last_rows: int) -> None:
        count = len(steps.rates)
        table = self.table.of_shape(count, self._width)
        with np.errstate(all="ignore"):  # The step finds out what is not finite.
            done = 0
            while done < count:
                block, start = divmod(steps.first + 1 + done, BLOCK_STEPS)
                size = min(BLOCK_STEPS - start, count - done)
                columns = iter(self._columns_of(block))
                values = [
                    next(columns)[start : start + size]
                    if isinstance(name, Scalar)
                    else _of_each_step(name, steps, done, size, last_rows)
                    for name in self._formulas.names
                ]
                # A number for each step: scalars take arrays as well.
                for number, column in enumerate(self._formulas.compute(*values)):
                    table[done : done + size, number] = column
                done += size

    def _columns_of(self, block: int) -> Sequence[Vector]:
        """Return what depends on nothing but the step, in the order of the formulas' names."""
        if block != self._block:
            first = block * BLOCK_STEPS
            self._columns = self._of_step.compute(
                *[
                    _powers(name.arguments[0], block)
                    if isinstance(name, Scalar)
                    else np.arange(float(first), float(first + BLOCK_STEPS))
                    for name in self._of_step.names
                ]
            )
            self._block = block
        return self._columns


def _of_each_step(name: str, steps: Steps, done: int, size: int, last_rows: int) -> Vector:
    """Return a number that formulas need, for some of the steps."""
    if name == "learning_rate":
        return steps.rates[done : done + size]
    rows = np.full(size, float(steps.rows_per_step))
    if done + size == len(steps.rates):
        rows[-1] = last_rows
    return rows


def _is_of_step(part: Scalar) -> bool:
    """Whether it is arithmetic with nothing but the step's number."""
    return _is_arithmetic(part, ("step",))


def _is_arithmetic(part: Scalar, names: Collection[str]) -> bool:
    """Whether it is arithmetic with nothing but numbers of these names.

    Other functions are called for each step that is taken: they may take their time, or change.
    """
    if part.function is None:
        return part.text in names
    parts = [each for each in part.arguments if isinstance(each, Scalar)]
    return part.function in _ARITHMETIC and all(_is_arithmetic(each, names) for each in parts)


def _is_power_of_step(part: Scalar) -> bool:
    return is_power_of_fraction(part) and part.arguments[1].text == "step"


@lru_cache(maxsize=16)
def _powers(base: float, block: int) -> Vector:
    """Return ``base``, from 0 to 1, to the power of each number of a block.

    By a table of the first ones: NumPy's power takes ten times as long, and much longer where it
    underflows, as Adam's powers do after 7000 steps.
    """
    powers: Vector = _first_powers(base) * base ** (block * BLOCK_STEPS)
    return powers


@lru_cache(maxsize=16)
def _first_powers(base: float) -> Vector:
    table: Vector = np.float64(base) ** np.arange(float(BLOCK_STEPS))
    return table
