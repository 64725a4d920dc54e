"""BatchChoice: which batch size a probe chose, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from typegrad.noise_scale import NoiseScale

__all__ = ["BatchChoice"]


@dataclass(frozen=True)
class BatchChoice:
    """What ``Trainer.fit(batch_size="auto")`` chose, and what it had measured.

    Attributes
    ----------
    batch_size : int
        The choice.
    reason : str
        Why, in a sentence.
    noise_scale : float or None
        The noise scale that it rests on, in examples: the geometric mean of `noise_scales`,
        none of which counts as more than the training rows. None where nothing was measured.
    noise_scales : tuple
        Pairs: how many steps the probe had taken, and the noise scale then.
    step_seconds : tuple
        Pairs: batch size, and seconds that a step takes.
    predicted_cost : tuple
        Pairs: batch size, and predicted seconds to a target, relative to the best size.
    seconds : float
        How long the probe took.
    """

    batch_size: int
    reason: str
    noise_scale: float | None = None
    noise_scales: tuple[tuple[int, NoiseScale], ...] = ()
    step_seconds: tuple[tuple[int, float], ...] = ()
    predicted_cost: tuple[tuple[int, float], ...] = ()
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return all that it says, fit for JSON."""
        return {
            **asdict(self),
            "noise_scales": [
                {"step": step, **measured.to_dict()} for step, measured in self.noise_scales
            ],
            "step_seconds": [list(pair) for pair in self.step_seconds],
            "predicted_cost": [list(pair) for pair in self.predicted_cost],
        }

    @classmethod
    def from_dict(cls, described: Mapping[str, Any]) -> Self:
        """Make again what `to_dict` described.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it comes from elsewhere.
        """
        scale = described["noise_scale"]
        return cls(
            batch_size=int(described["batch_size"]),
            reason=str(described["reason"]),
            noise_scale=None if scale is None else float(scale),
            noise_scales=tuple(
                (int(each["step"]), NoiseScale.from_dict(each))
                for each in described["noise_scales"]
            ),
            step_seconds=_pairs(described["step_seconds"]),
            predicted_cost=_pairs(described["predicted_cost"]),
            seconds=float(described["seconds"]),
        )


def _pairs(described: Any) -> tuple[tuple[int, float], ...]:
    return tuple((int(size), float(value)) for size, value in described)
