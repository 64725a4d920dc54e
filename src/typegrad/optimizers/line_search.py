"""A line search for the strong Wolfe conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from typegrad.types import Vector

_EXPANSION = (1.5, 10.0)
"""By how much a step that was too short grows, at least and at most."""

_MARGIN = 0.1
"""How near to an end of its bracket, in shares of the width, the next step may lie."""


@dataclass(frozen=True, eq=False)
class Point:
    """A point on the line: how far along, and loss, slope and gradient there.

    Where loss or gradient are not finite, the loss is infinite.
    """

    step: float
    loss: float
    slope: float
    gradient: Vector


@dataclass(eq=False)
class WolfeSearch:
    """Find a step along a line of descent that satisfies the strong Wolfe conditions.

    With loss f and slope f' along the line, a step a is accepted when
    f(a) <= f(0) + decrease * a * f'(0) and |f'(a)| <= curvature * |f'(0)|. Nocedal & Wright,
    *Numerical Optimization* (2006), algorithms 3.5 (`search`) and 3.6 (`_zoom`), with safeguarded
    cubic interpolation. An infinite loss bounds the step from above, like a loss too large.

    Parameters
    ----------
    evaluate
        Gives the `Point` at a step.
    start
        The point at step 0; its slope is negative.
    max_evaluations
        After so many, the best point so far is returned.
    """

    evaluate: Callable[[float], Point]
    start: Point
    max_evaluations: int
    decrease: float = 1e-4
    curvature: float = 0.9
    evaluations: int = 0

    def search(self, first_step: float) -> Point:
        """Return an acceptable point; or, if none is found, one of sufficient decrease.

        If none of that kind is found either, it is ``start``.
        """
        before, step = self.start, first_step
        while self.evaluations < self.max_evaluations:
            point = self._evaluate(step)
            if not self._decreases(point) or point.loss >= before.loss:
                return self._zoom(before, point)
            if self.accepts(point):
                return point
            if point.slope >= 0.0:
                return self._zoom(point, before)
            step = self._longer_step(before, point)
            before = point
        return before

    def accepts(self, point: Point) -> bool:
        """Whether a point satisfies the strong Wolfe conditions."""
        flat = abs(point.slope) <= self.curvature * abs(self.start.slope)
        return self._decreases(point) and flat

    def _evaluate(self, step: float) -> Point:
        self.evaluations += 1
        return self.evaluate(step)

    def _decreases(self, point: Point) -> bool:
        return point.loss <= self.start.loss + self.decrease * point.step * self.start.slope

    def _longer_step(self, before: Point, point: Point) -> float:
        shortest, longest = (factor * point.step for factor in _EXPANSION)
        # Without a minimum ahead the cubic says nothing: take the longest step.
        minimum = _cubic_minimum(before, point)
        return min(max(minimum, shortest), longest) if minimum > point.step else longest

    def _zoom(self, low: Point, high: Point) -> Point:
        """Shrink a bracket: ``low`` decreases enough and has the least loss of those seen."""
        while self.evaluations < self.max_evaluations:
            step = _step_between(low, high)
            if step in (low.step, high.step):
                break
            point = self._evaluate(step)
            if not self._decreases(point) or point.loss >= low.loss:
                high = point
                continue
            if self.accepts(point):
                return point
            if point.slope * (high.step - low.step) >= 0.0:
                high = low
            low = point
        return low


def _step_between(low: Point, high: Point) -> float:
    """Return the next step to try in a bracket, not too near to its ends."""
    middle = 0.5 * (low.step + high.step)
    step = _cubic_minimum(low, high) if math.isfinite(high.loss) else middle
    left, right = sorted((low.step, high.step))
    margin = _MARGIN * (right - left)
    return min(max(step, left + margin), right - margin) if math.isfinite(step) else middle


def _cubic_minimum(a: Point, b: Point) -> float:
    """Return where the cubic through two points with their slopes is least, or NaN.

    Nocedal & Wright, equation 3.59.
    """
    d1 = a.slope + b.slope - 3.0 * (a.loss - b.loss) / (a.step - b.step)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0.0:
        return math.nan
    d2 = math.copysign(math.sqrt(square), b.step - a.step)
    denominator = b.slope - a.slope + 2.0 * d2
    if denominator == 0.0:
        return math.nan
    return b.step - (b.step - a.step) * (b.slope + d2 - d1) / denominator
