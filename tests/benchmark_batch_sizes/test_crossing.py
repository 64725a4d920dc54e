"""When a noisy curve has reached a target."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import median_filter

from typegrad.benchmark.crossing import best_loss, first_crossing, smoothed


def test_smoothed_losses_are_scipys_running_medians() -> None:
    losses = np.random.default_rng(0).normal(size=40)
    medians = smoothed(losses.tolist())
    assert len(medians) == 38
    np.testing.assert_array_equal(medians[2:], median_filter(losses, 5)[2:-2])
    assert medians[0] == losses[0]
    assert medians[1] == np.median(losses[:3])


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_evaluations_reach_nothing(count: int) -> None:
    assert first_crossing(range(count), [0.0] * count, 1.0) is None
    assert best_loss(range(count), [0.0] * count, 100.0) is None


def test_one_lucky_evaluation_does_not_count() -> None:
    losses = [1.0, 0.9, 0.8, 0.1, 0.8, 0.75, 0.7, 0.65, 0.6]
    assert first_crossing(range(9), losses, 0.5) is None


def test_an_unlucky_evaluation_does_not_count_either() -> None:
    steps = range(1, 12)
    losses = [1.0 - 0.1 * step for step in range(11)]
    unlucky = [*losses[:5], 5.0, *losses[6:]]
    assert first_crossing(steps, losses, 0.25) == first_crossing(steps, unlucky, 0.25)


def test_the_last_two_evaluations_are_not_enough() -> None:
    losses = [1.0, 0.9, 0.8, 0.7, 0.6, 0.1, 0.1]
    assert first_crossing(range(7), losses, 0.5) is None
    assert first_crossing(range(8), [*losses, 0.1], 0.5) is not None


def test_steps_between_evaluations_are_in_proportion_on_a_logarithmic_axis() -> None:
    steps = [1, 2, 4, 8, 16, 32, 64]
    losses = [6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]
    assert first_crossing(steps, losses, 2.5) == pytest.approx(8.0 * np.sqrt(2.0))
    assert first_crossing(steps, losses, 3.0) == pytest.approx(8.0)


def test_before_the_first_evaluation_steps_are_in_plain_proportion() -> None:
    losses = [4.0, 2.0, 0.0, 0.0, 0.0]
    assert first_crossing([0, 10, 20, 30, 40], losses, 3.0) == pytest.approx(5.0)


def test_a_target_that_is_there_already() -> None:
    assert first_crossing([0, 1, 2, 3], [1.0, 0.9, 0.8, 0.7], 2.0) == 0.0


def test_the_best_loss_within_a_budget_is_smoothed() -> None:
    steps = [1, 2, 3, 4, 5, 6, 7, 8]
    losses = [9.0, 8.0, 7.0, 0.0, 6.0, 5.0, 4.0, 3.0]
    assert best_loss(steps, losses, 100.0) == 4.0
    assert best_loss(steps, losses, 3.5) == 7.0
    assert best_loss(steps, losses, 0.5) is None
