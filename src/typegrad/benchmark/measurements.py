"""What a benchmark of batch sizes measured, before anything is concluded from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from typegrad.benchmark.loss_curve import LossCurve
from typegrad.benchmark.step_parts import StepParts
from typegrad.benchmark.step_timing import StepTiming


@dataclass(frozen=True)
class NoisePoint:
    """The gradient noise scale at one moment of a training.

    Attributes
    ----------
    batch_size, step
        Of the training, and how far it was.
    noise_scale, low, high
        In examples, and its interval with 95 % confidence; infinity where the gradient cannot be
        told from its noise.
    """

    batch_size: int
    step: int
    noise_scale: float
    low: float
    high: float


@dataclass
class Measurements:
    """All that was measured, cell by cell; it grows while the benchmark runs.

    Attributes
    ----------
    timings
        Of each engine and size.
    sessions
        How many sessions of rounds the timings are from.
    reference_seconds
        Of the reference workload, one for each round.
    reference_operations
        Floating-point operations of that workload.
    curves
        Of each size and seed.
    searches
        Short curves that a learning rate was searched with.
    parts
        Shares of a step's time, by size; None for a network that cannot be planned.
    noise
        Noise scales along the trainings with the first seed.
    step_budgets
        Steps after which a curve of a size ends at the latest: those that fill the time budget.
    """

    timings: list[StepTiming] = field(default_factory=list)
    sessions: int = 0
    reference_seconds: list[float] = field(default_factory=list)
    reference_operations: int = 0
    curves: list[LossCurve] = field(default_factory=list)
    searches: list[LossCurve] = field(default_factory=list)
    parts: dict[int, StepParts | None] = field(default_factory=dict)
    noise: list[NoisePoint] = field(default_factory=list)
    step_budgets: dict[int, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Describe everything in JSON's types; None stands for infinity."""
        return {
            "timings": [asdict(each) for each in self.timings],
            "sessions": self.sessions,
            "reference_seconds": list(self.reference_seconds),
            "reference_operations": self.reference_operations,
            "curves": [asdict(each) for each in self.curves],
            "searches": [asdict(each) for each in self.searches],
            "parts": {
                str(size): None if part is None else asdict(part)
                for size, part in self.parts.items()
            },
            "noise": [_finite(asdict(each)) for each in self.noise],
            "step_budgets": {str(size): steps for size, steps in self.step_budgets.items()},
        }

    @classmethod
    def from_dict(cls, described: Mapping[str, Any]) -> Measurements:
        """Read what `to_dict` described."""
        return cls(
            timings=[
                StepTiming(**{**each, "seconds": tuple(each["seconds"])})
                for each in described["timings"]
            ],
            sessions=described["sessions"],
            reference_seconds=list(described["reference_seconds"]),
            reference_operations=described["reference_operations"],
            curves=[_curve(each) for each in described["curves"]],
            searches=[_curve(each) for each in described["searches"]],
            parts={
                int(size): None if part is None else StepParts(**part)
                for size, part in described["parts"].items()
            },
            noise=[_noise_point(each) for each in described["noise"]],
            step_budgets={int(size): steps for size, steps in described["step_budgets"].items()},
        )

    def absorb(self, later: Measurements) -> None:
        """Take over what was measured later; rounds of timings are appended to what there is."""
        if self.timings and later.timings:
            pairs = zip(self.timings, later.timings, strict=True)
            self.timings = [first.joined(second) for first, second in pairs]
        else:
            self.timings = self.timings or later.timings
        self.sessions += later.sessions
        self.reference_seconds += later.reference_seconds
        self.reference_operations = self.reference_operations or later.reference_operations
        self.curves += later.curves
        self.searches += later.searches
        self.parts.update(later.parts)
        self.noise += later.noise
        self.step_budgets.update(later.step_budgets)


def _curve(described: Mapping[str, Any]) -> LossCurve:
    columns = {name: tuple(described[name]) for name in ("steps", "examples", "losses")}
    return LossCurve(**{**described, **columns})


def _finite(described: dict[str, Any]) -> dict[str, Any]:
    return {name: None if value == math.inf else value for name, value in described.items()}


def _noise_point(described: Mapping[str, Any]) -> NoisePoint:
    values: dict[str, Any] = {
        name: math.inf if value is None else value for name, value in described.items()
    }
    return NoisePoint(**values)
