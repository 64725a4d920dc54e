"""Numbers of many steps at once: those that steps taken one by one would have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from typegrad.engines import TrainingData
from typegrad.engines.compiled.step_numbers import BLOCK_STEPS, StepNumbers, Steps
from typegrad.tracing.scalar import Scalar, of_scalars
from typegrad.types import Vector

FIRSTS = (0, 1, BLOCK_STEPS - 3, BLOCK_STEPS - 1, 3 * BLOCK_STEPS - 2, 700_001, 10**9)
RATE, STEP, EXAMPLES = (
    Scalar.named("learning_rate", 0.1), Scalar.named("step", 1), Scalar.named("examples", 8)
)  # fmt: skip
FLOAT = np.dtype(np.float64)


def steps_from(first: int, rates: Vector, rows: int = 8) -> Steps:
    nothing = np.zeros((1, 1))
    return Steps(TrainingData(nothing, nothing), np.arange(rows), rows, rates, first)


def numbers_of(numbers: StepNumbers, first: int, count: int, last_rows: int = 8) -> Any:
    numbers.compute(steps_from(first, np.linspace(0.1, 0.2, count)), last_rows)
    return numbers.table.array.copy()


@pytest.mark.parametrize("base", [0.9, 0.999, 0.5, 1e-3, 1.0 - 2.0**-53])
@pytest.mark.parametrize("first", FIRSTS)
def test_powers_of_the_step(base: float, first: int) -> None:
    found = numbers_of(StepNumbers([base**STEP], FLOAT), first, 5)[:, 0]
    expected = [base ** (first + 1 + i) for i in range(5)]
    np.testing.assert_allclose(found, expected, rtol=4 * 2.0**-52, atol=5e-324, strict=True)


FORMULAS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "rate": lambda rate, step, rows: rate,
    "step": lambda rate, step, rows: step,
    "rows": lambda rate, step, rows: 1.0 / rows,
    "step alone": lambda rate, step, rows: 1e-8 * (1.0 - 0.999**step) ** 0.5,
    "rate and step": lambda rate, step, rows: -rate * (1.0 - 0.999**step) ** 0.5 / (1 - 0.9**step),
    "power of another number": lambda rate, step, rows: 0.9**rate + step,
    "power of a part": lambda rate, step, rows: 0.5 ** (step * 0.004) * rate,
    "all": lambda rate, step, rows: rows * (rate + step) - step / 3.0,
}  # fmt: skip


@pytest.mark.parametrize("first", FIRSTS)
def test_formulas(first: int) -> None:
    """All in one table, over the end of a block too; the last step has fewer rows."""
    numbers = StepNumbers([formula(RATE, STEP, EXAMPLES) for formula in FORMULAS.values()], FLOAT)
    found = numbers_of(numbers, first, 5, last_rows=3)
    expected = [
        [formula(rate, first + 1 + i, rows) for formula in FORMULAS.values()]
        for i, (rate, rows) in enumerate(
            zip(np.linspace(0.1, 0.2, 5), [8.0, 8.0, 8.0, 8.0, 3.0], strict=True)
        )
    ]
    np.testing.assert_allclose(found, expected, rtol=8 * 2.0**-52, atol=5e-324, strict=True)


def test_the_bits_of_a_number_depend_on_its_step_alone() -> None:
    formula = (1.0 - 0.999**STEP) ** 0.5 * EXAMPLES
    first, count = BLOCK_STEPS - 700, 2 * BLOCK_STEPS
    together = numbers_of(StepNumbers([formula], FLOAT), first, count)
    apart = StepNumbers([formula], FLOAT)
    assert together.tolist() == [
        numbers_of(apart, first + i, 1).tolist()[0] for i in range(count)
    ]  # fmt: skip


def test_functions_are_called_for_the_steps_that_are_taken() -> None:
    """Arithmetic is done for a whole block, but somebody's function may take its time."""
    asked = []

    @of_scalars
    def slow(step: int) -> float:
        asked.append(step)
        return float(step % 3)

    numbers = StepNumbers([slow(STEP) + 0.9**STEP], FLOAT)
    asked.clear()
    found = numbers_of(numbers, 10, 4)[:, 0]
    assert asked == [11, 12, 13, 14]
    np.testing.assert_allclose(found, [i % 3 + 0.9**i for i in asked], rtol=1e-15)


def test_what_depends_on_rates_and_rows_is_computed_anew_when_they_change() -> None:
    numbers = StepNumbers([RATE * 2.0, RATE / EXAMPLES], FLOAT)
    for rates, rows, last_rows in [
        ((0.1, 0.2), 8, 8), ((0.1, 0.2), 8, 8), ((0.1, 0.2), 8, 3), ((0.1, 0.2), 4, 3),
        ((0.1, 0.3), 4, 3), ((0.1,), 4, 3), ((0.1, 0.3), 4, 3), ((0.1,) * (BLOCK_STEPS + 1), 4, 4),
        ((0.1, 0.3), 4, 3),
    ]:  # fmt: skip
        numbers.compute(steps_from(5, np.array(rates), rows), last_rows)
        of_steps = [rows] * (len(rates) - 1) + [last_rows]
        expected = [[2 * rate, rate / n] for rate, n in zip(rates, of_steps, strict=True)]
        np.testing.assert_array_equal(numbers.table.array, expected)
