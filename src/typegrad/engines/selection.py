"""Engines by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from typegrad.engines.base import Engine, StepSettings
from typegrad.engines.compiled import CompiledEngine
from typegrad.engines.eager import EagerEngine
from typegrad.engines.planned import PlannedEngine
from typegrad.optimizers import FullBatchOptimizer, Optimizer

if TYPE_CHECKING:
    from typegrad.network import NeuralNetwork

EngineName: TypeAlias = Literal["auto", "eager", "planned", "compiled"]
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
    *,
    threads: int | None = None,
) -> Engine:
    """Make an engine, and let `note` know which it is and why.

    Parameters
    ----------
    name
        ``"auto"`` takes the compiled engine where its extra ``fast`` is installed, else the
        planned one.
    note
        Also hears, later on, of what could not be compiled or planned.
    threads
        Of the compiled engine; None for the cores that the process may use.

    Raises
    ------
    MissingExtraError
        If the compiled engine is asked for and its extra is not installed.
    """
    if name == "eager":
        note("engine: eager, as asked for")
        return EagerEngine(network, optimizer, settings)
    why = "the fastest that is installed" if name == "auto" else "as asked for"
    if name == "planned" or (name == "auto" and find_spec("llvmlite") is None):
        note(f"engine: planned, {why}")
        return PlannedEngine(network, optimizer, settings, note)
    try:
        engine = CompiledEngine(network, optimizer, settings, note, threads=threads)
    except (ImportError, OSError, RuntimeError) as error:
        if name == "compiled":
            raise
        note(f"engine: planned, since the compiled one cannot start: {error}")
        return PlannedEngine(network, optimizer, settings, note)
    note(f"engine: compiled, {why}")
    return engine
