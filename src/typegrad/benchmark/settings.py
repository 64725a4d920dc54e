"""What a benchmark of batch sizes is asked to do, checked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

from typegrad.benchmark.steppers import check_engines
from typegrad.options import check_choice, check_count

LearningRateRule: TypeAlias = Literal["kept", "linear", "sqrt", "searched"]
"""How the learning rate depends on the batch size."""

LARGEST_DEFAULT = 4096
"""Largest size that is tried without being asked for."""

_SMALLEST_BUDGET = 1.0


@dataclass(frozen=True)
class Settings:
    """What to measure; the fields are `batch_sizes`' arguments."""

    batch_sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    engines: tuple[str, ...]
    target: float | None
    learning_rate: LearningRateRule
    base_batch_size: int
    budget_seconds: float
    most_seeds: int
    processes: int

    def to_dict(self) -> dict[str, Any]:
        """Describe them in JSON's types."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    def identity(self) -> dict[str, Any]:
        """What a continued run must have in common with its first part: not the processes."""
        return {name: value for name, value in self.to_dict().items() if name != "processes"}

    @property
    def further_seeds(self) -> list[int]:
        """Seeds for sizes that are close to the best, after those for all sizes."""
        first = max(self.seeds) + 1
        return list(range(first, first + max(0, self.most_seeds - len(self.seeds))))


def check_settings(
    rows: int,
    *,
    batch_sizes: Iterable[int] | None,
    seeds: int | Sequence[int],
    engines: Sequence[str],
    target: float | None,
    learning_rate: str,
    base_batch_size: int,
    budget_seconds: float,
    most_seeds: int,
    processes: int,
) -> Settings:
    """Check all arguments.

    Parameters
    ----------
    rows
        Rows to train on, which no batch size may exceed.

    Raises
    ------
    ValueError
        If an argument is not allowed; says which and what is.
    MissingExtraError
        If a contestant is not installed.
    """
    if not budget_seconds >= _SMALLEST_BUDGET or not math.isfinite(budget_seconds):
        raise ValueError(f"budget_seconds is {budget_seconds}; expected {_SMALLEST_BUDGET} or more")
    if target is not None and not math.isfinite(target):
        raise ValueError(f"target is {target}; expected a validation loss, or None to choose one")
    return Settings(
        batch_sizes=_check_sizes(batch_sizes, rows),
        seeds=check_seeds(seeds),
        engines=check_engines(engines),
        target=None if target is None else float(target),
        learning_rate=check_choice("learning_rate", learning_rate, get_args(LearningRateRule)),
        base_batch_size=check_count("base_batch_size", base_batch_size),
        budget_seconds=float(budget_seconds),
        most_seeds=check_count("most_seeds", most_seeds),
        processes=check_count("processes", processes),
    )


def default_batch_sizes(rows: int) -> tuple[int, ...]:
    """Powers of two up to the number of rows, and 4096 at most.

    >>> default_batch_sizes(20)
    (1, 2, 4, 8, 16)
    """
    largest = min(rows, LARGEST_DEFAULT)
    return tuple(2**power for power in range(largest.bit_length()))


def _check_sizes(batch_sizes: Iterable[int] | None, rows: int) -> tuple[int, ...]:
    if batch_sizes is None:
        return default_batch_sizes(rows)
    sizes = [check_count("a batch size", size) for size in batch_sizes]
    if not sizes:
        raise ValueError("batch_sizes is empty; expected at least one, such as [16, 64, 256]")
    for index, size in enumerate(sizes):
        if size > rows:
            raise ValueError(
                f"batch size {size} is larger than the {rows} rows to train on (validation rows "
                f"are set aside first); expected {rows} at most"
            )
        if size in sizes[:index]:
            raise ValueError(f"batch size {size} is given twice")
    return tuple(sorted(sizes))


def check_seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """Require a number of seeds, or different ones; return them."""
    if isinstance(seeds, int):
        return tuple(range(check_count("seeds", seeds)))
    found = tuple(check_count("a seed", seed, at_least=0) for seed in seeds)
    if not found or len(set(found)) < len(found):
        raise ValueError(f"seeds is {list(seeds)}; expected a number of seeds, or different ones")
    return found
