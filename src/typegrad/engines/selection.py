"""Engines by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from typegrad.engines.base import Engine, StepSettings
from typegrad.engines.eager import EagerEngine
from typegrad.engines.planned import PlannedEngine
from typegrad.optimizers import FullBatchOptimizer, Optimizer

if TYPE_CHECKING:
    from typegrad.network import NeuralNetwork

EngineName: TypeAlias = Literal["auto", "eager", "planned"]
"""What `Trainer` takes as its engine."""


def check_engine_name(name: str) -> None:
    """Raise ValueError unless there is an engine of this name."""
    if name not in get_args(EngineName):
        known = ", ".join(repr(each) for each in get_args(EngineName))
        raise ValueError(f"engine is {name!r}; expected one of {known}")


def build_engine(
    name: EngineName,
    network: NeuralNetwork,
    optimizer: Optimizer | FullBatchOptimizer,
    settings: StepSettings,
    note: Callable[[str], None],
) -> Engine:
    """Make an engine, and let `note` know which it is and why.

    Parameters
    ----------
    name
        ``"auto"`` takes the planned engine: it needs no more than NumPy, and its numbers are
        the eager engine's.
    note
        Also hears, later on, of what could not be planned.
    """
    if name == "eager":
        note("engine: eager, as asked for")
        return EagerEngine(network, optimizer, settings)
    why = "the fastest that is installed" if name == "auto" else "as asked for"
    note(f"engine: planned, {why}")
    return PlannedEngine(network, optimizer, settings, note)
