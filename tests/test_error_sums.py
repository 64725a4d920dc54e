"""Metrics from parts are those of all rows together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from typegrad.error_sums import FROM_SUMS, ErrorSums
from typegrad.metrics import METRICS
from typegrad.types import Array, Vector


def compare(prediction: Array, target: Array, weights: Vector | None, cuts: list[int]) -> None:
    """All metrics, of parts that end at `cuts`, against those of the whole."""
    sums = ErrorSums()
    for start, stop in zip([0, *cuts], [*cuts, len(target)], strict=True):
        part = None if weights is None else weights[start:stop]
        sums.add(prediction[start:stop], target[start:stop], part)
    for name, metric in METRICS.items():
        whole = metric(prediction, target, weights)
        if cuts:
            assert FROM_SUMS[metric](sums) == pytest.approx(whole, rel=1e-12, abs=1e-14), name
        else:
            assert FROM_SUMS[metric](sums) == whole, name


def make(rows: int, outputs: tuple[int, ...], seed: int) -> tuple[Array, Array]:
    generator = np.random.default_rng(seed)
    shape = (rows, *outputs)
    target = generator.normal(1000.0, 2.0, shape)
    return target + generator.normal(size=shape), target


@pytest.mark.parametrize("cuts", [[], [1], [50], [10, 11, 60, 99]])
@pytest.mark.parametrize("outputs", [(), (1,), (3,), (2, 3), (1, 2, 3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_parts_give_what_the_whole_gives(
    cuts: list[int], outputs: tuple[int, ...], weighted: bool
) -> None:
    prediction, target = make(100, outputs, seed=len(cuts))
    weights = np.random.default_rng(9).uniform(size=100) if weighted else None
    compare(prediction, target, weights, cuts)


def test_parts_of_weight_zero_count_for_nothing() -> None:
    prediction, target = make(100, (2,), seed=0)
    weights = np.ones(100, np.float32)
    weights[20:50] = 0.0
    weights[60] = 0.0
    prediction[30] = prediction[60] = 1e9
    compare(prediction, target, weights, [20, 50, 70])


@pytest.mark.parametrize("exact", [False, True])
def test_a_constant_output(exact: bool) -> None:
    target = np.full((30, 1), 0.1)
    prediction = target.copy() if exact else target + 1e-3
    compare(prediction, target, None, [7, 20])


def test_parts_that_are_constant_in_themselves() -> None:
    target = np.repeat([[1.0], [2.0], [5.0]], 10, axis=0)
    compare(target + 0.5, target, None, [10, 20])


def test_numbers_that_stay_float32() -> None:
    prediction, target = make(60, (1,), seed=1)
    arrays: list[Any] = [prediction.astype(np.float32), target.astype(np.float32)]
    compare(arrays[0], arrays[1], None, [25])
