"""When a curve of noisy losses has reached a target.

A loss after a step of a small batch jumps up and down, and the first evaluation below the
target may be luck. So each evaluation is replaced by the median of five: itself, the two before
and the two after. A target counts as reached where that median first is at or below it: three of
five evaluations in a row are. The step is interpolated between the two medians around the target,
in proportion to the loss on a logarithmic axis of steps, so that it is not bound to the steps at
which there was an evaluation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from typegrad.types import Vector

HALF_WIDTH = 2
"""Evaluations on each side that a smoothed loss is the median of, with its own."""


def smoothed(losses: Sequence[float]) -> Vector:
    """Running medians; at the start of as many as there are on both sides, none for the last two.

    >>> smoothed([9.0, 8.0, 1.0, 7.0, 6.0, 5.0])
    array([9., 8., 7., 6.])
    """
    values = np.asarray(losses, np.float64)
    count = max(0, len(values) - HALF_WIDTH)
    first = [np.median(values[: 2 * index + 1]) for index in range(min(HALF_WIDTH, count))]
    if count <= HALF_WIDTH:
        return np.array(first, np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(values, 2 * HALF_WIDTH + 1)
    return np.concatenate([first, np.median(windows, axis=1)])


def first_crossing(steps: Sequence[int], losses: Sequence[float], target: float) -> float | None:
    """Steps after which the smoothed loss is at or below the target; None if it never is."""
    medians = smoothed(losses)
    below = np.flatnonzero(medians <= target)
    if not below.size:
        return None
    index = int(below[0])
    if index == 0:
        return float(steps[0])
    before, after = medians[index - 1], medians[index]
    share = float((before - target) / (before - after))
    low, high = steps[index - 1], steps[index]
    if low == 0:  # there is no logarithm of it
        return share * high
    return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))


def best_loss(steps: Sequence[int], losses: Sequence[float], max_steps: float) -> float | None:
    """Lowest smoothed loss within so many steps; None if too few evaluations fall in them."""
    count = int(np.searchsorted(steps, max_steps, side="right"))
    medians = smoothed(losses)[:count]
    return float(medians.min()) if medians.size else None
