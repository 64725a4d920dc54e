"""Numbers of steps: what updates make of learning rates, and of how many steps there were."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from typegrad.engines.base import TrainingData
from typegrad.tracing.scalar import Power, ScalarFormulas
from typegrad.types import IntArray, Vector

STEPS_AT_ONCE = 4096
"""Steps whose numbers are computed together: what NumPy writes on the way stays in the cache."""

FIRST_POWERS = 4096
"""How many powers of a number are kept, of which larger ones are made."""


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


def numbers_of_steps(
    formulas: ScalarFormulas, steps: Steps, last_rows: int, dtype: np.dtype[Any]
) -> Any:
    """Return what the formulas make of each step, which fills a row.

    Parameters
    ----------
    formulas
        Of ``learning_rate``, ``step`` (from 1, in the whole training), powers of it, and
        ``examples``, the step's number of rows.
    steps
        The steps.
    last_rows
        Rows that the last of them takes.
    dtype
        Of the result.
    """
    count = len(steps.rates)
    table = np.empty((count, max(formulas.count, 1)), dtype)
    with np.errstate(all="ignore"):  # The step finds out what is not finite.
        for start in range(0, count, STEPS_AT_ONCE):
            stop = min(start + STEPS_AT_ONCE, count)
            values: dict[Any, Any] = {
                name: _values_of(name, steps, start, stop) for name in formulas.names
            }
            if stop == count and "examples" in values:
                values["examples"][-1] = last_rows
            # A number for each step: scalars take arrays as well.
            for number, column in enumerate(formulas(values)):
                table[start:stop, number] = column
    return table


def _values_of(name: str | Power, steps: Steps, start: int, stop: int) -> Vector:
    """Return a number that formulas need, for some of the steps."""
    first = steps.first + 1 + start
    if isinstance(name, Power):
        return powers(name.base, first, stop - start)
    if name == "step":
        return np.arange(float(first), float(first + stop - start))
    if name == "examples":
        return np.full(stop - start, float(steps.rows_per_step))
    return steps.rates[start:stop]


def powers(base: float, first: int, count: int) -> Vector:
    """Return ``base`` to the power of `count` whole numbers from `first` on, base from 0 to 1.

    By a table of the first ones: NumPy's power takes ten times as long, and much longer where it
    underflows, as Adam's powers do after 7000 steps. The bits depend on the exponent alone.
    """
    block, start = divmod(first, FIRST_POWERS)
    parts = [_block_of_powers(base, block)[start : start + count]]
    while (missing := count - sum(map(len, parts))) > 0:
        block += 1
        parts.append(_block_of_powers(base, block)[:missing])
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


@lru_cache(maxsize=16)
def _block_of_powers(base: float, block: int) -> Vector:
    powers: Vector = _first_powers(base) * base ** (block * FIRST_POWERS)
    powers.flags.writeable = False  # Who gets a part of it gets the part that others have.
    return powers


@lru_cache(maxsize=16)
def _first_powers(base: float) -> Vector:
    table: Vector = np.float64(base) ** np.arange(float(FIRST_POWERS))
    return table
