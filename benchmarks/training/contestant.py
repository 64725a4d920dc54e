"""Contestant: what a library has to do to take part."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from training.problem import Floats, Problem


class Contestant(ABC):
    """One library, in one way of using it.

    A new contestant is a subclass with the three hooks below, and a line in `ROSTER` of
    `roster.py`. Each runs in a process of its own and imports its library in ``__init__``
    or in its module, which is loaded there alone.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    @classmethod
    def unsupported(cls, problem: Problem) -> str | None:
        """Say why the problem cannot be done alike; None (the default) if it can."""
        return None

    @abstractmethod
    def reset(self) -> None:
        """Go back to the problem's first weights and to a fresh optimizer; is not timed."""

    @abstractmethod
    def run_epoch(self) -> float:
        """Take all steps, in the problem's order of rows; return the mean of the steps' losses.

        When it returns, all work is done: what a library has put off must have been waited for.
        """

    @abstractmethod
    def weights(self) -> list[Floats]:
        """Return the present weights, in the problem's order and orientation."""


@dataclass(frozen=True)
class Entry:
    """A line of the roster."""

    name: str
    module: str
    class_name: str
    distribution: str
    """What must be installed, by its name on PyPI."""
    slow_start: bool = False
    """It compiles for seconds: a smoke run leaves it out, unless it is asked for by name."""
