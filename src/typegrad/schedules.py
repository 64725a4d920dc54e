"""Learning-rate schedules.

Everything counts optimizer steps, from 0, so that a schedule means the same for any
batch size and any engine can ask for the rates of a whole epoch at once. Ten epochs of
``n`` examples in batches of ``b`` are ``10 * math.ceil(n / b)`` steps. Schedules that span
a whole run (`LinearSchedule`, `CosineSchedule`, `OneCycleSchedule`) are told its length
by whoever runs it, and keep their final rate if it is exceeded. `ReduceOnPlateau` alone
is driven by a metric.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from typegrad.options import (
    ANY_NUMBER,
    COUNT,
    FACTOR,
    FRACTION,
    NON_NEGATIVE,
    POSITIVE,
    Configured,
)
from typegrad.types import Vector

__all__ = [
    "ConstantSchedule",
    "CosineSchedule",
    "ExponentialSchedule",
    "LinearSchedule",
    "OneCycleSchedule",
    "ReduceOnPlateau",
    "Schedule",
    "StepSchedule",
    "as_schedule",
    "schedule_from_config",
]


@dataclass(frozen=True, eq=False)
class Schedule(Configured, ABC):
    """A learning rate for every step.

    A subclass is a frozen dataclass with its options as fields, and writes `rate`:

    >>> @dataclass(frozen=True)
    ... class InverseSquareRoot(Schedule):
    ...     learning_rate: float
    ...
    ...     def rate(self, step: int, total_steps: int) -> float:
    ...         return self.learning_rate / math.sqrt(step + 1)
    >>> InverseSquareRoot(0.1).rates(0, 4, total_steps=100).round(4)
    array([0.1   , 0.0707, 0.0577, 0.05  ])
    """

    kind: ClassVar[str] = "schedule"

    learning_rate: float
    """Not negative; the initial rate, or the peak where the rate rises first."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_number("learning_rate", NON_NEGATIVE)

    @abstractmethod
    def rate(self, step: int, total_steps: int) -> float:
        """Hook: the learning rate of step ``step`` (from 0) of ``total_steps``."""

    def rates(self, start: int, stop: int, total_steps: int) -> Vector:
        """Return the learning rates of steps ``start`` to ``stop - 1``, float64.

        Raises
        ------
        ValueError
            If not ``0 <= start <= stop`` or ``total_steps < 1``.
        """
        if not 0 <= start <= stop or total_steps < 1:
            raise ValueError(
                f"rates of steps {start} to {stop} of {total_steps}: "
                f"expected 0 <= start <= stop and total_steps >= 1"
            )
        rates = (self.rate(step, total_steps) for step in range(start, stop))
        return np.fromiter(rates, np.float64, stop - start)

    def state_dict(self) -> dict[str, float | None]:
        """Return what the schedule remembers; nothing unless it observes something."""
        return {}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Restore what `state_dict` returned.

        Raises
        ------
        ValueError
            If names or values are not those of this schedule's state.
        """
        self.check_names("state", state, self.state_dict())


@dataclass(frozen=True, eq=False)
class ConstantSchedule(Schedule):
    """The same rate always; what a plain float means.

    >>> ConstantSchedule(0.01).rate(7, total_steps=100)
    0.01
    """

    def rate(self, step: int, total_steps: int) -> float:
        """Return the rate."""
        return self.learning_rate


@dataclass(frozen=True, eq=False)
class StepSchedule(Schedule):
    """Multiply the rate by ``factor`` after every ``every`` steps.

    ``learning_rate * factor ** (step // every)``; like PyTorch's ``StepLR``.

    >>> StepSchedule(0.1, every=2, factor=0.5).rates(0, 5, total_steps=5)
    array([0.1  , 0.1  , 0.05 , 0.05 , 0.025])
    """

    _: KW_ONLY
    every: int
    """At least 1, in optimizer steps."""
    factor: float = 0.1
    """In (0, 1]."""

    def check_options(self) -> None:
        """Check the options."""
        self.check_number("every", COUNT, whole=True)
        self.check_number("factor", FACTOR)

    def rate(self, step: int, total_steps: int) -> float:
        """Return the rate: a staircase."""
        return self.learning_rate * self.factor ** (step // self.every)


@dataclass(frozen=True, eq=False)
class ExponentialSchedule(Schedule):
    """Decay smoothly, by ``factor`` in every ``every`` steps.

    ``learning_rate * factor ** (step / every)``; with ``every=1`` PyTorch's
    ``ExponentialLR``. For a staircase, see `StepSchedule`.

    >>> ExponentialSchedule(0.1, every=2, factor=0.25).rates(0, 4, total_steps=4)
    array([0.1   , 0.05  , 0.025 , 0.0125])
    """

    _: KW_ONLY
    factor: float
    """In (0, 1]."""
    every: int = 1
    """At least 1, in optimizer steps."""

    def check_options(self) -> None:
        """Check the options."""
        self.check_number("factor", FACTOR)
        self.check_number("every", COUNT, whole=True)

    def rate(self, step: int, total_steps: int) -> float:
        """Return the rate: a geometric decay."""
        return float(self.learning_rate * self.factor ** (step / self.every))


@dataclass(frozen=True, eq=False)
class LinearSchedule(Schedule):
    """Go straight from ``learning_rate`` to ``final_learning_rate`` over the run.

    The final rate belongs to the step after the last, as in PyTorch's ``LinearLR`` with
    ``total_iters`` the number of steps: a final rate of 0 wastes no step.

    >>> LinearSchedule(0.4).rates(0, 4, total_steps=4)
    array([0.4, 0.3, 0.2, 0.1])
    """

    _: KW_ONLY
    final_learning_rate: float = 0.0
    """Not negative."""

    def check_options(self) -> None:
        """Check the options."""
        self.check_number("final_learning_rate", NON_NEGATIVE)

    def rate(self, step: int, total_steps: int) -> float:
        """Return the rate: a straight line."""
        done = min(step / total_steps, 1.0)
        return self.learning_rate + done * (self.final_learning_rate - self.learning_rate)


@dataclass(frozen=True, eq=False)
class CosineSchedule(Schedule):
    """Rise linearly during a warm-up, then fall along half a cosine.

    Loshchilov & Hutter (2017), without restarts. Of ``total_steps``, the first
    ``w = round(warmup_fraction * total_steps)`` have the rates ``1/(w+1), 2/(w+1), ...`` of
    ``learning_rate``, so none is wasted on a rate of 0; the step after them is the peak. The
    final rate belongs to the step after the last. Equal to PyTorch's ``LinearLR`` followed by
    ``CosineAnnealingLR`` in a ``SequentialLR``.

    >>> CosineSchedule(0.1, warmup_fraction=0.25).rates(0, 4, total_steps=4)
    array([0.05 , 0.1  , 0.075, 0.025])
    """

    _: KW_ONLY
    warmup_fraction: float = 0.0
    """In [0, 1), the share of the run that warms up."""
    final_learning_rate: float = 0.0
    """Not negative."""

    def check_options(self) -> None:
        """Check the options."""
        self.check_number("warmup_fraction", FRACTION)
        self.check_number("final_learning_rate", NON_NEGATIVE)

    def rate(self, step: int, total_steps: int) -> float:
        """Return the rate: a line up, half a cosine down."""
        warmup = round(self.warmup_fraction * total_steps)
        if step < warmup:
            return self.learning_rate * (step + 1) / (warmup + 1)
        # A warm-up that rounds to the whole run leaves no step to fall in.
        done = min((step - warmup) / max(total_steps - warmup, 1), 1.0)
        return _cosine(self.learning_rate, self.final_learning_rate, done)


@dataclass(frozen=True, eq=False)
class OneCycleSchedule(Schedule):
    """Rise to a large rate and fall far below the initial one, in a single cycle.

    Smith & Topin (2018), with cosines for both parts, like PyTorch's ``OneCycleLR``: from
    ``learning_rate / div_factor`` up to ``learning_rate`` and down to
    ``learning_rate / (div_factor * final_div_factor)`` at the last step. Only the learning
    rate is cycled, not the momentum.

    >>> OneCycleSchedule(1.0, warmup_fraction=0.5).rates(0, 6, total_steps=6).round(4)
    array([0.04, 0.52, 1.  , 0.75, 0.25, 0.  ])
    """

    _: KW_ONLY
    warmup_fraction: float = 0.3
    """In [0, 1), the share of the run in which the rate rises."""
    div_factor: float = 25.0
    """Positive; peak over initial rate."""
    final_div_factor: float = 1e4
    """Positive; initial over final rate."""

    def check_options(self) -> None:
        """Check the options."""
        self.check_number("warmup_fraction", FRACTION)
        self.check_number("div_factor", POSITIVE)
        self.check_number("final_div_factor", POSITIVE)

    def rate(self, step: int, total_steps: int) -> float:
        """Return the rate: half a cosine up, half a cosine down."""
        initial = self.learning_rate / self.div_factor
        peak_step = self.warmup_fraction * total_steps - 1.0
        if step <= peak_step and peak_step > 0.0:
            return _cosine(initial, self.learning_rate, step / peak_step)
        done = min((step - peak_step) / (total_steps - 1.0 - peak_step), 1.0)
        return _cosine(self.learning_rate, initial / self.final_div_factor, done)


@dataclass
class _Plateau:
    """What `ReduceOnPlateau` has seen so far."""

    learning_rate: float
    best: float | None = None
    epochs_without_improvement: int = 0
    cooldown_left: int = 0


@dataclass(frozen=True, eq=False)
class ReduceOnPlateau(Schedule):
    """Reduce the rate when a metric has stopped improving.

    `observe` is told the metric once an epoch. When it has not improved for more than
    ``patience`` epochs, the rate is multiplied by ``factor``, and the next ``cooldown`` epochs
    do not count. Like PyTorch's ``ReduceLROnPlateau``, except that a metric which is negative
    (a Gaussian likelihood's) must improve by a share of its *absolute* value: PyTorch's bound
    is on the wrong side there. PyTorch also leaves out reductions of less than 1e-8.

    >>> schedule = ReduceOnPlateau(0.1, factor=0.5, patience=1)
    >>> for loss in [3.0, 2.0, 2.1, 2.2]:
    ...     schedule.observe(loss)
    >>> schedule.rate()
    0.05
    """

    _: KW_ONLY
    factor: float = 0.1
    """In (0, 1]."""
    patience: int = 10
    """Epochs without improvement that are put up with; not negative."""
    threshold: float = 1e-4
    """Share of the best value that counts as an improvement; in [0, 1)."""
    cooldown: int = 0
    """Epochs after a reduction that do not count; not negative."""
    min_learning_rate: float = 0.0
    """Not negative."""
    mode: Literal["min", "max"] = "min"
    """Whether a small or a large metric is good."""
    _seen: _Plateau = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "_seen", _Plateau(self.learning_rate))

    def check_options(self) -> None:
        """Check the options."""
        self.check_number("factor", FACTOR)
        self.check_number("patience", NON_NEGATIVE, whole=True)
        self.check_number("threshold", FRACTION)
        self.check_number("cooldown", NON_NEGATIVE, whole=True)
        self.check_number("min_learning_rate", NON_NEGATIVE)
        if self.mode not in ("min", "max"):
            self.refuse("mode", self.mode, "'min' or 'max'")

    def rate(self, step: int = 0, total_steps: int = 1) -> float:
        """Return the current rate; neither argument matters."""
        return self._seen.learning_rate

    def observe(self, value: float) -> None:
        """Take the metric of one more epoch into account; NaN is no improvement."""
        seen = self._seen
        if self._improves(value):
            seen.best, seen.epochs_without_improvement = float(value), 0
        else:
            seen.epochs_without_improvement += 1
        if seen.cooldown_left > 0:
            seen.cooldown_left -= 1
            seen.epochs_without_improvement = 0
        if seen.epochs_without_improvement > self.patience:
            # A rate that starts below the minimum is not raised to it.
            floor = min(seen.learning_rate, self.min_learning_rate)
            seen.learning_rate = max(seen.learning_rate * self.factor, floor)
            seen.cooldown_left, seen.epochs_without_improvement = self.cooldown, 0

    def _improves(self, value: float) -> bool:
        best = self._seen.best
        if best is None:
            return not math.isnan(value)
        margin = self.threshold * abs(best) if math.isfinite(best) else 0.0
        return value < best - margin if self.mode == "min" else value > best + margin

    def state_dict(self) -> dict[str, float | None]:
        """Return rate, best metric (None before the first) and counters."""
        return dict(vars(self._seen))

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Restore what `state_dict` returned.

        Raises
        ------
        ValueError
            If names or values are not those of this schedule's state.
        """
        self.check_names("state", state, self.state_dict())
        for name, value in state.items():
            missing = name == "best" and value is None
            counter = name in ("epochs_without_improvement", "cooldown_left")
            if not missing:
                allowed = NON_NEGATIVE if counter or name == "learning_rate" else ANY_NUMBER
                self.check_value(name, value, allowed, whole=counter)
        for name, value in state.items():
            setattr(self._seen, name, value)


def as_schedule(learning_rate: float | Schedule) -> Schedule:
    """Return a schedule as it is, and a number as a `ConstantSchedule`."""
    if isinstance(learning_rate, Schedule):
        return learning_rate
    return ConstantSchedule(learning_rate)


def schedule_from_config(config: Mapping[str, Any]) -> Schedule:
    """Make the schedule that its ``config()`` described.

    >>> schedule_from_config({"class": "CosineSchedule", "learning_rate": 0.1})
    CosineSchedule(learning_rate=0.1, warmup_fraction=0.0, final_learning_rate=0.0)

    Raises
    ------
    ValueError
        If there is no schedule or option of that name, or a value is not allowed.
    """
    return Schedule.from_config(config)


def _cosine(start: float, end: float, done: float) -> float:
    return end + 0.5 * (start - end) * (1.0 + math.cos(math.pi * done))
